//go:build !unix

package packagecloud_test

import "errors"

func limitFileSize(uint64) error { return errors.ErrUnsupported }
