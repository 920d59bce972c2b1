package vault

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/tokensource"
)

const (
	defaultTimeout = 60 * time.Second

	// maxAnswer is far above any secret that holds a token.
	maxAnswer = 8 << 20

	// maxHost is above any scheme, name of DNS and port; what is longer is none.
	maxHost = 260
)

// client is a Vault client that holds no token: each request gets its own.
type client struct {
	vault   *api.Client
	login   func(context.Context, *api.Client) (*api.Secret, error) // nothing prints what it holds
	timeout time.Duration
}

func newClient(given *api.Client, options Options) (*client, error) {
	config, auth := api.DefaultConfig(), options.Auth
	if given != nil {
		config = given.CloneConfig()
		config.Error = nil
	}
	if config.Error != nil {
		return nil, badEnvironment(config.Error)
	}
	if cert, ok := auth.(Certificate); ok && cert.CertFile+cert.KeyFile != "" {
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
	config.HttpClient = guarded(config.HttpClient)
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
	return &client{vault: vault, login: auth.Login, timeout: config.Timeout}, nil
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
	return c.vault.WithNamespace(c.vault.Namespace())
}

// guarded returns a copy of an HTTP client whose answers are bounded and never
// redirects: neither net/http nor Vault's client would strip X-Vault-Token, or
// the secrets in a login's body, on the way to another host.
func guarded(c *http.Client) *http.Client {
	strict := *c
	strict.Transport = guard{next: strict.Transport}
	return &strict
}

type guard struct{ next http.RoundTripper }

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	next := g.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(req)
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
