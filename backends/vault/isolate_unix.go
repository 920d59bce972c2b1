//go:build unix

package vault

import (
	"os/exec"
	"syscall"
)

// isolate runs the command in a session of its own, which ends with its time. The
// function that it returns ends what the command left behind.
func isolate(cmd *exec.Cmd) (end func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = kill
	return func() {
		if cmd.Process != nil {
			kill()
		}
	}
}
