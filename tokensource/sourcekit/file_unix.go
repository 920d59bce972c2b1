//go:build unix

package sourcekit

import "syscall"

// openFlags keep the opening of a FIFO from waiting for its writer, and a terminal
// from becoming the process's own.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY
