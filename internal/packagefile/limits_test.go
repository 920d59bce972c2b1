package packagefile

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	pt "github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
)

// largeFile is a file with data at both ends and zeros between. It counts the
// bytes that are read.
type largeFile struct {
	front, end []byte
	size, read int64
}

func (f *largeFile) ReadAt(p []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(p)), f.size-off)))
	clear(p[:n])
	if off < int64(len(f.front)) {
		copy(p[:n], f.front[off:])
	}
	if start := f.size - int64(len(f.end)) - off; start < 0 {
		copy(p[:n], f.end[-start:])
	} else if start < int64(n) {
		copy(p[start:n], f.end)
	}
	f.read += int64(n)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

const gib = 1 << 30

// noise returns bytes that don't compress.
func noise(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

// tarHeader returns the header of a file in a tar archive without its content.
func tarHeader(name string, size int64) []byte {
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Typeflag: tar.TypeReg}); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func arHeader(name string, size int64) []byte {
	return fmt.Appendf(nil, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", size)
}

// hostileRPM returns a package whose header claims the largest allowed size,
// and whose strings are all lists without an end.
func hostileRPM() []byte {
	b := pt.RPM("evil", "1.0", "1", "noarch")
	intro := []byte("\x8e\xad\xe8\x01")
	header := bytes.LastIndex(b, intro)
	b = append(b[:header:header], "\x8e\xad\xe8\x01\x00\x00\x00\x00\x00\x00\xff\xff\x10\x00\x00\x00"...)
	for tag := range 0xffff {
		b = append(b, 0, 0, byte(tag>>8), byte(tag), 0, 0, 0, 8, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff)
	}
	return append(b, noise(2<<20)...)
}

// TestRead_LargeFilesAreReadInPart counts the bytes that are read of 1 GiB, for
// each format.
//
// Guarantee U1.
func TestRead_LargeFilesAreReadInPart(t *testing.T) {
	const few = 64 << 10
	control := pt.TarGz(pt.File{Name: "./control", Content: pt.Control("jake", "1.0", "all")})
	deb := pt.Ar(pt.File{Name: "debian-binary", Content: "2.0\n"}, pt.File{Name: "control.tar.gz", Content: string(control)})
	unpackable := pt.TarGz(pt.File{Name: "jake-1.0/weights", Content: noise(5 << 20)})
	directory := make([]pt.File, 2000)
	for i := range directory {
		directory[i].Name = strings.Repeat("name/", 1000) + strconv.Itoa(i)
	}
	sdist := pt.Tar(pt.File{Name: "jake-1.0/PKG-INFO", Content: pt.Metadata("jake", "1.0")})
	apk := pt.Alpine("jake", "1.0-r0", "noarch")
	for _, test := range []struct {
		what, typ, name string
		front, end      []byte
		most            int64
		read            bool // the content tells the name
	}{
		{"data behind control", Deb, "jake_1.0_all.deb", append(deb[:len(deb):len(deb)], arHeader("data.tar.xz", gib-int64(len(deb))-60)...), nil, few, true},
		{"data before control", Deb, "jake_1.0_all.deb", append(deb[:72:72], arHeader("_odd", gib-72-60-int64(len(deb)-72))...), deb[72:], few, true},
		{"data alone", Deb, "jake_1.0_all.deb", append([]byte("!<arch>\n"), arHeader("data.tar.xz", gib-68)...), nil, few, false},
		{"control.tar.gz without control", Deb, "jake_1.0_all.deb", bytes.Join([][]byte{[]byte("!<arch>\n"), arHeader("control.tar.gz", gib-68), unpackable}, nil), nil, maxUnpacked + few, false},
		{"payload", RPM, "jake-1.0-1.noarch.rpm", pt.RPM("jake", "1.0", "1", "noarch"), nil, few, true},
		{"hostile header", RPM, "jake-1.0-1.noarch.rpm", hostileRPM(), nil, 4 << 20, false},
		{"data behind metadata", Gem, "jake-1.0.gem", append(pt.Tar(pt.File{Name: "metadata.gz", Content: string(pt.Gzip([]byte("--- !ruby/object:Gem::Specification\nname: jake\nversion:\n  version: '1.0'\n")))})[:1024], tarHeader("data.tar.gz", gib-1536)...), nil, few, true},
		{"data before metadata", Gem, "jake-1.0.gem", tarHeader("data.tar.gz", gib-512-int64(len(pt.Gem("jake", "1.0")))), pt.Gem("jake", "1.0"), few, true},
		{"self-extracting", Python, "jake-1.0-py3-none-any.whl", nil, pt.Wheel("jake", "1.0"), few, true},
		{"no archive", Python, "jake-1.0-py3-none-any.whl", nil, nil, 2 * few, false},
		{"egg-info", Python, "jake-1.0.egg-info", []byte(pt.Metadata("jake", "1.0")), nil, 0, false},
		{"data before PKG-INFO", Python, "jake-1.0.tar", tarHeader("jake-1.0/weights", gib-512-int64(len(sdist))), sdist, few, true},
		{"no PKG-INFO", Python, "jake-1.0.tar.gz", unpackable, nil, maxUnpacked, false},
		{"no package.json", Node, "jake-1.0.tgz", unpackable, nil, maxUnpacked, false},
		{"no Chart.yaml", Helm, "jake-1.0.tgz", unpackable, nil, maxUnpacked, false},
		{"empty members", Helm, "jake-1.0.tgz", bytes.Repeat(pt.Gzip(nil), 500_000), nil, maxUnpacked, false},
		{"data behind .PKGINFO", Alpine, "jake-1.0-r0.apk", append(apk[:len(apk):len(apk)], unpackable...), nil, few, true},
		{"no .PKGINFO", Alpine, "jake-1.0-r0.apk", unpackable, nil, maxUnpacked, false},
		{"self-extracting", Java, "jake-1.0.jar", nil, pt.Jar("org.acme", "jake", "1.0"), few, true},
		{"no pom.properties", Java, "jake-1.0.jar", nil, pt.Zip(directory[:100]...), 12 * few, false},
		{"large directory", Java, "jake-1.0.jar", nil, pt.Zip(directory...), maxZipDirectory, false},
		{"pom", Java, "jake-1.0.pom", []byte(pt.Pom("org.acme", "jake", "1.0")), nil, 0, false},
		{"dsc", DSC, "jake_1.0.dsc", dsc("jake", "1.0"), nil, 0, false},
		{"anyfile", Anyfile, "jake-1.0.iso", nil, nil, 0, false},
	} {
		t.Run(test.typ+" "+test.what, func(t *testing.T) {
			f := &largeFile{front: test.front, end: test.end, size: gib}
			info, err := Read(test.name, test.typ, f, f.size)
			version, _, _ := strings.Cut(info.Version, "-")
			if err != nil || info.Name != "jake" || version != "1.0" || info.FromContent != test.read {
				t.Errorf("%+v, %v", info, err)
			}
			if f.read > test.most {
				t.Errorf("%d bytes were read; want no more than %d", f.read, test.most)
			}
			f.read = 0
			if _, err := Detect(test.name, f, f.size); err != nil && !errors.Is(err, ErrAmbiguous) {
				t.Error(err)
			}
			if most := max(test.most, 4); f.read > most {
				t.Errorf("Detect read %d bytes; want no more than %d", f.read, most)
			}
		})
	}
}

// Guarantee U1.
func TestRead_MetadataBehindTheLimitIsNotUnpacked(t *testing.T) {
	for _, test := range []struct {
		typ, name, metadata, content string
	}{
		{Node, "a-1.0.tgz", "package/package.json", `{"name":"b","version":"2.0"}`},
		{Helm, "a-1.0.tgz", "b/Chart.yaml", "name: b\nversion: '2.0'\n"},
		{Python, "a-1.0.tar.gz", "b-2.0/PKG-INFO", pt.Metadata("b", "2.0")},
		{Alpine, "a-1.0.apk", ".PKGINFO", "pkgname = b\npkgver = 2.0\n"},
	} {
		for _, front := range []int{maxUnpacked / 2, maxUnpacked} {
			packed := pt.TarGz(pt.File{Name: "b/weights", Content: strings.Repeat("\x00", front)}, pt.File{Name: test.metadata, Content: test.content})
			want := "b"
			if front == maxUnpacked {
				want = "a"
			}
			if info := read(t, test.name, test.typ, packed); info.Name != want {
				t.Errorf("%s behind %d bytes: %+v", test.typ, front, info)
			}
			if test.typ == Alpine {
				continue
			}
			if typ, err := Detect(test.name, bytes.NewReader(packed), int64(len(packed))); (typ == test.typ) != (want == "b") || (err == nil) != (want == "b") {
				t.Errorf("%s behind %d bytes: Detect: %q, %v", test.typ, front, typ, err)
			}
		}
	}
}

// TestRead_SdistPackedWithBzip2 reads files that Python's bz2 packed, because
// Go can't pack them. PKG-INFO lies behind 1000 bytes or behind 8 MiB.
func TestRead_SdistPackedWithBzip2(t *testing.T) {
	for _, test := range []struct {
		packed string
		read   bool
	}{
		{"QlpoOTFBWSZTWZ6zJPYAAKJfgMqQQAP/kAGrxwBm496AGIggAJIJVNJk0wnqNGEDTGpgT0TeqCSU0R6TI9TIYg0aAGgaWeZjBmAZhCfICEQheUGQKJcow8QhgHF7ipRFnKbEUjyphEowIuucIcRyV1kM8dMS2HgV3jHY1qzL7bFs2ZUxizdA6aESjH039kZaN65nDUfPaI+QC2iDz0QiFM444H8XckU4UJCesyT2", true},
		{"QlpoOTFBWSZTWbpHpjQBAZRfgcqQQAP/kAGrxwBm496AAAEICDAAubYaoMgAAAA9QA0aDSRoyAAAAAAAKlIoYACMCDEwE02mnreWKUiJbpEJACr1SCIAxYezIuyui+tLUgiAKD0dq2eVNO/49mVbAJIMAQuvVJwxA5gYnp0TTBQ9KSQpSKGQqccDTC9sklgRPhdlYIDio4t8+5HKPJeg16Di95JwyF+wkGM2MlljPWkkIA8i7kinChIXSPTGgA==", false},
	} {
		packed, err := base64.StdEncoding.DecodeString(test.packed)
		if err != nil {
			t.Fatal(err)
		}
		info := read(t, "file-9.tar.bz2", Python, packed)
		if (info.Name == "p" && info.Version == "1") != test.read || info.FromContent != test.read {
			t.Errorf("%+v", info)
		}
	}
}

// PKG-INFO may be the last in an sdist that holds another's metadata.
func TestDetect_SdistWithAPackageJSONIsNoNodePackage(t *testing.T) {
	weights := pt.File{Name: "a-1.0/weights", Content: noise(nearFront + 1)}
	info := pt.File{Name: "a-1.0/PKG-INFO", Content: pt.Metadata("a", "1.0")}
	for content, want := range map[string]string{
		`{"name":"a","version":"1.0"}`: "", // it may be either
		`{"private":true}`:             Python,
	} {
		packed := pt.TarGz(pt.File{Name: "a-1.0/package.json", Content: content}, weights, info)
		typ, err := Detect("a-1.0.tar.gz", bytes.NewReader(packed), int64(len(packed)))
		if typ != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", content, typ, err, want)
		}
	}
}

func TestRead_WithoutATypeDetectsItAndReadsOnce(t *testing.T) {
	for _, test := range []struct {
		name    string
		content []byte
	}{
		{"a-1.0.tgz", pt.Node("@b/a", "1.0")},
		{"a-1.0.tgz", pt.Helm("a", "1.0")},
		{"a-1.0.tar.gz", pt.Sdist("a", "1.0")},
		{"a-1.0.zip", pt.Zip(pt.File{Name: "a-1.0/PKG-INFO", Content: pt.Metadata("a", "1.0")})},
		{"a-1.0.jar", pt.Jar("b", "a", "1.0")},
		{"a_1.0_all.deb", nil},
	} {
		f := &largeFile{front: test.content, size: int64(len(test.content))}
		typ, err := Detect(test.name, f, f.size)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Read(test.name, typ, f, f.size)
		if err != nil {
			t.Fatal(err)
		}
		f.read = 0
		got, err := Read(test.name, "", f, f.size)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %+v, %v; want %+v", test.name, got, err, want)
		}
		if strings.Contains(test.name, "gz") && f.read > f.size {
			t.Errorf("%s: %d bytes were read of %d", test.name, f.read, f.size)
		}
	}
	if info, err := Read("a.deb", "", strings.NewReader(""), 0); info.Type != Deb || !errors.Is(err, ErrUnreadable) {
		t.Errorf("got %+v, %v; what can't be read should have its type", info, err)
	}
	if info, err := Read("a", "", strings.NewReader(""), 0); info.Type != "" || !errors.Is(err, ErrAmbiguous) {
		t.Errorf("got %+v, %v", info, err)
	}
}

// BenchmarkRead reads 1 GiB without metadata near the front. An upload takes
// this time in addition to the sending.
func BenchmarkRead(b *testing.B) {
	// Text takes longest to unpack.
	words := make([]string, 5000)
	for i := range words {
		words[i] = noise(1 << 16)[i : i+1+i%9]
	}
	r := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for text.Len() < 2*maxUnpacked {
		fmt.Fprintf(&text, "%x ", words[r.IntN(len(words))])
	}
	packed := pt.TarGz(pt.File{Name: "a-1.0/text", Content: text.String()})
	directory := make([]pt.File, 50_000)
	for i := range directory {
		directory[i].Name = fmt.Sprintf("org/example/Class%d.class", i)
	}
	for _, bench := range []struct {
		name string
		file largeFile
	}{
		{"a-1.0.tar.gz", largeFile{front: packed}},
		{"a_1.0_all.deb", largeFile{front: append([]byte("!<arch>\n"), arHeader("data.tar.xz", gib-68)...)}},
		{"a-1.0-1.noarch.rpm", largeFile{front: pt.RPM("a", "1.0", "1", "noarch")}},
		{"a-1.0.jar", largeFile{end: pt.Zip(directory...)}},
		{"a-1.0-r0.apk", largeFile{front: packed}},
		{"a-1.0.gem", largeFile{front: tarHeader("data.tar.gz", gib-512)}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			bench.file.size = gib
			typ, err := Detect(bench.name, &bench.file, gib)
			typ = cmp.Or(typ, Python) // which nothing tells
			if err != nil && !errors.Is(err, ErrAmbiguous) {
				b.Fatal(err)
			}
			bench.file.read = 0
			n := 0
			for b.Loop() {
				if _, err := Read(bench.name, typ, &bench.file, gib); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(bench.file.read)/float64(n), "bytes-read/op")
		})
	}
}
