//go:build unix

package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/packagecloud-go/sdk/tokensource"
)

// maxLinks is how many symbolic links the system follows, more or less.
const maxLinks = 40

// checkOwner refuses an open file of another user: its token would be that user's.
func (s *Source) checkOwner(info fs.FileInfo) error {
	if uid, me := ownerOf(info), os.Geteuid(); uid != me {
		return s.errorf(tokensource.ErrInvalid, nil,
			"the file belongs to user %d and this process runs as user %d; run it as the file's owner, or write a file of its own", uid, me)
	}
	return nil
}

// checkFolders refuses a path where another user could put another file: the
// folder that it names, and those of the files that its symbolic links lead to.
func (s *Source) checkFolders(path string) error {
	for range maxLinks {
		dir := folderOf(path)
		info, err := os.Stat(dir)
		if err != nil {
			return s.folderError(err)
		}
		if uid := ownerOf(info); uid != 0 && uid != os.Geteuid() {
			return s.errorf(tokensource.ErrInvalid, nil,
				"its folder %s belongs to user %d, who can replace the file; keep it in a folder of your own", dir, uid)
		}
		if info.Mode().Perm()&0o022 != 0 {
			return s.errorf(tokensource.ErrInvalid, nil,
				"the mode %s of its folder %s lets group or others replace the file; take that from them with chmod go-w", mode(info), dir)
		}
		target, err := os.Readlink(path)
		switch {
		case errors.Is(err, syscall.EINVAL): // it is no link
			return nil
		case err != nil:
			return s.folderError(err)
		}
		if filepath.IsAbs(target) {
			path = target
		} else {
			path = dir + "/" + target
		}
	}
	return s.errorf(tokensource.ErrInvalid, nil, "more than %d symbolic links lead to the file; point one at it", maxLinks)
}

// folderOf returns the path of a file's folder as it is spelled. To clean it would
// cut ".." off together with a link before it, which leads elsewhere.
func folderOf(path string) string {
	switch i := strings.LastIndexByte(path, '/'); i {
	case -1:
		return "."
	case 0:
		return "/"
	default:
		return path[:i]
	}
}

func (s *Source) folderError(err error) error {
	return s.errorf(tokensource.ErrUnavailable, err, "the folder of the file can't be looked at%s", reason(err))
}

// ownerOf returns the number of a file's owner, or -1.
func ownerOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}
