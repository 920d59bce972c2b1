package packagecloud_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// The old package is gone then, and nothing has its place.
//
// Guarantee U3.
func TestReplace_RefusalAfterTheDeletionSaysThatTheOldOneIsGone(t *testing.T) {
	for name, test := range map[string]struct {
		fault  packagecloudtest.Fault
		is     error
		says   string
		repeat bool // may help
	}{
		"invalid":   {packagecloudtest.Fault{Status: 422, Body: `{"repository":["no"]}`}, packagecloud.ErrInvalid, "mend what the server says, or upload the old file", false},
		"plan":      {packagecloudtest.Fault{Status: 402}, packagecloud.ErrPaymentRequired, "mend what the server says, or upload the old file", false},
		"quota":     {packagecloudtest.Fault{Status: 429, ContentType: "text/html", Body: "Bandwidth or Storage Limit Exceeded"}, packagecloud.ErrQuota, "mend what the server says", false},
		"duplicate": {packagecloudtest.Fault{Status: 422, Body: `{"filename":["has already been taken"]}`}, packagecloud.ErrExists, "another package has the place", false},
		"busy":      {packagecloudtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"3600"}}}, nil, "upload it again", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := samples()["deb"]
			f := s.strict(t)
			test.fault.Method, test.fault.Skip = "POST", 1
			if test.fault.ContentType == "" {
				test.fault.ContentType = "application/json"
			}
			f.srv.Inject(test.fault)
			_, err := s.push(t, f, s.new, packagecloud.Replace)
			if err == nil || test.is != nil && !errors.Is(err, test.is) {
				t.Fatalf("the error is %v", err)
			}
			if text := err.Error(); !strings.Contains(text, "the old "+demo+" was deleted") || !strings.Contains(text, test.says) || strings.Contains(text, "upload it again") != test.repeat {
				t.Errorf("the error is %v", err)
			}
			f.stored(t, 0)
		})
	}
}

func TestReplace_DeletionThatIsRefusedLeavesTheOldPackage(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("old"))
	f.srv.Inject(packagecloudtest.Fault{Method: "DELETE", Status: 402, Times: -1})
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
	f.want(t, err, packagecloud.ErrPaymentRequired)
	if !strings.Contains(err.Error(), "not replaced") || len(f.requests("POST")) != 1 {
		t.Errorf("the error is %v", err)
	}
	f.stored(t, 1)
}

// Guarantee U3.
func TestReplace_WithAFileThatCannotBeReadDeletesNothing(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("old"))
	broken := errors.New("disk on fire")
	opens := 0
	good := packagecloud.Bytes(demo, newDemo)
	content := packagecloud.Content{Name: demo, Size: good.Size, Open: func() (io.ReadCloser, error) {
		if opens++; opens > 1 { // the first looks into the package and is sent
			return io.NopCloser(&failing{broken}), nil
		}
		return good.Open()
	}}
	_, err := f.repo.Upload(t.Context(), content, ifExists(packagecloud.Replace))
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "nothing was replaced") {
		t.Errorf("the error is %v", err)
	}
	if len(f.requests("DELETE")) != 0 || len(f.requests("POST")) != 1 {
		t.Errorf("the requests were %+v", f.requests(""))
	}
	f.stored(t, 1)
}

// Guarantee U3.
func TestReplace_WithASourceFileThatCannotBeReadDeletesNothing(t *testing.T) {
	dsc, files := packagefiletest.DSC("demo", "1.0-1")
	options := &packagecloud.UploadOptions{Distribution: "ubuntu/jammy"}
	for _, file := range files {
		options.SourceFiles = append(options.SourceFiles, packagecloud.Bytes(file.Name, []byte(file.Content)))
	}
	f := setup(t)
	upload := func() error {
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes("demo_1.0-1.dsc", dsc), options)
		return err
	}
	if err := upload(); err != nil {
		t.Fatal(err)
	}
	options.IfExists = packagecloud.Replace
	good := options.SourceFiles[1]
	for want, bad := range map[error]packagecloud.Content{
		fs.ErrPermission:               {Name: good.Name, Size: good.Size, Open: func() (io.ReadCloser, error) { return nil, fs.ErrPermission }},
		packagecloud.ErrContentChanged: {Name: good.Name, Size: good.Size, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("short")), nil }},
		packagecloud.ErrNotReplayable:  packagecloud.Reader(good.Name, strings.NewReader("x"), 1),
	} {
		options.SourceFiles[1] = bad
		f.want(t, upload(), want)
		if n := len(f.requests("DELETE")); n != 0 {
			t.Errorf("%v: %d deletions", want, n)
		}
		f.stored(t, 1)
	}
	options.SourceFiles[1] = good
	if err := upload(); err != nil {
		t.Error(err)
	}
	f.stored(t, 1)
}

// Guarantee U3.
func TestReplace_LeavesAPackageOfAnotherTypeWithTheSameBytes(t *testing.T) {
	gem := packagefiletest.Gem("demo", "1.0")
	sum := sha256.Sum256(gem)
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == "GET" && r.URL.Query().Get("q") != "":
			io.WriteString(w, "[]")
		case r.Method == "GET":
			io.WriteString(w, `[{"filename":"backup-1.0.bin","type":"anyfile","distro_version":"anyfile/1","sha256sum":"`+hex.EncodeToString(sum[:])+`","destroy_url":"/api/v1/repos/acme/main/anyfile/1/backup-1.0.bin"}]`)
		case r.Method == "DELETE":
			t.Errorf("%s is deleted", r.URL.Path)
			io.WriteString(w, "{}")
		default:
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(422)
			io.WriteString(w, `{"filename":["has already been taken"]}`)
		}
	})
	_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes("demo-1.0.gem", gem), &packagecloud.UploadOptions{IfExists: packagecloud.Replace})
	if !errors.Is(err, packagecloud.ErrExists) {
		t.Errorf("the error is %v", err)
	}
}

// The list lags behind, and what was uploaded is not stored.
//
// Guarantee U3.
func TestReplace_PackageThatIsStillListedIsNotTheNewOne(t *testing.T) {
	posts := 0
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "distributions.json"):
			io.WriteString(w, `{"deb":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy"}]}]}`)
		case r.Method == "GET":
			io.WriteString(w, `[{"filename":"`+demo+`","type":"deb","distro_version":"ubuntu/jammy","sha256sum":"`+strings.Repeat("0", 64)+`","created_at":"2020-01-24T05:35:34.000Z"}]`)
		case r.Method == "DELETE":
			io.WriteString(w, "{}")
		default:
			io.Copy(io.Discard, r.Body)
			switch posts++; posts {
			case 1:
				w.WriteHeader(422)
				io.WriteString(w, `{"filename":["has already been taken"]}`)
				return
			case 2:
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(201)
			io.WriteString(w, `{"filename":"`+demo+`"}`)
		}
	})
	if _, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace)); err != nil || posts != 3 {
		t.Errorf("%d uploads, %v", posts, err)
	}
}

// Guarantee U3.
func TestReplace_SaysIfItDeletedAnotherPackageThanItStored(t *testing.T) {
	posts := 0
	f := setup(t, packagecloud.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == "POST" {
			if posts++; posts == 2 {
				io.Copy(io.Discard, r.Body)
				return reply(r, 201, `{"filename":"demo_1.0-1_amd64.deb"}`), nil
			}
		}
		return http.DefaultTransport.RoundTrip(r)
	})}))
	f.add(t, "ubuntu/jammy", demo, []byte("old"))
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
	if err == nil || !strings.Contains(err.Error(), "the old "+demo+" was deleted") || !strings.Contains(err.Error(), "demo_1.0-1_amd64.deb") {
		t.Errorf("the error is %v", err)
	}
}

// Guarantee U3.
func TestReplace_WhoseDeletionMayBeDoneSaysSo(t *testing.T) {
	for name, second := range map[string]func(r *http.Request) (*http.Response, error){
		"401": func(r *http.Request) (*http.Response, error) { return reply(r, 401, "{}"), nil },
		"402": func(r *http.Request) (*http.Response, error) { return reply(r, 402, "{}"), nil },
		"no connection": func(r *http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
		},
		"500 for ever": func(r *http.Request) (*http.Response, error) { return reply(r, 500, ""), nil },
	} {
		deletions := 0
		f := setup(t, packagecloud.WithRotationWait(0), packagecloud.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == "DELETE" {
				if deletions++; deletions > 1 {
					return second(r)
				}
			}
			return http.DefaultTransport.RoundTrip(r)
		})}))
		pkg := f.add(t, "ubuntu/jammy", demo, []byte("old"))
		f.srv.Inject(packagecloudtest.Fault{Method: "DELETE", Reset: true})
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
		f.want(t, err, packagecloud.ErrUnknownOutcome)
		if !strings.Contains(err.Error(), "may be deleted, and nothing was sent in its place") || len(f.requests("POST")) != 1 {
			t.Errorf("%s: the error is %v", name, err)
		}
		deletions = 0
		f.srv.Inject(packagecloudtest.Fault{Method: "DELETE", Reset: true})
		f.want(t, f.repo.Delete(t.Context(), pkg), packagecloud.ErrUnknownOutcome)
	}
}

// Guarantee U3.
func TestReplace_LeavesThePackageOfAnotherScopeOrGroup(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second packagecloud.Content
	}{
		{"npm scope", packagecloud.Bytes("demo-1.0.0.tgz", packagefiletest.Node("@a/demo", "1.0.0")), packagecloud.Bytes("demo-1.0.0.tgz", packagefiletest.Node("@b/demo", "1.0.0"))},
		{"java group", packagecloud.Bytes("app-1.0.jar", packagefiletest.Jar("com.a", "app", "1.0")), packagecloud.Bytes("app-1.0.jar", packagefiletest.Jar("com.b", "app", "1.0"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := setup(t)
			for _, content := range []packagecloud.Content{c.first, c.second} {
				if _, err := f.repo.Upload(t.Context(), content, &packagecloud.UploadOptions{IfExists: packagecloud.Replace}); err != nil {
					t.Fatal(err)
				}
			}
			f.stored(t, 2)
		})
	}
}

// The server may name an archive after its coordinates. Then the one that has the
// file's name is not in the way.
//
// Guarantee U3.
func TestReplace_LeavesTheArchiveThatIsCalledAfterAnotherVersion(t *testing.T) {
	f := setup(t)
	duplicate := packagecloudtest.Fault{Method: "POST", Path: uploadPath, Status: 422, ContentType: "application/json", Body: `{"filename":["has already been taken"]}`, Times: -1}
	for _, name := range []string{"demo-1.0.jar", "demo-1.0.1.jar"} {
		version := strings.TrimSuffix(strings.TrimPrefix(name, "demo-"), ".jar")
		f.add(t, "java/maven2", name, packagefiletest.Jar("com.acme", "demo", version))
	}
	f.srv.Inject(duplicate)
	newer := packagefiletest.Zip(packagefiletest.File{Name: "new.class"}, packagefiletest.File{Name: "META-INF/maven/com.acme/demo/pom.properties", Content: "groupId=com.acme\nartifactId=demo\nversion=1.0\n"})
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes("demo-1.0.1.jar", newer), &packagecloud.UploadOptions{IfExists: packagecloud.Replace})
	if n := len(f.requests("DELETE")); !errors.Is(err, packagecloud.ErrExists) || n != 0 {
		t.Errorf("%d deletions: %v", n, err)
	}
	f.stored(t, 2)
}

// Nor does it delete one of whose scope the new archive says nothing.
//
// Guarantee U3.
func TestReplace_NeedsToKnowTheScope(t *testing.T) {
	f := setup(t)
	if err := f.srv.AddPackage("main", "node/1", "demo-1.0.0.tgz", packagefiletest.Node("demo", "1.0.0")); err != nil {
		t.Fatal(err)
	}
	f.srv.ResetRequests()
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes("demo-1.0.0.tgz", []byte("no archive")), &packagecloud.UploadOptions{Type: "node", IfExists: packagecloud.Replace})
	if !errors.Is(err, packagecloud.ErrExists) || len(f.requests("DELETE")) != 0 {
		t.Errorf("%d deletions: %v", len(f.requests("DELETE")), err)
	}
	f.stored(t, 1)
}

// Lists may tell a scope by the address alone.
//
// Guarantee U3.
func TestReplace_ReadsTheScopeInTheAddress(t *testing.T) {
	const item = `[{"filename":"demo-1.0.0.tgz","distro_version":"node/1","type":"node","destroy_url":"/api/v1/repos/acme/main/node/1/demo-1.0.0.tgz?scope=%40a"}]`
	for scope, want := range map[string]int{"": 0, "@b/": 0, "@a/": 1} {
		f := setup(t)
		f.srv.Inject(packagecloudtest.Fault{Method: "POST", Status: 422, ContentType: "application/json", Body: `{"filename":["has already been taken"]}`, Times: -1})
		f.srv.Inject(packagecloudtest.Fault{Path: "/api/v1/repos/*/*/search.json", Status: 200, ContentType: "application/json", Body: item, Times: -1})
		content := packagecloud.Bytes("demo-1.0.0.tgz", packagefiletest.Node(scope+"demo", "1.0.0"))
		_, err := f.repo.Upload(t.Context(), content, &packagecloud.UploadOptions{IfExists: packagecloud.Replace})
		if n := len(f.requests("DELETE")); n != want || !errors.Is(err, packagecloud.ErrExists) {
			t.Errorf("%q: %d deletions, want %d: %v", scope, n, want, err)
		}
	}
}

// Alpine packages of several architectures have one name and one address.
//
// Guarantee U3.
func TestReplace_AlpinePackageOfAnotherArchitectureIsNotIt(t *testing.T) {
	const name = "jake-1.0.1-r2.apk"
	content := func(arch string) packagecloud.Content {
		return packagecloud.Bytes(name, packagefiletest.Alpine("jake", "1.0.1-r2", arch))
	}
	alpine := func(what packagecloud.IfExists) *packagecloud.UploadOptions {
		return &packagecloud.UploadOptions{Distribution: "alpine/v3.20", IfExists: what}
	}
	for _, what := range []packagecloud.IfExists{packagecloud.Skip, packagecloud.Replace} {
		f := setup(t)
		if _, err := f.repo.Upload(t.Context(), content("x86_64"), alpine(what)); err != nil {
			t.Fatal(err)
		}
		// The server judges.
		_, err := f.repo.Upload(t.Context(), content("aarch64"), alpine(what))
		if !errors.Is(err, packagecloud.ErrExists) || len(f.requests("POST")) != 2 || len(f.requests("DELETE")) != 0 {
			t.Errorf("%d: %v", what, err)
		}
	}
	// Where both are there, their address means either.
	f := setup(t)
	if _, err := f.repo.Upload(t.Context(), content("x86_64"), alpine(packagecloud.Fail)); err != nil {
		t.Fatal(err)
	}
	const item = `{"filename":"` + name + `","distro_version":"alpine/v3.20","type":"alpine","created_at":"2026-01-0%d"}`
	f.srv.Inject(packagecloudtest.Fault{Path: "/api/v1/repos/*/*/search.json", Status: 200, ContentType: "application/json", Body: "[" + fmt.Sprintf(item, 1) + "," + fmt.Sprintf(item, 2) + "]"})
	_, err := f.repo.Upload(t.Context(), content("x86_64"), alpine(packagecloud.Replace))
	if !errors.Is(err, packagecloud.ErrExists) || len(f.requests("DELETE")) != 0 {
		t.Errorf("one of two is replaced: %v", err)
	}
}

// A proxy may hold the lost first try back until the old package is gone.
//
// Guarantee U3.
func TestReplace_OwnPackageThatComesAfterTheDeletionIsSuccess(t *testing.T) {
	var f *fixture
	late := &faulty{}
	late.post = func(n int, r *http.Request) (*http.Response, error) {
		if n == 2 { // after the deletion
			f.add(t, "ubuntu/jammy", demo, newDemo)
		}
		return http.DefaultTransport.RoundTrip(r)
	}
	f = setup(t, packagecloud.WithHTTPClient(&http.Client{Transport: late}))
	f.add(t, "ubuntu/jammy", demo, []byte("old"))
	pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
	if err != nil || pkg.Filename != demo {
		t.Errorf("%+v, %v; want the package", pkg, err)
	}
	f.stored(t, 1)
}
