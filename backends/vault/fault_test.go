package vault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
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

// TestFaults has a fault in each kind of call, and then Vault back again.
func TestFaults(t *testing.T) {
	l := newLogin(t, "approle")
	for name, fault := range map[string]struct {
		do   http.HandlerFunc
		kind error
		text string
	}{
		"cut off":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, tokensource.ErrUnavailable, "no usable answer"},
		"cut in half":  {half, tokensource.ErrUnavailable, "no usable answer"},
		"500":          {answer(500), tokensource.ErrUnavailable, "status 500"},
		"502":          {answer(502), tokensource.ErrUnavailable, "status 502"},
		"503":          {answer(503), tokensource.ErrUnavailable, "sealed or not ready"},
		"429":          {answer(429), tokensource.ErrUnavailable, "rate"},
		"412":          {answer(412), tokensource.ErrUnavailable, "lags behind"},
		"473":          {answer(473), tokensource.ErrUnavailable, "status 473"},
		"200 and HTML": {page(200), tokensource.ErrUnavailable, "no usable answer"},
		"502 and HTML": {page(502), tokensource.ErrUnavailable, "status 502"},
		"403 and HTML": {page(403), tokensource.ErrUnavailable, "that isn't Vault's"},
		"404 and HTML": {page(404), tokensource.ErrUnavailable, "no usable answer"},
	} {
		for _, kind := range []string{"login", "mount", "read"} {
			t.Run(name+" at "+kind, func(t *testing.T) {
				roleID := l.appRole(t, nil)
				secretID := l.secretID(t)
				var calls sync.Map
				failing := true
				p := newProxy(t, l.root.Address(), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					calls.Store(kindOf(r.URL.Path), true)
					if failing && kindOf(r.URL.Path) == kind {
						fault.do(w, r)
						return
					}
					next.ServeHTTP(w, r)
				})
				auth := vault.AppRole{RoleID: vault.Literal(roleID), SecretID: vault.Literal(secretID), Mount: l.mount}
				source := newSource(t, p.client(t, ""), "secret/"+l.path, vault.Options{Auth: auth})
				for range 2 {
					refused(t, source, fault.kind, fault.text, roleID, secretID)
				}
				if _, called := calls.Load(kind); !called {
					t.Errorf("there was no call of %s", kind)
				}
				failing = false
				tok := want(t, source, secretA)
				// Down later: the cache serves what it has.
				if tok.Metadata().Version != "1" {
					t.Errorf("version %q", tok.Metadata().Version)
				}
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

func page(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<html>%s %s %s</html>", leak, body, r.Header.Get("X-Vault-Token"))
	}
}

func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	io.WriteString(w, `{"data":{"api_key":"`+secretA+`"`)
	panic(http.ErrAbortHandler)
}

func TestVaultDownAtTheStart(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	listener.Close()
	source := newSource(t, clientAt(t, address, "hvs.some-token-of-vault", nil), "secret/x", vault.Options{})
	refused(t, source, tokensource.ErrUnavailable, "is it running", "hvs.some-token-of-vault")
}

func TestVaultDownLater_TheCacheServes(t *testing.T) {
	server := realvault.Shared(t)
	path := unique("later")
	stores[1].set(t, server.Root(t, ""), path, map[string]any{"api_key": secretA})
	p := newProxy(t, server.URL, func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) })
	source := newSource(t, p.client(t, server.RootToken), "secret/"+path, vault.Options{})
	failed := make(chan error, 100)
	cache, err := tokensource.Cache(source, tokensource.CacheOptions{
		RefreshAfter: time.Millisecond,
		OnEvent: func(e tokensource.Event) {
			if e.Kind == tokensource.EventRefreshFailed {
				failed <- e.Err
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, cache, secretA)
	p.CloseClientConnections()
	p.Close()
	for {
		want(t, cache, secretA)
		select {
		case err := <-failed:
			check(t, err, tokensource.ErrUnavailable, "is it running", server.RootToken)
			want(t, cache, secretA)
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func TestStalledVault_CallersReturnAtOnce(t *testing.T) {
	stalled, release := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stalled <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	source := newSource(t, clientAt(t, server.URL, "hvs.some-token-of-vault", nil), "secret/x", vault.Options{})
	for _, op := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := source.Token(ctx); return err },
		func(ctx context.Context) error {
			_, err := source.Put(ctx, newToken(t, secretA), newToken(t, secretB))
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-stalled
			stalled <- struct{}{} // the login is shared by both
			cancel()
		}()
		err := op(ctx)
		check(t, err, context.Canceled, "canceled", "hvs.some-token-of-vault")
		cancel()
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

func TestRedirects_NoCredentialFollows(t *testing.T) {
	l := newLogin(t, "approle")
	roleID := l.appRole(t, nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, kind := range []string{"login", "lookup", "mount", "read"} {
			t.Run(fmt.Sprint(status, " at ", kind), func(t *testing.T) {
				stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					t.Errorf("the other host was asked %s %s with %d headers and a body of %d bytes", r.Method, r.URL.Path, len(r.Header), len(body))
				}))
				defer stranger.Close()
				p := newProxy(t, l.root.Address(), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					if kindOf(r.URL.Path) == kind {
						http.Redirect(w, r, stranger.URL+r.URL.Path+"?secret="+leak, status)
						return
					}
					next.ServeHTTP(w, r)
				})
				client := p.client(t, "")
				// The user's own client follows redirects; our copy doesn't.
				client.SetCheckRedirect(nil)
				secretID := l.secretID(t)
				auth := api.AuthMethod(vault.AppRole{RoleID: vault.Literal(roleID), SecretID: vault.Literal(secretID), Mount: l.mount})
				if kind == "lookup" {
					auth = vault.Token(vault.Literal(l.newToken(t, nil)))
				}
				source := newSource(t, client, "secret/"+l.path, vault.Options{Auth: auth})
				refused(t, source, tokensource.ErrUnavailable, "redirects to "+stranger.URL+", which is not followed", roleID, secretID, leak)
			})
		}
	}
}

func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good, goodKey := ca.issue(t, "127.0.0.1")
	expired, expiredKey := ca.issue(t, "127.0.0.1", time.Now().Add(-time.Minute))
	wrong, wrongKey := ca.issue(t, "vault.example")
	const token = "hvs.some-token-of-vault"
	for name, test := range map[string]struct {
		cert, key, ca, text string
	}{
		"unknown CA": {good, goodKey, other.file, "unknown authority; give its CA in VAULT_CACERT"},
		"no CA":      {good, goodKey, "", "unknown authority; give its CA in VAULT_CACERT"},
		"expired":    {expired, expiredKey, ca.file, "has expired"},
		"wrong name": {wrong, wrongKey, ca.file, "another host name"},
	} {
		t.Run(name, func(t *testing.T) {
			server := realvault.Start(t, "-tls-cert", test.cert, "-tls-key", test.key)
			var config *api.TLSConfig
			if test.ca != "" {
				config = &api.TLSConfig{CACert: test.ca}
			}
			source := newSource(t, clientAt(t, server.URL, token, config), "secret/x", vault.Options{})
			refused(t, source, tokensource.ErrUnavailable, test.text, token)
		})
	}
	t.Run("TLS to a plain server", func(t *testing.T) {
		address := strings.Replace(realvault.Shared(t).URL, "http:", "https:", 1)
		source := newSource(t, clientAt(t, address, token, nil), "secret/x", vault.Options{})
		refused(t, source, tokensource.ErrUnavailable, "", token)
	})
	t.Run("plain to a TLS server", func(t *testing.T) {
		server := realvault.Start(t, "-tls-cert", good, "-tls-key", goodKey)
		address := strings.Replace(server.URL, "https:", "http:", 1)
		source := newSource(t, clientAt(t, address, token, nil), "secret/x", vault.Options{})
		err := refused(t, source, tokensource.ErrUnavailable, "that isn't Vault's", token)
		if e, ok := errors.AsType[*api.ResponseError](err); !ok || e.StatusCode != 400 {
			t.Errorf("errors.As doesn't find Vault's own error in %v", err)
		}
	})
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

func TestAThousandColdCallersOfTheRealVault(t *testing.T) {
	l := newLogin(t, "approle")
	roleID, secretID := l.appRole(t, nil), l.secretID(t)
	var mu sync.Mutex
	calls := map[string]int{}
	p := newProxy(t, l.root.Address(), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		calls[kindOf(r.URL.Path)]++
		mu.Unlock()
		next.ServeHTTP(w, r)
	})
	auth := vault.AppRole{RoleID: vault.Literal(roleID), SecretID: vault.Literal(secretID), Mount: l.mount}
	source := newSource(t, p.client(t, ""), "secret/"+l.path, vault.Options{Auth: auth})
	cache, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		t.Fatal(err)
	}
	herd(t, cache)
	if calls["login"] != 1 || calls["mount"] != 1 || calls["read"] != 1 {
		t.Errorf("calls with a cache: %v, want one of each", calls)
	}
	source = newSource(t, p.client(t, ""), "secret/"+l.path, vault.Options{Auth: auth})
	clear(calls)
	var wg sync.WaitGroup
	for range 100 { // fewer, for the sake of file descriptors
		wg.Go(func() { want(t, source, secretA) })
	}
	wg.Wait()
	if calls["login"] != 1 || calls["read"] != 100 {
		t.Errorf("calls without a cache: %v, want one login and a read each", calls)
	}
}
