package tokensource_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// bare is a user's source that keeps an HTTP client in a plain field.
type bare struct {
	client *http.Client
	url    string
}

func (b *bare) Token(ctx context.Context) (tokensource.Token, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", b.url, nil)
	if err != nil {
		return tokensource.Token{}, err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return tokensource.Token{}, err
	}
	defer resp.Body.Close()
	var text strings.Builder
	if _, err := io.Copy(&text, resp.Body); err != nil {
		return tokensource.Token{}, err
	}
	return tokensource.NewToken(text.String(), tokensource.Metadata{Origin: "bare"})
}

// The client of a source keeps connections, whose buffers hold the token.
//
// Guarantee K1.
func TestChainAndCache_HideTheConnectionsOfASource(t *testing.T) {
	const secret = "canary-in-the-buffer-of-a-connection"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, secret) }))
	defer server.Close()
	source := &bare{server.Client(), server.URL}
	chain, err := tokensource.Chain(source)
	if err != nil {
		t.Fatal(err)
	}
	wider := chain.FallThrough(tokensource.ErrRejected)
	cache, err := tokensource.Cache(chain, tokensource.CacheOptions{})
	if err != nil {
		t.Fatal(err)
	}
	direct, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []tokensource.TokenSource{chain, wider, cache, direct} {
		tok, err := s.Token(t.Context())
		if err != nil || tok.Reveal() != secret {
			t.Fatalf("Token returned (%v, %v)", tok, err)
		}
		tokensource.Invalidate(s, tok)
		tokensourcetest.AssertHidden(t, s, secret)
	}
}

// A source of another author may take its name from anywhere.
func TestEvent_ForgesNoLineOfALog(t *testing.T) {
	const odd = "a\u0085b\u2028c\u009bd\u202ee\u200bf\ng"
	e := tokensource.Event{
		Kind: odd, Source: odd, Fingerprint: odd, Version: odd, Previous: odd, Detail: odd,
		Err: errors.New(odd),
	}
	for _, attr := range e.LogValue().Group() {
		if got := attr.Value.String(); got != "a b c d e f g" {
			t.Errorf("%s is %q", attr.Key, got)
		}
	}
}
