package packagecloud_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

// packed compresses a text, as a server does that wants to cost its clients more
// than itself.
func packed(t testing.TB, texts ...string) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	for _, s := range texts {
		if err == nil {
			_, err = io.WriteString(w, s)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// allocated is how many bytes f allocates, all in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// bombs are answers that take far more memory than the server sends, by the call
// that reads them.
func bombs() map[string]struct {
	text []string
	call func(ctx context.Context, client *packagecloud.Client) error
} {
	const n = 10 << 20
	details := func(ctx context.Context, client *packagecloud.Client) error {
		return second(client.Repository("acme", "main").Package(ctx, &packagecloud.Package{PackageURL: "/api/v1/x.json", Filename: "x"}))
	}
	list := func(ctx context.Context, client *packagecloud.Client) error {
		return drainList(client.Repository("acme", "main").Packages(ctx, nil))
	}
	distributions := func(ctx context.Context, client *packagecloud.Client) error { return second(client.Distributions(ctx)) }
	info := func(ctx context.Context, client *packagecloud.Client) error {
		return second(client.Repository("acme", "main").Info(ctx))
	}
	repeat := func(head, item string) []string { return []string{head, strings.Repeat(item+",", n/len(item)), item} }
	type bomb = struct {
		text []string
		call func(ctx context.Context, client *packagecloud.Client) error
	}
	nested := strings.Repeat(`{"context":"a","dependencies":["","",""]},`, 500)
	return map[string]bomb{
		"empty dependencies":         {append(repeat(`{"filename":"x","dependencies":[`, `{}`), `]}`), details},
		"null dependencies":          {append(repeat(`{"filename":"x","dependencies":[`, `null`), `]}`), details},
		"wide dependencies":          {append(repeat(`{"filename":"x","dependencies":[`, `{"context":"abcdefghijklmnopq"}`), `]}`), details},
		"dependencies of one kind":   {append(repeat(`{"filename":"x","dependencies":[{"dependencies":[`, `""`), `]}]}`), details},
		"licenses":                   {append(repeat(`{"filename":"x","licenses":[`, `""`), `]}`), details},
		"wide licenses":              {append(repeat(`{"filename":"x","licenses":[`, `"GPL-2.0-or-later-with-exception"`), `]}`), details},
		"a long text":                {[]string{`{"filename":"x","description":"`, strings.Repeat("a", 3*n), `"}`}, details},
		"white space":                {[]string{`{"filename":"x"`, strings.Repeat(" ", 3*n), `}`}, details},
		"members":                    {append(repeat(`{"filename":"x",`, `"a":0`), `}`), details},
		"a deep field":               {[]string{`{"filename":"x","new":`, strings.Repeat("[", n), strings.Repeat("]", n), `}`}, details},
		"a package in a package":     {[]string{strings.Repeat(`{"package":`, n/11), strings.Repeat(`}`, n/11)}, details},
		"packages":                   {append(repeat(`[`, `{}`), `]`), list},
		"packages with a name":       {append(repeat(`[`, `{"filename":"a name of many letters"}`), `]`), list},
		"numbers":                    {append(repeat(`[`, `0`), `]`), list},
		"a list of lists":            {append(repeat(`[`, `[]`), `]`), list},
		"a deep list":                {[]string{strings.Repeat("[", n), strings.Repeat("]", n)}, list},
		"dependencies in each":       {append(repeat(`[`, `{"filename":"x","dependencies":[`+nested+`{}]}`), `]`), list},
		"groups of distributions":    {[]string{`{"deb":[{"index_name":"ubuntu"}],`, strings.Repeat(`"abcdefghijkl":0,`, n/17), `"x":0}`}, distributions},
		"distributions":              {append(repeat(`{"deb":[`, `{}`), `]}`), distributions},
		"versions of a distribution": {append(repeat(`{"deb":[{"index_name":"ubuntu","versions":[`, `{}`), `]}]}`), distributions},
		"URLs of a repository":       {append(repeat(`{"name":"main","urls":{`, `"a":[]`), `}}`), info},
	}
}

// Neither does a compressed answer cost more than a small multiple of what comes,
// beyond a fixed amount, nor one that isn't.
// Guarantee A5.
func TestAnswers_CostAtMostASmallMultipleOfWhatIsSent(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes the program allocate more")
	}
	for name, bomb := range bombs() {
		gz := packed(t, bomb.text...)
		plain := strings.Join(bomb.text, "")
		for _, compressed := range []bool{true, false} {
			_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if compressed {
					w.Header().Set("Content-Encoding", "gzip")
					w.Write(gz)
					return
				}
				io.WriteString(w, plain)
			})
			sent, limit := len(plain), uint64(4*len(plain)+24<<20)
			if compressed {
				sent, limit = len(gz), 24<<20
			}
			var err error
			bytes := allocated(func() { err = bomb.call(t.Context(), client) })
			if bytes > limit {
				t.Errorf("%s, compressed %t: %d KiB cost %d MiB", name, compressed, sent>>10, bytes>>20)
			}
			if compressed && err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	}
}

func TestAnswers_BoundsLeaveRoomForWhatTheServiceSends(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	for name, test := range map[string]struct {
		body string
		call func(*packagecloud.Client) error
	}{
		"a thousand dependencies": {`{"filename":"x","dependencies":[{"context":"depends","dependencies":["libc6"` + strings.Repeat(`,"libfoo1 (>= 1.0)"`, 1000) + `]}]}`, func(c *packagecloud.Client) error {
			pkg, err := c.Repository("acme", "main").Package(t.Context(), &packagecloud.Package{PackageURL: "/x.json", Filename: "x"})
			if err == nil && len(pkg.Dependencies[0].Names) != 1001 {
				err = errors.New("some are missing")
			}
			return err
		}},
		"a long description": {`{"filename":"x","description":"` + long + `"}`, func(c *packagecloud.Client) error {
			return second(c.Repository("acme", "main").Package(t.Context(), &packagecloud.Package{PackageURL: "/x.json", Filename: "x"}))
		}},
		"5,000 packages at once": {"[" + strings.Repeat(`{"filename":"a"},`, 4_999) + `{"filename":"a"}]`, func(c *packagecloud.Client) error {
			return drainList(c.Repository("acme", "main").Packages(t.Context(), nil))
		}},
	} {
		for _, compressed := range []bool{true, false} {
			_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Query().Get("page") != "":
					io.WriteString(w, "[]")
				case compressed:
					w.Header().Set("Content-Encoding", "gzip")
					w.Write(packed(t, test.body))
				default:
					io.WriteString(w, test.body)
				}
			})
			if err := test.call(client); err != nil {
				t.Errorf("%s, compressed %t: %v", name, compressed, err)
			}
		}
	}
}

// fragments is a page of a list as the service sends it.
func fragments(n int) string {
	var items []string
	for i := range n {
		name := fmt.Sprintf("demo-1.2.%d-1.el7.x86_64.rpm", i)
		items = append(items, strings.ReplaceAll(`{"name":"demo","distro_version":"el/7","created_at":"2020-01-24T05:35:34.000Z","version":"1.2.3","release":"1.el7","epoch":0,"scope":null,
"private":false,"type":"rpm","filename":"NAME","uploader_name":"acme","indexed":true,"sha256sum":"`+sums[64]+`","repository_html_url":"/acme/main",
"package_url":"/api/v1/repos/acme/main/package/rpm/el/7/demo/x86_64/1.2.3/1.el7.json",
"downloads_detail_url":"/api/v1/repos/acme/main/package/rpm/el/7/demo/x86_64/1.2.3/1.el7/stats/downloads/detail.json",
"downloads_series_url":"/api/v1/repos/acme/main/package/rpm/el/7/demo/x86_64/1.2.3/1.el7/stats/downloads/series/daily.json",
"downloads_count_url":"/api/v1/repos/acme/main/package/rpm/el/7/demo/x86_64/1.2.3/1.el7/stats/downloads/count.json",
"package_html_url":"/acme/main/packages/el/7/NAME","download_url":"https://packagecloud.io/acme/main/packages/el/7/NAME/download.rpm?distro_version_id=140",
"promote_url":"/api/v1/repos/acme/main/el/7/NAME/promote.json","destroy_url":"/api/v1/repos/acme/main/el/7/NAME"}`, "NAME", name))
	}
	return "[" + strings.Join(items, ",") + "]"
}

// BenchmarkList reads 10,000 packages in 40 pages, beside a loop of encoding/json
// alone over the same bytes.
func BenchmarkList(b *testing.B) {
	page := fragments(250)
	b.Run("client", func(b *testing.B) {
		client, err := packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			n, _ := strconv.Atoi(r.URL.Query().Get("page"))
			resp := reply(r, 200, page)
			resp.Header.Set("Total", "10000")
			if n = max(n, 1); n < 40 {
				resp.Header.Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, n+1))
			}
			return resp, nil
		})}))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			for range client.Repository("acme", "main").Packages(b.Context(), &packagecloud.ListOptions{AllowChange: true}) {
			}
		}
	})
	b.Run("encoding/json alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for range 40 {
				var items []struct {
					Name, Version, Release, Type, Filename, SHA256Sum string
					DistroVersion                                     string    `json:"distro_version"`
					UploaderName                                      string    `json:"uploader_name"`
					CreatedAt                                         time.Time `json:"created_at"`
					Scope                                             *string
					Epoch                                             int
					Private, Indexed                                  bool
					PackageURL                                        string `json:"package_url"`
					PackageHTMLURL                                    string `json:"package_html_url"`
					DetailURL                                         string `json:"downloads_detail_url"`
					SeriesURL                                         string `json:"downloads_series_url"`
					CountURL                                          string `json:"downloads_count_url"`
					DownloadURL                                       string `json:"download_url"`
					PromoteURL                                        string `json:"promote_url"`
					DestroyURL                                        string `json:"destroy_url"`
				}
				if err := json.Unmarshal([]byte(page), &items); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
