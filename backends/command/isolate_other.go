//go:build !unix

package command

import "os/exec"

func isolate(*exec.Cmd) {}
