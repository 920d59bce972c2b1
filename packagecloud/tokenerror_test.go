package packagecloud_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

func TestClient_SourcesFailureIsNotTakenForTheServers(t *testing.T) {
	sdk := &url.Error{Op: "Get", URL: "https://store.example.com/?signature=canary", Err: errors.New("connection refused by the store")}
	calls := 0
	source := tokensource.Func(func(context.Context) (tokensource.Token, error) {
		calls++
		return tokensource.Token{}, tokensource.NewError("store:x", tokensource.ErrUnavailable, "the store is down", sdk)
	})
	client, err := packagecloud.New(source, packagecloud.WithBaseURL("http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Distributions(t.Context())
	if !errors.Is(err, tokensource.ErrUnavailable) || !strings.Contains(err.Error(), "store:x") {
		t.Errorf("the error is %q; want the source's", err)
	}
	if strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "canary") {
		t.Errorf("the error %q prints what the source hides", err)
	}
	if calls != 1 {
		t.Errorf("the source was asked %d times, want 1", calls)
	}
}

// ownSource is a source of a user's, which returns errors of its own.
type ownSource struct{ err error }

func (s ownSource) Token(context.Context) (tokensource.Token, error) {
	return tokensource.Token{}, s.err
}

// Guarantee A3.
func TestClient_WithholdsTheTextOfAUsersSource(t *testing.T) {
	own := errors.New("GET https://store.example.com/?token=canary failed")
	client, err := packagecloud.New(ownSource{own})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Distributions(t.Context())
	if err == nil || strings.Contains(err.Error(), "canary") || !errors.Is(err, own) {
		t.Errorf("the error is %v", err)
	}
}
