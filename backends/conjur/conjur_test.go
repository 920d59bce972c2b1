package conjur_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cyberark/conjur-api-go/conjurapi/response"

	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/backends/conjur/internal/conjurserver"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// Guarantee B7.
func TestSource_Conformance(t *testing.T) {
	for name, certificate := range map[string]bool{"HTTP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			ca := newAuthority(t)
			var s *conjurtest
			if certificate {
				s = startTLS(t, ca.issue("127.0.0.1", time.Now().Add(time.Hour)))
			} else {
				s = start(t)
			}
			tokensourcetest.Run(t, tokensourcetest.Backend{
				New: func(t *testing.T) tokensource.TokenSource {
					return s.source(t, func(o *conjur.Options) {
						if certificate {
							o.CA = ca.pem
						}
					})
				},
				Set:      func(t *testing.T, value string) { s.Set(variable, value) },
				Remove:   func(t *testing.T) { s.Empty(variable) },
				Canaries: s.Secrets(),
			})
		})
	}
}

// Guarantee B7.
func TestSource_ReadsAnyVariableID(t *testing.T) {
	s := start(t)
	for _, id := range []string{
		"token", "a/b/c", "with space", "with#hash", "with?mark", "with%percent", "with%2Fescape", "plus+plus", "a&b=c",
		"pröd/テスト", "a:b:c", account + ":variable:x", "variable:x", "/leading", "trailing/", "a//b", "a/../b", "...", "~", `back\slash`, "a;b", "a,b",
	} {
		value := fmt.Sprintf("token-of-%x", id)
		s.Permit(id, host, everything)
		s.Set(id, value)
		source := newSource(t, id, s.options())
		holds(t, source, value)
		next := must(tokensource.NewToken(value+"-2", tokensource.Metadata{}))
		if _, err := source.Put(t.Context(), next, tokensource.Token{}); err != nil {
			t.Errorf("%q: Put: %v", id, err)
		}
		holds(t, source, value+"-2")
	}
	for _, id := range []string{"", ".", ".."} {
		_, err := conjur.New(id, s.options())
		s.fails(t, err, tokensource.ErrInvalid, "the id of the variable")
	}
}

// Guarantee B7.
func TestSource_ReadsVersions(t *testing.T) {
	s := start(t)
	for i := range 23 {
		s.Set(variable, fmt.Sprintf("token-%d", i+1))
	}
	version := func(n int) *conjur.Source {
		return s.source(t, func(o *conjur.Options) { o.Version = n })
	}
	for _, n := range []int{4, 22, 23} {
		tok := holds(t, version(n), fmt.Sprintf("token-%d", n))
		if got := tok.Metadata().Version; got != fmt.Sprint(n) {
			t.Errorf("version %d comes as %q", n, got)
		}
	}
	if got := holds(t, version(0), "token-23").Metadata().Version; got != "" {
		t.Errorf("the latest version comes as %q, which Conjur doesn't tell", got)
	}
	for _, n := range []int{3, 24} {
		s.refused(t, version(n), tokensource.ErrNotFound, fmt.Sprintf("version %d of the variable doesn't exist", n))
	}
}

func TestSource_ReadsAFieldOfJSON(t *testing.T) {
	s := start(t)
	for _, test := range []struct {
		name, data, field, want string
		kind                    error
		says                    string
	}{
		{"more than 1 MiB", strings.Repeat("x", 1<<20+1), "", "", tokensource.ErrInvalid, "larger than 1 MiB"},
		{"JSON", `{"user":"u","token":"` + secret + `"}`, "token", secret, nil, ""},
		{"large JSON", `{"user":"` + strings.Repeat("x", 1<<19) + `","token":"` + secret + `"}`, "token", secret, nil, ""},
		{"JSON with space", "\n { \"token\" : \"" + secret + "\\n\" } \n", "token", secret, nil, ""},
		{"no field named", `{"token":"` + secret + `"}`, "", "", tokensource.ErrInvalid, "name the field"},
		{"number", `{"token":12,"x":"` + secret + `"}`, "token", "", tokensource.ErrInvalid, "expected a string"},
		{"null", `{"token":null}`, "token", "", tokensource.ErrInvalid, "expected a string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.Set(variable, test.data)
			source := s.source(t, func(o *conjur.Options) { o.Field = test.field })
			if test.kind == nil {
				holds(t, source, test.want)
			} else {
				s.refused(t, source, test.kind, test.says)
			}
		})
	}
}

func TestSource_FollowsRotation(t *testing.T) {
	s := start(t)
	source := s.source(t)
	for _, value := range []string{"first", "second", "third"} {
		s.Set(variable, value)
		holds(t, source, value)
	}
	if got := s.Counts(); got.Logins != 1 {
		t.Errorf("%d logins for reads within an access token's life, want 1", got.Logins)
	}
}

// answer is a fault that answers requests of a kind with a status and a body that
// echoes credentials, as no server should.
func answer(kind string, status int) conjurserver.Fault {
	return func(k string, w http.ResponseWriter, r *http.Request) bool {
		if k != kind {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Location", "https://elsewhere.example/?"+secret)
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s %s %s", secret, body, r.Header.Get("Authorization"))
		return true
	}
}

func TestSource_ErrorsByStatusHoldNoAnswer(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	for _, test := range []struct {
		kind   string
		status int
		want   error
		says   string
	}{
		{"read", 500, tokensource.ErrUnavailable, "Conjur answered 500"},
		{"read", 503, tokensource.ErrUnavailable, "Conjur answered 503"},
		{"read", 429, tokensource.ErrUnavailable, "Conjur answered 429"},
		{"read", 400, tokensource.ErrInvalid, "Conjur answered 400"},
		{"read", 302, tokensource.ErrInvalid, "a redirect"},
		{"read", 401, tokensource.ErrDenied, "refused the access token"},
		{"read", 403, tokensource.ErrDenied, "refused the permission"},
		{"read", 404, tokensource.ErrInvalid, "does the address lead to Conjur's API?"},
		{"login", 500, tokensource.ErrUnavailable, "Conjur answered 500"},
		{"login", 401, tokensource.ErrDenied, "refused the login"},
		{"login", 403, tokensource.ErrDenied, "refused the login"},
		{"login", 404, tokensource.ErrInvalid, "check the address"},
		{"login", 307, tokensource.ErrInvalid, "a redirect"},
		{"login", 200, tokensource.ErrInvalid, "does the address lead to Conjur's API?"},
	} {
		t.Run(fmt.Sprint(test.kind, test.status), func(t *testing.T) {
			s.SetFault(answer(test.kind, test.status))
			defer s.SetFault(nil)
			source := s.source(t)
			_, err := source.Token(t.Context())
			s.fails(t, err, test.want, test.says)
			e, ok := errors.AsType[*response.ConjurError](err)
			if test.status >= 300 && (!ok || e.Code != test.status) {
				t.Errorf("errors.As finds no ConjurError with status %d", test.status)
			}
			if errors.Unwrap(err) != nil {
				t.Error("errors.Unwrap reaches the SDK's error")
			}
			s.SetFault(nil)
			holds(t, source, secret)
		})
	}
}

func TestSource_ReadsNoAnswerWithoutEnd(t *testing.T) {
	s := start(t)
	for _, status := range []int{200, 500} {
		s.SetFault(func(kind string, w http.ResponseWriter, r *http.Request) bool {
			if kind != "read" {
				return false
			}
			w.WriteHeader(status)
			for r.Context().Err() == nil {
				w.Write(make([]byte, 64<<10))
			}
			return true
		})
		within(t, func() {
			if status == 200 {
				s.refused(t, s.source(t), tokensource.ErrInvalid, "larger than 1 MiB")
			} else {
				s.refused(t, s.source(t), tokensource.ErrUnavailable, "Conjur answered 500")
			}
		})
	}
}

// Guarantee B7.
func TestSource_FollowsNoRedirect(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	var mu sync.Mutex
	var seen []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Method+" "+r.URL.Path)
	}))
	defer elsewhere.Close()
	clients := map[string]*http.Client{
		"own client":      nil,
		"caller's client": {CheckRedirect: func(*http.Request, []*http.Request) error { return nil }},
	}
	for name, client := range clients {
		for _, kind := range []string{"login", "read", "write"} {
			for _, status := range []int{301, 302, 307, 308} {
				s.SetFault(func(k string, w http.ResponseWriter, r *http.Request) bool {
					if k == kind {
						http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
					}
					return k == kind
				})
				source := s.source(t, func(o *conjur.Options) { o.HTTPClient = client })
				var err error
				if kind == "write" {
					_, err = source.Put(t.Context(), must(tokensource.NewToken(secret, tokensource.Metadata{})), tokensource.Token{})
				} else {
					_, err = source.Token(t.Context())
				}
				s.fails(t, err, tokensource.ErrInvalid, "a redirect")
			}
		}
		if len(seen) > 0 {
			t.Errorf("%s: another host got %q", name, seen)
		}
	}
}

func TestSource_KeepsNoCookies(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	s.SetFault(func(_ string, w http.ResponseWriter, r *http.Request) bool {
		if len(r.Cookies()) > 0 {
			t.Errorf("a request has the cookies %v", r.Cookies())
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "x", Path: "/"})
		return false
	})
	jar := must(cookiejar.New(nil))
	address := must(url.Parse(s.URL))
	jar.SetCookies(address, []*http.Cookie{{Name: "callers", Value: "x", Path: "/"}})
	source := s.source(t, func(o *conjur.Options) { o.HTTPClient = &http.Client{Jar: jar} })
	for range 2 {
		holds(t, source, secret)
	}
	if got := jar.Cookies(address); len(got) != 1 {
		t.Errorf("the caller's jar has %v", got)
	}
}

func TestSource_RefusesOldTLS(t *testing.T) {
	ca := newAuthority(t)
	s := start(t)
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was made") }))
	old.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	old.TLS = &tls.Config{
		Certificates: []tls.Certificate{*ca.issue("127.0.0.1", time.Now().Add(time.Hour))},
		MinVersion:   tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	}
	old.StartTLS()
	defer old.Close()
	s.refused(t, s.source(t, func(o *conjur.Options) { o.ApplianceURL, o.CA = old.URL, ca.pem }), tokensource.ErrUnavailable, "no answer")
}

func TestSource_TellsWhyThereIsNoConnection(t *testing.T) {
	s := start(t)
	for _, kind := range []string{"login", "read"} {
		s.SetFault(func(k string, w http.ResponseWriter, r *http.Request) bool {
			if k == kind {
				panic(http.ErrAbortHandler)
			}
			return false
		})
		s.refused(t, s.source(t), tokensource.ErrUnavailable, "the connection was cut")
	}
	s.Close()
	s.refused(t, s.source(t), tokensource.ErrUnavailable, "the connection was refused")

	s = startTLS(t, newAuthority(t).issue("127.0.0.1", time.Now().Add(time.Hour)))
	s.refused(t, s.source(t), tokensource.ErrUnavailable, "isn't trusted here; set CONJUR_CERT_FILE")
}

// A page without white space would pass for a token, and be sent to packagecloud.
//
// Guarantee B7.
func TestSource_PageIsNoToken(t *testing.T) {
	s := start(t)
	for _, test := range []struct{ contentType, body, says string }{
		{"text/html; charset=utf-8", "<html><body>sign-in</body></html>", "a web page"},
		{"text/html", "blocked", "a web page"},
		{"application/xhtml+xml", "blocked", "a web page"},
		{"application/xhtml+xml", "<html></html>", "a web page"},
		{"application/octet-stream", "\n<html></html>", "a web page"},
		{"", "<html></html>", "a web page"},
		{"application/json", `"blocked"`, "JSON, but no object"},
		{"application/json; charset=utf-8", `["blocked"]`, "JSON, but no object"},
		{"application/problem+json", "null", "JSON, but no object"},
	} {
		for _, kind := range []string{"login", "read"} {
			s.SetFault(func(k string, w http.ResponseWriter, _ *http.Request) bool {
				if k == kind {
					w.Header()["Content-Type"] = []string{test.contentType}
					io.WriteString(w, test.body)
				}
				return k == kind
			})
			s.refused(t, s.source(t), tokensource.ErrInvalid, test.says)
		}
	}
}

// Conjur sends a variable as what its annotation conjur/mime_type says.
func TestSource_ReadsAnnotatedVariables(t *testing.T) {
	s := start(t)
	for _, test := range []struct{ contentType, value, field string }{
		{"application/json", `{"token":"` + secret + `"}`, "token"},
		{"text/plain", secret + "\n", ""},
	} {
		s.SetFault(func(kind string, w http.ResponseWriter, _ *http.Request) bool {
			if kind == "read" {
				w.Header().Set("Content-Type", test.contentType)
				io.WriteString(w, test.value)
			}
			return kind == "read"
		})
		holds(t, s.source(t, func(o *conjur.Options) { o.Field = test.field }), secret)
	}
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	s := start(t)
	for _, test := range []struct {
		says string
		edit func(*conjur.Options)
	}{
		{"Options.AllowHTTP", func(o *conjur.Options) { o.ApplianceURL = "http://conjur.example" }},
		{"must begin with https://", func(o *conjur.Options) { o.ApplianceURL = "conjur.example" }},
		{"must begin with https://", func(o *conjur.Options) { o.ApplianceURL = "ftp://conjur.example" }},
		{"no user", func(o *conjur.Options) { o.ApplianceURL = "https://u:" + secret + "@conjur.example" }},
		{"query", func(o *conjur.Options) { o.ApplianceURL = "https://conjur.example/?key=" + secret }},
		{"is no URL", func(o *conjur.Options) { o.ApplianceURL = "https://conjur.example/%zz" + secret }},
		{"the account", func(o *conjur.Options) { o.Account = "a/b" }},
		{"the account", func(o *conjur.Options) { o.Account = ".." }},
		{"the version is negative", func(o *conjur.Options) { o.Version = -1 }},
		{"the timeout is negative", func(o *conjur.Options) { o.Timeout = -1 }},
		{"no PEM certificate", func(o *conjur.Options) { o.CA = []byte("nonsense") }},
		{"CA and HTTPClient", func(o *conjur.Options) { o.CA, o.HTTPClient = []byte("x"), http.DefaultClient }},
	} {
		options := s.options()
		test.edit(&options)
		source, err := conjur.New(variable, options)
		if err == nil || source != nil {
			t.Fatalf("New took what should say %q", test.says)
		}
		s.fails(t, err, tokensource.ErrInvalid, test.says)
	}
	options := s.options()
	options.ApplianceURL, options.AllowHTTP = "http://conjur.example", true
	newSource(t, variable, options)
}

// What looks like a token isn't repeated where an id belongs.
func TestNew_RefusesATokenAsAName(t *testing.T) {
	s := start(t)
	for name, edit := range map[string]func(variable *string, o *conjur.Options){
		"variable":        func(v *string, _ *conjur.Options) { *v = secret },
		"part of it":      func(v *string, _ *conjur.Options) { *v = "prod/" + strings.ToUpper(secret) + "/token" },
		"field":           func(_ *string, o *conjur.Options) { o.Field = secret },
		"account":         func(_ *string, o *conjur.Options) { o.Account = secret },
		"address":         func(_ *string, o *conjur.Options) { o.ApplianceURL = s.URL + "/" + secret },
		"login":           func(_ *string, o *conjur.Options) { o.Auth = conjur.APIKey("host/"+secret, s.key) },
		"service":         func(_ *string, o *conjur.Options) { o.Auth = conjur.JWT(secret, "", nil) },
		"file with a JWT": func(_ *string, o *conjur.Options) { o.Auth = conjur.JWTFile("ci", "", secret) },
	} {
		id, options := variable, s.options()
		edit(&id, &options)
		source, err := conjur.New(id, options)
		if err == nil || source != nil {
			t.Fatalf("New took a token as the %s", name)
		}
		s.fails(t, err, tokensource.ErrInvalid, "looks like a token")
		tokensourcetest.AssertNoSecret(t, err, strings.ToUpper(secret))
	}
	for _, id := range []string{secret[1:], secret + "0", "x" + secret} {
		newSource(t, id, s.options())
	}
}

func TestNew_RefusesAReplacedDefaultTransport(t *testing.T) {
	s := start(t)
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	http.DefaultTransport = http.NewFileTransport(http.Dir("."))
	_, err := conjur.New(variable, s.options())
	s.fails(t, err, tokensource.ErrInvalid, "http.DefaultTransport")
}

func TestSource_KeepsAPathOfTheServer(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	proxy := httptest.NewServer(http.StripPrefix("/api", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/authn/") && !strings.HasPrefix(r.URL.Path, "/secrets/") {
			t.Errorf("request to %s", r.URL.Path)
		}
		req := must(http.NewRequest(r.Method, s.URL+r.URL.EscapedPath(), r.Body))
		req.Header = r.Header
		resp := must(http.DefaultTransport.RoundTrip(req))
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})))
	defer proxy.Close()
	for _, path := range []string{"/api", "/api/", "/api//"} {
		// A path that ends so makes the SDK probe the server, were it let to.
		holds(t, s.source(t, func(o *conjur.Options) { o.ApplianceURL = proxy.URL + path }), secret)
	}
}

func TestPut(t *testing.T) {
	s := start(t)
	source := s.source(t)
	if got := fmt.Sprintf("%#v %d", source, source); got != source.String()+" "+source.String() {
		t.Errorf("printed as %s", got)
	}
	for _, value := range []string{"a&b=c+d%20e", "x"} {
		next := must(tokensource.NewToken(value, tokensource.Metadata{Origin: "env:X", Version: "9"}))
		got, err := source.Put(t.Context(), next, must(tokensource.NewToken("not-what-is-stored", tokensource.Metadata{})))
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(next) || got.Metadata() != (tokensource.Metadata{Origin: source.String()}) {
			t.Errorf("Put returned other metadata or another token: %+v", got.Metadata())
		}
		if s.Value(variable) != value {
			t.Error("the variable holds another value than was put")
		}
	}

	_, err := source.Put(t.Context(), tokensource.Token{}, tokensource.Token{})
	s.fails(t, err, tokensource.ErrInvalid, "there is no token to store")
	next := must(tokensource.NewToken(secret, tokensource.Metadata{}))
	_, err = s.source(t, func(o *conjur.Options) { o.Version = 1 }).Put(t.Context(), next, tokensource.Token{})
	s.fails(t, err, tokensource.ErrInvalid, "fixed version")
	s.Permit(variable, host, conjurserver.Privileges{Read: true, Execute: true})
	_, err = source.Put(t.Context(), next, tokensource.Token{})
	s.fails(t, err, tokensource.ErrDenied, "update to write")
	s.SetFault(answer("write", 503))
	_, err = source.Put(t.Context(), next, tokensource.Token{})
	s.fails(t, err, tokensource.ErrUnavailable, "Conjur answered 503")
	if s.Value(variable) != "x" {
		t.Error("a refused Put changed the variable")
	}
}

// A write without an answer may have been one.
//
// Guarantee B7.
func TestPut_SaysWhenNobodyKnows(t *testing.T) {
	s := start(t)
	const doubt = "; the new token may have been stored"
	put := func(ctx context.Context, source *conjur.Source) error {
		_, err := source.Put(ctx, must(tokensource.NewToken(secret, tokensource.Metadata{})), tokensource.Token{})
		return err
	}
	for _, status := range []int{500, 502, 503} {
		s.SetFault(answer("write", status))
		s.fails(t, put(t.Context(), s.source(t)), tokensource.ErrUnavailable, doubt)
	}
	s.SetFault(func(kind string, _ http.ResponseWriter, r *http.Request) bool {
		if kind == "write" {
			io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
		return false
	})
	s.fails(t, put(t.Context(), s.source(t)), tokensource.ErrUnavailable, doubt)
	ctx, cancel := context.WithCancel(t.Context())
	s.SetFault(func(kind string, _ http.ResponseWriter, r *http.Request) bool {
		if kind != "write" {
			return false
		}
		io.Copy(io.Discard, r.Body) // lest the server doesn't see the client leave
		cancel()
		<-r.Context().Done()
		return true
	})
	s.fails(t, put(ctx, s.source(t)), tokensource.ErrUnavailable, doubt)

	certain := func(err error, kind error, says string) {
		t.Helper()
		s.fails(t, err, kind, says)
		if strings.Contains(err.Error(), doubt) {
			t.Errorf("%v: but nothing was stored", err)
		}
	}
	for status, kind := range map[int]error{400: tokensource.ErrInvalid, 403: tokensource.ErrDenied, 429: tokensource.ErrUnavailable} {
		s.SetFault(answer("write", status))
		certain(put(t.Context(), s.source(t)), kind, fmt.Sprint(status))
	}
	s.SetFault(answer("login", 503))
	certain(put(t.Context(), s.source(t)), tokensource.ErrUnavailable, "503")
	s.SetFault(answer("read", 503))
	certain(put(t.Context(), s.source(t, func(o *conjur.Options) { o.Field = "token" })), tokensource.ErrUnavailable, "503")
	_, err := s.source(t).Token(t.Context())
	certain(err, tokensource.ErrUnavailable, "503")
	s.SetFault(nil)
	access := s.Issue(host)
	s.Close()
	certain(put(t.Context(), s.source(t, with(conjur.AccessToken(access)))), tokensource.ErrUnavailable, "the connection was refused")
	s = startTLS(t, newAuthority(t).issue("127.0.0.1", time.Now().Add(time.Hour)))
	certain(put(t.Context(), s.source(t, with(conjur.AccessToken(s.Issue(host))))), tokensource.ErrUnavailable, "isn't trusted")
}

func TestPut_KeepsTheOtherFields(t *testing.T) {
	s := start(t)
	source := s.source(t, func(o *conjur.Options) { o.Field = "token" })
	put := func(value string) error {
		_, err := source.Put(t.Context(), must(tokensource.NewToken(value, tokensource.Metadata{})), tokensource.Token{})
		return err
	}
	for _, test := range []struct{ before, after string }{
		{"", `{"token":"a<b"}`},
		{`{"z":1.50,"token":"old","n":[1, {"x":"<&>"}]}`, `{"n":[1,{"x":"<&>"}],"token":"a<b","z":1.50}`},
	} {
		if test.before != "" {
			s.Set(variable, test.before)
		}
		if err := put("a<b"); err != nil {
			t.Fatal(err)
		}
		if got := s.Value(variable); got != test.after {
			t.Errorf("the variable holds %s, want %s", got, test.after)
		}
	}
	s.Set(variable, "plain")
	s.fails(t, put("next"), tokensource.ErrInvalid, "not a JSON object")
	s.Set(variable, `{"token":"old"}`)
	s.SetFault(answer("read", 500))
	s.fails(t, put("next"), tokensource.ErrUnavailable, "Conjur answered 500")
	if s.Value(variable) != `{"token":"old"}` {
		t.Error("a failed Put changed the variable")
	}
}

// net/http keeps "localhost" from a proxy, but no other spelling of it: by that,
// credentials would go to the proxy in clear.
//
// Guarantee A1.
func TestSource_HostIsSentInLowerCase(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	var hosts []string
	transport := &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
		hosts = append(hosts, r.URL.Hostname())
		return nil, nil
	}}
	source := s.source(t, func(o *conjur.Options) {
		o.ApplianceURL = strings.Replace(s.URL, "127.0.0.1", "LocalHost", 1)
		o.HTTPClient = &http.Client{Transport: transport}
	})
	holds(t, source, secret)
	for _, host := range hosts {
		if host != "localhost" {
			t.Errorf("a request went to %s", host)
		}
	}
	if len(hosts) == 0 {
		t.Error("no request was sent")
	}
}
