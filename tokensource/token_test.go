package tokensource_test

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

const canary = "c4n4ry0123456789abcdef0123456789abcdef0123456789"

func newToken(t testing.TB, secret string) tokensource.Token {
	t.Helper()
	tok, err := tokensource.NewToken(secret, tokensource.Metadata{Origin: "test:token"})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

type holder struct {
	Public  tokensource.Token
	private tokensource.Token
	pointer *tokensource.Token
	any     any
	list    []tokensource.Token
	byName  map[string]tokensource.Token
	inner   struct{ tok tokensource.Token }
}

func hold(tok tokensource.Token) holder {
	h := holder{
		Public: tok, private: tok, pointer: &tok, any: tok,
		list:   []tokensource.Token{tok},
		byName: map[string]tokensource.Token{"k": tok},
	}
	h.inner.tok = tok
	return h
}

// Guarantee K1.
func TestToken_DoesNotPrintAtAnyDepth(t *testing.T) {
	tok := newToken(t, canary)
	h := hold(tok)
	for name, v := range map[string]any{
		"token": tok, "pointer": &tok, "struct": h, "pointer to struct": &h,
		"slice": []tokensource.Token{tok}, "map": map[string]any{"k": tok},
		"function": tok.Reveal, "metadata": tok.Metadata(), "array": [1]*holder{&h},
	} {
		t.Run(name, func(t *testing.T) { tokensourcetest.AssertNoSecret(t, v, canary) })
	}
}

// Guarantee K1.
func TestToken_PrintsRedacted(t *testing.T) {
	tok := newToken(t, canary)
	for _, verb := range strings.Split("%v %+v %#v %s %q %x %X %d %o %b %c %U %e %f %g %t % x %#q %10s %-5d", " %") {
		format := "%" + strings.TrimPrefix(verb, "%")
		if got := fmt.Sprintf(format, tok); got != "[redacted]" {
			t.Errorf("%s gives %q", format, got)
		}
		if got := fmt.Sprintf(format, &tok); got != "[redacted]" {
			t.Errorf("%s of a pointer gives %q", format, got)
		}
	}
	if got := fmt.Sprint(tok, tok.String(), tok.GoString()); got != "[redacted][redacted][redacted]" {
		t.Errorf("Sprint gives %q", got)
	}
	var html strings.Builder
	if err := template.Must(template.New("").Parse("<a href='?t={{.}}'>{{.}}</a>")).Execute(&html, tok); err != nil {
		t.Fatal(err)
	}
	if how := tokensourcetest.FindSecret(html.String(), canary); how != "" {
		t.Errorf("html/template: %s", how)
	}
}

// reach collects all text that reflection finds in exported and unexported
// fields, as deep printers do that read memory through unsafe.
func reach(v reflect.Value, seen map[unsafe.Pointer]bool, texts *[]string) {
	switch v.Kind() {
	case reflect.String:
		*texts = append(*texts, v.String())
	case reflect.Pointer:
		if v.IsNil() || seen[v.UnsafePointer()] {
			return
		}
		seen[v.UnsafePointer()] = true
		reach(v.Elem(), seen, texts)
	case reflect.Interface:
		reach(v.Elem(), seen, texts)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			if f.CanAddr() {
				f = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
			}
			if f.CanInterface() {
				*texts = append(*texts, fmt.Sprintf("%v %#v", f.Interface(), f.Interface()))
			}
			reach(f, seen, texts)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			reach(v.Index(i), seen, texts)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			reach(it.Key(), seen, texts)
			reach(it.Value(), seen, texts)
		}
	}
}

// Guarantee K1.
func TestToken_HidesFromReflection(t *testing.T) {
	h := hold(newToken(t, canary))
	var texts []string
	reach(reflect.ValueOf(&h), map[unsafe.Pointer]bool{}, &texts)
	all := strings.Join(texts, "\n")
	if !strings.Contains(all, "test:token") {
		t.Fatal("the search did not even find the origin")
	}
	if how := tokensourcetest.FindSecret(all, canary); how != "" {
		t.Error(how)
	}
}

// Guarantee K1.
func TestToken_LogsRedacted(t *testing.T) {
	tok := newToken(t, canary)
	var text, asJSON bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&text, nil)), slog.New(slog.NewJSONHandler(&asJSON, nil))} {
		logger.With("with", tok).WithGroup("g").Info("m", "tok", tok, "ptr", &tok, "held", hold(tok), "any", []any{tok})
	}
	if v := slog.AnyValue(tok).Resolve(); v.Kind() != slog.KindString || v.String() != "[redacted]" {
		t.Errorf("a handler that resolves it gets %v", v)
	}
	for _, out := range []string{text.String(), asJSON.String()} {
		if !strings.Contains(out, "[redacted]") {
			t.Errorf("not redacted: %s", out)
		}
		if how := tokensourcetest.FindSecret(out, canary); how != "" {
			t.Error(how)
		}
	}
}

// Guarantee K1.
func TestToken_EncodesRedacted(t *testing.T) {
	tok := newToken(t, canary)
	type doc struct {
		Tok  tokensource.Token
		Attr tokensource.Token `xml:",attr" json:",omitzero"`
		Ptr  *tokensource.Token
	}
	d := doc{tok, tok, &tok}
	asJSON, err := json.Marshal(d)
	if want := `{"Tok":"[redacted]","Attr":"[redacted]","Ptr":"[redacted]"}`; err != nil || string(asJSON) != want {
		t.Errorf("JSON gives %s, %v", asJSON, err)
	}
	asXML, err := xml.Marshal(d)
	if want := `<doc Attr="[redacted]"><Tok>[redacted]</Tok><Ptr>[redacted]</Ptr></doc>`; err != nil || string(asXML) != want {
		t.Errorf("XML gives %s, %v", asXML, err)
	}
	var asGob bytes.Buffer
	if err := gob.NewEncoder(&asGob).Encode(d); err != nil || !bytes.Contains(asGob.Bytes(), []byte("[redacted]")) {
		t.Errorf("gob gives %q, %v", asGob.Bytes(), err)
	}
	text, _ := tok.MarshalText()
	bin, _ := tok.MarshalBinary()
	if string(text) != "[redacted]" || string(bin) != "[redacted]" {
		t.Errorf("text gives %q, binary %q", text, bin)
	}
	var raw bytes.Buffer
	write := func(v any) error { return binary.Write(&raw, binary.LittleEndian, v) }
	if err := write(tok); err == nil {
		t.Error("encoding/binary wrote the token's memory")
	}
	if how := tokensourcetest.FindSecret(string(asJSON)+string(asXML)+asGob.String()+raw.String(), canary); how != "" {
		t.Error(how)
	}
}

// Guarantee K1.
func TestToken_CannotBeDecoded(t *testing.T) {
	type doc struct{ Tok tokensource.Token }
	tok := newToken(t, canary)
	var asGob bytes.Buffer
	if err := gob.NewEncoder(&asGob).Encode(doc{tok}); err != nil {
		t.Fatal(err)
	}
	for name, decode := range map[string]func(*doc) error{
		"JSON string": func(d *doc) error { return json.Unmarshal([]byte(`{"Tok":"abc"}`), d) },
		"JSON null":   func(d *doc) error { return json.Unmarshal([]byte(`{"Tok":null}`), d) },
		"JSON object": func(d *doc) error { return json.Unmarshal([]byte(`{"Tok":{"p":"abc"}}`), d) },
		"XML":         func(d *doc) error { return xml.Unmarshal([]byte(`<doc><Tok>abc</Tok></doc>`), d) },
		"gob":         func(d *doc) error { return gob.NewDecoder(&asGob).Decode(d) },
		"text":        func(d *doc) error { return d.Tok.UnmarshalText([]byte("abc")) },
		"binary":      func(d *doc) error { return d.Tok.UnmarshalBinary([]byte("abc")) },
	} {
		d := doc{tok}
		if err := decode(&d); err == nil {
			t.Errorf("%s: decoded without an error", name)
		}
		if !d.Tok.Equal(tok) {
			t.Errorf("%s: the token changed", name)
		}
	}
}

// Guarantee K2.
func TestToken_IsOnePointerAndDoesNotCompare(t *testing.T) {
	var tok tokensource.Token
	if unsafe.Sizeof(tok) != unsafe.Sizeof(uintptr(0)) {
		t.Errorf("a token takes %d bytes", unsafe.Sizeof(tok))
	}
	if reflect.TypeOf(tok).Comparable() {
		t.Error("== compiles for tokens")
	}
}

// Guarantee K2.
func TestToken_EqualAndFingerprintTellSecretsApart(t *testing.T) {
	a, b := newToken(t, canary), newToken(t, canary+"x")
	same := newToken(t, canary+"\n").With(tokensource.Metadata{Origin: "elsewhere", Version: "7"})
	var zero tokensource.Token
	for _, c := range []struct {
		x, y tokensource.Token
		want bool
	}{{a, a, true}, {a, same, true}, {a, b, false}, {a, zero, false}, {zero, a, false}, {zero, tokensource.Token{}, true}} {
		if got := c.x.Equal(c.y); got != c.want {
			t.Errorf("%s Equal %s is %v", c.x.Fingerprint(), c.y.Fingerprint(), got)
		}
		if (c.x.Fingerprint() == c.y.Fingerprint()) != c.want {
			t.Errorf("fingerprints %q and %q, equal tokens: %v", c.x.Fingerprint(), c.y.Fingerprint(), c.want)
		}
	}
	// The well-known SHA-256 of "abc".
	if got := newToken(t, "abc").Fingerprint(); got != "ba7816bf8f01" {
		t.Errorf("the fingerprint of abc is %s", got)
	}
	if zero.Fingerprint() != "" || zero.Reveal() != "" || !zero.IsZero() || a.IsZero() {
		t.Error("the zero token holds something, or another holds nothing")
	}
}

func TestToken_WithChangesMetadataOnly(t *testing.T) {
	a := newToken(t, canary)
	b := a.With(tokensource.Metadata{Version: "2"})
	if b.Reveal() != canary || b.Metadata() != (tokensource.Metadata{Version: "2"}) {
		t.Errorf("With gives %+v", b.Metadata())
	}
	if a.Metadata().Origin != "test:token" {
		t.Error("With changed the token it was called on")
	}
	if !(tokensource.Token{}).With(tokensource.Metadata{Version: "2"}).IsZero() {
		t.Error("a zero token became one that is not")
	}
}

// Guarantee K3.
func TestNewToken_TrimsOneNewline(t *testing.T) {
	for _, suffix := range []string{"", "\n", "\r\n"} {
		if tok := newToken(t, canary+suffix); tok.Reveal() != canary {
			t.Errorf("%q stays", suffix)
		}
	}
	var all strings.Builder
	for c := byte(0x21); c <= 0x7e; c++ {
		if c != ':' {
			all.WriteByte(c)
		}
	}
	if tok := newToken(t, all.String()); tok.Reveal() != all.String() {
		t.Errorf("got %q, want every printable character", tok.Reveal())
	}
	long := strings.Repeat("x", 4096)
	if tok := newToken(t, long+"\r\n"); tok.Reveal() != long {
		t.Error("the longest token that is allowed changed")
	}
}

func wide(s, before, after string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteString(before + string(c) + after)
	}
	return b.String()
}

// Guarantee K3.
func TestNewToken_RefusesWhatIsNoToken(t *testing.T) {
	const s = "c4n4ry0123456789"
	for _, c := range []struct{ name, secret, says string }{
		{"empty", "", "empty"},
		{"LF alone", "\n", "empty"},
		{"CRLF alone", "\r\n", "empty"},
		{"two LF", s + "\n\n", "more than one line"},
		{"two CRLF", s + "\r\n\r\n", "more than one line"},
		{"CR alone", s + "\r", "more than one line"},
		{"LF before", "\n" + s, "more than one line"},
		{"two lines", s + "\n" + s + "\n", "more than one line"},
		{"BOM", "\ufeff" + s, "byte order mark"},
		{"UTF-16 LE with BOM", "\xff\xfe" + wide(s, "", "\x00"), "UTF-16"},
		{"UTF-16 BE with BOM", "\xfe\xff" + wide(s, "\x00", ""), "UTF-16"},
		{"UTF-16 LE", wide(s, "", "\x00"), "UTF-16"},
		{"UTF-16 BE", wide(s, "\x00", ""), "UTF-16"},
		{"UTF-16 LE with CRLF", wide(s+"\r\n", "", "\x00"), "UTF-16"},
		{"UTF-16 BE with LF", wide(s+"\n", "\x00", ""), "UTF-16"},
		{"space before", " " + s, "white space"},
		{"space after", s + " \n", "white space"},
		{"tab", s + "\t", "white space"},
		{"double quotes", `"` + s + `"`, "in quotes"},
		{"single quotes", "'" + s + "'\n", "in quotes"},
		{"backquotes", "`" + s + "`\r\n", "in quotes"},
		{"quotes and a colon", `"user:` + s + `"`, "in quotes"},
		{"quotes around nothing", `""`, "in quotes"},
		{"one quote", `"`, "in quotes"},
		{"BOM and quotes", "\ufeff\"" + s + `"`, "byte order mark"},
		{"colon", "token:" + s, "colon"},
		{"NUL", s + "\x00", "control character"},
		{"NUL first", "\x00" + s, "control character"},
		{"NUL alone", "\x00", "control character"},
		{"unit separator", s + "\x1f", "control character"},
		{"delete", s + "\x7f", "control character"},
		{"accent", s + "\u00e9", "not ASCII"},
		{"byte 0x80", s + "\x80", "not ASCII"},
		{"too long", strings.Repeat(s, 257), "4112 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := tokensource.NewToken(c.secret, tokensource.Metadata{Origin: "file:/etc/token"})
			if !tok.IsZero() || !errors.Is(err, tokensource.ErrInvalid) {
				t.Fatalf("got (%v, %v), want ErrInvalid", tok, err)
			}
			e, ok := errors.AsType[*tokensource.Error](err)
			if !ok || e.Source != "file:/etc/token" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q says neither %q nor the origin", err, c.says)
			}
			tokensourcetest.AssertNoSecret(t, err, s, c.secret[:min(len(c.secret), 200)])
		})
	}
}

// Guarantee K3.
func FuzzNewToken(f *testing.F) {
	for _, s := range []string{"", "abc", "abc\n", "abc\r\n", "a:b", "\xff\xfea\x00", "\x00a", "a b", "\ufeffabc", `"abc"`, "'abc'\n", `"a`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		tok, err := tokensource.NewToken(secret, tokensource.Metadata{Origin: "fuzz"})
		if (err == nil) == tok.IsZero() {
			t.Fatalf("got a token: %v, and error %v", !tok.IsZero(), err)
		}
		if err != nil {
			if len(secret) > 24 && strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows the value")
			}
			return
		}
		got := tok.Reveal()
		if got != secret && got+"\n" != secret && got+"\r\n" != secret {
			t.Errorf("%q became %q", secret, got)
		}
		for _, c := range []byte(got) {
			if c < 0x21 || c > 0x7e || c == ':' {
				t.Errorf("%q was let in", got)
			}
		}
		if len(got) == 0 || len(got) > 4096 {
			t.Fatalf("%d bytes were let in", len(got))
		}
		if first := got[0]; first == got[len(got)-1] && (first == '"' || first == '\'' || first == '`') {
			t.Errorf("%q was let in, quotes and all", got)
		}
	})
}
