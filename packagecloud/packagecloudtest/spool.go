package packagecloudtest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"os"
	"time"
)

// spool is the temporary folder that holds the files.
type spool struct{ dir string }

// blob is a stored file.
type blob struct {
	id                        string
	path                      string
	size                      int64
	md5, sha1, sha256, sha512 string
}

func newSpool() (*spool, error) {
	dir, err := os.MkdirTemp("", "packagecloudtest-")
	if err != nil {
		return nil, err
	}
	return &spool{dir}, nil
}

func (s *spool) remove() { os.RemoveAll(s.dir) }

// store copies r to a new file and computes the checksums meanwhile. On an
// error it removes the file.
func (s *spool) store(r io.Reader) (*blob, error) {
	f, err := os.CreateTemp(s.dir, "blob-")
	if err != nil {
		return nil, err
	}
	hashes := []hash.Hash{md5.New(), sha1.New(), sha256.New(), sha512.New()}
	n, err := io.CopyBuffer(io.MultiWriter(f, hashes[0], hashes[1], hashes[2], hashes[3]), onlyReader{r}, make([]byte, 256<<10))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, err
	}
	sum := func(i int) string { return hex.EncodeToString(hashes[i].Sum(nil)) }
	return &blob{
		id:   hex.EncodeToString(randomBytes(16)),
		path: f.Name(), size: n,
		md5: sum(0), sha1: sum(1), sha256: sum(2), sha512: sum(3),
	}, nil
}

// onlyReader hides the WriteTo method of a reader, so that io.CopyBuffer uses
// its buffer.
type onlyReader struct{ io.Reader }

func (b *blob) open() (*os.File, error) { return os.Open(b.path) }

func (b *blob) remove() { os.Remove(b.path) }

func (b *blob) modTime() time.Time {
	info, err := os.Stat(b.path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
