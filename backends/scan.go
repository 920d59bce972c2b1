package backends

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// element is one element of a chain with the places of its parts, as byte
// offsets into text.
type element struct {
	text    string // the whole chain
	raw     string // the element
	number  int    // from 1
	of      int    // how many elements there are
	spec    Spec
	start   int            // of the element
	name    int            // of the name
	field   int            // of the field, 0 for none
	options map[string]int // of each key
}

// place says where in the chain offset is, for people.
func (e element) place(offset int) string {
	column := fmt.Sprintf("column %d: ", 1+utf8.RuneCountInString(e.text[:offset]))
	if e.of == 1 {
		return column
	}
	return fmt.Sprintf("element %d of %d, %s", e.number, e.of, column)
}

func (e element) errorf(offset int, format string, args ...any) error {
	return tokensource.NewError(errorSource, tokensource.ErrInvalid, e.place(offset)+fmt.Sprintf(format, args...), nil)
}

// scan parses a chain. It knows the grammar and no backend.
func scan(text string) ([]element, error) {
	if text == "" {
		return nil, tokensource.NewError(errorSource, tokensource.ErrInvalid, "the spec is empty; expected scheme:name, such as env:PACKAGECLOUD_TOKEN", nil)
	}
	if sourcekit.HoldsToken(text) {
		return nil, tokensource.NewError(errorSource, tokensource.ErrInvalid,
			"the spec looks like a token, or holds one; it says where the token is, such as env:PACKAGECLOUD_TOKEN. If it was logged, replace the token", nil)
	}
	parts := strings.Split(text, ",")
	elements := make([]element, len(parts))
	start := 0
	for i, part := range parts {
		e := element{text: text, raw: part, number: i + 1, of: len(parts), start: start}
		if err := e.scan(part); err != nil {
			return nil, err
		}
		elements[i] = e
		start += len(part) + len(",")
	}
	return elements, nil
}

// scan parses s, which begins at e.start.
func (e *element) scan(s string) error {
	if s == "" {
		return e.errorf(e.start, "the element is empty; expected scheme:name, or one comma less")
	}
	if err := e.checkRunes(s); err != nil {
		return err
	}
	if err := e.checkQuotes(s[:len(s)-len(strings.TrimLeft(s, quotes))], e.start); err != nil {
		return err
	}
	scheme, rest, colon := strings.Cut(s, ":")
	switch {
	case !colon && len(s) <= 16 && isScheme(s):
		return e.errorf(e.start+len(s), "expected a colon and a name after the scheme")
	case !colon:
		return e.errorf(e.start, "there is no scheme; expected scheme:name, such as env:PACKAGECLOUD_TOKEN or file:/run/secrets/token")
	case !isScheme(scheme):
		hint := ""
		if near := nearest(scheme, builtin); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return e.errorf(e.start, "expected a scheme, of lower-case letters and digits, before the colon%s", hint)
	}
	e.spec.Scheme = scheme
	at := e.start + len(scheme) + len(":")
	e.name = at

	head, field, hasField := strings.Cut(rest, "#")
	name, options, hasOptions := strings.Cut(head, "?")
	if name == "" {
		return e.errorf(at, "expected a name after %q", scheme+":")
	}
	var err error
	if e.spec.Name, err = e.unescape(name, at); err != nil {
		return err
	}
	at += len(name)
	if hasOptions {
		at += len("?")
		if err := e.scanOptions(options, at); err != nil {
			return err
		}
		at += len(options)
	}
	if !hasField {
		return nil
	}
	at += len("#")
	if field == "" {
		return e.errorf(at, "expected a field after the #")
	}
	if i := strings.IndexByte(field, '#'); i >= 0 {
		return e.errorf(at+i, "a second #; write %%23 if it is part of the field")
	}
	if i := strings.IndexByte(field, '?'); i >= 0 {
		return e.errorf(at+i, "a ? after the #; options come before the field, or write %%3F if it is part of the field")
	}
	e.field = at
	e.spec.Field, err = e.unescape(field, at)
	return err
}

// scanOptions parses s, which begins at offset at.
func (e *element) scanOptions(s string, at int) error {
	if i := strings.IndexByte(s, '?'); i >= 0 {
		return e.errorf(at+i, "a second ?; options are separated by &, or write %%3F if it is part of a name or value")
	}
	e.spec.Options = make(map[string]string)
	e.options = make(map[string]int)
	for option := range strings.SplitSeq(s, "&") {
		key, value, ok := strings.Cut(option, "=")
		if key == "" || !ok {
			return e.errorf(at, "expected an option, key=value")
		}
		k, err := e.unescape(key, at)
		if err != nil {
			return err
		}
		v, err := e.unescape(value, at+len(key)+len("="))
		if err != nil {
			return err
		}
		if _, twice := e.options[k]; twice {
			return e.errorf(at, "the option is there twice")
		}
		e.options[k], e.spec.Options[k] = at, v
		at += len(option) + len("&")
	}
	return nil
}

// checkQuotes refuses quotes around s, which begins at offset at, or at one end.
func (e *element) checkQuotes(s string, at int) error {
	r, size := utf8.DecodeRuneInString(s)
	if !strings.ContainsRune(quotes, r) || size == 0 {
		r, size = utf8.DecodeLastRuneInString(s)
		at += len(s) - size
	}
	if size == 0 || !strings.ContainsRune(quotes, r) {
		return nil
	}
	return e.errorf(at, "a quote; a spec is written without quotes, so remove it, or write %s if it is part of a name", escape(string(r), ""))
}

// checkRunes refuses what the grammar wants percent-encoded.
func (e *element) checkRunes(s string) error {
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch at := e.start + i; {
		case i > 0 && unicode.IsSpace(r) && beginsElement(strings.TrimSpace(s[i:])):
			return e.errorf(at, "white space between two elements; separate them by a comma alone")
		case r == ' ':
			return e.errorf(at, "a space; remove it, or write %%20 if it is part of a name")
		case r == '\n' || r == '\r':
			return e.errorf(at, "a line break; remove it")
		case !plain(r, size):
			return e.errorf(at, "a character that doesn't print; remove it, or percent-encode its bytes")
		}
	}
	return nil
}

// beginsElement reports whether s begins with a scheme and a colon.
func beginsElement(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	return ok && isScheme(scheme)
}

// unescape decodes s, which begins at offset at.
func (e *element) unescape(s string, at int) (string, error) {
	if err := e.checkQuotes(s, at); err != nil {
		return "", err
	}
	if len(s) > 2 && s[0] == '%' && s[len(s)-1] == '%' {
		return "", e.errorf(at, "%%NAME%% is not expanded; write a variable as env:NAME, and a percent sign that is part of a name as %%25")
	}
	if !strings.Contains(s, "%") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		c, err := strconv.ParseUint(s[i+1:min(i+3, len(s))], 16, 8)
		if err != nil || i+2 >= len(s) {
			return "", e.errorf(at+i, "expected two hexadecimal digits after %%; a percent sign itself is %%25")
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String(), nil
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.') {
			continue
		}
		return false
	}
	return s != ""
}
