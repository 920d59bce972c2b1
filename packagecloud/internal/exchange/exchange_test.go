package exchange

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

const (
	firstToken  = "c0ffee00c0ffee11c0ffee22c0ffee33c0ffee44c0ffee55"
	secondToken = "0badcafe0badcafe0badcafe0badcafe0badcafe0badcafe"
)

// newClient returns a client of a server that the handler plays. Its source gives
// the tokens in turn, one after each that was invalidated.
func newClient(t *testing.T, handler http.HandlerFunc, tokens ...string) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	auth, err := NewAuthenticator(&turns{tokens: tokens}, Config{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return &Client{Auth: auth, Logger: slog.New(slog.DiscardHandler), UserAgent: "test", Stall: 10 * time.Second}
}

type turns struct{ tokens []string }

func (s *turns) Token(context.Context) (tokensource.Token, error) {
	return tokensource.NewToken(s.tokens[0], tokensource.Metadata{Origin: "test"})
}

func (s *turns) Invalidate(tokensource.Token) {
	if len(s.tokens) > 1 {
		s.tokens = s.tokens[1:]
	}
}

// knows answers 200 to one token, and 401 to any other.
func knows(token string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if user, _, _ := r.BasicAuth(); user != token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, "welcome")
	}
}

func TestClient_AnswerSaysWithWhichAttemptItCame(t *testing.T) {
	c := newClient(t, knows(secondToken), firstToken, secondToken)
	var attempts []*Attempt
	answer, err := c.Do(t.Context(), Request{Method: "POST", Endpoint: "/x", URL: "/x", Size: 4, Body: func(a *Attempt) (io.ReadCloser, error) {
		attempts = append(attempts, a)
		return io.NopCloser(strings.NewReader("body")), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Response.Body.Close()
	if answer.Response.StatusCode != http.StatusOK || answer.Attempt != 2 || answer.Refusal != "" {
		t.Errorf("status %d, attempt %d, refusal %q; want 200 at the second", answer.Response.StatusCode, answer.Attempt, answer.Refusal)
	}
	if len(attempts) != 2 || attempts[0] == attempts[1] {
		t.Errorf("the body was opened for the attempts %v; want two", attempts)
	}
}

func TestClient_AnswerSaysWhichTokenWasRefused(t *testing.T) {
	c := newClient(t, knows("none"), firstToken)
	answer, err := c.Do(t.Context(), Request{Method: "GET", Endpoint: "/x", URL: "/x"})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Response.Body.Close()
	if answer.Response.StatusCode != http.StatusUnauthorized || !strings.Contains(answer.Refusal, "the token from test") {
		t.Errorf("status %d, refusal %q; want 401 and the origin", answer.Response.StatusCode, answer.Refusal)
	}
	if user, _, ok := answer.Response.Request.BasicAuth(); !ok || answer.Secrets.Strike("is "+user) != "is [redacted]" {
		t.Errorf("the answer strikes %q", answer.Secrets.Strike("is "+user))
	}
}

func TestClient_SecretsCoverTheRedirectsBefore(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/x" {
			http.Redirect(w, r, "/y?signature=0123456789abcdefghij", http.StatusFound)
		}
	}, firstToken)
	answer, err := c.Do(t.Context(), Request{Method: "GET", Endpoint: "/x", URL: "/x"})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Response.Body.Close()
	if got := answer.Secrets.Strike(firstToken + " 0123456789abcdefghij"); strings.Contains(got, "c0ffee") || strings.Contains(got, "0123") {
		t.Errorf("left is %q", got)
	}
}

func TestClient_CredentialOfARequestReplacesTheToken(t *testing.T) {
	c := newClient(t, knows(secondToken), firstToken)
	credential, err := tokensource.NewToken(secondToken, tokensource.Metadata{})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(t.Context(), Request{Method: "GET", Endpoint: "/x", URL: "/x", Credential: credential})
	if err != nil || answer.Response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v; want 200", answer, err)
	}
	answer.Response.Body.Close()
}

func TestClient_StalledAnswerEnds(t *testing.T) {
	block := make(chan struct{})
	c := newClient(t, func(http.ResponseWriter, *http.Request) { <-block }, firstToken)
	t.Cleanup(func() { close(block) })
	c.Stall = 20 * time.Millisecond
	_, err := c.Do(t.Context(), Request{Method: "GET", Endpoint: "/x", URL: "/x"})
	if !errors.Is(err, ErrStalled) || !Reached(err) {
		t.Errorf("%v; want that it stalled", err)
	}
}

// A source may take longer than a transfer may stand still, also where the token
// names the server and the request goes to another one.
//
// Guarantee A4.
func TestClient_SlowSourceIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := tokensource.Func(func(context.Context) (tokensource.Token, error) {
			time.Sleep(2 * time.Minute)
			return tokensource.NewToken(firstToken, tokensource.Metadata{Origin: "test"})
		})
		auth, err := NewAuthenticator(slow, Config{Next: answering(http.StatusNoContent)})
		if err != nil {
			t.Fatal(err)
		}
		c := &Client{Auth: auth, Logger: slog.New(slog.DiscardHandler), Stall: time.Minute}
		answer, err := c.Do(t.Context(), Request{Method: http.MethodGet, URL: "https://example.com/file"})
		if err != nil {
			t.Fatal(err)
		}
		answer.Response.Body.Close()
	})
}

// answering is a RoundTripper that answers with this status until the context ends.
type answering int

func (s answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(s)}, r.Context().Err()
}
