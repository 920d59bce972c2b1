package vault_test

import (
	"net/http"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/backends/vault/internal/realvault"
	"github.com/packagecloud-go/sdk/tokensource"
)

// Guarantee C1.
func TestSource_SlipInAPathStopsAChain(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	team := unique("team")
	write(t, root, "sys/mounts/"+team+"/kv", map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	name := unique("slip")
	for _, k := range append(stores, kv{mount: team + "/kv", version: 2}) {
		k.set(t, root, name, map[string]any{"api_key": secretA})
	}
	old := tokensource.Static(secretB)
	for _, test := range []struct {
		path    string
		options vault.Options
		says    string
	}{
		{"secret/data/" + name, vault.Options{}, `without data/: secret/` + name},
		{"/secret/data/" + name + "/", vault.Options{}, `without data/: secret/` + name},
		{"secret/data/" + name, vault.Options{KVVersion: 2}, `without data/: secret/` + name},
		{"data/" + name, vault.Options{Mount: "secret"}, `without data/: secret/` + name},
		{"data/" + name, vault.Options{Mount: "secret", KVVersion: 2}, `without data/: secret/` + name},
		{team + "/kv/data/" + name, vault.Options{}, `without data/: ` + team + "/kv/" + name},
		{"secret/data/" + name, vault.Options{Version: 1}, `without data/`},
		{"secret/metadata/" + name, vault.Options{}, `without metadata/: secret/` + name},
		{"secret/subkeys/" + name, vault.Options{}, `without subkeys/`},
		{"secret/data/missing", vault.Options{KVVersion: 1}, "the store at secret/ is of version 2; set KVVersion (option kv) to that"},
		{"secret/" + name, vault.Options{KVVersion: 1}, "KVVersion wrong"},
		{"kv/" + name, vault.Options{KVVersion: 2}, "the store at kv/ is of version 1; set KVVersion (option kv) to that, or leave it out"},
		{"kv/missing", vault.Options{KVVersion: 2}, "the store at kv/ is of version 1"},
		{name, vault.Options{KVVersion: 2, Mount: "kv"}, "the store at kv/ is of version 1"},
		{"secret/" + name, vault.Options{Mount: "secret"}, "begins with the mount a second time; write " + name},
		{"kv/" + name, vault.Options{Mount: "kv"}, "begins with the mount a second time"},
		{"secret/$STAGE/" + name, vault.Options{}, "nothing expands"},
		{"kv/${STAGE}", vault.Options{KVVersion: 1}, "nothing expands"},
		{"secret/" + name + " ", vault.Options{}, "a quote or a space at an end"},
		{"'" + name + "'", vault.Options{Mount: "kv"}, "a quote or a space at an end"},
		{"secret/" + name + ":api_key", vault.Options{}, "write a field after #"},
		{"kv/" + name + ":api_key", vault.Options{}, "write a field after #"},
	} {
		source := newSource(t, server.Root(t, ""), test.path, test.options)
		refused(t, source, tokensource.ErrInvalid, test.says, server.RootToken)
		chain, err := tokensource.Chain(source, old)
		if err != nil {
			t.Fatal(err)
		}
		if tok, err := chain.Token(t.Context()); err == nil {
			t.Errorf("%s: the chain went on to %v", source, tok.Metadata().Origin)
		}
	}
}

// A secret that is really called like a path of the API is one, and a version 1 store
// has no such paths.
func TestSource_PathThatLooksLikeASlipIsReadWhereItIs(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	name := unique("real")
	for _, k := range stores {
		for _, path := range []string{"data/" + name, "metadata/" + name, "data", k.mount + "/" + name, name + ":1"} {
			k.set(t, root, path, map[string]any{"api_key": secretA})
			for _, options := range []vault.Options{{}, {KVVersion: k.version}, {Mount: k.mount}, {Mount: k.mount, KVVersion: k.version}} {
				full := path
				if options.Mount == "" {
					full = k.mount + "/" + path
				}
				want(t, newSource(t, server.Root(t, ""), full, options), secretA)
			}
		}
	}
	// Nothing is there, and nothing is wrong with the path.
	for _, path := range []string{"kv/data/missing", "kv/metadata/missing", "secret/missing/data/x", "secret/team:a/missing"} {
		refused(t, newSource(t, server.Root(t, ""), path, vault.Options{}), tokensource.ErrNotFound, "there is no secret")
	}
	refused(t, newSource(t, server.Root(t, ""), "kv/data/missing", vault.Options{KVVersion: 1}), tokensource.ErrNotFound, "there is no secret")
}

// Guarantee C1.
func TestSource_RefusalOfASlipHasAHint(t *testing.T) {
	l := newLogin(t, "")
	l.client.SetToken(l.newToken(t, nil))
	for path, says := range map[string]string{
		"secret/data/" + l.path:     "no policy of it permits this, or there is no such mount; in a version 2 store, write the path as in \"vault kv get\", without data/",
		"secret/metadata/" + l.path: "without metadata/",
		"v1/secret/data/" + l.path:  "without v1/: secret/data/" + l.path,
		"v1/secret/" + l.path:       "without v1/: secret/" + l.path,
	} {
		refused(t, newSource(t, l.client, path, vault.Options{}), tokensource.ErrDenied, says)
	}
	refused(t, newSource(t, l.root, "v1/secret/"+l.path, vault.Options{KVVersion: 2}), tokensource.ErrInvalid, "without v1/")
}

// A server without the lookup is why KVVersion may be set; one that fails is an outage.
func TestSource_StoreIsCheckedWhereTheLookupServes(t *testing.T) {
	server := realvault.Shared(t)
	for status, kind := range map[int]error{403: tokensource.ErrNotFound, 404: tokensource.ErrNotFound, 503: tokensource.ErrUnavailable} {
		front := newProxy(t, server.URL, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if kindOf(r.URL.Path) != "mount" {
				next.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(status)
			w.Write([]byte(`{"errors":[]}`))
		})
		source := newSource(t, clientAt(t, front.URL, server.RootToken, nil), "secret/missing", vault.Options{KVVersion: 2})
		refused(t, source, kind, "", server.RootToken)
	}
}

func TestPut_WritesNothingWhereThePathIsASlip(t *testing.T) {
	server := realvault.Shared(t)
	root := server.Root(t, "")
	name := unique("put")
	for path, options := range map[string]vault.Options{
		"secret/data/" + name: {},
		"kv/" + name:          {KVVersion: 2},
	} {
		_, err := newSource(t, server.Root(t, ""), path, options).Put(t.Context(), newToken(t, secretA), tokensource.Token{})
		check(t, err, tokensource.ErrInvalid, "there is no secret at this path", server.RootToken)
	}
	for _, path := range []string{"secret/data/data/" + name, "kv/data/" + name} {
		if found, err := root.Logical().Read(path); found != nil || err != nil {
			t.Errorf("%s: found %v, %v, want nothing", path, found, err)
		}
	}
}

// Guarantee C1.
func TestOpener_RefusesSlips(t *testing.T) {
	for spec, says := range map[string]string{
		"vault://secret/x":                        "a source is no URL; write it without //, such as vault:secret/packagecloud",
		"vault:secret/x#":                         "expected a field",
		"vault:'secret/x'":                        "a quote",
		"vault:secret/x?field=api_key":            `no option "field"`,
		"vault:secret/x?mount=":                   "the value is empty",
		"vault:secret/x?namespace=":               "the value is empty",
		"vault:secret/x?auth=jwt&jwt_env=J&role=": "the value is empty",
		"vault:secret/x#api_key?version=2":        "options come before the field",
		"vault:https://vault:8200/v1/secret/x":    `an element ""`,
		"vault:secret/x;vault:kv/x":               "separate them by a comma alone",
	} {
		_, err := backends.Parse("env:NONE,"+spec, vault.Opener(), backends.Opener{Scheme: "env", Open: func(backends.Spec) (tokensource.TokenSource, error) {
			return tokensource.Static(secretA), nil
		}})
		check(t, err, tokensource.ErrInvalid, says)
	}
}

// Guarantee C1.
func TestCredential_SlipStopsAChain(t *testing.T) {
	client := func() *api.Client { return handlerClient(t, newFake()) }
	for _, name := range []string{"", "$JWT", "${JWT}", "%JWT%", "JWT=sekrit-value", "JWT TOKEN", `"JWT"`, secretA} {
		refused(t, newSource(t, client(), "secret/x", vault.Options{Auth: vault.Token(vault.Env(name))}), tokensource.ErrInvalid, "without $ and without a value", "sekrit-value")
	}
	for _, path := range []string{"~/token", "$HOME/token", "%USERPROFILE%/token", `"/run/token"`} {
		refused(t, newSource(t, client(), "secret/x", vault.Options{Auth: vault.Token(vault.File(path))}), tokensource.ErrInvalid, "no ~ or variable is expanded")
	}
	for says, credential := range map[string]vault.Credential{
		"which the login needs":                            vault.Env("NOT-SET.x"),
		"Vault token: there is no file /nonexistent/token": vault.File("/nonexistent/token"),
	} {
		refused(t, newSource(t, client(), "secret/x", vault.Options{Auth: vault.Token(credential)}), tokensource.ErrNotFound, says)
	}
}
