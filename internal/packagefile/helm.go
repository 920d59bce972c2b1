package packagefile

import "io"

// inHelm is where a Helm chart's metadata lies: in the chart's own folder.
const inHelm = "*/Chart.yaml"

// readHelm reads Chart.yaml of a packaged Helm chart.
func readHelm(r io.ReaderAt, size int64) (Info, bool) {
	b, ok := findInTarGz(r, size, inHelm)
	if !ok {
		return Info{}, false
	}
	return helmInfo(b)
}

func helmInfo(b []byte) (Info, bool) {
	y := parseYAML(b)
	info := Info{Name: y.scalar("name"), Version: y.scalar("version"), Description: y.scalar("description")}
	info.Summary = info.Description
	return info, info.Name != "" && info.Version != ""
}
