package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
)

var slips = map[string]string{
	"/run/$NAME/token":          "no variable is expanded",
	"/run/${NAME}/token":        "no variable is expanded",
	"/run/$(hostname)":          "no variable is expanded",
	`%USERPROFILE%\token`:       "no variable is expanded",
	"~/token":                   "no ~ is expanded here",
	"$HOME/token":               "no variable is expanded",
	`"/run/token"`:              "a quote at an end",
	"/run/token'":               "a quote at an end",
	"/run/token\n":              "white space at an end",
	" /run/token":               "white space at an end",
	"file:/run/token":           "begins like a URL",
	"file:///run/token":         "begins like a URL",
	"/run/token:env:OLD":        "write a comma between two elements",
	"/run/token:file:/run/old":  "write a comma between two elements",
	"/nonexistent/token/":       "ends in a slash",
	"/run/nonexistent/*":        "a *, a # or an &",
	"/run/token.json#token":     "a *, a # or an &",
	"/run/token&private=true":   "a *, a # or an &",
	"/run/token?private=true#x": "a *, a # or an &",
}

// Guarantee C1.
func TestSource_SlipInAPathStopsAChain(t *testing.T) {
	for path, says := range slips {
		source := newFile(t, path, Options{})
		assertError(t, source, tokensource.ErrInvalid, "there is no such file, and ")
		assertError(t, source, tokensource.ErrInvalid, says)
	}
	plain := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(plain, []byte("token"), 0o600))
	assertError(t, newFile(t, plain+"/", Options{}), tokensource.ErrInvalid, "ends in a slash")
	for _, path := range []string{"/nonexistent/a$", "/nonexistent/100%", "/nonexistent/it's;a", "./~x", "nonexistent.json", "/nonexistent/a:b:c", plain + "/x"} {
		assertError(t, newFile(t, path, Options{}), tokensource.ErrNotFound, "there is no such file; write")
	}
}

// What there is is read, whatever it is called.
func TestSource_PathThatLooksLikeASlipIsReadWhereItIs(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"$NAME", "${NAME}", "%NAME%", `"x"`, " x", "file:x", "a*", "a#b", "a&private=true"} {
		must(t, os.WriteFile(name, []byte("the-token"), 0o600))
		if tok, err := newFile(t, name, Options{}).Token(t.Context()); err != nil || tok.Reveal() != "the-token" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee C1.
func TestOpener_RefusesSlips(t *testing.T) {
	for spec, says := range map[string]string{
		"file:///run/token":           "column 6: a source is no URL; write it without //, such as file:/run/secrets/token",
		"file://run/token":            "column 6: a source is no URL",
		`file:"/run/token"`:           "column 6: a quote",
		"file:%USERPROFILE%":          "%NAME% is not expanded",
		"file:$HOME/token":            `no variable but "$CREDENTIALS_DIRECTORY/" is expanded`,
		"file:~root/token":            `"~" means something only in "~/"`,
		"file:/run/x#token#y":         "a second #",
		"file:/run/x#token?private=1": "options come before the field",
		"file:/run/x?field=token":     `no option "field"`,
		"file:/run/x;file:/run/y":     "separate them by a comma alone",
		"FILE:/run/x":                 `did you mean "file"?`,
	} {
		_, err := backends.Parse(spec, Opener())
		if !errors.Is(err, tokensource.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want ErrInvalid with %q", spec, err, says)
		}
	}
}
