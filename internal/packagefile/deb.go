package packagefile

import (
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// readDeb reads the control file of a Debian binary package: an ar archive of
// debian-binary, control.tar[.gz|.xz|.zst] and data.tar (deb(5)). Before
// control.tar it skips members whose names begin with an underscore, as
// dpkg-deb does.
func (d Decompressors) readDeb(r io.ReaderAt, size int64) (Info, bool) {
	members, ok := arMembers(r, size)
	if !ok || members[0].name != "debian-binary" || head(members[0], 2) != "2." {
		return Info{}, false
	}
	for _, m := range members[1:] {
		switch {
		case m.name == "control.tar":
			b, ok := findInTar(m, m.Size(), "control")
			return debInfo(b, ok)
		case m.name == "control.tar.gz":
			b, ok := findInTarGz(m, m.Size(), "control")
			return debInfo(b, ok)
		case m.name == "control.tar.xz":
			return d.readControl("xz", m)
		case m.name == "control.tar.zst":
			return d.readControl("zstd", m)
		case !strings.HasPrefix(m.name, "_"):
			return Info{}, false
		}
	}
	return Info{}, false
}

// readControl reads the control file of a control.tar in the named compression.
func (d Decompressors) readControl(compression string, m arMember) (Info, bool) {
	if d[compression] == nil {
		return Info{Packed: compression}, false
	}
	b, ok := d.findInTar(compression, m, m.Size(), "control")
	return debInfo(b, ok)
}

type arMember struct {
	name string
	*io.SectionReader
}

// arMembers lists the members of an ar archive. It refuses an archive that is
// cut off.
func arMembers(r io.ReaderAt, size int64) ([]arMember, bool) {
	const magic = "!<arch>\n"
	if head(r, len(magic)) != magic {
		return nil, false
	}
	var members []arMember
	header := make([]byte, 60)
	for offset := int64(len(magic)); offset < size; {
		if n, _ := r.ReadAt(header, offset); n < len(header) || header[58] != '`' || len(members) == 16 {
			return nil, false
		}
		offset += int64(len(header))
		length, err := strconv.ParseInt(strings.TrimSpace(string(header[48:58])), 10, 64)
		if err != nil || length < 0 || length > size-offset {
			return nil, false
		}
		name := strings.TrimRight(strings.TrimSpace(string(header[:16])), "/")
		members = append(members, arMember{name, io.NewSectionReader(r, offset, length)})
		offset += length + length%2
	}
	return members, len(members) > 0
}

var (
	debName    = regexp.MustCompile(`^[a-z0-9][a-z0-9+._-]*$`)
	debArch    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)
	debVersion = regexp.MustCompile(`^(?:[0-9]{1,9}:)?[0-9][A-Za-z0-9.+~-]*$`)
)

// obsolete lists the fields that dpkg appends to the version and other readers
// don't.
var obsolete = []string{"revision", "package-revision", "package_revision"}

// debInfo reads a control file. It refuses a package name with upper-case
// letters, because dpkg lowers them and other tools don't. It also refuses
// obsolete fields.
func debInfo(b []byte, found bool) (Info, bool) {
	f, rest, ok := parseControl(b, false)
	if !found || !ok || strings.TrimSpace(string(rest)) != "" || slices.ContainsFunc(obsolete, func(key string) bool { return f.all(key) != nil }) {
		return Info{}, false
	}
	info := Info{
		Name:         f.get("package"),
		Architecture: f.get("architecture"),
		Description:  debDescription(f.get("description")),
		Licenses:     []string{},
	}
	info.Epoch, info.Version, info.Release = splitDebVersion(f.get("version"))
	for _, context := range []string{"depends", "recommends", "suggests", "enhances", "pre-depends"} {
		if list := splitList(f.get(context)); list != nil {
			info.Dependencies = append(info.Dependencies, Dependency{context, list})
		}
	}
	version := f.get("version")
	return info, debName.MatchString(info.Name) && debArch.MatchString(info.Architecture) && debVersion.MatchString(version) && !strings.HasSuffix(version, "-")
}

// debDescription unfolds a description: a line with a single dot becomes an
// empty one.
func debDescription(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.TrimSpace(line) == "." {
			lines[i] = ""
		}
	}
	return strings.Join(lines, "\n")
}

// splitDebVersion splits [epoch:]upstream[-revision].
func splitDebVersion(s string) (epoch int, version, release string) {
	if e, rest, ok := strings.Cut(s, ":"); ok {
		if n, err := strconv.Atoi(e); err == nil && n >= 0 {
			epoch, s = n, rest
		}
	}
	version = s
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		version, release = s[:i], s[i+1:]
	}
	return epoch, version, release
}
