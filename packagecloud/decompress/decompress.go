// Package decompress unpacks xz and zstd for packages of the module
// github.com/packagecloud-go/sdk, which has the standard library alone. dpkg packs
// a deb's metadata with one of the two by default. Without them an upload knows such
// a deb by its file name only, and packagecloud.Replace doesn't delete on that.
//
//	repo.Upload(ctx, packagecloud.File("demo_1.0_amd64.deb"), &packagecloud.UploadOptions{
//		Distribution:  "ubuntu/noble",
//		IfExists:      packagecloud.Replace,
//		Decompressors: decompress.All(),
//	})
//
// It is written in Go alone, over github.com/ulikunitz/xz and the zstd package of
// github.com/klauspost/compress, both under BSD licences. It starts no goroutine.
// What it is given may be hostile: it takes at most some 64 MiB for a dictionary or
// window, which is what "xz -9" and all but the "--ultra" levels of zstd need, and
// fails for a file that wants more.
package decompress

import (
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxMemory is the largest dictionary of xz, and the largest window of zstd.
const maxMemory = 64 << 20

// All returns a decompressor for "xz" and one for "zstd", for the Decompressors of
// packagecloud.UploadOptions and packagecloudtest.Options. The map is the caller's.
// The functions are safe for concurrent use; the readers that they return are not.
// A reader's error says that the file is damaged or wants too much memory. That of
// zstd is an io.Closer, which gives its buffers back.
func All() map[string]func(io.Reader) (io.Reader, error) {
	return map[string]func(io.Reader) (io.Reader, error){"xz": openXZ, "zstd": openZstd}
}

func openXZ(r io.Reader) (io.Reader, error) {
	return xz.ReaderConfig{SingleStream: true}.NewReader(newXZGuard(r))
}

func openZstd(r io.Reader) (io.Reader, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxMemory))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
