package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// ErrStalled says that a transfer didn't move for the time that [Client.Stall]
// allows.
var ErrStalled = errors.New("packagecloud: the transfer stalled")

// errStall is the cause of the context that a Watch ended.
var errStall = fmt.Errorf("%w: nothing moved for too long", ErrStalled)

// Watch ends a transfer that doesn't move. Its timer looks now and then at
// when something moved last; setting the timer at every read would cost more
// than the read.
type Watch struct {
	ctx    context.Context
	caller context.Context // ctx is made from it
	cancel context.CancelCauseFunc
	start  time.Time
	limit  time.Duration
	end    atomic.Int64 // when to give up, in nanoseconds after start; 0 = never
	timer  *time.Timer
}

// NewWatch returns a watch that ends its context when nothing moves for limit.
// The caller stops it.
func NewWatch(ctx context.Context, limit time.Duration) *Watch {
	w := &Watch{caller: ctx, start: time.Now(), limit: limit}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.Touch()
	// Set in two steps, since look uses the timer.
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Reset(limit)
	return w
}

// Context ends with the caller's context, with a stall, and with Stop.
func (w *Watch) Context() context.Context { return w.ctx }

// Err says why the watched context ended: a stall, or what ended the caller's.
// It is nil before.
func (w *Watch) Err() error { return Ended(w.ctx) }

// aside calls f, which waits for something other than the transfer. A nil watch
// just calls f.
func (w *Watch) aside(f func() error) error {
	if w != nil {
		w.rest()
		defer w.Touch()
	}
	return f()
}

func (w *Watch) look() {
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
	w.timer.Reset(min(next, w.limit)) // the next Touch may allow less
}

// Touch says that something moved.
func (w *Watch) Touch() { w.allow(w.limit) }

// allow gives the transfer that much time from now on.
func (w *Watch) allow(d time.Duration) { w.end.Store(int64(time.Since(w.start) + d)) }

// rest pauses the watch until the next Touch. A nil watch does nothing.
func (w *Watch) rest() {
	if w != nil {
		w.end.Store(0)
	}
}

// Stop ends the watch and the transfer with it.
func (w *Watch) Stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// cause replaces a cancellation that the watch made by ErrStalled, and one of
// the caller by the caller's ctx.Err(). net/http returns the context's cause
// instead, which may be the failure of something else entirely.
func (w *Watch) cause(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*LeftError](err); ok {
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
	if _, ok := errors.AsType[*TokenError](err); ok && (cause == left || !errors.Is(err, cause)) {
		return err // says which source didn't answer
	}
	return left
}

// Ended says why a context of a [Watch] ended: a stall, or what ended the
// caller's context. It is nil before.
func Ended(ctx context.Context) error {
	if cause := context.Cause(ctx); cause == errStall {
		return cause
	}
	return ctx.Err()
}

// watchedBody watches an answer only while somebody reads it: a slow consumer is
// no stall.
type watchedBody struct {
	io.ReadCloser
	watch *Watch
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.Touch()
	n, err := b.ReadCloser.Read(p)
	b.watch.rest()
	if err != nil && err != io.EOF {
		err = b.watch.cause(err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	b.watch.Stop()
	return err
}

// Reader reads from r as long as the watch goes on, and tells the watch of what
// was read.
func (w *Watch) Reader(r io.Reader) io.Reader { return watchedReader{w, r} }

type watchedReader struct {
	watch *Watch
	io.Reader
}

func (r watchedReader) Read(p []byte) (int, error) {
	if err := r.watch.Err(); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.watch.Touch()
	}
	return n, err
}

// watchedAt does the same for reads at an offset.
type watchedAt struct {
	watch *Watch
	io.ReaderAt
}

func (r watchedAt) ReadAt(p []byte, off int64) (int, error) {
	if err := r.watch.Err(); err != nil {
		return 0, err
	}
	n, err := r.ReaderAt.ReadAt(p, off)
	if n > 0 {
		r.watch.Touch()
	}
	return n, err
}
