package exchange

import (
	"context"
	"errors"
	"strings"

	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// connection is what the user of a client sets for the connection to its server.
var connection = sourcekit.Connection{
	Address:    "the base URL",
	CA:         "add the authority to those of this machine, or trust it by WithHTTPClient",
	ClientCert: "give the certificate by WithHTTPClient",
}

// advice says what to do about a connection to host that can't be made by trying again
// either, or that a proxy doesn't let through; "" for other failures, whose own text
// says enough.
func advice(host string, err error) string {
	reason, permanent := connection.Reason(err)
	switch {
	case permanent:
		return " (" + host + ": " + reason + ")"
	case strings.Contains(reason, "proxy") && !errors.Is(err, context.DeadlineExceeded):
		return " (" + reason + ")"
	}
	return ""
}

// misconnected reports whether a connection can't be made by trying again either,
// since one side is set up wrongly.
func misconnected(err error) bool {
	_, permanent := connection.Reason(err)
	return permanent
}
