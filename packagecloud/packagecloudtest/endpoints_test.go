package packagecloudtest

import (
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// listed is a line of testdata/endpoints.txt.
type listed struct{ operation, status, method, path string }

func readEndpoints(t *testing.T) []listed {
	t.Helper()
	b, err := os.ReadFile("testdata/endpoints.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []listed
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 4 {
			t.Fatalf("%q has %d columns, want 4", line, len(f))
		}
		list = append(list, listed{f[0], f[1], f[2], f[3]})
	}
	return list
}

// TestEndpoints_ListHasEveryOperation counts the operations of the service.
func TestEndpoints_ListHasEveryOperation(t *testing.T) {
	count := map[string]int{}
	seen := map[string]string{}
	lines := map[string]bool{}
	for _, l := range readEndpoints(t) {
		if key := l.method + " " + l.path; lines[key] {
			t.Errorf("%s is listed twice", key)
		} else {
			lines[key] = true
		}
		if l.operation == "-" {
			if l.status != "link" && l.status != "site" {
				t.Errorf("%s: %s needs the name of an operation", l.path, l.status)
			}
			continue
		}
		if status, ok := seen[l.operation]; !ok {
			count[l.status]++
		} else if status != l.status {
			t.Errorf("%s is both %s and %s", l.operation, status, l.status)
		}
		seen[l.operation] = l.status
	}
	want := map[string]int{"documented": 63, "undocumented": 14, "unverified": 3}
	for status, n := range want {
		if count[status] != n {
			t.Errorf("%d %s operations, want %d", count[status], status, n)
		}
	}
	if len(count) != len(want) {
		t.Errorf("operations by status: %v", count)
	}
}

// TestEndpoints_TableAndListAgree compares the server's table with the list of
// the service's endpoints, in both directions.
func TestEndpoints_TableAndListAgree(t *testing.T) {
	table := map[string]bool{}
	for _, e := range endpoints {
		table[e.method+" "+e.path] = true
	}
	list := map[string]bool{}
	for _, l := range readEndpoints(t) {
		key := l.method + " " + l.path
		list[key] = true
		// Files below packages/ are one endpoint of the table.
		files := strings.HasPrefix(l.path, "/{owner}/{repo}/packages/") && l.status == "site"
		if !table[key] && !files {
			t.Errorf("the server has no endpoint for %s", key)
		}
	}
	for _, e := range endpoints {
		if key := e.method + " " + e.path; !list[key] && !strings.HasSuffix(e.path, "{path...}") {
			t.Errorf("the list has no line for %s", key)
		}
	}
}

var wildcard = regexp.MustCompile(`\{[a-z_]+\}`)

// TestEndpoints_ServeTheListedPaths asks the mux for the endpoint of each
// listed path, with and without ".json". The mux must find that endpoint and no
// other.
func TestEndpoints_ServeTheListedPaths(t *testing.T) {
	s := NewServer(nil)
	t.Cleanup(s.Close)
	for _, l := range readEndpoints(t) {
		paths := endpoint{path: l.path}.paths()
		for _, path := range slices.Concat(paths, trimJSON(paths)) {
			filled := wildcard.ReplaceAllString(path, "@x%2Fy.z")
			segs, ok := split(filled)
			if !ok {
				t.Fatal(filled)
			}
			r := httptest.NewRequest(l.method, "/", nil)
			r.URL = muxURL(canonical(segs))
			_, got := s.mux.Handler(r)
			want := strings.Join(canonical(strings.Split(strings.TrimPrefix(path, "/"), "/")), "/")
			if l.status == "site" && strings.Contains(path, "/packages/") {
				want = "site/{owner}/{repo}/packages/{path...}"
			} else {
				want += "/{$}"
			}
			if got != l.method+" /"+want {
				t.Errorf("%s %s is served by %q, want %q", l.method, filled, got, want)
			}
		}
	}
}

func trimJSON(paths []string) []string {
	var out []string
	for _, path := range paths {
		out = append(out, strings.TrimSuffix(path, ".json"))
	}
	return out
}

// TestRouter_NeverAnswersForTheService sends requests that http.ServeMux would
// answer by itself: paths that it cleans or completes, and methods that a path
// lacks. The first segments tell whether the API asks for its token first.
func TestRouter_NeverAnswersForTheService(t *testing.T) {
	s := NewServer(&Options{Token: "token"})
	t.Cleanup(s.Close)
	s.CreateRepository("main", false)
	s.CreateRepository("secret", true)
	const missing, denied = `{"error":"not_found"}`, `{"error":"Unauthenticated"}`
	for _, test := range []struct {
		method, path string
		token        bool
		status       int
		body         string
	}{
		{"GET", "/", true, 404, missing},
		{"GET", "//", true, 404, missing},
		{"GET", "/.", true, 404, missing},
		{"GET", "/..", true, 404, missing},
		{"GET", "/api", true, 404, missing},
		{"GET", "/api/v1", true, 404, missing},
		{"GET", "/api/v1", false, 401, denied},
		{"GET", "/api/v1/", false, 401, denied},
		{"GET", "/api/v1/repos/../repos", true, 404, missing},
		{"GET", "/api/v1/./repos", true, 404, missing},
		{"GET", "/api/v1/%2E%2E/v1/repos", true, 404, missing},
		{"GET", "/api/v1//repos", true, 404, missing},
		{"GET", "/api/v1//repos", false, 401, denied},
		{"GET", "//api/v1/repos//", true, 200, ""},
		{"GET", "/%61pi/v1/%72epos.json", true, 200, ""},
		{"HEAD", "/api/v1/repos", true, 200, ""},
		{"PUT", "/api/v1/repos", true, 404, missing},
		{"PUT", "/api/v1/repos", false, 401, denied},
		{"POST", "/api/v1/token.json", true, 404, missing},
		{"OPTIONS", "/api/v1/repos", true, 404, missing},
		{"CONNECT", "/api/v1/repos", true, 404, missing},
		{"FOO", "/api/v1/repos", true, 404, missing},
		{"GET", "/api/v1/repos/acme", true, 404, missing},
		{"GET", "/api/v1/repos//main", true, 404, missing},
		{"GET", "/api/v1/repos/acme%2Fmain", true, 404, missing},
		{"GET", "/api/v1/repos/acme/main/packages//ubuntu", true, 200, "[]"},
		{"GET", "/api/v1/repos/acme/main/packages/%2F", true, 200, "[]"},
		{"GET", "/api/v1/repos/acme/main/packages/../x", true, 200, "[]"},
		{"DELETE", "/api/v1/repos/acme/main/ubuntu/../x.deb", true, 404, `{"filename":["not found"]}`},
		{"GET", "/install", true, 404, missing},
		{"GET", "/install/repositories/acme/main", true, 401, denied},
		{"GET", "/install/repositories/acme/main", false, 404, missing},
		{"GET", "/install/repositories/acme/secret/script.deb.sh", false, 401, denied},
		{"GET", "/install/repositories/acme/main/script.exe.sh", false, 404, missing},
		{"GET", "/acme/main", false, 404, missing},
		{"GET", "/acme/secret", false, 404, missing},
		{"GET", "/acme/secret/", false, 404, missing},
		{"GET", "/acme/secret/anything", false, 401, denied},
		{"GET", "/acme/secret/packages", false, 401, denied},
		{"GET", "/acme/secret/packages", true, 404, missing},
		{"POST", "/acme/secret/packages/x", false, 404, missing},
		{"GET", "/priv/none/acme/secret/gpgkey", false, 401, denied},
		{"GET", "/priv/token/acme/secret/gpgkey", false, 200, ""},
		{"GET", "/priv/token/acme", false, 404, missing},
	} {
		plain, err := url.PathUnescape(test.path)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.URL, r.RequestURI = test.method, &url.URL{Path: plain, RawPath: test.path}, test.path
		if test.token {
			r.SetBasicAuth("token", "")
		}
		w := httptest.NewRecorder()
		s.routeAPI(w, r)
		if w.Code != test.status || (test.body != "" && w.Body.String() != test.body) || w.Header().Get("Location") != "" || w.Header().Get("Allow") != "" {
			t.Errorf("%s %s (token: %v): %d %s %v, want %d %s", test.method, test.path, test.token, w.Code, w.Body, w.Header(), test.status, test.body)
		}
	}
}
