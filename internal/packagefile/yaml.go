package packagefile

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"
)

// yamlNode is a value of a YAML document: a mapping, a sequence, a scalar, an
// alias or a flow collection. The parser skips the content of flow collections.
type yamlNode struct {
	kind  yamlKind
	tag   string // as in the document, with its !
	named bool   // the value has a tag or an anchor
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
	yamlAlias
)

const (
	maxYAMLNodes = 200_000
	maxYAMLDepth = 100
	maxYAMLLines = 200_000
)

// parseYAML reads the first document of b. It knows the block style, which
// RubyGems and people write, with every kind of scalar. For anything else, and
// for text that YAML readers read differently, it returns ok as false.
func parseYAML(b []byte) (doc *yamlNode, ok bool) {
	text := string(bytes.TrimPrefix(b, bom))
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.Count(text, "\n") > maxYAMLLines || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff
	}) {
		return nil, false
	}
	p := &yamlParser{lines: strings.Split(text, "\n"), anchors: map[string]bool{}}
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

// errYAML is the value with which the parser panics to refuse a document.
var errYAML = new(int)

type yamlParser struct {
	lines        []string
	n            int // the number of the current line
	anchors      map[string]bool
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

// peek moves p.n to the next line that is neither empty nor a comment, and
// returns that line.
func (p *yamlParser) peek() (string, bool) {
	for ; p.n < len(p.lines); p.n++ {
		if text := strings.TrimLeft(p.lines[p.n], " "); text != "" && text[0] != '#' {
			if text[0] == '\t' {
				p.refuse() // YAML forbids tabs as indentation
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

// value reads a value. text is the rest of line p.n; if it is empty, the value
// is on the lines below. value moves p.n behind the value.
//
// parent is the indent of the collection around the value. inMapping allows a
// sequence at just that indent.
func (p *yamlParser) value(text string, parent int, inMapping bool) *yamlNode {
	if p.depth++; p.depth > maxYAMLDepth {
		p.refuse()
	}
	defer func() { p.depth-- }()
	tag, anchor, text := p.properties(text)
	node := p.untagged(strings.TrimRight(text, " \t"), parent, inMapping)
	if tag == "" && anchor == "" {
		return node // a line below may hold a tag or an anchor of its own
	}
	if node.kind == yamlAlias || node.named || tag == "!!str" && node.kind != yamlScalar {
		p.refuse()
	}
	node.tag, node.named = tag, true
	return node
}

// properties cuts a tag and an anchor off the front of a value. It refuses two
// of the same kind.
func (p *yamlParser) properties(text string) (tag, anchor, rest string) {
	for text != "" && (text[0] == '!' || text[0] == '&') {
		word, rest, _ := strings.Cut(text, " ")
		text = strings.TrimLeft(rest, " ")
		which := &tag
		if word[0] == '&' {
			which = &anchor
			p.anchors[word[1:]] = true
		}
		if *which != "" || strings.HasPrefix(word, "!<") || strings.Contains(word, "\t") {
			p.refuse()
		}
		*which = word
	}
	if strings.HasPrefix(text, "\t") {
		p.refuse()
	}
	return tag, anchor, text
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
		if !p.anchors[text[1:]] {
			p.refuse()
		}
		p.n++
		return p.node(yamlAlias)
	}
	return p.plain(text, parent)
}

// ended moves behind line p.n. It refuses a rest that is not a comment.
func (p *yamlParser) ended(rest string) {
	if text := strings.TrimLeft(rest, " \t"); text != "" && (text[0] != '#' || text == rest) {
		p.refuse()
	}
	p.n++
}

// below reads the value on the following lines. It returns a null scalar if
// those lines belong to another value.
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
		// The value behind the dash is a block with its own indent.
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

// key splits "key: value". It refuses a key with a tag, an anchor or a line
// break.
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
	if key = strings.TrimRight(key, " "); key == "" || strings.Contains(key, " #") || strings.Contains(key, "\t") {
		return "", "", false
	}
	return key, strings.TrimLeft(rest, " "), ok
}

// get returns the value of a mapping's key, or nil.
func (n *yamlNode) get(key string) *yamlNode {
	if n == nil {
		return nil
	}
	return n.keys[key]
}

// text returns a scalar without the line break at its end, or "" for another
// value.
func (n *yamlNode) text() string {
	if n == nil || n.kind != yamlScalar || n.null() {
		return ""
	}
	return strings.TrimSuffix(n.value, "\n")
}

func (n *yamlNode) null() bool {
	return n.plain && (n.value == "" || n.value == "~" || strings.EqualFold(n.value, "null"))
}

// notText matches plain scalars that a YAML reader may not take for text:
// numbers, dates, truth values, symbols.
var notText = regexp.MustCompile(`^(?i:|~|=|null|true|false|yes|no|on|off|y|n|:.*|` +
	`[-+]?(?:[0-9][0-9_,]*)?\.?[0-9_]*(?:e[-+]?[0-9]+)?|[-+]?0[box][0-9a-f_]*|[-+]?\.(?:inf|nan)|` +
	`[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[t ].*)?)$`)

var wholeNumber = regexp.MustCompile(`^(?:0|[1-9][0-9]{0,15})$`)

// str returns a scalar that every YAML reader takes for this text.
func (n *yamlNode) str() (string, bool) {
	if n == nil || n.kind != yamlScalar || (n.tag != "" && n.tag != "!" && n.tag != "!!str") {
		return "", false
	}
	if n.plain && n.tag == "" && notText.MatchString(n.value) {
		return "", false
	}
	return n.value, n.value != ""
}

// version is str, but also takes a whole number that every YAML reader prints
// alike.
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
