package decompress

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// maxXZBlocks bounds the blocks of an xz file, each of which has a dictionary of its
// own. xz begins a second one only in files of many MiB.
const maxXZBlocks = 16

var errXZ = errors.New("decompress: the xz file is damaged")

// xzGuard passes an xz stream on, and fails at a block that wants more memory than
// maxMemory. Package xz allocates whatever dictionary a block asks for, up to 4 GiB.
// See https://tukaani.org/xz/xz-file-format.txt.
type xzGuard struct {
	r      *bufio.Reader
	head   []byte       // was looked at, and is to be passed on
	pass   int64        // comes after it, and needs no look
	next   func() error // looks at what comes then
	check  int64        // bytes of the checksum behind a block
	blocks int
	packed int64 // bytes of the block's data
}

func newXZGuard(r io.Reader) *xzGuard {
	g := &xzGuard{r: bufio.NewReader(r)}
	g.next = g.stream
	return g
}

func (g *xzGuard) Read(p []byte) (int, error) {
	for len(g.head) == 0 && g.pass == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if len(g.head) > 0 {
		n := copy(p, g.head)
		g.head = g.head[n:]
		return n, nil
	}
	n, err := g.r.Read(p[:min(int64(len(p)), g.pass)])
	g.pass -= int64(n)
	return n, err
}

// take reads n bytes more of what is looked at.
func (g *xzGuard) take(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(g.r, b); err != nil {
		return nil, err
	}
	g.head = append(g.head, b...)
	return b, nil
}

// stream looks at the header of the stream.
func (g *xzGuard) stream() error {
	b, err := g.take(12)
	if err != nil {
		return err
	}
	if id := b[7] & 15; id > 0 {
		g.check = 4 << ((id - 1) / 3)
	}
	g.next = g.block
	return nil
}

// block looks at the header of a block, or the index behind the last one.
func (g *xzGuard) block() error {
	size, err := g.take(1)
	if err != nil {
		return err
	}
	if size[0] == 0 {
		g.pass = math.MaxInt64
		return nil
	}
	if g.blocks++; g.blocks > maxXZBlocks {
		return fmt.Errorf("decompress: the xz file has more than %d blocks", maxXZBlocks)
	}
	b, err := g.take((int(size[0])+1)*4 - 1)
	if err != nil {
		return err
	}
	if err := checkFilters(b); err != nil {
		return err
	}
	g.packed, g.next = 0, g.chunk
	return nil
}

// checkFilters looks at the filters in the header of a block, which come behind its
// flags and the sizes that these announce.
func checkFilters(b []byte) error {
	flags, b := b[0], b[1:]
	sizes := int(flags>>6&1) + int(flags>>7)
	for range sizes {
		_, n := binary.Uvarint(b)
		if n <= 0 {
			return errXZ
		}
		b = b[n:]
	}
	for range flags&3 + 1 {
		id, n := binary.Uvarint(b)
		if n <= 0 || len(b) < n+2 {
			return errXZ
		}
		if properties := b[n:]; id != 0x21 || properties[0] != 1 {
			return errors.New("decompress: the xz file has another filter than LZMA2")
		} else if d := properties[1]; d > 40 || (2|uint64(d&1))<<(d/2+11) > maxMemory {
			return fmt.Errorf("decompress: the xz file wants a dictionary of more than %d MiB", maxMemory>>20)
		}
		b = b[n+2:]
	}
	return nil
}

// chunk looks at the header of an LZMA2 chunk, or the mark behind the last one.
func (g *xzGuard) chunk() error {
	control, err := g.take(1)
	if err != nil {
		return err
	}
	g.packed++
	var header int // bytes of it that come behind the control byte
	switch c := control[0]; {
	case c == 0:
		g.pass = (4-g.packed%4)%4 + g.check
		g.next = g.block
		return nil
	case c == 1, c == 2: // not compressed
		header = 2
	case c >= 0xC0: // new properties
		header = 5
	case c >= 0x80:
		header = 4
	default:
		return errXZ
	}
	b, err := g.take(header)
	if err != nil {
		return err
	}
	size := b[:2]
	if header > 2 { // the size when it is unpacked comes first
		size = b[2:4]
	}
	g.pass = int64(binary.BigEndian.Uint16(size)) + 1
	g.packed += int64(header) + g.pass
	return nil
}
