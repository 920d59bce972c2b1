package packagefile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"strings"
)

const (
	// maxUnpacked bounds what is unpacked in search of a metadata file: an
	// archive that holds it further in is named by its file name.
	maxUnpacked = 256 << 20
	// maxMetadata bounds a metadata file held in memory.
	maxMetadata = 4 << 20
	// maxZipDirectory bounds what is read of a zip file, its directory and the
	// metadata together.
	maxZipDirectory = 16 << 20
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

// findInTar returns the first file of a tar archive whose cleaned name match
// accepts. The bytes unpacked are bounded.
func findInTar(r io.Reader, match func(name string) bool) ([]byte, bool) {
	tr := tar.NewReader(io.LimitReader(r, maxUnpacked))
	for range maxEntries {
		h, err := tr.Next()
		if err != nil {
			return nil, false
		}
		if h.Typeflag != tar.TypeReg || !match(strings.TrimPrefix(h.Name, "./")) {
			continue
		}
		b, err := readBounded(tr)
		return b, err == nil
	}
	return nil, false
}

// findInTarGz is findInTar on a gzipped archive.
func findInTarGz(r io.ReaderAt, size int64, match func(name string) bool) ([]byte, bool) {
	z, err := gzip.NewReader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, false
	}
	return findInTar(z, match)
}

// findInTarBz2 is findInTar on an archive packed with bzip2.
func findInTarBz2(r io.ReaderAt, size int64, match func(name string) bool) ([]byte, bool) {
	return findInTar(bzip2.NewReader(io.NewSectionReader(r, 0, size)), match)
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

func readZipFile(f *zip.File) ([]byte, bool) {
	rc, err := f.Open()
	if err != nil {
		return nil, false
	}
	defer rc.Close()
	b, err := readBounded(rc)
	return b, err == nil
}

// findInZip returns the first file of a zip archive that match accepts.
func findInZip(r io.ReaderAt, size int64, match func(name string) bool) ([]byte, bool) {
	z, ok := openZip(r, size)
	if !ok {
		return nil, false
	}
	for _, f := range z.File {
		if match(f.Name) {
			return readZipFile(f)
		}
	}
	return nil, false
}
