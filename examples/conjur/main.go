// Conjur lists the packages of a repository with a token that CyberArk Conjur keeps.
// It is made for a pod, which logs in with the token of its service account:
//
//	CONJUR_APPLIANCE_URL=https://conjur.acme.example CONJUR_ACCOUNT=acme CONJUR_CERT_FILE=/etc/conjur/ca.pem \
//	CONJUR_AUTHN_JWT_SERVICE_ID=k8s-prod JWT_TOKEN_PATH=/var/run/secrets/tokens/conjur \
//		conjur -variable prod/packagecloud/token user/repo
//
// Elsewhere all of Conjur's settings serve as they are: ~/.conjurrc, an API key in
// CONJUR_AUTHN_LOGIN and CONJUR_AUTHN_API_KEY, or what conjur login has stored. The
// file policy.yml has what Conjur must know.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

func main() {
	log.SetFlags(0)
	variable := flag.String("variable", "prod/packagecloud/token", "`id` of the variable")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: conjur [-variable id] user/repo")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := list(ctx, *variable, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func list(ctx context.Context, variable, repository string) error {
	source, err := conjur.New(variable, conjur.Options{})
	if err != nil {
		return err
	}
	// Read at the first request, once, and again when packagecloud refuses the token.
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		return err
	}
	client, err := packagecloud.New(cached, packagecloud.WithApplication("conjur-example/1.0"),
		packagecloud.WithBaseURL(cmp.Or(os.Getenv(packagecloud.EnvURL), packagecloud.DefaultBaseURL)))
	if err != nil {
		return err
	}
	owner, name, _ := strings.Cut(repository, "/")
	for pkg, err := range client.Repository(owner, name).Packages(ctx, nil) {
		if err != nil {
			return err
		}
		fmt.Println(pkg.Distribution, pkg.Filename)
	}
	return nil
}
