//go:build unix

package conjur_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/tokensource"
)

// A FIFO that nobody writes to would hold a goroutine for ever at every try.
//
// Guarantee B7.
func TestFiles_FIFOHoldsNothingUp(t *testing.T) {
	s := start(t)
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	setenv(t, map[string]string{"CONJUR_CREDENTIAL_STORAGE": "file", "CONJUR_NETRC_PATH": path})
	before := runtime.NumGoroutine()
	for _, auth := range []conjur.Auth{conjur.JWTFile("ci", "", path), conjur.AccessTokenFile(path), {}} {
		source := s.source(t, with(auth), func(o *conjur.Options) { o.Timeout = time.Second })
		for range 3 {
			s.refused(t, source, tokensource.ErrInvalid, "isn't a regular file but a FIFO")
		}
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
		}
	}
}

// Guarantee B7.
func TestSettings_FIFOHoldsNothingUp(t *testing.T) {
	for name, says := range map[string]string{
		".conjurrc":        "isn't a regular file but a FIFO",
		"CONJURRC":         "isn't a regular file but a FIFO",
		"CONJUR_CERT_FILE": "of the settings can't be read: ",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			path := filepath.Join(os.Getenv("HOME"), ".conjurrc")
			if name != ".conjurrc" {
				path = filepath.Join(t.TempDir(), "fifo")
				t.Setenv(name, path)
			}
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			setenv(t, map[string]string{"CONJUR_ACCOUNT": account, "CONJUR_APPLIANCE_URL": s.URL})
			done := make(chan error, 1)
			go func() {
				_, err := conjur.New(variable, conjur.Options{AllowHTTP: true})
				done <- err
			}()
			select {
			case err := <-done:
				s.fails(t, err, tokensource.ErrInvalid, says)
			case <-time.After(20 * time.Second):
				t.Fatal("it hangs")
			}
		})
	}
}

// Guarantee B7.
func TestSettings_RelativeHomeIsInvalid(t *testing.T) {
	s := start(t)
	t.Chdir(t.TempDir())
	t.Setenv("HOME", ".")
	_, err := conjur.New(variable, conjur.Options{})
	s.fails(t, err, tokensource.ErrInvalid, "is a relative path")
}
