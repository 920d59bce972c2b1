// Package packagefiletest builds small, well-formed packages for tests: enough
// for every reader of metadata, with next to nothing inside.
package packagefiletest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

// File is a file in an archive.
type File struct{ Name, Content string }

// Tar returns a tar archive.
func Tar(files ...File) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		must(w.WriteHeader(&tar.Header{Name: f.Name, Mode: 0o644, Size: int64(len(f.Content)), Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(f.Content))
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

// Gzip packs b.
func Gzip(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	must(err)
	must(w.Close())
	return out.Bytes()
}

// TarGz returns a gzipped tar archive.
func TarGz(files ...File) []byte { return Gzip(Tar(files...)) }

// Zip returns a zip archive.
func Zip(files ...File) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		e, err := w.Create(f.Name)
		must(err)
		_, err = e.Write([]byte(f.Content))
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

// Ar returns an ar archive.
func Ar(files ...File) []byte {
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, f := range files {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", f.Name, 0, 0, 0, "100644", len(f.Content), f.Content)
		if len(f.Content)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// Control returns a Debian binary package's control file, with extra lines at its end.
func Control(name, version, arch string, extra ...string) string {
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: A <a@example.com>\nDescription: the %s tool\n Tells things.\n .\n And more.\n%s",
		name, version, arch, name, lines(extra))
}

// Deb returns a Debian binary package.
func Deb(name, version, arch string, extra ...string) []byte {
	return Ar(
		File{"debian-binary", "2.0\n"},
		File{"control.tar.gz", string(TarGz(File{"./control", Control(name, version, arch, extra...)}))},
		File{"data.tar.gz", string(TarGz(File{"./usr/bin/" + name, "#!/bin/sh\n"}))},
	)
}

// DSC returns a Debian source package: the .dsc and the files it names.
func DSC(name, version string) (dsc []byte, sources []File) {
	upstream := version
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		upstream = version[:i]
	}
	sources = []File{
		{name + "_" + upstream + ".orig.tar.gz", string(TarGz(File{name + "/README", name + "\n"}))},
		{name + "_" + version + ".debian.tar.gz", string(TarGz(File{"debian/control", "Source: " + name + "\n"}))},
	}
	var sums, sha strings.Builder
	for _, f := range sources {
		fmt.Fprintf(&sums, "\n %x %d %s", md5.Sum([]byte(f.Content)), len(f.Content), f.Name)
		fmt.Fprintf(&sha, "\n %x %d %s", sha256.Sum256([]byte(f.Content)), len(f.Content), f.Name)
	}
	return fmt.Appendf(nil, "Format: 3.0 (quilt)\nSource: %s\nBinary: %s\nArchitecture: i386 amd64 all\nVersion: %s\nBuild-Depends: pkg-config, quilt\nBuild-Depends-Indep: debhelper (>= 2.0.40)\nChecksums-Sha256:%s\nFiles:%s\n",
		name, name, version, sha.String(), sums.String()), sources
}

// RPM returns a binary package that requires a C library and, in a version, glibc.
func RPM(name, version, release, arch string) []byte {
	var b bytes.Buffer
	lead := make([]byte, 96)
	copy(lead, "\xed\xab\xee\xdb\x03\x00\x00\x00")
	b.Write(lead)
	signature := rpmHeader(rpmString(1000, 6, "size"))
	b.Write(signature)
	b.Write(make([]byte, (8-len(signature)%8)%8))
	b.Write(rpmHeader(
		rpmString(1000, 6, name),
		rpmString(1001, 6, version),
		rpmString(1002, 6, release),
		rpmInt(1003, 0),
		rpmString(1004, 9, "the "+name+" tool"),
		rpmString(1005, 9, "Tells things."),
		rpmString(1014, 6, "GPL"),
		rpmString(1022, 6, arch),
		rpmString(1044, 6, name+"-"+version+"-"+release+".src.rpm"),
		rpmInt(1048, 0, 8|4),
		rpmString(1049, 8, "libc.so.6(GLIBC_2.2.5)(64bit)", "glibc"),
		rpmString(1050, 8, "", "2.17"),
	))
	b.WriteString("payload of " + name)
	return b.Bytes()
}

type rpmValue struct {
	tag, kind uint32
	count     uint32
	data      []byte
}

func rpmString(tag, kind uint32, values ...string) rpmValue {
	return rpmValue{tag, kind, uint32(len(values)), []byte(strings.Join(values, "\x00") + "\x00")}
}

func rpmInt(tag uint32, values ...uint32) rpmValue {
	v := rpmValue{tag: tag, kind: 4, count: uint32(len(values))}
	for _, n := range values {
		v.data = binary.BigEndian.AppendUint32(v.data, n)
	}
	return v
}

func rpmHeader(values ...rpmValue) []byte {
	var index, store []byte
	for _, v := range values {
		if v.kind == 4 {
			store = append(store, make([]byte, (4-len(store)%4)%4)...)
		}
		for _, n := range []uint32{v.tag, v.kind, uint32(len(store)), v.count} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		store = append(store, v.data...)
	}
	b := []byte("\x8e\xad\xe8\x01\x00\x00\x00\x00")
	b = binary.BigEndian.AppendUint32(b, uint32(len(values)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(store)))
	return append(append(b, index...), store...)
}

// Gem returns a RubyGem.
func Gem(name, version string) []byte {
	metadata := fmt.Sprintf("--- !ruby/object:Gem::Specification\nname: %s\nversion: !ruby/object:Gem::Version\n  version: '%s'\nplatform: ruby\nauthors:\n- A\ndependencies:\n- !ruby/object:Gem::Dependency\n  name: rake\n  type: :runtime\ndescription: Tells things.\nlicenses:\n- MIT\nrubygems_version: 3.3.5\nsummary: 'the %s tool: small'\n", name, version, name)
	return Tar(File{"metadata.gz", string(Gzip([]byte(metadata)))}, File{"data.tar.gz", string(TarGz())})
}

// Metadata returns Python core metadata.
func Metadata(name, version string) string {
	return fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\nSummary: the %s tool\nRequires-Dist: requests (>=2)\nRequires-Python: >=3.8\n\nTells things.\n", name, version, name)
}

// Wheel returns a Python wheel.
func Wheel(name, version string) []byte {
	dir := strings.ReplaceAll(name, "-", "_") + "-" + version + ".dist-info/"
	return Zip(File{dir + "METADATA", Metadata(name, version)}, File{dir + "RECORD", ""})
}

// Sdist returns a Python source archive, .tar.gz.
func Sdist(name, version string) []byte {
	return TarGz(File{name + "-" + version + "/setup.py", ""}, File{name + "-" + version + "/PKG-INFO", Metadata(name, version)})
}

// Node returns an npm package; name may have a scope.
func Node(name, version string) []byte {
	return TarGz(File{"package/index.js", ""}, File{"package/package.json", fmt.Sprintf(
		`{"name":%q,"version":%q,"description":"Tells things.","dependencies":{"express":"^4"},"peerDependencies":{"tea":"1"}}`, name, version)})
}

// Jar returns a Java archive made by Maven.
func Jar(group, artifact, version string) []byte {
	dir := "META-INF/maven/" + group + "/" + artifact + "/"
	return Zip(
		File{"META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"},
		File{dir + "pom.properties", fmt.Sprintf("#made by a test\nartifactId=%s\ngroupId=%s\nversion=%s\n", artifact, group, version)},
		File{dir + "pom.xml", Pom(group, artifact, version)},
	)
}

// Pom returns a pom.xml with one test dependency.
func Pom(group, artifact, version string) string {
	return fmt.Sprintf(`<?xml version="1.0"?><project xmlns="http://maven.apache.org/POM/4.0.0"><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version>`+
		`<dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>3.8.1</version><scope>test</scope></dependency></dependencies></project>`, group, artifact, version)
}

// Alpine returns an Alpine package: a signature, the control part and the data,
// each a gzip member; the first two end without the archive's end mark.
func Alpine(name, version, arch string) []byte {
	info := fmt.Sprintf("# Generated\npkgname = %s\npkgver = %s\npkgdesc = the %s tool\narch = %s\nlicense = MIT\ndepend = so:libc.musl-x86_64.so.1\n", name, version, name, arch)
	cut := func(b []byte) []byte { return b[:len(b)-1024] }
	return bytes.Join([][]byte{
		Gzip(cut(Tar(File{".SIGN.RSA.test.rsa.pub", "signature"}))),
		Gzip(cut(Tar(File{".PKGINFO", info}))),
		TarGz(File{"usr/bin/" + name, "#!/bin/sh\n"}),
	}, nil)
}

// Helm returns a Helm chart.
func Helm(name, version string) []byte {
	return TarGz(
		File{name + "/Chart.yaml", fmt.Sprintf("apiVersion: v2\nname: %s\ndescription: \"A chart: small\"\nversion: \"%s\" # of the chart\nappVersion: \"1.16.0\"\ndependencies:\n  - name: other\n    version: 9.9.9\n", name, version)},
		File{name + "/values.yaml", "a: 1\n"},
		File{name + "/charts/other/Chart.yaml", "name: other\nversion: 9.9.9\n"},
	)
}

func lines(extra []string) string {
	if len(extra) == 0 {
		return ""
	}
	return strings.Join(extra, "\n") + "\n"
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
