package packagefile

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"regexp"
	"slices"
	"strings"
)

// The tags of an RPM header that the reader uses, and its limits. The reader
// holds only the index in memory, and reads values from the file.
const (
	rpmName           = 1000
	rpmVersion        = 1001
	rpmRelease        = 1002
	rpmEpoch          = 1003
	rpmSummary        = 1004
	rpmDescription    = 1005
	rpmLicense        = 1014
	rpmArch           = 1022
	rpmSourceRPM      = 1044
	rpmRequireFlags   = 1048
	rpmRequireName    = 1049
	rpmRequireVersion = 1050
	rpmNoSource       = 1051
	rpmNoPatch        = 1052
	rpmSourcePackage  = 1106

	rpmSignedSHA256 = 273  // checksum of the header, in hex
	rpmSignedSize   = 1000 // size of header and payload

	rpmLeadSize   = 96
	rpmMaxIndex   = 1 << 16
	rpmMaxStore   = 256 << 20
	rpmMaxString  = 64 << 10
	rpmMaxArray   = 1 << 20
	rpmMaxStrings = 16 << 10
)

type rpmHeader struct {
	r     io.ReaderAt
	start int64 // offset of the header
	store int64 // offset of the values
	size  int64 // length of the values
	end   int64 // offset of the header's end
	index map[uint32]rpmEntry
}

type rpmEntry struct {
	kind, offset, count uint32
	twice               bool // the index has the tag more than once
}

// readRPM reads the header of an RPM package, source or binary. The file begins
// with a lead, a signature in the form of a header, and padding to 8 bytes.
func readRPM(r io.ReaderAt, total int64) (Info, bool) {
	lead := head(r, 8)
	if len(lead) < 8 || lead[:4] != "\xed\xab\xee\xdb" {
		return Info{}, false
	}
	signature, ok := readRPMHeader(r, rpmLeadSize, total)
	if !ok {
		return Info{}, false
	}
	h, ok := readRPMHeader(r, (signature.end+7)&^7, total)
	if !ok {
		return Info{}, false
	}
	if size := signature.ints(rpmSignedSize); len(size) > 0 && int64(size[0]) > total-h.start || !h.intact(signature) {
		return Info{}, false // cut off or damaged
	}
	info := Info{
		Name:        h.only(rpmName),
		Version:     h.only(rpmVersion),
		Release:     h.only(rpmRelease),
		Summary:     h.text(rpmSummary),
		Description: h.text(rpmDescription),
	}
	if info.Epoch, ok = h.epoch(); !ok {
		return Info{}, false
	}
	if license := h.text(rpmLicense); license != "" {
		info.Licenses = []string{license}
	}
	if info.Architecture, ok = h.architecture(lead[7] == 1); !ok {
		return Info{}, false
	}
	if list := h.requires(); len(list) > 0 {
		info.Dependencies = []Dependency{{"requires", list}}
	}
	identity := []string{info.Name, info.Version, info.Release, info.Architecture}
	return info, !slices.ContainsFunc(identity, func(s string) bool { return !rpmText.MatchString(s) })
}

// architecture returns the architecture in the file's name, as rpmbuild writes
// it. The header of a source package holds the architecture of the machine that
// built it. Its file name has src instead, or nosrc if the package leaves out a
// source or patch. lead is true if the lead calls the file a source package.
func (h *rpmHeader) architecture(lead bool) (string, bool) {
	_, binary := h.index[rpmSourceRPM]
	_, source := h.index[rpmSourcePackage]
	_, noSource := h.index[rpmNoSource]
	_, noPatch := h.index[rpmNoPatch]
	switch source = source || lead; {
	case binary == source:
		return "", false // the header says both, or neither
	case binary:
		return h.only(rpmArch), true
	case noSource || noPatch:
		return "nosrc", true
	}
	return "src", true
}

func (h *rpmHeader) epoch() (int, bool) {
	e, ok := h.index[rpmEpoch]
	if !ok {
		return 0, true
	}
	epoch := h.ints(rpmEpoch)
	if len(epoch) != 1 || e.twice {
		return 0, false
	}
	return int(epoch[0]), true
}

var rpmText = regexp.MustCompile(`^[A-Za-z0-9._+~^-]+$`)

func readRPMHeader(r io.ReaderAt, offset, size int64) (*rpmHeader, bool) {
	intro := make([]byte, 16)
	if _, err := r.ReadAt(intro, offset); err != nil || string(intro[:4]) != "\x8e\xad\xe8\x01" {
		return nil, false
	}
	entries := int64(binary.BigEndian.Uint32(intro[8:]))
	store := int64(binary.BigEndian.Uint32(intro[12:]))
	h := &rpmHeader{r: r, start: offset, store: offset + 16 + 16*entries, size: store, index: map[uint32]rpmEntry{}}
	h.end = h.store + store
	if entries > rpmMaxIndex || store > rpmMaxStore || h.end > size {
		return nil, false
	}
	index := make([]byte, 16*entries)
	if _, err := r.ReadAt(index, offset+16); err != nil {
		return nil, false
	}
	for ; len(index) > 0; index = index[16:] {
		tag := binary.BigEndian.Uint32(index)
		_, twice := h.index[tag]
		h.index[tag] = rpmEntry{
			twice:  twice,
			kind:   binary.BigEndian.Uint32(index[4:]),
			offset: binary.BigEndian.Uint32(index[8:]),
			count:  binary.BigEndian.Uint32(index[12:]),
		}
	}
	return h, true
}

// section returns up to n bytes of the store.
func (h *rpmHeader) section(offset, n int64) []byte {
	if offset < 0 || offset >= h.size {
		return nil
	}
	b := make([]byte, min(n, h.size-offset))
	if _, err := h.r.ReadAt(b, h.store+offset); err != nil {
		return nil
	}
	return b
}

// texts returns up to most strings of a STRING (6), STRING_ARRAY (8) or
// I18NSTRING (9) value.
func (h *rpmHeader) texts(tag, most uint32) []string {
	e, ok := h.index[tag]
	if !ok || (e.kind != 6 && e.kind != 8 && e.kind != 9) {
		return nil
	}
	offset := int64(e.offset)
	limit := min(int64(most)*rpmMaxString, rpmMaxArray, h.size-offset)
	values := bufio.NewReader(io.NewSectionReader(h.r, h.store+offset, limit))
	var out []string
	for range min(e.count, most) {
		value, err := values.ReadString(0)
		if err != nil || len(value) > rpmMaxString {
			break
		}
		out = append(out, value[:len(value)-1])
	}
	return out
}

func (h *rpmHeader) text(tag uint32) string {
	if all := h.texts(tag, 1); len(all) > 0 {
		return all[0]
	}
	return ""
}

// only returns the value of a STRING whose tag occurs once.
func (h *rpmHeader) only(tag uint32) string {
	if e := h.index[tag]; e.kind != 6 || e.twice {
		return ""
	}
	return h.text(tag)
}

// intact reports whether the header has the SHA-256 in its signature. It
// returns true if the signature has none.
func (h *rpmHeader) intact(signature *rpmHeader) bool {
	want := signature.text(rpmSignedSHA256)
	if want == "" {
		return true
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(h.r, h.start, h.end-h.start)); err != nil {
		return false
	}
	return strings.EqualFold(want, hex.EncodeToString(sum.Sum(nil)))
}

// ints returns an INT32 (4) value.
func (h *rpmHeader) ints(tag uint32) []uint32 {
	e, ok := h.index[tag]
	if !ok || e.kind != 4 {
		return nil
	}
	b := h.section(int64(e.offset), 4*int64(min(e.count, rpmMaxStrings)))
	var out []uint32
	for ; len(b) >= 4; b = b[4:] {
		out = append(out, binary.BigEndian.Uint32(b))
	}
	return out
}

// requires returns the Requires as rpm prints them: name, operator, version.
func (h *rpmHeader) requires() []string {
	names, flags, versions := h.texts(rpmRequireName, rpmMaxStrings), h.ints(rpmRequireFlags), h.texts(rpmRequireVersion, rpmMaxStrings)
	var out []string
	for i, name := range names {
		if i < len(flags) && i < len(versions) && versions[i] != "" {
			operator := ""
			for _, o := range []struct {
				bit  uint32
				sign string
			}{{2, "<"}, {4, ">"}, {8, "="}} {
				if flags[i]&o.bit != 0 {
					operator += o.sign
				}
			}
			if operator != "" {
				name += " " + operator + " " + versions[i]
			}
		}
		out = append(out, name)
	}
	return out
}
