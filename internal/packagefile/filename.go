package packagefile

import (
	"path"
	"strings"
)

// fromName reads the identity of a package of the given type from its file
// name.
func fromName(base, typ string) (Info, bool) {
	if !validPart(base) {
		return Info{}, false
	}
	var info Info
	ok := false
	switch typ {
	case Deb:
		info, ok = nameDeb(base)
	case DSC:
		stem, version, found := strings.Cut(trimExt(base), "_")
		info, ok = Info{Name: stem, Architecture: "any", Licenses: []string{}}, found
		info.Epoch, info.Version, info.Release = splitDebVersion(version)
	case RPM:
		info, ok = nameRPM(base)
	case Gem:
		info, ok = nameGem(base)
	case Python:
		info, ok = namePython(base)
	case Node, Helm:
		info.Name, info.Version, ok = cutVersion(trimExt(base))
		if typ == Node {
			info.Dependencies = []Dependency{}
		}
	case Java:
		info.Name, info.Version, ok = cutVersion(trimExt(base))
	case Alpine:
		info.Name, info.Version, ok = nameAlpine(trimExt(base))
	case Anyfile:
		info.Name, info.Version, ok = cutVersion(trimExt(base))
		if !ok {
			return Info{}, false
		}
	}
	return info, ok && validPart(info.Name) && validPart(info.Version)
}

// trimExt removes the extension, and also the ".tar" of a compressed tar
// archive.
func trimExt(base string) string {
	ext := path.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	if packed := extension(strings.ToLower("x.tar" + ext)); packed == ".tar"+strings.ToLower(ext) {
		if tar := path.Ext(stem); strings.EqualFold(tar, ".tar") {
			return strings.TrimSuffix(stem, tar)
		}
	}
	return stem
}

// nameDeb reads name_version_arch.deb. The version may spell the colon behind
// its epoch as %3a.
func nameDeb(base string) (Info, bool) {
	part := strings.Split(trimExt(base), "_")
	if len(part) != 3 {
		return Info{}, false
	}
	info := Info{Name: part[0], Architecture: part[2], Licenses: []string{}}
	version := strings.NewReplacer("%3a", ":", "%3A", ":").Replace(part[1])
	info.Epoch, info.Version, info.Release = splitDebVersion(version)
	return info, validPart(info.Architecture)
}

// nameRPM reads name-version-release.arch.rpm.
func nameRPM(base string) (Info, bool) {
	stem := trimExt(base)
	arch := strings.LastIndexByte(stem, '.')
	if arch < 0 {
		return Info{}, false
	}
	info := Info{Architecture: stem[arch+1:]}
	stem = stem[:arch]
	release := strings.LastIndexByte(stem, '-')
	if release < 0 {
		return Info{}, false
	}
	info.Release, stem = stem[release+1:], stem[:release]
	version := strings.LastIndexByte(stem, '-')
	if version < 0 {
		return Info{}, false
	}
	info.Name, info.Version = stem[:version], stem[version+1:]
	return info, validPart(info.Release) && validPart(info.Architecture)
}

// nameGem reads name-version[-platform].gem. The name may hold hyphens, the
// version may not.
func nameGem(base string) (Info, bool) {
	part := strings.Split(trimExt(base), "-")
	for i := len(part) - 1; i > 0; i-- {
		if startsWithDigit(part[i]) && strings.Trim(part[i], "0123456789.abcdefghijklmnopqrstuvwxyz") == "" {
			if i > 1 && startsWithDigit(part[i-1]) {
				continue // a platform such as x86_64-darwin-19
			}
			return Info{
				Name:         strings.Join(part[:i], "-"),
				Version:      part[i],
				Architecture: strings.Join(part[i+1:], "-"),
			}, true
		}
	}
	return Info{}, false
}

// namePython reads name-version[-build]-python-abi-platform.whl,
// name-version[-pyX.Y[-platform]].egg and name-version.tar.gz.
func namePython(base string) (Info, bool) {
	stem := trimExt(base)
	switch strings.ToLower(path.Ext(base)) {
	case ".whl", ".egg", ".egg-info":
		part := strings.SplitN(stem, "-", 3)
		if len(part) < 2 {
			return Info{}, false
		}
		return Info{Name: part[0], Version: part[1]}, true
	}
	name, version, ok := cutVersion(stem)
	return Info{Name: name, Version: version}, ok
}

// nameAlpine reads name-version-rN.
func nameAlpine(stem string) (name, version string, ok bool) {
	i := strings.LastIndex(stem, "-r")
	if i <= 0 || !startsWithDigit(stem[i+2:]) {
		return cutVersion(stem)
	}
	j := strings.LastIndexByte(stem[:i], '-')
	if j <= 0 {
		return "", "", false
	}
	return stem[:j], stem[j+1:], true
}

// cutVersion splits name-version. The version begins at the first hyphenated
// part that starts with a digit, or v and a digit, and holds a dot. If there is
// none, the last part is the version if it starts like that.
func cutVersion(stem string) (name, version string, ok bool) {
	for i := 1; i < len(stem)-1; i++ {
		if stem[i] != '-' {
			continue
		}
		part, _, _ := strings.Cut(stem[i+1:], "-")
		if startsWithDigit(strings.TrimPrefix(part, "v")) && strings.Contains(part, ".") {
			return stem[:i], stem[i+1:], true
		}
	}
	i := strings.LastIndexByte(stem, '-')
	if i > 0 && i < len(stem)-1 && startsWithDigit(strings.TrimPrefix(stem[i+1:], "v")) {
		return stem[:i], stem[i+1:], true
	}
	return "", "", false
}

func startsWithDigit(s string) bool {
	return s != "" && s[0] >= '0' && s[0] <= '9'
}
