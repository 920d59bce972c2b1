package packagecloud_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

const urlCanary = "s3cr3t-of-the-url"

// baseURLs are what people write as one. A good one leads the request for a
// repository to want; of a bad one the error says why. In ~/.packagecloud what
// is odd is refused and not mended: there the error says file, if that is set.
var baseURLs = []struct{ name, url, want, err, file string }{
	{name: "plain", url: "https://packages.example.com", want: "https://packages.example.com/api/v1/repos/acme/main.json"},
	{name: "slash", url: "https://packages.example.com/", want: "https://packages.example.com/api/v1/repos/acme/main.json"},
	{name: "slashes", url: "https://packages.example.com///", want: "https://packages.example.com/api/v1/repos/acme/main.json"},
	{name: "path", url: "https://packages.example.com/pc", want: "https://packages.example.com/pc/api/v1/repos/acme/main.json"},
	{name: "path and slashes", url: "https://packages.example.com/a/b//", want: "https://packages.example.com/a/b/api/v1/repos/acme/main.json"},
	{name: "path with dots", url: "https://packages.example.com/a/../b/./c", want: "https://packages.example.com/b/c/api/v1/repos/acme/main.json"},
	{name: "path with too many dots", url: "https://packages.example.com/../..", want: "https://packages.example.com/api/v1/repos/acme/main.json"},
	{name: "escaped path", url: "https://packages.example.com/a%2Fb%20c", want: "https://packages.example.com/a%2Fb%20c/api/v1/repos/acme/main.json"},
	{name: "path of the API", url: "https://packages.example.com/api/v1", want: "https://packages.example.com/api/v1/repos/acme/main.json"},
	{name: "port", url: "https://packages.example.com:8443", want: "https://packages.example.com:8443/api/v1/repos/acme/main.json"},
	{name: "port of https", url: "https://packages.example.com:443", want: "https://packages.example.com:443/api/v1/repos/acme/main.json"},
	{name: "greatest port", url: "https://packages.example.com:65535", want: "https://packages.example.com:65535/api/v1/repos/acme/main.json"},
	{name: "upper case", url: "HTTPS://Packages.EXAMPLE.com/PC", want: "https://packages.example.com/PC/api/v1/repos/acme/main.json"},
	{name: "IPv4", url: "https://192.0.2.1:8443", want: "https://192.0.2.1:8443/api/v1/repos/acme/main.json"},
	{name: "IPv6", url: "https://[2001:db8::1]:8443/", want: "https://[2001:db8::1]:8443/api/v1/repos/acme/main.json"},
	{name: "IPv6 with a zone", url: "https://[fe80::1%25eth0]", want: "https://[fe80::1%25eth0]/api/v1/repos/acme/main.json"},
	{name: "letters of another script", url: "https://bücher.example", want: "https://b%C3%BCcher.example/api/v1/repos/acme/main.json"},
	{name: "underscore", url: "https://package_cloud.example.com", want: "https://package_cloud.example.com/api/v1/repos/acme/main.json"},
	{name: "http to IPv4 loopback", url: "http://127.0.0.1:8080", want: "http://127.0.0.1:8080/api/v1/repos/acme/main.json"},
	{name: "http to IPv6 loopback", url: "http://[::1]:8080", want: "http://[::1]:8080/api/v1/repos/acme/main.json"},
	{name: "http to localhost", url: "HTTP://LocalHost", want: "http://localhost/api/v1/repos/acme/main.json"},

	{name: "user info", url: "https://" + urlCanary + ":" + urlCanary + "@packages.example.com/pc", want: "https://packages.example.com/pc/api/v1/repos/acme/main.json",
		file: "holds user information; remove that"},
	{name: "token as user", url: "https://" + urlCanary + "@packages.example.com", want: "https://packages.example.com/api/v1/repos/acme/main.json",
		file: "holds user information; remove that"},
	{name: "spaces around", url: " https://packages.example.com \n", want: "https://packages.example.com/api/v1/repos/acme/main.json", file: "can't be parsed"},

	{name: "http to a public host", url: "http://packages.example.com", err: "in the clear to packages.example.com; use https"},
	{name: "http to a private address", url: "http://10.0.0.1:8080", err: "in the clear to 10.0.0.1:8080; use https"},
	{name: "http to any address", url: "http://0.0.0.0:8080", err: "in the clear to"},
	{name: "http to a host like localhost", url: "http://localhost.example.com", err: "in the clear to"},
	{name: "http with user info", url: "http://" + urlCanary + "@packages.example.com", err: "in the clear to packages.example.com; use https", file: "holds user information"},
	{name: "no scheme", url: "packages.example.com", err: "doesn't begin with https://; it should look like", file: "not one of http or https"},
	{name: "no scheme but a port", url: "packages.example.com:443", err: "doesn't begin with https://", file: "not one of http or https"},
	{name: "no scheme but slashes", url: "//packages.example.com", err: "doesn't begin with https://", file: "not one of http or https"},
	{name: "a token", url: urlCanary, err: "doesn't begin with https://", file: "not one of http or https"},
	{name: "a token and a host", url: urlCanary + ":@packages.example.com", err: "doesn't begin with https://", file: "not one of http or https"},
	{name: "other scheme", url: "ftp://packages.example.com", err: "doesn't begin with https://", file: "not one of http or https"},
	{name: "one slash", url: "https:/packages.example.com", err: "names no host", file: "not one of http or https"},
	{name: "no slash", url: "https:packages.example.com", err: "doesn't begin with https://", file: "not one of http or https"},
	{name: "no host", url: "https://", err: "names no host", file: "not one of http or https"},
	{name: "no host but a path", url: "https:///pc", err: "names no host", file: "not one of http or https"},
	{name: "no host but a port", url: "https://:443", err: "names no host", file: "not one of http or https"},
	{name: "no host but user info", url: "https://" + urlCanary + "@", err: "names no host", file: "holds user information"},
	{name: "query", url: "https://packages.example.com/?token=" + urlCanary, err: "has a query or fragment", file: "has a query or a fragment"},
	{name: "fragment", url: "https://packages.example.com/#" + urlCanary, err: "has a query or fragment", file: "has a query or a fragment"},
	{name: "port that is no number", url: "https://packages.example.com:" + urlCanary, err: "is malformed", file: "can't be parsed"},
	{name: "negative port", url: "https://packages.example.com:-1", err: "is malformed", file: "can't be parsed"},
	{name: "port zero", url: "https://packages.example.com:0", err: "port that isn't between 1 and 65535"},
	{name: "port that is too high", url: "https://packages.example.com:65536", err: "port that isn't between 1 and 65535"},
	{name: "two ports", url: "https://packages.example.com:1:2", err: "is malformed", file: "can't be parsed"},
	{name: "IPv6 without brackets", url: "https://2001:db8::1", err: "is malformed", file: "can't be parsed"},
	{name: "IPv6 with one bracket", url: "https://[::1", err: "is malformed", file: "can't be parsed"},
	{name: "space in the host", url: "https://packages example.com", err: "is malformed", file: "can't be parsed"},
	{name: "space before the host", url: "https:// packages.example.com", err: "is malformed", file: "can't be parsed"},
	{name: "escape that is none", url: "https://packages.example.com/%zz" + urlCanary, err: "is malformed", file: "can't be parsed"},
	{name: "zero-width space in the host", url: "https://packages\u200b.example.com", err: "character in its host that no host has"},
	{name: "mirrored text in the host", url: "https://\u202epackages.example.com", err: "character in its host that no host has"},
	{name: "list", url: "https://packages.example.com,https://other.example.com", err: "character in its host that no host has"},
	{name: "quotes", url: `"https://packages.example.com"`, err: "is malformed", file: "can't be parsed"},
	{name: "byte order mark", url: "\ufeffhttps://packages.example.com", err: "is malformed", file: "can't be parsed"},
	{name: "two lines", url: "https://packages.example.com\nhttps://other.example.com", err: "is malformed", file: "can't be parsed"},
	{name: "NUL", url: "https://packages.example.com\x00", err: "is malformed", file: "can't be parsed"},
}

func TestBaseURL_LeadsToTheServerOrIsRefusedWithAdvice(t *testing.T) {
	for _, test := range baseURLs {
		for way, open := range map[string]func(*testing.T, ...packagecloud.Option) (*packagecloud.Client, error){
			"WithBaseURL": func(t *testing.T, options ...packagecloud.Option) (*packagecloud.Client, error) {
				return packagecloud.New(tokensource.Static(fakeToken), append(options, packagecloud.WithBaseURL(test.url))...)
			},
			"PACKAGECLOUD_URL": func(t *testing.T, options ...packagecloud.Option) (*packagecloud.Client, error) {
				if strings.ContainsRune(test.url, 0) {
					t.Skip("an environment variable can't hold a zero byte")
				}
				t.Setenv(packagecloud.EnvToken, fakeToken)
				t.Setenv(packagecloud.EnvURL, test.url)
				return packagecloud.FromEnvironment(nil, options...)
			},
			"file:~/.packagecloud": func(t *testing.T, options ...packagecloud.Option) (*packagecloud.Client, error) {
				t.Setenv(packagecloud.EnvToken, "")
				home(t, `{"url":`+inJSON(t, test.url)+`,"token":"`+fakeToken+`"}`)
				return packagecloud.FromEnvironment(nil, options...)
			},
		} {
			t.Run(test.name+"/"+way, func(t *testing.T) {
				t.Setenv(packagecloud.EnvTokenSource, "")
				c := newCanary(t, fakeToken, urlCanary)
				var asked []string
				next := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if user, password, _ := r.BasicAuth(); user != fakeToken || password != "" || r.URL.User != nil {
						t.Error("the request doesn't carry the token alone")
					}
					asked = append(asked, r.URL.String())
					return reply(r, 200, mainInfo), nil
				})}
				client, err := open(t, packagecloud.WithHTTPClient(next), packagecloud.WithLogger(c.logger()))
				if err == nil {
					_, err = client.Repository("acme", "main").Info(t.Context())
				}
				c.clean(t, err)
				want, refusal := test.want, test.err
				if way == "file:~/.packagecloud" && test.file != "" {
					want, refusal = "", test.file
				}
				switch {
				case want != "" && (err != nil || len(asked) != 1 || asked[0] != want):
					t.Errorf("it asked %q and got %v; want %s", asked, err, want)
				case want == "" && (err == nil || !strings.Contains(err.Error(), refusal)):
					t.Errorf("the error is %v; want %q", err, refusal)
				case want == "" && len(asked) > 0:
					t.Errorf("it asked %q all the same", asked)
				case want == "" && way != "WithBaseURL" && !strings.Contains(err.Error(), way):
					t.Errorf("the error %q doesn't say where the URL is from", err)
				}
			})
		}
	}
}

// The host is resolved as it is written in ASCII, which is what decides who
// gets the token.
func TestBaseURL_OfAnotherScriptIsResolvedInASCII(t *testing.T) {
	var dialled string
	next := &http.Client{Transport: &http.Transport{DialContext: dial(func(address string) { dialled = address })}}
	client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithBaseURL("https://Bücher.example"), packagecloud.WithHTTPClient(next))
	if _, err := client.Repository("acme", "main").Info(t.Context()); err == nil || dialled != "xn--bcher-kva.example:443" {
		t.Errorf("it dialled %q and got %v", dialled, err)
	}
}

// dial notes where a connection is wanted, and makes none.
func dial(note func(address string)) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, _, address string) (net.Conn, error) {
		note(address)
		return nil, errors.New("no connection is made")
	}
}

func FuzzBaseURL(f *testing.F) {
	for _, s := range []string{"https://packagecloud.io", "http://user:secret@[::1]:80/a/../b/?q=1#f", "https://Example.com:443//x%2fy/", "HTTP://localhost", "https://é.example", "//x", "https://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := packagecloud.ParseBaseURL(s)
		if err != nil {
			if len(s) > 8 && strings.Contains(err.Error(), s) && strings.Contains(s, "@") {
				t.Errorf("the error repeats what may hold a credential: %v", err)
			}
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Host == "" {
			t.Fatalf("%q became %q: %v", s, got, err)
		}
		if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && !(u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())) {
			t.Errorf("%q became %q, which isn't safe to send a token to", s, got)
		}
		if again, err := packagecloud.ParseBaseURL(got); again != got {
			t.Errorf("%q became %q, and that %q: %v", s, got, again, err)
		}
	})
}

func FuzzRedirect(f *testing.F) {
	for _, s := range []string{"", "/x?y", "//other.example/", "http://other.example", "https://u:p@other.example/x", "ftp://x", "https://[", "../..", "javascript:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, location string) {
		for from, schemes := range map[string][]string{"https://packagecloud.io/a/b": {"https"}, "http://127.0.0.1/a": {"http", "https"}} {
			got, err := packagecloud.Redirect(from, location)
			if err != nil {
				continue
			}
			u, err := url.Parse(got)
			if err != nil {
				continue // no request can be made of it
			}
			if u.User != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" {
				t.Errorf("%q leads from %s to %q", location, from, got)
			}
		}
	})
}
