package packagecloud_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud"
)

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// sums are checksums by their length.
var sums = map[int]string{32: strings.Repeat("0a", 16), 40: strings.Repeat("1b", 20), 64: strings.Repeat("2c", 32), 128: strings.Repeat("3D", 64)}

// Guarantee A5.
func TestPackage_FragmentOfAList(t *testing.T) {
	pkg := decode[packagecloud.Package](t, `{"name":"demo","distro_version":"el/7","created_at":"2020-01-24T05:35:34.000Z","version":"1.2.3","release":"1.el7","epoch":2,
		"scope":null,"private":true,"type":"rpm","filename":"demo.rpm","uploader_name":"acme","indexed":true,"sha256sum":"`+sums[64]+`","architecture":"x86_64",
		"package_url":"/api/v1/p.json","download_url":"https://`+fakeToken+`:@packagecloud.io/acme/main/x","promote_url":"/promote","destroy_url":"/destroy",
		"package_html_url":"/html","downloads_count_url":"/count","downloads_detail_url":"/detail","downloads_series_url":"/series","new_field":{"a":[1]}}`)
	url := pkg.DownloadURL
	pkg.DownloadURL = packagecloud.SecretURL{}
	want := packagecloud.Package{
		Name: "demo", Distribution: "el/7", CreatedAt: time.Date(2020, 1, 24, 5, 35, 34, 0, time.UTC), Version: "1.2.3", Release: "1.el7", Epoch: 2,
		Private: true, Type: "rpm", Filename: "demo.rpm", Uploader: "acme", Indexed: true, SHA256: sums[64], Architecture: "x86_64",
		PackageURL: "/api/v1/p.json", PromoteURL: "/promote", DestroyURL: "/destroy", HTMLURL: "/html",
		DownloadsCountURL: "/count", DownloadsDetailURL: "/detail", DownloadsSeriesURL: "/series",
	}
	if !reflect.DeepEqual(pkg, want) {
		t.Errorf("got %+v", pkg)
	}
	if url.Reveal() != "https://"+fakeToken+":@packagecloud.io/acme/main/x" {
		t.Error("the download URL is another")
	}
	newCanary(t, fakeToken).clean(t, url)
}

// Guarantee A5.
func TestPackage_Details(t *testing.T) {
	pkg := decode[packagecloud.Package](t, `{"name":"demo","size":"3290","summary":null,"description":"text","licenses":["MIT",null],"epoch":null,
		"dependencies":[{"context":"depends","dependencies":["libc6 (>= 2.4)"]}],"md5sum":"`+sums[32]+`","sha1sum":"`+sums[40]+`","sha256sum":"`+sums[64]+`","sha512sum":"`+sums[128]+`",
		"total_downloads_count":7,"repository":"main","self_url":"/api/v1/repos/acme/main/package/deb/ubuntu/jammy/demo/amd64/1.0-7.json","versions_url":"/v"}`)
	if pkg.Size != 3290 || pkg.Type != "deb" || pkg.TotalDownloads != 7 || pkg.VersionsURL != "/v" || pkg.Repository != "main" ||
		pkg.MD5 != sums[32] || pkg.SHA1 != sums[40] || pkg.SHA256 != sums[64] || pkg.SHA512 != sums[128] || !strings.HasSuffix(pkg.PackageURL, "1.0-7.json") ||
		!reflect.DeepEqual(pkg.Licenses, []string{"MIT", ""}) ||
		!reflect.DeepEqual(pkg.Dependencies, []packagecloud.Dependencies{{Context: "depends", Names: []string{"libc6 (>= 2.4)"}}}) {
		t.Errorf("got %+v", pkg)
	}
}

// Guarantee A5.
func TestPackage_OddValuesDoNoHarm(t *testing.T) {
	for text, check := range map[string]func(p packagecloud.Package) bool{
		`{}`:                           func(p packagecloud.Package) bool { return reflect.DeepEqual(p, packagecloud.Package{}) },
		`{"size":"3732.0"}`:            func(p packagecloud.Package) bool { return p.Size == 3732 },
		`{"size":100.0}`:               func(p packagecloud.Package) bool { return p.Size == 100 },
		`{"size":"-1.5"}`:              func(p packagecloud.Package) bool { return p.Size == 0 },
		`{"size":-5}`:                  func(p packagecloud.Package) bool { return p.Size == 0 },
		`{"size":"-5"}`:                func(p packagecloud.Package) bool { return p.Size == 0 },
		`{"size":9223372036854775807}`: func(p packagecloud.Package) bool { return p.Size == math.MaxInt64 },
		`{"size":9223372036854775808}`: func(p packagecloud.Package) bool { return p.Size == 0 },
		`{"size":"NaN"}`:               func(p packagecloud.Package) bool { return p.Size == 0 },
		`{"size":{"a":1}}`:             func(p packagecloud.Package) bool { return p.Size == 0 },
		`{"epoch":"2"}`:                func(p packagecloud.Package) bool { return p.Epoch == 2 },
		`{"version":1.5}`:              func(p packagecloud.Package) bool { return p.Version == "1.5" },
		`{"version":[1]}`:              func(p packagecloud.Package) bool { return p.Version == "" },
		`{"private":"1"}`:              func(p packagecloud.Package) bool { return p.Private },
		`{"private":null}`:             func(p packagecloud.Package) bool { return !p.Private },
		`{"licenses":"MIT"}`:           func(p packagecloud.Package) bool { return p.Licenses == nil },
		`{"licenses":null}`:            func(p packagecloud.Package) bool { return p.Licenses == nil },
		`{"dependencies":{}}`:          func(p packagecloud.Package) bool { return p.Dependencies == nil },
		`{"created_at":"?"}`:           func(p packagecloud.Package) bool { return p.CreatedAt.IsZero() },
		`{"package_url":"","destroy_url":"N/A","download_url":"N/A"}`: func(p packagecloud.Package) bool {
			return p.PackageURL == "" && p.DestroyURL == "" && p.DownloadURL.IsZero()
		},
		`{"sha256sum":"N/A","sha512sum":"","md5sum":null,"sha1sum":"pending"}`: func(p packagecloud.Package) bool { return p.MD5+p.SHA1+p.SHA256+p.SHA512 == "" },
		`{"sha256sum":"` + sums[32] + `","sha512sum":"` + sums[64] + `"}`:      func(p packagecloud.Package) bool { return p.SHA256+p.SHA512 == "" },
		`{"sha256sum":"` + strings.Repeat("zz", 32) + `"}`:                     func(p packagecloud.Package) bool { return p.SHA256 == "" },
		`{"download_url":"http://%zz"}`:                                        func(p packagecloud.Package) bool { return p.DownloadURL.IsZero() },
		`{"package_html_url":"https://secret:x@packagecloud.io/p"}`:            func(p packagecloud.Package) bool { return p.HTMLURL == "https://packagecloud.io/p" },
		`{"package_url":"/api/v1/repos/a/b/package/node/@scope%2fx/1.0.json"}`: func(p packagecloud.Package) bool {
			return p.Type == "node" && strings.Contains(p.PackageURL, "@scope%2f")
		},
		`{"package":{"filename":"x.jar","size":12}}`: func(p packagecloud.Package) bool { return p.Filename == "x.jar" && p.Size == 12 },
	} {
		if pkg := decode[packagecloud.Package](t, text); !check(pkg) {
			t.Errorf("%s gives %+v", text, pkg)
		}
	}
	var pkg packagecloud.Package
	if err := json.Unmarshal([]byte(`[1]`), &pkg); err == nil || !strings.Contains(err.Error(), "object") {
		t.Errorf("the error is %v", err)
	}
}

func TestPackage_OneOddItemDoesNotHideAList(t *testing.T) {
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `[{"filename":"a"},{"filename":"b","download_url":"http://%zz","size":[]},null,{"filename":"c"}]`)
	})
	f := &fixture{repo: client.Repository("acme", "main")}
	names, err := collect(f, t, nil)
	if err != nil || strings.Join(names, ",") != "a,b,,c" {
		t.Errorf("%v, %v", names, err)
	}
}

// Guarantee A5.
func TestClient_FollowsTheURLsThatTheServerGives(t *testing.T) {
	var asked []string
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI)
		if strings.HasSuffix(r.URL.Path, "versions") {
			io.WriteString(w, "[]")
			return
		}
		if r.Method != http.MethodDelete {
			io.WriteString(w, `{"filename":"`+demo+`"}`)
		}
	})
	repo := client.Repository("acme", "main")
	pkg := &packagecloud.Package{
		Distribution: "ubuntu/jammy", Filename: demo,
		PackageURL: "/odd/@scope%2Fx?a=b", VersionsURL: "/odd/versions", PromoteURL: "/api/v1/repos/acme/main/odd/promote", DestroyURL: "/api/v1/repos/acme/main/odd/destroy",
	}
	if _, err := repo.Package(t.Context(), pkg); err != nil {
		t.Error(err)
	}
	for _, err := range repo.Versions(t.Context(), pkg) {
		t.Error(err)
	}
	if _, err := repo.Promote(t.Context(), pkg, client.Repository("acme", "stable")); err != nil {
		t.Error(err)
	}
	if err := repo.Delete(t.Context(), pkg); err != nil {
		t.Error(err)
	}
	want := []string{"GET /odd/@scope%2Fx?a=b", "GET /odd/versions", "POST /api/v1/repos/acme/main/odd/promote", "DELETE /api/v1/repos/acme/main/odd/destroy"}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %q; want %q", asked, want)
	}
}

func TestClient_PathWhereTheServerGivesNone(t *testing.T) {
	for _, test := range []struct {
		pkg  packagecloud.Package
		want string
	}{
		{packagecloud.Package{Distribution: "alpine/v3.20", Filename: "a b.apk"}, "/api/v1/repos/acme/main/alpine/v3.20/a%20b.apk"},
		{packagecloud.Package{Distribution: "RubyGem", Filename: "x.gem"}, "/api/v1/repos/acme/main/gems/x.gem"},
		{packagecloud.Package{Type: "gem", Filename: "x.gem"}, "/api/v1/repos/acme/main/gems/x.gem"},
		{packagecloud.Package{Distribution: "python", Filename: "x.whl"}, "/api/v1/repos/acme/main/python/1/x.whl"},
		{packagecloud.Package{Distribution: "node/1", Filename: "x.tgz", Scope: "@acme"}, "/api/v1/repos/acme/main/node/1/x.tgz?scope=%40acme"},
		{packagecloud.Package{Distribution: "ubuntu", Filename: "x.deb"}, ""},
		{packagecloud.Package{Distribution: "../..", Filename: "x.deb"}, ""},
		{packagecloud.Package{Distribution: "ubuntu/jammy", Filename: ""}, ""},
	} {
		var asked string
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { asked = r.RequestURI; io.WriteString(w, "{}") })
		err := client.Repository("acme", "main").Delete(t.Context(), &test.pkg)
		if asked != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%+v: asked for %s, %v; want %s", test.pkg, asked, err, test.want)
		}
	}
}

func TestPromote_MovesThePackage(t *testing.T) {
	f := setup(t)
	f.srv.CreateRepository("stable", true)
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("x"))
	stable := f.client.Repository("acme", "stable")
	moved, err := f.repo.Promote(t.Context(), pkg, stable)
	if err != nil || moved.Repository != "stable" || moved.Filename != demo {
		t.Fatalf("%+v, %v", moved, err)
	}
	f.stored(t, 0)
	n := 0
	for v, err := range stable.Versions(t.Context(), moved) {
		if n++; err != nil || v.Filename != demo {
			t.Errorf("%+v, %v", v, err)
		}
	}
	if n != 1 {
		t.Errorf("%d versions; want 1", n)
	}
	if _, err := f.repo.Promote(t.Context(), pkg, nil); err == nil {
		t.Error("no destination was accepted")
	}
	f.want(t, second(f.repo.Promote(t.Context(), pkg, stable)), packagecloud.ErrNotFound)
}

func TestFind_ByScopeAndGroup(t *testing.T) {
	f := setup(t)
	upload := func(name string, content []byte) *packagecloud.Package {
		t.Helper()
		pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes(name, content), nil)
		if err != nil {
			t.Fatal(err)
		}
		return pkg
	}
	const tgz, jar = "demo-1.0.0.tgz", "demo-1.0.jar"
	upload(tgz, packagefiletest.Node("@a/demo", "1.0.0"))
	ofB := upload(tgz, packagefiletest.Node("@b/demo", "1.0.0"))
	upload("only-2.0.0.tgz", packagefiletest.Node("@a/only", "2.0.0"))
	upload(jar, packagefiletest.Jar("com.acme", "demo", "1.0"))
	ofOrg := upload(jar, packagefiletest.Jar("org.acme", "demo", "1.0"))

	_, err := f.repo.Find(t.Context(), "node/1", tgz)
	if err == nil || !strings.Contains(err.Error(), "@a/"+tgz) || !strings.Contains(err.Error(), "@b/"+tgz) {
		t.Errorf("the error is %v; want the names to choose from", err)
	}
	_, err = f.repo.Find(t.Context(), "", jar)
	if err == nil || !strings.Contains(err.Error(), "com.acme/"+jar) || !strings.Contains(err.Error(), "org.acme/"+jar) {
		t.Errorf("the error is %v; want the names to choose from", err)
	}
	upload(tgz, packagefiletest.Node("demo", "1.0.0"))
	for _, test := range []struct{ distribution, name, scope, url string }{
		{"", "@a/" + tgz, "@a", ""},
		{"node/1", "@b/" + tgz, "@b", ""},
		{"node", tgz, "", ""},
		{"", "only-2.0.0.tgz", "@a", ""},
		{"", "com.acme/" + jar, "", "/com.acme/"},
		{"java/maven2", "org.acme/" + jar, "", "/org.acme/"},
	} {
		pkg, err := f.repo.Find(t.Context(), test.distribution, test.name)
		if err != nil || pkg.Scope != test.scope || !strings.Contains(pkg.DestroyURL, test.url) {
			t.Errorf("%s: %+v, %v", test.name, pkg, err)
		}
	}
	for _, name := range []string{"@c/" + tgz, "@a/x" + tgz, "acme/" + jar, "x/" + demo, "@a/demo"} {
		f.want(t, second(f.repo.Find(t.Context(), "", name)), packagecloud.ErrNotFound)
	}
	if _, err := f.repo.Find(t.Context(), "", "@a/"); err == nil || errors.Is(err, packagecloud.ErrNotFound) {
		t.Errorf("without a file name the error is %v", err)
	}
	// What is looked up again is the same.
	for _, pkg := range []*packagecloud.Package{ofB, ofOrg} {
		again := *pkg
		again.PackageURL = ""
		if found, err := f.repo.Package(t.Context(), &again); err != nil || found.DestroyURL != pkg.DestroyURL {
			t.Errorf("%s of %s: %v", pkg.Filename, pkg.DestroyURL, err)
		}
		var b bytes.Buffer
		again.DownloadURL = packagecloud.SecretURL{}
		if err := f.repo.Download(t.Context(), &again, &b, &packagecloud.DownloadOptions{AllowUnverified: true}); err != nil {
			t.Errorf("%s of %s: %v", pkg.Filename, pkg.DestroyURL, err)
		}
	}
}

func TestFind_TellsPlacesApart(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("x"))
	f.add(t, "ubuntu/focal", demo, []byte("y"))
	f.add(t, "ubuntu/focal", "x"+demo, []byte("z")) // holds the other name
	if _, err := f.repo.Find(t.Context(), "", demo); err == nil || !strings.Contains(err.Error(), "ubuntu/jammy") || !strings.Contains(err.Error(), "ubuntu/focal") {
		t.Errorf("the error is %v", err)
	}
	pkg, err := f.repo.Find(t.Context(), "ubuntu/focal", demo)
	if err != nil || pkg.Distribution != "ubuntu/focal" || pkg.Filename != demo {
		t.Errorf("%+v, %v", pkg, err)
	}
	f.want(t, second(f.repo.Find(t.Context(), "ubuntu/noble", demo)), packagecloud.ErrNotFound)
}

// Guarantee U3.
func TestPackage_ArchitectureTellsAlpinePackagesApart(t *testing.T) {
	c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if architecture, ok := strings.CutPrefix(r.URL.Path, "/of/"); ok {
			io.WriteString(w, architecture)
			return
		}
		item := func(architecture string) string {
			return `{"type":"alpine","distro_version":"alpine/v3.20","filename":"demo-1.0-r0.apk","architecture":"` + architecture + `",
				"package_url":"","destroy_url":"","download_url":"http://` + r.Host + `/of/` + architecture + `"}`
		}
		io.WriteString(w, "["+item("x86_64")+","+item("aarch64")+"]")
	})
	repo := client.Repository("acme", "main")
	pkg := &packagecloud.Package{Distribution: "alpine/v3.20", Filename: "demo-1.0-r0.apk"}
	for _, architecture := range []string{"x86_64", "aarch64"} {
		pkg.Architecture = architecture
		var b bytes.Buffer
		err := repo.Download(t.Context(), pkg, &b, &packagecloud.DownloadOptions{AllowUnverified: true})
		if found, err := repo.Package(t.Context(), pkg); err != nil || found.Architecture != architecture {
			t.Errorf("%s: %+v, %v", architecture, found, err)
		}
		if err != nil || b.String() != architecture {
			t.Errorf("%s: %q, %v", architecture, &b, err)
		}
	}
	pkg.Architecture = "armv7" // and not another's
	c.want(t, second(repo.Package(t.Context(), pkg)), packagecloud.ErrNotFound)
	pkg.Architecture = ""
	if _, err := repo.Package(t.Context(), pkg); err == nil || !strings.Contains(err.Error(), "architecture") {
		t.Errorf("without an architecture the error is %v", err)
	}
}

// Guarantee U3.
func TestFind_OtherVersionsOfADistributionAreOthers(t *testing.T) {
	for _, test := range []struct {
		typ, has, asked string
		found           bool
	}{
		{"huggingface", "huggingface/datasets-v1", "huggingface/models-v1", false},
		{"huggingface", "huggingface/models-v1", "huggingface/models-v1", true},
		{"terraform", "terraform/modules-v2", "terraform/modules-v1", false},
		{"deb", "ubuntu/jammy", "ubuntu/noble", false},
		{"python", "python", "python/1", true},
		{"python", "python/1", "python", true},
		{"node", "node/1", "node", true},
		{"java", "java/maven2", "java", true},
		{"anyfile", "anyfile/1", "anyfile", true},
		{"helm", "helm/v1", "helm", true},
		{"helm", "helm/v1", "node/1", false},
		{"gem", "RubyGem", "gems", true},
		{"huggingface", "huggingface/datasets-v1", "", true},
	} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `[{"filename":"demo-1.0","type":"`+test.typ+`","distro_version":"`+test.has+`"}]`)
		})
		_, err := client.Repository("acme", "main").Find(t.Context(), test.asked, "demo-1.0")
		if (err == nil) != test.found || err != nil && !errors.Is(err, packagecloud.ErrNotFound) {
			t.Errorf("%s of %s, asked for in %q: %v", test.typ, test.has, test.asked, err)
		}
	}
}

// Guarantee A5.
func TestRepositoryInfo_BothForms(t *testing.T) {
	list := decode[packagecloud.RepositoryInfo](t, `{"name":"main","created_at":"2020-01-24T05:35:34.000Z","url":"https://user:pw@packagecloud.io/acme/main","last_push_human":"1 day ago",
		"package_count_human":"17 packages","private":true,"fqname":"acme/main","total_installs_count":null}`)
	if list.FullName != "acme/main" || !list.Private || list.PackageCount != "17 packages" || list.URL != "https://packagecloud.io/acme/main" {
		t.Errorf("got %+v", list)
	}
	show := decode[packagecloud.RepositoryInfo](t, `{"name":"main","path":"/acme/main","repo_type":null,"total_installs_count":"5","paths":{"self":"/x"},
		"urls":{"install_script":"https://`+fakeToken+`:@packagecloud.io/install/repositories/acme/main/script.:package_type.sh"}}`)
	if show.FullName != "acme/main" || show.TotalInstalls != 5 || !strings.Contains(show.InstallScriptURL.Reveal(), ":package_type.sh") {
		t.Errorf("got %+v", show)
	}
	newCanary(t, fakeToken).clean(t, show)
	decode[packagecloud.RepositoryInfo](t, `{"urls":null,"paths":[]}`)
}

// Guarantee A5.
func FuzzPackage(f *testing.F) {
	f.Add([]byte(`{"name":"demo","size":"3732.0","download_url":"https://t:@h/x","dependencies":[{"context":"a","dependencies":["b"]}]}`))
	f.Add([]byte(`{"size":-5,"epoch":-1,"total_downloads_count":"-7"}`))
	f.Add([]byte(`{"package":{"package":{"filename":1}}}`))
	f.Add([]byte(`{"package_html_url":"https://secretsecret@h/x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var pkg packagecloud.Package
		if json.Unmarshal(b, &pkg) != nil {
			return
		}
		if pkg.Size < 0 || pkg.Epoch < 0 || pkg.TotalDownloads < 0 {
			t.Errorf("the size is %d, the epoch %d, the downloads %d", pkg.Size, pkg.Epoch, pkg.TotalDownloads)
		}
	})
}

func FuzzRepositoryInfo(f *testing.F) {
	f.Add([]byte(`{"name":"main","urls":{"install_script":"https://t:@h/x"}}`))
	f.Add([]byte(`{"urls":[],"path":"///"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var info packagecloud.RepositoryInfo
		if json.Unmarshal(b, &info) == nil && json.Valid(b) {
			info.InstallScriptURL.Reveal()
		}
	})
}

// wheels serves a version of two files, of which lists have no checksum. The
// address of the version shows the second alone.
func wheels(t *testing.T) (client *packagecloud.Client, first *packagecloud.Package) {
	const content = "content of macosx"
	sum := sha256.Sum256([]byte(content))
	item := func(host, name, more string) string {
		return `{"name":"demo","version":"1.0","type":"python","distro_version":"python","filename":"` + name + `","download_url":"http://` + host + `/dl/` + name + `",
			"package_url":"/api/v1/repos/acme/main/package/python/demo/1.0.json","versions_url":"/versions.json"` + more + `}`
	}
	_, client, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
		one, other := "demo-1.0-cp312-cp312-manylinux.whl", "demo-1.0-cp312-cp312-macosx.whl"
		switch {
		case strings.HasPrefix(r.URL.Path, "/dl/"):
			io.WriteString(w, "content of "+strings.TrimSuffix(r.URL.Path[len("/dl/demo-1.0-cp312-cp312-"):], ".whl"))
		case strings.HasSuffix(r.URL.Path, "/demo/1.0.json"):
			io.WriteString(w, item(r.Host, other, `,"size":"17","sha256sum":"`+hex.EncodeToString(sum[:])+`"`))
		case strings.HasSuffix(r.URL.Path, "/distributions.json"):
			io.WriteString(w, `{"py":[{"index_name":"python","versions":[{"id":166}]}]}`)
		default:
			io.WriteString(w, "["+item(r.Host, one, "")+","+item(r.Host, other, "")+"]")
		}
	})
	first = &packagecloud.Package{}
	if err := json.Unmarshal([]byte(item(strings.TrimPrefix(ts.URL, "http://"), "demo-1.0-cp312-cp312-manylinux.whl", "")), first); err != nil {
		t.Fatal(err)
	}
	first.VersionsURL = "" // as in a list
	return client, first
}

// Guarantee U3.
func TestPackage_DetailsOfAnotherFileAreNotTaken(t *testing.T) {
	client, first := wheels(t)
	repo := client.Repository("acme", "main")
	pkg, err := repo.Package(t.Context(), first)
	if err != nil || pkg.Filename != first.Filename || pkg.SHA256 != "" || pkg.DownloadURL.Reveal() != first.DownloadURL.Reveal() {
		t.Errorf("%+v, %v", pkg, err)
	}
	n := 0
	for _, err := range repo.Versions(t.Context(), first) {
		if n++; err != nil {
			t.Error(err)
		}
	}
	if n != 2 {
		t.Errorf("%d versions; want 2", n)
	}
	_, err = repo.Upload(t.Context(), packagecloud.Bytes(first.Filename, []byte("content of macosx")), &packagecloud.UploadOptions{Type: "python", IfExists: packagecloud.Skip})
	if !errors.Is(err, packagecloud.ErrExists) || !strings.Contains(err.Error(), "no checksum") {
		t.Errorf("an upload with Skip compared it with another file: %v", err)
	}
}

// Each layer would be read again.
func TestPackage_IsUnwrappedOnce(t *testing.T) {
	for text, want := range map[string]string{
		`{"package":{"filename":"x"}}`:             "x",
		`{"package":{"package":{"filename":"x"}}}`: "",
	} {
		var pkg packagecloud.Package
		if err := json.Unmarshal([]byte(text), &pkg); err != nil || pkg.Filename != want {
			t.Errorf("%s: %q, %v", text, pkg.Filename, err)
		}
	}
}
