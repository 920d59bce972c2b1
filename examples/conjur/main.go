// Conjur lists the packages of a repository with a token that CyberArk Conjur keeps.
// It is made for a pod, which logs in with the token of its service account:
//
//	CONJUR_APPLIANCE_URL=https://conjur.acme.example CONJUR_ACCOUNT=acme \
//	CONJUR_CERT_FILE=/etc/conjur/ca.pem \
//	CONJUR_AUTHN_JWT_SERVICE_ID=k8s-prod \
//	JWT_TOKEN_PATH=/var/run/secrets/tokens/conjur \
//		conjur -variable prod/packagecloud/token user/repo
//
// Elsewhere all of Conjur's settings serve as they are: ~/.conjurrc, an API key in
// CONJUR_AUTHN_LOGIN and CONJUR_AUTHN_API_KEY, or what conjur login has stored. The
// file policy.yml has what Conjur must know.
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

	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

func main() {
	log.SetFlags(0)
	variable := flag.String("variable", "prod/packagecloud/token", "`id` of the variable")
	field := flag.String("field", "", "`name` of the token, if the variable holds JSON")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: conjur [flags] user/repo")
		flag.PrintDefaults()
	}
	flag.Parse()
	owner, name, ok := strings.Cut(flag.Arg(0), "/")
	if !ok || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	client, err := connect(*variable, *field)
	if err != nil {
		log.Fatal(err)
	}
	for pkg, err := range client.Repository(owner, name).Packages(ctx, nil) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(pkg.Filename)
	}
}

// connect makes a client whose token is read at its first request, once, and again
// when it gets old or packagecloud refuses it. What happens to it goes to the log.
func connect(variable, field string) (*packagecloud.Client, error) {
	source, err := conjur.New(variable, conjur.Options{Field: field})
	if err != nil {
		return nil, err
	}
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{OnEvent: tokensource.LogEvents(slog.Default())})
	if err != nil {
		return nil, err
	}
	return packagecloud.New(cached, packagecloud.WithApplication("conjur-example/1.0"))
}
