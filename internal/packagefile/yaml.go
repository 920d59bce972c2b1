package packagefile

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// yamlNode is a value of a YAML document. It is a mapping, a sequence, a scalar,
// or something that is skipped: an alias or a flow collection.
type yamlNode struct {
	kind  yamlKind
	tag   string // as it is written, with its !
	plain bool   // a scalar without quotes
	value string // of a scalar
	keys  map[string]*yamlNode
	items []*yamlNode
}

type yamlKind int

const (
	yamlSkipped yamlKind = iota
	yamlScalar
	yamlMapping
	yamlSequence
)

const (
	maxYAMLNodes = 200_000
	maxYAMLDepth = 100
)

// parseYAML reads the first document of b. It knows the block style that RubyGems
// writes and people write by hand, with every kind of scalar. It refuses whatever
// it doesn't know, and whatever readers of YAML disagree about: ok is false then.
func parseYAML(b []byte) (doc *yamlNode, ok bool) {
	text := string(bytes.TrimPrefix(b, bom))
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff
	}) {
		return nil, false
	}
	p := &yamlParser{lines: strings.Split(text, "\n")}
	defer func() {
		if r := recover(); r != nil {
			if r != errYAML {
				panic(r)
			}
			doc, ok = nil, false
		}
	}()
	return p.document(), true
}

// errYAML is what the parser panics with at what it doesn't understand.
var errYAML = new(int)

type yamlParser struct {
	lines        []string
	n            int // the line that is read next
	nodes, depth int
}

func (p *yamlParser) refuse() { panic(errYAML) }

// marker reports whether a line begins or ends a document.
func marker(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	word = strings.TrimRight(word, "\t")
	return word == "---" || word == "..."
}

func (p *yamlParser) document() *yamlNode {
	tail := ""
	if line, ok := p.peek(); ok && strings.HasPrefix(line, "---") && marker(line) {
		tail = strings.TrimLeft(line[3:], " ")
		p.n++
	} else if ok && (line[0] == '%' || marker(line)) {
		p.refuse()
	}
	for i, line := range p.lines[p.n:] {
		if marker(line) {
			p.lines = p.lines[:p.n+i]
			break
		}
	}
	p.n--
	doc := p.value(tail, -1, false)
	if _, more := p.peek(); more {
		p.refuse()
	}
	return doc
}

// peek returns the next line that is neither empty nor a comment, and makes it p.n.
func (p *yamlParser) peek() (string, bool) {
	for ; p.n < len(p.lines); p.n++ {
		if text := strings.TrimLeft(p.lines[p.n], " "); strings.Trim(text, "\t") != "" && text[0] != '#' {
			if text[0] == '\t' {
				p.refuse() // a tab indents nothing
			}
			return strings.TrimRight(p.lines[p.n], " \t"), true
		}
	}
	return "", false
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func (p *yamlParser) node(kind yamlKind) *yamlNode {
	if p.nodes++; p.nodes > maxYAMLNodes {
		p.refuse()
	}
	return &yamlNode{kind: kind}
}

// value reads a value whose first text is what is left of line p.n, or that lies
// on the lines below. It ends behind the value. parent is the indent of the
// collection around it; inMapping allows a sequence at just that indent.
func (p *yamlParser) value(text string, parent int, inMapping bool) *yamlNode {
	if p.depth++; p.depth > maxYAMLDepth {
		p.refuse()
	}
	defer func() { p.depth-- }()
	tag := ""
	for text != "" && (text[0] == '!' || text[0] == '&') {
		word, rest, _ := strings.Cut(text, " ")
		if word[0] == '!' {
			if tag != "" || strings.HasPrefix(word, "!<") {
				p.refuse()
			}
			tag = word
		}
		text = strings.TrimLeft(rest, " ")
	}
	node := p.untagged(strings.TrimRight(text, " \t"), parent, inMapping)
	node.tag = tag
	return node
}

func (p *yamlParser) untagged(text string, parent int, inMapping bool) *yamlNode {
	if text == "" || text[0] == '#' {
		p.n++
		return p.below(parent, inMapping)
	}
	switch text[0] {
	case '"', '\'':
		value, rest := p.quoted(text, parent)
		p.ended(rest)
		node := p.node(yamlScalar)
		node.value = value
		return node
	case '|', '>':
		return p.block(text, parent)
	case '[', '{':
		return p.flow(text, parent)
	case '*':
		if strings.ContainsAny(text, " \t") {
			p.refuse()
		}
		p.n++
		return p.node(yamlSkipped)
	}
	return p.plain(text, parent)
}

// ended ends line p.n behind a value that delimits itself.
func (p *yamlParser) ended(rest string) {
	if text := strings.TrimLeft(rest, " \t"); text != "" && (text[0] != '#' || text == rest) {
		p.refuse()
	}
	p.n++
}

// below reads the value on the lines that follow: nothing, if they belong elsewhere.
func (p *yamlParser) below(parent int, inMapping bool) *yamlNode {
	line, ok := p.peek()
	indent := indentOf(line)
	item := ok && isItem(line[indent:])
	switch {
	case ok && item && (indent > parent || inMapping && indent == parent):
		return p.sequence(indent)
	case !ok || indent <= parent:
		node := p.node(yamlScalar)
		node.plain = true
		return node
	}
	if _, _, isKey := p.key(line[indent:]); isKey {
		return p.mapping(indent)
	}
	return p.value(line[indent:], parent, false)
}

func isItem(text string) bool { return text == "-" || strings.HasPrefix(text, "- ") }

func (p *yamlParser) sequence(indent int) *yamlNode {
	node := p.node(yamlSequence)
	for {
		line, ok := p.peek()
		if !ok || indentOf(line) < indent || indentOf(line) == indent && !isItem(line[indent:]) {
			return node
		}
		if indentOf(line) > indent {
			p.refuse()
		}
		// What follows the dash is a block of its own, at its own indent.
		rest := line[indent+1:]
		text := strings.TrimLeft(rest, " ")
		_, _, isKey := p.key(text)
		if isItem(text) || isKey {
			p.lines[p.n] = strings.Repeat(" ", len(line)-len(text)) + text
			if p.depth++; p.depth > maxYAMLDepth {
				p.refuse()
			}
			node.items = append(node.items, p.below(indent, false))
			p.depth--
			continue
		}
		node.items = append(node.items, p.value(text, indent, false))
	}
}

func (p *yamlParser) mapping(indent int) *yamlNode {
	node := p.node(yamlMapping)
	node.keys = map[string]*yamlNode{}
	for {
		line, ok := p.peek()
		if !ok || indentOf(line) < indent {
			return node
		}
		key, rest, isKey := p.key(line[indent:])
		if _, twice := node.keys[key]; twice || !isKey || indentOf(line) > indent || key == "<<" {
			p.refuse()
		}
		node.keys[key] = p.value(rest, indent, true)
	}
}

// key splits "key: value". A key with a tag, an anchor or a line break is refused.
func (p *yamlParser) key(text string) (key, rest string, ok bool) {
	if text == "" || isItem(text) {
		return "", "", false
	}
	switch text[0] {
	case '"', '\'':
		end := closing(text[0], text[1:])
		if end < 0 {
			return "", "", false
		}
		if after := strings.TrimLeft(text[end+2:], " "); after == ":" || strings.HasPrefix(after, ": ") {
			key, ok = unquote(text[0], text[1:end+1])
			return key, strings.TrimLeft(after[1:], " "), ok
		}
		return "", "", false
	case '?', '!', '&', '*', '|', '>', '[', '{', '%', '@', '`', '#', ',', ']', '}':
		return "", "", false
	}
	key, rest, ok = strings.Cut(text, ": ")
	if !ok {
		key, ok = strings.CutSuffix(text, ":")
	}
	if strings.Contains(key, " #") {
		return "", "", false
	}
	return strings.TrimRight(key, " "), strings.TrimLeft(rest, " "), ok
}

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
		line, comment := text, false
		if i := strings.Index(strings.ReplaceAll(text, "\t#", " #"), " #"); i >= 0 {
			line, comment = text[:i], true
		}
		line = strings.TrimRight(line, " \t")
		if strings.Contains(line, ": ") || strings.Contains(line, ":\t") || strings.HasSuffix(line, ":") {
			p.refuse()
		}
		switch {
		case value.Len() == 0:
		case breaks > 0:
			value.WriteString(strings.Repeat("\n", breaks))
		default:
			value.WriteByte(' ')
		}
		value.WriteString(line)
		breaks = 0
		for p.n++; p.n < len(p.lines) && strings.Trim(p.lines[p.n], " \t") == ""; p.n++ {
			breaks++
		}
		if p.n == len(p.lines) || indentOf(p.lines[p.n]) <= parent || comment {
			break
		}
		if text = strings.Trim(p.lines[p.n], " \t"); text[0] == '#' {
			break
		}
	}
	node.value = value.String()
	return node
}

var blockHeader = regexp.MustCompile(`^[|>](?:[+-]?([1-9])?|([1-9])[+-])(?:[ \t]+#.*)?$`)

// block reads a literal or folded scalar. Its value ends without a line break.
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
	var open []byte
	before := byte('[') // what a quote may follow
	for {
		for i := 0; i < len(text); i++ {
			c := text[i]
			switch {
			case c == ' ' || c == '\t':
				continue
			case c == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t'):
				text = text[:i]
				continue
			case (c == '"' || c == '\'') && strings.IndexByte("[{,:", before) >= 0:
				_, rest := p.quoted(text[i:], parent)
				text, i, before = rest, -1, '"'
				continue
			case c == '[' || c == '{':
				open = append(open, c+2) // the closing one
			case c == ']' || c == '}':
				if open[len(open)-1] != c {
					p.refuse()
				}
				if open = open[:len(open)-1]; len(open) == 0 {
					p.ended(text[i+1:])
					return p.node(yamlSkipped)
				}
			}
			before = c
		}
		if p.n++; p.n == len(p.lines) || len(open) > maxYAMLDepth {
			p.refuse()
		}
		if text = strings.Trim(p.lines[p.n], " \t"); text != "" && indentOf(p.lines[p.n]) <= parent {
			p.refuse()
		}
	}
}

// get returns the value of a mapping's key, or nil.
func (n *yamlNode) get(key string) *yamlNode {
	if n == nil {
		return nil
	}
	return n.keys[key]
}

// text returns a scalar as it is written, or "".
func (n *yamlNode) text() string {
	if n == nil || n.kind != yamlScalar || n.null() {
		return ""
	}
	return n.value
}

func (n *yamlNode) null() bool {
	return n.plain && (n.value == "" || n.value == "~" || strings.EqualFold(n.value, "null"))
}

// notText matches plain scalars that a reader of YAML may take for something
// other than text: a number, a date, a truth value, a symbol.
var notText = regexp.MustCompile(`^(?i:|~|=|null|true|false|yes|no|on|off|y|n|:.*|` +
	`[-+]?(?:[0-9][0-9_,]*)?\.?[0-9_]*(?:e[-+]?[0-9]+)?|[-+]?0[box][0-9a-f_]*|[-+]?\.(?:inf|nan)|` +
	`[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[t ].*)?)$`)

var wholeNumber = regexp.MustCompile(`^(?:0|[1-9][0-9]{0,15})$`)

// str returns a scalar that every reader takes for just this text.
func (n *yamlNode) str() (string, bool) {
	if n == nil || n.kind != yamlScalar || (n.tag != "" && n.tag != "!" && n.tag != "!!str") {
		return "", false
	}
	if n.plain && n.tag == "" && notText.MatchString(n.value) {
		return "", false
	}
	return n.value, n.value != ""
}

// version is str, or a number that every reader writes alike.
func (n *yamlNode) version() (string, bool) {
	if n != nil && n.kind == yamlScalar && n.plain && n.tag == "" && wholeNumber.MatchString(n.value) {
		return n.value, true
	}
	return n.str()
}

// list returns the scalars of a sequence, or nil.
func (n *yamlNode) list() []string {
	var out []string
	if n != nil {
		for _, item := range n.items {
			if text := item.text(); text != "" {
				out = append(out, text)
			}
		}
	}
	return out
}
