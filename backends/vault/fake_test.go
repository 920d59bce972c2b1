package vault_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// fake is a Vault for what a real one can't be asked for: the passing of hours
// in a testing/synctest bubble, and failures at a chosen moment. What it answers
// is what the real one answers in the tests that use that.
type fake struct {
	mu        sync.Mutex
	ttl       time.Duration // of a login or renewal; 0 is for ever
	maxTTL    time.Duration // since the login; 0 is for ever
	renewable bool
	delay     time.Duration  // of every answer
	status    map[string]int // by kind of call: what it fails with
	denied    bool           // the policy doesn't permit the secret

	tokens map[string]life
	calls  map[string]int // login, lookup, renew, mount, read
}

type life struct{ end, max time.Time }

func newFake() *fake {
	return &fake{renewable: true, tokens: map[string]life{}, calls: map[string]int{}, status: map[string]int{}}
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) count(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[kind]
}

// revoke ends all tokens.
func (f *fake) revoke() { f.set(func() { clear(f.tokens) }) }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := kindOf(r.URL.Path)
	f.mu.Lock()
	f.calls[kind]++
	delay := f.delay
	f.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
	}
	f.mu.Lock()
	status, body := f.answer(kind, r.Header.Get("X-Vault-Token"))
	f.mu.Unlock()
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func kindOf(path string) string {
	switch {
	case strings.HasSuffix(path, "/login"):
		return "login"
	case strings.HasSuffix(path, "/lookup-self"):
		return "lookup"
	case strings.HasSuffix(path, "/renew-self"):
		return "renew"
	case strings.HasPrefix(path, "/v1/sys/internal/ui/mounts/"):
		return "mount"
	}
	return "read"
}

func (f *fake) answer(kind, token string) (int, any) {
	now := time.Now()
	if status := f.status[kind]; status != 0 {
		return status, map[string]any{"errors": []string{"failed with " + token}}
	}
	if kind == "login" {
		token = fmt.Sprintf("hvs.fake-token-%d", f.calls[kind])
		l := life{}
		if f.maxTTL > 0 {
			l.max = now.Add(f.maxTTL)
		}
		return f.grant(token, l, now)
	}
	l, ok := f.tokens[token]
	if !ok || !l.end.IsZero() && !now.Before(l.end) {
		return 403, map[string]any{"errors": []string{"permission denied", "invalid token"}}
	}
	switch kind {
	case "lookup":
		return 200, map[string]any{"data": map[string]any{"ttl": int(time.Until(l.end).Seconds()), "renewable": f.renewable}}
	case "renew":
		return f.grant(token, l, now)
	case "mount":
		return 200, map[string]any{"data": map[string]any{"path": "secret/", "type": "kv", "options": map[string]any{"version": "2"}}}
	}
	if f.denied {
		return 403, map[string]any{"errors": []string{"permission denied"}}
	}
	return 200, map[string]any{"data": map[string]any{
		"data":     map[string]any{"api_key": secretA},
		"metadata": map[string]any{"version": 1},
	}}
}

func (f *fake) grant(token string, l life, now time.Time) (int, any) {
	if f.ttl > 0 {
		l.end = now.Add(f.ttl)
		if !l.max.IsZero() && l.max.Before(l.end) {
			l.end = l.max
		}
	}
	f.tokens[token] = l
	seconds := 0
	if !l.end.IsZero() {
		seconds = int(l.end.Sub(now).Seconds())
	}
	return 200, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": seconds, "renewable": f.renewable}}
}

// client returns a client of f that needs no network.
func (f *fake) client(t testing.TB) *api.Client { return handlerClient(t, f) }

func handlerClient(t testing.TB, handler http.Handler) *api.Client {
	t.Helper()
	config := api.DefaultConfig()
	config.Address = "https://vault.example"
	config.HttpClient = &http.Client{Transport: direct{handler}}
	client, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// direct hands requests to a handler, with no network in between.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.handler.ServeHTTP(recorder, r)
	}()
	select {
	case <-done:
	case <-r.Context().Done():
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp := recorder.Result()
	resp.Request = r
	return resp, nil
}
