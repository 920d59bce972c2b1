package packagefile

import (
	"io"
	"strings"
)

// inSdist is where the metadata of a source archive lies: in its own folder.
const inSdist = "*/PKG-INFO"

// readPython reads the core metadata of a wheel, sdist or egg.
func readPython(base string, r io.ReaderAt, size int64) (Info, bool) {
	var b []byte
	var ok bool
	switch extension(strings.ToLower(base)) {
	case ".whl":
		b, ok = findInZip(r, size, "*.dist-info/METADATA")
	case ".egg":
		b, ok = findInZip(r, size, "EGG-INFO/PKG-INFO")
	case ".egg-info":
		b, ok = readAll(r, size)
	case ".tar.gz", ".tgz":
		b, ok = findInTarGz(r, size, inSdist)
	case ".tar.bz2":
		b, ok = findInTarBz2(r, size, inSdist)
	case ".tar":
		b, ok = findInTar(r, size, inSdist)
	case ".zip":
		b, ok = findInZip(r, size, inSdist)
	}
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
