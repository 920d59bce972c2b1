package env_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/tokensource"
)

func Example() {
	os.Setenv("DEPLOY_TOKEN", "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687")
	defer os.Unsetenv("DEPLOY_TOKEN")

	source := env.New("DEPLOY_TOKEN", env.DefaultName)
	tok, err := source.Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tok.Metadata().Origin, tok.Fingerprint())
	// Output: env:DEPLOY_TOKEN 1970a9f266bf
}

func ExampleNew_notSet() {
	_, err := env.New("NO_SUCH_VARIABLE").Token(context.Background())
	fmt.Println(errors.Is(err, tokensource.ErrNotFound))
	fmt.Println(err)
	// Output:
	// true
	// env:NO_SUCH_VARIABLE: not found: the environment variable NO_SUCH_VARIABLE is unset or empty; set it to the token
}
