package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun_PrintsItsAddressAndStops(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "ca.pem")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-tls", "-cert", cert, "-owner", "me", "-repo", "one,two", "-private"}, nil, pw, io.Discard)
		pw.Close()
	}()
	lines := bufio.NewScanner(pr)
	next := func(prefix string) string {
		lines.Scan()
		value, ok := strings.CutPrefix(lines.Text(), prefix)
		if !ok {
			t.Fatalf("printed %q, want %s...; %v", lines.Text(), prefix, <-done)
		}
		return value
	}
	url, token := next("PACKAGECLOUD_URL="), next("PACKAGECLOUD_TOKEN=")
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	for path, want := range map[string]string{"/api/v1/repos.json": `"fqname":"me/two"`, "/_packagecloudtest/token": token} {
		req, err := http.NewRequestWithContext(ctx, "GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(token, "")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, b)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRun_RefusesWhatMakesNoSense(t *testing.T) {
	for _, args := range [][]string{{"extra"}, {"-cert", "x"}, {"-tls"}, {"-addr", "nonsense"}, {"-repo", "a b"}, {"-repo", "a,a"}, {"-nonsense"}} {
		if err := run(t.Context(), args, nil, io.Discard, io.Discard); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestRun_StopsWithItsStandardInput(t *testing.T) {
	input, held := io.Pipe()
	output, printed := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(t.Context(), []string{"-until-eof"}, input, printed, io.Discard) }()
	lines := bufio.NewScanner(output)
	lines.Scan()
	lines.Scan()
	select {
	case err := <-done:
		t.Fatalf("it stopped before its input did: %v", err)
	default:
	}
	held.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
