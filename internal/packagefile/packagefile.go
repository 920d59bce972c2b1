// Package packagefile reads what a package file says of itself: its type,
// name, version, architecture and dependencies, as far as the standard library
// can read the format, and otherwise from the file's name.
//
// Every reader takes an io.ReaderAt and reads a few MiB of it and unpacks as much,
// or 64 MiB of an archive whose metadata isn't near its front, whatever the size of
// the file or of what it unpacks to: see the limits in limits.go. Memory holds the
// metadata alone. Nothing is extracted to disk.
//
// A manifest is read as the format's own tool reads it. What that tool refuses, and
// what its readers disagree about, is not read: the name and version then come from
// the file's name, and [Info] says so. So does an archive that is visibly cut off.
// Real packages in testdata/real, with what their tools print of them, hold the
// readers to this.
//
// What comes from where:
//
//	deb      control file of control.tar or control.tar.gz, and with [Decompressors] of .xz and .zst; else name_version_arch.deb
//	dsc      the file itself, signed or not
//	rpm      the header
//	gem      name, version, summary, licenses of metadata.gz, and the platform as RubyGems spells it in file names; dependencies are not read
//	python   METADATA of a wheel, PKG-INFO of an sdist (.tar.gz, .tar.bz2, .tar, .zip) or egg, an .egg-info itself; else the file name
//	node     package/package.json
//	java     META-INF/maven/*/*/pom.properties (and its pom.xml), or a .pom; without one, name and version from the file name and no group
//	alpine   .PKGINFO
//	helm     name, version and description of Chart.yaml; dependencies are not read
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
	// ErrAmbiguous is returned by Detect for a file that may be of several
	// types, so that the caller must name one.
	ErrAmbiguous = errors.New("packagefile: the file's type is ambiguous")
	// ErrUnreadable is returned by Read when neither the content nor the file
	// name tells what the package is.
	ErrUnreadable = errors.New("packagefile: neither the content nor the file name tells the package's name and version")
)

// Info is what a package says of itself. Fields that a type doesn't have, or
// that the file doesn't tell, are empty.
type Info struct {
	Type    string
	Name    string // without Scope
	Version string // without Epoch and Release
	Release string // deb and dsc: the Debian revision; rpm: the release
	Epoch   int

	Architecture string // dsc: a list, separated by spaces; rpm: src or nosrc of a source package; gem: the platform, unless it is "ruby"
	Scope        string // node: with its @
	Group        string // java
	Summary      string
	Description  string
	Licenses     []string
	Dependencies []Dependency
	SourceFiles  []SourceFile // dsc

	// FromContent tells that all of the identity was read in the package, where it
	// is certain, and not in the file's name.
	FromContent bool

	// Packed is the compression that hides the metadata, "xz" or "zstd", where
	// there is no decompressor for it.
	Packed string
}

// Dependency holds the dependencies of one kind, such as "depends".
type Dependency struct {
	Context      string   `json:"context"`
	Dependencies []string `json:"dependencies"`
}

// SourceFile is a file that a .dsc names.
type SourceFile struct {
	Name   string // a base name; others are refused
	Size   int64
	MD5    string // hex
	SHA256 string // hex; empty in old packages
}

// FileName returns the canonical file name of a deb, dsc, rpm, gem or node
// package, which is how the server names it whatever it was called on upload,
// and "" for the other types, which keep their names.
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

// KeepsName reports whether the server keeps the name of a file of the type, since
// nothing in it tells a canonical one.
func KeepsName(typ string) bool {
	return Info{Name: "a", Version: "1", Type: typ}.FileName() == ""
}

// Detect tells the type of the package in r from its name and content. It
// never guesses: where the extension is shared and the content doesn't decide,
// the error is ErrAmbiguous and says to name the type.
func Detect(name string, r io.ReaderAt, size int64) (string, error) {
	info, err := detect(baseName(name), r, size)
	return info.Type, err
}

// detect returns the type and, where it had to read them for that, the name,
// version and the rest.
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
	return Info{}, fmt.Errorf("%w: nothing in the name or content of %s tells; name its type, for example anyfile", ErrAmbiguous, base)
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

// detectTarGz looks for the metadata of all the types that share the extension.
func detectTarGz(base string, r io.ReaderAt, size int64) (Info, error) {
	// What npm and helm pack ends in .tgz, what Python does in .tar.gz. Python's
	// metadata may be the last in an archive that has others' before it.
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
			info = Info{} // its type is certain, and nothing else
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

// Read returns what the package in r, of the given type, says of itself. A type
// of "" is detected as by Detect, with its error, but the file is read once.
// Where the content can't be read, name and version come from the file's name
// and FromContent is false; where that fails too, the error is ErrUnreadable.
// Info has the type then too.
func Read(name, typ string, r io.ReaderAt, size int64) (Info, error) {
	return Decompressors(nil).Read(name, typ, r, size)
}

// Read is the function of that name, with decompressors.
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

// validPart refuses names and versions that couldn't be part of a file name.
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

// extension returns the lower-case extension of a lower-case name, with the
// ".tar" of a compressed archive.
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
