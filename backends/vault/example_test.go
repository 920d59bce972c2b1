package vault_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/tokensource"
)

// A pod reads the token as its service account, and keeps it fresh.
func Example() {
	source, err := vault.New(nil, "secret/packagecloud", vault.Options{
		Auth: vault.Kubernetes{Role: "packagecloud"},
	})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cache)
	// Output: vault:secret/packagecloud#api_key
}

// A program that has a Vault client gives it, its token, its address and its
// CA included.
func ExampleNew_client() {
	client, err := api.NewClient(api.DefaultConfig())
	if err != nil {
		log.Fatal(err)
	}
	source, err := vault.New(client, "packagecloud", vault.Options{
		Mount:   "teams/kv",
		Field:   "token",
		Version: 3,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(source)
	// Output: vault:packagecloud?mount=teams/kv&version=3#token
}

// The secret-id is read from its file at every login, so that it may be
// replaced there.
func ExampleAppRole() {
	source, err := vault.New(nil, "secret/packagecloud", vault.Options{
		Auth: vault.AppRole{
			RoleID:   vault.Env("ROLE_ID"),
			SecretID: vault.File("/run/secrets/secret-id"),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = source.Token(context.Background())
	fmt.Println(err)
	// Output: vault:secret/packagecloud#api_key: not found: role-id: the variable ROLE_ID isn't set, which the login needs
}

// A CI job says where its token is in one string, without code.
func ExampleOpener() {
	spec := "vault:secret/packagecloud?auth=jwt&jwt_env=VAULT_ID_TOKEN&role=ci#api_key"
	source, err := backends.Parse(spec, vault.Opener())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(source)
	// Output: vault:secret/packagecloud?auth=jwt&jwt_env=VAULT_ID_TOKEN&role=ci#api_key
}

// A service keeps its Vault token alive as long as it runs, so that no read waits
// for a login.
func ExampleSource_Run() {
	source, err := vault.New(nil, "secret/packagecloud", vault.Options{
		Auth: vault.JWT{Role: "ci", Token: vault.File("/run/secrets/jwt")},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go source.Run(ctx) // until ctx ends
	serve(ctx, source)
}

// serve is what the service does.
func serve(context.Context, tokensource.TokenSource) {}

// A rotation stores the next token in the place of the current one, and learns
// whether another rotation was faster.
func ExampleSource_Put() {
	ctx := context.Background()
	source, err := vault.New(nil, "secret/packagecloud", vault.Options{})
	if err != nil {
		log.Fatal(err)
	}
	current, err := source.Token(ctx)
	if err != nil {
		log.Fatal(err)
	}
	next, err := tokensource.NewToken(os.Getenv("NEXT_TOKEN"), tokensource.Metadata{})
	if err != nil {
		log.Fatal(err)
	}
	stored, err := source.Put(ctx, next, current)
	if errors.Is(err, tokensource.ErrConflict) {
		log.Fatal("somebody else has replaced it meanwhile: ", err)
	}
	if err != nil {
		log.Fatal(err) // it says so where next may have been stored all the same
	}
	fmt.Println("stored as version", stored.Metadata().Version)
}
