package command_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/command"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

const (
	first  = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"
	second = "00112233445566778899aabbccddeeff0011223344556677"
)

func newCommand(t *testing.T, options command.Options, argv ...string) *command.Source {
	t.Helper()
	s, err := command.New(argv, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNew_RefusesWhatCannotRun(t *testing.T) {
	for name, test := range map[string]struct {
		argv    []string
		options command.Options
		want    string
	}{
		"no command":     {nil, command.Options{}, "the command is empty"},
		"empty name":     {[]string{"", "x"}, command.Options{}, "the command is empty"},
		"white name":     {[]string{" "}, command.Options{}, "the command is empty"},
		"token":          {[]string{"echo", first}, command.Options{}, "looks like a token"},
		"token inside":   {[]string{"curl", "-u", first + ":"}, command.Options{}, "looks like a token"},
		"token as field": {[]string{"op"}, command.Options{Field: first}, "looks like a token"},
		"zero byte":      {[]string{"a", "b\x00"}, command.Options{}, "zero byte"},
		"time limit":     {[]string{"a"}, command.Options{Timeout: -1}, "negative"},
		"variable":       {[]string{"a"}, command.Options{Env: []string{"A=b", "C"}}, "entry 2 of Env is not NAME=value"},
		"no variable":    {[]string{"a"}, command.Options{Env: []string{"=canary-0815"}}, "entry 1 of Env"},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := command.New(test.argv, test.options)
			if !errors.Is(err, tokensource.ErrInvalid) || source != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New = %v, %v, want ErrInvalid with %q", source, err, test.want)
			}
			tokensourcetest.AssertNoSecret(t, err, first, "canary-0815")
		})
	}
}

func TestOpener_RoundTrips(t *testing.T) {
	for want, source := range map[string]*command.Source{
		"command:pass%20show%20packagecloud":            newCommand(t, command.Options{}, "pass", "show", "packagecloud"),
		"command:op%20read%20op://ci/x%3Fattribute=otp": newCommand(t, command.Options{}, "op", "read", "op://ci/x?attribute=otp"),
		"command:bw%20get?stderr=true&timeout=1m30s#a%23b": newCommand(t, command.Options{
			Field: "a#b", Timeout: 90 * time.Second, ShowStderr: true}, "bw", "get"),
	} {
		if got := source.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
		parsed, err := backends.Parse(want, command.Opener())
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if got := parsed.(*command.Source).String(); got != want {
			t.Errorf("%q came back as %q", want, got)
		}
	}
}

func TestOpener_RefusesWhatItDoesNotKnow(t *testing.T) {
	for spec, want := range map[string]string{
		"command:op?timeuot=1s": `column 12: "command" has no option "timeuot"; did you mean "timeout"?`,
		"command:op?timeout=10": "column 12: a timeout is a positive duration",
		"command:op?timeout=0s": "column 12: a timeout is a positive duration",
		"command:op?stderr=yes": `option "stderr" is true or false`,
		"command:%20":           "the command is empty",
		"command:op read":       "column 11: a space; remove it, or write %20",
	} {
		if source, err := backends.Parse(spec, command.Opener()); err == nil || source != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want %q", spec, source, err, want)
		}
	}
}

func TestSource_MissingProgramIsInvalidSoThatNoChainPassesItOver(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, program := range []string{"no-such-program", "./no-such-program", "/nowhere/no-such-program"} {
		_, err := newCommand(t, command.Options{}, program).Token(t.Context())
		if !errors.Is(err, tokensource.ErrInvalid) || errors.Is(err, tokensource.ErrNotFound) || !strings.Contains(err.Error(), "no such program") {
			t.Errorf("%s: got %v, want ErrInvalid", program, err)
		}
	}
}
