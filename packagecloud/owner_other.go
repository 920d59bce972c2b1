//go:build !unix

package packagecloud

import (
	"io/fs"
	"os"
)

// Such a system has no owners that Go tells of: a file's mode says only whether it
// may be written to.
func isOwn(fs.FileInfo) bool { return true }

func inheritGroup(*os.File, fs.FileInfo, fs.FileInfo) bool { return true }
