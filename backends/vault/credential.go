package vault

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// maxCredential is above any JWT, and any certificate with its chain.
const maxCredential = 64 << 10

// Credential is where a login gets a secret from: a secret-id, a JWT, a
// password. It is called at every login, so that one which is replaced now and
// then is followed. It returns promptly when ctx ends and must be safe for
// concurrent use. The text of its errors is withheld unless they are a
// *[tokensource.Error]. Being a function, it prints as an address.
type Credential func(ctx context.Context) (string, error)

// Literal is a credential that the program has got by itself. Don't write one
// into the program's text.
func Literal(secret string) Credential {
	return func(context.Context) (string, error) { return secret, nil }
}

// Env is a credential in an environment variable. One that isn't set is
// [tokensource.ErrNotFound]. A name that no variable has, such as $NAME or
// NAME=value, is [tokensource.ErrInvalid] and not repeated.
func Env(name string) Credential {
	return func(context.Context) (string, error) {
		if name == "" || strings.ContainsAny(name, "$%{}<>/\\=;:,|\"'` \t\r\n\x00") || sourcekit.HoldsToken(name) {
			return "", failf(tokensource.ErrInvalid, "the login needs the name of a variable, and no variable has the name given; write the name alone, without $ and without a value")
		}
		value, ok := os.LookupEnv(name)
		if !ok {
			return "", failf(tokensource.ErrNotFound, "the variable %s isn't set, which the login needs", name)
		}
		return value, nil
	}
}

// File is a credential in a file, such as a mounted secret or a projected
// service account token. A file that isn't there is [tokensource.ErrNotFound]. A
// pipe or device is [tokensource.ErrInvalid], and so is a path that isn't there and
// has a ~, a variable or quotes, which nothing expands or removes.
func File(path string) Credential {
	return func(context.Context) (string, error) {
		content, err := readFile(path)
		return string(content), err
	}
}

// readFile reads the file with a credential of the login.
func readFile(path string) ([]byte, error) {
	content, _, err := sourcekit.ReadFile(path, maxCredential)
	return content, err
}

// get reads the credential; what says in errors which one it is.
func (c Credential) get(ctx context.Context, what string) (string, error) {
	if c == nil {
		return "", failf(tokensource.ErrInvalid, "the login has no %s; set it", what)
	}
	value, err := c(ctx)
	if err != nil {
		if e := verdict(err); e != nil {
			return "", wrapf(e.Kind, err, "%s: %s", what, e.Message)
		}
		return "", wrapf(tokensource.ErrUnavailable, err, "reading the %s failed with %s, whose text is withheld because it may hold a secret", what, fmt.Sprintf("a %T", err))
	}
	value = strings.TrimSpace(value)
	if value == "" {
		return "", failf(tokensource.ErrInvalid, "the login's %s is empty", what)
	}
	return value, nil
}

// verdict finds the failure that decides what err is as a whole: of a chain's,
// the first that isn't [tokensource.ErrNotFound], which says little beside
// another. It is nil where that one is no error of this library.
func verdict(err error) *tokensource.Error {
	switch e := err.(type) {
	case *tokensource.Error:
		return e
	case interface{ Unwrap() error }:
		return verdict(e.Unwrap())
	case interface{ Unwrap() []error }:
		var found *tokensource.Error
		for _, err := range e.Unwrap() {
			if found = verdict(err); found == nil || found.Kind != tokensource.ErrNotFound {
				return found
			}
		}
		return found
	}
	return nil
}
