// Awssm pushes a package. AWS Secrets Manager keeps the token:
//
//	go run ./examples/awssm -secret prod/packagecloud -field token user/repo ubuntu/noble demo_1.0_amd64.deb
//
// The program finds AWS credentials and the region as AWS's own tools do. They
// look in AWS_* variables and the shared files, and use the role of the
// container or machine. The credentials need the permission of policy.json. Put
// your region, account and secret into the ARN there, and keep its question
// marks: they match the six characters that AWS appends. A secret with a KMS
// key of your own also needs kms:Decrypt on that key.
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

	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

func main() {
	log.SetFlags(0)
	secret := flag.String("secret", "prod/packagecloud", "`name` or ARN of the secret")
	field := flag.String("field", "", "`key` of the token, if the secret is JSON, as the AWS console makes it")
	flag.Parse()
	if flag.NArg() != 3 {
		log.Fatal("usage: awssm [-secret name] [-field key] user/repo distribution file")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := push(ctx, *secret, *field, flag.Arg(0), flag.Arg(1), flag.Arg(2)); err != nil {
		log.Fatal(err)
	}
}

func push(ctx context.Context, secret, field, repository, distribution, path string) error {
	source, err := awssm.Open(ctx, secret, awssm.Options{Field: field})
	if err != nil {
		return err
	}
	// The cache reads the secret at the first request, and again when
	// packagecloud refuses the token.
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		return err
	}
	client, err := packagecloud.New(cached, packagecloud.WithApplication("awssm-example/1.0"),
		packagecloud.WithBaseURL(cmp.Or(os.Getenv(packagecloud.EnvURL), packagecloud.DefaultBaseURL)))
	if err != nil {
		return err
	}
	owner, name, _ := strings.Cut(repository, "/")
	pkg, err := client.Repository(owner, name).Upload(ctx, packagecloud.File(path), &packagecloud.UploadOptions{Distribution: distribution})
	if err != nil {
		return err
	}
	fmt.Println("pushed", pkg.Distribution, pkg.Filename)
	return nil
}
