package packagecloudtest

import (
	"bytes"
	"cmp"
	"net/http"
	"strconv"
)

// answer holds an answer back until the handler has released its locks. So a
// client that reads slowly, or a fault that stalls, delays no other request.
type answer struct {
	to     http.ResponseWriter
	status int
	body   bytes.Buffer
	stream bool // sends every write at once; for large files, whose handlers hold no lock
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
