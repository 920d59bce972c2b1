package vault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/backends/vault/internal/realvault"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

var (
	_ tokensource.Sink   = (*vault.Source)(nil)
	_ tokensource.Runner = (*vault.Source)(nil)
)

func newToken(t testing.TB, secret string) tokensource.Token {
	t.Helper()
	tok, err := tokensource.NewToken(secret, tokensource.Metadata{})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestPut_KeepsTheOtherFields(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	for _, k := range stores {
		t.Run(k.name, func(t *testing.T) {
			path := unique("put")
			k.set(t, root, path, map[string]any{"api_key": secretA, "user": "ci", "big": json.Number("9007199254740991"), "nested": map[string]any{"a": []int{1, 2}}})
			sink := newSource(t, server.Root(t, ""), k.mount+"/"+path, vault.Options{})
			old := get(t, sink)
			next, err := sink.Put(t.Context(), newToken(t, secretB), old)
			if err != nil {
				t.Fatal(err)
			}
			want(t, sink, secretB)
			if got, want := next.Metadata().Version, map[int]string{1: "", 2: "2"}[k.version]; got != want {
				t.Errorf("Put returned version %q, want %q", got, want)
			}
			api := k.mount + "/" + path
			if k.version == 2 {
				api = k.mount + "/data/" + path
			}
			answer, err := root.Logical().Read(api)
			if err != nil {
				t.Fatal(err)
			}
			data := answer.Data
			if k.version == 2 {
				data = data["data"].(map[string]any)
			}
			delete(data, "api_key")
			wantData := map[string]any{"user": "ci", "big": json.Number("9007199254740991"), "nested": map[string]any{"a": []any{json.Number("1"), json.Number("2")}}}
			if !reflect.DeepEqual(data, wantData) {
				t.Errorf("the other fields are %v, want %v", data, wantData)
			}
		})
	}
}

func TestPut_WhatCountsAsNothingStored(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	k := stores[1]
	for name, prepare := range map[string]func(path string){
		"no secret":   func(string) {},
		"no field":    func(path string) { k.set(t, root, path, map[string]any{"user": "ci"}) },
		"empty field": func(path string) { k.set(t, root, path, map[string]any{"api_key": ""}) },
		"deleted": func(path string) {
			k.set(t, root, path, map[string]any{"api_key": secretB})
			write(t, root, "secret/delete/"+path, map[string]any{"versions": []int{1}})
		},
		"destroyed": func(path string) {
			k.set(t, root, path, map[string]any{"api_key": secretB})
			write(t, root, "secret/destroy/"+path, map[string]any{"versions": []int{1}})
		},
		"metadata only": func(path string) { write(t, root, "secret/metadata/"+path, map[string]any{"max_versions": 5}) },
	} {
		t.Run(name, func(t *testing.T) {
			path := unique("nothing")
			prepare(path)
			sink := newSource(t, server.Root(t, ""), "secret/"+path, vault.Options{})
			_, err := sink.Put(t.Context(), newToken(t, secretA), newToken(t, secretB))
			check(t, err, tokensource.ErrConflict, "another token")
			if _, err := sink.Put(t.Context(), newToken(t, secretA), tokensource.Token{}); err != nil {
				t.Fatal(err)
			}
			want(t, sink, secretA)
		})
	}
}

// Guarantee B5.
func TestPut_Conflicts(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	path := unique("conflict")
	sink := newSource(t, server.Root(t, ""), "secret/"+path, vault.Options{})
	for _, stored := range []any{secretB, "mal formed", 7} {
		stores[1].set(t, root, path, map[string]any{"api_key": stored})
		_, err := sink.Put(t.Context(), newToken(t, "new-"+secretA), newToken(t, secretA))
		check(t, err, tokensource.ErrConflict, "another token", "new-"+secretA)
	}
}

func TestPut_OneOfManyWins(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	path := unique("race")
	stores[1].set(t, root, path, map[string]any{"api_key": secretA})
	old := newToken(t, secretA)
	var wins atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		sink := newSource(t, server.Root(t, ""), "secret/"+path, vault.Options{})
		wg.Go(func() {
			switch _, err := sink.Put(t.Context(), newToken(t, fmt.Sprintf("%s%d", secretB, i)), old); {
			case err == nil:
				wins.Add(1)
			default:
				check(t, err, tokensource.ErrConflict, "")
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d of 8 rotations at once won, want 1", wins.Load())
	}
}

// TestPut_AnotherFieldWrittenMeanwhile has another writer between Put's read and
// its write.
func TestPut_AnotherFieldWrittenMeanwhile(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	path := unique("meanwhile")
	set := func(data map[string]any) { stores[1].set(t, root, path, data) }
	set(map[string]any{"api_key": secretA, "n": 0})
	for name, test := range map[string]struct {
		meanwhile map[string]any
		times     int
		kind      error
	}{
		"once":        {map[string]any{"api_key": secretA, "n": 1}, 1, nil},
		"always":      {map[string]any{"api_key": secretA, "n": 1}, 99, tokensource.ErrConflict},
		"same field":  {map[string]any{"api_key": "else-" + secretA}, 1, tokensource.ErrConflict},
		"field's end": {map[string]any{"n": 1}, 1, tokensource.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			set(map[string]any{"api_key": secretA, "n": 0})
			times := 0
			proxy := newProxy(t, server.URL, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == http.MethodPut && times < test.times {
					times++
					set(test.meanwhile)
				}
				next.ServeHTTP(w, r)
			})
			sink := newSource(t, proxy.client(t, server.RootToken), "secret/"+path, vault.Options{})
			_, err := sink.Put(t.Context(), newToken(t, secretB), newToken(t, secretA))
			if test.kind == nil {
				if err != nil {
					t.Fatal(err)
				}
				want(t, sink, secretB)
				return
			}
			check(t, err, test.kind, "", server.RootToken)
		})
	}
}

// Guarantee B5.
func TestPut_AnAnswerThatGotLost(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	for name, lose := range map[string]func(w http.ResponseWriter, cancel context.CancelFunc){
		"cut off":         func(http.ResponseWriter, context.CancelFunc) { panic(http.ErrAbortHandler) },
		"500":             func(w http.ResponseWriter, _ context.CancelFunc) { http.Error(w, `{"errors":["x"]}`, 500) },
		"504 of a proxy":  func(w http.ResponseWriter, _ context.CancelFunc) { http.Error(w, "<html>", http.StatusGatewayTimeout) },
		"the caller left": func(_ http.ResponseWriter, cancel context.CancelFunc) { cancel(); panic(http.ErrAbortHandler) },
	} {
		for _, k := range stores {
			t.Run(name+" "+k.name, func(t *testing.T) {
				path := unique("lost")
				k.set(t, root, path, map[string]any{"api_key": secretA})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				proxy := newProxy(t, server.URL, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					if r.Method == http.MethodPut {
						next.ServeHTTP(discard{http.Header{}}, r.WithContext(context.WithoutCancel(r.Context())))
						lose(w, cancel)
						return
					}
					next.ServeHTTP(w, r)
				})
				sink := newSource(t, proxy.client(t, server.RootToken), k.mount+"/"+path, vault.Options{})
				_, err := sink.Put(ctx, newToken(t, secretB), newToken(t, secretA))
				check(t, err, tokensource.ErrUnavailable, "; the new token may have been stored", server.RootToken)
				if errors.Is(err, context.Canceled) != (ctx.Err() != nil) || !strings.HasPrefix(err.Error(), sink.String()) {
					t.Errorf("the error is %v", err)
				}
				want(t, sink, secretB)
			})
		}
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func TestPut_RefusesWhatCannotBeRight(t *testing.T) {
	l := newLogin(t, "")
	token := l.newToken(t, nil)
	readOnly := l.source(t, vault.Token(vault.Literal(token)))
	_, err := readOnly.Put(t.Context(), newToken(t, secretB), newToken(t, secretA))
	check(t, err, tokensource.ErrDenied, "no policy of it permits", token)
	_, err = readOnly.Put(t.Context(), tokensource.Token{}, newToken(t, secretA))
	check(t, err, tokensource.ErrInvalid, "no token to store")
	pinned := newSource(t, l.client, "secret/"+l.path, vault.Options{Version: 1})
	_, err = pinned.Put(t.Context(), newToken(t, secretB), newToken(t, secretA))
	check(t, err, tokensource.ErrInvalid, "pinned")
	want(t, readOnly, secretA)
	tokensourcetest.AssertNoSecret(t, readOnly, token, secretA)
}

// TestPut_RefusedByTheStore has a 400 that isn't due to another writer.
func TestPut_RefusedByTheStore(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	path := unique("refused")
	stores[1].set(t, root, path, map[string]any{"api_key": secretA})
	puts := 0
	proxy := newProxy(t, server.URL, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut {
			puts++
			http.Error(w, `{"errors":["`+secretB+`"]}`, 400)
			return
		}
		next.ServeHTTP(w, r)
	})
	sink := newSource(t, proxy.client(t, server.RootToken), "secret/"+path, vault.Options{})
	_, err := sink.Put(t.Context(), newToken(t, secretB), newToken(t, secretA))
	check(t, err, tokensource.ErrInvalid, "status 400", server.RootToken)
	if puts != 1 {
		t.Errorf("%d writes, want 1", puts)
	}
}
