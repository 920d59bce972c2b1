package packagefile

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// closing returns where the quoted scalar ends whose inside text begins with, or -1
// if that is not in text.
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

// quoted reads a quoted scalar, with its further lines, and returns what follows it
// on line p.n. One line break is a space, further ones stay.
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

// unquote returns what a quoted scalar's inside spells.
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

// plainLine returns a line of an unquoted scalar without the comment behind it. What
// would be a key is refused.
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

// plain reads an unquoted scalar with its further lines.
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

// block reads a literal or folded scalar. Its value ends in a line break unless the
// header has a dash, which strips it.
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

// foldLines joins the lines of a folded scalar: one break between two lines that
// aren't indented further is a space.
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

// flow goes past a flow collection, which may span lines.
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

// yamlFlow is how far into a flow collection a parser is.
type yamlFlow struct {
	open   []byte // the brackets that are still to be closed
	before byte   // the last character that is no space
	failed bool
}

// line goes through a line. It stops at a quoted text, which it returns as rest, and
// behind the collection.
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
			f.open = append(f.open, c+2) // which closes it
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
