package exchange

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Policy says how often an operation is tried, and how long it pauses between
// two tries. A field that is zero has its default.
type Policy struct {
	// Tries is the most tries, the first included. The default is 5.
	Tries int
	// MinPause is the pause after the first try; it doubles with each further
	// one, and is varied by a quarter up and down. The default is 250 ms.
	MinPause time.Duration
	// MaxPause bounds what a server may ask for by Retry-After: an operation that
	// would have to wait longer fails. Pauses of its own reach a quarter of it.
	// The default is 30 s.
	MaxPause time.Duration
}

// Verdict is the judgement on a failed try.
type Verdict struct {
	Again      bool          // try again
	RetryAfter time.Duration // pause at least so long: the server asks for it
	Restart    bool          // the try got somewhere: count the tries anew
}

// Run calls try until it succeeds, until judge wants no further try after its
// error, or until the tries are used up, and returns the last error. Tries count
// from 1. Before each pause Run calls pausing, if it isn't nil. If ctx ends before
// the next try, the error holds that of ctx and the last one.
func (p Policy) Run(ctx context.Context, try func(n int) error, judge func(error) Verdict, pausing func(n int, pause time.Duration, err error)) error {
	for n := 1; ; n++ {
		err := try(n)
		if err == nil {
			return nil
		}
		verdict := judge(err)
		if verdict.Restart {
			n = 1
		}
		if !verdict.Again || n >= p.MaxTries() || verdict.RetryAfter > p.LongestPause() || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return err
		}
		pause := max(p.pause(n), verdict.RetryAfter)
		if pausing != nil {
			pausing(n, pause, err)
		}
		if Sleep(ctx, pause) != nil {
			return ContextError(ctx, err)
		}
	}
}

// MaxTries is Tries, or its default.
func (p Policy) MaxTries() int {
	if p.Tries > 0 {
		return p.Tries
	}
	return 5
}

// pause is the pause after the nth try.
func (p Policy) pause(n int) time.Duration {
	pause, limit := p.minPause(), p.LongestPause()/4
	for ; n > 1 && pause < limit; n-- {
		pause *= 2
	}
	return time.Duration(float64(min(pause, limit)) * (0.75 + rand.Float64()/2))
}

func (p Policy) minPause() time.Duration {
	if p.MinPause > 0 {
		return p.MinPause
	}
	return 250 * time.Millisecond
}

// LongestPause is MaxPause, or its default.
func (p Policy) LongestPause() time.Duration {
	if p.MaxPause > 0 {
		return p.MaxPause
	}
	return 30 * time.Second
}

// Sleep waits for d, or returns the error of ctx when that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
