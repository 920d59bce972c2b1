package command_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/command"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// Guarantee C1.
func TestOpener_RefusesWhatOnlyAShellUnderstands(t *testing.T) {
	for words, says := range map[string]string{
		"op read x | head":               "word 4 is an operator of a shell; write a script",
		"op read x && true":              "word 4 is an operator",
		"op read x || true":              "word 4 is an operator",
		"op read x ; true":               "word 4 is an operator",
		"op read x; true":                "word 3 is an operator",
		"op read x > /tmp/y":             "word 4 is an operator",
		"op read x 2>/dev/null":          "word 4 is an operator",
		"op read x 2>&1":                 "word 4 is an operator",
		"op read < /run/x":               "word 3 is an operator",
		"op read x &":                    "word 4 is an operator",
		"( op read x )":                  "word 1 is an operator",
		"sh -c 'op read x' y":            "word 3 has a quote of a shell",
		`sh -c "op read x" y`:            "word 3 has a quote of a shell",
		"cat `op read x`":                "word 2 has a quote",
		"cat $(op read x)":               "word 2 is for a shell to expand",
		"echo $TOKEN":                    "word 2 is for a shell to expand",
		"echo ${TOKEN}":                  "word 2 is for a shell to expand",
		"op read op://ci/${ITEM}/x":      "word 3 is for a shell to expand",
		"cat ~/token":                    "word 2 is for a shell to expand",
		"~/bin/token":                    "word 1 is for a shell to expand",
		"OP_TOKEN=hunter2-sekrit op x":   "word 1 sets a variable; set it for this program",
		"OP_TOKEN='hunter2-sekrit' op x": "word 1 sets a variable",
	} {
		spec := backends.Spec{Scheme: "command", Name: words}.String()
		_, err := backends.Parse(spec, command.Opener())
		if !errors.Is(err, tokensource.ErrInvalid) || !strings.Contains(fmt.Sprint(err), "column 9: the command is run without a shell, and "+says) {
			t.Errorf("%s: got %v, want ErrInvalid that points at the name and says %q", spec, err, says)
		}
		tokensourcetest.AssertNoSecret(t, err, "hunter2-sekrit")
	}
	for spec, says := range map[string]string{
		"command://op%20read":      "a source is no URL; write it without //, such as command:op%20read%20REFERENCE",
		"command:op read x":        "a space; remove it, or write %20",
		"command:'op%20read'":      "a quote",
		"command:op?timeout=":      "a positive duration",
		"command:op?shell=true":    `no option "shell"`,
		"command:op;env:X":         "separate them by a comma alone",
		"command:op%20x?timeout=5": "a positive duration",
	} {
		if _, err := backends.Parse(spec, command.Opener()); !errors.Is(err, tokensource.ErrInvalid) || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: got %v, want ErrInvalid with %q", spec, err, says)
		}
	}
}

func TestOpener_TakesWordsThatNeedNoShell(t *testing.T) {
	for _, words := range []string{
		"op read op://ci/packagecloud/token?attribute=x&y=z", "gopass show -o a|b", "jq -r .a|.b /f", "cat /run/it's", "grep x$ /f",
		"bw get item --format={{.}}", "x -f a=b", "/a$b/c", "x ~user", "x -", `cat C:\x`,
	} {
		spec := backends.Spec{Scheme: "command", Name: words}.String()
		if _, err := backends.Parse(spec, command.Opener()); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
}
