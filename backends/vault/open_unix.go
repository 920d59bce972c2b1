//go:build unix

package vault

import "syscall"

// openFlags keep the opening of a pipe from waiting for its writer.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY
