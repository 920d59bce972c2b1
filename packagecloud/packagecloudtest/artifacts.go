package packagecloudtest

import (
	"net/http"
	"strings"
)

// artifact returns the file for ?key=/group/path/file, or nil if the repository
// has none. It refuses a key without a leading slash and then returns ok as
// false.
func (s *Server) artifact(c *call) (key string, have *blob, ok bool) {
	key = c.r.URL.Query().Get("key")
	if !strings.HasPrefix(key, "/") {
		invalid{"key": {"is invalid"}}.write(c.w)
		return key, nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return key, c.repo.artifacts[key], true
}

// showArtifact serves GET artifacts.json. Maven reads files there.
func (s *Server) showArtifact(c *call) {
	_, have, ok := s.artifact(c)
	switch {
	case !ok:
		return
	case have == nil:
		notFound(c.w)
		return
	}
	f, err := have.open()
	if err != nil {
		serverError(c.w)
		return
	}
	defer f.Close()
	c.stream = true
	c.w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(c.w, c.r, "", have.modTime(), f)
}

// putArtifact serves PUT artifacts.json. Maven writes files there.
func (s *Server) putArtifact(c *call) {
	key, have, ok := s.artifact(c)
	switch {
	case !ok:
		return
	case have != nil:
		s.duplicate().write(c.w)
		return
	}
	b, err := s.spool.store(c.r.Body)
	if err != nil {
		badRequest(c.w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.repo.artifacts[key] != nil {
		b.remove()
		s.duplicate().write(c.w)
		return
	}
	c.repo.artifacts[key] = b
	c.w.WriteHeader(http.StatusCreated)
}
