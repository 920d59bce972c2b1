package conjur_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cyberark/conjur-api-go/conjurapi"
	"github.com/cyberark/conjur-api-go/conjurapi/authn"
	"github.com/cyberark/conjur-api-go/conjurapi/logging"
	"github.com/sirupsen/logrus"

	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// with sets the way to log in.
func with(auth conjur.Auth) func(*conjur.Options) {
	return func(o *conjur.Options) { o.Auth = auth }
}

func replace(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAPIKey_AnyLogin(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	for _, login := range []string{"alice", "host/a/b", "host/with space", "host/plus+plus", "host/with%2Fescape", "a@b.example", "host/ü?#"} {
		key := s.AddLogin(login)
		s.Permit(variable, login, everything)
		holds(t, s.source(t, with(conjur.APIKey(login, key))), secret)
	}
	s.refused(t, s.source(t, with(conjur.APIKey("..", "k"))), tokensource.ErrInvalid, "the login must not be")
	s.refused(t, s.source(t, with(conjur.APIKey(host, ""))), tokensource.ErrInvalid, "the API key is empty")
}

// Guarantee B7.
func TestJWTFile_IsReadAtEveryLogin(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	s.AddJWT("k8s/prod", jwt("one"), host)
	path := writeFile(t, "jwt", jwt("one")+"\n")
	source := s.source(t, with(conjur.JWTFile("k8s/prod", "", path)))
	holds(t, source, secret)
	s.DropJWT("k8s/prod", jwt("one"))
	s.AddJWT("k8s/prod", jwt("two"), host)
	s.Revoke()
	s.refused(t, source, tokensource.ErrDenied, "the JWT may have expired")
	replace(t, path, jwt("two"))
	holds(t, source, secret)
}

// Kubernetes mounts a token as a link to a folder that it replaces.
//
// Guarantee B7.
func TestJWTFile_FollowsASwappedLink(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	dir := t.TempDir()
	swap := func(name string) {
		t.Helper()
		if err := errors.Join(
			os.Mkdir(filepath.Join(dir, name), 0o700),
			os.WriteFile(filepath.Join(dir, name, "token"), []byte(jwt(name)), 0o600),
			os.Symlink(name, filepath.Join(dir, "..data_tmp")),
			os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")),
		); err != nil {
			if runtime.GOOS == "windows" {
				t.Skip("no symbolic links: ", err)
			}
			t.Fatal(err)
		}
	}
	swap("one")
	path := filepath.Join(dir, "token")
	if err := os.Symlink(filepath.Join("..data", "token"), path); err != nil {
		t.Fatal(err)
	}
	source := s.source(t, with(conjur.JWTFile("ci", "", path)))
	s.AddJWT("ci", jwt("one"), host)
	holds(t, source, secret)
	swap("two")
	s.DropJWT("ci", jwt("one"))
	s.AddJWT("ci", jwt("two"), host)
	s.Revoke()
	holds(t, source, secret)
}

func TestJWT_IsAskedForAtEveryLogin(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	s.AddJWT("ci", jwt("a"), host)
	s.AddJWT("ci", jwt("b"), host)
	s.RequireHost("ci")
	calls := 0
	source := s.source(t, with(conjur.JWT("ci", host, func(context.Context) (string, error) {
		calls++
		return jwt([]string{"a", "b"}[calls-1]) + "\n", nil
	})))
	holds(t, source, secret)
	s.DropJWT("ci", jwt("a"))
	s.Revoke()
	holds(t, source, secret)
	if calls != 2 {
		t.Errorf("the function was called %d times, want 2", calls)
	}
	s.refused(t, s.source(t, with(conjur.JWT("ci", "host/another", func(context.Context) (string, error) { return jwt("b"), nil }))),
		tokensource.ErrDenied, "refused the login")
}

func TestJWT_TellsWhatIsWrong(t *testing.T) {
	s := start(t)
	gives := func(token string, err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return token, err }
	}
	cause := errors.New("with " + secret)
	own := tokensource.NewError("env:JWT", tokensource.ErrNotFound, "not set", nil)
	for _, test := range []struct {
		name string
		auth conjur.Auth
		kind error
		says string
	}{
		{"no service", conjur.JWT("", "", gives(jwt("a"), nil)), tokensource.ErrInvalid, "service id"},
		{"odd service", conjur.JWT("..", "", gives(jwt("a"), nil)), tokensource.ErrInvalid, "service id"},
		{"odd host", conjur.JWT("ci", "..", gives(jwt("a"), nil)), tokensource.ErrInvalid, "host id"},
		{"nil function", conjur.JWT("ci", "", nil), tokensource.ErrInvalid, "is nil"},
		{"function failed", conjur.JWT("ci", "", gives("", cause)), tokensource.ErrUnavailable, "withheld"},
		{"function's own kind", conjur.JWT("ci", "", gives("", own)), tokensource.ErrNotFound, "withheld"},
		{"empty", conjur.JWT("ci", "", gives("", nil)), tokensource.ErrInvalid, "isn't one"},
		{"not a JWT", conjur.JWT("ci", "", gives(secret, nil)), tokensource.ErrInvalid, "isn't one"},
		{"smuggling", conjur.JWT("ci", "", gives("a.b.c&jwt="+secret, nil)), tokensource.ErrInvalid, "isn't one"},
		{"no file", conjur.JWTFile("ci", "", filepath.Join(t.TempDir(), "none")), tokensource.ErrUnavailable, "doesn't exist"},
		{"empty file", conjur.JWTFile("ci", "", writeFile(t, "jwt", "\n")), tokensource.ErrInvalid, "is empty"},
		{"folder", conjur.JWTFile("ci", "", t.TempDir()), tokensource.ErrInvalid, "isn't a regular file but a directory"},
		{"huge file", conjur.JWTFile("ci", "", writeFile(t, "jwt", strings.Repeat("x", 1<<20+1))), tokensource.ErrInvalid, "larger than 1 MiB"},
		{"other file", conjur.JWTFile("ci", "", writeFile(t, "jwt", secret)), tokensource.ErrInvalid, "isn't one"},
	} {
		t.Run(test.name, func(t *testing.T) { s.refused(t, s.source(t, with(test.auth)), test.kind, test.says) })
	}
	if _, err := s.source(t, with(conjur.JWT("ci", "", gives("", cause)))).Token(t.Context()); !errors.Is(err, cause) {
		t.Error("errors.Is doesn't reach the error of the function")
	}
	if got := s.Counts().Logins; got != 0 {
		t.Errorf("%d logins with what can't be a JWT", got)
	}
}

func TestAccessToken(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	access := s.Issue(host)
	source := s.source(t, with(conjur.AccessToken(access)))
	holds(t, source, secret)
	s.Revoke()
	s.refused(t, source, tokensource.ErrDenied, "can't be renewed")
	if got := s.Counts(); got.Logins != 0 || got.Reads != 2 {
		t.Errorf("requests: %+v, want no login, and no second read with what was refused", got)
	}
	for _, bad := range []string{
		"", "x", base64.StdEncoding.EncodeToString([]byte(access)), `{"protected":"x","payload":"y"}`, `[]`,
		`{"protected":"x","payload":"!","signature":"z"}`, `{"protected":"x","payload":"e30","signature":1}`,
	} {
		s.refused(t, s.source(t, with(conjur.AccessToken(bad))), tokensource.ErrInvalid, "Conjur's access token")
	}
}

// Guarantee B7.
func TestAccessTokenFile_IsReadAtEveryRead(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	path := writeFile(t, "access-token", s.Issue(host)+"\n")
	source := s.source(t, with(conjur.AccessTokenFile(path)))
	holds(t, source, secret)
	s.Revoke()
	s.refused(t, source, tokensource.ErrDenied, "the program that renews it")
	replace(t, path, s.Issue(host))
	before := s.Counts().Refused
	holds(t, source, secret)
	if s.Counts().Refused != before {
		t.Error("the old access token was tried again")
	}
	replace(t, path, "")
	s.refused(t, source, tokensource.ErrInvalid, "is empty")
	os.Remove(path)
	s.refused(t, source, tokensource.ErrUnavailable, "doesn't exist")
	replace(t, path, s.Issue(host))
	holds(t, source, secret)
}

// A JWT that can't be had is no reason to use another token.
//
// Guarantee B7.
func TestJWT_OutageOfItsSourceStopsAChain(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	failing := func(kind error) tokensource.TokenSource {
		return tokensource.Func(func(context.Context) (tokensource.Token, error) {
			return tokensource.Token{}, tokensource.NewError("test:jwt", kind, "", nil)
		})
	}
	nothing := failing(tokensource.ErrNotFound)
	chain := func(sources ...tokensource.TokenSource) tokensource.TokenSource {
		return must(tokensource.Chain(sources...))
	}
	cached := func(source tokensource.TokenSource) tokensource.TokenSource {
		return must(tokensource.Cache(source, tokensource.CacheOptions{}))
	}
	for _, test := range []struct {
		name   string
		source tokensource.TokenSource
		kind   error
	}{
		{"nothing anywhere", chain(nothing, chain(nothing, nothing)), tokensource.ErrNotFound},
		{"outage", chain(nothing, failing(tokensource.ErrUnavailable)), tokensource.ErrUnavailable},
		{"denial in a chain in a chain", chain(nothing, chain(nothing, failing(tokensource.ErrDenied))), tokensource.ErrDenied},
		{"outage behind a cache", cached(chain(nothing, failing(tokensource.ErrUnavailable))), tokensource.ErrUnavailable},
		{"a foreign error", chain(nothing, tokensource.Func(func(context.Context) (tokensource.Token, error) {
			return tokensource.Token{}, errors.New("with " + secret)
		})), tokensource.ErrUnavailable},
		{"wrapped", tokensource.Func(func(ctx context.Context) (tokensource.Token, error) {
			_, err := chain(nothing, failing(tokensource.ErrInvalid)).Token(ctx)
			return tokensource.Token{}, fmt.Errorf("with %s: %w", secret, err)
		}), tokensource.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := s.source(t, with(conjur.JWT("ci", "", func(ctx context.Context) (string, error) {
				tok, err := test.source.Token(ctx)
				return tok.Reveal(), err
			})))
			s.refused(t, source, test.kind, "the function for the JWT failed")
			tok, err := chain(source, tokensource.Static("another")).Token(t.Context())
			if wentOn := err == nil; wentOn != (test.kind == tokensource.ErrNotFound) {
				t.Errorf("the chain went on: %t (%v, %v)", wentOn, tok, err)
			}
		})
	}
}

// sdkClient is what a program may have already.
func (s *conjurtest) sdkClient(key string) *conjurapi.Client {
	return must(conjurapi.NewClientFromKey(conjurapi.Config{
		Account: account, ApplianceURL: s.URL, Environment: conjurapi.EnvironmentOSS, CredentialStorage: conjurapi.CredentialStorageNone,
	}, authn.LoginPair{Login: host, APIKey: key}))
}

func TestClient_LogsInAsTheSDKDoes(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	auth := conjur.Client(s.sdkClient(s.key))
	first, second := s.source(t, with(auth)), s.source(t, with(auth))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() { holds(t, []*conjur.Source{first, second}[i%2], secret) })
	}
	wg.Wait()
	if got := s.Counts().Logins; got != 2 {
		t.Errorf("%d logins of two sources, want 2", got)
	}
	s.refused(t, s.source(t, with(conjur.Client(s.sdkClient("wrong")))), tokensource.ErrDenied, "refused the login")
	s.refused(t, s.source(t, with(conjur.Client(nil))), tokensource.ErrInvalid, "is nil")
	gone := s.sdkClient(s.key)
	gone.SetAuthenticator(&authn.JWTAuthenticator{JWTFilePath: filepath.Join(t.TempDir(), "none")})
	s.refused(t, s.source(t, with(conjur.Client(gone))), tokensource.ErrUnavailable, "withheld")
}

// crowd is an authenticator of the SDK's kind that notices when it isn't alone.
type crowd struct {
	*conjurtest
	inside, most atomic.Int32
}

func (c *crowd) NeedsTokenRefresh() bool { return false }

func (c *crowd) RefreshToken() ([]byte, error) {
	c.most.Store(max(c.most.Load(), c.inside.Add(1)))
	defer c.inside.Add(-1)
	for range 100 {
		runtime.Gosched()
	}
	return []byte(c.Issue(host)), nil
}

func TestClient_IsUsedByOneLoginAtATime(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	c := &crowd{conjurtest: s}
	client := s.sdkClient(s.key)
	client.SetAuthenticator(c)
	auth := conjur.Client(client)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { holds(t, s.source(t, with(auth)), secret) })
	}
	wg.Wait()
	if most := c.most.Load(); most != 1 {
		t.Errorf("%d logins used the client at once", most)
	}
}

// Guarantee K1.
func TestOptions_ShowNoCredential(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	s.AddJWT("ci", jwt("a"), host)
	access := s.Issue(host)
	setenv(t, map[string]string{"CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key})
	for _, auth := range []conjur.Auth{
		conjur.APIKey(host, s.key),
		conjur.JWT("ci", "", func(context.Context) (string, error) { return jwt("a"), nil }),
		conjur.AccessToken(access),
		conjur.AccessTokenFile(writeFile(t, "access", access)),
		conjur.Client(s.sdkClient(s.key)),
		{}, // the settings
	} {
		options := s.options()
		options.Auth = auth
		source := newSource(t, variable, options)
		holds(t, source, secret)
		for _, v := range []any{options, auth, source, *source, source.String()} {
			tokensourcetest.AssertNoSecret(t, v, append(s.Secrets(), secret)...)
		}
	}
}

// The SDK's log goes to stderr, and at debug level holds what servers answer.
func TestSource_LeavesTheSDKsLogSilent(t *testing.T) {
	var log bytes.Buffer
	out, level := logging.ApiLog.Out, logging.ApiLog.GetLevel()
	logging.ApiLog.SetOutput(&log)
	logging.ApiLog.SetLevel(logrus.TraceLevel)
	defer func() { logging.ApiLog.SetOutput(out); logging.ApiLog.SetLevel(level) }()
	s := start(t)
	s.Set(variable, secret)
	source := s.source(t)
	holds(t, source, secret)
	for _, kind := range []string{"login", "read"} {
		for _, status := range []int{302, 401, 404, 500} {
			s.SetFault(answer(kind, status))
			_, err := s.source(t).Token(t.Context())
			_ = err.Error()
		}
	}
	cloud := &http.Client{Transport: s.Transport()}
	s.SetFault(nil)
	s.source(t, func(o *conjur.Options) {
		o.ApplianceURL, o.HTTPClient = "https://acme.secretsmgr.cyberark.cloud", cloud
	}).Token(t.Context())
	for line := range strings.Lines(log.String()) {
		if !strings.HasSuffix(line, "level=debug msg=\"Not storing credentials\"\n") {
			t.Errorf("the SDK logged %q", line)
		}
	}
}
