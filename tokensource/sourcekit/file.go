package sourcekit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/packagecloud-go/sdk/tokensource"
)

// openTries is how often [OpenFile] looks a path up. Kubernetes removes the old
// directory of a secret right after it has pointed the symbolic link to the new one.
// A look-up that was half way through finds nothing.
const openTries = 5

// OpenFile opens a regular file for reading. It doesn't wait for the writer of a FIFO,
// and finds a mounted Kubernetes secret also while that is being replaced. The status
// is that of the open file: whoever checks its mode or owner checks what will be read,
// though somebody may put another file in its place.
//
// The error is a *[fs.PathError]. If the path leads to something else than a regular
// file, errors.Is finds [fs.ErrInvalid], and the status is returned with the error.
func OpenFile(path string) (*os.File, fs.FileInfo, error) {
	return openWith(path, func(path string) (*os.File, error) {
		return os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	})
}

func openWith(path string, open func(string) (*os.File, error)) (f *os.File, info fs.FileInfo, err error) {
	for range openTries {
		f, err = open(path)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if _, gone := os.Lstat(path); gone != nil {
			break
		}
	}
	if err != nil {
		// A socket can't be opened.
		if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() {
			return nil, info, irregular(path, info)
		}
		return nil, nil, err
	}
	info, err = f.Stat()
	switch {
	case err != nil:
		info = nil
	case !info.Mode().IsRegular():
		err = irregular(path, info)
	default:
		return f, info, nil
	}
	f.Close()
	return nil, info, err
}

func irregular(path string, info fs.FileInfo) error {
	return &fs.PathError{Op: "open", Path: path, Err: irregularError(info.Mode())}
}

// irregularError says what a path leads to in place of a regular file.
type irregularError fs.FileMode

// Is reports whether target is [fs.ErrInvalid].
func (e irregularError) Is(target error) bool { return target == fs.ErrInvalid }

func (e irregularError) Error() string {
	what := "something else"
	switch m := fs.FileMode(e); {
	case m.IsDir():
		what = "a directory"
	case m&fs.ModeNamedPipe != 0:
		what = "a FIFO"
	case m&fs.ModeSocket != 0:
		what = "a socket"
	case m&fs.ModeDevice != 0:
		what = "a device"
	}
	return "isn't a regular file but " + what
}

// ReadFile reads the whole of a file with a credential, as [OpenFile] opens it, and
// returns its status too. The file may have limit bytes and no more.
//
// The error is a *[tokensource.Error] that names the path and says what to do. Its
// kind is [tokensource.ErrNotFound] if there is no file, but [tokensource.ErrInvalid]
// if the path has a ~, a variable or quotes, which nothing expands or removes;
// [tokensource.ErrDenied] if this process may not read the file;
// [tokensource.ErrInvalid] if it isn't a regular file or is too large; and
// [tokensource.ErrUnavailable] otherwise. A path that looks like a token of
// packagecloud is not repeated.
func ReadFile(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, info, err := OpenFile(path)
	if err != nil {
		return nil, nil, fileError(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, fileError(path, err)
	}
	if int64(len(data)) > limit {
		return nil, nil, invalid("the file %s is larger than %s; is it the right one?", shown(path), size(limit))
	}
	return data, info, nil
}

func fileError(path string, err error) error {
	fail := func(kind error, format string, args ...any) error {
		return tokensource.NewError("", kind, fmt.Sprintf(format, args...), err)
	}
	missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	irregular, isIrregular := errors.AsType[irregularError](err)
	switch {
	case missing && (strings.HasPrefix(path, "~") || strings.ContainsAny(path, "$%\"'`")):
		return fail(tokensource.ErrInvalid, "there is no file %s; write its whole path without quotes, since no ~ or variable is expanded", shown(path))
	case missing:
		return fail(tokensource.ErrNotFound, "there is no file %s; write it, or correct the path", shown(path))
	case errors.Is(err, fs.ErrPermission):
		return fail(tokensource.ErrDenied, "the file %s may not be read by this process; let its user read it, and nobody else", shown(path))
	case isIrregular:
		return fail(tokensource.ErrInvalid, "%s %v; name a regular file", shown(path), irregular)
	}
	reason := ""
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		reason = ": " + errno.Error()
	}
	return fail(tokensource.ErrUnavailable, "the file %s can't be read%s", shown(path), reason)
}

// shown returns the path as errors name it.
func shown(path string) string {
	switch {
	case path == "":
		return `""`
	case HoldsToken(path):
		return "whose path looks like a token"
	}
	return path
}

func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
