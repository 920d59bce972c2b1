package tokensource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

// myStore stands for a store that this library doesn't know.
func myStore(context.Context) (tokensource.Token, error) {
	return tokensource.NewToken(os.Getenv("MY_STORE_TOKEN"), tokensource.Metadata{Origin: "mystore:packagecloud"})
}

// A service usually holds its token in a chain behind a cache.
func Example() {
	os.Setenv("MY_STORE_TOKEN", "0123456789abcdef")
	none := tokensource.Func(func(context.Context) (tokensource.Token, error) {
		return tokensource.Token{}, tokensource.NewError("team:token", tokensource.ErrNotFound, "nobody stored one", nil)
	})
	chain, err := tokensource.Chain(none, tokensource.Func(myStore))
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokensource.Cache(chain, tokensource.CacheOptions{
		OnEvent: func(e tokensource.Event) { fmt.Println(e.Kind, e.Source) },
	})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := cache.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok.Metadata().Origin, tok.Fingerprint(), tok)
	// Output:
	// fell through func
	// fetched mystore:packagecloud
	// mystore:packagecloud 9f9f5111f7b2 [redacted]
}

// A program can bring its own source: a function that returns a token, or an
// error with the kind of failure.
func ExampleFunc() {
	source := tokensource.Func(func(ctx context.Context) (tokensource.Token, error) {
		b, err := os.ReadFile("/no/such/file")
		if errors.Is(err, os.ErrNotExist) {
			return tokensource.Token{}, tokensource.NewError("keyring:packagecloud", tokensource.ErrNotFound, "store a token first", err)
		}
		if err != nil {
			return tokensource.Token{}, tokensource.NewError("keyring:packagecloud", tokensource.ErrUnavailable, "the keyring cannot be read", err)
		}
		return tokensource.NewToken(string(b), tokensource.Metadata{Origin: "keyring:packagecloud"})
	})
	_, err := source.Token(context.Background())
	fmt.Println(err)
	fmt.Println(errors.Is(err, tokensource.ErrNotFound), errors.Is(err, os.ErrNotExist))
	// Output:
	// keyring:packagecloud: not found: store a token first
	// true true
}

// Printing or encoding a token writes "[redacted]".
func ExampleToken() {
	tok, err := tokensource.NewToken("0123456789abcdef\n", tokensource.Metadata{Origin: "example"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v %+v %#v %x\n", tok, tok, []any{tok}, tok)
	b, _ := json.Marshal(map[string]any{"token": tok})
	fmt.Println(string(b))
	fmt.Println(len(tok.Reveal()))
	// Output:
	// [redacted] [redacted] []interface {}{[redacted]} [redacted]
	// {"token":"[redacted]"}
	// 16
}

// A malformed secret gives an error that says what to do. The error doesn't
// show the secret.
func ExampleNewToken() {
	_, err := tokensource.NewToken("packagecloud:0123456789abcdef", tokensource.Metadata{Origin: "file:/etc/packagecloud/token"})
	fmt.Println(err)
	// Output: file:/etc/packagecloud/token: invalid: the token contains a colon; store the token alone, without a user name or a key before it
}

// FallThrough lets an outage of the first source lead to the second.
func ExampleChainSource_FallThrough() {
	down := tokensource.Func(func(context.Context) (tokensource.Token, error) {
		return tokensource.Token{}, tokensource.NewError("vault:secret/packagecloud", tokensource.ErrUnavailable, "no answer", nil)
	})
	chain, err := tokensource.Chain(down, tokensource.Static("0123456789abcdef"))
	if err != nil {
		log.Fatal(err)
	}
	_, err = chain.Token(context.Background())
	fmt.Println(err)
	tok, err := chain.FallThrough(tokensource.ErrUnavailable).Token(context.Background())
	fmt.Println(tok.Metadata().Origin, err)
	// Output:
	// no token: vault:secret/packagecloud: unavailable: no answer
	// static <nil>
}

// Status serves a readiness probe.
func ExampleCachedSource_Status() {
	cache, err := tokensource.Cache(tokensource.Static("0123456789abcdef"), tokensource.CacheOptions{RefreshAfter: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cache.Status().Ready)
	cache.Token(context.Background())
	s := cache.Status()
	fmt.Println(s.Ready, s.Stale, s.Rejected, s.Err, s.Fingerprint)
	// Output:
	// false
	// true false false <nil> 9f9f5111f7b2
}
