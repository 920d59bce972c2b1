//go:build !unix

package command

import "os/exec"

// runIsolated runs the command. Go's standard library has no means to end what the
// command has started.
func runIsolated(cmd *exec.Cmd) error { return cmd.Run() }
