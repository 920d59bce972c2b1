package tokensource

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// The kinds of failure. Every error of a source matches one of them, or a
// context error, by errors.Is.
var (
	// ErrNotFound: nothing is there, or the source isn't configured.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the store refused the credentials or the permission.
	ErrDenied = errors.New("denied")
	// ErrUnavailable: the store didn't answer; a retry may help.
	ErrUnavailable = errors.New("unavailable")
	// ErrInvalid: something is there, but no usable token, or the source is
	// configured wrongly.
	ErrInvalid = errors.New("invalid")
	// ErrRejected: the API answered 401 to the token.
	ErrRejected = errors.New("rejected by the API")
	// ErrConflict: a [Sink] holds another token than was expected.
	ErrConflict = errors.New("conflict")
)

// Error is the failure of one source. Its text holds no secret, no answer's
// body and no URL's query. The cause, such as an SDK's own error, is reached
// by errors.Is and errors.As; it is kept from errors.Unwrap, so that nothing
// that walks and prints a chain of errors prints it.
type Error struct {
	// Source spells the source, such as "env:PACKAGECLOUD_TOKEN".
	Source string
	// Kind is one of the Err values of this package.
	Kind error
	// Message says what happened and what to do next.
	Message string

	cause func() error // a closure, so that %#v can't reach in
}

// NewError makes the error of a source. The message must be safe to print; the
// cause needn't be, and may be nil. A nil kind counts as [ErrUnavailable].
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

// Error returns "source: kind: message", leaving out what is empty.
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
	// A name may hold what would forge a line of a log.
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.Join(parts, ": "))
}

// Is reports whether target is the kind of e, or matches its cause.
func (e *Error) Is(target error) bool {
	return target == e.Kind || e.cause != nil && errors.Is(e.cause(), target)
}

// As finds target in the cause of e.
func (e *Error) As(target any) bool {
	return e.cause != nil && errors.As(e.cause(), target)
}

// safe returns err as it may be printed: unchanged if this package made it, else
// with its text withheld.
func safe(source TokenSource, err error) error {
	switch e := err.(type) {
	case *Error:
		if e != nil {
			return e
		}
		return NewError(name(source), ErrInvalid, "it returned a nil *Error as its error", nil)
	case *ChainError, *failing:
		return e
	}
	if err == context.Canceled || err == context.DeadlineExceeded {
		return NewError(name(source), ErrUnavailable, err.Error(), err)
	}
	if e, ok := inner(err); ok {
		// Text that was wrapped around one of ours goes, ours stays.
		return NewError(e.Source, e.Kind, e.Message, err)
	}
	message := fmt.Sprintf("it failed with a %T, whose text is withheld because it may hold a secret; errors.As reaches it", err)
	return NewError(name(source), kindOf(err), message, err)
}

// inner finds an *Error that err is wrapped around and nothing else.
func inner(err error) (*Error, bool) {
	for err != nil {
		if e, ok := err.(*Error); ok {
			return e, e != nil
		}
		err = errors.Unwrap(err)
	}
	return nil, false
}

// kinds returns the kind of every failure that err is made of; ErrUnavailable
// where nothing is known.
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

// kindOf returns the kind to give to err as a whole. What wasn't found says
// little beside another failure.
func kindOf(err error) error {
	for _, kind := range kinds(err) {
		if kind != ErrNotFound {
			return kind
		}
	}
	return ErrNotFound
}
