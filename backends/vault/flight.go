package vault

import (
	"context"
	"sync"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

// grace is how long a call has, once its time is up, to say what it waited for.
const grace = time.Second

// flight makes one call for all who want it at the same time. The call has a
// context of its own: a caller whose context ends returns at once and disturbs
// nobody. One that runs on when its time is up is left to itself.
type flight[T any] struct {
	mu   sync.Mutex
	call *inFlight[T]
}

type inFlight[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// start begins a call, unless one is under way.
func (f *flight[T]) start(timeout time.Duration, call func(context.Context) (T, error)) *inFlight[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.call != nil {
		return f.call
	}
	c := &inFlight[T]{done: make(chan struct{})}
	f.call = c
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		var value, zero T
		err := failf(tokensource.ErrInvalid, "the login, or the lookup of the mount, panicked or ended its goroutine")
		late := time.AfterFunc(timeout+grace, func() {
			f.finish(c, zero, wrapf(tokensource.ErrUnavailable, context.DeadlineExceeded, "the login, or the lookup of the mount, took longer than %v and doesn't end", timeout))
		})
		defer func() {
			recover() // it may hold a secret
			late.Stop()
			f.finish(c, value, err)
		}()
		value, err = call(ctx)
	}()
	return c
}

// finish ends a call, once.
func (f *flight[T]) finish(c *inFlight[T], value T, err error) {
	f.mu.Lock()
	running := f.call == c
	if running {
		f.call = nil
	}
	f.mu.Unlock()
	if running {
		c.value, c.err = value, err
		close(c.done)
	}
}

// do begins or joins a call and waits for its end, or for that of ctx.
func (f *flight[T]) do(ctx context.Context, timeout time.Duration, call func(context.Context) (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	c := f.start(timeout, call)
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}
