//go:build unix

package conjur

import "syscall"

const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY
