package conjur_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/backends/conjur/internal/conjurserver"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// stage sets up the scenes of a row.
type stage = func(t *testing.T, secret string) []tokensourcetest.Scene

// Guarantees: K4, B7, G1.
func TestSource_Faults(t *testing.T) {
	s := start(t)
	s.AddJWT("ci", jwt("good"), host)
	s.AddJWT("hosts", jwt("good"), host)
	s.RequireHost("hosts")
	backend := tokensourcetest.Backend{
		New:      func(t *testing.T) tokensource.TokenSource { return s.source(t) },
		Set:      func(_ *testing.T, value string) { s.Set(variable, value) },
		Remove:   func(*testing.T) { s.Empty(variable) },
		Canaries: s.Secrets(),
	}
	onTheWay := func(auth conjur.Auth) tokensourcetest.Faults {
		return tokensourcetest.HTTPFaults(backend, s.URL, func(t *testing.T, address string, ca []byte) tokensource.TokenSource {
			return s.source(t, with(auth), func(o *conjur.Options) { o.ApplianceURL, o.CA = address, ca })
		})
	}
	faults := tokensourcetest.Faults{}
	byJWT := onTheWay(conjur.JWTFile("hosts", host, writeFile(t, "jwt", jwt("good"))))
	for fault, byKey := range onTheWay(conjur.APIKey(host, s.key)) {
		faults[fault] = func(t *testing.T, secret string) []tokensourcetest.Scene {
			return slices.Concat(named("API key", byKey(t, secret)), named("JWT", byJWT[fault](t, secret)))
		}
	}
	tokensourcetest.RunFaults(t, tokensourcetest.StoredFaults(backend), faults, tokensourcetest.Faults{
		tokensourcetest.WrongCredentials:   s.wrongCredentials,
		tokensourcetest.ExpiredCredentials: s.expiredCredentials,
		tokensourcetest.Denied:             s.denied,
		tokensourcetest.SecretMissing:      s.secretMissing,
		tokensourcetest.VersionMissing:     s.versionMissing,
		tokensourcetest.VersionDeleted: tokensourcetest.NotApplicable(
			"nobody can delete a version; Conjur drops all but the last 20, and then answers as if they had never been"),
		tokensourcetest.FieldMissing: s.holding(`no field "token"`, `{"Token":%q}`, `{"other":%q,"nested":{"token":"x"}}`),
		tokensourcetest.NotJSON:      s.holding("not a JSON object", "%s", "[%q]", `{"token":%q`, "%q", "null%.0s"),
		tokensourcetest.Empty: func(t *testing.T, secret string) []tokensourcetest.Scene {
			s.Permit("empty", host, everything)
			valueless := tokensourcetest.Scene{Name: "variable", Source: newSource(t, "empty", s.options()), Says: "has no value"}
			return append(s.holding("empty", `{"token":"","other":%q}`)(t, secret), valueless)
		},
		tokensourcetest.OddNamed: func(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
			for _, name := range tokensourcetest.OddNames() {
				s.Permit(name, host, everything)
				s.Set(name, secret)
				scenes = append(scenes, tokensourcetest.Scene{Name: name, Source: newSource(t, name, s.options()), Canaries: s.Secrets()})
			}
			return scenes
		},
	})
}

// named puts a word before the scenes' names.
func named(word string, scenes []tokensourcetest.Scene) []tokensourcetest.Scene {
	for i := range scenes {
		scenes[i].Name = word + " " + scenes[i].Name
	}
	return scenes
}

// holding stages variables that hold the secret in each of these formats, and whose
// field token is read.
func (s *conjurtest) holding(says string, formats ...string) stage {
	return func(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
		for i, format := range formats {
			id := fmt.Sprintf("%s/%d", t.Name(), i)
			s.Permit(id, host, everything)
			s.Set(id, fmt.Sprintf(format, secret))
			options := s.options()
			options.Field = "token"
			scenes = append(scenes, tokensourcetest.Scene{
				Name: format, Source: newSource(t, id, options), Canaries: s.Secrets(), Says: says,
				Heal: func(*testing.T) { s.Set(id, fmt.Sprintf(`{"token":%q}`, secret)) },
			})
		}
		return scenes
	}
}

// wrongCredentials holds of each way to log in that Conjur refuses it.
func (s *conjurtest) wrongCredentials(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
	s.Set(variable, secret)
	says := "Conjur refused the login (401)"
	scene := func(name string, source *conjur.Source, canaries ...string) {
		scenes = append(scenes, tokensourcetest.Scene{Name: name, Source: source, Canaries: append(s.Secrets(), canaries...), Says: says})
	}
	const wrong = "canary-of-a-wrong-api-key"
	scene("API key", s.source(t, with(conjur.APIKey(host, wrong))), wrong)
	scene("API key of another login", s.source(t, with(conjur.APIKey(host, s.AddLogin("host/other")))))
	scene("login that doesn't exist", s.source(t, with(conjur.APIKey("host/nobody", s.key))))
	scene("host without its prefix", s.source(t, with(conjur.APIKey("ci/publisher", s.key))))
	scene("another account", s.source(t, func(o *conjur.Options) { o.Account = "other" }))
	scene("SDK's client", s.source(t, with(conjur.Client(s.sdkClient(wrong)))), wrong)

	unknown := func(context.Context) (string, error) { return jwt("unknown"), nil }
	scene("JWT", s.source(t, with(conjur.JWT("ci", "", unknown))), jwt("unknown"))
	good := writeFile(t, "jwt", jwt("good"))
	scene("JWT of another host", s.source(t, with(conjur.JWTFile("hosts", "host/other", good))))
	scene("JWT without the host", s.source(t, with(conjur.JWTFile("hosts", "", good))))
	scene("JWT with a host that it names itself", s.source(t, with(conjur.JWTFile("ci", host, good))))
	scene("JWT for another authenticator", s.source(t, with(conjur.JWTFile("k8s", host, good))))

	setenv(t, map[string]string{
		"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account, "CONJUR_AUTHN_TYPE": "ldap", "CONJUR_SERVICE_ID": "corp",
		"CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": wrong,
	})
	scene("password of LDAP", newSource(t, variable, conjur.Options{}), wrong)

	says = "Conjur refused the access token (401)"
	another := conjurserver.New(account, nil)
	t.Cleanup(another.Close)
	stray := another.Issue(host)
	scene("access token of another server", s.source(t, with(conjur.AccessToken(stray))), another.Secrets()...)
	scene("file with one", s.source(t, with(conjur.AccessTokenFile(writeFile(t, "access", stray)))), another.Secrets()...)
	s.SetLifetime(-time.Minute)
	scene("access token that has expired", s.source(t, with(conjur.AccessToken(s.Issue(host)))))
	s.SetLifetime(8 * time.Minute)

	return scenes
}

// expiredCredentials holds of each way to log in that new credentials are used when
// Conjur doesn't take the old ones any more.
func (s *conjurtest) expiredCredentials(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
	s.Set(variable, secret)
	scene := func(name string, auth conjur.Auth, expire func(t *testing.T)) {
		scenes = append(scenes, tokensourcetest.Scene{Name: name, Source: s.source(t, with(auth)), Canaries: s.Secrets(), Break: expire})
	}
	access := writeFile(t, "access", s.Issue(host))
	scene("access token is renewed on disk", conjur.AccessTokenFile(access), func(t *testing.T) {
		s.Revoke()
		replace(t, access, s.Issue(host))
	})
	revoke := func(*testing.T) { s.Revoke() }
	scene("access token is revoked", conjur.APIKey(host, s.key), revoke)
	scene("access token's time is over", conjur.APIKey(host, s.key), func(t *testing.T) {
		s.SetSkew(9 * time.Minute)
		t.Cleanup(func() { s.SetSkew(0) })
	})
	scene("SDK's client", conjur.Client(s.sdkClient(s.key)), revoke)

	s.AddJWT("rotating", jwt("one"), host)
	s.AddJWT("rotating", jwt("two"), host)
	s.AddJWT("rotating", jwt("three"), host)
	file := writeFile(t, "jwt", jwt("one"))
	scene("JWT is rotated on disk", conjur.JWTFile("rotating", "", file), func(t *testing.T) {
		replace(t, file, jwt("two"))
		s.DropJWT("rotating", jwt("one"))
		s.Revoke()
	})
	current := jwt("two")
	give := func(context.Context) (string, error) { return current, nil }
	scene("function has another JWT", conjur.JWT("rotating", "", give), func(*testing.T) {
		current = jwt("three")
		s.DropJWT("rotating", jwt("two"))
		s.Revoke()
	})

	const login = "host/rotated"
	s.Permit(variable, login, everything)
	store := func(key string) string {
		return fmt.Sprintf("machine %s/authn\n  login %s\n  password %s\n", s.URL, login, key)
	}
	netrc := writeFile(t, "netrc", store(s.AddLogin(login)))
	setenv(t, map[string]string{"CONJUR_CREDENTIAL_STORAGE": "file", "CONJUR_NETRC_PATH": netrc})
	scene("API key is rotated", conjur.Auth{}, func(t *testing.T) {
		replace(t, netrc, store(s.AddLogin(login)))
		s.Revoke()
	})
	return scenes
}

// denied has roles that see the variable and may not read it, or not any more.
func (s *conjurtest) denied(t *testing.T, secret string) []tokensourcetest.Scene {
	s.Set(variable, secret)
	key := s.AddLogin("visitor")
	s.AddJWT("ci", jwt("leaver"), "leaver")
	token := func(context.Context) (string, error) { return jwt("leaver"), nil }
	permit := func(login string, p conjurserver.Privileges) func(*testing.T) {
		return func(*testing.T) { s.Permit(variable, login, p) }
	}
	forbidden := conjurserver.Privileges{Read: true, Update: true}
	permit("visitor", forbidden)(t)
	permit("leaver", everything)(t)
	return []tokensourcetest.Scene{
		{Name: "never", Source: s.source(t, with(conjur.APIKey("visitor", key))), Canaries: s.Secrets(), Says: "privilege execute", Heal: permit("visitor", everything)},
		{Name: "any more", Source: s.source(t, with(conjur.JWT("ci", "", token))), Canaries: s.Secrets(), Says: "privilege execute",
			Break: permit("leaver", forbidden), Heal: permit("leaver", everything)},
	}
}

// secretMissing has what Conjur answers with 404, which says no more.
func (s *conjurtest) secretMissing(t *testing.T, secret string) []tokensourcetest.Scene {
	s.Set(variable, secret)
	s.Permit("valueless", host, everything)
	key := s.AddLogin("stranger")
	const says = "doesn't exist, has no value, or isn't visible to this role"
	return []tokensourcetest.Scene{
		{Name: "variable", Source: newSource(t, "no/such", s.options()), Canaries: s.Secrets(), Says: says, Heal: func(*testing.T) {
			s.Permit("no/such", host, everything)
			s.Set("no/such", secret)
		}},
		{Name: "value", Source: newSource(t, "valueless", s.options()), Canaries: s.Secrets(), Says: says, Heal: func(*testing.T) {
			s.Set("valueless", secret)
		}},
		{Name: "permission to see it", Source: s.source(t, with(conjur.APIKey("stranger", key))), Canaries: s.Secrets(), Says: says, Heal: func(*testing.T) {
			s.Permit(variable, "stranger", conjurserver.Privileges{Execute: true})
		}},
	}
}

// versionMissing has versions that aren't there yet or not any more.
func (s *conjurtest) versionMissing(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
	const id = "versions"
	s.Permit(id, host, everything)
	for range 23 {
		s.Set(id, secret)
	}
	for name, version := range map[string]int{"the next": 24, "one far off": 1 << 30, "the last that was dropped": 3} {
		options := s.options()
		options.Version = version
		scenes = append(scenes, tokensourcetest.Scene{
			Name: name, Source: newSource(t, id, options), Canaries: s.Secrets(), Says: fmt.Sprintf("version %d", version),
		})
	}
	return scenes
}

// A canary that isn't sent proves nothing.
func TestSource_CanariesAreWhatIsSent(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	known := s.Secrets()
	for range 2 {
		header := `Token token="` + base64.StdEncoding.EncodeToString([]byte(s.Issue(host))) + `"`
		if tokensourcetest.FindSecret(header, known...) == "" {
			t.Error("an access token is none of the server's secrets")
		}
	}
}
