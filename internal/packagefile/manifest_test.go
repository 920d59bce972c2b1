package packagefile

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf16"

	pt "github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
)

func node(manifest string) []byte {
	return pt.TarGz(pt.File{Name: "package/package.json", Content: manifest})
}

func chart(manifest string) []byte {
	return pt.TarGz(pt.File{Name: "a/Chart.yaml", Content: manifest})
}

func gem(metadata string) []byte {
	return pt.Tar(pt.File{Name: "metadata.gz", Content: string(pt.Gzip([]byte("--- !ruby/object:Gem::Specification\n" + metadata)))})
}

func deb(control string) []byte {
	return debOf(pt.File{Name: "./control", Content: control})
}

func debOf(files ...pt.File) []byte {
	return pt.Ar(pt.File{Name: "debian-binary", Content: "2.0\n"}, pt.File{Name: "control.tar.gz", Content: string(pt.TarGz(files...))})
}

func sdist(metadata string) []byte {
	return pt.TarGz(pt.File{Name: "a-1/PKG-INFO", Content: metadata})
}

func apk(info string) []byte { return pt.TarGz(pt.File{Name: ".PKGINFO", Content: info}) }

func jar(properties string) []byte {
	return pt.Zip(pt.File{Name: "META-INF/maven/org.acme/tea/pom.properties", Content: properties})
}

// utf16LE returns text in the form that editors on Windows write.
func utf16LE(s string) []byte {
	b := []byte("\xff\xfe")
	for _, unit := range utf16.Encode([]rune(s)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return b
}

// manifests lists packages with an odd manifest. An identity of "" means that
// the format's own tool refuses the manifest, or that its versions read it
// differently.
var manifests = []struct {
	what, typ, file string
	content         []byte
	want            string // as identity spells it
}{
	{"keys by case", Node, "x.tgz", node(`{"name":"tea","version":"1.0.0","Name":"Evil","Version":"9.9"}`), "tea 1.0.0"},
	{"keys by case, the other way around", Node, "x.tgz", node(`{"NAME":"Evil","VERSION":"9.9","name":"tea","version":"1.0.0"}`), "tea 1.0.0"},
	{"keys of another case alone", Node, "x.tgz", node(`{"Name":"evil","Version":"1.0.0"}`), ""},
	{"keys that occur twice", Node, "x.tgz", node(`{"name":"a","version":"1.0.0","name":"tea","version":"2.0.0"}`), "tea 2.0.0"},
	{"an escaped key", Node, "x.tgz", node(`{"n\u0061me":"tea","version":"1.0.0"}`), "tea 1.0.0"},
	{"a byte order mark", Node, "x.tgz", node("\ufeff" + `{"name":"tea","version":"1.0.0"}`), "tea 1.0.0"},
	{"UTF-16", Node, "x.tgz", node(string(utf16LE(`{"name":"tea","version":"1.0.0"}`))), ""},
	{"odd types beside", Node, "x.tgz", node(`{"name":"tea","version":"1.0.0","description":7,"license":["MIT"],"dependencies":"none","bundleDependencies":true}`), "tea 1.0.0"},
	{"a number as name", Node, "x.tgz", node(`{"name":7,"version":"1.0.0"}`), ""},
	{"an object as version", Node, "x.tgz", node(`{"name":"tea","version":{"major":1}}`), ""},
	{"null as name", Node, "x.tgz", node(`{"name":null,"version":"1.0.0"}`), ""},
	{"null after a name", Node, "x.tgz", node(`{"name":"tea","version":"1.0.0","name":null}`), ""},
	{"a name of three parts", Node, "x.tgz", node(`{"name":"@a/b/c","version":"1.0.0"}`), ""},
	{"a scope alone", Node, "x.tgz", node(`{"name":"@acme","version":"1.0.0"}`), ""},
	{"a scope with an underscore", Node, "x.tgz", node(`{"name":"@_acme/tea","version":"1.0.0"}`), "@_acme/tea 1.0.0"},
	{"an empty scope", Node, "x.tgz", node(`{"name":"@/tea","version":"1.0.0"}`), ""},
	{"spaces around the name", Node, "x.tgz", node(`{"name":" tea ","version":"1.0.0"}`), ""},
	{"a version that npm publish cleans", Node, "x.tgz", node(`{"name":"tea","version":"v1.0.0"}`), ""},
	{"a zero before a pre-release", Node, "x.tgz", node(`{"name":"tea","version":"1.0.0-rc.01"}`), ""},
	{"a pre-release with digits and letters", Node, "x.tgz", node(`{"name":"tea","version":"1.0.0-0a.0.x-y+01"}`), "tea 1.0.0-0a.0.x-y+01"},
	{"a second manifest by another path", Node, "x.tgz", pt.TarGz(pt.File{Name: "package/package.json", Content: `{"name":"evil","version":"1.0.0"}`}, pt.File{Name: "package//package.json", Content: `{"name":"tea","version":"1.0.0"}`}), ""},
	{"text behind the manifest", Node, "x.tgz", node(`{"name":"tea","version":"1.0.0"}}`), ""},
	{"two manifests", Node, "x.tgz", pt.TarGz(pt.File{Name: "a/package.json", Content: `{"name":"evil","version":"1.0.0"}`}, pt.File{Name: "package/package.json", Content: `{"name":"tea","version":"1.0.0"}`}), ""},

	{"keys of dependencies", Helm, "x.tgz", chart("dependencies:\n- name: evil\n  version: 9.9.9\n-   version: 8.8.8\n    name: evil\nname: tea\nversion: 1.0.0\n"), "tea 1.0.0"},
	{"keys inside texts", Helm, "x.tgz", chart("description: |\n  name: evil\n  version: 9.9.9\nhome: \"a\n  name: evil\n  version: 9\"\nname: tea\nversion: 1.0.0\n"), "tea 1.0.0"},
	{"a text in quotes that goes on at the margin", Helm, "x.tgz", chart("home: 'a\nname: evil\nversion: 9.9.9'\nname: tea\nversion: 1.0.0\n"), ""},
	{"keys inside a flow collection", Helm, "x.tgz", chart("annotations: {a: \"}\", 'b': it's, #}\n  name: evil}\nname: tea\nversion: 1.0.0\n"), "tea 1.0.0"},
	{"quoted keys and values", Helm, "x.tgz", chart("\"name\": 'tea'\n'version' : \"1.\\x30.0\" # it is\n"), "tea 1.0.0"},
	{"a byte order mark and CRLF", Helm, "x.tgz", chart("\ufeffname: tea\r\nversion: 1.0.0\r\n"), "tea 1.0.0"},
	{"two documents", Helm, "x.tgz", chart("---\nname: tea\nversion: 1.0.0\n---\nname: evil\nversion: 9.9.9\n"), "tea 1.0.0"},
	{"an empty first document", Helm, "x.tgz", chart("---\n---\nname: evil\nversion: 9.9.9\n"), ""},
	{"folded plain text", Helm, "x.tgz", chart("description: a\n  name\n  and more\n\n  text\nname: tea\nversion: 1.0.0\n"), "tea 1.0.0"},
	{"a number with a point", Helm, "x.tgz", chart("name: tea\nversion: 1.10\n"), ""},
	{"a whole number", Helm, "x.tgz", chart("name: tea\nversion: 2\n"), "tea 2"},
	{"a number in octal", Helm, "x.tgz", chart("name: tea\nversion: 010\n"), ""},
	{"a date", Helm, "x.tgz", chart("name: tea\nversion: 2024-01-01\n"), ""},
	{"a tag that makes it text", Helm, "x.tgz", chart("name: tea\nversion: !!str 1.10\n"), "tea 1.10"},
	{"a truth value as name", Helm, "x.tgz", chart("name: on\nversion: 1.0.0\n"), ""},
	{"a tab as indent", Helm, "x.tgz", chart("name: tea\nmaintainers:\n\t- name: evil\nversion: 1.0.0\n"), ""},
	{"an alias", Helm, "x.tgz", chart("home: &a tea\nname: *a\nversion: 1.0.0\n"), ""},
	{"an alias of nothing", Helm, "x.tgz", chart("home: *a\nname: tea\nversion: 1.0.0\n"), ""},
	{"two anchors", Helm, "x.tgz", chart("&a &b\nname: tea\nversion: 1.0.0\n"), ""},
	{"an anchored flow collection", Helm, "x.tgz", chart("keywords: &a [b]\nname: tea\nversion: 1.0.0\nsources: *a\n"), "tea 1.0.0"},
	{"a type of its own", Helm, "x.tgz", chart("!chart\nname: tea\nversion: 1.0.0\n"), ""},
	{"a mapping as text", Helm, "x.tgz", chart("--- !!str\nname: tea\nversion: 1.0.0\n"), ""},
	{"a key of nothing", Helm, "x.tgz", chart(": a\nname: tea\nversion: 1.0.0\n"), ""},
	{"merged keys", Helm, "x.tgz", chart("<<: {name: evil}\nname: tea\nversion: 1.0.0\n"), ""},
	{"a name with a line break at its end", Helm, "x.tgz", chart("name: |\n  tea\nversion: 1.0.0\n"), ""},
	{"a name whose line break is stripped", Helm, "x.tgz", chart("name: >- # tea\n  tea\nversion: 1.0.0\n"), "tea 1.0.0"},
	{"keys that occur twice", Helm, "x.tgz", chart("name: evil\nname: tea\nversion: 1.0.0\n"), ""},
	{"keys of another case beside", Helm, "x.tgz", chart("Name: Evil\nname: tea\nversion: 1.0.0\nVersion: 9.9\n"), "tea 1.0.0"},
	{"keys of another case alone", Helm, "x.tgz", chart("Name: tea\nVersion: 1.0.0\n"), ""},
	{"no YAML", Helm, "x.tgz", chart("name: tea\nversion: 1.0.0\n<html>\n"), ""},
	{"a colon inside a plain text", Helm, "x.tgz", chart("name: tea: pot\nversion: 1.0.0\n"), ""},
	{"two charts", Helm, "x.tgz", pt.TarGz(pt.File{Name: "a/Chart.yaml", Content: "name: tea\nversion: 1.0.0\n"}, pt.File{Name: "b/Chart.yaml", Content: "name: evil\nversion: 1.0.0\n"}), ""},
	{"UTF-16", Helm, "x.tgz", chart(string(utf16LE("name: tea\nversion: 1.0.0\n"))), ""},

	{"a platform of RUBY_PLATFORM", Gem, "tea-1.0-x86_64-linux.gem", gem("name: tea\nversion:\n  version: '1.0'\nplatform: x86_64-linux-gnu\n"), "tea 1.0 x86_64-linux tea-1.0-x86_64-linux.gem"},
	{"a platform of RUBY_PLATFORM since RubyGems 3.4", Gem, "tea-1.0-x86_64-linux-gnu.gem", gem("name: tea\nversion:\n  version: '1.0'\nplatform: x86_64-linux-gnu\n"), "tea 1.0 x86_64-linux-gnu tea-1.0-x86_64-linux-gnu.gem"},
	{"a platform that no file name decides", Gem, "x.gem", gem("name: tea\nversion:\n  version: '1.0'\nplatform: x86_64-linux-gnu\n"), ""},
	{"a platform object", Gem, "x.gem", gem("name: tea\nversion:\n  version: '1.0'\nplatform: !ruby/object:Gem::Platform\n  cpu: x86\n  os: mswin32\n  version: 60\n"), "tea 1.0 x86-mswin32-60 tea-1.0-x86-mswin32-60.gem"},
	{"the platform of whoever builds it", Gem, "x.gem", gem("name: tea\nversion:\n  version: '1.0'\nplatform: current\n"), ""},
	{"no platform", Gem, "x.gem", gem("name: tea\nversion: &a !ruby/object:Gem::Version \n  version: 1.0.a\nplatform: \n"), "tea 1.0.a ruby tea-1.0.a.gem"},
	{"a version that YAML takes for a number", Gem, "x.gem", gem("name: tea\nversion:\n  version: 1.10\n"), ""},
	{"a truth value as name", Gem, "x.gem", gem("name: no\nversion:\n  version: '1'\n"), ""},
	{"other versions", Gem, "x.gem", gem("dependencies:\n- !ruby/object:Gem::Dependency\n  name: evil\n  requirement: &1 !ruby/object:Gem::Requirement\n    requirements:\n    - - '>='\n      - !ruby/object:Gem::Version\n        version: '9'\nname: tea\nversion: !ruby/object:Gem::Version\n  prerelease: \n  version: '1'\nrequired_ruby_version:\n  version: '9'\n"), "tea 1 ruby tea-1.gem"},
	{"a name with a line break at its end", Gem, "x.gem", gem("name: >\n  tea\nversion:\n  version: '1.0'\n"), ""},
	{"no gemspec", Gem, "x.gem", pt.Tar(pt.File{Name: "metadata.gz", Content: string(pt.Gzip([]byte("name: tea\nversion:\n  version: '1'\n")))}), ""},
	{"two gemspecs", Gem, "x.gem", pt.Tar(pt.File{Name: "metadata.gz", Content: string(pt.Gzip([]byte("--- !ruby/object:Gem::Specification\nname: tea\nversion:\n  version: '1'\n")))}, pt.File{Name: "metadata.gz"}), ""},

	{"keys by case", Deb, "x.deb", deb("PACKAGE: tea\nversion:1.0\nArchitecture : all\n"), "tea 1.0 all"},
	{"CRLF", Deb, "x.deb", deb("Package: tea\r\nVersion: 1.0\r\nArchitecture: all\r\n"), "tea 1.0 all"},
	{"fields inside a folded one", Deb, "x.deb", deb("Description: a\n Package: evil\n\tVersion: 9\nPackage: tea\nVersion: 1.0\nArchitecture: all\n"), "tea 1.0 all"},
	{"a field that occurs twice", Deb, "x.deb", deb("Package: tea\nPackage: evil\nVersion: 1.0\nArchitecture: all\n"), ""},
	{"a comment", Deb, "x.deb", deb("# tea\nPackage: tea\nVersion: 1.0\nArchitecture: all\n"), ""},
	{"two paragraphs", Deb, "x.deb", deb("Package: tea\nVersion: 1.0\nArchitecture: all\n\nPackage: evil\n"), ""},
	{"a folded name", Deb, "x.deb", deb("Package: tea\n pot\nVersion: 1.0\nArchitecture: all\n"), ""},
	{"an upper-case name", Deb, "x.deb", deb("Package: Tea\nVersion: 1.0\nArchitecture: all\n"), ""},
	{"a byte order mark", Deb, "x.deb", deb("\ufeffPackage: tea\nVersion: 1.0\nArchitecture: all\n"), ""},
	{"an epoch that is no number", Deb, "x.deb", deb("Package: tea\nVersion: a:1.0\nArchitecture: all\n"), ""},
	{"no revision behind the dash", Deb, "x.deb", deb("Package: tea\nVersion: 1.0-\nArchitecture: all\n"), ""},
	{"two architectures", Deb, "x.deb", deb("Package: tea\nVersion: 1.0\nArchitecture: amd64 all\n"), ""},
	{"a field that dpkg appends to the version", Deb, "x.deb", deb("Package: tea\nVersion: 1.0\nRevision: 2\nArchitecture: all\n"), ""},
	{"the same by its other name", Deb, "x.deb", deb("Package: tea\nVersion: 1.0\nArchitecture: all\nPackage_Revision: 2\n"), ""},
	{"a second control file by another path", Deb, "x.deb", debOf(pt.File{Name: "./control", Content: pt.Control("evil", "1", "all")}, pt.File{Name: "/control", Content: pt.Control("tea", "1", "all")}), ""},
	{"a cut line", Deb, "x.deb", deb("Package: tea\nVersion: 1.0\nArchitecture: al"), ""},
	{"no debian-binary", Deb, "x.deb", pt.Ar(pt.File{Name: "control.tar.gz", Content: string(pt.TarGz(pt.File{Name: "control", Content: pt.Control("tea", "1", "all")}))}), ""},

	{"keys by case", Python, "x.tar.gz", sdist("metadata-version: 2.1\nNAME: tea\nversion:1.0\n"), "tea 1.0"},
	{"fields in the body", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nName: tea\nVersion: 1.0\n\nName: evil\nVersion: 9\n"), "tea 1.0"},
	{"fields inside a folded one", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nDescription: a\n Name: evil\n        Version: 9\nName: tea\nVersion: 1.0\n"), "tea 1.0"},
	{"a field that occurs twice", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nName: tea\nName: evil\nVersion: 1.0\n"), ""},
	{"a second name behind a line of spaces", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nName: tea\nDescription: a\n        \nName: evil\nVersion: 1.0\n"), ""},
	{"a version behind a line of spaces", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nName: tea\nDescription: a\n        \n        b\nVersion: 1.0\n"), "tea 1.0"},
	{"a name that goes on with spaces", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nName: tea\n        \nVersion: 1.0\n"), ""},
	{"a second version behind a CR", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nName: tea\nVersion: 1.0\nSummary: a\rVersion: 9\n"), ""},
	{"lines that end in CR", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\rName: tea\rVersion: 1.0\r\rName: evil\r"), "tea 1.0"},
	{"a version behind the line of a mailbox", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nName: tea\nVersion: 1.0\nFrom me\nVersion: 9\n"), ""},
	{"a version behind a colon", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nName: tea\nVersion: 1.0\n: a\nVersion: 9\n"), ""},
	{"fields behind a line that is none", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nsome text\nName: evil\nVersion: 1.0\n"), ""},
	{"a byte order mark", Python, "x.tar.gz", sdist("\ufeffMetadata-Version: 2.1\nName: tea\nVersion: 1.0\n"), ""},
	{"a name with a space", Python, "x.tar.gz", sdist("Metadata-Version: 2.1\nName: tea pot\nVersion: 1.0\n"), ""},
	{"the folder of another", Python, "x.whl", pt.Zip(pt.File{Name: "evil-1.0.dist-info/METADATA", Content: pt.Metadata("tea", "1.0")}), ""},
	{"a folder in another spelling", Python, "x.whl", pt.Zip(pt.File{Name: "Tea_Pot-1.0.dist-info/METADATA", Content: pt.Metadata("tea.pot", "1.0")}), "tea.pot 1.0"},
	{"two folders", Python, "x.whl", pt.Zip(pt.File{Name: "tea-1.0.dist-info/METADATA", Content: pt.Metadata("tea", "1.0")}, pt.File{Name: "evil-1.0.dist-info/METADATA", Content: pt.Metadata("evil", "1.0")}), ""},

	{"separators and escapes", Java, "x.jar", jar("# a\n! b\nartifactId\\\n   =tea\n  groupId:org\\u002eacme\nversion 1.0\n"), "org.acme:tea:1.0"},
	{"keys that occur twice", Java, "x.jar", jar("artifactId=evil\nartifactId=tea\ngroupId=org.acme\nversion=1.0\n"), "org.acme:tea:1.0"},
	{"another's folder", Java, "x.jar", jar("artifactId=evil\ngroupId=org.acme\nversion=1.0\n"), ""},
	{"a property", Java, "x.jar", jar("artifactId=tea\ngroupId=org.acme\nversion=${revision}\n"), ""},
	{"one that can't be read beside another", Java, "x.jar", pt.Zip(pt.File{Name: "META-INF/maven/org.acme/tea/pom.properties", Content: "version=${revision}\n"}, pt.File{Name: "META-INF/maven/a/evil/pom.properties", Content: "groupId=a\nartifactId=evil\nversion=1\n"}), ""},
	{"one that can't be read beside the file's own", Java, "tea-1.jar", pt.Zip(pt.File{Name: "META-INF/maven/org.acme/odd/pom.properties", Content: "version=${revision}\n"}, pt.File{Name: "META-INF/maven/a/tea/pom.properties", Content: "groupId=a\nartifactId=tea\nversion=1\n"}), "a:tea:1"},
	{"a longer version in the name", Java, "evil-10.jar", pt.Zip(pt.File{Name: "META-INF/maven/a/evil/pom.properties", Content: "groupId=a\nartifactId=evil\nversion=1\n"}, pt.File{Name: "META-INF/maven/a/b/pom.properties", Content: "groupId=a\nartifactId=b\nversion=1\n"}), ""},
	{"UTF-16", Java, "x.pom", utf16LE(`<?xml version="1.0" encoding="UTF-16"?>` + pt.Pom("org.acme", "tea", "1.0")[len(`<?xml version="1.0"?>`):]), "org.acme:tea:1.0"},
	{"ISO 8859-1", Java, "x.pom", []byte("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><project><name>Th\xe9</name><groupId>org.acme</groupId><artifactId>tea</artifactId><version>1.0</version></project>"), "org.acme:tea:1.0"},
	{"an unknown encoding", Java, "x.pom", []byte(`<?xml version="1.0" encoding="EBCDIC-CP-US"?>` + pt.Pom("org.acme", "tea", "1.0")[len(`<?xml version="1.0"?>`):]), ""},
	{"a byte order mark", Java, "x.pom", []byte("\ufeff" + pt.Pom("org.acme", "tea", "1.0")), "org.acme:tea:1.0"},
	{"the parent's", Java, "x.pom", []byte("<project><parent><groupId>org.acme</groupId><artifactId>evil</artifactId><version>1.0</version></parent><artifactId> tea\n</artifactId></project>"), "org.acme:tea:1.0"},
	{"a property in a pom", Java, "x.pom", []byte(pt.Pom("org.acme", "tea", "${revision}")), ""},
	{"an element that occurs twice", Java, "x.pom", []byte("<project><groupId>org.acme</groupId><artifactId>evil</artifactId><artifactId>tea</artifactId><version>1.0</version></project>"), ""},
	{"a comment inside", Java, "x.pom", []byte(pt.Pom("org.acme", "tea", "1.<!-- 9 -->0")), "org.acme:tea:1.0"},
	{"two documents", Java, "x.pom", []byte(pt.Pom("org.acme", "tea", "1.0") + "<project/>"), ""},
	{"another document", Java, "x.pom", []byte("<html><groupId>org.acme</groupId><artifactId>tea</artifactId><version>1.0</version></html>"), ""},

	{"spaces that count", Alpine, "x.apk", apk("pkgname=evil\n pkgname = evil\npkgname = tea\n# pkgver = 9\npkgver = 1.0-r0\narch = noarch\n"), "tea 1.0-r0 noarch"},
	{"a field that occurs twice", Alpine, "x.apk", apk("pkgname = tea\npkgname = evil\npkgver = 1.0-r0\n"), ""},
	{"CRLF", Alpine, "x.apk", apk("pkgname = tea\r\npkgver = 1.0-r0\r\n"), ""},

	{"comments and cases", DSC, "x.dsc", []byte(strings.NewReplacer("Source:", "# tea\nSOURCE :", "Files:", "files:").Replace(string(dsc("tea", "2:1.0-1")))), "tea 2:1.0-1 tea_2:1.0.orig.tar.gz tea_2:1.0-1.debian.tar.gz"},
	{"a field that occurs twice", DSC, "x.dsc", append([]byte("Source: evil\n"), dsc("tea", "1.0-1")...), ""},
	{"sizes that disagree", DSC, "x.dsc", bytes.Replace(dsc("tea", "1.0-1"), []byte(" tea_1.0.orig"), []byte("1 tea_1.0.orig"), 1), ""},
	{"no files", DSC, "x.dsc", []byte("Source: tea\nVersion: 1.0-1\n"), ""},
	{"no signature", DSC, "x.dsc", append([]byte("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"), dsc("tea", "1.0-1")...), ""},
	{"an escaped dash", DSC, "x.dsc", []byte("-----BEGIN PGP SIGNED MESSAGE-----\n\n- Source: evil\n" + string(dsc("tea", "1.0-1")) + "-----BEGIN PGP SIGNATURE-----\n-----END PGP SIGNATURE-----\n"), ""},
	{"two signed paragraphs", DSC, "x.dsc", []byte("-----BEGIN PGP SIGNED MESSAGE-----\n\n" + string(dsc("tea", "1.0-1")) + "\nSource: evil\n-----BEGIN PGP SIGNATURE-----\n-----END PGP SIGNATURE-----\n"), ""},
}

// Guarantee U6.
func TestRead_OddManifests(t *testing.T) {
	for _, test := range manifests {
		t.Run(test.typ+" "+test.what, func(t *testing.T) {
			info, err := Read(test.file, test.typ, bytes.NewReader(test.content), int64(len(test.content)))
			if got := identity(info); info.FromContent && got != test.want {
				t.Errorf("got %q from the content; want %q", got, test.want)
			}
			if !info.FromContent && test.want != "" {
				t.Errorf("got %+v, %v, not from the content; want %q", info, err, test.want)
			}
		})
	}
}

// Guarantee U6.
func TestRead_AWebPageTellsNothing(t *testing.T) {
	page := []byte("<!DOCTYPE html>\n<html><head><title>503: name: evil</title></head>\nname: evil\nversion: 9.9.9\n</html>\n")
	for name, typ := range map[string]string{
		"tea_1.0_all.deb": Deb, "tea_1.0.dsc": DSC, "tea-1.0-1.noarch.rpm": RPM, "tea-1.0.gem": Gem, "tea-1.0-py3-none-any.whl": Python, "tea-1.0.tar.gz": Python,
		"tea-1.0.zip": Python, "tea-1.0.egg-info": Python, "tea-1.0.tgz": Node, "tea-2.0.tgz": Helm, "tea-1.0.jar": Java, "tea-1.0.pom": Java, "tea-1.0-r0.apk": Alpine, "tea-1.0.iso": Anyfile,
	} {
		for what, content := range map[string][]byte{"plain": page, "gzipped": pt.Gzip(page), "nothing": nil} {
			if info := read(t, name, typ, content); info.FromContent || info.Name != "tea" {
				t.Errorf("%s, %s: %+v", name, what, info)
			}
		}
	}
}

// The type of a file is certain even if its name is not.
func TestDetect_FilesOfUncertainNames(t *testing.T) {
	for want, content := range map[string][]byte{
		Node:   node(`{"name":"tea","version":"v1.0.0"}`),
		Helm:   chart("name: tea\nversion: 1.10\n"),
		Python: sdist("Metadata-Version: 2.1\nName: tea\nName: pot\nVersion: 1.0\n"),
	} {
		info, err := Read("tea-1.10.tar.gz", "", bytes.NewReader(content), int64(len(content)))
		if err != nil || info.Type != want || info.FromContent {
			t.Errorf("%s: %+v, %v", want, info, err)
		}
	}
}

// rubyPlatforms are platforms and how RubyGems before 3.4 spells them, as
//
//	ruby -e 'ARGV.each { |x| puts Gem::Platform.new(x) }'
//
// prints them, and where RubyGems since then spells them otherwise, how.
var rubyPlatforms = []string{
	"x86_64-linux-gnu x86_64-linux x86_64-linux-gnu", "x86_64-linux x86_64-linux", "x86_64-linux-musl x86_64-linux-musl",
	"arm64-darwin22 arm64-darwin-22", "x86_64-darwin21 x86_64-darwin-21", "x86_64-darwin-19 x86_64-darwin-19", "universal-darwin universal-darwin",
	"i686-linux x86-linux", "i586-linux-gnu x86-linux x86-linux-gnu", "i386-mswin32 x86-mswin32", "i386-mswin32_60 x86-mswin32-60", "x64-mswin64_140 x64-mswin64-140", "mswin32 x86-mswin32",
	"aarch64-linux-gnu aarch64-linux aarch64-linux-gnu", "arm-linux-gnueabihf arm-linux arm-linux-gnueabihf", "arm-linux-eabihf arm-linux-eabihf", "arm-linux-musleabihf arm-linux-musleabihf",
	"jruby java", "java java", "universal-java-17 universal-java-17", "universal-java17 universal-java-17", "java1.8 java-1.8 java1.8",
	"x64-mingw-ucrt x64-mingw-ucrt", "x64-mingw32 x64-mingw32", "i386-mingw32 x86-mingw32", "x86-cygwin x86-cygwin",
	"universal-dotnet4.0 universal-dotnet-4.0", "dalvik dalvik", "universal-macruby universal-macruby", "powerpc-aix7 powerpc-aix-7",
	"x86_64-freebsd13 x86_64-freebsd-13", "amd64-openbsd7.2 amd64-openbsd-7.2", "x86_64-netbsdelf x86_64-netbsdelf", "sparc-solaris2.8 sparc-solaris-2.8",
	"wasm32-wasi wasm32-unknown", "x86_64-linux-gnux32 x86_64-linux", "x86-my_platform x86-my_platform", "my_platform1 my_platform-1 my_platform1", "unheardof unknown",
}

func TestPlatforms_AsRubyGemsSpellsThem(t *testing.T) {
	for _, line := range rubyPlatforms {
		words := strings.Fields(line)
		got, ok := platforms(&yamlNode{kind: yamlScalar, value: words[0]})
		if !ok || strings.Join(got, " ") != strings.Join(words[1:], " ") {
			t.Errorf("%s: got %v, want %v", words[0], got, words[1:])
		}
	}
}

// TestPlatforms_TableIsRubyGems compares the table with RubyGems, if installed.
func TestPlatforms_TableIsRubyGems(t *testing.T) {
	ruby, err := exec.LookPath("ruby")
	if err != nil {
		t.Skip("ruby is not installed")
	}
	script := `puts Gem::Version.new(Gem::VERSION) >= Gem::Version.new("3.4"), ARGV.map { |x| Gem::Platform.new(x).to_s }`
	args := []string{"-e", script}
	for _, line := range rubyPlatforms {
		args = append(args, strings.Fields(line)[0])
	}
	out, err := exec.Command(ruby, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	for i, line := range rubyPlatforms {
		words := strings.Fields(line)
		if got := lines[i+1]; got != words[1] && (lines[0] == "false" || got != words[len(words)-1]) {
			t.Errorf("%s: RubyGems spells it %s", line, got)
		}
	}
}
