package packagecloud

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// Content is what an upload sends. [File], [Bytes], [ReaderAt] and [Reader] make
// one; so may a program of its own kind of store, by setting all three fields.
// It is safe for concurrent use if Open is.
type Content struct {
	// Name is the file's name; of a path only the last element is sent.
	Name string
	// Size is the number of bytes that Open's reader yields.
	Size int64
	// Open returns the content from its beginning, each time it is called. If
	// it can do so only once, it returns ErrNotReplayable after that. A reader
	// that is an io.ReaderAt too is used to look into the package before it is read.
	// A reader may block: when the upload's context ends, nothing came for a minute,
	// or the server answered before it had all, it is left alone, and closed once its
	// Read has returned. That one Read may go on after the upload has ended; no other
	// begins then.
	Open func() (io.ReadCloser, error)

	used  *atomic.Bool                       // of a Reader: whether it was opened, which works once; else nil
	stat  func() (Content, error)            // of a file: completes the Content when the upload begins
	first io.ReadCloser                      // opened to look into the package, and left at its beginning
	sum   *atomic.Pointer[[sha256.Size]byte] // of the bytes that the first whole reading gave; nil until then
}

// File is the content of a file, which is looked at when the upload begins. If it
// changes before all of it is sent, that is ErrContentChanged: nobody wants half of
// an old package and half of a new one. Size, time and identity tell of a change; on
// Unix so does the time that no program can set back.
func File(path string) Content {
	return Content{Name: filepath.Base(path), stat: func() (Content, error) {
		// On Windows only the status of an open file tells which file it was.
		f, info, err := openRegular(path)
		if err != nil {
			return Content{}, err
		}
		f.Close()
		return Content{
			Name: filepath.Base(path),
			Size: info.Size(),
			Open: func() (io.ReadCloser, error) {
				f, _, err := openRegular(path)
				switch {
				case errors.Is(err, errIrregular):
					return nil, fmt.Errorf("%w: %s is no regular file any more; upload it again when it is one", ErrContentChanged, path)
				case err != nil:
					return nil, err
				}
				r := &fileReader{File: f, path: path, info: info}
				touched, err := r.unchanged()
				if err == nil && touched {
					err = r.changed()
				}
				if err != nil {
					f.Close()
					return nil, err
				}
				return r, nil
			},
		}, nil
	}}
}

func kindOf(mode os.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&os.ModeNamedPipe != 0:
		return "a pipe; read it into a file first, since an upload needs the size"
	}
	return "a device or socket"
}

// fileReader is an open file that notices when it changes.
type fileReader struct {
	*os.File
	path string
	info os.FileInfo
}

// unchanged compares the file with what it was when the upload began. Touched
// reports whether something else than its size and time did change: its bytes, if
// somebody set the time back, or only its name, its links or its permissions.
func (r *fileReader) unchanged() (touched bool, err error) {
	now, err := r.File.Stat()
	if err != nil {
		return false, fmt.Errorf("packagecloud: %w", err)
	}
	if now.Size() != r.info.Size() || !now.ModTime().Equal(r.info.ModTime()) || !os.SameFile(now, r.info) {
		return false, r.changed()
	}
	return changeTime(now) != changeTime(r.info), nil
}

func (r *fileReader) changed() error {
	return fmt.Errorf("%w: %s; upload it again when it is complete", ErrContentChanged, r.path)
}

func (r *fileReader) Read(p []byte) (int, error) {
	n, err := r.File.Read(p)
	if err == io.EOF {
		if _, changed := r.unchanged(); changed != nil {
			err = changed
		}
	}
	return n, err
}

// holds makes sure that the bytes of the file are those that were read, which sum
// is the checksum of. They are read again only if something changed.
func (r *fileReader) holds(watch *exchange.Watch, sum [sha256.Size]byte) error {
	touched, err := r.unchanged()
	if err != nil || !touched {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, watch.Reader(io.NewSectionReader(r.File, 0, r.info.Size()))); err != nil {
		return fmt.Errorf("packagecloud: reading %s: %w", r.path, err)
	}
	if [sha256.Size]byte(h.Sum(nil)) != sum {
		return r.changed()
	}
	return nil
}

// WriteTo is hidden, so that every byte goes through Read.
func (r *fileReader) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}

// Bytes is content in memory. The slice must not change until the upload ends.
func Bytes(name string, b []byte) Content {
	return Content{Name: name, Size: int64(len(b)), Open: func() (io.ReadCloser, error) { return memory{bytes.NewReader(b)}, nil }}
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// ReaderAt is the first size bytes of r.
func ReaderAt(name string, r io.ReaderAt, size int64) Content {
	return Content{Name: name, Size: size, Open: func() (io.ReadCloser, error) {
		if r == nil {
			return nil, errNilReader
		}
		return sectionReader{io.NewSectionReader(r, 0, size)}, nil
	}}
}

type sectionReader struct{ *io.SectionReader }

func (sectionReader) Close() error { return nil }

// Reader is content that can be read once. It can't be sent again once it was
// read from, so that after a failure the error may be ErrNotReplayable, and one
// Read of r may outlast the upload, as [Content] says; its type isn't found out by
// looking into it; and Skip and Replace can't be used. Prefer the others.
func Reader(name string, r io.Reader, size int64) Content {
	used := new(atomic.Bool)
	return Content{Name: name, Size: size, used: used, Open: func() (io.ReadCloser, error) {
		if r == nil {
			return nil, errNilReader
		}
		if used.Swap(true) {
			return nil, ErrNotReplayable
		}
		return io.NopCloser(r), nil
	}}
}

var errNilReader = errors.New("packagecloud: the reader of the content is nil")

// once reports whether c is a Reader's.
func (c *Content) once() bool { return c.used != nil }

// verify is called when r, a reader of the content, has given all of it, and h has
// hashed that. The bytes must be those of every other reading, and of the file.
func (c *Content) verify(watch *exchange.Watch, r io.Reader, h hash.Hash) error {
	sum := [sha256.Size]byte(h.Sum(nil))
	if f, ok := r.(*fileReader); ok {
		if err := f.holds(watch, sum); err != nil {
			return err
		}
	}
	if !c.sum.CompareAndSwap(nil, &sum) && *c.sum.Load() != sum {
		return fmt.Errorf("%w: %s has other bytes than when it was read before; upload it again when it is complete", ErrContentChanged, c.Name)
	}
	return nil
}

// copyTo reads the whole content.
func (c *Content) copyTo(ctx context.Context, w io.Writer, stall time.Duration) error {
	c.drop(ctx, stall) // what can be opened once is for the body
	watch := exchange.NewWatch(ctx, stall)
	defer watch.Stop()
	r, err := c.open(watch.Context())
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(watch.Reader(r), c.Size+1))
	if err == nil && n != c.Size {
		err = fmt.Errorf("%w: %s isn't %d bytes long", ErrContentChanged, c.Name, c.Size)
	}
	if err == nil {
		err = c.verify(watch, r, h)
	}
	return err
}

// prepare completes and checks c at the beginning of an upload.
func (c Content) prepare() (Content, error) {
	if c.stat != nil {
		var err error
		if c, err = c.stat(); err != nil {
			return c, err
		}
	}
	if c.Open == nil {
		return c, fmt.Errorf("packagecloud: the content has no Open function; make it with File, Bytes, ReaderAt or Reader")
	}
	if c.Size < 0 {
		return c, fmt.Errorf("packagecloud: the size of %q is negative", c.Name)
	}
	c.sum = new(atomic.Pointer[[sha256.Size]byte])
	open := c.Open
	c.Open = func() (io.ReadCloser, error) {
		r, err := open()
		if err == nil && r == nil {
			err = errors.New("packagecloud: the content's Open returned neither a reader nor an error")
		}
		return r, err
	}
	// Paths of either system, whichever this program runs on.
	c.Name = c.Name[lastSeparator(c.Name)+1:]
	if c.Name == "" || c.Name == "." || c.Name == ".." {
		return c, errors.New("packagecloud: the content needs a file name; set Content.Name to the package's")
	}
	return c, checkName(c.Name)
}

func lastSeparator(path string) int {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' || path[i] == '\\' {
			return i
		}
	}
	return -1
}

// open opens the content for as long as ctx lasts. What reads anything but a
// file or memory may block for ever, such as a pipe or a store behind a network:
// it is given up when ctx ends, and closed when it comes back.
func (c *Content) open(ctx context.Context) (io.ReadCloser, error) {
	open := c.Open
	if first := c.first; first != nil && exchange.Ended(ctx) == nil {
		c.first, open = nil, func() (io.ReadCloser, error) { return first, nil }
	}
	r, err := exchange.Open(ctx, open)
	if err != nil {
		return nil, err
	}
	switch r.(type) {
	case *fileReader, memory:
		return r, nil
	}
	return exchange.NewBlockingReader(ctx, r), nil
}

// keep leaves a reader that nobody has read from to the next who opens the
// content, since it may be the only one, or dear.
func (c *Content) keep(r io.ReadCloser) {
	if b, ok := r.(*exchange.BlockingReader); ok {
		r = b.Reader()
	}
	c.first = r
}

// drop closes what was kept.
func (c *Content) drop(ctx context.Context, stall time.Duration) {
	if c.first == nil {
		return
	}
	watch := exchange.NewWatch(ctx, stall)
	defer watch.Stop()
	exchange.NewBlockingReader(watch.Context(), c.first).Close()
	c.first = nil
}
