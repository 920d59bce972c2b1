//go:build unix

package file

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// makeFile returns what makes a file of such a content.
func makeFile(content string) func(*testing.T, string) {
	return func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte(content), 0o600)) }
}

// unprivileged makes the process one that modes hold for, which they don't for
// root, and lets it find the way to path.
func unprivileged(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	if err := syscall.Setreuid(-1, 65534); err != nil {
		t.Skipf("NOT TESTED: root can read everything and couldn't become another user: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Setreuid(-1, 0)) })
}

// badFiles are things that a path can lead to, and what the error says of them.
// Where it depends on how the file is read, raw is for a token alone and json
// for a field and for ~/.packagecloud.
var badFiles = []struct {
	name      string
	make      func(t *testing.T, path string)
	kind      error
	raw, json string
}{
	{"missing", func(*testing.T, string) {}, tokensource.ErrNotFound, "no such file; write", ""},
	{"link to nowhere", func(t *testing.T, path string) { must(t, os.Symlink("nowhere", path)) }, tokensource.ErrNotFound, "no such file; write", ""},
	{"links in a circle", func(t *testing.T, path string) {
		must(t, os.Symlink(path+"2", path))
		must(t, os.Symlink(path, path+"2"))
	}, tokensource.ErrInvalid, "lead round in a circle; point them at the file", ""},
	{"unreadable", func(t *testing.T, path string) {
		must(t, os.WriteFile(path, []byte(first), 0o600))
		must(t, os.Chmod(path, 0))
		unprivileged(t, path)
	}, tokensource.ErrDenied, "may not read the file; let its user", ""},
	{"in a directory that may not be entered", func(t *testing.T, path string) {
		dir := filepath.Join(filepath.Dir(path), "closed")
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "token"), []byte(first), 0o600))
		must(t, os.Symlink(filepath.Join(dir, "token"), path))
		must(t, os.Chmod(dir, 0))
		t.Cleanup(func() { must(t, os.Chmod(dir, 0o700)) })
		unprivileged(t, path)
	}, tokensource.ErrDenied, "may not read the file; let its user", ""},
	{"directory", func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, tokensource.ErrInvalid, "is a directory; name the file", ""},
	{"FIFO", func(t *testing.T, path string) { must(t, syscall.Mkfifo(path, 0o600)) }, tokensource.ErrInvalid, "is a FIFO; the token is read many times", ""},
	{"socket", func(t *testing.T, path string) {
		must(t, os.Symlink(socket(t), path))
	}, tokensource.ErrInvalid, "is a socket; put the token in a regular file", ""},
	{"device without an end", func(t *testing.T, path string) { must(t, os.Symlink("/dev/zero", path)) }, tokensource.ErrInvalid, "is a device; put the token in a regular file", ""},
	{"empty device", func(t *testing.T, path string) { must(t, os.Symlink("/dev/null", path)) }, tokensource.ErrInvalid, "is a device; put the token", ""},
	{"empty", makeFile(""), tokensource.ErrInvalid, "the file is empty; write", ""},
	{"newline only", makeFile("\n"), tokensource.ErrInvalid, "the token is empty; store", "the value is empty; expected a JSON object"},
	{"too large", makeFile(strings.Repeat(first, 1<<15)), tokensource.ErrInvalid, "larger than 1 MiB; is it the right one?", ""},
	{"large and sparse", func(t *testing.T, path string) {
		must(t, os.WriteFile(path, []byte(first), 0o600))
		must(t, os.Truncate(path, 1<<40))
	}, tokensource.ErrInvalid, "larger than 1 MiB; is it the right one?", ""},
	{"JSON without the field", makeFile(`{"Token":"` + first + `","password":"canary-0815"}`), tokensource.ErrInvalid, "JSON object; name the field", `no field "token", among 2; check its spelling`},
	{"number", makeFile(`{"token":123456789012}`), tokensource.ErrInvalid, "JSON object; name the field", `is a number; expected a string`},
	{"null", makeFile(`{"token":null}`), tokensource.ErrInvalid, "JSON object; name the field", `is null; expected a string`},
	{"object", makeFile(`{"token":{"value":"` + first + `"}}`), tokensource.ErrInvalid, "JSON object; name the field", `is an object; expected a string`},
	{"array", makeFile(`{"token":["` + first + `"]}`), tokensource.ErrInvalid, "JSON object; name the field", `is an array; expected a string`},
	{"cut off", makeFile(`{"token":"` + first), tokensource.ErrInvalid, "JSON object; name the field", "not a JSON object; the fault is near byte"},
	{"no comma", makeFile(`{"url":"https://packagecloud.io" "token":"` + first + `"}`), tokensource.ErrInvalid, "JSON object; name the field", "not a JSON object; the fault is near byte"},
	{"YAML", makeFile("token: " + first), tokensource.ErrInvalid, "colon; store the token alone", "not a JSON object; the fault is near byte"},
}

// socket listens on a path short enough for one, and returns it.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Skipf("NOT TESTED: no Unix sockets here: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestBadFile_IsRefusedWithAdviceHoweverItIsNamed(t *testing.T) {
	for _, test := range badFiles {
		for way, open := range map[string]func(t *testing.T, path string) tokensource.TokenSource{
			"path": func(t *testing.T, path string) tokensource.TokenSource { return newFile(t, path, Options{}) },
			"field": func(t *testing.T, path string) tokensource.TokenSource {
				return newFile(t, path, Options{Field: "token"})
			},
			"private": func(t *testing.T, path string) tokensource.TokenSource {
				return newFile(t, path, Options{RequirePrivate: true})
			},
			"CLI": func(t *testing.T, path string) tokensource.TokenSource { return CLI() },
			"chain string": func(t *testing.T, path string) tokensource.TokenSource {
				source, err := backends.Parse("env:NOTHING_THERE,file:"+path, env.Opener(), Opener())
				must(t, err)
				return source
			},
			"credential of systemd": func(t *testing.T, path string) tokensource.TokenSource {
				t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
				source, err := Credential(filepath.Base(path), Options{Field: "token"})
				must(t, err)
				return source
			},
		} {
			t.Run(test.name+"/"+way, func(t *testing.T) {
				path := filepath.Join(setHome(t), ".packagecloud")
				source := open(t, path)
				test.make(t, path)
				want := test.raw
				if test.json != "" && (way == "field" || way == "CLI" || way == "credential of systemd") {
					want = test.json
				}
				var err error
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, err = source.Token(t.Context())
				}()
				select {
				case <-done:
				case <-time.After(20 * time.Second):
					t.Fatal("it hangs")
				}
				if chain, ok := err.(*tokensource.ChainError); ok {
					err = chain.Attempts[1]
				}
				e, ok := err.(*tokensource.Error)
				if !ok || e.Kind != test.kind || !strings.Contains(e.Message, want) || !strings.Contains(source.(interface{ String() string }).String(), e.Source) || e.Source == "" {
					t.Errorf("the error is %v; want %v with %q", err, test.kind, want)
				}
				tokensourcetest.AssertNoSecret(t, err, first, "canary-0815", "123456789012")
			})
		}
	}
}

func TestBadFile_NameThatIsTooLong(t *testing.T) {
	for _, path := range []string{"/" + strings.Repeat("x", 300), strings.Repeat("/x", 1<<12)} {
		assertError(t, newFile(t, path, Options{}), tokensource.ErrInvalid, "too long; is it a path")
	}
}

// A mode that lets others at the file is refused for ~/.packagecloud and where a
// private file is required; elsewhere it is reported.
func TestBadFile_OpenToOthers(t *testing.T) {
	path := filepath.Join(setHome(t), ".packagecloud")
	must(t, os.WriteFile(path, []byte(`{"token":"`+first+`"}`), 0o644))
	must(t, os.Chmod(path, 0o644))
	private, err := backends.Parse("file:"+path+"?private=true#token", Opener())
	must(t, err)
	for _, source := range []*Source{CLI(), newFile(t, path, Options{Field: "token", RequirePrivate: true}), private.(*Source)} {
		assertError(t, source, tokensource.ErrInvalid, "mode 0644 lets group or others at it; chmod it to 600")
	}
	var events tokensourcetest.Recorder
	tok, err := newFile(t, path, Options{Field: "token"}).Token(tokensource.WithHook(t.Context(), events.Record))
	if err != nil || tok.Reveal() != first || len(events.Events(tokensource.EventExposed)) != 1 {
		t.Errorf("got %v, %v and %d events; want the token and one event", tok, err, len(events.Events()))
	}
}
