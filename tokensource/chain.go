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

// rejectedFor bounds how long a rejected token counts as rejected. The bound
// keeps one wrong 401 of the API from disabling a good token for ever.
const rejectedFor = 5 * time.Minute

// ChainSource asks several sources in order; see [Chain]. It is safe for
// concurrent use.
type ChainSource struct {
	// sources is a function, because dump libraries would print the connections
	// of a source, and follow no function.
	sources func() []TokenSource
	kinds   []error // kinds of failure that lead to the next source

	mu   sync.Mutex
	last []attempt // one entry for each source
}

// attempt holds the state that a chain keeps for one source.
type attempt struct {
	returned Token
	rejected Token // the token that got a 401, or zero
	until    time.Time
}

// Chain returns a source that asks the given sources in order and returns the
// first token. Only [ErrNotFound] leads to the next source. Other failures,
// such as an outage or a denial, stop the chain, because it must not quietly
// use another token. [ChainSource.FallThrough] adds kinds that lead on.
//
// If no source supplies a token, Token returns a *[ChainError]. Chain itself
// returns an error for a nil source and for an empty list.
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
	return &ChainSource{sources: func() []TokenSource { return sources }, kinds: kinds, last: make([]attempt, len(sources))}
}

// isNil reports whether s is nil or holds a nil pointer, function or the like.
// A typed nil would panic at its first use.
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

// FallThrough returns a chain of the same sources in which errors of the given
// kinds, too, lead to the next source. The new chain has no memory of
// rejections.
//
// With [ErrUnavailable], an outage of one source leads to the next. With
// [ErrRejected], the chain skips a token that the API refused, while its source
// still returns it, for five minutes at most. If every source has such a token,
// the chain returns the first one. A context that ended always stops the chain.
func (c *ChainSource) FallThrough(kinds ...error) *ChainSource {
	return newChain(c.sources(), slices.Concat(c.kinds, kinds))
}

// String returns the spellings of the sources, separated by commas.
func (c *ChainSource) String() string {
	sources := c.sources()
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = name(s)
	}
	return strings.Join(names, ",")
}

// Format writes the result of String for every verb. Without it fmt would read
// fields while other goroutines write them.
func (c *ChainSource) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// Token returns the first token that a source supplies.
func (c *ChainSource) Token(ctx context.Context) (Token, error) {
	var skipped Token
	var attempts []error
	sources := c.sources()
	for i, source := range sources {
		tok, err := source.Token(ctx)
		tok, err = checked(source, tok, err)
		if err == nil {
			if !c.skip(i, tok) {
				return tok, nil
			}
			if skipped.IsZero() {
				skipped = tok
			}
			err = NewError(name(source), ErrRejected, "the chain skipped this token, because the API refused it", nil)
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
		if i < len(sources)-1 {
			Emit(ctx, Event{Kind: EventFellThrough, Source: name(source), Fingerprint: tok.Fingerprint(), Err: err})
		}
	}
	if !skipped.IsZero() {
		Emit(ctx, Event{
			Kind: EventFellThrough, Source: c.String(), Fingerprint: skipped.Fingerprint(),
			Detail: "the API refused the token of every source that has one; the chain returns the first of them again",
		})
		return skipped, nil
	}
	return Token{}, &ChainError{Attempts: attempts}
}

// fallsThrough reports whether every failure inside err may lead to the next
// source.
func (c *ChainSource) fallsThrough(err error) bool {
	return !slices.ContainsFunc(kinds(err), func(kind error) bool { return !slices.Contains(c.kinds, kind) })
}

// skip records the token of source i and reports whether the chain must skip
// it.
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

// Invalidate passes tok on to all sources. If the chain falls through on
// [ErrRejected], it skips tok from now on.
func (c *ChainSource) Invalidate(tok Token) {
	for _, s := range c.sources() {
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

// Run runs every source that is a [Runner] until ctx ends, and returns the
// error of ctx.
func (c *ChainSource) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, s := range c.sources() {
		if r, ok := s.(Runner); ok {
			wg.Go(func() { r.Run(ctx) })
		}
	}
	<-ctx.Done()
	wg.Wait()
	return ctx.Err()
}

// ChainError holds the error of each source that a chain asked, in order. The
// chain stopped at the last one. errors.Is and errors.As reach every attempt.
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
