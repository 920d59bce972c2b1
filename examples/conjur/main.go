// Conjur lists the packages of a repository. CyberArk Conjur keeps the token.
// In a pod, the program logs in with the token of the pod's service account:
//
//	CONJUR_APPLIANCE_URL=https://conjur.acme.example CONJUR_ACCOUNT=acme CONJUR_CERT_FILE=/etc/conjur/ca.pem \
//	CONJUR_AUTHN_JWT_SERVICE_ID=k8s-prod JWT_TOKEN_PATH=/var/run/secrets/tokens/conjur \
//		conjur -variable prod/packagecloud/token user/repo
//
// Elsewhere the program uses Conjur's other settings: ~/.conjurrc, an API key
// in CONJUR_AUTHN_LOGIN and CONJUR_AUTHN_API_KEY, or the credentials that
// conjur login stored. Load the file policy.yml into Conjur first.
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
	// The cache reads the variable at the first request, and again when
	// packagecloud refuses the token.
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
