// Vault watches a repository with a token that HashiCorp Vault keeps: once a
// minute it counts the packages, for as long as it runs.
//
//	go run ./examples/vault -jwt-role packagecloud -jwt /run/secrets/id-token user/repo
//
// The server is VAULT_ADDR. It logs in with a JWT that the platform renews in a
// file; without -jwt, with what the vault command would use, such as VAULT_TOKEN. The
// Vault token needs the policy of policy.hcl. When the secret is rotated in Vault,
// the program follows without a restart.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

func main() {
	log.SetFlags(0)
	path := flag.String("path", "secret/packagecloud", "`path` of the secret, as for vault kv get")
	role := flag.String("jwt-role", "", "`role` to log in with")
	jwt := flag.String("jwt", "", "`file` of the JWT to log in with")
	flag.Parse()
	owner, name, ok := strings.Cut(flag.Arg(0), "/")
	if !ok {
		log.Fatal("usage: vault [flags] user/repo")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	var options vault.Options
	if *jwt != "" {
		options.Auth = vault.JWT{Role: *role, Token: vault.File(*jwt)}
	}
	source, err := vault.New(nil, *path, options)
	if err != nil {
		log.Fatal(err)
	}
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{OnEvent: tokensource.LogEvents(slog.Default())})
	if err != nil {
		log.Fatal(err)
	}
	go cached.Run(ctx) // keeps the Vault token alive between the counts
	client, err := packagecloud.New(cached, packagecloud.WithApplication("vault-example/1.0"))
	if err != nil {
		log.Fatal(err)
	}
	for tick := time.Tick(time.Minute); ctx.Err() == nil; {
		count, err := count(ctx, client.Repository(owner, name))
		if err != nil {
			log.Print(err) // an outage passes
		} else {
			fmt.Printf("%d packages\n", count)
		}
		select {
		case <-tick:
		case <-ctx.Done():
		}
	}
}

func count(ctx context.Context, repo *packagecloud.Repository) (n int, err error) {
	for _, err := range repo.Packages(ctx, nil) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
