package packagefile

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// closing returns the index in text of the quote that ends a scalar, or -1.
// text begins behind the opening quote.
func closing(quote byte, text string) int {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] == quote && quote == '\'' && strings.HasPrefix(text[i+1:], "'"):
			i++
		case text[i] == quote:
			return i
		}
	}
	return -1
}

// quoted reads a quoted scalar, which may span lines, and returns the rest of
// its last line. A single line break becomes a space, and further ones stay.
func (p *yamlParser) quoted(text string, parent int) (value, rest string) {
	quote := text[0]
	var inside strings.Builder
	for text = text[1:]; ; {
		if end := closing(quote, text); end >= 0 {
			inside.WriteString(text[:end])
			value, ok := unquote(quote, inside.String())
			if !ok {
				p.refuse()
			}
			return value, text[end+1:]
		}
		trimmed := strings.TrimRight(text, " \t")
		escaped := quote == '"' && oddBackslashes(trimmed)
		if escaped && trimmed != text {
			p.refuse() // an escaped space
		}
		breaks := 0
		for p.n++; p.n < len(p.lines) && strings.Trim(p.lines[p.n], " \t") == ""; p.n++ {
			breaks++
		}
		if p.n == len(p.lines) || indentOf(p.lines[p.n]) <= parent {
			p.refuse()
		}
		if escaped {
			trimmed = trimmed[:len(trimmed)-1]
		} else if breaks == 0 {
			trimmed += " "
		}
		inside.WriteString(trimmed + strings.Repeat("\n", breaks))
		text = strings.TrimLeft(p.lines[p.n], " \t")
	}
}

func oddBackslashes(text string) bool {
	return (len(text)-len(strings.TrimRight(text, `\`)))%2 == 1
}

// unquote returns the value of the text between quotes.
func unquote(quote byte, text string) (string, bool) {
	if quote == '\'' {
		return strings.ReplaceAll(text, "''", "'"), true
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out.WriteByte(text[i])
			continue
		}
		if i++; i == len(text) {
			return "", false
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[i]]
		if digits > 0 {
			if i+digits >= len(text) {
				return "", false
			}
			n, err := strconv.ParseUint(text[i+1:i+1+digits], 16, 32)
			if err != nil || n > utf8.MaxRune {
				return "", false
			}
			out.WriteRune(rune(n))
			i += digits
			continue
		}
		s, ok := yamlEscapes[text[i]]
		if !ok {
			return "", false
		}
		out.WriteString(s)
	}
	return out.String(), true
}

var yamlEscapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b",
	' ': " ", '"': `"`, '/': "/", '\\': `\`, 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

// plainLine returns a line of an unquoted scalar without its comment. It
// refuses a line that could be a key.
func (p *yamlParser) plainLine(text string) (line string, comment bool) {
	if i := strings.Index(strings.ReplaceAll(text, "\t#", " #"), " #"); i >= 0 {
		text, comment = text[:i], true
	}
	line = strings.TrimRight(text, " \t")
	if strings.Contains(line, ": ") || strings.Contains(line, ":\t") || strings.HasSuffix(line, ":") {
		p.refuse()
	}
	return line, comment
}

// plain reads an unquoted scalar, which may span lines.
func (p *yamlParser) plain(text string, parent int) *yamlNode {
	if strings.ContainsRune(",[]{}#&*!|>'\"%@`", rune(text[0])) || isItem(text) || text == "?" || strings.HasPrefix(text, "? ") {
		p.refuse()
	}
	node := p.node(yamlScalar)
	node.plain = true
	var value strings.Builder
	breaks := 0
	for {
		line, comment := p.plainLine(text)
		switch {
		case value.Len() == 0:
		case breaks > 0:
			value.WriteString(strings.Repeat("\n", breaks))
		default:
			value.WriteByte(' ')
		}
		value.WriteString(line)
		breaks = 0
		for p.n++; p.n < len(p.lines) && strings.Trim(p.lines[p.n], " ") == ""; p.n++ {
			breaks++
		}
		if p.n == len(p.lines) || indentOf(p.lines[p.n]) <= parent || comment {
			break
		}
		switch text = strings.Trim(p.lines[p.n], " "); text[0] {
		case '\t':
			p.refuse()
		case '#':
			node.value = value.String()
			return node
		}
		text = strings.TrimRight(text, "\t ")
	}
	node.value = value.String()
	return node
}

var blockHeader = regexp.MustCompile(`^[|>](?:[+-]?([1-9])?|([1-9])[+-])(?:[ \t]+#.*)?$`)

// block reads a literal or folded scalar. Its value ends in a line break unless
// the header has a dash.
func (p *yamlParser) block(header string, parent int) *yamlNode {
	m := blockHeader.FindStringSubmatch(header)
	if m == nil {
		p.refuse()
	}
	indent := -1
	if digit := m[1] + m[2]; digit != "" {
		indent = max(parent, 0) + int(digit[0]-'0')
	}
	var lines []string
	for p.n++; p.n < len(p.lines); p.n++ {
		line := p.lines[p.n]
		if strings.Trim(line, " ") == "" {
			lines = append(lines, line[min(len(line), max(indent, 0)):])
			continue
		}
		if indentOf(line) <= parent {
			break
		}
		if indent < 0 {
			indent = indentOf(line)
		}
		if indentOf(line) < indent {
			p.refuse()
		}
		lines = append(lines, line[indent:])
	}
	node := p.node(yamlScalar)
	node.value = strings.TrimRight(strings.Join(lines, "\n"), "\n")
	if header[0] == '>' {
		node.value = foldLines(lines)
	}
	if !strings.Contains(strings.SplitN(header, "#", 2)[0], "-") && node.value != "" {
		node.value += "\n"
	}
	return node
}

// foldLines joins the lines of a folded scalar. A single break between two
// lines becomes a space, unless one of them is indented further.
func foldLines(lines []string) string {
	var out strings.Builder
	deeper := func(line string) bool { return line != "" && (line[0] == ' ' || line[0] == '\t') }
	for i, line := range lines {
		switch {
		case i == 0:
		case line != "" && lines[i-1] != "" && !deeper(line) && !deeper(lines[i-1]):
			out.WriteByte(' ')
		case line != "" && lines[i-1] == "" && !deeper(line):
		default:
			out.WriteByte('\n')
		}
		out.WriteString(line)
	}
	return strings.TrimRight(out.String(), "\n")
}

// flow skips a flow collection, which may span lines.
func (p *yamlParser) flow(text string, parent int) *yamlNode {
	f := yamlFlow{before: '['}
	for {
		rest, quote := f.line(text)
		switch {
		case f.failed:
			p.refuse()
		case quote:
			_, text = p.quoted(rest, parent)
			f.before = '"'
			continue
		case len(f.open) == 0:
			p.ended(rest)
			return p.node(yamlSkipped)
		}
		if p.n++; p.n == len(p.lines) || len(f.open) > maxYAMLDepth {
			p.refuse()
		}
		if text = strings.Trim(p.lines[p.n], " \t"); text != "" && indentOf(p.lines[p.n]) <= parent {
			p.refuse()
		}
	}
}

// yamlFlow is the state of the parser inside a flow collection.
type yamlFlow struct {
	open   []byte // the closing brackets that must still come
	before byte   // the last character that is not a space
	failed bool
}

// line reads one line. It stops at a quoted text, which it returns as rest, and
// at the end of the collection.
func (f *yamlFlow) line(text string) (rest string, quote bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case ' ', '\t':
			continue
		case '#':
			if i == 0 || text[i-1] == ' ' || text[i-1] == '\t' {
				return "", false
			}
		case '"', '\'':
			if strings.IndexByte("[{,:", f.before) >= 0 {
				return text[i:], true
			}
		case '[', '{':
			f.open = append(f.open, c+2) // the closing bracket
		case ']', '}':
			last := len(f.open) - 1
			if f.open[last] != c {
				f.failed = true
				return "", false
			}
			if f.open = f.open[:last]; last == 0 {
				return text[i+1:], false
			}
		}
		f.before = c
	}
	return "", false
}
