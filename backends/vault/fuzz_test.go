package vault_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/tokensource"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FuzzAnswers has Vault answer anything to the mount lookup and to the read:
// there is a token, or an error of the source that is short and repeats nothing
// of the answer.
func FuzzAnswers(f *testing.F) {
	const (
		longest = len("2006-01-02T15:04:05Z") // that may be repeated: when a version was deleted

		kv2 = `{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}`
		kv1 = `{"data":{"path":"secret/","type":"kv","options":{"version":"1"}}}`
	)
	for _, read := range []string{`{"data":{"data":{"api_key":"` + secretA + `"},"metadata":{"version":3}}}`, `{"data":{"data":null,"metadata":{"version":3,"deletion_time":"` + secretA + `","destroyed":true}}}`,
		`{"data":{"api_key":"` + secretA + `"}}`, `{"data":{"api_key":["` + secretA + `"]}}`, `{"warnings":["` + secretA + `"]}`, `{}`, `null`, `<html>` + secretA, `{"data":{"data":{"api_key":"a b` + secretA + `"},"metadata":{"version":1e400}}}`} {
		f.Add(200, []byte(kv2), 200, []byte(read))
		f.Add(200, []byte(kv1), 200, []byte(read))
	}
	f.Add(404, []byte(`{"errors":[]}`), 200, []byte(`{}`))
	f.Add(200, []byte(`{"data":{"path":"///","type":"kv","options":null}}`), 404, []byte(`{"errors":["no `+secretA+`"]}`))
	f.Fuzz(func(t *testing.T, lookupStatus int, lookup []byte, readStatus int, read []byte) {
		for _, status := range []int{lookupStatus, readStatus} {
			if status < 200 || status > 599 {
				t.Skip()
			}
		}
		config := api.DefaultConfig()
		config.Address = "http://127.0.0.1:1"
		config.MaxRetries = 0
		config.HttpClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			status, body := readStatus, read
			if strings.Contains(r.URL.Path, "/sys/internal/ui/mounts/") {
				status, body = lookupStatus, lookup
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(body))), Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
		})}
		client, err := api.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		client.SetToken("a-token-of-vault")
		source, err := vault.New(client, "secret/packagecloud", vault.Options{})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := source.Token(t.Context())
		if err == nil {
			if tok.IsZero() {
				t.Error("neither a token nor an error")
			}
			return
		}
		if _, ok := errors.AsType[*tokensource.Error](err); !ok {
			t.Errorf("an error of type %T", err)
		}
		for _, body := range []string{string(lookup), string(read)} {
			for i := range max(len(body)-longest, 0) {
				if part := body[i : i+longest+1]; strings.Contains(err.Error(), part) {
					t.Errorf("the error repeats %q of the answer", part)
				}
			}
		}
		if len(err.Error()) > 500 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}
