package packagefile

import "io"

// maxUnpackedHook bounds the input and output of a decompressor. xz and zstd in
// Go take several times as long as gzip, and a control.tar has only some KiB.
const maxUnpackedHook = 8 << 20

// Decompressors hold functions for compressions that the standard library
// lacks. The keys are "xz" and "zstd"; a nil map has none. The reader closes a
// function's result if it is an io.Closer. Nothing bounds the memory that a
// function takes.
type Decompressors map[string]func(io.Reader) (io.Reader, error)

// findInTar is like the function findInTar, for a compressed archive. It finds
// nothing in an archive that is cut off or damaged.
func (d Decompressors) findInTar(compression string, r io.ReaderAt, size int64, pattern string) ([]byte, bool) {
	z, err := d[compression](io.NewSectionReader(r, 0, min(size, maxUnpackedHook)))
	if err != nil || z == nil {
		return nil, false
	}
	if c, ok := z.(io.Closer); ok {
		defer c.Close()
	}
	unpacked := &io.LimitedReader{R: z, N: maxUnpackedHook}
	found, err := scanTar(unpacked, true, pattern)
	if err == nil {
		_, err = io.Copy(io.Discard, unpacked)
	}
	return found[0], found[0] != nil && (err == nil || unpacked.N == 0)
}
