package packagefile

import (
	"io"
	"strings"
)

// readHelm reads Chart.yaml, which lies in the chart's own folder, of a
// packaged Helm chart.
func readHelm(r io.ReaderAt, size int64) (Info, bool) {
	b, ok := findInTarGz(r, size, func(name string) bool {
		return strings.Count(name, "/") == 1 && strings.HasSuffix(name, "/Chart.yaml")
	})
	if !ok {
		return Info{}, false
	}
	y := parseYAML(b)
	info := Info{Name: y.scalar("name"), Version: y.scalar("version"), Description: y.scalar("description")}
	info.Summary = info.Description
	return info, info.Name != "" && info.Version != ""
}
