package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/tokensource"
)

const (
	defaultTimeout = 60 * time.Second

	// maxAnswer is far above any secret that holds a token. An answer of that length
	// can take thirty times as much memory when it is decoded.
	maxAnswer = 2 << 20

	// maxHost is above any scheme, name of DNS and port; what is longer is none.
	maxHost = 260
)

// client is a Vault client that holds no token: each request gets its own.
type client struct {
	vault   func() *api.Client                                      // a closure, since dump libraries print the buffers of connections
	login   func(context.Context, *api.Client) (*api.Secret, error) // nothing prints what it holds
	timeout time.Duration
}

func newClient(given *api.Client, options Options) (*client, error) {
	if err := checkEnvironment(); err != nil {
		return nil, err
	}
	config, auth := api.DefaultConfig(), options.Auth
	if given != nil {
		config = given.CloneConfig()
		config.Error = nil
		keepTransport(config)
	}
	if config.Error != nil {
		return nil, badEnvironment(config.Error)
	}
	cert, ok := auth.(Certificate)
	ownCert := ok && cert.CertFile+cert.KeyFile != ""
	if ownCert {
		if err := cert.install(given, config); err != nil {
			return nil, err
		}
	}
	config.MaxRetries = 0 // the cache retries
	config.Logger = nil   // it would print URLs
	config.Timeout = cmp.Or(config.Timeout, defaultTimeout)
	vault, err := api.NewClient(config)
	if err != nil {
		return nil, badEnvironment(err)
	}
	// NewClient keeps config, and wants to see the transport as it is.
	config.HttpClient = guarded(config.HttpClient, ownCert)
	vault.ClearToken()
	if given != nil {
		headers := given.Headers()
		if headers == nil {
			headers = http.Header{}
		}
		vault.SetHeaders(headers)
	}
	if options.Namespace != "" {
		vault.SetNamespace(options.Namespace)
	}
	if auth == nil {
		auth = ambient{given: given, agent: config.AgentAddress != ""}
	}
	return &client{vault: func() *api.Client { return vault }, login: auth.Login, timeout: config.Timeout}, nil
}

// keepTransport gives config a transport of its own where the address is a
// socket's: NewClient writes that into the transport, which is the given client's.
func keepTransport(config *api.Config) {
	transport, ok := config.HttpClient.Transport.(*http.Transport)
	if ok && (strings.HasPrefix(config.Address, "unix://") || strings.HasPrefix(config.AgentAddress, "unix://")) {
		config.HttpClient.Transport = transport.Clone()
	}
}

// checkEnvironment refuses what Vault's client would read for ever. It reads the
// files even where it is given others.
func checkEnvironment() error {
	for _, name := range []string{"VAULT_CACERT", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"} {
		if path := os.Getenv(name); isIrregular(path) {
			return failf(tokensource.ErrInvalid, "%s, which %s names, isn't a regular file; name a file", path, name)
		}
	}
	folder := os.Getenv("VAULT_CAPATH")
	if folder == "" {
		return nil
	}
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && isIrregular(path) {
			return failf(tokensource.ErrInvalid, "%s, in the folder that VAULT_CAPATH names, isn't a regular file; move it elsewhere", path)
		}
		return nil // Vault's client says what else is wrong
	})
}

// isIrregular reports whether there is something at path that isn't a file.
func isIrregular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular()
}

// badEnvironment withholds the client's own text, which may repeat a variable
// with a password in it. A file that is missing is named.
func badEnvironment(err error) error {
	message := "Vault's client refuses its configuration; look at VAULT_ADDR, VAULT_CACERT, VAULT_CLIENT_CERT and the other VAULT_ variables"
	for _, name := range []string{"VAULT_CACERT", "VAULT_CAPATH", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"} {
		if path := os.Getenv(name); path != "" {
			if _, statErr := os.Stat(path); statErr != nil {
				message = "the file " + path + ", which " + name + " names, can't be read"
			}
		}
	}
	return wrapf(tokensource.ErrInvalid, err, "%s", message)
}

// as returns a client that sends the token of l.
func (c *client) as(l *lease) *api.Client {
	vault := c.anonymous()
	vault.SetToken(l.reveal())
	return vault
}

// anonymous returns a client that sends no token. It shares its connections
// and nothing else.
func (c *client) anonymous() *api.Client {
	return c.vault().WithNamespace(c.vault().Namespace())
}

// guarded returns a copy of an HTTP client whose answers are bounded and never
// redirects: neither net/http nor Vault's client would strip X-Vault-Token, or
// the secrets in a login's body, on the way to another host. With ownCert, logins
// are made over connections of their own.
func guarded(c *http.Client, ownCert bool) *http.Client {
	strict := *c
	g := guard{next: strict.Transport}
	if transport, ok := g.next.(*http.Transport); ok && ownCert {
		g.fresh = freshly(transport)
	}
	strict.Transport = g
	return &strict
}

// freshly returns a transport that makes a connection for each request, so that
// it shows the certificate of now and not that of a connection's beginning. It
// speaks HTTP/1.1, for the other version keeps its connections in a pool that a
// clone shares.
func freshly(transport *http.Transport) *http.Transport {
	fresh := transport.Clone()
	fresh.DisableKeepAlives = true
	fresh.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	fresh.TLSClientConfig.NextProtos = nil
	return fresh
}

// onFresh marks a request that is to go over a connection of its own.
type onFresh struct{}

type guard struct {
	next  http.RoundTripper
	fresh http.RoundTripper // nil: there is no need for it
}

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	next := g.next
	switch {
	case g.fresh != nil && req.Context().Value(onFresh{}) != nil:
		next = g.fresh
	case next == nil:
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(lowered(req))
	if err != nil {
		return nil, err
	}
	if location := resp.Header.Get("Location"); resp.StatusCode/100 == 3 {
		resp.Body.Close()
		return nil, &redirectError{host: hostOf(location)}
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: maxAnswer}
	return resp, nil
}

// lowered returns req with its host in lower case: net/http keeps "localhost" from a
// proxy, and no other spelling of it.
func lowered(req *http.Request) *http.Request {
	host := strings.ToLower(req.URL.Host)
	if host == req.URL.Host {
		return req
	}
	req = req.Clone(req.Context())
	req.URL.Host, req.Host = host, strings.ToLower(req.Host)
	return req
}

// CloseIdleConnections is what http.Client looks for.
func (g guard) CloseIdleConnections() {
	if c, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func hostOf(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" || len(u.Scheme+u.Host) > maxHost {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

type redirectError struct{ host string }

func (e *redirectError) Error() string {
	return "Vault redirects" + strings.TrimSuffix(" to "+e.host, " to ")
}

var errTooLong = errors.New("the answer is too long")

// bounded is a body that fails when it is longer than what is left.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
