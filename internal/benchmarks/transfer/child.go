package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/packagecloud"
)

// child does one job and prints the peak memory of its process in KiB.
func child(job string) error {
	transport, err := trusting(os.Getenv("TRANSFER_CERT"))
	if err != nil {
		return err
	}
	client := &http.Client{Transport: transport}
	ctx := context.Background()
	switch job {
	case "bare-upload", "plain-upload":
		err = bareUpload(client, job == "bare-upload")
	case "bare-download", "copy-download":
		err = bareDownload(client, job == "bare-download")
	case "sdk-upload", "sdk-download":
		err = sdk(ctx, job, client)
	default:
		err = fmt.Errorf("unknown job %q in %s", job, jobVariable)
	}
	if err != nil {
		return err
	}
	return printPeak()
}

func sdk(ctx context.Context, job string, client *http.Client) error {
	c, err := packagecloud.New(env.New("TRANSFER_TOKEN"), packagecloud.WithBaseURL(os.Getenv("TRANSFER_URL")), packagecloud.WithHTTPClient(client))
	if err != nil {
		return err
	}
	repo := c.Repository("acme", "main")
	file := os.Getenv("TRANSFER_FILE")
	place, _ := distribution(file)
	if job == "sdk-upload" {
		_, err := repo.Upload(ctx, packagecloud.File(file), &packagecloud.UploadOptions{Distribution: place})
		return err
	}
	pkg, err := repo.Find(ctx, place, filepath.Base(file))
	if err != nil {
		return err
	}
	return repo.DownloadFile(ctx, pkg, file+suffixSDK, nil)
}

// bareUpload streams a multipart body with as little work as possible. With
// hashed it also computes the file's SHA-256.
func bareUpload(client *http.Client, hashed bool) error {
	f, err := os.Open(os.Getenv("TRANSFER_FILE"))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var head strings.Builder
	w := multipart.NewWriter(&head)
	_, number := distribution(f.Name())
	w.WriteField("package[distro_version_id]", number)
	if _, err := w.CreateFormFile("package[package_file]", filepath.Base(f.Name())); err != nil {
		return err
	}
	tail := "\r\n--" + w.Boundary() + "--\r\n"
	content := io.Reader(f)
	if hashed {
		content = io.TeeReader(f, sha256.New())
	}
	body := io.MultiReader(strings.NewReader(head.String()), content, strings.NewReader(tail))
	req, err := http.NewRequest(http.MethodPost, os.Getenv("TRANSFER_URL")+"/api/v1/repos/acme/main/packages.json", body)
	if err != nil {
		return err
	}
	req.ContentLength = int64(head.Len()) + info.Size() + int64(len(tail))
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.SetBasicAuth(os.Getenv("TRANSFER_TOKEN"), "")
	return finish(client, req, http.StatusCreated, io.Discard)
}

// bareDownload copies the answer to a file and computes its SHA-256. With sync
// it also syncs the file, as DownloadFile does before it renames the file.
func bareDownload(client *http.Client, sync bool) error {
	file := os.Getenv("TRANSFER_FILE")
	f, err := os.Create(file + suffixBare)
	if err != nil {
		return err
	}
	defer f.Close()
	place, _ := distribution(file)
	req, err := http.NewRequest(http.MethodGet, os.Getenv("TRANSFER_URL")+"/acme/main/packages/"+place+"/"+filepath.Base(file)+"/download", nil)
	if err != nil {
		return err
	}
	if err := finish(client, req, http.StatusOK, io.MultiWriter(f, sha256.New())); err != nil {
		return err
	}
	if sync {
		return f.Sync()
	}
	return nil
}

func finish(client *http.Client, req *http.Request, status int, w io.Writer) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != status {
		return fmt.Errorf("the server answered %s", resp.Status)
	}
	_, err = io.Copy(w, resp.Body)
	return err
}

// printPeak prints the peak memory of this process. It reads /proc, because the
// figure of getrusage includes the parent's memory at the time of the fork.
func printPeak() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil // other systems have no /proc
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Println(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
		}
	}
	return nil
}
