package decompress_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud/decompress"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// TestAll_DebsAreWhatDpkgDebPrints reads the debs that dpkg-deb built for the readers'
// own test, and compares them with what dpkg-deb printed. Their file names tell nothing.
// Guarantee U6.
func TestAll_DebsAreWhatDpkgDebPrints(t *testing.T) {
	real := filepath.Join("..", "..", "internal", "packagefile", "testdata", "real")
	table, err := os.ReadFile(filepath.Join(real, "identities"))
	if err != nil {
		t.Fatal(err)
	}
	compressions := 0
	for line := range strings.Lines(string(table)) {
		column := strings.Split(line, "\t")
		if !strings.HasSuffix(column[0], ".deb") {
			continue
		}
		deb, err := os.ReadFile(filepath.Join(real, column[0]))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(deb), "control.tar.xz") || strings.Contains(string(deb), "control.tar.zst") {
			compressions++
		}
		srv := packagecloudtest.NewServer(&packagecloudtest.Options{Strict: true, Decompressors: decompress.All()})
		defer srv.Close()
		srv.CreateRepository("main", false)
		if err := srv.AddPackage("main", "ubuntu/noble", "x.deb", deb); err != nil {
			t.Errorf("%s: %v", column[0], err)
			continue
		}
		p := srv.Packages("main")[0]
		version := p.Version
		if p.Release != "" {
			version += "-" + p.Release
		}
		if p.Epoch > 0 {
			version = fmt.Sprint(p.Epoch, ":", version)
		}
		if got := strings.Join([]string{p.Name, version, p.Architecture}, " "); got != column[1] || p.Filename != column[0] {
			t.Errorf("%s: got %s, a file %s; want %s", column[0], got, p.Filename, column[1])
		}
	}
	if compressions != 2 {
		t.Errorf("%d debs of xz and zstd were read; want 2", compressions)
	}
}
