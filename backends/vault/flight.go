package vault

import (
	"context"
	"errors"
	"sync"
	"time"
)

// flight makes one call for all who want it at the same time. The call has a
// context of its own: a caller whose context ends returns at once and disturbs
// nobody.
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
	c := &inFlight[T]{done: make(chan struct{}), err: errors.New("the call ended its goroutine")}
	f.call = c
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		defer func() {
			f.mu.Lock()
			f.call = nil
			f.mu.Unlock()
			close(c.done)
		}()
		c.value, c.err = call(ctx)
	}()
	return c
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
