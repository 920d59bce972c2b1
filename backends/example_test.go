package backends_test

import (
	"context"
	"fmt"
	"os"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/command"
	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/backends/file"
	"github.com/packagecloud-go/sdk/tokensource"
)

// A program links the backends it wants, and its environment chooses.
func ExampleParse() {
	os.Setenv("CI_TOKEN", "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687")
	defer os.Unsetenv("CI_TOKEN")

	source, err := backends.Parse("file:/nonexistent/token,env:CI_TOKEN",
		env.Opener(), file.Opener(), command.Opener())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("looking in", source)

	cached, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	tok, err := cached.Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tok, "is from", tok.Metadata().Origin)
	// Output:
	// looking in file:/nonexistent/token,env:CI_TOKEN
	// [redacted] is from env:CI_TOKEN
}

// Errors point at the fault.
func ExampleParse_spelling() {
	_, err := backends.Parse("env:CI_TOKEN,flie:/run/secrets/token", env.Opener(), file.Opener())
	fmt.Println(err)
	// Output:
	// token source: invalid: element 2 of 2, column 14: unknown scheme "flie"; did you mean "file"?
}

func ExampleSpec_String() {
	spec := backends.Spec{
		Scheme:  "awssm",
		Name:    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ci-AbCdEf",
		Options: map[string]string{"region": "eu-west-1"},
		Field:   "api token",
	}
	fmt.Println(spec)
	// Output:
	// awssm:arn:aws:secretsmanager:eu-west-1:123456789012:secret:ci-AbCdEf?region=eu-west-1#api%20token
}

// A store that has no backend here becomes one with a scheme of its own. Its
// source's String method returns the spec.
func ExampleOpener() {
	opener := backends.Opener{Scheme: "keyring", Open: func(spec backends.Spec) (tokensource.TokenSource, error) {
		if err := spec.CheckOptions(); err != nil {
			return nil, err
		}
		return keyring{spec}, nil
	}}
	source, err := backends.Parse("keyring:packagecloud?slot=2", opener)
	fmt.Println(source, err)
	source, err = backends.Parse("keyring:packagecloud", opener)
	fmt.Println(source, err)
	// Output:
	// <nil> token source: invalid: column 22: "keyring" has no option "slot"; it takes none
	// keyring:packagecloud <nil>
}

type keyring struct{ backends.Spec }

func (k keyring) Token(context.Context) (tokensource.Token, error) {
	return tokensource.Token{}, tokensource.NewError(k.String(), tokensource.ErrNotFound, "the keyring is empty", nil)
}
