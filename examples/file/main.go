// File fetches a package with a token that is mounted as a file, as Docker,
// Kubernetes and systemd do it with secrets:
//
//	go run ./examples/file -token /run/secrets/packagecloud user/repo ubuntu/noble demo_1.0_amd64.deb
//
// The file is read at each request, so that a new token needs no restart. It must
// be readable to its owner alone: in Kubernetes that is defaultMode: 0400 of the
// volume, in Docker mode=0400 of the secret.
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

	"github.com/packagecloud-go/sdk/backends/file"
	"github.com/packagecloud-go/sdk/packagecloud"
)

func main() {
	log.SetFlags(0)
	token := flag.String("token", "/run/secrets/packagecloud", "`file` with the token")
	flag.Parse()
	if flag.NArg() != 3 {
		log.Fatal("usage: file [-token file] user/repo distribution filename")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := fetch(ctx, *token, flag.Arg(0), flag.Arg(1), flag.Arg(2)); err != nil {
		log.Fatal(err)
	}
}

func fetch(ctx context.Context, token, repository, distribution, filename string) error {
	source, err := file.New(token, file.Options{RequirePrivate: true})
	if err != nil {
		return err
	}
	client, err := packagecloud.New(source, packagecloud.WithApplication("file-example/1.0"),
		packagecloud.WithBaseURL(cmp.Or(os.Getenv(packagecloud.EnvURL), packagecloud.DefaultBaseURL)))
	if err != nil {
		return err
	}
	owner, name, _ := strings.Cut(repository, "/")
	repo := client.Repository(owner, name)
	pkg, err := repo.Find(ctx, distribution, filename)
	if err != nil {
		return err
	}
	if err := repo.DownloadFile(ctx, pkg, pkg.Filename, nil); err != nil {
		return err
	}
	fmt.Println("fetched", pkg.Filename)
	return nil
}
