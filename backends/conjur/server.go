package conjur

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cyberark/conjur-api-go/conjurapi"
	"github.com/cyberark/conjur-api-go/conjurapi/response"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

const (
	// maxValue is the largest value read, far above what holds a token.
	maxValue = 1 << 20
	// maxError is how much of an error's body is parsed.
	maxError = 64 << 10
)

// server is Conjur as one account sees it. It is safe for concurrent use: the SDK's
// client, which isn't, only builds requests here, which changes nothing in it.
type server struct {
	address  string
	account  string
	http     *http.Client
	timeout  time.Duration
	requests *conjurapi.Client
}

func newServer(set settings, options Options) (*server, error) {
	address, err := parseURL(set.ApplianceURL)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fail(tokensource.ErrInvalid, "the server's address is no URL", err)
	}
	if u.Scheme == "http" && !options.AllowHTTP && !isLoopback(u.Hostname()) {
		return nil, fail(tokensource.ErrInvalid, "the server's address is http, which sends credentials and tokens in clear; use https, or permit it by Options.AllowHTTP", nil)
	}
	if isCloud(u) {
		// As Conjur's tools do it.
		set.Account = cmp.Or(set.Account, "conjur")
		if !strings.Contains(u.Path, "/api") {
			address += "/api"
		}
	}
	if set.Account != "" && (!isSegment(set.Account) || strings.ContainsAny(set.Account, ":/?#% ")) {
		return nil, fail(tokensource.ErrInvalid, "the account must be a plain name, without space and any of : / ? # %", nil)
	}
	s := &server{
		address: address,
		account: set.Account,
		timeout: cmp.Or(options.Timeout, time.Duration(set.HTTPTimeout)*time.Second, defaultTimeout),
	}
	if s.http, err = newHTTPClient(set, options); err != nil {
		return nil, err
	}
	if s.account == "" {
		return s, nil // nothing will be asked
	}
	s.requests, err = s.builder(conjurapi.Config{})
	return s, err
}

// isSegment reports whether a path keeps name as one of its elements: the SDK
// escapes names, but then path.Join takes these away.
func isSegment(name string) bool { return name != "" && name != "." && name != ".." }

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isCloud(u *url.URL) bool {
	return u.Scheme == "https" && conjurapi.ConjurCloudRegexp.MatchString(strings.ToLower(u.Hostname()))
}

// builder returns an SDK client to build requests with. All that it would take from
// the environment, the user's files, the keyring or a probe of the server is given.
func (s *server) builder(config conjurapi.Config) (*conjurapi.Client, error) {
	if _, ok := http.DefaultTransport.(*http.Transport); !ok {
		// It panics.
		return nil, fail(tokensource.ErrInvalid, "Conjur's client needs http.DefaultTransport to be a *http.Transport, and this program has replaced it; give the replacement to those who use it in place of setting it for all", nil)
	}
	config.ApplianceURL = s.address
	config.Account = s.account
	config.Environment = conjurapi.EnvironmentSH
	config.CredentialStorage = conjurapi.CredentialStorageNone
	config.CredentialStorageMode = conjurapi.CredentialStorageModeReadOnly
	config.KeychainNamespace = scheme
	config.SetKeychainNamespaceResolved(true)
	client, err := conjurapi.NewClient(config, conjurapi.Telemetry{
		IntegrationName:    "packagecloud-go",
		IntegrationType:    conjurapi.IntegrationType,
		IntegrationVersion: conjurapi.IntegrationVersion,
		VendorName:         "packagecloud-go",
	})
	if err != nil {
		return nil, fail(tokensource.ErrInvalid, "Conjur's client refuses the account, the address or the service id", err)
	}
	return client, nil
}

func newHTTPClient(set settings, options Options) (*http.Client, error) {
	var client http.Client
	if options.HTTPClient != nil {
		client = *options.HTTPClient
	} else {
		transport, err := newTransport(set, options)
		if err != nil {
			return nil, err
		}
		client.Transport = transport
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	return &client, nil
}

func newTransport(set settings, options Options) (*http.Transport, error) {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableKeepAlives:     set.DisableKeepAlives,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if set.Proxy != "" {
		proxy, err := url.Parse(set.Proxy)
		if err != nil || proxy.Host == "" {
			return nil, fail(tokensource.ErrInvalid, "the setting proxy is no URL", err)
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	ca, err := set.certificates()
	if options.CA != nil {
		ca, err = options.CA, nil
	}
	if err != nil {
		return nil, err
	}
	if ca != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return nil, fail(tokensource.ErrInvalid, "there is no PEM certificate in what Options.CA or the settings give to trust", nil)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return transport, nil
}

// do makes a request and returns the answer's body. An answer that isn't 2xx is a
// *statusError, any other error a *failure.
func (s *server) do(ctx context.Context, req *http.Request) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	resp, err := s.http.Do(req.WithContext(limited))
	if err != nil {
		return nil, s.broken(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		// The SDK's error reads the body without a bound.
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxError))
		resp.Body = io.NopCloser(bytes.NewReader(body))
		cause := response.NewConjurError(resp)
		return nil, &statusError{code: resp.StatusCode, cause: func() error { return cause }}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxValue+1))
	if err != nil {
		return nil, s.broken(ctx, err)
	}
	if len(body) > maxValue {
		return nil, fail(tokensource.ErrInvalid, "Conjur's answer is larger than 1 MiB; is it the right variable?", nil)
	}
	if what := foreign(resp.Header.Get("Content-Type"), body); what != "" {
		return nil, fail(tokensource.ErrInvalid, "the answer is "+what+"; does the address lead to Conjur's API, past any proxy that asks people to sign in?", nil)
	}
	return body, nil
}

// foreign says what an answer is that isn't Conjur's, or "". Without white space it
// would pass for a token, and be sent to packagecloud. Conjur sends a variable as what
// its annotation conjur/mime_type says, else as application/octet-stream; one that is
// said to be JSON has fields.
func foreign(contentType string, body []byte) string {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch {
	case kind == "text/html", kind == "application/xhtml+xml", bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")):
		return "a web page"
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		var object map[string]json.RawMessage
		if len(body) > 0 && (json.Unmarshal(body, &object) != nil || object == nil) {
			return "JSON, but no object"
		}
	}
	return ""
}

// connection is where the settings for it come from.
var connection = sourcekit.Connection{
	Address:    "CONJUR_APPLIANCE_URL (appliance_url in .conjurrc, or Options.ApplianceURL)",
	CA:         "set CONJUR_CERT_FILE, cert_file in .conjurrc, or Options.CA to the authority's certificate",
	ClientCert: "give an Options.HTTPClient that has it",
}

// broken says why a request had no answer. The text of err isn't used: it may hold
// what the server or a proxy sent.
func (s *server) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ended(ctx.Err())
	}
	reason, _ := connection.Reason(err)
	if e, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && e.Timeout() {
		reason = fmt.Sprintf("it took longer than %v", s.timeout)
	}
	return fail(tokensource.ErrUnavailable, "no answer from "+s.address+": "+cmp.Or(reason, "the connection failed"), err)
}

// statusError is an answer that isn't 2xx.
type statusError struct {
	code  int
	cause func() error // a *response.ConjurError
}

// Error returns the status.
func (e *statusError) Error() string { return fmt.Sprintf("Conjur answered %d", e.code) }

// isConjurs reports whether Conjur itself answered, with that code in its JSON.
func (e *statusError) isConjurs(code string) bool {
	c, ok := errors.AsType[*response.ConjurError](e.cause())
	return ok && c.Details != nil && c.Details.Code == code
}

// meaning is what the status means whatever was asked.
func (e *statusError) meaning() error {
	text := fmt.Sprintf("Conjur answered %d", e.code)
	switch {
	case e.code >= 500, e.code == http.StatusTooManyRequests, e.code == http.StatusRequestTimeout:
		return fail(tokensource.ErrUnavailable, text, e.cause())
	case e.code >= 300 && e.code < 400:
		return fail(tokensource.ErrInvalid, text+", a redirect, which isn't followed so that no credential leaves for another host; configure the address that it leads to", e.cause())
	}
	return fail(tokensource.ErrInvalid, text+"; does the address lead to Conjur's API?", e.cause())
}
