package packagecloud_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

// spelled sends requests through a client of http://localhost:8080 to a server of
// the test's own, and returns how each request spelled the host, and whether it had
// a token. A server's answer to a path may have headers.
func spelled(t *testing.T, headers map[string]http.Header, options []packagecloud.Option, ask func(*packagecloud.Repository) error) []string {
	t.Helper()
	var seen []string
	next := roundTrip(func(r *http.Request) (*http.Response, error) {
		user, _, _ := r.BasicAuth()
		seen = append(seen, strings.TrimSuffix(fmt.Sprintf("%s %s %s", r.URL.Host, r.Host, user), " "))
		resp := reply(r, 200, `[{"filename":"`+r.URL.Path+`"}]`)
		for key, values := range headers[r.URL.Path] {
			resp.Header[key] = values
			if key == "Location" {
				resp.StatusCode = 302
			}
		}
		return resp, nil
	})
	options = append([]packagecloud.Option{packagecloud.WithHTTPClient(&http.Client{Transport: next})}, options...)
	client := newClient(t, tokensource.Static(fakeToken), options...)
	if err := ask(client.Repository("acme", "main")); err != nil {
		t.Fatal(err)
	}
	return seen
}

// net/http keeps "localhost" from a proxy, but no other spelling of it: by that, a
// token would go to the proxy in clear.
//
// Guarantee A1.
func TestClient_HostIsSentInLowerCase(t *testing.T) {
	const packages = "/api/v1/repos/acme/main/packages.json"
	list := func(r *packagecloud.Repository) error {
		for _, err := range r.Packages(t.Context(), nil) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	download := func(address string) func(r *packagecloud.Repository) error {
		return func(r *packagecloud.Repository) error {
			url, err := packagecloud.NewSecretURL(address)
			if err != nil {
				return err
			}
			return r.Download(t.Context(), &packagecloud.Package{Filename: demo, DownloadURL: url}, io.Discard, &packagecloud.DownloadOptions{AllowUnverified: true})
		}
	}
	const host, withToken = "localhost:8080 localhost:8080", "localhost:8080 localhost:8080 " + fakeToken
	for name, test := range map[string]struct {
		base    string
		headers map[string]http.Header
		ask     func(*packagecloud.Repository) error
		want    []string
	}{
		"base URL": {"http://LOCALHOST:8080", nil, list, []string{withToken}},
		"next link": {"http://localhost:8080", map[string]http.Header{packages: {"Link": {`<http://LOCALHOST:8080/2>; rel="next"`}}}, list,
			[]string{withToken, withToken}},
		"next link without a scheme": {"http://localhost:8080", map[string]http.Header{packages: {"Link": {`<//LocalHost:8080/2>; rel="next"`}}}, list,
			[]string{withToken, withToken}},
		"redirect": {"http://localhost:8080", map[string]http.Header{packages: {"Location": {"http://LOCALHOST:8080/2"}}}, list,
			[]string{withToken, withToken}},
		"download_url":                    {"http://localhost:8080", nil, download("http://LocalHost:8080/demo.deb"), []string{withToken}},
		"download_url with a credential":  {"http://localhost:8080", nil, download("http://read:@LocalHost:8080/demo.deb"), []string{host + " read"}},
		"download_url of another host":    {"http://localhost:8080", nil, download("https://CDN.example/demo.deb"), []string{"cdn.example cdn.example"}},
		"download_url with a final sigma": {"https://σ.example", nil, download("https://ς.example/demo.deb"), []string{"ς.example ς.example"}},
		"download_url with a letter like an s": {"https://s.example", nil, download("https://ſ.example/demo.deb"),
			[]string{"ſ.example ſ.example"}},
		"download_url with a dot at its end": {"https://s.example", nil, download("https://S.example./demo.deb"), []string{"s.example. s.example."}},
	} {
		t.Run(name, func(t *testing.T) {
			got := spelled(t, test.headers, []packagecloud.Option{packagecloud.WithBaseURL(test.base)}, test.ask)
			if !slices.Equal(got, test.want) {
				t.Errorf("the requests went to %q; want %q", got, test.want)
			}
		})
	}
}

// Guarantee A1.
func TestTransport_HostIsSentInLowerCaseWhereTheTokenGoes(t *testing.T) {
	for address, want := range map[string]string{
		"http://LOCALHOST:8080/x":          "localhost:8080 localhost:8080 " + fakeToken,
		"http://localhost.:8080/x":         "localhost.:8080 localhost.:8080 ",
		"http://localho\u017ft:8080/x":     "localho\u017ft:8080 localho\u017ft:8080 ",
		"http://Elsewhere.example:8080/x/": "Elsewhere.example:8080 Elsewhere.example:8080 ",
	} {
		var got string
		transport, err := packagecloud.NewTransport(tokensource.Static(fakeToken), packagecloud.WithBaseURL("http://LocalHost:8080"), packagecloud.WithHTTPClient(&http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				user, _, _ := r.BasicAuth()
				got = r.URL.Host + " " + r.Host + " " + user
				return reply(r, 200, "{}"), nil
			}),
		}))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		host := req.URL.Host
		if _, err := transport.RoundTrip(req); err != nil || got != want {
			t.Errorf("%s: it was sent to %q, %v; want %q", address, got, err, want)
		}
		if req.URL.Host != host || req.Host != host {
			t.Errorf("%s: the caller's request was changed", address)
		}
	}
}

// Names that a proxy's rules don't take for this machine are none for plain http.
//
// Guarantee A1.
func TestNew_PlainHTTPOnlyToWhatEverybodyTakesForLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "[::1]": true, "[::FFFF:127.0.0.1]": true,
		"localhost.": false, "localho\u017ft": false, "127.1": false, "127.0.0.1.": false, "a.localhost": false, "[::1%25lo]": false,
	} {
		_, err := packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithBaseURL("http://"+host+":8080"))
		if (err == nil) != want {
			t.Errorf("%s: the error is %v", host, err)
		}
	}
}
