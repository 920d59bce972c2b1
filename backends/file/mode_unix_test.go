//go:build unix

package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

var open = []fs.FileMode{0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o444, 0o666}

// Guarantee B2.
func TestCLI_IsRefusedWhenOthersCanRead(t *testing.T) {
	source := writeCLI(t, `{"url":"https://packagecloud.io","token":"`+first+`"}`)
	path, err := source.path()
	must(t, err)
	for _, mode := range open {
		must(t, os.Chmod(path, mode))
		assertError(t, source, tokensource.ErrInvalid, "lets group or others at it; chmod it to 600")
	}
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o700} {
		must(t, os.Chmod(path, mode))
		assertToken(t, source, first)
	}
}

// Guarantee B2.
func TestSource_RequirePrivateRefusesWhatOthersCanRead(t *testing.T) {
	path := write(t, first, 0o600)
	source := newFile(t, path, Options{RequirePrivate: true})
	for _, mode := range open {
		must(t, os.Chmod(path, mode))
		assertError(t, source, tokensource.ErrInvalid, "chmod it to 600")
	}
	must(t, os.Chmod(path, 0o600))
	assertToken(t, source, first)
}

func TestSource_ChecksTheModeBehindALink(t *testing.T) {
	path := write(t, first, 0o644)
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(path, link))
	assertError(t, newFile(t, link, Options{RequirePrivate: true}), tokensource.ErrInvalid, "mode 0644")
}

func TestSource_ChecksTheFileThatIsOpen(t *testing.T) {
	exposed := write(t, second, 0o644)
	path := write(t, first, 0o600)
	source := newFile(t, path, Options{RequirePrivate: true})
	// After the file was opened, one with other rights takes its place.
	source.open = func(path string) (*os.File, fs.FileInfo, error) {
		f, info, err := sourcekit.OpenFile(path)
		must(t, os.Rename(exposed, path))
		return f, info, err
	}
	assertToken(t, source, first)
	source.open = sourcekit.OpenFile
	assertError(t, source, tokensource.ErrInvalid, "mode 0644")
}

// Guarantee B2.
func TestSource_ReportsAnExposedTokenOnce(t *testing.T) {
	path := write(t, first, 0o644)
	source := newFile(t, path, Options{})
	var events tokensourcetest.Recorder
	ctx := tokensource.WithHook(t.Context(), events.Record)
	read := func(reported int) {
		t.Helper()
		for range 3 {
			_, err := source.Token(ctx)
			must(t, err)
		}
		if got := len(events.Events(tokensource.EventExposed)); got != reported {
			t.Errorf("%d events so far, want %d", got, reported)
		}
	}
	read(1)
	e := events.Events()[0]
	if e.Source != source.String() || e.Fingerprint == "" || !strings.Contains(e.Detail, "0644") {
		t.Errorf("the event is %+v", e)
	}
	tokensourcetest.AssertNoSecret(t, e, first)

	must(t, os.WriteFile(path, []byte(second), 0o644))
	read(2)
	must(t, os.Chmod(path, 0o640))
	read(3)
	must(t, os.Chmod(path, 0o600))
	read(3)
}

func TestCredential_GroupBitsOfTheAccessControlListDoNotCount(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "packagecloud")
	must(t, os.WriteFile(path, []byte(first), 0o440))
	must(t, os.Chmod(path, 0o440))
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	source, err := Credential("packagecloud", Options{RequirePrivate: true})
	must(t, err)
	assertToken(t, source, first)
	must(t, os.Chmod(path, 0o444))
	assertError(t, source, tokensource.ErrInvalid, "mode 0444")
}

func TestSource_FollowsSwapsUnderLoad(t *testing.T) {
	m := newMount(t)
	m.set(first)
	source := newFile(t, m.path, Options{})
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				m.set(second)
				m.set(first)
			}
		}
	}()
	defer func() { close(stop); <-done }()
	for range 500 {
		tok, err := source.Token(t.Context())
		if err != nil {
			t.Fatalf("Token: %v", err)
		}
		if s := tok.Reveal(); s != first && s != second {
			t.Fatalf("a token that was never stored, of fingerprint %s", tok.Fingerprint())
		}
	}
}
