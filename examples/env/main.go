// Env pushes a package from a CI job. The job's secret variable
// PACKAGECLOUD_TOKEN holds the token:
//
//	go run ./examples/env user/repo ubuntu/noble demo_1.0_amd64.deb
//
// If the job runs again, the package exists already. The program accepts that
// if the content is the same.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/packagecloud"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: env user/repo distribution file")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := push(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func push(ctx context.Context, repository, distribution, path string) error {
	client, err := packagecloud.New(env.New(), // reads PACKAGECLOUD_TOKEN
		packagecloud.WithBaseURL(cmp.Or(os.Getenv(packagecloud.EnvURL), packagecloud.DefaultBaseURL)),
		packagecloud.WithApplication("env-example/1.0"))
	if err != nil {
		return err
	}
	owner, name, _ := strings.Cut(repository, "/")
	pkg, err := client.Repository(owner, name).Upload(ctx, packagecloud.File(path),
		&packagecloud.UploadOptions{Distribution: distribution, IfExists: packagecloud.Skip})
	if err != nil {
		return err
	}
	verb := map[bool]string{false: "pushed", true: "was there already:"}[pkg.Existed]
	fmt.Println(verb, pkg.Distribution, pkg.Filename)
	return nil
}
