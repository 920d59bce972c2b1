package packagefile

import (
	"io"
	"strconv"
	"strings"
)

// readDeb reads the control file of a Debian binary package: an ar archive of
// debian-binary, control.tar[.gz] and data.tar (deb(5)).
func readDeb(r io.ReaderAt, size int64) (Info, bool) {
	const magic = "!<arch>\n"
	if head(r, len(magic)) != magic {
		return Info{}, false
	}
	header := make([]byte, 60)
	for offset, n := int64(len(magic)), 0; n < 16; n++ {
		if _, err := r.ReadAt(header, offset); err != nil || header[58] != '`' {
			return Info{}, false
		}
		length, err := strconv.ParseInt(strings.TrimSpace(string(header[48:58])), 10, 64)
		if err != nil || length < 0 || length > size-offset-60 {
			return Info{}, false
		}
		offset += 60
		member := io.NewSectionReader(r, offset, length)
		switch strings.TrimRight(strings.TrimSpace(string(header[:16])), "/") {
		case "control.tar":
			if b, ok := findInTar(member, length, "control"); ok {
				return debInfo(b)
			}
			return Info{}, false
		case "control.tar.gz":
			if b, ok := findInTarGz(member, length, "control"); ok {
				return debInfo(b)
			}
			return Info{}, false
		case "control.tar.xz", "control.tar.zst", "data.tar", "data.tar.gz", "data.tar.xz":
			return Info{}, false
		}
		offset += length + length%2
	}
	return Info{}, false
}

func debInfo(b []byte) (Info, bool) {
	f, _ := parseFields(b)
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
	return info, validPart(info.Architecture)
}

// debDescription undoes the folding of a description: a line of a single dot
// is an empty one.
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
