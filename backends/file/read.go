package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/packagecloud-go/sdk/tokensource"
)

// maxSize is above any file that is a secret.
const maxSize = 1 << 20

// content is a file as it was read.
type content struct {
	data []byte
	info fs.FileInfo
}

// read reads the file and returns when that is done or ctx ends. What hangs in
// the file system can't be stopped, so it is left behind; since the next read
// waits for it, one goroutine at most hangs.
func (s *Source) read(ctx context.Context, path string) (content, error) {
	type result struct {
		content
		err error
	}
	if err := ctx.Err(); err != nil {
		return content{}, s.ended(err)
	}
	done := make(chan result, 1)
	select {
	case s.reading <- struct{}{}:
	case <-ctx.Done():
		return content{}, s.ended(ctx.Err())
	}
	go func() {
		defer func() { <-s.reading }()
		c, err := s.readFile(path)
		done <- result{c, err}
	}()
	select {
	case r := <-done:
		return r.content, r.err
	case <-ctx.Done():
		return content{}, s.ended(ctx.Err())
	}
}

func (s *Source) ended(err error) error {
	return s.errorf(tokensource.ErrUnavailable, err, "the caller's context ended before the file was read")
}

func (s *Source) readFile(path string) (content, error) {
	f, info, err := s.open(path)
	switch {
	case err != nil && info != nil:
		return content{}, s.irregular(info)
	case err != nil:
		return content{}, s.openError(err)
	}
	defer f.Close()
	// All checks are of the file that is open, which nobody can swap.
	if s.options.RequirePrivate && s.isOpen(info) {
		return content{}, s.errorf(tokensource.ErrInvalid, nil,
			"the file's mode %s lets group or others at it; chmod it to 600, and replace the token if others had access", mode(info))
	}
	if s.cli {
		if err := s.checkOwner(info); err != nil {
			return content{}, err
		}
		if err := s.checkFolders(path); err != nil {
			return content{}, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	switch {
	case err != nil:
		return content{}, s.errorf(tokensource.ErrUnavailable, err, "the file can't be read%s", reason(err))
	case len(data) > maxSize:
		return content{}, s.errorf(tokensource.ErrInvalid, nil, "the file is larger than 1 MiB; is it the right one?")
	case len(data) == 0:
		return content{}, s.errorf(tokensource.ErrInvalid, nil, "the file is empty; %s", s.remedy())
	}
	return content{data: data, info: info}, nil
}

// remedy says what the file needs.
func (s *Source) remedy() string {
	if s.cli {
		return "write " + cliForm + " to it"
	}
	return "write the token to it"
}

func (s *Source) openError(err error) error {
	missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	switch {
	case missing && s.slip() != "":
		return s.errorf(tokensource.ErrInvalid, nil, "there is no such file, and %s", s.slip())
	case missing:
		return s.errorf(tokensource.ErrNotFound, err, "there is no such file; %s, or correct the path", s.remedy())
	case errors.Is(err, fs.ErrPermission):
		return s.errorf(tokensource.ErrDenied, err, "this process may not read the file; let its user, and nobody else, read it")
	}
	switch {
	case errors.Is(err, syscall.ELOOP):
		return s.errorf(tokensource.ErrInvalid, err, "its symbolic links lead round in a circle; point them at the file")
	case errors.Is(err, syscall.ENAMETOOLONG):
		return s.errorf(tokensource.ErrInvalid, err, "the path is too long; is it a path at all?")
	}
	return s.errorf(tokensource.ErrUnavailable, err, "the file can't be opened%s", reason(err))
}

// reason is what the system says, without the path that the error has too.
func reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return ": " + errno.Error()
	}
	return ""
}

func (s *Source) irregular(info fs.FileInfo) error {
	what := "not a regular file; put the token in one"
	switch m := info.Mode(); {
	case m.IsDir():
		what = "a directory; name the file in it that holds the token"
	case m&fs.ModeNamedPipe != 0:
		what = "a FIFO; the token is read many times, so put it in a regular file"
	case m&fs.ModeSocket != 0:
		what = "a socket; put the token in a regular file"
	case m&fs.ModeDevice != 0:
		what = "a device; put the token in a regular file"
	}
	return s.errorf(tokensource.ErrInvalid, nil, "it is %s", what)
}

func (s *Source) errorf(kind, cause error, format string, args ...any) error {
	return tokensource.NewError(s.String(), kind, fmt.Sprintf(format, args...), cause)
}

func mode(info fs.FileInfo) string { return fmt.Sprintf("%04o", info.Mode().Perm()) }
