package env_test

import (
	"context"
	"errors"
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

func TestSource_Conforms(t *testing.T) {
	const name = "PACKAGECLOUD_GO_TEST_TOKEN"
	unset(t, name)
	tokensourcetest.Run(t, tokensourcetest.Backend{
		New:    func(*testing.T) tokensource.TokenSource { return env.New(name) },
		Set:    func(t *testing.T, value string) { set(t, name, value) },
		Remove: func(t *testing.T) { os.Unsetenv(name) },
	})
}

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

func TestSource_RefusesImpossibleNames(t *testing.T) {
	for _, name := range []string{"", "A=B", "A\x00"} {
		if _, err := env.New(name).Token(t.Context()); !errors.Is(err, tokensource.ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", name, err)
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
	for _, source := range []*env.Source{env.New(), env.New("A"), env.New("A", "B,C", "D E")} {
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
		"env:A=B":     "column 1: env:A=B: the name of a variable can't hold =",
	} {
		if _, err := backends.Parse(spec, env.Opener()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", spec, err, want)
		}
	}
}
