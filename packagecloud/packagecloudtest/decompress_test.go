package packagecloudtest_test

import (
	"compress/gzip"
	"io"
	"testing"

	"github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

func TestUpload_DecompressorTellsWhatADebIs(t *testing.T) {
	control := packagefiletest.TarGz(packagefiletest.File{Name: "./control", Content: packagefiletest.Control("demo", "1.0", "amd64")}) // gzip stands for xz
	deb := packagefiletest.Ar(packagefiletest.File{Name: "debian-binary", Content: "2.0\n"}, packagefiletest.File{Name: "control.tar.xz", Content: string(control)})
	hook := map[string]func(io.Reader) (io.Reader, error){"xz": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }}
	for name, test := range map[string]struct {
		options packagecloudtest.Options
		want    string // how it is stored
	}{
		"without":           {packagecloudtest.Options{}, "other_2.0_all.deb"},
		"without, strict":   {packagecloudtest.Options{Strict: true}, ""},
		"with one":          {packagecloudtest.Options{Decompressors: hook}, "demo_1.0_amd64.deb"},
		"with one, strict":  {packagecloudtest.Options{Strict: true, Decompressors: hook}, "demo_1.0_amd64.deb"},
		"with another, too": {packagecloudtest.Options{Decompressors: map[string]func(io.Reader) (io.Reader, error){"zstd": hook["xz"]}}, "other_2.0_all.deb"},
	} {
		srv := packagecloudtest.NewServer(&test.options)
		t.Cleanup(srv.Close)
		srv.CreateRepository("main", false)
		err := srv.AddPackage("main", "ubuntu/jammy", "other_2.0_all.deb", deb)
		if packages := srv.Packages("main"); (err == nil) != (test.want != "") || err == nil && packages[0].Filename != test.want {
			t.Errorf("%s: %+v, %v", name, packages, err)
		}
	}
}
