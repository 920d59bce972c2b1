//go:build unix

package command_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/command"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// long is the life of a process that is to be killed, and far above patience.
const (
	long     = "300"
	patience = 60 * time.Second
)

// script returns a source that runs a shell script, which finds the tokens in
// its environment.
func script(t *testing.T, options command.Options, text string) *command.Source {
	t.Helper()
	options.Env = append(options.Env, "FIRST="+first, "SECOND="+second)
	return newCommand(t, options, "/bin/sh", "-c", text)
}

func assertToken(t *testing.T, source *command.Source, want string) {
	t.Helper()
	tok, err := source.Token(t.Context())
	if err != nil {
		t.Fatalf("Token: %v", err)
	}
	if tok.Reveal() != want {
		t.Fatalf("got a token of fingerprint %s, want another", tok.Fingerprint())
	}
}

func assertError(t *testing.T, source *command.Source, kind error, message string) error {
	t.Helper()
	tok, err := source.Token(t.Context())
	if !errors.Is(err, kind) || !tok.IsZero() {
		t.Fatalf("got token %v and error %v, want %v", tok, err, kind)
	}
	if !strings.Contains(err.Error(), message) {
		t.Errorf("got %v, want %q in it", err, message)
	}
	if e, _ := errors.AsType[*tokensource.Error](err); e == nil || e.Source != source.String() {
		t.Errorf("the error %v doesn't name %v as its source", err, source)
	}
	tokensourcetest.AssertNoSecret(t, err, first, second)
	return err
}

func TestSource_Conforms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	set := func(t *testing.T, value string) {
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tokensourcetest.Run(t, tokensourcetest.Backend{
		New:    func(t *testing.T) tokensource.TokenSource { return newCommand(t, command.Options{}, "cat", path) },
		Set:    set,
		Remove: func(t *testing.T) { set(t, "") },
	})
}

// Guarantee B3.
func TestSource_RunsWithoutAShell(t *testing.T) {
	assertToken(t, newCommand(t, command.Options{}, "printf", "%s", "$HOME;`id`*'\""), "$HOME;`id`*'\"")
}

func TestSource_SpecSplitsTheCommandAtSpaces(t *testing.T) {
	source, err := backends.Parse("command:printf%20%25s%25s%20abc%20def", command.Opener())
	if err != nil {
		t.Fatal(err)
	}
	assertToken(t, source.(*command.Source), "abcdef")
}

func TestSource_ReadsAFieldOfJSON(t *testing.T) {
	assertToken(t, script(t, command.Options{Field: "password"}, `printf '{"id":1,"password":"%s"}\n' $FIRST`), first)
	assertError(t, script(t, command.Options{}, `printf '{"password":"%s"}\n' $FIRST`), tokensource.ErrInvalid, "looks like a JSON object; name the field")
}

// Guarantee K1.
func TestSource_PassesTheEnvironmentOn(t *testing.T) {
	t.Setenv("COMMAND_TEST_INHERITED", first)
	assertToken(t, newCommand(t, command.Options{}, "printenv", "COMMAND_TEST_INHERITED"), first)
	source := newCommand(t, command.Options{Env: []string{"COMMAND_TEST_INHERITED=" + second}}, "printenv", "COMMAND_TEST_INHERITED")
	assertToken(t, source, second)
	tokensourcetest.AssertNoSecret(t, source, second)
}

// Guarantee B3.
func TestSource_SaysTheExitStatusAndNothingThatWasPrinted(t *testing.T) {
	const canary = "canary-of-standard-error"
	source := script(t, command.Options{Env: []string{"CANARY=" + canary}}, `echo $FIRST; echo $SECOND $CANARY >&2; exit 3`)
	err := assertError(t, source, tokensource.ErrUnavailable, "exit status 3")
	tokensourcetest.AssertNoSecret(t, err, canary)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 {
		t.Errorf("errors.As doesn't reach the exit status of %v", err)
	}
}

func TestSource_SaysTheSignalThatEndedTheHelper(t *testing.T) {
	assertError(t, script(t, command.Options{}, `echo $FIRST; kill -TERM $$`), tokensource.ErrUnavailable, "signal: terminated")
}

// Guarantee B3.
func TestSource_ShowsStandardErrorWhenAsked(t *testing.T) {
	show := command.Options{ShowStderr: true}
	for _, test := range []struct{ name, script, want string }{
		{"plain", `printf 'not signed in;\n\trun\033[31m op signin\n' >&2; exit 1`, "exit status 1; run it by hand to see why; it said: not signed in; run [31m op signin"},
		{"what was printed", `echo 'Zx9-sekrit.value'; echo "got Zx9-sekrit.value, sorry" >&2; exit 1`, "it said: got [redacted], sorry"},
		{"what was printed as JSON", `echo '{"token":"Zx9-sekrit.value"}'; echo "got Zx9-sekrit.value, sorry" >&2; exit 1`, "it said: got [redacted], sorry"},
		{"a token", `echo "bad token $SECOND: sorry" >&2; exit 1`, "it said: bad token [redacted] sorry"},
		{"nothing", `exit 1`, "to see why"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := assertError(t, script(t, show, test.script), tokensource.ErrUnavailable, test.want)
			e, _ := errors.AsType[*tokensource.Error](err)
			tokensourcetest.AssertNoSecret(t, e.Message, "Zx9-sekrit.value")
			if strings.ContainsAny(err.Error(), "\n\t\x1b") || test.name == "nothing" && strings.Contains(err.Error(), "it said") {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

func TestSource_ShowsTheEndOfMuchStandardError(t *testing.T) {
	source := script(t, command.Options{ShowStderr: true}, `i=0; while [ $i -lt 2000 ]; do echo "line $i $SECOND" >&2; i=$((i+1)); done; echo the end >&2; exit 1`)
	err := assertError(t, source, tokensource.ErrUnavailable, "the end")
	if n := len(err.Error()); n > 3000 {
		t.Errorf("the error has %d bytes", n)
	}
	// Not even a part of the first token that was cut off.
	tokensourcetest.AssertNoSecret(t, err, second[len(second)-8:])
}

func TestSource_BoundsTheOutput(t *testing.T) {
	for name, text := range map[string]string{
		"endless":       `while :; do echo $FIRST; done`,
		"then it hangs": `head -c 1048577 /dev/zero; sleep ` + long,
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func() {
				assertError(t, script(t, command.Options{Timeout: 2 * patience}, text), tokensource.ErrInvalid, "more than 1 MiB")
			})
		})
	}
}

func TestSource_PrintingNothingIsNotFound(t *testing.T) {
	assertError(t, newCommand(t, command.Options{}, "true"), tokensource.ErrNotFound, "printed nothing")
	assertError(t, newCommand(t, command.Options{}, "echo"), tokensource.ErrInvalid, "the token is empty")
	assertError(t, newCommand(t, command.Options{}, "false"), tokensource.ErrUnavailable, "exit status 1")
}

func TestSource_ProgramThatCannotRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	assertError(t, newCommand(t, command.Options{}, write("garbage", "\x01\x02", 0o700)), tokensource.ErrInvalid, "not one for this machine")
	assertError(t, newCommand(t, command.Options{}, write("script", "#!/nowhere/sh\n", 0o700)), tokensource.ErrInvalid, "no such program")

	write("helper", "#!/bin/sh\necho $FIRST\n", 0o700)
	t.Chdir(dir)
	t.Setenv("PATH", ".")
	assertError(t, newCommand(t, command.Options{}, "helper"), tokensource.ErrInvalid, "spell it with ./ before it")
	assertToken(t, newCommand(t, command.Options{Env: []string{"FIRST=" + first}}, "./helper"), first)
}

// within fails t if f, which kills processes, takes about as long as they live.
func within(t *testing.T, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > patience {
		t.Errorf("it took %v", took)
	}
}

// processes are those a script starts: each writes its number to a file.
func processes(t *testing.T) (options command.Options, wait func(n int) []int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pids")
	return command.Options{Env: []string{"PIDS=" + path}}, func(n int) []int {
		t.Helper()
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			data, _ := os.ReadFile(path)
			if lines := strings.Fields(string(data)); len(lines) == n && strings.HasSuffix(string(data), "\n") {
				pids := make([]int, n)
				for i, line := range lines {
					pids[i], _ = strconv.Atoi(line)
				}
				return pids
			}
		}
		t.Fatalf("the script did not start its %d processes", n)
		return nil
	}
}

// assertGone waits for a process to end, or to be a zombie that only its parent
// can clear away.
func assertGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return
		}
		state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
		if err != nil || strings.HasPrefix(strings.TrimSpace(string(state)), "Z") {
			return
		}
	}
	syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("process %d is alive", pid)
}

const family = `echo $FIRST; echo $SECOND >&2; sleep ` + long + ` & echo $! >>$PIDS; echo $$ >>$PIDS; wait`

// Guarantee B3.
func TestSource_TimeLimitKillsTheHelperAndItsChildren(t *testing.T) {
	options, pids := processes(t)
	options.Timeout = 500 * time.Millisecond
	source := script(t, options, family)
	within(t, func() {
		err := assertError(t, source, tokensource.ErrUnavailable, "ran for more than 500ms and was killed")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is not DeadlineExceeded", err)
		}
	})
	for _, pid := range pids(2) {
		assertGone(t, pid)
	}
}

func TestSource_CancelKillsTheHelperAndItsChildren(t *testing.T) {
	options, pids := processes(t)
	source := script(t, options, family)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := source.Token(ctx)
		done <- err
	}()
	started := pids(2)
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "context ended before the command did") {
			t.Errorf("got %v, want context.Canceled", err)
		}
		tokensourcetest.AssertNoSecret(t, err, first, second)
	case <-time.After(patience):
		t.Error("Token waits though its context ended")
	}
	for _, pid := range started {
		assertGone(t, pid)
	}
}

func TestSource_TokenCountsThoughAChildHoldsTheOutput(t *testing.T) {
	options, pids := processes(t)
	source := script(t, options, `echo $FIRST; sleep `+long+` & echo $! >>$PIDS`)
	within(t, func() { assertToken(t, source, first) })
	assertGone(t, pids(1)[0])
}

// However the helper ends, nobody else would end its children.
//
// Guarantee B3.
func TestSource_ChildrenGoWithAHelperThatEndsByItself(t *testing.T) {
	const child = `sleep ` + long + ` %s & echo $! >>$PIDS; `
	quiet, loud := fmt.Sprintf(child, ">/dev/null 2>&1"), fmt.Sprintf(child, "")
	for name, test := range map[string]struct {
		script string
		kind   error
	}{
		"well":                     {quiet + `echo $FIRST`, nil},
		"well, output held open":   {loud + `echo $FIRST`, nil},
		"without a token":          {quiet + `true`, tokensource.ErrNotFound},
		"badly":                    {quiet + `exit 3`, tokensource.ErrUnavailable},
		"badly, output held open":  {loud + `exit 3`, tokensource.ErrUnavailable},
		"by a signal":              {quiet + `kill -9 $$`, tokensource.ErrUnavailable},
		"with a child of a child":  {`sh -c '` + quiet + `' & wait; echo $FIRST`, nil},
		"with one deaf to signals": {`trap '' HUP TERM INT; ` + quiet + `echo $FIRST`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			options, pids := processes(t)
			source := script(t, options, test.script)
			within(t, func() {
				if test.kind == nil {
					assertToken(t, source, first)
				} else {
					assertError(t, source, test.kind, "")
				}
			})
			assertGone(t, pids(1)[0])
		})
	}
}

// A daemon that has left the group holds the answer up by a second at most.
//
// Guarantee B3.
func TestSource_DaemonThatHoldsTheOutputCostsASecond(t *testing.T) {
	setsid, err := exec.LookPath("setsid")
	if err != nil {
		t.Skip("no setsid program here")
	}
	options, pids := processes(t)
	source := script(t, options, fmt.Sprintf(`%s sh -c 'echo $$ >>$PIDS; exec sleep %s' & while [ ! -s $PIDS ]; do :; done; echo $FIRST`, setsid, long))
	within(t, func() { assertToken(t, source, first) })
	syscall.Kill(pids(1)[0], syscall.SIGKILL)
}

func TestSource_ChildOutsideTheGroupDoesNotHoldUpTheError(t *testing.T) {
	setsid, err := exec.LookPath("setsid")
	if err != nil {
		t.Skip("no setsid program here")
	}
	options, pids := processes(t)
	options.Timeout = 500 * time.Millisecond
	source := script(t, options, fmt.Sprintf(`%s sh -c 'echo $$ >>$PIDS; exec sleep %s' & wait; sleep %s`, setsid, long, long))
	within(t, func() { assertError(t, source, tokensource.ErrUnavailable, "was killed") })
	syscall.Kill(pids(1)[0], syscall.SIGKILL)
}

func TestSource_HelperHasNeitherInputNorTerminal(t *testing.T) {
	assertToken(t, script(t, command.Options{}, `if read -r line || (: </dev/tty) 2>/dev/null; then echo asked; else echo $FIRST; fi`), first)
	// The leader of a session of its own has no terminal to begin with.
	assertToken(t, script(t, command.Options{}, `[ "$(ps -o sid= -p $$ | tr -d ' ')" = $$ ] && echo $FIRST`), first)
}
