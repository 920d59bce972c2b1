package packagecloud_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

var big = bytes.Repeat([]byte("0123456789abcdef"), 20<<10) // 320 KiB

// entries lists a folder.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// downloads returns the statuses of the requests to a host.
func (f *fixture) downloads(host string) []int {
	var out []int
	for _, r := range f.requests("GET") {
		if r.Host == host {
			out = append(out, r.Status)
		}
	}
	return out
}

// Guarantee D1.
func TestDownload_WritesAndVerifies(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	var b bytes.Buffer
	var last, total int64
	err := f.repo.Download(t.Context(), pkg, &b, &packagecloud.DownloadOptions{Progress: func(received, of int64) {
		if received < last {
			t.Errorf("the progress went from %d to %d", last, received)
		}
		last, total = received, of
	}})
	if err != nil || !bytes.Equal(b.Bytes(), big) {
		t.Fatalf("%d bytes, %v", b.Len(), err)
	}
	if last != int64(len(big)) || total != int64(len(big)) {
		t.Errorf("the progress ended at %d of %d", last, total)
	}
	for _, r := range f.requests("") {
		if r.Leak != "" {
			t.Errorf("%s: %s", r.Path, r.Leak)
		}
	}
}

// Guarantee D2.
func TestDownload_VerifiesSHA512WhereThatIsAllThereIs(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("content"))
	pkg.SHA256 = ""
	pkg.SHA512 = strings.Repeat("0", 128)
	f.want(t, f.repo.Download(t.Context(), pkg, io.Discard, nil), packagecloud.ErrChecksum)
}

// Guarantees: D1, D2.
func TestDownloadFile_AppearsWholeOrNotAtAll(t *testing.T) {
	flip := int64(1000)
	for name, fault := range map[string]*packagecloudtest.Fault{
		"":             nil,
		"flipped byte": {Host: packagecloudtest.HostDownload, FlipByte: &flip},
		"always cut":   {Host: packagecloudtest.HostDownload, CutAfter: -1, Times: -1},
		"denied":       {Host: packagecloudtest.HostDownload, Status: 403, Times: -1},
	} {
		f := setup(t)
		pkg := f.add(t, "ubuntu/jammy", demo, big)
		dir := t.TempDir()
		path := filepath.Join(dir, "demo.deb")
		os.WriteFile(path, []byte("before"), 0o600)
		if fault != nil {
			f.srv.Inject(*fault)
		}
		err := f.repo.DownloadFile(t.Context(), pkg, path, nil)
		want := big
		if fault != nil {
			want = []byte("before")
		}
		f.clean(t, err)
		if (err == nil) != (fault == nil) || name == "flipped byte" && !errors.Is(err, packagecloud.ErrChecksum) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if got, _ := os.ReadFile(path); !bytes.Equal(got, want) {
			t.Errorf("%s: the file has %d bytes", name, len(got))
		}
		if got := entries(t, dir); !slices.Equal(got, []string{"demo.deb"}) {
			t.Errorf("%s: the folder holds %v", name, got)
		}
	}
}

// Guarantee D1.
func TestDownloadFile_KeepsThePermissionsOfTheFileItReplaces(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("content"))
	modeOf := func(path string) os.FileMode {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	for _, mode := range []os.FileMode{0o600, 0o666, 0o444, 0o751} {
		dir := t.TempDir()
		path := filepath.Join(dir, "demo.deb")
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		err := f.repo.DownloadFile(t.Context(), pkg, path, &packagecloud.DownloadOptions{Progress: func(int64, int64) {
			if got := modeOf(filepath.Join(dir, entries(t, dir)[0])); got != mode {
				t.Errorf("%v: the temporary file has %v", mode, got)
			}
		}})
		if got := modeOf(path); err != nil || got != mode {
			t.Errorf("%v: the file has %v, %v", mode, got, err)
		}
	}
	dir := t.TempDir()
	usual, path := filepath.Join(dir, "usual"), filepath.Join(dir, "demo.deb")
	if err := errors.Join(os.WriteFile(usual, nil, 0o666), f.repo.DownloadFile(t.Context(), pkg, path, nil)); err != nil {
		t.Fatal(err)
	}
	if got := modeOf(path); got != modeOf(usual) {
		t.Errorf("a new file has %v", got)
	}
}

func TestDownloadFile_TargetThatCannotBeIsRefusedBeforeARequest(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	dir := t.TempDir()
	t.Chdir(dir) // where an empty path would leave something
	for _, path := range []string{dir, filepath.Join(dir, "missing", "demo.deb"), filepath.Join(dir, strings.Repeat("a", 5000)), ""} {
		if err := f.repo.DownloadFile(t.Context(), pkg, path, nil); err == nil || path != "" && !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: the error is %v", path, err)
		}
	}
	if n := len(f.requests("")); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if err := f.repo.DownloadFile(t.Context(), nil, filepath.Join(dir, "x"), nil); err == nil {
		t.Error("a nil package was accepted")
	}
	if got := entries(t, dir); len(got) != 0 {
		t.Errorf("the folder holds %v", got)
	}
}

// Guarantee D1.
func TestDownloadFile_NameMayBeAsLongAsTheSystemTakesIt(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("content"))
	dir := t.TempDir()
	name := strings.Repeat("a", 255)
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		t.Skip(err)
	}
	f.srv.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostDownload, Then: func(*packagecloudtest.Server) {
		for _, name := range entries(t, dir) {
			if !strings.HasPrefix(name, "a") && !(strings.HasPrefix(name, ".packagecloud-") && strings.HasSuffix(name, ".partial")) {
				t.Errorf("the folder holds %s on the way", name)
			}
		}
	}})
	if err := f.repo.DownloadFile(t.Context(), pkg, filepath.Join(dir, name), nil); err != nil {
		t.Error(err)
	}
	if got := entries(t, dir); !slices.Equal(got, []string{name}) {
		t.Errorf("the folder holds %v", got)
	}
}

// Guarantee D2.
func TestDownload_ChecksumAndSizeOfTheCallerAreVerified(t *testing.T) {
	f := setup(t)
	content := []byte("content")
	listed := f.add(t, "ubuntu/jammy", demo, content)
	sum256, sum512 := sha256.Sum256(content), sha512.Sum512(content)
	right256, right512 := hex.EncodeToString(sum256[:]), hex.EncodeToString(sum512[:])
	wrong256, wrong512 := strings.Repeat("0", 64), strings.Repeat("0", 128)
	for name, test := range map[string]struct {
		pinned packagecloud.Package
		ok     bool
	}{
		"nothing":            {packagecloud.Package{}, true},
		"SHA256":             {packagecloud.Package{SHA256: right256}, true},
		"SHA512":             {packagecloud.Package{SHA512: right512}, true},
		"size":               {packagecloud.Package{Size: 7}, true},
		"another SHA256":     {packagecloud.Package{SHA256: wrong256}, false},
		"another SHA512":     {packagecloud.Package{SHA512: wrong512}, false},
		"another size":       {packagecloud.Package{Size: 6}, false},
		"negative size":      {packagecloud.Package{Size: -5}, true},
		"SHA256 comes first": {packagecloud.Package{SHA256: right256, SHA512: wrong512}, true},
	} {
		byHand, details := test.pinned, test.pinned
		byHand.Distribution, byHand.Filename = "ubuntu/jammy", demo
		details.Filename, details.DownloadURL, details.PackageURL = demo, listed.DownloadURL, listed.PackageURL
		for _, pkg := range []packagecloud.Package{byHand, details} {
			before := pkg
			err := f.repo.Download(t.Context(), &pkg, io.Discard, nil)
			if f.clean(t, err); (err == nil) != test.ok || !test.ok && !errors.Is(err, packagecloud.ErrChecksum) {
				t.Errorf("%s: %v", name, err)
			}
			if !reflect.DeepEqual(pkg, before) {
				t.Errorf("%s: the caller's package was changed", name)
			}
		}
	}
}

// Guarantee D2.
func TestDownload_NoChecksumIsRefusedBeforeAByte(t *testing.T) {
	f := setupServer(t, &packagecloudtest.Options{NoChecksums: true}, nil)
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	var b bytes.Buffer
	f.want(t, f.repo.Download(t.Context(), pkg, &b, nil), packagecloud.ErrNoChecksum)
	if b.Len() != 0 || len(f.downloads(packagecloudtest.HostDownload)) != 0 {
		t.Errorf("%d bytes were written", b.Len())
	}
	if err := f.repo.Download(t.Context(), pkg, &b, &packagecloud.DownloadOptions{AllowUnverified: true}); err != nil || !bytes.Equal(b.Bytes(), big) {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

// Guarantee D2.
func TestDownload_AllowUnverifiedStillVerifiesWhatItCan(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	flip := int64(0)
	f.srv.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostDownload, FlipByte: &flip})
	f.want(t, f.repo.Download(t.Context(), pkg, io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true}), packagecloud.ErrChecksum)
}

// Guarantee D2.
func TestDownload_DetailsOfAnotherFileDoNotLeadToIt(t *testing.T) {
	client, first := wheels(t)
	repo := client.Repository("acme", "main")
	var b bytes.Buffer
	if err := repo.Download(t.Context(), first, &b, nil); !errors.Is(err, packagecloud.ErrNoChecksum) || b.Len() != 0 {
		t.Errorf("%q, %v", &b, err)
	}
	if err := repo.Download(t.Context(), first, &b, &packagecloud.DownloadOptions{AllowUnverified: true}); err != nil || b.String() != "content of manylinux" {
		t.Errorf("%q, %v", &b, err)
	}
}

// Guarantee D2.
func TestDownload_DetailsDoNotChangeTheAddress(t *testing.T) {
	const content = "content"
	sum := sha256.Sum256([]byte(content))
	_, client, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".json") {
			io.WriteString(w, `{"filename":"`+demo+`","sha256sum":"`+hex.EncodeToString(sum[:])+`","download_url":"http://`+r.Host+`/another"}`)
			return
		}
		io.WriteString(w, strings.TrimPrefix(r.URL.Path, "/download/"))
	})
	pkg := described(t, ts.URL, "", false)
	pkg.DownloadURL, _ = packagecloud.NewSecretURL(ts.URL + "/download/" + content)
	pkg.PackageURL = "/api/v1/package.json"
	if err := client.Repository("acme", "main").Download(t.Context(), pkg, io.Discard, nil); err != nil {
		t.Error(err)
	}
}

// Guarantee D1.
func TestDownloadFile_LeavesNothingBehindAPanicOfTheCaller(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	dir := t.TempDir()
	func() {
		defer func() { recover() }()
		f.repo.DownloadFile(t.Context(), pkg, filepath.Join(dir, demo), &packagecloud.DownloadOptions{Progress: func(int64, int64) { panic("mine") }})
		t.Error("no panic")
	}()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left", left, err)
	}
	err := f.repo.DownloadFile(t.Context(), pkg, filepath.Join(dir, "none", demo), nil)
	if !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "partial") {
		t.Errorf("without the folder: %v", err)
	}
}

func TestDownload_NothingIsNoPackage(t *testing.T) {
	for _, status := range []int{204, 205} {
		client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) { return reply(r, status, ""), nil })
		address, err := packagecloud.NewSecretURL("https://packagecloud.io/x")
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Repository("acme", "main").Download(t.Context(), &packagecloud.Package{Filename: demo, DownloadURL: address}, io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true}); err == nil {
			t.Errorf("%d is a success", status)
		}
	}
}

func TestDownload_NilIsAnError(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	for want, err := range map[string]error{
		"package": f.repo.Download(t.Context(), nil, io.Discard, nil),
		"writer":  f.repo.Download(t.Context(), pkg, nil, nil),
	} {
		if err == nil || !strings.Contains(err.Error(), want+" is nil") {
			t.Errorf("a nil %s: %v", want, err)
		}
	}
	if n := len(f.requests("")); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// Guarantee D4.
func TestDownload_ImpossibleOptionsAreRefusedBeforeARequest(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, big)
	var pointer *tokensourcetest.Source
	var function tokensource.Func
	dir := t.TempDir()
	for name, options := range map[string]*packagecloud.DownloadOptions{
		"nil pointer":     {ReadToken: pointer},
		"nil function":    {ReadToken: function},
		"negative length": {MaxBytes: -1},
	} {
		pkg := &packagecloud.Package{Distribution: "ubuntu/jammy", Filename: demo} // of which a request would ask
		f.want(t, f.repo.Download(t.Context(), pkg, io.Discard, options), packagecloud.ErrInvalid)
		f.want(t, f.repo.DownloadFile(t.Context(), pkg, filepath.Join(dir, demo), options), packagecloud.ErrInvalid)
		if n, left := len(f.requests("")), entries(t, dir); n != 0 || len(left) != 0 {
			t.Errorf("%s: %d requests were sent, and the folder holds %v", name, n, left)
		}
	}
}

// Guarantee D1.
func TestDownload_WriterThatFailsEndsIt(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	full := errors.New("disk full")
	for name, w := range map[string]writer{
		"error": func([]byte) (int, error) { return 0, full },
		"short": func(p []byte) (int, error) { return len(p) - 1, nil },
	} {
		f.srv.ResetRequests()
		err := f.repo.Download(t.Context(), pkg, w, nil)
		if !errors.Is(err, full) && !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if n := len(f.downloads(packagecloudtest.HostDownload)); n != 1 {
			t.Errorf("%s: %d downloads; want 1", name, n)
		}
	}
}

// Guarantee D3.
func TestDownload_CutIsResumedFromTheAddressThatDoesNotExpire(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	expire := func(s *packagecloudtest.Server) { s.ExpireDownloads() }
	f.srv.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostDownload, CutAfter: 100_000})
	f.srv.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostDownload, CutAfter: 100_000})
	// What the third try was redirected to has expired when it gets there.
	f.srv.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostDownload, Then: expire})
	f.srv.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostAPI, Then: expire})
	var b bytes.Buffer
	if err := f.repo.Download(t.Context(), pkg, &b, nil); err != nil || !bytes.Equal(b.Bytes(), big) {
		t.Fatalf("%d bytes, %v", b.Len(), err)
	}
	if got := f.downloads(packagecloudtest.HostDownload); !slices.Equal(got, []int{200, 206, 403, 206}) {
		t.Errorf("the download host answered %v", got)
	}
	if got := f.downloads(packagecloudtest.HostAPI); !slices.Equal(got, []int{302, 302, 302, 302}) {
		t.Errorf("the API answered %v", got)
	}
}

// script answers one request after the other.
func script(t *testing.T, steps ...http.HandlerFunc) http.HandlerFunc {
	n := 0
	t.Cleanup(func() {
		if n != len(steps) {
			t.Errorf("%d requests; want %d", n, len(steps))
		}
	})
	return func(w http.ResponseWriter, r *http.Request) {
		if n++; n > len(steps) {
			w.WriteHeader(410)
			return
		}
		steps[n-1](w, r)
	}
}

func sent(content, etag string, cut int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		if cut > 0 {
			io.WriteString(w, content[:cut])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, content)
	}
}

func described(t *testing.T, base, content string, sum bool) *packagecloud.Package {
	t.Helper()
	pkg := &packagecloud.Package{Filename: demo}
	pkg.DownloadURL, _ = packagecloud.NewSecretURL(base + "/download")
	if sum {
		s := sha256.Sum256([]byte(content))
		pkg.SHA256 = hex.EncodeToString(s[:])
	}
	return pkg
}

// Guarantee D3.
func TestDownload_AnswerThatStartsOverIsJoinedWhereItBroke(t *testing.T) {
	const content = "0123456789"
	_, client, ts := serve(t, script(t, sent(content, `"a"`, 4), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "bytes=4-" || r.Header.Get("If-Range") != `"a"` || r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("the headers were %v", r.Header)
		}
		sent(content, `"b"`, 0)(w, r)
	}))
	var b bytes.Buffer
	err := client.Repository("acme", "main").Download(t.Context(), described(t, ts.URL, content, true), &b, nil)
	if err != nil || b.String() != content {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// Guarantee D3.
func TestDownload_WeakETagDoesNotJoinParts(t *testing.T) {
	const content = "0123456789"
	_, client, ts := serve(t, script(t, sent(content, `W/"a"`, 4), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			t.Error("a part was asked for")
		}
		sent(content, "", 0)(w, r)
	}))
	var b bytes.Buffer
	err := client.Repository("acme", "main").Download(t.Context(), described(t, ts.URL, content, true), &b, nil)
	if err != nil || b.String() != content {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestDownload_OtherContentAfterACutIsNoticedWithoutAChecksumToo(t *testing.T) {
	c, client, ts := serve(t, script(t, sent("0123456789", `"a"`, 4), sent("abcdefghij", `"b"`, 0)))
	err := client.Repository("acme", "main").Download(t.Context(), described(t, ts.URL, "", false), io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true})
	c.want(t, err, packagecloud.ErrChecksum)
}

// Guarantee D3.
func TestDownload_WrongPartIsRefused(t *testing.T) {
	_, client, ts := serve(t, script(t, sent("0123456789", `"a"`, 4), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 5-9/10")
		w.WriteHeader(206)
		io.WriteString(w, "56789")
	}))
	var b bytes.Buffer
	err := client.Repository("acme", "main").Download(t.Context(), described(t, ts.URL, "0123456789", true), &b, nil)
	if err == nil || b.String() != "0123" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// part answers with a part of the content, as it says.
func part(contentRange, etag, content string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		w.Header().Set("Content-Range", contentRange)
		w.WriteHeader(206)
		io.WriteString(w, content)
	}
}

// Guarantee D3.
func TestDownload_PartsAreJoinedOnlyToTheWhole(t *testing.T) {
	const content = "0123456789"
	cut := func(content, etag string, after int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			sent(content, etag, after)(w, r)
		}
	}
	for name, test := range map[string]struct {
		steps []http.HandlerFunc
		is    error // nil: the whole content comes
	}{
		"the rest":                           {[]http.HandlerFunc{cut(content, `"a"`, 4), part("bytes 4-9/10", `"a"`, "456789")}, nil},
		"no ETag in it":                      {[]http.HandlerFunc{cut(content, `"a"`, 4), part("bytes 4-9/10", "", "456789")}, nil},
		"total unknown":                      {[]http.HandlerFunc{cut(content, `"a"`, 4), part("bytes 4-9/*", `"a"`, "456789")}, nil},
		"short part":                         {[]http.HandlerFunc{cut(content, `"a"`, 4), part("bytes 4-6/10", `"a"`, "456"), part("bytes 7-9/10", `"a"`, "789")}, nil},
		"short part of chunks":               {[]http.HandlerFunc{sent(content, `"a"`, 4), part("bytes 4-6/10", `"a"`, "456"), part("bytes 7-9/10", `"a"`, "789")}, nil},
		"another ETag":                       {[]http.HandlerFunc{cut(content, `"a"`, 4), part("bytes 4-9/10", `"b"`, "efghij")}, packagecloud.ErrChecksum},
		"another total":                      {[]http.HandlerFunc{cut(content, `"a"`, 4), part("bytes 4-8/9", `"a"`, "45678")}, packagecloud.ErrChecksum},
		"more than the total":                {[]http.HandlerFunc{sent(content, `"a"`, 4), part("bytes 4-9/10", `"a"`, "456789x")}, packagecloud.ErrChecksum},
		"less where it starts over":          {[]http.HandlerFunc{cut(content, `"a"`, 4), sent(content[:2], `"b"`, 0)}, packagecloud.ErrChecksum},
		"nothing where it starts over":       {[]http.HandlerFunc{cut(content, "", 4), sent("", "", 0)}, packagecloud.ErrChecksum},
		"the same, cut where it starts over": {[]http.HandlerFunc{cut(content, "", 4), cut(content, "", 2), sent(content, "", 0)}, nil},
		"cut where it starts over": {[]http.HandlerFunc{cut(content, `"a"`, 4), cut("abcdefghij", `"b"`, 2), func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				t.Error("a part was asked for of what the first part isn't of")
			}
			sent("abcdefghij", `"b"`, 0)(w, r)
		}}, packagecloud.ErrChecksum},
	} {
		c, client, ts := serve(t, script(t, test.steps...))
		var b bytes.Buffer
		err := client.Repository("acme", "main").Download(t.Context(), described(t, ts.URL, "", false), &b, &packagecloud.DownloadOptions{AllowUnverified: true})
		c.clean(t, err)
		if !errors.Is(err, test.is) || test.is == nil && b.String() != content || b.Len() > len(content) {
			t.Errorf("%s: %q, %v", name, &b, err)
		}
	}
}

// hungUp answers with what may end with the connection.
func hungUp(t *testing.T, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, b, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		b.WriteString(answer)
		b.Flush()
	}
}

// Guarantee D3.
func TestDownload_EndOfTheConnectionIsNoEnd(t *testing.T) {
	const content, one, other = "0123456789", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nConnection: close\r\n\r\n"
	whole := &packagecloud.Package{Size: int64(len(content)), SHA256: described(t, "", content, true).SHA256}
	size, sum := &packagecloud.Package{Size: whole.Size}, &packagecloud.Package{SHA256: whole.SHA256}
	refused := hungUp(t, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	for name, test := range map[string]struct {
		known *packagecloud.Package
		steps []http.HandlerFunc
		is    error
		got   string
	}{
		"nothing known":                {&packagecloud.Package{}, []http.HandlerFunc{hungUp(t, one+content)}, packagecloud.ErrNoChecksum, ""},
		"nothing known, by HTTP/1.1":   {&packagecloud.Package{}, []http.HandlerFunc{hungUp(t, other+content)}, packagecloud.ErrNoChecksum, ""},
		"whole, by its size":           {size, []http.HandlerFunc{hungUp(t, one+content)}, nil, content},
		"whole, by its checksum":       {sum, []http.HandlerFunc{hungUp(t, one+content)}, nil, content},
		"cut":                          {size, []http.HandlerFunc{hungUp(t, one+content[:4]), hungUp(t, one+content)}, nil, content},
		"cut, and it takes ranges":     {whole, []http.HandlerFunc{hungUp(t, other+content[:4]), part("bytes 4-9/10", `"a"`, content[4:])}, nil, content},
		"cut before the first byte":    {size, []http.HandlerFunc{hungUp(t, one), hungUp(t, one+content)}, nil, content},
		"cut after a length was known": {&packagecloud.Package{}, []http.HandlerFunc{hungUp(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"+content[:4]), hungUp(t, one+content[:6]), hungUp(t, one+content)}, nil, content},
		"cut of known checksum":        {sum, []http.HandlerFunc{hungUp(t, one+content[:4])}, packagecloud.ErrChecksum, content[:4]},
		"always short":                 {size, []http.HandlerFunc{hungUp(t, one+content[:4]), hungUp(t, one+content[:4])}, packagecloud.ErrChecksum, content[:4]},
		"always short, with an ETag":   {whole, []http.HandlerFunc{hungUp(t, other+content[:4]), refused, hungUp(t, other+content[:4])}, packagecloud.ErrChecksum, content[:4]},
		"always empty":                 {size, []http.HandlerFunc{hungUp(t, one), hungUp(t, one)}, packagecloud.ErrChecksum, ""},
		"cut, of a negative size":      {&packagecloud.Package{Size: -5}, []http.HandlerFunc{hungUp(t, one+content[:4])}, packagecloud.ErrNoChecksum, ""},
		"short by its own length":      {size, []http.HandlerFunc{sent(content[:4], "", 0)}, packagecloud.ErrChecksum, content[:4]},
	} {
		c, client, ts := serve(t, script(t, test.steps...))
		pkg := described(t, ts.URL, "", false)
		pkg.Size, pkg.SHA256 = test.known.Size, test.known.SHA256
		var b bytes.Buffer
		err := client.Repository("acme", "main").Download(t.Context(), pkg, &b, &packagecloud.DownloadOptions{AllowUnverified: true})
		if c.clean(t, err); !errors.Is(err, test.is) || b.String() != test.got {
			t.Errorf("%s: %q, %v", name, &b, err)
		}
	}
}

// Guarantee D2.
func TestDownload_SizeIsVerified(t *testing.T) {
	for _, content := range []string{"012345678", "0123456789x"} { // of 10 bytes
		c, client, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush() // no Content-Length
			io.WriteString(w, content)
		})
		pkg := described(t, ts.URL, content, false)
		pkg.Size = 10
		c.want(t, client.Repository("acme", "main").Download(t.Context(), pkg, io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true}), packagecloud.ErrChecksum)
	}
}

// Guarantee D2.
func TestDownload_WhatIsLargerThanItsSizeEndsAtOnce(t *testing.T) {
	c, client, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil { // for ever
			w.Write(big)
		}
	})
	pkg := described(t, ts.URL, "", true)
	pkg.Size = 100_000
	var written int64
	err := client.Repository("acme", "main").Download(t.Context(), pkg, writer(func(p []byte) (int, error) {
		written += int64(len(p))
		return len(p), nil
	}), nil)
	c.want(t, err, packagecloud.ErrChecksum)
	if written > pkg.Size {
		t.Errorf("%d bytes were written of %d", written, pkg.Size)
	}
}

// Guarantee D2.
func TestDownload_MaxBytesIsTheMostThatIsWritten(t *testing.T) {
	const content = "0123456789"
	for name, test := range map[string]struct {
		max  int64
		told bool // the server says how long the answer is
		ok   bool
	}{
		"no limit":            {0, false, true},
		"as many":             {10, false, true},
		"as many, told":       {10, true, true},
		"one more":            {9, false, false},
		"one more, told":      {9, true, false},
		"a negative limit":    {-1, true, false},
		"far more than there": {1 << 40, false, true},
	} {
		requests := 0
		c, client, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if requests++; !test.told {
				w.(http.Flusher).Flush() // no Content-Length
			}
			io.WriteString(w, content)
		})
		pkg := described(t, ts.URL, content, false)
		var b bytes.Buffer
		err := client.Repository("acme", "main").Download(t.Context(), pkg, &b, &packagecloud.DownloadOptions{AllowUnverified: true, MaxBytes: test.max})
		if c.clean(t, err); (err == nil) != test.ok || requests > 1 || test.ok && b.String() != content || int64(b.Len()) > max(test.max, 10) || test.told && !test.ok && b.Len() > 0 {
			t.Errorf("%s: %d bytes after %d requests: %v", name, b.Len(), requests, err)
		}
		if !test.ok && test.max > 0 && !errors.Is(err, packagecloud.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee D2.
func TestDownload_MaxBytesEndsAnEndlessAnswer(t *testing.T) {
	for _, file := range []bool{true, false} {
		c, client, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.Write(big)
			}
		})
		pkg, repo, path := described(t, ts.URL, "", true), client.Repository("acme", "main"), filepath.Join(t.TempDir(), "x")
		var written int64
		do := func() error {
			return repo.DownloadFile(t.Context(), pkg, path, &packagecloud.DownloadOptions{MaxBytes: 100_000})
		}
		if !file {
			w := writer(func(p []byte) (int, error) { written += int64(len(p)); return len(p), nil })
			do = func() error {
				return repo.Download(t.Context(), pkg, w, &packagecloud.DownloadOptions{MaxBytes: 100_000})
			}
		}
		c.want(t, do(), packagecloud.ErrTooLarge)
		if left := entries(t, filepath.Dir(path)); written > 100_000 || len(left) > 0 {
			t.Errorf("%d bytes were written; %q are left", written, left)
		}
	}
}

// Guarantee D2.
func TestDownload_SizeOfASourcePackageCountsItsFiles(t *testing.T) {
	const dsc = "Source: demo\nVersion: 1.0-1\nArchitecture: any\nFiles:\n 900150983cd24fb0d6963f7d28e17f72 3 demo_1.0.orig.tar.gz\n"
	f := setup(t)
	pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes("demo_1.0-1.dsc", []byte(dsc)), &packagecloud.UploadOptions{
		Distribution: "ubuntu/jammy", SourceFiles: []packagecloud.Content{packagecloud.Bytes("demo_1.0.orig.tar.gz", []byte("abc"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := f.repo.Find(t.Context(), "ubuntu/jammy", "demo_1.0-1.dsc")
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []*packagecloud.Package{pkg, found} {
		var b bytes.Buffer
		err := f.repo.Download(t.Context(), pkg, &b, &packagecloud.DownloadOptions{AllowUnverified: true, Progress: func(_, total int64) {
			if total != int64(len(dsc)) {
				t.Errorf("the progress is of %d bytes; want %d", total, len(dsc))
			}
		}})
		if err != nil || b.String() != dsc {
			t.Errorf("%q, %v", &b, err)
		}
	}
}

// Guarantee D2.
func TestDownload_ShortensTheServersName(t *testing.T) {
	name := "x\n2026-01-01 level=INFO" + strings.Repeat("y", 5000)
	for status, pkg := range map[int]*packagecloud.Package{
		200: {Filename: name, SHA256: strings.Repeat("0", 64)},
		404: {Filename: name, SHA256: strings.Repeat("0", 64)},
		500: {Filename: name, SHA256: strings.Repeat("0", 64)},
		201: {Filename: name},                                              // no checksum
		202: {Filename: name, Size: 3, SHA256: strings.Repeat("0", 64)},    // larger
		203: {Filename: name, Size: 3000, SHA256: strings.Repeat("0", 64)}, // smaller
		206: {Filename: name, SHA256: strings.Repeat("0", 64)},
	} {
		c, client, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "content")
		})
		pkg.DownloadURL, _ = packagecloud.NewSecretURL(ts.URL + "/x")
		err := client.Repository("acme", "main").Download(t.Context(), pkg, io.Discard, nil)
		if err == nil || len(err.Error()) > 700 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%d: the error is %v", status, err)
		}
		for line := range strings.Lines(c.text()) {
			if len(line) > 1000 {
				t.Errorf("%d: a line of the log has %d bytes", status, len(line))
			}
		}
	}
}

// Guarantee A1.
func TestDownload_PlainHTTPIsUpgradedOrRefused(t *testing.T) {
	const read = "0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, test := range []struct {
		base, address string
		want          string // what is asked; "" = refused
		insecure      bool
	}{
		{"https://packages.example.com", "http://USER@packages.example.com/x", "https://packages.example.com/x", false},
		{"https://packages.example.com:8443", "http://USER@Packages.example.com:8443/x", "https://packages.example.com:8443/x", false},
		{"https://packages.example.com:8443", "http://packages.example.com/x", "https://packages.example.com:8443/x", false},
		{"https://packages.example.com", "http://USER@packages.example.com:3000/x", "", false},
		{"https://packages.example.com", "http://USER@elsewhere.example.com/x", "", false},
		{"https://packages.example.com", "http://elsewhere.example.com/x", "", false},
		{"http://localhost:8080", "http://USER@packages.example.com/x", "", false},
		{"http://localhost:8080", "http://USER@localhost:8080/x", "http://localhost:8080/x", false},
		{"https://packages.example.com", "http://USER@127.0.0.1:8080/x", "http://127.0.0.1:8080/x", false},
		{"https://packages.example.com", "http://USER@elsewhere.example.com/x", "http://elsewhere.example.com/x", true},
		{"https://packages.example.com", "https://USER@elsewhere.example.com/x", "https://elsewhere.example.com/x", false},
	} {
		c := newCanary(t, fakeToken, read)
		asked := ""
		options := []packagecloud.Option{packagecloud.WithBaseURL(test.base), packagecloud.WithLogger(c.logger()), packagecloud.WithHTTPClient(&http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				asked += r.URL.String()
				want := ""
				if strings.Contains(test.address, "USER@") {
					want = read
				} else if strings.HasPrefix(asked, test.base) {
					want = fakeToken
				}
				if user, _, _ := r.BasicAuth(); user != want {
					t.Errorf("%s: another credential was sent", test.address)
				}
				return reply(r, 200, "content"), nil
			})})}
		if test.insecure {
			options = append(options, packagecloud.WithInsecureHTTP())
		}
		pkg := &packagecloud.Package{Filename: demo}
		pkg.DownloadURL, _ = packagecloud.NewSecretURL(strings.Replace(test.address, "USER", read+":", 1))
		err := newClient(t, tokensource.Static(fakeToken), options...).Repository("acme", "main").Download(t.Context(), pkg, io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true})
		c.clean(t, err)
		if asked != test.want || (err == nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), "WithInsecureHTTP") {
			t.Errorf("%s with %s: asked %q, %v", test.address, test.base, asked, err)
		}
	}
}

// Guarantee A2.
func TestDownload_MalformedCredentialIsNotReplacedByTheAPIToken(t *testing.T) {
	api := tokensourcetest.NewSource(fakeToken)
	var users []string
	c, _, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		users = append(users, user)
		if user != "read-token" {
			w.WriteHeader(401)
		}
	})
	client := newClient(t, api, packagecloud.WithBaseURL(ts.URL), packagecloud.WithLogger(c.logger()))
	for _, user := range []string{"read%20token:", ":secret-secret", "a%3Ab:"} {
		pkg := &packagecloud.Package{Filename: demo}
		pkg.DownloadURL, _ = packagecloud.NewSecretURL(strings.Replace(ts.URL, "://", "://"+user+"@", 1) + "/x")
		err := client.Repository("acme", "main").Download(t.Context(), pkg, io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true})
		if err == nil || !strings.Contains(err.Error(), "DownloadOptions.ReadToken") || len(users) > 0 || len(api.Invalidated()) > 0 {
			t.Errorf("%d requests, %d tokens invalidated, %v", len(users), len(api.Invalidated()), err)
		}
		tokensourcetest.AssertNoSecret(t, err, "read token", "secret-secret", "a:b")
		err = client.Repository("acme", "main").Download(t.Context(), pkg, io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true, ReadToken: tokensource.Static("read-token")})
		if err != nil || len(users) != 1 {
			t.Errorf("with a read token of its own: %v", err)
		}
		users = nil
	}
}

// Guarantee D3.
func TestContentRange(t *testing.T) {
	for value, want := range map[string][2]int64{
		"bytes 4-9/10": {4, 10}, "Bytes 0-0/1": {0, 1}, "bytes 4-6/*": {4, 0},
		"": {-1}, "bytes */10": {-1}, "bytes 4-/10": {-1}, "bytes 9-4/10": {-1}, "bytes 4-10/10": {-1}, "bytes 4-9": {-1}, "bytes=4-9/10": {-1},
		"items 4-9/10": {-1}, "bytes -1-9/10": {-1}, "bytes +4-9/10": {-1}, "bytes 4-9/0": {-1}, "bytes 0-99999999999999999999/*": {-1}, "bytes 4-9/10, 1": {-1},
	} {
		first, total, ok := packagecloud.ContentRange(value)
		if ok != (want[0] >= 0) || ok && [2]int64{first, total} != want {
			t.Errorf("%q gives %d, %d, %t", value, first, total, ok)
		}
	}
}

// Guarantee D3.
func FuzzContentRange(f *testing.F) {
	f.Add("bytes 4-9/10")
	f.Add("bytes 0-0/*")
	f.Fuzz(func(t *testing.T, value string) {
		first, total, ok := packagecloud.ContentRange(value)
		if first < 0 || total < 0 || total > 0 && first >= total || !ok && first+total != 0 {
			t.Errorf("%q gives %d, %d, %t", value, first, total, ok)
		}
	})
}

// Guarantee A4.
func TestDownload_WaitsAsLongAsTheServerAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		client, err := packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithHTTPClient(&http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if tries++; tries == 1 {
					resp := reply(r, 503, "")
					resp.Header.Set("Retry-After", "17")
					return resp, nil
				}
				return reply(r, 200, "content"), nil
			})}))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err = client.Repository("acme", "main").Download(t.Context(), described(t, "https://packagecloud.io", "content", true), io.Discard, nil)
		if waited := time.Since(start); err != nil || tries != 2 || waited < 17*time.Second || waited > 18*time.Second {
			t.Errorf("%d tries, after %v: %v", tries, waited, err)
		}
	})
}

// Guarantee D4.
func TestDownload_ReadTokenServes(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	read := f.canary.add(f.srv.CreateReadToken("main", "reader"))
	if err := f.repo.Download(t.Context(), pkg, io.Discard, &packagecloud.DownloadOptions{ReadToken: tokensource.Static(read)}); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.requests("") {
		want := packagecloudtest.CredentialRead
		if r.Host == packagecloudtest.HostDownload {
			want = packagecloudtest.CredentialNone
		}
		if r.Credential != want {
			t.Errorf("%s %s went with the credential %q; want %q", r.Host, r.Path, r.Credential, want)
		}
	}
}

// Guarantee D4.
func TestDownload_WaitsForTheNextReadTokenWhereTheOldOneWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, read := tokensourcetest.NewSource(fakeToken), tokensourcetest.NewSource("old-token-old-token")
		server := &rejecting{good: "old-token-old-token"}
		client, err := packagecloud.New(api, packagecloud.WithHTTPClient(&http.Client{Transport: server}))
		if err != nil {
			t.Fatal(err)
		}
		url, _ := packagecloud.NewSecretURL("https://packagecloud.io/acme/main/packages/ubuntu/jammy/demo.deb/download")
		download := func() error {
			return client.Repository("acme", "main").Download(t.Context(), &packagecloud.Package{Filename: demo, DownloadURL: url},
				io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true, ReadToken: read})
		}
		if err := download(); err != nil {
			t.Fatal(err)
		}
		server.good = "new-token-new-token"
		time.AfterFunc(7*time.Second, func() { read.Set("new-token-new-token") })
		if err := download(); err != nil {
			t.Error(err)
		}
		server.good = "" // and it doesn't wait for what was never accepted
		read.Set("bad-token-bad-token")
		start := time.Now()
		if err := download(); !errors.Is(err, packagecloud.ErrUnauthorized) || time.Since(start) != 0 {
			t.Errorf("after %v the error is %v", time.Since(start), err)
		}
		if len(api.Invalidated()) != 0 {
			t.Error("the API token was invalidated")
		}
	})
}

func TestDownload_PackageMadeByHandIsLookedUp(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, big)
	f.add(t, "ubuntu/focal", demo, []byte("another"))
	var b bytes.Buffer
	err := f.repo.Download(t.Context(), &packagecloud.Package{Distribution: "ubuntu/jammy", Filename: demo}, &b, nil)
	if err != nil || !bytes.Equal(b.Bytes(), big) {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	f.want(t, f.repo.Download(t.Context(), &packagecloud.Package{Distribution: "ubuntu/noble", Filename: demo}, &b, nil), packagecloud.ErrNotFound)
}

// The system tells of a disk that fails once, which may be to a sync in between.
//
// Guarantee D1.
func TestDownloadFile_FailureToPutItOnTheDiskIsNotLost(t *testing.T) {
	r, pipe, err := os.Pipe() // can't be synced
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go io.Copy(io.Discard, r)
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	for f, fails := range map[*os.File]bool{pipe: true, file: false} {
		w, wait := packagecloud.Syncing(f)
		n, err := io.CopyN(w, endless{}, 40<<20)
		if failure := wait(); (failure != nil) != fails || !fails && (err != nil || n != 40<<20) {
			t.Errorf("%s: %d bytes, %v, %v", f.Name(), n, err, failure)
		}
		f.Close()
	}
}

// A checksum counts as a whole: neither the beginning of the right one nor the
// right one with more behind it is right.
//
// Guarantee D2.
func TestDownload_ComparesTheWholeChecksum(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	right256, right512 := sha256.Sum256(big), sha512.Sum512(big)
	for name, right := range map[string]string{"SHA-256": hex.EncodeToString(right256[:]), "SHA-512": hex.EncodeToString(right512[:])} {
		for sum, want := range map[string]error{
			right: nil, strings.ToUpper(right): nil,
			right[:8]: packagecloud.ErrChecksum, right[:len(right)-1]: packagecloud.ErrChecksum, right + "00": packagecloud.ErrChecksum,
			"0" + right[1:]: packagecloud.ErrChecksum, right[:len(right)-1] + "x": packagecloud.ErrChecksum,
		} {
			if sum == "0"+right[1:] && right[0] == '0' {
				continue
			}
			given := *pkg
			given.SHA256, given.SHA512 = "", ""
			if name == "SHA-256" {
				given.SHA256 = sum
			} else {
				given.SHA512 = sum
			}
			if err := f.repo.Download(t.Context(), &given, io.Discard, nil); !errors.Is(err, want) {
				t.Errorf("%s %s: the error is %v; want %v", name, sum, err, want)
			}
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
	if err := client.Repository("acme", "main").Download(t.Context(), pkg, &got, nil); err != nil || got.String() != content {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
}
