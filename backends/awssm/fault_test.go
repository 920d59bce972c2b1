package awssm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/tokensource"
)

// serve runs a server of faults.
func serve(t testing.TB, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// answer is a value as Secrets Manager answers it.
func answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	fmt.Fprintf(w, `{"Name":"s","VersionId":"v1","SecretString":%q,"VersionStages":["AWSCURRENT"]}`, secret)
}

// refuse is a typed error, whose text holds all that mustn't be shown.
func refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{
		"__type":  code,
		"Message": strings.Join([]string{secret, secretKey, session, r.Header.Get("Authorization")}, " "),
	})
}

// Guarantee B4.
func TestSource_FaultsHaveKinds(t *testing.T) {
	typed := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { refuse(w, r, status, code) }
	}
	plain := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "<html>"+secret+secretKey+r.Header.Get("X-Amz-Security-Token")+"</html>")
		}
	}
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		kind    error
		says    string
	}{
		{"access denied", typed(400, "AccessDeniedException"), tokensource.ErrDenied, "denied secretsmanager:GetSecretValue"},
		{"bad signature", typed(400, "InvalidSignatureException"), tokensource.ErrDenied, "InvalidSignatureException"},
		{"unrecognized client", typed(400, "UnrecognizedClientException"), tokensource.ErrDenied, "refused the credentials"},
		{"expired token", typed(400, "ExpiredTokenException"), tokensource.ErrDenied, "have expired"},
		{"clock", typed(400, "RequestExpired"), tokensource.ErrDenied, "clock"},
		{"KMS", typed(400, "DecryptionFailure"), tokensource.ErrDenied, "KMS key"},
		{"missing", typed(400, "ResourceNotFoundException"), tokensource.ErrNotFound, "no such secret"},
		{"to be deleted", typed(400, "InvalidRequestException"), tokensource.ErrInvalid, "scheduled for deletion"},
		{"parameter", typed(400, "InvalidParameterException"), tokensource.ErrInvalid, "check the secret's name"},
		{"a name that AWS doesn't have", typed(400, "ValidationException"), tokensource.ErrInvalid, "check the secret's name"},
		{"throttled", typed(400, "ThrottlingException"), tokensource.ErrUnavailable, "rate of requests"},
		{"quota", typed(400, "LimitExceededException"), tokensource.ErrUnavailable, "quota"},
		{"internal", typed(500, "InternalServiceError"), tokensource.ErrUnavailable, "HTTP 500"},
		{"a code that is a secret", typed(400, secret), tokensource.ErrInvalid, "HTTP 400"},
		{"401 of a proxy", plain(401), tokensource.ErrDenied, "HTTP 401"},
		{"403 of a proxy", plain(403), tokensource.ErrDenied, "HTTP 403"},
		{"404 of a proxy", plain(404), tokensource.ErrInvalid, "HTTP 404"},
		{"429 of a proxy", plain(429), tokensource.ErrUnavailable, "rate of requests"},
		{"502 of a proxy", plain(502), tokensource.ErrUnavailable, "HTTP 502"},
		{"503 of a proxy", plain(503), tokensource.ErrUnavailable, "HTTP 503"},
		{"200 of a portal", plain(200), tokensource.ErrUnavailable, "check the endpoint"},
		{"cut", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"SecretString":"`+secret)
		}, tokensource.ErrUnavailable, "cut"},
		{"hung up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, tokensource.ErrUnavailable, "the connection was cut"},
		{"no value", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") }, tokensource.ErrInvalid, "without a value"},
		{"a value for 307", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/?token="+secret)
			w.WriteHeader(307)
		}, tokensource.ErrInvalid, "HTTP 307, a redirect"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := must(awssm.New(clientOf(serve(t, test.handler)), "s", awssm.Options{}))
			tok, err := s.Token(t.Context())
			fails(t, err, test.kind, test.says)
			if !tok.IsZero() {
				t.Error("a token came with the error")
			}
		})
	}
}

func TestSource_ContextErrorIsKeptWhenTheClientHidesIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := must(awssm.New(hides{cancel}, "s", awssm.Options{})).Token(ctx)
	fails(t, err, context.Canceled, "context ended")
}

// hides is a client that doesn't say why it stopped.
type hides struct{ stop func() }

func (c hides) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	c.stop()
	return nil, errors.New(secret)
}

// Not even where the client doesn't look at its context.
func TestSource_EndedContextSendsNothing(t *testing.T) {
	client := &counter{API: fixed{&secretsmanager.GetSecretValueOutput{SecretString: new(secret)}}}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	_, err := must(awssm.New(client, "s", awssm.Options{})).Token(ctx)
	fails(t, err, context.DeadlineExceeded, "context ended")
	if n := client.calls.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// net/http strips Authorization on the way to another host, but not
// X-Amz-Security-Token.
//
// Guarantee B4.
func TestRedirect_TakesNoCredentialAlong(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, kind := range []string{"SDK's client", "net/http's client"} {
			t.Run(fmt.Sprint(status, " ", kind), func(t *testing.T) {
				var strayed atomic.Int64
				elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) { strayed.Add(1); answer(w) })
				url := serve(t, func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, strings.Replace(elsewhere, "127.0.0.1", "localhost", 1)+"/?q="+secret, status)
				})
				client := clientOf(url, func(o *secretsmanager.Options) {
					if kind == "net/http's client" {
						o.HTTPClient = &http.Client{}
					}
				})
				_, err := must(awssm.New(client, "s", awssm.Options{})).Token(t.Context())
				fails(t, err, tokensource.ErrInvalid, "not followed")
				_, err = must(awssm.NewStore(client, "s", awssm.Options{})).Put(t.Context(), token(secret), tokensource.Token{})
				fails(t, err, tokensource.ErrInvalid, "not followed")
				if strayed.Load() != 0 {
					t.Error("a request went to the other host")
				}
			})
		}
	}
}
