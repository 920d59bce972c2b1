package packagecloud_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

func ifExists(mode packagecloud.IfExists) *packagecloud.UploadOptions {
	return &packagecloud.UploadOptions{Distribution: "ubuntu/jammy", IfExists: mode}
}

// newDemo tells what it is, as an older deb does.
var newDemo = packagefiletest.Deb("demo", "1.0", "amd64")

func TestIfExists_FailIsErrExists(t *testing.T) {
	for _, wording := range []packagecloudtest.DuplicateWording{packagecloudtest.DuplicateFilename, packagecloudtest.DuplicateFullName} {
		f := setupServer(t, &packagecloudtest.Options{DuplicateWording: wording}, nil)
		f.add(t, "ubuntu/jammy", demo, []byte("x"))
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("x")), jammy)
		f.want(t, err, packagecloud.ErrExists)
		if n := len(f.requests("POST")); n != 1 {
			t.Errorf("%d uploads; want 1", n)
		}
	}
}

func TestIfExists_SkipSendsNothingForTheSameContent(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("x"))
	pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("x")), ifExists(packagecloud.Skip))
	if err != nil || !pkg.Existed || pkg.Filename != demo {
		t.Errorf("%+v, %v", pkg, err)
	}
	if n := len(f.requests("POST")); n != 0 {
		t.Errorf("%d uploads; want 0", n)
	}
}

func TestIfExists_SkipUploadsWhatIsNotThere(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/focal", demo, []byte("x"))
	pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("x")), ifExists(packagecloud.Skip))
	if err != nil || pkg.Existed {
		t.Errorf("%+v, %v", pkg, err)
	}
	f.stored(t, 2)
}

func TestIfExists_WhatTheSearchFindsBesidesIsNotIt(t *testing.T) {
	content := []byte("content")
	sum := sha256.Sum256(content)
	uploads := 0
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "distributions.json"):
			io.WriteString(w, `{"deb":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy"}]}]}`)
		case r.Method == "GET":
			found := `"sha256sum":"` + hex.EncodeToString(sum[:]) + `"}`
			io.WriteString(w, `[{"filename":"`+demo+`","type":"deb","distro_version":"ubuntu/focal",`+found+`,
				{"filename":"x`+demo+`","type":"deb","distro_version":"ubuntu/jammy",`+found+`,
				{"filename":"`+demo+`","type":"dsc","distro_version":"ubuntu/jammy",`+found+`]`)
		default:
			uploads++
			w.WriteHeader(201)
			io.WriteString(w, `{"filename":"x"}`)
		}
	})
	pkg, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(demo, content), ifExists(packagecloud.Skip))
	if err != nil || pkg.Existed || uploads != 1 {
		t.Errorf("%d uploads, %+v, %v", uploads, pkg, err)
	}
}

func TestIfExists_SkipOfOtherContentIsErrExists(t *testing.T) {
	for want, opts := range map[string]packagecloudtest.Options{"its content is another": {}, "no checksum": {NoChecksums: true}} {
		f := setupServer(t, &opts, nil)
		f.add(t, "ubuntu/jammy", demo, []byte("theirs"))
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("ours")), ifExists(packagecloud.Skip))
		f.want(t, err, packagecloud.ErrExists)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v; want %q in it", err, want)
		}
		if n := len(f.requests("POST")); n != 0 {
			t.Errorf("%d uploads; want 0", n)
		}
	}
}

func TestIfExists_SkipFindsAPackageThatTheServerNamesByItsContent(t *testing.T) {
	f := setup(t)
	deb := packagefiletest.Deb("demo", "1.0", "amd64")
	f.add(t, "ubuntu/jammy", demo, deb)
	pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes("build-output.deb", deb), ifExists(packagecloud.Skip))
	if err != nil || !pkg.Existed {
		t.Errorf("%+v, %v", pkg, err)
	}
	if n := len(f.requests("POST")); n != 0 {
		t.Errorf("%d uploads; want 0", n)
	}
}

// The server has the package under a name that nothing in the file tells.
func TestIfExists_PackageUnderAnotherNameIsFoundByItsChecksum(t *testing.T) {
	content := []byte("content")
	sum := sha256.Sum256(content)
	for name, test := range map[string]struct {
		mode packagecloud.IfExists
		sum  string
		want []string
		err  error
	}{
		"skip":          {packagecloud.Skip, hex.EncodeToString(sum[:]), []string{"POST"}, nil},
		"replace":       {packagecloud.Replace, hex.EncodeToString(sum[:]), []string{"POST", "DELETE", "POST"}, nil},
		"skip other":    {packagecloud.Skip, strings.Repeat("0", 64), []string{"POST"}, packagecloud.ErrExists},
		"replace other": {packagecloud.Replace, strings.Repeat("0", 64), []string{"POST"}, packagecloud.ErrExists},
	} {
		var changes []string
		deleted := false
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "GET" {
				changes = append(changes, r.Method)
			}
			switch {
			case strings.HasSuffix(r.URL.Path, "distributions.json"):
				io.WriteString(w, `{"deb":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy"}]}]}`)
			case r.Method == "GET" && r.URL.Query().Get("q") != "":
				io.WriteString(w, "[]")
			case r.Method == "GET":
				io.WriteString(w, `[{"filename":"theirs.deb","type":"deb","distro_version":"ubuntu/jammy","sha256sum":"`+test.sum+`","destroy_url":"/api/v1/repos/acme/main/ubuntu/jammy/theirs.deb"}]`)
			case r.Method == "DELETE":
				deleted = true
				io.WriteString(w, `{"filename":"x"}`)
			case deleted:
				w.WriteHeader(201)
				io.WriteString(w, `{"filename":"theirs.deb"}`)
			default:
				io.Copy(io.Discard, r.Body)
				w.WriteHeader(422)
				io.WriteString(w, `{"filename":["has already been taken"]}`)
			}
		})
		pkg, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes("ours.deb", content), ifExists(test.mode))
		if !errors.Is(err, test.err) || err == nil && pkg.Filename != "theirs.deb" {
			t.Errorf("%s: %+v, %v", name, pkg, err)
		}
		if !slices.Equal(changes, test.want) {
			t.Errorf("%s: the requests were %v; want %v", name, changes, test.want)
		}
	}
}

func TestIfExists_ReplaceDeletesThenUploads(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("old"))
	if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace)); err != nil {
		t.Fatal(err)
	}
	if p := f.stored(t, 1)[0]; p.Size != int64(len(newDemo)) {
		t.Errorf("%d bytes are stored", p.Size)
	}
	if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes("another_1.0_amd64.deb", []byte("x")), ifExists(packagecloud.Replace)); err != nil {
		t.Error(err)
	}
	f.stored(t, 2)
}

func TestIfExists_ReplaceThatFailsAfterTheDeleteSaysSo(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("old"))
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", Status: 422, ContentType: "application/json", Body: `{"repository":["no"]}`})
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
	f.want(t, err, packagecloud.ErrInvalid)
	if !strings.Contains(err.Error(), "was deleted") {
		t.Errorf("the error is %v", err)
	}
	f.stored(t, 0)
}

func TestIfExists_ReplaceThatCannotDeleteSendsNothing(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("old"))
	f.srv.Inject(packagecloudtest.Fault{Method: "DELETE", Status: 402, Times: -1})
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
	f.want(t, err, packagecloud.ErrPaymentRequired)
	if !strings.Contains(err.Error(), "not replaced") || len(f.requests("POST")) != 0 {
		t.Errorf("the error is %v", err)
	}
	f.stored(t, 1)
}

func TestIfExists_ReplaceWithAFileThatCannotBeReadDeletesNothing(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("old"))
	broken := errors.New("disk on fire")
	opens := 0
	good := packagecloud.Bytes(demo, newDemo)
	content := packagecloud.Content{Name: demo, Size: good.Size, Open: func() (io.ReadCloser, error) {
		if opens++; opens > 1 { // the first looks into the package
			return io.NopCloser(&failing{broken}), nil
		}
		return good.Open()
	}}
	_, err := f.repo.Upload(t.Context(), content, ifExists(packagecloud.Replace))
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "nothing was replaced") {
		t.Errorf("the error is %v", err)
	}
	if len(f.requests("DELETE")) != 0 || len(f.requests("POST")) != 0 {
		t.Errorf("the requests were %+v", f.requests(""))
	}
	f.stored(t, 1)
}

// A file may be called after another version than the one that it holds.
func TestIfExists_PackageThatTheFileIsOnlyNamedAfterIsNotIt(t *testing.T) {
	for _, mode := range []packagecloud.IfExists{packagecloud.Skip, packagecloud.Replace} {
		f := setup(t)
		f.add(t, "ubuntu/jammy", demo, packagefiletest.Deb("demo", "1.0", "amd64"))
		pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, packagefiletest.Deb("demo", "1.1", "amd64")), ifExists(mode))
		if err != nil || pkg.Existed || pkg.Filename != "demo_1.1_amd64.deb" {
			t.Errorf("%+v, %v", pkg, err)
		}
		if n := len(f.requests("DELETE")); n != 0 {
			t.Errorf("%d deletions", n)
		}
		f.stored(t, 2)
	}
}

func TestIfExists_ReplaceWithASourceFileThatCannotBeReadDeletesNothing(t *testing.T) {
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
		packagecloud.ErrContentChanged: {Name: good.Name, Size: good.Size + 1, Open: good.Open},
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

func TestIfExists_ReplaceLeavesAPackageOfAnotherTypeWithTheSameBytes(t *testing.T) {
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
func TestIfExists_ReplacedPackageThatIsStillListedIsNotTheNewOne(t *testing.T) {
	sum := sha256.Sum256(newDemo)
	for _, listed := range []string{hex.EncodeToString(sum[:]), strings.Repeat("0", 64)} {
		posts := 0
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "distributions.json"):
				io.WriteString(w, `{"deb":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy"}]}]}`)
			case r.Method == "GET":
				io.WriteString(w, `[{"filename":"`+demo+`","type":"deb","distro_version":"ubuntu/jammy","sha256sum":"`+listed+`","created_at":"2020-01-24T05:35:34.000Z"}]`)
			case r.Method == "DELETE":
				io.WriteString(w, "{}")
			default:
				io.Copy(io.Discard, r.Body)
				if posts++; posts == 1 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(201)
				io.WriteString(w, `{"filename":"`+demo+`"}`)
			}
		})
		if _, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace)); err != nil || posts != 2 {
			t.Errorf("%d uploads, %v", posts, err)
		}
	}
}

// What a deb of today holds can't be read, and its file may be called after another
// version than it. The server reads it.
func TestIfExists_ReplaceOfWhatCannotBeReadDeletesOnlyWhatIsInTheWay(t *testing.T) {
	const next = "demo_2.0_amd64.deb"
	deb := packagefiletest.Ar(packagefiletest.File{Name: "debian-binary", Content: "2.0\n"}, packagefiletest.File{Name: "control.tar.xz", Content: "\xfd7zXZ"})
	digest := sha256.Sum256(deb)
	ours, theirs := hex.EncodeToString(digest[:]), strings.Repeat("0", 64)
	for name, test := range map[string]struct {
		holds   string            // what the server reads in it
		there   map[string]string // the checksums of what is published
		lose    string            // "answer" and "request" get lost, once
		changes string
		err     error
	}{
		"nothing is there":                     {holds: demo, changes: "POST"},
		"the package is there":                 {holds: demo, there: map[string]string{demo: theirs}, changes: "POST, DELETE " + demo + ", POST"},
		"another version is there":             {holds: next, there: map[string]string{demo: theirs}, changes: "POST"},
		"both are there":                       {holds: next, there: map[string]string{demo: theirs, next: theirs}, changes: "POST, DELETE " + demo + ", POST", err: packagecloud.ErrExists},
		"both are there, and it is sent again": {holds: next, there: map[string]string{demo: theirs, next: ours}, changes: "POST, DELETE " + next + ", POST"},
		"the answer gets lost":                 {holds: next, there: map[string]string{demo: theirs}, lose: "answer", changes: "POST, POST, DELETE " + next + ", POST"},
		"the request gets lost":                {holds: demo, there: map[string]string{demo: theirs}, lose: "request", changes: "POST, POST, DELETE " + demo + ", POST"},
	} {
		var changes []string
		there := map[string]string{}
		maps.Copy(there, test.there)
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "distributions.json"):
				io.WriteString(w, `{"deb":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy"}]}]}`)
			case r.Method == "GET":
				var items []string
				for file, sum := range there {
					if strings.Contains(file, r.URL.Query().Get("q")) {
						items = append(items, `{"filename":"`+file+`","type":"deb","distro_version":"ubuntu/jammy","sha256sum":"`+sum+`","destroy_url":"/api/v1/repos/acme/main/ubuntu/jammy/`+file+`"}`)
					}
				}
				io.WriteString(w, "["+strings.Join(items, ",")+"]")
			case r.Method == "DELETE":
				changes = append(changes, "DELETE "+path.Base(r.URL.Path))
				delete(there, path.Base(r.URL.Path))
				io.WriteString(w, "{}")
			default:
				io.Copy(io.Discard, r.Body)
				changes = append(changes, "POST")
				lose := len(changes) == 1 && test.lose != ""
				if there[test.holds] != "" && !lose {
					w.WriteHeader(422)
					io.WriteString(w, `{"filename":["has already been taken"]}`)
					return
				}
				if test.lose != "request" || !lose {
					there[test.holds] = ours
				}
				if lose {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(201)
				io.WriteString(w, `{"filename":"`+test.holds+`"}`)
			}
		})
		pkg, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(demo, deb), ifExists(packagecloud.Replace))
		if got := strings.Join(changes, ", "); got != test.changes {
			t.Errorf("%s: the requests were %s; want %s", name, got, test.changes)
		}
		if !errors.Is(err, test.err) || err == nil && pkg.Filename != test.holds || err != nil && !strings.Contains(err.Error(), demo+" was deleted") {
			t.Errorf("%s: %+v, %v", name, pkg, err)
		}
	}
}

func TestIfExists_ReplaceSaysIfItDeletedAnotherPackageThanItStored(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("old"))
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", Status: 201, ContentType: "application/json", Body: `{"filename":"demo_1.0-1_amd64.deb"}`})
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
	if err == nil || !strings.Contains(err.Error(), "the old "+demo+" was deleted") || !strings.Contains(err.Error(), "demo_1.0-1_amd64.deb") {
		t.Errorf("the error is %v", err)
	}
}

func TestIfExists_ReplaceWhoseDeletionMayBeDoneSaysSo(t *testing.T) {
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
		f.srv.Inject(packagecloudtest.Fault{Method: "DELETE", LoseAnswer: true})
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
		f.want(t, err, packagecloud.ErrUnknownOutcome)
		if !strings.Contains(err.Error(), "may be deleted, and nothing was sent in its place") || len(f.requests("POST")) != 0 {
			t.Errorf("%s: the error is %v", name, err)
		}
		deletions = 0
		f.srv.Inject(packagecloudtest.Fault{Method: "DELETE", LoseAnswer: true})
		f.want(t, f.repo.Delete(t.Context(), pkg), packagecloud.ErrUnknownOutcome)
	}
}
