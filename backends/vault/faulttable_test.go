package vault_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// TestSource_Faults takes the source through the table of faults against the real
// Vault: a store of version 1 with a Vault token, and one of version 2 with a
// login, by AppRole and by JWT.
//
// Guarantees: K4, B5, B6, G1.
func TestSource_Faults(t *testing.T) {
	for name, of := range map[string]struct {
		kv     kv
		method string
	}{"KV1": {stores[0], "approle"}, "KV2": {stores[1], "approle"}, "KV2 by JWT": {stores[1], "jwt"}} {
		t.Run(name, func(t *testing.T) {
			f := newFaultStage(t, of.kv, of.method)
			tokensourcetest.RunFaults(t,
				tokensourcetest.StoredFaults(f.backend),
				tokensourcetest.HTTPFaults(f.backend, f.root.Address(), f.open),
				f.own())
		})
	}
}

type stage = func(t *testing.T, secret string) []tokensourcetest.Scene

// faultStage is a secret in the real Vault and those who may read it.
type faultStage struct {
	*login
	kv       kv
	token    string // a Vault token
	roleID   string
	secretID string
	jwt      string // empty: the login is by AppRole
	backend  tokensourcetest.Backend
}

func newFaultStage(t *testing.T, k kv, method string) *faultStage {
	t.Helper()
	f := &faultStage{login: newLogin(t, method), kv: k}
	f.permit(t, f.policy, f.path)
	f.token = f.newToken(t, nil)
	if method == "jwt" {
		f.jwt = signJWT(t, jwtLogin(t, f.login, "1h"), ciClaims(time.Hour))
	} else {
		f.roleID, f.secretID = f.login.appRole(t, nil), f.login.secretID(t)
	}
	f.backend = tokensourcetest.Backend{
		New:      func(t *testing.T) tokensource.TokenSource { return f.source(t, f.path, vault.Options{}) },
		Set:      func(t *testing.T, value string) { f.set(t, f.path, value) },
		Remove:   func(t *testing.T) { k.remove(t, f.root, f.path) },
		Canaries: []string{f.token, f.roleID, f.secretID, f.jwt, f.root.Token()},
	}
	return f
}

func (f *faultStage) set(t testing.TB, path, value string) {
	t.Helper()
	f.kv.set(t, f.root, path, map[string]any{"api_key": value})
}

// permit has a policy permit to read a path of the store.
func (f *faultStage) permit(t testing.TB, policy, path string) {
	t.Helper()
	at := f.kv.mount + "/" + path
	if f.kv.version == 2 {
		at = f.kv.mount + "/data/" + path
	}
	write(t, f.root, "sys/policies/acl/"+policy, map[string]any{"policy": fmt.Sprintf("path %q { capabilities = [\"read\"] }", at)})
}

// auth is how the sources log in: with a token of their own, by JWT or by AppRole.
func (f *faultStage) auth() api.AuthMethod {
	if f.kv.version == 1 {
		return vault.Token(vault.Literal(f.token))
	}
	if f.jwt != "" {
		return f.byJWT(f.jwt)
	}
	return f.appRole(f.secretID)
}

func (f *faultStage) byJWT(jwt string) vault.JWT {
	return vault.JWT{Role: "ci", Token: vault.Literal(jwt), Mount: f.mount}
}

func (f *faultStage) appRole(secretID string) vault.AppRole {
	return vault.AppRole{RoleID: vault.Literal(f.roleID), SecretID: vault.Literal(secretID), Mount: f.mount}
}

// source returns one that reads a path of the store.
func (f *faultStage) source(t *testing.T, path string, options vault.Options) *vault.Source {
	t.Helper()
	if options.Auth == nil {
		options.Auth = f.auth()
	}
	return newSource(t, f.client, f.kv.mount+"/"+path, options)
}

// open returns a source that reads the secret by way of a proxy.
func (f *faultStage) open(t *testing.T, address string, ca []byte) tokensource.TokenSource {
	t.Helper()
	var config *api.TLSConfig
	if ca != nil {
		config = &api.TLSConfig{CACertBytes: ca}
	}
	client := clientAt(t, address, "", config)
	client.SetCheckRedirect(nil) // a user's own follows redirects; our copy doesn't
	return newSource(t, client, f.kv.mount+"/"+f.path, vault.Options{Auth: f.auth()})
}

// stage is a row with one scene: a source that is given the token's path and these
// options, and what its error says.
func (f *faultStage) stage(options vault.Options, says string, canaries ...string) stage {
	return func(t *testing.T, secret string) []tokensourcetest.Scene {
		f.set(t, f.path, secret)
		return []tokensourcetest.Scene{{Source: f.source(t, f.path, options), Says: says, Canaries: append(canaries, f.backend.Canaries...)}}
	}
}

// own has the rows that are Vault's own.
func (f *faultStage) own() tokensourcetest.Faults {
	const wrong = "00000000-0000-4000-8000-00000badc0de"
	faults := tokensourcetest.Faults{
		tokensourcetest.WrongCredentials:   f.stage(vault.Options{Auth: f.appRole(wrong)}, "Vault refuses the login", wrong),
		tokensourcetest.ExpiredCredentials: f.expired,
		tokensourcetest.Denied:             f.denied,
		tokensourcetest.FieldMissing:       f.stage(vault.Options{Field: "key"}, `no field "key"`),
		tokensourcetest.NotJSON:            tokensourcetest.NotApplicable("a secret of Vault's is made of fields"),
		tokensourcetest.OddNamed:           f.oddNamed,
		tokensourcetest.VersionMissing:     f.stage(vault.Options{Version: 1 << 20}, "no version 1048576"),
		tokensourcetest.VersionDeleted:     f.deleted,
	}
	if f.jwt != "" {
		faults[tokensourcetest.WrongCredentials] = f.stage(vault.Options{Auth: f.byJWT(wrong)}, "Vault refuses the login", wrong)
	}
	if f.kv.version == 1 {
		faults[tokensourcetest.WrongCredentials] = f.stage(vault.Options{Auth: vault.Token(vault.Literal(wrong))}, "supply another", wrong)
		none := tokensourcetest.NotApplicable("a version 1 store keeps no versions")
		faults[tokensourcetest.VersionMissing], faults[tokensourcetest.VersionDeleted] = none, none
	}
	return faults
}

// expired has the Vault token of the first read revoked. A source that was given a
// token, and no login, reads the next one, which somebody has to supply.
func (f *faultStage) expired(t *testing.T, secret string) []tokensourcetest.Scene {
	f.set(t, f.path, secret)
	if f.kv.version == 2 {
		return []tokensourcetest.Scene{{
			Source: f.source(t, f.path, vault.Options{}), Canaries: f.backend.Canaries,
			Break: func(t *testing.T) { write(t, f.root, "sys/leases/revoke-prefix/auth/"+f.mount, nil) },
		}}
	}
	file := filepath.Join(t.TempDir(), "vault-token")
	first, second := f.newToken(t, nil), f.newToken(t, nil)
	writeFile(t, file, first)
	return []tokensourcetest.Scene{{
		Source: f.source(t, f.path, vault.Options{Auth: vault.Token(vault.File(file))}), Canaries: append(f.backend.Canaries, first, second),
		Break: func(t *testing.T) {
			write(t, f.root, "auth/token/revoke", map[string]any{"token": first})
			writeFile(t, file, second)
		},
	}}
}

// denied has a login whose policy permits another path, and then this one.
func (f *faultStage) denied(t *testing.T, secret string) []tokensourcetest.Scene {
	f.set(t, f.path, secret)
	policy := unique("policy")
	f.permit(t, policy, "another")
	token := f.newToken(t, map[string]any{"policies": []string{policy}})
	return []tokensourcetest.Scene{{
		Source:   f.source(t, f.path, vault.Options{Auth: vault.Token(vault.Literal(token))}),
		Canaries: append(f.backend.Canaries, token),
		Says:     "no policy of it permits",
		Heal:     func(t *testing.T) { f.permit(t, policy, f.path) },
	}}
}

// deleted has one version deleted, another destroyed, and then the latest, which a
// source that asks for none finds.
func (f *faultStage) deleted(t *testing.T, secret string) []tokensourcetest.Scene {
	path := unique("deleted")
	f.permit(t, f.policy, path)
	t.Cleanup(func() { f.permit(t, f.policy, f.path) })
	for range 3 {
		f.set(t, path, secret)
	}
	write(t, f.root, f.kv.mount+"/destroy/"+path, map[string]any{"versions": []int{2}})
	write(t, f.root, f.kv.mount+"/delete/"+path, map[string]any{"versions": []int{1, 3}})
	scene := func(version int, says string) tokensourcetest.Scene {
		return tokensourcetest.Scene{Name: says, Says: says, Canaries: f.backend.Canaries, Source: f.source(t, path, vault.Options{Version: version})}
	}
	latest := scene(0, "version 3 of the secret was deleted at 20")
	latest.Heal = func(t *testing.T) {
		write(t, f.root, f.kv.mount+"/undelete/"+path, map[string]any{"versions": []int{3}})
	}
	return []tokensourcetest.Scene{
		scene(1, "version 1 of the secret was deleted at 20"),
		scene(2, "version 2 of the secret was destroyed"),
		latest,
	}
}

// oddNamed has secrets and fields of odd names.
func (f *faultStage) oddNamed(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
	for _, name := range tokensourcetest.OddNames() {
		f.kv.set(t, f.root, name, map[string]any{"field " + name: secret})
		scenes = append(scenes, tokensourcetest.Scene{
			Name: name, Canaries: f.backend.Canaries,
			Source: newSource(t, f.root, f.kv.mount+"/"+name, vault.Options{Field: "field " + name}),
		})
	}
	return scenes
}
