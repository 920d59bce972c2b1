package exchange

import "strings"

// The views of a text, each with needles of its own.
const (
	inPlain   = iota // lower case
	inCompact        // lower case, without separators of digits and bytes
	inBase64         // the standard alphabet, without white space
)

// span is a part of a text.
type span struct{ from, to int }

// view is a text made of another, with the place there of each byte.
type view struct {
	text string
	at   []span // nil: the bytes are the other's
}

func (v view) place(i int) span {
	if v.at == nil {
		return span{i, i + 1}
	}
	return v.at[i]
}

// find appends the places of needle. In base64 a neighbouring character may hold a
// few bits of it, and padding tells its length.
func (v view) find(spans []span, needle string, inBase64 bool) []span {
	for from := 0; ; {
		i := strings.Index(v.text[from:], needle)
		if i < 0 {
			return spans
		}
		first := from + i
		last := first + len(needle) - 1
		from = last + 1
		if inBase64 {
			for n := 0; n < 2 && v.joins(first-1); n++ {
				first--
			}
			for n := 0; n < 4 && v.joins(last); n++ {
				last++
			}
		}
		spans = append(spans, span{v.place(first).from, v.place(last).to})
	}
}

// joins reports whether the bytes i and i+1 are of one base64 text.
func (v view) joins(i int) bool {
	return i >= 0 && i+1 < len(v.text) && isBase64(v.text[i]) && isBase64(v.text[i+1]) && v.place(i).to == v.place(i+1).from
}

func isBase64(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/' || c == '='
}

// as returns the view of a kind.
func (v view) as(kind int) view {
	switch kind {
	case inPlain:
		return view{lowerASCII(v.text), v.at}
	case inCompact:
		return v.filtered(func(i int) (byte, bool) {
			switch c := v.text[i]; {
			case strings.IndexByte(" \t\r\n,:;-\"'", c) >= 0:
				return 0, false
			case (c|0x20) == 'x' && i > 0 && v.text[i-1] == '0', c == '0' && i+1 < len(v.text) && v.text[i+1]|0x20 == 'x':
				return 0, false
			case 'A' <= c && c <= 'Z':
				return c | 0x20, true
			default:
				return c, true
			}
		})
	}
	return v.filtered(func(i int) (byte, bool) {
		switch c := v.text[i]; c {
		case ' ', '\t', '\r', '\n':
			return 0, false
		case '-':
			return '+', true
		case '_':
			return '/', true
		default:
			return c, true
		}
	})
}

func (v view) filtered(keep func(i int) (byte, bool)) view {
	text, at := make([]byte, 0, len(v.text)), make([]span, 0, len(v.text))
	for i := range len(v.text) {
		if c, ok := keep(i); ok {
			text, at = append(text, c), append(at, v.place(i))
		}
	}
	return view{string(text), at}
}

// decoded takes one layer of escapes off, and reports whether there was any.
func (v view) decoded() (view, bool) {
	if !strings.ContainsAny(v.text, `%\&`) {
		return v, false
	}
	var out view
	text, changed := make([]byte, 0, len(v.text)), false
	for i := 0; i < len(v.text); {
		n, s := unescape(v.text[i:])
		if n == 0 {
			n, s = 1, v.text[i:i+1]
		} else {
			changed = true
		}
		place := span{v.place(i).from, v.place(i + n - 1).to}
		for range len(s) {
			out.at = append(out.at, place)
		}
		text, i = append(text, s...), i+n
	}
	out.text = string(text)
	return out, changed
}
