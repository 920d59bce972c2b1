package packagecloud_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/command"
	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/backends/file"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

// badTokens are values that can't be tokens, and what an error says of them:
// what is wrong and what to do about it.
var badTokens = []struct {
	name, value string
	want        []string // one of them
}{
	{"empty", "", []string{"is empty; store the token there", "unset or empty; set", "the file is empty; write the token to it", "printed nothing"}},
	{"newline only", "\n", []string{"is empty; store the token there"}},
	{"CRLF only", "\r\n", []string{"is empty; store the token there"}},
	{"two newlines", fakeToken + "\n\n", []string{"more than one line; store the token alone"}},
	{"inner newline", fakeToken[:24] + "\n" + fakeToken[24:], []string{"more than one line; store the token alone"}},
	{"two tokens", fakeToken + "\r\n" + fakeToken, []string{"more than one line; store the token alone"}},
	{"carriage return", fakeToken + "\r", []string{"more than one line; store the token alone"}},
	{"space in front", " " + fakeToken, []string{"white space; store the token alone"}},
	{"space behind", fakeToken + " ", []string{"white space; store the token alone"}},
	{"inner tab", fakeToken[:24] + "\t" + fakeToken[24:], []string{"white space; store the token alone"}},
	{"with its name", "token: " + fakeToken, []string{"colon; store the token alone"}},
	{"with a password", fakeToken + ":", []string{"colon; store the token alone"}},
	{"byte order mark", "\ufeff" + fakeToken, []string{"UTF-8 byte order mark; save it without one"}},
	{"byte order mark only", "\ufeff", []string{"UTF-8 byte order mark; save it without one"}},
	{"UTF-16LE", "\xff\xfe" + wide(fakeToken, 1), []string{"UTF-16; save it as ASCII"}},
	{"UTF-16BE", "\xfe\xff" + wide(fakeToken, 0), []string{"UTF-16; save it as ASCII"}},
	{"UTF-16LE without a mark", wide(fakeToken+"\r\n", 1), []string{"UTF-16; save it as ASCII"}},
	{"UTF-16BE without a mark", wide(fakeToken+"\n", 0), []string{"UTF-16; save it as ASCII"}},
	{"letter that isn't ASCII", fakeToken + "\u00e9", []string{"not ASCII; copy the token again"}},
	{"no-break space", fakeToken + "\u00a0", []string{"not ASCII; copy the token again"}},
	{"typographic quotes", "\u201c" + fakeToken + "\u201d", []string{"not ASCII; copy the token again"}},
	{"byte that isn't UTF-8", fakeToken + "\xfc", []string{"not ASCII; copy the token again"}},
	{"NUL", fakeToken + "\x00", []string{"control character; copy the token again"}},
	{"escape sequence", "\x1b[1m" + fakeToken + "\x1b[0m", []string{"control character; copy the token again"}},
	{"delete", fakeToken + "\x7f", []string{"control character; copy the token again"}},
	{"a little too long", strings.Repeat(fakeToken, 86), []string{"is 4128 bytes long, more than the 4096 a token may have; is it the right"}},
	{"a mebibyte", strings.Repeat(fakeToken, 1<<20/len(fakeToken)), []string{"bytes long, more than the 4096 a token may have; is it the right", "larger than 1 MiB; is it the right"}},
}

// wide is s in UTF-16, its low bytes at odd places or (1) even ones.
func wide(s string, little int) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		unit := [2]byte{byte(u >> 8), byte(u)}
		b.WriteByte(unit[little])
		b.WriteByte(unit[1-little])
	}
	return b.String()
}

// noPartOf fails the test if text shows eight bytes in a row of the secret.
func noPartOf(t *testing.T, text, secret string) {
	t.Helper()
	for i := 0; i+8 <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+8]) {
			t.Errorf("a part of the secret shows in %q", text)
			return
		}
	}
}

// holders put a value where a source finds it, and return that source. What
// can't hold the value skips the test.
var holders = map[string]func(t *testing.T, value string) (s tokensource.TokenSource, origin string){
	"env": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		return env.New(variable(t, value)), "env:BAD_TOKEN"
	},
	"env of a chain string": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		return parse(t, "env:"+variable(t, value)), "env:BAD_TOKEN"
	},
	"file": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		path := tokenFile(t, value)
		return must(file.New(path, file.Options{})), "file:" + path
	},
	"file of a chain string": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		path := tokenFile(t, value)
		return parse(t, "env:NOTHING_THERE,file:"+path), "file:" + path
	},
	"field of a file": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		path := tokenFile(t, `{"token":`+inJSON(t, value)+`}`)
		return parse(t, "file:"+path+"#token"), "file:" + path + "#token"
	},
	"file of the CLI": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		home(t, `{"url":"https://packagecloud.io","token":`+inJSON(t, value)+"}\r\n")
		return file.CLI(), "file:~/.packagecloud"
	},
	"command": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		path := printed(t, value)
		return must(command.New([]string{"cat", path}, command.Options{ShowStderr: true})), "command:cat%20" + path + "?stderr=true"
	},
	"command of a chain string": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		path := printed(t, `{"token":`+inJSON(t, value)+`}`)
		return parse(t, "command:cat%20"+path+"#token"), "command:cat%20" + path + "#token"
	},
	"Static": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		return tokensource.Static(value), "static"
	},
	"Func": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		return source(func() string { return value }), "test"
	},
	"Cache": func(t *testing.T, value string) (tokensource.TokenSource, string) {
		return must(tokensource.Cache(tokensource.Static(value), tokensource.CacheOptions{})), "static"
	},
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func variable(t *testing.T, value string) string {
	if strings.ContainsRune(value, 0) {
		t.Skip("an environment variable can't hold a zero byte")
	}
	t.Setenv("BAD_TOKEN", value)
	return "BAD_TOKEN"
}

func tokenFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// home makes a home directory with such a ~/.packagecloud.
func home(t *testing.T, content string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("USERPROFILE", dir)
	err := errors.Join(os.Chmod(dir, 0o700), os.WriteFile(filepath.Join(dir, ".packagecloud"), []byte(content), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

func printed(t *testing.T, value string) string {
	t.Helper()
	if _, err := exec.LookPath("cat"); err != nil {
		t.Skip("there is no program to print it")
	}
	return tokenFile(t, value)
}

func inJSON(t *testing.T, value string) string {
	t.Helper()
	if !utf8.ValidString(value) {
		t.Skip("JSON can't hold these bytes")
	}
	return string(must(json.Marshal(value)))
}

func parse(t *testing.T, spec string) tokensource.TokenSource {
	t.Helper()
	source, err := backends.Parse(spec, env.Opener(), file.Opener(), command.Opener())
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestBadToken_IsRefusedWithAdviceWhereverItIsRead(t *testing.T) {
	requests := 0
	next := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		requests++
		return nil, errors.New("a request was made")
	})}
	for _, test := range badTokens {
		check := func(t *testing.T, err error, origin string) {
			t.Helper()
			if !errors.Is(err, tokensource.ErrInvalid) && (test.value != "" || !errors.Is(err, tokensource.ErrNotFound)) {
				t.Fatalf("the error is %v; want ErrInvalid", err)
			}
			said := false
			for _, want := range test.want {
				said = said || strings.Contains(err.Error(), want)
			}
			if !said || !strings.Contains(err.Error(), origin+": ") {
				t.Errorf("the error is %q; want %q and the origin %q in it", err, test.want, origin)
			}
			newCanary(t, fakeToken, test.value[:min(len(test.value), 1<<10)]).clean(t, err)
			noPartOf(t, strings.ReplaceAll(err.Error(), origin, ""), fakeToken)
		}
		t.Run(test.name, func(t *testing.T) {
			t.Run("NewToken", func(t *testing.T) {
				_, err := tokensource.NewToken(test.value, tokensource.Metadata{Origin: "here"})
				check(t, err, "here")
			})
			for name, holder := range holders {
				t.Run(name, func(t *testing.T) {
					source, origin := holder(t, test.value)
					tok, err := source.Token(t.Context())
					if !tok.IsZero() {
						t.Error("there is a token beside the error")
					}
					check(t, err, origin)
					c := newCanary(t, fakeToken)
					client := newClient(t, source, packagecloud.WithHTTPClient(next), packagecloud.WithLogger(c.logger()))
					_, err = client.Distributions(t.Context())
					check(t, err, origin)
				})
			}
		})
	}
	if requests > 0 {
		t.Errorf("%d requests were made without a token", requests)
	}
}

// A token that somebody puts where its place belongs is in no error.
func TestBadToken_InPlaceOfItsSpecIsNotRepeated(t *testing.T) {
	for _, spec := range []string{
		fakeToken, " " + fakeToken, fakeToken + "\n", "\ufeff" + fakeToken, strings.ToUpper(fakeToken),
		"token:" + fakeToken, "api:" + fakeToken + "@packagecloud.io", fakeToken + ":", "env:" + fakeToken, "file:/run/" + fakeToken,
		"file:/x#" + fakeToken, "file:/x?" + fakeToken + "=true", "file:/x?private=" + fakeToken,
		"command:echo%20" + fakeToken, "env:A," + fakeToken, "https://" + fakeToken + ":@packagecloud.io/acme/main",
		strings.Repeat(fakeToken, 1<<15), "\xff\xfe" + wide(fakeToken, 1), wide(fakeToken, 0),
	} {
		t.Setenv(packagecloud.EnvTokenSource, strings.ReplaceAll(spec, "\x00", ""))
		_, fromEnvironment := packagecloud.FromEnvironment(&packagecloud.EnvironmentOptions{Backends: []backends.Opener{command.Opener()}})
		_, fromString := backends.Parse(spec, env.Opener(), file.Opener(), command.Opener())
		for _, err := range []error{fromEnvironment, fromString} {
			if !errors.Is(err, tokensource.ErrInvalid) {
				t.Errorf("a token in place of a spec gave %v", err)
				continue
			}
			newCanary(t, fakeToken, strings.ToUpper(fakeToken)).clean(t, err)
			noPartOf(t, strings.ToLower(err.Error()), fakeToken)
			if !strings.Contains(err.Error(), "PACKAGECLOUD_TOKEN") && !strings.Contains(err.Error(), "column 1") {
				t.Errorf("the error doesn't say what to do: %v", err)
			}
		}
	}
}

// What a function of a user's returns as its error is not for printing.
func TestBadToken_InTheErrorOfAFuncIsWithheld(t *testing.T) {
	own := errors.New("no token: " + fakeToken)
	c := newCanary(t, fakeToken)
	failing := tokensource.Func(func(context.Context) (tokensource.Token, error) { return tokensource.Token{}, own })
	client := newClient(t, failing, packagecloud.WithLogger(c.logger()))
	_, err := client.Distributions(t.Context())
	c.want(t, err, own)
	if !strings.Contains(err.Error(), "func: ") || !strings.Contains(err.Error(), "withheld") {
		t.Errorf("the error doesn't say where it is from: %v", err)
	}
}
