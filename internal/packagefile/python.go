package packagefile

import (
	"io"
	"strings"
)

// readPython reads the core metadata of a wheel, sdist or egg.
func readPython(base string, r io.ReaderAt, size int64) (Info, bool) {
	lower := strings.ToLower(base)
	switch extension(lower) {
	case ".whl":
		return readPythonZip(r, size, func(name string) bool {
			return strings.Count(name, "/") == 1 && strings.HasSuffix(name, ".dist-info/METADATA")
		})
	case ".egg":
		return readPythonZip(r, size, func(name string) bool { return name == "EGG-INFO/PKG-INFO" })
	case ".egg-info":
		if size > maxMetadata {
			return Info{}, false
		}
		b, err := readBounded(io.NewSectionReader(r, 0, size))
		if err != nil {
			return Info{}, false
		}
		return pythonInfo(b)
	}
	return readPythonArchive(lower, r, size)
}

// readPythonArchive reads the PKG-INFO of a source archive.
func readPythonArchive(lower string, r io.ReaderAt, size int64) (Info, bool) {
	match := func(name string) bool {
		return strings.Count(name, "/") == 1 && strings.HasSuffix(name, "/PKG-INFO")
	}
	var b []byte
	var ok bool
	switch extension(lower) {
	case ".tar.gz", ".tgz":
		b, ok = findInTarGz(r, size, match)
	case ".tar.bz2":
		b, ok = findInTarBz2(r, size, match)
	case ".tar":
		b, ok = findInTar(io.NewSectionReader(r, 0, size), match)
	case ".zip":
		b, ok = findInZip(r, size, match)
	}
	if !ok {
		return Info{}, false
	}
	return pythonInfo(b)
}

func readPythonZip(r io.ReaderAt, size int64, match func(string) bool) (Info, bool) {
	b, ok := findInZip(r, size, match)
	if !ok {
		return Info{}, false
	}
	return pythonInfo(b)
}

func pythonInfo(b []byte) (Info, bool) {
	f, body := parseFields(b)
	if f.get("metadata-version") == "" {
		return Info{}, false
	}
	info := Info{
		Name:        f.get("name"),
		Version:     f.get("version"),
		Summary:     f.get("summary"),
		Description: f.get("description"),
	}
	if info.Description == "" {
		info.Description = strings.TrimSpace(string(body))
	}
	for _, kind := range []struct{ context, key string }{
		{"requires", "requires"},
		{"requires-dist", "requires-dist"},
		{"requires-external", "requires-external"},
		{"requires-extra", "provides-extra"},
		{"requires-python", "requires-python"},
	} {
		if list := f.all(kind.key); list != nil {
			info.Dependencies = append(info.Dependencies, Dependency{kind.context, list})
		}
	}
	return info, validPart(info.Name) && validPart(info.Version)
}
