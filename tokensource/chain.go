package tokensource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// rejectedFor is how long a rejected token is passed over. It ends, so that an
// error of the API doesn't disable a good token for ever.
const rejectedFor = 5 * time.Minute

// ChainSource asks several sources in order; see [Chain]. It is safe for
// concurrent use.
type ChainSource struct {
	sources []TokenSource
	kinds   []error // fall through to the next source

	mu   sync.Mutex
	last []attempt // of each source
}

// attempt is what a chain remembers of one source.
type attempt struct {
	returned Token
	rejected Token // zero, or the token that got a 401
	until    time.Time
}

// Chain returns a source that asks the given ones in order and returns the first
// token. Only [ErrNotFound] leads to the next source: a store that is down or
// denies access must not quietly lead to using another token. See
// [ChainSource.FallThrough]. A nil source, or none, is an error. When no source
// has a token the error is a *[ChainError].
func Chain(sources ...TokenSource) (*ChainSource, error) {
	if len(sources) == 0 {
		return nil, errors.New("tokensource: Chain needs at least one source")
	}
	for i, s := range sources {
		if isNil(s) {
			return nil, fmt.Errorf("tokensource: source %d of the chain is nil", i+1)
		}
	}
	return newChain(slices.Clone(sources), []error{ErrNotFound}), nil
}

func newChain(sources []TokenSource, kinds []error) *ChainSource {
	return &ChainSource{sources: sources, kinds: kinds, last: make([]attempt, len(sources))}
}

// isNil also finds the typed nil, which would panic at its first use.
func isNil(s TokenSource) bool {
	if s == nil {
		return true
	}
	switch v := reflect.ValueOf(s); v.Kind() {
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice:
		return v.IsNil()
	}
	return false
}

// FallThrough returns a chain of the same sources in which errors of these
// kinds, too, lead to the next source. An outage with [ErrUnavailable] does so,
// and with [ErrRejected] a token that the API refused, for five minutes at most
// while its source still returns it. The error of a context that ended never
// does. The returned chain has no memory of rejections.
func (c *ChainSource) FallThrough(kinds ...error) *ChainSource {
	return newChain(c.sources, slices.Concat(c.kinds, kinds))
}

// String spells the chain, its sources separated by commas.
func (c *ChainSource) String() string {
	names := make([]string, len(c.sources))
	for i, s := range c.sources {
		names[i] = name(s)
	}
	return strings.Join(names, ",")
}

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (c *ChainSource) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// Token returns the first token that a source has.
func (c *ChainSource) Token(ctx context.Context) (Token, error) {
	var skipped Token
	var attempts []error
	for i, source := range c.sources {
		tok, err := source.Token(ctx)
		tok, err = checked(source, tok, err)
		if err == nil {
			if !c.skip(i, tok) {
				return tok, nil
			}
			if skipped.IsZero() {
				skipped = tok
			}
			err = NewError(name(source), ErrRejected, "passed over, since the API refused this token", nil)
		}
		attempts = append(attempts, err)
		if ended := ctx.Err(); ended != nil {
			if !errors.Is(err, ended) {
				attempts = append(attempts, NewError(c.String(), ErrUnavailable, ended.Error(), ended))
			}
			return Token{}, &ChainError{Attempts: attempts}
		}
		if !c.fallsThrough(err) {
			return Token{}, &ChainError{Attempts: attempts}
		}
		if i < len(c.sources)-1 {
			Emit(ctx, Event{Kind: EventFellThrough, Source: name(source), Fingerprint: tok.Fingerprint(), Err: err})
		}
	}
	if !skipped.IsZero() {
		Emit(ctx, Event{
			Kind: EventFellThrough, Source: c.String(), Fingerprint: skipped.Fingerprint(),
			Detail: "no source has a token that the API didn't refuse; the first is used again",
		})
		return skipped, nil
	}
	return Token{}, &ChainError{Attempts: attempts}
}

// fallsThrough reports whether every failure that err is made of leads on.
func (c *ChainSource) fallsThrough(err error) bool {
	return !slices.ContainsFunc(kinds(err), func(kind error) bool { return !slices.Contains(c.kinds, kind) })
}

// skip notes what source i returned and reports whether to pass it over.
func (c *ChainSource) skip(i int, tok Token) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &c.last[i]
	a.returned = tok
	if a.rejected.IsZero() {
		return false
	}
	if !a.rejected.Equal(tok) || !time.Now().Before(a.until) {
		a.rejected = Token{}
		return false
	}
	return true
}

// Invalidate passes tok on to all sources and, where the chain falls through on
// [ErrRejected], passes it over from now on.
func (c *ChainSource) Invalidate(tok Token) {
	for _, s := range c.sources {
		Invalidate(s, tok)
	}
	if !slices.Contains(c.kinds, ErrRejected) || tok.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.last {
		if a := &c.last[i]; a.returned.Equal(tok) && !a.rejected.Equal(tok) {
			a.rejected, a.until = tok, time.Now().Add(rejectedFor)
		}
	}
}

// Run runs the sources that are Runners until ctx ends, and returns its error.
func (c *ChainSource) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, s := range c.sources {
		if r, ok := s.(Runner); ok {
			wg.Go(func() { r.Run(ctx) })
		}
	}
	<-ctx.Done()
	wg.Wait()
	return ctx.Err()
}

// ChainError says what each source of a chain answered, in order; the last one
// is where the chain stopped. errors.Is and errors.As reach every attempt.
type ChainError struct {
	Attempts []error
}

// Error lists the attempts.
func (e *ChainError) Error() string {
	texts := make([]string, len(e.Attempts))
	for i, err := range e.Attempts {
		texts[i] = err.Error()
	}
	return "no token: " + strings.Join(texts, "; ")
}

// Unwrap returns the attempts.
func (e *ChainError) Unwrap() []error { return e.Attempts }
