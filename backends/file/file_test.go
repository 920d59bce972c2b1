package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

const (
	first  = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"
	second = "00112233445566778899aabbccddeeff0011223344556677"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write makes a file with exactly this content and mode, and returns its path.
func write(t *testing.T, content string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(path, []byte(content), mode))
	must(t, os.Chmod(path, mode))
	return path
}

func newFile(t *testing.T, path string, options Options) *Source {
	t.Helper()
	s, err := New(path, options)
	must(t, err)
	return s
}

// assertToken asserts that source returns this token.
func assertToken(t *testing.T, source *Source, want string) tokensource.Token {
	t.Helper()
	tok, err := source.Token(t.Context())
	if err != nil {
		t.Fatalf("Token: %v", err)
	}
	if tok.Reveal() != want {
		t.Fatalf("got a token of fingerprint %s, want another", tok.Fingerprint())
	}
	return tok
}

// assertError asserts that source fails so, without a word of its content.
func assertError(t *testing.T, source *Source, kind error, message string) {
	t.Helper()
	tok, err := source.Token(t.Context())
	if !errors.Is(err, kind) || !tok.IsZero() {
		t.Fatalf("got token %v and error %v, want %v", tok, err, kind)
	}
	if !strings.Contains(err.Error(), message) {
		t.Errorf("got %v, want %q in it", err, message)
	}
	if e, _ := errors.AsType[*tokensource.Error](err); e == nil || e.Source != source.String() {
		t.Errorf("the error %v doesn't name %v as its source", err, source)
	}
	tokensourcetest.AssertNoSecret(t, err, first, second, "canary-0815")
}

func TestSource_Conforms(t *testing.T) {
	t.Run("raw", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "token")
		tokensourcetest.Run(t, tokensourcetest.Backend{
			New:    func(t *testing.T) tokensource.TokenSource { return newFile(t, path, Options{RequirePrivate: true}) },
			Set:    func(t *testing.T, value string) { must(t, os.WriteFile(path, []byte(value), 0o600)) },
			Remove: func(*testing.T) { os.Remove(path) },
		})
	})
	t.Run("JSON", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "token.json")
		tokensourcetest.Run(t, tokensourcetest.Backend{
			New: func(t *testing.T) tokensource.TokenSource { return newFile(t, path, Options{Field: "token"}) },
			Set: func(t *testing.T, value string) {
				if strings.HasPrefix(value, "\xff") {
					t.Skip("JSON is UTF-8 and can't hold these bytes")
				}
				must(t, os.WriteFile(path, fmt.Appendf(nil, `{"other":"canary-0815","token":%s}`, quote(value)), 0o600))
			},
			Remove:   func(*testing.T) { os.Remove(path) },
			Canaries: []string{"canary-0815"},
		})
	})
	t.Run("CLI", func(t *testing.T) {
		home := setHome(t)
		path := filepath.Join(home, ".packagecloud")
		tokensourcetest.Run(t, tokensourcetest.Backend{
			New: func(*testing.T) tokensource.TokenSource { return CLI() },
			Set: func(t *testing.T, value string) {
				if strings.HasPrefix(value, "\xff") {
					t.Skip("JSON is UTF-8 and can't hold these bytes")
				}
				must(t, os.WriteFile(path, fmt.Appendf(nil, "{\"url\":\"https://packagecloud.io\",\"token\":%s}\r\n", quote(value)), 0o600))
			},
			Remove: func(*testing.T) { os.Remove(path) },
		})
	})
}

func quote(s string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return `"` + b.String() + `"`
}

// setHome makes an empty directory the home directory.
func setHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	must(t, os.Chmod(home, 0o700)) // whatever the umask
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	return home
}

// Guarantee B2.
func TestSource_ReadsAFieldOfJSON(t *testing.T) {
	for name, content := range map[string]string{
		"plain":          `{"token":"` + first + `"}`,
		"pretty":         "\n{\n  \"a\": [1, {\"token\": \"x\"}],\r\n\t\"token\": \"" + first + "\"\n}\r\n",
		"unknown fields": `{"TOKEN":"x","Token":"y","token":"` + first + `","n":null}`,
		"others twice":   `{"a":1,"a":2,"token":"` + first + `"}`,
		"newline inside": `{"token":"` + first + `\r\n"}`,
	} {
		t.Run(name, func(t *testing.T) {
			assertToken(t, newFile(t, write(t, content, 0o600), Options{Field: "token"}), first)
		})
	}
}

// Guarantee B2.
func TestSource_RefusesUnusableContent(t *testing.T) {
	for _, test := range []struct{ name, field, content, want string }{
		{"empty", "", "", "the file is empty"},
		{"newline only", "", "\n", "the token is empty"},
		{"JSON without a field", "", `{"token":"` + first + `"}`, `looks like a JSON object; name the field`},
		{"JSON after white space", "", " \r\n\t{", `looks like a JSON object`},
		{"too large", "", strings.Repeat("a", 1<<20+1), "larger than 1 MiB"},
		{"too large JSON", "token", `{"token":"` + first + `"}` + strings.Repeat(" ", 1<<20), "larger than 1 MiB"},
		{"empty JSON", "token", " \n", "the value is empty"},
		{"not JSON", "token", first, "the value is not a JSON object; the fault is near byte"},
		{"array", "token", `["` + first + `"]`, "not a JSON object"},
		{"string", "token", `"` + first + `"`, "not a JSON object"},
		{"cut off", "token", `{"token":"` + first, "not a JSON object"},
		{"cut off after the value", "token", `{"token":"` + first + `"`, "not a JSON object"},
		{"comma at the end", "token", `{"token":"` + first + `",}`, "not a JSON object"},
		{"no comma", "token", `{"a":"canary-0815" "token":"` + first + `"}`, "not a JSON object"},
		{"trailing text", "token", `{"token":"` + first + `"} canary-0815`, "something follows the JSON object"},
		{"two objects", "token", `{"token":"` + first + `"}{}`, "something follows the JSON object"},
		{"no such field", "token", `{"tokem":"` + first + `","canary-0815":1}`, `no field "token", among 2`},
		{"wrong case", "token", `{"Token":"` + first + `"}`, `no field "token"`},
		{"field twice", "token", `{"token":"` + first + `","token":"` + second + `"}`, `the field "token" 2 times`},
		{"number", "token", `{"token":123456789012}`, `the field "token" is a number; expected a string`},
		{"null", "token", `{"token":null}`, `the field "token" is null`},
		{"object", "token", `{"token":{"x":"canary-0815"}}`, `the field "token" is an object`},
		{"array inside", "token", `{"token":["canary-0815"]}`, `the field "token" is an array`},
		{"boolean", "token", `{"token":true}`, `the field "token" is a boolean`},
		{"empty field", "token", `{"token":""}`, "the token is empty"},
		{"byte order mark", "token", "\ufeff{\"token\":\"" + first + `"}`, "byte order mark"},
		{"UTF-16", "token", "\xff\xfe{\x00", "UTF-16"},
		{"UTF-16 without a mark", "token", "{\x00\"\x00", "UTF-16"},
		{"deep", "token", strings.Repeat(`{"a":`, 20000), "not a JSON object"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := newFile(t, write(t, test.content, 0o600), Options{Field: test.field})
			assertError(t, source, tokensource.ErrInvalid, test.want)
		})
	}
}

func TestSource_ReadsAFileOfTheGreatestSize(t *testing.T) {
	content := `{"token":"` + first + `"}`
	content += strings.Repeat(" ", 1<<20-len(content))
	assertToken(t, newFile(t, write(t, content, 0o600), Options{Field: "token"}), first)
}

func TestSource_MissingFileIsNotFound(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "token"), filepath.Join(dir, "no", "token")} {
		assertError(t, newFile(t, path, Options{}), tokensource.ErrNotFound, "no such file")
	}
	link := filepath.Join(dir, "link")
	must(t, os.Symlink("nowhere", link))
	assertError(t, newFile(t, link, Options{}), tokensource.ErrNotFound, "no such file")
}

func TestSource_RefusesADirectory(t *testing.T) {
	assertError(t, newFile(t, t.TempDir(), Options{}), tokensource.ErrInvalid, "is a directory; name the file")
}

// Guarantee B2.
func TestSource_SeesASwappedSymbolicLink(t *testing.T) {
	m := newMount(t)
	m.set(first)
	source := newFile(t, m.path, Options{})
	assertToken(t, source, first)
	m.set(second)
	assertToken(t, source, second)
}

// mount is a directory that Kubernetes mounts a secret at: token is a link to
// ..data/token, and ..data a link to the directory of the secret's version.
type mount struct {
	t       *testing.T
	dir     string
	path    string
	version int
}

func newMount(t *testing.T) *mount {
	dir := t.TempDir()
	m := &mount{t: t, dir: dir, path: filepath.Join(dir, "token")}
	must(t, os.Symlink(filepath.Join("..data", "token"), m.path))
	return m
}

// set swaps the secret as the kubelet does.
func (m *mount) set(secret string) {
	old := fmt.Sprintf("..version%d", m.version)
	m.version++
	name := fmt.Sprintf("..version%d", m.version)
	must(m.t, os.Mkdir(filepath.Join(m.dir, name), 0o755))
	must(m.t, os.WriteFile(filepath.Join(m.dir, name, "token"), []byte(secret), 0o644))
	temporary := filepath.Join(m.dir, "..data_tmp")
	must(m.t, os.Symlink(name, temporary))
	must(m.t, os.Rename(temporary, filepath.Join(m.dir, "..data")))
	must(m.t, os.RemoveAll(filepath.Join(m.dir, old)))
}

func TestSource_ReturnsWhenItsContextEndsThoughTheFileHangs(t *testing.T) {
	source := newFile(t, write(t, first, 0o600), Options{})
	release := make(chan struct{})
	opening := make(chan struct{}, 8)
	source.open = func(path string) (*os.File, fs.FileInfo, error) {
		opening <- struct{}{}
		<-release
		return sourcekit.OpenFile(path)
	}
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := source.Token(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, tokensource.ErrUnavailable) {
			t.Fatalf("got %v, want the context's error", err)
		}
	}
	<-opening
	if n := len(opening); n != 0 {
		t.Errorf("%d more reads began while one hangs, want none", n)
	}
	close(release)
	assertToken(t, source, first)
}

// Guarantee B2.
func TestCredential_ReadsTheDirectoryOfSystemd(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "packagecloud"), []byte(first), 0o400))
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	source, err := Credential("packagecloud", Options{})
	must(t, err)
	tok := assertToken(t, source, first)
	const spelled = "file:$CREDENTIALS_DIRECTORY/packagecloud"
	if got := tok.Metadata().Origin; got != spelled || source.String() != spelled {
		t.Errorf("the origin is %q and the spelling %q, want %q", got, source, spelled)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	assertError(t, source, tokensource.ErrNotFound, "CREDENTIALS_DIRECTORY is not set")
}

func TestCredential_RefusesPaths(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`, "a\x00"} {
		if source, err := Credential(name, Options{}); err == nil || source != nil {
			t.Errorf("Credential(%q) = %v, %v, want an error", name, source, err)
		}
	}
}

func TestNew_RefusesWhatIsNoPath(t *testing.T) {
	for _, test := range []struct{ path, field string }{{"", ""}, {"a\x00b", ""}, {first, ""}, {"/x/" + first, ""}, {"/x", first}} {
		source, err := New(test.path, Options{Field: test.field})
		if !errors.Is(err, tokensource.ErrInvalid) || source != nil {
			t.Errorf("New(%q) = %v, %v, want ErrInvalid", test.path, source, err)
		}
		tokensourcetest.AssertNoSecret(t, err, first)
	}
}

func TestNew_TakesPathsLiterally(t *testing.T) {
	setHome(t)
	t.Chdir(t.TempDir())
	for _, path := range []string{"~/token", "~token", "$CREDENTIALS_DIRECTORY/token", "$token", "a b,c?d#e%f"} {
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, []byte(first), 0o600))
		source := newFile(t, path, Options{})
		assertToken(t, source, first)
		parsed, err := backends.Parse(source.String(), Opener())
		must(t, err)
		assertToken(t, parsed.(*Source), first)
	}
}

func TestOpener_RoundTrips(t *testing.T) {
	credential, err := Credential("x y", Options{Field: "a#b", RequirePrivate: true})
	must(t, err)
	for want, source := range map[string]*Source{
		"file:/run/secrets/token":                              newFile(t, "/run/secrets/token", Options{}),
		"file:/x%20y%23z#a%2Cb":                                newFile(t, "/x y#z", Options{Field: "a,b"}),
		"file:/x?private=true#token":                           newFile(t, "/x", Options{Field: "token", RequirePrivate: true}),
		"file:~/.packagecloud":                                 CLI(),
		"file:$CREDENTIALS_DIRECTORY/x%20y?private=true#a%23b": credential,
		`file:C:\Users\ci\token`:                               newFile(t, `C:\Users\ci\token`, Options{}),
		"file:./~/x":                                           newFile(t, "~/x", Options{}),
		"file:./$CREDENTIALS_DIRECTORY/x":                      newFile(t, "$CREDENTIALS_DIRECTORY/x", Options{}),
	} {
		if got := source.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
		parsed, err := backends.Parse(want, Opener())
		must(t, err)
		got := parsed.(*Source)
		if got.name != source.name || got.options != source.options || got.cli != source.cli || got.String() != want {
			t.Errorf("%q came back as %+v", want, got)
		}
	}
}

func TestOpener_RefusesWhatItDoesNotKnow(t *testing.T) {
	for spec, want := range map[string]string{
		"file:/x?privat=true":                `did you mean "private"?`,
		"file:/x?private=1":                  `column 9: option "private" is true or false`,
		"file:~":                             `"~" means something only in "~/"`,
		"file:~root/token":                   `"~" means something only in "~/"`,
		"file:$HOME/token":                   "no variable but",
		"file:$CREDENTIALS_DIRECTORY/a/b":    "has no slash",
		"file:~/.packagecloud#url":           `column 22: the token of ~/.packagecloud is its field "token"`,
		"file:~/.packagecloud?private=false": "column 22: ~/.packagecloud is refused while others can read it",
		"file:/a%00":                         "a path can't hold a zero byte",
	} {
		if source, err := backends.Parse(spec, Opener()); err == nil || source != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want %q", spec, source, err, want)
		}
	}
}

func TestOpener_ExpandsTheHomeDirectory(t *testing.T) {
	home := setHome(t)
	must(t, os.WriteFile(filepath.Join(home, "token"), []byte(first), 0o600))
	source, err := backends.Parse("file:~/token", Opener())
	must(t, err)
	assertToken(t, source.(*Source), first)
	if got := source.(*Source).String(); got != "file:~/token" {
		t.Errorf("String() = %q, want it as spelled", got)
	}
}
