package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// jobs lists the compared jobs in the order of their turns.
var jobs = []string{"bare-upload", "sdk-upload", "plain-upload", "curl-upload", "bare-download", "sdk-download", "copy-download"}

const (
	jobVariable = "TRANSFER_JOB"
	fileName    = "large_1.0_amd64.deb"
	suffixBare  = ".bare" // suffix of the downloaded file
	suffixSDK   = ".sdk"
)

// distribution returns the name and number of the distribution for a file.
func distribution(file string) (name, number string) {
	if strings.HasSuffix(file, ".tar.gz") {
		return "python", "166"
	}
	return "ubuntu/jammy", "237"
}

// bench is a server in this process, with a file for its clients.
type bench struct {
	dir    string
	file   string
	cert   string
	server *packagecloudtest.Server
}

// result holds the measurements of one client's process.
type result struct {
	wall, cpu time.Duration
	peak      int64 // bytes
}

func newBench(name string, size int64, tls bool) (*bench, error) {
	dir, err := os.MkdirTemp("", "transfer")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, file: filepath.Join(dir, name), cert: filepath.Join(dir, "ca.pem")}
	f, err := os.Create(b.file)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(name, ".tar.gz") {
		if err := writeSdist(f); err != nil {
			return nil, err
		}
	}
	// Truncate appends zeros, which take no room on the disk.
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return nil, err
	}
	b.server = packagecloudtest.NewServer(&packagecloudtest.Options{TLS: tls, SignedURLTTL: time.Hour})
	b.server.CreateRepository("main", false)
	if tls {
		if err := os.WriteFile(b.cert, b.server.CertPEM(), 0o600); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// writeSdist writes the beginning of a Python source archive. It holds the
// metadata and 16 MiB of digits, which take long to unpack.
func writeSdist(w io.Writer) error {
	const metadata = "Metadata-Version: 2.1\nName: large\nVersion: 1.0\n"
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	digits := make([]byte, 16<<20)
	for i := range digits {
		digits[i] = byte('0' + rand.IntN(10))
	}
	for _, file := range []struct{ name, content string }{{"large-1.0/PKG-INFO", metadata}, {"large-1.0/digits", string(digits)}} {
		if err := t.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.content))}); err != nil {
			return err
		}
		if _, err := io.WriteString(t, file.content); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func (b *bench) close() {
	b.server.Close()
	os.RemoveAll(b.dir)
}

// run does one job in a process of its own. Before an upload it removes the
// package from the server. It always removes the files of earlier downloads.
// Otherwise, some jobs would write a new file beside an old one and others
// overwrite one, and the system takes more time for the first.
func (b *bench) run(job string) (result, error) {
	for _, suffix := range []string{suffixBare, suffixSDK} {
		if err := os.Remove(b.file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return result{}, err
		}
	}
	if strings.HasSuffix(job, "-upload") {
		for _, p := range b.server.Packages("main") {
			if err := b.remove(p); err != nil {
				return result{}, err
			}
		}
	}
	cmd := b.command(job)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return result{}, fmt.Errorf("%w: %s", err, stderr.String())
	}
	r := result{wall: time.Since(start), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if kib, err := strconv.ParseInt(strings.TrimSpace(out.String()), 10, 64); err == nil {
		r.peak = kib << 10
	}
	if len(b.server.Packages("main")) != 1 {
		return result{}, errors.New("the server must hold exactly one package after the job")
	}
	return r, nil
}

func (b *bench) command(job string) *exec.Cmd {
	if job != "curl-upload" {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), jobVariable+"="+job, "TRANSFER_URL="+b.server.URL, "TRANSFER_TOKEN="+b.server.Token(),
			"TRANSFER_FILE="+b.file, "TRANSFER_CERT="+b.cert)
		return cmd
	}
	_, number := distribution(b.file)
	cmd := exec.Command("curl", "--silent", "--show-error", "--fail", "--cacert", b.cert, "--config", "-",
		"--form", "package[distro_version_id]="+number, "--form", "package[package_file]=@"+b.file,
		"--output", os.DevNull, b.server.URL+"/api/v1/repos/acme/main/packages.json")
	if !strings.HasPrefix(b.server.URL, "https") {
		cmd.Args = append(cmd.Args[:4], cmd.Args[6:]...)
	}
	cmd.Stdin = strings.NewReader("user = \"" + b.server.Token() + ":\"\n")
	return cmd
}

func (b *bench) remove(p packagecloudtest.Package) error {
	place := p.DistroVersion
	if place == "python" {
		place = "python/1"
	}
	req, err := http.NewRequest(http.MethodDelete, b.server.URL+"/api/v1/repos/acme/main/"+place+"/"+p.Filename, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(b.server.Token(), "")
	resp, err := b.server.Client().Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New("the server refused to delete the package: " + resp.Status)
	}
	return nil
}

// trusting returns a copy of the standard transport that trusts the server.
func trusting(cert string) (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	pem, err := os.ReadFile(cert)
	if errors.Is(err, os.ErrNotExist) {
		return transport, nil
	}
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport.TLSClientConfig.RootCAs = pool
	return transport, nil
}
