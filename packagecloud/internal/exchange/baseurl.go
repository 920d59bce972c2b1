package exchange

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DefaultBaseURL is the server that requests go to unless an option or a token
// names another.
const DefaultBaseURL = "https://packagecloud.io"

// ParseBaseURL checks the address that the token will be sent to. Origin says
// where it was found, for errors; "" for an option.
func ParseBaseURL(s, origin string, insecure bool) (*url.URL, error) {
	what := "packagecloud: the base URL"
	if origin != "" {
		what += " from " + origin
	}
	bad := func(why string) (*url.URL, error) {
		return nil, fmt.Errorf("%s %s; it should look like %s", what, why, DefaultBaseURL)
	}
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil {
		return bad("is malformed")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "":
		return bad("doesn't begin with https://")
	case u.Hostname() == "":
		return bad("names no host")
	case !strings.HasPrefix(u.Host, "[") && strings.ContainsFunc(u.Hostname(), isNotOfHost):
		return bad("has a character in its host that no host has")
	case !isPort(u.Port()):
		return bad("has a port that isn't between 1 and 65535")
	case u.RawQuery != "" || u.Fragment != "":
		return bad("has a query or fragment")
	case u.Scheme == "http" && !insecure && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("%s would send the token in the clear to %s; use https, or WithInsecureHTTP to allow it", what, u.Host)
	}
	// User info would be a credential: the token comes from the source.
	clean := &url.URL{Scheme: u.Scheme, Host: lowerASCII(u.Host), Path: u.Path, RawPath: u.RawPath}
	return clean.JoinPath("/").JoinPath("."), nil
}

// isNotOfHost finds what url.Parse takes and no host's name has: punctuation,
// and what doesn't print, such as the zero-width space of a copied text.
func isNotOfHost(r rune) bool {
	if r < utf8.RuneSelf {
		return !('a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_')
	}
	return r == utf8.RuneError || !unicode.IsPrint(r)
}

// isPort takes none too.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

func isLoopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return lowerASCII(host) == "localhost"
}

// SameOrigin compares scheme, host and port.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && sameHost(a, b) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}
