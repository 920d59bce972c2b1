package packagefile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// identity returns an Info in the form of the table in testdata/real.
func identity(info Info) string {
	version := info.Version
	if info.Release != "" {
		version += "-" + info.Release
	}
	switch info.Type {
	case Deb, DSC:
		if info.Epoch > 0 {
			version = fmt.Sprint(info.Epoch, ":", version)
		}
		if info.Type == Deb {
			return info.Name + " " + version + " " + info.Architecture
		}
		words := []string{info.Name, version}
		for _, f := range info.SourceFiles {
			words = append(words, f.Name)
		}
		return strings.Join(words, " ")
	case RPM:
		return fmt.Sprintf("%s %d:%s %s", info.Name, info.Epoch, version, info.Architecture)
	case Gem:
		platform := info.Architecture
		if platform == "" {
			platform = "ruby"
		}
		return strings.Join([]string{info.Name, version, platform, info.FileName()}, " ")
	case Node:
		if info.Scope != "" {
			return info.Scope + "/" + info.Name + " " + version
		}
	case Java:
		return info.Group + ":" + info.Name + ":" + version
	case Alpine:
		return info.Name + " " + version + " " + info.Architecture
	}
	return info.Name + " " + version
}

// TestRead_RealPackagesAsTheirOwnToolsPrintThem reads the packages in
// testdata/real, which real tools built. It compares the results with the
// output of those tools.
//
// Guarantee U6.
func TestRead_RealPackagesAsTheirOwnToolsPrintThem(t *testing.T) {
	notFromContent := map[string]string{
		"tea-xz_1.0-rc1-3_amd64.deb":   "the standard library has no xz",
		"tea-zstd_1.0-rc1-3_amd64.deb": "the standard library has no zstd",
		"tea-fat-1.0.jar":              "it holds two artifacts, neither of which bears its name",
		"tea-none-1.0.jar":             "it holds no coordinates",
		"tea-v-v3.0.0.tgz":             "npm publish calls v3.0.0 3.0.0",
	}
	table, err := os.ReadFile("testdata/real/identities")
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for line := range strings.Lines(string(table)) {
		column := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(column) != 3 {
			t.Fatalf("%q has not three columns", line)
		}
		name, want := column[0], column[1]
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join("testdata", "real", name))
			if err != nil {
				t.Fatal(err)
			}
			info := read(t, name, "", content)
			types = append(types, info.Type)
			if _, uncertain := notFromContent[name]; uncertain {
				if info.FromContent {
					t.Errorf("%+v: %s", info, notFromContent[name])
				}
				return
			}
			if got := identity(info); got != want || !info.FromContent {
				t.Errorf("got  %s (from content: %v)\nwant %s, which this prints: %s", got, info.FromContent, want, column[2])
			}
			if file := info.FileName(); info.Type != Node && file != "" && file != name {
				t.Errorf("the tool named the file %s, not %s", name, file)
			}
			for _, end := range []int{len(content) / 4, len(content) / 2, len(content) - 20} {
				if info, err := Read(name, info.Type, bytes.NewReader(content[:end]), int64(end)); err == nil && info.FromContent {
					t.Errorf("cut to %d of %d bytes: %+v", end, len(content), info)
				}
			}
		})
	}
	slices.Sort(types)
	if types = slices.Compact(types); len(types) != 9 {
		t.Errorf("only %v were read", types)
	}
}
