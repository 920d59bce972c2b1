package sourcekit

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// Connection says what the user of a source sets for the connection to its server, so
// that [Connection.Reason] can give advice. The zero value gives advice in general
// words. It is a value and safe for concurrent use.
type Connection struct {
	// Address is the name of the setting that has the server's address, such as
	// "VAULT_ADDR". Empty: "the address".
	Address string
	// CA says what to do about a certificate of an unknown authority, such as
	// "set VAULT_CACERT to the authority's certificate".
	CA string
	// ServerName says how a client is told that the certificate has another name
	// than the address, such as "set VAULT_TLS_SERVER_NAME". Empty: not at all.
	ServerName string
	// ClientCert says how a client certificate is given, such as "set
	// VAULT_CLIENT_CERT and VAULT_CLIENT_KEY".
	ClientCert string

	peer string // "the server", or "the proxy"
}

// Reason says in plain words why an HTTP request got no answer, and what to do. It
// returns "" for an error that it doesn't know, for a nil one, and where the caller
// canceled the request. It knows the errors of net/http, also when an SDK or another
// RoundTripper has wrapped them.
//
// Permanent reports whether another try is in vain, since one side is set up wrongly:
// a wrong scheme or port, a certificate that isn't accepted, or a server that refuses
// the client's TLS.
//
// Of the error's own text nothing is repeated, since that may hold what a server or a
// proxy sent, and the URL with its query.
func (c Connection) Reason(err error) (reason string, permanent bool) {
	if err == nil || errors.Is(err, context.Canceled) {
		return "", false
	}
	c.Address = cmp.Or(c.Address, "the address")
	c.CA = cmp.Or(c.CA, "add the authority to those that this machine trusts")
	c.ClientCert = cmp.Or(c.ClientCert, "give the client one")
	c.peer = cmp.Or(c.peer, "the server")
	if reason, permanent = c.proxy(err); reason != "" {
		return reason, permanent
	}
	for _, why := range []func(error) string{c.scheme, c.certificate, c.alert} {
		if reason := why(err); reason != "" {
			return reason, true
		}
	}
	return c.network(err), false
}

// proxyAdvice ends the reasons that are a proxy's.
const proxyAdvice = "; correct HTTPS_PROXY or HTTP_PROXY, or name the server in NO_PROXY"

// proxy tells of a proxy that can't be reached, or that refuses to connect.
func (c Connection) proxy(err error) (reason string, permanent bool) {
	if op, ok := errors.AsType[*net.OpError](err); ok && c.peer != "the proxy" {
		switch {
		case op.Op == "proxyconnect":
			inner, permanent := Connection{Address: "the proxy's address", peer: "the proxy"}.Reason(op.Err)
			return "the proxy can't be used (" + cmp.Or(inner, "the connection to it failed") + ")" + proxyAdvice, permanent
		case strings.HasPrefix(op.Op, "socks "):
			return "the SOCKS proxy doesn't connect to the server" + proxyAdvice, false
		}
	}
	if text := connectRefusal(err); text != "" {
		advice := proxyAdvice
		if text == http.StatusText(http.StatusProxyAuthRequired) {
			advice = "; give the proxy's user and password in HTTPS_PROXY, as in http://USER:PASSWORD@HOST:PORT"
		}
		return "the proxy refuses to connect to the server (" + text + ")" + advice, false
	}
	return "", false
}

// connectRefusal returns the status by which a proxy refused CONNECT, if it is one of
// HTTP's own or of a proxy in wide use; "" for other errors. For net/http the words of
// the status are the whole error, which has no type of its own.
func connectRefusal(err error) string {
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
	}
	text := err.Error()
	for code := http.StatusCreated; code < 600; code++ {
		if status := http.StatusText(code); status != "" && strings.EqualFold(status, text) {
			return status
		}
	}
	for _, status := range []string{"Access Denied", "Filtered", "Not Allowed", "Unable to connect", "Unknown status code"} {
		if strings.EqualFold(status, text) {
			return status
		}
	}
	return ""
}

// scheme tells of two sides of which one speaks TLS.
func (c Connection) scheme(err error) string {
	record, notTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), notTLS && string(record.RecordHeader[:]) == "HTTP/":
		return c.peer + " speaks plain http there; " + c.Address + " should begin with http://, or name the port of https"
	case notTLS:
		return c.peer + " doesn't speak https there; is the port of " + c.Address + " right?"
	// The server's alert of TLS came in place of an HTTP answer.
	case strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`):
		return c.peer + " speaks https there; " + c.Address + " should begin with https://"
	}
	return ""
}

// certificate tells what is wrong with the server's certificate.
func (c Connection) certificate(err error) string {
	certificate := c.peer + "'s certificate "
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return certificate + "is signed by an authority that isn't trusted here; " + c.CA
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return certificate + "can't be checked, since this machine has no list of authorities; install one, or " + c.CA
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return certificate + "is for another host name; " + c.Address + " should have a name that the certificate is for" + or(c.ServerName)
	}
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	if ok && invalid.Reason == x509.Expired {
		return certificate + "has expired or isn't valid yet; renew it, or correct the clock of this machine"
	}
	if _, unverified := errors.AsType[*tls.CertificateVerificationError](err); ok || unverified {
		return certificate + "isn't valid; look at the certificate, and at the clock of this machine"
	}
	return ""
}

// or adds one more piece of advice, if there is one.
func or(advice string) string {
	if advice == "" {
		return ""
	}
	return ", or " + advice
}

// alert tells of a server that refuses the client's TLS.
func (c Connection) alert(err error) string {
	const version = "tls: protocol version not supported"
	op, ok := errors.AsType[*net.OpError](err)
	refused := ok && op.Op == "remote error"
	switch {
	case refused && op.Err.Error() == version, strings.Contains(err.Error(), "tls: server selected unsupported protocol version"):
		return c.peer + " refuses the connection, since it has no version of TLS in common with this program; have it speak TLS 1.2 or 1.3"
	case refused && slices.Contains(finalAlerts, op.Err.Error()):
		return c.peer + " refuses the connection (" + op.Err.Error() + "); if it wants a client certificate, " + c.ClientCert
	}
	return ""
}

// finalAlerts are those by which a server says what it doesn't take (RFC 8446, section
// 6.2). Package tls keeps their type to itself. After other alerts a retry may help.
var finalAlerts = []string{
	"tls: handshake failure", "tls: bad certificate", "tls: unsupported certificate", "tls: revoked certificate",
	"tls: expired certificate", "tls: unknown certificate", "tls: unknown certificate authority", "tls: access denied",
	"tls: insufficient security level", "tls: unrecognized name",
	"tls: certificate required", "tls: no application protocol",
}

// network tells of a connection that wasn't made, or that was cut.
func (c Connection) network(err error) string {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return c.peer + "'s host name doesn't resolve; correct " + c.Address + ", or this machine's DNS"
		}
		return c.peer + "'s host name can't be looked up, since DNS doesn't answer; look at this machine's network"
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case is(syscall.ECONNREFUSED), isWindows(err, 10061):
		return "the connection was refused; does " + c.peer + " run, and is the port of " + c.Address + " right?"
	case is(syscall.ENETUNREACH, syscall.EHOSTUNREACH), isWindows(err, 10051), isWindows(err, 10065):
		return "there is no route to " + c.peer + "; look at this machine's network and at " + c.Address
	case is(context.DeadlineExceeded), ok && timeout.Timeout():
		return c.peer + " didn't answer in time; does it run, and does a firewall let the connection through?"
	case is(io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE), isWindows(err, 10053), isWindows(err, 10054):
		return "the connection was cut before the answer was whole; if that persists, look at " + c.peer + " and what lies between"
	}
	return ""
}

// isWindows reports whether err is that error of Winsock. The names that package
// syscall has for the errors of Unix are other numbers on Windows.
func isWindows(err error, number syscall.Errno) bool {
	return runtime.GOOS == "windows" && errors.Is(err, number)
}
