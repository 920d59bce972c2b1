package exchange

import (
	"strings"
	"unicode"
)

// Shorten bounds a text of the server and keeps it on one line. What doesn't print,
// such as a separator of lines or a mark of direction, becomes a space.
func Shorten(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
