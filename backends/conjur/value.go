package conjur

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// pick returns the field of that name or, without a name, everything. The flaw says
// what is wrong, and nothing of the value, the names of its fields included.
func pick(data []byte, field string) (secret, flaw string) {
	object := decode(data)
	switch {
	case field == "" && object != nil:
		return "", "the value is a JSON object; name the field that holds the token, as in #token"
	case field == "":
		return string(data), ""
	case object == nil && encodingFlaw(data) != "":
		return "", encodingFlaw(data)
	case object == nil:
		return "", fmt.Sprintf("the value is not a JSON object, so that it has no field %q; leave the field out to use all of it", field)
	}
	raw, ok := object[field]
	if !ok {
		return "", fmt.Sprintf("the value's JSON has no field %q; names are case-sensitive", field)
	}
	if raw[0] != '"' || json.Unmarshal(raw, &secret) != nil {
		return "", fmt.Sprintf("the field %q of the value's JSON is not a string", field)
	}
	return secret, ""
}

// encodingFlaw names the encodings that aren't JSON's, of data that isn't JSON.
func encodingFlaw(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return "the value begins with a UTF-8 byte order mark; store it without one"
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")), len(data) > 1 && (data[0] == 0 || data[1] == 0):
		return "the value is UTF-16; store it as UTF-8"
	}
	return ""
}

// with returns data with another value of the field; no data is an empty object.
func with(data []byte, field, secret string) (value, flaw string) {
	object := decode(data)
	if object == nil && len(data) > 0 {
		return "", fmt.Sprintf("the value is not a JSON object, so that its field %q can't be written", field)
	}
	if object == nil {
		object = map[string]json.RawMessage{}
	}
	object[field] = encode(secret)
	return string(encode(object)), ""
}

// decode returns the fields of a JSON object, or nil if data is anything else.
func decode(data []byte) map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil {
		return nil
	}
	return object
}

// encode writes JSON without the escapes for HTML. Strings and valid JSON have no
// way to fail.
func encode(x any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(x)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
