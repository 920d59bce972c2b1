package awssm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// value is one version of a secret.
type value struct {
	version string
	stages  []string
	data    string
	binary  bool // data is to be written back as bytes
}

// secret returns the field of that name or, without a name, everything. The
// flaw says what is wrong, and nothing of the value: not even the names of its
// fields, since they may be a secret put where a name belongs.
func (v value) secret(field string) (secret, flaw string) {
	object := v.object()
	if field == "" {
		if object != nil {
			return "", "the secret is a JSON object; name the field that holds the token, as in #token"
		}
		return v.data, ""
	}
	if object == nil {
		if flaw := encodingFlaw(v.data); flaw != "" {
			return "", flaw
		}
		return "", fmt.Sprintf("the secret is not a JSON object, so that it has no field %q; leave the field out to use all of it", field)
	}
	raw, ok := object[field]
	if !ok {
		return "", fmt.Sprintf("the secret's JSON has no field %q; names are case-sensitive", field)
	}
	if err := json.Unmarshal(raw, &secret); err != nil || raw[0] != '"' {
		return "", fmt.Sprintf("the field %q of the secret's JSON is not a string", field)
	}
	return secret, ""
}

// encodingFlaw names the encodings that aren't JSON's, of data that isn't JSON.
func encodingFlaw(data string) string {
	switch {
	case strings.HasPrefix(data, "\xef\xbb\xbf"):
		return "the secret begins with a UTF-8 byte order mark; store it without one"
	case strings.HasPrefix(data, "\xff\xfe"), strings.HasPrefix(data, "\xfe\xff"), len(data) > 1 && (data[0] == 0 || data[1] == 0):
		return "the secret is UTF-16; store it as UTF-8"
	}
	return ""
}

// has reports whether there is a field of that name or, without a name, anything.
func (v value) has(field string) bool {
	if field == "" {
		return v.data != ""
	}
	_, ok := v.object()[field]
	return ok
}

// with returns v's data with another secret in it. The other fields keep their
// bytes. It is for values that secret accepts, and for the zero value.
func (v value) with(field, secret string) string {
	if field == "" {
		return secret
	}
	object := v.object()
	if object == nil {
		object = map[string]json.RawMessage{}
	}
	object[field] = encode(secret)
	return string(encode(object))
}

// sameBeside reports whether v and w differ at most in that field.
func (v value) sameBeside(w value, field string) bool {
	if field == "" {
		return true
	}
	a, b := v.object(), w.object()
	delete(a, field)
	delete(b, field)
	return maps.EqualFunc(a, b, func(x, y json.RawMessage) bool { return bytes.Equal(encode(x), encode(y)) })
}

// object returns the fields of a JSON object, or nil if v is anything else.
func (v value) object() map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if !strings.HasPrefix(strings.TrimLeft(v.data, " \t\r\n"), "{") || json.Unmarshal([]byte(v.data), &object) != nil {
		return nil
	}
	return object
}

// encode writes JSON without white space and without the escapes for HTML. What
// it is given, strings and valid JSON, has no way to fail.
func encode(x any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(x)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
