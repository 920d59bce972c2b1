package packagecloud_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

// answering is a server that reads an upload and answers it with a text of the
// test's, and every search with another.
type answering struct {
	answer, found, details string
	posts, searches        int
}

func (a *answering) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "distributions.json"):
		io.WriteString(w, `{"deb":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy","version_number":"22.04"}]}],
			"dsc":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy"}]}],
			"py":[{"index_name":"python","versions":[{"id":166}]}],"jar":[{"index_name":"java","versions":[{"id":167,"index_name":"maven2"}]}],
			"anyfile":[{"index_name":"anyfile","versions":[{"id":230,"index_name":"1"}]}]}`)
	case r.Method == "POST":
		a.posts++
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(201)
		io.WriteString(w, a.answer)
	case strings.Contains(r.URL.Path, "/search"):
		a.searches++
		io.WriteString(w, "["+a.found+"]")
	default:
		io.WriteString(w, a.details)
	}
}

// content400 is what is uploaded, and sums400 its checksums.
var (
	content400 = bytes.Repeat([]byte("0123456789"), 40)
	sums400    = map[string]string{
		"md5sum": fmt.Sprintf("%x", md5.Sum(content400)), "sha1sum": fmt.Sprintf("%x", sha1.Sum(content400)),
		"sha256sum": fmt.Sprintf("%x", sha256.Sum256(content400)), "sha512sum": fmt.Sprintf("%x", sha512.Sum512(content400)),
	}
)

// answer400 is the answer to an upload of demo with more fields.
func answer400(fields string) string { return `{"filename":"` + demo + `"` + fields + `}` }

// flipped returns another checksum: it changes the digit at i, counted from the end if it is negative.
func flipped(sum string, i int) string {
	b := []byte(sum)
	if i = (i + len(b)) % len(b); b[i] == '0' {
		b[i] = '1'
	} else {
		b[i] = '0'
	}
	return string(b)
}

func field(name, value string) string { return `,"` + name + `":"` + value + `"` }

// Guarantee U1.
func TestUpload_AnswerWithOtherContentIsErrChecksum(t *testing.T) {
	file := filepath.Join(t.TempDir(), demo)
	if err := os.WriteFile(file, content400, 0o600); err != nil {
		t.Fatal(err)
	}
	contents := map[string]func() packagecloud.Content{
		"Bytes":  func() packagecloud.Content { return packagecloud.Bytes(demo, content400) },
		"File":   func() packagecloud.Content { return packagecloud.File(file) },
		"Reader": func() packagecloud.Content { return packagecloud.Reader(demo, bytes.NewReader(content400), 400) },
	}
	for name, test := range map[string]struct{ fields, says string }{
		"another SHA-256":                   {field("sha256sum", strings.Repeat("0", 64)), sums400["sha256sum"]},
		"SHA-256, the first digit":          {field("sha256sum", flipped(sums400["sha256sum"], 0)), flipped(sums400["sha256sum"], 0)},
		"SHA-256, the last digit":           {field("sha256sum", flipped(sums400["sha256sum"], -1)), flipped(sums400["sha256sum"], -1)},
		"SHA-256 of the right size":         {`,"size":"400"` + field("sha256sum", flipped(sums400["sha256sum"], 31)), "sha256"},
		"another SHA-512":                   {field("sha512sum", flipped(sums400["sha512sum"], -1)), "sha512"},
		"another SHA-1":                     {field("sha1sum", flipped(sums400["sha1sum"], -1)), "sha1"},
		"another MD5":                       {field("md5sum", flipped(sums400["md5sum"], -1)), "md5"},
		"size as text":                      {`,"size":"1"`, "1 bytes, but 400 were sent"},
		"size as number":                    {`,"size":1`, "1 bytes, but 400 were sent"},
		"size as fraction":                  {`,"size":399.0`, "399 bytes"},
		"size as text of a fraction":        {`,"size":"3732.0"`, "3732 bytes"},
		"size, with the right SHA-256":      {`,"size":"401"` + field("sha256sum", sums400["sha256sum"]), "401 bytes"},
		"an empty file, by its checksum":    {`,"size":"0"` + field("sha256sum", fmt.Sprintf("%x", sha256.Sum256(nil))), "sha256"},
		"the place is right, the sum isn't": {field("distro_version", "ubuntu/jammy") + field("repository", "main") + field("sha256sum", flipped(sums400["sha256sum"], 1)), "ubuntu/jammy of acme/main"},
	} {
		for kind, content := range contents {
			if kind == "Reader" && (strings.HasPrefix(test.says, "sha512") || strings.HasPrefix(test.says, "sha1") || strings.HasPrefix(test.says, "md5")) {
				continue // it can't be read again for that
			}
			server := &answering{answer: answer400(test.fields)}
			c, client, _ := serve(t, server.serve)
			_, err := client.Repository("acme", "main").Upload(t.Context(), content(), jammy)
			if !errors.Is(err, packagecloud.ErrChecksum) || server.posts != 1 || server.searches != 0 {
				t.Errorf("%s of %s: %d uploads, %d look-ups: %v", name, kind, server.posts, server.searches, err)
				continue
			}
			if errors.Is(err, packagecloud.ErrUnknownOutcome) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "delete it there") {
				t.Errorf("%s of %s: the error is %v", name, kind, err)
			}
			c.clean(t, err)
		}
	}
}

// Guarantee U1.
func TestUpload_AnswerThatFitsIsTaken(t *testing.T) {
	for name, fields := range map[string]string{
		"nothing":                  "",
		"null":                     `,"size":null,"sha256sum":null,"sha512sum":null,"sha1sum":null,"md5sum":null,"repository":null,"distro_version":null`,
		"not known yet":            `,"size":"","sha256sum":"","md5sum":"N/A","repository":"","distro_version":"","destroy_url":"","package_url":"N/A"`,
		"too short to be one":      field("sha256sum", strings.Repeat("0", 63)),
		"no hexadecimal":           field("sha256sum", strings.Repeat("z", 64)),
		"all":                      `,"size":"400"` + field("sha256sum", sums400["sha256sum"]) + field("sha512sum", sums400["sha512sum"]),
		"SHA-256 in upper case":    field("sha256sum", strings.ToUpper(sums400["sha256sum"])),
		"SHA-512 in upper case":    field("sha512sum", strings.ToUpper(sums400["sha512sum"])),
		"SHA-1":                    field("sha1sum", sums400["sha1sum"]),
		"MD5":                      field("md5sum", sums400["md5sum"]),
		"a weaker one differs":     field("sha256sum", sums400["sha256sum"]) + field("md5sum", strings.Repeat("0", 32)),
		"size as number":           `,"size":400`,
		"size as a fraction":       `,"size":"400.0"`,
		"negative size":            `,"size":"-1"`,
		"size 0, but the checksum": `,"size":0` + field("sha256sum", sums400["sha256sum"]),
		"names in another case":    field("repository", "MAIN") + field("distro_version", "Ubuntu/Jammy") + field("destroy_url", "/api/v1/repos/Acme/Main/ubuntu/jammy/"+demo),
		"the owner's name":         field("repository", "acme/main"),
	} {
		server := &answering{answer: answer400(fields)}
		_, client, _ := serve(t, server.serve)
		pkg, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(demo, content400), jammy)
		if err != nil || pkg.Filename != demo || server.posts != 1 || server.searches != 0 {
			t.Errorf("%s: %d uploads, %d look-ups: %+v, %v", name, server.posts, server.searches, pkg, err)
		}
	}
}

// What the types of packages have of their own.
func TestUpload_AnswerOfEachTypeIsTakenAsItIs(t *testing.T) {
	for name, test := range map[string]struct{ file, answer string }{
		"a dsc's size is that of its sources too": {"demo_1.0-1.dsc", `{"filename":"demo_1.0-1.dsc","size":"3732.0","distro_version":"ubuntu/jammy"}`},
		"Java in an old form":                     {"demo-1.0.jar", `{"package":{"version":"1.0","filename":"demo-1.0.jar","size":400.0,"distro_version_id":167}}`},
		"Java":                                    {"demo-1.0.jar", `{"filename":"demo-1.0.jar","distro_version":"java/maven2","sha256sum":null}`},
		"Python":                                  {"demo-1.0-py3-none-any.whl", `{"filename":"demo-1.0-py3-none-any.whl","distro_version":"python"}`},
		"Python, longer":                          {"demo-1.0-py3-none-any.whl", `{"filename":"demo-1.0-py3-none-any.whl","distro_version":"python/1"}`},
		"gem":                                     {"demo-1.0.gem", `{"filename":"demo-1.0.gem","distro_version":"RubyGem"}`},
		"anyfile":                                 {"demo-1.asc", `{"filename":"demo-1.asc","distro_version":"anyfile/1"}`},
	} {
		server := &answering{answer: test.answer}
		_, client, _ := serve(t, server.serve)
		options := &packagecloud.UploadOptions{}
		if strings.HasSuffix(test.file, ".dsc") {
			options = jammy
		}
		if _, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(test.file, content400), options); err != nil || server.searches != 0 {
			t.Errorf("%s: %d look-ups: %v", name, server.searches, err)
		}
	}
}

// Guarantee U1.
func TestUpload_AnswerWithAnotherPlaceIsLookedUpOnce(t *testing.T) {
	here := `{"filename":"` + demo + `","type":"deb","distro_version":"ubuntu/jammy","sha256sum":"%s"}`
	for name, test := range map[string]struct{ fields, says string }{
		"repository":               {field("repository", "other"), "the repository other"},
		"repository of the owner":  {field("repository", "acme/other"), "the repository acme/other"},
		"repository, by a prefix":  {field("repository", "mai"), "the repository mai"},
		"owner, in an address":     {field("repository", "main") + field("destroy_url", "/api/v1/repos/evil/main/ubuntu/jammy/"+demo), "the repository evil/main"},
		"repository in an address": {field("package_url", "/api/v1/repos/acme/other/package/deb/ubuntu/jammy/demo/amd64/1.0.json"), "the repository acme/other"},
		"distribution":             {field("distro_version", "ubuntu/focal"), "in ubuntu/focal"},
		"distribution, by a part":  {field("distro_version", "ubuntu"), "in ubuntu;"},
		"place of another type":    {field("distro_version", "python/1"), "in python/1"},
		"no bytes":                 {`,"size":"0"`, "with 0 bytes"},
		"right checksum, but":      {field("distro_version", "debian/trixie") + field("sha256sum", sums400["sha256sum"]), "in debian/trixie"},
	} {
		for found, want := range map[string]error{
			fmt.Sprintf(here, sums400["sha256sum"]):              nil,
			fmt.Sprintf(here, flipped(sums400["sha256sum"], -1)): packagecloud.ErrUnknownOutcome,
			"": packagecloud.ErrUnknownOutcome,
		} {
			server := &answering{answer: answer400(test.fields), found: found}
			c, client, _ := serve(t, server.serve)
			pkg, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(demo, content400), jammy)
			if !errors.Is(err, want) || server.posts != 1 || server.searches == 0 || server.searches > 2 {
				t.Errorf("%s: %d uploads, %d look-ups: %v", name, server.posts, server.searches, err)
				continue
			}
			if err == nil && (pkg.Distribution != "ubuntu/jammy" || pkg.Existed) {
				t.Errorf("%s: %+v", name, pkg)
			}
			if err != nil && (!strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "ubuntu/jammy of acme/main")) {
				t.Errorf("%s: the error is %v", name, err)
			}
			c.clean(t, err)
		}
	}
}

// flipping is a transport that flips a bit of what is sent.
type flipping struct{ at int64 }

func (f flipping) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == "POST" {
		body := r.Body
		r = r.Clone(r.Context())
		r.GetBody = nil
		r.Body = struct {
			io.Reader
			io.Closer
		}{&flippingReader{body, f.at}, body}
	}
	return http.DefaultTransport.RoundTrip(r)
}

type flippingReader struct {
	io.Reader
	left int64
}

func (r *flippingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.left >= 0 && r.left < int64(n) {
		p[r.left] ^= 4
	}
	r.left -= int64(n)
	return n, err
}

// Guarantee U1.
func TestUpload_BytesFlippedOnTheWayUpAreNoSuccess(t *testing.T) {
	f := setup(t, packagecloud.WithHTTPClient(&http.Client{Transport: flipping{at: 1 << 20}}))
	_, err := f.repo.Upload(t.Context(), largeDemo(), jammy)
	f.want(t, err, packagecloud.ErrChecksum)
	if got := f.stored(t, 1)[0]; !strings.Contains(err.Error(), got.SHA256) || len(f.requests("POST")) != 1 {
		t.Errorf("%d uploads: %v", len(f.requests("POST")), err)
	}
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// Guarantee U1.
func TestUpload_FileEditedInPlaceWhileItIsSentIsNotStored(t *testing.T) {
	if !packagecloud.HasChangeTime(t.TempDir()) {
		t.Skip("the system doesn't tell")
	}
	edited := func(offset int64) (*fixture, string, error) {
		f := setup(t)
		path := filepath.Join(t.TempDir(), demo)
		os.WriteFile(path, make([]byte, large), 0o600)
		options := *jammy
		once := sync.OnceFunc(func() { try(t, editInPlace(path, offset)) })
		options.Progress = func(sent, _ int64) {
			if sent > large/2 {
				once()
			}
		}
		_, err := f.repo.Upload(t.Context(), packagecloud.File(path), &options)
		return f, path, err
	}
	f, _, err := edited(0) // of which the server has the old bytes
	f.want(t, err, packagecloud.ErrContentChanged)
	f.stored(t, 0)
	// What was edited ahead of the reading is sent as the file has it.
	f, path, err := edited(large - 10)
	if err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(path)
	if got, want := f.stored(t, 1)[0].SHA256, fmt.Sprintf("%x", sha256.Sum256(now)); err != nil || got != want {
		t.Errorf("SHA-256 %s is stored, and the file has %s: %v", got, want, err)
	}
}

// Guarantee U1.
func TestUpload_FileEditedInPlaceBetweenTwoTriesIsNotSent(t *testing.T) {
	if !packagecloud.HasChangeTime(t.TempDir()) {
		t.Skip("the system doesn't tell")
	}
	f := setup(t)
	path := filepath.Join(t.TempDir(), demo)
	os.WriteFile(path, make([]byte, large), 0o600)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", ResetAfter: 256 << 10, Then: func(*packagecloudtest.Server) { try(t, editInPlace(path, large/2)) }})
	_, err := f.repo.Upload(t.Context(), packagecloud.File(path), jammy)
	f.want(t, err, packagecloud.ErrContentChanged)
	f.stored(t, 0)
}

// What changes a file's name, links or permissions changes none of its bytes.
func TestUpload_FileWithOtherLinksOrPermissionsIsStored(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"link":   func(path string) error { return os.Link(path, path+".link") },
		"chmod":  func(path string) error { return os.Chmod(path, 0o400) },
		"rename": func(path string) error { return os.Rename(path, path+".old") },
	} {
		f := setup(t)
		path := filepath.Join(t.TempDir(), demo)
		os.WriteFile(path, make([]byte, large), 0o600)
		options := *jammy
		once := sync.OnceFunc(func() {
			if err := change(path); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		options.Progress = func(sent, _ int64) {
			if sent > 0 {
				once()
			}
		}
		if _, err := f.repo.Upload(t.Context(), packagecloud.File(path), &options); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.stored(t, 1)
	}
}

// A store of its own may give other bytes of the same number.
func TestUpload_ContentThatReadsOtherwiseTheSecondTimeIsNotSent(t *testing.T) {
	f := setup(t)
	f.srv.Inject(notDone)
	opened := 0
	content := packagecloud.Content{Name: demo, Size: 7, Open: func() (io.ReadCloser, error) {
		opened++
		return io.NopCloser(strings.NewReader(fmt.Sprintf("bytes %d", opened))), nil
	}}
	_, err := f.repo.Upload(t.Context(), content, jammy)
	f.want(t, err, packagecloud.ErrContentChanged)
	f.want(t, err, packagecloud.ErrUnknownOutcome)
	f.stored(t, 0)
}

// Guarantee U2.
func TestUpload_LostAnswerIsComparedWithWhatWasSent(t *testing.T) {
	f := setup(t)
	path := filepath.Join(t.TempDir(), demo)
	os.WriteFile(path, content400, 0o600)
	// The file is another by the time that the outcome is looked up.
	transport := &faulty{post: func(n int, r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			resp.Body.Close()
		}
		os.WriteFile(path, make([]byte, 400), 0o600)
		return nil, io.ErrUnexpectedEOF
	}}
	f.client = newClient(t, tokensource.Static(f.srv.Token()), packagecloud.WithBaseURL(f.srv.URL), packagecloud.WithHTTPClient(&http.Client{Transport: transport}))
	pkg, err := f.client.Repository("acme", "main").Upload(t.Context(), packagecloud.File(path), jammy)
	if err != nil || pkg.SHA256 != sums400["sha256sum"] || transport.posts != 1 {
		t.Errorf("%d uploads: %+v, %v", transport.posts, pkg, err)
	}
}

// What an earlier try may have done says nothing of what is stored now.
func TestUpload_OtherContentAfterALostTryIsErrChecksum(t *testing.T) {
	transport := &faulty{
		post: func(n int, r *http.Request) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			if n == 1 {
				return nil, io.ErrUnexpectedEOF
			}
			return reply(r, 201, answer400(field("sha256sum", flipped(sums400["sha256sum"], -1)))), nil
		},
		get: empty,
	}
	client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithHTTPClient(&http.Client{Transport: transport}))
	_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(demo, content400), jammy)
	if !errors.Is(err, packagecloud.ErrChecksum) || errors.Is(err, packagecloud.ErrUnknownOutcome) || transport.posts != 2 {
		t.Errorf("%d uploads: %v", transport.posts, err)
	}
}

func TestReplace_OtherContentInThePlaceOfTheOldIsSaid(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("old"))
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", Skip: 1, ReadBody: true, Status: 201, ContentType: "application/json", Body: answer400(`,"size":"1"`)})
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
	f.want(t, err, packagecloud.ErrChecksum)
	if !strings.Contains(err.Error(), "the old "+demo+" was deleted, and what has its place is not the new one") || strings.Contains(err.Error(), "not arrived") {
		t.Errorf("the error is %v", err)
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
