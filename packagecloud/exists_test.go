package packagecloud_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
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

// Guarantee U3.
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

// Guarantee U3.
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

// Guarantee U3.
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
		"replace":       {packagecloud.Replace, hex.EncodeToString(sum[:]), []string{"POST"}, nil},
		"skip other":    {packagecloud.Skip, flipped(hex.EncodeToString(sum[:]), -1), []string{"POST"}, packagecloud.ErrExists},
		"replace other": {packagecloud.Replace, flipped(hex.EncodeToString(sum[:]), -1), []string{"POST"}, packagecloud.ErrExists},
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
		if !errors.Is(err, test.err) || err == nil && (pkg.Filename != "theirs.deb" || !pkg.Existed) {
			t.Errorf("%s: %+v, %v", name, pkg, err)
		}
		if !slices.Equal(changes, test.want) {
			t.Errorf("%s: the requests were %v; want %v", name, changes, test.want)
		}
	}
}

// A file may be called after another version than the one that it holds.
//
// Guarantee U3.
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
