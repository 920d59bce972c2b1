package packagefile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"

	"github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
)

// packedDeb returns a deb whose control.tar has the given name and is packed
// with gzip.
func packedDeb(member string) []byte {
	return packagefiletest.Ar(
		packagefiletest.File{Name: "debian-binary", Content: "2.0\n"},
		packagefiletest.File{Name: member, Content: string(packagefiletest.TarGz(packagefiletest.File{Name: "./control", Content: packagefiletest.Control("demo", "1.0", "amd64")}))},
		packagefiletest.File{Name: "data.tar.xz", Content: "data"},
	)
}

func gunzipper(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }

func TestDecompressors_ReadWhatTheStandardLibraryCannot(t *testing.T) {
	for member, compression := range map[string]string{"control.tar.xz": "xz", "control.tar.zst": "zstd"} {
		deb := packedDeb(member)
		with, err := Decompressors{compression: gunzipper}.Read("build_2.0_all.deb", "", bytes.NewReader(deb), int64(len(deb)))
		if err != nil || !with.FromContent || with.FileName() != "demo_1.0_amd64.deb" || with.Packed != "" {
			t.Errorf("%s: %+v, %v", member, with, err)
		}
		for _, name := range []string{"build_2.0_all.deb", "build.deb"} {
			without, _ := Read(name, "", bytes.NewReader(deb), int64(len(deb)))
			if without.FromContent || without.Packed != compression || without.Type != Deb {
				t.Errorf("%s as %s: %+v", member, name, without)
			}
		}
	}
}

// endless returns more data than any limit allows.
type endless struct {
	read   int64
	closed bool
}

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	clear(p)
	return len(p), nil
}

func (e *endless) Close() error { e.closed = true; return nil }

func TestDecompressors_OutputIsBoundedAndClosed(t *testing.T) {
	deb := packedDeb("control.tar.xz")
	e := new(endless)
	// An endless file comes first in the tar archive, so that the reader goes
	// on.
	header := packagefiletest.Tar(packagefiletest.File{Name: "first", Content: ""})[:512]
	copy(header[124:136], "77777777777\x00")
	sum := 0
	copy(header[148:156], "        ")
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:156], []byte{byte('0' + sum>>15&7), byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
	info, err := Decompressors{"xz": func(io.Reader) (io.Reader, error) {
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(header), e), e}, nil
	}}.Read("demo_1.0_amd64.deb", "", bytes.NewReader(deb), int64(len(deb)))
	if err != nil || info.FromContent || !e.closed || e.read < 1<<20 || e.read > maxUnpackedHook {
		t.Errorf("%d bytes were read, closed %v: %+v, %v", e.read, e.closed, info, err)
	}
}

func TestDecompressors_OneThatFailsTellsNothing(t *testing.T) {
	deb := packedDeb("control.tar.xz")
	for name, open := range map[string]func(io.Reader) (io.Reader, error){
		"error":   func(io.Reader) (io.Reader, error) { return nil, errors.New("no") },
		"nil":     func(io.Reader) (io.Reader, error) { return nil, nil },
		"garbage": func(io.Reader) (io.Reader, error) { return bytes.NewReader([]byte("garbage")), nil },
	} {
		info, err := Decompressors{"xz": open}.Read("demo_1.0_amd64.deb", "", bytes.NewReader(deb), int64(len(deb)))
		if err != nil || info.FromContent || info.Packed != "" {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
}
