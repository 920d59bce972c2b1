package conjurserver

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	host      = "host/ci/publisher"
	id        = "prod/packagecloud/token"
	jwtOfHost = "header.host.signature"
	form      = "application/x-www-form-urlencoded"
)

// conjur is a server with logins and variables of every sort.
type conjur struct {
	*Server
	t   *testing.T
	key string
}

func start(t *testing.T) *conjur {
	s := New("acme", nil)
	t.Cleanup(s.Close)
	c := &conjur{s, t, s.AddLogin(host)}
	all := Privileges{Read: true, Execute: true, Update: true}
	for name, p := range map[string]Privileges{id: all, "two": all, "binary": all, "valueless": all, "forbidden": {Read: true}, "invisible": {}} {
		s.Permit(name, host, p)
		if name != "valueless" {
			s.Set(name, "value of "+name)
		}
	}
	s.Set("binary", "\xff\x00")
	s.AddJWT("ci", jwtOfHost, host)
	s.AddJWT("hosts", jwtOfHost, host)
	s.RequireHost("hosts")
	return c
}

// answer is what there is to see of one.
type answer struct {
	status                int
	contentType, encoding string
	body                  string
}

func (a answer) String() string {
	return fmt.Sprintf("%d %q %q %q", a.status, a.contentType, a.encoding, a.body)
}

// request makes one as it stands: nothing is added, followed or decoded.
func (c *conjur) request(method, path, body string, headers ...string) answer {
	c.t.Helper()
	req, err := http.NewRequest(method, c.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Content-Encoding"), string(got)}
}

// authorization is the header with an access token of the host.
func (c *conjur) authorization() string { return authorization(c.Issue(host)) }

func authorization(token string) string {
	return `Token token="` + base64.StdEncoding.EncodeToString([]byte(token)) + `"`
}

func secretPath(name string) string { return "/secrets/acme/variable/" + url.PathEscape(name) }

func basic(login, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(login+":"+password))
}

func missing(name string) string {
	return fmt.Sprintf(`{"error":{"code":"not_found","message":"CONJ00076E Variable %s is empty or not found."}}`, name) + "\n"
}

func TestServer_AnswersAsConjurDoes(t *testing.T) {
	const (
		asJSON = "application/json; charset=utf-8"
		asText = "text/plain; charset=utf-8"
		asData = "application/octet-stream"
		login  = "/authn/acme/host%2Fci%2Fpublisher/authenticate"
	)
	c := start(t)
	token := c.authorization()
	read := func(path string, headers ...string) func() answer {
		return func() answer { return c.request("GET", path, "", append(headers, "Authorization", token)...) }
	}
	batch := func(names ...string) string {
		for i, name := range names {
			names[i] = url.QueryEscape("acme:variable:" + name)
		}
		return "/secrets?variable_ids=" + strings.Join(names, ",")
	}
	post := func(path, body string, headers ...string) func() answer {
		return func() answer { return c.request("POST", path, body, headers...) }
	}
	refused := answer{status: 401}
	with := func(header string) func() answer {
		return func() answer { return c.request("GET", secretPath(id), "", "Authorization", header) }
	}
	revoked := authorization(start(t).Issue(host)) // by another server
	c.SetLifetime(-time.Second)
	expired := c.authorization()
	c.SetLifetime(8 * time.Minute)
	for _, test := range []struct {
		name string
		ask  func() answer
		want answer
	}{
		{"an API key by Basic", func() answer { return c.request("GET", "/authn/acme/login", "", "Authorization", basic(host, c.key)) },
			answer{200, asText, "", c.key}},
		{"a wrong password", func() answer { return c.request("GET", "/authn/acme/login", "", "Authorization", basic(host, "x")) }, refused},
		{"no password", func() answer { return c.request("GET", "/authn/acme/login", "") }, refused},
		{"a password of another account", func() answer {
			return c.request("GET", "/authn/other/login", "", "Authorization", basic(host, c.key))
		}, refused},

		{"a wrong API key", post(login, "x"), refused},
		{"no API key", post(login, ""), refused},
		{"a login that doesn't exist", post("/authn/acme/nobody/authenticate", c.key), refused},
		{"a host without its prefix", post("/authn/acme/ci%2Fpublisher/authenticate", c.key), refused},
		{"a login of another account", post(strings.Replace(login, "acme", "other", 1), c.key), refused},
		{"a login that isn't escaped", post("/authn/acme/host/ci/publisher/authenticate", c.key), refused},
		{"an authentication by GET", func() answer { return c.request("GET", login, "") },
			answer{404, asText, "", "404 page not found\n"}},

		{"a JWT that isn't known", post("/authn-jwt/ci/acme/authenticate", "jwt=a.b.c", "Content-Type", form), refused},
		{"a JWT of another authenticator", post("/authn-jwt/other/acme/authenticate", "jwt="+jwtOfHost, "Content-Type", form), refused},
		{"a JWT for another account", post("/authn-jwt/ci/other/authenticate", "jwt="+jwtOfHost, "Content-Type", form), refused},
		{"a JWT as the body", post("/authn-jwt/ci/acme/authenticate", jwtOfHost, "Content-Type", form), answer{status: 400}},
		{"a JWT as JSON", post("/authn-jwt/ci/acme/authenticate", `{"jwt":"`+jwtOfHost+`"}`, "Content-Type", "application/json"), answer{status: 400}},
		{"a JWT in no form", post("/authn-jwt/ci/acme/authenticate", "jwt="+jwtOfHost, "Content-Type", "text/plain"), answer{status: 400}},
		{"two JWTs", post("/authn-jwt/ci/acme/authenticate", "jwt="+jwtOfHost+"&jwt="+jwtOfHost, "Content-Type", form), answer{status: 400}},
		{"a JWT without the host", post("/authn-jwt/hosts/acme/authenticate", "jwt="+jwtOfHost, "Content-Type", form), refused},
		{"a JWT with another host", post("/authn-jwt/hosts/acme/host%2Fother/authenticate", "jwt="+jwtOfHost, "Content-Type", form), refused},
		{"a JWT that names its host, and the host", post("/authn-jwt/ci/acme/"+url.PathEscape(host)+"/authenticate", "jwt="+jwtOfHost, "Content-Type", form), refused},

		{"no access token", func() answer { return c.request("GET", secretPath(id), "") }, answer{401, asText, "", "Authorization missing"}},
		{"an access token without quotes", with(strings.ReplaceAll(token, `"`, "")), answer{401, asText, "", "Malformed authorization token"}},
		{"an access token as JSON", with(`Token token="` + c.Issue(host) + `"`), answer{401, asText, "", "Malformed authorization token"}},
		{"another scheme", with(basic(host, c.key)), answer{401, asText, "", "Malformed authorization token"}},
		{"another server's access token", with(revoked), answer{401, asText, "", "Unauthorized: Invalid token"}},
		{"an access token whose time is over", with(expired), answer{401, asText, "", "Unauthorized: Invalid token"}},
		{"a batch without an access token", func() answer { return c.request("GET", batch(id), "") }, answer{401, asText, "", "Authorization missing"}},

		{"a variable", read(secretPath(id)), answer{200, asData, "", "value of " + id}},
		{"a binary one", read(secretPath("binary")), answer{200, asData, "", "\xff\x00"}},
		{"a missing one", read(secretPath("none")), answer{404, asJSON, "", missing("acme:variable:none")}},
		{"a valueless one", read(secretPath("valueless")), answer{404, asJSON, "", missing("acme:variable:valueless")}},
		{"an invisible one", read(secretPath("invisible")), answer{404, asJSON, "", missing("acme:variable:invisible")}},
		{"a forbidden one", read(secretPath("forbidden")), answer{status: 403}},
		{"one of another account", read(strings.Replace(secretPath(id), "acme", "other", 1)), answer{404, asJSON, "", missing("other:variable:" + id)}},
		{"a version", read(secretPath("binary") + "?version=1"), answer{200, asData, "", "value of binary"}},
		{"the next version", read(secretPath(id) + "?version=2"), answer{404, asJSON, "", missing("acme:variable:" + id)}},

		{"an empty value", post(secretPath(id), "", "Authorization", token), answer{status: 422}},
		{"a write that is forbidden", post(secretPath("forbidden"), "x", "Authorization", token), answer{status: 403}},
		{"a write to an invisible one", post(secretPath("invisible"), "x", "Authorization", token), answer{404, asJSON, "", missing("acme:variable:invisible")}},
		{"a write to a missing one", post(secretPath("none"), "x", "Authorization", token), answer{404, asJSON, "", missing("acme:variable:none")}},
		{"a write without an access token", post(secretPath(id), "x"), answer{401, asText, "", "Authorization missing"}},

		{"a batch", read(batch(id, "two")), answer{200, asJSON, "", `{"acme:variable:` + id + `":"value of ` + id + `","acme:variable:two":"value of two"}` + "\n"}},
		{"a batch in base64", read(batch("two", "binary"), "Accept-Encoding", "base64"),
			answer{200, asJSON, "base64", `{"acme:variable:binary":"/wA=","acme:variable:two":"dmFsdWUgb2YgdHdv"}` + "\n"}},
		{"a batch of none", read(batch()), answer{status: 422}},
		{"a batch that names none", read("/secrets"), answer{status: 422}},
		{"a batch with a binary one", read(batch(id, "binary")), answer{status: 406}},
		{"a batch with a forbidden one", read(batch(id, "forbidden")), answer{status: 403}},
		{"a batch with a missing one", read(batch(id, "none")), answer{404, asJSON, "", missing("acme:variable:none")}},
		{"a batch with an invisible one", read(batch(id, "invisible")), answer{404, asJSON, "", missing("acme:variable:invisible")}},
		{"a batch with a valueless one", read(batch(id, "valueless")), answer{404, asJSON, "", missing("acme:variable:valueless")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.ask(); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	if got := c.Value(id); got != "value of "+id {
		t.Errorf("what was refused left %q", got)
	}
}

func TestServer_IssuesConjursAccessTokens(t *testing.T) {
	c := start(t)
	for name, ask := range map[string]func(...string) answer{
		"API key": func(headers ...string) answer {
			return c.request("POST", "/authn/acme/host%2Fci%2Fpublisher/authenticate", c.key, headers...)
		},
		"JWT": func(headers ...string) answer {
			return c.request("POST", "/authn-jwt/ci/acme/authenticate", "jwt="+jwtOfHost, append(headers, "Content-Type", form)...)
		},
		"JWT and host": func(headers ...string) answer {
			return c.request("POST", "/authn-jwt/hosts/acme/host%2Fci%2Fpublisher/authenticate", "jwt="+jwtOfHost, append(headers, "Content-Type", form)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := time.Now().Unix()
			plain, encoded := ask(), ask("Accept-Encoding", "gzip, base64")
			if plain.status != 200 || plain.contentType != "application/json; charset=utf-8" || plain.encoding != "" {
				t.Errorf("got %v", plain)
			}
			decoded, err := base64.StdEncoding.Strict().DecodeString(encoded.body)
			if encoded.status != 200 || encoded.encoding != "base64" || err != nil {
				t.Errorf("in base64: got %v (%v)", encoded, err)
			}
			for _, body := range []string{plain.body, string(decoded)} {
				var token map[string]string
				if err := json.Unmarshal([]byte(body), &token); err != nil || len(token) != 3 || token["signature"] == "" {
					t.Fatalf("the access token %s isn't Conjur's: %v", body, err)
				}
				var head struct{ Alg, Kid string }
				decode(t, token["protected"], &head)
				if head.Alg != "conjur.org/slosilo/v2" || head.Kid == "" {
					t.Errorf("protected is %+v", head)
				}
				var claims struct {
					Sub      string
					Iat, Exp int64
				}
				decode(t, token["payload"], &claims)
				if claims.Sub != host || claims.Iat < before || claims.Exp != claims.Iat+480 {
					t.Errorf("the payload is %+v", claims)
				}
				if got := c.request("GET", secretPath(id), "", "Authorization", authorization(body)); got.status != 200 {
					t.Errorf("the access token is refused: %v", got)
				}
			}
		})
	}
}

func decode(t *testing.T, part string, to any) {
	t.Helper()
	b, err := base64.URLEncoding.DecodeString(part) // which wants the padding
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestServer_KeepsTwentyVersions(t *testing.T) {
	c := start(t)
	token := c.authorization()
	for n := 2; n <= 23; n++ {
		got := c.request("POST", secretPath(id), fmt.Sprint("value ", n), "Authorization", token, "Content-Type", form)
		if got.status != 201 {
			t.Fatalf("version %d: got %v", n, got)
		}
	}
	version := func(n int) answer {
		return c.request("GET", fmt.Sprintf("%s?version=%d", secretPath(id), n), "", "Authorization", token)
	}
	for n, want := range map[int]int{0: 404, 1: 404, 3: 404, 4: 200, 23: 200, 24: 404} {
		got := version(n)
		if got.status != want || want == 200 && got.body != fmt.Sprint("value ", n) {
			t.Errorf("version %d: got %v, want status %d", n, got, want)
		}
	}
	if got := c.request("GET", secretPath(id), "", "Authorization", token); got.body != "value 23" {
		t.Errorf("the latest is %v", got)
	}
}
