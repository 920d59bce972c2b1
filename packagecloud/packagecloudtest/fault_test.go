package packagecloudtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	pt "github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

const repos = "/api/v1/repos.json"

// statuses sends n requests and returns their statuses.
func statuses(t *testing.T, s *packagecloudtest.Server, n int, path string) []int {
	t.Helper()
	var out []int
	for range n {
		out = append(out, get(t, s, path).status)
	}
	return out
}

func count(list []int, want int) (n int) {
	for _, v := range list {
		if v == want {
			n++
		}
	}
	return n
}

func TestFault_WhichRequests(t *testing.T) {
	s := start(t, nil)
	for _, test := range []struct {
		what  string
		fault packagecloudtest.Fault
		want  []int
	}{
		{"once", packagecloudtest.Fault{}, []int{503, 200, 200, 200, 200, 200}},
		{"twice after one", packagecloudtest.Fault{Skip: 1, Times: 2}, []int{200, 503, 503, 200, 200, 200}},
		{"for ever", packagecloudtest.Fault{Times: -1}, []int{503, 503, 503, 503, 503, 503}},
		{"every third", packagecloudtest.Fault{Times: -1, Every: 3}, []int{200, 200, 503, 200, 200, 503}},
		{"path", packagecloudtest.Fault{Path: "/api/v1/repos*", Times: -1}, []int{503, 503, 503, 503, 503, 503}},
		{"deep path", packagecloudtest.Fault{Path: "/api/**/*.json", Times: 1}, []int{503, 200, 200, 200, 200, 200}},
		{"other path", packagecloudtest.Fault{Path: "/api/v1/repos/*", Times: -1}, []int{200, 200, 200, 200, 200, 200}},
		{"star stops at a slash", packagecloudtest.Fault{Path: "/api/*", Times: -1}, []int{200, 200, 200, 200, 200, 200}},
		{"other method", packagecloudtest.Fault{Method: "POST", Times: -1}, []int{200, 200, 200, 200, 200, 200}},
		{"other host", packagecloudtest.Fault{Host: packagecloudtest.HostDownload, Times: -1}, []int{200, 200, 200, 200, 200, 200}},
	} {
		test.fault.Status = 503
		remove := s.Inject(test.fault)
		for i, status := range statuses(t, s, len(test.want), repos) {
			if status != test.want[i] {
				t.Errorf("%s: request %d got %d", test.what, i, status)
			}
		}
		remove()
		if n := count(statuses(t, s, 3, repos), 200); n != 3 {
			t.Errorf("%s: still acts after its removal", test.what)
		}
	}
}

func TestFault_BadPatternPanics(t *testing.T) {
	s := start(t, nil)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	s.Inject(packagecloudtest.Fault{Path: "/[a"})
}

func TestFault_AnswersInTheServicesShapes(t *testing.T) {
	s := start(t, nil)
	for _, test := range []struct {
		status      int
		body, media string
	}{
		{401, `{"error":"Unauthenticated"}`, "application/json; charset=utf-8"},
		{402, `{"error":["payment required"]}`, "application/json; charset=utf-8"},
		{404, `{"error":"not_found"}`, "application/json; charset=utf-8"},
		{422, `{"filename":["has already been taken"]}`, "application/json; charset=utf-8"},
		{429, "Bandwidth or Storage Limit Exceeded", "text/html"},
		{502, "", "text/html; charset=utf-8"},
	} {
		s.Inject(packagecloudtest.Fault{Status: test.status, Header: http.Header{"retry-after": {"7"}}})
		r := get(t, s, repos).want(t, test.status, test.body)
		if r.header.Get("Content-Type") != test.media || r.header.Get("Retry-After") != "7" {
			t.Errorf("%d: %v", test.status, r.header)
		}
		if test.status == 502 && !strings.Contains(r.body, "<html>") {
			t.Errorf("502: %q", r.body)
		}
	}
	s.Inject(packagecloudtest.Fault{Status: 500, ContentType: "text/plain"})
	if r := get(t, s, repos).want(t, 500, ""); r.body != "" {
		t.Errorf("an empty body was asked for: %q", r.body)
	}
	s.Inject(packagecloudtest.Fault{Status: 200, Body: `{"error":"not_found"}`, ContentType: "application/json"})
	get(t, s, "/api/v1/repos/acme/main.json").want(t, 200, `{"error":"not_found"}`)
}

func TestFault_LoseAnswerDoesTheWork(t *testing.T) {
	for _, useTLS := range []bool{false, true} {
		s := start(t, &packagecloudtest.Options{TLS: useTLS})
		s.Inject(packagecloudtest.Fault{Method: "POST", Path: "/api/v1/repos/*/*/packages.json", LoseAnswer: true})
		contentType, body := multipartForm(t, "package[distro_version_id]", jammy, "package[package_file]", "x\x00"+string(pt.Deb("a", "1", "all")))
		_, err := send(t, s, newRequest(t, s, "POST", "/api/v1/repos/acme/main/packages.json", contentType, strings.NewReader(string(body))))
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("TLS %v: got %v, want a reset", useTLS, err)
		}
		if n := len(s.Packages("main")); n != 1 {
			t.Errorf("%d packages stored", n)
		}
	}
}

func TestFault_ReadBodyAnswersAfterTheWholeOfIt(t *testing.T) {
	s := start(t, nil)
	const size = 1 << 20
	for _, readBody := range []bool{false, true} {
		s.Inject(packagecloudtest.Fault{Status: 500, ReadBody: readBody})
		r, err := send(t, s, newRequest(t, s, "POST", "/api/v1/repos/acme/main/packages.json", "", strings.NewReader(strings.Repeat("x", size))))
		if readBody && (err != nil || r.status != 500) {
			t.Errorf("got %+v, %v", r, err)
		}
		if got := last(t, s); got.Status != 500 || (got.BodyBytes == size) != readBody {
			t.Errorf("ReadBody %v: %+v", readBody, got)
		}
	}
}

func TestFault_ResetInTheMiddleOfAnUpload(t *testing.T) {
	s := start(t, nil)
	contentType, body := multipartForm(t, "package[distro_version_id]", anyfile, "package[package_file]", "a-1.0.bin\x00"+strings.Repeat("x", 8<<20))
	s.Inject(packagecloudtest.Fault{Method: "POST", ResetAfter: 1 << 20})
	_, err := send(t, s, newRequest(t, s, "POST", "/api/v1/repos/acme/main/packages.json", contentType, strings.NewReader(string(body))))
	if err == nil {
		t.Error("no error")
	}
	if r := last(t, s); r.BodyBytes != 1<<20 || r.Status != 0 || len(s.Packages("main")) != 0 {
		t.Errorf("%+v", r)
	}
	s.Inject(packagecloudtest.Fault{Reset: true})
	if _, err := send(t, s, newRequest(t, s, "GET", repos, "", nil)); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("Reset: %v", err)
	}
}

func TestFault_CloseAfterAnswerReadsNoBody(t *testing.T) {
	s := start(t, nil)
	s.Inject(packagecloudtest.Fault{Method: "POST", Status: 401, CloseAfterAnswer: true})
	pr, pw := io.Pipe()
	defer pw.Close()
	r, err := send(t, s, newRequest(t, s, "POST", "/api/v1/repos/acme/main/packages.json", "multipart/form-data; boundary=x", pr))
	if err != nil {
		t.Fatal(err)
	}
	r.want(t, 401, `{"error":"Unauthenticated"}`)
	if n := last(t, s).BodyBytes; n != 0 {
		t.Errorf("%d bytes were read", n)
	}
	get(t, s, repos).want(t, 200, "")
}

func TestFault_BentBodies(t *testing.T) {
	s := start(t, nil)
	content := strings.Repeat("0123456789", 100_000)
	if err := s.AddPackage("main", "anyfile", "a-1.0.bin", []byte(content)); err != nil {
		t.Fatal(err)
	}
	target := anonymous(t, s, "GET", "/acme/main/packages/anyfile/a-1.0.bin/download", "").header.Get("Location")
	read := func(ctx context.Context) (string, error) {
		req, err := http.NewRequestWithContext(ctx, "GET", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	for _, n := range []int64{1, 4095, 777_777} {
		s.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostDownload, CutAfter: n})
		if got, err := read(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) || got != content[:n] {
			t.Errorf("CutAfter %d: %d bytes, %v", n, len(got), err)
		}
	}
	s.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostDownload, CutAfter: -1})
	if got, err := read(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) || got != "" {
		t.Errorf("CutAfter -1: %d bytes, %v", len(got), err)
	}
	offset := int64(54321)
	s.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostDownload, FlipByte: &offset})
	got, err := read(t.Context())
	if err != nil || len(got) != len(content) || got[:offset] != content[:offset] || got[offset] == content[offset] || got[offset+1:] != content[offset+1:] {
		t.Errorf("FlipByte: %d bytes, %v", len(got), err)
	}

	s.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostDownload, StallAfter: 1000})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if got, err := read(ctx); !errors.Is(err, context.DeadlineExceeded) || got != content[:1000] {
		t.Errorf("StallAfter: %d bytes, %v", len(got), err)
	}
}

func TestFault_AStalledAnswerHoldsUpNobodyAndEndsWithTheServer(t *testing.T) {
	s := start(t, nil)
	s.Inject(packagecloudtest.Fault{Path: "/api/v1/repos.json", StallAfter: 1})
	stalled := make(chan error, 1)
	go func() {
		_, err := send(t, s, newRequest(t, s, "GET", repos, "", nil))
		stalled <- err
	}()
	eventually(t, "the stall begins", func() bool { return len(s.Requests()) > 0 && last(t, s).Status == 200 })
	get(t, s, "/api/v1/repos/acme/main").want(t, 200, "")
	s.Close()
	if err := <-stalled; err == nil {
		t.Error("the stalled answer should have been cut")
	}
}

func TestFault_DelayEndsWithTheServer(t *testing.T) {
	s := start(t, nil)
	s.Inject(packagecloudtest.Fault{Delay: time.Hour})
	done := make(chan error, 1)
	go func() {
		_, err := send(t, s, newRequest(t, s, "GET", repos, "", nil))
		done <- err
	}()
	eventually(t, "the request arrives", func() bool { return len(s.Requests()) > 0 })
	s.Close()
	if err := <-done; err == nil {
		t.Error("the delayed request should have failed")
	}
}

func TestFault_ThenRevokesInMidFlight(t *testing.T) {
	s := start(t, nil)
	old := s.Token()
	s.Inject(packagecloudtest.Fault{Skip: 1, Then: func(s *packagecloudtest.Server) { s.RotateToken() }})
	for i, want := range []int{200, 401, 401} {
		if r := anonymous(t, s, "GET", repos, old); r.status != want {
			t.Errorf("request %d: %d, want %d", i, r.status, want)
		}
	}
	get(t, s, repos).want(t, 200, "")
}

func TestFault_ClearFaults(t *testing.T) {
	s := start(t, nil)
	s.Inject(packagecloudtest.Fault{Status: 500, Times: -1})
	s.ClearFaults()
	get(t, s, repos).want(t, 200, "")
}

func TestFault_LogNamesTheFaultThatActed(t *testing.T) {
	s := start(t, nil)
	s.Inject(packagecloudtest.Fault{Skip: 1, Status: 500})
	s.Inject(packagecloudtest.Fault{Skip: 1, Status: 502})
	statuses(t, s, 4, repos)
	var got []int
	for _, r := range s.Requests() {
		got = append(got, r.Fault)
	}
	if want := []int{0, 1, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("the faults are %v; want %v", got, want)
	}
}
