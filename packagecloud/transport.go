package packagecloud

import (
	"fmt"
	"io"
	"net/http"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
	"github.com/packagecloud-go/sdk/tokensource"
)

// Transport is an [http.RoundTripper] that authenticates requests to a
// packagecloud server, for programs with a client of their own. The token goes
// to the base URL's scheme, host and port, as the user name of Basic
// authentication; any other request passes through as it is, so that a redirect
// can't carry the token away.
//
// On a 401 the token that this request carried is invalidated and the request,
// body included, is repeated with each token that the source has not given
// before, three times at most. A body without GetBody isn't repeated.
//
// It is safe for concurrent use. https://packagecloud.io/docs/api#auth
type Transport struct{ auth *exchange.Authenticator }

// NewTransport returns a transport that gets its token from source. It sends
// requests with the Transport of [WithHTTPClient], else with one like
// [http.DefaultTransport].
func NewTransport(source tokensource.TokenSource, options ...Option) (*Transport, error) {
	cfg, err := apply(options)
	if err != nil {
		return nil, err
	}
	auth, err := newAuthenticator(source, cfg)
	if err != nil {
		return nil, err
	}
	return &Transport{auth}, nil
}

func newAuthenticator(source tokensource.TokenSource, cfg *config) (*exchange.Authenticator, error) {
	c := exchange.Config{
		BaseURL: cfg.baseURL, BaseURLOrigin: cfg.baseURLOrigin, InsecureHTTP: cfg.insecure,
		RotationWait: cfg.rotationWait, Logger: cfg.logger,
	}
	if cfg.httpClient != nil {
		c.Next = cfg.httpClient.Transport
	}
	return exchange.NewAuthenticator(source, c)
}

// String tells where the transport's token is from.
func (t *Transport) String() string { return t.auth.String() }

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (t *Transport) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

// RoundTrip sends req with the token if it goes to the base URL's server.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.auth.RoundTrip(req)
}
