package packagecloud_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

// ownSource is a source of a user's, which returns errors of its own.
type ownSource struct{ err error }

func (s ownSource) Token(context.Context) (tokensource.Token, error) {
	return tokensource.Token{}, s.err
}

// Guarantee A3.
func TestClient_WithholdsTheTextOfAUsersSource(t *testing.T) {
	own := errors.New("GET https://store.example.com/?token=canary failed")
	client, err := packagecloud.New(ownSource{own})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Distributions(t.Context())
	if err == nil || strings.Contains(err.Error(), "canary") || !errors.Is(err, own) {
		t.Errorf("the error is %v", err)
	}
}

// Guarantee A3.
func TestClient_StrikesTheTokenThoughARoundTripperHidesTheRequest(t *testing.T) {
	_, client, _ := serve(t, nil, packagecloud.WithHTTPClient(&http.Client{
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			user, _, _ := r.BasicAuth()
			return &http.Response{StatusCode: 422, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"token":"` + user + ` is wrong"}`))}, nil
		}),
	}))
	_, err := client.Distributions(t.Context())
	if err == nil || strings.Contains(err.Error(), fakeToken) || !strings.Contains(err.Error(), "[redacted]") {
		t.Errorf("the error is %v", err)
	}
}

// Guarantee U3.
func TestDelete_RefusesThePackageOfAnotherRepository(t *testing.T) {
	f := setup(t)
	f.srv.CreateRepository("other", false)
	f.add(t, "ubuntu/jammy", demo, []byte("content"))
	pkg, err := f.repo.Find(t.Context(), "ubuntu/jammy", demo)
	if err != nil {
		t.Fatal(err)
	}
	other := f.client.Repository("acme", "other")
	if err := other.Delete(t.Context(), pkg); err == nil || !strings.Contains(err.Error(), "acme/main") {
		t.Errorf("deleting it gave %v", err)
	}
	if _, err := other.Promote(t.Context(), pkg, f.client.Repository("acme", "third")); err == nil {
		t.Error("promoting it succeeded")
	}
	f.stored(t, 1)
}

// Guarantee U2.
func TestUpload_SuccessWithoutAPackageIsLookedUp(t *testing.T) {
	for _, body := range []string{`{}`, `null`, `{"error":"disk full"}`} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "distributions.json"):
				io.WriteString(w, `{"anyfile":[{"index_name":"anyfile","versions":[{"id":230,"index_name":"1"}]}]}`)
			case r.Method == http.MethodGet:
				io.WriteString(w, "[]")
			default:
				io.Copy(io.Discard, r.Body)
				io.WriteString(w, body)
			}
		})
		packagecloud.SetTiming(client, time.Minute, time.Millisecond)
		_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes("x-1.bin", []byte("x")), &packagecloud.UploadOptions{Type: "anyfile"})
		if err == nil {
			t.Errorf("%s was taken for a success", body)
		}
	}
}

// Guarantee A3.
func TestInfo_WhatIsNoRepositoryIsAnError(t *testing.T) {
	for body, ok := range map[string]bool{`{}`: false, `null`: false, `{"status":"ok"}`: false, `{"filename":"x"}`: false, `{"name":"main"}`: true, `{"path":"/acme/main"}`: true} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		info, err := client.Repository("acme", "main").Info(t.Context())
		if (err == nil) != ok || ok && info.FullName != "acme/main" || !ok && !strings.Contains(err.Error(), "is the base URL right?") {
			t.Errorf("%s: %+v, %v", body, info, err)
		}
	}
}

// Guarantee L1.
func TestPackages_WhatIsNoListIsAnError(t *testing.T) {
	for _, body := range []string{`null`, `{}`, `{"error":"x"}`, `""`} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		var last error
		for _, err := range client.Repository("acme", "main").Packages(t.Context(), nil) {
			last = err
		}
		if last == nil {
			t.Errorf("%s was taken for an empty list", body)
		}
	}
}

// Guarantee A4.
func TestUpload_EndsWithItsContextThoughTheReaderBlocks(t *testing.T) {
	f := setup(t)
	reader, writer := io.Pipe()
	defer writer.Close()
	go writer.Write([]byte("the beginning"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan error)
	go func() {
		_, err := f.repo.Upload(ctx, packagecloud.Reader(demo, reader, 1000), jammy)
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for the reader")
	}
	f.stored(t, 0)
}

// Guarantee A5.
func TestRepositories_OddURLsAreNone(t *testing.T) {
	for _, urls := range []string{`"N/A"`, `[]`, `null`, `{"install_script":3}`} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `[{"name":"main","urls":`+urls+`}]`) })
		for info, err := range client.Repositories(t.Context(), nil) {
			if err != nil || info.Name != "main" {
				t.Errorf("%s: %v, %v", urls, info, err)
			}
		}
	}
}

// The same bytes under another name are another package, where the server keeps
// the names.
//
// Guarantee U3.
func TestUpload_SameBytesUnderAnotherNameAreNotIt(t *testing.T) {
	for _, what := range []packagecloud.IfExists{packagecloud.Fail, packagecloud.Skip, packagecloud.Replace} {
		f := setup(t)
		for name, content := range map[string]string{"a-1.txt": "the same", "b-1.txt": "other"} {
			if err := f.srv.AddPackage("main", "anyfile", name, []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		// The place of b-1.txt is taken, but its package isn't listed.
		f.srv.Inject(packagecloudtest.Fault{Path: "/api/v1/repos/*/*/search.json", Times: 1, Status: 200, Body: "[]"})
		if what == packagecloud.Fail {
			f.srv.Inject(packagecloudtest.Fault{Method: "POST", Status: 502})
		}
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes("b-1.txt", []byte("the same")), &packagecloud.UploadOptions{Type: "anyfile", IfExists: what})
		if !errors.Is(err, packagecloud.ErrExists) || len(f.requests("DELETE")) != 0 {
			t.Errorf("%d: %v", what, err)
		}
		f.stored(t, 2)
	}
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

// Guarantee U2.
func TestUpload_GatewaysRefusalAfterTheWorkIsLookedUp(t *testing.T) {
	transport := &faulty{post: func(n int, r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || n > 1 {
			return resp, err
		}
		resp.Body.Close()
		late := reply(r, 503, "")
		late.Header.Set("Retry-After", "1")
		return late, nil
	}}
	transport.storesOnce(t)
}

// Guarantee U2.
func TestUpload_LostTryIsFoundThoughLaterOnesBreakOff(t *testing.T) {
	searches := 0
	transport := &faulty{
		post: func(n int, r *http.Request) (*http.Response, error) {
			if n == 1 { // stored, and the answer lost
				resp, err := http.DefaultTransport.RoundTrip(r)
				if err == nil {
					resp.Body.Close()
				}
				return nil, errors.New("connection reset")
			}
			io.CopyN(io.Discard, r.Body, 10)
			r.Body.Close()
			return nil, errors.New("connection reset")
		},
		get: func(r *http.Request) *http.Response {
			if !strings.Contains(r.URL.Path, "/search") {
				return nil
			}
			if searches++; searches > 2 {
				return nil
			}
			return reply(r, 200, "[]") // not listed yet
		},
	}
	f := setup(t, packagecloud.WithHTTPClient(&http.Client{Transport: transport}))
	packagecloud.SetTiming(f.client, time.Minute, time.Millisecond, 0)
	if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("content")), jammy); err != nil {
		t.Error(err)
	}
	if transport.posts < 2 {
		t.Error("no later try broke off")
	}
	f.stored(t, 1)
}

// reset reads the beginning of a body and breaks the connection.
func reset(body io.ReadCloser) error {
	io.CopyN(io.Discard, body, 10)
	body.Close()
	return errors.New("connection reset")
}

// Guarantee U2.
func TestUpload_LostTryIsFoundThoughARoundTripperBreaksOffItsOwnRetry(t *testing.T) {
	transport := &faulty{post: func(n int, r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || n > 1 {
			return resp, err
		}
		resp.Body.Close()
		for range 2 {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			reset(body)
		}
		return nil, errors.New("connection reset")
	}}
	transport.storesOnce(t)
}

// A try that was refused is not lost, though it went out whole.
//
// Guarantee U2.
func TestUpload_TryThatBreaksOffAfterARefusalIsSentAgain(t *testing.T) {
	for _, status := range []int{401, 425, 429} {
		searches := 0
		transport := &faulty{
			post: func(n int, r *http.Request) (*http.Response, error) {
				switch n {
				case 1:
					io.Copy(io.Discard, r.Body)
					resp := reply(r, status, "{}")
					resp.Header.Set("Retry-After", "0")
					return resp, nil
				case 2:
					return nil, reset(r.Body)
				}
				io.Copy(io.Discard, r.Body)
				return reply(r, 201, `{"filename":"x"}`), nil
			},
			get: func(r *http.Request) *http.Response {
				if strings.Contains(r.URL.Path, "/search") {
					searches++
				}
				return empty(r)
			},
		}
		tokens := 0
		client := newClient(t, source(func() string { tokens++; return fmt.Sprint("token", tokens) }), packagecloud.WithHTTPClient(&http.Client{Transport: transport}))
		_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(demo, []byte("content")), jammy)
		if err != nil || transport.posts != 3 || searches != 1 {
			t.Errorf("%d: sent %d times and looked up %d times; want 3 and 1: %v", status, transport.posts, searches, err)
		}
	}
}

// A connection that is out of step gives an upload the answer of another request.
//
// Guarantee U2.
func TestUpload_SuccessOfAnotherRequestIsNotBelieved(t *testing.T) {
	const content = "content"
	for name, test := range map[string]struct {
		answer string
		early  bool
		ok     bool
	}{
		"before the body":                {`{"filename":"` + demo + `"}`, true, false},
		"a page's":                       {`{"name":"portal","message":"please log in"}`, false, false},
		"another package's, by its size": {`{"filename":"other-9.asc","size":"999"}`, false, false},
		"another package's, by its sum":  {`{"filename":"other-9.asc","size":"7","sha256sum":"` + strings.Repeat("0", 64) + `"}`, false, false},
		"renamed":                        {fmt.Sprintf(`{"filename":"other-9.asc","size":"7","sha256sum":"%x"}`, sha256.Sum256([]byte(content))), false, true},
	} {
		transport := &faulty{
			post: func(n int, r *http.Request) (*http.Response, error) {
				if !test.early {
					io.Copy(io.Discard, r.Body)
				}
				return reply(r, 201, test.answer), nil
			},
			get: empty,
		}
		client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithHTTPClient(&http.Client{Transport: transport}))
		_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(demo, []byte(content)), jammy)
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
		if unknown := errors.Is(err, packagecloud.ErrUnknownOutcome); unknown != (!test.ok && !test.early) {
			t.Errorf("%s: the outcome is unknown: %v", name, err)
		}
	}
}

func TestDownload_CutAfterTheLastByteIsVerified(t *testing.T) {
	content := strings.Repeat("x", 1000)
	sum := sha256.Sum256([]byte(content))
	asked := 0
	_, client, srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("ETag", `"strong"`)
		switch {
		case r.Header.Get("Range") != "":
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		case asked == 1:
			io.WriteString(w, content)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			io.WriteString(w, content)
		}
	})
	packagecloud.SetTiming(client, time.Minute, time.Millisecond)
	address, err := packagecloud.NewSecretURL(srv.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	pkg := &packagecloud.Package{Filename: "x", SHA256: hex.EncodeToString(sum[:]), DownloadURL: address}
	if err := client.Repository("acme", "main").Download(t.Context(), pkg, &got); err != nil || got.String() != content {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
}
