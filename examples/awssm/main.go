// Awssm pushes a package with a token that AWS Secrets Manager keeps:
//
//	go run ./examples/awssm -secret prod/packagecloud -field token user/repo ubuntu/noble demo_1.0_amd64.deb
//
// AWS credentials and region come from where AWS's own tools find them: AWS_*
// variables, the shared files, the role of the container or the machine. They
// need the permission of policy.json; put your region, account and secret into
// its ARN. The question marks are for the six characters that AWS appends.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

func main() {
	log.SetFlags(0)
	secret := flag.String("secret", "prod/packagecloud", "`name` or ARN of the secret")
	field := flag.String("field", "", "`key` of the token, if the secret is JSON, as the AWS console makes it")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: awssm [flags] user/repo distribution file")
		flag.PrintDefaults()
	}
	flag.Parse()
	owner, name, ok := strings.Cut(flag.Arg(0), "/")
	if !ok || flag.NArg() != 3 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	client, err := connect(ctx, *secret, *field)
	if err != nil {
		log.Fatal(err)
	}
	pkg, err := client.Repository(owner, name).Upload(ctx, packagecloud.File(flag.Arg(2)), &packagecloud.UploadOptions{Distribution: flag.Arg(1)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("pushed %s %s to %s\n", pkg.Name, pkg.Version, pkg.Distribution)
}

// connect makes a client whose token is read at its first request, once, and
// again when it gets old or packagecloud refuses it.
func connect(ctx context.Context, secret, field string) (*packagecloud.Client, error) {
	source, err := awssm.Open(ctx, secret, awssm.Options{Field: field})
	if err != nil {
		return nil, err
	}
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		return nil, err
	}
	options := []packagecloud.Option{packagecloud.WithApplication("awssm-example/1.0")}
	if url := os.Getenv(packagecloud.EnvURL); url != "" {
		options = append(options, packagecloud.WithBaseURL(url))
	}
	return packagecloud.New(cached, options...)
}
