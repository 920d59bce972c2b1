//go:build darwin || freebsd || netbsd

package packagecloud

import (
	"os"
	"syscall"
)

// changeTime is when the system last changed the file or what it notes of it. No
// program can set it back. Nil if info has none; two of them compare by ==.
func changeTime(info os.FileInfo) any {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ctimespec
	}
	return nil
}
