package packagecloud_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/packagecloud-go/sdk/packagecloud"
)

// oddNames are what somebody may take for the name of something.
var oddNames = []string{
	"", ".", "..", "...", ".hidden", "/", "a/b", "/a", "a/", "//evil.example.com/a", "../other", "a/../../other", "..;/other", `..\other`, `a\b`,
	"%", "100%", "a%2Fb", "%2e%2e", "%2E%2E%2Fother", "a%00b", "a%0d%0ab", "a+b", "a~b", "~", "a b", " ", " a ", "a\tb",
	"a?b=c", "a?scope=evil", "a#b", "a&b=c", "a;b", "a:b", "https://evil.example.com/", "user@host", "@scope", "a=b", "a,b", "a$b", "a!b", "a*b",
	"[a]", "{a}", "<a>", "a|b", "a^b", "a`b", "a'b", "(a)", "-a", "a.json", "packages.json", "promote.json",
	`a"b`, `a\"b`, `a"; filename="evil`, "a\"\r\nContent-Type: text/html\r\n\r\nevil", "a\nb", "a\rb", "a\r\nX-Evil: 1", "a\x00b", "a\x7fb", "a\x1b[31mb",
	"bücher", "e\u0301", "日本語", "🦆", "a\u00a0b", "a\u2028b", "a\u200bb", "\u202eb", "a\xffb", "\xff\xfe", "\ufeffa",
	strings.Repeat("a", 255), strings.Repeat("ü", 400), strings.Repeat("a", 1024), strings.Repeat("a", 1025), strings.Repeat("a/", 5000), strings.Repeat("a", 1<<20),
}

// seen is a request as a server sees it.
type seen struct {
	method, uri, body, contentType string
}

// elements are the parts of the path, decoded, and the query.
func (s seen) elements(t *testing.T) ([]string, url.Values) {
	t.Helper()
	path, query, _ := strings.Cut(s.uri, "?")
	var out []string
	for e := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		decoded, err := url.PathUnescape(e)
		if err != nil {
			t.Errorf("a part of the path is malformed: %v", err)
		}
		out = append(out, decoded)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Errorf("the query is malformed: %v", err)
	}
	return out, values
}

func (s seen) form(t *testing.T) url.Values {
	t.Helper()
	values, err := url.ParseQuery(s.body)
	if err != nil {
		t.Errorf("the form is malformed: %v", err)
	}
	return values
}

// namesServer records what it gets and answers to everything.
func namesServer(t *testing.T) (*packagecloud.Client, func() []seen) {
	var requests []seen
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests = append(requests, seen{r.Method, r.RequestURI, string(body), r.Header.Get("Content-Type")})
		switch path, _, _ := strings.Cut(r.RequestURI, "?"); {
		case strings.HasSuffix(path, "/distributions.json"):
			io.WriteString(w, `{"anyfile":[{"index_name":"anyfile","versions":[{"id":230,"index_name":"1"}]}],"dsc":[{"index_name":"ubuntu","versions":[{"id":1,"index_name":"noble"},{"id":2,"index_name":"jammy"}]}]}`)
		case r.Method == http.MethodGet && (strings.HasSuffix(path, "/search.json") || strings.HasSuffix(path, "/packages.json")):
			io.WriteString(w, "[]")
		case r.Method == http.MethodDelete:
			io.WriteString(w, "{}")
		default: // what the request is about
			form, _ := url.ParseQuery(string(body))
			created, _ := json.Marshal("/acme/" + url.PathEscape(form.Get("repository[name]")))
			elements := strings.Split(path, "/")
			shown, _ := url.PathUnescape(strings.TrimSuffix(elements[len(elements)-1], ".json"))
			name, _ := json.Marshal(shown)
			promoted, _ := url.PathUnescape(elements[len(elements)-2])
			filename, _ := json.Marshal(promoted)
			fmt.Fprintf(w, `{"name":%s,"filename":%s,"url":%s}`, name, filename, created)
		}
	})
	return client, func() []seen {
		out := requests
		requests = nil
		return out
	}
}

// paths are where a name becomes a part of the path; want is what the server
// must see.
var namesInPaths = []struct {
	what string
	call func(context.Context, *packagecloud.Client, string) error
	want func(name string) []string
}{
	{"owner", func(ctx context.Context, c *packagecloud.Client, name string) error {
		_, err := c.Repository(name, "main").Info(ctx)
		return err
	}, func(name string) []string { return []string{"api", "v1", "repos", name, "main.json"} }},
	{"repository", func(ctx context.Context, c *packagecloud.Client, name string) error {
		_, err := c.Repository("acme", name).Info(ctx)
		return err
	}, func(name string) []string { return []string{"api", "v1", "repos", "acme", name + ".json"} }},
	{"repository of a list", func(ctx context.Context, c *packagecloud.Client, name string) error {
		return drainList(c.Repository("acme", name).Packages(ctx, nil))
	}, func(name string) []string { return []string{"api", "v1", "repos", "acme", name, "packages.json"} }},
	{"file to delete", func(ctx context.Context, c *packagecloud.Client, name string) error {
		return c.Repository("acme", "main").Delete(ctx, &packagecloud.Package{Distribution: "ubuntu/noble", Filename: name})
	}, func(name string) []string {
		return []string{"api", "v1", "repos", "acme", "main", "ubuntu", "noble", name}
	}},
	{"gem to delete", func(ctx context.Context, c *packagecloud.Client, name string) error {
		return c.Repository("acme", "main").Delete(ctx, &packagecloud.Package{Type: "gem", Filename: name})
	}, func(name string) []string { return []string{"api", "v1", "repos", "acme", "main", "gems", name} }},
	{"distribution of a file to delete", func(ctx context.Context, c *packagecloud.Client, name string) error {
		return c.Repository("acme", "main").Delete(ctx, &packagecloud.Package{Distribution: name + "/noble", Filename: "a.deb"})
	}, func(name string) []string {
		return []string{"api", "v1", "repos", "acme", "main", name, "noble", "a.deb"}
	}},
	{"version of a distribution", func(ctx context.Context, c *packagecloud.Client, name string) error {
		return c.Repository("acme", "main").Delete(ctx, &packagecloud.Package{Distribution: "ubuntu/" + name, Filename: "a.deb"})
	}, func(name string) []string {
		return []string{"api", "v1", "repos", "acme", "main", "ubuntu", name, "a.deb"}
	}},
	{"file to promote", func(ctx context.Context, c *packagecloud.Client, name string) error {
		_, err := c.Repository("acme", "main").Promote(ctx, &packagecloud.Package{Distribution: "el/9", Filename: name}, c.Repository("acme", "stable"))
		return err
	}, func(name string) []string {
		return []string{"api", "v1", "repos", "acme", "main", "el", "9", name, "promote.json"}
	}},
}

func drainList[T any](list func(func(*T, error) bool)) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// legible fails the test unless err is fit to be read: it says what to do, has one
// line, and doesn't go on for ever.
func legible(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if !strings.Contains(text, "; ") && !strings.Contains(text, "such as ") {
		t.Errorf("the error doesn't say what to do: %s", text)
	}
	if len(text) > 2000 || strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("the error is %d bytes long, or has control characters: %.200q", len(text), text)
	}
}

func TestNames_DoNotChangeThePath(t *testing.T) {
	client, requests := namesServer(t)
	for _, place := range namesInPaths {
		t.Run(place.what, func(t *testing.T) {
			accepted := 0
			for _, name := range oddNames {
				err := place.call(t.Context(), client, name)
				got := requests()
				if err != nil {
					if len(got) > 0 {
						t.Errorf("%.100q: %d requests before the error %v", name, len(got), err)
					}
					legible(t, err)
					continue
				}
				accepted++
				if len(got) != 1 {
					t.Errorf("%.100q: %d requests; want 1", name, len(got))
					continue
				}
				elements, query := got[0].elements(t)
				if !slices.Equal(elements, place.want(name)) {
					t.Errorf("%.100q: the server sees %.200q; want %.200q", name, elements, place.want(name))
				}
				for key := range query {
					if key != "per_page" {
						t.Errorf("%.100q: the query has a %q", name, key)
					}
				}
			}
			if accepted < 40 {
				t.Errorf("only %d of %d names were taken", accepted, len(oddNames))
			}
		})
	}
}

func TestNames_ReachTheServerInQueriesAndForms(t *testing.T) {
	client, requests := namesServer(t)
	repo := client.Repository("acme", "main")
	for _, place := range []struct {
		what  string
		call  func(context.Context, string) error
		path  string
		query string // where it must be, or
		form  string
		want  func(name string) string // nil for the name itself
		none  bool                     // an empty name is left out
	}{
		{what: "file to find", path: "/api/v1/repos/acme/main/search.json", query: "q", want: path.Base, call: func(ctx context.Context, name string) error {
			return found(repo.Find(ctx, "", name))
		}},
		{what: "distribution to find a file in", path: "/api/v1/repos/acme/main/search.json", query: "dist", none: true, call: func(ctx context.Context, name string) error {
			return found(repo.Find(ctx, name, "a.deb"))
		}},
		{what: "file without an address", path: "/api/v1/repos/acme/main/search.json", query: "q", want: path.Base, call: func(ctx context.Context, name string) error {
			return found(repo.Package(ctx, &packagecloud.Package{Filename: name}))
		}},
		{what: "file to download", path: "/api/v1/repos/acme/main/search.json", query: "q", want: path.Base, call: func(ctx context.Context, name string) error {
			return found(nil, repo.Download(ctx, &packagecloud.Package{Filename: name}, io.Discard, nil))
		}},
		{what: "search", path: "/api/v1/repos/acme/main/search.json", query: "q", none: true, call: func(ctx context.Context, name string) error {
			return drainList(repo.Search(ctx, &packagecloud.SearchOptions{Query: name}))
		}},
		{what: "architecture", path: "/api/v1/repos/acme/main/search.json", query: "arch", none: true, call: func(ctx context.Context, name string) error {
			return drainList(repo.Search(ctx, &packagecloud.SearchOptions{Architecture: name}))
		}},
		{what: "scope", path: "/api/v1/repos/acme/main/node/1/a.tgz", query: "scope", none: true, call: func(ctx context.Context, name string) error {
			return repo.Delete(ctx, &packagecloud.Package{Distribution: "node/1", Filename: "a.tgz", Scope: name})
		}},
		{what: "repository to create", path: "/api/v1/repos.json", form: "repository[name]", call: func(ctx context.Context, name string) error {
			_, err := client.CreateRepository(ctx, name, nil)
			return err
		}},
		{what: "repository to promote to", path: "/api/v1/repos/acme/main/el/9/a.rpm/promote.json", form: "destination", want: func(name string) string { return "acme/" + name },
			call: func(ctx context.Context, name string) error {
				_, err := repo.Promote(ctx, &packagecloud.Package{Distribution: "el/9", Filename: "a.rpm"}, client.Repository("acme", name))
				return err
			}},
		{what: "owner to promote to", path: "/api/v1/repos/acme/main/el/9/a.rpm/promote.json", form: "destination", want: func(name string) string { return name + "/stable" },
			call: func(ctx context.Context, name string) error {
				_, err := repo.Promote(ctx, &packagecloud.Package{Distribution: "el/9", Filename: "a.rpm"}, client.Repository(name, "stable"))
				return err
			}},
	} {
		t.Run(place.what, func(t *testing.T) {
			accepted := 0
			for _, name := range oddNames {
				err := place.call(t.Context(), name)
				got := requests()
				if err != nil {
					if len(got) > 0 {
						t.Errorf("%.100q: %d requests before the error %v", name, len(got), err)
					}
					legible(t, err)
					continue
				}
				accepted++
				if len(got) != 1 {
					t.Errorf("%.100q: %d requests; want 1", name, len(got))
					continue
				}
				address, _, _ := strings.Cut(got[0].uri, "?")
				_, values := got[0].elements(t)
				key := place.query
				if place.form != "" {
					values, key = got[0].form(t), place.form
				}
				want := []string{name}
				if place.want != nil {
					want[0] = place.want(name)
				}
				if name == "" && place.none {
					want = nil
				}
				if address != place.path || !slices.Equal(values[key], want) {
					t.Errorf("%.100q: the server sees %q in %s; want %.200q in %s", name, values[key], address, want, place.path)
				}
			}
			if accepted < 40 {
				t.Errorf("only %d of %d names were taken", accepted, len(oddNames))
			}
		})
	}
}

// found takes "not there" for success: the request is what counts.
func found(_ *packagecloud.Package, err error) error {
	if err != nil && strings.HasSuffix(err.Error(), packagecloud.ErrNotFound.Error()) {
		return nil
	}
	return err
}

// parts returns the fields and file names of a form, in their order, and checks
// that its headers are those that the client means to send.
func parts(t *testing.T, s seen) (out []string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(s.contentType)
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(strings.NewReader(s.body), params["boundary"])
	for {
		p, err := r.NextPart()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		_, disposition, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		if err != nil {
			t.Fatalf("%v: %q", err, p.Header.Get("Content-Disposition"))
		}
		value := text(t, p)
		name, isFile := disposition["filename"]
		for key := range disposition {
			if key != "name" && key != "filename" {
				t.Errorf("a part's disposition has a %q", key)
			}
		}
		for key, values := range p.Header {
			if key != "Content-Disposition" && !(isFile && key == "Content-Type" && slices.Equal(values, []string{"application/octet-stream"})) {
				t.Errorf("a part has the header %s: %q", key, values)
			}
		}
		if isFile {
			value = "content of " + name + ": " + value
		}
		out = append(out, disposition["name"]+"="+value)
	}
}

func TestNames_OfFilesReachTheServerAsTheyAre(t *testing.T) {
	client, requests := namesServer(t)
	repo := client.Repository("acme", "main")
	upload := func(ctx context.Context, content packagecloud.Content, options *packagecloud.UploadOptions) error {
		_, err := repo.Upload(ctx, content, options)
		return err
	}
	if err := upload(t.Context(), packagecloud.Bytes("a", []byte("x")), &packagecloud.UploadOptions{Type: "anyfile"}); err != nil {
		t.Fatal(err)
	}
	requests() // the list of distributions is cached from now on
	base := func(name string) string { return name[strings.LastIndexAny(name, `/\`)+1:] }
	for _, place := range []struct {
		what string
		call func(context.Context, string) error
		want func(name string) []string
	}{
		{"file", func(ctx context.Context, name string) error {
			return upload(ctx, packagecloud.Bytes(name, []byte("x")), &packagecloud.UploadOptions{Type: "anyfile"})
		}, func(name string) []string {
			return []string{"package[distro_version_id]=230", "package[package_file]=content of " + base(name) + ": x"}
		}},
		{"source file", func(ctx context.Context, name string) error {
			return upload(ctx, packagecloud.Bytes("a.dsc", []byte("x")), &packagecloud.UploadOptions{
				Type: "dsc", Distribution: "ubuntu/noble", SourceFiles: []packagecloud.Content{packagecloud.Bytes(name, []byte("y"))},
			})
		}, func(name string) []string {
			return []string{"package[distro_version_id]=1", "package[package_file]=content of a.dsc: x", "package[source_files][]=content of " + base(name) + ": y"}
		}},
	} {
		t.Run(place.what, func(t *testing.T) {
			accepted := 0
			for _, name := range oddNames {
				err := place.call(t.Context(), name)
				got := requests()
				if err != nil {
					if len(got) > 0 {
						t.Errorf("%.100q: %d requests before the error %v", name, len(got), err)
					}
					legible(t, err)
					continue
				}
				accepted++
				if len(got) != 1 || got[0].uri != "/api/v1/repos/acme/main/packages.json" {
					t.Errorf("%.100q: the requests are %.300q", name, got)
				} else if have := parts(t, got[0]); !slices.Equal(have, place.want(name)) {
					t.Errorf("%.100q: the server sees %.300q; want %.300q", name, have, place.want(name))
				}
			}
			if accepted < 40 {
				t.Errorf("only %d of %d names were taken", accepted, len(oddNames))
			}
		})
	}
}

func TestNames_OddDistributionsAndTypesAreRefused(t *testing.T) {
	client, requests := namesServer(t)
	for _, name := range oddNames {
		for _, options := range []packagecloud.UploadOptions{{Type: "dsc", Distribution: name}, {Type: name, Distribution: "ubuntu/noble"}} {
			_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes("a-1.0.unknown", []byte("x")), &options)
			for _, r := range requests() {
				if r.uri != "/api/v1/distributions.json" {
					t.Errorf("%.100q: it asked for %s", name, r.uri)
				}
			}
			if err == nil {
				t.Errorf("type %.100q and distribution %.100q were taken", options.Type, options.Distribution)
				continue
			}
			legible(t, err)
		}
	}
}

// What the server calls a package's address is followed, but only in its own
// repository.
func TestNames_AddressThatLeadsElsewhereIsRefused(t *testing.T) {
	client, requests := namesServer(t)
	repo := client.Repository("acme", "main")
	for _, address := range []string{
		"/api/v1/repos/acme/main/../other/el/9/a.rpm", "/api/v1/repos/acme/main/%2e%2e/other/el/9/a.rpm", "/api/v1/repos/acme/main/..",
		"/api/v1/repos/acme/main/./../other/el/9/a.rpm", "/api/v1/repos/acme/other/el/9/a.rpm", "/api/v1/repos/evil/main/el/9/a.rpm",
		"/api/v1/repos/acme/main%2F..%2Fother/el/9/a.rpm",
	} {
		_, promoted := repo.Promote(t.Context(), &packagecloud.Package{PromoteURL: address}, client.Repository("acme", "stable"))
		for _, err := range []error{repo.Delete(t.Context(), &packagecloud.Package{DestroyURL: address}), promoted} {
			if err == nil {
				t.Errorf("%s was followed", address)
				continue
			}
			legible(t, err)
		}
		if got := requests(); len(got) > 0 {
			t.Errorf("%s: it sent %q", address, got)
		}
	}
}

// The coordinates are the server's to judge, but they stay one field.
func TestNames_OddCoordinatesStayOneField(t *testing.T) {
	client, requests := namesServer(t)
	for _, name := range oddNames {
		if name == "" {
			continue // left out
		}
		_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes("a.bin", []byte("x")), &packagecloud.UploadOptions{Type: "anyfile", Coordinates: name})
		if err != nil {
			t.Errorf("%.100q: %v", name, err)
			continue
		}
		got := requests()
		have := parts(t, got[len(got)-1])
		slices.Sort(have)
		want := []string{"package[coordinates]=" + name, "package[distro_version_id]=230", "package[package_file]=content of a.bin: x"}
		if !slices.Equal(have, want) {
			t.Errorf("the server sees %.300q; want %.300q", have, want)
		}
	}
}

// The server for tests, which stores files under their names, agrees.
func TestNames_AreStoredAsTheyAre(t *testing.T) {
	f := setup(t)
	stored := 0
	for i, name := range oddNames {
		name = fmt.Sprintf("%s-%d.0.bin", name, i)
		pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes(name, []byte(name)), &packagecloud.UploadOptions{Type: "anyfile"})
		if err != nil {
			continue
		}
		stored++
		base := name[strings.LastIndexAny(name, `/\`)+1:]
		if pkg.Filename != base {
			t.Errorf("%.100q is stored as %.100q", name, pkg.Filename)
		}
		if err := f.repo.Delete(t.Context(), pkg); err != nil {
			t.Errorf("%.100q can't be deleted: %v", name, err)
		}
		f.stored(t, 0)
	}
	if stored < 40 {
		t.Errorf("only %d names were stored", stored)
	}
}
