package packagecloud

import (
	"errors"
	"fmt"
	"os"

	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// openRegular opens a regular file for reading, as [sourcekit.OpenFile] does. Its errors
// name path.
func openRegular(path string) (*os.File, os.FileInfo, error) {
	f, info, err := sourcekit.OpenFile(path)
	switch {
	case err != nil && info != nil:
		return nil, nil, irregular(path, info)
	case err != nil:
		return nil, nil, fmt.Errorf("packagecloud: %w", err)
	}
	return f, info, nil
}

var errIrregular = errors.New("is not a regular file")

// irregular is the error of a path to upload that leads to no regular file.
func irregular(path string, info os.FileInfo) error {
	return fmt.Errorf("packagecloud: %s %w but %s", path, errIrregular, kindOf(info.Mode()))
}
