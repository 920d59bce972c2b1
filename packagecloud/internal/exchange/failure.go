package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ErrUnauthorized says that the server refused the token, and that the source had
// no other.
var ErrUnauthorized = errors.New("unauthorized")

// Failure is a request that got no answer. Its text holds neither the URL nor a
// credential; errors.Is and errors.As reach the cause.
type Failure struct {
	method, endpoint, text string
	cause                  func() error
}

// NewFailure makes a Failure of err, or returns the [*TokenError] that err holds.
// Host is the one that was asked.
func NewFailure(r Request, secrets *Redactor, host string, err error) error {
	// First, since what a source's error hides may be reached through it.
	if t, ok := errors.AsType[*TokenError](err); ok {
		return t
	}
	cause := err
	// A url.Error's text has the URL. What was struck already stays so: what is
	// below it was not.
	for {
		u, ok := errors.AsType[*url.Error](cause)
		if _, isStruck := errors.AsType[*struckError](cause); !ok || isStruck {
			break
		}
		cause = u.Err
	}
	text := Shorten(secrets.Strike(cause.Error()), 500) + advice(host, cause)
	return &Failure{r.Method, r.Endpoint, text, func() error { return cause }}
}

func (e *Failure) Error() string {
	return fmt.Sprintf("packagecloud: %s %s: %s", e.method, e.endpoint, strings.TrimPrefix(e.text, "packagecloud: "))
}

// Is reports whether the cause is target.
func (e *Failure) Is(target error) bool { return errors.Is(e.cause(), target) }

// As finds target in the cause.
func (e *Failure) As(target any) bool { return errors.As(e.cause(), target) }

// Reached reports whether the request that failed with err may have reached the
// server, or may do so when it is tried again.
func Reached(err error) bool {
	if _, ok := errors.AsType[*Failure](err); !ok {
		return false
	}
	return !misconnected(err) && !errors.Is(err, errRedirect)
}

// NeverSent reports whether err ended a request before it had a connection.
func NeverSent(err error) bool {
	_, ok := errors.AsType[*unsentError](err)
	return ok
}

type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// TokenError says that there was no token to send.
type TokenError struct{ err error }

func (e *TokenError) Error() string {
	return "packagecloud: no token for the request: " + strings.TrimPrefix(e.err.Error(), "no token: ")
}

// Unwrap returns the source's error.
func (e *TokenError) Unwrap() error { return e.err }

// LeftError is a 401 whose caller left while the source was asked for another
// token.
type LeftError struct {
	refusal string
	left    error // the context's
}

func (e *LeftError) Error() string {
	return e.left.Error() + " while waiting for another token: " + e.refusal
}

// Unwrap returns the context's error and [ErrUnauthorized].
func (e *LeftError) Unwrap() []error { return []error{e.left, ErrUnauthorized} }

// ContextError adds to the error of a context that ended what went wrong before.
func ContextError(ctx context.Context, err error) error {
	return fmt.Errorf("%w; before that: %w", ctx.Err(), err)
}
