package packagecloudtest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

func TestAuth(t *testing.T) {
	s := start(t, nil)
	if !regexp.MustCompile(`^[0-9a-f]{48}$`).MatchString(s.Token()) {
		t.Errorf("token %q", s.Token())
	}
	read, master := s.CreateReadToken("main", "r"), s.MasterToken("main", "default")
	for _, path := range []string{"/api/v1/repos", "/api/v1/repos.json", "/api/v1/distributions", "/api/v1/distributions.json", "/api/v1/gem_version", "/api/v1/gem_version.json", "/api/v1/repos/acme/main", "/api/v1/repos/acme/main.json"} {
		get(t, s, path).want(t, 200, "")
		for _, token := range []string{"", "wrong", read, master} {
			r := anonymous(t, s, "GET", path, token).want(t, 401, `{"error":"Unauthenticated"}`)
			if ct := r.header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
				t.Errorf("Content-Type %q", ct)
			}
		}
	}
	get(t, s, "/api/v1/nonsense").want(t, 404, `{"error":"not_found"}`)
	get(t, s, "/api/v1/repos/acme/nowhere").want(t, 404, `{"error":"not_found"}`)
	do(t, s, "PUT", "/api/v1/repos.json", "", "").want(t, 404, "")
}

func TestTokens_RotateRevokeAndOverlap(t *testing.T) {
	s := start(t, &packagecloudtest.Options{Token: "first"})
	if s.Token() != "first" {
		t.Fatal("the token asked for was not used")
	}
	second := s.RotateToken()
	anonymous(t, s, "GET", "/api/v1/repos", "first").want(t, 401, "")
	third := s.AddToken()
	for _, token := range []string{second, third} {
		anonymous(t, s, "GET", "/api/v1/repos", token).want(t, 200, "")
	}
	s.RevokeToken(second)
	anonymous(t, s, "GET", "/api/v1/repos", second).want(t, 401, "")
	anonymous(t, s, "GET", "/api/v1/repos", third).want(t, 200, "")
}

func TestTokenSource_FollowsRotation(t *testing.T) {
	s := start(t, nil)
	source := s.TokenSource()
	for range 2 {
		tok, err := source.Token(t.Context())
		if err != nil || tok.Reveal() != s.Token() || tok.Metadata().BaseURL != s.URL {
			t.Errorf("%v, %v", tok, err)
		}
		s.RotateToken()
	}
}

func TestTokenJSON(t *testing.T) {
	s := start(t, &packagecloudtest.Options{Email: "hi@hi.com", Password: "Asdd45"})
	req := func(user, password string) response {
		r := newRequest(t, s, "GET", "/api/v1/token.json", "", nil)
		r.SetBasicAuth(user, password)
		out, err := send(t, s, r)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	req("hi@hi.com", "Asdd45").want(t, 200, fmt.Sprintf(`{"token":%q}`, s.Token()))
	if kind := last(t, s).Credential; kind != packagecloudtest.CredentialAccount {
		t.Error(kind)
	}
	req("hi@hi.com", "wrong").want(t, 401, `{"error":"Unauthenticated"}`)
	req(s.Token(), "").want(t, 401, "")
}

func TestGemVersionAndLicense(t *testing.T) {
	s := start(t, nil)
	keys(t, "gem_version", get(t, s, "/api/v1/gem_version.json").want(t, 200, "").object(t), "major minor patch")
	license := anonymous(t, s, "GET", "/api/v1/licenses/aabbccddeeffaa/license.json", "").want(t, 200, "").object(t)
	keys(t, "license", license, "license signature")
	anonymous(t, s, "GET", "/api/v1/licenses/other/license.json", "").want(t, 404, "")
}

func TestDistributions(t *testing.T) {
	s := start(t, nil)
	body := get(t, s, "/api/v1/distributions.json").want(t, 200, "")
	groups := body.object(t)
	keys(t, "groups", groups, "deb dsc rpm py jar node alpine anyfile helm")
	for _, want := range []string{
		`{"id":237,"display_name":"22.04 Jammy Jellyfish","index_name":"jammy","version_number":"22.04"}`,
		`"index_name":"noble"`, `{"id":166,"display_name":"Python"}`, `"version_number":null`,
	} {
		if !strings.Contains(body.body, want) {
			t.Errorf("the list lacks %s", want)
		}
	}
	if a, b := fmt.Sprint(groups["deb"]), fmt.Sprint(groups["dsc"]); a != b {
		t.Error("deb and dsc should hold the same entries")
	}
}

func TestRepositories(t *testing.T) {
	s := start(t, nil)
	s.CreateRepository("friend/shared", false)
	if err := s.AddPackage("main", "anyfile", "a-1.0.bin", nil); err != nil {
		t.Fatal(err)
	}
	list := get(t, s, "/api/v1/repos.json").want(t, 200, "").list(t)
	if len(list) != 2 {
		t.Fatalf("%v", list)
	}
	keys(t, "list", list[0], "name created_at url last_push_human package_count_human private fqname")
	fields(t, "main", list[0], map[string]any{
		"name": "main", "url": s.URL + "/acme/main", "private": false, "fqname": "acme/main", "package_count_human": "1 package", "last_push_human": "less than a minute ago",
	})
	fields(t, "secret", list[1], map[string]any{"private": true, "package_count_human": "0 packages"})
	if n := len(get(t, s, "/api/v1/repos?include_collaborations=true").list(t)); n != 3 {
		t.Errorf("%d with collaborations", n)
	}

	show := get(t, s, "/api/v1/repos/acme/secret.json").want(t, 200, "").object(t)
	keys(t, "show", show, "name fqname path repo_type total_installs_count created_at updated_at paths urls")
	fields(t, "show", show, map[string]any{
		"path": "/acme/secret", "repo_type": nil,
		"paths": map[string]string{
			"self": "/api/v1/repos/acme/secret", "create_package": "/api/v1/repos/acme/secret/packages.json",
			"package_contents": "/api/v1/repos/acme/secret/packages/contents.json", "master_tokens": "/api/v1/repos/acme/secret/master_tokens",
			"create_master_token": "/api/v1/repos/acme/secret/master_tokens", "gpg_keys": "/api/v1/repos/acme/secret/gpg_keys.json",
		},
		"urls": map[string]string{"install_script": "http://" + s.MasterToken("secret", "default") + ":@" + strings.TrimPrefix(s.URL, "http://") + "/install/repositories/acme/secret/script.:package_type.sh"},
	})
}

func TestRepositories_Create(t *testing.T) {
	s := start(t, nil)
	for i, test := range []struct {
		media, body, path string
		private           bool
	}{
		{"application/json", `{"repository":{"name":"r%d","private":"1"}}`, "/api/v1/repos.json", true},
		{"application/json", `{"repository":{"name":"r%d","private":true}}`, "/api/v1/repos", true},
		{"application/json", `{"repository":{"name":"r%d","private":"0"}}`, "/api/v1/repos", false},
		{"application/json", `{"repository":{"name":"r%d","private":false}}`, "/api/v1/repos", false},
		{"application/json; charset=utf-8", `{"name":"r%d","private":"true"}`, "/api/v1/repos", true},
		{"application/x-www-form-urlencoded", `repository%%5Bname%%5D=r%d&repository[private]=1`, "/api/v1/repos.json", true},
	} {
		name := fmt.Sprintf("r%d", i)
		do(t, s, "POST", test.path, test.media, fmt.Sprintf(test.body, i)).want(t, 201, fmt.Sprintf(`{"url":"%s/acme/%s"}`, s.URL, name))
		list := get(t, s, "/api/v1/repos").list(t)
		if got := list[len(list)-1]; got["name"] != name || got["private"] != test.private {
			t.Errorf("%s: %v", test.body, got)
		}
	}
	post(t, s, "/api/v1/repos", "repository[name]", "r9", "repository[private]", "0").want(t, 201, "")
	for body, want := range map[string]string{
		`{"repository":{"name":"main"}}`: `{"name":["has already been taken"]}`,
		`{"repository":{"name":"a b"}}`:  `{"name":["is invalid"]}`,
		`{}`:                             `{"name":["can't be blank"]}`,
	} {
		do(t, s, "POST", "/api/v1/repos.json", "application/json", body).want(t, 422, want)
	}
	do(t, s, "POST", "/api/v1/repos.json", "application/json", "{").want(t, 400, "")
}

func TestRequests(t *testing.T) {
	s := start(t, nil)
	get(t, s, "/api/v1/repos/acme/main/master_tokens/"+s.MasterToken("main", "default")+"?q="+s.Token()).want(t, 200, "")
	r := last(t, s)
	if r.Path != "/api/v1/repos/acme/main/master_tokens/[redacted]" || r.Method != "GET" || r.Status != 200 || r.Credential != "api" || r.Host != "api" {
		t.Errorf("%+v", r)
	}
	do(t, s, "POST", "/api/v1/repos.json", "application/json", `{"repository":{"name":"x"}}`).want(t, 201, "")
	if r := last(t, s); r.BodyBytes != 27 || r.Status != 201 {
		t.Errorf("%+v", r)
	}
	revoked := s.Token()
	s.RotateToken()
	get(t, s, "/api/v1/"+revoked).want(t, 404, "")
	if r := last(t, s); r.Path != "/api/v1/[redacted]" {
		t.Errorf("a revoked token is in the log: %+v", r)
	}
	s.ResetRequests()
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d left", n)
	}
}
