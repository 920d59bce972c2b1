package packagecloud_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// world is a server that the fault table runs against. It has a private
// repository acme/main.
type world interface {
	address() string
	token(t *testing.T) string // the newest API token
	authority() string         // the certificate that it is to be known by, in PEM; "" without TLS
	inject(t *testing.T, f packagecloudtest.Fault, then string)
	requests(t *testing.T) []packagecloudtest.Request
	forget(t *testing.T) // the requests so far
	packages(t *testing.T) []packagecloudtest.Package
}

// worlds are the ways to run a server. Each row of the table gets one of its own.
var worlds = map[string]func(t *testing.T, noChecksums bool) world{
	"in-process": newLocal,
	"TCP":        func(t *testing.T, noChecksums bool) world { return newProcess(t, noChecksums, false) },
	"TLS":        func(t *testing.T, noChecksums bool) world { return newProcess(t, noChecksums, true) },
}

// local is a server in the test's process, which its methods lead.
type local struct{ srv *packagecloudtest.Server }

func newLocal(t *testing.T, noChecksums bool) world {
	srv := packagecloudtest.NewServer(&packagecloudtest.Options{NoChecksums: noChecksums})
	t.Cleanup(srv.Close)
	srv.CreateRepository("main", true)
	return local{srv}
}

func (l local) address() string                                { return l.srv.URL }
func (l local) token(*testing.T) string                        { return l.srv.Token() }
func (l local) authority() string                              { return "" }
func (l local) requests(*testing.T) []packagecloudtest.Request { return l.srv.Requests() }
func (l local) forget(*testing.T)                              { l.srv.ResetRequests() }
func (l local) packages(*testing.T) []packagecloudtest.Package { return l.srv.Packages("main") }

func (l local) inject(t *testing.T, f packagecloudtest.Fault, then string) {
	switch then {
	case "":
	case "rotate":
		f.Then = func(s *packagecloudtest.Server) { s.RotateToken() }
	case "revoke":
		f.Then = func(s *packagecloudtest.Server) { s.RevokeToken(s.Token()) }
	case "expire":
		f.Then = (*packagecloudtest.Server).ExpireDownloads
	default:
		t.Fatalf("no such effect: %q", then)
	}
	l.srv.Inject(f)
}

// process is the program packagecloudtest, which its control endpoints lead.
type process struct {
	url    string
	ca     string
	client *http.Client // for the control endpoints
}

// program is where the program was built, once for all tests. TestMain removes
// the folder.
var program struct {
	once      sync.Once
	dir, path string
	err       error
}

func buildProgram() {
	if program.dir, program.err = os.MkdirTemp("", "packagecloudtest-*"); program.err != nil {
		return
	}
	program.path = filepath.Join(program.dir, "packagecloudtest.exe")
	out, err := exec.Command("go", "build", "-o", program.path, "./packagecloudtest/cmd/packagecloudtest").CombinedOutput()
	if err != nil {
		program.err = fmt.Errorf("building the server's program: %w\n%s", err, out)
	}
}

func newProcess(t *testing.T, noChecksums, secure bool) world {
	return startProcess(t, secure, "-repo", "main", "-private", fmt.Sprintf("-no-checksums=%t", noChecksums))
}

func startProcess(t *testing.T, secure bool, args ...string) *process {
	t.Helper()
	program.once.Do(buildProgram)
	if program.err != nil {
		t.Fatal(program.err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	args = append(args, "-until-eof")
	if secure {
		args = append(args, "-tls", "-cert", ca)
	}
	cmd := exec.CommandContext(t.Context(), program.path, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Cancel = stdin.Close
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Wait(); !cmd.ProcessState.Success() {
			t.Errorf("the server's program didn't end well: %v: %s", err, stderr.String())
		}
	})
	lines := bufio.NewScanner(stdout)
	next := func(name string) string {
		lines.Scan()
		value, ok := strings.CutPrefix(lines.Text(), name+"=")
		if !ok {
			t.Fatalf("the server's program printed no %s: %s", name, stderr.String())
		}
		return value
	}
	p := &process{url: next("PACKAGECLOUD_URL")}
	next("PACKAGECLOUD_TOKEN") // when it is there all is, the certificate too
	if secure {
		pem, err := os.ReadFile(ca)
		if err != nil {
			t.Fatal(err)
		}
		p.ca = string(pem)
	}
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: trusting(p.ca)}}
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}

func (p *process) address() string   { return p.url }
func (p *process) authority() string { return p.ca }

// trusting returns the settings of a client that knows one authority alone.
func trusting(ca string) *tls.Config {
	if ca == "" {
		return nil
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM([]byte(ca))
	return config
}

// control calls a control endpoint; out may be nil.
func (p *process) control(t *testing.T, method, path string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, p.url+"/_packagecloudtest/"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if resp.StatusCode >= 300 {
		err = fmt.Errorf("%d %s", resp.StatusCode, answer)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(answer, out)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (p *process) inject(t *testing.T, f packagecloudtest.Fault, then string) {
	var delay string
	if f.Delay > 0 {
		delay = f.Delay.String()
	}
	p.control(t, "POST", "faults", struct {
		packagecloudtest.Fault
		Delay string `json:"delay"`
		Then  string `json:"then"`
	}{f, delay, then}, nil)
}

func (p *process) token(t *testing.T) string {
	var out struct{ Token string }
	p.control(t, "GET", "token", nil, &out)
	return out.Token
}

func (p *process) requests(t *testing.T) (out []packagecloudtest.Request) {
	p.control(t, "GET", "requests", nil, &out)
	return out
}

func (p *process) forget(t *testing.T) { p.control(t, "DELETE", "requests", nil, nil) }

func (p *process) packages(t *testing.T) []packagecloudtest.Package { return p.packagesOf(t, "main") }

func (p *process) packagesOf(t *testing.T, repository string) (out []packagecloudtest.Package) {
	p.control(t, "GET", "packages?repository="+repository, nil, &out)
	return out
}

func TestMain(m *testing.M) {
	if os.Getenv(smallFilesOnly) != "" {
		os.Exit(downloadToAFullDisk())
	}
	if folder := os.Getenv(envPush); folder != "" {
		os.Exit(push(folder))
	}
	code := m.Run()
	if program.dir != "" {
		code = cmp.Or(code, removed(program.dir))
	}
	os.Exit(code)
}

func removed(dir string) int {
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
