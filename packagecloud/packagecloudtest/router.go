package packagecloudtest

import (
	"bytes"
	"cmp"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// call is a request on its way through the router.
type call struct {
	w    *answer
	r    *http.Request
	segs []string // what is left of the path, unescaped; the last without ".json"
	last string   // the last segment with its extension
	cred credential
	repo *repository
}

func multipartReader(r io.Reader, options map[string]string) *multipart.Reader {
	return multipart.NewReader(r, options["boundary"])
}

// split splits a path at its slashes; an escaped slash stays in its segment.
func split(escaped string) ([]string, bool) {
	segs := strings.Split(strings.Trim(escaped, "/"), "/")
	for i, seg := range segs {
		plain, err := url.PathUnescape(seg)
		if err != nil {
			return nil, false
		}
		segs[i] = plain
	}
	return segs, true
}

// is tells whether the rest of the path matches; "*" stands for a segment.
func (c *call) is(method string, segs ...string) bool {
	if c.r.Method != method && (method != http.MethodGet || c.r.Method != http.MethodHead) || len(c.segs) != len(segs) {
		return false
	}
	for i, seg := range segs {
		if seg != "*" && seg != c.segs[i] {
			return false
		}
	}
	return true
}

// answer holds an answer back until the handler has let go of its locks, so
// that a client that reads slowly, or a fault that stalls, holds up no other.
type answer struct {
	to     http.ResponseWriter
	status int
	body   bytes.Buffer
	stream bool // sent as it is written: set for large files, which hold no lock
}

func (a *answer) Header() http.Header { return a.to.Header() }

func (a *answer) WriteHeader(status int) {
	if a.stream {
		a.to.WriteHeader(status)
	} else if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	if a.stream {
		return a.to.Write(p)
	}
	return a.body.Write(p)
}

func (a *answer) send() {
	if a.stream {
		return
	}
	status := cmp.Or(a.status, http.StatusOK)
	if status != http.StatusNoContent {
		a.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	}
	a.to.WriteHeader(status)
	_, _ = a.to.Write(a.body.Bytes())
}

// routeAPI serves the API's host: the API, install helpers and downloads.
func (s *Server) routeAPI(to http.ResponseWriter, r *http.Request) {
	w := &answer{to: to}
	s.route(w, r)
	answerEarly(to, r)
	w.send()
}

func (s *Server) route(w *answer, r *http.Request) {
	segs, ok := split(r.URL.EscapedPath())
	if !ok {
		notFound(w)
		return
	}
	c := &call{w: w, r: r, segs: segs, last: segs[len(segs)-1], cred: s.identify(r)}
	if len(segs) >= 2 && segs[0] == "api" && segs[1] == "v1" {
		segs[len(segs)-1] = strings.TrimSuffix(c.last, ".json")
		c.segs = segs[2:]
		s.routeV1(c)
		return
	}
	if len(segs) >= 4 && segs[0] == "install" && segs[1] == "repositories" {
		c.segs = segs[4:]
		s.inRepository(c, segs[2], segs[3], s.routeInstall)
		return
	}
	if len(segs) >= 4 && segs[0] == "priv" {
		segs = segs[2:]
	}
	if len(segs) >= 3 {
		c.segs = segs[2:]
		s.inRepository(c, segs[0], segs[1], s.routeFiles)
		return
	}
	notFound(w)
}

// inRepository goes on with a repository, if there is one of that name.
func (s *Server) inRepository(c *call, owner, name string, next func(*call)) {
	s.mu.Lock()
	c.repo = s.repository(owner, name)
	s.mu.Unlock()
	if c.repo == nil {
		notFound(c.w)
		return
	}
	next(c)
}

func (s *Server) routeV1(c *call) {
	switch {
	case c.is("GET", "token"):
		s.showToken(c)
		return
	case c.is("GET", "licenses", "*", "license"):
		s.showLicense(c)
		return
	case c.cred.kind != CredentialAPI:
		unauthenticated(c.w)
		return
	case c.is("GET", "gem_version"):
		s.gemVersion(c)
	case c.is("GET", "distributions"):
		s.listDistributions(c.w)
	case c.is("GET", "repos"):
		s.listRepositories(c)
	case c.is("POST", "repos"):
		s.newRepository(c)
	case len(c.segs) >= 3 && c.segs[0] == "repos":
		owner, name := c.segs[1], c.segs[2]
		c.segs = c.segs[3:]
		s.inRepository(c, owner, name, s.routeRepository)
	default:
		notFound(c.w)
	}
}

func (s *Server) routeRepository(c *call) {
	switch {
	case c.is("GET"):
		s.showRepository(c)
	case c.is("GET", "packages"):
		s.listPackages(c)
	case c.is("POST", "packages"):
		s.upload(c)
	case c.is("POST", "packages", "contents"):
		s.showContents(c)
	case c.is("GET", "packages", "*"), c.is("GET", "packages", "*", "*"),
		c.is("GET", "packages", "*", "*", "*"), c.is("GET", "packages", "*", "*", "*", "*"):
		s.indexPackages(c)
	case c.is("GET", "search"):
		s.search(c)
	case c.is("GET", "packages_with_bk_required_attributes"):
		s.listForMigration(c)
	case len(c.segs) >= 3 && c.segs[0] == "package":
		s.routePackage(c)
	case len(c.segs) >= 1 && c.segs[0] == "master_tokens":
		s.routeMasterTokens(c)
	case len(c.segs) >= 1 && c.segs[0] == "gpg_keys":
		s.routeKeys(c)
	case len(c.segs) >= 3 && c.segs[0] == "stats" && c.segs[1] == "installs":
		s.installStatistics(c)
	case len(c.segs) == 1 && c.segs[0] == "artifacts":
		s.routeArtifacts(c)
	case len(c.segs) == 1 && c.segs[0] == "readme":
		s.routeReadme(c)
	case c.r.Method == http.MethodDelete && len(c.segs) >= 2:
		s.deletePackage(c)
	case c.r.Method == http.MethodPost && len(c.segs) >= 3 && c.segs[len(c.segs)-1] == "promote":
		c.segs = c.segs[:len(c.segs)-1]
		s.promote(c)
	default:
		notFound(c.w)
	}
}
