package packagefile

import (
	"io"
	"regexp"
	"strings"
)

// readAlpine reads .PKGINFO of an Alpine package. The file consists of gzip
// members, which together unpack to one tar archive.
func readAlpine(r io.ReaderAt, size int64) (Info, bool) {
	b, ok := findInTarGz(r, size, ".PKGINFO")
	if !ok {
		return Info{}, false
	}
	return alpineInfo(b)
}

// alpineText matches names, versions and architectures.
var alpineText = regexp.MustCompile(`^[A-Za-z0-9_.+~-]+$`)

// alpineInfo reads "key = value" lines as apk does, which requires both spaces.
// It refuses a second name, version or architecture.
func alpineInfo(b []byte) (Info, bool) {
	var info Info
	var depends []string
	identity := map[string]*string{"pkgname": &info.Name, "pkgver": &info.Version, "arch": &info.Architecture}
	for line := range strings.SplitSeq(string(b), "\n") {
		key, value, ok := strings.Cut(line, " = ")
		if !ok || line[0] == '#' {
			continue
		}
		if field := identity[key]; field != nil {
			if *field != "" || !alpineText.MatchString(value) {
				return Info{}, false
			}
			*field = value
		}
		switch key {
		case "pkgdesc":
			info.Summary, info.Description = value, value
		case "license":
			info.Licenses = append(info.Licenses, value)
		case "depend":
			depends = append(depends, value)
		}
	}
	if depends != nil {
		info.Dependencies = []Dependency{{"depends", depends}}
	}
	return info, validPart(info.Name) && validPart(info.Version)
}
