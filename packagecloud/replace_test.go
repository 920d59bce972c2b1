package packagecloud_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// sample is a package of a type, in two builds.
type sample struct {
	file, old, new string
	options        packagecloud.UploadOptions
}

// samples has one of every type but dsc, which has source files. What is added to
// each is no part of its metadata.
func samples() map[string]sample {
	const page = "x-1.0.html"
	make := func(file string, content []byte, add string, options packagecloud.UploadOptions) sample {
		return sample{file, string(content), string(content) + add, options}
	}
	gz := string(packagefiletest.Gzip([]byte("more")))
	zip := func(files ...packagefiletest.File) string { return string(packagefiletest.Zip(files...)) }
	jammy := packagecloud.UploadOptions{Distribution: "ubuntu/jammy"}
	return map[string]sample{
		"deb":     {demo, string(newDemo), string(packagefiletest.Deb("demo", "1.0", "amd64", "Section: misc")), jammy},
		"rpm":     make("demo-1.0-1.x86_64.rpm", packagefiletest.RPM("demo", "1.0", "1", "x86_64"), "more", packagecloud.UploadOptions{Distribution: "el/9"}),
		"gem":     make("demo-1.0.gem", packagefiletest.Gem("demo", "1.0"), strings.Repeat("\x00", 512), packagecloud.UploadOptions{}),
		"node":    make("demo-1.0.tgz", packagefiletest.Node("@acme/demo", "1.0.0"), gz, packagecloud.UploadOptions{}),
		"sdist":   make("demo-1.0.tar.gz", packagefiletest.Sdist("demo", "1.0"), gz, packagecloud.UploadOptions{}),
		"alpine":  make("demo-1.0-r0.apk", packagefiletest.Alpine("demo", "1.0-r0", "x86_64"), gz, packagecloud.UploadOptions{Distribution: "alpine/v3.20"}),
		"helm":    make("demo-1.0.tgz", packagefiletest.Helm("demo", "1.0"), gz, packagecloud.UploadOptions{Type: "helm"}),
		"anyfile": make(page, []byte("old"), "er", packagecloud.UploadOptions{Type: "anyfile"}),
		"wheel": {
			"demo-1.0-py3-none-any.whl", string(packagefiletest.Wheel("demo", "1.0")),
			zip(packagefiletest.File{Name: "demo/more.py"}, packagefiletest.File{Name: "demo-1.0.dist-info/METADATA", Content: packagefiletest.Metadata("demo", "1.0")}), packagecloud.UploadOptions{},
		},
		"jar": {
			"demo-1.0.jar", zip(packagefiletest.File{Name: "old.class"}), zip(packagefiletest.File{Name: "new.class"}),
			packagecloud.UploadOptions{Coordinates: "com.acme:demo:1.0"},
		},
	}
}

// push uploads content under the sample's name.
func (s sample) push(t *testing.T, f *fixture, content string, mode packagecloud.IfExists) (*packagecloud.Package, error) {
	t.Helper()
	options := s.options
	options.IfExists = mode
	return f.repo.Upload(t.Context(), packagecloud.Bytes(s.file, []byte(content)), &options)
}

// strict starts a server that refuses what can't be read, as real services do, and
// stores the old build.
func (s sample) strict(t *testing.T) *fixture {
	t.Helper()
	f := setupServer(t, &packagecloudtest.Options{Strict: true, SettleDelay: -1}, nil)
	if _, err := s.push(t, f, s.old, packagecloud.Fail); err != nil {
		t.Fatal(err)
	}
	f.srv.ResetRequests()
	return f
}

// changes are the methods of the requests that change something, in order.
func (f *fixture) changes() string {
	var methods []string
	for _, r := range f.requests("") {
		if r.Method != "GET" {
			methods = append(methods, r.Method)
		}
	}
	return strings.Join(methods, ", ")
}

// holds fails the test unless the server stores this content alone.
func (f *fixture) holds(t *testing.T, content string) {
	t.Helper()
	if have, want := f.stored(t, 1)[0].SHA256, fmt.Sprintf("%x", sha256.Sum256([]byte(content))); have != want {
		t.Errorf("the server stores other content than it should")
	}
}

// Guarantee U3.
func TestReplace_SendsThenDeletesThenSendsAgain(t *testing.T) {
	for name, s := range samples() {
		t.Run(name, func(t *testing.T) {
			f := s.strict(t)
			if pkg, err := s.push(t, f, s.new, packagecloud.Replace); err != nil || pkg.Existed {
				t.Fatalf("%+v, %v", pkg, err)
			}
			if got := f.changes(); got != "POST, DELETE, POST" {
				t.Errorf("the requests were %s", got)
			}
			f.holds(t, s.new)
		})
	}
}

// Guarantee U3.
func TestReplace_SameChecksumIsSuccess(t *testing.T) {
	for name, s := range samples() {
		if name == "alpine" || name == "jar" {
			continue // the server gives no checksum
		}
		t.Run(name, func(t *testing.T) {
			f := s.strict(t)
			if pkg, err := s.push(t, f, s.old, packagecloud.Replace); err != nil || !pkg.Existed {
				t.Fatalf("%+v, %v", pkg, err)
			}
			if got := f.changes(); got != "POST" {
				t.Errorf("the requests were %s", got)
			}
			f.holds(t, s.old)
		})
	}
}

func TestReplace_NothingInTheWayIsSentOnce(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/focal", demo, newDemo)
	if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace)); err != nil || f.changes() != "POST" {
		t.Errorf("the requests were %s: %v", f.changes(), err)
	}
	f.stored(t, 2)
}

// An error page, or a download that broke off, has a package's name. Some servers
// compare names before they look at the content.
//
// Guarantee U3.
func TestReplace_DamagedContentDeletesNothing(t *testing.T) {
	const duplicate = `{"filename":["has already been taken"]}`
	for name, s := range samples() {
		if name == "anyfile" {
			continue // anything is one
		}
		for what, damaged := range map[string]string{"page": "<html>502 Bad Gateway</html>\n", "cut off": s.new[:len(s.new)/20]} {
			for _, first := range []string{"content", "name"} {
				t.Run(name+", "+what+", the server looks at the "+first+" first", func(t *testing.T) {
					f := s.strict(t)
					want := packagecloud.ErrInvalid
					if first == "name" {
						f.srv.Inject(packagecloudtest.Fault{Method: "POST", Status: 422, ContentType: "application/json", Body: duplicate})
						want = packagecloud.ErrExists
					}
					s.options.Type = map[string]string{"sdist": "python", "wheel": "python", "jar": "java"}[name]
					if s.options.Type == "" {
						s.options.Type = name
					}
					_, err := s.push(t, f, damaged, packagecloud.Replace)
					f.want(t, err, want)
					if strings.Contains(err.Error(), "upload it again") {
						t.Errorf("a repeat changes nothing: %v", err)
					}
					if got := f.changes(); got != "POST" {
						t.Errorf("the requests were %s", got)
					}
					f.holds(t, s.old)
				})
			}
		}
	}
}

// Guarantee U3.
func TestReplace_DeletesOnlyIfEveryMessageSaysDuplicate(t *testing.T) {
	exists, paid := packagecloud.ErrExists, packagecloud.ErrPaymentRequired
	for body, test := range map[string]struct {
		deletes bool
		is, and error
	}{
		`{"filename":["has already been taken"]}`:                                                               {deletes: true},
		`{"filename":"Has Already Been Taken"}`:                                                                 {deletes: true},
		`{"error":["has already been taken"]}`:                                                                  {deletes: true},
		`{"repository":["Validation failed: Full name already exists."]}`:                                       {deletes: true},
		`{"filename":["has already been taken"],"repository":["Full name already exists"],"plan_id":null}`:      {deletes: true},
		`{"repository":["Validation failed: Filename has already been taken, Full name already exists."]}`:      {deletes: true},
		`{"filename":["has already been taken"],"plan":["Upgrade to add more packages!"]}`:                      {is: exists, and: paid},
		`{"repository":["Validation failed: Full name already exists, Plan Upgrade to add more packages!"]}`:    {is: exists, and: paid},
		`{"repository":["Validation failed: Plan is too small, Full name already exists"]}`:                     {is: exists, and: paid},
		`{"repository":["Validation failed: Full name already exists, Plan has no room"]}`:                      {is: exists, and: paid},
		`{"error":["has already been taken","payment required"]}`:                                               {is: exists, and: paid},
		`{"filename":["has already been taken"],"package_file":["is not a valid deb package"]}`:                 {is: exists},
		`{"filename":["has already been taken","is invalid"]}`:                                                  {is: exists},
		`{"repository":["Validation failed: Full name already exists., Version is invalid"]}`:                   {is: exists},
		`{"repository":["VALIDATION FAILED: Version is invalid, Full name already exists"]}`:                    {is: exists},
		`{"package_file":["is damaged"],"package_file":["has already been taken"]}`:                             {is: exists},
		`{"filename":["has already been taken"],"errors":{"package_file":["is damaged"]}}`:                      {is: exists},
		`{"filename":["has already been taken",["is damaged"]]}`:                                                {is: exists},
		`{"errors":{"plan":["has already been taken"]},"filename":["has already been taken"]}`:                  {is: exists},
		`{"filename":[` + strings.Repeat(`"has already been taken",`, 400) + `"is damaged"]}`:                   {is: exists},
		`{"filename":["has already been taken"],` + strings.Repeat(`"a":["already exists"],`, 50) + `"z":"no"}`: {is: exists},
	} {
		s := samples()["deb"]
		f := s.strict(t)
		f.srv.Inject(packagecloudtest.Fault{Method: "POST", Status: 422, ContentType: "application/json", Body: body})
		_, err := s.push(t, f, s.new, packagecloud.Replace)
		if test.deletes {
			if err != nil || f.changes() != "POST, DELETE, POST" {
				t.Errorf("%.200s: the requests were %s: %v", body, f.changes(), err)
			}
			continue
		}
		if !errors.Is(err, test.is) || test.and != nil && !errors.Is(err, test.and) || f.changes() != "POST" {
			t.Errorf("%.200s: the requests were %s: %v", body, f.changes(), err)
		}
		f.holds(t, s.old)
	}
}

// Guarantee U3.
func TestReplace_DecompressorTellsWhichDebIsInTheWay(t *testing.T) {
	hook := map[string]func(io.Reader) (io.Reader, error){"xz": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }}
	packed := func(section string) []byte { // with gzip, which stands for xz
		control := packagefiletest.Control("demo", "1.0", "amd64", "Section: "+section)
		return packagefiletest.Ar(
			packagefiletest.File{Name: "debian-binary", Content: "2.0\n"},
			packagefiletest.File{Name: "control.tar.xz", Content: string(packagefiletest.TarGz(packagefiletest.File{Name: "./control", Content: control}))},
		)
	}
	const stale = "other_1.0_amd64.deb" // how the new build is called, and what another package is
	f := setupServer(t, &packagecloudtest.Options{Strict: true, Decompressors: hook}, nil)
	f.add(t, "ubuntu/jammy", demo, packed("old"))
	f.add(t, "ubuntu/jammy", stale, packagefiletest.Deb("other", "1.0", "amd64"))
	options := ifExists(packagecloud.Replace)
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(stale, packed("new")), options)
	f.want(t, err, packagecloud.ErrExists)
	if !strings.Contains(err.Error(), "packed with xz") || f.changes() != "POST" {
		t.Errorf("the requests were %s: %v", f.changes(), err)
	}
	f.srv.ResetRequests()
	options.Decompressors = hook
	if pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes(stale, packed("new")), options); err != nil || pkg.Filename != demo {
		t.Errorf("%+v, %v", pkg, err)
	}
	if f.changes() != "POST, DELETE, POST" {
		t.Errorf("the requests were %s", f.changes())
	}
	f.stored(t, 2)
}

// The server names the archive by its coordinates, where its file is called otherwise.
//
// Guarantee U3.
func TestReplace_ArchiveCalledAfterOtherCoordinatesDeletesNothing(t *testing.T) {
	s := samples()["jar"]
	f := s.strict(t)
	s.options.Coordinates = "com.acme:other:2.0"
	if _, err := s.push(t, f, "PK", packagecloud.Fail); err != nil { // stored as other-2.0.jar
		t.Fatal(err)
	}
	f.srv.ResetRequests()
	_, err := s.push(t, f, s.new, packagecloud.Replace)
	f.want(t, err, packagecloud.ErrExists)
	if f.changes() != "POST" {
		t.Errorf("the requests were %s", f.changes())
	}
	f.stored(t, 2)
}

// The address of an archive has its group, and nothing else does.
//
// Guarantee U3.
func TestReplace_ArchiveOfUnknownGroupIsNotDeleted(t *testing.T) {
	s := samples()["jar"]
	f := s.strict(t)
	f.srv.Inject(packagecloudtest.Fault{Path: "/api/v1/repos/*/*/search.json", Status: 200, ContentType: "application/json",
		Body: `[{"filename":"demo-1.0.jar","distro_version":"java/maven2","type":"java"}]`})
	_, err := s.push(t, f, s.new, packagecloud.Replace)
	f.want(t, err, packagecloud.ErrExists)
	if f.changes() != "POST" {
		t.Errorf("the requests were %s: %v", f.changes(), err)
	}
	f.holds(t, s.old)
}

// A reader that can't be looked into has the name of its file alone.
func TestReplace_ContentThatCannotBeLookedIntoDeletesNothing(t *testing.T) {
	for name, s := range samples() {
		f := s.strict(t)
		options := s.options
		options.IfExists = packagecloud.Replace
		options.Type = map[string]string{"node": "node", "sdist": "python"}[name]
		if options.Type == "" {
			options.Type = s.options.Type
		}
		if name == "alpine" {
			options.Type = "alpine"
		}
		content := packagecloud.Content{Name: s.file, Size: int64(len(s.new)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(s.new))), nil
		}}
		_, err := f.repo.Upload(t.Context(), content, &options)
		switch name {
		case "deb", "rpm", "gem", "node":
			f.want(t, err, packagecloud.ErrExists)
			if f.changes() != "POST" || !strings.Contains(err.Error(), "use File, Bytes or ReaderAt") {
				t.Errorf("%s: the requests were %s: %v", name, f.changes(), err)
			}
			f.holds(t, s.old)
		default: // the server keeps the name
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			f.holds(t, s.new)
		}
	}
}

// What a deb of today holds can't be read without a decompressor, and its file may be
// called after another version. The server reads it.
//
// Guarantee U3.
func TestReplace_ContentThatTellsNothingDeletesNothing(t *testing.T) {
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
		"the package is there":                 {holds: demo, there: map[string]string{demo: theirs}, changes: "POST", err: packagecloud.ErrExists},
		"another version is there":             {holds: next, there: map[string]string{demo: theirs}, changes: "POST"},
		"both are there":                       {holds: next, there: map[string]string{demo: theirs, next: theirs}, changes: "POST", err: packagecloud.ErrExists},
		"both are there, and it is sent again": {holds: next, there: map[string]string{demo: theirs, next: ours}, changes: "POST"},
		"the answer gets lost":                 {holds: next, there: map[string]string{demo: theirs}, lose: "answer", changes: "POST, POST"},
		"the request gets lost":                {holds: demo, there: map[string]string{demo: theirs}, lose: "request", changes: "POST, POST", err: packagecloud.ErrExists},
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
		if !errors.Is(err, test.err) || err == nil && pkg.Filename != test.holds || err != nil && !strings.Contains(err.Error(), "set UploadOptions.Decompressors") {
			t.Errorf("%s: %+v, %v", name, pkg, err)
		}
	}
}

// A content may be read from the body of another upload, whose error it hands on.
//
// Guarantee U3.
func TestReplace_ErrorOfTheContentIsNotTakenForTheServers(t *testing.T) {
	f := setup(t)
	demo := f.add(t, "anyfile/1", "demo-1.0.asc", []byte("demo"))
	_, refusal := f.repo.Upload(t.Context(), packagecloud.Bytes(demo.Filename, []byte("other")), nil)
	f.want(t, refusal, packagecloud.ErrExists)
	for _, failure := range []error{refusal, fmt.Errorf("reading: %w", refusal)} {
		before := len(f.srv.Requests())
		opened := 0
		content := packagecloud.Content{Name: demo.Filename, Size: 5, Open: func() (io.ReadCloser, error) {
			if opened++; opened > 1 {
				return io.NopCloser(strings.NewReader("01234")), nil
			}
			return io.NopCloser(io.MultiReader(strings.NewReader("0123"), iotest.ErrReader(failure))), nil
		}}
		_, err := f.repo.Upload(t.Context(), content, &packagecloud.UploadOptions{IfExists: packagecloud.Replace})
		f.want(t, err, packagecloud.ErrExists)
		for _, r := range f.srv.Requests()[before:] {
			if r.Method == http.MethodDelete {
				t.Errorf("%s was deleted", r.Path)
			}
		}
	}
}
