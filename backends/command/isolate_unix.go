//go:build unix

package command

import (
	"os"
	"os/exec"
	"syscall"
)

// runIsolated runs the command in a session of its own, so that it has no terminal.
// All of its process group is killed when the command ends or is to end: nobody
// else looks after what a helper left behind, which may hold the token.
func runIsolated(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error {
		err := killGroup(cmd)
		if err == syscall.ESRCH {
			return os.ErrProcessDone
		}
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := awaitExit(cmd)
	if ended {
		killGroup(cmd) // before Wait, which would wait for those who hold the output
	}
	err := cmd.Wait()
	if !ended {
		killGroup(cmd)
	}
	return err
}

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
