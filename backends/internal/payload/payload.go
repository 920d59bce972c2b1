// Package payload makes tokens of what files and helper programs hold: a token
// alone, or a field of a JSON object. Its errors never repeat a byte of it.
package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/packagecloud-go/sdk/tokensource"
)

// Token makes a token of data: of all of it, or of one field of the JSON object
// that it is. The errors are of kind ErrInvalid and have meta.Origin as source.
func Token(data []byte, field string, meta tokensource.Metadata) (tokensource.Token, error) {
	if field == "" {
		if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
			return tokensource.Token{}, tokensource.NewError(meta.Origin, tokensource.ErrInvalid,
				`it looks like a JSON object; name the field that holds the token, such as "token"`, nil)
		}
		return tokensource.NewToken(string(data), meta)
	}
	object, err := Object(data)
	if err != nil {
		return tokensource.Token{}, tokensource.NewError(meta.Origin, tokensource.ErrInvalid, err.Error(), nil)
	}
	secret, err := object.Text(field)
	if err != nil {
		return tokensource.Token{}, tokensource.NewError(meta.Origin, tokensource.ErrInvalid, err.Error(), nil)
	}
	return tokensource.NewToken(secret, meta)
}

// Fields are the members of a JSON object in their order. Keys may repeat.
type Fields []Member

// Member is one key of an object with its undecoded value.
type Member struct {
	Key   string
	Value json.RawMessage
}

// Object parses one JSON object. White space may surround it.
func Object(data []byte) (Fields, error) {
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return nil, fmt.Errorf("it is empty; expected a JSON object")
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return nil, fmt.Errorf("it begins with a UTF-8 byte order mark; save it without one")
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")), data[0] == 0, len(data) > 1 && data[1] == 0:
		return nil, fmt.Errorf("it is UTF-16; save it as UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	// The texts of the decoder's own errors quote what it read.
	notJSON := func() error {
		return fmt.Errorf("it is not a JSON object; the fault is near byte %d", d.InputOffset()+1)
	}
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, notJSON()
	}
	var fields Fields
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, notJSON()
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, notJSON()
		}
		fields = append(fields, Member{Key: key.(string), Value: value})
	}
	if _, err := d.Token(); err != nil {
		return nil, notJSON()
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows the JSON object, near byte %d", d.InputOffset()+1)
	}
	return fields, nil
}

// Has reports whether the object has this key.
func (f Fields) Has(key string) bool {
	for _, m := range f {
		if m.Key == key {
			return true
		}
	}
	return false
}

// Text returns the string that key has, which must be there once.
func (f Fields) Text(key string) (string, error) {
	var found []json.RawMessage
	for _, m := range f {
		if m.Key == key {
			found = append(found, m.Value)
		}
	}
	switch {
	case len(found) == 0:
		return "", fmt.Errorf("the JSON object has no field %q, among %d; check its spelling, which is case-sensitive", key, len(f))
	case len(found) > 1:
		return "", fmt.Errorf("the JSON object has the field %q %d times; keep one", key, len(found))
	}
	var text *string
	if err := json.Unmarshal(found[0], &text); err != nil || text == nil {
		return "", fmt.Errorf("the field %q is %s; expected a string", key, kind(found[0]))
	}
	return *text, nil
}

// IsNull reports whether key is there once, as null.
func (f Fields) IsNull(key string) bool {
	n, null := 0, false
	for _, m := range f {
		if m.Key == key {
			n++
			null = string(m.Value) == "null"
		}
	}
	return n == 1 && null
}

func kind(value json.RawMessage) string {
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	case '"':
		return "not valid"
	}
	return "a number"
}

// HoldsToken reports whether s holds something that looks like a token of
// packagecloud: exactly 48 hexadecimal digits with neither letter nor digit
// around them. It keeps a token that was put in the place of its name from being
// repeated.
func HoldsToken(s string) bool {
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return !isAlphanumeric(r) }) {
		if len(word) == 48 && strings.Trim(strings.ToLower(word), "0123456789abcdef") == "" {
			return true
		}
	}
	return false
}

func isAlphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}
