package sourcekit_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

const token = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"

func TestHoldsToken_KnowsTheLookOfAToken(t *testing.T) {
	for _, s := range []string{token, strings.ToUpper(token), "https://" + token + ":@packagecloud.io", "a," + token, " " + token + "\n", "é" + token} {
		if !sourcekit.HoldsToken(s) {
			t.Errorf("%q holds a token", s)
		}
	}
	for _, s := range []string{"", token[1:], token + "0", "x" + token, token + token, "g" + token[1:], "PACKAGECLOUD_TOKEN"} {
		if sourcekit.HoldsToken(s) {
			t.Errorf("%q holds none", s)
		}
	}
}

// Guarantee K3.
func TestField_Read(t *testing.T) {
	for name, test := range map[string]struct {
		field       sourcekit.Field
		data        string
		want, fails string
	}{
		"all":                  {"", "abc\n", "abc\n", ""},
		"nothing":              {"", "", "", ""},
		"an array as a whole":  {"", "[1]", "[1]", ""},
		"no field named":       {"", " \n{", "", "looks like a JSON object; name the field"},
		"field":                {"token", `{"a":[{"token":1}],"token":"abc"}`, "abc", ""},
		"white space":          {"token", " \r\n\t{ \"token\" : \"abc\" } \n", "abc", ""},
		"escapes":              {"a.b/ü", `{"a.b/\u00fc":"\u0061"}`, "a", ""},
		"empty text":           {"token", `{"token":""}`, "", ""},
		"empty":                {"token", "", "", "the value is empty; expected a JSON object"},
		"white space alone":    {"token", " \n", "", "the value is empty; expected a JSON object"},
		"text":                 {"token", "canary", "", "not a JSON object; the fault is near byte 1"},
		"array":                {"token", `["canary"]`, "", "not a JSON object"},
		"null":                 {"token", "null", "", "not a JSON object"},
		"cut off":              {"token", `{"token":"canary`, "", "not a JSON object; the fault is near byte"},
		"cut off behind":       {"token", `{"token":"canary"`, "", "not a JSON object"},
		"comma at the end":     {"token", `{"token":"canary",}`, "", "not a JSON object"},
		"two objects":          {"token", `{"token":"canary"}{}`, "", "something follows the JSON object"},
		"no such field":        {"token", `{"Token":"canary","canary":1}`, "", `no field "token", among 2`},
		"empty object":         {"token", `{}`, "", `no field "token", among 0`},
		"twice":                {"token", `{"token":"canary","token":"canary2"}`, "", `the field "token" 2 times`},
		"number":               {"token", `{"token":-1}`, "", `the field "token" is a number; expected a string`},
		"boolean":              {"token", `{"token":false}`, "", "is a boolean"},
		"null inside":          {"token", `{"token":null}`, "", "is null"},
		"object":               {"token", `{"token":{"x":"canary"}}`, "", "is an object"},
		"array inside":         {"token", `{"token":["canary"]}`, "", "is an array"},
		"byte order mark":      {"token", "\ufeff{}", "", "byte order mark"},
		"UTF-16, little":       {"token", "\xff\xfe{\x00", "", "UTF-16"},
		"UTF-16, big":          {"token", "\xfe\xff\x00{", "", "UTF-16"},
		"UTF-16 without mark":  {"token", "{\x00\"\x00", "", "UTF-16"},
		"UTF-16, big, no mark": {"token", "\x00{\x00\"", "", "UTF-16"},
		"a token as the name":  {token, `{}`, "", "no field whose name looks like a token"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.field.Read([]byte(test.data))
			if got != test.want || (err == nil) != (test.fails == "") {
				t.Fatalf("got %q, %v; want %q", got, err, test.want)
			}
			if err != nil {
				refused(t, err, tokensource.ErrInvalid, test.fails, "canary", token)
			}
		})
	}
}

// refused checks the kind of err and that its text has what it should and no secret.
func refused(t *testing.T, err error, kind error, says string, secrets ...string) {
	t.Helper()
	e, ok := errors.AsType[*tokensource.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *tokensource.Error", err)
	}
	if e.Kind != kind || e.Source != "" || !strings.Contains(e.Message, says) {
		t.Errorf("got %v; want the kind %v and %q", err, kind, says)
	}
	for _, secret := range secrets {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
}

func TestField_Write(t *testing.T) {
	for name, test := range map[string]struct {
		field             sourcekit.Field
		data, want, fails string
	}{
		"all":           {"", `{"a":1}`, "new", ""},
		"new object":    {"token", "", `{"token":"new"}`, ""},
		"empty object":  {"token", " {} ", `{"token":"new"}`, ""},
		"others stay":   {"token", `{"token":"old", "a":[1, 2.50,"<&>"]}`, `{"a":[1,2.50,"<&>"],"token":"new"}`, ""},
		"of any kind":   {"token", `{"token":null}`, `{"token":"new"}`, ""},
		"no object":     {"token", "canary", "", "not a JSON object"},
		"blank":         {"token", " ", "", "the value is empty"},
		"twice":         {"token", `{"token":"canary","token":"canary2"}`, "", "2 times"},
		"others repeat": {"token", `{"a":1,"a":2}`, `{"a":2,"token":"new"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.field.Write([]byte(test.data), "new")
			if string(got) != test.want || (err == nil) != (test.fails == "") {
				t.Fatalf("got %q, %v; want %q", got, err, test.want)
			}
			if err != nil {
				refused(t, err, tokensource.ErrInvalid, test.fails, "canary")
			}
		})
	}
}

func FuzzField(f *testing.F) {
	for _, seed := range []string{``, `{"token":"abc"}`, `{"a":{"token":1},"token":"x"}x`, ` {"token":"a","token":"b"}`, "\xff\xfe{\x00", `{"a":1,"a":`, `{"a":[1,2.50,"<&>\u2028"]}`, `{"\ud800":1e400}`, "raw\r\n"} {
		f.Add([]byte(seed), "token", "secret")
		f.Add([]byte(seed), "", "secret")
	}
	f.Fuzz(func(t *testing.T, data []byte, name, text string) {
		field := sourcekit.Field(name)
		got, err := field.Read(data)
		var object map[string]any
		jsonErr := json.Unmarshal(data, &object)
		switch {
		case err != nil:
			refused(t, err, tokensource.ErrInvalid, "")
		case name == "":
			if got != string(data) {
				t.Error("without a name it is not everything")
			}
		case jsonErr != nil || object[name] != got:
			t.Errorf("read %q, which encoding/json doesn't", got)
		}
		if name == "" || !utf8.ValidString(name) || !utf8.ValidString(text) {
			return
		}
		after, err := field.Write(data, text)
		if err != nil {
			refused(t, err, tokensource.ErrInvalid, "")
			return
		}
		if got, err := field.Read(after); got != text {
			t.Fatalf("%q became %q, which has %q (%v)", data, after, got, err)
		}
		var written map[string]any
		if err := json.Unmarshal(after, &written); err != nil && jsonErr == nil {
			t.Fatalf("%q became %q, which isn't JSON", data, after)
		}
		if object == nil || jsonErr != nil {
			return
		}
		object[name] = text
		if !reflect.DeepEqual(written, object) {
			t.Errorf("%q became %q: another field changed", data, after)
		}
	})
}
