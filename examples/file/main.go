// File fetches a package. The token is in a mounted file, as Docker, Kubernetes
// and systemd provide secrets:
//
//	go run ./examples/file -token /run/secrets/packagecloud user/repo ubuntu/noble demo_1.0_amd64.deb
//
// The program reads the file at each request, so a new token needs no restart.
// Only the owner may be able to read the file. In Kubernetes set the volume's
// defaultMode: 0400; in Docker set the secret's mode=0400.
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
