//go:build unix

package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
)

// stranger is a user that this process's user is not.
const stranger = 54321

// give makes stranger the owner of a path.
func give(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can give a file to another user")
	}
	must(t, os.Lchown(path, stranger, stranger))
}

const cliContent = `{"url":"https://packagecloud.io","token":"` + first + `"}`

// Guarantee B2.
func TestCLI_IsRefusedWhereAnotherUserCouldHaveWrittenIt(t *testing.T) {
	// linked puts the file into another folder, and a link in its place.
	linked := func(t *testing.T, path, target string) (folder string) {
		folder = t.TempDir()
		must(t, os.Chmod(folder, 0o755))
		must(t, os.Rename(path, filepath.Join(folder, "token")))
		if target == "" {
			target = filepath.Join(folder, "token")
		}
		must(t, os.Symlink(target, path))
		return folder
	}
	for name, test := range map[string]struct {
		make func(t *testing.T, home, path string)
		want string // "" if the token is read
	}{
		"own": {func(*testing.T, string, string) {}, ""},
		"another's file": {func(t *testing.T, _, path string) { give(t, path) },
			"the file belongs to user 54321 and this process runs as user"},
		"another's file behind a link": {func(t *testing.T, _, path string) { give(t, filepath.Join(linked(t, path, ""), "token")) },
			"the file belongs to user 54321"},
		"another's link": {func(t *testing.T, _, path string) { linked(t, path, ""); give(t, path) }, ""},
		"another's folder": {func(t *testing.T, home, _ string) { give(t, home) },
			"belongs to user 54321, who can replace the file"},
		"folder that all can write": {func(t *testing.T, home, _ string) { must(t, os.Chmod(home, 0o777)) },
			"the mode 0777 of its folder"},
		"folder that the group can write": {func(t *testing.T, home, _ string) { must(t, os.Chmod(home, 0o770)) },
			"the mode 0770 of its folder"},
		"folder that others can write": {func(t *testing.T, home, _ string) { must(t, os.Chmod(home, 0o702)) },
			"the mode 0702 of its folder"},
		"folder with the sticky bit": {func(t *testing.T, home, _ string) { must(t, os.Chmod(home, 0o777|fs.ModeSticky)) },
			"the mode 0777 of its folder"},
		"link": {func(t *testing.T, _, path string) { linked(t, path, "") }, ""},
		"link into a folder that all can write": {func(t *testing.T, _, path string) { must(t, os.Chmod(linked(t, path, ""), 0o777)) },
			"the mode 0777 of its folder"},
		"link over a link in a folder that all can write": {func(t *testing.T, _, path string) {
			between := t.TempDir()
			linked(t, path, "")
			target, err := os.Readlink(path)
			must(t, err)
			must(t, os.Remove(path))
			must(t, os.Symlink(target, filepath.Join(between, "link")))
			must(t, os.Symlink(filepath.Join(between, "link"), path))
			must(t, os.Chmod(between, 0o777))
		}, "the mode 0777 of its folder"},
		"relative link through a folder that is a link": {func(t *testing.T, home, path string) {
			deep := filepath.Join(t.TempDir(), "open", "deep")
			must(t, os.MkdirAll(deep, 0o755))
			must(t, os.Symlink(deep, filepath.Join(home, "dots")))
			must(t, os.Rename(path, filepath.Join(filepath.Dir(deep), "token")))
			must(t, os.Symlink("dots/../token", path))
			must(t, os.Chmod(filepath.Dir(deep), 0o777))
		}, "the mode 0777 of its folder"},
	} {
		t.Run(name, func(t *testing.T) {
			source := writeCLI(t, cliContent)
			path, err := source.path()
			must(t, err)
			must(t, os.Chmod(filepath.Dir(path), 0o755))
			test.make(t, filepath.Dir(path), path)
			if test.want == "" {
				assertToken(t, source, first)
			} else {
				assertError(t, source, tokensource.ErrInvalid, test.want)
			}
		})
	}
}

// Only ~/.packagecloud is read as its owner's: mounted secrets belong to root, and
// systemd's to the service.
//
// Guarantee B2.
func TestSource_OtherFilesMayBelongToAnybody(t *testing.T) {
	path := write(t, first, 0o600)
	must(t, os.Chmod(filepath.Dir(path), 0o777))
	give(t, path)
	assertToken(t, newFile(t, path, Options{RequirePrivate: true}), first)
}

// A folder may be root's, as every home of a service is.
//
// Guarantee B2.
func TestCLI_FolderMayBeRoots(t *testing.T) {
	source := writeCLI(t, cliContent)
	path, err := source.path()
	must(t, err)
	give(t, path)
	unprivileged(t, path)
	if err := syscall.Setreuid(-1, 0); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err := syscall.Setreuid(-1, stranger); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	assertToken(t, source, first)
}

// Guarantee B2.
func TestHome_RelativeOneIsInvalid(t *testing.T) {
	home := setHome(t)
	must(t, os.WriteFile(filepath.Join(home, ".packagecloud"), []byte(cliContent), 0o600))
	t.Chdir(home)
	for _, relative := range []string{".", "x/..", strings.TrimPrefix(home, "/"), "~"} {
		t.Setenv("HOME", relative)
		assertError(t, CLI(), tokensource.ErrInvalid, "HOME is a relative path")
		source, err := backends.Parse("file:~/token", Opener())
		must(t, err)
		assertError(t, source.(*Source), tokensource.ErrInvalid, "HOME is a relative path")
	}
}
