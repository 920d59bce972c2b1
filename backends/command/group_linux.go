package command

import (
	"os/exec"
	"syscall"
)

// awaitExit waits until the command has ended, and leaves it to Wait. Until then
// its number belongs to no other process, nor to another group. It reports whether
// the system can do that.
func awaitExit(cmd *exec.Cmd) bool {
	const byPid = 1 // P_PID
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPid, uintptr(cmd.Process.Pid), 0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return errno == 0
		}
	}
}
