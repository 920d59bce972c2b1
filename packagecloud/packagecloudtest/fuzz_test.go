package packagecloudtest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzServer sends arbitrary requests to both hosts. No request may panic, and
// each must get a status. The test parses the path first, because net/http
// refuses malformed paths.
func FuzzServer(f *testing.F) {
	s := NewServer(&Options{Control: true, Token: "token"})
	f.Cleanup(s.Close)
	s.CreateRepository("main", false)
	for _, p := range [][2]string{{"ubuntu/jammy", "a_1_all.deb"}, {"", "a-1.gem"}, {"node", "a-1.0.tgz"}, {"java", "g/a-1.0.jar"}, {"anyfile", "a-1.0.json"}} {
		if err := s.AddPackage("main", p[0], p[1], []byte("x")); err != nil {
			f.Fatal(err)
		}
	}
	f.Add("GET", "/api/v1/repos/acme/main/packages.json?page=2&per_page=1", "", "")
	f.Add("GET", "/api/v1/repos/acme/main/packages/deb/*/*/*.json", "", "")
	f.Add("GET", "/api/v1/repos/acme/main/package/deb/ubuntu/jammy/a/all/1/stats/downloads/count.json?start_date=x", "", "")
	f.Add("POST", "/api/v1/repos/acme/main/packages.json", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"package[package_file]\"; filename=\"a_2_all.deb\"\r\n\r\nx\r\n--x--\r\n")
	f.Add("POST", "/api/v1/repos.json", "application/json", `{"repository":{"name":["x"],"private":{"a":null}}}`)
	f.Add("DELETE", "/api/v1/repos/acme/main/gems/a-1.gem", "", "")
	f.Add("POST", "/api/v1/repos/acme/main/java/maven2/g/a-1.0.jar/promote.json", "application/x-www-form-urlencoded", "destination=acme%2Fmain")
	f.Add("GET", "/api/v1/repos/acme/main/master_tokens/search", "", "")
	f.Add("POST", "/api/v1/repos/acme/main/gpg_keys.json", "application/json", `{"gpg_key":{"keydata":"\u0099\u0001\u0002"}}`)
	f.Add("GET", "/acme/main/packages/gems/a-1.gem/download", "", "")
	f.Add("GET", "/acme/main/gpgkey", "", "")
	f.Add("GET", "/priv/x/acme/main/packages/", "", "")
	f.Add("GET", "/install/repositories/acme/main/config_file.list?os=ubuntu&dist=jammy", "", "")
	f.Add("PUT", "/api/v1/repos/acme/main/artifacts?key=/a", "", "x")
	f.Add("POST", "/_packagecloudtest/plan", "", `{"max_packages":3}`)
	f.Add("GET", "//", "", "")
	f.Fuzz(func(t *testing.T, method, target, contentType, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(target, "/") || strings.Contains(target, "_packagecloudtest/faults") {
			return
		}
		for host, handler := range map[string]http.HandlerFunc{HostAPI: s.routeAPI, HostDownload: s.serveBlob} {
			r := httptest.NewRequest("GET", "/", strings.NewReader(body))
			r.Method, r.URL = method, u
			r.Header.Set("Content-Type", contentType)
			r.SetBasicAuth(s.Token(), "")
			w := httptest.NewRecorder()
			s.middleware(host, handler).ServeHTTP(w, r)
			if w.Code < 200 || w.Code >= 600 || w.Code >= 500 {
				t.Errorf("%s %s: status %d", method, target, w.Code)
			}
		}
	})
}

func FuzzMatchPath(f *testing.F) {
	f.Add("/a/**/b*", "/a/x/y/bc")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern)+len(name) > 200 {
			return
		}
		_, _ = matchPath(pattern, name)
	})
}
