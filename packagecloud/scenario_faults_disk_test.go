package packagecloud_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

// smallFilesOnly is the variable that makes the test's program a process that
// can't write large files, and downloads one. Such a limit needs no rights and
// no file system of its own, as a full disk does; to the library a write that
// fails is a write that fails.
const smallFilesOnly = "PACKAGECLOUD_TEST_SMALL_FILES_ONLY"

// How the process ends.
const (
	downloaded = iota
	failed
	tooLarge
	unlimited // the system knows no such limit
)

// errand is what the process is told, on its standard input.
type errand struct {
	URL, Token, CA, Path string
}

// fetchToAFullDisk does what fetch does, in a process that can't write it all.
func (s *scene) fetchToAFullDisk() error {
	secret, err := s.secret(s.ctx)
	s.try(err)
	input, err := json.Marshal(errand{s.address(), secret, s.authority(), filepath.Join(s.dir, demo)})
	s.try(err)
	self, err := os.Executable()
	s.try(err)
	cmd := exec.CommandContext(s.ctx, self)
	cmd.Env = append(os.Environ(), smallFilesOnly+"=1")
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(input)), os.Stderr
	text, err := cmd.Output()
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return nil
	case exit != nil && exit.ExitCode() == tooLarge:
		return fmt.Errorf("%s: %w", text, syscall.EFBIG)
	case exit != nil && exit.ExitCode() == unlimited:
		s.t.Skip("a process of this system can't limit the size of its files: what a full disk leaves is not tested")
	}
	return fmt.Errorf("the process failed: %w: %s", err, text)
}

// downloadToAFullDisk is the process.
func downloadToAFullDisk() int {
	var job errand
	if err := json.NewDecoder(os.Stdin).Decode(&job); err != nil {
		fmt.Println(err)
		return failed
	}
	if err := limitFileSize(uint64(len(big) / 2)); err != nil {
		return unlimited
	}
	client, err := packagecloud.New(tokensource.Static(job.Token), packagecloud.WithBaseURL(job.URL),
		packagecloud.WithHTTPClient(&http.Client{Transport: &http.Transport{TLSClientConfig: trusting(job.CA)}}))
	if err == nil {
		repo := client.Repository("acme", "main")
		var pkg *packagecloud.Package
		if pkg, err = repo.Find(context.Background(), shelf[0].distribution, shelf[0].filename); err == nil {
			err = repo.DownloadFile(context.Background(), pkg, job.Path, nil)
		}
	}
	switch {
	case err == nil:
		return downloaded
	case errors.Is(err, syscall.EFBIG):
		fmt.Print(err)
		return tooLarge
	}
	fmt.Print(err)
	return failed
}
