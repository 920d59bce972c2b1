package packagecloud_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

func TestSmoke(t *testing.T) {
	srv := packagecloudtest.NewServer(nil)
	defer srv.Close()
	srv.CreateRepository("main", true)
	srv.CreateRepository("stable", true)
	client, err := packagecloud.New(tokensource.Static(srv.Token()), packagecloud.WithBaseURL(srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	repo := client.Repository("acme", "main")
	content := bytes.Repeat([]byte("x"), 3<<20)
	pkg, err := repo.Upload(ctx, packagecloud.Bytes("demo_1.0_amd64.deb", content), &packagecloud.UploadOptions{Distribution: "ubuntu/jammy"})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", pkg)
	_, err = repo.Upload(ctx, packagecloud.Bytes("demo_1.0_amd64.deb", content), &packagecloud.UploadOptions{Distribution: "ubuntu/jammy"})
	t.Log(err)
	again, err := repo.Upload(ctx, packagecloud.Bytes("demo_1.0_amd64.deb", content), &packagecloud.UploadOptions{Distribution: "ubuntu/22.04", IfExists: packagecloud.Skip})
	t.Log(again.Existed, err)
	_, err = repo.Upload(ctx, packagecloud.Bytes("demo_1.0_amd64.deb", content), &packagecloud.UploadOptions{Distribution: "ubuntu/jamy"})
	t.Log(err)
	for p, err := range repo.Packages(ctx, nil) {
		if err != nil {
			t.Fatal(err)
		}
		t.Log(p.Filename, p.Distribution, p.SHA256, p.DownloadURL)
		if err := repo.DownloadFile(ctx, p, filepath.Join(t.TempDir(), "x.deb")); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := repo.Download(ctx, p, &b); err != nil || !bytes.Equal(b.Bytes(), content) {
			t.Fatal(err)
		}
		moved, err := repo.Promote(ctx, p, client.Repository("acme", "stable"))
		if err != nil {
			t.Fatal(err)
		}
		for v, err := range client.Repository("acme", "stable").Versions(ctx, moved) {
			t.Log(v.Filename, err)
		}
		if err := client.Repository("acme", "stable").Delete(ctx, moved); err != nil {
			t.Fatal(err)
		}
	}
	for r, err := range client.Repositories(ctx, nil) {
		t.Logf("%+v %v", r, err)
	}
	info, err := repo.Info(ctx)
	t.Logf("%+v %v", info, err)
	for _, r := range srv.Requests() {
		fmt.Printf("%+v\n", r)
	}
}
