package awssm

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzWith holds a write against a read: the field is the new secret, and the
// other fields are what they were.
func FuzzWith(f *testing.F) {
	for _, seed := range []string{`{"token":"abc"}`, `{}`, ` {"a":1,"token":"a","token":"b"}`, `{"a":{"token":[1,2.50,"<&>\u2028"]}}`, `{"\ud800":1e400}`} {
		f.Add(seed, "token", "secret")
	}
	f.Fuzz(func(t *testing.T, data, field, secret string) {
		before := value{data: data}
		if before.object() == nil || field == "" || !utf8.ValidString(field) || !utf8.ValidString(secret) {
			t.Skip()
		}
		after := value{data: before.with(field, secret)}
		if !json.Valid([]byte(after.data)) {
			t.Fatalf("%q became %q, which isn't JSON", data, after.data)
		}
		if got, flaw := after.secret(field); flaw != "" || got != secret {
			t.Errorf("%q became %q, which has %q (%s)", data, after.data, got, flaw)
		}
		if !before.sameBeside(after, field) || !after.sameBeside(before, field) {
			t.Errorf("%q became %q: another field changed", data, after.data)
		}
	})
}

// Guarantee K3.
func TestValue_NamesTheEncodingOfWhatIsNoJSON(t *testing.T) {
	for data, says := range map[string]string{
		"\ufeff{\"token\":\"x\"}": "byte order mark",
		"\xff\xfe{\x00":           "UTF-16",
		"\xfe\xff\x00{":           "UTF-16",
		"{\x00\"\x00":             "UTF-16",
		"\x00{\x00\"":             "UTF-16",
		"x":                       "not a JSON object",
		"":                        "not a JSON object",
	} {
		if _, flaw := (value{data: data}).secret("token"); !strings.Contains(flaw, says) {
			t.Errorf("%q: got %q, want %q", data, flaw, says)
		}
	}
}
