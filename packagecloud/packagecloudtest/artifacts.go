package packagecloudtest

import (
	"net/http"
	"strings"
)

// routeArtifacts serves the Maven endpoint artifacts.json?key=/group/path/file.
func (s *Server) routeArtifacts(c *call) {
	key := c.r.URL.Query().Get("key")
	if !strings.HasPrefix(key, "/") {
		invalid{"key": {"is invalid"}}.write(c.w)
		return
	}
	s.mu.Lock()
	have := c.repo.artifacts[key]
	s.mu.Unlock()
	switch {
	case c.is("GET", "artifacts") && have != nil:
		f, err := have.open()
		if err != nil {
			serverError(c.w)
			return
		}
		defer f.Close()
		c.w.stream = true
		c.w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(c.w, c.r, "", have.modTime(), f)
	case c.r.Method == http.MethodPut && have != nil:
		s.duplicate().write(c.w)
	case c.r.Method == http.MethodPut:
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
	default:
		notFound(c.w)
	}
}
