//go:build unix

package command

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate gives the command a session of its own, so that it has no terminal, and
// kills all of its process group at the end.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if err == syscall.ESRCH {
			return os.ErrProcessDone
		}
		return err
	}
}
