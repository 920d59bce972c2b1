package exchange

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errTry = errors.New("failed")

func again(error) Verdict { return Verdict{Again: true} }

// run returns the pauses of an operation that fails at each of its first n tries.
func run(p Policy, n int, judge func(error) Verdict) (pauses []time.Duration, tries int, err error) {
	last := time.Now()
	err = p.Run(context.Background(), func(try int) error {
		if tries++; tries > 1 {
			pauses = append(pauses, time.Since(last))
		}
		last = time.Now()
		if tries > n {
			return nil
		}
		return errTry
	}, judge, nil)
	return pauses, tries, err
}

// Guarantee A4.
func TestPolicy_ZeroValueIsFiveTriesWithDoublingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pauses, tries, err := run(Policy{}, 100, again)
		if tries != 5 || !errors.Is(err, errTry) {
			t.Fatalf("%d tries, %v; want 5 and the last error", tries, err)
		}
		for i, want := range []time.Duration{250, 500, 1000, 2000} {
			want *= time.Millisecond
			if p := pauses[i]; p < want*3/4 || p > want*5/4 {
				t.Errorf("pause %d is %v; want %v, a quarter up or down", i+1, p, want)
			}
		}
	})
}

func TestPolicy_PausesStopGrowingAtAQuarterOfTheLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pauses, _, _ := run(Policy{Tries: 200, MinPause: time.Second, MaxPause: 8 * time.Second}, 100, again)
		if last := pauses[len(pauses)-1]; last < 1500*time.Millisecond || last > 2500*time.Millisecond {
			t.Errorf("the last pause is %v; want 2 s, a quarter up or down", last)
		}
	})
}

func TestPolicy_WaitsAsLongAsTheServerAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asks := func(d time.Duration) func(error) Verdict {
			return func(error) Verdict { return Verdict{Again: true, RetryAfter: d} }
		}
		if pauses, _, err := run(Policy{}, 1, asks(20*time.Second)); err != nil || pauses[0] != 20*time.Second {
			t.Errorf("the pauses are %v, the error is %v; want 20 s", pauses, err)
		}
		if _, tries, err := run(Policy{}, 1, asks(31*time.Second)); err == nil || tries != 1 {
			t.Errorf("%d tries, %v; want no wait beyond the longest pause", tries, err)
		}
	})
}

func TestPolicy_CountsAnewAfterProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, tries, err := run(Policy{Tries: 2}, 9, func(error) Verdict { return Verdict{Again: true, Restart: true} })
		if tries != 10 || err != nil {
			t.Errorf("%d tries, %v; want 10 and success", tries, err)
		}
	})
}

func TestPolicy_ContextEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		paused := 0
		err := Policy{}.Run(ctx, func(int) error { return errTry }, again, func(int, time.Duration, error) { paused++ })
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errTry) || time.Since(start) != 100*time.Millisecond || paused != 1 {
			t.Errorf("%v after %v and %d pauses; want both errors at once", err, time.Since(start), paused)
		}
	})
}
