package packagecloudtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// download is one download, for the statistics.
type download struct {
	at        time.Time
	ip, agent string
	source    string // "web" or "cli"
	read      *readToken
	master    *masterToken
}

// servePackage serves the paths below /{owner}/{repo}/packages: downloads, and
// the pages of packages.
func (s *Server) servePackage(c *call) {
	query := c.r.URL.Query()
	s.mu.Lock()
	p, b := s.downloadable(c.repo, c.below[1:], query)
	plan := s.plan
	if p != nil && b != nil && c.r.Method == http.MethodGet && !plan.QuotaSpent && !(plan.PaymentRequired && c.repo.private) {
		ip, _, _ := strings.Cut(strings.TrimPrefix(c.r.RemoteAddr, "["), "]")
		if i := strings.LastIndexByte(ip, ':'); i > 0 && strings.Count(ip, ":") == 1 {
			ip = ip[:i]
		}
		source := "cli"
		if strings.HasPrefix(c.r.UserAgent(), "Mozilla/") {
			source = "web"
		}
		p.downloads = append(p.downloads, download{now(), ip, c.r.UserAgent(), source, c.cred.read, c.cred.master})
	}
	s.mu.Unlock()
	switch {
	case p == nil:
		notFound(c.w)
	case b == nil:
		writeText(c.w, http.StatusOK, "text/html; charset=utf-8", "<!DOCTYPE html>\n<title>"+html.EscapeString(p.filename)+"</title>\n")
	case plan.PaymentRequired && c.repo.private:
		paymentRequired(c.w)
	case plan.QuotaSpent:
		quotaSpent(c.w)
	default:
		target := s.sign(b, p.filename)
		c.w.Header().Set("Location", target)
		c.w.Header().Set("Cache-Control", "no-cache")
		writeText(c.w, http.StatusFound, "text/html; charset=utf-8",
			`<html><body>You are being <a href="`+html.EscapeString(target)+`">redirected</a>.</body></html>`)
	}
}

// downloadable finds the package that a path below /packages names. It also
// returns the file, unless the path names the package's page. The caller holds
// s.mu.
func (s *Server) downloadable(repo *repository, segs []string, query url.Values) (*storedPackage, *blob) {
	for _, p := range repo.packages {
		if p.Scope != query.Get("scope") || !slices.Contains(segs, p.filename) {
			continue
		}
		if id := query.Get("distro_version_id"); id != "" && p.place.id != 0 && id != strconv.Itoa(p.place.id) {
			continue
		}
		page, _ := split(p.htmlPath())
		if slices.Equal(segs, page[1:]) {
			return p, nil
		}
		path, _, _ := strings.Cut(p.downloadPath(), "?")
		file, _ := split(path)
		if slices.Equal(segs, file[1:]) {
			return p, p.blob
		}
		if len(segs) <= len(page)-1 || !slices.Equal(segs[:len(page)-1], page[1:]) {
			continue
		}
		switch rest := segs[len(page)-1:]; {
		case len(rest) == 1 && (rest[0] == "download" || strings.HasPrefix(rest[0], "download.")):
			return p, p.blob
		case len(rest) == 3 && rest[0] == "files" && rest[2] == "download":
			for _, f := range p.sources {
				if f.name == rest[1] {
					return p, f.blob
				}
			}
		case len(rest) == 3 && rest[0] == "artifacts" && rest[1] == p.filename && rest[2] == "download":
			return p, p.blob
		}
	}
	return nil, nil
}

// sign returns a URL of the file on the download host. The URL expires after
// SignedURLTTL.
func (s *Server) sign(b *blob, filename string) string {
	expires := strconv.FormatFloat(float64(time.Now().Add(s.opts.SignedURLTTL).UnixMilli())/1000, 'f', 3, 64)
	return s.downloadURL + join(b.id, filename) + "?Expires=" + expires + "&Signature=" + s.signature(b.id, expires) + "&Key-Pair-Id=PACKAGECLOUDTEST"
}

func (s *Server) signature(id, expires string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := hmac.New(sha256.New, s.signingKey)
	m.Write([]byte(id + "\x00" + expires))
	return hex.EncodeToString(m.Sum(nil))
}

// ExpireDownloads makes every signed URL expire now. A running download goes
// on. The server answers 403 to a client that resumes it at the same URL.
func (s *Server) ExpireDownloads() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signingKey = randomBytes(32)
}

// serveBlob serves the download host.
func (s *Server) serveBlob(w http.ResponseWriter, r *http.Request) {
	if what := s.leaked(r); what != "" {
		if e, ok := r.Context().Value(entryKey{}).(*logEntry); ok {
			e.setLeak(what)
		}
		writeText(w, http.StatusBadRequest, "text/plain; charset=utf-8",
			"packagecloudtest: a request to this host must not carry a credential, but this one carries: "+what+"\n")
		return
	}
	segs, ok := split(r.URL.EscapedPath())
	if (r.Method != http.MethodGet && r.Method != http.MethodHead) || !ok || len(segs) != 2 {
		accessDenied(w)
		return
	}
	query := r.URL.Query()
	expires := query.Get("Expires")
	at, err := strconv.ParseFloat(expires, 64)
	signed := hmac.Equal([]byte(s.signature(segs[0], expires)), []byte(query.Get("Signature")))
	if err != nil || !signed || float64(time.Now().UnixMilli())/1000 > at {
		accessDenied(w)
		return
	}
	s.mu.Lock()
	b := s.blobs[segs[0]]
	s.mu.Unlock()
	if b == nil {
		accessDenied(w)
		return
	}
	f, err := b.open()
	if err != nil {
		accessDenied(w)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		serverError(w)
		return
	}
	w.Header().Set("ETag", `"`+b.md5+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// accessDenied writes the answer of a content network to a wrong or expired
// signature.
func accessDenied(w http.ResponseWriter) {
	writeText(w, http.StatusForbidden, "text/xml",
		`<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>`)
}

// leaked describes the credential in a request to the download host. It returns
// "" if there is none.
func (s *Server) leaked(r *http.Request) string {
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		if r.Header.Get(name) != "" {
			return name + " header"
		}
	}
	for _, secret := range s.secrets() {
		if len(secret) < minSecret {
			continue
		}
		forms := []string{secret, base64.StdEncoding.EncodeToString([]byte(secret + ":"))}
		for _, form := range forms {
			if strings.Contains(r.URL.String(), form) {
				return "token in the URL"
			}
			for name, values := range r.Header {
				for _, value := range values {
					if strings.Contains(value, form) {
						return "token in the " + name + " header"
					}
				}
			}
		}
	}
	return ""
}
