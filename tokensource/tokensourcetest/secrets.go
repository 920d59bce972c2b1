package tokensourcetest

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
)

// FindSecret searches text for each secret and describes the form of the first
// one it finds, without the secret. It returns "" if it finds none.
//
// It knows these forms: plain, base64, hexadecimal, URL-encoded, quoted, and a
// list of bytes. Base64 may use either alphabet, may be padded, and may begin
// before the secret, as in Basic authentication.
//
// A secret should have eight bytes or more, so that no text matches by chance.
// FindSecret skips secrets with fewer than four bytes.
func FindSecret(text string, secrets ...string) string {
	lower := strings.ToLower(text)
	for i, secret := range secrets {
		if len(secret) < 4 {
			continue
		}
		for _, f := range forms(secret) {
			in := text
			if f.anyCase {
				in = lower
			}
			if strings.Contains(in, f.text) {
				return fmt.Sprintf("secret %d of %d shows %s", i+1, len(secrets), f.how)
			}
		}
	}
	return ""
}

// form is one way in which a secret shows. With anyCase, text is in lower case,
// and the searched text must be lowered, too.
type form struct {
	how, text string
	anyCase   bool
}

func forms(secret string) []form {
	quoted := strconv.Quote(secret)
	inJSON, _ := json.Marshal(secret)
	found := []form{
		{how: "as it is", text: secret},
		{how: "with its letters' case changed", text: strings.ToLower(secret), anyCase: true},
		{how: "quoted", text: quoted[1 : len(quoted)-1]},
		{how: "as JSON", text: string(inJSON[1 : len(inJSON)-1])},
		{how: "URL-encoded", text: strings.ToLower(url.QueryEscape(secret)), anyCase: true},
		{how: "URL-encoded", text: strings.ToLower(url.PathEscape(secret)), anyCase: true},
	}
	// Base64 encodes groups of three bytes. The form of the secret depends on
	// its place within a group.
	for shift := range 3 {
		padded := append(make([]byte, shift), secret...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			s := enc.EncodeToString(padded)
			if len(padded)%3 != 0 {
				s = s[:len(s)-1] // the last character depends on the byte that follows
			}
			found = append(found, form{how: "in base64", text: s[min((shift*8+5)/6, len(s)):]})
		}
	}
	for _, sep := range []string{"", " ", ":", "%", `\x`, " 0x", ", 0x", ",0x"} {
		var digits []string
		for i := range len(secret) {
			digits = append(digits, hex.EncodeToString([]byte{secret[i]}))
		}
		found = append(found, form{how: "in hexadecimal", text: strings.Join(digits, sep), anyCase: true})
	}
	for _, sep := range []string{" ", ", ", ","} {
		var numbers []string
		for i := range len(secret) {
			numbers = append(numbers, strconv.Itoa(int(secret[i])))
		}
		found = append(found, form{how: "as a list of bytes", text: strings.Join(numbers, sep)})
	}
	return found
}

// AssertNoSecret fails t if value shows one of the secrets when it is printed,
// logged or encoded, in a form that [FindSecret] knows.
//
// It tries every verb and flag of fmt, slog at debug level as text and as JSON,
// and the encoders of the standard library. It does so for the value alone,
// behind a pointer and inside other values. For an error it also checks all
// errors that errors.Unwrap leads to. It searches errors, tokens and events by
// reflection, too, as debug printers do.
//
// The failure message names the place, and shows neither the value nor the
// secret.
func AssertNoSecret(t testing.TB, value any, secrets ...string) {
	t.Helper()
	for _, v := range unwrap(value) {
		texts := renderings(v)
		// A search in the joined texts is fast. Only a hit needs the place.
		all := slices.Compact(slices.Sorted(maps.Values(texts)))
		if FindSecret(strings.Join(all, "\n"), secrets...) == "" {
			continue
		}
		for where, text := range texts {
			if how := FindSecret(text, secrets...); how != "" {
				t.Errorf("a %T leaks: %s in %s", v, how, where)
				return
			}
		}
	}
}

// unwrap returns value and, if it is an error, all errors that it wraps.
func unwrap(value any) []any {
	values := []any{value}
	switch e := value.(type) {
	case interface{ Unwrap() error }:
		if err := e.Unwrap(); err != nil {
			values = append(values, unwrap(err)...)
		}
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			values = append(values, unwrap(err)...)
		}
	}
	return values
}

// renderings returns the texts that value turns into. The key says how.
func renderings(value any) map[string]string {
	texts := map[string]string{}
	type hidden struct{ v any }
	for where, v := range map[string]any{
		"":                        value,
		" behind a pointer":       &value,
		" in an unexported field": hidden{value},
		" behind both":            &hidden{value},
		" in a slice":             []any{value},
		" in a map":               map[string]any{"k": value},
	} {
		for _, flags := range []string{"", "+", "#", " ", "+#"} {
			for _, verb := range "vsqxXdobcUeEgtTp" {
				format := "%" + flags + string(verb)
				texts[format+where] = fmt.Sprintf(format, v)
			}
		}
		texts["Sprint"+where] = fmt.Sprint(v)

		var text, asJSON bytes.Buffer
		options := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
		slog.New(slog.NewTextHandler(&text, options)).Debug("m", "v", v, slog.Group("g", "v", v))
		slog.New(slog.NewJSONHandler(&asJSON, options)).Debug("m", "v", v, slog.Group("g", "v", v))
		texts["slog text"+where] = text.String()
		texts["slog JSON"+where] = asJSON.String()

		b, err := json.Marshal(v)
		texts["encoding/json"+where] = fmt.Sprintf("%s %v", b, err)
	}
	b, err := xml.Marshal(value)
	texts["encoding/xml"] = fmt.Sprintf("%s %v", b, err)
	texts["encoding/gob"] = inGob(value)
	switch value.(type) {
	case error, tokensource.Token, tokensource.Event:
		texts["memory, by reflection"] = strings.Join(dump(nil, reflect.ValueOf(value), 0), "\n")
	}
	return texts
}

// inGob returns the result of encoding/gob, which panics at some types.
func inGob(value any) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprint(v)
		}
	}()
	var buf bytes.Buffer
	err := gob.NewEncoder(&buf).Encode(value)
	return fmt.Sprintf("%s %v", buf.String(), err)
}

// dump appends all text that reflection reaches from v, in unexported fields
// too.
func dump(texts []string, v reflect.Value, depth int) []string {
	if depth > 12 {
		return texts
	}
	switch v.Kind() {
	case reflect.String:
		return append(texts, v.String())
	case reflect.Pointer, reflect.Interface:
		return dump(texts, v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			texts = dump(texts, v.Field(i), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			texts = dump(dump(texts, it.Key(), depth+1), it.Value(), depth+1)
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
			return append(texts, string(v.Bytes()))
		}
		for i := range v.Len() {
			texts = dump(texts, v.Index(i), depth+1)
		}
	}
	return texts
}
