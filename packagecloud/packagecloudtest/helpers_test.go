package packagecloudtest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	pt "github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// The distribution ids of the tests.
const (
	jammy    = "237"
	noble    = "284"
	el7      = "140"
	pythonID = "166"
	javaID   = "167"
	nodeID   = "191"
	anyfile  = "230"
	helmID   = "241"
	alpineID = "295"
)

// start runs a server with a public repository "main" and a private "secret".
func start(t testing.TB, opts *packagecloudtest.Options) *packagecloudtest.Server {
	t.Helper()
	if opts == nil {
		opts = &packagecloudtest.Options{}
	}
	s := packagecloudtest.NewServer(opts)
	t.Cleanup(s.Close)
	s.CreateRepository("main", false)
	s.CreateRepository("secret", true)
	return s
}

type response struct {
	status int
	header http.Header
	body   string
}

// object decodes the body as a JSON object.
func (r response) object(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatalf("status %d, not a JSON object: %q", r.status, r.body)
	}
	return m
}

// list decodes the body as a JSON array of objects.
func (r response) list(t testing.TB) []map[string]any {
	t.Helper()
	var l []map[string]any
	if err := json.Unmarshal([]byte(r.body), &l); err != nil {
		t.Fatalf("status %d, not a JSON array: %q", r.status, r.body)
	}
	return l
}

// want fails unless the answer has this status and, unless empty, body.
func (r response) want(t testing.TB, status int, body string) response {
	t.Helper()
	if r.status != status || (body != "" && r.body != body) {
		t.Fatalf("got %d %s, want %d %s", r.status, r.body, status, body)
	}
	return r
}

func send(t testing.TB, s *packagecloudtest.Server, req *http.Request) (response, error) {
	client := *s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, string(b)}, err
}

func newRequest(t testing.TB, s *packagecloudtest.Server, method, target, contentType string, body io.Reader) *http.Request {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = s.URL + target
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if req.URL.User == nil {
		req.SetBasicAuth(s.Token(), "")
	}
	return req
}

// do sends a request with the API token and follows no redirect.
func do(t testing.TB, s *packagecloudtest.Server, method, target, contentType, body string) response {
	t.Helper()
	r, err := send(t, s, newRequest(t, s, method, target, contentType, strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func get(t testing.TB, s *packagecloudtest.Server, target string) response {
	t.Helper()
	return do(t, s, "GET", target, "", "")
}

// anonymous sends a request without a credential, or with token if not empty.
func anonymous(t testing.TB, s *packagecloudtest.Server, method, target, token string) response {
	t.Helper()
	req := newRequest(t, s, method, target, "", nil)
	req.Header.Del("Authorization")
	if token != "" {
		req.SetBasicAuth(token, "")
	}
	r, err := send(t, s, req)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// multipartForm builds a body. A key that ends in "_file]", "_files][]" or
// "keydata]" is a file, and its value is "name\x00content".
func multipartForm(t testing.TB, pairs ...string) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		name, content, file := strings.Cut(pairs[i+1], "\x00")
		var part io.Writer
		var err error
		if file {
			part, err = w.CreateFormFile(pairs[i], name)
		} else {
			part, err = w.CreateFormField(pairs[i])
			content = name
		}
		if err == nil {
			_, err = io.WriteString(part, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

func post(t testing.TB, s *packagecloudtest.Server, target string, pairs ...string) response {
	t.Helper()
	contentType, body := multipartForm(t, pairs...)
	return do(t, s, "POST", target, contentType, string(body))
}

// upload sends a package. An empty id sends no distribution.
func upload(t testing.TB, s *packagecloudtest.Server, repo, id, name string, content []byte, more ...string) response {
	t.Helper()
	pairs := []string{"package[package_file]", name + "\x00" + string(content)}
	if id != "" {
		pairs = append([]string{"package[distro_version_id]", id}, pairs...)
	}
	return post(t, s, "/api/v1/repos/acme/"+repo+"/packages.json", append(pairs, more...)...)
}

// uploadAll stores a package of each type in a repository.
func uploadAll(t testing.TB, s *packagecloudtest.Server, repo string) {
	t.Helper()
	dsc, sources := pt.DSC("jake", "1.0-7")
	for _, p := range []struct {
		id, name string
		content  []byte
		more     []string
	}{
		{jammy, "jake_1.0-7_amd64.deb", pt.Deb("jake", "1.0-7", "amd64", "Depends: libc6 (>= 2.4)"), nil},
		{jammy, "jake_1.0-7.dsc", dsc, []string{
			"package[source_files][]", sources[0].Name + "\x00" + sources[0].Content,
			"package[source_files][]", sources[1].Name + "\x00" + sources[1].Content,
		}},
		{el7, "jake-1.0-1.el7.x86_64.rpm", pt.RPM("jake", "1.0", "1.el7", "x86_64"), nil},
		{"", "jakedotrb-0.0.1.gem", pt.Gem("jakedotrb", "0.0.1"), nil},
		{pythonID, "packagecloud_test-0.9.7b1-py2.py3-none-any.whl", pt.Wheel("packagecloud-test", "0.9.7b1"), nil},
		{nodeID, "test-pkg-1.3.1.tgz", pt.Node("@scope/test-pkg", "1.3.1"), nil},
		{javaID, "jake-2.3.jar", pt.Jar("io.packagecloud", "jake", "2.3"), nil},
		{alpineID, "jake-1.0.1-r2.apk", pt.Alpine("jake", "1.0.1-r2", "x86_64"), nil},
		{helmID, "hello-kubernetes-2.0.0.tgz", pt.Helm("hello-kubernetes", "2.0.0"), nil},
		{anyfile, "hello-0.0.6.asc", []byte("hello\n"), nil},
	} {
		upload(t, s, repo, p.id, p.name, p.content, p.more...).want(t, 201, "")
	}
}

// byType returns the fragments of packages.json by their type.
func byType(t testing.TB, s *packagecloudtest.Server, repo string) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, f := range get(t, s, "/api/v1/repos/acme/"+repo+"/packages.json?per_page=250").want(t, 200, "").list(t) {
		out[f["type"].(string)] = f
	}
	return out
}

// fields fails unless every named field has the value; nil means null. The
// value absent{} means that the key must be absent.
func fields(t testing.TB, what string, got map[string]any, want map[string]any) {
	t.Helper()
	for key, value := range want {
		have, ok := got[key]
		if value == (absent{}) {
			if ok {
				t.Errorf("%s: %s is %v, want it absent", what, key, have)
			}
			continue
		}
		a, _ := json.Marshal(have)
		b, _ := json.Marshal(value)
		if !ok || !bytes.Equal(a, b) {
			t.Errorf("%s: %s is %s (present %v), want %s", what, key, a, ok, b)
		}
	}
}

type absent struct{}

// keys fails unless the object has exactly these keys.
func keys(t testing.TB, what string, got map[string]any, want string) {
	t.Helper()
	var have []string
	for key := range got {
		have = append(have, key)
	}
	slices.Sort(have)
	expect := strings.Fields(want)
	slices.Sort(expect)
	if !slices.Equal(have, expect) {
		t.Errorf("%s: keys\n got %v\nwant %v", what, have, expect)
	}
}

// last returns the newest entry of the request log.
func last(t testing.TB, s *packagecloudtest.Server) packagecloudtest.Request {
	t.Helper()
	all := s.Requests()
	if len(all) == 0 {
		t.Fatal("the request log is empty")
	}
	return all[len(all)-1]
}

// eventually waits until a condition holds that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("never happened: " + what)
}

func jsonText(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
