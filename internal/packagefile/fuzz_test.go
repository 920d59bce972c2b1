package packagefile

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	pt "github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
)

// unpackedAtMost bounds the text of an Info read from a packed file.
const unpackedAtMost = 4 * maxMetadata

// check compares an Info with the rules for every Info. Its text may not be
// longer than most.
func check(t *testing.T, info Info, most int) {
	t.Helper()
	if !validPart(info.Name) || !validPart(info.Version) {
		t.Errorf("%+v", info)
	}
	if file := info.FileName(); len(file) > 5*255 || strings.ContainsAny(file, `/\`) || strings.ContainsFunc(file, unicode.IsControl) || file != baseName(file) {
		t.Errorf("unsafe file name %q", file)
	}
	if strings.ContainsAny(info.Scope+info.Group, `/\`) || strings.ContainsFunc(info.Scope+info.Group, unicode.IsControl) {
		t.Errorf("unsafe namespace %q %q", info.Scope, info.Group)
	}
	n := len(info.Name) + len(info.Version) + len(info.Release) + len(info.Architecture) + len(info.Scope) + len(info.Group)
	n += max(len(info.Summary), len(info.Description)) // may be the same text
	for _, license := range info.Licenses {
		n += len(license)
	}
	for _, d := range info.Dependencies {
		for _, text := range d.Dependencies {
			n += len(text)
		}
	}
	for _, f := range info.SourceFiles {
		if !validPart(f.Name) || f.Size < 0 {
			t.Errorf("%+v", f)
		}
	}
	if n > most {
		t.Errorf("%d bytes of text were read in %d", n, most)
	}
}

// same fails the test unless the written form of want reads as want.
func same(t *testing.T, got Info, ok bool, want Info) {
	t.Helper()
	if !ok || got.Name != want.Name || got.Version != want.Version || got.Release != want.Release || got.Epoch != want.Epoch ||
		got.Architecture != want.Architecture || got.Scope != want.Scope || got.Group != want.Group {
		t.Errorf("%+v was written and read as %+v, %v", want, got, ok)
	}
}

func FuzzRead(f *testing.F) {
	add := func(name, typ string, content []byte) { f.Add(name, typ, content) }
	add("a_1_all.deb", Deb, pt.Deb("a", "1", "all"))
	add("a_1.dsc", DSC, dsc("a", "1-1"))
	add("a-1-1.noarch.rpm", RPM, pt.RPM("a", "1", "1", "noarch"))
	add("a-1.gem", Gem, pt.Gem("a", "1"))
	add("a-1-py3-none-any.whl", Python, pt.Wheel("a", "1"))
	add("a-1.tar.gz", Python, pt.Sdist("a", "1"))
	add("a-1.tgz", Node, pt.Node("@b/a", "1"))
	add("a-1.jar", Java, pt.Jar("g", "a", "1"))
	add("a-1.pom", Java, []byte(pt.Pom("g", "a", "1")))
	add("a-1-r0.apk", Alpine, pt.Alpine("a", "1-r0", "noarch"))
	add("a-1.tgz", Helm, pt.Helm("a", "1"))
	add("a-1.asc", Anyfile, nil)
	f.Fuzz(func(t *testing.T, name, typ string, content []byte) {
		info, err := Read(name, typ, bytes.NewReader(content), int64(len(content)))
		if err == nil {
			if info.Type != typ && typ != "" {
				t.Errorf("%+v", info)
			}
			check(t, info, len(name)+unpackedAtMost)
		}
		if detected, err := Detect(name, bytes.NewReader(content), int64(len(content))); err == nil {
			if info, err := Read(name, "", bytes.NewReader(content), int64(len(content))); info.Type != detected || errors.Is(err, ErrAmbiguous) {
				t.Errorf("Detect: %q; Read: %+v, %v", detected, info, err)
			}
		}
	})
}

// These targets call each parser directly, so that the fuzzer need not find its
// way through compression and checksums. They write an accepted result again,
// and it must read the same.

func FuzzControl(f *testing.F) {
	f.Add([]byte(pt.Control("a", "1:2.0-3", "all", "Depends: b (>= 1),", " c")))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, ok := debInfo(b, true)
		if info.Type = Deb; !ok || !validPart(info.Name) || !validPart(info.Version) || (info.Release != "" && !validPart(info.Release)) {
			return // Read doesn't take it either
		}
		check(t, info, 2*len(b)+20)
		version := strconv.Itoa(info.Epoch) + ":" + info.Version
		if info.Release != "" || strings.Contains(version, "-") {
			version += "-" + info.Release
		}
		again, ok := debInfo([]byte(pt.Control(info.Name, version, info.Architecture)), true)
		same(t, again, ok, info)
	})
}

func FuzzDSC(f *testing.F) {
	f.Add(dsc("a", "1-1"))
	f.Add([]byte("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + string(dsc("a", "1-1")) + "\n-----BEGIN PGP SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, ok := dscInfo(b)
		if info.Type = DSC; !ok || !validPart(info.Name) || !validPart(info.Version) || (info.Release != "" && !validPart(info.Release)) {
			return
		}
		check(t, info, 2*len(b)+20)
	})
}

func FuzzPython(f *testing.F) {
	f.Add([]byte(pt.Metadata("a", "1")))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, ok := pythonInfo(b)
		if info.Type = Python; !ok {
			return
		}
		check(t, info, len(b))
		again, ok := pythonInfo([]byte(pt.Metadata(info.Name, info.Version)))
		same(t, again, ok, info)
	})
}

func FuzzNode(f *testing.F) {
	f.Add([]byte(`{"name":"@b/a","version":"1.0","license":"MIT","dependencies":{"c":"1"},"bundleDependencies":["d",1]}`))
	f.Add([]byte(`{"name":"a","version":"1.0","dependencies":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, ok := nodeInfo(b)
		if info.Type = Node; !ok {
			return
		}
		check(t, info, 3*len(b)) // invalid UTF-8 grows when it is written
		name := info.Name
		if info.Scope != "" {
			name = info.Scope + "/" + name
		}
		text, err := json.Marshal(map[string]string{"name": name, "version": info.Version})
		if err != nil {
			t.Fatal(err)
		}
		again, ok := nodeInfo(text)
		same(t, again, ok, info)
	})
}

func FuzzAlpine(f *testing.F) {
	f.Add([]byte("# Generated\npkgname = a\npkgver = 1-r0\npkgdesc = the a tool\narch = noarch\nlicense = MIT\ndepend = b\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, ok := alpineInfo(b)
		if info.Type = Alpine; !ok {
			return
		}
		check(t, info, len(b))
		text := fmt.Appendf(nil, "pkgname = %s\npkgver = %s\n", info.Name, info.Version)
		if info.Architecture != "" {
			text = fmt.Appendf(text, "arch = %s\n", info.Architecture)
		}
		again, ok := alpineInfo(text)
		same(t, again, ok, info)
	})
}

func FuzzProperties(f *testing.F) {
	f.Add([]byte("#made by a test\nartifactId=a\ngroupId = b\r\nversion=1\n! other\nkey\n"))
	f.Add([]byte("a\\u0020b : \\\n  1\\\\\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := properties(b)
		if !ok {
			return
		}
		n := 0
		var text strings.Builder
		for key, value := range p {
			n += len(key) + len(value)
			for i, part := range []string{key, value} {
				for _, unit := range utf16.Encode([]rune(part)) {
					fmt.Fprintf(&text, "\\u%04x", unit)
				}
				text.WriteString([]string{"=", "\n"}[i])
			}
		}
		if n > 2*len(b) {
			t.Errorf("%d bytes of text were read in %d", n, len(b))
		}
		if again, ok := properties([]byte(text.String())); !ok || fmt.Sprint(again) != fmt.Sprint(p) {
			t.Errorf("%q was written and read as %q", p, again)
		}
	})
}

func FuzzPom(f *testing.F) {
	f.Add([]byte(pt.Pom("b", "a", "1")))
	f.Add([]byte("<project><parent><groupId>b</groupId><version>1</version></parent><artifactId>a</artifactId></project>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, ok := pomInfo(b)
		if info.Type = Java; !ok {
			return
		}
		check(t, info, 3*len(b))
		escaped := func(s string) string {
			var text strings.Builder
			if err := xml.EscapeText(&text, []byte(s)); err != nil {
				t.Fatal(err)
			}
			return text.String()
		}
		again, ok := pomInfo([]byte(pt.Pom(escaped(info.Group), escaped(info.Name), escaped(info.Version))))
		same(t, again, ok, info)
	})
}

// FuzzYAML reads YAML as gems and Helm charts have it.
func FuzzYAML(f *testing.F) {
	f.Add([]byte("name: a\nversion: !x\n  version: '1'\nplatform: ruby\nlicenses:\n- MIT\ndescription: |\n  b\n"))
	f.Add([]byte("name: a\nversion: &a\n  - {b: [c, 'd'], \"e\": f} # g\n  - - h\n    - *a\n  -\n    i:\n    - j: |+2\n         k\n      l: m\n       n\nplatform: !ruby/object:Gem::Platform\n  cpu: ~\n"))
	f.Add([]byte("name: 'it''s'\nversion: \"1\\\"2\" # two\nsummary: >\n  a\n  b\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
		gem := append([]byte("--- !ruby/object:Gem::Specification\n"), b...)
		if info, ok := gemInfo("", gem); ok {
			info.Type = Gem
			check(t, info, 2*len(b))
			text := fmt.Sprintf("--- !ruby/object:Gem::Specification\nname: %s\nversion: !ruby/object:Gem::Version\n  version: %s\n", quoted(info.Name), quoted(info.Version))
			if info.Architecture != "" {
				text += "platform: !ruby/object:Gem::Platform\n  os: " + quoted(info.Architecture) + "\n"
			}
			again, ok := gemInfo("", []byte(text))
			same(t, again, ok, info)
		}
		if info, ok := helmInfo(b); ok && validPart(info.Name) && validPart(info.Version) {
			info.Type = Helm
			check(t, info, 2*len(b))
			again, ok := helmInfo(fmt.Appendf(nil, "name: %s\nversion: %s\n", quoted(info.Name), quoted(info.Version)))
			same(t, again, ok, info)
		}
	})
}

func FuzzRPM(f *testing.F) {
	f.Add(pt.RPM("a", "1", "1", "noarch"))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, ok := readRPM(bytes.NewReader(b), int64(len(b)))
		if info.Type = RPM; !ok || !validPart(info.Name) || !validPart(info.Version) {
			return
		}
		check(t, info, 8*rpmMaxString+2*rpmMaxArray+16*rpmMaxStrings) // values may overlap
		again, ok := readRPM(bytes.NewReader(pt.RPM(info.Name, info.Version, info.Release, info.Architecture)), 1<<20)
		info.Epoch = 0
		same(t, again, ok, info)
	})
}

func FuzzFileName(f *testing.F) {
	for _, name := range []string{"a-1.0.tgz", "a_2%3a1.0-7_all.deb", "a-doc-1.0-1.el6.noarch.rpm", "a-1.0-x86_64-linux.gem", "a-1.0-r2.apk", "a-1.0-py3-none-any.whl"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, typ := range []string{Deb, DSC, RPM, Gem, Python, Node, Java, Alpine, Helm, Anyfile} {
			if info, ok := fromName(name, typ); ok && (info.Release == "" || validPart(info.Release)) {
				info.Type = typ
				check(t, info, len(name)+len("any"))
			}
		}
	})
}
