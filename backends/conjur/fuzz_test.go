package conjur

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// canary is put in place of every x of what is fuzzed, and must come back in no error.
const canary = "canary6f1c9e"

func withCanary(data []byte) []byte { return bytes.ReplaceAll(data, []byte("x"), []byte(canary)) }

// FuzzAccessToken holds that whatever Conjur sends is refused or has a life that
// ends within a day.
func FuzzAccessToken(f *testing.F) {
	for _, seed := range []string{`{"protected":"e30","payload":"eyJpYXQiOjEsImV4cCI6NDgxfQ==","signature":"x"}`,
		`{"protected":"e30","payload":"eyJpYXQiOiJ4In0","signature":"x"}`,
		`{"protected":"e30","payload":"eyJpYXQiOjEsImV4cCI6OTk5OTk5OTk5OX0","signature":"x"}`, // for centuries
		`{}`, `null`, `<html>`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &session{}
		access, err := s.parse(data)
		if (access == nil) == (err == nil) {
			t.Fatalf("access token %t, error %v", access != nil, err)
		}
		if err == nil && (access.end.Before(access.renew) || time.Until(access.end) > 25*time.Hour) {
			t.Errorf("it is to be renewed at %v and ends at %v", access.renew, access.end)
		}
	})
}

// FuzzStored feeds both files of Conjur's tools: no content breaks the reading,
// and none is repeated in an error.
func FuzzStored(f *testing.F) {
	f.Add([]byte("account: acme\nappliance_url: https://conjur.example\nhttp_timeout: 5\n"), []byte("machine https://conjur.example/authn\n login x\n password y\n"))
	f.Add([]byte("account: [\n"), []byte("machine\nmacdef x\n\ndefault"))
	f.Add([]byte("a: &a [*a]\n"), []byte("machine m login"))
	f.Add([]byte("{"), []byte("#"))
	f.Add([]byte("x"), []byte("machine x"))
	f.Add([]byte("account: [x]\n"), []byte("x x"))
	f.Add([]byte("http_timeout: x\n"), []byte("machine m x"))
	f.Add([]byte("a: *x\n"), []byte("machine"))
	f.Add([]byte("credential_storage: x\n"), []byte("machine"))
	dir := f.TempDir()
	rc, netrc := filepath.Join(dir, "rc"), filepath.Join(dir, "netrc")
	f.Fuzz(func(t *testing.T, settingsFile, netrcFile []byte) {
		for path, content := range map[string][]byte{rc: settingsFile, netrc: netrcFile} {
			if err := os.WriteFile(path, withCanary(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		environment := map[string]string{"CONJURRC": rc, "CONJUR_NETRC_PATH": netrc, "CONJUR_CREDENTIAL_STORAGE": "file"}
		set, err := readSettings(filepath.Join(dir, "none"), func(name string) string { return environment[name] })
		if err == nil {
			_, _, err = set.stored()
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("an error repeats a file: %v", err)
		}
	})
}
