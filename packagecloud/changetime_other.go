//go:build !(aix || darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris)

package packagecloud

import "os"

// changeTime is nil where the system keeps no time that programs can't set.
func changeTime(os.FileInfo) any { return nil }
