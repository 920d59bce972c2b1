package packagecloudtest_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	pt "github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// fetch follows a download to its end, and sends no token to the second host.
func fetch(t *testing.T, s *packagecloudtest.Server, target, token string) response {
	t.Helper()
	r := anonymous(t, s, "GET", target, token).want(t, 302, "")
	return anonymous(t, s, "GET", r.header.Get("Location"), "").want(t, 200, "")
}

func TestDownload_EveryTypeByTheURLInTheListing(t *testing.T) {
	for _, useTLS := range []bool{false, true} {
		s := start(t, &packagecloudtest.Options{TLS: useTLS})
		for _, repo := range []string{"main", "secret"} {
			uploadAll(t, s, repo)
			stored := map[string]packagecloudtest.Package{}
			for _, p := range s.Packages(repo) {
				stored[p.Type] = p
			}
			for typ, f := range byType(t, s, repo) {
				link, err := url.Parse(f["download_url"].(string))
				if err != nil {
					t.Fatal(err)
				}
				if (link.User != nil) != (repo == "secret") || !strings.HasPrefix(link.Scheme+"://"+link.Host, s.URL) {
					t.Errorf("%s: download_url %s", typ, link)
				}
				r := anonymous(t, s, "GET", link.String(), "").want(t, 302, "")
				target, err := url.Parse(r.header.Get("Location"))
				if err != nil || target.Host == link.Host || target.Hostname() != "localhost" || !strings.Contains(target.RawQuery, "Signature=") {
					t.Errorf("%s: Location %s", typ, target)
				}
				got := anonymous(t, s, "GET", target.String(), "").want(t, 200, "")
				if int64(len(got.body)) != stored[typ].Size || got.header.Get("ETag") != `"`+stored[typ].MD5+`"` {
					t.Errorf("%s: %d bytes, ETag %s", typ, len(got.body), got.header.Get("ETag"))
				}
			}
		}
	}
}

func TestDownload_PrivateNeedsAReadOrAPIToken(t *testing.T) {
	s := start(t, nil)
	s.CreateRepository("other", true)
	for _, repo := range []string{"main", "secret"} {
		if err := s.AddPackage(repo, "anyfile", "hello-1.0.txt", []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	path := "/acme/secret/packages/anyfile/hello-1.0.txt/download"
	read := s.CreateReadToken("secret", "laptop")
	for _, test := range []struct {
		what, token string
		status      int
		kind        string
	}{
		{"nothing", "", 401, "none"}, {"wrong", "wrong", 401, "unknown"}, {"API", s.Token(), 302, "api"}, {"read", read, 302, "read"},
		{"master", s.MasterToken("secret", "default"), 401, "master"}, {"another repository's", s.CreateReadToken("other", "x"), 401, "read"},
	} {
		if r := anonymous(t, s, "GET", path, test.token); r.status != test.status {
			t.Errorf("%s: %d %s", test.what, r.status, r.body)
		}
		if kind := last(t, s).Credential; kind != test.kind {
			t.Errorf("%s: logged as %s", test.what, kind)
		}
	}
	anonymous(t, s, "GET", "/priv/"+read+path, "").want(t, 302, "")
	if r := last(t, s); strings.Contains(r.Path, read) || r.Credential != "read" {
		t.Errorf("log: %+v", r)
	}
	fetch(t, s, "/acme/main/packages/anyfile/hello-1.0.txt/download", "")
	fetch(t, s, "/acme/main/packages/anyfile/hello-1.0.txt/download", "wrong")
	s.RevokeToken(read)
	anonymous(t, s, "GET", path, read).want(t, 401, `{"error":"Unauthenticated"}`)
}

func TestDownload_OtherSpellings(t *testing.T) {
	s := start(t, nil)
	uploadAll(t, s, "main")
	_, sources := pt.DSC("jake", "1.0-7")
	base := "/acme/main/packages"
	for _, path := range []string{
		"/ubuntu/jammy/jake_1.0-7_amd64.deb/download", "/ubuntu/jammy/jake_1.0-7_amd64.deb/download.deb",
		"/el/7/jake-1.0-1.el7.x86_64.rpm/download", "/python/packagecloud_test-0.9.7b1-py2.py3-none-any.whl/download",
		"/java/io.packagecloud/jake-2.3.jar/artifacts/jake-2.3.jar/download", "/java/jake-2.3.jar/artifacts/jake-2.3.jar/download",
	} {
		fetch(t, s, base+path, "")
	}
	if got := fetch(t, s, base+"/ubuntu/jammy/jake_1.0-7.dsc/files/"+sources[0].Name+"/download", ""); got.body != sources[0].Content {
		t.Error("the source file differs")
	}
	anonymous(t, s, "GET", base+"/ubuntu/noble/jake_1.0-7_amd64.deb/download", "").want(t, 404, "")
	anonymous(t, s, "GET", base+"/ubuntu/jammy/jake_1.0-7_amd64.deb/download?distro_version_id=1", "").want(t, 404, "")
	anonymous(t, s, "GET", base+"/node/test-pkg-1.3.1.tgz/download", "").want(t, 404, "")
	anonymous(t, s, "HEAD", base+"/ubuntu/jammy/jake_1.0-7_amd64.deb", "").want(t, 200, "")
	anonymous(t, s, "HEAD", base+"/ubuntu/jammy/nothing.deb", "").want(t, 404, "")
}

func TestDownload_RangeAndIfRange(t *testing.T) {
	s := start(t, nil)
	content := strings.Repeat("0123456789", 1000)
	if err := s.AddPackage("main", "anyfile", "a-1.0.bin", []byte(content)); err != nil {
		t.Fatal(err)
	}
	target := anonymous(t, s, "GET", "/acme/main/packages/anyfile/a-1.0.bin/download", "").header.Get("Location")
	etag := anonymous(t, s, "HEAD", target, "").want(t, 200, "").header.Get("ETag")
	if !strings.HasPrefix(etag, `"`) {
		t.Fatalf("ETag %s is not strong", etag)
	}
	for _, test := range []struct {
		ifRange string
		status  int
		length  int
	}{{"", 206, 2000}, {etag, 206, 2000}, {`"other"`, 200, 10000}} {
		req := newRequest(t, s, "GET", target, "", nil)
		req.Header.Del("Authorization")
		req.Header.Set("Range", "bytes=8000-")
		if test.ifRange != "" {
			req.Header.Set("If-Range", test.ifRange)
		}
		r, err := send(t, s, req)
		if err != nil || r.status != test.status || len(r.body) != test.length {
			t.Errorf("If-Range %q: %d, %d bytes, %v", test.ifRange, r.status, len(r.body), err)
		}
	}
}

func TestDownload_SignedURLsExpire(t *testing.T) {
	s := start(t, &packagecloudtest.Options{SignedURLTTL: time.Hour})
	if err := s.AddPackage("main", "anyfile", "a-1.0.bin", []byte("x")); err != nil {
		t.Fatal(err)
	}
	link := "/acme/main/packages/anyfile/a-1.0.bin/download"
	target := anonymous(t, s, "GET", link, "").header.Get("Location")
	anonymous(t, s, "GET", target, "").want(t, 200, "x")
	anonymous(t, s, "GET", strings.Replace(target, "Expires=1", "Expires=2", 1), "").want(t, 403, "")
	s.ExpireDownloads()
	anonymous(t, s, "GET", target, "").want(t, 403, "")
	fetch(t, s, link, "")

	short := start(t, &packagecloudtest.Options{SignedURLTTL: time.Millisecond})
	if err := short.AddPackage("main", "anyfile", "a-1.0.bin", []byte("x")); err != nil {
		t.Fatal(err)
	}
	target = anonymous(t, short, "GET", link, "").header.Get("Location")
	eventually(t, "the URL expires", func() bool { return anonymous(t, short, "GET", target, "").status == 403 })
}

func TestDownload_TheOtherHostRefusesCredentials(t *testing.T) {
	s := start(t, nil)
	if err := s.AddPackage("secret", "anyfile", "a-1.0.bin", []byte("x")); err != nil {
		t.Fatal(err)
	}
	read := s.CreateReadToken("secret", "r")
	target := anonymous(t, s, "GET", "/acme/secret/packages/anyfile/a-1.0.bin/download", read).header.Get("Location")
	for _, test := range []struct {
		what  string
		spoil func(*http.Request)
	}{
		{"Authorization header", func(r *http.Request) { r.SetBasicAuth("anything", "") }},
		{"Authorization header", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }},
		{"Cookie header", func(r *http.Request) { r.Header.Set("Cookie", "a=b") }},
		{"token in the Referer header", func(r *http.Request) { r.Header.Set("Referer", "https://"+read+":@x/") }},
		{"token in the X-Token header", func(r *http.Request) { r.Header.Set("X-Token", s.Token()) }},
		{"token in the URL", func(r *http.Request) { r.URL.RawQuery += "&token=" + s.Token() }},
	} {
		req := newRequest(t, s, "GET", target, "", nil)
		req.Header.Del("Authorization")
		test.spoil(req)
		r, err := send(t, s, req)
		if err != nil {
			t.Fatal(err)
		}
		if got := last(t, s); r.status != 400 || got.Leak != test.what || got.Host != packagecloudtest.HostDownload {
			t.Errorf("%s: %d, %+v", test.what, r.status, got)
		}
	}
	anonymous(t, s, "GET", target, "").want(t, 200, "x")
	if got := last(t, s); got.Leak != "" || got.Status != 200 {
		t.Errorf("%+v", got)
	}
}

func TestDownload_PlanLimits(t *testing.T) {
	s := start(t, nil)
	for _, repo := range []string{"main", "secret"} {
		if err := s.AddPackage(repo, "anyfile", "a-1.0.bin", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	public, private := "/acme/main/packages/anyfile/a-1.0.bin/download", "/acme/secret/packages/anyfile/a-1.0.bin/download"
	s.SetPlan(packagecloudtest.Plan{QuotaSpent: true})
	if r := get(t, s, public).want(t, 429, "Bandwidth or Storage Limit Exceeded"); r.header.Get("Content-Type") != "text/html" || len(r.body) != 35 {
		t.Errorf("%v, %d bytes", r.header, len(r.body))
	}
	s.SetPlan(packagecloudtest.Plan{PaymentRequired: true})
	get(t, s, private).want(t, 402, `{"error":["payment required"]}`)
	get(t, s, public).want(t, 302, "")
}

func TestDownload_DeletedWhileItRuns(t *testing.T) {
	s := start(t, nil)
	content := strings.Repeat("x", 8<<20)
	if err := s.AddPackage("main", "anyfile", "a-1.0.bin", []byte(content)); err != nil {
		t.Fatal(err)
	}
	target := anonymous(t, s, "GET", "/acme/main/packages/anyfile/a-1.0.bin/download", "").header.Get("Location")
	resp, err := s.Client().Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	do(t, s, "DELETE", "/api/v1/repos/acme/main/anyfile/1/a-1.0.bin", "", "").want(t, 200, "{}")
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(content)) {
		t.Errorf("%d bytes, %v", n, err)
	}
	anonymous(t, s, "GET", target, "").want(t, 403, "")
}
