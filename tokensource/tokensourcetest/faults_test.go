package tokensourcetest_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// webStore is a store behind HTTP. It gives a session for the password, and a
// session may read values by name and version.
type webStore struct {
	mu       sync.Mutex
	values   map[string][]string // "" is a version that was deleted
	sessions int                 // the session of this number is good
}

func (s *webStore) set(name string, versions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[name] = versions
}

func (s *webStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("X-Web-Store", "1")
	session := fmt.Sprintf("session-of-the-web-store-%d", s.sessions)
	if r.URL.Path == "/login" {
		if r.Header.Get("X-Password") != password {
			w.WriteHeader(401)
			return
		}
		io.WriteString(w, session)
		return
	}
	name, _ := strings.CutPrefix(r.URL.Path, "/values/")
	versions, ok := s.values[name]
	version := len(versions)
	if v := r.URL.Query().Get("version"); v != "" {
		fmt.Sscan(v, &version)
	}
	switch {
	case r.Header.Get("X-Session") != session:
		w.WriteHeader(401)
	case name == "forbidden":
		w.WriteHeader(403)
	case !ok || version > len(versions):
		w.WriteHeader(404)
	case versions[version-1] == "deleted":
		w.WriteHeader(410)
	default:
		io.WriteString(w, versions[version-1])
	}
}

// webSource reads a webStore. Its fault makes it a bad source.
type webSource struct {
	address, name, field, fault string
	version                     string
	password                    func() string // closures don't print
	client                      func() *http.Client
	bare                        *http.Client // of a bad source

	mu      sync.Mutex
	session func() string // nil: none
	tok     tokensource.Token
	err     error
	flight  context.Context
}

func (s *webSource) String() string { return "web:" + url.PathEscape(s.name) }

func (s *webSource) fail(kind error, message string, cause error) error {
	switch s.fault {
	case "says too little":
		message = "no"
	case "doesn't look at the certificate":
		message = "no answer of the certificate's server"
	case "says too much":
		message = strings.Repeat(message+", ", 100)
	case "calls all missing":
		kind = tokensource.ErrNotFound
	}
	return tokensource.NewError(s.String(), kind, message, cause)
}

// Invalidate forgets tok. Only one of these sources remembers a token.
func (s *webSource) Invalidate(tok tokensource.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == "remembers its token until it is invalid" && s.tok.Equal(tok) {
		s.tok = tokensource.Token{}
	}
}

func (s *webSource) Token(ctx context.Context) (tokensource.Token, error) {
	s.mu.Lock()
	if s.fault == "serves all in the context of the first" {
		if s.flight == nil {
			s.flight = ctx
		}
		ctx = s.flight
	}
	session, tok, err := s.session, s.tok, s.err
	s.mu.Unlock()
	if s.fault == "ignores its context" {
		ctx = context.Background()
	}
	switch {
	case strings.HasPrefix(s.fault, "remembers its token") && !tok.IsZero():
		return tok, nil
	case s.fault == "remembers its failure" && err != nil:
		return tokensource.Token{}, err
	}
	tok, err = s.read(ctx, session)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tok, s.err = tok, err
	return tok, err
}

func (s *webSource) read(ctx context.Context, login func() string) (tokensource.Token, error) {
	again := login != nil && s.fault != "logs in once"
	if login == nil {
		session, err := s.ask(ctx, "/login", "X-Password", s.password())
		if err != nil {
			return tokensource.Token{}, err
		}
		login = func() string { return session }
	}
	value, err := s.ask(ctx, s.path(), "X-Session", login())
	if again && errors.Is(err, tokensource.ErrDenied) {
		return s.read(ctx, nil)
	}
	if err != nil {
		return tokensource.Token{}, err
	}
	s.mu.Lock()
	s.session = login
	s.mu.Unlock()
	if s.field != "" {
		fields := map[string]string{}
		if err := json.Unmarshal([]byte(value), &fields); err != nil {
			return tokensource.Token{}, s.fail(tokensource.ErrInvalid, "the value is not a JSON object", err)
		}
		if value, again = fields[s.field]; !again {
			return tokensource.Token{}, s.fail(tokensource.ErrInvalid, "the value has no such field", nil)
		}
	}
	if s.fault == "keeps the newline" && strings.HasSuffix(value, "\n") {
		return tokensource.Token{}, s.fail(tokensource.ErrInvalid, "there is a newline", nil)
	}
	tok, err := tokensource.NewToken(value, tokensource.Metadata{Origin: s.String()})
	if err != nil && s.fault == "quotes what it can't use" {
		err = s.fail(tokensource.ErrInvalid, "cannot use the value "+value, nil)
	}
	return tok, err
}

func (s *webSource) path() string {
	name := url.PathEscape(s.name)
	if s.fault == "escapes no names" {
		name = s.name
	}
	return "/values/" + name + "?version=" + s.version
}

func (s *webSource) ask(ctx context.Context, path, key, value string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", s.address+path, nil)
	if err != nil {
		return "", s.fail(tokensource.ErrInvalid, "that is no URL", err)
	}
	req.Header.Set(key, value)
	client := *s.client()
	if s.fault != "follows redirects" {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	if s.fault == "logs in to anyone" && path == "/login" {
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	}
	resp, err := client.Do(req)
	if ctx.Err() != nil {
		return "", s.fail(tokensource.ErrUnavailable, "the context has ended", ctx.Err())
	}
	if err != nil {
		return "", s.fail(tokensource.ErrUnavailable, "no answer; if it is the certificate: "+inWords(err), err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if ctx.Err() != nil {
		return "", s.fail(tokensource.ErrUnavailable, "the context has ended", ctx.Err())
	}
	text := fmt.Sprintf("the store answered with status %d", resp.StatusCode)
	if s.fault == "quotes the answer" {
		text += string(body)
	}
	switch status := resp.StatusCode; {
	case err != nil && s.fault != "takes half for whole":
		return "", s.fail(tokensource.ErrUnavailable, "the answer was cut", err)
	case status >= 300 && status < 400 || status >= 500:
		return "", s.fail(tokensource.ErrUnavailable, text, nil)
	case resp.Header.Get("X-Web-Store") == "" && s.fault != "takes any answer" &&
		(s.fault != "takes any answer but a page" || resp.Header.Get("Content-Type") == "text/html"):
		return "", s.fail(tokensource.ErrUnavailable, text+", and isn't the store", nil)
	case status == 401 || status == 403:
		return "", s.fail(tokensource.ErrDenied, text, nil)
	case status == 404:
		return "", s.fail(tokensource.ErrNotFound, text, nil)
	case status != 200:
		return "", s.fail(tokensource.ErrInvalid, text, nil)
	}
	return string(body), nil
}

// inWords describes the flaw of a certificate.
func inWords(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "an unknown authority"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "another name"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "it has expired"
	}
	return "it is good"
}

// runWebFaults runs the suite over a webStore and a source with a fault.
func runWebFaults(t *testing.T, fault string) {
	store := &webStore{values: map[string][]string{}}
	server := httptest.NewServer(store)
	t.Cleanup(server.Close)
	source := func(edit func(*webSource)) *webSource {
		s := &webSource{address: server.URL, name: "token", fault: fault}
		client := &http.Client{Transport: &http.Transport{}}
		s.client = func() *http.Client { return client }
		if fault == "keeps its client in a field" {
			s.bare = client
		}
		s.password = func() string { return password }
		edit(s)
		return s
	}
	scene := func(edit func(*webSource)) func(*testing.T, string) []tokensourcetest.Scene {
		return func(t *testing.T, secret string) []tokensourcetest.Scene {
			store.set("token", secret)
			return []tokensourcetest.Scene{{Source: source(edit), Canaries: []string{password, "wrong-" + password}}}
		}
	}
	backend := tokensourcetest.Backend{
		New:      func(*testing.T) tokensource.TokenSource { return source(func(*webSource) {}) },
		Set:      func(_ *testing.T, value string) { store.set("token", value) },
		Remove:   func(*testing.T) { store.mu.Lock(); defer store.mu.Unlock(); delete(store.values, "token") },
		Canaries: []string{password, "session-of-the-web-store"},
	}
	faults := tokensourcetest.Faults{
		tokensourcetest.WrongCredentials: scene(func(s *webSource) { s.password = func() string { return "wrong-" + password } }),
		tokensourcetest.ExpiredCredentials: func(t *testing.T, secret string) []tokensourcetest.Scene {
			s := backendScene(backend, secret)(t)
			s.Break = func(*testing.T) { store.mu.Lock(); defer store.mu.Unlock(); store.sessions++ }
			return []tokensourcetest.Scene{s}
		},
		tokensourcetest.Denied:         scene(func(s *webSource) { s.name = "forbidden" }),
		tokensourcetest.VersionMissing: scene(func(s *webSource) { s.version = "9" }),
		tokensourcetest.VersionDeleted: func(t *testing.T, secret string) []tokensourcetest.Scene {
			store.set("token", "deleted", secret)
			return []tokensourcetest.Scene{{Source: source(func(s *webSource) { s.version = "1" }), Says: "status 410"}}
		},
		tokensourcetest.FieldMissing: func(t *testing.T, secret string) []tokensourcetest.Scene {
			store.set("token", `{"a":"`+secret+`"}`)
			return []tokensourcetest.Scene{{Source: source(func(s *webSource) { s.field = "b" })}}
		},
		tokensourcetest.NotJSON: scene(func(s *webSource) { s.field = "b" }),
		tokensourcetest.OddNamed: func(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
			for _, name := range tokensourcetest.OddNames() {
				store.set(name, secret)
				scenes = append(scenes, tokensourcetest.Scene{Name: name, Source: source(func(s *webSource) { s.name = name })})
			}
			return scenes
		},
	}
	switch fault {
	case "has no row":
		delete(faults, tokensourcetest.Denied)
	case "has a row too many":
		faults["Flooded"] = faults[tokensourcetest.Denied]
	case "has no reason":
		faults[tokensourcetest.Denied] = tokensourcetest.NotApplicable("")
	case "has a reason":
		faults[tokensourcetest.Denied] = tokensourcetest.NotApplicable("the store permits all")
	case "has no scene":
		faults[tokensourcetest.Denied] = func(*testing.T, string) []tokensourcetest.Scene { return nil }
	case "has no source":
		faults[tokensourcetest.Denied] = func(*testing.T, string) []tokensourcetest.Scene {
			return []tokensourcetest.Scene{{}}
		}
	case "breaks nothing":
		faults[tokensourcetest.ExpiredCredentials] = scene(func(*webSource) {})
	}
	open := func(t *testing.T, address string, ca []byte) tokensource.TokenSource {
		return source(func(s *webSource) {
			s.address = address
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(ca)
			s.client().Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, InsecureSkipVerify: fault == "trusts anyone"}}
		})
	}
	all := []tokensourcetest.Faults{tokensourcetest.StoredFaults(backend), tokensourcetest.HTTPFaults(backend, server.URL, open), faults}
	if fault == "heals nothing" {
		all = append(all, tokensourcetest.Faults{tokensourcetest.SecretMissing: scene(func(s *webSource) { s.name = "missing" })})
	}
	tokensourcetest.RunFaults(t, all...)
}

// backendScene stores secret and returns a scene with a source that reads it.
func backendScene(b tokensourcetest.Backend, secret string) func(*testing.T) tokensourcetest.Scene {
	return func(t *testing.T) tokensourcetest.Scene {
		b.Set(t, secret)
		return tokensourcetest.Scene{Source: b.New(t), Canaries: b.Canaries}
	}
}

func TestRunFaults_PassesAGoodBackend(t *testing.T) { runWebFaults(t, "") }

// TestFaultsOnFault runs in a process of its own, for
// TestRunFaults_FailsABadBackend.
func TestFaultsOnFault(t *testing.T) {
	fault, ok := os.LookupEnv("TOKENSOURCETEST_FAULT")
	if !ok {
		t.Skip("not asked for")
	}
	if fault == "ignores its context" || fault == "serves all in the context of the first" {
		*tokensourcetest.Patience = 2 * time.Second // it must fail, and soon
	}
	runWebFaults(t, fault)
}

func TestRunFaults_FailsABadBackend(t *testing.T) {
	for fault, must := range map[string][]string{
		"":             nil,
		"has a reason": nil,
		"remembers its token until it is invalid": nil,
		"ignores its context":                     {"Stalled"},
		"serves all in the context of the first":  {"Stalled"},
		"follows redirects":                       {"Redirected"},
		"doesn't look at the certificate":         {"UnknownCA", "ExpiredCertificate", "WrongHost"},
		"trusts anyone":                           {"UnknownCA", "ExpiredCertificate", "WrongHost"},
		"takes half for whole":                    {"CutInHalf"},
		"takes any answer":                        {"ForeignAnswer"},
		"takes any answer but a page":             {"ForeignAnswer"},
		"quotes the answer":                       {"ServerError"},
		"quotes what it can't use":                {"Binary", "Large"},
		"says too little":                         {"Denied"},
		"says too much":                           {"DownLater"},
		"calls all missing":                       {"DownAtStart", "DownLater", "Denied", "WrongCredentials", "VersionDeleted", "ServerError", "NotJSON", "FieldMissing"},
		"remembers its token":                     {"Rotated"},
		"remembers its failure":                   {"DownAtStart", "SecretMissing", "UnknownCA"},
		"logs in once":                            {"ExpiredCredentials"},
		"escapes no names":                        {"OddNamed"},
		"keeps the newline":                       {"TrailingNewline"},
		"has no row":                              {"Denied"},
		"has a row too many":                      {""},
		"has no reason":                           {"Denied"},
		"has no scene":                            {"Denied"},
		"has no source":                           {"Denied"},
		"breaks nothing":                          {"ExpiredCredentials"},
		"heals nothing":                           {"SecretMissing"},
		"keeps its client in a field":             {"Denied", "Rotated", "ServerError"},
		"logs in to anyone":                       {"UnknownCA", "ExpiredCertificate", "WrongHost"},
	} {
		t.Run(cmp.Or(fault, "none"), func(t *testing.T) {
			t.Parallel()
			failsIn(t, "TestFaultsOnFault", fault, must)
		})
	}
}
