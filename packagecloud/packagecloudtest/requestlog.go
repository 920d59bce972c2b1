package packagecloudtest

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
)

// The hosts of a server, as [Request] and [Fault] name them.
const (
	HostAPI      = "api"      // the host of [Server.URL]
	HostDownload = "download" // the host of the signed URLs
)

// The kinds of credential in a request.
const (
	CredentialNone    = "none"
	CredentialAPI     = "api"     // a valid API token
	CredentialRead    = "read"    // a valid read token
	CredentialMaster  = "master"  // a valid master token
	CredentialAccount = "account" // the account's e-mail and password
	CredentialUnknown = "unknown" // another credential, such as a revoked token
)

// Request describes a request that the server received.
type Request struct {
	Time       time.Time `json:"time"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`       // without the query; "[redacted]" replaces tokens
	Host       string    `json:"host"`       // HostAPI or HostDownload
	Status     int       `json:"status"`     // 0 before the answer and for a reset connection
	Credential string    `json:"credential"` // the kind, never the value
	BodyBytes  int64     `json:"body_bytes"` // bytes read from the request's body
	UserAgent  string    `json:"user_agent"`
	// ExpectContinue is true if the client sent "Expect: 100-continue".
	ExpectContinue bool `json:"expect_continue"`
	// Leak describes the credential that the client wrongly sent to the
	// download host, such as "Authorization header". The server answered 400.
	Leak string `json:"leak,omitempty"`
	// Fault is the number of the fault that acted on the request, or 0. Numbers
	// count from 1 in the order in which faults were injected.
	Fault int `json:"fault,omitempty"`
}

// minSecret is the smallest length of a token that the server searches for in
// other text. A test's shorter token may be part of an ordinary word.
const minSecret = 16

// maxLogged bounds the log. When it is full, the server drops the older half.
const maxLogged = 100_000

type requestLog struct {
	mu      sync.Mutex
	entries []*logEntry
}

type logEntry struct {
	Request
	body atomic.Int64
	mu   sync.Mutex // guards Status, Leak and Fault
}

func (e *logEntry) setStatus(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.Status == 0 && status >= 200 {
		e.Status = status
	}
}

func (e *logEntry) setLeak(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.Leak = what
}

func (e *logEntry) setFault(number int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.Fault = number
}

func (e *logEntry) snapshot() Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.Request
	r.BodyBytes = e.body.Load()
	return r
}

// onOneLine replaces unprintable characters by spaces. A path may hold line
// breaks, which would forge a line where a test prints the log.
func onOneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

var tokenLike = regexp.MustCompile(`[0-9a-f]{40,}`)

// record adds r to the log, before the server answers.
func (s *Server) record(host string, r *http.Request) *logEntry {
	path := r.URL.Path
	for _, secret := range s.secrets() {
		if len(secret) >= minSecret {
			path = strings.ReplaceAll(path, secret, "[redacted]")
		}
	}
	e := &logEntry{Request: Request{
		Time:           time.Now(),
		Method:         onOneLine(r.Method),
		Path:           onOneLine(tokenLike.ReplaceAllString(path, "[redacted]")),
		Host:           host,
		Credential:     s.identify(r).kind,
		UserAgent:      onOneLine(r.UserAgent()),
		ExpectContinue: strings.EqualFold(r.Header.Get("Expect"), "100-continue"),
	}}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if len(s.log.entries) >= maxLogged {
		s.log.entries = append([]*logEntry(nil), s.log.entries[maxLogged/2:]...)
	}
	s.log.entries = append(s.log.entries, e)
	return e
}

// Requests returns the requests since the start or the last ResetRequests, in
// the order of arrival. The server logs a request and its status before the
// answer reaches the client.
func (s *Server) Requests() []Request {
	s.log.mu.Lock()
	entries := append([]*logEntry(nil), s.log.entries...)
	s.log.mu.Unlock()
	out := make([]Request, len(entries))
	for i, e := range entries {
		out[i] = e.snapshot()
	}
	return out
}

// ResetRequests empties the request log.
func (s *Server) ResetRequests() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.entries = nil
}

// countingBody counts the bytes read from a request's body.
type countingBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// statusWriter logs the status of an answer before it sends it.
type statusWriter struct {
	http.ResponseWriter
	entry *logEntry
}

func (w *statusWriter) WriteHeader(status int) {
	w.entry.setStatus(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	w.entry.setStatus(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
