package packagecloud_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// fakeToken is the API token where the server is a handler of the test.
const fakeToken = "c0ffee00c0ffee11c0ffee22c0ffee33c0ffee44c0ffee55"

// mainInfo is what such a handler may answer to Info.
const mainInfo = `{"name":"main"}`

// canary collects what a client logs; at the end of the test none of the
// secrets may be in it.
type canary struct {
	mu      sync.Mutex
	log     bytes.Buffer
	secrets []string
}

func newCanary(t *testing.T, secrets ...string) *canary {
	c := &canary{secrets: secrets}
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if how := tokensourcetest.FindSecret(c.log.String(), c.secrets...); how != "" {
			t.Errorf("the log leaks: %s", how)
		}
	})
	return c
}

func (c *canary) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
}

func (c *canary) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

func (c *canary) add(secret string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets = append(c.secrets, secret)
	return secret
}

func (c *canary) logger() *slog.Logger { return debugLogger(c) }

func debugLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// clean fails the test if v, an error mostly, shows a secret.
func (c *canary) clean(t *testing.T, v any) {
	t.Helper()
	c.mu.Lock()
	secrets := c.secrets
	c.mu.Unlock()
	tokensourcetest.AssertNoSecret(t, v, secrets...)
}

// want fails the test unless err is target and shows no secret.
func (c *canary) want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("the error is %v; want %v", err, target)
	}
	c.clean(t, err)
}

// fixture is a client and the server it talks to.
type fixture struct {
	*canary
	srv    *packagecloudtest.Server
	client *packagecloud.Client
	repo   *packagecloud.Repository
}

// setup starts a server with a private repository acme/main, and makes an
// impatient client of it.
func setup(t *testing.T, options ...packagecloud.Option) *fixture {
	return setupServer(t, nil, nil, options...)
}

func setupServer(t *testing.T, opts *packagecloudtest.Options, source func(*packagecloudtest.Server) tokensource.TokenSource, options ...packagecloud.Option) *fixture {
	t.Helper()
	srv := packagecloudtest.NewServer(opts)
	t.Cleanup(srv.Close)
	srv.CreateRepository("main", true)
	f := &fixture{canary: newCanary(t, srv.Token()), srv: srv}
	if source == nil {
		source = func(srv *packagecloudtest.Server) tokensource.TokenSource { return tokensource.Static(srv.Token()) }
	}
	options = append([]packagecloud.Option{
		packagecloud.WithBaseURL(srv.URL), packagecloud.WithHTTPClient(srv.Client()), packagecloud.WithLogger(f.logger()),
	}, options...)
	f.client = newClient(t, source(srv), options...)
	f.repo = f.client.Repository("acme", "main")
	return f
}

func newClient(t *testing.T, source tokensource.TokenSource, options ...packagecloud.Option) *packagecloud.Client {
	t.Helper()
	client, err := packagecloud.New(source, options...)
	if err != nil {
		t.Fatal(err)
	}
	packagecloud.SetTiming(client, 10*time.Second, time.Millisecond, 0, 5*time.Millisecond, 10*time.Millisecond)
	return client
}

// serve starts a server of the test's own and makes a client of it.
func serve(t *testing.T, h http.HandlerFunc, options ...packagecloud.Option) (*canary, *packagecloud.Client, *httptest.Server) {
	t.Helper()
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	c := newCanary(t, fakeToken)
	options = append([]packagecloud.Option{packagecloud.WithBaseURL(ts.URL), packagecloud.WithLogger(c.logger())}, options...)
	return c, newClient(t, tokensource.Static(fakeToken), options...), ts
}

// requests returns what the server got of a method, of all if it is "".
func (f *fixture) requests(method string) []packagecloudtest.Request {
	var out []packagecloudtest.Request
	for _, r := range f.srv.Requests() {
		if method == "" || r.Method == method {
			out = append(out, r)
		}
	}
	return out
}

// add stores a package on the server and returns it as a search shows it.
func (f *fixture) add(t *testing.T, distribution, filename string, content []byte) *packagecloud.Package {
	t.Helper()
	if err := f.srv.AddPackage("main", distribution, filename, content); err != nil {
		t.Fatal(err)
	}
	pkg, err := f.repo.Find(t.Context(), distribution, filename)
	if err != nil {
		t.Fatal(err)
	}
	f.srv.ResetRequests()
	return pkg
}

// stored fails the test unless the repository holds n packages.
func (f *fixture) stored(t *testing.T, n int) []packagecloudtest.Package {
	t.Helper()
	packages := f.srv.Packages("main")
	if len(packages) != n {
		t.Fatalf("the server stores %d packages; want %d: %+v", len(packages), n, packages)
	}
	return packages
}

var jammy = &packagecloud.UploadOptions{Distribution: "ubuntu/jammy"}

const (
	demo       = "demo_1.0_amd64.deb"
	uploadPath = "/api/v1/repos/*/*/packages.json"
)

// roundTrip is an http.RoundTripper made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// reply is an answer made by hand.
func reply(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)),
	}
}

func text(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// source is a source made of a function that returns a secret.
func source(secret func() string) tokensource.TokenSource {
	return tokensource.Func(func(context.Context) (tokensource.Token, error) {
		return tokensource.NewToken(secret(), tokensource.Metadata{Origin: "test"})
	})
}

// faulty is a transport that lets a test replace answers of the real server.
type faulty struct {
	posts int
	post  func(n int, r *http.Request) (*http.Response, error)
	get   func(r *http.Request) *http.Response // nil answers are the server's
}

func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		f.posts++
		return f.post(f.posts, r)
	}
	if f.get != nil {
		if resp := f.get(r); resp != nil {
			return resp, nil
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// storesOnce uploads a package, which must take one POST.
func (f *faulty) storesOnce(t *testing.T) {
	t.Helper()
	server := setup(t, packagecloud.WithHTTPClient(&http.Client{Transport: f}))
	if _, err := server.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("content")), jammy); err != nil {
		t.Error(err)
	}
	if f.posts != 1 {
		t.Errorf("it was sent %d times", f.posts)
	}
	server.stored(t, 1)
}

// empty answers for a server that has no packages.
func empty(r *http.Request) *http.Response {
	if strings.Contains(r.URL.Path, "/search") {
		return reply(r, 200, "[]")
	}
	return reply(r, 200, `{"deb":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy"}]}]}`)
}

// reset reads the beginning of a body and breaks the connection.
func reset(body io.ReadCloser) error {
	io.CopyN(io.Discard, body, 10)
	body.Close()
	return errors.New("connection reset")
}
