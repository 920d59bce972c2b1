//go:build !unix

package packagecloud_test

import "errors"

func mkfifo(string) error { return errors.ErrUnsupported }
