package packagecloud_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

// filled returns a fixture whose repository holds n packages.
func filled(t *testing.T, n int) *fixture {
	f := setup(t)
	for i := range n {
		if err := f.srv.AddPackage("main", "ubuntu/jammy", fmt.Sprintf("demo_%03d_amd64.deb", i), []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// collect reads a list to its end.
func collect(f *fixture, t *testing.T, options *packagecloud.ListOptions) (names []string, err error) {
	for pkg, e := range f.repo.Packages(t.Context(), options) {
		if e != nil {
			err = e
			continue
		}
		names = append(names, pkg.Filename)
	}
	return names, err
}

func TestList_YieldsEverythingInOrder(t *testing.T) {
	f := filled(t, 23)
	names, err := collect(f, t, &packagecloud.ListOptions{PerPage: 5})
	if err != nil || len(names) != 23 {
		t.Fatalf("%d packages, %v", len(names), err)
	}
	for i, name := range names {
		if name != fmt.Sprintf("demo_%03d_amd64.deb", i) {
			t.Errorf("package %d is %s", i, name)
		}
	}
	if n := len(f.requests("")); n != 5 {
		t.Errorf("%d requests; want 5", n)
	}
}

// Each page links to another, which a server may go on with for ever.
func TestList_FaultsOfPagesEndIt(t *testing.T) {
	for name, test := range map[string]struct{ page, want string }{
		"the same page again and again": {`[{"filename":"a"}]`, "20 pages have nothing new"},
		"more than a list has":          {"[" + strings.Repeat("{},", 200_000) + "{}]", "not in the form"},
	} {
		requests := 0
		client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) {
			requests++
			resp := reply(r, 200, test.page)
			resp.Header.Set("Link", fmt.Sprintf(`<https://packagecloud.io/api/v1/repos/acme/main/packages.json?page=%d>; rel="next"`, requests))
			return resp, nil
		})
		var err error
		for _, err = range client.Repository("acme", "main").Packages(t.Context(), nil) {
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || requests > 21 {
			t.Errorf("%s: %d requests, %v", name, requests, err)
		}
	}
}

func TestList_PathOfAnotherHostIsAskedOfThatHost(t *testing.T) {
	var asked []string
	client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.Host+r.URL.Path)
		resp := reply(r, 200, fmt.Sprintf(`[{"filename":%q}]`, r.URL.Path))
		if next := map[string]string{"packagecloud.io": "https://other.example/2", "other.example/2": "/3"}[strings.TrimSuffix(r.URL.Host+r.URL.Path, "/api/v1/repos/acme/main/packages.json")]; next != "" {
			resp.Header.Set("Link", "<"+next+`>; rel="next"`)
		}
		return resp, nil
	})
	for _, err := range client.Repository("acme", "main").Packages(t.Context(), nil) {
		if err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(asked, " "); got != "packagecloud.io/api/v1/repos/acme/main/packages.json other.example/2 other.example/3" {
		t.Errorf("asked for %s", got)
	}
}

func TestList_LeavingEarlyCostsOneRequest(t *testing.T) {
	f := filled(t, 23)
	n := 0
	for range f.repo.Packages(t.Context(), &packagecloud.ListOptions{PerPage: 5}) {
		if n++; n == 5 {
			break
		}
	}
	if n := len(f.requests("")); n != 1 {
		t.Errorf("%d requests; want 1", n)
	}
}

func TestList_CanBeReadTwice(t *testing.T) {
	f := filled(t, 7)
	list := f.repo.Packages(t.Context(), &packagecloud.ListOptions{PerPage: 5})
	for range 2 {
		n := 0
		for _, err := range list {
			if n++; err != nil {
				t.Fatal(err)
			}
		}
		if n != 7 {
			t.Errorf("%d packages; want 7", n)
		}
	}
}

func TestList_ChangedTotalIsSaid(t *testing.T) {
	for _, waive := range []bool{false, true} {
		f := filled(t, 12)
		f.srv.Inject(packagecloudtest.Fault{Skip: 1, Then: func(s *packagecloudtest.Server) {
			if err := s.AddPackage("main", "ubuntu/jammy", "late_1_amd64.deb", []byte("x")); err != nil {
				t.Error(err)
			}
		}})
		names, err := collect(f, t, &packagecloud.ListOptions{PerPage: 5, AllowChange: waive})
		if len(names) != 13 {
			t.Errorf("%d packages; want 13", len(names))
		}
		if waive && err != nil {
			t.Error(err)
		}
		if !waive {
			f.want(t, err, packagecloud.ErrListChanged)
		}
	}
}

// listing serves pages of file names; "next" of the last one is given.
func listing(pages map[string]string, next map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page := r.URL.Query().Get("page")
		if to, ok := next[page]; ok {
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%s>; rel="next", <http://x/>; rel="last"`, r.Host, r.URL.Path, to))
		}
		var items []string
		for name := range strings.FieldsSeq(pages[page]) {
			items = append(items, `{"filename":"`+name+`"}`)
		}
		io.WriteString(w, "["+strings.Join(items, ",")+"]")
	}
}

func TestList_RepeatsFromThePageBeforeAreDropped(t *testing.T) {
	_, client, _ := serve(t, listing(map[string]string{"": "a b c", "2": "c d e", "3": "a f"}, map[string]string{"": "2", "2": "3"}))
	f := &fixture{repo: client.Repository("acme", "main")}
	names, err := collect(f, t, nil)
	// The second "a" isn't from the page before: perhaps another package.
	if err != nil || strings.Join(names, "") != "abcdeaf" {
		t.Errorf("%v, %v", names, err)
	}
}

func TestList_FewerThanTheTotalIsSaid(t *testing.T) {
	for total, complete := range map[string]bool{"10": false, "4": false, "3": true, "2": true, "": true, "many": true} {
		c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { // no Link
			w.Header().Set("Total", total)
			io.WriteString(w, `[{"filename":"a"},{"filename":"b"},{"filename":"c"}]`)
		})
		f := &fixture{repo: client.Repository("acme", "main")}
		names, err := collect(f, t, nil)
		if c.clean(t, err); len(names) != 3 || complete != (err == nil) || !complete && !errors.Is(err, packagecloud.ErrListChanged) {
			t.Errorf("a total of %q: %v, %v", total, names, err)
		}
		if _, err := collect(f, t, &packagecloud.ListOptions{AllowChange: true}); err != nil {
			t.Error(err)
		}
	}
}

func TestList_ArchitecturesAreNoRepeats(t *testing.T) {
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		const item = `[{"filename":"demo-1.0-r0.apk","distro_version":"alpine/v3.20","destroy_url":"","created_at":"%s","architecture":%s}]`
		w.Header().Set("Total", "3")
		switch r.URL.Query().Get("page") {
		case "":
			w.Header().Set("Link", `</api/v1/repos/acme/main/packages.json?page=2>; rel="next"`)
			fmt.Fprintf(w, item, "2026-01-01T00:00:00.000Z", `"x86_64"`)
		case "2":
			w.Header().Set("Link", `</api/v1/repos/acme/main/packages.json?page=3>; rel="next"`)
			fmt.Fprintf(w, item, "2026-01-01T00:00:00.000Z", `"aarch64"`)
		default: // the architecture isn't always there
			fmt.Fprintf(w, item, "2026-01-01T00:00:01.000Z", `"aarch64"`)
		}
	})
	names, err := collect(&fixture{repo: client.Repository("acme", "main")}, t, nil)
	if err != nil || len(names) != 3 {
		t.Errorf("%v, %v", names, err)
	}
}

func TestList_RelativeLinkIsOfItsPage(t *testing.T) {
	for link, want := range map[string]string{
		`?page=2`:                 "/packages/api/v1/repos/acme/main/packages.json?page=2",
		`packages.json?page=2`:    "/packages/api/v1/repos/acme/main/packages.json?page=2",
		`../x.json?page=2`:        "/packages/api/v1/repos/acme/x.json?page=2",
		`/api/v1/x.json?page=2`:   "/packages/api/v1/x.json?page=2", // as a server says that knows nothing of its proxy
		`/packages/x.json?page=2`: "/packages/x.json?page=2",
		`http://%s/y.json?page=2`: "/y.json?page=2",
		`http://a:b@%s/?page=2`:   "/?page=2",
		`//%s/packages/z?page=2`:  "/packages/z?page=2",
		`mailto:someone?page=2`:   "",
		`http://%zz/?page=2`:      "",
		`?page=2#fragment`:        "/packages/api/v1/repos/acme/main/packages.json?page=2",
	} {
		var asked []string
		c, _, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if asked = append(asked, r.RequestURI); r.URL.Query().Get("page") == "" {
				if strings.Contains(link, "%s") {
					link = fmt.Sprintf(link, r.Host)
				}
				w.Header().Set("Link", "<"+link+`>; rel="next"`)
			}
			io.WriteString(w, `[{"filename":"`+r.RequestURI+`"}]`)
		})
		client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithBaseURL(ts.URL+"/packages"))
		_, err := collect(&fixture{repo: client.Repository("acme", "main")}, t, nil)
		c.clean(t, err)
		if (err == nil) != (want != "") || want != "" && (len(asked) != 2 || asked[1] != want) {
			t.Errorf("%s: asked for %q, %v", link, asked, err)
		}
	}
}

func TestList_PagesInACircleAreAnError(t *testing.T) {
	for _, next := range []map[string]string{{"": "2", "2": "3", "3": "2"}, {"": "2", "2": "2"}} {
		_, client, _ := serve(t, listing(map[string]string{"": "a", "2": "b", "3": "c"}, next))
		f := &fixture{repo: client.Repository("acme", "main")}
		if names, err := collect(f, t, nil); err == nil || !strings.Contains(err.Error(), "circle") || len(names) > 3 {
			t.Errorf("%v, %v", names, err)
		}
	}
}

func TestList_EmptyPageEndsIt(t *testing.T) {
	for _, test := range []struct {
		total, first string // of the list, and its first page
		says         string // "" if it is complete
	}{
		{"0", `[]`, ""}, // as some servers show a list without elements
		{"1", `[{"filename":"a"}]`, ""},
		{"2", `[{"filename":"a"}]`, "its total is 2, but 1 came"},
		{"", `[{"filename":"a"}]`, "an empty page leads to another"},
		{"", `[]`, "an empty page leads to another"},
	} {
		n := 0
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Total", test.total)
			w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, n+2))
			switch n++; n {
			case 1:
				io.WriteString(w, test.first)
			case 2:
				io.WriteString(w, "[]")
			default:
				w.WriteHeader(410)
			}
		})
		_, err := collect(&fixture{repo: client.Repository("acme", "main")}, t, nil)
		if n > 2 || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("a total of %q: after %d requests: %v", test.total, n, err)
		}
	}
}

func TestList_NegativePageSizeIsRefused(t *testing.T) {
	f := setup(t)
	if _, err := collect(f, t, &packagecloud.ListOptions{PerPage: -1}); err == nil {
		t.Error("it was accepted")
	}
}

func TestRepositories_ListsAndSearchesNarrow(t *testing.T) {
	f := filled(t, 3)
	f.add(t, "el/9", "tool-1.0-1.x86_64.rpm", []byte("x"))
	var names []string
	for info, err := range f.client.Repositories(t.Context(), &packagecloud.RepositoriesOptions{IncludeCollaborations: true}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.FullName)
	}
	if fmt.Sprint(names) != "[acme/main]" {
		t.Errorf("the repositories are %v", names)
	}
	for _, test := range []struct {
		options *packagecloud.SearchOptions
		want    int
	}{
		{nil, 4},
		{&packagecloud.SearchOptions{Query: "demo_00"}, 3},
		{&packagecloud.SearchOptions{Query: "_001_"}, 1},
		{&packagecloud.SearchOptions{Distribution: "el/9"}, 1},
		{&packagecloud.SearchOptions{Type: "debs"}, 3},
		{&packagecloud.SearchOptions{Query: "none"}, 0},
	} {
		n := 0
		for _, err := range f.repo.Search(t.Context(), test.options) {
			if n++; err != nil {
				t.Fatal(err)
			}
		}
		if n != test.want {
			t.Errorf("%+v finds %d; want %d", test.options, n, test.want)
		}
	}
}

func TestNextLink(t *testing.T) {
	for link, want := range map[string]string{
		``:                                 "",
		`<https://h/a?page=2>; rel="next"`: "https://h/a?page=2",
		`<https://h/a?page=9>; rel="last", <https://h/a?page=2>; rel="next"`:         "https://h/a?page=2",
		`<https://h/a?x=,;&page=2>; rel=next`:                                        "https://h/a?x=,;&page=2",
		`<https://h/1>; rel="prev first", <https://h/3>; title="x"; REL="last NEXT"`: "https://h/3",
		`<https://h/1>; rel="prev", <https://h/9>; rel="last"`:                       "",
		`<https://h/1`:   "",
		`rel="next"`:     "",
		`<>; rel="next"`: "",
		`<https://h/search.json?dist=&filter=&page=57&per_page=10&q=x>; rel="last", <https://h/search.json?dist=&page=2&q=x>; rel="next"`: "https://h/search.json?dist=&page=2&q=x",
	} {
		if got := packagecloud.NextLink(http.Header{"Link": {link}}); got != want {
			t.Errorf("%s gives %q; want %q", link, got, want)
		}
	}
	if got := packagecloud.NextLink(http.Header{"Link": {`<a>; rel="prev"`, `<b>; rel="next"`}}); got != "b" {
		t.Errorf("of two headers it takes %q", got)
	}
}

func FuzzNextLink(f *testing.F) {
	f.Add(`<https://h/a?page=9>; rel="last", <https://h/a?page=2>; rel="next"`)
	f.Add(`<<>>;;,=,rel`)
	f.Fuzz(func(t *testing.T, s string) {
		if next := packagecloud.NextLink(http.Header{"Link": {s}}); !strings.Contains(s, "<"+next+">") && next != "" {
			t.Errorf("%q gives %q", s, next)
		}
	})
}

func FuzzAgainst(f *testing.F) {
	for _, seed := range []string{"?page=2", "x.json?page=2", "/api/v1/x?page=2", "//h/x", "https://u:p@h/x#y", "mailto:x", "../../..", "https:x", "%zz"} {
		f.Add(seed)
	}
	client, err := packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithBaseURL("https://packages.example.com/below"))
	if err != nil {
		f.Fatal(err)
	}
	page, _ := url.Parse("https://packages.example.com/below/api/v1/repos/a/b/packages.json?per_page=5")
	f.Fuzz(func(t *testing.T, target string) {
		next, err := packagecloud.Against(t.Context(), client, page, target)
		if err != nil {
			return
		}
		if next.User != nil || next.Host == "" || next.Scheme != "https" && next.Hostname() != "localhost" && !net.ParseIP(next.Hostname()).IsLoopback() {
			t.Errorf("%q leads to %q", target, next)
		}
		if u, err := url.Parse(target); err == nil && !u.IsAbs() && u.Host == "" && next.Host != page.Host {
			t.Errorf("%q leads to the host %q", target, next.Host)
		}
	})
}
