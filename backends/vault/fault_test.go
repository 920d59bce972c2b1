package vault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/backends/vault/internal/realvault"
	"github.com/packagecloud-go/sdk/tokensource"
)

// proxy stands before a real Vault and meddles.
type proxy struct{ *httptest.Server }

func newProxy(t testing.TB, target string, meddle func(w http.ResponseWriter, r *http.Request, next http.Handler)) proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	next := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { meddle(w, r, next) }))
	t.Cleanup(server.Close)
	return proxy{server}
}

// client returns a client of the proxy with a Vault token.
func (p proxy) client(t testing.TB, token string) *api.Client {
	t.Helper()
	return clientAt(t, p.URL, token, nil)
}

func clientAt(t testing.TB, address, token string, tls *api.TLSConfig) *api.Client {
	t.Helper()
	config := api.DefaultConfig()
	config.Address = address
	if tls != nil {
		if err := config.ConfigureTLS(tls); err != nil {
			t.Fatal(err)
		}
	}
	client, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	client.SetToken(token)
	return client
}

// TestAnswersOfVault has an answer that says more than that it failed in each kind
// of call, and then Vault back again.
//
// Guarantee K4.
func TestAnswersOfVault(t *testing.T) {
	l := newLogin(t, "approle")
	for name, fault := range map[string]struct {
		do   http.HandlerFunc
		text string
	}{
		"cut off":             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "the connection was cut"},
		"503":                 {answer(503), "sealed or not ready"},
		"429":                 {answer(429), "rate"},
		"412":                 {answer(412), "lags behind"},
		"473":                 {answer(473), "status 473"},
		"403 and HTML":        {page(403), "that isn't Vault's"},
		"a redirect":          {redirect("other.example"), "redirects to https://other.example, which is not followed"},
		"an endless redirect": {redirect(strings.Repeat("a", 4096)), "Vault redirects, which is not followed"},
	} {
		for _, kind := range []string{"login", "mount", "read"} {
			t.Run(name+" at "+kind, func(t *testing.T) {
				roleID := l.appRole(t, nil)
				secretID := l.secretID(t)
				var calls sync.Map
				var healed atomic.Bool
				p := newProxy(t, l.root.Address(), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					calls.Store(kindOf(r.URL.Path), true)
					if !healed.Load() && kindOf(r.URL.Path) == kind {
						fault.do(w, r)
						return
					}
					next.ServeHTTP(w, r)
				})
				auth := vault.AppRole{RoleID: vault.Literal(roleID), SecretID: vault.Literal(secretID), Mount: l.mount}
				source := newSource(t, p.client(t, ""), "secret/"+l.path, vault.Options{Auth: auth})
				for range 2 {
					refused(t, source, tokensource.ErrUnavailable, fault.text, roleID, secretID)
				}
				if _, called := calls.Load(kind); !called {
					t.Errorf("there was no call of %s", kind)
				}
				healed.Store(true)
				want(t, source, secretA)
			})
		}
	}
}

// leak is in every body of a fault, beside what the request held.
const leak = "leak-of-an-answers-body"

func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[%q,%q]}`, leak+secretA+string(body), r.Header.Get("X-Vault-Token"))
	}
}

func redirect(host string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+secretA+"@"+host+"/"+secretA+"?token="+secretA, http.StatusTemporaryRedirect)
	}
}

func page(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<html>%s %s %s</html>", leak, body, r.Header.Get("X-Vault-Token"))
	}
}

// TestAnswersOfSomebodyElse has answers to the read that say nothing of a secret,
// or that Vault doesn't give where there is none. A chain mustn't go on to another
// token for them.
//
// Guarantee B5.
func TestAnswersOfSomebodyElse(t *testing.T) {
	for _, read := range []struct {
		status int
		body   string
		kind   error
	}{
		{404, `{"errors":[]}`, tokensource.ErrNotFound}, // Vault's own
		{404, ``, tokensource.ErrUnavailable},
		{404, ` `, tokensource.ErrUnavailable},
		{404, `<html>`, tokensource.ErrUnavailable},
		{404, `[]`, tokensource.ErrUnavailable},
		{404, `null`, tokensource.ErrUnavailable},
		{404, `{}`, tokensource.ErrUnavailable},
		{404, `{"errors":null}`, tokensource.ErrUnavailable},
		{404, `{"message":"not found"}`, tokensource.ErrUnavailable},
		{404, `{"errors":["no handler for route \"secret/x\". route entry not found."]}`, tokensource.ErrInvalid},
		{204, ``, tokensource.ErrUnavailable},
		{200, ``, tokensource.ErrUnavailable},
		{200, `{}`, tokensource.ErrUnavailable},
		{200, `null`, tokensource.ErrUnavailable},
		{200, `{"errors":[]}`, tokensource.ErrUnavailable},
		{200, `{"api_key":"` + secretA + `"}`, tokensource.ErrUnavailable},
		{200, `{"data":null}`, tokensource.ErrUnavailable},
	} {
		for version := range 3 {
			t.Run(fmt.Sprintf("%d %s, version %d", read.status, read.body, version), func(t *testing.T) {
				f := newFake()
				handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if kindOf(r.URL.Path) != "read" {
						f.ServeHTTP(w, r)
						return
					}
					w.WriteHeader(read.status)
					io.WriteString(w, read.body)
				})
				source := newSource(t, handlerClient(t, handler), "secret/x", vault.Options{Auth: appRole, KVVersion: version})
				refused(t, source, read.kind, "")
				if read.kind != tokensource.ErrNotFound {
					_, err := source.Put(t.Context(), newToken(t, secretA), tokensource.Token{})
					check(t, err, read.kind, "")
				}
			})
		}
	}
}

func TestSealedVault(t *testing.T) {
	server := realvault.Start(t)
	root := server.Root(t, "")
	stores[1].set(t, root, "x", map[string]any{"api_key": secretA})
	source := newSource(t, server.Root(t, ""), "secret/x", vault.Options{})
	want(t, source, secretA)
	if err := root.Sys().Seal(); err != nil {
		t.Fatal(err)
	}
	refused(t, source, tokensource.ErrUnavailable, "sealed", server.RootToken)
	refused(t, newSource(t, server.Root(t, ""), "secret/x", vault.Options{}), tokensource.ErrUnavailable, "sealed", server.RootToken)
	if status, err := root.Sys().Unseal(server.UnsealKey); err != nil || status.Sealed {
		t.Fatalf("Vault can't be unsealed: %v", err)
	}
	want(t, source, secretA)
}

// TestSDKErrors_OnlyByAs checks that the client's own error, which prints the
// answer's body, is there for those who ask.
func TestSDKErrors_OnlyByAs(t *testing.T) {
	p := newProxy(t, "http://unused.invalid", func(w http.ResponseWriter, r *http.Request, _ http.Handler) { answer(500)(w, r) })
	source := newSource(t, p.client(t, ""), "secret/x", vault.Options{Auth: appRole})
	err := refused(t, source, tokensource.ErrUnavailable, "500", leak, "the-secret-id-value")
	e, ok := errors.AsType[*api.ResponseError](err)
	if !ok || !strings.Contains(e.Error(), leak) {
		t.Errorf("errors.As doesn't find Vault's own error in %v", err)
	}
	for err := errors.Unwrap(err); err != nil; err = errors.Unwrap(err) {
		if strings.Contains(err.Error(), leak) {
			t.Errorf("Unwrap leads to the answer's body")
		}
	}
}

func TestPut_ReturnsAtOnceWhenItsContextEnds(t *testing.T) {
	stalled, release := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		stalled <- struct{}{}
		<-release
	}))
	defer server.Close()
	defer close(release)
	source := newSource(t, clientAt(t, server.URL, "hvs.some-token-of-vault", nil), "secret/x", vault.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-stalled
		cancel()
	}()
	_, err := source.Put(ctx, newToken(t, secretA), newToken(t, secretB)) // the server is released only after it returned
	check(t, err, context.Canceled, "canceled", "hvs.some-token-of-vault")
}

// TestTLS has what is no matter of the certificate alone.
func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue(t, "127.0.0.1")
	server := realvault.Start(t, "-tls-cert", cert, "-tls-key", key)
	const token = "hvs.some-token-of-vault"
	t.Run("no CA is given", func(t *testing.T) {
		source := newSource(t, clientAt(t, server.URL, token, nil), "secret/x", vault.Options{})
		refused(t, source, tokensource.ErrUnavailable, "set VAULT_CACERT", token)
	})
	t.Run("TLS to a plain server", func(t *testing.T) {
		address := strings.Replace(realvault.Shared(t).URL, "http:", "https:", 1)
		source := newSource(t, clientAt(t, address, token, nil), "secret/x", vault.Options{})
		refused(t, source, tokensource.ErrUnavailable, "the server speaks plain http there; VAULT_ADDR should begin with http://", token)
	})
	t.Run("plain to a TLS server", func(t *testing.T) {
		address := strings.Replace(server.URL, "https:", "http:", 1)
		source := newSource(t, clientAt(t, address, token, nil), "secret/x", vault.Options{})
		err := refused(t, source, tokensource.ErrUnavailable, "that isn't Vault's", token)
		if e, ok := errors.AsType[*api.ResponseError](err); !ok || e.StatusCode != 400 {
			t.Errorf("errors.As doesn't find Vault's own error in %v", err)
		}
	})
}

// TestAThousandColdCallersOfTheRealVault has one login for all of them; with a
// cache in front there is one read too.
//
// Guarantee B6.
func TestAThousandColdCallersOfTheRealVault(t *testing.T) {
	for _, method := range []string{"approle", "jwt"} {
		l := newLogin(t, method)
		var auth api.AuthMethod
		if method == "jwt" {
			key := jwtLogin(t, l, "1h")
			auth = vault.JWT{Role: "ci", Token: vault.Literal(signJWT(t, key, ciClaims(time.Hour))), Mount: l.mount}
		} else {
			auth = vault.AppRole{RoleID: vault.Literal(l.appRole(t, nil)), SecretID: vault.Literal(l.secretID(t)), Mount: l.mount}
		}
		for _, cached := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, cached %t", method, cached), func(t *testing.T) { crowd(t, l, auth, cached) })
		}
	}
}

func crowd(t *testing.T, l *login, auth api.AuthMethod, cached bool) {
	calls := &counting{}
	config := clientAt(t, l.root.Address(), "", nil).CloneConfig()
	calls.next, config.HttpClient.Transport = config.HttpClient.Transport, calls
	client, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	var source tokensource.TokenSource = newSource(t, client, "secret/"+l.path, vault.Options{Auth: auth})
	reads := int64(callers)
	if cached {
		if source, err = tokensource.Cache(source, tokensource.CacheOptions{}); err != nil {
			t.Fatal(err)
		}
		reads = 1
	}
	herd(t, source)
	if got := [...]int64{calls.login.Load(), calls.mount.Load(), calls.read.Load()}; got != [...]int64{1, 1, reads} {
		t.Errorf("%v logins, lookups of the mount and reads, want 1, 1, %d", got, reads)
	}
}

// counting counts requests on their way to Vault, without a server in between that
// a thousand callers would need as many connections to.
type counting struct {
	next               http.RoundTripper
	login, mount, read atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	switch kindOf(r.URL.Path) {
	case "login":
		c.login.Add(1)
	case "mount":
		c.mount.Add(1)
	default:
		c.read.Add(1)
	}
	return c.next.RoundTrip(r)
}
