package packagecloud_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
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

// Guarantee L1.
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
//
// Guarantee L1.
func TestList_FaultsOfPagesEndIt(t *testing.T) {
	for name, test := range map[string]struct{ page, want string }{
		"the same page again and again": {`[{"filename":"a"}]`, "20 pages have nothing new"},
		"more than was asked for":       {"[" + strings.Repeat(`{"filename":"a"},`, 6_000) + `{"filename":"a"}]`, "not in the form"},
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

// Guarantee A1.
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

// Guarantee L1.
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

// Guarantee L1.
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

// Guarantee L1.
func TestList_RepeatsFromThePageBeforeAreDropped(t *testing.T) {
	_, client, _ := serve(t, listing(map[string]string{"": "a b c", "2": "c d e", "3": "a f"}, map[string]string{"": "2", "2": "3"}))
	f := &fixture{repo: client.Repository("acme", "main")}
	names, err := collect(f, t, nil)
	// The second "a" isn't from the page before: perhaps another package.
	if err != nil || strings.Join(names, "") != "abcdeaf" {
		t.Errorf("%v, %v", names, err)
	}
}

// Guarantee L1.
func TestList_AnotherNumberThanTheTotalIsSaid(t *testing.T) {
	for total, complete := range map[string]bool{"10": false, "4": false, "3": true, "2": false, "0": false, "": true} {
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

// Guarantee L1.
func TestList_TotalThatIsNoNumberIsAnError(t *testing.T) {
	for _, totals := range [][]string{{"many"}, {"-1"}, {"+1"}, {"1.0"}, {"0x1"}, {"1e3"}, {"99999999999999999999"}, {"1, 1"}, {"1", "1"}, {"1", "2"}, {"", "1", "1"}, {"NaN"}} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Total"] = totals
			io.WriteString(w, `[{"filename":"a"}]`)
		})
		repo := client.Repository("acme", "main")
		for _, waive := range []bool{false, true} {
			names, err := collect(&fixture{repo: repo}, t, &packagecloud.ListOptions{AllowChange: waive})
			if err == nil || !strings.Contains(err.Error(), "Total") || len(names) > 0 {
				t.Errorf("a total of %q, waived %t: %v, %v", totals, waive, names, err)
			}
		}
		if _, err := repo.Find(t.Context(), "", "a"); err == nil {
			t.Errorf("Find took a total of %q", totals)
		}
	}
}

// A proxy may drop the headers that tell of a second page.
// Guarantee L1.
func TestList_FullPageWithoutHeadersCostsARequest(t *testing.T) {
	for name, test := range map[string]struct {
		pages              []int // how many elements each has
		ask                int
		total              string
		want, wantRequests int
	}{
		"a page that isn't full":           {pages: []int{4}, ask: 5, want: 4, wantRequests: 1},
		"a full page and no more":          {pages: []int{5, 0}, ask: 5, want: 5, wantRequests: 2},
		"two pages":                        {pages: []int{5, 3}, ask: 5, want: 8, wantRequests: 2},
		"three pages":                      {pages: []int{5, 5, 1}, ask: 5, want: 11, wantRequests: 3},
		"the server's own size":            {pages: []int{30, 7}, ask: 250, want: 37, wantRequests: 2},
		"the server's largest size":        {pages: []int{250, 7}, ask: 1000, want: 257, wantRequests: 2},
		"a server that knows no pages":     {pages: []int{5}, ask: 5, want: 5, wantRequests: 2},
		"a total says that this is enough": {pages: []int{5, 5}, ask: 5, total: "5", want: 5, wantRequests: 1},
	} {
		requests := 0
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			requests++
			page, _ := strconv.Atoi(r.URL.Query().Get("page"))
			page = min(max(page, 1), len(test.pages)) - 1
			if test.total != "" {
				w.Header().Set("Total", test.total)
			}
			items := make([]string, test.pages[page])
			for i := range items {
				items[i] = fmt.Sprintf(`{"filename":"%d-%d"}`, page, i)
			}
			io.WriteString(w, "["+strings.Join(items, ",")+"]")
		})
		names, err := collect(&fixture{repo: client.Repository("acme", "main")}, t, &packagecloud.ListOptions{PerPage: test.ask})
		if err != nil || len(names) != test.want || requests != test.wantRequests {
			t.Errorf("%s: %d elements after %d requests, %v", name, len(names), requests, err)
		}
	}
}

// endlessPages serves pages of one new package each, with the totals that it is told
// at each.
func endlessPages(t *testing.T, total func(page int) string) (*packagecloud.Repository, *int) {
	requests := 0
	client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		requests++
		resp := reply(r, 200, fmt.Sprintf(`[{"filename":"demo-%d"}]`, requests))
		resp.Header.Set("Total", total(requests))
		resp.Header.Set("Link", fmt.Sprintf(`</api/v1/repos/acme/main/search.json?page=%d>; rel="next"`, requests+1))
		return resp, nil
	})}))
	return client.Repository("acme", "main"), &requests
}

// Guarantee A5.
func TestList_EndlessPagesEnd(t *testing.T) {
	for name, test := range map[string]struct {
		total    func(page int) string
		requests int
	}{
		"a total of one":         {func(int) string { return "1" }, 22},
		"a total of none":        {func(int) string { return "0" }, 21},
		"a total that shrinks":   {func(page int) string { return strconv.Itoa(max(1, 100-page)) }, 61},
		"a total that grew once": {func(page int) string { return strconv.Itoa(min(page*5, 50)) }, 71},
		"no total":               {func(int) string { return "" }, 10_000},
	} {
		repo, requests := endlessPages(t, test.total)
		_, err := repo.Find(t.Context(), "", "demo")
		if err == nil || !strings.Contains(err.Error(), "fault of the server") || *requests != test.requests {
			t.Errorf("%s: Find ends after %d requests; want %d: %v", name, *requests, test.requests, err)
		}
	}
	// What waits for a lost upload looks by the same rule.
	repo, requests := endlessPages(t, func(int) string { return "1" })
	err := repo.Delete(t.Context(), &packagecloud.Package{Distribution: "ubuntu/jammy", Filename: demo})
	if !errors.Is(err, packagecloud.ErrUnknownOutcome) || *requests > 30 {
		t.Errorf("Delete ends after %d requests: %v", *requests, err)
	}
}

// Guarantee L3.
func TestList_MemoryDoesNotGrowWithThePages(t *testing.T) {
	repo, _ := endlessPages(t, func(page int) string { return strconv.Itoa(9000) })
	var at []uint64
	n := 0
	for _, err := range repo.Packages(t.Context(), &packagecloud.ListOptions{AllowChange: true}) {
		if err != nil {
			break
		}
		if n++; n == 100 || n == 8000 {
			var stats runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&stats)
			at = append(at, stats.HeapAlloc)
		}
	}
	if len(at) != 2 || at[1] > at[0]+256<<10 {
		t.Errorf("the heap grew from page 100 to page 8000: %d bytes", at)
	}
}

// Guarantee L1.
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

// Guarantee A5.
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

// Guarantee L1.
func TestList_PagesInACircleAreAnError(t *testing.T) {
	for _, next := range []map[string]string{{"": "2", "2": "3", "3": "2"}, {"": "2", "2": "2"}} {
		_, client, _ := serve(t, listing(map[string]string{"": "a", "2": "b", "3": "c"}, next))
		f := &fixture{repo: client.Repository("acme", "main")}
		if names, err := collect(f, t, nil); err == nil || !strings.Contains(err.Error(), "circle") || len(names) > 3 {
			t.Errorf("%v, %v", names, err)
		}
	}
}

// Guarantee L1.
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

// Guarantee A5.
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

// Guarantee L1.
func TestPackages_WhatIsNoListIsAnError(t *testing.T) {
	for _, body := range []string{`null`, `{}`, `{"error":"x"}`, `""`} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		var last error
		for _, err := range client.Repository("acme", "main").Packages(t.Context(), nil) {
			last = err
		}
		if last == nil {
			t.Errorf("%s was taken for an empty list", body)
		}
	}
}
