package vault_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/backends/vault/internal/realvault"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// TestMain keeps the tests from the Vault that their user may work with.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "VAULT_") {
			os.Unsetenv(name)
		}
	}
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		panic(err)
	}
	os.Setenv("HOME", home)
	code := m.Run()
	os.RemoveAll(home)
	os.Exit(code)
}

const (
	secretA = "0f3c1a5e9d7b2468ace013579bdf2468ace0135791a2b3c4"
	secretB = "b4d455a1b2c3d4e5f60718293a4b5c6d7e8f901234567890"
)

var serial atomic.Int64

// unique returns a name that no other test uses.
func unique(prefix string) string { return prefix + strconv.FormatInt(serial.Add(1), 10) }

func newSource(t testing.TB, client *api.Client, path string, options vault.Options) *vault.Source {
	t.Helper()
	source, err := vault.New(client, path, options)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// get returns the token of a source that has one.
func get(t testing.TB, source tokensource.TokenSource) tokensource.Token {
	t.Helper()
	tok, err := source.Token(t.Context())
	if err != nil {
		t.Fatalf("Token: %v", err)
	}
	return tok
}

// want checks that the source has this secret.
func want(t testing.TB, source tokensource.TokenSource, secret string) tokensource.Token {
	t.Helper()
	tok := get(t, source)
	if tok.Reveal() != secret {
		t.Fatalf("the source returned another token than the one stored")
	}
	return tok
}

// refused checks that the source fails with an error of this kind whose text has
// text, and that neither it nor the source shows one of the secrets.
func refused(t testing.TB, source tokensource.TokenSource, kind error, text string, secrets ...string) error {
	t.Helper()
	tok, err := source.Token(t.Context())
	if err == nil || !tok.IsZero() {
		t.Fatalf("Token returned (%v, %v), want an error of kind %q", tok, err, kind)
	}
	check(t, err, kind, text, secrets...)
	e, _ := errors.AsType[*tokensource.Error](err)
	if s, ok := source.(fmt.Stringer); ok && (e == nil || e.Source != s.String()) {
		t.Errorf("the error %v doesn't name the source %v", err, s)
	}
	tokensourcetest.AssertNoSecret(t, source, secrets...)
	return err
}

func check(t testing.TB, err, kind error, text string, secrets ...string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("the error is %v, want kind %q and %q in it", err, kind, text)
	}
	tokensourcetest.AssertNoSecret(t, err, append(secrets, secretA, secretB)...)
}

// write stores a secret, or fails the test.
func write(t testing.TB, root *api.Client, path string, data map[string]any) *api.Secret {
	t.Helper()
	answer, err := root.Logical().WriteWithContext(context.Background(), path, data)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func remove(t testing.TB, root *api.Client, path string) {
	t.Helper()
	if _, err := root.Logical().DeleteWithContext(context.Background(), path); err != nil {
		t.Fatal(err)
	}
}

// kv is one version of the store, as the tests write it.
type kv struct {
	name, mount string
	version     int
}

var stores = []kv{{"KV1", "kv", 1}, {"KV2", "secret", 2}}

func (k kv) set(t testing.TB, root *api.Client, path string, data map[string]any) {
	t.Helper()
	if k.version == 2 {
		write(t, root, k.mount+"/data/"+path, map[string]any{"data": data})
	} else {
		write(t, root, k.mount+"/"+path, data)
	}
}

func (k kv) remove(t testing.TB, root *api.Client, path string) {
	t.Helper()
	if k.version == 2 {
		remove(t, root, k.mount+"/metadata/"+path)
	} else {
		remove(t, root, k.mount+"/"+path)
	}
}

// eachServer runs a test against a Vault over HTTP and one over TLS.
func eachServer(t *testing.T, test func(t *testing.T, server *realvault.Server, caFile string)) {
	t.Run("HTTP", func(t *testing.T) { test(t, realvault.Shared(t), "") })
	t.Run("TLS", func(t *testing.T) {
		ca := newAuthority(t)
		cert, key := ca.issue(t, "127.0.0.1")
		test(t, realvault.Start(t, "-tls-cert", cert, "-tls-key", key), ca.file)
	})
}

func TestSource_Conformance(t *testing.T) {
	eachServer(t, func(t *testing.T, server *realvault.Server, caFile string) {
		root := server.Root(t, caFile)
		for _, k := range stores {
			t.Run(k.name, func(t *testing.T) {
				path := unique("conformance")
				tokensourcetest.Run(t, tokensourcetest.Backend{
					New: func(t *testing.T) tokensource.TokenSource {
						return newSource(t, server.Root(t, caFile), k.mount+"/"+path, vault.Options{})
					},
					Set: func(t *testing.T, value string) {
						k.set(t, root, path, map[string]any{"api_key": value, "other": 1})
					},
					Remove:   func(t *testing.T) { k.remove(t, root, path) },
					Canaries: []string{server.RootToken},
					Compares: k.version == 2,
				})
			})
		}
	})
}

// Guarantee B5.
func TestSource_FindsTheVersionOfTheStore(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	// Mounts of several elements, one of which ends where the other begins.
	teams := unique("teams")
	write(t, root, "sys/mounts/"+teams+"/kv", map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	write(t, root, "sys/mounts/"+teams+"/old", map[string]any{"type": "kv"})
	for name, test := range map[string]struct {
		mount, path string
		version     int
		options     vault.Options
	}{
		"v1, looked up":                {mount: "kv", path: "a/b"},
		"v2, looked up":                {mount: "secret", path: "a/b", version: 2},
		"v2 with a slash in its mount": {mount: teams + "/kv", path: "a/b", version: 2},
		"v1 with a slash in its mount": {mount: teams + "/old", path: "a/b"},
		"v1 by option":                 {mount: "kv", path: "a/c", options: vault.Options{KVVersion: 1}},
		"v2 by option":                 {mount: "secret", path: "a/c", version: 2, options: vault.Options{KVVersion: 2}},
		"v1 by options":                {mount: teams + "/old", path: "d", options: vault.Options{KVVersion: 1, Mount: teams + "/old"}},
		"v2 by options":                {mount: teams + "/kv", path: "d", version: 2, options: vault.Options{KVVersion: 2, Mount: "/" + teams + "/kv/"}},
		"v2 in a named mount":          {mount: teams + "/kv", path: "e", version: 2, options: vault.Options{Mount: teams + "/kv"}},
		"v2, a path that begins data/": {mount: "secret", path: "data/x", version: 2},
	} {
		t.Run(name, func(t *testing.T) {
			k := kv{mount: test.mount, version: max(test.version, 1)}
			k.set(t, root, test.path, map[string]any{"api_key": secretA})
			path := test.path
			if test.options.Mount == "" {
				path = test.mount + "/" + path
			}
			tok := want(t, newSource(t, server.Root(t, ""), path, test.options), secretA)
			if version := tok.Metadata().Version; (version != "") != (test.version == 2) {
				t.Errorf("the token's version is %q", version)
			}
		})
	}
}

func TestSource_FollowsAStoreThatIsUpgraded(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	mount := unique("upgrade")
	write(t, root, "sys/mounts/"+mount, map[string]any{"type": "kv"})
	write(t, root, mount+"/token", map[string]any{"api_key": secretA})
	source := newSource(t, server.Root(t, ""), mount+"/token", vault.Options{})
	want(t, source, secretA)
	remove(t, root, "sys/mounts/"+mount)
	source.Token(t.Context())
	write(t, root, "sys/mounts/"+mount, map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	kv{mount: mount, version: 2}.set(t, root, "token", map[string]any{"api_key": secretB})
	want(t, source, secretB)
}

// Guarantee B5.
func TestSource_ReturnsTheExactVersion(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	path := unique("versions")
	for _, secret := range []string{"first-" + secretA, "second-" + secretA, "third-" + secretA} {
		stores[1].set(t, root, path, map[string]any{"api_key": secret})
	}
	for version, secret := range []string{"third-", "first-", "second-", "third-"} {
		source := newSource(t, server.Root(t, ""), "secret/"+path, vault.Options{Version: version})
		tok := want(t, source, secret+secretA)
		if got, want := tok.Metadata().Version, strconv.Itoa((version+2)%3+1); got != want {
			t.Errorf("asked for version %d the token says %q, want %q", version, got, want)
		}
	}
}

// Guarantee B5.
func TestSource_UnusableSecrets(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	for name, test := range map[string]struct {
		data  map[string]any
		field string
		kind  error
		text  string
	}{
		"no such field": {map[string]any{"password": secretA}, "", tokensource.ErrInvalid, `no field "api_key"`},
		"a number":      {map[string]any{"api_key": 12345678}, "", tokensource.ErrInvalid, `"api_key" holds a number`},
		"a boolean":     {map[string]any{"api_key": true}, "", tokensource.ErrInvalid, "a boolean"},
		"null":          {map[string]any{"api_key": nil}, "", tokensource.ErrInvalid, "null"},
		"an object":     {map[string]any{"api_key": map[string]any{"v": secretA}}, "", tokensource.ErrInvalid, "an object"},
		"a list":        {map[string]any{"api_key": []string{secretA}}, "", tokensource.ErrInvalid, "a list"},
		"too much":      {tooMuch(), "", tokensource.ErrUnavailable, "longer than 2 MiB"},
	} {
		for _, k := range stores {
			t.Run(name+" "+k.name, func(t *testing.T) {
				path := unique("unusable")
				k.set(t, root, path, test.data)
				source := newSource(t, server.Root(t, ""), k.mount+"/"+path, vault.Options{Field: test.field})
				refused(t, source, test.kind, test.text, server.RootToken)
			})
		}
	}
}

// tooMuch returns a secret of 9 MiB; a single string may have 1 MiB in Vault.
func tooMuch() map[string]any {
	data := map[string]any{"api_key": secretA}
	for i := range 3 {
		data[strconv.Itoa(i)] = strings.Repeat("a", 1<<20)
	}
	return data
}

func TestNew_RefusesWhatCannotBeRight(t *testing.T) {
	client, err := api.NewClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path    string
		options vault.Options
		text    string
	}{
		{"", vault.Options{}, "empty"},
		{"/", vault.Options{}, "empty"},
		{"secret", vault.Options{}, "only a mount"},
		{"secret/../sys/raw", vault.Options{}, `".."`},
		{"secret//x", vault.Options{}, `""`},
		{"x", vault.Options{Mount: "secret/./kv"}, `"."`},
		{"secret/a\nb", vault.Options{}, "don't print"},
		{"secret/a\xff", vault.Options{}, "don't print"},
		{"secret/x", vault.Options{Version: -1}, "negative"},
		{"secret/x", vault.Options{KVVersion: 3}, "1 or 2"},
		{"secret/x", vault.Options{KVVersion: 1, Version: 2}, "no versions"},
		{"secret/" + secretA, vault.Options{}, "looks like a token"},
		{"secret/x", vault.Options{Field: strings.ToUpper(secretA)}, "looks like a token"},
		{"x", vault.Options{Mount: secretA}, "looks like a token"},
		{"secret/x", vault.Options{Namespace: "a/" + secretA}, "looks like a token"},
		{"secret/x", vault.Options{Auth: vault.Certificate{CertFile: "c", KeyFile: "k"}}, "to the client itself"},
	} {
		_, err := vault.New(client, test.path, test.options)
		check(t, err, tokensource.ErrInvalid, test.text)
	}
}

func TestSource_SpellsWhatItReads(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "hvs.of-the-environment")
	for spec, options := range map[string]vault.Options{
		"vault:secret/x#api_key":                          {},
		"vault:secret/x?kv=1#api_key":                     {KVVersion: 1},
		"vault:secret/x?kv=2&version=3#f":                 {KVVersion: 2, Version: 3, Field: "f"},
		"vault:secret/x?mount=m&namespace=a/b#api_key":    {Mount: "m", Namespace: "a/b"},
		"vault:secret/x?kv=2&mount=m&namespace=a#api_key": {Mount: "m", Namespace: "a", KVVersion: 2},
	} {
		source := newSource(t, nil, "secret/x", options)
		again, err := backends.Parse(source.String(), vault.Opener())
		if err != nil {
			t.Fatal(err)
		}
		if got := again.(fmt.Stringer).String(); got != source.String() {
			t.Errorf("%+v is spelled %s, and that %s", options, source, got)
		}
		if got := fmt.Sprintf("%s %#v", source, source); got != spec+" "+spec {
			t.Errorf("printed as %s", got)
		}
		if source.String() != spec {
			t.Errorf("%+v is spelled %s, want %s", options, source, spec)
		}
	}
}

func TestSource_PathOfAnotherKindOfMount(t *testing.T) {
	server := realvault.Shared(t)
	refused(t, newSource(t, server.Root(t, ""), "sys/mounts", vault.Options{}), tokensource.ErrInvalid, "isn't in a key/value store")
	refused(t, newSource(t, server.Root(t, ""), "nowhere/x", vault.Options{}), tokensource.ErrDenied, "no such mount")
	for version := 1; version <= 2; version++ {
		refused(t, newSource(t, server.Root(t, ""), "nowhere/x", vault.Options{KVVersion: version}), tokensource.ErrInvalid, "no such mount")
	}
	refused(t, newSource(t, server.Root(t, ""), "secret/x", vault.Options{KVVersion: 1}), tokensource.ErrInvalid, "KVVersion wrong")
	refused(t, newSource(t, server.Root(t, ""), "kv/x", vault.Options{Version: 1}), tokensource.ErrInvalid, "keeps no versions")
	k := kv{mount: "kv", version: 1}
	k.set(t, server.Root(t, ""), "data/x", map[string]any{"api_key": secretA})
	refused(t, newSource(t, server.Root(t, ""), "kv/x", vault.Options{KVVersion: 2}), tokensource.ErrInvalid, "KVVersion wrong")
}

// TestSource_NothingThere has what the real Vault says where there is no secret.
//
// Guarantee B5.
func TestSource_NothingThere(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	path := unique("once")
	stores[1].set(t, root, path, map[string]any{"api_key": secretA})
	write(t, root, "secret/metadata/"+path+"-metadata", map[string]any{"max_versions": 5})
	for at, options := range map[string]vault.Options{
		"kv/missing":                   {},
		"kv/missing by option":         {KVVersion: 1},
		"secret/missing":               {},
		"secret/missing by option":     {KVVersion: 2},
		"secret/" + path:               {Version: 9},
		"secret/" + path + "-metadata": {},
	} {
		at, _, _ = strings.Cut(at, " ")
		refused(t, newSource(t, server.Root(t, ""), at, options), tokensource.ErrNotFound, "there is no")
	}
}

// BenchmarkSource measures one read of a version 2 store.
func BenchmarkSource(b *testing.B) {
	server := realvault.Shared(b)
	stores[1].set(b, server.Root(b, ""), "benchmark", map[string]any{"api_key": secretA})
	source := newSource(b, server.Root(b, ""), "secret/benchmark", vault.Options{})
	for b.Loop() {
		if _, err := source.Token(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
