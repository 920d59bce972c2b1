package conjur

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/cyberark/conjur-api-go/conjurapi"
	"github.com/cyberark/conjur-api-go/conjurapi/authn"
	"github.com/cyberark/conjur-api-go/conjurapi/response"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// Auth is a way to log in. The zero Auth is what Conjur's settings say. An Auth may
// serve several sources and is safe for concurrent use. It holds its secrets where
// nothing prints them.
type Auth struct {
	fetch    fetch
	held     bool              // the access token comes from elsewhere, and is asked for at every read
	hint     string            // what to do when Conjur refuses it
	spelling map[string]string // the options of Opener
}

// fetch returns an access token as Conjur's JSON. Its errors are of type *failure.
type fetch func(context.Context, *server) ([]byte, error)

func (a Auth) isZero() bool { return a.fetch == nil }

// APIKey logs in with an API key. A host's login is "host/" and its id, a user's
// the plain name.
//
// https://docs.cyberark.com/conjur-open-source/latest/en/content/developer/conjur_api_authenticate.htm
func APIKey(login, key string) Auth {
	auth := keyAuth("", "", func(context.Context, *server) (string, string, error) { return login, key, nil })
	auth.spelling = map[string]string{"auth": "apikey", "login": login}
	return auth
}

// keyAuth logs in with what credentials returns, asked at every login. The type is
// "" for Conjur's own authenticator, or "ldap".
func keyAuth(typ, service string, credentials func(context.Context, *server) (login, key string, err error)) Auth {
	return Auth{fetch: func(ctx context.Context, s *server) ([]byte, error) {
		login, key, err := credentials(ctx, s)
		switch {
		case err != nil:
			return nil, err
		case login == "" || key == "":
			return nil, fail(tokensource.ErrInvalid, "the login or the API key is empty", nil)
		case !isSegment(login):
			return nil, fail(tokensource.ErrInvalid, `the login must not be "." or ".."`, nil)
		}
		builder, err := s.builder(conjurapi.Config{AuthnType: typ, ServiceID: url.PathEscape(service)})
		if err != nil {
			return nil, err
		}
		req, err := builder.AuthenticateRequest(authn.LoginPair{Login: login, APIKey: key})
		if err != nil {
			return nil, fail(tokensource.ErrInvalid, "the request to log in can't be built; check the login", err)
		}
		// The SDK escapes the login as in a query, where a plus is a space.
		req.URL.RawPath = strings.ReplaceAll(req.URL.EscapedPath(), "+", "%20")
		if req.URL.Path, err = url.PathUnescape(req.URL.RawPath); err != nil {
			return nil, fail(tokensource.ErrInvalid, "the request to log in can't be built; check the login", err)
		}
		return s.logIn(ctx, req, "check the login and the API key")
	}}
}

// JWT logs in with a JSON Web Token, through the authenticator with that service id.
// The function is called at every login, so that a token that rotates is never an
// old one; it has no caller's context but one with the login's time limit. The host
// id is for authenticators that don't take it from the token, else "". The text of
// the function's errors is withheld; errors.Is and errors.As reach them. If it is a
// chain of sources that failed, only a chain in which nothing was found is ErrNotFound.
//
// https://docs.cyberark.com/conjur-open-source/latest/en/content/operations/services/cjr-authn-jwt.htm
func JWT(service, host string, token func(context.Context) (string, error)) Auth {
	if token == nil {
		return jwtAuth(service, host, func(context.Context) (string, error) {
			return "", fail(tokensource.ErrInvalid, "the function for the JWT is nil", nil)
		})
	}
	return jwtAuth(service, host, func(ctx context.Context) (string, error) {
		jwt, err := token(ctx)
		if err != nil {
			return "", fail(kindOf(err), fmt.Sprintf("the function for the JWT failed with a %T, whose text is withheld because it may hold a secret", err), err)
		}
		return jwt, nil
	})
}

// kindOf returns the kind of an error of somebody else's source, ErrUnavailable where
// nothing is known. A chain of sources fails with many: what wasn't found says little
// beside another failure.
func kindOf(err error) error {
	switch e := err.(type) {
	case *tokensource.Error:
		if e != nil && e.Kind != nil {
			return e.Kind
		}
	case interface{ Unwrap() []error }:
		kind := tokensource.ErrUnavailable
		for _, err := range e.Unwrap() {
			if kind = kindOf(err); kind != tokensource.ErrNotFound {
				break
			}
		}
		return kind
	case interface{ Unwrap() error }:
		return kindOf(e.Unwrap())
	}
	if err == tokensource.ErrNotFound || err == tokensource.ErrDenied || err == tokensource.ErrInvalid {
		return err
	}
	return tokensource.ErrUnavailable
}

// JWTFile is [JWT] with a token that is read from a file at every login, such as the
// one that Kubernetes mounts. White space around it is dropped.
func JWTFile(service, host, path string) Auth {
	auth := jwtAuth(service, host, func(context.Context) (string, error) {
		data, err := readFile("the JWT", path)
		return string(data), err
	})
	auth.spelling["file"] = path
	return auth
}

func jwtAuth(service, host string, token func(context.Context) (string, error)) Auth {
	fetch := func(ctx context.Context, s *server) ([]byte, error) {
		if !isSegment(service) {
			return nil, fail(tokensource.ErrInvalid, `the service id of the JWT authenticator is empty, "." or ".."; it is what follows authn-jwt/ in Conjur's policy`, nil)
		}
		if host == "." || host == ".." {
			return nil, fail(tokensource.ErrInvalid, `the host id for the JWT authenticator must not be "." or ".."`, nil)
		}
		jwt, err := token(ctx)
		if err != nil {
			return nil, err
		}
		jwt = strings.TrimSpace(jwt)
		if !isJWT(jwt) {
			return nil, fail(tokensource.ErrInvalid, "what was given as the JWT isn't one: it has three parts in base64url, with dots between", nil)
		}
		builder, err := s.builder(conjurapi.Config{AuthnType: "jwt", ServiceID: url.PathEscape(service), JWTContent: jwt})
		if err != nil {
			return nil, err
		}
		req, err := builder.JWTAuthenticateRequest(jwt, host)
		if err != nil {
			return nil, fail(tokensource.ErrInvalid, "the request to log in can't be built; check the service and host ids", err)
		}
		return s.logIn(ctx, req, "the JWT may have expired, or its issuer, audience or identity isn't what the authenticator expects; Conjur's log says which")
	}
	return Auth{fetch: fetch, spelling: map[string]string{"auth": "jwt", "service": service, "host": host}}
}

// isJWT reports whether s has the form of a JWT in compact serialization (RFC 7515,
// section 7.1). What has, needs no escaping in a form.
func isJWT(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return strings.Count(s, ".") == 2
}

// AccessToken uses a Conjur access token, as JSON. It can't be renewed, and after 8
// minutes at most it is ErrDenied: it is for programs that end before that.
func AccessToken(token string) Auth {
	return Auth{
		fetch:    func(context.Context, *server) ([]byte, error) { return []byte(token), nil },
		held:     true,
		hint:     "; an access token lasts 8 minutes and this one can't be renewed, so start again with a new one, or use an API key, a JWT or a token file",
		spelling: map[string]string{"auth": "token"},
	}
}

// AccessTokenFile uses the Conjur access token in a file that another program
// renews, such as Conjur's Kubernetes sidecar. The file is read at every read of the
// variable.
func AccessTokenFile(path string) Auth {
	return Auth{
		fetch: func(context.Context, *server) ([]byte, error) {
			return readFile("the access token", path)
		},
		held:     true,
		hint:     "; it is from a file, so see whether the program that renews it still runs",
		spelling: map[string]string{"auth": "tokenfile", "file": path},
	}
}

// Client logs in as an SDK client does that the program has already, with whatever
// authenticator that has: AWS IAM, Azure, GCP, OIDC or a certificate. Only its
// authenticator is used, by one login at a time; the rest of the program must leave
// the client alone. The SDK knows no contexts, so that a login which takes longer
// than Options.Timeout is abandoned and ends by the client's own time limit, while
// the next one waits for it. An API key, a JWT or a token file are better given to
// the functions above: the SDK's authenticator reads a JWT only once, and panics when
// a token file is gone.
func Client(client *conjurapi.Client) Auth {
	turn := make(chan struct{}, 1)
	return Auth{fetch: func(ctx context.Context, s *server) ([]byte, error) {
		if client == nil || client.GetAuthenticator() == nil {
			return nil, fail(tokensource.ErrInvalid, "the SDK's client is nil or has no authenticator", nil)
		}
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return nil, fail(tokensource.ErrUnavailable, "an earlier login of the SDK's client still runs", ctx.Err())
		}
		defer func() { <-turn }()
		data, err := client.GetAuthenticator().RefreshToken()
		if err != nil {
			return nil, sdkFailure(err)
		}
		return data, nil
	}}
}

// logIn makes a request for an access token.
func (s *server) logIn(ctx context.Context, req *http.Request, advice string) ([]byte, error) {
	data, err := s.do(ctx, req)
	if e, ok := errors.AsType[*statusError](err); ok {
		return nil, refused(e.code, e.cause(), advice)
	}
	return data, err
}

// refused says what an answer to a login means. 404 isn't ErrNotFound: it is the
// address or the authenticator that is wrong, and no reason for a chain to go on.
func refused(code int, cause error, advice string) error {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fail(tokensource.ErrDenied, fmt.Sprintf("Conjur refused the login (%d); %s", code, advice), cause)
	case http.StatusNotFound:
		return fail(tokensource.ErrInvalid, "Conjur answered 404 to the login; check the address, the account and the service id", cause)
	}
	e := statusError{code: code, cause: func() error { return cause }}
	return e.meaning()
}

// sdkFailure gives an error of the SDK its kind.
func sdkFailure(err error) error {
	if e, ok := errors.AsType[*response.ConjurError](err); ok {
		return refused(e.Code, err, "check the credentials of the SDK's client")
	}
	return fail(tokensource.ErrUnavailable, fmt.Sprintf("the SDK's client failed to log in with a %T, whose text is withheld because it may hold a secret", err), err)
}

// readFile reads a file with a credential. It isn't empty. One that this user may not
// read is ErrInvalid, since it isn't Conjur that denies it.
func readFile(what, path string) ([]byte, error) {
	data, err := readRegular(path)
	switch data = bytes.TrimSpace(data); {
	case err == nil && len(data) > 0:
		return data, nil
	case err == nil:
		return nil, fail(tokensource.ErrInvalid, fmt.Sprintf("the file with %s, %q, is empty", what, path), nil)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail(tokensource.ErrUnavailable, fmt.Sprintf("the file with %s, %q, doesn't exist; does the program run that writes it?", what, path), err)
	}
	return nil, fail(tokensource.ErrInvalid, fmt.Sprintf("%s can't be read: %s", what, err.Message), err)
}

// readRegular reads a regular file of up to maxValue bytes.
func readRegular(path string) ([]byte, *tokensource.Error) {
	data, _, err := sourcekit.ReadFile(path, maxValue)
	e, _ := errors.AsType[*tokensource.Error](err)
	return data, e
}
