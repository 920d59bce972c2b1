//go:build unix

package packagecloud_test

import (
	"os/signal"
	"syscall"
)

// limitFileSize lets this process write no file beyond that many bytes.
func limitFileSize(bytes uint64) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	set(&limit.Cur, bytes)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

// set assigns to a field that is signed on some systems.
func set[T int64 | uint64](field *T, value uint64) { *field = T(value) }
