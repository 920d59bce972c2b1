//go:build unix

package packagecloud_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
)

// promptly fails t where f waits for something, such as the writer of a FIFO.
func promptly(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
		return nil
	}
}

// Guarantee U1.
func TestFile_WhatIsNoRegularFileHoldsNothingUp(t *testing.T) {
	for name, test := range map[string]struct {
		make func(path string) error
		want string
	}{
		"FIFO":            {mkfifo, "not a regular file but a pipe"},
		"directory":       {func(path string) error { return os.Mkdir(path, 0o700) }, "not a regular file but a directory"},
		"device":          {func(path string) error { return os.Symlink("/dev/zero", path) }, "not a regular file but a device"},
		"socket":          {listen, "not a regular file but a device or socket"},
		"link to nowhere": {func(path string) error { return os.Symlink("nowhere", path) }, "no such file"},
	} {
		path := filepath.Join(shortDir(t), "demo.deb")
		if err := test.make(path); err != nil {
			t.Fatal(err)
		}
		err := promptly(t, func() error { _, err := packagecloud.Prepare(packagecloud.File(path)); return err })
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v; want %q", name, err, test.want)
		}
	}
}

// The file is opened again for each try. Whatever has its name by then, the
// upload doesn't wait for it.
//
// Guarantee U1.
func TestFile_ThatTurnsIntoAnotherKindIsAnErrorAtOnce(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"FIFO": mkfifo, "socket": listen,
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		path := filepath.Join(shortDir(t), "demo.deb")
		if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
		content, err := packagecloud.Prepare(packagecloud.File(path))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		err = promptly(t, func() error { _, err := content.Open(); return err })
		if !errors.Is(err, packagecloud.ErrContentChanged) {
			t.Errorf("%s: the error is %v; want ErrContentChanged", name, err)
		}
	}
}

// A look before the opening would prove nothing of the file that is opened.
//
// Guarantee U1.
func TestFile_ThatIsAFIFONowAndThenNeverHangs(t *testing.T) {
	dir := t.TempDir()
	path, regular, fifo := filepath.Join(dir, "demo.deb"), filepath.Join(dir, "regular"), filepath.Join(dir, "fifo")
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		var err error
		for err == nil {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err = os.WriteFile(regular, []byte("content"), 0o600); err == nil {
				err = os.Rename(regular, path)
			}
			if err == nil {
				if err = mkfifo(fifo); err == nil {
					err = os.Rename(fifo, path)
				}
			}
		}
		<-stop
		stopped <- err
	}()
	promptly(t, func() error {
		for range 2000 {
			packagecloud.Prepare(packagecloud.File(path))
		}
		return nil
	})
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}

// shortDir is a folder whose path is short enough for a socket in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// listen makes a socket that stays when its listener is closed.
func listen(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}
