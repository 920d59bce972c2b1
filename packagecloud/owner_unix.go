//go:build unix

package packagecloud

import (
	"io/fs"
	"os"
	"syscall"
)

// isOwn reports whether this process's user owns the file.
func isOwn(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// inheritGroup gives f the group of the file that it replaces, and reports
// whether it has it.
func inheritGroup(f *os.File, info, replaced fs.FileInfo) bool {
	now, ok := info.Sys().(*syscall.Stat_t)
	before, known := replaced.Sys().(*syscall.Stat_t)
	return ok && known && (now.Gid == before.Gid || f.Chown(-1, int(before.Gid)) == nil)
}
