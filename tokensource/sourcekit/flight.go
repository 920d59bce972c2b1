package sourcekit

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

const (
	// defaultTimeout is that of a [Flight] without one.
	defaultTimeout = 30 * time.Second
	// grace is how long a call may run on after its time limit, to say what it
	// waited for.
	grace = time.Second
)

// Flight makes one call, such as a login, for all callers who want it at the same
// time. The call doesn't have the context of any caller: it inherits neither the
// values nor the end of one. A caller whose context ends returns at once, and the
// call goes on for the others.
//
// The zero Flight is ready. It is safe for concurrent use once Name and Timeout are
// set, and must not be copied after the first call.
type Flight[T any] struct {
	// Name names the call in errors, such as "the login". Empty: "the call".
	Name string
	// Timeout limits one call. Zero or less is 30 seconds. A call that ignores
	// the end of its context is abandoned a second later: its callers get an
	// error of kind [tokensource.ErrUnavailable], and the next caller starts
	// another call. Nobody gets the result of an abandoned call, so the call
	// should keep nothing once its context has ended.
	Timeout time.Duration

	mu   sync.Mutex
	call *flightCall[T]
}

type flightCall[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// Do joins the call that is under way, or starts one, and waits until it ends or
// ctx does, whose error it then returns as it is. The function gets a context of its
// own, which ends after Timeout. If the function panics or calls runtime.Goexit, the
// error has the kind [tokensource.ErrInvalid], and doesn't repeat the panic's value.
func (f *Flight[T]) Do(ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	c := f.start(call)
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// Start starts a call and returns at once, so that a caller can be served while a
// credential is renewed. It does nothing while another call is under way.
func (f *Flight[T]) Start(call func(context.Context) (T, error)) { f.start(call) }

func (f *Flight[T]) start(call func(context.Context) (T, error)) *flightCall[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.call == nil {
		f.call = &flightCall[T]{done: make(chan struct{})}
		go f.run(f.call, call)
	}
	return f.call
}

func (f *Flight[T]) run(c *flightCall[T], call func(context.Context) (T, error)) {
	name, timeout := cmp.Or(f.Name, "the call"), f.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	late := time.AfterFunc(timeout+grace, func() {
		message := fmt.Sprintf("%s took longer than %v and doesn't end", name, timeout)
		var zero T
		f.finish(c, zero, tokensource.NewError("", tokensource.ErrUnavailable, message, context.DeadlineExceeded))
	})
	defer late.Stop()
	var value T
	err := error(tokensource.NewError("", tokensource.ErrInvalid, name+" panicked or ended its goroutine; the function that makes it has a fault", nil))
	defer func() {
		recover() // The panic's value may hold a secret.
		f.finish(c, value, err)
	}()
	value, err = call(ctx)
}

// finish ends a call, once.
func (f *Flight[T]) finish(c *flightCall[T], value T, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.call != c {
		return
	}
	f.call = nil
	c.value, c.err = value, err
	close(c.done)
}
