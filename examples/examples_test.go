// Package examples tests the programs in its folders. It builds each program
// and runs it as a process against real servers, with exactly the policy beside
// the program.
package examples

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

const deb = "demo_1.0_amd64.deb"

// bin is the folder of the built programs.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if testing.Short() {
			return m.Run() // which skips all
		}
		dir, err := os.MkdirTemp("", "examples")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(dir)
		bin = dir + string(filepath.Separator)
		if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", bin, "./...").CombinedOutput(); err != nil {
			log.Printf("go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// world is the surroundings of a program: a packagecloud server with the
// repository acme/main, a home directory, and an environment that holds nothing
// else. Its working directory holds a package to push.
type world struct {
	*packagecloudtest.Server
	t       *testing.T
	dir     string
	env     []string
	secrets []string // what no program may print
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no programs are built")
	}
	server := packagecloudtest.NewServer(nil)
	t.Cleanup(server.Close)
	server.CreateRepository("main", true)
	w := &world{Server: server, t: t, dir: t.TempDir(), secrets: []string{server.Token()}}
	w.env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "PACKAGECLOUD_URL=" + server.URL}
	w.write(deb, "not read by anyone")
	return w
}

// write makes a file in the working directory that only its owner can read.
func (w *world) write(name, content string) (path string) {
	w.t.Helper()
	path = filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// store puts the package into the repository.
func (w *world) store(repository string) {
	w.t.Helper()
	if err := w.AddPackage(repository, "ubuntu/noble", deb, []byte("not read by anyone")); err != nil {
		w.t.Fatal(err)
	}
}

// command returns the program with the world's environment and the given
// variables. It kills the program if that doesn't end.
func (w *world) command(env []string, program string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	w.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, bin+program, args...)
	cmd.Dir, cmd.Env = w.dir, append(w.env[:len(w.env):len(w.env)], env...)
	return cmd
}

// run runs a program to its end. It returns the output and the exit status.
func (w *world) run(env []string, program string, args ...string) (stdout, stderr string, status int) {
	w.t.Helper()
	cmd := w.command(env, program, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			w.t.Fatal(err)
		}
		status = exit.ExitCode()
	}
	return w.checked(out.String()), w.checked(errs.String()), status
}

// checked asserts that output holds no secret, and returns it in a printable
// form.
func (w *world) checked(output string) string {
	w.t.Helper()
	if leak := tokensourcetest.FindSecret(output, w.secrets...); leak != "" {
		w.t.Errorf("the program prints a secret: %s", leak)
	}
	for _, secret := range w.secrets {
		output = strings.ReplaceAll(output, secret, "[secret]")
	}
	return output
}

// succeeds asserts the text that a program prints on its standard output.
func (w *world) succeeds(want string, env []string, program string, args ...string) {
	w.t.Helper()
	if stdout, stderr, status := w.run(env, program, args...); status != 0 || stdout != want {
		w.t.Errorf("%s ended with %d and printed %q, want %q; its standard error:\n%s", program, status, stdout, want, stderr)
	}
}

// fails asserts that a program prints one line on standard error, which holds
// each of these texts, prints nothing else, and ends with status 1.
func (w *world) fails(want []string, env []string, program string, args ...string) {
	w.t.Helper()
	stdout, stderr, status := w.run(env, program, args...)
	if status != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 {
		w.t.Errorf("%s ended with %d, printed %q and said\n%s", program, status, stdout, stderr)
	}
	for _, want := range want {
		if !strings.Contains(stderr, want) {
			w.t.Errorf("%s doesn't say %q but %q", program, want, stderr)
		}
	}
}

// enter sets the world's environment, with the given variables, for the test
// itself.
func (w *world) enter(env []string) {
	for _, setting := range append(w.env[:len(w.env):len(w.env)], env...) {
		name, value, _ := strings.Cut(setting, "=")
		w.t.Setenv(name, value)
	}
}

// requests returns the number of requests since its last call.
func (w *world) requests() int {
	defer w.ResetRequests()
	return len(w.Requests())
}

// unavailable skips the test if a server is absent. It fails the test where all
// servers are required.
func unavailable(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("REQUIRE_REAL_SERVERS") == "1" {
		t.Fatal("no real server: " + what)
	}
	t.Skip("SKIPPED, no real server: " + what)
}

// serve starts a server and writes input to its standard input. The server
// prints its settings as its first lines, which serve returns. It ends with its
// standard input.
func serve(t *testing.T, input string, lines int, cmd *exec.Cmd) []string {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	if _, err := io.WriteString(stdin, input); err != nil {
		t.Fatal(err)
	}
	var told []string
	for scanner := bufio.NewScanner(stdout); len(told) < lines; {
		if !scanner.Scan() {
			t.Fatalf("%s ended before it was ready", cmd.Path)
		}
		told = append(told, scanner.Text())
	}
	return told
}

// read returns a file beside a program.
func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// without returns a policy without the paragraph of this statement.
func without(t *testing.T, policy, statement string) string {
	t.Helper()
	all := strings.Split(policy, "\n\n")
	kept := slices.DeleteFunc(slices.Clone(all), func(p string) bool { return strings.Contains(p, statement) })
	if len(kept) != len(all)-1 {
		t.Fatalf("%d paragraphs of the policy hold %s", len(all)-len(kept), statement)
	}
	return strings.Join(kept, "\n\n")
}

// cannotPut asserts that the reader of a store's token may not write it.
func cannotPut(t *testing.T, store tokensource.Sink) {
	t.Helper()
	current, err := store.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), token(t, "another-canary-token"), current); !errors.Is(err, tokensource.ErrDenied) {
		t.Errorf("writing gives %v, want a denial", err)
	}
}

func token(t *testing.T, secret string) tokensource.Token {
	t.Helper()
	tok, err := tokensource.NewToken(secret, tokensource.Metadata{})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestEnv_PushesWithTheTokenOfTheJob(t *testing.T) {
	w := newWorld(t)
	token := []string{"PACKAGECLOUD_TOKEN=" + w.Token()}
	w.succeeds("pushed ubuntu/noble "+deb+"\n", token, "env", "acme/main", "ubuntu/noble", deb)
	w.succeeds("was there already: ubuntu/noble "+deb+"\n", token, "env", "acme/main", "ubuntu/noble", deb)
	if n := len(w.Packages("main")); n != 1 {
		t.Errorf("the repository has %d packages", n)
	}

	w.fails([]string{"PACKAGECLOUD_TOKEN is unset or empty"}, nil, "env", "acme/main", "ubuntu/noble", deb)
	w.secrets = append(w.secrets, "dead-canary-token")
	w.fails([]string{"401", "the token from env:PACKAGECLOUD_TOKEN"}, []string{"PACKAGECLOUD_TOKEN=dead-canary-token"}, "env", "acme/main", "ubuntu/noble", deb)
}

func TestFile_FetchesWithAMountedToken(t *testing.T) {
	w := newWorld(t)
	w.store("main")
	token := w.write("token", w.Token()+"\n")
	args := []string{"-token", token, "acme/main", "ubuntu/noble", deb}
	if err := os.Remove(filepath.Join(w.dir, deb)); err != nil {
		t.Fatal(err)
	}
	w.succeeds("fetched "+deb+"\n", nil, "file", args...)
	if got, err := os.ReadFile(filepath.Join(w.dir, deb)); string(got) != "not read by anyone" {
		t.Errorf("fetched %q, %v", got, err)
	}

	w.requests()
	w.fails([]string{"no such file"}, nil, "file", "-token", token+"s", "acme/main", "ubuntu/noble", deb)
	if runtime.GOOS != "windows" {
		if err := os.Chmod(token, 0o644); err != nil {
			t.Fatal(err)
		}
		w.fails([]string{token, "0644", "chmod"}, nil, "file", args...)
	}
	if n := w.requests(); n != 0 {
		t.Errorf("%d requests without a token", n)
	}
}

func TestCommand_PromotesWithTheTokenOfAHelper(t *testing.T) {
	w := newWorld(t)
	w.CreateRepository("stable", true)
	w.store("main")
	token := w.write("token", w.Token()+"\n")
	w.succeeds("promoted "+deb+" to acme/stable\n", nil, "command", "-helper", "cat "+token, "acme/main", "ubuntu/noble", deb, "acme/stable")
	if from, to := len(w.Packages("main")), len(w.Packages("stable")); from != 0 || to != 1 {
		t.Errorf("%d packages are left and %d came", from, to)
	}

	w.requests()
	locked := w.write("locked", "echo the store is locked, run: unlock >&2; echo half-canary-token; exit 3")
	w.secrets = append(w.secrets, "half-canary-token")
	w.fails([]string{"status 3", "the store is locked, run: unlock"}, nil, "command", "-helper", "sh "+locked, "acme/main", "ubuntu/noble", deb, "acme/stable")
	w.fails([]string{"no-such-helper"}, nil, "command", "-helper", "no-such-helper", "acme/main", "ubuntu/noble", deb, "acme/stable")
	if n := w.requests(); n != 0 {
		t.Errorf("%d requests without a token", n)
	}
}

func TestQuickstart_DoesTheMainJob(t *testing.T) {
	w := newWorld(t)
	stdout, stderr, status := w.run(nil, "quickstart")
	if want := "all 20 pushes succeeded"; status != 0 || !strings.Contains(stdout, want) {
		t.Errorf("ended with %d:\n%s%s", status, stdout, stderr)
	}

	// With -live, the program leaves no package behind.
	token := []string{"PACKAGECLOUD_TOKEN=" + w.Token()}
	stdout, stderr, status = w.run(token, "quickstart", "-live", "acme/main")
	if want := "2 in all"; status != 0 || !strings.Contains(stdout, want) {
		t.Errorf("-live ended with %d:\n%s%s", status, stdout, stderr)
	}
	if n := len(w.Packages("main")); n != 0 {
		t.Errorf("%d packages are left", n)
	}

	w.RevokeToken(w.Token())
	_, stderr, status = w.run(token, "quickstart", "-live", "acme/main")
	if status != 1 || !strings.Contains(stderr, "401 Unauthorized") {
		t.Errorf("with a dead token it ended with %d:\n%s", status, stderr)
	}
}

// A program without arguments prints its usage.
func TestPrograms_SayHowTheyAreUsed(t *testing.T) {
	w := newWorld(t)
	for _, program := range []string{"env", "file", "command", "awssm", "vault", "conjur"} {
		w.fails([]string{"usage: " + program}, nil, program)
	}
}
