// Command promotes a package to another repository. A password manager keeps
// the token:
//
//	go run ./examples/command -helper "op read op://ci/packagecloud/token" \
//		user/testing ubuntu/noble demo_1.0_amd64.deb user/stable
//
// The program runs the helper once, without a shell. The helper prints the
// token. If it fails, the program shows the helper's standard error.
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

	"github.com/packagecloud-go/sdk/backends/command"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

func main() {
	log.SetFlags(0)
	helper := flag.String("helper", "gopass show -o packagecloud", "`command` that prints the token")
	flag.Parse()
	if flag.NArg() != 4 {
		log.Fatal("usage: command [-helper command] user/repo distribution filename user/destination")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := promote(ctx, strings.Fields(*helper), flag.Arg(0), flag.Arg(1), flag.Arg(2), flag.Arg(3)); err != nil {
		log.Fatal(err)
	}
}

func promote(ctx context.Context, helper []string, from, distribution, filename, to string) error {
	source, err := command.New(helper, command.Options{ShowStderr: true})
	if err != nil {
		return err
	}
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		return err
	}
	client, err := packagecloud.New(cached, packagecloud.WithApplication("command-example/1.0"),
		packagecloud.WithBaseURL(cmp.Or(os.Getenv(packagecloud.EnvURL), packagecloud.DefaultBaseURL)))
	if err != nil {
		return err
	}
	pkg, err := repository(client, from).Find(ctx, distribution, filename)
	if err != nil {
		return err
	}
	if pkg, err = repository(client, from).Promote(ctx, pkg, repository(client, to)); err != nil {
		return err
	}
	fmt.Println("promoted", pkg.Filename, "to", to)
	return nil
}

func repository(client *packagecloud.Client, fullName string) *packagecloud.Repository {
	owner, name, _ := strings.Cut(fullName, "/")
	return client.Repository(owner, name)
}
