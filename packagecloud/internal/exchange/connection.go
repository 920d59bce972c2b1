package exchange

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
)

// misconnected tells what to do about a connection that can't be made and won't
// be by trying again, since one side is set up wrongly. It is "" for other
// failures.
func misconnected(err error) string {
	record, notTLS := errors.AsType[tls.RecordHeaderError](err)
	if errors.Is(err, http.ErrSchemeMismatch) || notTLS && string(record.RecordHeader[:]) == "HTTP/" {
		return "the server speaks plain http there; the base URL should begin with http://, or name the port of https"
	}
	if notTLS {
		return "the server doesn't speak https there; is the port of the base URL right?"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
			return "whoever signed the certificate isn't trusted here; a private authority is added to the system's, or by WithHTTPClient"
		}
		if _, ok := errors.AsType[x509.HostnameError](err); ok {
			return "the base URL should have a name that the server's certificate is for"
		}
		return "look at the server's certificate, and at the clock of this machine"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" && slices.Contains(finalAlerts, op.Err.Error()) {
		return "the server refuses the connection; if it wants a client certificate, that comes by WithHTTPClient"
	}
	// An alert of TLS where the answer should begin.
	if strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`) {
		return "the server speaks https there; the base URL should begin with https://"
	}
	return ""
}

// finalAlerts are those that say what the server doesn't take (RFC 8446, section
// 6.2). Crypto/tls keeps their type to itself. The others may be of the moment.
var finalAlerts = []string{
	"tls: handshake failure", "tls: bad certificate", "tls: unsupported certificate", "tls: revoked certificate",
	"tls: expired certificate", "tls: unknown certificate", "tls: unknown certificate authority", "tls: access denied",
	"tls: protocol version not supported", "tls: insufficient security level", "tls: unrecognized name",
	"tls: certificate required", "tls: no application protocol",
}
