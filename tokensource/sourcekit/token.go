package sourcekit

import "strings"

// tokenLength is that of packagecloud's tokens, which are hexadecimal digits.
const tokenLength = 48

// HoldsToken reports whether s holds something that looks like a token of
// packagecloud: 48 hexadecimal digits with neither letter nor digit around them. A
// source calls it for what its user gives as a name, a path or an option. If somebody
// puts the token itself there, the source must not repeat it in an error or a log.
func HoldsToken(s string) bool {
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return !isAlphanumeric(r) }) {
		if len(word) == tokenLength && strings.Trim(strings.ToLower(word), "0123456789abcdef") == "" {
			return true
		}
	}
	return false
}

func isAlphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}
