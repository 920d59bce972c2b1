package packagefile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"strings"
)

const (
	// nearFront is how far into an archive metadata mostly lies. What is there is
	// found in about a tenth of the time that it takes to send 1 GiB.
	nearFront = 4 << 20
	// maxUnpacked bounds what is read of a file and what is unpacked of it in
	// search of metadata that isn't near the front: npm sorts its archives by
	// extension, and some tools of Python write PKG-INFO last. An archive that
	// holds it further in is named by its file name.
	maxUnpacked = 64 << 20
	// maxUnpackedBzip2 is the same for bzip2, which takes about six times as
	// long as gzip.
	maxUnpackedBzip2 = 8 << 20
	// maxMetadata bounds a metadata file held in memory.
	maxMetadata = 4 << 20
	// maxZipDirectory bounds what is read of a zip file, its directory and the
	// metadata together: enough for some 80 000 entries.
	maxZipDirectory = 8 << 20
	// maxEntries bounds the entries of an archive that are looked at.
	maxEntries = 200_000
)

var errLimit = errors.New("packagefile: more data than a package's metadata should take")

// readBounded reads all of r, up to maxMetadata.
func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxMetadata+1))
	if err == nil && len(b) > maxMetadata {
		err = errLimit
	}
	return b, err
}

// readAll reads a whole file, up to maxMetadata.
func readAll(r io.ReaderAt, size int64) ([]byte, bool) {
	if size > maxMetadata {
		return nil, false
	}
	b, err := readBounded(io.NewSectionReader(r, 0, size))
	return b, err == nil
}

// findInTar returns the first file of a tar archive that matches the pattern
// of path.Match. What lies between isn't read.
func findInTar(r io.ReaderAt, size int64, pattern string) ([]byte, bool) {
	b := scanTar(io.NewSectionReader(&budget{r, nearFront}, 0, size), pattern)[0]
	return b, b != nil
}

// findInTarGz is findInTar on a gzipped archive.
func findInTarGz(r io.ReaderAt, size int64, pattern string) ([]byte, bool) {
	b := scanTarGz(r, size, func(found [][]byte) bool { return found[0] != nil }, pattern)[0]
	return b, b != nil
}

// findInTarBz2 is findInTar on an archive packed with bzip2.
func findInTarBz2(r io.ReaderAt, size int64, pattern string) ([]byte, bool) {
	z := bzip2.NewReader(io.NewSectionReader(r, 0, min(size, maxUnpacked)))
	b := scanTar(io.LimitReader(z, maxUnpackedBzip2), pattern)[0]
	return b, b != nil
}

// scanTarGz is scanTar on a gzipped archive: near its front, and unless what is
// found there is enough, further in.
func scanTarGz(r io.ReaderAt, size int64, enough func(found [][]byte) bool, patterns ...string) (found [][]byte) {
	for _, limit := range []int64{nearFront, maxUnpacked} {
		found = make([][]byte, len(patterns))
		z, err := gzip.NewReader(io.NewSectionReader(r, 0, min(size, limit)))
		if err != nil {
			break
		}
		found = scanTar(io.LimitReader(z, limit), patterns...)
		if enough(found) {
			break
		}
	}
	return found
}

// scanTar goes through a tar archive once and returns, for each pattern, the
// first file that matches it, or nil. The caller bounds r.
func scanTar(r io.Reader, patterns ...string) [][]byte {
	found := make([][]byte, len(patterns))
	tr := tar.NewReader(r)
	missing := len(patterns)
	for range maxEntries {
		h, err := tr.Next()
		if err != nil {
			break
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		name := strings.TrimPrefix(h.Name, "./")
		for i, pattern := range patterns {
			if ok, _ := path.Match(pattern, name); !ok || found[i] != nil {
				continue
			}
			b, err := readBounded(tr)
			if err != nil {
				return found
			}
			found[i] = b
			missing--
		}
		if missing == 0 {
			break
		}
	}
	return found
}

// gunzip returns the unpacked content of b, bounded.
func gunzip(b []byte) ([]byte, bool) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, false
	}
	b, err = readBounded(z)
	return b, err == nil
}

// budget is a ReaderAt that fails when more than left bytes were asked for: it
// bounds what archive/zip, which holds a whole directory in memory, can be
// made to read.
type budget struct {
	r    io.ReaderAt
	left int64
}

func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errLimit
	}
	return b.r.ReadAt(p, off)
}

// openZip reads the directory of a zip file.
func openZip(r io.ReaderAt, size int64) (*zip.Reader, bool) {
	z, err := zip.NewReader(&budget{r, maxZipDirectory}, size)
	if err != nil || len(z.File) > maxEntries {
		return nil, false
	}
	return z, true
}

// IsZip reports whether r is a zip archive, such as a .jar, with its directory.
func IsZip(r io.ReaderAt, size int64) bool {
	_, ok := openZip(r, size)
	return ok
}

func readZipFile(f *zip.File) ([]byte, bool) {
	rc, err := f.Open()
	if err != nil {
		return nil, false
	}
	defer rc.Close()
	b, err := readBounded(rc)
	return b, err == nil
}

// findInZip returns the first file of a zip archive that matches the pattern
// of path.Match.
func findInZip(r io.ReaderAt, size int64, pattern string) ([]byte, bool) {
	z, ok := openZip(r, size)
	if !ok {
		return nil, false
	}
	for _, f := range z.File {
		if ok, _ := path.Match(pattern, f.Name); ok {
			return readZipFile(f)
		}
	}
	return nil, false
}
