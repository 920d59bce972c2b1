// Package packagefile reads the identity and metadata of a package file: its
// type, name, version, architecture and dependencies. It reads the content as
// far as the standard library can read the format, and otherwise the file's
// name.
//
// Every reader takes an io.ReaderAt. It reads and unpacks a few MiB, or up to
// 64 MiB of an archive whose metadata lies far from its front. These limits, in
// limits.go, hold for files of any size. The package holds only metadata in
// memory and extracts nothing to disk.
//
// The package reads a manifest as the format's own tool does. It refuses a
// manifest that this tool refuses, or that the tool's versions read
// differently. It also refuses an archive that is visibly cut off. Name and
// version then come from the file's name, and [Info].FromContent is false.
// Tests compare the readers with the output of the real tools for the packages
// in testdata/real.
//
// The readers use these sources:
//
//	deb      control file of control.tar or control.tar.gz, and with [Decompressors] of .xz and .zst; else name_version_arch.deb
//	dsc      the file itself, signed or not
//	rpm      the header
//	gem      name, version, summary, licenses of metadata.gz, and the platform as RubyGems spells it in file names; no dependencies
//	python   METADATA of a wheel, PKG-INFO of an sdist (.tar.gz, .tar.bz2, .tar, .zip) or egg, an .egg-info itself; else the file name
//	node     package/package.json
//	java     META-INF/maven/*/*/pom.properties (and its pom.xml), or a .pom; without one, name and version from the file name and no group
//	alpine   .PKGINFO
//	helm     name, version and description of Chart.yaml; no dependencies
//	anyfile  name-version.ext, nothing else
package packagefile

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"
)

// The types of packages, as the API spells them in the "type" field.
const (
	Deb     = "deb"
	DSC     = "dsc"
	RPM     = "rpm"
	Gem     = "gem"
	Python  = "python"
	Node    = "node"
	Java    = "java"
	Alpine  = "alpine"
	Helm    = "helm"
	Anyfile = "anyfile"
)

var (
	// ErrAmbiguous is the error of Detect for a file that may be of several
	// types. The caller must name the type.
	ErrAmbiguous = errors.New("packagefile: the file's type is ambiguous")
	// ErrUnreadable is the error of Read if neither the content nor the file
	// name tells the name and version.
	ErrUnreadable = errors.New("packagefile: neither the content nor the file name tells the package's name and version")
)

// Info is the identity and metadata of a package. A field is empty if the type
// doesn't have it or the file doesn't tell it.
type Info struct {
	Type    string
	Name    string // without Scope
	Version string // without Epoch and Release
	Release string // deb and dsc: the Debian revision; rpm: the release
	Epoch   int

	Architecture string // dsc: a list, separated by spaces; rpm: src or nosrc for a source package; gem: the platform, or "" for ruby
	Scope        string // node: with its @
	Group        string // java
	Summary      string
	Description  string
	Licenses     []string
	Dependencies []Dependency
	SourceFiles  []SourceFile // only of a dsc

	// FromContent is true if the whole identity was read from the content,
	// where it is certain. It is false if the file's name told it.
	FromContent bool

	// Packed is "xz" or "zstd" if the metadata is compressed with it and no
	// decompressor was given.
	Packed string
}

// Dependency holds the dependencies of one kind, such as "depends".
type Dependency struct {
	Context      string   `json:"context"`
	Dependencies []string `json:"dependencies"`
}

// SourceFile is a file that a .dsc lists.
type SourceFile struct {
	Name   string // a base name; readers refuse other names
	Size   int64
	MD5    string // hex
	SHA256 string // hex; empty in old packages
}

// FileName returns the canonical file name of a deb, dsc, rpm, gem or node
// package. The server stores such a package under that name. FileName returns
// "" for the other types, whose files keep their names.
func (i Info) FileName() string {
	if i.Name == "" || i.Version == "" {
		return ""
	}
	switch i.Type {
	case Deb, DSC:
		name := i.Name + "_" + i.Version
		if i.Release != "" {
			name += "-" + i.Release
		}
		if i.Type == DSC {
			return name + ".dsc"
		}
		return name + "_" + i.Architecture + ".deb"
	case RPM:
		return i.Name + "-" + i.Version + "-" + i.Release + "." + i.Architecture + ".rpm"
	case Gem:
		name := i.Name + "-" + i.Version
		if i.Architecture != "" {
			name += "-" + i.Architecture
		}
		return name + ".gem"
	case Node:
		return i.Name + "-" + i.Version + ".tgz"
	}
	return ""
}

// KeepsName reports whether the server keeps the file name of packages of this
// type.
func KeepsName(typ string) bool {
	return Info{Name: "a", Version: "1", Type: typ}.FileName() == ""
}

// Detect returns the type of the package in r, from its name and content. It
// never guesses: if several types share the extension and the content doesn't
// decide, it returns ErrAmbiguous. That error asks the caller to name the type.
func Detect(name string, r io.ReaderAt, size int64) (string, error) {
	info, err := detect(baseName(name), r, size)
	return info.Type, err
}

// detect returns the type. It also returns the name, version and other metadata
// if it had to read them to find the type.
func detect(base string, r io.ReaderAt, size int64) (Info, error) {
	lower := strings.ToLower(base)
	ext := extension(lower)
	switch ext {
	case ".deb", ".udeb", ".ddeb":
		return Info{Type: Deb}, nil
	case ".dsc":
		return Info{Type: DSC}, nil
	case ".rpm":
		return Info{Type: RPM}, nil
	case ".gem":
		return Info{Type: Gem}, nil
	case ".whl", ".egg", ".egg-info":
		return Info{Type: Python}, nil
	case ".jar", ".war", ".aar", ".ear", ".pom":
		return Info{Type: Java}, nil
	case ".asc":
		return Info{Type: Anyfile}, nil
	case ".apk":
		return detectAPK(base, r)
	case ".tgz", ".tar.gz":
		return detectTarGz(base, r, size)
	case ".tar", ".tar.bz2", ".zip":
		if info, ok := readPython(base, r, size); ok {
			info.Type = Python
			return info, nil
		}
		return Info{}, fmt.Errorf("%w: %s holds no Python metadata; name its type (python or anyfile)", ErrAmbiguous, base)
	case ".tar.z", ".gz", ".bz2", ".z":
		return Info{}, fmt.Errorf("%w: %s may be python or anyfile; name its type", ErrAmbiguous, base)
	}
	return Info{}, fmt.Errorf("%w: the name and content of %s show no known type; name its type, for example anyfile", ErrAmbiguous, base)
}

func detectAPK(base string, r io.ReaderAt) (Info, error) {
	switch magic := head(r, 4); {
	case strings.HasPrefix(magic, "\x1f\x8b"):
		return Info{Type: Alpine}, nil
	case strings.HasPrefix(magic, "PK\x03\x04"):
		return Info{Type: Java}, nil
	}
	return Info{}, fmt.Errorf("%w: %s is neither an Alpine package (gzip) nor an Android one (zip); name its type", ErrAmbiguous, base)
}

// detectTarGz looks for the metadata of every type with this extension.
func detectTarGz(base string, r io.ReaderAt, size int64) (Info, error) {
	// npm and helm write .tgz files, Python writes .tar.gz files. The metadata
	// of Python may be the last in an archive that also holds metadata of the
	// others.
	found := scanTarGz(r, size, func(found [][]byte) bool {
		return found[2] != nil || strings.HasSuffix(strings.ToLower(base), ".tgz") && (found[0] != nil || found[1] != nil)
	}, inNode, inHelm, inSdist)
	var infos []Info
	var types []string
	for i, reader := range []struct {
		typ   string
		looks func([]byte) bool
		parse func([]byte) (Info, bool)
	}{{Node, looksNode, nodeInfo}, {Helm, looksHelm, helmInfo}, {Python, looksPython, pythonInfo}} {
		if !reader.looks(found[i]) {
			continue
		}
		info, ok := reader.parse(found[i])
		if !ok {
			info = Info{} // only the type is certain
		}
		info.Type = reader.typ
		infos, types = append(infos, info), append(types, reader.typ)
	}
	if len(infos) == 1 {
		return infos[0], nil
	}
	if len(infos) > 1 {
		return Info{}, fmt.Errorf("%w: %s looks like %s; name its type", ErrAmbiguous, base, strings.Join(types, " and "))
	}
	return Info{}, fmt.Errorf("%w: %s has no name and version in a package.json, Chart.yaml or PKG-INFO within its first %d MiB; name its type (node, helm, python or anyfile)", ErrAmbiguous, base, maxUnpacked>>20)
}

// Read returns the identity and metadata of the package in r. If typ is "",
// Read detects the type as Detect does, with its errors, but reads the file
// only once.
//
// If the content can't be read, name and version come from the file's name and
// FromContent is false. If that fails too, the error is ErrUnreadable, and Info
// holds the type.
func Read(name, typ string, r io.ReaderAt, size int64) (Info, error) {
	return Decompressors(nil).Read(name, typ, r, size)
}

// Read is like the function Read, but can also read what d decompresses.
func (d Decompressors) Read(name, typ string, r io.ReaderAt, size int64) (Info, error) {
	base := baseName(name)
	var info Info
	if typ == "" {
		var err error
		if info, err = detect(base, r, size); err != nil {
			return Info{}, err
		}
		typ = info.Type
	}
	ok := info.Name != ""
	if !ok {
		var err error
		if info, ok, err = d.readContent(base, typ, r, size); err != nil {
			return Info{Type: typ}, err
		}
	}
	if ok && validPart(info.Name) && validPart(info.Version) && (info.Release == "" || validPart(info.Release)) {
		info.Type, info.FromContent = typ, true
		return info, nil
	}
	packed := info.Packed
	info, ok = fromName(base, typ)
	info.Packed = packed
	if !ok || (info.Release != "" && !validPart(info.Release)) {
		return Info{Type: typ, Packed: packed}, fmt.Errorf("%w (type %s, file %q)", ErrUnreadable, typ, base)
	}
	info.Type = typ
	return info, nil
}

func (d Decompressors) readContent(base, typ string, r io.ReaderAt, size int64) (info Info, ok bool, err error) {
	switch typ {
	case Deb:
		info, ok = d.readDeb(r, size)
	case DSC:
		info, ok = readDSC(r, size)
	case RPM:
		info, ok = readRPM(r, size)
	case Gem:
		info, ok = readGem(base, r, size)
	case Python:
		info, ok = readPython(base, r, size)
	case Node:
		info, ok = readNode(r, size)
	case Java:
		info, ok = readJava(base, r, size)
	case Alpine:
		info, ok = readAlpine(r, size)
	case Helm:
		info, ok = readHelm(r, size)
	case Anyfile:
	default:
		err = fmt.Errorf("packagefile: unknown package type %q; use deb, dsc, rpm, gem, python, node, java, alpine, helm or anyfile", typ)
	}
	return info, ok, err
}

// validPart reports whether a name or version could be part of a file name.
func validPart(s string) bool {
	return s != "" && len(s) <= 255 && s != "." && s != ".." && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '/' || r == '\\' || unicode.IsControl(r)
	})
}

func baseName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	return name
}

// extension returns the extension of a lower-case name. That of a compressed
// tar archive includes ".tar".
func extension(lower string) string {
	ext := path.Ext(lower)
	switch ext {
	case ".gz", ".bz2", ".z", ".xz", ".zst":
		if strings.HasSuffix(strings.TrimSuffix(lower, ext), ".tar") {
			return ".tar" + ext
		}
	}
	return ext
}

func head(r io.ReaderAt, n int) string {
	b := make([]byte, n)
	n, _ = r.ReadAt(b, 0)
	return string(b[:n])
}
