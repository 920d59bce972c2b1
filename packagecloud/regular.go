package packagecloud

import (
	"errors"
	"fmt"
	"os"
)

// openRegular opens a regular file for reading. Its status is that of the open
// file, so that nobody can put another file in its place between two looks. It
// doesn't wait for the writer of a FIFO. Its errors name path.
func openRegular(path string) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		// A socket can't be opened.
		if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() {
			return nil, nil, irregular(path, info)
		}
		return nil, nil, fmt.Errorf("packagecloud: %w", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("packagecloud: %w", err)
	case !info.Mode().IsRegular():
		err = irregular(path, info)
	default:
		return f, info, nil
	}
	f.Close()
	return nil, nil, err
}

var errIrregular = errors.New("is not a regular file")

// irregular is the error of a path to upload that leads to no regular file.
func irregular(path string, info os.FileInfo) error {
	return fmt.Errorf("packagecloud: %s %w but %s", path, errIrregular, kindOf(info.Mode()))
}
