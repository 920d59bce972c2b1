package vault

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// failf makes an error that doesn't name its source yet; see located.
func failf(kind error, format string, args ...any) error {
	return wrapf(kind, nil, format, args...)
}

func wrapf(kind, cause error, format string, args ...any) error {
	return tokensource.NewError("", kind, fmt.Sprintf(format, args...), cause)
}

// located makes of any error one that may be shown: it names its source, and the
// client's own text, which holds the answer's body, is only its cause.
func located(source string, err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *tokensource.Error:
		if e.Source == "" {
			return tokensource.NewError(source, e.Kind, e.Message, e)
		}
		return e
	}
	message, kind := explain(err)
	return tokensource.NewError(source, kind, message, err)
}

// status is the HTTP status of an error of Vault's client, or 0.
func status(err error) int {
	if e, ok := errors.AsType[*api.ResponseError](err); ok {
		return e.StatusCode
	}
	return 0
}

// foreign reports whether the answer isn't of the shape that Vault's have.
func foreign(err error) bool {
	e, ok := errors.AsType[*api.ResponseError](err)
	return ok && e.RawError
}

// isRefusal reports whether Vault itself refuses a token or its rights.
func isRefusal(err error) bool { return status(err) == 403 && !foreign(err) }

// explain says what an error of Vault's client means, in words of our own.
func explain(err error) (message string, kind error) {
	switch code := status(err); {
	case code == 0:
		return silence(err), tokensource.ErrUnavailable
	case code < 500 && foreign(err):
		return fmt.Sprintf("status %d in an answer that isn't Vault's; does VAULT_ADDR have the right scheme, and is a proxy in between?", code), tokensource.ErrUnavailable
	case code == http.StatusForbidden, code == http.StatusUnauthorized:
		return "Vault refuses its token, or the path to it, or there is no such mount (403)", tokensource.ErrDenied
	case code == http.StatusNotFound:
		return "Vault has no such mount (404); look at the path, the mount and the namespace", tokensource.ErrInvalid
	case code == http.StatusServiceUnavailable:
		return "Vault is sealed or not ready (503)", tokensource.ErrUnavailable
	case code == http.StatusTooManyRequests:
		return "Vault limits the rate of requests (429)", tokensource.ErrUnavailable
	case code == http.StatusPreconditionFailed:
		return "this node of Vault lags behind (412)", tokensource.ErrUnavailable
	case code >= 500 || code == 472 || code == 473:
		return fmt.Sprintf("Vault failed with status %d", code), tokensource.ErrUnavailable
	default:
		return fmt.Sprintf("Vault takes the request for wrong (status %d); look at the path and the options", code), tokensource.ErrInvalid
	}
}

// connection is what Vault's own tools take their settings for it from.
var connection = sourcekit.Connection{
	Address:    "VAULT_ADDR",
	CA:         "set VAULT_CACERT to the authority's certificate",
	ServerName: "set VAULT_TLS_SERVER_NAME",
	ClientCert: "set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY",
}

// silence says why there is no answer of Vault's.
func silence(err error) string {
	if e, ok := errors.AsType[*redirectError](err); ok {
		return e.Error() + ", which is not followed, since its token would go there too; give that address in VAULT_ADDR if it is right"
	}
	if errors.Is(err, errTooLong) {
		return fmt.Sprintf("the answer is longer than %d MiB", maxAnswer>>20)
	}
	if reason, _ := connection.Reason(err); reason != "" {
		return "no answer from Vault: " + reason
	}
	return "no usable answer from Vault; is it running, and does VAULT_ADDR name it?"
}
