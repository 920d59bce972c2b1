package tokensource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	current  Token     // zero before the first success and after Invalidate
	fetched  time.Time // last success
	due      time.Time // next refresh; after a failure, the next try
	end      time.Time // of current
	rejected Token     // answered 401; source may still return it
	until    time.Time // rejected counts up to here
	previous string    // fingerprint of the last token seen
	stale    bool      // EventServedStale was sent in this cycle
	failures int       // since the last success
	since    time.Time // first of failures
	err      error     // last of failures
	call     *call     // the refresh that runs, or nil
	timer    *time.Timer
}

// call is one refresh. Waiters hold on to done; err is set before it closes.
type call struct {
	done    chan struct{}
	settled bool // the waiters have been answered
	tok     Token
	err     error
}

// Cache wraps source so that a read costs one atomic load. A token is served as
// fresh until RefreshAfter, then still served while one refresh runs behind it,
// until MaxStale. One refresh runs at a time; it has a context and a time limit of
// its own, so that no caller's cancellation fails another's read. Failed
// refreshes are retried with backoff, from 1 second to 1 minute, however many
// reads there are.
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
	return c.slow(ctx)
}

func (c *CachedSource) slow(ctx context.Context) (Token, error) {
	c.mu.Lock()
	now := time.Now()
	c.expire(now)
	if tok := c.current; !tok.IsZero() {
		event := c.refreshBehind(now)
		c.publish(now)
		c.mu.Unlock()
		c.emit(event)
		return tok, nil
	}
	call := c.call
	switch {
	case call != nil && call.settled, call == nil && c.err != nil && now.Before(c.due):
		err := c.failure()
		c.mu.Unlock()
		return Token{}, err
	case ctx.Err() != nil:
		c.mu.Unlock()
		return Token{}, waitError(ctx)
	case call == nil:
		call = c.start()
	}
	c.mu.Unlock()

	select {
	case <-call.done:
		return call.tok, call.err
	case <-ctx.Done():
		return Token{}, waitError(ctx)
	}
}

func waitError(ctx context.Context) error {
	return fmt.Errorf("waiting for a token: %w", ctx.Err())
}

// expire drops a token whose time is over. The wall clock counts, if asked for.
func (c *CachedSource) expire(now time.Time) {
	if c.current.IsZero() {
		return
	}
	if c.options.ReadClock {
		if expiry := c.current.Metadata().Expiry; !expiry.IsZero() && !now.Round(0).Before(expiry.Round(0)) {
			c.current = Token{}
			return
		}
	}
	if !now.Before(c.end) {
		c.current = Token{}
	}
}

// refreshBehind starts a refresh if one is due, and returns the event of it.
func (c *CachedSource) refreshBehind(now time.Time) Event {
	if now.Before(c.due) || c.call != nil {
		return Event{}
	}
	c.start()
	if c.stale {
		return Event{}
	}
	c.stale = true
	return c.event(EventServedStale, c.current)
}

func (c *CachedSource) event(kind EventKind, tok Token) Event {
	e := Event{Kind: kind, Source: name(c.source)}
	if !tok.IsZero() {
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
		if e.Kind != "" {
			c.options.OnEvent(e)
		}
	}
}

// publish sets what the next reads see, and the timer for when that ends. The
// timer holds the cache weakly, so that it doesn't keep it alive.
func (c *CachedSource) publish(now time.Time) {
	if c.current.IsZero() {
		c.fast.Store(nil)
		return
	}
	serve := c.call != nil || now.Before(c.due)
	if serve && !c.options.ReadClock {
		c.fast.Store(c.current.p)
	} else {
		c.fast.Store(nil)
	}
	next := c.end
	if now.Before(c.due) && c.due.Before(next) {
		next = c.due
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	self := weak.Make(c)
	c.timer = time.AfterFunc(next.Sub(now), func() {
		if c := self.Value(); c != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			now := time.Now()
			c.expire(now)
			c.publish(now)
		}
	})
}

// start begins a refresh. c.mu is held.
func (c *CachedSource) start() *call {
	call := &call{done: make(chan struct{})}
	c.call = call
	go c.refresh(call)
	return call
}

func (c *CachedSource) refresh(call *call) {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.RefreshTimeout)
	defer cancel()
	// A source that ignores its context must not hold up the waiters too.
	stop := context.AfterFunc(ctx, func() {
		err := NewError(name(c.source), ErrUnavailable, fmt.Sprintf("no answer within %v", c.options.RefreshTimeout), ctx.Err())
		c.settle(call, Token{}, err)
	})
	defer stop()
	tok, err := Token{}, error(NewError(name(c.source), ErrInvalid, "the source panicked or ended its goroutine", nil))
	defer func() { c.finish(call, tok, err) }()
	tok, err = checked(c.source.Token(WithHook(ctx, c.options.OnEvent)))
}

// finish ends a refresh with the source's answer. A success counts even when
// the waiters have been told of a failure before.
func (c *CachedSource) finish(call *call, tok Token, err error) {
	if err == nil || !c.isSettled(call) {
		c.settle(call, tok, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.call == call {
		c.call = nil
	}
	c.publish(time.Now())
}

func (c *CachedSource) isSettled(call *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return call.settled
}

// settle takes in an answer and wakes those who wait for it.
func (c *CachedSource) settle(call *call, tok Token, err error) {
	c.mu.Lock()
	if call.settled && err != nil {
		c.mu.Unlock()
		return
	}
	now := time.Now()
	var events []Event
	if err == nil {
		tok, err, events = c.accept(now, tok)
	}
	if err != nil {
		events = append(events, c.fail(now, err))
		err = c.failure()
	}
	if !call.settled {
		call.tok, call.err = tok, err
		call.settled = true
		defer close(call.done)
	}
	if call.tok.IsZero() == (err == nil) {
		// A late success: the token is in, the waiters are gone.
		call.settled = true
	}
	c.publish(now)
	c.mu.Unlock()
	c.emit(events...)
}

// accept takes in a token that the source returned.
func (c *CachedSource) accept(now time.Time, tok Token) (Token, error, []Event) {
	expiry := tok.Metadata().Expiry
	if !expiry.IsZero() && !now.Before(expiry) {
		return Token{}, NewError(name(c.source), ErrInvalid, "the token expired at "+expiry.UTC().Format(time.RFC3339), nil), nil
	}
	c.current, c.fetched, c.stale = tok, now, false
	c.end = now.Add(c.options.MaxStale)
	if !expiry.IsZero() && expiry.Before(c.end) {
		c.end = expiry
	}
	c.err, c.since = nil, time.Time{}
	events := []Event{c.event(EventFetched, tok)}
	if fp := tok.Fingerprint(); fp != c.previous {
		if c.previous != "" {
			e := c.event(EventRotated, tok)
			e.Previous = c.previous
			events = append(events, e)
		}
		c.previous = fp
	}
	if c.isRejected(now, tok) {
		// Served, since there is no better, while the source is asked again
		// at the pace of failures.
		c.failures++
		c.due = now.Add(backoff(c.failures))
		return tok, nil, events
	}
	c.rejected, c.failures = Token{}, 0
	c.due = now.Add(jitter(c.options.RefreshAfter, 0.2))
	if c.end.Before(c.due) {
		// A token that ends sooner is replaced before, at two thirds.
		c.due = now.Add(c.end.Sub(now) * 2 / 3)
	}
	return tok, nil, events
}

func (c *CachedSource) isRejected(now time.Time, tok Token) bool {
	return !c.rejected.IsZero() && now.Before(c.until) && c.rejected.Equal(tok)
}

func (c *CachedSource) fail(now time.Time, err error) Event {
	if c.err == nil {
		c.since = now
	}
	c.err = err
	c.failures++
	c.due = now.Add(backoff(c.failures))
	e := c.event(EventRefreshFailed, c.current)
	e.Err = err
	return e
}

// failure returns the last error, with the time of the first one.
func (c *CachedSource) failure() error {
	return &cacheError{since: c.since, tries: c.failures, err: c.err}
}

// Invalidate says that the API answered 401 to tok. Only if it is the cached
// token is it dropped, so that a late answer can't evict a newer one; the next
// read fetches. If the source returns the same token again it is served, Status
// says that it is rejected, and the source is asked again with backoff. The
// wrapped source is told in any case.
func (c *CachedSource) Invalidate(tok Token) {
	if tok.IsZero() {
		return
	}
	Invalidate(c.source, tok)
	c.mu.Lock()
	var event Event
	if now := time.Now(); c.current.Equal(tok) && !c.isRejected(now, tok) {
		event = c.event(EventInvalidated, tok)
		c.rejected, c.until = tok, now.Add(rejectedFor)
		c.current = Token{}
		if c.err == nil {
			c.due = now
		}
		c.publish(now)
	}
	c.mu.Unlock()
	c.emit(event)
}

// String spells the wrapped source.
func (c *CachedSource) String() string { return name(c.source) }

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
		c.Token(ctx)
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
	c.expire(now)
	s := Status{Fetched: c.fetched, Err: c.err, FailingSince: c.since, Failures: c.failures}
	if !c.current.IsZero() {
		meta := c.current.Metadata()
		s.Ready = true
		s.Fingerprint, s.Origin, s.Version = c.current.Fingerprint(), meta.Origin, meta.Version
		s.Age = now.Sub(c.fetched)
		s.Rejected = c.isRejected(now, c.current)
		s.Stale = s.Rejected || c.err != nil || !now.Before(c.due)
	}
	return s
}

// backoff is the pause after the n-th failure in a row: 1 s, 2 s, 4 s, up to a
// minute, each 20% up or down and never above the minute.
func backoff(n int) time.Duration {
	d := maxBackoff
	if n <= 6 {
		d = minBackoff << (n - 1)
	}
	return min(jitter(d, 0.2), maxBackoff)
}

func jitter(d time.Duration, by float64) time.Duration {
	return time.Duration(float64(d) * (1 - by + 2*by*rand.Float64()))
}

// cacheError is a failure, with how long it has been lasting.
type cacheError struct {
	since time.Time
	tries int
	err   error
}

func (e *cacheError) Error() string {
	if e.tries < 2 {
		return e.err.Error()
	}
	return fmt.Sprintf("%v (failing since %s, %d tries)", e.err, e.since.UTC().Format(time.RFC3339), e.tries)
}

func (e *cacheError) Unwrap() error { return e.err }
