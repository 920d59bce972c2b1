package packagecloudtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// call is a request that an [endpoint] serves. It is also the ResponseWriter
// that the request passes through http.ServeMux with.
type call struct {
	*answer
	w      http.ResponseWriter // the answer
	r      *http.Request       // as the client sent it
	routed *http.Request       // with the values of the pattern's wildcards
	cred   credential
	repo   *repository // nil unless the pattern names a repository
	below  []string    // the path's segments below the repository, unescaped, without ".json"
	last   string      // the path's last segment, with its ".json"

	segs []string // the canonical path
}

// value returns what a wildcard of the endpoint's pattern stands for.
func (c *call) value(wildcard string) string { return c.routed.PathValue(wildcard) }

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

// canonical brings the segments of a request's path, or of an endpoint's, into
// the one form that http.ServeMux knows:
//
//   - a path of the API loses its ".json", since the service takes most paths
//     with and without it;
//   - a path below a repository's page loses its "priv" and token, and gets
//     "site" in front, since {owner} would overlap with "api" and "install".
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

// noSegment stands for an empty segment, which http.ServeMux would remove, and
// for an escaped slash alone, which it takes for the end of the path.
const noSegment = "\x00"

// muxURL spells a canonical path so that http.ServeMux takes it as it is. The
// mux answers a redirect of its own for "//", "." and "..", and for a path that
// lacks a slash at its end: here no segment is empty, dots are escaped, and
// each path ends in a slash, as each pattern does.
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

// newMux registers every endpoint.
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
	// With a handler for every method and path, the mux never answers by itself.
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
	return mux
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
	c := &call{answer: w, w: w, r: r, cred: s.identify(r), last: segs[len(segs)-1], segs: canonical(segs)}
	routed := r.WithContext(r.Context()) // a copy
	routed.URL, routed.RequestURI = muxURL(c.segs), ""
	s.mux.ServeHTTP(c, routed)
}

// serveEndpoint asks for the credential, finds the repository and serves. The
// API asks for its token before it tells whether there is such a repository;
// elsewhere the repository decides which credential is needed.
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
