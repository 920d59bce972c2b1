package packagecloud

import (
	"context"
	"io"
)

// interruptible reads from a reader that may block for ever, such as a pipe, and
// gives up when a context ends. The blocked read then goes on in its goroutine
// until the reader returns; it has a buffer of its own.
type interruptible struct {
	io.Closer
	ctx     context.Context
	reader  io.Reader
	buf     []byte
	results chan readResult
	reading bool
	rest    readResult // of what was read, not yet handed out
	at      int
}

type readResult struct {
	n   int
	err error
}

func newInterruptible(ctx context.Context, r io.ReadCloser) *interruptible {
	return &interruptible{Closer: r, ctx: ctx, reader: r, buf: make([]byte, 64<<10), results: make(chan readResult, 1)}
}

func (r *interruptible) Read(p []byte) (int, error) {
	if r.at == r.rest.n && r.rest.err == nil {
		if !r.reading {
			r.reading = true
			go func() {
				n, err := r.reader.Read(r.buf)
				r.results <- readResult{n, err}
			}()
		}
		select {
		case r.rest = <-r.results:
			r.reading, r.at = false, 0
		case <-r.ctx.Done():
			return 0, ended(r.ctx)
		}
	}
	n := copy(p, r.buf[r.at:r.rest.n])
	if r.at += n; r.at < r.rest.n {
		return n, nil
	}
	return n, r.rest.err
}
