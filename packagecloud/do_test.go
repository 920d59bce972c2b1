package packagecloud_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

// Guarantee A7.
func TestDo_CallsAnEndpointWithoutAMethod(t *testing.T) {
	f := setup(t)
	var keys struct {
		Keys []struct{ Name string } `json:"gpg_keys"`
	}
	if _, err := f.client.Do(t.Context(), packagecloud.Call{Path: "/api/v1/repos/acme/main/gpg_keys.json"}, &keys); err != nil {
		t.Fatal(err)
	}
	if len(keys.Keys) == 0 {
		t.Error("the repository has no key")
	}
	f.srv.RotateToken()
	call := packagecloud.Call{Method: http.MethodPost, Path: "/api/v1/repos/acme/main/master_tokens", Form: url.Values{"master_token[name]": {"ci"}}}
	_, err := f.client.Do(t.Context(), call, nil)
	f.want(t, err, packagecloud.ErrUnauthorized)
}

func TestDo_SendsWhatTheCallSays(t *testing.T) {
	var got *http.Request
	var body string
	c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		fmt.Fprint(w, "plain text")
	})
	var raw []byte
	call := packagecloud.Call{Path: "/install/x%2Fy.list", Query: url.Values{"os": {"ubuntu"}}}
	if _, err := client.Do(t.Context(), call, &raw); err != nil || string(raw) != "plain text" {
		t.Errorf("the answer is %q, %v", raw, err)
	}
	if got.Method != "GET" || got.URL.EscapedPath() != "/install/x%2Fy.list" || got.URL.RawQuery != "os=ubuntu" {
		t.Errorf("%s %s was asked for", got.Method, got.URL)
	}
	if user, _, _ := got.BasicAuth(); user != fakeToken {
		t.Error("the token wasn't sent")
	}
	call = packagecloud.Call{Method: "PATCH", Path: "/x", JSON: map[string]int{"a": 1}}
	if _, err := client.Do(t.Context(), call, nil); err != nil || body != `{"a":1}` || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%q was sent as %q, %v", body, got.Header.Get("Content-Type"), err)
	}
	_, err := client.Do(t.Context(), packagecloud.Call{Path: "/x"}, new(json.RawMessage))
	if err == nil {
		t.Error("text was taken for JSON")
	}
	c.clean(t, err)
}

func TestDo_RefusesWhatIsNoPathOfTheServer(t *testing.T) {
	requests := 0
	_, client, _ := serve(t, func(http.ResponseWriter, *http.Request) { requests++ })
	for _, call := range []packagecloud.Call{
		{}, {Path: "api/v1/repos.json"}, {Path: "//example.com/x"}, {Path: "https://example.com/x"}, {Path: "/x?a=b"}, {Path: "/x?"},
		{Path: "/x", Method: "get"}, {Path: "/x", Method: "G T"}, {Path: "/x#y"}, {Path: "/%zz"}, {Path: "/x", Form: url.Values{}, JSON: 1}, {Path: "/x", JSON: func() {}},
	} {
		if _, err := client.Do(t.Context(), call, nil); err == nil {
			t.Errorf("%+v was taken", call)
		}
	}
	if requests > 0 {
		t.Errorf("%d requests were sent", requests)
	}
}

func TestDo_RepeatsWhatMayBeRepeated(t *testing.T) {
	for _, test := range []struct {
		call packagecloud.Call
		want int
	}{
		{packagecloud.Call{Path: "/x"}, 5},
		{packagecloud.Call{Path: "/x", Method: "POST"}, 1},
		{packagecloud.Call{Path: "/x", Method: "DELETE", Repeatable: true}, 5},
	} {
		requests := 0
		_, client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			requests++
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		if _, err := client.Do(t.Context(), test.call, nil); err == nil || requests != test.want {
			t.Errorf("%+v: %d requests, %v; want %d", test.call, requests, err, test.want)
		}
	}
}

func TestDo_TokenInThePathIsNotPrinted(t *testing.T) {
	const secret = "0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de"
	c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, r.URL.Path, http.StatusNotFound) })
	c.add(secret)
	_, err := client.Do(t.Context(), packagecloud.Call{Path: "/priv/" + secret + "/acme"}, nil)
	if !errors.Is(err, packagecloud.ErrNotFound) || !strings.Contains(err.Error(), "{token}") {
		t.Errorf("%v; want a 404 of /priv/{token}/acme", err)
	}
	c.clean(t, err)
}

// Guarantee A7.
func TestCheck_TellsWhetherTheServerKnowsTheToken(t *testing.T) {
	f := setup(t)
	if err := f.client.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(f.srv.Requests()); n != 1 {
		t.Errorf("%d requests; want 1", n)
	}
	wrong := newClient(t, tokensource.Static(fakeToken), packagecloud.WithBaseURL(f.srv.URL))
	f.want(t, wrong.Check(t.Context()), packagecloud.ErrUnauthorized)
	f.srv.Inject(packagecloudtest.Fault{Status: http.StatusServiceUnavailable, Times: 100})
	if err := f.client.Check(t.Context()); err == nil || errors.Is(err, packagecloud.ErrUnauthorized) {
		t.Errorf("%v; want that the server failed", err)
	}
}
