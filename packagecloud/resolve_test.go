package packagecloud_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

const searchPath = "/api/v1/repos/*/*/search.json"

// Guarantee U2.
func TestUpload_LostAnswerWithoutAChecksumIsJudgedByWhatIsKnown(t *testing.T) {
	alpine := &packagecloud.UploadOptions{Type: "alpine", Distribution: "alpine/v3.20"}
	type change func(r *http.Request, body string) *http.Response
	rewrite := func(pattern, with string) change {
		re := regexp.MustCompile(pattern)
		return func(r *http.Request, body string) *http.Response {
			if !re.MatchString(body) {
				t.Errorf("%s holds no %s", body, pattern)
			}
			return reply(r, 200, re.ReplaceAllString(body, with))
		}
	}
	answer := func(status int, body string) change {
		return func(r *http.Request, _ string) *http.Response { return reply(r, status, body) }
	}
	const uploader, created, details, content = `"uploader_name":"[^"]*"`, `"created_at":"[^"]*"`, "/package/", "content"
	for name, test := range map[string]struct {
		options *packagecloud.UploadOptions
		path    string // whose answer is changed
		change  change
		ours    bool
	}{
		"deb":                       {jammy, "", nil, true},
		"alpine":                    {alpine, "", nil, true},
		"size that only a GET has":  {jammy, details, rewrite(`"size":"7"`, `"size":"0"`), true},
		"server ignores ranges":     {alpine, content, answer(200, "7 bytes"), true},
		"uploader in capitals":      {jammy, details, rewrite(uploader, `"uploader_name":"ACME"`), true},
		"another uploader":          {jammy, details, rewrite(uploader, `"uploader_name":"bob"`), false},
		"no uploader":               {jammy, details, rewrite(uploader, `"uploader_name":null`), false},
		"alpine, another uploader":  {alpine, "/search.json", rewrite(uploader, `"uploader_name":"bob"`), false},
		"account without a name":    {jammy, "/repos.json", rewrite(`"fqname":"acme/main"`, `"fqname":null`), false},
		"account without a list":    {jammy, "/repos.json", answer(404, ""), false},
		"account of nothing":        {jammy, "/repos.json", answer(200, "[]"), false},
		"another size":              {jammy, details, rewrite(`"size":"7"`, `"size":"8"`), false},
		"alpine, another size":      {alpine, content, answer(200, "8 bytes!"), false},
		"alpine, no content":        {alpine, content, answer(404, ""), false},
		"alpine, no address":        {alpine, "/search.json", rewrite(`"download_url":"[^"]*"`, `"download_url":""`), false},
		"created long before":       {jammy, details, rewrite(created, `"created_at":"2020-01-24T05:35:34.000Z"`), false},
		"created just before":       {jammy, details, rewrite(created, `"created_at":"`+time.Now().Add(-3*time.Second).UTC().Format(time.RFC3339Nano)+`"`), false},
		"server without a clock":    {jammy, "/repos.json", func(r *http.Request, body string) *http.Response { return reply(r, 200, body) }, false},
		"created nobody knows when": {jammy, details, rewrite(created, `"created_at":null`), false},
	} {
		t.Run(name, func(t *testing.T) {
			changed := test.path == ""
			f := setupServer(t, &packagecloudtest.Options{NoChecksums: true}, nil, packagecloud.WithHTTPClient(&http.Client{
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					resp, err := http.DefaultTransport.RoundTrip(r)
					if err != nil || r.Method != "GET" || test.path == "" {
						return resp, err
					}
					isContent := r.Header.Get("Range") != "" && resp.StatusCode < 300
					if test.path == content && !isContent || test.path != content && !strings.Contains(r.URL.Path, test.path) {
						return resp, nil
					}
					changed = true
					defer resp.Body.Close()
					return test.change(r, text(t, resp.Body)), nil
				}),
			}))
			f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
			_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(nameOf(test.options), []byte("\x1f\x8b 2345")), test.options)
			if test.ours && err != nil {
				t.Error(err)
			}
			if !test.ours {
				f.want(t, err, packagecloud.ErrUnknownOutcome)
			}
			if !changed {
				t.Error("the answer to change was never asked for")
			}
			f.stored(t, 1)
		})
	}
}

func nameOf(options *packagecloud.UploadOptions) string {
	if options.Type == "alpine" {
		return "demo-1.0-r0.apk"
	}
	return demo
}

// Guarantee U2.
func TestUpload_DuplicateAfterOwnLostTryIsSuccess(t *testing.T) {
	for _, wording := range []packagecloudtest.DuplicateWording{packagecloudtest.DuplicateFilename, packagecloudtest.DuplicateFullName} {
		f := setupServer(t, &packagecloudtest.Options{DuplicateWording: wording}, nil)
		f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
		// It isn't listed yet, whenever the client looks.
		f.srv.Inject(packagecloudtest.Fault{Path: searchPath, Times: 3, Status: 200, ContentType: "application/json", Body: "[]"})
		if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("content")), jammy); err != nil {
			t.Error(err)
		}
		f.stored(t, 1)
		if got := statuses(f.requests("POST")); !slices.Equal(got, []int{0, 422}) {
			t.Errorf("the answers were %v", got)
		}
	}
}

// Guarantee U2.
func TestUpload_LostAnswerOfADSCIsJudgedByTheSizeOfTheDSC(t *testing.T) {
	dsc, files := packagefiletest.DSC("demo", "1.0-1")
	options := &packagecloud.UploadOptions{Distribution: "ubuntu/jammy"}
	for _, file := range files {
		options.SourceFiles = append(options.SourceFiles, packagecloud.Bytes(file.Name, []byte(file.Content)))
	}
	f := setup(t)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
	if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes("demo_1.0-1.dsc", dsc), options); err != nil {
		t.Error(err)
	}
	f.stored(t, 1)
}

// Guarantee U2.
func TestUpload_SizeIsAskedForAgain(t *testing.T) {
	for name, fault := range map[string]packagecloudtest.Fault{
		"503":             {Path: "/acme/main/packages/**", Status: 503},
		"reset":           {Path: "/acme/main/packages/**", Reset: true},
		"502 at the host": {Host: packagecloudtest.HostDownload, Status: 502},
	} {
		f := setup(t)
		f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
		f.srv.Inject(fault)
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes("demo-1.0-r0.apk", []byte("\x1f\x8b 2345")), &packagecloud.UploadOptions{Type: "alpine", Distribution: "alpine/v3.20"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file may be called after another version than the one that it holds.
//
// Guarantee U2.
func TestUpload_LostAnswerIsJudgedByTheNameInThePackage(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, packagefiletest.Deb("demo", "1.0", "amd64"))
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
	pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, packagefiletest.Deb("demo", "1.1", "amd64")), jammy)
	if err != nil || pkg.Filename != "demo_1.1_amd64.deb" {
		t.Errorf("%+v, %v", pkg, err)
	}
	f.stored(t, 2)
}

// The server names the package as nothing in the file tells, so that it is found
// by its checksum only.
//
// Guarantee U2.
func TestUpload_LostAnswerOfAPackageUnderAnotherNameIsFoundByItsChecksum(t *testing.T) {
	content := []byte("content")
	sum := sha256.Sum256(content)
	posts := 0
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "distributions.json"):
			io.WriteString(w, `{"deb":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy"}]}]}`)
		case r.Method == "GET" && (r.URL.Query().Get("q") != "" || posts == 0):
			io.WriteString(w, "[]")
		case r.Method == "GET":
			io.WriteString(w, `[{"filename":"`+demo+`","type":"deb","distro_version":"ubuntu/jammy","sha256sum":"`+hex.EncodeToString(sum[:])+`"}]`)
		default:
			io.Copy(io.Discard, r.Body)
			if posts++; posts == 1 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(422)
			io.WriteString(w, `{"filename":["has already been taken"]}`)
		}
	})
	pkg, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes("build-output.deb", content), jammy)
	if err != nil || pkg.Filename != demo || pkg.Existed || posts != 2 {
		t.Errorf("%d uploads, %+v, %v", posts, pkg, err)
	}
}

// Guarantee U2.
func TestUpload_SourceThatCanBeReadOnceIsNotInTheChecksum(t *testing.T) {
	content := []byte("content")
	sum := sha256.Sum256(content)
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "distributions.json"):
			io.WriteString(w, `{"dsc":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy"}]}]}`)
		case r.Method == "GET":
			io.WriteString(w, `[{"filename":"demo_1.0-1.dsc","type":"dsc","distro_version":"ubuntu/jammy","sha256sum":"`+hex.EncodeToString(sum[:])+`"}]`)
		default:
			io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
	})
	_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Reader("demo_1.0-1.dsc", bytes.NewReader(content), 7), &packagecloud.UploadOptions{
		Distribution: "ubuntu/jammy", SourceFiles: []packagecloud.Content{packagecloud.Reader("demo_1.0.orig.tar.gz", strings.NewReader("abc"), 3)},
	})
	if err != nil {
		t.Error(err)
	}
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
