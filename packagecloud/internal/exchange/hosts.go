package exchange

import (
	"net/url"
	"strings"
)

// lowerASCII leaves letters of other scripts alone: names that differ in those
// may be two hosts, such as one with a final sigma and one with another sigma.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// lowered returns u with its host in lower case. Some who compare hosts know only
// that one, as net/http does when it keeps "localhost" from a proxy.
func lowered(u *url.URL) *url.URL {
	u.Host = lowerASCII(u.Host)
	return u
}

// sameHost compares two hosts without their ports.
func sameHost(a, b *url.URL) bool { return lowerASCII(a.Hostname()) == lowerASCII(b.Hostname()) }
