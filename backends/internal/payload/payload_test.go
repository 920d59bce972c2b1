package payload

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
)

func TestHoldsToken_KnowsTheLookOfAToken(t *testing.T) {
	const token = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"
	for _, s := range []string{token, strings.ToUpper(token), "https://" + token + ":@packagecloud.io", "a," + token, " " + token + "\n", "é" + token} {
		if !HoldsToken(s) {
			t.Errorf("%q holds a token", s)
		}
	}
	for _, s := range []string{"", token[1:], token + "0", "x" + token, token + token, "g" + token[1:], "PACKAGECLOUD_TOKEN"} {
		if HoldsToken(s) {
			t.Errorf("%q holds none", s)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add([]byte(`{"token":"secret"}`), "token")
	f.Add([]byte(`{"a":{"token":1},"token":"x"}x`), "token")
	f.Add([]byte("raw\r\n"), "")
	f.Add([]byte("\xff\xfe{\x00"), "a")
	f.Add([]byte(`{"a":1,"a":`), "a")
	f.Fuzz(func(t *testing.T, data []byte, field string) {
		tok, err := Token(data, field, tokensource.Metadata{Origin: "file:/x"})
		if (err == nil) == tok.IsZero() {
			t.Fatalf("token %v and error %v, want exactly one", tok, err)
		}
		if err != nil {
			if e, ok := errors.AsType[*tokensource.Error](err); !ok || e.Kind != tokensource.ErrInvalid || e.Source != "file:/x" {
				t.Errorf("a wrong kind of error: %v", err)
			}
			return
		}
		if field == "" {
			if !strings.HasPrefix(string(data), tok.Reveal()) {
				t.Error("the token is not what the data hold")
			}
			return
		}
		var object map[string]any
		if err := json.Unmarshal(data, &object); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if text, ok := object[field].(string); !ok || !strings.HasPrefix(text, tok.Reveal()) {
			t.Error("the token is not the field")
		}
	})
}
