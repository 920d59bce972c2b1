package packagecloudtest_test

import (
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

const masters = "/api/v1/repos/acme/secret/master_tokens"

func TestMasterTokens(t *testing.T) {
	s := start(t, nil)
	list := get(t, s, masters).want(t, 200, "").list(t)
	if len(list) != 1 || list[0]["name"] != "default" {
		t.Fatalf("%v", list)
	}
	if get(t, s, masters).header.Get("Total") != "" {
		t.Error("the list of master tokens is not paginated")
	}
	keys(t, "list", list[0], "name value read_tokens paths")

	created := do(t, s, "POST", masters, "application/x-www-form-urlencoded", "master_token%5Bname%5D=app").want(t, 201, "").object(t)
	keys(t, "created", created, "name value paths")
	self := created["paths"].(map[string]any)["self"].(string)
	do(t, s, "POST", masters+".json", "application/json", `{"master_token":{"name":"json"}}`).want(t, 201, "")
	post(t, s, masters, "master_token[name]", "multi").want(t, 201, "")
	post(t, s, masters, "master_token[name]", "multi").want(t, 422, `{"name":["has already been taken"]}`)
	post(t, s, masters, "other", "x").want(t, 422, `{"name":["can't be blank"]}`)

	found := get(t, s, masters+"/search?q=mul").want(t, 200, "")
	if found.header.Get("Total") != "1" {
		t.Errorf("Total %q", found.header.Get("Total"))
	}
	keys(t, "search", found.list(t)[0], "name value self_url read_tokens_url")

	for _, path := range []string{self, masters + "/" + created["value"].(string)} {
		show := get(t, s, path).want(t, 200, "").list(t)
		if len(show) != 1 || show[0]["name"] != "app" || show[0]["read_tokens_url"] != self+"/read_tokens" {
			t.Errorf("%v", show)
		}
		keys(t, "show", show[0], "name value read_tokens_url")
	}
	do(t, s, "DELETE", self, "", "").want(t, 204, "")
	get(t, s, self).want(t, 404, "")

	before := s.MasterToken("secret", "default")
	child := s.CreateReadToken("secret", "child")
	do(t, s, "DELETE", list[0]["paths"].(map[string]any)["self"].(string), "", "").want(t, 204, "")
	if after := s.MasterToken("secret", "default"); after == before || after == "" {
		t.Error("deleting the default master token should replace its value")
	}
	if again := s.CreateReadToken("secret", "child"); again == child {
		t.Error("its read tokens should be gone")
	}
}

func TestMasterTokens_OlderAnswer(t *testing.T) {
	s := start(t, &packagecloudtest.Options{FlatMasterTokens: true})
	got := post(t, s, masters, "master_token[name]", "x").want(t, 201, "").object(t)
	keys(t, "created", got, "id repository_id name value created_at updated_at")
}

func TestReadTokens(t *testing.T) {
	s := start(t, nil)
	self := get(t, s, masters).list(t)[0]["paths"].(map[string]any)["self"].(string)
	for _, master := range []string{self, masters + "/" + s.MasterToken("secret", "default")} {
		base := master + "/read_tokens"
		get(t, s, base+".json").want(t, 200, `{"read_tokens":[]}`)
		created := post(t, s, base+".json", "read_token[name]", "laptop").want(t, 201, "").object(t)
		keys(t, "created", created, "name value")
		list := get(t, s, base).want(t, 200, "").object(t)["read_tokens"].([]any)
		token := list[0].(map[string]any)
		keys(t, "listed", token, "id name value")
		id := jsonText(token["id"])
		show := get(t, s, base+"/"+id).want(t, 200, "").object(t)
		fields(t, "show", show, map[string]any{"name": "laptop", "value": created["value"], "id": token["id"]})
		post(t, s, base, "read_token[name]", "laptop").want(t, 422, "")
		do(t, s, "DELETE", base+"/"+id, "", "").want(t, 204, "")
		get(t, s, base+"/"+id).want(t, 404, "")
	}
}

func TestReadTokens_OfDownloadURLs(t *testing.T) {
	s := start(t, nil)
	uploadAll(t, s, "secret")
	link := byType(t, s, "secret")["deb"]["download_url"].(string)
	again := byType(t, s, "secret")["deb"]["download_url"].(string)
	if link != again {
		t.Error("the read token should stay the same")
	}
	token, _, _ := strings.Cut(strings.TrimPrefix(link, "http://"), ":@")
	s.RevokeToken(token)
	anonymous(t, s, "GET", link, "").want(t, 401, "")
	if fresh := byType(t, s, "secret")["deb"]["download_url"].(string); fresh == link {
		t.Error("a new read token should have been made")
	}
}

func TestGPGKeys(t *testing.T) {
	s := start(t, nil)
	path := "/api/v1/repos/acme/main/gpg_keys"
	list := get(t, s, path+".json").want(t, 200, "").object(t)["gpg_keys"].([]any)
	key := list[0].(map[string]any)
	keys(t, "key", key, "name fingerprint keytype self destroy_url download_url")
	name, print := key["name"].(string), key["fingerprint"].(string)
	if key["keytype"] != "repo" || name != "acme-main-"+print[24:]+".pub.gpg" || key["self"] != path+"/"+name+".json" || key["download_url"] != s.URL+"/acme/main/gpgkey/"+name {
		t.Errorf("%v", key)
	}
	do(t, s, "DELETE", key["destroy_url"].(string), "", "").want(t, 404, "")
	armored := anonymous(t, s, "GET", "/acme/main/gpgkey", "").want(t, 200, "").body

	// The test uploads the key of one repository to the other.
	other := "/api/v1/repos/acme/secret/gpg_keys"
	added := post(t, s, other+".json", "gpg_key[keydata]", "key.gpg\x00"+armored).want(t, 201, "").object(t)
	if added["keytype"] != "package" || added["fingerprint"] != print || added["name"] != "acme-secret-"+print[24:]+".pub.gpg" {
		t.Errorf("%v", added)
	}
	get(t, s, added["self"].(string)).want(t, 200, "")
	get(t, s, "/acme/secret/gpgkey/"+added["name"].(string)).want(t, 200, armored)
	if twice := post(t, s, other+".json", "gpg_key[keydata]", "key.gpg\x00"+armored).want(t, 422, "").object(t); len(twice) != 1 {
		t.Errorf("%v", twice)
	}
	do(t, s, "DELETE", added["destroy_url"].(string), "", "").want(t, 204, "")
	get(t, s, added["self"].(string)).want(t, 404, "")
	for _, junk := range []string{"", "junk", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAA==\n-----END PGP PRIVATE KEY BLOCK-----\n"} {
		bad := post(t, s, path+".json", "gpg_key[keydata]", "key.gpg\x00"+junk).want(t, 422, "").object(t)
		if _, ok := bad["error"].(string); !ok {
			t.Errorf("%q: %v, want one string under error", junk, bad)
		}
	}
}

func TestInstallHelpers(t *testing.T) {
	s := start(t, nil)
	base := "/install/repositories/acme/secret"
	master := s.MasterToken("secret", "default")
	form := func(token, path, body string) response {
		req := newRequest(t, s, "POST", path, "application/x-www-form-urlencoded", strings.NewReader(body))
		req.SetBasicAuth(token, "")
		r, err := send(t, s, req)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	token := form(master, base+"/tokens.text", "name=node1").want(t, 201, "").body
	if form(master, base+"/tokens.text", "name=node1").body != token || len(token) != 49 || !strings.HasSuffix(token, "\n") {
		t.Errorf("token %q", token)
	}
	form(s.Token(), base+"/tokens.text", "name=node1").want(t, 401, "")
	form(s.MasterToken("main", "default"), base+"/tokens.text", "name=node1").want(t, 401, "")

	read := strings.TrimSpace(token)
	for path, want := range map[string]string{
		"/config_file.list?os=ubuntu&dist=jammy&name=node1":   read + ":@",
		"/config_file.list?os=ubuntu&dist=22.04&name=node1":   "ubuntu/ jammy main",
		"/config_file.repo?os=el&dist=7&name=node1":           "/acme/secret/el/7/$basearch",
		"/config_file.alpine?os=alpine&dist=v3.20&name=node1": "/acme/secret/alpine/v3.20/main",
		"/apt_auth_conf?os=ubuntu&dist=jammy&name=node1":      "login " + read,
		"/gpg_key_url.list?os=ubuntu&dist=jammy&name=node1":   read + ":@",
		"/gpg_key_url.repo?os=el&dist=7&name=node1":           "/gpgkey",
		"/rsa_key_url.alpine?os=alpine&dist=v3.20&name=node1": "/rsakey",
		"/rpm_base_url?os=el&dist=7&name=node1":               "/el/7",
		"/script.deb.sh":                                      master,
		"/script.python.sh":                                   master,
	} {
		if r := anonymous(t, s, "GET", base+path, master).want(t, 200, ""); !strings.Contains(r.body, want) {
			t.Errorf("%s: %q lacks %q", path, r.body, want)
		}
		anonymous(t, s, "GET", base+path, "").want(t, 401, "")
	}
	for _, path := range []string{"/config_file.list?os=ubuntu&dist=nonsense", "/config_file.repo?os=ubuntu&dist=jammy", "/config_file.list", "/script.exe.sh", "/nonsense"} {
		anonymous(t, s, "GET", base+path, master).want(t, 404, "")
	}
	public := anonymous(t, s, "GET", "/install/repositories/acme/main/config_file.list?os=ubuntu&dist=jammy", "").want(t, 200, "").body
	if strings.Contains(public, "@") {
		t.Errorf("a public repository needs no token: %s", public)
	}
}

func TestDownloadStatistics(t *testing.T) {
	s := start(t, nil)
	uploadAll(t, s, "secret")
	read := s.CreateReadToken("secret", "laptop")
	deb := byType(t, s, "secret")["deb"]
	link := s.URL + "/acme/secret/packages/ubuntu/jammy/jake_1.0-7_amd64.deb/download"
	for _, agent := range []string{"curl/8", "curl/8", "Mozilla/5.0"} {
		req := newRequest(t, s, "GET", link, "", nil)
		req.SetBasicAuth(read, "")
		req.Header.Set("User-Agent", agent)
		if _, err := send(t, s, req); err != nil {
			t.Fatal(err)
		}
	}
	get(t, s, link) // by the API token
	countURL, detailURL, seriesURL := deb["downloads_count_url"].(string), deb["downloads_detail_url"].(string), deb["downloads_series_url"].(string)
	for query, want := range map[string]string{
		"": `{"value":4}`, "?start_date=19700101Z": `{"value":4}`, "?end_date=20000101Z": `{"value":0}`, "?start_date=2026-01-01&source=cli": `{"value":3}`,
		"?source=web": `{"value":1}`, "?user_agent=curl%2F8": `{"value":2}`, "?read_token=laptop": `{"value":3}`,
		"?master_token=default&read_token=laptop": `{"value":3}`, "?master_token=other": `{"value":0}`,
	} {
		get(t, s, countURL+query).want(t, 200, want)
	}
	get(t, s, countURL+"?start_date=yesterday").want(t, 422, "")
	get(t, s, countURL+"?source=phone").want(t, 422, "")
	detail := get(t, s, detailURL+"?per_page=2").want(t, 200, "")
	if detail.header.Get("Total") != "4" || len(detail.list(t)) != 2 {
		t.Errorf("%v", detail.header)
	}
	keys(t, "detail", detail.list(t)[0], "downloaded_at ip_address user_agent source read_token")
	fields(t, "detail", detail.list(t)[0], map[string]any{"ip_address": "127.0.0.1", "user_agent": "curl/8", "source": "cli", "read_token": "laptop"})
	series := get(t, s, seriesURL).want(t, 200, "")
	if values := series.object(t)["value"].(map[string]any); len(values) < 1 || series.header.Get("Total") != "" {
		t.Errorf("%s", series.body)
	}
	get(t, s, strings.Replace(seriesURL, "daily", "weekly", 1)).want(t, 200, "")
	get(t, s, strings.Replace(seriesURL, "daily", "hourly", 1)).want(t, 404, "")
	get(t, s, strings.Replace(countURL, "jake", "other", 1)).want(t, 404, "")
	details := get(t, s, deb["package_url"].(string)).object(t)
	fields(t, "details", details, map[string]any{"total_downloads_count": 4})
}

func TestInstallStatistics(t *testing.T) {
	s := start(t, nil)
	base := "/api/v1/repos/acme/main/stats/installs"
	get(t, s, base+"/count.json").want(t, 200, `{"value":0}`)
	for _, query := range []string{"os=ubuntu&dist=jammy&name=a", "os=ubuntu&dist=noble&name=b"} {
		anonymous(t, s, "GET", "/install/repositories/acme/main/config_file.list?"+query, "").want(t, 200, "")
	}
	for path, want := range map[string]string{
		"/count": `{"value":2}`, "/ubuntu/count.json": `{"value":2}`, "/ubuntu/jammy/count.json": `{"value":1}`, "/el/count.json": `{"value":0}`,
		"/count.json?master_token=default": `{"value":2}`, "/count.json?start_date=19700101Z&end_date=19700102Z": `{"value":0}`,
	} {
		get(t, s, base+path).want(t, 200, want)
	}
	detail := get(t, s, base+"/ubuntu/noble/detail.json").want(t, 200, "").list(t)
	keys(t, "detail", detail[0], "installed_at ip_address hostname user_agent master_token distro_version")
	fields(t, "detail", detail[0], map[string]any{"hostname": "b", "master_token": "default", "distro_version": "ubuntu/noble"})
	for _, path := range []string{"/series/daily.json", "/ubuntu/series/weekly.json", "/ubuntu/jammy/series/daily.json"} {
		if _, ok := get(t, s, base+path).want(t, 200, "").object(t)["value"].(map[string]any); !ok {
			t.Errorf("%s has no value", path)
		}
	}
	fields(t, "repository", get(t, s, "/api/v1/repos/acme/main").object(t), map[string]any{"total_installs_count": 2})
}

func TestArtifacts(t *testing.T) {
	s := start(t, nil)
	path := "/api/v1/repos/acme/main/artifacts.json?key=%2Fio%2Facme%2Fa%2F1.0%2Fa-1.0.jar"
	get(t, s, path).want(t, 404, "")
	do(t, s, "PUT", path, "application/octet-stream", "bytes").want(t, 201, "")
	do(t, s, "PUT", path, "application/octet-stream", "bytes").want(t, 422, "")
	get(t, s, path).want(t, 200, "bytes")
	do(t, s, "PUT", "/api/v1/repos/acme/main/artifacts.json?key=relative", "", "x").want(t, 422, "")
}

func TestReadmeAndMigration(t *testing.T) {
	s := start(t, nil)
	path := "/api/v1/repos/acme/main/readme.json"
	do(t, s, "POST", path, "application/json", `{"readme":{"body":"# Hi\n"}}`).want(t, 201, "")
	do(t, s, "PATCH", path, "text/markdown", "more").want(t, 200, "")
	get(t, s, path).want(t, 200, `{"body":"# Hi\nmore"}`)
	uploadAll(t, s, "main")
	got := get(t, s, "/api/v1/repos/acme/main/packages_with_bk_required_attributes?repository_uuid=u").want(t, 200, "").object(t)
	list := got["packages"].([]any)
	if len(list) != 10 {
		t.Fatalf("%d", len(list))
	}
	keys(t, "migration", list[0].(map[string]any)["package"].(map[string]any), `id created_at updated_at deleted_at deleted_by_id filename family release
		variant distro_version_id metadata weekly_downloads digest bucket_name bucket_storage_path target_bucket_storage_path`)
}
