package packagecloudtest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault makes the server misbehave for some requests. Method, Path, Host, Skip,
// Times and Every choose the requests. The other fields say what happens to
// them.
//
// A fault acts before the server checks the credential. If several faults
// match, the one injected first acts. The control endpoints take a Fault as
// JSON; they spell Delay and Then differently.
type Fault struct {
	Method string `json:"method"` // "" means every method
	// Path is a pattern for the URL's path. "*" matches anything but a slash,
	// and "**" matches anything. "?" and "[a-z]" work as in path.Match. ""
	// matches every path.
	Path string `json:"path"`
	Host string `json:"host"` // HostAPI, HostDownload or "" for both

	Skip  int `json:"skip"`  // ignore this many matching requests first
	Times int `json:"times"` // then act on this many requests: 0 means one, negative means all
	Every int `json:"every"` // act on every n-th matching request only: 0 and 1 mean all

	// Status replaces the server's answer by one with this status. Without Body
	// and ContentType the answer has the service's own body for that status.
	// Header is added to the answer, for example Retry-After. Without Status,
	// it is added to the server's own answer.
	Status      int         `json:"status"`
	Body        string      `json:"body"`
	ContentType string      `json:"content_type"`
	Header      http.Header `json:"header"`

	// Delay delays the request before the server does anything else. The delay
	// ends early when the client leaves or the server closes.
	Delay time.Duration `json:"-"`

	// Reset resets the connection (RST) at once. ResetAfter resets it after
	// that many bytes of the request's body were read.
	Reset      bool  `json:"reset"`
	ResetAfter int64 `json:"reset_after"`

	// ReadBody makes the server read the whole body of the request before it
	// answers with Status. Without it, the server answers at once.
	ReadBody bool `json:"read_body"`
	// CloseAfterAnswer closes the connection after the answer, and leaves the
	// rest of the request unread.
	CloseAfterAnswer bool `json:"close_after_answer"`
	// LoseAnswer lets the server do the work, and then resets the connection
	// instead of answering.
	LoseAnswer bool `json:"lose_answer"`
	// CutAfter closes the connection after that many bytes of the answer's
	// body. StallAfter stops sending instead, until the client leaves or the
	// server closes. A negative number means that the server sends only the
	// header.
	CutAfter   int64 `json:"cut_after"`
	StallAfter int64 `json:"stall_after"`
	// FlipByte, if not nil, is an offset in the answer's body. The server flips
	// one bit of that byte.
	FlipByte *int64 `json:"flip_byte"`

	// Then, if not nil, is called when the fault acts, before anything else
	// happens. It can revoke a token in the middle of a request, for example.
	Then func(*Server) `json:"-"`
}

// faultList holds the injected faults.
type faultList struct {
	mu    sync.Mutex
	next  int
	items []*injected
}

type injected struct {
	Fault
	id             int
	matched, acted int
}

// Inject adds a fault and returns a function that removes it. It panics if the
// pattern is malformed, because such a pattern would never match, or if the
// status is not a final one.
func (s *Server) Inject(f Fault) (remove func()) {
	id, err := s.inject(f)
	if err != nil {
		panic("packagecloudtest: " + err.Error())
	}
	return func() { s.removeFault(id) }
}

func (s *Server) inject(f Fault) (int, error) {
	if _, err := matchPath(f.Path, ""); err != nil {
		return 0, err
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 999) {
		return 0, errors.New("a fault's status must be a final one, from 200 to 999")
	}
	f.Header = f.Header.Clone()
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.next++
	s.faults.items = append(s.faults.items, &injected{Fault: f, id: s.faults.next})
	return s.faults.next, nil
}

func (s *Server) removeFault(id int) bool {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	before := len(s.faults.items)
	s.faults.items = slices.DeleteFunc(s.faults.items, func(f *injected) bool { return f.id == id })
	return len(s.faults.items) < before
}

// ClearFaults removes every fault.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.items = nil
}

// takeFault returns the fault that acts on r, with its number, or nil.
func (s *Server) takeFault(host string, r *http.Request) (*Fault, int) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, f := range s.faults.items {
		if (f.Host != "" && f.Host != host) || (f.Method != "" && f.Method != r.Method) {
			continue
		}
		if ok, _ := matchPath(f.Path, r.URL.Path); !ok {
			continue
		}
		f.matched++
		n := f.matched - f.Skip
		if n < 1 || (f.Every > 1 && n%f.Every != 0) {
			continue
		}
		if f.Times >= 0 && f.acted >= max(f.Times, 1) {
			continue
		}
		f.acted++
		fault := f.Fault
		return &fault, f.id
	}
	return nil, 0
}

// matchPath is path.Match with two additions: "**" also matches slashes, and an
// empty pattern matches everything.
func matchPath(pattern, name string) (bool, error) {
	if pattern == "" {
		return true, nil
	}
	before, after, found := strings.Cut(pattern, "**")
	if !found {
		return path.Match(pattern, name)
	}
	if _, err := path.Match(before, ""); err != nil {
		return false, err
	}
	if _, err := matchPath(after, ""); err != nil {
		return false, err
	}
	for i := 0; i <= len(name); i++ {
		if ok, _ := path.Match(before, name[:i]); !ok {
			continue
		}
		if after == "" {
			return true, nil
		}
		for j := i; j <= len(name); j++ {
			if ok, _ := matchPath(after, name[j:]); ok {
				return true, nil
			}
		}
		return false, nil
	}
	return false, nil
}

// connKey is the context key for a request's connection.
type connKey struct{}

// middleware logs each request and applies the faults.
func (s *Server) middleware(host string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handlers.RLock()
		defer s.handlers.RUnlock()
		if s.closing.Err() != nil {
			panic(http.ErrAbortHandler)
		}
		if s.opts.Control && host == HostAPI && s.control(w, r) {
			return
		}
		entry := s.record(host, r)
		r = r.WithContext(context.WithValue(r.Context(), entryKey{}, entry))
		if r.Body != nil {
			r.Body = countingBody{r.Body, &entry.body}
		}
		w = &statusWriter{w, entry}
		f, number := s.takeFault(host, r)
		if f == nil {
			next.ServeHTTP(w, r)
			return
		}
		entry.setFault(number)
		s.misbehave(f, w, r, next)
	})
}

type entryKey struct{}

func (s *Server) misbehave(f *Fault, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if f.Then != nil {
		f.Then(s)
	}
	if f.Delay > 0 {
		s.wait(r.Context(), f.Delay)
	}
	if f.Reset || f.ResetAfter > 0 {
		_, _ = io.CopyN(io.Discard, r.Body, f.ResetAfter)
		reset(r)
	}
	if f.LoseAnswer {
		next.ServeHTTP(discardWriter{http.Header{}}, r)
		reset(r)
	}
	for key, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(key)] = values
	}
	if f.CutAfter != 0 || f.StallAfter != 0 || f.FlipByte != nil {
		w = &bentWriter{ResponseWriter: w, server: s, fault: f, request: r}
	}
	if f.CloseAfterAnswer {
		w.Header().Set("Connection", "close")
	}
	switch {
	case f.Status != 0 && f.ReadBody:
		_, _ = io.Copy(io.Discard, r.Body)
	case f.Status != 0:
		answerEarly(w, r)
	}
	switch {
	case f.Status == 0:
		next.ServeHTTP(w, r)
	case f.Body != "" || f.ContentType != "":
		contentType := f.ContentType
		if contentType == "" {
			contentType = http.DetectContentType([]byte(f.Body))
		}
		writeText(w, f.Status, contentType, f.Body)
	default:
		writeStatus(w, f.Status)
	}
	if b, ok := w.(*bentWriter); ok {
		b.finish()
	}
	if f.CloseAfterAnswer {
		_ = http.NewResponseController(w).Flush()
		hangUp(r)
	}
}

// answerEarly lets an answer go out before the request's body was read. By
// default net/http reads the body first. A client that waits for leave to send
// the body would then never see the refusal. answerEarly does nothing if the
// handler has read a part of the body.
func answerEarly(w http.ResponseWriter, r *http.Request) {
	body, ok := r.Body.(countingBody)
	if !ok || r.ContentLength == 0 || body.n.Load() > 0 {
		return
	}
	_ = http.NewResponseController(w).EnableFullDuplex()
	w.Header().Set("Connection", "close")
}

// wait sleeps for d. If the client leaves or the server closes before, it
// aborts the request.
func (s *Server) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done(): // ends with s.closing, too
		panic(http.ErrAbortHandler)
	}
}

// reset closes the request's connection with an RST.
func reset(r *http.Request) {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
		t.Close()
	}
	panic(http.ErrAbortHandler)
}

// hangUp closes the request's connection and leaves the rest of the request
// unread.
func hangUp(r *http.Request) {
	if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		conn.Close()
	}
	panic(http.ErrAbortHandler)
}

// discardWriter discards an answer that must get lost.
type discardWriter struct{ header http.Header }

func (w discardWriter) Header() http.Header         { return w.header }
func (w discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w discardWriter) WriteHeader(int)             {}

// bentWriter cuts, stalls or alters an answer's body.
type bentWriter struct {
	http.ResponseWriter
	server  *Server
	fault   *Fault
	request *http.Request
	sent    int64
}

func (w *bentWriter) Write(p []byte) (int, error) {
	f := w.fault
	room := int64(len(p))
	for _, limit := range []int64{f.CutAfter, f.StallAfter} {
		if limit != 0 {
			room = min(room, max(limit, 0)-w.sent)
		}
	}
	chunk := p[:room]
	if f.FlipByte != nil && *f.FlipByte >= w.sent && *f.FlipByte < w.sent+room {
		chunk = slices.Clone(chunk)
		chunk[*f.FlipByte-w.sent] ^= 1
	}
	n, err := w.ResponseWriter.Write(chunk)
	w.sent += int64(n)
	if err == nil && room < int64(len(p)) {
		w.finish()
	}
	return n, err
}

// finish cuts or stalls the answer if it has reached the limit.
func (w *bentWriter) finish() {
	reached := func(limit int64) bool { return limit < 0 || (limit > 0 && w.sent >= limit) }
	cut, stall := reached(w.fault.CutAfter), reached(w.fault.StallAfter)
	if !cut && !stall {
		return
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	if stall {
		<-w.request.Context().Done()
	}
	panic(http.ErrAbortHandler)
}

func (w *bentWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
