package tokensource

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// The kinds of failure. errors.Is matches every error of a source with one of
// them, or with a context error.
var (
	// ErrNotFound: the store holds no token, or the source isn't configured.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the store refused the credentials or the permission.
	ErrDenied = errors.New("denied")
	// ErrUnavailable: the store didn't answer; a retry may help.
	ErrUnavailable = errors.New("unavailable")
	// ErrInvalid: the store holds no usable token, or the source is configured
	// wrongly.
	ErrInvalid = errors.New("invalid")
	// ErrRejected: the API answered 401 to the token.
	ErrRejected = errors.New("rejected by the API")
	// ErrConflict: a [Sink] holds another token than was expected.
	ErrConflict = errors.New("conflict")
)

// Error is the failure of one source. Its text holds no secret, no body of an
// answer and no query of a URL.
//
// The cause may be the error of an SDK. errors.Is and errors.As reach it.
// errors.Unwrap doesn't, so that code which prints a chain of errors never
// prints the cause.
type Error struct {
	// Source spells the source, such as "env:PACKAGECLOUD_TOKEN".
	Source string
	// Kind is one of the Err values of this package.
	Kind error
	// Message says what happened and what to do next.
	Message string

	cause func() error // a closure hides the cause from %#v
}

// NewError returns the error of a source. The message must be safe to print.
// The cause may hold secrets, and may be nil. A nil kind counts as
// [ErrUnavailable].
func NewError(source string, kind error, message string, cause error) *Error {
	if kind == nil {
		kind = ErrUnavailable
	}
	e := &Error{Source: source, Kind: kind, Message: message}
	if cause != nil {
		e.cause = func() error { return cause }
	}
	return e
}

// Error returns "source: kind: message" without the empty parts. Unprintable
// characters become spaces.
func (e *Error) Error() string {
	var parts []string
	if e.Source != "" {
		parts = append(parts, e.Source)
	}
	if e.Kind != nil {
		parts = append(parts, e.Kind.Error())
	}
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	return onOneLine(strings.Join(parts, ": "))
}

// onOneLine replaces unprintable characters by spaces. A name may hold line
// breaks, which would forge a line of a log.
func onOneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// Is reports whether target is the kind of e or matches the cause of e.
func (e *Error) Is(target error) bool {
	return target == e.Kind || e.cause != nil && errors.Is(e.cause(), target)
}

// As finds target in the cause of e.
func (e *Error) As(target any) bool {
	return e.cause != nil && errors.As(e.cause(), target)
}

// safe returns err if this package made it. Otherwise it returns an *Error that
// withholds the text of err.
func safe(source TokenSource, err error) error {
	switch e := err.(type) {
	case *Error:
		if e != nil {
			return e
		}
		return NewError(name(source), ErrInvalid, "the source returned a nil *Error as its error; it must return nil or a real error", nil)
	case *ChainError, *failing:
		return e
	}
	if err == context.Canceled || err == context.DeadlineExceeded {
		return NewError(name(source), ErrUnavailable, err.Error(), err)
	}
	if e, ok := inner(err); ok {
		// Drop the text that somebody wrapped around our error, and keep our
		// text.
		return NewError(e.Source, e.Kind, e.Message, err)
	}
	message := fmt.Sprintf("the source failed with a %T; its text is withheld because it may hold a secret; use errors.As to read it", err)
	return NewError(name(source), kindOf(err), message, err)
}

// inner returns the *Error inside err if err wraps one error only, at each
// level.
func inner(err error) (*Error, bool) {
	for err != nil {
		if e, ok := err.(*Error); ok {
			return e, e != nil
		}
		err = errors.Unwrap(err)
	}
	return nil, false
}

// kinds returns the kind of every failure inside err. An unknown failure has
// the kind ErrUnavailable.
func kinds(err error) []error {
	switch e := err.(type) {
	case *Error:
		if e != nil && e.Kind != nil {
			return []error{e.Kind}
		}
		return []error{ErrUnavailable}
	case interface{ Unwrap() []error }:
		var all []error
		for _, err := range e.Unwrap() {
			all = append(all, kinds(err)...)
		}
		if len(all) > 0 {
			return all
		}
	case interface{ Unwrap() error }:
		if err := e.Unwrap(); err != nil {
			return kinds(err)
		}
	}
	switch err {
	case ErrNotFound, ErrDenied, ErrInvalid, ErrRejected, ErrConflict:
		return []error{err}
	}
	return []error{ErrUnavailable}
}

// kindOf returns one kind for err as a whole. ErrNotFound counts only if all
// failures are of that kind.
func kindOf(err error) error {
	for _, kind := range kinds(err) {
		if kind != ErrNotFound {
			return kind
		}
	}
	return ErrNotFound
}
