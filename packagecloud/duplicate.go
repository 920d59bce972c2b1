package packagecloud

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
)

// duplicateText reports whether a message says that the package is there already.
func duplicateText(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "already been taken") || strings.Contains(message, "already exists")
}

// planMessage matches a message that says that the owner's plan is used up, also
// where it is one of several behind "Validation failed:".
var planMessage = regexp.MustCompile(`(?i)payment required|upgrade to add more|validation failed:(?:.*,)?\s*plan\b`)

// onlyDuplicate reports whether every message of an error body says that the
// package is there already. It looks at the body as it came, since an object or a
// key that is there twice may hide a message from [Error.Fields].
func onlyDuplicate(body []byte) bool {
	type level struct{ object, key bool } // key: a key comes next
	levels := []level{{}}
	messages := 0
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.Token()
		if err != nil {
			return err == io.EOF && messages > 0
		}
		top := &levels[len(levels)-1]
		switch t := token.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				top.key = top.object // after it
				levels = append(levels, level{t == '{', t == '{'})
			} else {
				levels = levels[:len(levels)-1]
			}
			continue
		case string:
			if top.key {
				if strings.EqualFold(t, "plan") {
					return false
				}
				top.key = false
				continue
			}
			if messages++; !everyPart(t, duplicateText) {
				return false
			}
		}
		top.key = top.object
	}
}

// everyPart splits a message of the form "Validation failed: Name is taken, Size is
// wrong" into the messages that it holds.
func everyPart(message string, is func(string) bool) bool {
	const prefix = "validation failed:"
	if i := strings.Index(strings.ToLower(message), prefix); i >= 0 {
		for part := range strings.SplitSeq(message[i+len(prefix):], ",") {
			if !is(part) {
				return false
			}
		}
		return true
	}
	return is(message)
}
