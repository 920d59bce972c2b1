package sourcekit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/packagecloud-go/sdk/tokensource"
)

// Field is the name of the field that holds the token in a JSON secret. Names are
// case-sensitive, as RFC 8259 has them. The empty Field stands for the whole secret.
//
// Its errors are a *[tokensource.Error] of kind [tokensource.ErrInvalid]. They repeat
// the name of the field, unless that looks like a token; of the secret they tell how
// many fields it has and at which byte it stops to be JSON.
type Field string

// Read returns the text of the field. The secret must be one JSON object in UTF-8,
// with white space around it or none, in which the field is there once and is a
// string. For the empty Field it returns data as it is, but a JSON object is an error:
// somebody forgot to name the field.
func (f Field) Read(data []byte) (string, error) {
	if f == "" {
		if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
			return "", invalid(`the value looks like a JSON object; name the field that holds the token, such as "token"`)
		}
		return string(data), nil
	}
	fields, err := object(data)
	if err != nil {
		return "", err
	}
	found, err := f.find(fields)
	if err != nil {
		return "", err
	}
	if found == nil {
		return "", invalid("the JSON object has no field %s, among %d; check its spelling, which is case-sensitive", f.quoted(), len(fields))
	}
	var text *string
	if err := json.Unmarshal(found, &text); err != nil || text == nil {
		return "", invalid("the field %s is %s; expected a string", f.quoted(), kind(found))
	}
	return *text, nil
}

// Write returns data with another text in the field, and the other fields with the
// values that they had. Fields are sorted by name, and white space goes. Data that is
// empty counts as an object without fields. For the empty Field the text is all. What
// Write returns, Read reads; text that isn't UTF-8 can't be in JSON and is changed.
func (f Field) Write(data []byte, text string) ([]byte, error) {
	if f == "" {
		return []byte(text), nil
	}
	all := map[string]json.RawMessage{}
	if len(data) > 0 {
		fields, err := object(data)
		if err == nil {
			_, err = f.find(fields)
		}
		if err != nil {
			return nil, err
		}
		for _, m := range fields {
			all[m.key] = m.value
		}
	}
	all[string(f)] = encode(text)
	return encode(all), nil
}

// find returns the undecoded value of the field, or nil if the field isn't there.
func (f Field) find(fields []member) (found json.RawMessage, err error) {
	n := 0
	for _, m := range fields {
		if m.key == string(f) {
			n++
			found = m.value
		}
	}
	if n > 1 {
		return nil, invalid("the JSON object has the field %s %d times; keep one", f.quoted(), n)
	}
	return found, nil
}

func (f Field) quoted() string {
	if HoldsToken(string(f)) {
		return "whose name looks like a token"
	}
	return fmt.Sprintf("%q", string(f))
}

// member is one field of an object. Names may repeat.
type member struct {
	key   string
	value json.RawMessage
}

// object parses one JSON object.
func object(data []byte) ([]member, error) {
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return nil, invalid("the value is empty; expected a JSON object")
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return nil, invalid("the value begins with a UTF-8 byte order mark; store it without one")
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")), data[0] == 0, len(data) > 1 && data[1] == 0:
		return nil, invalid("the value is UTF-16; store it as UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	// The decoder's own errors quote the secret.
	notJSON := func() error {
		return invalid("the value is not a JSON object; the fault is near byte %d", d.InputOffset()+1)
	}
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, notJSON()
	}
	fields := []member{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, notJSON()
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, notJSON()
		}
		fields = append(fields, member{key.(string), value})
	}
	if _, err := d.Token(); err != nil {
		return nil, notJSON()
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, invalid("something follows the JSON object, near byte %d; remove it", d.InputOffset()+1)
	}
	return fields, nil
}

// kind says what a JSON value is that should be a string.
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

// encode writes JSON without the escapes for HTML. Strings and valid JSON can't fail.
func encode(x any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(x)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func invalid(format string, args ...any) error {
	return tokensource.NewError("", tokensource.ErrInvalid, fmt.Sprintf(format, args...), nil)
}
