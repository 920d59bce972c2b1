package packagefile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
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

// bom is the byte order mark that some editors put before UTF-8.
var bom = []byte("\ufeff")

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

// findInTar returns the file of a tar archive that matches the pattern of
// path.Match. What lies between isn't read.
func findInTar(r io.ReaderAt, size int64, pattern string) ([]byte, bool) {
	const end = 512 // of zeros, twice
	if size < end || strings.Trim(tail(r, size, end), "\x00") != "" {
		return nil, false // cut off
	}
	front := &budget{r, nearFront}
	found, err := scanTar(io.NewSectionReader(front, 0, size), true, pattern)
	return found[0], found[0] != nil && (err == nil || front.left < 0)
}

// tail returns the last n bytes of r.
func tail(r io.ReaderAt, size int64, n int) string {
	b := make([]byte, n)
	if read, _ := r.ReadAt(b, size-int64(n)); read < n {
		return "?"
	}
	return string(b)
}

// findInTarGz is findInTar on a gzipped archive.
func findInTarGz(r io.ReaderAt, size int64, pattern string) ([]byte, bool) {
	b := scanTarGz(r, size, func(found [][]byte) bool { return found[0] != nil }, pattern)[0]
	return b, b != nil
}

// findInTarBz2 is findInTar on an archive packed with bzip2.
func findInTarBz2(r io.ReaderAt, size int64, pattern string) ([]byte, bool) {
	z := bzip2.NewReader(io.NewSectionReader(r, 0, min(size, maxUnpacked)))
	found, _ := scanTar(io.LimitReader(z, maxUnpackedBzip2), false, pattern)
	return found[0], found[0] != nil
}

// scanTarGz is scanTar on a gzipped archive: near its front, and unless what is
// found there is enough, further in. A small archive is read to its end: one that
// is cut off or damaged holds nothing.
func scanTarGz(r io.ReaderAt, size int64, enough func(found [][]byte) bool, patterns ...string) (found [][]byte) {
	none := make([][]byte, len(patterns))
	if size <= nearFront {
		z, err := gzip.NewReader(io.NewSectionReader(r, 0, size))
		if err != nil {
			return none
		}
		unpacked := &io.LimitedReader{R: z, N: maxUnpacked}
		found, err := scanTar(unpacked, true, patterns...)
		if err == nil {
			_, err = io.Copy(io.Discard, unpacked)
		}
		if err != nil && unpacked.N > 0 && !errors.Is(err, gzip.ErrHeader) { // which is padding behind the archive
			return none
		}
		return found
	}
	for _, limit := range []int64{nearFront, maxUnpacked} {
		z, err := gzip.NewReader(io.NewSectionReader(r, 0, min(size, limit)))
		if err != nil {
			return none
		}
		found, _ = scanTar(io.LimitReader(z, limit), false, patterns...)
		if enough(found) {
			break
		}
	}
	return found
}

// scanTar goes through a tar archive once and returns, for each pattern, the file
// that matches it, or nil. With all it goes to the end, the error tells whether the
// archive is whole, and a pattern that several files match finds nothing: which of
// them counts is not certain. Without, the first counts. The caller bounds r.
func scanTar(r io.Reader, all bool, patterns ...string) (found [][]byte, err error) {
	found = make([][]byte, len(patterns))
	matches := make([]int, len(patterns))
	missing := len(patterns)
	tr := tar.NewReader(r)
	for entries := 0; all || missing > 0; entries++ {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil || entries == maxEntries {
			return found, cmp.Or(err, errLimit)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/") // where tools unpack it
		for i, pattern := range patterns {
			if ok, _ := path.Match(pattern, name); !ok {
				continue
			}
			if matches[i]++; matches[i] > 1 {
				continue
			}
			if found[i], err = readBounded(tr); err != nil {
				found[i] = nil
				return found, err
			}
			missing--
		}
	}
	for i, n := range matches {
		if all && n > 1 {
			found[i] = nil
		}
	}
	return found, nil
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

// findInZip returns the only file of a zip archive that matches the pattern of
// path.Match, and its name.
func findInZip(r io.ReaderAt, size int64, pattern string) (name string, b []byte, ok bool) {
	z, ok := openZip(r, size)
	if !ok {
		return "", nil, false
	}
	var found *zip.File
	for _, f := range z.File {
		if ok, _ := path.Match(pattern, f.Name); ok {
			if found != nil {
				return "", nil, false
			}
			found = f
		}
	}
	if found == nil {
		return "", nil, false
	}
	b, ok = readZipFile(found)
	return found.Name, b, ok
}
