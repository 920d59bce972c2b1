// Vault watches a repository with a token that HashiCorp Vault keeps: it counts the
// packages, once a minute, for as long as it runs.
//
//	go run ./examples/vault -role packagecloud -jwt /run/secrets/id-token user/repo
//
// The server is VAULT_ADDR. It logs in with a JWT that the platform renews in a
// file; without -jwt, with what the vault command would use, such as VAULT_TOKEN. The
// Vault token needs the policy of policy.hcl. When the secret is rotated in Vault,
// the program follows without a restart.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
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
	role := flag.String("role", "packagecloud", "`role` to log in to with the JWT")
	jwt := flag.String("jwt", "", "`file` of the JWT to log in with")
	every := flag.Duration("every", time.Minute, "`time` between the counts")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: vault [flags] user/repo")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var options vault.Options
	if *jwt != "" {
		options.Auth = vault.JWT{Role: *role, Token: vault.File(*jwt)}
	}
	if err := watch(ctx, *path, options, flag.Arg(0), *every); err != nil {
		log.Fatal(err)
	}
}

func watch(ctx context.Context, path string, options vault.Options, repository string, every time.Duration) error {
	source, err := vault.New(nil, path, options)
	if err != nil {
		return err
	}
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		return err
	}
	go cached.Run(ctx) // keeps the Vault token alive between the counts
	client, err := packagecloud.New(cached, packagecloud.WithApplication("vault-example/1.0"),
		packagecloud.WithBaseURL(cmp.Or(os.Getenv(packagecloud.EnvURL), packagecloud.DefaultBaseURL)))
	if err != nil {
		return err
	}
	owner, name, _ := strings.Cut(repository, "/")
	for tick := time.Tick(every); ctx.Err() == nil; {
		n, err := 0, error(nil)
		for _, err = range client.Repository(owner, name).Packages(ctx, nil) {
			n++ // an error is the last element
		}
		switch {
		case err == nil:
			fmt.Println(n, "packages")
		case errors.Is(err, tokensource.ErrUnavailable):
			log.Print(err) // an outage of Vault passes
		case ctx.Err() == nil:
			return err
		}
		select {
		case <-tick:
		case <-ctx.Done():
		}
	}
	return nil
}
