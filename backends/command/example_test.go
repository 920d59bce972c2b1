//go:build unix

package command_test

import (
	"context"
	"fmt"
	"time"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/command"
)

// The program stands for a credential helper: op, pass, gopass, bw.
func ExampleNew() {
	source, err := command.New([]string{"printf", "%s", "token-of-a-helper"}, command.Options{Timeout: 10 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	tok, err := source.Token(context.Background())
	fmt.Println(tok, err)
	// Output: [redacted] <nil>
}

// In a spec, spaces are %20 and there is no shell.
func ExampleOpener() {
	source, err := backends.Parse("command:gopass%20show%20-o%20packagecloud?timeout=10s", command.Opener())
	fmt.Println(source, err)
	// Output: command:gopass%20show%20-o%20packagecloud?timeout=10s <nil>
}
