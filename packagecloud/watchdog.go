package packagecloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// errStall is the cause of the context that a watchdog ended.
var errStall = fmt.Errorf("%w: nothing moved for too long", ErrStalled)

// watchdog ends a transfer that doesn't move. Its timer looks now and then at
// when something moved last; to set the timer at every read would cost more
// than the read.
type watchdog struct {
	ctx    context.Context
	caller context.Context // that ctx was made of
	cancel context.CancelCauseFunc
	start  time.Time
	limit  time.Duration
	end    atomic.Int64 // when to give up, in nanoseconds after start; 0 = never
	timer  *time.Timer
	asides atomic.Int32 // how often something else was waited for
}

func newWatchdog(ctx context.Context, limit time.Duration) *watchdog {
	w := &watchdog{caller: ctx, start: time.Now(), limit: limit}
	ctx, w.cancel = context.WithCancelCause(ctx)
	w.ctx = context.WithValue(ctx, watchdogKey{}, w)
	w.touch()
	// Set in two steps, since look uses the timer.
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Reset(limit)
	return w
}

type watchdogKey struct{}

// waiting does f, which waits for something else than the transfer that ctx
// belongs to, if it belongs to one: the watchdog rests meanwhile.
func waiting(ctx context.Context, f func() error) error {
	if w, ok := ctx.Value(watchdogKey{}).(*watchdog); ok {
		w.asides.Add(1)
		w.rest()
		defer w.touch()
	}
	return f()
}

func (w *watchdog) look() {
	if w.ctx.Err() != nil {
		return
	}
	next := w.limit
	if end := w.end.Load(); end != 0 {
		next = time.Duration(end) - time.Since(w.start)
	}
	if next <= 0 {
		w.cancel(errStall)
		return
	}
	w.timer.Reset(min(next, w.limit)) // the next touch may allow less
}

// touch says that something moved.
func (w *watchdog) touch() { w.allow(w.limit) }

// allow gives the transfer that much time from now on.
func (w *watchdog) allow(d time.Duration) { w.end.Store(int64(time.Since(w.start) + d)) }

// rest stops watching until the next touch.
func (w *watchdog) rest() { w.end.Store(0) }

// stop ends the watch, and the transfer with it.
func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// cause replaces the cancellation that the watchdog made by its reason, and what
// came of the caller's by that and no more: net/http returns the context's cause,
// which may be the failure of something else entirely, with a status of its own.
func (w *watchdog) cause(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*leftError](err); ok {
		return err
	}
	if context.Cause(w.ctx) == errStall {
		return errStall
	}
	left := w.caller.Err()
	if left == nil {
		return err
	}
	cause := context.Cause(w.caller)
	if _, ok := errors.AsType[*tokenError](err); ok && (cause == left || !errors.Is(err, cause)) {
		return err // says which source didn't answer
	}
	return left
}

// ended is why a watched context ended: a stall, or that the caller left.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); cause == errStall {
		return cause
	}
	return ctx.Err()
}

// watchedBody lets the watchdog watch while somebody reads: a slow consumer is
// no stall.
type watchedBody struct {
	io.ReadCloser
	watch *watchdog
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.touch()
	n, err := b.ReadCloser.Read(p)
	b.watch.rest()
	if err != nil && err != io.EOF {
		err = b.watch.cause(err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	b.watch.stop()
	return err
}
