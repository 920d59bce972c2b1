package packagecloud

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"mime/multipart"
	"net/textproto"
	"strings"
	"sync"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// form is a multipart/form-data body (RFC 7578) that is never held in memory:
// a list of small pieces and of contents that are opened as they are due.
type form struct {
	contentType string
	segments    []segment
	size        int64
}

// segment is text, or a content.
type segment struct {
	text    []byte
	content *Content
}

// part is a file of a form.
type part struct {
	field   string
	content *Content
}

var quoteEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func newForm(fields map[string]string, files []part) *form {
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	f := &form{contentType: w.FormDataContentType()}
	flush := func() {
		f.segments = append(f.segments, segment{text: bytes.Clone(buf.Bytes())})
		f.size += int64(buf.Len())
		buf.Reset()
	}
	// Writing to a bytes.Buffer doesn't fail. Fields come first, so that the
	// server knows what the file is for when it arrives.
	for name, value := range fields {
		w.WriteField(name, value)
	}
	for _, p := range files {
		w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {fmt.Sprintf(`form-data; name="%s"; filename="%s"`, quoteEscaper.Replace(p.field), quoteEscaper.Replace(p.content.Name))},
			"Content-Type":        {"application/octet-stream"},
		})
		flush()
		f.segments = append(f.segments, segment{content: p.content})
		f.size += p.content.Size
	}
	w.Close()
	flush()
	return f
}

// transfer knows the bodies of one upload, over all tries.
type transfer struct {
	progress func(sent, total int64) // may be nil

	mu      sync.Mutex
	current *formBody // the last one opened
	whole   bool      // an earlier body of the same attempt was handed out whole
}

// state returns the error of reading a content, and whether a body was handed out
// whole. If none was, the server can't have the package.
func (t *transfer) state() (err error, whole bool) {
	t.mu.Lock()
	b, before := t.current, t.whole
	t.mu.Unlock()
	if b == nil {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err, b.whole || before
}

// end closes the last body. A RoundTripper may read it for a while after it has
// returned an answer or an error.
func (t *transfer) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil {
		t.current.Close()
	}
}

// open returns the body from its beginning, unless its request has ended, and
// closes the one before. Progress goes back to zero.
func (f *form) open(t *transfer, attempt *exchange.Attempt) (io.ReadCloser, error) {
	body := &formBody{form: f, transfer: t, attempt: attempt}
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.current; b != nil {
		b.Close()
		// A RoundTripper that tries again by itself reports its last try alone. The
		// server refused what an earlier attempt sent.
		t.whole = (t.whole || b.whole) && b.attempt == attempt
	}
	t.current = body
	if err := attempt.Err(); err != nil {
		return nil, err
	}
	for _, s := range f.segments {
		if s.content != nil {
			body.total += s.content.Size
		}
	}
	if t.progress != nil {
		t.progress(0, body.total)
	}
	return body, nil
}

// maxEmptyReads is how many reads in a row may return nothing, as in bufio.
const maxEmptyReads = 100

// formBody reads a form.
type formBody struct {
	form     *form
	transfer *transfer
	attempt  *exchange.Attempt
	total    int64

	mu      sync.Mutex // Close may come while net/http still reads
	err     error      // of reading a content
	whole   bool       // all was handed out
	index   int
	offset  int64 // in the segment
	sent    int64 // of all contents
	current io.ReadCloser
	hash    hash.Hash // of what current gave
	closed  bool
	empty   int // reads in a row that gave nothing
}

func (b *formBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, io.ErrClosedPipe
	}
	for b.index < len(b.form.segments) {
		s := b.form.segments[b.index]
		if s.content == nil {
			if b.offset < int64(len(s.text)) {
				n := copy(p, s.text[b.offset:])
				b.offset += int64(n)
				if b.index == len(b.form.segments)-1 && b.offset == int64(len(s.text)) {
					b.whole = true
					b.attempt.Sent(answerTimeout)
				}
				return n, nil
			}
			b.next()
			continue
		}
		n, done, err := b.readContent(s.content, p)
		if err != nil {
			if b.attempt.Context().Err() == nil { // else it is not the content's
				b.err = err
			}
			return 0, err
		}
		if done {
			b.next()
		}
		if n > 0 {
			b.sent += int64(n)
			if b.transfer.progress != nil {
				b.transfer.progress(b.sent, b.total)
			}
			b.attempt.Touch()
			return n, nil
		}
	}
	return 0, io.EOF
}

func (b *formBody) next() {
	b.index++
	b.offset = 0
}

// readContent reads on in c, and at its end makes sure that it is the end.
func (b *formBody) readContent(c *Content, p []byte) (n int, done bool, err error) {
	if b.current == nil {
		if b.current, err = c.open(b.attempt.Context()); err != nil {
			return 0, false, err
		}
		b.hash = sha256.New()
	}
	left := c.Size - b.offset
	if left > 0 {
		n, err = b.current.Read(p[:min(int64(len(p)), left)])
		b.offset += int64(n)
		// Here, and not beside in a goroutine: meanwhile the system sends what it has
		// buffered, and a second buffer would cost a copy of every byte.
		b.hash.Write(p[:n])
		if err == io.EOF && b.offset < c.Size {
			return n, false, fmt.Errorf("%w: %s ended after %d of %d bytes", ErrContentChanged, c.Name, b.offset, c.Size)
		}
		if err != nil && err != io.EOF {
			return n, false, fmt.Errorf("packagecloud: reading %s: %w", c.Name, err)
		}
		if n > 0 {
			b.empty = 0
		} else if b.empty++; b.empty == maxEmptyReads && len(p) > 0 {
			return 0, false, io.ErrNoProgress
		}
		if b.offset < c.Size {
			return n, false, nil
		}
	}
	done, err = b.endContent(c)
	return n, done, err
}

// endContent makes sure that nothing follows in c, and closes it.
func (b *formBody) endContent(c *Content) (done bool, err error) {
	var extra [1]byte
	for range maxEmptyReads {
		m, err := b.current.Read(extra[:])
		if m > 0 {
			return false, fmt.Errorf("%w: %s is longer than %d bytes", ErrContentChanged, c.Name, c.Size)
		}
		if err == io.EOF {
			if err := c.verify(b.attempt.Watch, b.current, b.hash); err != nil {
				return false, err
			}
			err = b.current.Close()
			b.current = nil
			return true, err
		}
		if err != nil {
			return false, err
		}
	}
	return false, io.ErrNoProgress
}

// Close ends the reading.
func (b *formBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.current == nil {
		return nil
	}
	err := b.current.Close()
	b.current = nil
	return err
}
