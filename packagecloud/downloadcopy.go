package packagecloud

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
)

// sink hands a download to the caller's writer, and knows what the writer has had.
type sink struct {
	w        io.Writer
	name     string // the file's, as errors and logs show it: it is the server's word
	maxBytes int64  // 0 is no limit
	progress func(received, total int64)

	newHash func() hash.Hash
	hash    hash.Hash // of what was written
	want    string    // "" if there is no checksum
	written int64
	total   int64 // 0 if nobody says it
}

// copy writes the rest of an answer.
func (s *sink) copy(body io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if err := s.write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &cutError{s.written, err}
		}
	}
}

// write writes p whole, or nothing of it where that would be too much. The checksum
// is over what was written.
func (s *sink) write(p []byte) error {
	n := int64(len(p))
	if s.total > 0 && n > s.total-s.written {
		return fmt.Errorf("%w: %s has %d bytes, but more came; download it again", ErrChecksum, s.name, s.total)
	}
	if s.maxBytes > 0 && n > s.maxBytes-s.written {
		return s.tooLarge()
	}
	m, err := s.w.Write(p)
	if err == nil && m < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return &writeError{s.name, err}
	}
	s.written += n
	s.hash.Write(p)
	if s.progress != nil {
		s.progress(s.written, s.total)
	}
	return nil
}

// skip reads the beginning of an answer that starts over, and compares it with what
// was written.
func (s *sink) skip(body io.Reader) error {
	again := s.newHash()
	switch _, err := io.CopyN(again, body, s.written); {
	case err == io.EOF:
		return fmt.Errorf("%w: the server sent less of %s after a cut than before it; download it again", ErrChecksum, s.name)
	case err != nil:
		return &cutError{s.written, err}
	}
	if !bytes.Equal(again.Sum(nil), s.hash.Sum(nil)) {
		return fmt.Errorf("%w: the server sent other content of %s after a cut than before it; download it again", ErrChecksum, s.name)
	}
	return nil
}

// verify compares what was written with the size and the checksum.
func (s *sink) verify() error {
	if s.total > 0 && s.written != s.total {
		return fmt.Errorf("%w: %s should have %d bytes, but %d came; download it again", ErrChecksum, s.name, s.total, s.written)
	}
	if s.want == "" {
		return nil
	}
	if have := hex.EncodeToString(s.hash.Sum(nil)); !strings.EqualFold(have, s.want) {
		return fmt.Errorf("%w: %s should have %s, but what came has %s; download it again", ErrChecksum, s.name, shorten(s.want, 128), have)
	}
	return nil
}
