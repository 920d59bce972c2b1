package sourcekit_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// Store reads the token from an HTTP server that answers with JSON. Programs wrap it in
// [tokensource.Cache], so that it is asked now and then and not at every request.
type Store struct {
	url   string
	file  string // has the password for the server
	field sourcekit.Field
}

func (s *Store) String() string { return "store:packagecloud" }

func (s *Store) Token(ctx context.Context) (tokensource.Token, error) {
	data, err := s.read(ctx)
	if err == nil {
		var secret string
		if secret, err = s.field.Read(data); err == nil {
			return tokensource.NewToken(secret, tokensource.Metadata{Origin: s.String()})
		}
	}
	if e, ok := errors.AsType[*tokensource.Error](err); ok {
		err = tokensource.NewError(s.String(), e.Kind, e.Message, e)
	}
	return tokensource.Token{}, err
}

func (s *Store) read(ctx context.Context) ([]byte, error) {
	password, _, err := sourcekit.ReadFile(s.file, 4<<10)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, "GET", s.url, nil)
	if err != nil {
		return nil, tokensource.NewError("", tokensource.ErrInvalid, "STORE_URL is no URL", err)
	}
	req.SetBasicAuth("ci", strings.TrimSpace(string(password)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		reason, _ := sourcekit.Connection{Address: "STORE_URL"}.Reason(err)
		return nil, tokensource.NewError("", tokensource.ErrUnavailable, "no answer: "+reason, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, tokensource.NewError("", tokensource.ErrDenied, "the store refuses the password", nil)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}

// A source for a store of your own.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"token": "f0e1d2c3b4a59687"})
	}))
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("for the example\n"), 0o600); err != nil {
		panic(err)
	}

	source := &Store{url: server.URL, file: file, field: "token"}
	token, err := source.Token(context.Background())
	fmt.Println(token, err)

	server.Close()
	_, err = source.Token(context.Background())
	fmt.Println(err)
	// Output:
	// [redacted] <nil>
	// store:packagecloud: unavailable: no answer: the connection was refused; does the server run, and is the port of STORE_URL right?
}

// One login serves all callers that come while it runs.
func ExampleFlight() {
	login := sourcekit.Flight[string]{Name: "the login", Timeout: 10 * time.Second}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	session, err := login.Do(ctx, func(ctx context.Context) (string, error) {
		return "session 1", nil // ask the server here, with this ctx
	})
	fmt.Println(session, err)
	// Output: session 1 <nil>
}

func ExampleBackoff() {
	for failures := 1; failures <= 8; failures++ {
		pause := sourcekit.Backoff(failures)
		fmt.Println(pause > 0, pause <= 72*time.Second)
		if failures == 2 {
			break
		}
	}
	// Output:
	// true true
	// true true
}

func ExampleField_Read() {
	secret, err := sourcekit.Field("token").Read([]byte(`{"user":"ci","token":"f0e1d2c3"}`))
	fmt.Println(secret, err)

	_, err = sourcekit.Field("Token").Read([]byte(`{"user":"ci","token":"f0e1d2c3"}`))
	fmt.Println(err)
	// Output:
	// f0e1d2c3 <nil>
	// invalid: the JSON object has no field "Token", among 2; check its spelling, which is case-sensitive
}

func ExampleField_Write() {
	data, err := sourcekit.Field("token").Write([]byte(`{"user": "ci", "token": "old"}`), "new")
	fmt.Println(string(data), err)
	// Output: {"token":"new","user":"ci"} <nil>
}

func ExampleReadFile() {
	_, _, err := sourcekit.ReadFile("/nowhere/password", 4<<10)
	fmt.Println(err)
	fmt.Println(errors.Is(err, tokensource.ErrNotFound))
	// Output:
	// not found: there is no file /nowhere/password; write it, or correct the path
	// true
}

// A file that others can read is refused.
func ExampleOpenFile() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "password")
	if err := os.WriteFile(path, []byte("for the example"), 0o600); err != nil {
		panic(err)
	}

	f, info, err := sourcekit.OpenFile(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	exposed := runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0
	fmt.Println(exposed)
	// Output: false
}

func ExampleConnection_Reason() {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{}
	server.StartTLS()
	defer server.Close()

	store := sourcekit.Connection{
		Address: "STORE_URL",
		CA:      "set STORE_CACERT to the authority's certificate",
	}
	_, err := http.Get(server.URL)
	reason, permanent := store.Reason(err)
	fmt.Println(reason)
	fmt.Println(permanent)
	// Output:
	// the server's certificate is signed by an authority that isn't trusted here; set STORE_CACERT to the authority's certificate
	// true
}

func ExampleHoldsToken() {
	name := "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"
	if sourcekit.HoldsToken(name) {
		fmt.Println("the name of the secret looks like a token; give the name of what holds the token")
	}
	// Output: the name of the secret looks like a token; give the name of what holds the token
}
