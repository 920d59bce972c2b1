package packagecloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// DownloadFile downloads pkg to a file, which appears under its name when it is
// whole and verified, and not before. Until then it is beside it under a
// temporary name, which is removed on failure.
//
// An existing file is replaced. If it is a regular file of this process's user,
// the new one gets its permissions and, where the system allows, its group. Of
// another user's file nothing is inherited: the new file gets what the umask
// allows, less what group and others could not do with the old one. A symbolic
// link is replaced like another user's file, and the file that it leads to stays
// as it is. A directory, a device, a FIFO or a link to one is an error.
//
// Errors are as of [Repository.Download]. When ctx ends, DownloadFile still waits
// for what the system is putting on the disk.
func (r *Repository) DownloadFile(ctx context.Context, pkg *Package, path string, options *DownloadOptions) error {
	if pkg == nil {
		return errNilPackage
	}
	if path == "" {
		return errors.New("packagecloud: the path is empty; name the file to write")
	}
	t, err := newTarget(path)
	if err != nil {
		return err
	}
	defer t.discard() // after a panic of the caller's too
	w := &syncing{file: t.file}
	err = r.Download(ctx, pkg, w, options)
	failure := w.wait()
	if err != nil {
		return err
	}
	// The name must not outlive a crash that the content doesn't.
	if err = errors.Join(failure, t.file.Sync()); err == nil {
		err = t.commit()
	}
	if err != nil {
		return fmt.Errorf("packagecloud: %w", err)
	}
	return nil
}

// target is the file of a download, under a temporary name until it is whole.
type target struct {
	path      string
	temporary string
	file      *os.File
	done      bool
}

func newTarget(path string) (*target, error) {
	replaced, own, err := replacedFile(path)
	if err != nil {
		return nil, err
	}
	t := &target{path: path}
	if err := t.create(permissions(replaced, own)); err != nil {
		return nil, err
	}
	if own {
		if err := inherit(t.file, replaced); err != nil {
			t.discard()
			return nil, fmt.Errorf("packagecloud: %w", err)
		}
	}
	return t, nil
}

// replacedFile returns the status of the regular file that path leads to, or nil
// if there is none. Own tells that it is no link and this process's user owns it.
func replacedFile(path string) (info fs.FileInfo, own bool, err error) {
	there, err := os.Lstat(path)
	if err == nil && there.Mode()&fs.ModeSymlink != 0 {
		info, err = os.Stat(path)
	} else if err == nil {
		info, own = there, isOwn(there)
	}
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, false, fmt.Errorf("packagecloud: %s is not a regular file but %s; name the file to write", path, kindOf(info.Mode()))
	case err != nil && !errors.Is(err, fs.ErrNotExist): // such as a name that is too long
		return nil, false, fmt.Errorf("packagecloud: %w", err)
	case err != nil:
		return nil, false, nil
	}
	return info, own, nil
}

// permissions are those to create the file with; the umask takes more away.
func permissions(replaced fs.FileInfo, own bool) fs.FileMode {
	switch {
	case replaced == nil:
		return 0o666
	case own:
		return replaced.Mode().Perm() &^ 0o077 // inherit grants the others theirs
	}
	return replaced.Mode().Perm()&0o066 | 0o600
}

// create creates the file in the folder of its path.
func (t *target) create(mode fs.FileMode) error {
	// Short, whatever the file's name: the file system limits both.
	t.temporary = filepath.Join(filepath.Dir(t.path), ".packagecloud-"+rand.Text()[:12]+".partial")
	f, err := os.OpenFile(t.temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // the temporary name tells nobody anything
		}
		return fmt.Errorf("packagecloud: no file can be made in the folder of %s: %w", t.path, err)
	}
	t.file = f
	return nil
}

// inherit gives f the group and the permissions of the file that it replaces. In
// another group than that file's, it grants its group no more than all others.
func inherit(f *os.File, replaced fs.FileInfo) error {
	mode := replaced.Mode().Perm()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !inheritGroup(f, info, replaced) {
		mode &^= 0o070 &^ (mode & 0o007 << 3)
	}
	if info.Mode().Perm() == mode { // some file systems know no others
		return nil
	}
	return f.Chmod(mode)
}

// commit puts the file under its name.
func (t *target) commit() error {
	if err := t.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(t.temporary, t.path); err != nil {
		return err
	}
	t.done = true
	return nil
}

// discard removes the file unless it is under its name.
func (t *target) discard() {
	if !t.done {
		t.file.Close()
		os.Remove(t.temporary)
	}
}
