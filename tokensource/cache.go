package tokensource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

const (
	defaultRefreshAfter   = 5 * time.Minute
	defaultMaxStale       = 24 * time.Hour
	defaultRefreshTimeout = 30 * time.Second

	minBackoff = time.Second
	maxBackoff = time.Minute

	// rotationWait is how long a rotation may take until the source has the new
	// token: as long as a request waits for it by default.
	rotationWait = 10 * time.Second

	// forever is longer than any process lives. Sums with more can overflow.
	forever = 100 * 365 * 24 * time.Hour
)

// CacheOptions tunes a [Cache]. The zero value is good.
type CacheOptions struct {
	// RefreshAfter is the age at which a token is fetched anew, behind the
	// reads that go on being served. Each cycle draws a new value from 20%
	// below to 20% above it: 5 minutes give 4 to 6. Zero is 5 minutes.
	RefreshAfter time.Duration
	// MaxStale is how long after its last successful fetch a token is still
	// served while the source fails. A token's own expiry ends it earlier.
	// Zero is 24 hours. It must not be below RefreshAfter.
	MaxStale time.Duration
	// RefreshTimeout is the time limit of one fetch. Zero is 30 seconds.
	RefreshTimeout time.Duration
	// ReadClock compares a token's expiry with the wall clock at every read
	// (some 50 ns and a lock). Timers, on which a cache relies otherwise,
	// stand still while a machine is suspended.
	ReadClock bool
	// OnEvent, if not nil, is told what the cache and the source do. It
	// must be safe for concurrent use and must not block or call the cache.
	OnEvent func(Event)
}

// CachedSource is a source with a memory; see [Cache]. It is safe for
// concurrent use and must not be copied.
type CachedSource struct {
	// fast is the token to serve with no further thought, or nil where a
	// read must look closer: nothing there, expired, or a refresh is due.
	fast atomic.Pointer[token]

	source  TokenSource
	options CacheOptions

	mu       sync.Mutex
	current  Token       // zero before the first success, at the end and after Invalidate
	fetched  time.Time   // when current came
	end      time.Time   // of current
	due      time.Time   // the next refresh; after a failure, the next try
	call     *call       // the refresh that runs, or nil
	timer    *time.Timer // until due or end
	pace     int         // refreshes in a row that brought nothing usable
	previous string      // fingerprint of the last token seen
	aged     bool        // current is past RefreshAfter
	stale    bool        // and was served so: EventServedStale was sent

	rejected Token     // answered 401; source may still return it
	until    time.Time // rejected counts up to here

	failures int       // since the last success
	since    time.Time // first of failures
	err      error     // last of failures
}

// call is one refresh. Who waits for it holds on to done; the rest is set before
// it closes.
type call struct {
	done     chan struct{}
	answered bool // done is closed, though the source may still be at it
	tok      Token
	err      error
}

// Cache wraps source so that a read costs one atomic load. A token is served as
// fresh until RefreshAfter, then still served while one refresh runs behind it,
// until MaxStale. One refresh runs at a time; it has a context and a time limit of
// its own, so that no caller's cancellation fails another's read. Failed
// refreshes are retried with backoff, from 1 second to 1 minute, however many
// reads there are. A source that panics has failed, like one that returns an
// error; one that ignores its context is left alone until it returns.
//
// A cache needs no closing and has no goroutine but a running refresh; see
// [CachedSource.Run]. Nil sources and impossible options are errors.
func Cache(source TokenSource, options CacheOptions) (*CachedSource, error) {
	if isNil(source) {
		return nil, errors.New("tokensource: Cache needs a source, got nil")
	}
	if options.RefreshAfter < 0 || options.MaxStale < 0 || options.RefreshTimeout < 0 {
		return nil, errors.New("tokensource: the durations of CacheOptions must not be negative")
	}
	options.RefreshAfter = cmp.Or(options.RefreshAfter, defaultRefreshAfter)
	options.MaxStale = cmp.Or(options.MaxStale, max(defaultMaxStale, options.RefreshAfter))
	options.RefreshTimeout = cmp.Or(options.RefreshTimeout, defaultRefreshTimeout)
	options.RefreshAfter = min(options.RefreshAfter, forever)
	options.MaxStale = min(options.MaxStale, forever)
	if options.MaxStale < options.RefreshAfter {
		return nil, fmt.Errorf("tokensource: CacheOptions.MaxStale (%v) is below RefreshAfter (%v)", options.MaxStale, options.RefreshAfter)
	}
	return &CachedSource{source: source, options: options}, nil
}

// Token returns the cached token, or fetches it. Only a caller that has to wait
// looks at ctx. While there is no token and the next try is not due it returns
// the last failure at once.
func (c *CachedSource) Token(ctx context.Context) (Token, error) {
	if p := c.fast.Load(); p != nil {
		return Token{p: p}, nil
	}
	return c.slow(ctx, true)
}

// slow is a read by a caller, or by Run, whom it serves nothing.
func (c *CachedSource) slow(ctx context.Context, caller bool) (Token, error) {
	c.mu.Lock()
	now := time.Now()
	if c.live(now) {
		tok := c.current
		due := c.call == nil && !now.Before(c.due)
		c.aged = c.aged || due
		report := caller && c.aged && !c.stale
		c.stale = c.stale || report
		switch {
		case due:
			c.start(now)
		case report:
			c.publish(now)
		}
		var events []Event
		if report {
			events = append(events, c.event(EventServedStale, tok))
		}
		c.mu.Unlock()
		c.emit(events...)
		return tok, nil
	}
	var err error
	switch running := c.call != nil; {
	case running && c.call.answered, !running && c.err != nil && now.Before(c.due):
		err = &failing{err: c.err, since: c.since, tries: c.failures}
	case ctx.Err() != nil:
		err = c.gaveUp(ctx)
	case !running:
		c.start(now)
	}
	call := c.call
	c.mu.Unlock()
	if err != nil {
		return Token{}, err
	}

	select {
	case <-call.done:
		return call.tok, call.err
	case <-ctx.Done():
		return Token{}, c.gaveUp(ctx)
	}
}

// gaveUp is the error of a caller who stopped waiting.
func (c *CachedSource) gaveUp(ctx context.Context) error {
	return NewError(name(c.source), ErrUnavailable, "gave up waiting: "+ctx.Err().Error(), ctx.Err())
}

// live reports whether there is a token to serve. The wall clock counts, if
// asked for.
func (c *CachedSource) live(now time.Time) bool {
	if c.current.IsZero() || !now.Before(c.end) {
		return false
	}
	expiry := c.current.Metadata().Expiry
	return !c.options.ReadClock || expiry.IsZero() || now.Round(0).Before(expiry.Round(0))
}

// publish sets what the next reads see, and the timer for when that ends. The
// timer holds the cache weakly, so that it doesn't keep it alive.
func (c *CachedSource) publish(now time.Time) {
	if c.timer != nil {
		c.timer.Stop()
	}
	if !c.live(now) {
		c.current = Token{}
		c.fast.Store(nil)
		return
	}
	waiting := now.Before(c.due)
	told := c.stale || !c.aged // else the next read comes by, to report it
	if (waiting || c.call != nil) && told && !c.options.ReadClock {
		c.fast.Store(c.current.p)
	} else {
		c.fast.Store(nil)
	}
	next := c.end
	if waiting && c.due.Before(next) {
		next = c.due
	}
	self := weak.Make(c)
	c.timer = time.AfterFunc(next.Sub(now), func() {
		if c := self.Value(); c != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.publish(time.Now())
		}
	})
}

// start begins a refresh. While it runs, a token that is there is served fast.
func (c *CachedSource) start(now time.Time) {
	c.call = &call{done: make(chan struct{})}
	c.publish(now)
	go c.refresh(c.call)
}

// refresh asks the source once and settles the call, whatever the source does.
func (c *CachedSource) refresh(call *call) {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.RefreshTimeout)
	defer cancel()
	// A source that ignores its context must not hold up the waiters too.
	stop := context.AfterFunc(ctx, func() {
		message := fmt.Sprintf("no answer within %v", c.options.RefreshTimeout)
		c.settle(call, Token{}, NewError(name(c.source), ErrUnavailable, message, ctx.Err()), false)
	})
	defer stop()
	tok, err := Token{}, error(NewError(name(c.source), ErrInvalid, "the source ended its goroutine", nil))
	defer func() {
		// No caller could recover this panic: it would end the program.
		if v := recover(); v != nil {
			cause, _ := v.(error)
			message := fmt.Sprintf("the source panicked with a %T at %s", v, panicSite())
			tok, err = Token{}, NewError(name(c.source), ErrInvalid, message, cause)
		}
		c.settle(call, tok, err, true)
	}()
	tok, err = c.source.Token(WithHook(ctx, c.options.OnEvent))
	tok, err = checked(c.source, tok, err)
}

// panicSite finds where the panic began that a deferred function recovered.
func panicSite() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// settle takes in an answer and wakes those who wait for it. It is called when
// the source has returned, and maybe once before, when its time was over; the
// waiters go with the first, but a success counts also when it comes late.
func (c *CachedSource) settle(call *call, tok Token, err error, returned bool) {
	c.mu.Lock()
	now := time.Now()
	if returned {
		c.call = nil
	}
	var events []Event
	if err == nil {
		if err = c.accept(now, tok); err == nil {
			events = c.fetchedEvents()
		} else {
			tok = Token{}
		}
	}
	if !call.answered {
		if err != nil {
			events = append(events, c.fail(now, err))
		}
		call.tok, call.err, call.answered = tok, err, true
		close(call.done)
	}
	c.publish(now)
	c.mu.Unlock()
	c.emit(events...)
}

// accept takes in a token that the source returned.
func (c *CachedSource) accept(now time.Time, tok Token) error {
	expiry := tok.Metadata().Expiry
	if !expiry.IsZero() && !now.Before(expiry) {
		return NewError(name(c.source), ErrInvalid, "the token expired at "+expiry.UTC().Format(time.RFC3339), nil)
	}
	c.current, c.fetched, c.aged, c.stale = tok, now, false, false
	c.failures, c.since, c.err = 0, time.Time{}, nil
	c.end = now.Add(c.options.MaxStale)
	if !expiry.IsZero() && expiry.Before(c.end) {
		c.end = expiry
	}
	if c.isRejected(now) {
		// Served, since there is no better. A rotation that is under way soon
		// brings another, for which requests wait: only after that is the
		// source asked less and less often.
		if now.Before(c.until.Add(rotationWait - rejectedFor)) {
			c.pace = 0
		}
		c.slowDown(now)
		return nil
	}
	c.rejected, c.pace = Token{}, 0
	c.due = now.Add(jitter(c.options.RefreshAfter))
	if !c.due.Before(c.end) {
		// A token that ends sooner is replaced before, at two thirds of its
		// life. The floor keeps a source that can't renew it from being
		// asked ever faster.
		c.due = now.Add(max(jitter(c.end.Sub(now)*2/3), minBackoff))
	}
	return nil
}

// fail takes in a failure and returns its event.
func (c *CachedSource) fail(now time.Time, err error) Event {
	if c.err == nil {
		c.since = now
	}
	c.err = err
	c.failures++
	c.slowDown(now)
	e := c.event(EventRefreshFailed, c.current)
	e.Source, e.Err = name(c.source), err
	return e
}

// slowDown puts off the next refresh: by 1 to 2 s, 2 to 4 s, 4 to 8 s, up to 30
// to 60 s. The spread is wide, so that the members of a fleet which failed
// together don't come back together.
func (c *CachedSource) slowDown(now time.Time) {
	pause := min(minBackoff<<min(c.pace, 6), maxBackoff/2)
	c.due = now.Add(pause + rand.N(pause))
	c.pace++
}

// jitter returns d, 20% up or down.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// isRejected reports whether the current token got a 401.
func (c *CachedSource) isRejected(now time.Time) bool {
	return !c.rejected.IsZero() && now.Before(c.until) && c.rejected.Equal(c.current)
}

// Invalidate says that the API answered 401 to tok. Only if it is the cached
// token is it dropped, so that a late answer can't evict a newer one; the next
// read fetches. If the source returns the same token again it is served, Status
// says that it is rejected, and the source is asked again: each 1 to 2 seconds
// for 10 seconds, since a rotation may be under way, then with backoff. The
// wrapped source is told in any case.
func (c *CachedSource) Invalidate(tok Token) {
	if tok.IsZero() {
		return
	}
	Invalidate(c.source, tok)
	c.mu.Lock()
	now := time.Now()
	if !c.current.Equal(tok) || c.isRejected(now) {
		c.mu.Unlock()
		return
	}
	event := c.event(EventInvalidated, tok)
	c.rejected, c.until = tok, now.Add(rejectedFor)
	c.current = Token{}
	c.publish(now)
	c.mu.Unlock()
	c.emit(event)
}

// fetchedEvents are the events of a token that was just accepted.
func (c *CachedSource) fetchedEvents() []Event {
	events := []Event{c.event(EventFetched, c.current)}
	previous := c.previous
	c.previous = c.current.Fingerprint()
	if previous != "" && previous != c.previous {
		e := c.event(EventRotated, c.current)
		e.Previous = previous
		events = append(events, e)
	}
	return events
}

func (c *CachedSource) event(kind EventKind, tok Token) Event {
	e := Event{Kind: kind, Source: name(c.source)}
	if !tok.IsZero() {
		// A chain's token tells which of its sources it is from.
		e.Source = cmp.Or(tok.Metadata().Origin, e.Source)
		e.Fingerprint, e.Version = tok.Fingerprint(), tok.Metadata().Version
		e.Age = time.Since(c.fetched)
	}
	return e
}

func (c *CachedSource) emit(events ...Event) {
	if c.options.OnEvent == nil {
		return
	}
	for _, e := range events {
		c.options.OnEvent(e)
	}
}

// String spells the wrapped source.
func (c *CachedSource) String() string { return name(c.source) }

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (c *CachedSource) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// Run keeps the token warm until ctx ends, whose error it returns, and runs the
// wrapped source if that is a [Runner]. Without it the first read after a quiet
// time is served the older token.
func (c *CachedSource) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if r, ok := c.source.(Runner); ok {
		wg.Go(func() { r.Run(ctx) })
	}
	for {
		c.slow(ctx, false)
		timer := time.NewTimer(c.untilDue())
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// untilDue is the time to the next refresh. While one runs, it is a backoff.
func (c *CachedSource) untilDue() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.call != nil {
		return minBackoff
	}
	return max(time.Until(c.due), time.Millisecond)
}

// Status is the state of a [CachedSource], enough for a readiness probe.
type Status struct {
	// Ready says that a read would return a token at once.
	Ready bool
	// Fingerprint, Origin and Version name the cached token, if any.
	Fingerprint, Origin, Version string
	// Fetched is when the last successful refresh ended; zero if none did.
	Fetched time.Time
	// Age is the time since Fetched; zero if there is no token.
	Age time.Duration
	// Stale says that the token is past RefreshAfter or failing to refresh.
	Stale bool
	// Rejected says that the API answered 401 to the token and that the
	// source still returns it.
	Rejected bool
	// Failures counts the failed refreshes since the last good one,
	// FailingSince is when the first of them ended, Err is the last.
	Failures     int
	FailingSince time.Time
	Err          error
}

// Status returns the state of the cache. It doesn't fetch.
func (c *CachedSource) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	s := Status{Fetched: c.fetched, Err: c.err, FailingSince: c.since, Failures: c.failures}
	if c.live(now) {
		meta := c.current.Metadata()
		s.Ready = true
		s.Fingerprint, s.Origin, s.Version = c.current.Fingerprint(), meta.Origin, meta.Version
		s.Age = now.Sub(c.fetched)
		s.Rejected = c.isRejected(now)
		s.Stale = s.Rejected || c.err != nil || !now.Before(c.due)
	}
	return s
}

// failing is the last error, for a caller who comes between two tries.
type failing struct {
	err   error
	since time.Time
	tries int
}

func (e *failing) Error() string {
	return fmt.Sprintf("%v (failing since %s, tries: %d)", e.err, e.since.UTC().Format(time.RFC3339), e.tries)
}

func (e *failing) Unwrap() error { return e.err }
