// Package realvault starts a real Vault for tests: the program of the module
// internal/realvault at the root of the repository, which its build.sh builds
// beforehand.
package realvault

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"
)

// Server is a Vault with KV version 2 at secret/ and version 1 at kv/.
type Server struct {
	URL       string
	RootToken string
	UnsealKey string

	// stdin is held, since the collector would close it, and end the server.
	stdin io.Closer
}

// Start starts a Vault of the test's own, with flags such as -tls-cert. Where it
// isn't built the test is skipped, or fails with REQUIRE_REAL_SERVERS=1.
func Start(t testing.TB, flags ...string) *Server {
	t.Helper()
	server, stop, err := start(flags...)
	if err != nil {
		unavailable(t, err)
	}
	t.Cleanup(stop)
	return server
}

// Shared returns the one Vault that the tests of a program share. It ends with
// the program.
func Shared(t testing.TB) *Server {
	t.Helper()
	server, err := shared()
	if err != nil {
		unavailable(t, err)
	}
	return server
}

var shared = sync.OnceValues(func() (*Server, error) {
	server, _, err := start()
	return server, err
})

func unavailable(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("REQUIRE_REAL_SERVERS") == "1" || !errors.Is(err, errNotBuilt) {
		t.Fatalf("no real Vault: %v", err)
	}
	t.Skipf("SKIPPED, no real Vault: %v", err)
}

var errNotBuilt = errors.New("run internal/realvault/build.sh once (it downloads 476 MiB and builds for minutes)")

// start runs the program, which ends when its standard input does: by stop, or
// with this process.
func start(flags ...string) (server *Server, stop func(), err error) {
	path, err := binary()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(path, flags...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop = func() {
		stdin.Close()
		cmd.Wait()
	}
	var lines []string
	for scanner := bufio.NewScanner(stdout); len(lines) < 3 && scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	if len(lines) < 3 {
		stop()
		return nil, nil, fmt.Errorf("%s ended before it was ready", path)
	}
	return &Server{URL: lines[0], RootToken: lines[1], UnsealKey: lines[2], stdin: stdin}, stop, nil
}

// The user's cache folder is looked up before a test sets another HOME.
var cacheDir, cacheErr = os.UserCacheDir()

// binary is the path that build.sh prints, by the same rule.
func binary() (string, error) {
	module, err := module()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		content, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		sum.Write(content)
	}
	if cacheErr != nil {
		return "", cacheErr
	}
	name := "realvault-" + hex.EncodeToString(sum.Sum(nil))[:16]
	path := filepath.Join(cacheDir, "packagecloud-go", name)
	if _, err := os.Stat(path); err != nil {
		return "", errNotBuilt
	}
	return path, nil
}

// module finds the module's folder, from the test's folder upwards.
func module() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, "internal", "realvault")
		if _, err := os.Stat(filepath.Join(path, "build.sh")); err == nil {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errNotBuilt
		}
		dir = parent
	}
}

// Root returns a client with the root token, for the server with this CA file, if
// it is one with TLS.
func (s *Server) Root(t testing.TB, caFile string) *api.Client {
	t.Helper()
	client := s.Client(t, caFile)
	client.SetToken(s.RootToken)
	return client
}

// Client returns a client without a token.
func (s *Server) Client(t testing.TB, caFile string) *api.Client {
	t.Helper()
	config := api.DefaultConfig()
	config.Address = s.URL
	config.MaxRetries = 0
	if strings.HasPrefix(s.URL, "https:") {
		if err := config.ConfigureTLS(&api.TLSConfig{CACert: caFile}); err != nil {
			t.Fatal(err)
		}
	}
	client, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	client.ClearToken()
	return client
}
