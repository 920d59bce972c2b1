package packagefile

import (
	"cmp"
	"encoding/xml"
	"io"
	"path"
	"strings"
)

// pom is what is read of a Maven pom.xml.
type pom struct {
	XMLName      xml.Name        `xml:"project"`
	GroupID      string          `xml:"groupId"`
	ArtifactID   string          `xml:"artifactId"`
	Version      string          `xml:"version"`
	ParentGroup  string          `xml:"parent>groupId"`
	ParentVer    string          `xml:"parent>version"`
	Dependencies []pomDependency `xml:"dependencies>dependency"`
}

type pomDependency struct {
	GroupID    string `xml:"groupId"`
	ArtifactID string `xml:"artifactId"`
	Version    string `xml:"version"`
	Scope      string `xml:"scope"`
}

// readJava reads the Maven coordinates of an archive from its pom.properties.
// An archive that holds several (a fat jar) tells nothing, unless just one of
// them bears the file's name.
func readJava(base string, r io.ReaderAt, size int64) (Info, bool) {
	if strings.HasSuffix(strings.ToLower(base), ".pom") {
		b, ok := readAll(r, size)
		if !ok {
			return Info{}, false
		}
		return pomInfo(b)
	}
	z, ok := openZip(r, size)
	if !ok {
		return Info{}, false
	}
	var found []Info
	unpacked := 0
	for _, f := range z.File {
		if ok, _ := path.Match("META-INF/maven/*/*/pom.properties", f.Name); !ok {
			continue
		}
		b, ok := readZipFile(f)
		if unpacked += len(b); !ok || unpacked > maxMetadata {
			return Info{}, false
		}
		p := properties(b)
		info := Info{Group: p["groupId"], Name: p["artifactId"], Version: p["version"]}
		if !validPart(info.Group) || !validPart(info.Name) || !validPart(info.Version) {
			continue
		}
		found = append(found, info)
	}
	if len(found) > 1 {
		var named []Info
		for _, info := range found {
			if strings.HasPrefix(base, info.Name+"-"+info.Version) {
				named = append(named, info)
			}
		}
		found = named
	}
	if len(found) != 1 {
		return Info{}, false
	}
	info := found[0]
	dir := "META-INF/maven/" + info.Group + "/" + info.Name
	for _, f := range z.File {
		if f.Name == dir+"/pom.xml" {
			if b, ok := readZipFile(f); ok {
				more, _ := pomInfo(b)
				info.Dependencies = more.Dependencies
			}
		}
	}
	return info, true
}

// properties reads key=value lines of a Java properties file.
func properties(b []byte) map[string]string {
	p := map[string]string{}
	for line := range strings.SplitSeq(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		p[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return p
}

func pomInfo(b []byte) (Info, bool) {
	var p pom
	if xml.Unmarshal(b, &p) != nil {
		return Info{}, false
	}
	info := Info{
		Group:   strings.TrimSpace(cmp.Or(p.GroupID, p.ParentGroup)),
		Name:    strings.TrimSpace(p.ArtifactID),
		Version: strings.TrimSpace(cmp.Or(p.Version, p.ParentVer)),
	}
	for _, d := range p.Dependencies {
		context := cmp.Or(strings.TrimSpace(d.Scope), "compile")
		text := strings.TrimSpace(strings.TrimSpace(d.GroupID) + "." + strings.TrimSpace(d.ArtifactID) + " " + strings.TrimSpace(d.Version))
		at := -1
		for i := range info.Dependencies {
			if info.Dependencies[i].Context == context {
				at = i
			}
		}
		if at < 0 {
			at = len(info.Dependencies)
			info.Dependencies = append(info.Dependencies, Dependency{Context: context})
		}
		info.Dependencies[at].Dependencies = append(info.Dependencies[at].Dependencies, text)
	}
	return info, validPart(info.Group) && validPart(info.Name) && validPart(info.Version)
}
