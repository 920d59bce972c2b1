package packagefile

import (
	"io"
	"path"
	"regexp"
	"strings"
)

// inSdist matches the path of a source archive's metadata, in its own folder.
const inSdist = "*/PKG-INFO"

// readPython reads the core metadata of a wheel, sdist or egg.
func readPython(base string, r io.ReaderAt, size int64) (Info, bool) {
	var b []byte
	var ok bool
	switch extension(strings.ToLower(base)) {
	case ".whl":
		return readWheel(r, size)
	case ".egg":
		_, b, ok = findInZip(r, size, "EGG-INFO/PKG-INFO")
	case ".egg-info":
		b, ok = readAll(r, size)
	case ".tar.gz", ".tgz":
		b, ok = findInTarGz(r, size, inSdist)
	case ".tar.bz2":
		b, ok = findInTarBz2(r, size, inSdist)
	case ".tar":
		b, ok = findInTar(r, size, inSdist)
	case ".zip":
		_, b, ok = findInZip(r, size, inSdist)
	}
	if !ok {
		return Info{}, false
	}
	return pythonInfo(b)
}

// readWheel reads the METADATA of a wheel's only .dist-info folder. It refuses
// a folder whose name differs from the metadata's, as pip does.
func readWheel(r io.ReaderAt, size int64) (Info, bool) {
	name, b, ok := findInZip(r, size, "*.dist-info/METADATA")
	if !ok {
		return Info{}, false
	}
	info, ok := pythonInfo(b)
	folder := strings.TrimSuffix(path.Dir(name), ".dist-info")
	return info, ok && strings.HasPrefix(pythonCanonical(folder), pythonCanonical(info.Name)+"-")
}

var (
	pythonDashes  = regexp.MustCompile(`[-_.]+`)
	pythonName    = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	pythonVersion = regexp.MustCompile(`^[0-9A-Za-z.!+_-]+$`)
)

// pythonCanonical returns a name in the spelling of PEP 503, for comparison.
func pythonCanonical(name string) string {
	return strings.ToLower(pythonDashes.ReplaceAllString(name, "-"))
}

// looksPython reports whether b is core metadata with any name and version.
func looksPython(b []byte) bool {
	f, _ := parseHeaders(b)
	return f.get("metadata-version") != "" && f.get("name") != "" && f.get("version") != ""
}

func pythonInfo(b []byte) (Info, bool) {
	f, body := parseHeaders(b)
	name, nameOnce := f.once("name")
	version, versionOnce := f.once("version")
	if f.get("metadata-version") == "" || !nameOnce || !versionOnce {
		return Info{}, false
	}
	info := Info{
		Name:        name,
		Version:     version,
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
	return info, pythonName.MatchString(name) && pythonVersion.MatchString(version) && validPart(name) && validPart(version)
}
