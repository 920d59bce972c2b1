// Vault counts the packages of a repository once a minute. HashiCorp Vault
// keeps the token:
//
//	go run ./examples/vault -role packagecloud -jwt /run/secrets/id-token user/repo
//
// VAULT_ADDR is the address of Vault. With -jwt, the program logs in with a JWT
// in a file that the platform renews. Without it, the program uses the
// credentials that the vault command would use, such as VAULT_TOKEN. The Vault
// token needs the policy of policy.hcl. After a rotation of the secret in
// Vault, the program reads the new token without a restart.
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
	go cached.Run(ctx) // renews the Vault token between the counts
	client, err := packagecloud.New(cached, packagecloud.WithApplication("vault-example/1.0"),
		packagecloud.WithBaseURL(cmp.Or(os.Getenv(packagecloud.EnvURL), packagecloud.DefaultBaseURL)))
	if err != nil {
		return err
	}
	owner, name, _ := strings.Cut(repository, "/")
	for tick := time.Tick(every); ctx.Err() == nil; {
		n, err := 0, error(nil)
		for _, err = range client.Repository(owner, name).Packages(ctx, nil) {
			n++ // the last element may be an error; n is used only without one
		}
		switch {
		case err == nil:
			fmt.Println(n, "packages")
		case errors.Is(err, tokensource.ErrUnavailable):
			log.Print(err) // Vault may come back, so try again
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
