// Package command takes the token from what a program prints: a credential helper
// such as op, pass or gopass. It is run without a shell, anew at every Token call;
// put it behind [tokensource.Cache].
//
// In a spec of package backends it is the command with its arguments, separated by
// spaces, which are written %20:
//
//	command:gopass%20show%20-o%20packagecloud
//	command:op%20read%20op://ci/packagecloud/token?timeout=10s
//	command:bw%20get%20item%20packagecloud#password
//
// There are neither quotes nor escapes nor variables nor pipes, and a spec with words
// that only a shell understands is refused. What needs a shell goes into a script.
// What [New] can run and a spec can't say is such a word, and an argument that is
// empty or holds white space.
//
// The arguments are shown in errors and logs, as part of the source's name. No
// secret belongs there; other users of the machine can see it there too.
//
//	file:            what it holds
//	command.go       Source and its options
//	run.go           running the program
//	isolate_unix.go  in a process group, which ends with it
//	opener.go        the spelling in a spec
//	shell.go         words that only a shell understands
package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

const defaultTimeout = 30 * time.Second

// Options tunes a [Source]. The zero value is a helper that prints the token
// alone, within 30 seconds.
type Options struct {
	// Field is the key of the token in the JSON object that the helper prints;
	// "" if it prints the token alone. It isn't a path: the object's own keys
	// are looked at, no deeper ones.
	Field string
	// Timeout is how long the helper may run. Zero is 30 seconds.
	Timeout time.Duration
	// Env adds to the environment that the helper inherits, as "NAME=value".
	// A source doesn't show it, however it is printed.
	Env []string
	// ShowStderr adds the end of what the helper writes to its standard error
	// to the errors of this source. Set it for a helper that writes no secret
	// there. What the helper wrote to its standard output is struck out, and
	// so is what looks like a token of packagecloud. Otherwise standard error
	// is discarded.
	ShowStderr bool
}

// Source runs a program. It is immutable and safe for concurrent use: every Token
// call runs its own process. Make one with [New].
type Source struct {
	argv    []string
	options Options         // without Env
	env     func() []string // a closure, so that nothing prints it
}

// New returns a source that runs argv[0] with the arguments argv[1:]. A name
// without a slash is looked for in PATH, at every run. An empty argv or name, a
// negative time limit, a malformed Env or an argument that looks like a token is
// an error.
func New(argv []string, options Options) (*Source, error) {
	fail := func(message string) (*Source, error) {
		return nil, tokensource.NewError(scheme, tokensource.ErrInvalid, message, nil)
	}
	switch {
	case len(argv) == 0 || strings.TrimSpace(argv[0]) == "":
		return fail("the command is empty; pass a program and its arguments")
	case slices.ContainsFunc(argv, sourcekit.HoldsToken), sourcekit.HoldsToken(options.Field):
		return fail("the command holds what looks like a token; pass the command that prints it")
	case slices.ContainsFunc(argv, func(s string) bool { return strings.ContainsRune(s, 0) }):
		return fail("an argument can't hold a zero byte")
	case options.Timeout < 0:
		return fail("the time limit is negative")
	}
	for i, v := range options.Env {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" || strings.ContainsRune(v, 0) {
			return fail(fmt.Sprintf("entry %d of Env is not NAME=value", i+1))
		}
	}
	env := slices.Clone(options.Env)
	options.Env = nil
	return &Source{argv: slices.Clone(argv), options: options, env: func() []string { return env }}, nil
}

// Token runs the command and returns the token that it printed. The kinds of its
// errors:
//
//   - [tokensource.ErrNotFound]: the helper succeeded and printed nothing. A
//     script says so that there is no token here, for a chain to go on.
//   - [tokensource.ErrInvalid]: there is no such program, which is not
//     ErrNotFound, so that a chain doesn't quietly go on to another token
//     because of a typing error or a PATH; or it printed no usable token, or
//     more than 1 MiB.
//   - [tokensource.ErrDenied]: the program may not be executed.
//   - [tokensource.ErrUnavailable]: the helper failed, with its exit status in
//     the error, or ran out of time. Why it failed is known to the helper alone;
//     a retry may help.
//
// When ctx or the time limit ends, the helper is killed. On Unix the processes that
// it started are killed with it, and so they are when the helper ends by itself,
// unless they have left its process group, as a daemon does. One that has left the
// group and holds on to the helper's output delays the answer by a second at most.
// On Windows only the helper itself is killed, and what it started goes on: run
// there a helper that starts nothing, or one that waits for what it started. The
// helper's standard input is empty, and on Unix it has no terminal to ask for a
// password.
//
// What the helper printed is never part of an error.
func (s *Source) Token(ctx context.Context) (tokensource.Token, error) {
	output, err := s.run(ctx)
	if err != nil {
		return tokensource.Token{}, err
	}
	secret, err := sourcekit.Field(s.options.Field).Read(output)
	if e, ok := errors.AsType[*tokensource.Error](err); ok {
		return tokensource.Token{}, s.errorf(e.Kind, e, "%s", e.Message)
	}
	return tokensource.NewToken(secret, tokensource.Metadata{Origin: s.String()})
}

// String spells the source as package backends reads it, except that Env has no
// spelling, that arguments with white space read as several, and that words for a
// shell are refused there.
func (s *Source) String() string {
	spec := backends.Spec{Scheme: scheme, Name: strings.Join(s.argv, " "), Field: s.options.Field}
	options := make(map[string]string)
	if s.options.Timeout != 0 {
		options[timeoutOption] = s.options.Timeout.String()
	}
	if s.options.ShowStderr {
		options[stderrOption] = "true"
	}
	spec.Options = options
	return spec.String()
}
