package packagefile

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
)

// inNode is where an npm package's metadata lies: in the archive's first folder
// ("package" when npm made it).
const inNode = "*/package.json"

// readNode reads package.json of an npm package.
func readNode(r io.ReaderAt, size int64) (Info, bool) {
	b, ok := findInTarGz(r, size, inNode)
	if !ok {
		return Info{}, false
	}
	return nodeInfo(b)
}

func nodeInfo(b []byte) (Info, bool) {
	var p struct {
		Name, Version, Description string
		License                    any
		Dependencies               any `json:"dependencies"`
		DevDependencies            any `json:"devDependencies"`
		OptionalDependencies       any `json:"optionalDependencies"`
		BundleDependencies         any `json:"bundleDependencies"`
		PeerDependencies           any `json:"peerDependencies"`
	}
	if json.Unmarshal(b, &p) != nil {
		return Info{}, false
	}
	info := Info{Name: p.Name, Version: p.Version, Description: p.Description, Dependencies: []Dependency{}}
	if strings.HasPrefix(p.Name, "@") {
		scope, name, ok := strings.Cut(p.Name, "/")
		if !ok || len(scope) < 2 || !validPart(scope) {
			return Info{}, false
		}
		info.Scope, info.Name = scope, name
	}
	for _, kind := range []struct {
		context string
		list    any
	}{
		{"dependency", p.Dependencies},
		{"devDependency", p.DevDependencies},
		{"optionalDependency", p.OptionalDependencies},
		{"bundleDependency", p.BundleDependencies},
		{"peerDependency", p.PeerDependencies},
	} {
		var names []string
		switch list := kind.list.(type) {
		case map[string]any:
			names = slices.Sorted(maps.Keys(list))
		case []any:
			for _, name := range list {
				if s, ok := name.(string); ok {
					names = append(names, s)
				}
			}
		}
		if len(names) > 0 {
			info.Dependencies = append(info.Dependencies, Dependency{kind.context, names})
		}
	}
	return info, validPart(info.Name) && validPart(info.Version)
}
