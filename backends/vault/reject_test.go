package vault

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
)

// loginOnly is a Vault that logs in and refuses everything else.
type loginOnly struct{}

func (loginOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := 403, `{"errors":["permission denied"]}`
	if strings.HasSuffix(r.URL.Path, "/login") {
		status, body = 200, `{"auth":{"client_token":"hvs.the-next"}}`
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestReject_LooksAgainAfterACallThatBeganBefore has a refusal arrive while a call
// is under way that ends with the very token that was refused.
func TestReject_LooksAgainAfterACallThatBeganBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := api.DefaultConfig()
		config.HttpClient = &http.Client{Transport: loginOnly{}}
		client, err := api.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		source, err := New(client, "secret/x", Options{Auth: AppRole{RoleID: Literal("the-role")}})
		if err != nil {
			t.Fatal(err)
		}
		s := source.session
		bad := s.keep(newLease(&api.SecretAuth{ClientToken: "hvs.the-refused"}, time.Now()))
		s.flight.Start(func(context.Context) (*lease, error) {
			time.Sleep(time.Second)
			return bad, nil
		})
		l, err := s.reject(t.Context(), bad)
		if err != nil || l.reveal() != "hvs.the-next" {
			t.Errorf("reject: %v, want the next login's token", err)
		}
	})
}
