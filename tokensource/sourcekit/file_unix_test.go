//go:build unix

package sourcekit

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

func TestReadFile_WaitsForNothing(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "s") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for path, what := range map[string]string{fifo: "a FIFO", socket: "a socket", "/dev/zero": "a device"} {
		done := make(chan error, 1)
		go func() {
			_, _, err := ReadFile(path, 1<<10)
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.Is(err, tokensource.ErrInvalid) || !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), path+" isn't a regular file but "+what) {
				t.Errorf("%s: got %v", path, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: it hangs", path)
		}
	}
}

func TestReadFile_ThatMayNotBeRead(t *testing.T) {
	path := write(t, "secret")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Setreuid(-1, 65534); err != nil {
			t.Skipf("NOT TESTED: root can read everything and couldn't become another user: %v", err)
		}
		defer syscall.Setreuid(-1, 0)
	}
	if _, _, err := ReadFile(path, 10); !errors.Is(err, tokensource.ErrDenied) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want ErrDenied", err)
	}
}
