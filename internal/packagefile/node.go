package packagefile

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"regexp"
	"slices"
)

// inNode matches the path of an npm package's metadata, in the archive's first
// folder. npm calls that folder "package".
const inNode = "*/package.json"

// readNode reads package.json of an npm package.
func readNode(r io.ReaderAt, size int64) (Info, bool) {
	b, ok := findInTarGz(r, size, inNode)
	if !ok {
		return Info{}, false
	}
	return nodeInfo(b)
}

var (
	nodeName    = regexp.MustCompile(`^(?:(@[A-Za-z0-9~_-][A-Za-z0-9~._-]*)/)?([A-Za-z0-9~_-][A-Za-z0-9~._-]*)$`)
	nodeVersion = regexp.MustCompile(`^(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*` +
		`(?:-` + nodeID + `(?:\.` + nodeID + `)*)?(?:\+[0-9A-Za-z.-]+)?$`)
)

// nodeID matches an identifier of a pre-release without leading zeros, which npm
// publish would drop.
const nodeID = `(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)`

// nodeInfo reads package.json as npm does: it skips a byte order mark, keys are
// case-sensitive, and the last of equal keys counts. It refuses a name or
// version that npm pack and npm publish spell differently, such as v1.0.0.
func nodeInfo(b []byte) (Info, bool) {
	var p map[string]json.RawMessage
	if json.Unmarshal(bytes.TrimPrefix(b, bom), &p) != nil {
		return Info{}, false
	}
	text := func(key string) (s string) {
		if json.Unmarshal(p[key], &s) != nil {
			return ""
		}
		return s
	}
	info := Info{Version: text("version"), Description: text("description"), Dependencies: []Dependency{}}
	name := nodeName.FindStringSubmatch(text("name"))
	if name == nil || !nodeVersion.MatchString(info.Version) {
		return Info{}, false
	}
	info.Scope, info.Name = name[1], name[2]
	for _, kind := range []struct{ context, key string }{
		{"dependency", "dependencies"},
		{"devDependency", "devDependencies"},
		{"optionalDependency", "optionalDependencies"},
		{"bundleDependency", "bundleDependencies"},
		{"peerDependency", "peerDependencies"},
	} {
		if names := nodeNames(p[kind.key]); len(names) > 0 {
			info.Dependencies = append(info.Dependencies, Dependency{kind.context, names})
		}
	}
	return info, validPart(info.Name) && validPart(info.Version)
}

// looksNode reports whether b is a package.json with any name and version.
func looksNode(b []byte) bool {
	var p map[string]json.RawMessage
	var name, version string
	return json.Unmarshal(bytes.TrimPrefix(b, bom), &p) == nil && json.Unmarshal(p["name"], &name) == nil &&
		json.Unmarshal(p["version"], &version) == nil && name != "" && version != ""
}

// nodeNames returns the keys of an object, sorted, or the texts of an array.
func nodeNames(b json.RawMessage) []string {
	var object map[string]json.RawMessage
	if json.Unmarshal(b, &object) == nil {
		return slices.Sorted(maps.Keys(object))
	}
	var array []json.RawMessage
	if json.Unmarshal(b, &array) != nil {
		return nil
	}
	var names []string
	for _, item := range array {
		var name string
		if json.Unmarshal(item, &name) == nil && name != "" {
			names = append(names, name)
		}
	}
	return names
}
