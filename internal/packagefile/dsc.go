package packagefile

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// readDSC reads a .dsc, the description of a Debian source package, signed or
// not (dsc(5)).
func readDSC(r io.ReaderAt, size int64) (Info, bool) {
	b, ok := readAll(r, size)
	if !ok {
		return Info{}, false
	}
	return dscInfo(b)
}

func dscInfo(b []byte) (Info, bool) {
	text, ok := signedText(b)
	if !ok {
		return Info{}, false
	}
	f, rest, ok := parseControl(text, true)
	if !ok || len(text) != len(b) && len(bytes.TrimSpace(rest)) > 0 {
		return Info{}, false
	}
	info := Info{
		Name:         f.get("source"),
		Architecture: strings.Join(strings.Fields(f.get("architecture")), " "),
		Licenses:     []string{},
	}
	info.Epoch, info.Version, info.Release = splitDebVersion(f.get("version"))
	for _, context := range []string{"build-depends", "build-depends-indep"} {
		if list := splitList(f.get(context)); list != nil {
			info.Dependencies = append(info.Dependencies, Dependency{context, list})
		}
	}
	info.SourceFiles, ok = sourceFiles(f)
	version := f.get("version")
	return info, ok && debName.MatchString(info.Name) && debVersion.MatchString(version) && !strings.HasSuffix(version, "-")
}

var pgpLine = regexp.MustCompile(`(?m)^-----(BEGIN PGP SIGNED MESSAGE|BEGIN PGP SIGNATURE|END PGP SIGNATURE)-----[\r\t ]*$`)

// signedText returns the text inside a PGP clear-signed message, or b if it
// isn't one. It refuses a message without a signature, as dpkg-source does.
func signedText(b []byte) ([]byte, bool) {
	lines := pgpLine.FindAllSubmatchIndex(b, 4)
	if len(lines) == 0 {
		return b, true
	}
	kind := func(i int) string { return string(b[lines[i][2]:lines[i][3]]) }
	if len(lines) < 3 || kind(0) != "BEGIN PGP SIGNED MESSAGE" || kind(1) != "BEGIN PGP SIGNATURE" || kind(2) != "END PGP SIGNATURE" ||
		len(bytes.TrimSpace(b[:lines[0][0]])) > 0 {
		return nil, false
	}
	text := b[lines[0][1]:lines[1][0]]
	_, text, _ = bytes.Cut(text, []byte("\n"))
	for len(text) > 0 { // skip the headers of the armour
		var line []byte
		if line, text, _ = bytes.Cut(text, []byte("\n")); len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	return text, true
}

var (
	md5Hex     = regexp.MustCompile(`^[0-9a-f]{32}$`)
	sha256Hex  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	sourceName = regexp.MustCompile(`^[0-9a-zA-Z][-+:.,=0-9a-zA-Z_~]+$`)
)

// sourceFiles reads the Files and Checksums-Sha256 lists, which must agree.
func sourceFiles(f fields) ([]SourceFile, bool) {
	md5s, ok := checksums(f.get("files"), md5Hex)
	if !ok || len(md5s) == 0 {
		return nil, false
	}
	shas, ok := checksums(f.get("checksums-sha256"), sha256Hex)
	if !ok || len(shas) > len(md5s) {
		return nil, false
	}
	var files []SourceFile
	named := map[string]int{}
	for _, sum := range md5s {
		if _, twice := named[sum.name]; twice {
			return nil, false
		}
		named[sum.name] = len(files)
		files = append(files, SourceFile{Name: sum.name, Size: sum.size, MD5: sum.hex})
	}
	for _, sum := range shas {
		i, ok := named[sum.name]
		if !ok || files[i].Size != sum.size || files[i].SHA256 != "" {
			return nil, false
		}
		files[i].SHA256 = sum.hex
	}
	return files, true
}

type checksum struct {
	hex, name string
	size      int64
}

// checksums reads lines with a checksum, a size and a name each.
func checksums(text string, hex *regexp.Regexp) ([]checksum, bool) {
	var out []checksum
	for line := range strings.SplitSeq(text, "\n") {
		part := strings.Fields(line)
		if len(part) == 0 {
			continue
		}
		if len(part) != 3 || !hex.MatchString(part[0]) || !sourceName.MatchString(part[2]) || len(part[2]) > 255 || len(out) == 1000 {
			return nil, false
		}
		size, err := strconv.ParseUint(part[1], 10, 63)
		if err != nil {
			return nil, false
		}
		out = append(out, checksum{part[0], part[2], int64(size)})
	}
	return out, true
}
