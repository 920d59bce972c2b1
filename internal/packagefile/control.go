package packagefile

import (
	"bytes"
	"regexp"
	"strings"
)

// fields is a paragraph of "Key: value" lines, in order. Debian's control files
// and Python's metadata have this form. Keys are in lower case.
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

// once returns the value of a key, and whether it occurs exactly once.
func (f fields) once(key string) (string, bool) {
	all := f.all(key)
	return strings.Join(all, ""), len(all) == 1
}

// parseControl reads the first paragraph of a Debian control file, and returns
// the text behind it. Continuation lines keep their breaks and lose one leading
// space.
//
// Like dpkg, it refuses a line that is not a field, and a field that occurs
// twice. A .dsc may have comments, and spaces in the empty line that ends it.
func parseControl(b []byte, dsc bool) (f fields, rest []byte, ok bool) {
	seen := map[string]bool{}
	for len(b) > 0 {
		line, after, ended := bytes.Cut(b, []byte("\n"))
		b = after
		text := strings.TrimRight(string(line), " \t\r")
		if !dsc && (!ended || text == "" && len(line) > 0) {
			return nil, nil, false
		}
		switch {
		case text == "":
			if len(f) > 0 {
				return f, b, true
			}
		case dsc && text[0] == '#':
		case strings.IndexByte(" \t", text[0]) >= 0:
			if len(f) == 0 {
				return nil, nil, false
			}
			f[len(f)-1].value += "\n" + text[1:]
		default:
			field, isField := controlField(text)
			if !isField || len(f) == maxFields || seen[field.key] {
				return nil, nil, false
			}
			seen[field.key] = true
			f = append(f, field)
		}
	}
	return f, nil, true
}

func controlField(line string) (field, bool) {
	key, value, ok := strings.Cut(line, ":")
	key = strings.ToLower(strings.TrimRight(key, " \t"))
	return field{key, strings.TrimSpace(value)}, ok && controlKey.MatchString(key) && key[0] != '-'
}

// maxFields bounds the fields of a paragraph.
const maxFields = 10_000

var controlKey = regexp.MustCompile(`^[!-9;-~]+$`)

// parseHeaders reads the headers of Python's metadata as Python's email package
// does. A CR ends a line, too. The first line that is not a header begins the
// body, which it also returns. Continuation lines keep their breaks and lose one
// leading space.
func parseHeaders(b []byte) (f fields, body []byte) {
	b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	for len(b) > 0 {
		line, after, _ := bytes.Cut(b, []byte("\n"))
		if len(line) == 0 {
			return f, after
		}
		text := strings.TrimRight(string(line[1:]), " \t")
		key, value, ok := strings.Cut(string(line[:1])+text, ":")
		switch {
		case line[0] == ':' || bytes.HasPrefix(line, []byte("From ")):
			return nil, b // that package goes on behind it, and others end there
		case line[0] == ' ' || line[0] == '\t':
			if len(f) == 0 {
				return nil, b
			}
			f[len(f)-1].value += "\n" + text
		case ok && len(f) < maxFields && controlKey.MatchString(key):
			f = append(f, field{strings.ToLower(key), strings.TrimSpace(value)})
		default:
			return f, b
		}
		b = after
	}
	return f, nil
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
