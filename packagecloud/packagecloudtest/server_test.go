package packagecloudtest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

func TestServer_BothHostsHaveATrustedCertificate(t *testing.T) {
	s := start(t, &packagecloudtest.Options{TLS: true})
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.CertPEM()) {
		t.Fatal("CertPEM holds no certificate")
	}
	if err := s.AddPackage("main", "anyfile", "a-1.0.bin", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(s.URL + "/acme/main/packages/anyfile/a-1.0.bin/download")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "hello" || resp.Request.URL.Hostname() != "localhost" {
		t.Errorf("%q from %s, %v", b, resp.Request.URL.Hostname(), err)
	}
	if _, err := http.Get(s.URL + "/"); err == nil {
		t.Error("a client that doesn't know the authority should refuse")
	}
}

func TestServer_CloseRemovesTheSpool(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := start(t, nil)
	if err := s.AddPackage("main", "anyfile", "a-1.0.bin", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(filepath.Join(os.TempDir(), "*", "*")); len(found) != 1 {
		t.Errorf("spooled: %v", found)
	}
	s.Close()
	s.Close()
	if found, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(found) != 0 {
		t.Errorf("left behind: %v", found)
	}
}

func TestServer_RefusedAndDeletedPackagesLeaveNoFile(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := start(t, nil)
	upload(t, s, "main", anyfile, "a-1.0.bin", []byte("x")).want(t, 201, "")
	upload(t, s, "main", anyfile, "a-1.0.bin", []byte("x")).want(t, 422, "")
	upload(t, s, "main", "99999", "a-1.0.bin", []byte("x")).want(t, 422, "")
	do(t, s, "DELETE", "/api/v1/repos/acme/main/anyfile/1/a-1.0.bin", "", "").want(t, 200, "")
	contentType, body := multipartForm(t, "package[package_file]", "a-1.0.bin\x00"+strings.Repeat("x", 100_000))
	do(t, s, "POST", "/api/v1/repos/acme/main/packages.json", contentType, string(body[:50_000])).want(t, 400, "")
	if found, _ := filepath.Glob(filepath.Join(os.TempDir(), "*", "*")); len(found) != 0 {
		t.Errorf("left behind: %v", found)
	}
}

// TestServer_ABigUploadTakesLittleMemory streams 64 MiB both ways.
func TestServer_ABigUploadTakesLittleMemory(t *testing.T) {
	s := start(t, nil)
	const size = 64 << 20
	pr, pw := io.Pipe()
	form := multipart.NewWriter(pw)
	go func() {
		err := form.WriteField("package[distro_version_id]", anyfile)
		var part io.Writer
		if err == nil {
			part, err = form.CreateFormFile("package[package_file]", "big-1.0.bin")
		}
		if err == nil {
			_, err = io.CopyN(part, zeros{}, size)
		}
		if err == nil {
			err = form.Close()
		}
		pw.CloseWithError(err)
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := send(t, s, newRequest(t, s, "POST", "/api/v1/repos/acme/main/packages.json", form.FormDataContentType(), pr))
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	fields(t, "big", r.want(t, 201, "").object(t), map[string]any{"size": fmt.Sprint(size)})
	if used := after.TotalAlloc - before.TotalAlloc; used > size/4 {
		t.Errorf("%d bytes were allocated for an upload of %d", used, size)
	}
	resp, err := s.Client().Get(s.URL + "/acme/main/packages/anyfile/big-1.0.bin/download")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size {
		t.Errorf("%d bytes came back, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestStart_SaysWhatIsWrong(t *testing.T) {
	s := start(t, nil)
	for _, test := range []struct {
		opts *packagecloudtest.Options
		addr string
	}{{nil, strings.TrimPrefix(s.URL, "http://")}, {nil, "nonsense"}, {&packagecloudtest.Options{Owner: "a/b"}, "127.0.0.1:0"}, {&packagecloudtest.Options{PageSize: -1}, "127.0.0.1:0"}} {
		if other, err := packagecloudtest.Start(test.opts, test.addr); err == nil {
			other.Close()
			t.Errorf("Start(%+v, %q) succeeded", test.opts, test.addr)
		}
	}
	other, err := packagecloudtest.Start(nil, "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if !strings.HasPrefix(other.URL, "http://127.0.0.1:") {
		t.Errorf("URL %s", other.URL)
	}
}

func TestControl(t *testing.T) {
	s := start(t, &packagecloudtest.Options{Control: true})
	base := "/_packagecloudtest"
	call := func(method, path, body string) response {
		req := newRequest(t, s, method, base+path, "application/json", strings.NewReader(body))
		req.Header.Del("Authorization")
		r, err := send(t, s, req)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	id := call("POST", "/faults", `{"path":"/api/v1/repos.json","times":-1,"status":503,"header":{"Retry-After":["1"]},"delay":"1ms"}`).want(t, 201, "").object(t)["id"]
	if r := get(t, s, repos).want(t, 503, ""); r.header.Get("Retry-After") != "1" {
		t.Errorf("%v", r.header)
	}
	call("DELETE", "/faults/"+jsonText(id), "").want(t, 204, "")
	call("DELETE", "/faults/"+jsonText(id), "").want(t, 404, "")
	call("POST", "/faults", `{"status":500,"times":-1}`).want(t, 201, "")
	call("DELETE", "/faults", "").want(t, 204, "")
	get(t, s, repos).want(t, 200, "")
	every := `{"method":"GET","path":"/none","host":"api","skip":1,"times":1,"every":1,"status":500,"body":"x","content_type":"text/html","header":{},"delay":"1s",
		"reset":true,"reset_after":1,"read_body":true,"close_after_answer":true,"lose_answer":true,"cut_after":1,"stall_after":1,"flip_byte":1,"then":"revoke"}`
	call("POST", "/faults", every).want(t, 201, "")
	for _, bad := range []string{"", "[]", `{"nonsense":1}`, `{"delay":"soon"}`, `{"then":"explode"}`, `{"path":"[a"}`, `{"status":99}`} {
		if r := call("POST", "/faults", bad).want(t, 400, ""); r.object(t)["error"] == "" {
			t.Errorf("%s: %s", bad, r.body)
		}
	}

	old := s.Token()
	call("GET", "/token", "").want(t, 200, fmt.Sprintf(`{"token":%q}`, old))
	call("POST", "/token/rotate", "").want(t, 200, fmt.Sprintf(`{"token":%q}`, s.Token()))
	if s.Token() == old {
		t.Error("the token was not rotated")
	}
	call("POST", "/token/revoke", fmt.Sprintf(`{"token":%q}`, s.Token())).want(t, 204, "")
	get(t, s, repos).want(t, 401, "")
	call("POST", "/token/rotate", "")
	call("POST", "/faults", `{"then":"rotate"}`).want(t, 201, "")
	get(t, s, repos).want(t, 401, "")

	call("POST", "/repositories", `{"name":"fresh","private":true}`).want(t, 201, `{"name":"acme/fresh"}`)
	call("POST", "/repositories", `{"name":"fresh"}`).want(t, 422, "")
	token := call("POST", "/read_tokens", `{"repository":"fresh","name":"x"}`).want(t, 201, "").object(t)["token"]
	if token != s.CreateReadToken("fresh", "x") {
		t.Errorf("read token %v", token)
	}
	call("POST", "/read_tokens", `{"repository":"none","name":"x"}`).want(t, 400, "")
	upload(t, s, "fresh", anyfile, "a-1.0.bin", []byte("x")).want(t, 201, "")
	var packages []packagecloudtest.Package
	if err := json.Unmarshal([]byte(call("GET", "/packages?repository=fresh", "").body), &packages); err != nil || len(packages) != 1 || packages[0].Filename != "a-1.0.bin" {
		t.Errorf("%+v, %v", packages, err)
	}
	call("GET", "/packages?repository=none", "").want(t, 404, "")
	var log []packagecloudtest.Request
	if err := json.Unmarshal([]byte(call("GET", "/requests", "").body), &log); err != nil || len(log) != len(s.Requests()) || log[len(log)-1].Status != 201 {
		t.Errorf("%+v, %v", log, err)
	}
	call("DELETE", "/requests", "").want(t, 204, "")
	target := get(t, s, "/acme/fresh/packages/anyfile/a-1.0.bin/download").want(t, 302, "").header.Get("Location")
	anonymous(t, s, "GET", target, "").want(t, 200, "x")
	call("POST", "/downloads/expire", "").want(t, 204, "")
	anonymous(t, s, "GET", target, "").want(t, 403, "")
	target = get(t, s, "/acme/fresh/packages/anyfile/a-1.0.bin/download").want(t, 302, "").header.Get("Location")
	call("POST", "/faults", `{"host":"download","then":"expire"}`).want(t, 201, "")
	anonymous(t, s, "GET", target, "").want(t, 403, "")
	call("POST", "/plan", `{"payment_required":true}`).want(t, 204, "")
	upload(t, s, "fresh", anyfile, "a-2.0.bin", []byte("x")).want(t, 402, "")
	call("GET", "/nonsense", "").want(t, 404, "")
}

func TestControl_IsClosedUnlessAskedFor(t *testing.T) {
	s := start(t, nil)
	get(t, s, "/_packagecloudtest/token").want(t, 404, "")
}
