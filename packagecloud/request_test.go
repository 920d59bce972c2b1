package packagecloud_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

func statuses(requests []packagecloudtest.Request) []int {
	var out []int
	for _, r := range requests {
		out = append(out, r.Status)
	}
	return out
}

// Guarantee A4.
func TestClient_ReadsAreRetried(t *testing.T) {
	for name, fault := range map[string]packagecloudtest.Fault{
		"500":        {Status: 500},
		"502":        {Status: 502},
		"503":        {Status: 503},
		"504":        {Status: 504},
		"reset":      {Reset: true},
		"cut answer": {CutAfter: 10},
		"cut header": {CutAfter: -1},
	} {
		f := setup(t)
		fault.Times = 2
		f.srv.Inject(fault)
		if _, err := f.repo.Info(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(f.requests("GET")); n != 3 {
			t.Errorf("%s: %d requests; want 3", name, n)
		}
	}
}

// Guarantee A4.
func TestClient_RetriesEnd(t *testing.T) {
	for name, fault := range map[string]packagecloudtest.Fault{"500": {Status: 500}, "reset": {Reset: true}, "cut": {CutAfter: 5}} {
		f := setup(t)
		fault.Times = -1
		f.srv.Inject(fault)
		_, err := f.repo.Info(t.Context())
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		f.clean(t, err)
		if n := len(f.requests("GET")); n != 5 {
			t.Errorf("%s: %d requests; want 5", name, n)
		}
	}
}

// Guarantee A4.
func TestPromote_IsNotRepeated(t *testing.T) {
	for name, fault := range map[string]packagecloudtest.Fault{"500": {Status: 500}, "502": {Status: 502}, "lost request": {ResetAfter: 1}} {
		f := setup(t)
		f.srv.CreateRepository("stable", true)
		pkg := f.add(t, "ubuntu/jammy", demo, []byte("x"))
		fault.Method = "POST"
		f.srv.Inject(fault)
		_, err := f.repo.Promote(t.Context(), pkg, f.client.Repository("acme", "stable"))
		f.want(t, err, packagecloud.ErrUnknownOutcome)
		if n := len(f.requests("POST")); n != 1 {
			t.Errorf("%s: %d requests; want 1", name, n)
		}
		if !strings.Contains(err.Error(), "acme/stable") {
			t.Errorf("%s: the error doesn't say where to look: %v", name, err)
		}
	}
}

// What has no connection is not sent, wherever on the way that fails.
//
// Guarantee A4.
func TestPromote_IsRepeatedWhereNothingWasSent(t *testing.T) {
	nobody := httptest.NewServer(nil)
	nobody.Close()
	closing := httptest.NewUnstartedServer(nil) // before the handshake of TLS is done
	closing.Config.ConnState = func(conn net.Conn, _ http.ConnState) { conn.Close() }
	closing.Config.ErrorLog = log.New(io.Discard, "", 0)
	closing.StartTLS()
	defer closing.Close()
	for name, test := range map[string]struct{ proxy, base string }{
		"no proxy":     {proxy: nobody.URL, base: "https://packagecloud.example"},
		"no server":    {base: nobody.URL},
		"no handshake": {base: closing.URL},
	} {
		tries := 0
		transport := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
			tries++
			if test.proxy == "" {
				return nil, nil
			}
			return url.Parse(test.proxy)
		}}
		client, err := packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithBaseURL(test.base), packagecloud.WithHTTPClient(&http.Client{Transport: transport}))
		if err != nil {
			t.Fatal(err)
		}
		packagecloud.SetTiming(client, time.Minute, time.Millisecond)
		pkg := &packagecloud.Package{Filename: demo, Distribution: "ubuntu/jammy", Repository: "main"}
		_, err = client.Repository("acme", "main").Promote(t.Context(), pkg, client.Repository("acme", "stable"))
		if err == nil || errors.Is(err, packagecloud.ErrUnknownOutcome) || tries != 5 {
			t.Errorf("%s: %d tries, %v", name, tries, err)
		}
	}
}

// A dial that fails says nothing of what was sent over another connection before.
//
// Guarantee A4.
func TestPromote_IsNotRepeatedAfterTheRetryOfARoundTripper(t *testing.T) {
	f := setup(t)
	sent := 0
	client := newClient(t, tokensource.Static(f.srv.Token()), packagecloud.WithBaseURL(f.srv.URL), packagecloud.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			return resp, nil
		}
		sent++
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	})}))
	f.srv.CreateRepository("stable", true)
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("x"))
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
	_, err := client.Repository("acme", "main").Promote(t.Context(), pkg, client.Repository("acme", "stable"))
	if err != nil || sent != 1 {
		t.Errorf("sent %d times: %v", sent, err)
	}
}

// HTTP/2 sends a request again whose stream the server reset, and so may a
// RoundTripper: what the second answer refuses can be what the first one did.
//
// Guarantee U2.
func TestClient_AnswerToARequestThatWasSentTwiceIsNotBelieved(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(f *fixture, repo *packagecloud.Repository, pkg *packagecloud.Package) error
		want error
	}{
		"an upload is there": {func(f *fixture, repo *packagecloud.Repository, _ *packagecloud.Package) error {
			pkg, err := repo.Upload(t.Context(), packagecloud.Bytes("new_1.0_amd64.deb", []byte("new")), jammy)
			if err == nil && pkg.Filename != "new_1.0_amd64.deb" {
				t.Errorf("it became %s", pkg.Filename)
			}
			return err
		}, nil},
		"a deletion is done": {func(_ *fixture, repo *packagecloud.Repository, pkg *packagecloud.Package) error {
			return repo.Delete(t.Context(), pkg)
		}, nil},
		"a promotion": {func(f *fixture, repo *packagecloud.Repository, pkg *packagecloud.Package) error {
			_, err := repo.Promote(t.Context(), pkg, f.client.Repository("acme", "stable"))
			return err
		}, nil},
	} {
		f := setup(t)
		f.srv.CreateRepository("stable", true)
		pkg := f.add(t, "ubuntu/jammy", demo, []byte("x"))
		sent := 0
		client := newClient(t, tokensource.Static(f.srv.Token()), packagecloud.WithBaseURL(f.srv.URL), packagecloud.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := http.DefaultTransport.RoundTrip(r)
			if r.Method == "GET" {
				return resp, err
			}
			if sent++; err == nil {
				return resp, nil
			}
			if r.GetBody != nil {
				if r.Body, err = r.GetBody(); err != nil {
					return nil, err
				}
			}
			return http.DefaultTransport.RoundTrip(r)
		})}))
		for _, method := range []string{"POST", "DELETE"} {
			f.srv.Inject(packagecloudtest.Fault{Method: method, LoseAnswer: true})
		}
		if err := test.do(f, client.Repository("acme", "main"), pkg); !errors.Is(err, test.want) || sent == 0 {
			t.Errorf("%s: %v after %d", name, err, sent)
		}
	}
}

// Guarantee A4.
func TestClient_WaitingForAConnectionIsNoStall(t *testing.T) {
	_, client, srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			io.Copy(w, endless{}) // keeps its connection
			return
		}
		io.WriteString(w, `{"name":"main"}`)
	}, packagecloud.WithHTTPClient(&http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}))
	packagecloud.SetTiming(client, 100*time.Millisecond, time.Millisecond)
	address, err := packagecloud.NewSecretURL(srv.URL + "/long")
	if err != nil {
		t.Fatal(err)
	}
	repo := client.Repository("acme", "main")
	reached, released := make(chan struct{}), make(chan struct{})
	w := writer(func([]byte) (int, error) {
		close(reached)
		<-released
		return 0, errors.New("enough")
	})
	go repo.Download(t.Context(), &packagecloud.Package{Filename: demo, DownloadURL: address}, w, &packagecloud.DownloadOptions{AllowUnverified: true})
	<-reached
	time.AfterFunc(1500*time.Millisecond, func() { close(released) }) // longer than all tries
	if _, err := repo.Info(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestClient_SuccessesThatAreNoneAreErrors(t *testing.T) {
	client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) { return reply(r, 200, `{"errors":["denied"]}`), nil })
	if _, err := client.CreateRepository(t.Context(), "new", nil); err == nil || !strings.Contains(err.Error(), "denied") {
		t.Errorf("a repository is made: %v", err)
	}
	if err := client.Repository("acme", "main").Delete(t.Context(), &packagecloud.Package{Distribution: "ubuntu/jammy", Filename: demo}); err == nil {
		t.Error("a package is deleted")
	}
	client = serveRoundTrip(t, func(r *http.Request) (*http.Response, error) { return reply(r, 200, `{}`), nil })
	if _, err := client.Distributions(t.Context()); err == nil {
		t.Error("there are no distributions")
	}
}

// refusing answers one request with status and Retry-After, and the others with
// success; it notes when they come.
func refusing(t *testing.T, status int, retryAfter string) (client *packagecloud.Client, times func() []time.Duration) {
	start := time.Now()
	var all []time.Duration
	client, err := packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithHTTPClient(&http.Client{
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if all = append(all, time.Since(start)); len(all) > 1 {
				return reply(r, 201, `{"name":"main","url":"https://packagecloud.io/acme/new"}`), nil
			}
			resp := reply(r, status, "")
			resp.Header.Set("Retry-After", retryAfter)
			return resp, nil
		}),
	}))
	if err != nil {
		t.Fatal(err)
	}
	return client, func() []time.Duration { return all }
}

// Guarantee A4.
func TestClient_WaitsAsLongAsTheServerAsks(t *testing.T) {
	for _, status := range []int{429, 500, 502, 503, 504} {
		synctest.Test(t, func(t *testing.T) {
			client, times := refusing(t, status, "7")
			if _, err := client.Repository("acme", "main").Info(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := times(); len(got) != 2 || got[1] != 7*time.Second {
				t.Errorf("%d: requests at %v; want one after 7s", status, got)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			client, times := refusing(t, status, "0")
			if _, err := client.Repository("acme", "main").Info(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := times(); len(got) != 2 || got[1] > time.Second {
				t.Errorf("%d: requests at %v; want one after the usual pause", status, got)
			}
		})
	}
}

// Guarantee A4.
func TestClient_RefusalsWithATimeAreRepeatedChangesToo(t *testing.T) {
	for retryAfter, want := range map[string]time.Duration{"7": 7 * time.Second, "0": 0} {
		synctest.Test(t, func(t *testing.T) {
			client, times := refusing(t, 429, retryAfter)
			if _, err := client.CreateRepository(t.Context(), "new", nil); err != nil {
				t.Fatal(err)
			}
			if got := times(); len(got) != 2 || got[1].Truncate(time.Second) != want {
				t.Errorf("Retry-After %s: requests at %v", retryAfter, got)
			}
		})
	}
	// The others may come after the work was done.
	for _, status := range []int{500, 502, 503, 504} {
		client, times := refusing(t, status, "0")
		if _, err := client.CreateRepository(t.Context(), "new", nil); !errors.Is(err, packagecloud.ErrUnknownOutcome) || len(times()) != 2 { // the second looks
			t.Errorf("%d: %d requests, %v", status, len(times()), err)
		}
	}
}

// Guarantee A4.
func TestClient_LongRetryAfterIsTheCallersMatter(t *testing.T) {
	f := setup(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("x"))
	for _, status := range []int{429, 500, 502, 503, 504} {
		for name, do := range map[string]func() error{
			"GET":    func() error { return second(f.repo.Info(ctx)) },
			"DELETE": func() error { return f.repo.Delete(ctx, pkg) },
			"POST": func() error {
				return second(f.repo.Upload(ctx, packagecloud.Bytes("other_1_amd64.deb", []byte("x")), jammy))
			},
		} {
			f.srv.ResetRequests()
			remove := f.srv.Inject(packagecloudtest.Fault{Method: name, Path: "/api/v1/repos/**", Times: -1, Status: status, Body: "busy", Header: http.Header{"Retry-After": {"3600"}}})
			err := do()
			e, ok := errors.AsType[*packagecloud.Error](err)
			if n := len(f.requests(name)); !ok || e.RetryAfter != time.Hour || !strings.Contains(err.Error(), "come back in 1h0m0s") || n != 1 || errors.Is(err, packagecloud.ErrQuota) {
				t.Errorf("%d: %d requests %s, %v", status, n, name, err)
			}
			if name == "POST" {
				f.stored(t, 1)
			}
			remove()
		}
	}
}

// Guarantee A4.
func TestClient_DateInRetryAfterIsByTheServersClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, n := time.Now(), 0
		client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) {
			if n++; n > 1 {
				return reply(r, 200, mainInfo), nil
			}
			resp := reply(r, 503, "")
			resp.Header.Set("Date", "Fri, 02 Jan 2032 03:05:05 GMT")
			resp.Header.Set("Retry-After", "Fri, 02 Jan 2032 03:05:12 GMT")
			return resp, nil
		})
		if _, err := client.Repository("acme", "main").Info(t.Context()); err != nil || time.Since(start) != 7*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// Guarantee A4.
func TestClient_DoesNotRepeatWhatARepeatCannotMend(t *testing.T) {
	for status, want := range map[int]int{500: 5, 501: 1, 502: 5, 503: 5, 504: 5, 505: 1, 507: 1, 511: 1} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				repo := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) {
					switch {
					case r.Method == method:
						n++
						return reply(r, status, ""), nil
					case strings.HasSuffix(r.URL.Path, "/distributions.json"):
						return reply(r, 200, `{"py":[{"index_name":"python","versions":[{"id":166}]}]}`), nil
					case r.URL.Query().Get("q") == demo: // the look after a Delete
						return reply(r, 200, `[{"filename":"`+demo+`","distro_version":"ubuntu/jammy","type":"deb"}]`), nil
					}
					return reply(r, 200, `[]`), nil
				}).Repository("acme", "main")
				var err error
				switch method {
				case "GET":
					_, err = repo.Info(t.Context())
				case "POST":
					_, err = repo.Upload(t.Context(), packagecloud.Bytes("demo-1.0.whl", []byte("wheel")), &packagecloud.UploadOptions{Type: "python"})
				case "DELETE":
					err = repo.Delete(t.Context(), &packagecloud.Package{Filename: demo, Distribution: "ubuntu/jammy"})
				}
				e, ok := errors.AsType[*packagecloud.Error](err)
				if !ok || e.StatusCode != status || n != want || strings.Contains(err.Error(), "try again") != (want > 1) {
					t.Errorf("%s, %d: %d requests, want %d; %v", method, status, n, want, err)
				}
			})
		}
	}
}

// The pauses of a client that was not told otherwise grow, and differ.
//
// Guarantee A4.
func TestClient_PausesGrowAndAreSpread(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Time
			client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) {
				at = append(at, time.Now())
				return reply(r, 408, ""), nil
			})
			if _, err := client.Repository("acme", "main").Info(t.Context()); err == nil || len(at) != 5 {
				t.Fatalf("%d requests: %v", len(at), err)
			}
			for i, want := range []time.Duration{250, 500, 1000, 2000} {
				want *= time.Millisecond
				if pause := at[i+1].Sub(at[i]); pause < want*3/4 || pause > want*5/4 {
					t.Errorf("pause %d is %v; want about %v", i+1, pause, want)
				}
			}
			seen[at[1].Sub(at[0])] = true
		})
	}
	if len(seen) < 2 {
		t.Error("five clients waited equally long")
	}
}

// A client that was not told otherwise gives a transfer a minute.
//
// Guarantee A4.
func TestClient_StallsAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet { // the look that follows
				return reply(r, 403, ""), nil
			}
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		})
		_, err := client.CreateRepository(t.Context(), "new", nil)
		if !errors.Is(err, packagecloud.ErrStalled) || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestClient_EndlessAnswerIsAnError(t *testing.T) {
	client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) {
		resp := reply(r, 200, "")
		resp.Body, resp.ContentLength = io.NopCloser(endless{}), -1
		return resp, nil
	})
	if _, err := client.Distributions(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than 32 MiB") {
		t.Errorf("the error is %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// brokenBody is the body of an answer whose connection breaks.
type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (brokenBody) Close() error             { return nil }

// net/http fills in the request of an answer; a RoundTripper of the caller's may not.
//
// Guarantee A3.
func TestClient_TakesAnswersThatDontNameTheirRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for status, want := range map[int]string{200: "unexpected EOF", 401: "packagecloud.io/api_token"} {
			client := serveRoundTrip(t, func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Body: brokenBody{}}, nil
			})
			if err := client.Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d: the error is %v; want %q in it", status, err, want)
			}
		}
	})
}

// serveRoundTrip makes a client with the timing of every client, whose requests
// f answers.
func serveRoundTrip(t *testing.T, f roundTrip) *packagecloud.Client {
	t.Helper()
	c := newCanary(t, fakeToken)
	client, err := packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithHTTPClient(&http.Client{Transport: f}), packagecloud.WithLogger(c.logger()))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestClient_StallIsToldFromTheCallersLeaving(t *testing.T) {
	_, client, _ := serve(t, nil, packagecloud.WithHTTPClient(&http.Client{
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err() // without the cause
		}),
	}))
	packagecloud.SetTiming(client, 20*time.Millisecond, time.Millisecond)
	if _, err := client.CreateRepository(t.Context(), "new", nil); !errors.Is(err, packagecloud.ErrStalled) || errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

func TestClient_OneStallIsRetried(t *testing.T) {
	f := setup(t)
	packagecloud.SetTiming(f.client, 100*time.Millisecond, time.Millisecond)
	f.srv.Inject(packagecloudtest.Fault{StallAfter: 20})
	if _, err := f.repo.Info(t.Context()); err != nil {
		t.Error(err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// Guarantee A4.
func TestClient_CallersTimeoutIsNotUsed(t *testing.T) {
	jar := &noJar{}
	client := &http.Client{
		Timeout: time.Nanosecond, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { t.Error("CheckRedirect was called"); return nil },
	}
	f := setup(t, packagecloud.WithHTTPClient(client))
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("x"))
	if err := f.repo.Download(t.Context(), pkg, io.Discard, nil); err != nil {
		t.Error(err)
	}
	if client.Timeout != time.Nanosecond || client.Jar != jar {
		t.Error("the caller's client was changed")
	}
}

type noJar struct{ http.CookieJar }

// raw listens on a port and answers whatever comes with text.
func raw(t *testing.T, text string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.Read(make([]byte, 64<<10))
				io.WriteString(conn, text)
			}()
		}
	}()
	return l.Addr().String()
}

// Guarantee A4.
func TestClient_ConnectionThatCannotBeIsNotTriedAgain(t *testing.T) {
	start := func(config *tls.Config) *httptest.Server {
		ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, mainInfo) }))
		ts.Config.ErrorLog = log.New(io.Discard, "", 0)
		if ts.TLS = config; config != nil {
			ts.StartTLS()
		} else {
			ts.Start()
		}
		t.Cleanup(ts.Close)
		return ts
	}
	late := func(ts *httptest.Server) *http.Client {
		config := ts.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		config.Time = func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }
		return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	}
	plain, secure := start(nil), start(&tls.Config{})
	certified := start(&tls.Config{ClientAuth: tls.RequireAnyClientCert})
	old := start(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	for name, test := range map[string]struct {
		url    string
		client *http.Client
		want   string
	}{
		"https to http":      {strings.Replace(plain.URL, "http:", "https:", 1), nil, "should begin with http://"},
		"http to https":      {strings.Replace(secure.URL, "https:", "http:", 1), nil, "should begin with https://"},
		"http to an alert":   {"http://" + raw(t, "\x15\x03\x01\x00\x02\x02\x46"), nil, "should begin with https://"},
		"https to no https":  {"https://" + raw(t, "SSH-2.0-x\r\n"), nil, "is the port"},
		"unknown authority":  {secure.URL, &http.Client{}, "isn't trusted here"},
		"another name":       {strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), secure.Client(), "certificate is for"},
		"expired":            {secure.URL, late(secure), "the clock"},
		"client certificate": {certified.URL, certified.Client(), "client certificate"},
		"old TLS":            {old.URL, old.Client(), "refuses the connection"},
	} {
		var sent atomic.Int32
		next := http.RoundTripper(&http.Transport{})
		if test.client != nil && test.client.Transport != nil {
			next = test.client.Transport
		}
		client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithBaseURL(test.url), packagecloud.WithHTTPClient(&http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				sent.Add(1)
				return next.RoundTrip(r)
			}),
		}))
		_, err := client.Repository("acme", "main").Info(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.url[strings.Index(test.url, ":")+3:]) && name != "http to https" {
			t.Errorf("%s: the error is %v; want %q in it", name, err, test.want)
		}
		if sent.Load() != 1 {
			t.Errorf("%s: %d requests; want 1", name, sent.Load())
		}
		if _, err := client.CreateRepository(t.Context(), "new", nil); err == nil || errors.Is(err, packagecloud.ErrUnknownOutcome) {
			t.Errorf("%s: nothing can have been done, but the error is %v", name, err)
		}
	}
}

func TestClient_AlertOfTheMomentIsRetried(t *testing.T) {
	var sent atomic.Int32
	client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithBaseURL("https://"+raw(t, "\x15\x03\x01\x00\x02\x02\x50")), // internal error
		packagecloud.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			sent.Add(1)
			return (&http.Transport{}).RoundTrip(r)
		})}))
	if _, err := client.Repository("acme", "main").Info(t.Context()); err == nil || sent.Load() != 5 {
		t.Errorf("%d requests, %v; want 5", sent.Load(), err)
	}
}

func TestClient_ServerThatIsDown(t *testing.T) {
	ts := httptest.NewServer(nil)
	ts.Close()
	c := newCanary(t, fakeToken)
	client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithBaseURL(ts.URL), packagecloud.WithLogger(c.logger()))
	_, err := client.CreateRepository(t.Context(), "new", nil)
	if err == nil || errors.Is(err, packagecloud.ErrUnknownOutcome) {
		t.Errorf("nothing was sent, but the error is %v", err)
	}
	c.clean(t, err)
	if n := strings.Count(c.text(), "packagecloud retry"); n != 4 {
		t.Errorf("%d retries; want 4", n)
	}
}

func TestClient_WorksOverTLS(t *testing.T) {
	f := setupServer(t, &packagecloudtest.Options{TLS: true}, nil)
	pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, make([]byte, 2<<20)), jammy)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.repo.Download(t.Context(), pkg, io.Discard, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.requests("") {
		if r.Leak != "" {
			t.Errorf("%s %s: %s", r.Method, r.Path, r.Leak)
		}
	}
}

func TestClient_NamesThatCannotBeAreRefusedBeforeAnythingIsSent(t *testing.T) {
	f := setup(t)
	for _, repo := range []*packagecloud.Repository{
		f.client.Repository("", "main"), f.client.Repository("acme", ""), f.client.Repository("..", "main"),
		f.client.Repository("acme/main", "x"), f.client.Repository("acme", "a/b"), f.client.Repository("acme", "a\r\nb"),
		f.client.Repository("acme", strings.Repeat("x", 2000)),
	} {
		_, err := repo.Info(t.Context())
		if err == nil {
			t.Errorf("%q was accepted", repo)
		}
		for _, err := range repo.Packages(t.Context(), nil) {
			if err == nil {
				t.Errorf("%q was listed", repo)
			}
		}
	}
	if len(f.requests("")) != 0 {
		t.Errorf("requests were sent: %+v", f.requests(""))
	}
}

func TestClient_SaysWhoItIs(t *testing.T) {
	f := setup(t, packagecloud.WithApplication("myapp/1.2"))
	f.repo.Info(t.Context())
	if agent := f.requests("")[0].UserAgent; !strings.HasPrefix(agent, "myapp/1.2 packagecloud-go/") {
		t.Errorf("the User-Agent is %q", agent)
	}
}

// Guarantee A4.
func TestClient_RetryPolicySaysHowOftenARequestIsTried(t *testing.T) {
	for _, policy := range []packagecloud.RetryPolicy{
		{Tries: 1},
		{Tries: 3, MinPause: time.Millisecond},
		{MinPause: time.Millisecond},
	} {
		requests := 0
		_, client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			requests++
			w.WriteHeader(http.StatusServiceUnavailable)
		}, packagecloud.WithRetry(policy))
		_, err := client.Repository("acme", "main").Info(t.Context())
		if want := cmp.Or(policy.Tries, 5); requests != want || err == nil {
			t.Errorf("%+v: %d requests, %v; want %d and an error", policy, requests, err, want)
		}
	}
	if _, err := packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithRetry(packagecloud.RetryPolicy{Tries: -1})); err == nil {
		t.Error("a negative number of tries was taken")
	}
}
