package sourcekit_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

func TestFlight_ManyCallersShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flight sourcekit.Flight[int32]
		var calls atomic.Int32
		call := func(context.Context) (int32, error) {
			time.Sleep(time.Second)
			return calls.Add(1), nil
		}
		for round := range int32(2) {
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					if got, err := flight.Do(t.Context(), call); got != round+1 || err != nil {
						t.Errorf("got %d, %v; want %d", got, err, round+1)
					}
				})
			}
			wg.Wait()
		}
	})
}

func TestFlight_IsDetachedFromItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var flight sourcekit.Flight[string]
		call := func(ctx context.Context) (string, error) {
			if ctx.Value(key{}) != nil {
				t.Error("the call has a caller's value")
			}
			select {
			case <-time.After(10 * time.Second):
				return "done", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, true), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := flight.Do(ctx, call); err != context.DeadlineExceeded || time.Since(began) != time.Second {
			t.Errorf("got %v after %v, want the error of the context after 1s", err, time.Since(began))
		}
		got, err := flight.Do(t.Context(), func(context.Context) (string, error) { return "another call", nil })
		if got != "done" || err != nil {
			t.Errorf("got %q, %v; want the result of the first call", got, err)
		}
		if _, err := flight.Do(ctx, func(context.Context) (string, error) { t.Error("called"); return "", nil }); err == nil {
			t.Error("a caller whose context has ended got no error")
		}
	})
}

func TestFlight_StartServesNobodyButTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flight sourcekit.Flight[int]
		flight.Start(func(context.Context) (int, error) { time.Sleep(time.Second); return 1, nil })
		flight.Start(func(context.Context) (int, error) { return 2, nil })
		if got, err := flight.Do(t.Context(), func(context.Context) (int, error) { return 3, nil }); got != 1 || err != nil {
			t.Errorf("got %d, %v; want what was started", got, err)
		}
	})
}

func TestFlight_TimeLimit(t *testing.T) {
	for name, test := range map[string]struct{ timeout, want time.Duration }{
		"its own": {5 * time.Second, 5 * time.Second},
		"none":    {0, 30 * time.Second},
		"below 0": {-1, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				flight := sourcekit.Flight[int]{Name: "the login", Timeout: test.timeout}
				began := time.Now()
				_, err := flight.Do(t.Context(), func(ctx context.Context) (int, error) {
					<-ctx.Done()
					return 0, errors.New("the server was silent")
				})
				if err == nil || err.Error() != "the server was silent" || time.Since(began) != test.want {
					t.Errorf("got %v after %v, want the call's own error after %v", err, time.Since(began), test.want)
				}
				release := make(chan struct{})
				_, err = flight.Do(t.Context(), func(context.Context) (int, error) { <-release; return 1, nil })
				if !errors.Is(err, tokensource.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) ||
					!strings.Contains(err.Error(), "the login took longer than "+test.want.String()) {
					t.Errorf("a call that hangs: got %v", err)
				}
				close(release)
				synctest.Wait()
				if got, err := flight.Do(t.Context(), func(context.Context) (int, error) { return 2, nil }); got != 2 || err != nil {
					t.Errorf("after a call that was abandoned: got %d, %v; want 2", got, err)
				}
			})
		})
	}
}

func TestFlight_SurvivesACallThatPanics(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("canary-0815") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var flight sourcekit.Flight[int]
			for range 2 {
				_, err := flight.Do(t.Context(), func(context.Context) (int, error) { fail(); return 1, nil })
				if !errors.Is(err, tokensource.ErrInvalid) || strings.Contains(err.Error(), "canary") {
					t.Errorf("got %v, want ErrInvalid without the panic's value", err)
				}
			}
		})
	}
}

func TestBackoff_DoublesUpToAMinute(t *testing.T) {
	for n, want := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second,
		7: time.Minute, 8: time.Minute, 1 << 40: time.Minute,
	} {
		low, high := time.Hour, time.Duration(0)
		for range 1000 {
			d := sourcekit.Backoff(n)
			low, high = min(low, d), max(high, d)
		}
		if low < want*8/10 || high > want*12/10 || low > want*9/10 || high < want*11/10 {
			t.Errorf("failure %d: pauses from %v to %v, want %v spread by 20%% up and down", n, low, high, want)
		}
	}
}
