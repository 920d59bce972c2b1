// Quickstart does the main job of a program that pushes packages. It needs
// nothing but Go:
//
//	go run ./examples/quickstart
//
// It starts an embedded packagecloud server on the loopback interface, so you
// need no account. With -live it does the job in the given repository of the
// real service, and removes the packages that it pushed. PACKAGECLOUD_TOKEN or
// ~/.packagecloud then holds the token:
//
//	go run ./examples/quickstart -live user/repo
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/backends/file"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

func main() {
	live := flag.String("live", "", "push to this `user/repo` of the real service instead of an embedded server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *live); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, live string) error {
	dir, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	if live != "" {
		owner, name, ok := strings.Cut(live, "/")
		if !ok {
			return fmt.Errorf("-live is %q; name the repository as user/repo", live)
		}
		// The token comes from the environment or the file of the official CLI.
		// No flag takes it.
		url := os.Getenv(packagecloud.EnvURL)
		if os.Getenv(packagecloud.EnvToken) == "" {
			url = "" // the file names the server
		}
		client, err := connect(env.New(), file.CLI(), url)
		if err != nil {
			return err
		}
		// Use a new version each time, because the repository may be in use.
		version := "1.0." + time.Now().UTC().Format("20060102150405")
		return mainJob(ctx, client.Repository(owner, name), dir, version, true)
	}

	step("Start an embedded packagecloud server, with a repository acme/main")
	server := packagecloudtest.NewServer(nil)
	defer server.Close()
	server.CreateRepository("main", true)

	step("Find the token: look in an environment variable, then in a file, and cache it")
	tokenFile := filepath.Join(dir, "token")
	if err := os.WriteFile(tokenFile, []byte(server.Token()+"\n"), 0o600); err != nil {
		return err
	}
	mounted, err := file.New(tokenFile, file.Options{RequirePrivate: true})
	if err != nil {
		return err
	}
	// The demonstration reads its own variable, so that it never uses a real
	// token.
	client, err := connect(env.New("PACKAGECLOUD_QUICKSTART_TOKEN"), mounted, server.URL)
	if err != nil {
		return err
	}
	repo := client.Repository("acme", "main")
	if err := mainJob(ctx, repo, dir, "1.0.0", false); err != nil {
		return err
	}
	return rotate(ctx, repo, dir, server, tokenFile)
}

// connect returns a client that asks the sources in order. The cache keeps the
// token and refreshes it in the background. It asks the sources again when the
// server refuses the token.
func connect(first, second tokensource.TokenSource, baseURL string) (*packagecloud.Client, error) {
	chain, err := tokensource.Chain(first, second)
	if err != nil {
		return nil, err
	}
	source, err := tokensource.Cache(chain, tokensource.CacheOptions{OnEvent: func(e tokensource.Event) {
		if e.Kind == tokensource.EventFetched || e.Kind == tokensource.EventRotated {
			fmt.Printf("   token %s: fingerprint %s, from %s\n", e.Kind, e.Fingerprint, e.Source)
		}
	}})
	if err != nil {
		return nil, err
	}
	options := []packagecloud.Option{packagecloud.WithApplication("quickstart/1.0")}
	if baseURL != "" {
		options = append(options, packagecloud.WithBaseURL(baseURL))
	}
	return packagecloud.New(source, options...)
}

// mainJob pushes two packages, lists the repository, and fetches the two back.
func mainJob(ctx context.Context, repo *packagecloud.Repository, dir, version string, cleanUp bool) (err error) {
	step("Build a .deb and an .rpm")
	deb, err := build(dir, "deb", version, 8<<20)
	if err != nil {
		return err
	}
	rpm, err := build(dir, "rpm", version, 8<<20)
	if err != nil {
		return err
	}

	step("repo.Upload: push both; each file streams from the disk, and the distribution has a name")
	var pushed []*packagecloud.Package
	if cleanUp {
		defer func() { err = errors.Join(err, remove(context.WithoutCancel(ctx), repo, pushed)) }()
	}
	for _, job := range []struct{ path, distribution string }{{deb, "ubuntu/jammy"}, {rpm, "el/9"}} {
		bar := progressbar.DefaultBytes(-1, "   "+job.distribution)
		pkg, err := repo.Upload(ctx, packagecloud.File(job.path), &packagecloud.UploadOptions{
			Distribution: job.distribution,
			Progress:     func(sent, total int64) { bar.ChangeMax64(total); bar.Set64(sent) },
		})
		if err != nil {
			return err
		}
		pushed = append(pushed, pkg)
		fmt.Printf("   %s: %s %s, %d bytes\n", pkg.Distribution, pkg.Name, pkg.Version, pkg.Size)
	}

	step("repo.Packages: list the repository")
	count := 0
	for pkg, err := range repo.Packages(ctx, nil) {
		if err != nil {
			return err
		}
		if count++; count <= 10 {
			fmt.Printf("   %-14s %s\n", pkg.Distribution, pkg.Filename)
		}
	}
	fmt.Printf("   %d in all\n", count)

	step("repo.Find: look up both, then repo.DownloadFile: fetch them back and verify them")
	for _, mine := range pushed {
		pkg, err := repo.Find(ctx, mine.Distribution, mine.Filename)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, "fetched-"+pkg.Filename)
		if err := repo.DownloadFile(ctx, pkg, target, nil); err != nil {
			return err
		}
		fmt.Printf("   %s is whole: SHA-256 %s...\n", pkg.Filename, pkg.SHA256[:min(16, len(pkg.SHA256))])
	}
	return nil
}

func remove(ctx context.Context, repo *packagecloud.Repository, pushed []*packagecloud.Package) error {
	if len(pushed) == 0 {
		return nil
	}
	step("repo.Delete: remove the pushed packages")
	var errs []error
	for _, pkg := range pushed {
		errs = append(errs, repo.Delete(ctx, pkg))
	}
	return errors.Join(errs...)
}

// rotate replaces the token on the server while four workers push. The server
// refuses the old token at once; the file gets the new one a second later.
func rotate(ctx context.Context, repo *packagecloud.Repository, dir string, server *packagecloudtest.Server, tokenFile string) error {
	const workers, pushes = 4, 20
	step(fmt.Sprintf("Rotate the token in the middle of %d pushes, %d at a time", pushes, workers))
	queue := make(chan string, pushes)
	for i := range pushes {
		path, err := build(dir, "deb", fmt.Sprintf("2.0.%d", i), 1<<20)
		if err != nil {
			return err
		}
		queue <- path
	}
	close(queue)

	var wg sync.WaitGroup
	var sent atomic.Int64
	results := make(chan error, pushes+1)
	for range workers {
		wg.Go(func() {
			for path := range queue {
				if sent.Add(1) == pushes/2 {
					results <- replaceToken(server, tokenFile)
				}
				_, err := repo.Upload(ctx, packagecloud.File(path), &packagecloud.UploadOptions{Distribution: "ubuntu/jammy"})
				results <- err
			}
		})
	}
	wg.Wait()
	close(results)
	var err error
	for e := range results {
		err = errors.Join(err, e)
	}
	if err != nil {
		return err
	}
	refused := 0
	for _, r := range server.Requests() {
		if r.Status == 401 {
			refused++
		}
	}
	fmt.Printf("   all %d pushes succeeded; the server refused the old token %d times, and the client repeated those requests with the new one\n", pushes, refused)
	return nil
}

func replaceToken(server *packagecloudtest.Server, tokenFile string) error {
	next := server.RotateToken()
	time.Sleep(time.Second) // a person takes a moment to store it; the client waits for the new token
	temporary := tokenFile + ".new"
	if err := os.WriteFile(temporary, []byte(next+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, tokenFile)
}

func step(text string) { fmt.Println("\n==", text) }
