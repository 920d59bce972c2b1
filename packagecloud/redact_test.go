package packagecloud_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// A redirect's query is in no error, however short it is. Guarantee K4.
func TestError_HidesTheQueryOfARedirect(t *testing.T) {
	c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			http.Redirect(w, r, "/elsewhere?k=v9&x", http.StatusFound)
			return
		}
		w.WriteHeader(422)
		fmt.Fprintf(w, `{"error":["no such address: %s"]}`, r.URL.RequestURI())
	})
	_, err := client.Repository("acme", "main").Info(t.Context())
	c.want(t, err, packagecloud.ErrInvalid)
	e, _ := errors.AsType[*packagecloud.Error](err)
	for _, text := range []string{err.Error(), e.Fields["error"][0], string(e.Body())} {
		if strings.Contains(text, "v9") || !strings.Contains(text, "/elsewhere?[redacted]") {
			t.Errorf("the text is %q", text)
		}
	}
}

// Many credentials in the addresses of redirects make a text cost more than it is
// worth. It is withheld then, and its kind is still told. Guarantee A5.
func TestError_TextThatCostsTooMuchIsWithheld(t *testing.T) {
	var query strings.Builder
	for i := 0; query.Len() < 30<<10; i++ {
		fmt.Fprintf(&query, "a=%013d&", i)
	}
	c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			http.Redirect(w, r, "http://localhost"+strings.TrimPrefix(r.Host, "127.0.0.1")+"/elsewhere?"+query.String(), http.StatusFound)
			return
		}
		w.WriteHeader(422)
		io.WriteString(w, `{"filename":["has already been taken"`+strings.Repeat(`,"x1"`, 3999)+`]}`)
	})
	_, err := client.Repository("acme", "main").Info(t.Context())
	c.want(t, err, packagecloud.ErrExists)
	e, _ := errors.AsType[*packagecloud.Error](err)
	if string(e.Body()) != "[withheld]" {
		t.Errorf("the body is %.100q", e.Body())
	}
}

func TestClient_LongAddressOfTheServerIsRefused(t *testing.T) {
	long := "/elsewhere?q=" + strings.Repeat("x", 512<<10)
	for name, h := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Location", long); w.WriteHeader(302) },
		"link": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+long+`>; rel="next"`)
			io.WriteString(w, `[{"filename":"a"}]`)
		},
	} {
		asked := 0
		c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { asked++; h(w, r) })
		var err error
		for _, err = range client.Repository("acme", "main").Packages(t.Context(), nil) {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "bytes, more than") || asked != 1 {
			t.Errorf("%s: %d requests, and the error is %v", name, asked, err)
		}
		c.clean(t, err)
	}
}

// What striking makes shorter must not bring the half of a token into view.
func TestError_HalfATokenBehindTheEndOfALongBody(t *testing.T) {
	const limit = 64<<10 + 8<<10 // that is read
	body := strings.Repeat(fakeToken+" ", limit/len(fakeToken))
	body = body[:limit-20] + fakeToken
	c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(422)
		io.WriteString(w, body)
	})
	_, err := client.CreateRepository(t.Context(), "new", nil)
	c.want(t, err, packagecloud.ErrInvalid)
	e, _ := errors.AsType[*packagecloud.Error](err)
	if strings.Contains(string(e.Body()), fakeToken[:12]) {
		t.Error("half of the token shows")
	}
}

// The buffers of connections hold the Authorization header. Guarantee K1.
func TestClient_MemoryHidesTheTokenAfterWork(t *testing.T) {
	f := setup(t, packagecloud.WithLogger(nil)) // the logger of the fixture knows the token
	if _, err := f.repo.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	tokensourcetest.AssertHidden(t, f.client, f.srv.Token())
	tokensourcetest.AssertHidden(t, f.repo, f.srv.Token())
}

// Guarantee A3.
func TestClient_StrikesTheTokenThoughARoundTripperHidesTheRequest(t *testing.T) {
	_, client, _ := serve(t, nil, packagecloud.WithHTTPClient(&http.Client{
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			user, _, _ := r.BasicAuth()
			return &http.Response{StatusCode: 422, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"token":"` + user + ` is wrong"}`))}, nil
		}),
	}))
	_, err := client.Distributions(t.Context())
	if err == nil || strings.Contains(err.Error(), fakeToken) || !strings.Contains(err.Error(), "[redacted]") {
		t.Errorf("the error is %v", err)
	}
}
