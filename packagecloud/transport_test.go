package packagecloud_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// other is a server that must get no credential.
type other struct {
	*httptest.Server
	mu      sync.Mutex
	headers []http.Header
}

func newOther(t *testing.T, body string) *other {
	o := &other{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.headers = append(o.headers, r.Header.Clone())
		o.mu.Unlock()
		io.WriteString(w, body)
	}))
	t.Cleanup(o.Close)
	return o
}

// bare fails the test unless n requests came and none carried anything.
func (o *other) bare(t *testing.T, n int) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.headers) != n {
		t.Errorf("the other host got %d requests; want %d", len(o.headers), n)
	}
	for _, h := range o.headers {
		for _, name := range []string{"Authorization", "Cookie", "Referer"} {
			if h.Get(name) != "" {
				t.Errorf("the other host got the header %s", name)
			}
		}
		if how := tokensourcetest.FindSecret(fmt.Sprint(h), fakeToken); how != "" {
			t.Errorf("the other host got the token: %s", how)
		}
	}
}

// Guarantee A1.
func TestTransport_SendsTheTokenToTheBaseURLOnly(t *testing.T) {
	for address, want := range map[string]bool{
		"https://packagecloud.io/api/v1/repos":         true,
		"https://packagecloud.io/acme/main/x":          true,
		"https://PackageCloud.IO:443/api/v1/repos":     true,
		"http://packagecloud.io/api/v1/repos":          false,
		"https://packagecloud.io:8443/api/v1/repos":    false,
		"https://www.packagecloud.io/api/v1/repos":     false,
		"https://packagecloud.io.example.com/":         false,
		"https://example.com/https://packagecloud.io/": false,
		"https://packagecloud.io@example.com/":         false,
	} {
		var got string
		transport, err := packagecloud.NewTransport(tokensource.Static(fakeToken), packagecloud.WithHTTPClient(&http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				got, _, _ = r.BasicAuth()
				return reply(r, 200, "{}"), nil
			}),
		}))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if sent := got == fakeToken; sent != want {
			t.Errorf("%s: token sent is %v; want %v", address, sent, want)
		}
		if req.Header.Get("Authorization") != "" {
			t.Errorf("%s: the caller's request was changed", address)
		}
	}
}

// Guarantee G1.
func TestTransport_AnswerHasTheCallersRequest(t *testing.T) {
	transport := rotating(t, tokensource.Static(fakeToken), roundTrip(func(r *http.Request) (*http.Response, error) {
		return reply(r, 200, "{}"), nil
	}))
	req, err := http.NewRequestWithContext(t.Context(), "GET", "https://packagecloud.io/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil || resp.Request != req || req.Header.Get("Authorization") != "" {
		t.Errorf("the request has the headers %v, %v", resp.Request.Header, err)
	}
}

// What fmt reads of a struct, other goroutines may write at the time.
func TestClient_CanBePrintedWhileItWorks(t *testing.T) {
	transport := rotating(t, tokensource.Static(fakeToken), http.DefaultTransport)
	client := newClient(t, tokensource.Static(fakeToken))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		if got := fmt.Sprintf(verb+", "+verb, client, transport); got != "packagecloud client with the token of static, the token of static" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}

// Guarantee A1.
func TestTransport_AsksTheSourceAtEveryRequest(t *testing.T) {
	src := tokensourcetest.NewSource(fakeToken)
	client := newClient(t, src, packagecloud.WithHTTPClient(&http.Client{
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) { return reply(r, 200, mainInfo), nil }),
	}), packagecloud.WithBaseURL("https://example.com"))
	for n := 1; n <= 3; n++ {
		if _, err := client.Repository("acme", "main").Info(t.Context()); err != nil {
			t.Fatal(err)
		}
		if src.Calls() != n {
			t.Fatalf("after %d requests the source was asked %d times", n, src.Calls())
		}
	}
}

func TestTransport_ClosesTheBodyWhenThereIsNoToken(t *testing.T) {
	src := &tokensourcetest.Source{}
	transport, err := packagecloud.NewTransport(src, packagecloud.WithBaseURL("https://example.com"))
	if err != nil {
		t.Fatal(err)
	}
	body := &closer{Reader: strings.NewReader("x")}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "https://example.com/", body)
	if _, err := transport.RoundTrip(req); !errors.Is(err, tokensource.ErrNotFound) {
		t.Errorf("the error is %v", err)
	}
	if !body.closed {
		t.Error("the body was not closed")
	}
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestTransport_StrikesTheTokenOutOfForeignErrors(t *testing.T) {
	boom := errors.New("boom")
	c, client, _ := serve(t, nil, packagecloud.WithHTTPClient(&http.Client{
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("dump of %v: %w", r.Header, boom)
		}),
	}))
	_, err := client.Repository("acme", "main").Info(t.Context())
	c.want(t, err, boom)
}

// Guarantee A1.
func TestClient_RedirectElsewhereCarriesNothing(t *testing.T) {
	o := newOther(t, `{"name":"main"}`)
	jar, _ := cookiejar.New(nil)
	var authenticated bool
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		authenticated = user == fakeToken
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "x", Path: "/"})
		// Its credential is the server's, for another request: dropped too.
		http.Redirect(w, r, strings.Replace(o.URL, "://", "://someone:secret@", 1), http.StatusFound)
	}, packagecloud.WithHTTPClient(&http.Client{Jar: jar}))
	for range 2 {
		info, err := client.Repository("acme", "main").Info(t.Context())
		if err != nil || info.Name != "main" {
			t.Fatalf("%+v, %v", info, err)
		}
	}
	if !authenticated {
		t.Error("the base URL got no token")
	}
	o.bare(t, 2)
}

// The server may have redirected on purpose to where nobody is known.
//
// Guarantee A2.
func TestDownload_CredentialLeftBehindIsNotReplacedByTheAPIToken(t *testing.T) {
	const read = "dddddddddddddddddddddddddddddddd"
	var seen []string
	src := tokensourcetest.NewSource(fakeToken)
	client := newClient(t, src, packagecloud.WithBaseURL("https://x.example"), packagecloud.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		user, _, _ := r.BasicAuth()
		seen = append(seen, r.URL.Host+r.URL.Path+" "+user)
		resp := reply(r, 401, "")
		if next := map[string]string{"/a": "https://cdn.example/b", "/b": "https://x.example/c"}[r.URL.Path]; next != "" {
			resp = reply(r, 302, "")
			resp.Header.Set("Location", next)
		}
		return resp, nil
	})}))
	address, err := packagecloud.NewSecretURL("https://" + read + ":@x.example/a")
	if err != nil {
		t.Fatal(err)
	}
	err = client.Repository("acme", "main").Download(t.Context(), &packagecloud.Package{Filename: demo, DownloadURL: address}, io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true})
	if want := []string{"x.example/a " + read, "cdn.example/b ", "x.example/c "}; !slices.Equal(seen, want) {
		t.Errorf("the requests were %q", seen)
	}
	if !errors.Is(err, packagecloud.ErrUnauthorized) || len(src.Invalidated()) != 0 || src.Calls() != 0 {
		t.Errorf("%v; %d tokens were invalidated in %d calls", err, len(src.Invalidated()), src.Calls())
	}
}

// Servers repeat in an address what they were sent, and hold tokens in paths.
//
// Guarantee G1.
func TestClient_CredentialsOfAnAddressAreNotInItsErrors(t *testing.T) {
	const read = "0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, start := range map[string]string{
		"the token in the next host's name":    "",
		"a read token in the path":             "https://packages.example/priv/" + read + "/acme",
		"a signature, asked with a read token": "https://" + read + ":@packages.example/x?signature=" + read,
	} {
		c := newCanary(t, fakeToken, read)
		client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithLogger(c.logger()), packagecloud.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "packagecloud.io" {
				resp := reply(r, 302, "")
				resp.Header.Set("Location", "https://"+fakeToken+".example/")
				return resp, nil
			}
			if start == "" {
				return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: r.URL.Host, IsNotFound: true}}
			}
			return reply(r, 400, fmt.Sprintf(`{"error":"No route matches [GET] %s"}`, r.URL.RequestURI())), nil
		})}))
		repo := client.Repository("acme", "main")
		var err error
		if start == "" {
			_, err = repo.Info(t.Context())
		} else if address, failure := packagecloud.NewSecretURL(start); failure == nil {
			err = repo.Download(t.Context(), &packagecloud.Package{Filename: demo, DownloadURL: address}, io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true})
		}
		if err == nil || !strings.Contains(err.Error(), "[redacted]") {
			t.Errorf("%s: %v", name, err)
		}
		c.clean(t, err)
	}
}

func TestClient_WhatTheCallerSearchedForIsInTheError(t *testing.T) {
	client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) {
		return reply(r, 400, fmt.Sprintf(`{"error":"bad query %s"}`, r.URL.Query().Get("q"))), nil
	})
	var err error
	for _, err = range client.Repository("acme", "main").Search(t.Context(), &packagecloud.SearchOptions{Query: demo}) {
	}
	if err == nil || !strings.Contains(err.Error(), demo) {
		t.Error(err)
	}
}

func TestClient_AnswerWithoutHeadersIsNoPanic(t *testing.T) {
	client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"name":"main"}`))}, nil
	})
	if _, err := client.Repository("acme", "main").Info(t.Context()); err != nil {
		t.Error(err)
	}
}

// A server that doesn't end its answer holds up nobody who doesn't want it.
//
// Guarantee A2.
func TestTransport_DoesNotWaitForTheRestOfARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := tokensourcetest.NewSource("old-token-old-token")
		transport := rotating(t, src, roundTrip(func(r *http.Request) (*http.Response, error) {
			if user, _, _ := r.BasicAuth(); user == "new-token-new-token" {
				return reply(r, 200, "{}"), nil
			}
			src.Set("new-token-new-token")
			resp := reply(r, 401, "")
			body, _ := net.Pipe()
			resp.Body = body
			return resp, nil
		}))
		start := time.Now()
		if resp := send(t, transport, nil); resp.StatusCode != 200 || time.Since(start) > time.Second {
			t.Errorf("the status is %d after %v", resp.StatusCode, time.Since(start))
		}
	})
}

// Guarantee A1.
func TestClient_RedirectFromHTTPSToHTTPIsRefused(t *testing.T) {
	o := newOther(t, "{}")
	ts := httptest.NewTLSServer(http.RedirectHandler(o.URL, http.StatusFound))
	t.Cleanup(ts.Close)
	c := newCanary(t, fakeToken)
	client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithBaseURL(ts.URL), packagecloud.WithHTTPClient(ts.Client()), packagecloud.WithLogger(c.logger()))
	_, err := client.Repository("acme", "main").Info(t.Context())
	if err == nil || !strings.Contains(err.Error(), "refused a redirect from https to http") {
		t.Errorf("the error is %v", err)
	}
	c.clean(t, err)
	o.bare(t, 0)
}

// Guarantee A1.
func TestClient_RedirectOfAChangeIsRefused(t *testing.T) {
	o := newOther(t, "{}")
	tries := 0
	c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tries++
		http.Redirect(w, r, o.URL+"/?secret=x", http.StatusTemporaryRedirect)
	})
	_, err := client.CreateRepository(t.Context(), "new", nil)
	if err == nil || !strings.Contains(err.Error(), "base URL") || strings.Contains(err.Error(), "secret=x") {
		t.Errorf("the error is %v", err)
	}
	c.clean(t, err)
	if err := client.Repository("acme", "main").Delete(t.Context(), &packagecloud.Package{Distribution: "ubuntu/jammy", Filename: demo}); err == nil {
		t.Error("the redirect of a DELETE was followed")
	}
	if tries != 2 {
		t.Errorf("%d requests; want 2", tries)
	}
	o.bare(t, 0)
}

func TestClient_RedirectsInACircleEnd(t *testing.T) {
	n := 0
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	})
	if _, err := client.Repository("acme", "main").Info(t.Context()); err == nil || !strings.Contains(err.Error(), "in a row") {
		t.Errorf("the error is %v", err)
	}
	if n != 11 {
		t.Errorf("%d requests; want 11", n)
	}
}

// Guarantee A1.
func TestClient_NextLinkElsewhereGetsNoToken(t *testing.T) {
	o := newOther(t, `[{"filename":"b"}]`)
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "<"+strings.Replace(o.URL, "://", "://u:p@", 1)+`/page2>; rel="next"`)
		io.WriteString(w, `[{"filename":"a"}]`)
	})
	var names []string
	for pkg, err := range client.Repository("acme", "main").Packages(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, pkg.Filename)
	}
	if strings.Join(names, ",") != "a,b" {
		t.Errorf("got %v", names)
	}
	o.bare(t, 1)
}

// Guarantee A1.
func TestClient_DownloadURLElsewhereGetsNoToken(t *testing.T) {
	o := newOther(t, "content")
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("the API was asked") })
	url, _ := packagecloud.NewSecretURL(o.URL + "/demo.deb")
	var b bytes.Buffer
	err := client.Repository("acme", "main").Download(t.Context(), &packagecloud.Package{Filename: demo, DownloadURL: url}, &b, &packagecloud.DownloadOptions{AllowUnverified: true})
	if err != nil || b.String() != "content" {
		t.Errorf("%q, %v", b.String(), err)
	}
	o.bare(t, 1)
}

// Guarantee A1.
func TestClient_TokenThatNamesItsServer(t *testing.T) {
	var hits atomic.Int32
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hits.Add(1); io.WriteString(w, mainInfo) }))
	t.Cleanup(ts.Close)
	c := newCanary(t, fakeToken)
	for _, test := range []struct {
		name, token string
		options     []packagecloud.Option
		ok          bool
	}{
		{"is adopted", ts.URL, nil, true},
		{"fits", ts.URL + "/", []packagecloud.Option{packagecloud.WithBaseURL(ts.URL)}, true},
		{"is another", "https://packagecloud.io", []packagecloud.Option{packagecloud.WithBaseURL(ts.URL)}, false},
		{"is malformed", "::", []packagecloud.Option{packagecloud.WithBaseURL(ts.URL)}, false},
		{"is plain http", "http://packagecloud.example.com", nil, false},
	} {
		hits.Store(0)
		tok, err := tokensource.NewToken(fakeToken, tokensource.Metadata{Origin: "test", BaseURL: test.token})
		if err != nil {
			t.Fatal(err)
		}
		src := &tokensourcetest.Source{}
		src.SetToken(tok)
		client := newClient(t, src, test.options...)
		_, err = client.Repository("acme", "main").Info(t.Context())
		c.clean(t, err)
		if (err == nil) != test.ok || (hits.Load() == 1) != test.ok {
			t.Errorf("%s: error %v, %d requests", test.name, err, hits.Load())
		}
	}
}

// Guarantee A1.
func TestNew_BaseURL(t *testing.T) {
	for _, test := range []struct {
		url      string
		insecure bool
		want     string // in the error; "" if it is good
	}{
		{url: "https://packagecloud.io"},
		{url: "https://packagecloud.io///"},
		{url: "https://packages.example.com:8443/some/path/"},
		{url: "https://user:password@packages.example.com"},
		{url: " https://packages.example.com\n"},
		{url: "http://127.0.0.1:8080"},
		{url: "http://[::1]:8080"},
		{url: "http://localhost"},
		{url: "http://packages.example.com", insecure: true},
		{url: "http://packages.example.com", want: "in the clear"},
		{url: "http://127.0.0.1.example.com", want: "in the clear"},
		{url: "packagecloud.io", want: "https://"},
		{url: "localhost:8080", want: "https://"},
		{url: "ftp://packagecloud.io", want: "https://"},
		{url: "https://", want: "no host"},
		{url: "https://:443", want: "no host"},
		{url: "https://packagecloud.io/?token=x", want: "query"},
		{url: "https://packagecloud.io/#x", want: "fragment"},
		{url: "https://packagecloud.io/%zz", want: "malformed"},
		{url: "", want: "empty"},
	} {
		options := []packagecloud.Option{packagecloud.WithBaseURL(test.url)}
		if test.insecure {
			options = append(options, packagecloud.WithInsecureHTTP())
		}
		_, err := packagecloud.New(tokensource.Static(fakeToken), options...)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%q: %v", test.url, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%q: the error is %v; want %q in it", test.url, err, test.want)
		case err != nil && (strings.Contains(err.Error(), "token=x") || strings.Contains(err.Error(), "password")):
			t.Errorf("%q: the error shows a credential: %v", test.url, err)
		}
	}
}

func TestClient_BaseURLPathAndUserInfo(t *testing.T) {
	for _, test := range []struct{ suffix, want string }{
		{"", "/api/v1/repos/acme/main.json"},
		{"/", "/api/v1/repos/acme/main.json"},
		{"/pc", "/pc/api/v1/repos/acme/main.json"},
		{"/pc//", "/pc/api/v1/repos/acme/main.json"},
		{"/a%2Fb/", "/a%2Fb/api/v1/repos/acme/main.json"},
	} {
		var path, user string
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path = r.URL.EscapedPath()
			user, _, _ = r.BasicAuth()
			io.WriteString(w, mainInfo)
		}))
		base := strings.Replace(ts.URL, "://", "://somebody:password@", 1) + test.suffix
		client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithBaseURL(base))
		if _, err := client.Repository("acme", "main").Info(t.Context()); err != nil {
			t.Error(err)
		}
		ts.Close()
		if path != test.want || user != fakeToken {
			t.Errorf("%q: asked for %s; want %s (token sent: %v)", test.suffix, path, test.want, user == fakeToken)
		}
	}
}

func TestClient_WorksBelowAPathPrefix(t *testing.T) {
	f := setup(t)
	target, _ := url.Parse(f.srv.URL)
	ts := httptest.NewServer(http.StripPrefix("/pc", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}))
	t.Cleanup(ts.Close)
	client := newClient(t, tokensource.Static(f.srv.Token()), packagecloud.WithBaseURL(ts.URL+"/pc/"))
	repo := client.Repository("acme", "main")
	pkg, err := repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("x")), jammy)
	if err != nil {
		t.Fatal(err)
	}
	// The server's own paths know nothing of the prefix.
	if _, err := repo.Package(t.Context(), pkg); err != nil {
		t.Error(err)
	}
	if err := repo.Delete(t.Context(), pkg); err != nil {
		t.Error(err)
	}
	f.stored(t, 0)
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	var typedNil *tokensourcetest.Source
	for name, err := range map[string]error{
		"nil source":       second(packagecloud.New(nil)),
		"typed nil source": second(packagecloud.New(typedNil)),
		"nil option":       second(packagecloud.New(tokensource.Static(fakeToken), nil)),
		"application":      second(packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithApplication("a\r\nb"))),
		"rotation wait":    second(packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithRotationWait(-1))),
		"transport":        second(packagecloud.NewTransport(nil)),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Guarantee A2.
func TestTransport_RefusedTokenIsReplacedAndTheBodyRepeated(t *testing.T) {
	f := setupServer(t, nil, func(srv *packagecloudtest.Server) tokensource.TokenSource { return source(srv.Token) })
	content := bytes.Repeat([]byte("content"), 1000)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", Then: func(s *packagecloudtest.Server) { f.canary.add(s.RotateToken()) }})
	if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, content), jammy); err != nil {
		t.Fatal(err)
	}
	posts := f.requests("POST")
	if len(posts) != 2 || posts[0].Status != 401 || posts[1].Status != 201 {
		t.Errorf("the uploads were %+v", posts)
	}
	if p := f.stored(t, 1)[0]; p.Size != int64(len(content)) {
		t.Errorf("%d bytes are stored; want %d", p.Size, len(content))
	}
}

// rejecting answers 401 to all tokens but good, and counts.
type rejecting struct {
	mu   sync.Mutex
	good string
	got  []string
	body []string
}

func (r *rejecting) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		req.Body.Close()
		body = string(b)
	}
	user, _, _ := req.BasicAuth()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got, r.body = append(r.got, user), append(r.body, body)
	if user != r.good {
		return reply(req, 401, `{"error":"Unauthenticated"}`), nil
	}
	return reply(req, 200, `{"name":"main","url":"https://packagecloud.io/acme/new"}`), nil
}

func rotating(t *testing.T, src tokensource.TokenSource, next http.RoundTripper) *packagecloud.Transport {
	t.Helper()
	transport, err := packagecloud.NewTransport(src, packagecloud.WithHTTPClient(&http.Client{Transport: next}))
	if err != nil {
		t.Fatal(err)
	}
	return transport
}

func send(t *testing.T, transport *packagecloud.Transport, body io.Reader) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "https://packagecloud.io/x", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// Guarantee A2.
func TestTransport_WaitsForTheNextTokenWhereTheOldOneWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := tokensourcetest.NewSource("old-token-old-token")
		server := &rejecting{good: "old-token-old-token"}
		transport := rotating(t, src, server)
		if resp := send(t, transport, strings.NewReader("1")); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
		server.good = "new-token-new-token"
		time.AfterFunc(7*time.Second, func() { src.Set("new-token-new-token") })
		if resp := send(t, transport, strings.NewReader("2")); resp.StatusCode != 200 {
			t.Fatalf("the status is %d", resp.StatusCode)
		}
		if fmt.Sprint(server.body) != "[1 2 2]" {
			t.Errorf("the bodies were %v", server.body)
		}
		if inv := src.Invalidated(); len(inv) != 1 || inv[0].Reveal() != "old-token-old-token" {
			t.Errorf("%d tokens were invalidated", len(inv))
		}
	})
}

// A store that is behind may have a token that was replaced in its turn.
//
// Guarantee A2.
func TestTransport_WaitsThroughTwoRotations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := tokensourcetest.NewSource("old-token-old-token")
		server := &rejecting{good: "old-token-old-token"}
		transport := rotating(t, src, server)
		send(t, transport, nil)
		server.good = "newest-token-newest"
		time.AfterFunc(3*time.Second, func() { src.Set("between-token-between") })
		time.AfterFunc(6*time.Second, func() { src.Set("newest-token-newest") })
		if resp := send(t, transport, nil); resp.StatusCode != 200 {
			t.Errorf("the status is %d", resp.StatusCode)
		}
	})
}

// A cache asks its source less often than the transport asks the cache.
//
// Guarantee A2.
func TestTransport_FollowsARotationThroughACacheWhoseStoreIsSevenSecondsBehind(t *testing.T) {
	for lag := time.Second; lag <= 7*time.Second; lag += time.Second / 2 {
		for range 20 {
			synctest.Test(t, func(t *testing.T) {
				src := tokensourcetest.NewSource("old-token-old-token")
				cached, err := tokensource.Cache(src, tokensource.CacheOptions{})
				if err != nil {
					t.Fatal(err)
				}
				server := &rejecting{good: "old-token-old-token"}
				transport := rotating(t, cached, server)
				send(t, transport, nil)
				server.good = "new-token-new-token"
				time.AfterFunc(lag, func() { src.Set("new-token-new-token") })
				if resp := send(t, transport, nil); resp.StatusCode != 200 {
					t.Errorf("%v behind: the status is %d", lag, resp.StatusCode)
				}
				if n := src.Calls(); n > 2+12 {
					t.Errorf("%v behind: the store was asked %d times", lag, n)
				}
				time.Sleep(time.Minute) // for what the cache does behind its callers
			})
		}
	}
}

// What says nothing of the token doesn't show that the server accepts it.
//
// Guarantee A2.
func TestTransport_DoesNotWaitForATokenThatWasNeverAccepted(t *testing.T) {
	for _, status := range []int{403, 429, 500} {
		synctest.Test(t, func(t *testing.T) {
			src := tokensourcetest.NewSource("old-token-old-token")
			transport := rotating(t, src, roundTrip(func(r *http.Request) (*http.Response, error) {
				return reply(r, status, ""), nil
			}))
			send(t, transport, nil)
			status = 401
			start := time.Now()
			if resp := send(t, transport, nil); resp.StatusCode != 401 || time.Since(start) > 0 {
				t.Errorf("it waited %v and the status is %d", time.Since(start), resp.StatusCode)
			}
		})
	}
}

// Guarantee A2.
func TestTransport_WaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := tokensourcetest.NewSource("old-token-old-token")
		server := &rejecting{good: "old-token-old-token"}
		transport := rotating(t, src, server)
		send(t, transport, nil)
		server.good = ""
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("no more time"))
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", "https://packagecloud.io/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = transport.RoundTrip(req)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, packagecloud.ErrUnauthorized) || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// A slow store is its own matter: nothing of the transfer stands still.
//
// Guarantee A4.
func TestClient_SlowSourceIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		src := tokensource.Func(func(ctx context.Context) (tokensource.Token, error) {
			calls++
			return tokensource.NewToken(fakeToken, tokensource.Metadata{})
		})
		slow := tokensource.Func(func(ctx context.Context) (tokensource.Token, error) {
			select {
			case <-time.After(5 * time.Minute):
				return src.Token(ctx)
			case <-ctx.Done():
				return tokensource.Token{}, ctx.Err()
			}
		})
		client, err := packagecloud.New(slow, packagecloud.WithBaseURL("https://packagecloud.io"), packagecloud.WithHTTPClient(&http.Client{Transport: &rejecting{good: fakeToken}}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Repository("acme", "main").Info(t.Context()); err != nil || calls != 1 {
			t.Errorf("after %d calls: %v", calls, err)
		}
	})
}

// Guarantee A2.
func TestTransport_WaitEndsAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := tokensourcetest.NewSource("old-token-old-token")
		server := &rejecting{good: "old-token-old-token"}
		transport := rotating(t, src, server)
		send(t, transport, nil)
		server.good = ""
		start := time.Now()
		resp := send(t, transport, nil)
		if resp.StatusCode != 401 || text(t, resp.Body) != `{"error":"Unauthenticated"}` {
			t.Errorf("the status is %d", resp.StatusCode)
		}
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("it waited %v; want 10s", waited)
		}
		if n := src.Calls(); n > 20 {
			t.Errorf("the source was asked %d times", n)
		}
	})
}

// Guarantee A2.
func TestClient_RotationWaitIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := tokensourcetest.NewSource("old-token-old-token")
		server := &rejecting{good: "old-token-old-token"}
		client, err := packagecloud.New(src, packagecloud.WithRotationWait(10*time.Minute), packagecloud.WithHTTPClient(&http.Client{Transport: server}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Repository("acme", "main").Info(t.Context()); err != nil {
			t.Fatal(err)
		}
		server.good = "new-token-new-token"
		time.AfterFunc(5*time.Minute, func() { src.Set("new-token-new-token") })
		if _, err := client.CreateRepository(t.Context(), "new", nil); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(server.got, " "); got != "old-token-old-token old-token-old-token new-token-new-token" {
			t.Errorf("the tokens sent were %s", got)
		}
		if server.body[2] == "" || server.body[2] != server.body[1] {
			t.Errorf("the bodies were %q", server.body)
		}
	})
}

// Guarantee A2.
func TestTransport_DoesNotWaitWhereNoTokenWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := tokensourcetest.NewSource("bad-token-bad-token")
		server := &rejecting{good: "x"}
		transport := rotating(t, src, roundTrip(func(r *http.Request) (*http.Response, error) {
			if len(server.got) == 0 { // a proxy's failure is no acceptance
				server.got = append(server.got, "")
				return reply(r, 502, ""), nil
			}
			return server.RoundTrip(r)
		}))
		send(t, transport, nil)
		start := time.Now()
		if resp := send(t, transport, nil); resp.StatusCode != 401 {
			t.Errorf("the status is %d", resp.StatusCode)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("it waited %v", waited)
		}
	})
}

// Guarantee A2.
func TestTransport_RepeatsThreeTimesAtMost(t *testing.T) {
	n := 0
	server := &rejecting{good: "none"}
	src := tokensourcetest.NewSource("x")
	transport := rotating(t, both{source(func() string { n++; return fmt.Sprintf("token-number-%04d", n) }), src}, server)
	if resp := send(t, transport, strings.NewReader("body")); resp.StatusCode != 401 {
		t.Errorf("the status is %d", resp.StatusCode)
	}
	if len(server.got) != 4 || len(src.Invalidated()) != 4 {
		t.Errorf("%d requests, %d tokens invalidated; want 4 of both", len(server.got), len(src.Invalidated()))
	}
	for i, tok := range src.Invalidated() {
		if tok.Reveal() != server.got[i] {
			t.Errorf("token %d was invalidated, but not sent", i)
		}
	}
	for _, b := range server.body {
		if b != "body" {
			t.Errorf("a body was %q", b)
		}
	}
}

// both gets its tokens from one source and tells another what is invalid.
type both struct {
	tokensource.TokenSource
	*tokensourcetest.Source
}

func (b both) Token(ctx context.Context) (tokensource.Token, error) { return b.TokenSource.Token(ctx) }
func (b both) String() string                                       { return "both" }

func TestTransport_DoesNotRepeatABodyThatItCannotRead(t *testing.T) {
	n := 0
	server := &rejecting{good: "none"}
	transport := rotating(t, source(func() string { n++; return fmt.Sprintf("token-number-%04d", n) }), server)
	if resp := send(t, transport, io.MultiReader(strings.NewReader("body"))); resp.StatusCode != 401 {
		t.Errorf("the status is %d", resp.StatusCode)
	}
	if len(server.got) != 1 {
		t.Errorf("%d requests; want 1", len(server.got))
	}
}

func TestClient_Returns401WhenThereIsNoOtherToken(t *testing.T) {
	f := setup(t)
	f.srv.RotateToken()
	_, err := f.repo.Info(t.Context())
	f.want(t, err, packagecloud.ErrUnauthorized)
	if len(f.requests("")) != 1 {
		t.Errorf("the requests were %+v", f.requests(""))
	}
	if !strings.Contains(f.text(), "refused the token") {
		t.Error("the log doesn't tell")
	}
}

func TestClient_RefusedTokenThatWasStoredBadlyIsSaid(t *testing.T) {
	f := setup(t)
	client := newClient(t, tokensource.Static("PACKAGECLOUD_TOKEN="+fakeToken), packagecloud.WithBaseURL(f.srv.URL))
	_, err := client.Repository("acme", "main").Info(t.Context())
	f.want(t, err, packagecloud.ErrUnauthorized)
	if !strings.Contains(err.Error(), "the name of a variable before it") || strings.Contains(err.Error(), fakeToken) {
		t.Errorf("%v; want a hint at the name", err)
	}
}

func TestClient_NoDistributionsHintAtTheBaseURL(t *testing.T) {
	f := setup(t)
	client := newClient(t, tokensource.Static(f.srv.Token()), packagecloud.WithBaseURL(f.srv.URL+"/typo"))
	_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(demo, []byte("x")), jammy)
	f.want(t, err, packagecloud.ErrNotFound)
	if !strings.Contains(err.Error(), "is the base URL right, "+f.srv.URL+"/typo?") {
		t.Error(err)
	}
}

// Guarantee A2.
func TestClient_NoUploadFailsWhileTheTokenIsRotated(t *testing.T) {
	f := setupServer(t, nil, func(srv *packagecloudtest.Server) tokensource.TokenSource {
		cached, err := tokensource.Cache(source(srv.Token), tokensource.CacheOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return cached
	})
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", Skip: 5, Every: 8, Times: 3, Then: func(s *packagecloudtest.Server) { f.canary.add(s.RotateToken()) }})
	var wg sync.WaitGroup
	const workers, each = 8, 5
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				content := bytes.Repeat([]byte{byte(w), byte(i)}, 2000)
				if i == each-1 { // one that asks before it sends
					content = bytes.Repeat(content, 300)
				}
				name := fmt.Sprintf("demo_%d.%d_amd64.deb", w, i)
				if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(name, content), jammy); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	wg.Wait()
	rejected := 0
	for _, r := range f.requests("POST") {
		if r.Status == 401 {
			rejected++
		}
	}
	if rejected == 0 {
		t.Error("no request met a rotation")
	}
	names := map[string]bool{}
	for _, p := range f.stored(t, workers*each) {
		names[p.Filename] = true
	}
	if len(names) != workers*each {
		t.Errorf("%d different packages; want %d", len(names), workers*each)
	}
}

// Guarantees: A2, D4.
func TestDownload_ReadTokenRefusedLeavesTheAPITokenAlone(t *testing.T) {
	src := &tokensourcetest.Source{}
	f := setupServer(t, nil, func(srv *packagecloudtest.Server) tokensource.TokenSource { src.Set(srv.Token()); return src })
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("content"))

	read := tokensourcetest.NewSource(f.canary.add("00112233445566778899aabbccddeeff0011223344556677"))
	err := f.repo.Download(t.Context(), pkg, io.Discard, &packagecloud.DownloadOptions{ReadToken: read})
	f.want(t, err, packagecloud.ErrUnauthorized)
	if len(src.Invalidated()) != 0 || len(read.Invalidated()) != 1 {
		t.Errorf("%d API tokens and %d read tokens were invalidated; want 0 and 1", len(src.Invalidated()), len(read.Invalidated()))
	}

	// The same with the read token that the download_url holds.
	u, _ := url.Parse(pkg.DownloadURL.Reveal())
	u.User = url.UserPassword(f.canary.add("0123456789abcdef0123456789abcdef0123456789abcdef"), "")
	pkg.DownloadURL, err = packagecloud.NewSecretURL(u.String())
	if err != nil {
		t.Fatal(err)
	}
	err = f.repo.Download(t.Context(), pkg, io.Discard, nil)
	f.want(t, err, packagecloud.ErrUnauthorized)
	if len(src.Invalidated()) != 0 {
		t.Error("the API token was invalidated")
	}
}
