//go:build unix

package conjur_test

import (
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/tokensource"
)

// A FIFO that nobody writes to would hold a goroutine for ever at every try.
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
			s.refused(t, source, tokensource.ErrInvalid, "is no regular file")
		}
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
		}
	}
}
