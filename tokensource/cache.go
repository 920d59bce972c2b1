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

	// rotationWait bounds the time in which a rotation brings the new token to
	// the source. By default, requests wait for it equally long.
	rotationWait = 10 * time.Second

	// forever is longer than any process lives. Longer durations could overflow
	// when they are added.
	forever = 100 * 365 * 24 * time.Hour
)

// CacheOptions tunes a [Cache]. The zero value is good.
type CacheOptions struct {
	// RefreshAfter is the age at which the cache fetches the token again. Reads
	// are still served meanwhile. Each cycle draws a new value within 20% of
	// it: 5 minutes give 4 to 6. Zero means 5 minutes.
	RefreshAfter time.Duration
	// MaxStale bounds how long the cache serves a token while the source fails.
	// It counts from the last successful fetch. The token's own expiry may come
	// earlier. Zero means 24 hours, or RefreshAfter if that is longer. A
	// smaller value than RefreshAfter is an error.
	MaxStale time.Duration
	// RefreshTimeout is the time limit of one fetch. Zero means 30 seconds.
	RefreshTimeout time.Duration
	// ReadClock makes every read compare the token's expiry with the wall
	// clock. Set it on machines that may be suspended, because timers stand
	// still meanwhile. A read then takes a lock and some 50 ns.
	ReadClock bool
	// OnEvent, if not nil, receives the events of the cache and of the source.
	// It must be safe for concurrent use, and must not block or call the cache.
	OnEvent func(Event)
}

// CachedSource remembers the token of another source; see [Cache]. It is safe
// for concurrent use and must not be copied.
type CachedSource struct {
	// fast is the token that a read may return at once. It is nil when a read
	// must take the lock: the cache has no token, or a refresh or an event is
	// due.
	fast atomic.Pointer[token]

	// source is a function, because dump libraries would print the connections
	// of a source, and follow no function.
	source  func() TokenSource
	options CacheOptions

	mu       sync.Mutex
	current  Token       // zero before the first success, after end and after Invalidate
	fetched  time.Time   // the time at which current came
	end      time.Time   // the time from which current must not be served
	due      time.Time   // the time of the next refresh or, after a failure, of the next try
	call     *call       // the running refresh, or nil
	timer    *time.Timer // fires at due or at end
	pace     int         // refreshes in a row that brought no usable token
	previous string      // fingerprint of the last token seen
	aged     bool        // current is past RefreshAfter
	stale    bool        // EventServedStale was sent for current

	rejected Token     // the API answered 401 to it; the source may still return it
	until    time.Time // the time at which rejected stops to count

	failures int       // the number of failures since the last success
	since    time.Time // the time of the first of these failures
	err      error     // the last of these failures
}

// call is one refresh. Callers wait for done; the refresh sets tok and err
// before it closes done.
type call struct {
	done     chan struct{}
	answered bool // done is closed; the source may still be running
	tok      Token
	err      error
}

// Cache wraps source so that a read costs one atomic load.
//
// Until RefreshAfter, reads return the cached token. After that, and until
// MaxStale, reads still return it while one refresh runs in the background. The
// cache runs one refresh at a time. The refresh has its own context and time
// limit, so a caller who cancels fails no other read.
//
// After a failed refresh the cache waits 1 to 2 seconds before the next try.
// The pause doubles with each failure, up to 1 minute, however many reads come.
// A source that panics counts as one that returned an error. When a source
// ignores its context, the cache stops waiting and starts no other refresh
// until it returns.
//
// A cache needs no closing. It has no goroutine but a running refresh and
// [CachedSource.Run]. A nil source and impossible options are errors.
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
	return &CachedSource{source: func() TokenSource { return source }, options: options}, nil
}

// Token returns the cached token, or fetches one. ctx ends only the wait of
// this caller. While the cache has no token and must wait before its next try,
// Token returns the last failure at once.
func (c *CachedSource) Token(ctx context.Context) (Token, error) {
	if p := c.fast.Load(); p != nil {
		return Token{p: p}, nil
	}
	return c.slow(ctx, true)
}

// slow is a read under the lock. Run calls it with caller false: that read
// starts a due refresh, but does not count as a token served.
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

// gaveUp returns the error for a caller whose context ended.
func (c *CachedSource) gaveUp(ctx context.Context) error {
	return NewError(name(c.source()), ErrUnavailable, "gave up waiting: "+ctx.Err().Error(), ctx.Err())
}

// live reports whether the cache may serve its token. It compares the expiry
// with the wall clock only if ReadClock is set.
func (c *CachedSource) live(now time.Time) bool {
	if c.current.IsZero() || !now.Before(c.end) {
		return false
	}
	expiry := c.current.Metadata().Expiry
	return !c.options.ReadClock || expiry.IsZero() || now.Round(0).Before(expiry.Round(0))
}

// publish sets the token that the next reads see. It also sets the timer for
// the time at which that changes. The timer holds the cache weakly, so that the
// garbage collector can free an unused cache.
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
	told := c.stale || !c.aged // if false, the next read must report EventServedStale
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

// start begins a refresh. Reads meanwhile return the current token, if there is
// one.
func (c *CachedSource) start(now time.Time) {
	c.call = &call{done: make(chan struct{})}
	c.publish(now)
	go c.refresh(c.call)
}

// refresh asks the source once and settles the call. It does so even if the
// source panics, ends its goroutine or ignores its context.
func (c *CachedSource) refresh(call *call) {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.RefreshTimeout)
	defer cancel()
	// At the time limit the waiting callers get an error, even if the source
	// ignores its context.
	stop := context.AfterFunc(ctx, func() {
		message := fmt.Sprintf("no answer within %v", c.options.RefreshTimeout)
		c.settle(call, Token{}, NewError(name(c.source()), ErrUnavailable, message, ctx.Err()), false)
	})
	defer stop()
	tok, err := Token{}, error(NewError(name(c.source()), ErrInvalid, "the source ended its goroutine", nil))
	defer func() {
		// A panic in this goroutine would end the program, because no caller
		// could recover it.
		if v := recover(); v != nil {
			cause, _ := v.(error)
			message := fmt.Sprintf("the source panicked with a %T at %s", v, panicSite())
			tok, err = Token{}, NewError(name(c.source()), ErrInvalid, message, cause)
		}
		c.settle(call, tok, err, true)
	}()
	tok, err = c.source().Token(WithHook(ctx, c.options.OnEvent))
	tok, err = checked(c.source(), tok, err)
}

// panicSite returns the file and line at which the recovered panic began. A
// deferred function calls it.
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

// settle stores the result of a refresh and wakes its waiters. refresh calls it
// when the source has returned, and before that if the time limit passed. The
// waiters get the result of the first call. A token that comes late still
// enters the cache.
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

// accept stores a token that the source returned. It refuses an expired one.
func (c *CachedSource) accept(now time.Time, tok Token) error {
	expiry := tok.Metadata().Expiry
	if !expiry.IsZero() && !now.Before(expiry) {
		return NewError(name(c.source()), ErrInvalid, "the token expired at "+expiry.UTC().Format(time.RFC3339), nil)
	}
	c.current, c.fetched, c.aged, c.stale = tok, now, false, false
	c.failures, c.since, c.err = 0, time.Time{}, nil
	c.end = now.Add(c.options.MaxStale)
	if !expiry.IsZero() && expiry.Before(c.end) {
		c.end = expiry
	}
	if c.isRejected(now) {
		// The cache serves a rejected token, because it has no better one. A
		// rotation may be under way, and requests wait for its token. So the
		// cache keeps asking at a quick pace first, and slows down after
		// rotationWait.
		if now.Before(c.until.Add(rotationWait - rejectedFor)) {
			c.pace = 0
		}
		c.slowDown(now)
		return nil
	}
	c.rejected, c.pace = Token{}, 0
	c.due = now.Add(jitter(c.options.RefreshAfter))
	if !c.due.Before(c.end) {
		// The token ends before its refresh is due. Refresh it at two thirds of
		// its life. The floor limits the rate for a source that can't renew the
		// token.
		c.due = now.Add(max(jitter(c.end.Sub(now)*2/3), minBackoff))
	}
	return nil
}

// fail stores a failure and returns its event.
func (c *CachedSource) fail(now time.Time, err error) Event {
	if c.err == nil {
		c.since = now
	}
	c.err = err
	c.failures++
	c.slowDown(now)
	e := c.event(EventRefreshFailed, c.current)
	e.Source, e.Err = name(c.source()), err
	return e
}

// slowDown postpones the next refresh by 1 to 2 s, then by 2 to 4 s, and so on
// up to 30 to 60 s. The ranges are wide, so that machines which failed together
// don't try again together.
func (c *CachedSource) slowDown(now time.Time) {
	pause := min(minBackoff<<min(c.pace, 6), maxBackoff/2)
	c.due = now.Add(pause + rand.N(pause))
	c.pace++
}

// jitter returns a random duration within 20% of d.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// isRejected reports whether the API answered 401 to the current token, less
// than rejectedFor ago.
func (c *CachedSource) isRejected(now time.Time) bool {
	return !c.rejected.IsZero() && now.Before(c.until) && c.rejected.Equal(c.current)
}

// Invalidate tells the cache that the API answered 401 to tok. The cache drops
// its token only if it equals tok, so a late 401 can't drop a newer token. The
// next read fetches again. Invalidate also tells the wrapped source.
//
// If the source returns the same token again, the cache serves it, and
// [Status].Rejected is true. The cache then asks the source every 1 to 2
// seconds for 10 seconds, because a rotation may be under way. After that it
// asks with backoff.
func (c *CachedSource) Invalidate(tok Token) {
	if tok.IsZero() {
		return
	}
	Invalidate(c.source(), tok)
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

// fetchedEvents returns the events for a token that was just accepted.
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
	e := Event{Kind: kind, Source: name(c.source())}
	if !tok.IsZero() {
		// The token of a chain names the source inside the chain.
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

// String returns the spelling of the wrapped source.
func (c *CachedSource) String() string { return name(c.source()) }

// Format writes the result of String for every verb. Without it fmt would read
// fields while other goroutines write them.
func (c *CachedSource) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// Run refreshes the token when it is due, until ctx ends, and returns the error
// of ctx. It also runs the wrapped source if that is a [Runner]. Without Run,
// the first read after a quiet time returns the older token.
func (c *CachedSource) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if r, ok := c.source().(Runner); ok {
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

// untilDue returns the time to the next refresh, or minBackoff while a refresh
// runs.
func (c *CachedSource) untilDue() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.call != nil {
		return minBackoff
	}
	return max(time.Until(c.due), time.Millisecond)
}

// Status describes a [CachedSource], for readiness probes.
type Status struct {
	// Ready is true if a read would return a token at once.
	Ready bool
	// Fingerprint, Origin and Version describe the cached token, if there is
	// one.
	Fingerprint, Origin, Version string
	// Fetched is the time of the last successful refresh; zero before the
	// first.
	Fetched time.Time
	// Age is the time since Fetched; zero if there is no token.
	Age time.Duration
	// Stale is true if the token's refresh is due or failing, or if Rejected is
	// true.
	Stale bool
	// Rejected is true if the API answered 401 to the token and the source
	// returned the same token again.
	Rejected bool
	// Failures counts the failed refreshes since the last success. FailingSince
	// is the time of the first of them, and Err is the last failure.
	Failures     int
	FailingSince time.Time
	Err          error
}

// Status returns the state of the cache. It never fetches.
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

// failing wraps the last failure for a caller who comes between two tries.
type failing struct {
	err   error
	since time.Time
	tries int
}

func (e *failing) Error() string {
	return fmt.Sprintf("%v (failing since %s, tries: %d)", e.err, e.since.UTC().Format(time.RFC3339), e.tries)
}

func (e *failing) Unwrap() error { return e.err }
