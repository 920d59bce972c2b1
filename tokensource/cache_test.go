package tokensource_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

func cache(t testing.TB, source tokensource.TokenSource, options tokensource.CacheOptions) *tokensource.CachedSource {
	t.Helper()
	c, err := tokensource.Cache(source, options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var errDown = tokensource.NewError("test:token", tokensource.ErrUnavailable, "it is down", nil)

// countingContext counts the calls of its methods.
type countingContext struct {
	context.Context
	looks atomic.Int32
}

func (c *countingContext) Err() error            { c.looks.Add(1); return c.Context.Err() }
func (c *countingContext) Done() <-chan struct{} { c.looks.Add(1); return c.Context.Done() }
func (c *countingContext) Value(any) any         { c.looks.Add(1); return nil }
func (c *countingContext) Deadline() (time.Time, bool) {
	c.looks.Add(1)
	return time.Time{}, false
}

// Guarantee H1.
func TestCache_HitAllocatesNothingAndIgnoresItsContext(t *testing.T) {
	c := cache(t, tokensourcetest.NewSource("abc"), tokensource.CacheOptions{})
	wantToken(t, c, "abc")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	ctx := &countingContext{Context: cancelled}
	allocs := testing.AllocsPerRun(1000, func() {
		if tok, err := c.Token(ctx); err != nil || tok.IsZero() {
			t.Fatalf("a hit gave (%v, %v)", tok, err)
		}
	})
	if allocs != 0 {
		t.Errorf("a hit allocates %v times", allocs)
	}
	if n := ctx.looks.Load(); n != 0 {
		t.Errorf("hits looked at their context %d times", n)
	}
}

// Guarantee H1.
func TestCache_HitTakesNoLock(t *testing.T) {
	// The cache calls String under its lock to make an event. A source that
	// blocks there holds the lock, and hits must still return.
	source := &lockHolder{Source: tokensourcetest.NewSource("abc"), entered: make(chan struct{}), leave: make(chan struct{})}
	c := cache(t, source, tokensource.CacheOptions{})
	tok := wantToken(t, c, "abc")
	source.block.Store(true)
	other := newToken(t, "abc") // equal, so that Invalidate makes an event
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Invalidate(other)
	}()
	<-source.entered
	for range 100 {
		if got := wantToken(t, c, "abc"); !got.Equal(tok) {
			t.Fatal("another token")
		}
	}
	close(source.leave)
	<-done
}

type lockHolder struct {
	*tokensourcetest.Source
	block          atomic.Bool
	entered, leave chan struct{}
}

func (l *lockHolder) String() string {
	if l.block.CompareAndSwap(true, false) {
		close(l.entered)
		<-l.leave
	}
	return "held"
}

// Guarantee H2.
func TestCache_ManyColdCallersMakeOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("abc")
		source.Delay(time.Second)
		c := cache(t, source, tokensource.CacheOptions{})
		var wg sync.WaitGroup
		for range 10_000 {
			wg.Go(func() {
				if tok, err := c.Token(t.Context()); err != nil || tok.Reveal() != "abc" {
					t.Errorf("got (%v, %v)", tok, err)
				}
			})
		}
		wg.Wait()
		if source.Calls() != 1 {
			t.Errorf("%d calls for 10,000 callers, want 1", source.Calls())
		}
	})
}

// Guarantee H4.
func TestCache_ManyColdCallersShareOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := failing(errDown)
		source.Delay(time.Millisecond)
		c := cache(t, source, tokensource.CacheOptions{})
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if _, err := c.Token(t.Context()); !errors.Is(err, tokensource.ErrUnavailable) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if source.Calls() != 1 {
			t.Errorf("%d calls, want 1", source.Calls())
		}
	})
}

// Guarantee H2.
func TestCache_RefreshSurvivesCallerCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("abc")
		source.Delay(10 * time.Second)
		c := cache(t, source, tokensource.CacheOptions{})
		start := time.Now()
		for _, want := range []error{context.DeadlineExceeded, context.Canceled} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if want == context.Canceled {
				time.AfterFunc(time.Second/2, cancel)
			}
			if _, err := c.Token(ctx); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			cancel()
		}
		if took := time.Since(start); took != 1500*time.Millisecond {
			t.Errorf("the callers waited %v, want until their contexts ended", took)
		}
		if s := c.Status(); s.Failures != 0 || s.Err != nil {
			t.Errorf("a caller's cancellation counts as a failure: %+v", s)
		}
		wantToken(t, c, "abc")
		if time.Since(start) != 10*time.Second || source.Calls() != 1 {
			t.Errorf("after %v and %d calls, want the first call's answer", time.Since(start), source.Calls())
		}
	})
}

func TestCache_EndedContextStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("abc")
		c := cache(t, source, tokensource.CacheOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Token(ctx)
		synctest.Wait()
		if !errors.Is(err, context.Canceled) || source.Calls() != 0 {
			t.Errorf("got %v after %d calls", err, source.Calls())
		}
		if want := "test:token: unavailable: gave up waiting: context canceled"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	})
}

type contextKey struct{}

// Guarantee H2.
func TestCache_RefreshHasItsOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var value any
		var deadline time.Time
		source := tokensource.Func(func(ctx context.Context) (tokensource.Token, error) {
			value = ctx.Value(contextKey{})
			deadline, _ = ctx.Deadline()
			<-ctx.Done()
			return tokensource.Token{}, ctx.Err()
		})
		for timeout, want := range map[time.Duration]time.Duration{0: 30 * time.Second, time.Second: time.Second} {
			c := cache(t, source, tokensource.CacheOptions{RefreshTimeout: timeout})
			start := time.Now()
			_, err := c.Token(context.WithValue(t.Context(), contextKey{}, "inherited"))
			synctest.Wait()
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, tokensource.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if value != nil || deadline.Sub(start) != want || time.Since(start) != want {
				t.Errorf("the refresh had value %v and %v to answer, want none and %v", value, deadline.Sub(start), want)
			}
		}
	})
}

// Guarantee H2.
func TestCache_SourceThatIgnoresItsContextHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		release := make(chan struct{})
		tok := newToken(t, "late")
		source := tokensource.Func(func(context.Context) (tokensource.Token, error) {
			calls.Add(1)
			<-release
			return tok, nil
		})
		var events tokensourcetest.Recorder
		c := cache(t, source, tokensource.CacheOptions{OnEvent: events.Record})
		start := time.Now()
		_, err := c.Token(t.Context())
		if !errors.Is(err, tokensource.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("after %v: %v, want a timeout after 30 s", time.Since(start), err)
		}
		for range 10 {
			time.Sleep(time.Minute)
			before := time.Now()
			if _, err := c.Token(t.Context()); err == nil || time.Since(before) != 0 {
				t.Errorf("a read while it hangs: %v after %v, want an error at once", err, time.Since(before))
			}
		}
		if calls.Load() != 1 {
			t.Errorf("%d calls run at once", calls.Load())
		}
		// The cache accepts the late success.
		close(release)
		synctest.Wait()
		wantToken(t, c, "late")
		if s := c.Status(); s.Failures != 0 || s.Err != nil || !s.Ready || calls.Load() != 1 {
			t.Errorf("after the late success: %+v, %d calls", s, calls.Load())
		}
		if got := fmt.Sprint(events.Kinds()); got != "[refresh failed fetched]" {
			t.Errorf("events %s", got)
		}
	})
}

func TestCache_LateFailureCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensource.Func(func(context.Context) (tokensource.Token, error) {
			time.Sleep(time.Minute)
			return tokensource.Token{}, errDown
		})
		var events tokensourcetest.Recorder
		c := cache(t, source, tokensource.CacheOptions{OnEvent: events.Record})
		c.Token(t.Context())
		time.Sleep(time.Minute)
		if n := len(events.Events(tokensource.EventRefreshFailed)); n != 1 || c.Status().Failures != 1 {
			t.Errorf("%d events, %d failures, want 1 of each", n, c.Status().Failures)
		}
		time.Sleep(time.Minute)
		c.Token(t.Context())
		if c.Status().Failures != 2 {
			t.Error("it was not asked again after the late failure")
		}
		time.Sleep(time.Minute)
	})
}

func TestCache_OutlivesSourcesThatPanicOrExit(t *testing.T) {
	for name, c := range map[string]struct {
		crash func()
		says  string
	}{
		"error":  {func() { panic(errors.New(canary)) }, "panicked with a *errors.errorString at cache_test.go:"},
		"text":   {func() { panic("a " + canary) }, "panicked with a string at cache_test.go:"},
		"bounds": {func() { var list []string; list[len(os.Args)] = canary }, "at cache_test.go:"},
		"goexit": {func() { runtime.Goexit() }, "ended its goroutine"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good := newToken(t, "good")
				crashes := true
				source := tokensource.Func(func(context.Context) (tokensource.Token, error) {
					if crashes {
						c.crash()
					}
					return good, nil
				})
				cached := cache(t, source, tokensource.CacheOptions{})
				_, err := cached.Token(t.Context())
				if !errors.Is(err, tokensource.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, want ErrInvalid that says %q", err, c.says)
				}
				tokensourcetest.AssertNoSecret(t, err, canary)
				crashes = false
				time.Sleep(2 * time.Second)
				wantToken(t, cached, "good")
			})
		})
	}
}

// Guarantee H3.
func TestCache_ServesFreshThenStaleThenExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("one")
		c := cache(t, source, tokensource.CacheOptions{})
		wantToken(t, c, "one")
		source.Set("two")
		time.Sleep(4*time.Minute - time.Nanosecond)
		wantToken(t, c, "one")
		synctest.Wait()
		if source.Calls() != 1 {
			t.Error("it was refreshed before 80% of RefreshAfter")
		}
		if s := c.Status(); s.Stale || !s.Ready {
			t.Errorf("while fresh: %+v", s)
		}

		time.Sleep(2*time.Minute + time.Nanosecond)
		if s := c.Status(); !s.Stale || !s.Ready {
			t.Errorf("past RefreshAfter: %+v", s)
		}
		source.Delay(time.Second)
		before := time.Now()
		for range 100 {
			wantToken(t, c, "one") // at once, while one refresh runs behind
		}
		synctest.Wait()
		if source.Calls() != 2 || time.Since(before) != 0 {
			t.Errorf("%d calls, reads waited %v", source.Calls(), time.Since(before))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		wantToken(t, c, "two")

		// The store stays down, and the cache serves "two" until MaxStale.
		fetched := c.Status().Fetched
		source.Delay(0)
		source.Fail(errDown)
		for time.Since(fetched) < 24*time.Hour-time.Minute {
			wantToken(t, c, "two")
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Until(fetched.Add(24*time.Hour - time.Nanosecond)))
		wantToken(t, c, "two")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		since := c.Status().FailingSince
		before = time.Now()
		_, err := c.Token(t.Context())
		if !errors.Is(err, tokensource.ErrUnavailable) || time.Since(before) != 0 {
			t.Errorf("past MaxStale: %v after %v, want the last error at once", err, time.Since(before))
		}
		if s := since.UTC().Format(time.RFC3339); !strings.Contains(err.Error(), s) {
			t.Errorf("%q doesn't say since when, %s", err, s)
		}
		if s := c.Status(); s.Ready || s.Fingerprint != "" || s.Age != 0 || !s.Fetched.Equal(fetched) {
			t.Errorf("past MaxStale: %+v", s)
		}

		source.Set("three")
		time.Sleep(time.Minute)
		wantToken(t, c, "three")
	})
}

// Guarantee H3.
func TestCache_ExpiredCallersJoinTheRunningRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("one")
		c := cache(t, source, tokensource.CacheOptions{RefreshAfter: time.Minute, MaxStale: time.Hour})
		wantToken(t, c, "one")
		time.Sleep(time.Hour)
		source.Set("two")
		source.Delay(5 * time.Second)
		before := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { wantToken(t, c, "two") })
		}
		wg.Wait()
		if source.Calls() != 2 || time.Since(before) != 5*time.Second {
			t.Errorf("%d calls, %v, want the callers to join one", source.Calls(), time.Since(before))
		}
	})
}

// Guarantee H3.
func TestCache_SaysSinceWhenBetweenTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := failing(errDown)
		c := cache(t, source, tokensource.CacheOptions{})
		_, first := c.Token(t.Context())
		if first.Error() != errDown.Error() {
			t.Errorf("who waited got %q, want the answer itself", first)
		}
		_, err := c.Token(t.Context())
		if want := errDown.Error() + " (failing since 2000-01-01T00:00:00Z, tries: 1)"; err.Error() != want {
			t.Errorf("between tries: %q, want %q", err, want)
		}
		if e, ok := errors.AsType[*tokensource.Error](err); !ok || e != errDown || source.Calls() != 1 {
			t.Errorf("%v doesn't lead to the source's error; %d calls", err, source.Calls())
		}
	})
}

// Guarantee H3.
func TestCache_DrawsANewRefreshTimeEachCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("abc")
		c := cache(t, source, tokensource.CacheOptions{RefreshAfter: 100 * time.Second})
		go c.Run(t.Context())
		seen := map[time.Duration]bool{}
		var low, high bool
		last, calls := time.Now(), 0
		for len(seen) < 60 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if n := source.Calls(); n != calls {
				if n != calls+1 {
					t.Fatalf("%d calls in a tenth of a second", n-calls)
				}
				if calls > 0 {
					d := time.Since(last)
					if d < 80*time.Second || d > 120*time.Second+200*time.Millisecond {
						t.Fatalf("refreshed after %v, want 80 s to 120 s", d)
					}
					seen[d] = true
					low, high = low || d < 90*time.Second, high || d > 110*time.Second
				}
				last, calls = time.Now(), n
			}
			if calls > 200 {
				break
			}
		}
		if len(seen) < 20 || !low || !high {
			t.Errorf("%d different times, below 90 s: %v, above 110 s: %v", len(seen), low, high)
		}
	})
}

// Guarantee H3.
func TestCache_ReplacesATokenBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &tokensourcetest.Source{}
		expiring := func(secret string, life time.Duration) {
			source.SetToken(newToken(t, secret).With(tokensource.Metadata{Expiry: time.Now().Add(life)}))
		}
		expiring("one", time.Minute)
		c := cache(t, source, tokensource.CacheOptions{})
		wantToken(t, c, "one")
		time.Sleep(30 * time.Second)
		wantToken(t, c, "one")
		synctest.Wait()
		if source.Calls() != 1 {
			t.Error("it was refreshed in the first half of its life")
		}
		time.Sleep(20 * time.Second)
		wantToken(t, c, "one") // one refresh behind: the store has no other yet
		synctest.Wait()
		if source.Calls() != 2 {
			t.Error("it was not refreshed before its end")
		}
		source.Fail(errDown)
		time.Sleep(9 * time.Second)
		wantToken(t, c, "one")
		time.Sleep(time.Second)
		synctest.Wait() // the timer fires in this same instant
		if tok, err := c.Token(t.Context()); err == nil {
			t.Errorf("%s was served past its expiry", tok.Reveal())
		}
		if c.Status().Ready {
			t.Error("Status calls an expired token ready")
		}
		expiring("two", time.Hour)
		time.Sleep(time.Minute)
		wantToken(t, c, "two")
	})
}

func TestCache_ATokenThatIsNotRenewedIsNotAskedForEverFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &tokensourcetest.Source{}
		source.SetToken(newToken(t, "one").With(tokensource.Metadata{Expiry: time.Now().Add(time.Hour)}))
		c := cache(t, source, tokensource.CacheOptions{RefreshAfter: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		c.Run(ctx)
		// Some 10 tries in the first hour, then one a minute.
		if n := source.Calls(); n < 60 || n > 110 {
			t.Errorf("%d calls in two hours", n)
		}
	})
}

func TestCache_RefusesAnExpiredToken(t *testing.T) {
	source := &tokensourcetest.Source{}
	source.SetToken(newToken(t, canary).With(tokensource.Metadata{Expiry: time.Unix(1e9, 0)}))
	_, err := cache(t, source, tokensource.CacheOptions{}).Token(t.Context())
	if !errors.Is(err, tokensource.ErrInvalid) || !strings.Contains(err.Error(), "expired at 2001-09-09T01:46:40Z") {
		t.Errorf("got %v", err)
	}
	tokensourcetest.AssertNoSecret(t, err, canary)
}

func TestCache_TakesTheLongestDurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("abc")
		const longest = time.Duration(math.MaxInt64)
		c := cache(t, source, tokensource.CacheOptions{RefreshAfter: longest, MaxStale: longest, RefreshTimeout: longest})
		for range 1000 {
			wantToken(t, c, "abc")
			time.Sleep(24 * time.Hour)
		}
		if source.Calls() != 1 {
			t.Errorf("%d calls, want 1", source.Calls())
		}
	})
}

func TestCache_RefreshesAtTwoThirdsWhereMaxStaleIsNearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("abc")
		c := cache(t, source, tokensource.CacheOptions{RefreshAfter: time.Minute, MaxStale: time.Minute})
		go c.Run(t.Context())
		for range 1000 {
			time.Sleep(time.Second)
			if s := c.Status(); !s.Ready {
				t.Fatalf("%v: no token, though the source always has one", time.Now())
			}
		}
		if n := source.Calls(); n < 1000/60 || n > 1000/32+1 {
			t.Errorf("%d calls in 1000 s", n)
		}
	})
}

func TestCache_ReadClockIsNoReasonToFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &tokensourcetest.Source{}
		source.SetToken(newToken(t, "one").With(tokensource.Metadata{Expiry: time.Now().Add(time.Hour)}))
		c := cache(t, source, tokensource.CacheOptions{ReadClock: true})
		for range 100 {
			wantToken(t, c, "one")
		}
		if source.Calls() != 1 {
			t.Errorf("%d calls, want 1", source.Calls())
		}
		time.Sleep(7 * time.Minute)
		release := source.Block()
		for range 100 {
			wantToken(t, c, "one")
			synctest.Wait()
		}
		if source.Calls() != 2 {
			t.Errorf("%d calls, want one more while it runs", source.Calls())
		}
		release()
		synctest.Wait()
		source.Fail(errDown)
		time.Sleep(53 * time.Minute)
		if tok, err := c.Token(t.Context()); err == nil {
			t.Errorf("%s was served past its expiry", tok.Reveal())
		}
	})
}

// fmt reads fields of a struct that other goroutines may write.
func TestCache_PrintsNothingButItsName(t *testing.T) {
	chain, err := tokensource.Chain(tokensourcetest.NewSource("one"), tokensource.Static("two"))
	if err != nil {
		t.Fatal(err)
	}
	c := cache(t, chain, tokensource.CacheOptions{})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		if got := fmt.Sprintf(verb+" "+verb, c, chain); got != chain.String()+" "+chain.String() {
			t.Errorf("%s: %s", verb, got)
		}
	}
}

// backoffBound returns the largest number of tries in a time of failures. The
// pauses grow to half a minute; after that there is one try each 30 s.
func backoffBound(d time.Duration) int { return 7 + int(d/(30*time.Second)) }

// Guarantee H4.
func TestCache_OutageIsRetriedWithBackoffHoweverManyReads(t *testing.T) {
	for _, k := range append([]error{errors.New("foreign"), context.DeadlineExceeded, tokensource.NewError("s", nil, "m", nil)}, allKinds...) {
		for _, warm := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v, warm %v", k, warm), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					source := &tokensourcetest.Source{}
					c := cache(t, source, tokensource.CacheOptions{RefreshAfter: time.Second})
					if warm {
						source.Set("abc")
						wantToken(t, c, "abc")
					}
					before := source.Calls()
					source.Fail(k)
					var tries []time.Time
					for start := time.Now(); time.Since(start) < time.Hour; time.Sleep(100 * time.Millisecond) {
						tok, err := c.Token(t.Context())
						if warm && (err != nil || tok.Reveal() != "abc") || !warm && (err == nil || !errors.Is(err, k)) {
							t.Fatalf("a read in the outage: (%v, %v)", tok, err)
						}
						synctest.Wait()
						if n := source.Calls() - before; n > len(tries) {
							tries = append(tries, time.Now())
						}
					}
					if n := source.Calls() - before; n < 60 || n > backoffBound(time.Hour) || n != len(tries) {
						t.Errorf("%d calls in an hour of 36,000 reads, want 60 to %d", n, backoffBound(time.Hour))
					}
					for i := 1; i < len(tries); i++ {
						want := min(time.Second<<min(i-1, 6), 30*time.Second)
						if d := tries[i].Sub(tries[i-1]); d < want || d > 2*want+200*time.Millisecond {
							t.Errorf("try %d came after %v, want %v to %v", i, d, want, 2*want)
						}
					}
					if s := c.Status(); s.Failures != len(tries) || s.FailingSince.Sub(tries[0]).Abs() > time.Second || s.Ready != warm {
						t.Errorf("after %d tries: %+v", len(tries), s)
					}
					source.Set("healed")
					time.Sleep(time.Minute)
					c.Token(t.Context())
					synctest.Wait()
					wantToken(t, c, "healed")
					if s := c.Status(); s.Failures != 0 || s.Err != nil || !s.FailingSince.IsZero() {
						t.Errorf("once healed: %+v", s)
					}
				})
			})
		}
	}
}

// Guarantee H4.
func TestCache_PausesAtTheLimitAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pauses := map[time.Duration]int{}
		var last time.Time
		c := cache(t, tokensource.Func(func(context.Context) (tokensource.Token, error) {
			if !last.IsZero() {
				pauses[time.Since(last)]++
			}
			last = time.Now()
			return tokensource.Token{}, errDown
		}), tokensource.CacheOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour)
		defer cancel()
		c.Run(ctx)
		for d, n := range pauses {
			if n > 3 || d < time.Second || d > time.Minute {
				t.Errorf("%d pauses were %v", n, d)
			}
		}
	})
}

// Guarantee H5.
func TestCache_InvalidateDropsOnlyThatToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("one")
		c := cache(t, source, tokensource.CacheOptions{})
		one := wantToken(t, c, "one")
		source.Set("two")
		c.Invalidate(one)
		two := wantToken(t, c, "two")
		c.Invalidate(one) // a late 401
		c.Invalidate(tokensource.Token{})
		wantToken(t, c, "two")
		if source.Calls() != 2 {
			t.Errorf("%d calls, want 2: a late 401 must not evict the newer token", source.Calls())
		}
		told := source.Invalidated()
		if len(told) != 2 || !told[0].Equal(one) || !told[1].Equal(one) {
			t.Errorf("the source was told of %d tokens, want both times", len(told))
		}
		if s := c.Status(); s.Rejected || s.Fingerprint != two.Fingerprint() {
			t.Errorf("status %+v", s)
		}
	})
}

// Guarantee H5.
func TestCache_ServesARejectedTokenMarkedAndAsksWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("one")
		c := cache(t, source, tokensource.CacheOptions{})
		one := wantToken(t, c, "one")
		c.Invalidate(one)
		if s := c.Status(); s.Ready {
			t.Errorf("right after: %+v", s)
		}
		start := time.Now()
		soon := 0 // calls while a rotation may be under way
		for time.Since(start) < 4*time.Minute {
			if time.Since(start) <= 10*time.Second {
				soon = source.Calls()
			}
			wantToken(t, c, "one")
			if s := c.Status(); !s.Rejected || !s.Ready || !s.Stale || s.Failures != 0 {
				t.Fatalf("after %v: %+v", time.Since(start), s)
			}
			c.Invalidate(one) // each request gets its 401
			time.Sleep(50 * time.Millisecond)
		}
		if soon < 2+4 || soon > 2+10 {
			t.Errorf("%d calls in ten seconds, want one each 1 to 2 s", soon)
		}
		if n := source.Calls() - soon; n < 4 || n > backoffBound(4*time.Minute) {
			t.Errorf("%d calls more in four minutes", n)
		}
		source.Set("two")
		for range 2 {
			time.Sleep(time.Minute)
			c.Token(t.Context())
			synctest.Wait()
		}
		wantToken(t, c, "two")
		if s := c.Status(); s.Rejected || s.Stale {
			t.Errorf("with a new token: %+v", s)
		}
		n := source.Calls()
		time.Sleep(3 * time.Minute)
		wantToken(t, c, "two")
		synctest.Wait()
		if source.Calls() != n {
			t.Error("the backoff goes on though the token is good")
		}
	})
}

// Guarantee H5.
func TestCache_InvalidateDuringAnOutageKeepsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("one")
		c := cache(t, source, tokensource.CacheOptions{RefreshAfter: time.Second})
		one := wantToken(t, c, "one")
		source.Fail(errDown)
		for range 600 {
			time.Sleep(time.Second)
			synctest.Wait() // a try may be due in this same instant
			wantToken(t, c, "one")
		}
		synctest.Wait()
		n := source.Calls()
		for range 100 {
			c.Invalidate(one)
			if _, err := c.Token(t.Context()); !errors.Is(err, tokensource.ErrUnavailable) {
				t.Errorf("got %v, want the outage", err)
			}
		}
		if source.Calls() != n {
			t.Errorf("%d calls before the next try was due", source.Calls()-n)
		}
	})
}

func TestCache_InvalidateWhileARefreshRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("one")
		c := cache(t, source, tokensource.CacheOptions{})
		one := wantToken(t, c, "one")
		time.Sleep(7 * time.Minute)
		release := source.Block()
		wantToken(t, c, "one")
		synctest.Wait()
		c.Invalidate(one)
		got := make(chan tokensource.Token)
		go func() {
			tok, _ := c.Token(t.Context())
			got <- tok
		}()
		synctest.Wait()
		source.Set("two")
		release()
		if tok := <-got; tok.Reveal() != "two" || source.Calls() != 2 {
			t.Errorf("got %q after %d calls, want the running refresh's answer", tok.Reveal(), source.Calls())
		}
	})
}

// Guarantee H6.
func TestCache_LeavesNoGoroutine(t *testing.T) {
	// A bubble fails the test if a goroutine outlives it.
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource("abc")
		c := cache(t, source, tokensource.CacheOptions{})
		for range 3 {
			wantToken(t, c, "abc")
			time.Sleep(7 * time.Minute)
		}
		source.Fail(errDown)
		c.Token(t.Context())
		time.Sleep(48 * time.Hour)
		c.Token(t.Context())
		c.Invalidate(newToken(t, "abc"))
		synctest.Wait()
	})
}

// Guarantee H6.
func TestCache_IsCollectedThoughItsTimerIsArmed(t *testing.T) {
	var gone atomic.Bool
	pointer := func() weak.Pointer[tokensource.CachedSource] {
		c := cache(t, tokensourcetest.NewSource("abc"), tokensource.CacheOptions{})
		wantToken(t, c, "abc")
		runtime.AddCleanup(c, func(int) { gone.Store(true) }, 0)
		return weak.Make(c)
	}()
	for range 200 {
		runtime.GC()
		if pointer.Value() == nil && gone.Load() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a cache that nobody holds is still alive")
}

// Guarantee H7.
func TestCache_RefusesImpossibleOptions(t *testing.T) {
	var typedNil *tokensourcetest.Source
	good := tokensourcetest.NewSource("abc")
	for name, c := range map[string]struct {
		source  tokensource.TokenSource
		options tokensource.CacheOptions
	}{
		"nil":                       {source: nil},
		"typed nil":                 {source: typedNil},
		"nil func":                  {source: tokensource.Func(nil)},
		"negative RefreshAfter":     {good, tokensource.CacheOptions{RefreshAfter: -1}},
		"negative MaxStale":         {good, tokensource.CacheOptions{MaxStale: -1}},
		"negative RefreshTimeout":   {good, tokensource.CacheOptions{RefreshTimeout: -1}},
		"MaxStale below given":      {good, tokensource.CacheOptions{RefreshAfter: time.Hour, MaxStale: time.Minute}},
		"MaxStale below by default": {good, tokensource.CacheOptions{MaxStale: time.Minute}},
	} {
		if got, err := tokensource.Cache(c.source, c.options); err == nil || got != nil {
			t.Errorf("%s: got (%v, %v), want an error", name, got, err)
		}
	}
	for _, options := range []tokensource.CacheOptions{{}, {RefreshAfter: 48 * time.Hour}, {RefreshAfter: 1, MaxStale: 1}} {
		if _, err := tokensource.Cache(good, options); err != nil {
			t.Errorf("%+v: %v", options, err)
		}
	}
}

// Guarantee H7.
func TestCache_StatusTellsItsState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tokensourcetest.NewSource(canary)
		c := cache(t, source, tokensource.CacheOptions{})
		if s := c.Status(); s != (tokensource.Status{}) || source.Calls() != 0 {
			t.Errorf("before the first read: %+v", s)
		}
		tok := wantToken(t, c, canary)
		fetched := time.Now()
		time.Sleep(time.Minute)
		want := tokensource.Status{Ready: true, Fingerprint: tok.Fingerprint(), Origin: "test:token", Version: "1", Fetched: fetched, Age: time.Minute}
		if s := c.Status(); s != want {
			t.Errorf("got  %+v\nwant %+v", s, want)
		}
		time.Sleep(6 * time.Minute)
		source.Fail(fmt.Errorf("for %s", canary))
		wantToken(t, c, canary)
		synctest.Wait()
		failed := time.Now()
		s := c.Status()
		if !s.Ready || !s.Stale || s.Failures != 1 || !s.FailingSince.Equal(failed) || !errors.Is(s.Err, tokensource.ErrUnavailable) || s.Age != 7*time.Minute {
			t.Errorf("failing: %+v", s)
		}
		tokensourcetest.AssertNoSecret(t, s, canary)
		tokensourcetest.AssertNoSecret(t, s.Err, canary)
		if c.String() != "test:token" {
			t.Errorf("it spells %q", c)
		}
	})
}

// Guarantee H8.
func TestCache_ReportsWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events tokensourcetest.Recorder
		var logs bytes.Buffer
		log := tokensource.LogEvents(slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
		source := tokensourcetest.NewSource(canary)
		c := cache(t, chain(t, kind(tokensource.ErrNotFound), source), tokensource.CacheOptions{
			OnEvent: func(e tokensource.Event) { events.Record(e); log(e) },
		})
		one := wantToken(t, c, canary)
		time.Sleep(7 * time.Minute)
		source.Fail(fmt.Errorf("for %s", canary))
		for range 70 {
			wantToken(t, c, canary)
			synctest.Wait()
			time.Sleep(time.Second / 100)
		}
		source.Set(canary + "2")
		time.Sleep(time.Minute)
		wantToken(t, c, canary)
		synctest.Wait()
		two := wantToken(t, c, canary+"2")
		c.Invalidate(two)
		synctest.Wait()

		kinds, stale := events.Kinds(), 0 // told beside the refresh, it can come at any time of that
		kinds = slices.DeleteFunc(kinds, func(k tokensource.EventKind) bool {
			if k == tokensource.EventServedStale {
				stale++
			}
			return k == tokensource.EventServedStale
		})
		want := "[fell through fetched fell through refresh failed fell through fetched rotated invalidated]"
		if got := fmt.Sprint(kinds); got != want || stale != 1 {
			t.Errorf("served stale %d times, and\n     %s\nwant %s", stale, got, want)
		}
		for _, e := range events.Events() {
			tokensourcetest.AssertNoSecret(t, e, canary)
		}
		if e := events.Events(tokensource.EventRotated); len(e) == 1 && (e[0].Previous != one.Fingerprint() || e[0].Fingerprint != two.Fingerprint() || e[0].Version != "2") {
			t.Errorf("rotated: %+v", e[0])
		}
		if e := events.Events(tokensource.EventServedStale); len(e) == 1 && (e[0].Age != 7*time.Minute || e[0].Fingerprint != one.Fingerprint() || e[0].Source != "test:token") {
			t.Errorf("served stale: %+v", e[0])
		}
		if e := events.Events(tokensource.EventRefreshFailed); len(e) == 1 && (!errors.Is(e[0].Err, tokensource.ErrUnavailable) || e[0].Fingerprint != one.Fingerprint() || e[0].Source != c.String()) {
			t.Errorf("refresh failed: %+v", e[0])
		}
		if how := tokensourcetest.FindSecret(logs.String(), canary); how != "" || !strings.Contains(logs.String(), one.Fingerprint()) {
			t.Errorf("the log: %s\n%s", how, logs.String())
		}
	})
}

// Guarantee H6.
func TestCache_RunKeepsTheTokenWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		c := cache(t, w, tokensource.CacheOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		<-w.ran
		if n := w.Calls(); n < 3*60/6 || n > 3*60/4+1 {
			t.Errorf("%d calls in three hours without a read", n)
		}
		if s := c.Status(); !s.Ready || s.Age > 6*time.Minute+time.Second {
			t.Errorf("after three hours: %+v", s)
		}
		w.Fail(errDown)
		n := w.Calls()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := w.Calls() - n; n < 50 || n > backoffBound(time.Hour) {
			t.Errorf("%d calls in an hour of failing", n)
		}
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run returned %v", err)
		}
		<-w.stopped
		n = w.Calls()
		time.Sleep(time.Hour)
		if w.Calls() != n {
			t.Error("it went on after Run returned")
		}
	})
}

// Guarantee H8.
func TestCache_ReportsAStaleTokenWhenSomebodyIsServedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events tokensourcetest.Recorder
		source := tokensourcetest.NewSource("abc")
		c := cache(t, source, tokensource.CacheOptions{OnEvent: events.Record})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go c.Run(ctx)
		count := func() int { return len(events.Events(tokensource.EventServedStale)) }
		time.Sleep(time.Hour)
		wantToken(t, c, "abc")
		source.Fail(errDown)
		time.Sleep(10 * time.Minute)
		if n := count(); n != 0 {
			t.Errorf("%d reports, though nobody was served a stale token", n)
		}
		for range 100 {
			wantToken(t, c, "abc")
			time.Sleep(time.Second)
		}
		if n := count(); n != 1 {
			t.Errorf("%d reports of a token that is served stale; want 1", n)
		}
		if n := testing.AllocsPerRun(100, func() { c.Token(ctx) }); n != 0 {
			t.Errorf("a read of a stale token allocates %v times", n)
		}
		source.Set("abc")
		time.Sleep(time.Hour)
		source.Fail(errDown)
		time.Sleep(10 * time.Minute)
		wantToken(t, c, "abc")
		if n := count(); n != 2 {
			t.Errorf("%d reports in two outages; want 2", n)
		}
	})
}

func TestCache_ServesManyReadersDuringRotation(t *testing.T) {
	source := tokensourcetest.NewSource("token-0")
	c := cache(t, source, tokensource.CacheOptions{RefreshAfter: time.Microsecond, MaxStale: time.Hour})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				tok, err := c.Token(t.Context())
				if err != nil || !strings.HasPrefix(tok.Reveal(), "token-") {
					t.Errorf("got (%v, %v)", tok.Reveal(), err)
					return
				}
				c.Status()
				if tok.Metadata().Version == "7" {
					c.Invalidate(tok)
				}
			}
		})
	}
	for i := range 200 {
		source.Set(fmt.Sprintf("token-%d", i))
		runtime.Gosched()
	}
	close(stop)
	wg.Wait()
}

func BenchmarkCacheHit(b *testing.B) {
	c := cache(b, tokensourcetest.NewSource("abc"), tokensource.CacheOptions{})
	wantToken(b, c, "abc")
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		c.Token(ctx)
	}
}

func BenchmarkCacheHitParallel(b *testing.B) {
	c := cache(b, tokensourcetest.NewSource("abc"), tokensource.CacheOptions{})
	wantToken(b, c, "abc")
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Token(ctx)
		}
	})
}

// BenchmarkAtomicLoad is the lower bound: a hit makes one such load.
func BenchmarkAtomicLoad(b *testing.B) {
	var p atomic.Pointer[string]
	p.Store(new(string))
	for b.Loop() {
		p.Load()
	}
}
