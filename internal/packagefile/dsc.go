package packagefile

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// readDSC reads a Debian source package's description, signed or not (dsc(5)).
func readDSC(r io.ReaderAt, size int64) (Info, bool) {
	b, ok := readAll(r, size)
	if !ok {
		return Info{}, false
	}
	return dscInfo(b)
}

func dscInfo(b []byte) (Info, bool) {
	f, _ := parseFields(signedText(b))
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
	files, ok := sourceFiles(f)
	if !ok {
		return Info{}, false
	}
	info.SourceFiles = files
	return info, true
}

// signedText returns the text inside a PGP clear-signed message, or b itself.
func signedText(b []byte) []byte {
	if !bytes.HasPrefix(bytes.TrimLeft(b, "\r\n"), []byte("-----BEGIN PGP SIGNED MESSAGE-----")) {
		return b
	}
	text := bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	_, text, _ = bytes.Cut(text, []byte("\n\n")) // the armour's headers
	text, _, _ = bytes.Cut(text, []byte("-----BEGIN PGP SIGNATURE-----"))
	return text
}

// sourceFiles reads the Files and Checksums-Sha256 lists.
func sourceFiles(f fields) ([]SourceFile, bool) {
	var files []SourceFile
	for line := range strings.SplitSeq(f.get("files"), "\n") {
		part := strings.Fields(line)
		if len(part) == 0 {
			continue
		}
		if len(part) != 3 || !validPart(part[2]) || len(files) == 1000 {
			return nil, false
		}
		size, err := strconv.ParseInt(part[1], 10, 64)
		if err != nil || size < 0 {
			return nil, false
		}
		files = append(files, SourceFile{Name: part[2], Size: size, MD5: part[0]})
	}
	for line := range strings.SplitSeq(f.get("checksums-sha256"), "\n") {
		part := strings.Fields(line)
		for i := range files {
			if len(part) == 3 && files[i].Name == part[2] {
				files[i].SHA256 = part[0]
			}
		}
	}
	return files, true
}
