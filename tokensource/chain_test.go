package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

var allKinds = []error{
	tokensource.ErrNotFound, tokensource.ErrDenied, tokensource.ErrUnavailable,
	tokensource.ErrInvalid, tokensource.ErrRejected, tokensource.ErrConflict,
}

func failing(err error) *tokensourcetest.Source {
	s := &tokensourcetest.Source{}
	s.Fail(err)
	return s
}

func kind(k error) *tokensourcetest.Source {
	return failing(tokensource.NewError("test:"+k.Error(), k, "a message", nil))
}

func chain(t testing.TB, sources ...tokensource.TokenSource) *tokensource.ChainSource {
	t.Helper()
	c, err := tokensource.Chain(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantToken(t testing.TB, source tokensource.TokenSource, secret string) tokensource.Token {
	t.Helper()
	tok, err := source.Token(t.Context())
	if err != nil {
		t.Fatalf("Token: %v", err)
	}
	if tok.Reveal() != secret {
		t.Fatalf("Token returned %q, want %q", tok.Reveal(), secret)
	}
	return tok
}

// Guarantee C1.
func TestChain_FallsThroughOnNotFoundOnly(t *testing.T) {
	for _, k := range allKinds {
		next := tokensourcetest.NewSource("second")
		tok, err := chain(t, kind(k), next).Token(t.Context())
		if falls := k == tokensource.ErrNotFound; falls != (err == nil) || falls != (next.Calls() == 1) {
			t.Errorf("after %v: token %v, error %v, %d calls of the next source", k, tok, err, next.Calls())
		}
		if err != nil && !errors.Is(err, k) {
			t.Errorf("%v is lost in %v", k, err)
		}
	}
	first, second := tokensourcetest.NewSource("first"), tokensourcetest.NewSource("second")
	wantToken(t, chain(t, first, second), "first")
	if second.Calls() != 0 {
		t.Error("the second source was asked though the first had a token")
	}
}

// Guarantee C1.
func TestChain_StopsAtWhatItDoesNotKnow(t *testing.T) {
	for name, err := range map[string]error{
		"foreign":               io.EOF,
		"not found and foreign": errors.Join(tokensource.ErrNotFound, io.EOF),
		"denied, caused by not found": tokensource.NewError("s", tokensource.ErrDenied, "m",
			tokensource.NewError("s", tokensource.ErrNotFound, "m", nil)),
		"denied, wrapping": fmt.Errorf("%w", errors.Join(tokensource.ErrNotFound, tokensource.ErrDenied)),
	} {
		next := tokensourcetest.NewSource("second")
		if _, err := chain(t, failing(err), next).Token(t.Context()); err == nil || next.Calls() != 0 {
			t.Errorf("%s: it went on to the next source", name)
		}
	}
	wantToken(t, chain(t, failing(fmt.Errorf("my store: %w", tokensource.ErrNotFound)), tokensourcetest.NewSource("second")), "second")
}

// Guarantee C1.
func TestChain_FallThroughWidens(t *testing.T) {
	narrow := chain(t, kind(tokensource.ErrUnavailable), kind(tokensource.ErrDenied), tokensourcetest.NewSource("last"))
	wide := narrow.FallThrough(tokensource.ErrUnavailable, tokensource.ErrDenied)
	wantToken(t, wide, "last")
	wantToken(t, chain(t, kind(tokensource.ErrUnavailable), tokensourcetest.NewSource("last")).FallThrough(tokensource.ErrUnavailable), "last")
	for _, c := range []*tokensource.ChainSource{narrow, narrow.FallThrough(), narrow.FallThrough(nil), narrow.FallThrough(tokensource.ErrUnavailable)} {
		if _, err := c.Token(t.Context()); err == nil {
			t.Error("a chain fell through on what it wasn't told to")
		}
	}
}

// Guarantee C2.
func TestChain_ErrorListsEveryAttempt(t *testing.T) {
	cause := &pointerError{Cause: io.ErrClosedPipe}
	c := chain(t,
		kind(tokensource.ErrNotFound),
		failing(tokensource.NewError("test:two", tokensource.ErrUnavailable, "no route", cause)),
		kind(tokensource.ErrDenied),
	).FallThrough(tokensource.ErrUnavailable)
	_, err := c.Token(t.Context())
	for _, target := range []error{tokensource.ErrNotFound, tokensource.ErrUnavailable, tokensource.ErrDenied, io.ErrClosedPipe} {
		if !errors.Is(err, target) {
			t.Errorf("errors.Is doesn't reach %v", target)
		}
	}
	if _, ok := errors.AsType[*pointerError](err); !ok {
		t.Error("errors.As doesn't reach the cause of an attempt")
	}
	ce, ok := errors.AsType[*tokensource.ChainError](err)
	if !ok || len(ce.Attempts) != 3 {
		t.Fatalf("got %v, want a ChainError of three attempts", err)
	}
	want := "no token: test:not found: not found: a message; test:two: unavailable: no route; test:denied: denied: a message"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

// Guarantee C2.
func TestChain_ReachesContextErrors(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancelLate()
	for _, ctx := range []context.Context{cancelled, late} {
		for name, first := range map[string]tokensource.TokenSource{
			"that heeds it":   tokensourcetest.NewSource("first"),
			"that ignores it": tokensource.Func(func(context.Context) (tokensource.Token, error) { return tokensource.Token{}, tokensource.ErrNotFound }),
			"that is a chain": chain(t, &tokensourcetest.Source{}),
		} {
			next := tokensourcetest.NewSource("second")
			_, err := chain(t, first, next).FallThrough(tokensource.ErrUnavailable).Token(ctx)
			if !errors.Is(err, ctx.Err()) || next.Calls() != 0 {
				t.Errorf("a source %s: %v after %d more calls, want %v after none", name, err, next.Calls(), ctx.Err())
			}
		}
	}
}

func TestChain_ASourcesOwnTimeoutIsAnOutage(t *testing.T) {
	c := chain(t, failing(context.DeadlineExceeded), tokensourcetest.NewSource("second"))
	if _, err := c.Token(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the source's timeout", err)
	}
	wantToken(t, c.FallThrough(tokensource.ErrUnavailable), "second")
}

// Guarantee C3.
func TestChain_RefusesNoSourcesAndNil(t *testing.T) {
	var source *tokensourcetest.Source
	for name, sources := range map[string][]tokensource.TokenSource{
		"none":      nil,
		"nil":       {tokensourcetest.NewSource("a"), nil},
		"typed nil": {tokensourcetest.NewSource("a"), source},
		"nil func":  {tokensource.Func(nil)},
		"nil chain": {(*tokensource.ChainSource)(nil)},
		"nil cache": {(*tokensource.CachedSource)(nil)},
	} {
		if c, err := tokensource.Chain(sources...); err == nil || c != nil {
			t.Errorf("%s: got (%v, %v), want an error", name, c, err)
		}
	}
}

// Guarantee C3.
func TestChain_OfChainsFallsThroughOnlyIfAllDid(t *testing.T) {
	none, denied := kind(tokensource.ErrNotFound), kind(tokensource.ErrDenied)
	last := tokensourcetest.NewSource("last")
	wantToken(t, chain(t, chain(t, none, none), last), "last")
	wantToken(t, chain(t, chain(t, none, chain(t, none)), chain(t, none, last)), "last")
	for _, inner := range []*tokensource.ChainSource{chain(t, none, denied), chain(t, none, chain(t, none, denied))} {
		if _, err := chain(t, inner, last).Token(t.Context()); !errors.Is(err, tokensource.ErrDenied) {
			t.Errorf("got %v, want the denial", err)
		}
	}
	wantToken(t, chain(t, chain(t, none, denied), last).FallThrough(tokensource.ErrDenied), "last")
	if _, err := chain(t, chain(t, none, kind(tokensource.ErrInvalid)).FallThrough(tokensource.ErrInvalid), last).Token(t.Context()); err == nil {
		t.Error("the outer chain fell through on what only the inner one does")
	}
	if got := chain(t, chain(t, none, last), last).String(); got != "test:token,test:token,test:token" {
		t.Errorf("it spells %q", got)
	}
}

func TestChain_OfCachesFallsThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for k, want := range map[error]bool{tokensource.ErrNotFound: true, tokensource.ErrDenied: false} {
			cache, err := tokensource.Cache(kind(k), tokensource.CacheOptions{})
			if err != nil {
				t.Fatal(err)
			}
			c := chain(t, cache, tokensourcetest.NewSource("last"))
			for range 2 { // the failure itself, and the error between two tries
				if _, err := c.Token(t.Context()); (err == nil) != want {
					t.Errorf("%v behind a cache: %v", k, err)
				}
			}
		}
	})
}

// Guarantee C4.
func TestChain_SkipsARejectedTokenForFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := tokensourcetest.NewSource("one"), tokensourcetest.NewSource("two")
		c := chain(t, first, second).FallThrough(tokensource.ErrRejected)
		one := wantToken(t, c, "one")
		c.Invalidate(one)
		wantToken(t, c, "two")
		if len(first.Invalidated()) != 1 || len(second.Invalidated()) != 1 {
			t.Error("the sources were not told")
		}
		time.Sleep(4 * time.Minute)
		c.Invalidate(one) // a late one doesn't prolong it
		wantToken(t, c, "two")
		time.Sleep(time.Minute - 1)
		wantToken(t, c, "two")
		time.Sleep(time.Nanosecond)
		wantToken(t, c, "one")
		c.Invalidate(one)
		wantToken(t, c, "two")

		// The chain returns another token of the same source at once. It then
		// forgets the source's rejected fingerprint.
		first.Set("new")
		wantToken(t, c, "new")
		first.Set("one")
		wantToken(t, c, "one")
	})
}

// Guarantee C4.
func TestChain_RejectionConcernsOnlyWhatTheSourceReturned(t *testing.T) {
	first, second := tokensourcetest.NewSource("one"), tokensourcetest.NewSource("two")
	c := chain(t, first, second).FallThrough(tokensource.ErrRejected)
	one := wantToken(t, c, "one")
	first.Set("newer")
	wantToken(t, c, "newer")
	c.Invalidate(one)
	wantToken(t, c, "newer")
	c.Invalidate(tokensource.Token{})
	wantToken(t, c, "newer")

	plain := chain(t, tokensourcetest.NewSource("one"), second)
	plain.Invalidate(wantToken(t, plain, "one"))
	wantToken(t, plain, "one")
}

// Guarantee C4.
func TestChain_ReturnsTheFirstIfAllAreRejected(t *testing.T) {
	var events tokensourcetest.Recorder
	ctx := tokensource.WithHook(t.Context(), events.Record)
	c := chain(t, tokensourcetest.NewSource("one"), tokensourcetest.NewSource("two"), kind(tokensource.ErrNotFound)).FallThrough(tokensource.ErrRejected)
	one := wantToken(t, c, "one")
	c.Invalidate(one)
	c.Invalidate(wantToken(t, c, "two"))
	tok, err := c.Token(ctx)
	if err != nil || !tok.Equal(one) {
		t.Fatalf("got (%v, %v), want the first", tok.Reveal(), err)
	}
	got := events.Events(tokensource.EventFellThrough)
	if len(got) != 3 {
		t.Fatalf("%d events, want two tokens passed over and one that says so", len(got))
	}
	for _, e := range got[:2] {
		if !errors.Is(e.Err, tokensource.ErrRejected) || e.Fingerprint == "" {
			t.Errorf("the event %v doesn't say which token was passed over", e)
		}
	}
	if e := got[2]; e.Fingerprint != one.Fingerprint() || !strings.Contains(e.Detail, "first") || e.Source != c.String() {
		t.Errorf("the last event is %+v", e)
	}

	denied := chain(t, tokensourcetest.NewSource("one"), kind(tokensource.ErrDenied)).FallThrough(tokensource.ErrRejected)
	denied.Invalidate(wantToken(t, denied, "one"))
	if _, err := denied.Token(t.Context()); !errors.Is(err, tokensource.ErrRejected) || !errors.Is(err, tokensource.ErrDenied) {
		t.Errorf("got %v, want the rejection and the denial", err)
	}
}

// Guarantee H8.
func TestChain_ReportsFallingThrough(t *testing.T) {
	var events tokensourcetest.Recorder
	ctx := tokensource.WithHook(t.Context(), events.Record)
	none := kind(tokensource.ErrNotFound)
	if _, err := chain(t, none, tokensourcetest.NewSource("a")).Token(ctx); err != nil {
		t.Fatal(err)
	}
	got := events.Events()
	if len(got) != 1 || got[0].Kind != tokensource.EventFellThrough || got[0].Source != "test:token" || !errors.Is(got[0].Err, tokensource.ErrNotFound) {
		t.Errorf("events %+v, want that it fell through", got)
	}
	chain(t, none).Token(ctx)
	if n := len(events.Events()); n != 1 {
		t.Error("an event says it fell through where no source follows")
	}
}

// Guarantee K4.
func TestChain_ErrorsHoldNoSecret(t *testing.T) {
	for name, cause := range leakyErrors() {
		t.Run(name, func(t *testing.T) {
			var events tokensourcetest.Recorder
			c := chain(t, failing(cause), failing(cause), failing(fmt.Errorf("%s %w", canary, tokensource.ErrDenied))).FallThrough(tokensource.ErrUnavailable)
			_, err := c.Token(tokensource.WithHook(t.Context(), events.Record))
			tokensourcetest.AssertNoSecret(t, err, canary)
			if len(events.Events()) != 2 {
				t.Errorf("%d events", len(events.Events()))
			}
			for _, e := range events.Events() {
				tokensourcetest.AssertNoSecret(t, e, canary)
			}
		})
	}
}

// worker is a Runner that records whether it ran and stopped.
type worker struct {
	*tokensourcetest.Source
	ran, stopped chan struct{}
}

func newWorker() worker {
	return worker{tokensourcetest.NewSource("abc"), make(chan struct{}), make(chan struct{})}
}

func (w worker) Run(ctx context.Context) error {
	close(w.ran)
	defer close(w.stopped)
	<-ctx.Done()
	return ctx.Err()
}

func TestChain_RunsItsRunners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workers := []worker{newWorker(), newWorker()}
		c := chain(t, workers[0], tokensourcetest.NewSource("x"), chain(t, workers[1]))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		synctest.Wait()
		for _, w := range workers {
			<-w.ran
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		for _, w := range workers {
			<-w.stopped
		}
	})
}

func TestChain_KeepsItsOwnListOfSources(t *testing.T) {
	sources := []tokensource.TokenSource{tokensourcetest.NewSource("one"), tokensourcetest.NewSource("two")}
	c := chain(t, sources...)
	slices.Reverse(sources)
	wantToken(t, c, "one")
}
