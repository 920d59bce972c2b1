package env_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

const (
	first  = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"
	second = "00112233445566778899aabbccddeeff0011223344556677"
)

// unset makes sure that a variable isn't there, and restores it afterwards.
func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "")
	os.Unsetenv(name)
}

// set stores a value that [tokensourcetest.Run] asks for.
func set(t *testing.T, name, value string) {
	t.Helper()
	if strings.ContainsRune(value, 0) {
		t.Skip("an environment variable can't hold a zero byte")
	}
	if err := os.Setenv(name, value); err != nil {
		t.Fatal(err)
	}
}

// Guarantee B1.
func TestSource_Conforms(t *testing.T) {
	const name = "PACKAGECLOUD_GO_TEST_TOKEN"
	unset(t, name)
	tokensourcetest.Run(t, tokensourcetest.Backend{
		New:    func(*testing.T) tokensource.TokenSource { return env.New(name) },
		Set:    func(t *testing.T, value string) { set(t, name, value) },
		Remove: func(t *testing.T) { os.Unsetenv(name) },
	})
}

// Guarantee B1.
func TestSource_ReadsPackagecloudTokenByDefault(t *testing.T) {
	t.Setenv("PACKAGECLOUD_TOKEN", first)
	for _, source := range []*env.Source{env.New(), {}} {
		tok, err := source.Token(t.Context())
		if err != nil || tok.Reveal() != first {
			t.Errorf("got fingerprint %q and error %v", tok.Fingerprint(), err)
		}
		if got := tok.Metadata().Origin; got != "env:PACKAGECLOUD_TOKEN" || source.String() != got {
			t.Errorf("the origin is %q and the spelling %q", got, source)
		}
	}
}

// Guarantee B1.
func TestSource_FirstSetVariableWins(t *testing.T) {
	source := env.New("T_ONE", "T_TWO", "T_THREE")
	unset(t, "T_ONE")
	t.Setenv("T_TWO", "")
	t.Setenv("T_THREE", first)
	tok, err := source.Token(t.Context())
	if err != nil || tok.Reveal() != first || tok.Metadata().Origin != "env:T_THREE" {
		t.Errorf("got %q from %q, error %v; want what T_THREE holds", tok.Fingerprint(), tok.Metadata().Origin, err)
	}
	t.Setenv("T_TWO", second)
	tok, err = source.Token(t.Context())
	if err != nil || tok.Reveal() != second || tok.Metadata().Origin != "env:T_TWO" {
		t.Errorf("got %q from %q, error %v; want what T_TWO holds", tok.Fingerprint(), tok.Metadata().Origin, err)
	}
}

// Guarantee B1.
func TestSource_MalformedVariableIsNotPassedOver(t *testing.T) {
	t.Setenv("T_ONE", "user:"+first)
	t.Setenv("T_TWO", second)
	_, err := env.New("T_ONE", "T_TWO").Token(t.Context())
	if !errors.Is(err, tokensource.ErrInvalid) || !strings.Contains(err.Error(), "env:T_ONE: ") {
		t.Errorf("got %v, want ErrInvalid from env:T_ONE", err)
	}
	tokensourcetest.AssertNoSecret(t, err, first, second)
}

func TestSource_NotFoundNamesTheVariables(t *testing.T) {
	unset(t, "T_ONE")
	t.Setenv("T_TWO", "")
	for names, source := range map[string]*env.Source{
		"variable T_ONE is":          env.New("T_ONE"),
		"variable T_TWO is":          env.New("T_TWO"),
		"variables T_ONE, T_TWO are": env.New("T_ONE", "T_TWO"),
	} {
		_, err := source.Token(t.Context())
		if !errors.Is(err, tokensource.ErrNotFound) || !strings.Contains(err.Error(), names) {
			t.Errorf("got %v, want ErrNotFound with %q", err, names)
		}
	}
}

func TestSource_EndedContextFindsNoToken(t *testing.T) {
	t.Setenv("T_ONE", first)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if tok, err := env.New("T_ONE").Token(ctx); !errors.Is(err, context.Canceled) || !tok.IsZero() {
		t.Errorf("got %v, %v, want context.Canceled", tok, err)
	}
}

func TestSource_TokenInPlaceOfItsNameIsNotRepeated(t *testing.T) {
	source := env.New(first)
	tokensourcetest.AssertNoSecret(t, source.String(), first)
	_, err := source.Token(t.Context())
	tokensourcetest.AssertNoSecret(t, err, first)
	if !errors.Is(err, tokensource.ErrInvalid) || !strings.Contains(err.Error(), "looks like a token") {
		t.Errorf("got %v, want ErrInvalid that says so", err)
	}
}

// slips has names that no variable has, and what the error says of each.
var slips = map[string]string{
	"":               "is empty",
	"A=B":            "can't hold =",
	"A\x00":          "doesn't print",
	"A\xff":          "doesn't print",
	"$A":             `'$' is no part of a variable's name; write the name alone, env:NAME`,
	"${A}":           `'$' is`,
	"$(A)":           `'$' is`,
	"$env:A":         `'$' is`,
	"{{A}}":          `'{' is`,
	"%A%":            `'%' is`,
	"//A":            `'/' is no part of a variable's name; write env:NAME without slashes, or file:PATH for a file`,
	"/run/secrets/a": `'/' is`,
	`C:\token`:       `':' is`,
	"A;file:/y":      `';' is no part of a variable's name; write the name alone, env:NAME, and a comma between two elements`,
	"A;B":            `';' is`,
	"A|B":            `'|' is`,
	"A,B":            `',' is`,
	"A:B":            `':' is`,
	"env:A":          `':' is`,
	"A B":            "white space is no part of a variable's name",
	"A ":             "white space",
	"A\n":            "white space",
	"A\tB":           "white space",
	`"A"`:            "'\"' is",
	"'A":             `'\'' is`,
	"A`":             "'`' is",
	"“A”":            "'“' is",
	"A#token":        "'#' is",
	"A?b":            "'?' is",
	"<NAME>":         "'<' is",
	"A*":             "'*' is",
	"A&B":            "'&' is",
	"A，B":            "'，' is",
}

// Guarantee C1.
func TestSource_RefusesImpossibleNames(t *testing.T) {
	t.Setenv("T_SET", first)
	for name, says := range slips {
		for _, source := range []*env.Source{env.New(name), env.New("T_SET", name)} {
			_, err := source.Token(t.Context())
			if !errors.Is(err, tokensource.ErrInvalid) || !strings.Contains(fmt.Sprint(err), says) {
				t.Errorf("%q: got %v, want ErrInvalid with %q", name, err, says)
			}
		}
		if name == "" {
			continue
		}
		spec := backends.Spec{Scheme: "env", Name: name}.String()
		_, err := backends.Parse("env:T_SET,"+spec, env.Opener())
		if !errors.Is(err, tokensource.ErrInvalid) || !strings.Contains(fmt.Sprint(err), "element 2 of 2, column 15: ") || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: got %v, want ErrInvalid that points at the name and says %q", spec, err, says)
		}
	}
}

// Guarantee C1.
func TestParse_SlipInAnElementDoesNotSelectTheNext(t *testing.T) {
	t.Setenv("T_OLD", first)
	unset(t, "T_X")
	for _, slip := range []string{
		"env://T_X", "env:$T_X", "env:${T_X}", "env:%T_X%", "env:T_X;env:T_Y", "env:T_X=abc", "env:T_X env:T_Y", "env:T_X\n",
		"env:'T_X'", `"env:T_X"`, "env:T_X|env:T_Y", "env:T%20X", "ENV:T_X", "env:env:T_X", "env:T_X;",
	} {
		source, err := backends.Parse(slip+",env:T_OLD", env.Opener())
		if source != nil || !errors.Is(err, tokensource.ErrInvalid) {
			t.Errorf("%s: got %v, %v, want ErrInvalid", slip, source, err)
		}
	}
	source, err := backends.Parse("env:T_X,env:T_OLD", env.Opener())
	if err != nil {
		t.Fatal(err)
	}
	if tok, err := source.Token(t.Context()); err != nil || tok.Reveal() != first {
		t.Errorf("a variable that isn't set: got %v, want the next one's token", err)
	}
}

func TestSource_ReadsNamesThatCanBe(t *testing.T) {
	for _, name := range []string{"my-token", "my.token", "npm_token", "a+b", "a@b", "größe", "日本", "ProgramFiles(x86)", "1", "-"} {
		t.Setenv(name, first)
		source, err := backends.Parse("env:"+name, env.Opener())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if tok, err := source.Token(t.Context()); err != nil || tok.Reveal() != first || tok.Metadata().Origin != "env:"+name {
			t.Errorf("%s: got %v from %s", name, err, tok.Metadata().Origin)
		}
	}
}

// A value in the place of a name is not repeated, whatever it looks like.
func TestSource_ValueAfterANameIsNotRepeated(t *testing.T) {
	for _, value := range []string{"hunter2-sekrit", first, "c2VjcmV0LXRva2Vu==", "short123", "a b-sekrit,x", "$sekrit-value"} {
		for _, text := range []string{"DEPLOY_KEY=" + value, "$DEPLOY_KEY=" + value, value + "="} {
			_, err := backends.Parse("env:T_X,env:"+text, env.Opener())
			if !errors.Is(err, tokensource.ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
			tokensourcetest.AssertNoSecret(t, err, value)
			source := env.New(text)
			_, err = source.Token(t.Context())
			tokensourcetest.AssertNoSecret(t, err, value)
			if strings.Contains(source.String(), value) {
				t.Error("the source spells the value")
			}
		}
	}
}

func TestNew_KeepsItsOwnNames(t *testing.T) {
	t.Setenv("T_ONE", first)
	names := []string{"T_ONE"}
	source := env.New(names...)
	names[0] = "T_TWO"
	if _, err := source.Token(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpener_RoundTrips(t *testing.T) {
	for _, source := range []*env.Source{env.New(), env.New("A"), env.New("A", "b-c", "D.é")} {
		parsed, err := backends.Parse(source.String(), env.Opener())
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got := parsed.(interface{ String() string }).String(); got != source.String() {
			t.Errorf("%s came back as %s", source, got)
		}
	}
}

func TestOpener_RefusesWhatEnvHasNot(t *testing.T) {
	for spec, want := range map[string]string{
		"env:A#token": "column 7: env takes no field",
		"env:A?b=c":   `column 7: "env" has no option "b"; it takes none`,
		"env:A=B":     "column 5: the name of a variable can't hold =",
	} {
		if _, err := backends.Parse(spec, env.Opener()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", spec, err, want)
		}
	}
}
