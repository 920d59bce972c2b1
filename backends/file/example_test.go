package file_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/packagecloud-go/sdk/backends/file"
	"github.com/packagecloud-go/sdk/tokensource"
)

// A secret that Docker or Kubernetes mounts is read anew whenever the cache
// refreshes, and readable to all by default.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "secrets")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "packagecloud.json")
	secret := `{"api_key": "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"}`
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	source, err := file.New(path, file.Options{Field: "api_key"})
	if err != nil {
		fmt.Println(err)
		return
	}
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{OnEvent: tokensource.LogEvents(nil)})
	if err != nil {
		fmt.Println(err)
		return
	}
	tok, err := cached.Token(context.Background())
	fmt.Println(tok, tok.Fingerprint(), err)
	// Output: [redacted] 1970a9f266bf <nil>
}

// Whoever is logged in with the packagecloud CLI needs no other configuration.
func ExampleCLI() {
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(home)
	defer os.Setenv("HOME", os.Getenv("HOME"))
	os.Setenv("HOME", home)
	config := `{"url": "https://packages.example.com/", "token": "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"}`
	if err := os.WriteFile(filepath.Join(home, ".packagecloud"), []byte(config), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	tok, err := file.CLI().Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tok.Metadata().Origin, "is for", tok.Metadata().BaseURL)
	// Output: file:~/.packagecloud is for https://packages.example.com
}

// Below systemd, LoadCredential=packagecloud:/etc/packagecloud.token puts the
// token where only the service can read it.
func ExampleCredential() {
	source, err := file.Credential("packagecloud", file.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(source)
	// Output: file:$CREDENTIALS_DIRECTORY/packagecloud
}
