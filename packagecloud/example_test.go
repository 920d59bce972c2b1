package packagecloud_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

// The examples talk to a server of their own; a program leaves WithBaseURL out.
func Example() {
	srv := packagecloudtest.NewServer(nil)
	defer srv.Close()
	srv.CreateRepository("main", true)
	ctx := context.Background()

	source := tokensource.Static(srv.Token()) // a program uses a source of package backends
	client, err := packagecloud.New(source, packagecloud.WithBaseURL(srv.URL))
	if err != nil {
		log.Fatal(err)
	}
	repo := client.Repository("acme", "main")

	pkg, err := repo.Upload(ctx, packagecloud.Bytes("demo_1.0_amd64.deb", []byte("a package")),
		&packagecloud.UploadOptions{Distribution: "ubuntu/noble"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("uploaded", pkg.Name, pkg.Version)

	for pkg, err := range repo.Packages(ctx, nil) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("listed", pkg.Filename, "of", pkg.Distribution)
	}

	var b bytes.Buffer
	if err := repo.Download(ctx, pkg, &b, nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println("downloaded", b.String())
	// Output:
	// uploaded demo 1.0
	// listed demo_1.0_amd64.deb of ubuntu/noble
	// downloaded a package
}

// A CI job sets PACKAGECLOUD_TOKEN, and the program needs no configuration.
func ExampleFromEnvironment() {
	srv := packagecloudtest.NewServer(nil)
	defer srv.Close()
	srv.CreateRepository("main", false)
	os.Setenv("PACKAGECLOUD_TOKEN", srv.Token())
	os.Setenv("PACKAGECLOUD_URL", srv.URL)
	defer os.Unsetenv("PACKAGECLOUD_TOKEN")
	defer os.Unsetenv("PACKAGECLOUD_URL")

	client, err := packagecloud.FromEnvironment(nil, packagecloud.WithApplication("example/1.0"))
	if err != nil {
		log.Fatal(err)
	}
	info, err := client.Repository("acme", "main").Info(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.FullName)
	// Output: acme/main
}

func ExampleError() {
	srv := packagecloudtest.NewServer(nil)
	defer srv.Close()
	srv.CreateRepository("main", true)
	client, err := packagecloud.New(tokensource.Static(srv.Token()), packagecloud.WithBaseURL(srv.URL))
	if err != nil {
		log.Fatal(err)
	}
	repo := client.Repository("acme", "main")
	upload := func(content string) error {
		_, err := repo.Upload(context.Background(), packagecloud.Bytes("demo_1.0_amd64.deb", []byte(content)),
			&packagecloud.UploadOptions{Distribution: "ubuntu/noble"})
		return err
	}
	fmt.Println(upload("one"))

	err = upload("another")
	if errors.Is(err, packagecloud.ErrExists) {
		fmt.Println("it is there already")
	}
	if e, ok := errors.AsType[*packagecloud.Error](err); ok {
		fmt.Println(e.StatusCode, e.Fields["filename"])
	}
	// Output:
	// <nil>
	// it is there already
	// 422 [has already been taken]
}

func ExampleRepository_Upload_ifExists() {
	srv := packagecloudtest.NewServer(nil)
	defer srv.Close()
	srv.CreateRepository("main", true)
	client, err := packagecloud.New(tokensource.Static(srv.Token()), packagecloud.WithBaseURL(srv.URL))
	if err != nil {
		log.Fatal(err)
	}
	// A job that may run twice: the second run sends nothing.
	for range 2 {
		pkg, err := client.Repository("acme", "main").Upload(context.Background(),
			packagecloud.Bytes("demo_1.0_amd64.deb", []byte("a package")),
			&packagecloud.UploadOptions{Distribution: "ubuntu/24.04", IfExists: packagecloud.Skip})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(pkg.Filename, "existed:", pkg.Existed)
	}
	// Output:
	// demo_1.0_amd64.deb existed: false
	// demo_1.0_amd64.deb existed: true
}

// A program with an HTTP client of its own adds the token to what it sends to
// packagecloud, and to nothing else.
func ExampleNewTransport() {
	srv := packagecloudtest.NewServer(nil)
	defer srv.Close()
	transport, err := packagecloud.NewTransport(tokensource.Static(srv.Token()), packagecloud.WithBaseURL(srv.URL))
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: transport}
	resp, err := client.Get(srv.URL + "/api/v1/repos.json")
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output: 200
}

// Do reaches what this package has no method for.
func ExampleClient_Do() {
	srv := packagecloudtest.NewServer(nil)
	defer srv.Close()
	srv.CreateRepository("main", true)
	client, err := packagecloud.New(tokensource.Static(srv.Token()), packagecloud.WithBaseURL(srv.URL))
	if err != nil {
		log.Fatal(err)
	}
	var list struct {
		Keys []struct{ Name, Keytype string } `json:"gpg_keys"`
	}
	call := packagecloud.Call{Path: "/api/v1/repos/acme/main/gpg_keys.json"}
	if _, err := client.Do(context.Background(), call, &list); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(list.Keys), list.Keys[0].Keytype)
	// Output: 1 repo
}

// Check tells a readiness probe or a CI job at once whether the token is good.
func ExampleClient_Check() {
	srv := packagecloudtest.NewServer(nil)
	defer srv.Close()
	wrong := tokensource.Static("0123456789abcdef0123456789abcdef0123456789abcdef")
	client, err := packagecloud.New(wrong, packagecloud.WithBaseURL(srv.URL))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(errors.Is(client.Check(context.Background()), packagecloud.ErrUnauthorized))
	// Output: true
}

func ExampleParseTarget() {
	target, err := packagecloud.ParseTarget("acme/main/ubuntu/noble")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(target.Owner, target.Repository, target.Distribution)
	// Output: acme main ubuntu/noble
}
