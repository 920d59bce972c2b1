package packagefile

import "io"

// maxUnpackedHook bounds what a decompressor is given and what it may return: xz and
// zstd in Go take several times as long as gzip, and a control.tar takes some KiB.
const maxUnpackedHook = 8 << 20

// Decompressors open the compressions that the standard library doesn't have, by
// name: "xz" and "zstd". Nil has none. What one returns is closed if it is an
// io.Closer; how much memory it takes is its own matter.
type Decompressors map[string]func(io.Reader) (io.Reader, error)

// findInTar is the function of that name on an archive packed with the compression.
// One that is cut off or damaged holds nothing.
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
