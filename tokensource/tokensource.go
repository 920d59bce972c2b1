// Package tokensource finds the API token of packagecloud.io where it really
// lives, keeps it fresh, and keeps it out of sight.
//
// A [TokenSource] is one place a token can come from. The packages below
// backends are such places; [Func] makes one of any function. [Chain] asks
// several in order, and [Cache] makes any of them fast and robust: it refreshes
// in the background, outlives outages, and follows rotation.
//
//	file:           what it holds
//	tokensource.go  the interfaces, Func and Static
//	token.go        Token, the secret that doesn't print
//	error.go        Error and the kinds of failure
//	chain.go        Chain
//	cache.go        Cache
//	event.go        what a source reports while it works
//
// A secret is readable only through [Token.Reveal]. No error, event or log line
// of this package holds one.
package tokensource

import (
	"context"
	"fmt"
)

// TokenSource supplies the current packagecloud token.
//
// Token returns promptly when ctx ends. It is safe for concurrent use. It
// returns a zero Token exactly when it returns an error; the error is, or
// wraps, an *[Error], or is one of the context package's.
//
// A source should have a String method that spells it, without a secret: errors
// and events name it so, and its tokens' Origin says the same.
type TokenSource interface {
	Token(ctx context.Context) (Token, error)
}

// Invalidator is implemented by sources that remember a token. Invalidate says
// that the API answered 401 to it, so that the source asks its store again.
// A source that holds another token meanwhile ignores the call.
type Invalidator interface {
	Invalidate(Token)
}

// Runner is implemented by sources with work to do in the background, such as
// renewing a lease. Run works until ctx ends and returns its error.
type Runner interface {
	Run(ctx context.Context) error
}

// Sink is a store that can be written, the other half of a rotation.
//
// Put stores next and returns it as the store now names it, with its version.
// A store that can compare refuses with [ErrConflict] when its current token
// isn't expected; a zero expected means that nothing is stored yet. A store that
// can't compare ignores expected, and its documentation says so.
type Sink interface {
	TokenSource
	Put(ctx context.Context, next, expected Token) (Token, error)
}

// Stager is a [Sink] that can hold the next token beside the current one until
// it has been verified.
type Stager interface {
	Sink
	// Stage stores next beside the current token. ErrConflict says that
	// another one is staged already.
	Stage(ctx context.Context, next Token) (Token, error)
	// Staged returns the staged token, or ErrNotFound.
	Staged(ctx context.Context) (Token, error)
	// Promote makes the staged token the current one, provided that it is
	// still staged; ErrConflict says that it isn't.
	Promote(ctx context.Context, staged Token) error
	// Discard forgets the staged token. None staged is no error.
	Discard(ctx context.Context, staged Token) error
}

// Invalidate passes tok on to source if it is an [Invalidator].
func Invalidate(source TokenSource, tok Token) {
	if inv, ok := source.(Invalidator); ok {
		inv.Invalidate(tok)
	}
}

// Func makes a source of a function, for stores that have no backend here.
// The function builds its tokens with [NewToken] and its errors with
// [NewError]; the text of any other error is withheld, since nobody knows what
// it holds, and errors.Is and errors.As still reach it. An error that wraps one
// of the kinds, such as [ErrNotFound], counts as that kind. A nil Func is an
// error at every call. It is as safe for concurrent use as the function is.
// Errors call it "func": a store that deserves a name of its own wants a type
// with a String method, which tokensourcetest.Run asks for too.
type Func func(ctx context.Context) (Token, error)

// Token calls the function.
func (f Func) Token(ctx context.Context) (Token, error) {
	if f == nil {
		return Token{}, NewError(f.String(), ErrInvalid, "the function is nil", nil)
	}
	tok, err := f(ctx)
	return checked(f, tok, err)
}

// String returns "func".
func (Func) String() string { return "func" }

// Static is a source that always returns one token, for tests: a token written
// into a program is what this library is there to end. A malformed secret is
// the error of every Token call. It is safe for concurrent use.
func Static(secret string) TokenSource {
	tok, err := NewToken(secret, Metadata{Origin: "static"})
	return static{tok, err}
}

type static struct {
	tok Token
	err error
}

func (s static) Token(context.Context) (Token, error) { return s.tok, s.err }
func (static) String() string                         { return "static" }

// checked holds a source's answer to the contract of TokenSource.
func checked(source TokenSource, tok Token, err error) (Token, error) {
	if err != nil {
		return Token{}, safe(source, err)
	}
	if tok.IsZero() {
		return Token{}, NewError(name(source), ErrInvalid, "it returned no token and no error; it must return one of them", nil)
	}
	return tok, nil
}

// name says in an error which source failed, by the method that backends have
// for it or else by type.
func name(source TokenSource) string {
	if s, ok := source.(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprintf("%T", source)
}
