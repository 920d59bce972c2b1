//go:build unix

package packagecloud_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
)

// stranger is a user and group that this process's user is not.
const stranger = 54321

// umask sets the process's umask until the test ends.
func umask(t *testing.T, mask int) {
	t.Helper()
	before := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(before) })
}

// mustBeRoot skips what only root can set up.
func mustBeRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can give a file to another user")
	}
}

// makeFile makes a file of exactly this mode.
func makeFile(t *testing.T, path string, mode uint32) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte("before"), 0o600), syscall.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// assertMode checks all bits of a regular file's mode.
func assertMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	if info, err := os.Lstat(path); err != nil || info.Mode() != want {
		t.Errorf("the file has %v, %v; want %v", info.Mode(), err, want)
	}
}

// A file is inherited from only if it is the user's own and no link, and never
// with the bits that lend its owner's rights.
//
// Guarantee D1.
func TestDownloadFile_InheritsPermissionsFromAnOwnRegularFileOnly(t *testing.T) {
	umask(t, 0o022)
	own := func(mode uint32) func(*testing.T, string) {
		return func(t *testing.T, path string) { makeFile(t, path, mode) }
	}
	foreign := func(mode uint32) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			mustBeRoot(t)
			makeFile(t, path, mode)
			if err := errors.Join(os.Chown(path, stranger, -1), syscall.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(to func(*testing.T, string)) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			elsewhere := filepath.Join(t.TempDir(), "elsewhere")
			to(t, elsewhere)
			if err := os.Symlink(elsewhere, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		before func(t *testing.T, path string)
		want   fs.FileMode
	}{
		"nothing":                        {func(*testing.T, string) {}, 0o644},
		"own, open to all":               {own(0o666), 0o666},
		"own, private":                   {own(0o600), 0o600},
		"own, setuid, setgid and sticky": {own(0o7755), 0o755},
		"another's, open to all":         {foreign(0o666), 0o644},
		"another's, setuid":              {foreign(0o6777), 0o644},
		"another's, private":             {foreign(0o600), 0o600},
		"link to an own file":            {link(own(0o666)), 0o644},
		"link to an own, private file":   {link(own(0o600)), 0o600},
		"link to another's file":         {link(foreign(0o666)), 0o644},
		"link to nothing":                {link(func(*testing.T, string) {}), 0o644},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			pkg := f.add(t, "ubuntu/jammy", demo, []byte("content"))
			path := filepath.Join(t.TempDir(), "demo.deb")
			test.before(t, path)
			if err := f.repo.DownloadFile(t.Context(), pkg, path, nil); err != nil {
				t.Fatal(err)
			}
			assertMode(t, path, test.want)
		})
	}
}

// What a link leads to stays as it is: only the name that was given changes.
//
// Guarantee D1.
func TestDownloadFile_ReplacesALinkAndNotItsTarget(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("content"))
	dir := t.TempDir()
	path, elsewhere := filepath.Join(dir, "demo.deb"), filepath.Join(dir, "elsewhere")
	makeFile(t, elsewhere, 0o600)
	if err := errors.Join(os.Symlink(elsewhere, path), f.repo.DownloadFile(t.Context(), pkg, path, nil)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path: "content", elsewhere: "before"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
	}
}

// Guarantee D1.
func TestDownloadFile_RefusesWhatIsNoRegularFile(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("content"))
	for name, make := range map[string]func(path string) error{
		"a directory":           func(path string) error { return os.Mkdir(path, 0o700) },
		"link to a directory":   func(path string) error { return os.Symlink(t.TempDir(), path) },
		"a pipe":                mkfifo,
		"a device":              func(path string) error { return os.Symlink(os.DevNull, path) },
		"links lead in circles": func(path string) error { return os.Symlink(path, path) },
	} {
		path := filepath.Join(t.TempDir(), "demo.deb")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Lstat(path)
		err := f.repo.DownloadFile(t.Context(), pkg, path, nil)
		after, _ := os.Lstat(path)
		if err == nil || !os.SameFile(before, after) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if n := len(f.requests("")); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// A group that the new file doesn't share with the old one gets no rights that
// the old file gave to another group.
//
// Guarantee D1.
func TestDownloadFile_GroupKeepsItsPermissionsOnlyAsTheSameGroup(t *testing.T) {
	mustBeRoot(t)
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("content"))
	dir := t.TempDir()
	path := filepath.Join(dir, "demo.deb")
	makeFile(t, path, 0o664)
	if err := errors.Join(os.Chown(path, -1, stranger), f.repo.DownloadFile(t.Context(), pkg, path, nil)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Sys().(*syscall.Stat_t).Gid != stranger || info.Mode() != 0o664 {
		t.Errorf("root's download has %v, %v; want the old group", info, err)
	}

	if err := errors.Join(os.Chown(dir, stranger, -1), os.Chown(path, stranger, 0), os.Chmod(path, 0o664)); err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(dir); parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	asUser(t, stranger, func() { err = packagecloud.ReplaceFile(path) }) // the server of the test has root's files
	if err != nil {
		t.Fatal(err)
	}
	assertMode(t, path, 0o644) // in a group that the stranger may not give it to
}

// asUser does f as another user and group, without root's supplementary groups.
func asUser(t *testing.T, id int, f func()) {
	t.Helper()
	groups, err := syscall.Getgroups()
	if err := errors.Join(err, syscall.Setgroups(nil), syscall.Setregid(-1, id), syscall.Setreuid(-1, id)); err != nil {
		t.Skipf("NOT TESTED: root can't become another user: %v", err)
	}
	defer func() {
		if err := errors.Join(syscall.Setreuid(-1, 0), syscall.Setregid(-1, 0), syscall.Setgroups(groups)); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// Whoever opens the temporary file in the moment before it gets its permissions
// could read on for ever.
//
// Guarantee D1.
func TestDownloadFile_TemporaryFileIsNeverOpenToMoreThanTheFile(t *testing.T) {
	umask(t, 0)
	for _, mode := range []uint32{0o600, 0o640, 0o666} {
		path := filepath.Join(t.TempDir(), "demo.deb")
		makeFile(t, path, mode)
		temporary, err := packagecloud.CreateTemporary(path)
		if err != nil {
			t.Fatal(err)
		}
		assertMode(t, temporary, fs.FileMode(mode)&0o700)
	}
}
