package packagecloudtest

import (
	"cmp"
	"io"
	"mime"
	"net/http"
)

// readmeBody reads the Markdown in a request. The service doesn't document
// readme.json, so the names "readme[body]" and "body" are a guess.
func readmeBody(r *http.Request) (string, error) {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if mediaType == "text/markdown" || mediaType == "text/plain" {
		b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxForm))
		return string(b), err
	}
	form, err := params(r)
	return cmp.Or(form.Get("readme[body]"), form.Get("body")), err
}

func (s *Server) showReadme(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	writeJSON(c.w, http.StatusOK, map[string]string{"body": c.repo.readme})
}

// writeReadme serves POST, which replaces the readme, and PATCH, which appends
// to it.
func (s *Server) writeReadme(c *call) {
	body, err := readmeBody(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	status := http.StatusOK
	if c.r.Method == http.MethodPost {
		c.repo.readme, status = body, http.StatusCreated
	} else {
		c.repo.readme += body
	}
	writeJSON(c.w, status, map[string]string{"body": c.repo.readme})
}
