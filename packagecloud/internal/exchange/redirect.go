package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

var errRedirect = errors.New("refused a redirect")

// Redirect returns where location leads r from an address, or why r doesn't
// follow it. Hop counts the redirects before it.
func (r Request) Redirect(from *url.URL, location string, hop int) (*url.URL, error) {
	if len(location) > maxAddress {
		return nil, fmt.Errorf("%w: its address has %d bytes, more than the %d that are taken", errRedirect, len(location), maxAddress)
	}
	to, err := from.Parse(location)
	switch {
	case err != nil || to.Host == "" && (to.Scheme == "https" || to.Scheme == "http"):
		return nil, fmt.Errorf("%w: it is malformed", errRedirect)
	case hop >= maxRedirects:
		return nil, fmt.Errorf("%w: more than %d in a row", errRedirect, maxRedirects)
	case r.Body != nil || r.Method != http.MethodGet && r.Method != http.MethodHead:
		return nil, fmt.Errorf("%w of a %s request to %s; set the base URL to the server's real address", errRedirect, r.Method, to.Host)
	case to.Scheme != "https" && to.Scheme != "http":
		return nil, fmt.Errorf("%w to the scheme %q", errRedirect, Shorten(to.Scheme, 20))
	case from.Scheme == "https" && to.Scheme != "https":
		return nil, fmt.Errorf("%w from https to %s on %s", errRedirect, to.Scheme, to.Host)
	}
	to.User = nil
	return lowered(to), nil
}

// Resolve makes an address of the API absolute. A path that the server gave is
// on its host; one of ours is below the base URL's path.
func (c *Client) Resolve(ctx context.Context, address string) (*url.URL, error) {
	if len(address) > maxAddress {
		return nil, fmt.Errorf("packagecloud: an address of the server has %d bytes, more than the %d that are taken; report it to whoever runs the server", len(address), maxAddress)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("packagecloud: a URL of the server is malformed")
	}
	u.User, u.Fragment = nil, ""
	lowered(u)
	if u.IsAbs() {
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, errors.New("packagecloud: a URL of the server has an unknown scheme")
		}
		return c.Auth.secured(ctx, u)
	}
	base, err := c.Auth.BaseURL(ctx)
	if err != nil {
		return nil, err
	}
	prefix := strings.TrimSuffix(base.EscapedPath(), "/")
	if u.Host == "" && prefix != "" && !strings.HasPrefix(u.EscapedPath(), prefix+"/") {
		u, err = url.Parse(prefix + address)
		if err != nil {
			return nil, errors.New("packagecloud: a URL of the server is malformed")
		}
	}
	return base.ResolveReference(u), nil
}

// secured holds an absolute address of the server to the rule for the base URL:
// plain http only to loopback, unless it is allowed. A server behind a proxy that
// ends its TLS may take itself for one without.
func (a *Authenticator) secured(ctx context.Context, u *url.URL) (*url.URL, error) {
	if u.Scheme == "https" || a.insecure {
		return u, nil
	}
	base, err := a.BaseURL(ctx)
	if err != nil {
		return nil, err
	}
	if base.Scheme == "https" && sameHost(u, base) && (port(u) == "80" || port(u) == port(base)) {
		u.Scheme, u.Host = base.Scheme, base.Host
	} else if !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("packagecloud: the server gives an address at http://%s, where all could be read on the way; have it give https addresses, or allow it with WithInsecureHTTP", Shorten(u.Host, 200))
	}
	return u, nil
}
