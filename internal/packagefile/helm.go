package packagefile

import (
	"io"
	"regexp"
)

// inHelm matches the path of a Helm chart's metadata, in the chart's own
// folder.
const inHelm = "*/Chart.yaml"

var (
	helmName    = regexp.MustCompile(`(?m)^["']?name["']?[ \t]*:[ \t]*[^ \t\r\n#]`)
	helmVersion = regexp.MustCompile(`(?m)^["']?version["']?[ \t]*:[ \t]*[^ \t\r\n#]`)
)

// looksHelm reports whether b is a Chart.yaml with any name and version.
func looksHelm(b []byte) bool { return helmName.Match(b) && helmVersion.Match(b) }

// readHelm reads Chart.yaml of a packaged Helm chart.
func readHelm(r io.ReaderAt, size int64) (Info, bool) {
	b, ok := findInTarGz(r, size, inHelm)
	if !ok {
		return Info{}, false
	}
	return helmInfo(b)
}

// helmInfo reads name and version. It refuses a value that Helm or another YAML
// reader doesn't take for this text: Helm reads `version: 1.10` as the number
// 1.1.
func helmInfo(b []byte) (Info, bool) {
	y, ok := parseYAML(b)
	if !ok || y.tag != "" {
		return Info{}, false
	}
	name, nameOK := y.get("name").str()
	version, versionOK := y.get("version").version()
	info := Info{Name: name, Version: version, Description: y.get("description").text()}
	info.Summary = info.Description
	return info, nameOK && versionOK && validPart(name) && validPart(version)
}
