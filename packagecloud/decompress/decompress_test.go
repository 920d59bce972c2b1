package decompress_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/decompress"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/ulikunitz/xz"
)

func unpack(compression string, packed []byte) ([]byte, error) {
	r, err := decompress.All()[compression](bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	return io.ReadAll(r)
}

func packXZ(t testing.TB, config xz.WriterConfig, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := config.NewWriter(&b)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packZstd(t testing.TB, content []byte, options ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, options...)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// contents are of sizes that make one chunk and several, packed and not.
func contents() map[string][]byte {
	noise := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	return map[string][]byte{"nothing": {}, "little": []byte("little"), "text": bytes.Repeat([]byte("some text. "), 30_000), "noise": noise}
}

func TestAll_Unpacks(t *testing.T) {
	for name, content := range contents() {
		packed := map[string][]byte{
			"xz, with CRC64":     packXZ(t, xz.WriterConfig{}, content),
			"xz, with CRC32":     packXZ(t, xz.WriterConfig{CheckSum: xz.CRC32}, content),
			"xz, with SHA-256":   packXZ(t, xz.WriterConfig{CheckSum: xz.SHA256}, content),
			"xz, with no check":  packXZ(t, xz.WriterConfig{NoCheckSum: true}, content),
			"xz, several blocks": packXZ(t, xz.WriterConfig{BlockSize: 100_000}, content),
			"zstd":               packZstd(t, content),
			"zstd, best":         packZstd(t, content, zstd.WithEncoderLevel(zstd.SpeedBestCompression)),
		}
		for how, b := range packed {
			compression, _, _ := strings.Cut(how, ",")
			if have, err := unpack(compression, b); err != nil || !bytes.Equal(have, content) {
				t.Errorf("%s, %s: %d bytes, %v; want %d", name, how, len(have), err, len(content))
			}
		}
	}
}

func TestAll_DamagedFileIsAnError(t *testing.T) {
	content := contents()["text"]
	for compression, packed := range map[string][]byte{"xz": packXZ(t, xz.WriterConfig{}, content), "zstd": packZstd(t, content)} {
		flipped := bytes.Clone(packed)
		flipped[len(flipped)/2] ^= 0xff
		for name, b := range map[string][]byte{"nothing": {}, "page": []byte("<html>502 Bad Gateway</html>"), "cut off": packed[:len(packed)-10], "cut off early": packed[:10], "flipped": flipped} {
			have, err := unpack(compression, b)
			if err == nil && !(compression == "zstd" && len(b) == 0 && len(have) == 0) { // no frame is no content
				t.Errorf("%s, %s: %d bytes, no error", compression, name, len(have))
			}
		}
	}
}

// withDictionary changes the dictionary that the first block of an xz file asks for.
func withDictionary(packed []byte, d byte) []byte {
	b := bytes.Clone(packed)
	header := b[12 : 12+(int(b[12])+1)*4]
	i := bytes.Index(header, []byte{0x21, 1})
	header[i+2] = d
	body := header[:len(header)-4]
	binary.LittleEndian.PutUint32(header[len(body):], crc32.ChecksumIEEE(body))
	return b
}

func TestAll_FileThatWantsMuchMemoryIsAnError(t *testing.T) {
	small := packXZ(t, xz.WriterConfig{}, []byte("content"))
	blocks := packXZ(t, xz.WriterConfig{BlockSize: 1, DictCap: 4096}, make([]byte, 17))
	large := make([]byte, 1<<20)
	for name, test := range map[string]struct {
		compression string
		packed      []byte
		ok          bool
	}{
		"xz, 64 MiB":             {"xz", withDictionary(small, 28), true},
		"xz, 96 MiB":             {"xz", withDictionary(small, 29), false},
		"xz, 4 GiB":              {"xz", withDictionary(small, 40), false},
		"xz, no such dictionary": {"xz", withDictionary(small, 41), false},
		"xz, 17 blocks":          {"xz", blocks, false},
		"zstd, 8 MiB":            {"zstd", packZstd(t, large, zstd.WithWindowSize(8<<20)), true},
		"zstd, 128 MiB":          {"zstd", packZstd(t, large, zstd.WithWindowSize(128<<20)), false},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := unpack(test.compression, test.packed)
		runtime.ReadMemStats(&after)
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 160<<20 {
			t.Errorf("%s: it took %d MiB", name, taken>>20)
		}
	}
}

// The debs are dpkg-deb's own, of one package: see testdata/make. The server is
// strict and looks into them as well.
//
// Guarantee U3.
func TestAll_ReplacesADebOfToday(t *testing.T) {
	srv := packagecloudtest.NewServer(&packagecloudtest.Options{Strict: true, Decompressors: decompress.All()})
	t.Cleanup(srv.Close)
	srv.CreateRepository("main", false)
	client, err := packagecloud.New(tokensource.Static(srv.Token()), packagecloud.WithBaseURL(srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	options := &packagecloud.UploadOptions{Distribution: "ubuntu/noble", IfExists: packagecloud.Replace, Decompressors: decompress.All()}
	for _, compression := range []string{"xz", "zstd", "xz"} {
		deb, err := os.ReadFile("testdata/demo_1.0_all." + compression + ".deb")
		if err != nil {
			t.Fatal(err)
		}
		pkg, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes("build.deb", deb), options)
		if err != nil || pkg.Filename != "demo_1.0_all.deb" || pkg.Existed {
			t.Fatalf("%s: %+v, %v", compression, pkg, err)
		}
		if packages := srv.Packages("main"); len(packages) != 1 || packages[0].Size != int64(len(deb)) {
			t.Errorf("%s: the server stores %+v", compression, packages)
		}
	}
}

func ExampleAll() {
	srv := packagecloudtest.NewServer(&packagecloudtest.Options{Strict: true, Decompressors: decompress.All()})
	defer srv.Close()
	srv.CreateRepository("main", false)
	client, err := packagecloud.New(tokensource.Static(srv.Token()), packagecloud.WithBaseURL(srv.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	pkg, err := client.Repository("acme", "main").Upload(context.Background(), packagecloud.File("testdata/demo_1.0_all.zstd.deb"), &packagecloud.UploadOptions{
		Distribution:  "ubuntu/noble",
		IfExists:      packagecloud.Replace,
		Decompressors: decompress.All(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(pkg.Filename)
	// Output: demo_1.0_all.deb
}

func FuzzXZ(f *testing.F) {
	for _, content := range []string{"", "content", strings.Repeat("text", 1000)} {
		f.Add(packXZ(f, xz.WriterConfig{}, []byte(content)))
	}
	f.Add(withDictionary(packXZ(f, xz.WriterConfig{}, []byte("content")), 40))
	f.Fuzz(func(t *testing.T, packed []byte) {
		r, err := decompress.All()["xz"](bytes.NewReader(packed))
		if err == nil {
			io.Copy(io.Discard, io.LimitReader(r, 1<<20))
		}
	})
}
