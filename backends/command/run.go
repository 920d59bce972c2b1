package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

const (
	maxOutput = 1 << 20
	maxStderr = 2 << 10

	// minStruck is the shortest word of the output that is struck out of
	// standard error. Shorter ones are no tokens.
	minStruck = 8

	// waitDelay is how long a process that has left the helper's group may hold
	// on to its output.
	waitDelay = time.Second
)

// run returns what the command printed.
func (s *Source) run(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, s.errorf(tokensource.ErrUnavailable, err, "the caller's context ended")
	}
	timeout := cmp.Or(s.options.Timeout, defaultTimeout)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	cmd := exec.CommandContext(limited, s.argv[0], s.argv[1:]...)
	cmd.Env = append(os.Environ(), s.env()...)
	cmd.WaitDelay = waitDelay
	stdout := &head{stop: cancel}
	cmd.Stdout = stdout
	var stderr tail
	if s.options.ShowStderr {
		cmd.Stderr = &stderr
	}
	err := runIsolated(cmd)
	said := func() string { return s.said(stderr.kept, stdout.kept) }
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case stdout.full:
		return nil, s.errorf(tokensource.ErrInvalid, nil, "the command printed more than 1 MiB and was killed; expected a token")
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		// It ended well and within its time; what it left behind doesn't
		// count.
		if len(stdout.kept) == 0 {
			return nil, s.errorf(tokensource.ErrNotFound, nil, "the command succeeded and printed nothing, by which a helper says that it has no token")
		}
		return stdout.kept, nil
	case ctx.Err() != nil:
		return nil, s.errorf(tokensource.ErrUnavailable, ctx.Err(), "the caller's context ended before the command did, which was killed%s", said())
	case limited.Err() != nil:
		return nil, s.errorf(tokensource.ErrUnavailable, limited.Err(), "the command ran for more than %v and was killed%s", timeout, said())
	case exited && exit.Exited():
		return nil, s.errorf(tokensource.ErrUnavailable, err, "the command failed with exit status %d; run it by hand to see why%s", exit.ExitCode(), said())
	case exited:
		// The state is "signal: killed" or the like.
		return nil, s.errorf(tokensource.ErrUnavailable, err, "the command was ended by a %v%s", exit.ProcessState, said())
	case errors.Is(err, exec.ErrDot):
		return nil, s.errorf(tokensource.ErrInvalid, err, "the program was found in the working directory only, where none is run from; spell it with ./ before it")
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return nil, s.errorf(tokensource.ErrInvalid, err, "there is no such program; install it, or correct its name or PATH")
	case errors.Is(err, syscall.ENOEXEC):
		return nil, s.errorf(tokensource.ErrInvalid, err, "the program is not one for this machine; if it is a script, begin it with #! and an interpreter")
	case errors.Is(err, fs.ErrPermission):
		return nil, s.errorf(tokensource.ErrDenied, err, "the program may not be executed")
	}
	return nil, s.errorf(tokensource.ErrUnavailable, err, "the command could not be run")
}

func (s *Source) errorf(kind, cause error, format string, args ...any) error {
	return tokensource.NewError(s.String(), kind, fmt.Sprintf(format, args...), cause)
}

// said returns what the helper wrote to standard error, fit to be shown, or "".
func (s *Source) said(stderr, stdout []byte) string {
	text := string(stderr)
	for word := range strings.FieldsFuncSeq(string(stdout), isDelimiter) {
		if len(word) >= minStruck {
			text = strings.ReplaceAll(text, word, "[redacted]")
		}
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	for i, word := range words {
		if sourcekit.HoldsToken(word) {
			words[i] = "[redacted]"
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "; it said: " + strings.Join(words, " ")
}

// isDelimiter tells where the words end in a helper's output, JSON or not.
func isDelimiter(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`"{},:=`, r) }

// head keeps what is written to it up to maxOutput, and calls stop beyond.
type head struct {
	kept []byte
	full bool
	stop func()
}

func (h *head) Write(p []byte) (int, error) {
	if len(h.kept)+len(p) > maxOutput {
		h.full = true
		h.stop()
		return 0, errors.New("too much output")
	}
	h.kept = append(h.kept, p...)
	return len(p), nil
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if cut := len(t.kept) - maxStderr; cut > 0 {
		// From the next word on, so that no end of a secret is left.
		t.kept = t.kept[cut:]
		if i := bytes.IndexAny(t.kept, " \t\r\n"); i >= 0 {
			t.kept = bytes.Clone(t.kept[i:])
		} else {
			t.kept = nil
		}
	}
	return len(p), nil
}
