package packagefile

import (
	"io"
	"strings"
)

// readGem reads metadata.gz of a RubyGem: a tar archive with a gemspec in
// YAML, as RubyGems writes it. Only its top-level scalars and the version are
// read; that needs no YAML parser.
func readGem(r io.ReaderAt, size int64) (Info, bool) {
	packed, ok := findInTar(r, size, "metadata.gz")
	if !ok {
		return Info{}, false
	}
	b, ok := gunzip(packed)
	if !ok {
		return Info{}, false
	}
	return gemInfo(b)
}

func gemInfo(b []byte) (Info, bool) {
	y := parseYAML(b)
	info := Info{
		Name:        y.scalar("name"),
		Version:     y.nested("version", "version"),
		Summary:     y.scalar("summary"),
		Description: y.scalar("description"),
		Licenses:    y.list("licenses"),
	}
	if platform := y.scalar("platform"); platform != "ruby" {
		info.Architecture = platform
	}
	return info, info.Architecture == "" || validPart(info.Architecture)
}

// topLevel holds the top-level entries of a block-style YAML mapping: enough
// for what RubyGems and Helm write, and no more. A block or flow value that it
// doesn't understand reads as empty.
type topLevel map[string]topEntry

type topEntry struct {
	value string   // the text after the colon
	lines []string // the lines below it
}

func parseYAML(b []byte) topLevel {
	y := topLevel{}
	last := ""
	for line := range strings.SplitSeq(string(b), "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "---") {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' || line[0] == '-' {
			if last != "" {
				e := y[last]
				e.lines = append(e.lines, line)
				y[last] = e
			}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		last = ""
		if _, seen := y[key]; ok && !seen && (value == "" || value[0] == ' ') {
			last = key
			y[key] = topEntry{value: strings.TrimSpace(value)}
		}
	}
	return y
}

// scalar returns a plain or quoted value, with its folded lines.
func (y topLevel) scalar(key string) string {
	e, ok := y[key]
	if !ok {
		return ""
	}
	switch {
	case strings.HasPrefix(e.value, "|") || strings.HasPrefix(e.value, ">"):
		var lines []string
		for _, line := range e.lines {
			lines = append(lines, strings.TrimSpace(line))
		}
		join := "\n"
		if e.value[0] == '>' {
			join = " "
		}
		return strings.Join(lines, join)
	case e.value == "" || strings.ContainsRune("!&*[{", rune(e.value[0])):
		return ""
	}
	text := e.value
	for _, line := range e.lines {
		text += " " + strings.TrimSpace(line)
	}
	return unquoteYAML(text)
}

// nested returns a scalar one level below key.
func (y topLevel) nested(key, inner string) string {
	for _, line := range y[key].lines {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name == inner {
			return unquoteYAML(strings.TrimSpace(value))
		}
	}
	return ""
}

// list returns the scalars of a block sequence, or nil.
func (y topLevel) list(key string) []string {
	var out []string
	for _, line := range y[key].lines {
		if item, ok := strings.CutPrefix(strings.TrimSpace(line), "- "); ok && !strings.HasPrefix(item, "!") {
			out = append(out, unquoteYAML(item))
		}
	}
	return out
}

func unquoteYAML(s string) string {
	if len(s) >= 2 && s[0] == '\'' {
		if end := strings.LastIndexByte(s, '\''); end > 0 {
			return strings.ReplaceAll(s[1:end], "''", "'")
		}
	}
	if len(s) >= 2 && s[0] == '"' {
		if end := strings.LastIndexByte(s, '"'); end > 0 {
			return strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\n`, "\n").Replace(s[1:end])
		}
	}
	if i := strings.Index(s, " #"); i >= 0 {
		s = strings.TrimSpace(s[:i])
	}
	if s == "~" || s == "null" {
		return ""
	}
	return s
}
