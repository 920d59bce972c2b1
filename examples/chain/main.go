// Chain lists repositories. PACKAGECLOUD_TOKEN_SOURCE lists the places where
// the program looks for the token, in order:
//
//	PACKAGECLOUD_TOKEN_SOURCE='env:PACKAGECLOUD_TOKEN,vault:secret/packagecloud,file:~/.packagecloud' \
//		go run ./examples/chain
//
// The program prints the token's fingerprint and the place that had the token.
// If a place has no token, the program looks in the next one. If a place is
// down or denies access, the program stops, because it must not quietly use
// another token.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/backends/command"
	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/backends/file"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := list(ctx); err != nil {
		log.Fatal(err)
	}
}

// list shows the steps that packagecloud.FromEnvironment does in one call.
func list(ctx context.Context) error {
	spec := cmp.Or(os.Getenv(packagecloud.EnvTokenSource), "env:PACKAGECLOUD_TOKEN,file:~/.packagecloud")
	chain, err := backends.Parse(spec, env.Opener(), file.Opener(), command.Opener(), awssm.Opener(), vault.Opener(), conjur.Opener())
	if err != nil {
		return err
	}
	source, err := tokensource.Cache(chain, tokensource.CacheOptions{OnEvent: tokensource.LogEvents(slog.Default())})
	if err != nil {
		return err
	}
	token, err := source.Token(ctx)
	if err != nil {
		return err
	}
	fmt.Println("token", token.Fingerprint(), "from", token.Metadata().Origin)

	server := cmp.Or(token.Metadata().BaseURL, os.Getenv(packagecloud.EnvURL), packagecloud.DefaultBaseURL)
	client, err := packagecloud.New(source, packagecloud.WithBaseURL(server), packagecloud.WithApplication("chain-example/1.0"))
	if err != nil {
		return err
	}
	for repo, err := range client.Repositories(ctx, nil) {
		if err != nil {
			return err
		}
		fmt.Println(repo.FullName)
	}
	return nil
}
