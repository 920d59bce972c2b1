package exchange

import (
	"context"
	"io"
)

// interruptibly calls f, which may block for ever. It reports false if ctx ended
// first. f then goes on in its goroutine, and late gets its result.
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

// Open calls open, which may block for ever. When ctx ends first, Open returns
// its error, and closes the reader once open has returned.
func Open(ctx context.Context, open func() (io.ReadCloser, error)) (io.ReadCloser, error) {
	type opened struct {
		io.ReadCloser
		err error
	}
	if err := Ended(ctx); err != nil {
		return nil, err
	}
	r, ok := interruptibly(ctx, func() opened {
		r, err := open()
		return opened{r, err}
	}, func(r opened) {
		if r.err == nil {
			r.Close()
		}
	})
	if !ok {
		return nil, Ended(ctx)
	}
	return r.ReadCloser, r.err
}

// BlockingReader reads from a reader that may block for ever, into a buffer of
// its own. Its methods return when its context ends; the read that blocks goes
// on alone, and the reader is closed after it. It is for one goroutine.
type BlockingReader struct {
	ctx    context.Context
	reader io.ReadCloser
	left   bool // a read still runs, and has the reader to itself
	buf    []byte
	rest   readResult // read, but not handed out yet
	at     int
}

type readResult struct {
	n   int
	err error
}

// NewBlockingReader returns a BlockingReader that works until ctx ends.
func NewBlockingReader(ctx context.Context, r io.ReadCloser) *BlockingReader {
	return &BlockingReader{ctx: ctx, reader: r}
}

// Reader returns the reader underneath, or nil while a read that was given up
// still uses it.
func (r *BlockingReader) Reader() io.ReadCloser {
	if r.left {
		return nil
	}
	return r.reader
}

// Read reads as io.Reader says.
func (r *BlockingReader) Read(p []byte) (int, error) {
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

func (r *BlockingReader) do(read func() (int, error)) (readResult, error) {
	if err := Ended(r.ctx); err != nil {
		return readResult{}, err
	}
	result, ok := interruptibly(r.ctx, func() readResult {
		n, err := read()
		return readResult{n, err}
	}, func(readResult) { r.reader.Close() })
	if !ok {
		r.left = true
		return readResult{}, Ended(r.ctx)
	}
	return result, nil
}

// Close closes the reader, which may block as well.
func (r *BlockingReader) Close() error {
	if r.left {
		return nil
	}
	err, _ := interruptibly(r.ctx, r.reader.Close, func(error) {})
	return err
}

// ReaderAt reads at any offset of r as long as the watch goes on. It is nil if r
// can't do that.
func (w *Watch) ReaderAt(r io.Reader) io.ReaderAt {
	if b, ok := r.(*BlockingReader); ok {
		if at, ok := b.reader.(io.ReaderAt); ok {
			return watchedAt{w, blockingAt{b, at}}
		}
	} else if at, ok := r.(io.ReaderAt); ok {
		return watchedAt{w, at}
	}
	return nil
}

type blockingAt struct {
	*BlockingReader
	at io.ReaderAt
}

func (r blockingAt) ReadAt(p []byte, off int64) (int, error) {
	buf := make([]byte, len(p))
	result, err := r.do(func() (int, error) { return r.at.ReadAt(buf, off) })
	if err != nil {
		return 0, err
	}
	return copy(p, buf[:result.n]), result.err
}
