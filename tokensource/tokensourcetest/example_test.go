package tokensourcetest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// fileSource is a source that the program itself brings.
type fileSource string

func (f fileSource) String() string { return "myfile:" + string(f) }

func (f fileSource) Token(ctx context.Context) (tokensource.Token, error) {
	if err := ctx.Err(); err != nil {
		return tokensource.Token{}, tokensource.NewError(f.String(), tokensource.ErrUnavailable, "the context ended", err)
	}
	b, err := os.ReadFile(string(f))
	if os.IsNotExist(err) {
		return tokensource.Token{}, tokensource.NewError(f.String(), tokensource.ErrNotFound, "create the file", err)
	}
	if err != nil {
		return tokensource.Token{}, tokensource.NewError(f.String(), tokensource.ErrDenied, "make the file readable", err)
	}
	return tokensource.NewToken(string(b), tokensource.Metadata{Origin: f.String()})
}

func TestFileSource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	tokensourcetest.Run(t, tokensourcetest.Backend{
		New:    func(t *testing.T) tokensource.TokenSource { return fileSource(path) },
		Set:    func(t *testing.T, value string) { os.WriteFile(path, []byte(value), 0o600) },
		Remove: func(t *testing.T) { os.Remove(path) },
	})
}

// Call Run in a test function, such as TestFileSource.
func ExampleRun() {
	_ = func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "token")
		tokensourcetest.Run(t, tokensourcetest.Backend{
			New:    func(t *testing.T) tokensource.TokenSource { return fileSource(path) },
			Set:    func(t *testing.T, value string) { os.WriteFile(path, []byte(value), 0o600) },
			Remove: func(t *testing.T) { os.Remove(path) },
		})
	}
}

// StoredFaults covers the stored values of a file. The program adds the other
// rows, or says why they don't apply.
func ExampleRunFaults() {
	_ = func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "token")
		backend := tokensourcetest.Backend{
			New:    func(t *testing.T) tokensource.TokenSource { return fileSource(path) },
			Set:    func(t *testing.T, value string) { os.WriteFile(path, []byte(value), 0o600) },
			Remove: func(t *testing.T) { os.Remove(path) },
		}
		tokensourcetest.RunFaults(t, tokensourcetest.StoredFaults(backend), tokensourcetest.Faults{
			tokensourcetest.Denied: func(t *testing.T, secret string) []tokensourcetest.Scene {
				os.WriteFile(path, []byte(secret), 0o000)
				return []tokensourcetest.Scene{{
					Source: fileSource(path),
					Says:   "make the file readable",
					Heal:   func(t *testing.T) { os.Chmod(path, 0o600) },
				}}
			},
			tokensourcetest.VersionMissing: tokensourcetest.NotApplicable("a file has no versions"),
			// and so on, until every row has scenes or a reason
		})
	}
}

// A program can test its reaction to a rotation without a store.
func ExampleSource() {
	source := tokensourcetest.NewSource("first")
	before, _ := source.Token(context.Background())
	source.Set("second")
	after, _ := source.Token(context.Background())
	fmt.Println(before.Equal(after), after.Metadata().Version, source.Calls())
	// Output: false 2 2
}

func ExampleFindSecret() {
	header := "Authorization: Basic czNjcjN0LXRva2VuOg=="
	fmt.Println(tokensourcetest.FindSecret(header, "s3cr3t-token"))
	fmt.Printf("%q\n", tokensourcetest.FindSecret("Authorization: [redacted]", "s3cr3t-token"))
	// Output:
	// secret 1 of 1 shows in base64
	// ""
}

func ExampleRecorder() {
	var events tokensourcetest.Recorder
	cache, _ := tokensource.Cache(tokensourcetest.NewSource("abc"), tokensource.CacheOptions{OnEvent: events.Record})
	tok, _ := cache.Token(context.Background())
	cache.Invalidate(tok)
	fmt.Println(len(events.Events(tokensource.EventInvalidated)))
	// Output: 1
}
