//go:build unix

package vault_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/tokensource"
)

// TestFile_APipeIsRefusedAtOnce has pipes that nobody writes to, whose opening
// waits for ever.
func TestFile_APipeIsRefusedAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	for name, auth := range map[string]api.AuthMethod{
		"credential":  vault.JWT{Token: vault.File(pipe)},
		"certificate": vault.Certificate{CertFile: pipe, KeyFile: pipe},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, 30*time.Second, func() {
				refused(t, newSource(t, nil, "secret/x", vault.Options{Auth: auth}), tokensource.ErrInvalid, pipe+" isn't a regular file but a FIFO; name a regular file")
			})
		})
	}
	refused(t, newSource(t, nil, "secret/x", vault.Options{Auth: vault.Token(vault.File(os.DevNull))}), tokensource.ErrInvalid, "isn't a regular file")
}

// TestEnvironment_TokenHelper has the vault command's own configuration name a
// program for its token.
func TestEnvironment_TokenHelper(t *testing.T) {
	dir := t.TempDir()
	config, helper := filepath.Join(dir, "config"), filepath.Join(dir, "helper")
	t.Setenv("VAULT_CONFIG_PATH", config)
	writeFile(t, config, "token_helper = \""+helper+"\"\n")
	script := func(text string) {
		writeFile(t, helper, "#!/bin/sh\n"+text+"\n")
		if err := os.Chmod(helper, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l := newLogin(t, "")
	t.Setenv("VAULT_ADDR", l.client.Address())
	token := l.newToken(t, nil)
	script(`[ "$*" = get ] && printf %s ` + token)
	want(t, newSource(t, nil, "secret/"+l.path, vault.Options{}), secretA)
	script("echo " + token + " >&2; exit 1")
	refused(t, newSource(t, nil, "secret/"+l.path, vault.Options{}), tokensource.ErrUnavailable, "token helper failed", token)
	// One that hangs is ended with its login.
	started := filepath.Join(dir, "started")
	script("echo $$ >" + started + "; exec sleep 600")
	t.Setenv("VAULT_CLIENT_TIMEOUT", "1s")
	within(t, 30*time.Second, func() {
		refused(t, newSource(t, nil, "secret/"+l.path, vault.Options{}), tokensource.ErrUnavailable, "token helper failed")
	})
	pid, err := strconv.Atoi(strings.TrimSpace(readFile(t, started)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("the helper still runs: %v", err)
	}
}

// within fails the test if f takes longer.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("it takes longer than %v", limit)
	}
}

// Guarantee B6.
func TestEnvironment_PipeHoldsNothingUp(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	folder := t.TempDir()
	for name, path := range map[string]string{
		"VAULT_CACERT": filepath.Join(t.TempDir(), "ca"), "VAULT_CLIENT_CERT": filepath.Join(t.TempDir(), "cert"),
		"VAULT_CLIENT_KEY": filepath.Join(t.TempDir(), "key"), "VAULT_CAPATH": filepath.Join(folder, "ca"),
	} {
		t.Run(name, func(t *testing.T) {
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv(name, path)
			if name == "VAULT_CAPATH" {
				t.Setenv(name, folder)
			}
			within(t, 30*time.Second, func() {
				_, err := vault.New(nil, "secret/x", vault.Options{})
				check(t, err, tokensource.ErrInvalid, "isn't a regular file")
			})
		})
	}
	for _, name := range []string{".vault-token", ".vault"} {
		path := filepath.Join(home, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		within(t, 30*time.Second, func() {
			refused(t, newSource(t, nil, "secret/x", vault.Options{}), tokensource.ErrInvalid, path+", which the vault command keeps, isn't a regular file")
		})
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// Guarantee B6.
func TestEnvironment_RelativeHomeIsInvalid(t *testing.T) {
	t.Setenv("HOME", ".")
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	refused(t, newSource(t, nil, "secret/x", vault.Options{}), tokensource.ErrInvalid, "is a relative path")
}

// Guarantee B6.
func TestEnvironment_TokenHelpersChildrenGoWithIt(t *testing.T) {
	dir := t.TempDir()
	config, helper, started := filepath.Join(dir, "config"), filepath.Join(dir, "helper"), filepath.Join(dir, "started")
	t.Setenv("VAULT_CONFIG_PATH", config)
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	writeFile(t, config, "token_helper = \""+helper+"\"\n")
	for name, end := range map[string]string{"by itself": "exit 1", "with its time": "sleep 600"} {
		writeFile(t, helper, "#!/bin/sh\nsleep 600 >/dev/null 2>&1 &\necho $! >"+started+"\n"+end+"\n")
		if err := os.Chmod(helper, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("VAULT_CLIENT_TIMEOUT", "1s")
		within(t, 30*time.Second, func() {
			refused(t, newSource(t, nil, "secret/x", vault.Options{}), tokensource.ErrUnavailable, "token helper failed")
		})
		pid, err := strconv.Atoi(strings.TrimSpace(readFile(t, started)))
		if err != nil {
			t.Fatal(err)
		}
		ended := time.Now().Add(20 * time.Second)
		for alive(pid) && time.Now().Before(ended) {
			time.Sleep(5 * time.Millisecond)
		}
		if alive(pid) {
			syscall.Kill(pid, syscall.SIGKILL)
			t.Errorf("a helper that ended %s left its child behind", name)
		}
	}
}

// alive reports whether a process runs; one that nobody has waited for doesn't.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
}
