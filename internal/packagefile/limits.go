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
	// nearFront is the part of an archive in which its metadata mostly lies.
	// Searching it takes about a tenth of the time that it takes to send 1 GiB.
	nearFront = 4 << 20
	// maxUnpacked bounds the bytes read and unpacked in a search beyond
	// nearFront. npm sorts its archives by extension, and some tools of Python
	// write PKG-INFO last. The file name tells the identity of an archive whose
	// metadata lies further in.
	maxUnpacked = 64 << 20
	// maxUnpackedBzip2 is this limit for bzip2, which takes about six times as
	// long as gzip.
	maxUnpackedBzip2 = 8 << 20
	// maxMetadata bounds a metadata file held in memory.
	maxMetadata = 4 << 20
	// maxZipDirectory bounds the bytes read of a zip file, for its directory
	// and its metadata. It suffices for some 80,000 entries.
	maxZipDirectory = 8 << 20
	// maxEntries bounds the number of entries that a search visits in an
	// archive.
	maxEntries = 200_000
)

// bom is the byte order mark that some editors put before UTF-8.
var bom = []byte("\ufeff")

var errLimit = errors.New("packagefile: the package's metadata is larger than the limit")

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

// findInTar returns the file in a tar archive that matches a pattern of
// path.Match. It skips the content of other files.
func findInTar(r io.ReaderAt, size int64, pattern string) ([]byte, bool) {
	const end = 512 // the archive must end in zeros
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

// scanTarGz is scanTar for a gzipped archive. It searches near the front first,
// and then further in unless enough returns true. It reads a small archive to
// its end, and finds nothing in one that is cut off or damaged.
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
		if err != nil && unpacked.N > 0 && !errors.Is(err, gzip.ErrHeader) { // ErrHeader means padding behind the archive
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

// scanTar reads a tar archive once. It returns, for each pattern, the matching
// file or nil. The caller bounds r.
//
// With all, scanTar reads to the end, and the error tells whether the archive
// is whole. A pattern that matches several files then finds none, because it
// isn't certain which one counts. Without all, the first match counts.
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
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/") // the path to which tools unpack it
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

// gunzip unpacks b, up to maxMetadata.
func gunzip(b []byte) ([]byte, bool) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, false
	}
	b, err = readBounded(z)
	return b, err == nil
}

// budget is a ReaderAt that fails after left bytes were requested. It bounds
// archive/zip, which holds a whole directory in memory.
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
