package awssm

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

func TestWithoutRedirects_ReturnsTheRedirect(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/elsewhere" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	for _, client := range []aws.HTTPClient{awshttp.NewBuildableClient(), http.DefaultClient} {
		for want, client := range map[int]aws.HTTPClient{http.StatusOK: client, http.StatusTemporaryRedirect: withoutRedirects(client)} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%T answered HTTP %d, want %d", client, resp.StatusCode, want)
			}
		}
	}
	if http.DefaultClient.CheckRedirect != nil {
		t.Error("the client itself was changed")
	}
	if got := withoutRedirects(nil); got != nil {
		t.Errorf("nil became %v", got)
	}
}
