package packagecloud_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud"
)

// naming is a server that names every upload by its own rules, as the tools of its
// type do, and lists what it has.
type naming struct {
	typ, place string
	named      string            // how it names the upload
	there      map[string]string // checksums by file name
	changes    []string
}

func (s *naming) item(file string) string {
	return fmt.Sprintf(`{"filename":%q,"type":%q,"distro_version":%q,"sha256sum":%q,"destroy_url":"/api/v1/repos/acme/main/%s/%s"}`, file, s.typ, s.place, s.there[file], s.place, file)
}

func (s *naming) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch file := path.Base(r.URL.Path); {
	case file == "distributions.json":
		io.WriteString(w, `{"node":[{"index_name":"node","versions":[{"id":1,"index_name":"1"}]}]}`)
	case r.Method == "GET":
		var items []string
		for name := range s.there {
			if strings.Contains(name, r.URL.Query().Get("q")) {
				items = append(items, s.item(name))
			}
		}
		io.WriteString(w, "["+strings.Join(items, ",")+"]")
	case r.Method == "DELETE":
		s.changes = append(s.changes, "DELETE "+file)
		delete(s.there, file)
		io.WriteString(w, "{}")
	default:
		s.changes = append(s.changes, "POST")
		part, _, err := r.FormFile("package[package_file]")
		if err != nil {
			w.WriteHeader(400)
			return
		}
		content, _ := io.ReadAll(part)
		if s.there[s.named] != "" {
			w.WriteHeader(422)
			io.WriteString(w, `{"filename":["has already been taken"]}`)
			return
		}
		s.there[s.named] = fmt.Sprintf("%x", sha256.Sum256(content))
		w.WriteHeader(201)
		io.WriteString(w, s.item(s.named))
	}
}

func platformGem(platform string) []byte {
	metadata := "--- !ruby/object:Gem::Specification\nname: gdemo\nversion: !ruby/object:Gem::Version\n  version: 1.0.0\nplatform: " + platform + "\nsummary: a demo\n"
	return packagefiletest.Tar(packagefiletest.File{Name: "metadata.gz", Content: string(packagefiletest.Gzip([]byte(metadata)))}, packagefiletest.File{Name: "data.tar.gz", Content: string(packagefiletest.TarGz())})
}

func manifestNode(manifest string) []byte {
	return packagefiletest.TarGz(packagefiletest.File{Name: "package/package.json", Content: manifest})
}

// Another package is there under the name that a careless reader takes for it.
//
// Guarantee U3.
// Guarantee U6.
func TestIfExists_PackageIsNamedAsItsOwnToolNamesIt(t *testing.T) {
	const node, gem = "node", "gem"
	for name, test := range map[string]struct {
		typ, place, named, other, file string
		content                        []byte
	}{
		"npm, keys by case":            {node, "node/1", "casedemo-1.0.0.tgz", "Other-9.9.tgz", "Other-9.9.tgz", manifestNode(`{"name":"casedemo","version":"1.0.0","Name":"Other","Version":"9.9"}`)},
		"npm, keys by case, first":     {node, "node/1", "casedemo-1.0.0.tgz", "Other-9.9.tgz", "Other-9.9.tgz", manifestNode(`{"NAME":"Other","VERSION":"9.9","name":"casedemo","version":"1.0.0"}`)},
		"npm, a BOM":                   {node, "node/1", "casedemo-1.0.0.tgz", "build-2.tgz", "build-2.tgz", manifestNode("\ufeff" + `{"name":"casedemo","version":"1.0.0"}`)},
		"gem, RUBY_PLATFORM of Debian": {gem, "gems", "gdemo-1.0.0-x86_64-linux.gem", "gdemo-1.0.0-x86_64-linux-gnu.gem", "gdemo-1.0.0-x86_64-linux.gem", platformGem("x86_64-linux-gnu")},
		"gem, a Mac":                   {gem, "gems", "gdemo-1.0.0-arm64-darwin-22.gem", "gdemo-1.0.0-arm64-darwin22.gem", "build.gem", platformGem("arm64-darwin22")},
		"gem, 32 bits":                 {gem, "gems", "gdemo-1.0.0-x86-linux.gem", "gdemo-1.0.0-i686-linux.gem", "build.gem", platformGem("i686-linux")},
		"gem, JRuby":                   {gem, "gems", "gdemo-1.0.0-java.gem", "gdemo-1.0.0-jruby.gem", "build.gem", platformGem("jruby")},
	} {
		theirs, ours := strings.Repeat("1", 64), fmt.Sprintf("%x", sha256.Sum256(test.content))
		upload := func(mode packagecloud.IfExists, old string) *naming {
			s := &naming{typ: test.typ, place: test.place, named: test.named, there: map[string]string{test.other: theirs}}
			if old != "" {
				s.there[test.named] = old
			}
			_, client, _ := serve(t, s.ServeHTTP)
			pkg, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes(test.file, test.content), &packagecloud.UploadOptions{Type: test.typ, IfExists: mode})
			if err != nil || pkg.Filename != test.named || s.there[test.other] != theirs || s.there[test.named] != ours {
				t.Errorf("%s, %d: %+v, %v; the server has %v", name, mode, pkg, err, s.there)
			}
			return s
		}
		for what, want := range map[*naming][]string{
			upload(packagecloud.Replace, strings.Repeat("0", 64)): {"POST", "DELETE " + test.named, "POST"},
			upload(packagecloud.Replace, ""):                      {"POST"},
			upload(packagecloud.Skip, ours):                       nil,
		} {
			if !slices.Equal(what.changes, want) {
				t.Errorf("%s: the requests were %v; want %v", name, what.changes, want)
			}
		}
	}
}
