package vault_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/tokensource"
)

// onSocket serves a handler at a Unix socket and returns a client of it, which
// dials for each request.
func onSocket(t *testing.T, handler http.Handler) *api.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "socket") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Skipf("no Unix sockets: %v", err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Config.SetKeepAlivesEnabled(false)
	server.Start()
	t.Cleanup(server.Close)
	return clientAt(t, "unix://"+filepath.Join(dir, "s"), "", nil)
}

// TestNew_OfAClientThatIsInUse makes sources of a client while it dials.
func TestNew_OfAClientThatIsInUse(t *testing.T) {
	client := onSocket(t, newFake())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := client.Logical().Write("auth/approle/login", nil); err != nil {
				t.Errorf("the given client fails: %v", err)
			}
		})
		source := newSource(t, client, "secret/x", vault.Options{Auth: appRole})
		wg.Go(func() { want(t, source, secretA) })
	}
	wg.Wait()
}

func TestNew_LeavesTheGivenClientAsItIs(t *testing.T) {
	for name, client := range map[string]*api.Client{
		"socket": onSocket(t, newFake()),
		"TLS":    clientAt(t, "https://vault.example", "", &api.TLSConfig{}),
	} {
		t.Run(name, func(t *testing.T) {
			client.CloneConfig().HttpClient.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
				return nil, errors.New("the user's own dialer")
			}
			client.SetToken("hvs.of-the-client")
			client.SetNamespace("teams/a")
			client.AddHeader("X-Gateway-Key", "some-key")
			client.SetClientTimeout(7 * time.Second)
			client.SetMaxRetries(5)
			look := func() []any {
				config := client.CloneConfig()
				transport := config.HttpClient.Transport.(*http.Transport)
				return []any{
					client.Address(), client.Token(), client.Namespace(), client.Headers(), client.ClientTimeout(), client.MaxRetries(),
					transport, reflect.ValueOf(transport.DialContext).Pointer(), config.HttpClient.Timeout, config.HttpClient.CheckRedirect == nil,
				}
			}
			before := look()
			source := newSource(t, client, "secret/x", vault.Options{Auth: appRole, Namespace: "teams/b"})
			if name == "socket" {
				want(t, source, secretA)
			}
			if after := look(); !reflect.DeepEqual(before, after) {
				t.Errorf("the client was %v, and is %v", before, after)
			}
		})
	}
}

// TestNew_UsesWhatTheGivenClientHas sends its headers and its namespace, and keeps
// to its time limit.
func TestNew_UsesWhatTheGivenClientHas(t *testing.T) {
	var wrong atomic.Int64
	f := newFake()
	client := handlerClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Gateway-Key") != "some-key" || r.Header.Get("X-Vault-Namespace") != "teams/a" || r.Header.Get("X-Vault-Request") != "true" {
			wrong.Add(1)
		}
		f.ServeHTTP(w, r)
	}))
	client.SetNamespace("teams/a")
	client.AddHeader("X-Gateway-Key", "some-key")
	source := newSource(t, client, "secret/x", vault.Options{Auth: appRole})
	want(t, source, secretA)
	f.revoke() // and a lookup and another login
	want(t, source, secretA)
	if n := wrong.Load(); n != 0 {
		t.Errorf("%d requests lack the client's headers", n)
	}
	if f.count("lookup") == 0 {
		t.Error("there was no lookup")
	}
}

// TestCertificate_ALoginBesideABusyConnection has a read that goes on over HTTP/2
// when the certificate changes.
//
// Guarantee B6.
func TestCertificate_ALoginBesideABusyConnection(t *testing.T) {
	ca, clients := newAuthority(t), newAuthority(t)
	cert, key := ca.issue(t, "127.0.0.1")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	f := newFake()
	var mu sync.Mutex
	var stall, over2 bool
	var shown []string // the names in the certificates at each login
	stalled, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		waits := stall && kindOf(r.URL.Path) == "read"
		switch {
		case kindOf(r.URL.Path) == "login":
			shown = append(shown, r.TLS.PeerCertificates[0].Subject.CommonName)
		case waits:
			stall, over2 = false, r.ProtoMajor == 2
		}
		mu.Unlock()
		if waits {
			close(stalled)
			<-release
		}
		f.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()

	t.Setenv("VAULT_ADDR", server.URL)
	t.Setenv("VAULT_CACERT", ca.file)
	certFile, keyFile := clients.issue(t, "first")
	source := newSource(t, nil, "secret/x", vault.Options{Auth: vault.Certificate{CertFile: certFile, KeyFile: keyFile}})
	want(t, source, secretA)
	mu.Lock()
	stall = true
	mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { want(t, source, secretA) })
	<-stalled
	nextCert, nextKey := clients.issue(t, "second")
	copyFile(t, certFile, nextCert)
	copyFile(t, keyFile, nextKey)
	f.revoke()
	want(t, source, secretA)
	close(release)
	wg.Wait()
	if !over2 {
		t.Error("the read wasn't over HTTP/2")
	}
	if !reflect.DeepEqual(shown, []string{"first", "second"}) {
		t.Errorf("the logins showed the certificates %q", shown)
	}
}

// recording is a logger of Vault's client.
type recording struct {
	mu    sync.Mutex
	lines []string
}

func (r *recording) log(text string, more ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprint(append([]any{text}, more...)...))
}

func (r *recording) Error(text string, more ...any) { r.log(text, more...) }
func (r *recording) Warn(text string, more ...any)  { r.log(text, more...) }
func (r *recording) Info(text string, more ...any)  { r.log(text, more...) }
func (r *recording) Debug(text string, more ...any) { r.log(text, more...) }

// TestNew_LogsNothingToTheLoggerOfTheGivenClient, which would be told each URL.
func TestNew_LogsNothingToTheLoggerOfTheGivenClient(t *testing.T) {
	f, logger := newFake(), &recording{}
	client := f.client(t)
	config := client.CloneConfig()
	config.Logger = logger
	client, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	source := newSource(t, client, "secret/x", vault.Options{Auth: appRole})
	want(t, source, secretA)
	f.set(func() { f.status["read"] = 500 })
	refused(t, source, tokensource.ErrUnavailable, "500")
	if len(logger.lines) != 0 {
		t.Errorf("it logs %q", logger.lines)
	}
	// The client's own use of it is what this is kept from.
	f.set(func() { f.status["login"] = 400 })
	client.Logical().Write("auth/approle/login", nil)
	if len(logger.lines) == 0 {
		t.Error("the logger doesn't record")
	}
}

// net/http keeps "localhost" from a proxy, but no other spelling of it: by that,
// Vault's token would go to the proxy in clear.
//
// Guarantees: B6, A1.
func TestSource_HostIsSentInLowerCase(t *testing.T) {
	server := httptest.NewServer(newFake())
	defer server.Close()
	client := clientAt(t, "http://LocalHost:"+server.URL[len("http://127.0.0.1:"):], "", nil)
	var hosts []string
	client.CloneConfig().HttpClient.Transport.(*http.Transport).Proxy = func(r *http.Request) (*url.URL, error) {
		hosts = append(hosts, r.URL.Hostname())
		return nil, nil
	}
	want(t, newSource(t, client, "secret/x", vault.Options{Auth: appRole}), secretA)
	for _, host := range hosts {
		if host != "localhost" {
			t.Errorf("a request went to %s", host)
		}
	}
	if len(hosts) == 0 {
		t.Error("no request was sent")
	}
}
