package packagecloudtest

import (
	"io"
	"mime"
	"net/http"
)

// routeReadme serves readme.json. The service doesn't document it: the names of
// the fields, "readme[body]" and "body", are a guess.
func (s *Server) routeReadme(c *call) {
	body := ""
	if c.r.Method == http.MethodPost || c.r.Method == http.MethodPatch {
		mediaType, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
		if mediaType == "text/markdown" || mediaType == "text/plain" {
			b, err := io.ReadAll(http.MaxBytesReader(nil, c.r.Body, maxForm))
			if err != nil {
				badRequest(c.w)
				return
			}
			body = string(b)
		} else {
			form, err := params(c.r)
			if err != nil {
				badRequest(c.w)
				return
			}
			body = form.Get("readme[body]")
			if body == "" {
				body = form.Get("body")
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	status := http.StatusOK
	switch {
	case c.is("GET", "readme"):
	case c.is("POST", "readme"):
		c.repo.readme, status = body, http.StatusCreated
	case c.is("PATCH", "readme"):
		c.repo.readme += body
	default:
		notFound(c.w)
		return
	}
	writeJSON(c.w, status, map[string]string{"body": c.repo.readme})
}
