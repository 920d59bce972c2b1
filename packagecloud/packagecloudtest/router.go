package packagecloudtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// call is a request on its way through http.ServeMux to an [endpoint]. It is
// also the ResponseWriter of that request.
type call struct {
	*answer
	w      http.ResponseWriter // the answer
	r      *http.Request       // as the client sent it
	routed *http.Request       // holds the values of the pattern's wildcards
	cred   credential
	repo   *repository // nil unless the pattern names a repository
	below  []string    // the unescaped segments below the repository, without ".json"
	last   string      // the last segment with its ".json"

	segs []string // the canonical path
}

// value returns the value of a wildcard in the endpoint's pattern.
func (c *call) value(wildcard string) string { return c.routed.PathValue(wildcard) }

// split splits a path at its slashes and unescapes the segments. An escaped
// slash stays in its segment.
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

// canonical converts the path of a request or an endpoint to the form that is
// registered with http.ServeMux:
//
//   - An API path loses its ".json", because the service takes most paths with and
//     without it.
//   - A path of a repository's files loses "priv" and the token. It gets "site" in
//     front, because {owner} would overlap with "api" and "install".
func canonical(segs []string) []string {
	segs = slices.Clone(segs)
	switch {
	case len(segs) >= 2 && segs[0] == "api" && segs[1] == "v1":
		segs[len(segs)-1] = strings.TrimSuffix(segs[len(segs)-1], ".json")
		return segs
	case len(segs) >= 4 && segs[0] == "install" && segs[1] == "repositories":
		return segs
	case len(segs) >= 4 && segs[0] == "priv":
		segs = segs[2:]
	}
	return slices.Insert(segs, 0, "site")
}

// noSegment replaces an empty segment, which http.ServeMux would remove. It
// also replaces a segment that is a single slash, which the mux takes for the
// path's end.
const noSegment = "\x00"

// muxURL converts a canonical path to a URL that http.ServeMux never redirects.
// The mux redirects paths with "//", "." and "..", and paths that lack the
// final slash of a pattern. So muxURL leaves no segment empty, escapes dots,
// and ends every path in a slash, as every pattern does.
func muxURL(segs []string) *url.URL {
	plain, escaped := "/", "/"
	for _, seg := range segs {
		if seg == "" || seg == "/" {
			seg = noSegment
		}
		plain += seg + "/"
		if strings.Trim(seg, ".") == "" {
			escaped += strings.ReplaceAll(seg, ".", "%2E") + "/"
		} else {
			escaped += url.PathEscape(seg) + "/"
		}
	}
	return &url.URL{Path: plain, RawPath: escaped}
}

// newMux returns a mux with every endpoint.
func (s *Server) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, e := range endpoints {
		for _, path := range e.paths() {
			segs := canonical(strings.Split(strings.Trim(path, "/"), "/"))
			below := slices.Index(segs, "{repo}") + 1
			pattern := "/" + strings.Join(segs, "/")
			if !strings.HasSuffix(pattern, "...}") {
				pattern += "/{$}"
			}
			mux.HandleFunc(strings.TrimSpace(e.method+" "+pattern), func(w http.ResponseWriter, r *http.Request) {
				c := w.(*call)
				c.routed = r
				if below > 0 {
					c.below = c.segs[below:]
				}
				s.serveEndpoint(e, c)
			})
		}
	}
	// This handler takes every other method and path, so the mux never writes
	// an answer of its own.
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
	return mux
}

// routeAPI serves the API host: the API, install helpers and downloads.
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
	c := &call{answer: w, w: w, r: r, cred: s.identify(r), last: segs[len(segs)-1], segs: canonical(segs)}
	routed := r.WithContext(r.Context()) // a copy
	routed.URL, routed.RequestURI = muxURL(c.segs), ""
	s.mux.ServeHTTP(c, routed)
}

// serveEndpoint checks the credential, finds the repository and calls the
// endpoint. The API checks its token first, so a client without a token can't
// learn which repositories exist. Other paths look at the repository first,
// because it decides which credential they need.
func (s *Server) serveEndpoint(e endpoint, c *call) {
	if (e.wants == CredentialAPI || e.wants == CredentialAccount) && c.cred.kind != e.wants {
		unauthenticated(c.w)
		return
	}
	if c.below != nil {
		s.mu.Lock()
		c.repo = s.repository(c.value("owner"), c.value("repo"))
		s.mu.Unlock()
		if c.repo == nil {
			notFound(c.w)
			return
		}
	}
	if (e.wants == CredentialRead && c.repo.private && !c.cred.mayRead(c.repo)) ||
		(e.wants == CredentialMaster && !c.cred.mayInstall(c.repo)) {
		unauthenticated(c.w)
		return
	}
	e.serve(s, c)
}
