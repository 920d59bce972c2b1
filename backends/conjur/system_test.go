package conjur

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSystemFile_IsWhereConjursToolsLook(t *testing.T) {
	for goos, want := range map[string]string{"linux": "/etc/conjur.conf", "darwin": "/etc/conjur.conf", "windows": `C:\windows\conjur.conf`} {
		if got := systemFile(goos); got != want {
			t.Errorf("on %s it is %q, want %q", goos, got, want)
		}
	}
}

func TestSettings_SystemFileCountsLeast(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	system := write("conjur.conf", "account: system\nappliance_url: https://system.example\nservice_id: system\n")
	environment := map[string]string{
		"CONJURRC":             write("rc", "account: file\nappliance_url: https://file.example\n"),
		"CONJUR_APPLIANCE_URL": "https://environment.example",
	}
	set, err := readSettings(system, func(name string) string { return environment[name] })
	if err != nil {
		t.Fatal(err)
	}
	if set.ServiceID != "system" || set.Account != "file" || set.ApplianceURL != "https://environment.example" {
		t.Errorf("got service id %q, account %q and address %q", set.ServiceID, set.Account, set.ApplianceURL)
	}
	write("conjur.conf", "account: [")
	if _, err := readSettings(system, func(name string) string { return environment[name] }); err == nil {
		t.Error("a system file that isn't YAML was passed over")
	}
}
