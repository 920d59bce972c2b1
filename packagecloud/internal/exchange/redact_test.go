package exchange

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// each writes every byte of s in a form of its own.
func each(format string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, format, s[i])
		}
		return b.String()
	}
}

func asBase64(before string, enc *base64.Encoding) func(string) string {
	return func(s string) string { return enc.EncodeToString([]byte(before + s + ":")) }
}

// everySecond writes every second byte of s as f does.
func everySecond(f func(string) string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			if i%2 == 0 {
				b.WriteString(f(s[i : i+1]))
			} else {
				b.WriteByte(s[i])
			}
		}
		return b.String()
	}
}

func after(first, then func(string) string) func(string) string {
	return func(s string) string { return then(first(s)) }
}

// spelledBy are ways in which servers and libraries write a credential.
var spelledBy = map[string]func(string) string{
	"raw":                     strings.Clone,
	"upper case":              strings.ToUpper,
	"hex":                     each("%02x"),
	"upper-case hex":          each("%02X"),
	"mixed-case hex":          everySecond(strings.ToUpper),
	"hex of mixed case":       func(s string) string { return everySecond(strings.ToUpper)(hex.EncodeToString([]byte(s))) },
	"hex with spaces":         each("%02x "),
	"hex with colons":         each("%02X:"),
	"hex with dashes":         each("%02X-"),
	"bytes of Go":             each("0x%02x, "),
	"list of bytes":           each("%d, "),
	"decimal entities":        each("&#%d;"),
	"hex entities":            each("&#x%x;"),
	"upper-case hex entities": each("&#X%X;"),
	"padded entities":         each("&#00000%d;"),
	"some entities":           everySecond(each("&#x%02X;")),
	"JSON escapes":            each(`\u%04x`),
	"upper-case JSON escapes": each(`\u%04X`),
	"some JSON escapes":       everySecond(each(`\u%04X`)),
	"braces":                  each(`\u{%x}`),
	"hex escapes":             each(`\x%02x`),
	"octal escapes":           each(`\%03o`),
	"percent":                 each("%%%02x"),
	"upper-case percent":      each("%%%02X"),
	"some percent":            everySecond(each("%%%02X")),
	"percent u":               each("%%u%04x"),
	"percent twice":           after(each("%%%02X"), url.QueryEscape),
	"percent in JSON":         after(each("%%%02X"), each(`\u%04x`)),
	"entities twice":          after(each("&#%d;"), func(s string) string { return strings.ReplaceAll(s, "&", "&amp;") }),
	"JSON in JSON":            after(each(`\u%04x`), func(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }),
	"slashes of PHP":          func(s string) string { return strings.ReplaceAll(s, "/", `\/`) },
	"named entities": func(s string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "/", "&sol;", `"`, "&quot;", "'", "&apos;", "?", "&quest;").Replace(s)
	},
	"base64":                 asBase64("", base64.StdEncoding),
	"URL-safe base64":        asBase64("", base64.URLEncoding),
	"base64 without padding": asBase64("", base64.RawURLEncoding),
	"base64 after a byte":    asBase64("x", base64.StdEncoding),
	"base64 after two bytes": asBase64("xy", base64.URLEncoding),
	"base64 in lines": func(s string) string {
		b := base64.StdEncoding.EncodeToString([]byte("user " + s))
		return b[:20] + "\n" + b[20:]
	},
	"base64 of the header": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(s+":"))))
	},
	"base64 with percent": after(asBase64("", base64.StdEncoding), url.QueryEscape),
}

// oddTokens have what the alphabets of base64 differ in, and what is escaped.
var oddTokens = []string{fakeToken, `c0ffee<11>&22+33/44"55'66?77`, "???>>>~~~///+++???>>>~~~", `a%41bu0041c&lt;d%2525e/f`}

// fakeToken has the form of a token of packagecloud.
const fakeToken = "c0ffee00c0ffee11c0ffee22c0ffee33c0ffee44c0ffee55"

func redact(ctx context.Context, text string, req *http.Request) string {
	r := &Redactor{ctx: ctx}
	r.carry(req)
	return r.Strike(text)
}

func authorized(t *testing.T, token, address string) *http.Request {
	t.Helper()
	req, err := http.NewRequest("GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.SetBasicAuth(token, "")
	}
	return req
}

// Guarantee K4.
func TestRedactor_FindsEverySpelling(t *testing.T) {
	for _, token := range oddTokens {
		for name, spell := range spelledBy {
			if strings.Contains(name, "upper case") && token != fakeToken {
				continue // another case is another token
			}
			spelled := spell(token)
			for _, around := range [][2]string{{"", ""}, {"the token ", " is unknown"}, {`{"error":"`, `"}`}} {
				text := around[0] + spelled + around[1]
				got := redact(t.Context(), text, authorized(t, token, "https://packagecloud.io/api/v1/repos.json"))
				rest := strings.NewReplacer("[redacted]", "", around[0], "", around[1], "").Replace(got)
				if strings.Contains(got, spelled) || !strings.Contains(got, "[redacted]") || len(rest) > 32 {
					t.Errorf("%s of token %.3q... shows as %q", name, token, got)
				}
				if around[0] != "" && (!strings.HasPrefix(got, around[0]) || !strings.HasSuffix(got, around[1])) {
					t.Errorf("%s of token %.3q...: the text around it is gone: %q", name, token, got)
				}
			}
		}
	}
}

func TestRedactor_LeavesOtherTextAlone(t *testing.T) {
	req := authorized(t, fakeToken, "https://packagecloud.io/api/v1/repos.json?per_page=250")
	for _, text := range []string{
		"", "the file has already been taken", `{"filename":["has already been taken \u00e9 \/ \" %41 &amp; \\"]}`,
		"100%", `C:\new\u12`, "&", `\`, "%", "&#;", "&#x;", "&#99999999999;", `\u{110000}`, "c0ffee00c0ffee11", strings.Repeat(`\n`, 1000),
	} {
		if got := redact(t.Context(), text, req); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

// What is short in the query of an address is a credential as a whole only.
func TestRedactor_StrikesTheQueryOfAnAddress(t *testing.T) {
	for _, query := range []string{"k=v9&x", "sig=a%2Fb&e=1", "Signature=0123456789abcdefghij&Expires=99", "t=one+two+three+four"} {
		for _, token := range []string{"", fakeToken} {
			req := authorized(t, token, "https://storage.example/f.deb?"+query)
			text := "no such address: /f.deb?" + query + " (" + strings.ReplaceAll(query, "&", "&amp;") + ")"
			if got := redact(t.Context(), text, req); strings.Contains(got, "=") {
				t.Errorf("the text is %q", got)
			}
		}
	}
	values := url.Values{"s": {"one two/three+four"}}
	for _, spelled := range []string{values.Get("s"), url.QueryEscape(values.Get("s")), url.PathEscape(values.Get("s"))} {
		if got := redact(t.Context(), "bad "+spelled, authorized(t, "", "https://storage.example/f.deb?a=1&"+values.Encode())); got != "bad [redacted]" {
			t.Errorf("the text is %q", got)
		}
	}
}

func TestRedactor_HeedsTheContext(t *testing.T) {
	req := authorized(t, fakeToken, "https://packagecloud.io/api/v1/repos.json")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	long := strings.Repeat("x", 500<<10)
	if got := redact(t.Context(), long, req); got != long {
		t.Errorf("the text is %.100q", got)
	}
	if got := redact(ended, long, req); got != "[withheld]" {
		t.Errorf("after the end of its context, the text is %.100q", got)
	}
	if got := redact(ended, "token "+fakeToken, req); got != "token [redacted]" {
		t.Errorf("after the end of its context, a short text is %.100q", got)
	}
}

func TestRedactor_WithholdsWhatItCannotRead(t *testing.T) {
	req := authorized(t, fakeToken, "https://packagecloud.io/api/v1/repos.json")
	deep := fakeToken
	for range 8 {
		deep = each("%%%02x")(deep[:4]) + strings.ReplaceAll(deep[4:], "%", "%25")
	}
	for name, text := range map[string]string{"very long": strings.Repeat("x", 2<<20), "escaped again and again": deep} {
		if got := redact(t.Context(), text, req); got != "[withheld]" {
			t.Errorf("%s: the text is %.100q", name, got)
		}
	}
}

func FuzzRedactor(f *testing.F) {
	for _, spell := range spelledBy {
		f.Add(spell(fakeToken))
	}
	f.Add(`\u{`)
	f.Add("&#x")
	f.Fuzz(func(t *testing.T, text string) {
		got := redact(context.Background(), text, authorized(t, fakeToken, "https://packagecloud.io/x?"+"sig=0123456789abcdef"))
		if strings.Contains(strings.ToLower(got), fakeToken) || len(got) > len(text)+len("[withheld]")+len(text)*10 {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}
