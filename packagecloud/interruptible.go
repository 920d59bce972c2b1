package packagecloud

import (
	"context"
	"io"
	"time"
)

// interruptibly does f, which may block for ever, and reports false if it gave up
// because ctx ended. f then goes on in its goroutine until it returns; late is
// told what.
func interruptibly[T any](ctx context.Context, f func() T, late func(T)) (result T, ok bool) {
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case result = <-done:
		return result, true
	case <-ctx.Done():
		go func() { late(<-done) }()
		return result, false
	}
}

// open opens the content for as long as ctx lasts. What reads anything but a
// file or memory may block for ever, such as a pipe or a store behind a network:
// it is given up when ctx ends, and closed when it comes back.
func (c *Content) open(ctx context.Context) (io.ReadCloser, error) {
	type opened struct {
		io.ReadCloser
		err error
	}
	if err := ended(ctx); err != nil {
		return nil, err
	}
	again := c.Open
	if first := c.first; first != nil {
		c.first, again = nil, func() (io.ReadCloser, error) { return first, nil }
	}
	r, ok := interruptibly(ctx, func() opened {
		r, err := again()
		return opened{r, err}
	}, func(r opened) {
		if r.err == nil {
			r.Close()
		}
	})
	if !ok {
		return nil, ended(ctx)
	}
	if r.err != nil {
		return nil, r.err
	}
	switch r.ReadCloser.(type) {
	case *fileReader, memory:
		return r.ReadCloser, nil
	}
	return &interruptible{ctx: ctx, reader: r.ReadCloser}, nil
}

// keep leaves a reader that nobody has read from to the next who opens the
// content, since it may be the only one, or dear.
func (c *Content) keep(r io.ReadCloser) {
	i, ok := r.(*interruptible)
	switch {
	case !ok:
		c.first = r
	case !i.left:
		c.first = i.reader
	}
}

// drop closes what was kept.
func (c *Content) drop(ctx context.Context, stall time.Duration) {
	if c.first == nil {
		return
	}
	watch := newWatchdog(ctx, stall)
	defer watch.stop()
	(&interruptible{ctx: watch.ctx, reader: c.first}).Close()
	c.first = nil
}

// interruptible reads from a reader that may block, into a buffer of its own.
type interruptible struct {
	ctx    context.Context
	reader io.ReadCloser
	left   bool // a read was given up, and has the reader to itself
	buf    []byte
	rest   readResult // of what was read, not yet handed out
	at     int
}

type readResult struct {
	n   int
	err error
}

func (r *interruptible) Read(p []byte) (int, error) {
	if r.at == r.rest.n && r.rest.err == nil {
		if r.buf == nil {
			r.buf = make([]byte, 64<<10)
		}
		rest, err := r.do(func() (int, error) { return r.reader.Read(r.buf) })
		if err != nil {
			return 0, err
		}
		r.rest, r.at = rest, 0
	}
	n := copy(p, r.buf[r.at:r.rest.n])
	if r.at += n; r.at < r.rest.n {
		return n, nil
	}
	return n, r.rest.err
}

func (r *interruptible) do(read func() (int, error)) (readResult, error) {
	if err := ended(r.ctx); err != nil {
		return readResult{}, err
	}
	result, ok := interruptibly(r.ctx, func() readResult {
		n, err := read()
		return readResult{n, err}
	}, func(readResult) { r.reader.Close() })
	if !ok {
		r.left = true
		return readResult{}, ended(r.ctx)
	}
	return result, nil
}

// Close closes the reader, which may block as well.
func (r *interruptible) Close() error {
	if r.left {
		return nil
	}
	err, _ := interruptibly(r.ctx, r.reader.Close, func(error) {})
	return err
}

// readerAt returns what reads at will in a content that is open, and nil if nothing
// does.
func readerAt(watch *watchdog, r io.Reader) io.ReaderAt {
	if i, ok := r.(*interruptible); ok {
		if at, ok := i.reader.(io.ReaderAt); ok {
			return watchedAt{watch, interruptibleAt{i, at}}
		}
	} else if at, ok := r.(io.ReaderAt); ok {
		return watchedAt{watch, at}
	}
	return nil
}

type interruptibleAt struct {
	*interruptible
	at io.ReaderAt
}

func (r interruptibleAt) ReadAt(p []byte, off int64) (int, error) {
	buf := make([]byte, len(p))
	result, err := r.do(func() (int, error) { return r.at.ReadAt(buf, off) })
	if err != nil {
		return 0, err
	}
	return copy(p, buf[:result.n]), result.err
}

// watchedAt looks at the watchdog before every read, and tells it of what was read.
type watchedAt struct {
	watch *watchdog
	io.ReaderAt
}

func (r watchedAt) ReadAt(p []byte, off int64) (int, error) {
	if err := ended(r.watch.ctx); err != nil {
		return 0, err
	}
	n, err := r.ReaderAt.ReadAt(p, off)
	if n > 0 {
		r.watch.touch()
	}
	return n, err
}

// watchedReader is the same for reading on.
type watchedReader struct {
	watch *watchdog
	io.Reader
}

func (r watchedReader) Read(p []byte) (int, error) {
	if err := ended(r.watch.ctx); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.watch.touch()
	}
	return n, err
}
