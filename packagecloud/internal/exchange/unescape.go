package exchange

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unescape returns the length of the escape that s begins with and its meaning, or 0.
func unescape(s string) (int, string) {
	if len(s) < 2 {
		return 0, ""
	}
	switch s[0] {
	case '%':
		if s[1]|0x20 == 'u' {
			return code(s, 2, 4, 16)
		}
		return code(s, 1, 2, 16)
	case '\\':
		return afterBackslash(s)
	case '&':
		return entity(s)
	}
	return 0, ""
}

func afterBackslash(s string) (int, string) {
	switch s[1] {
	case 'u':
		if strings.HasPrefix(s, `\u{`) {
			if end := strings.IndexByte(s[:min(len(s), 12)], '}'); end > 0 {
				n, c := code(s, 3, end-3, 16)
				return n + min(n, 1), c
			}
		}
		return code(s, 2, 4, 16)
	case 'U':
		return code(s, 2, 8, 16)
	case 'x':
		return code(s, 2, 2, 16)
	case 'n', 'r', 't':
		return 2, "\n"
	case '/', '\\', '"', '\'':
		return 2, s[1:2]
	case '0', '1', '2', '3':
		return code(s, 1, 3, 8)
	}
	return 0, ""
}

// entity reads a character reference of HTML, which may lack its semicolon.
func entity(s string) (int, string) {
	end := 1
	for end < min(len(s), 40) && (isAlphanumeric(s[end]) || end == 1 && s[end] == '#') {
		end++
	}
	n := end
	if end < len(s) && s[end] == ';' {
		n++
	}
	if s[1] == '#' {
		return numericEntity(s, end)
	}
	if meaning := html.UnescapeString(s[:n]); meaning != s[:n] {
		return n, meaning
	}
	return 0, ""
}

// numericEntity reads a reference by number, which ends at s[:end] at most.
func numericEntity(s string, end int) (int, string) {
	start, base := 2, 10
	if len(s) > 2 && s[2]|0x20 == 'x' {
		start, base = 3, 16
	}
	digits := start
	for digits < end && isDigit(s[digits], base) {
		digits++
	}
	n, meaning := code(s, start, digits-start, base)
	if n > 0 && n < len(s) && s[n] == ';' {
		n++
	}
	return n, meaning
}

// code reads a character of so many digits at s[start:]. It returns where they end,
// or 0 if they are none.
func code(s string, start, digits, base int) (int, string) {
	end := start + digits
	if digits < 1 || end > len(s) {
		return 0, ""
	}
	for i := start; i < end; i++ {
		if !isDigit(s[i], base) {
			return 0, ""
		}
	}
	c, err := strconv.ParseUint(s[start:end], base, 32)
	switch {
	case err != nil || c > utf8.MaxRune:
		return 0, ""
	case s[0] == '%' && digits == 2, s[0] == '\\' && digits < 4 && c < 0x100:
		return end, string([]byte{byte(c)}) // a byte of UTF-8
	}
	return end, string(rune(c))
}

func isDigit(c byte, base int) bool {
	return '0' <= c && c < '0'+byte(min(base, 10)) || base == 16 && 'a' <= c|0x20 && c|0x20 <= 'f'
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
}
