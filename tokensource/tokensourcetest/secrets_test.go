package tokensourcetest_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

func TestFindSecret_FindsEveryForm(t *testing.T) {
	const secret = `k9/Q+z~"w?>x~7`
	for name, text := range map[string]string{
		"raw":                secret,
		"in the midst":       "token=" + secret + "&x",
		"upper case":         strings.ToUpper(secret),
		"quoted":             fmt.Sprintf("%q", secret),
		"base64":             base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64, URL":        base64.URLEncoding.EncodeToString([]byte(secret)),
		"base64, raw":        base64.RawStdEncoding.EncodeToString([]byte(secret)),
		"user of basic auth": base64.StdEncoding.EncodeToString([]byte(secret + ":")),
		"password 1":         base64.StdEncoding.EncodeToString([]byte("a:" + secret)),
		"password 2":         base64.URLEncoding.EncodeToString([]byte("ab:" + secret + "xx")),
		"password 3":         base64.StdEncoding.EncodeToString([]byte("abc:" + secret + "x")),
		"hex":                hex.EncodeToString([]byte(secret)),
		"HEX":                strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"% x":                fmt.Sprintf("% x", secret),
		"%# x":               fmt.Sprintf("%# x", secret),
		"%#v of bytes":       fmt.Sprintf("%#v", []byte(secret)),
		"bytes":              fmt.Sprint([]byte(secret)),
		"query":              url.QueryEscape(secret),
		"path":               url.PathEscape(secret),
		"user info":          url.UserPassword("u", secret).String(),
		"all percent":        "%" + strings.Join(pairs(hex.EncodeToString([]byte(secret))), "%"),
		"JSON":               `{"a":"k9/Q+z~\"w?\u003ex~7"}`,
	} {
		if tokensourcetest.FindSecret(text, "", "another-secret", secret) == "" {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
}

func pairs(s string) (pairs []string) {
	for i := 0; i < len(s); i += 2 {
		pairs = append(pairs, s[i:i+2])
	}
	return pairs
}

func TestFindSecret_SaysNothingOfOtherText(t *testing.T) {
	for _, text := range []string{"", "some text", strings.Repeat("0123456789abcdef", 8)} {
		if how := tokensourcetest.FindSecret(text, "", "s3cr3t-s3cr3t"); how != "" {
			t.Errorf("%q: %s", text, how)
		}
	}
}

// quiet records failures and doesn't fail the test.
type quiet struct {
	testing.TB
	failures []string
}

func (q *quiet) Helper() {}
func (q *quiet) Errorf(format string, args ...any) {
	q.failures = append(q.failures, fmt.Sprintf(format, args...))
}

type named string

type logged struct{ secret string }

func (logged) String() string             { return "quiet" }
func (l logged) LogValue() slog.Value     { return slog.StringValue(l.secret) }
func (logged) Format(s fmt.State, _ rune) { s.Write([]byte("quiet")) }

func TestAssertNoSecret_LooksEverywhere(t *testing.T) {
	const secret = "s3cr3t-s3cr3t-s3cr3t"
	tok, err := tokensource.NewToken(secret, tokensource.Metadata{})
	if err != nil {
		t.Fatal(err)
	}
	deep := tokensource.NewError("s", nil, "", nil)
	for name, value := range map[string]any{
		"string":            "x" + secret,
		"bytes":             []byte(secret),
		"unexported field":  struct{ s named }{named(secret)},
		"error text":        errors.New(secret),
		"wrapped":           fmt.Errorf("%w", &hides{errors.New(secret)}),
		"joined":            &hidesMany{[]error{deep, errors.New(secret)}},
		"reached by memory": &hides{&hides{errors.New(secret)}},
		"slog only":         logged{secret},
		"event":             tokensource.Event{Detail: base64.StdEncoding.EncodeToString([]byte(secret + ":"))},
	} {
		var q quiet
		tokensourcetest.AssertNoSecret(&q, value, secret)
		if len(q.failures) != 1 {
			t.Errorf("%s: %d failures, want 1", name, len(q.failures))
		} else if strings.Contains(q.failures[0], secret) {
			t.Errorf("%s: the failure shows the secret: %s", name, q.failures[0])
		}
	}
	for name, value := range map[string]any{
		"nil": nil, "token": tok, "tokens": []tokensource.Token{tok},
		"error": tokensource.NewError("s", nil, "m", errors.New(secret)),
	} {
		var q quiet
		tokensourcetest.AssertNoSecret(&q, value, secret)
		if len(q.failures) != 0 {
			t.Errorf("%s: %q", name, q.failures)
		}
	}
}

// hides is an error that wraps another one and doesn't print it.
type hides struct{ err error }

func (*hides) Error() string                 { return "hidden" }
func (h *hides) Unwrap() error               { return h.err }
func (*hides) Format(s fmt.State, verb rune) { s.Write([]byte("hidden")) }

type hidesMany struct{ errs []error }

func (*hidesMany) Error() string                 { return "hidden" }
func (h *hidesMany) Unwrap() []error             { return h.errs }
func (*hidesMany) Format(s fmt.State, verb rune) { s.Write([]byte("hidden")) }
