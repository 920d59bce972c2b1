// Package tokensource supplies programs with the API token of packagecloud.io.
// It reads the token from the store that holds it, keeps it fresh, and never
// prints it.
//
//	chain, err := tokensource.Chain(env.New(), file.CLI())
//	source, err := tokensource.Cache(chain, tokensource.CacheOptions{})
//	tok, err := source.Token(ctx)
//
// # Tokens
//
// A [TokenSource] is one place that a token can come from. The packages below
// backends read environment variables, files, credential helpers and secret
// stores. [Func] makes a source of any function, and [Static] holds a token for
// tests.
//
// A [Token] is an immutable value. Only [Token.Reveal] returns the secret.
// Every printer, logger and encoder of the standard library writes "[redacted]"
// for it. [Token.Fingerprint] tells tokens apart in logs.
//
// # Chains
//
// [Chain] asks several sources in the order given and returns the first token.
// The chain goes on to the next source only after [ErrNotFound]. Any other
// failure ends the search, because a chain must not quietly use another token.
// [ChainSource.FallThrough] lets other kinds of failure lead on, too.
//
// # Caching
//
// [Cache] wraps a source so that a read costs one atomic load. The cache
// refreshes the token in the background and serves the last token while the
// store is down. [CachedSource.Invalidate] makes it fetch a new token after the
// API answered 401. [CachedSource.Run] keeps the token warm between reads, and
// [CachedSource.Status] serves a readiness probe.
//
// # Errors
//
// A source returns an *[Error], which names the source and has one of five
// kinds: [ErrNotFound], [ErrDenied], [ErrUnavailable], [ErrInvalid] or
// [ErrRejected]. A sixth kind, [ErrConflict], is for a [Sink]. A chain returns
// a *[ChainError], and errors.Is reaches every attempt in it. No error holds a
// secret.
//
// # Events
//
// Sources report to a hook: refreshes, failures, rotations and the like. Set
// CacheOptions.OnEvent, or call [WithHook] for a source without a cache.
// [LogEvents] makes a hook that writes to a slog.Logger. No event holds a
// secret.
package tokensource

import (
	"context"
	"fmt"
)

// TokenSource supplies the current packagecloud token.
//
// Token returns promptly when ctx ends. It is safe for concurrent use. It
// returns a zero Token exactly when it returns an error. The error is, or
// wraps, an *[Error] or an error of the context package.
//
// A source should have a String method that spells it without a secret. Errors
// and events name the source by that spelling, and its tokens have it as their
// Origin.
type TokenSource interface {
	Token(ctx context.Context) (Token, error)
}

// Invalidator is a source that remembers a token. The caller of Invalidate says
// that the API answered 401 to the token, so the source asks its store again. A
// source that already holds another token ignores the call.
type Invalidator interface {
	Invalidate(Token)
}

// Runner is a source with background work, such as renewing a lease. Run works
// until ctx ends and returns its error.
type Runner interface {
	Run(ctx context.Context) error
}

// Sink is a store that can be written. A rotation stores the new token in it.
//
// Put stores next. It returns the token with the origin and version that the
// store gave it. A store that can compare returns [ErrConflict] when its
// current token differs from expected. A zero expected means that the store
// must be empty. A store that can't compare ignores expected, and its
// documentation says so.
type Sink interface {
	TokenSource
	Put(ctx context.Context, next, expected Token) (Token, error)
}

// Stager is a [Sink] that can hold the next token beside the current one until
// it has been verified.
type Stager interface {
	Sink
	// Stage stores next beside the current token. It returns ErrConflict when
	// another token is staged already.
	Stage(ctx context.Context, next Token) (Token, error)
	// Staged returns the staged token, or ErrNotFound when no token is staged.
	Staged(ctx context.Context) (Token, error)
	// Promote makes the staged token the current one. It returns ErrConflict
	// when the store no longer stages that token.
	Promote(ctx context.Context, staged Token) error
	// Discard forgets the staged token. It returns nil when no token is staged.
	Discard(ctx context.Context, staged Token) error
}

// Invalidate calls the Invalidate method of source if it is an [Invalidator].
func Invalidate(source TokenSource, tok Token) {
	if inv, ok := source.(Invalidator); ok {
		inv.Invalidate(tok)
	}
}

// Func makes a source of a function, for stores that have no backend here. It
// is as safe for concurrent use as the function is. A nil Func returns an error
// from every call.
//
// The function builds its tokens with [NewToken] and its errors with
// [NewError]. Func withholds the text of any other error, because that text may
// hold a secret. errors.Is and errors.As still reach the withheld error. An
// error that wraps one of the kinds, such as [ErrNotFound], counts as that
// kind.
//
// Errors name the source "func". Give a store that needs a name of its own a
// type with a String method. tokensourcetest.Run requires that method, too.
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

// Static returns a source that always returns the same token. It is for tests:
// a program must not contain its token. When the secret is malformed, every
// call of Token returns the error. The source is safe for concurrent use.
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

// checked turns an answer that breaks the contract of TokenSource into an
// error. It also replaces an error whose text may hold a secret.
func checked(source TokenSource, tok Token, err error) (Token, error) {
	if err != nil {
		return Token{}, safe(source, err)
	}
	if tok.IsZero() {
		return Token{}, NewError(name(source), ErrInvalid, "the source returned neither a token nor an error; it must return one of them", nil)
	}
	return tok, nil
}

// name returns the spelling of the source for errors and events: the result of
// its String method, or else its type.
func name(source TokenSource) string {
	if s, ok := source.(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprintf("%T", source)
}
