package packagefile

import (
	"bytes"
	"strings"
)

// fields is a paragraph of "Key: value" lines, as Debian's control files and
// Python's metadata have them, in order. Keys are lower case.
type fields []field

type field struct{ key, value string }

// get returns the first value of key.
func (f fields) get(key string) string {
	for _, e := range f {
		if e.key == key {
			return e.value
		}
	}
	return ""
}

// all returns every value of key.
func (f fields) all(key string) []string {
	var out []string
	for _, e := range f {
		if e.key == key {
			out = append(out, e.value)
		}
	}
	return out
}

// parseFields reads the first paragraph of b. Continuation lines keep their
// breaks and lose one leading space. The rest of b, after the paragraph's
// empty line, is returned too: Python puts its description there.
func parseFields(b []byte) (fields, []byte) {
	var out fields
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		b = rest
		text := strings.TrimSuffix(string(line), "\r")
		if strings.TrimSpace(text) == "" {
			if len(out) == 0 {
				continue
			}
			return out, b
		}
		if text[0] == '#' {
			continue
		}
		if text[0] == ' ' || text[0] == '\t' {
			if n := len(out); n > 0 {
				out[n-1].value += "\n" + text[1:]
			}
			continue
		}
		key, value, ok := strings.Cut(text, ":")
		if !ok {
			continue
		}
		out = append(out, field{strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)})
	}
	return out, nil
}

// splitList splits a comma-separated list that may span lines.
func splitList(s string) []string {
	var out []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.Join(strings.Fields(item), " "); item != "" {
			out = append(out, item)
		}
	}
	return out
}
