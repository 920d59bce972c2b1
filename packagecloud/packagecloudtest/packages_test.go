package packagecloudtest_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	pt "github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

const (
	fragmentKeys = `name distro_version created_at version release epoch architecture scope private type filename uploader_name indexed sha256sum
		repository_html_url package_url package_html_url downloads_detail_url downloads_series_url downloads_count_url promote_url destroy_url download_url`
	detailKeys = `name distro_version created_at version release epoch architecture scope private filename uploader_name indexed repository size summary
		description licenses dependencies md5sum sha1sum sha256sum sha512sum total_downloads_count repository_url repository_html_url package_url
		self_url versions_url promote_url destroy_url package_html_url downloads_detail_url downloads_series_url downloads_count_url download_url`
)

func without(keys string, drop ...string) string {
	for _, key := range drop {
		keys = strings.Replace(" "+strings.Join(strings.Fields(keys), " ")+" ", " "+key+" ", " ", 1)
	}
	return keys
}

func TestFragments_EveryType(t *testing.T) {
	s := start(t, &packagecloudtest.Options{SettleDelay: -1})
	uploadAll(t, s, "main")
	got := byType(t, s, "main")
	if len(got) != 10 {
		t.Fatalf("%d types", len(got))
	}
	api := "/api/v1/repos/acme/main"
	keys(t, "deb", got["deb"], fragmentKeys)
	fields(t, "deb", got["deb"], map[string]any{
		"name": "jake", "distro_version": "ubuntu/jammy", "version": "1.0", "release": "7", "epoch": 0, "architecture": "amd64", "scope": nil,
		"private": false, "type": "deb", "filename": "jake_1.0-7_amd64.deb", "uploader_name": "acme", "indexed": true,
		"repository_html_url":  "/acme/main",
		"package_url":          api + "/package/deb/ubuntu/jammy/jake/amd64/1.0-7.json",
		"downloads_detail_url": api + "/package/deb/ubuntu/jammy/jake/amd64/1.0-7/stats/downloads/detail.json",
		"downloads_series_url": api + "/package/deb/ubuntu/jammy/jake/amd64/1.0-7/stats/downloads/series/daily.json",
		"downloads_count_url":  api + "/package/deb/ubuntu/jammy/jake/amd64/1.0-7/stats/downloads/count.json",
		"package_html_url":     "/acme/main/packages/ubuntu/jammy/jake_1.0-7_amd64.deb",
		"download_url":         s.URL + "/acme/main/packages/ubuntu/jammy/jake_1.0-7_amd64.deb/download.deb?distro_version_id=237",
		"promote_url":          api + "/ubuntu/jammy/jake_1.0-7_amd64.deb/promote.json",
		"destroy_url":          api + "/ubuntu/jammy/jake_1.0-7_amd64.deb",
		"sha256sum":            fmt.Sprintf("%x", sha256.Sum256(pt.Deb("jake", "1.0-7", "amd64", "Depends: libc6 (>= 2.4)"))),
	})
	keys(t, "dsc", got["dsc"], fragmentKeys)
	fields(t, "dsc", got["dsc"], map[string]any{
		"type": "dsc", "architecture": "i386 amd64 all", "sha256sum": nil, "filename": "jake_1.0-7.dsc",
		"package_url": api + "/package/dsc/ubuntu/jammy/jake/i386%20amd64%20all/1.0-7.json",
	})
	keys(t, "rpm", got["rpm"], fragmentKeys)
	fields(t, "rpm", got["rpm"], map[string]any{
		"distro_version": "el/7", "release": "1.el7", "epoch": 0, "filename": "jake-1.0-1.el7.x86_64.rpm",
		"package_url":  api + "/package/rpm/el/7/jake/x86_64/1.0/1.el7.json",
		"download_url": s.URL + "/acme/main/packages/el/7/jake-1.0-1.el7.x86_64.rpm/download.rpm?distro_version_id=140",
	})
	keys(t, "gem", got["gem"], fragmentKeys)
	fields(t, "gem", got["gem"], map[string]any{
		"distro_version": "RubyGem", "release": nil, "epoch": nil, "architecture": nil, "scope": nil,
		"package_url":  api + "/package/gem/jakedotrb/0.0.1.json",
		"promote_url":  api + "/gems/jakedotrb-0.0.1.gem/promote.json",
		"destroy_url":  api + "/gems/jakedotrb-0.0.1.gem",
		"download_url": s.URL + "/acme/main/packages/gems/jakedotrb-0.0.1.gem/download",
	})
	keys(t, "python", got["python"], fragmentKeys)
	fields(t, "python", got["python"], map[string]any{
		"distro_version": "python", "name": "packagecloud-test", "epoch": nil,
		"package_url":      api + "/package/python/packagecloud-test/0.9.7b1.json",
		"destroy_url":      api + "/python/1/packagecloud_test-0.9.7b1-py2.py3-none-any.whl",
		"package_html_url": "/acme/main/packages/python/packagecloud_test-0.9.7b1-py2.py3-none-any.whl",
	})
	keys(t, "node", got["node"], fragmentKeys)
	fields(t, "node", got["node"], map[string]any{
		"distro_version": "node/1", "name": "test-pkg", "scope": "@scope", "filename": "test-pkg-1.3.1.tgz",
		"package_url":      api + "/package/node/@scope%2ftest-pkg/1.3.1.json",
		"destroy_url":      api + "/node/1/test-pkg-1.3.1.tgz?scope=%40scope",
		"promote_url":      api + "/node/1/test-pkg-1.3.1.tgz/promote.json?scope=%40scope",
		"package_html_url": "/acme/main/packages/node/test-pkg-1.3.1.tgz?scope=%40scope",
		"download_url":     s.URL + "/acme/main/packages/node/test-pkg-1.3.1.tgz/download?scope=%40scope",
	})
	keys(t, "java", got["java"], fragmentKeys)
	fields(t, "java", got["java"], map[string]any{
		"distro_version": "java/maven2", "downloads_detail_url": "N/A", "downloads_series_url": "N/A", "downloads_count_url": "N/A",
		"package_url":  api + "/package/java/maven2/io.packagecloud/jake/2.3.json",
		"destroy_url":  api + "/java/maven2/io.packagecloud/jake-2.3.jar",
		"download_url": s.URL + "/acme/main/packages/java/io.packagecloud/jake-2.3.jar/artifacts/jake-2.3.jar/download",
		"sha256sum":    fmt.Sprintf("%x", sha256.Sum256(pt.Jar("io.packagecloud", "jake", "2.3"))),
	})
	keys(t, "alpine", got["alpine"], without(fragmentKeys, "release", "epoch", "scope", "sha256sum"))
	fields(t, "alpine", got["alpine"], map[string]any{
		"distro_version": "alpine/v3.20", "version": "1.0.1-r2", "package_url": "", "downloads_detail_url": "", "downloads_series_url": "",
		"downloads_count_url": "", "promote_url": "", "destroy_url": "",
	})
	keys(t, "helm", got["helm"], without(fragmentKeys, "release", "architecture", "epoch", "scope"))
	fields(t, "helm", got["helm"], map[string]any{
		"distro_version": "helm/v1", "package_url": api + "/package/helm/v1/hello-kubernetes/2.0.0.json",
		"download_url": s.URL + "/acme/main/packages/helm/v1/hello-kubernetes-2.0.0.tgz/download?distro_version_id=241",
	})
	keys(t, "anyfile", got["anyfile"], fragmentKeys)
	fields(t, "anyfile", got["anyfile"], map[string]any{
		"distro_version": "anyfile/1", "name": "hello", "version": "0.0.6", "epoch": nil,
		"package_url":  api + "/package/anyfile/hello/0.0.6.json",
		"download_url": s.URL + "/acme/main/packages/anyfile/hello-0.0.6.asc/download?distro_version_id=230",
	})
	for typ, f := range got {
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", f["created_at"].(string)); err != nil {
			t.Errorf("%s: created_at %v", typ, f["created_at"])
		}
	}
}

func TestDetails_EveryType(t *testing.T) {
	s := start(t, nil)
	uploadAll(t, s, "main")
	for typ, f := range byType(t, s, "main") {
		if typ == "alpine" {
			continue
		}
		details := get(t, s, f["package_url"].(string)).want(t, 200, "").object(t)
		keys(t, typ, details, detailKeys)
		fields(t, typ, details, map[string]any{
			"filename": f["filename"], "repository": "main", "repository_url": "/api/v1/repos/acme/main", "self_url": f["package_url"],
			"total_downloads_count": 0, "indexed": false,
		})
		if size, ok := details["size"].(string); !ok || size == "" || strings.Contains(size, ".") != (typ == "dsc") {
			t.Errorf("%s: size %v", typ, details["size"])
		}
		if versions := get(t, s, details["versions_url"].(string)).want(t, 200, "").list(t); len(versions) != 1 || versions[0]["filename"] != f["filename"] {
			t.Errorf("%s: versions %v", typ, versions)
		}
		if null := typ == "dsc" || typ == "java"; (details["sha256sum"] == nil) != null || (details["md5sum"] == nil) != null {
			t.Errorf("%s: checksums %v", typ, details["sha256sum"])
		}
		switch typ {
		case "deb":
			fields(t, typ, details, map[string]any{
				"summary": nil, "licenses": []string{}, "dependencies": []any{map[string]any{"context": "depends", "dependencies": []string{"libc6 (>= 2.4)"}}},
				"versions_url": "/api/v1/repos/acme/main/package/deb/ubuntu/jammy/jake/amd64/versions.json",
			})
		case "rpm":
			fields(t, typ, details, map[string]any{"licenses": []string{"GPL"}, "summary": "the jake tool"})
		case "dsc":
			fields(t, typ, details, map[string]any{"architecture": "i386 amd64 all", "licenses": []string{}, "description": nil})
		case "gem":
			fields(t, typ, details, map[string]any{"licenses": []string{"MIT"}, "dependencies": nil})
		case "anyfile":
			fields(t, typ, details, map[string]any{"description": "null", "dependencies": nil, "licenses": nil})
		case "java":
			fields(t, typ, details, map[string]any{"dependencies": []any{map[string]any{"context": "test", "dependencies": []string{"junit.junit 3.8.1"}}}})
		}
	}
}

func TestUpload_AlpineAnswersEmptyURLs(t *testing.T) {
	s := start(t, nil)
	got := upload(t, s, "main", alpineID, "jake-1.0.1-r2.apk", pt.Alpine("jake", "1.0.1-r2", "x86_64")).want(t, 201, "").object(t)
	fields(t, "alpine", got, map[string]any{"package_url": "", "self_url": "", "versions_url": "", "promote_url": "", "destroy_url": ""})
}

func TestUpload_JavaHasItsChecksumOnlyAfterAWhile(t *testing.T) {
	s := start(t, &packagecloudtest.Options{SettleDelay: time.Hour})
	upload(t, s, "main", javaID, "jake-2.3.jar", pt.Jar("g", "jake", "2.3")).want(t, 201, "")
	fields(t, "java", byType(t, s, "main")["java"], map[string]any{"sha256sum": nil, "indexed": false})
}

func TestUpload_NoChecksums(t *testing.T) {
	s := start(t, &packagecloudtest.Options{NoChecksums: true})
	got := upload(t, s, "main", jammy, "x", pt.Deb("a", "1", "all")).want(t, 201, "").object(t)
	fields(t, "deb", got, map[string]any{"md5sum": nil, "sha1sum": nil, "sha256sum": nil, "sha512sum": nil})
	fields(t, "deb", byType(t, s, "main")["deb"], map[string]any{"sha256sum": nil})
	if s.Packages("main")[0].SHA256 == "" {
		t.Error("Packages should know the checksum")
	}
}

func TestUpload_PackagesAreNamedByTheirContent(t *testing.T) {
	s := start(t, nil)
	dsc, sources := pt.DSC("jake", "2:1.0-7")
	for _, test := range []struct {
		id, want string
		content  []byte
		more     []string
	}{
		{jammy, "jake_1.0-7_amd64.deb", pt.Deb("jake", "2:1.0-7", "amd64"), nil},
		{el7, "jake-1.0-1.el7.x86_64.rpm", pt.RPM("jake", "1.0", "1.el7", "x86_64"), nil},
		{"", "jakedotrb-0.0.1.gem", pt.Gem("jakedotrb", "0.0.1"), nil},
		{nodeID, "test-pkg-1.3.1.tgz", pt.Node("test-pkg", "1.3.1"), nil},
		{javaID, "jake-2.3.jar", pt.Jar("g", "jake", "2.3"), nil},
		{jammy, "jake_1.0-7.dsc", dsc, []string{
			"package[source_files][]", "random1\x00" + sources[1].Content, "package[source_files][]", "random2\x00" + sources[0].Content,
		}},
	} {
		got := upload(t, s, "main", test.id, "d41d8cd98f00b204", test.content, test.more...).want(t, 201, "").object(t)
		if got["filename"] != test.want {
			t.Errorf("filename %v, want %s", got["filename"], test.want)
		}
		if strings.HasSuffix(test.want, "deb") {
			fields(t, "deb", got, map[string]any{"epoch": 2, "version": "1.0", "package_url": "/api/v1/repos/acme/main/package/deb/ubuntu/jammy/jake/amd64/1.0-7.json"})
		}
	}
}

func TestUpload_JavaCoordinates(t *testing.T) {
	s := start(t, nil)
	fat := pt.Zip(pt.File{Name: "a.class"})
	upload(t, s, "main", javaID, "mylibrary.jar", fat).want(t, 422, "")
	upload(t, s, "main", javaID, "mylibrary-1.0.jar", fat).want(t, 422, "")
	upload(t, s, "main", javaID, "mylibrary.jar", fat, "package[coordinates]", "com.acme:mylibrary").want(t, 422, "")
	got := upload(t, s, "main", javaID, "mylibrary.jar", fat, "package[coordinates]", "com.acme:mylibrary:1.0").want(t, 201, "").object(t)
	fields(t, "jar", got, map[string]any{
		"name": "mylibrary", "version": "1.0", "filename": "mylibrary-1.0.jar",
		"package_url": "/api/v1/repos/acme/main/package/java/maven2/com.acme/mylibrary/1.0.json",
	})
}

func TestUpload_Refusals(t *testing.T) {
	s := start(t, nil)
	deb := pt.Deb("jake", "1.0-7", "amd64")
	h := `{"repository":["The specified distro does not support the package you've tried to upload"]}`
	upload(t, s, "main", jammy, "jake.deb", deb).want(t, 201, "")
	for _, test := range []struct {
		what, id, name string
		content        []byte
		body           string
	}{
		{"duplicate", jammy, "jake.deb", deb, `{"filename":["has already been taken"]}`},
		{"deb for rpm", el7, "jake_1_all.deb", deb, h},
		{"deb by content for rpm", el7, "x", deb, h},
		{"rpm for deb", jammy, "jake.rpm", pt.RPM("a", "1", "1", "noarch"), h},
		{"gem for deb", jammy, "a-1.gem", pt.Gem("a", "1"), h},
		{"wheel for node", nodeID, "a-1-py3-none-any.whl", pt.Wheel("a", "1"), h},
		{"deb without id", "", "jake.deb", deb, ""},
		{"unknown id", "99999", "jake.deb", deb, ""},
		{"id that is no number", "ubuntu/jammy", "jake.deb", deb, ""},
		{"nothing tells the name", jammy, "jake.deb", []byte("junk"), ""},
		{"anyfile without version", anyfile, "hello.asc", []byte("x"), ""},
		{"incomplete dsc", jammy, "jake_1.0-7.dsc", first(pt.DSC("jake", "1.0-7")), ""},
	} {
		t.Run(test.what, func(t *testing.T) {
			r := upload(t, s, "main", test.id, test.name, test.content).want(t, 422, test.body)
			for field, messages := range r.object(t) {
				if list, ok := messages.([]any); !ok || len(list) != 1 {
					t.Errorf("%s: %v", field, messages)
				}
			}
		})
	}
	post(t, s, "/api/v1/repos/acme/main/packages.json", "package[distro_version_id]", jammy).want(t, 422, `{"package_file":["can't be blank"]}`)
	upload(t, s, "nowhere", jammy, "jake.deb", deb).want(t, 404, `{"error":"not_found"}`)
	if n := len(s.Packages("main")); n != 1 {
		t.Errorf("%d packages stored", n)
	}
}

func first(b []byte, _ []pt.File) []byte { return b }

func TestUpload_NewerWordingOfADuplicate(t *testing.T) {
	s := start(t, &packagecloudtest.Options{DuplicateWording: packagecloudtest.DuplicateFullName})
	upload(t, s, "main", jammy, "x", pt.Deb("a", "1", "all")).want(t, 201, "")
	upload(t, s, "main", jammy, "x", pt.Deb("a", "1", "all")).want(t, 422, `{"repository":["Validation failed: Full name already exists."]}`)
}

func TestUpload_SamePackageInTwoDistributions(t *testing.T) {
	s := start(t, nil)
	for _, id := range []string{jammy, noble, "35"} {
		upload(t, s, "main", id, "x", pt.Deb("a", "1", "all")).want(t, 201, "")
	}
	fields(t, "any", get(t, s, "/api/v1/repos/acme/main/package/deb/any/any/a/all/1.json").want(t, 200, "").object(t), map[string]any{"distro_version": "any/any", "release": nil})
}

func TestUpload_DSCWithWrongSourceIsRefused(t *testing.T) {
	s := start(t, nil)
	dsc, sources := pt.DSC("jake", "1.0-7")
	upload(t, s, "main", jammy, "jake.dsc", dsc,
		"package[source_files][]", sources[0].Name+"\x00tampered",
		"package[source_files][]", sources[1].Name+"\x00"+sources[1].Content).want(t, 422, "")
	size := fmt.Sprintf(" %d %s", len(sources[0].Content), sources[0].Name)
	upload(t, s, "main", jammy, "jake.dsc", []byte(strings.ReplaceAll(string(dsc), size, " 1 "+sources[0].Name)),
		"package[source_files][]", sources[0].Name+"\x00"+sources[0].Content,
		"package[source_files][]", sources[1].Name+"\x00"+sources[1].Content).want(t, 422, "")
}

func TestUpload_Strict(t *testing.T) {
	s := start(t, &packagecloudtest.Options{Strict: true})
	upload(t, s, "main", jammy, "a_1_all.deb", []byte("junk")).want(t, 422, "")
	upload(t, s, "main", anyfile, "a-1.0.bin", []byte("junk")).want(t, 201, "")
}

func TestUpload_PlanLimits(t *testing.T) {
	s := start(t, &packagecloudtest.Options{Plan: packagecloudtest.Plan{MaxPackages: 1}})
	upload(t, s, "main", jammy, "x", pt.Deb("a", "1", "all")).want(t, 201, "")
	upload(t, s, "main", jammy, "x", pt.Deb("a", "2", "all")).want(t, 422, `{"plan":["Upgrade to add more packages!"]}`)
	upload(t, s, "main", jammy, "x", pt.Deb("a", "1", "all")).want(t, 422, `{"filename":["has already been taken"],"plan":["Upgrade to add more packages!"]}`)
	s.SetPlan(packagecloudtest.Plan{PaymentRequired: true})
	upload(t, s, "main", jammy, "x", pt.Deb("a", "2", "all")).want(t, 402, `{"error":["payment required"]}`)
}

func TestUpload_401IsSentBeforeTheBodyIsRead(t *testing.T) {
	s := start(t, nil)
	for _, method := range []struct{ path, want string }{
		{"/api/v1/repos/acme/main/packages.json", `{"error":"Unauthenticated"}`},
		{"/api/v1/repos/acme/none/packages.json", `{"error":"not_found"}`},
	} {
		pr, pw := io.Pipe() // never written to
		defer pw.Close()
		req := newRequest(t, s, "POST", method.path, "multipart/form-data; boundary=x", pr)
		status := 404
		if strings.Contains(method.want, "Unauth") {
			req.SetBasicAuth("wrong", "")
			status = 401
		}
		r, err := send(t, s, req)
		if err != nil {
			t.Fatal(err)
		}
		r.want(t, status, method.want)
	}
}

func TestUpload_ExpectContinueSendsNoBodyToARefusal(t *testing.T) {
	s := start(t, nil)
	contentType, body := multipartForm(t, "package[distro_version_id]", anyfile, "package[package_file]", "a-1.0.bin\x00"+strings.Repeat("x", 1<<20))
	client := http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	defer client.CloseIdleConnections()
	for _, test := range []struct {
		token  string
		status int
		bytes  int64
	}{{"wrong", 401, 0}, {s.Token(), 201, int64(len(body))}} {
		req := newRequest(t, s, "POST", "/api/v1/repos/acme/main/packages.json", contentType, strings.NewReader(string(body)))
		req.SetBasicAuth(test.token, "")
		req.Header.Set("Expect", "100-continue")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if r := last(t, s); resp.StatusCode != test.status || r.BodyBytes != test.bytes || !r.ExpectContinue {
			t.Errorf("status %d, log %+v", resp.StatusCode, r)
		}
	}
}

func TestUpload_ConcurrentlyEachIsStoredOnce(t *testing.T) {
	s := start(t, nil)
	contentType, body := multipartForm(t, "package[distro_version_id]", jammy, "package[package_file]", "x\x00"+string(pt.Deb("a", "1", "all")))
	var wg sync.WaitGroup
	counts := make([]int, 1000)
	var mu sync.Mutex
	for range 20 {
		wg.Go(func() {
			r, err := send(t, s, newRequest(t, s, "POST", "/api/v1/repos/acme/main/packages.json", contentType, strings.NewReader(string(body))))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			counts[r.status]++
		})
	}
	wg.Wait()
	if counts[201] != 1 || counts[422] != 19 || len(s.Packages("main")) != 1 {
		t.Errorf("%d created, %d refused, %d stored", counts[201], counts[422], len(s.Packages("main")))
	}
}

func TestContents_ListsTheFilesOfADSC(t *testing.T) {
	s := start(t, nil)
	dsc, sources := pt.DSC("jake", "1.0-7")
	for _, path := range []string{"contents.json", "contents"} {
		got := post(t, s, "/api/v1/repos/acme/main/packages/"+path, "package[distro_version_id]", jammy, "package[package_file]", "jake_1.0-7.dsc\x00"+string(dsc)).
			want(t, 200, "").object(t)
		files := got["files"].([]any)
		if len(files) != 2 {
			t.Fatalf("%v", got)
		}
		fields(t, "file", files[0].(map[string]any), map[string]any{"filename": sources[0].Name, "size": len(sources[0].Content)})
		keys(t, "file", files[0].(map[string]any), "filename size md5sum")
	}
	post(t, s, "/api/v1/repos/acme/main/packages/contents.json", "package[distro_version_id]", jammy, "package[package_file]", "a.dsc\x00junk").want(t, 422, "")
	post(t, s, "/api/v1/repos/acme/main/packages/contents.json", "package[distro_version_id]", el7, "package[package_file]", "a.dsc\x00"+string(dsc)).want(t, 422, "")
}

func TestSearch(t *testing.T) {
	s := start(t, nil)
	uploadAll(t, s, "main")
	for _, test := range []struct {
		query string
		want  int
	}{
		{"", 10}, {"?q=", 10}, {"?q=jake", 6}, {"?q=JAKE_", 2}, {"?q=nothing", 0},
		{"?filter=rpms", 1}, {"?filter=RPMs", 1}, {"?filter=deb", 1}, {"?filter=DSCs", 1}, {"?filter=Gem", 1}, {"?filter=all", 10}, {"?filter=bogus", 0},
		{"?dist=ubuntu", 2}, {"?dist=ubuntu/jammy", 2}, {"?dist=el/7", 1}, {"?dist=el/6", 0}, {"?dist=ubuntu&filter=rpms", 2}, {"?q=.deb&dist=ubuntu", 1},
		{"?arch=x86_64", 2}, {"?arch=amd64", 1}, {"?q=jake&arch=amd64&dist=&filter=", 1},
	} {
		for _, path := range []string{"search.json", "search"} {
			r := get(t, s, "/api/v1/repos/acme/main/"+path+test.query).want(t, 200, "")
			if n := len(r.list(t)); n != test.want || r.header.Get("Total") != fmt.Sprint(test.want) {
				t.Errorf("%s%s: %d, Total %s, want %d", path, test.query, n, r.header.Get("Total"), test.want)
			}
		}
	}
}

func TestIndex_GroupsByNameAndTakesWildcards(t *testing.T) {
	s := start(t, nil)
	uploadAll(t, s, "main")
	upload(t, s, "main", jammy, "x", pt.Deb("jake", "2.0-1", "amd64")).want(t, 201, "")
	upload(t, s, "main", noble, "x", pt.Deb("jake", "2.0-1", "amd64")).want(t, 201, "")
	upload(t, s, "main", noble, "x", pt.Deb("jake", "2.0-1", "arm64")).want(t, 201, "")
	for _, test := range []struct {
		path   string
		counts []int
	}{
		{"deb", []int{2, 1, 1}}, {"deb/ubuntu", []int{2, 1, 1}}, {"deb/ubuntu/jammy", []int{2}}, {"deb/ubuntu/noble", []int{1, 1}},
		{"deb/ubuntu/noble/arm64", []int{1}}, {"deb/*/*/amd64", []int{2, 1}}, {"deb/debian", nil}, {"rpm", []int{1}}, {"gem", []int{1}}, {"python", []int{1}},
		{"node", []int{1}}, {"rpm/el", []int{1}}, {"nonsense", nil},
	} {
		list := get(t, s, "/api/v1/repos/acme/main/packages/"+test.path+".json").want(t, 200, "").list(t)
		var counts []int
		for _, e := range list {
			keys(t, test.path, e, "name versions_count versions_url repository_url repository_html_url")
			counts = append(counts, int(e["versions_count"].(float64)))
			if n := len(get(t, s, e["versions_url"].(string)).want(t, 200, "").list(t)); n != counts[len(counts)-1] {
				t.Errorf("%s: versions_url lists %d", test.path, n)
			}
		}
		if fmt.Sprint(counts) != fmt.Sprint(test.counts) {
			t.Errorf("%s: %v, want %v", test.path, counts, test.counts)
		}
	}
	if list := get(t, s, "/api/v1/repos/acme/main/packages/alpine.json").list(t); len(list) != 1 || list[0]["versions_url"] != "" {
		t.Errorf("alpine: %v", list)
	}
}

func TestPagination(t *testing.T) {
	s := start(t, &packagecloudtest.Options{MaxPerPage: 40})
	for i := range 85 {
		if err := s.AddPackage("main", "anyfile", fmt.Sprintf("f-1.0.%d.bin", i), []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	base := "/api/v1/repos/acme/main/packages.json"
	abs := s.URL + base
	for _, test := range []struct {
		query   string
		items   int
		perPage string
		link    string
	}{
		{"", 30, "30", "<" + abs + `?page=3>; rel="last", <` + abs + `?page=2>; rel="next"`},
		{"?page=2", 30, "30", "<" + abs + `?page=1>; rel="first", <` + abs + `?page=1>; rel="prev", <` + abs + `?page=3>; rel="last", <` + abs + `?page=3>; rel="next"`},
		{"?page=3", 25, "30", ""},
		{"?page=4", 0, "30", ""},
		{"?page=0", 30, "30", "<" + abs + `?page=3>; rel="last", <` + abs + `?page=2>; rel="next"`},
		{"?per_page=1000", 40, "40", "<" + abs + `?page=3&per_page=1000>; rel="last", <` + abs + `?page=2&per_page=1000>; rel="next"`},
		{"?per_page=0", 0, "0", ""},
		{"?per_page=x", 30, "30", "<" + abs + `?page=3&per_page=x>; rel="last", <` + abs + `?page=2&per_page=x>; rel="next"`},
	} {
		r := get(t, s, base+test.query).want(t, 200, "")
		h := r.header
		if n := len(r.list(t)); n != test.items || h.Get("Total") != "85" || h.Get("Per-Page") != test.perPage || h.Get("Max-Per-Page") != "40" || h.Get("Link") != test.link {
			t.Errorf("%q: %d items, %v", test.query, n, h)
		}
	}
	r := get(t, s, "/api/v1/repos/acme/main/search.json?q=f&page=2&per_page=10&dist=&filter=")
	if want := "<" + s.URL + `/api/v1/repos/acme/main/search.json?dist=&filter=&page=3&per_page=10&q=f>; rel="next"`; !strings.Contains(r.header.Get("Link"), want) {
		t.Errorf("Link %q lacks %q", r.header.Get("Link"), want)
	}
	if r := get(t, s, "/api/v1/repos/acme/secret/packages.json"); r.body != "[]" || r.header.Get("Total") != "0" {
		t.Errorf("empty: %q %v", r.body, r.header)
	}
}

func TestPagination_MaximumIs250(t *testing.T) {
	s := start(t, nil)
	if h := get(t, s, "/api/v1/repos.json?per_page=9999").header; h.Get("Max-Per-Page") != "250" || h.Get("Per-Page") != "250" {
		t.Errorf("%v", h)
	}
}

func TestDelete_EveryType(t *testing.T) {
	s := start(t, nil)
	uploadAll(t, s, "main")
	for typ, f := range byType(t, s, "main") {
		target := f["destroy_url"].(string)
		if typ == "alpine" {
			target = "/api/v1/repos/acme/main/alpine/v3.20/jake-1.0.1-r2.apk"
		}
		if typ == "node" {
			do(t, s, "DELETE", strings.TrimSuffix(target, "?scope=%40scope"), "", "").want(t, 404, `{"filename":["not found"]}`)
		}
		do(t, s, "DELETE", target, "", "").want(t, 200, "{}")
		do(t, s, "DELETE", target, "", "").want(t, 404, `{"filename":["not found"]}`)
	}
	if left := s.Packages("main"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestDelete_OtherSpellings(t *testing.T) {
	s := start(t, nil)
	uploadAll(t, s, "main")
	base := "/api/v1/repos/acme/main"
	do(t, s, "DELETE", base+"/pypi/1/packagecloud_test-0.9.7b1-py2.py3-none-any.whl", "", "").want(t, 200, "{}")
	do(t, s, "DELETE", base+"/java/maven2/jake-2.3.jar", "", "").want(t, 200, "{}")
	do(t, s, "DELETE", base+"/node/1/test-pkg-1.3.1.tgz", "application/json", `{"scope":"@scope"}`).want(t, 200, "{}")
	do(t, s, "DELETE", base+"/ubuntu/noble/jake_1.0-7_amd64.deb", "", "").want(t, 404, "")
	upload(t, s, "main", anyfile, "data-1.0.json", []byte("{}")).want(t, 201, "")
	do(t, s, "DELETE", base+"/anyfile/1/data-1.0.json", "", "").want(t, 200, "{}")
}

func TestPromote_EveryType(t *testing.T) {
	s := start(t, nil)
	uploadAll(t, s, "main")
	for typ, f := range byType(t, s, "main") {
		if typ == "alpine" {
			continue
		}
		anonymous(t, s, "GET", f["download_url"].(string), "").want(t, 302, "")
		target := f["promote_url"].(string)
		got := post(t, s, target, "destination", "acme/secret").want(t, 200, "").object(t)
		keys(t, typ, got, detailKeys)
		fields(t, typ, got, map[string]any{"repository": "main", "private": true, "total_downloads_count": 0, "repository_url": "/api/v1/repos/acme/secret"})
		post(t, s, target, "destination", "acme/secret").want(t, 404, `{"filename":["not found"]}`)
		get(t, s, got["package_url"].(string)).want(t, 200, "")
	}
	if len(s.Packages("main")) != 1 || len(s.Packages("secret")) != 9 {
		t.Errorf("%d and %d", len(s.Packages("main")), len(s.Packages("secret")))
	}
}

func TestPromote_DestinationComesInAnyForm(t *testing.T) {
	s := start(t, nil)
	s.CreateRepository("friend/shared", false)
	path := func(i int) string {
		return fmt.Sprintf("/api/v1/repos/acme/main/anyfile/1/a-1.0.%d.bin/promote.json", i)
	}
	for i := range 6 {
		if err := s.AddPackage("main", "anyfile", fmt.Sprintf("a-1.0.%d.bin", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	do(t, s, "POST", path(0), "application/x-www-form-urlencoded", "destination=acme%2Fsecret").want(t, 200, "")
	do(t, s, "POST", path(1), "application/json", `{"destination":"acme/secret"}`).want(t, 200, "")
	do(t, s, "POST", path(2)+"?destination=friend%2Fshared", "", "").want(t, 200, "")
	do(t, s, "POST", strings.TrimSuffix(path(3), ".json")+"?destination=friend%2Fshared", "", "").want(t, 200, "")
	do(t, s, "POST", path(4), "", "").want(t, 422, `{"destination":["can't be blank"]}`)
	do(t, s, "POST", path(4)+"?destination=acme/nowhere", "", "").want(t, 404, `{"destination":["not found"]}`)
	if err := s.AddPackage("secret", "anyfile", "a-1.0.5.bin", nil); err != nil {
		t.Fatal(err)
	}
	do(t, s, "POST", path(5)+"?destination=acme/secret", "", "").want(t, 422, `{"filename":["has already been taken"]}`)
}

func TestShow_UnknownIsNotFound(t *testing.T) {
	s := start(t, nil)
	uploadAll(t, s, "main")
	for _, path := range []string{
		"/package/deb/ubuntu/jammy/jake/amd64/1.0-8.json", "/package/rpm/el/7/jake/x86_64/1.0.json", "/package/gem/nothing/1.0.json",
		"/package/gem/nothing/versions.json", "/package/alpine/alpine/v3.20/jake/x86_64/1.0.1-r2.json", "/nonsense", "/package",
	} {
		get(t, s, "/api/v1/repos/acme/main"+path).want(t, 404, `{"error":"not_found"}`)
	}
	for _, path := range []string{"@scope%2Ftest-pkg", "@scope%2ftest-pkg", "%40scope%2Ftest-pkg"} {
		get(t, s, "/api/v1/repos/acme/main/package/node/"+path+"/1.3.1.json").want(t, 200, "")
		get(t, s, "/api/v1/repos/acme/main/package/node/"+path+"/versions.json").want(t, 200, "")
	}
	get(t, s, "/api/v1/repos/acme/main/package/node/@scope/test-pkg/1.3.1.json").want(t, 404, "")
}

func TestAddPackage(t *testing.T) {
	s := start(t, nil)
	for _, test := range []struct {
		distribution, file string
		content            []byte
		want               string
	}{
		{"ubuntu/noble", "a_1.0_all.deb", []byte("anything"), "a_1.0_all.deb"},
		{"ubuntu/24.04", "b.deb", pt.Deb("b", "1", "all"), "b_1_all.deb"},
		{"", "c-1.0.gem", []byte("anything"), "c-1.0.gem"},
		{"python", "d-1.0.tar.gz", nil, "d-1.0.tar.gz"},
		{"java", "io.acme/e-1.0.jar", nil, "e-1.0.jar"},
		{"helm", "f-1.0.0.tgz", nil, "f-1.0.0.tgz"},
		{"alpine_any", "g-1.0-r0.apk", nil, "g-1.0-r0.apk"},
	} {
		if err := s.AddPackage("main", test.distribution, test.file, test.content); err != nil {
			t.Error(err)
			continue
		}
		all := s.Packages("main")
		if p := all[len(all)-1]; p.Filename != test.want || p.Repository != "acme/main" || p.Size != int64(len(test.content)) {
			t.Errorf("%+v", p)
		}
	}
	for _, test := range [][3]string{{"main", "ubuntu/nonsense", "a_1_all.deb"}, {"nowhere", "", "a-1.gem"}, {"main", "ubuntu", "a_1_all.deb"}, {"main", "el/7", "a_1_all.deb"}} {
		if err := s.AddPackage(test[0], test[1], test[2], nil); err == nil {
			t.Errorf("%v was accepted", test)
		}
	}
}
