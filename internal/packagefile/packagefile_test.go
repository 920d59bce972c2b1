package packagefile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	pt "github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
)

func read(t *testing.T, name, typ string, content []byte) Info {
	t.Helper()
	info, err := Read(name, typ, bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatalf("Read(%q, %q): %v", name, typ, err)
	}
	return info
}

func dsc(name, version string) []byte {
	b, _ := pt.DSC(name, version)
	return b
}

func TestRead_EveryTypeFromItsContentWhateverItsFileName(t *testing.T) {
	_, sources := pt.DSC("jake", "2:1.0-7")
	for _, test := range []struct {
		typ, name string
		content   []byte
		want      Info
	}{
		{Deb, "x", pt.Deb("jake", "2:1.0-7", "amd64", "Depends: dpkg (>= 1.15.4) | install-info,", " libc6 (>= 2.4)", "Suggests: indent"), Info{
			Name: "jake", Version: "1.0", Release: "7", Epoch: 2, Architecture: "amd64",
			Description: "the jake tool\nTells things.\n\nAnd more.", Licenses: []string{},
			Dependencies: []Dependency{{"depends", []string{"dpkg (>= 1.15.4) | install-info", "libc6 (>= 2.4)"}}, {"suggests", []string{"indent"}}},
		}},
		{Deb, "x", pt.Ar(pt.File{Name: "debian-binary", Content: "2.0\n"}, pt.File{Name: "_odd", Content: "odd"}, pt.File{Name: "control.tar/", Content: string(pt.Tar(pt.File{Name: "control", Content: pt.Control("j", "1", "all")}))}), Info{
			Name: "j", Version: "1", Architecture: "all", Description: "the j tool\nTells things.\n\nAnd more.", Licenses: []string{},
		}},
		{RPM, "x", pt.RPM("jake", "1.0", "1.el6", "x86_64"), Info{
			Name: "jake", Version: "1.0", Release: "1.el6", Architecture: "x86_64", Summary: "the jake tool", Description: "Tells things.",
			Licenses: []string{"GPL"}, Dependencies: []Dependency{{"requires", []string{"libc.so.6(GLIBC_2.2.5)(64bit)", "glibc >= 2.17"}}},
		}},
		{Gem, "x", pt.Gem("jakedotrb", "0.0.1"), Info{
			Name: "jakedotrb", Version: "0.0.1", Summary: "the jakedotrb tool: small", Description: "Tells things.", Licenses: []string{"MIT"},
		}},
		{Python, "x.whl", pt.Wheel("packagecloud-test", "0.9.7b1"), Info{
			Name: "packagecloud-test", Version: "0.9.7b1", Summary: "the packagecloud-test tool", Description: "Tells things.",
			Dependencies: []Dependency{{"requires-dist", []string{"requests (>=2)"}}, {"requires-python", []string{">=3.8"}}},
		}},
		{Python, "x.tar.gz", pt.Sdist("p", "1"), Info{
			Name: "p", Version: "1", Summary: "the p tool", Description: "Tells things.",
			Dependencies: []Dependency{{"requires-dist", []string{"requests (>=2)"}}, {"requires-python", []string{">=3.8"}}},
		}},
		{Node, "x", pt.Node("@acme/test-pkg", "1.3.1"), Info{
			Name: "test-pkg", Scope: "@acme", Version: "1.3.1", Description: "Tells things.",
			Dependencies: []Dependency{{"dependency", []string{"express"}}, {"peerDependency", []string{"tea"}}},
		}},
		{Java, "x", pt.Jar("io.acme", "jake", "2.3"), Info{
			Name: "jake", Group: "io.acme", Version: "2.3", Dependencies: []Dependency{{"test", []string{"junit.junit 3.8.1"}}},
		}},
		{Java, "x.pom", []byte(pt.Pom("io.acme", "jake", "2.3")), Info{
			Name: "jake", Group: "io.acme", Version: "2.3", Dependencies: []Dependency{{"test", []string{"junit.junit 3.8.1"}}},
		}},
		{Alpine, "x", pt.Alpine("jake", "1.0.1-r2", "x86_64"), Info{
			Name: "jake", Version: "1.0.1-r2", Architecture: "x86_64", Summary: "the jake tool", Description: "the jake tool",
			Licenses: []string{"MIT"}, Dependencies: []Dependency{{"depends", []string{"so:libc.musl-x86_64.so.1"}}},
		}},
		{Helm, "x", pt.Helm("hello", "2.0.0"), Info{
			Name: "hello", Version: "2.0.0", Summary: "A chart: small", Description: "A chart: small",
		}},
		{DSC, "x", dsc("jake", "2:1.0-7"), Info{
			Name: "jake", Version: "1.0", Release: "7", Epoch: 2, Architecture: "i386 amd64 all", Licenses: []string{},
			Dependencies: []Dependency{{"build-depends", []string{"pkg-config", "quilt"}}, {"build-depends-indep", []string{"debhelper (>= 2.0.40)"}}},
			SourceFiles:  []SourceFile{{Name: sources[0].Name}, {Name: sources[1].Name}},
		}},
	} {
		t.Run(test.typ+" "+test.name, func(t *testing.T) {
			got := read(t, test.name, test.typ, test.content)
			test.want.Type, test.want.FromContent = test.typ, true
			for i, f := range got.SourceFiles {
				if f.Size != int64(len(sources[i].Content)) || len(f.MD5) != 32 || len(f.SHA256) != 64 {
					t.Errorf("source file %+v", f)
				}
				got.SourceFiles[i] = SourceFile{Name: f.Name}
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestRead_FallsBackToTheFileName(t *testing.T) {
	for _, test := range []struct{ typ, file, name, version, release, arch string }{
		{Deb, "jake_1.0-7_amd64.deb", "jake", "1.0", "7", "amd64"},
		{Deb, "/tmp/x/jake_2%3a1.0_all.deb", "jake", "1.0", "", "all"},
		{DSC, "jake_1.0-7.dsc", "jake", "1.0", "7", "any"},
		{RPM, "jake-doc-1.0-1.el6.x86_64.rpm", "jake-doc", "1.0", "1.el6", "x86_64"},
		{Gem, "jake-dot-rb-0.0.1.gem", "jake-dot-rb", "0.0.1", "", ""},
		{Gem, "nokogiri-1.15.0-x86_64-linux.gem", "nokogiri", "1.15.0", "", "x86_64-linux"},
		{Python, "packagecloud_test-0.9.7b1-py2.py3-none-any.whl", "packagecloud_test", "0.9.7b1", "", ""},
		{Python, "my-project-1.0.tar.gz", "my-project", "1.0", "", ""},
		{Node, "test-pkg-1.3.1-beta.2.tgz", "test-pkg", "1.3.1-beta.2", "", ""},
		{Java, "jake-2.3.jar", "jake", "2.3", "", ""},
		{Alpine, "py3-jake-1.0.1-r2.apk", "py3-jake", "1.0.1", "", ""},
		{Helm, "hello-kubernetes-2.0.0.tgz", "hello-kubernetes", "2.0.0", "", ""},
		{Anyfile, "hello-0.0.6.asc", "hello", "0.0.6", "", ""},
		{Anyfile, "a-2-b-1.0.tar.gz", "a-2-b", "1.0", "", ""},
		{Anyfile, "data-v3.zip", "data", "v3", "", ""},
	} {
		info := read(t, test.file, test.typ, []byte("not a package"))
		if test.typ == Alpine {
			test.version += "-r2"
		}
		if info.Name != test.name || info.Version != test.version || info.Release != test.release || info.Architecture != test.arch || info.FromContent {
			t.Errorf("%s: %+v", test.file, info)
		}
	}
}

func TestRead_SaysWhenNothingTellsTheName(t *testing.T) {
	for _, test := range []struct{ typ, file string }{
		{Deb, "jake.deb"}, {RPM, "jake.rpm"}, {Gem, "jake.gem"}, {Python, "jake.whl"}, {Node, "jake.tgz"},
		{Java, "jake.jar"}, {Alpine, "jake.apk"}, {Helm, "jake.tgz"}, {Anyfile, "jake.zip"}, {DSC, "jake.dsc"}, {Anyfile, ""}, {Anyfile, ".."},
	} {
		if info, err := Read(test.file, test.typ, strings.NewReader("junk"), 4); !errors.Is(err, ErrUnreadable) {
			t.Errorf("Read(%q, %q) = %+v, %v", test.file, test.typ, info, err)
		}
	}
	if _, err := Read("x", "docker", strings.NewReader(""), 0); err == nil || !strings.Contains(err.Error(), "use deb") {
		t.Errorf("unknown type: %v", err)
	}
}

// Guarantee U4.
func TestDetect(t *testing.T) {
	zip := pt.Zip(pt.File{Name: "AndroidManifest.xml"})
	for _, test := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"a_1_all.deb", nil, Deb}, {"A.DEB", nil, Deb}, {"a.dsc", nil, DSC}, {"a.rpm", nil, RPM}, {"a.gem", nil, Gem}, {"a.whl", nil, Python},
		{"a.egg", nil, Python}, {"a.jar", nil, Java}, {"a.war", nil, Java}, {"a.aar", nil, Java}, {"a.asc", nil, Anyfile},
		{"a.apk", pt.Alpine("a", "1-r0", "noarch"), Alpine},
		{"a.apk", zip, Java},
		{"a.apk", []byte("?"), ""},
		{"a-1.0.tgz", pt.Node("a", "1.0"), Node},
		{"a-1.0.tgz", pt.Helm("a", "1.0"), Helm},
		{"a-1.0.tgz", pt.TarGz(pt.File{Name: "a/README"}), ""},
		{"a-1.0.tgz", pt.TarGz(pt.File{Name: "a/Chart.yaml", Content: "name: a\nversion: 1\n"}, pt.File{Name: "package/package.json", Content: `{"name":"a","version":"1"}`}), ""},
		{"a-1.0.tar.gz", pt.Sdist("a", "1.0"), Python},
		{"a-1.0.tar.gz", pt.TarGz(pt.File{Name: "a/README"}), ""},
		{"a-1.0.zip", pt.Zip(pt.File{Name: "a-1.0/PKG-INFO", Content: pt.Metadata("a", "1.0")}), Python},
		{"a-1.0.zip", zip, ""},
		{"a-1.0.tar", pt.Tar(pt.File{Name: "a-1.0/PKG-INFO", Content: pt.Metadata("a", "1.0")}), Python},
		{"a", nil, ""}, {"a.exe", nil, ""}, {"a.gz", nil, ""},
	} {
		got, err := Detect(test.name, bytes.NewReader(test.content), int64(len(test.content)))
		if got != test.want || (test.want == "") != errors.Is(err, ErrAmbiguous) {
			t.Errorf("Detect(%q) = %q, %v; want %q", test.name, got, err, test.want)
		}
		if err != nil && !strings.Contains(err.Error(), "name its type") {
			t.Errorf("Detect(%q): %v; it should say what to do", test.name, err)
		}
	}
}

func TestDetect_SaysWhatAnAmbiguousFileLooksLike(t *testing.T) {
	both := pt.TarGz(pt.File{Name: "a/Chart.yaml", Content: "name: a\nversion: 1\n"}, pt.File{Name: "package/package.json", Content: `{"name":"a","version":"1"}`})
	if _, err := Detect("a-1.0.tgz", bytes.NewReader(both), int64(len(both))); err == nil || !strings.Contains(err.Error(), "node and helm") {
		t.Errorf("got %v", err)
	}
}

func TestInfo_FileName(t *testing.T) {
	for _, test := range []struct {
		info Info
		want string
	}{
		{Info{Type: Deb, Name: "a", Version: "1.0", Release: "7", Epoch: 2, Architecture: "amd64"}, "a_1.0-7_amd64.deb"},
		{Info{Type: Deb, Name: "a", Version: "1.0", Architecture: "all"}, "a_1.0_all.deb"},
		{Info{Type: DSC, Name: "a", Version: "1.0", Release: "7"}, "a_1.0-7.dsc"},
		{Info{Type: RPM, Name: "a", Version: "1.0", Release: "1.el6", Architecture: "src"}, "a-1.0-1.el6.src.rpm"},
		{Info{Type: Gem, Name: "a", Version: "1.0"}, "a-1.0.gem"},
		{Info{Type: Gem, Name: "a", Version: "1.0", Architecture: "java"}, "a-1.0-java.gem"},
		{Info{Type: Node, Name: "a", Scope: "@s", Version: "1.0"}, "a-1.0.tgz"},
		{Info{Type: Python, Name: "a", Version: "1.0"}, ""},
		{Info{Type: Deb}, ""},
	} {
		if got := test.info.FileName(); got != test.want {
			t.Errorf("%+v: %q, want %q", test.info, got, test.want)
		}
	}
}

func TestRead_SignedDSC(t *testing.T) {
	plain := dsc("jake", "1.0-7")
	for _, armour := range []string{"\nHash: SHA256\n\n", "\n\n", "\r\nHash: SHA512\r\n\r\n"} {
		signed := "-----BEGIN PGP SIGNED MESSAGE-----" + armour + string(plain) + "\n-----BEGIN PGP SIGNATURE-----\n\nName: evil\n-----END PGP SIGNATURE-----\n"
		info := read(t, "x.dsc", DSC, []byte(signed))
		if info.Name != "jake" || len(info.SourceFiles) != 2 {
			t.Errorf("armour %q: %+v", armour, info)
		}
	}
}

func TestRead_DSCThatNamesAPathIsRefused(t *testing.T) {
	evil := strings.ReplaceAll(string(dsc("jake", "1.0-7")), "jake_1.0.orig", "../jake_1.0.orig")
	if _, err := Read("x.dsc", DSC, strings.NewReader(evil), int64(len(evil))); !errors.Is(err, ErrUnreadable) {
		t.Errorf("got %v", err)
	}
}

func TestRead_FatJarTellsNothingUnlessOneBearsTheFilesName(t *testing.T) {
	fat := pt.Zip(
		pt.File{Name: "META-INF/maven/a/one/pom.properties", Content: "groupId=a\nartifactId=one\nversion=1"},
		pt.File{Name: "META-INF/maven/b/two/pom.properties", Content: "groupId=b\nartifactId=two\nversion=2"},
	)
	if info := read(t, "app-3.jar", Java, fat); info.Group != "" || info.FromContent {
		t.Errorf("app-3.jar: %+v", info)
	}
	if info := read(t, "two-2-all.jar", Java, fat); info.Group != "b" || info.Name != "two" {
		t.Errorf("two-2-all.jar: %+v", info)
	}
}

func TestRead_BombsAreBounded(t *testing.T) {
	huge := strings.Repeat("\x00", maxMetadata+1)
	for _, test := range []struct {
		typ, name string
		content   []byte
	}{
		{Node, "a-1.tgz", pt.TarGz(pt.File{Name: "package/package.json", Content: `{"name":"evil","version":"1","x":"` + huge + `"}`})},
		{Gem, "a-1.0.gem", pt.Tar(pt.File{Name: "metadata.gz", Content: string(pt.Gzip([]byte("--- !ruby/object:Gem::Specification\nname: evil\nversion:\n  version: '1'\n" + huge)))})},
		{Java, "a-1.0.jar", pt.Zip(
			pt.File{Name: "META-INF/maven/g/evil/pom.properties", Content: "groupId=g\nartifactId=evil\nversion=1\n"},
			pt.File{Name: "META-INF/maven/g/a/pom.properties", Content: huge[1:]},
		)},
		{Python, "a-1.0-py3-none-any.whl", pt.Zip(pt.File{Name: "a-1.dist-info/METADATA", Content: pt.Metadata("evil", "1") + huge})},
	} {
		info := read(t, test.name, test.typ, test.content)
		if info.Name != "a" || info.FromContent {
			t.Errorf("%s: %+v: the metadata should have been too long to be read", test.typ, info)
		}
	}
}

// TestRead_WhatDebianBuilds reads packages that the real dpkg-deb built, with
// each of its compressors.
func TestRead_WhatDebianBuilds(t *testing.T) {
	tool, err := exec.LookPath("dpkg-deb")
	if err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(pt.Control("jake", "3:1.0-7", "amd64")), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, compressor := range []string{"none", "gzip", "xz", "zstd"} {
		file := filepath.Join(t.TempDir(), "jake_1.0-7_amd64.deb")
		if out, err := exec.Command(tool, "--root-owner-group", "-Z"+compressor, "-b", root, file).CombinedOutput(); err != nil {
			t.Logf("%s: %s", compressor, out)
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		info := read(t, file, Deb, b)
		if info.FileName() != "jake_1.0-7_amd64.deb" || info.FromContent != (compressor == "none" || compressor == "gzip") {
			t.Errorf("%s: %+v", compressor, info)
		}
	}
}

func ExampleDetect() {
	chart := pt.Helm("hello", "2.0.0")
	typ, err := Detect("hello-2.0.0.tgz", bytes.NewReader(chart), int64(len(chart)))
	fmt.Println(typ, err)
	// Output: helm <nil>
}
