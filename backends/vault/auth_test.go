package vault_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/backends/vault/internal/realvault"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// login is a real Vault with a secret, a policy that permits to read it, and an
// auth method.
type login struct {
	root, client *api.Client
	path         string // of the secret
	policy       string
	mount        string // of the auth method
}

func newLogin(t testing.TB, method string) *login {
	t.Helper()
	server := realvault.Shared(t)
	return loginAt(t, method, server.Root(t, ""), server.Client(t, ""))
}

func loginAt(t testing.TB, method string, root, client *api.Client) *login {
	t.Helper()
	l := &login{root: root, client: client, path: unique("login"), policy: unique("policy"), mount: unique(method)}
	stores[1].set(t, root, l.path, map[string]any{"api_key": secretA})
	write(t, root, "sys/policies/acl/"+l.policy, map[string]any{
		"policy": `path "secret/data/` + l.path + `" { capabilities = ["read"] }`,
	})
	if method != "" {
		write(t, root, "sys/auth/"+l.mount, map[string]any{"type": method})
	}
	return l
}

func (l *login) source(t testing.TB, auth api.AuthMethod) *vault.Source {
	t.Helper()
	return newSource(t, l.client, "secret/"+l.path, vault.Options{Auth: auth})
}

// appRole makes a role and returns its role-id; role overrides its settings.
func (l *login) appRole(t testing.TB, role map[string]any) string {
	t.Helper()
	settings := map[string]any{"token_policies": l.policy}
	for key, value := range role {
		settings[key] = value
	}
	write(t, l.root, "auth/"+l.mount+"/role/ci", settings)
	answer, err := l.root.Logical().Read("auth/" + l.mount + "/role/ci/role-id")
	if err != nil {
		t.Fatal(err)
	}
	return answer.Data["role_id"].(string)
}

func (l *login) secretID(t testing.TB) string {
	t.Helper()
	return write(t, l.root, "auth/"+l.mount+"/role/ci/secret-id", nil).Data["secret_id"].(string)
}

// Guarantee B6.
func TestAppRole(t *testing.T) {
	l := newLogin(t, "approle")
	dir := t.TempDir()
	roleFile, secretFile := filepath.Join(dir, "role-id"), filepath.Join(dir, "secret-id")
	auth := vault.AppRole{RoleID: vault.File(roleFile), SecretID: vault.File(secretFile), Mount: l.mount}
	refused(t, l.source(t, auth), tokensource.ErrNotFound, "role-id: there is no file "+roleFile)
	roleID := l.appRole(t, map[string]any{"secret_id_num_uses": 1, "token_num_uses": 0})
	secretID := l.secretID(t)
	writeFile(t, roleFile, roleID+"\n")
	writeFile(t, secretFile, "\n")
	refused(t, l.source(t, auth), tokensource.ErrInvalid, "secret-id is empty", roleID)
	writeFile(t, secretFile, secretID+"\r\n")
	source := l.source(t, auth)
	want(t, source, secretA)
	want(t, source, secretA)
	// Its one use is spent.
	refused(t, l.source(t, auth), tokensource.ErrDenied, "spent", roleID, secretID)
	writeFile(t, secretFile, l.secretID(t))
	want(t, l.source(t, auth), secretA)
	// A role that is bound by something else needs none.
	roleID = l.appRole(t, map[string]any{"bind_secret_id": false, "token_bound_cidrs": "127.0.0.1/32"})
	want(t, l.source(t, vault.AppRole{RoleID: vault.Literal(roleID), Mount: l.mount}), secretA)
	refused(t, l.source(t, vault.AppRole{Mount: l.mount}), tokensource.ErrInvalid, "has no role-id")
}

// Guarantee B6.
func TestUserpass(t *testing.T) {
	l := newLogin(t, "userpass")
	const password, wrong = "correct-horse-battery", "wrong-horse-battery"
	write(t, l.root, "auth/"+l.mount+"/users/ci", map[string]any{"password": password, "token_policies": l.policy})
	want(t, l.source(t, vault.Userpass{Username: "ci", Password: vault.Literal(password), Mount: l.mount}), secretA)
	t.Setenv("CI_PASSWORD", wrong)
	refused(t, l.source(t, vault.Userpass{Username: "ci", Password: vault.Env("CI_PASSWORD"), Mount: l.mount}),
		tokensource.ErrDenied, "refuses the login", password, wrong)
	refused(t, l.source(t, vault.Userpass{Username: "ci", Password: vault.Env("NO_SUCH"), Mount: l.mount}),
		tokensource.ErrNotFound, "NO_SUCH isn't set")
	refused(t, l.source(t, vault.Userpass{Username: "../../x", Password: vault.Literal(password), Mount: l.mount}),
		tokensource.ErrInvalid, "user name", password)
	refused(t, l.source(t, vault.Userpass{Username: "ci", Password: vault.Literal(password), Mount: "nowhere"}),
		tokensource.ErrDenied, "no such auth method", password)
}

// jwtLogin sets up the jwt method for tokens signed with the returned key. What it
// gives lives for ttl.
func jwtLogin(t testing.TB, l *login, ttl string) *ecdsa.PrivateKey {
	t.Helper()
	key := newKey(t)
	write(t, l.root, "auth/"+l.mount+"/config", map[string]any{"jwt_validation_pubkeys": publicPEM(t, key)})
	write(t, l.root, "auth/"+l.mount+"/role/ci", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": l.policy, "token_ttl": ttl,
	})
	return key
}

// TestJWT_RotatedAsKubernetesDoes has the JWT in a projected volume, which is
// replaced whole by the renaming of one symbolic link.
//
// Guarantee B6.
func TestJWT_RotatedAsKubernetesDoes(t *testing.T) {
	l := newLogin(t, "jwt")
	key := jwtLogin(t, l, "1s")
	dir := t.TempDir()
	project := func(version, jwt string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, version, "token"), jwt)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	project("..2026_01_01", signJWT(t, key, ciClaims(time.Hour)))
	if err := os.Symlink("..data/token", filepath.Join(dir, "token")); err != nil {
		t.Fatal(err)
	}
	source := l.source(t, vault.JWT{Role: "ci", Token: vault.File(filepath.Join(dir, "token")), Mount: l.mount})
	want(t, source, secretA)
	for i, jwt := range []string{signJWT(t, newKey(t), ciClaims(time.Hour)), signJWT(t, key, ciClaims(time.Hour))} {
		project("..next"+strconv.Itoa(i), jwt)
		write(t, l.root, "sys/leases/revoke-prefix/auth/"+l.mount, nil)
		if i == 0 { // one that Vault doesn't take, so that it shows who is asked
			refused(t, source, tokensource.ErrDenied, "refuses the login", jwt)
		} else {
			want(t, source, secretA)
		}
	}
}

func ciClaims(life time.Duration) map[string]any {
	now := time.Now()
	return map[string]any{"sub": "repo:acme/app", "aud": "vault", "iat": now.Add(-time.Hour).Unix(), "exp": now.Add(life).Unix(), "jti": now.String()}
}

// Guarantee B6.
func TestJWT_RotatedOnDisk(t *testing.T) {
	l := newLogin(t, "jwt")
	key := jwtLogin(t, l, "1s")
	file := filepath.Join(t.TempDir(), "jwt")
	source := l.source(t, vault.JWT{Role: "ci", Token: vault.File(file), Mount: l.mount})
	first := signJWT(t, key, ciClaims(time.Hour))
	writeFile(t, file, first)
	want(t, source, secretA)
	// The next login reads what is there by then: not a JWT, then another one.
	writeFile(t, file, "not.a.jwt")
	if _, err := l.root.Logical().Write("sys/leases/revoke-prefix/auth/"+l.mount, nil); err != nil {
		t.Fatal(err)
	}
	refused(t, source, tokensource.ErrDenied, "refuses the login", first)
	second := signJWT(t, key, ciClaims(time.Hour))
	writeFile(t, file, second)
	want(t, source, secretA)

	for name, bad := range map[string]string{
		"forged":  signJWT(t, newKey(t), ciClaims(time.Hour)),
		"expired": signJWT(t, key, ciClaims(-time.Hour)),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, l.source(t, vault.JWT{Role: "ci", Token: vault.Literal(bad), Mount: l.mount}), tokensource.ErrDenied, "refuses the login", bad)
		})
	}
	refused(t, l.source(t, vault.JWT{Role: "ci", Mount: l.mount}), tokensource.ErrInvalid, "no JWT")
}

// kubernetesLogin sets up the kubernetes method for the pod whose token it returns.
func kubernetesLogin(t testing.TB, l *login) (pod string) {
	t.Helper()
	key := newKey(t)
	pod = signJWT(t, key, map[string]any{
		"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:ci:builder",
		"kubernetes.io/serviceaccount/namespace":            "ci",
		"kubernetes.io/serviceaccount/service-account.name": "builder",
		"kubernetes.io/serviceaccount/service-account.uid":  "5c5f5b9e-0000-4000-8000-000000000000",
	})
	// The API server, as far as Vault asks it.
	kubernetes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct{ Spec struct{ Token string } }
		if r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || json.NewDecoder(r.Body).Decode(&review) != nil {
			t.Errorf("Vault asks for %s", r.URL.Path)
		}
		status := map[string]any{"authenticated": false, "error": "unknown"}
		if review.Spec.Token == pod {
			status = map[string]any{"authenticated": true, "user": map[string]any{
				"username": "system:serviceaccount:ci:builder", "uid": "5c5f5b9e-0000-4000-8000-000000000000",
				"groups": []string{"system:serviceaccounts", "system:serviceaccounts:ci"},
			}}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]any{"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status})
	}))
	t.Cleanup(kubernetes.Close)

	write(t, l.root, "auth/"+l.mount+"/config", map[string]any{
		"kubernetes_host": kubernetes.URL, "disable_local_ca_jwt": true, "token_reviewer_jwt": pod,
		"kubernetes_ca_cert": "", "disable_iss_validation": true,
	})
	write(t, l.root, "auth/"+l.mount+"/role/ci", map[string]any{
		"bound_service_account_names": "builder", "bound_service_account_namespaces": "ci", "token_policies": l.policy,
	})
	return pod
}

// Guarantee B6.
func TestKubernetes(t *testing.T) {
	l := newLogin(t, "kubernetes")
	pod := kubernetesLogin(t, l)
	file := filepath.Join(t.TempDir(), "token")
	writeFile(t, file, pod)
	want(t, l.source(t, vault.Kubernetes{Role: "ci", Token: vault.File(file), Mount: l.mount}), secretA)
	stranger := signJWT(t, newKey(t), map[string]any{
		"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:ci:builder",
		"kubernetes.io/serviceaccount/namespace":            "ci",
		"kubernetes.io/serviceaccount/service-account.name": "builder",
		"kubernetes.io/serviceaccount/service-account.uid":  "00000000-0000-4000-8000-000000000000",
	})
	refused(t, l.source(t, vault.Kubernetes{Role: "ci", Token: vault.Literal(stranger), Mount: l.mount}), tokensource.ErrDenied, "refuses the login", stranger, pod)
	refused(t, l.source(t, vault.Kubernetes{Mount: l.mount}), tokensource.ErrInvalid, "no role")
	refused(t, l.source(t, vault.Kubernetes{Role: "ci", Mount: l.mount}), tokensource.ErrNotFound, "no file /var/run/secrets/kubernetes.io/serviceaccount/token")
}

// certificateLogin starts a Vault over TLS, the environment's from now on, with
// the cert method for the certificates of the authority that it returns.
func certificateLogin(t *testing.T) (*login, *authority) {
	t.Helper()
	ca := newAuthority(t)
	cert, key := ca.issue(t, "127.0.0.1")
	server := realvault.Start(t, "-tls-cert", cert, "-tls-key", key)
	l := loginAt(t, "cert", server.Root(t, ca.file), nil)
	clients := newAuthority(t)
	write(t, l.root, "auth/"+l.mount+"/certs/ci", map[string]any{"certificate": readFile(t, clients.file), "allowed_common_names": "ci", "token_policies": l.policy})
	t.Setenv("VAULT_ADDR", server.URL)
	t.Setenv("VAULT_CACERT", ca.file)
	return l, clients
}

// Guarantee B6.
func TestCertificate(t *testing.T) {
	l, clients := certificateLogin(t)
	certFile, keyFile := clients.issue(t, "ci")
	auth := vault.Certificate{Role: "ci", CertFile: certFile, KeyFile: keyFile, Mount: l.mount}
	source := l.source(t, auth)
	want(t, source, secretA)

	// The files change: the next login is made with what they hold then.
	strangeCert, strangeKey := newAuthority(t).issue(t, "ci")
	copyFile(t, certFile, strangeCert)
	copyFile(t, keyFile, strangeKey)
	if _, err := l.root.Logical().Write("sys/leases/revoke-prefix/auth/"+l.mount, nil); err != nil {
		t.Fatal(err)
	}
	refused(t, source, tokensource.ErrDenied, "refuses the login", readFile(t, keyFile))
	goodCert, goodKey := clients.issue(t, "ci")
	copyFile(t, certFile, goodCert)
	copyFile(t, keyFile, goodKey)
	want(t, source, secretA)

	t.Run("from the environment", func(t *testing.T) {
		t.Setenv("VAULT_CLIENT_CERT", goodCert)
		t.Setenv("VAULT_CLIENT_KEY", goodKey)
		want(t, l.source(t, vault.Certificate{Mount: l.mount}), secretA)
	})
	refused(t, l.source(t, vault.Certificate{CertFile: "missing", KeyFile: keyFile, Mount: l.mount}), tokensource.ErrNotFound, "no file missing")
	refused(t, l.source(t, vault.Certificate{CertFile: keyFile, KeyFile: keyFile, Mount: l.mount}), tokensource.ErrInvalid, "no certificate", readFile(t, keyFile))
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func copyFile(t testing.TB, to, from string) {
	t.Helper()
	writeFile(t, to, readFile(t, from))
}

// newToken returns a Vault token with the policy.
func (l *login) newToken(t testing.TB, settings map[string]any) string {
	t.Helper()
	request := map[string]any{"policies": []string{l.policy, "default"}}
	for key, value := range settings {
		request[key] = value
	}
	answer := write(t, l.root, "auth/token/create", request)
	return answer.Auth.ClientToken
}

// Guarantee B6.
func TestToken_File(t *testing.T) {
	l := newLogin(t, "")
	file := filepath.Join(t.TempDir(), "vault-token")
	source := l.source(t, vault.Token(vault.File(file)))
	refused(t, source, tokensource.ErrNotFound, "Vault token: there is no file")
	writeFile(t, file, "hvs.not valid")
	refused(t, source, tokensource.ErrInvalid, "characters that no Vault token has", "hvs.not valid")
	writeFile(t, file, strings.Repeat("x", 70<<10))
	refused(t, source, tokensource.ErrInvalid, "larger than 64 KiB")
	first := l.newToken(t, nil)
	writeFile(t, file, first+"\n")
	want(t, source, secretA)
	// Revoked, and then replaced by whoever writes the file.
	write(t, l.root, "auth/token/revoke", map[string]any{"token": first})
	refused(t, source, tokensource.ErrDenied, "supply another", first)
	second := l.newToken(t, nil)
	writeFile(t, file, second)
	want(t, source, secretA)
}

func TestToken_IsRenewedByTheRealVault(t *testing.T) {
	l := newLogin(t, "")
	token := l.newToken(t, map[string]any{"ttl": "2s", "explicit_max_ttl": "1h"})
	source := l.source(t, vault.Token(vault.Literal(token)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go source.Run(ctx)
	// Thrice its life, in which nothing reads.
	time.Sleep(6 * time.Second)
	want(t, source, secretA)
}

func TestAppRole_LivesThroughShortLeases(t *testing.T) {
	l := newLogin(t, "approle")
	roleID := l.appRole(t, map[string]any{"token_ttl": "1s", "token_max_ttl": "3s"})
	source := l.source(t, vault.AppRole{RoleID: vault.Literal(roleID), SecretID: vault.Literal(l.secretID(t)), Mount: l.mount})
	for range 80 {
		want(t, source, secretA)
		time.Sleep(100 * time.Millisecond)
	}
}

// TestToken_NeedsNoMoreThanTheSecret has a token that may read the secret and
// nothing else, not even look itself up.
func TestToken_NeedsNoMoreThanTheSecret(t *testing.T) {
	l := newLogin(t, "")
	token := l.newToken(t, map[string]any{"policies": []string{l.policy}, "no_default_policy": true})
	want(t, l.source(t, vault.Token(vault.Literal(token))), secretA)
}

func TestEnvironment(t *testing.T) {
	l := newLogin(t, "")
	first, second := l.newToken(t, nil), l.newToken(t, nil)
	t.Setenv("VAULT_ADDR", l.client.Address())
	source := newSource(t, nil, "secret/"+l.path, vault.Options{})
	refused(t, source, tokensource.ErrNotFound, "set VAULT_TOKEN")
	home := filepath.Join(os.Getenv("HOME"), ".vault-token") // of TestMain; Vault's client looks it up once
	writeFile(t, home, first)
	t.Cleanup(func() { os.Remove(home) })
	want(t, newSource(t, nil, "secret/"+l.path, vault.Options{}), secretA)
	write(t, l.root, "auth/token/revoke", map[string]any{"token": first})
	refused(t, newSource(t, nil, "secret/"+l.path, vault.Options{}), tokensource.ErrDenied, "supply another", first)
	t.Setenv("VAULT_TOKEN", second)
	want(t, newSource(t, nil, "secret/"+l.path, vault.Options{}), secretA)
	// A client's own token counts, not the environment's.
	l.client.SetToken(first)
	refused(t, newSource(t, l.client, "secret/"+l.path, vault.Options{}), tokensource.ErrDenied, "supply another", first, second)
	l.client.ClearToken()
	refused(t, newSource(t, l.client, "secret/"+l.path, vault.Options{}), tokensource.ErrNotFound, "call SetToken")
}

func TestEnvironment_IsRefusedInOurOwnWords(t *testing.T) {
	t.Setenv("VAULT_CACERT", "/no/such/ca.pem")
	_, err := vault.New(nil, "secret/x", vault.Options{})
	check(t, err, tokensource.ErrInvalid, "/no/such/ca.pem")
	t.Setenv("VAULT_CACERT", "")
	t.Setenv("VAULT_PROXY_ADDR", "http://user:pass-word-1234@%zz")
	_, err = vault.New(nil, "secret/x", vault.Options{})
	check(t, err, tokensource.ErrInvalid, "VAULT_ADDR", "pass-word-1234")
}

// Guarantee B5.
func TestNamespaceIsSent(t *testing.T) {
	for name, test := range map[string]struct {
		env, option, want string
	}{
		"none":       {"", "", ""},
		"by env":     {"team-a", "", "team-a"},
		"by option":  {"", "team-b", "team-b"},
		"option won": {"team-a", "team-b", "team-b"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			var seen []string
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen = append(seen, r.Header.Get("X-Vault-Namespace"))
				f.ServeHTTP(w, r)
			})
			t.Setenv("VAULT_NAMESPACE", test.env)
			client := handlerClient(t, handler)
			want(t, newSource(t, client, "secret/x", vault.Options{Namespace: test.option, Auth: appRole}), secretA)
			for _, got := range seen {
				if got != test.want {
					t.Errorf("the namespaces sent are %q, want %q", seen, test.want)
				}
			}
		})
	}
}

func TestAgent_SendsNoToken(t *testing.T) {
	f := newFake()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Vault-Token"); got != "" {
			t.Errorf("a token was sent to the agent")
		}
		r.Header.Set("X-Vault-Token", "hvs.of-the-agent")
		f.ServeHTTP(w, r)
	})
	f.tokens["hvs.of-the-agent"] = life{}
	t.Setenv("VAULT_TOKEN", "hvs.of-the-user")
	source := newSource(t, handlerClient(t, handler), "secret/x", vault.Options{Auth: vault.Agent{}})
	want(t, source, secretA)
	f.set(func() { f.denied = true })
	refused(t, source, tokensource.ErrDenied, "no policy")
}

func TestAuthMethods_PrintNoSecret(t *testing.T) {
	const secret = "s.3cret-of-the-login"
	for _, auth := range []api.AuthMethod{
		vault.Token(vault.Literal(secret)),
		vault.AppRole{RoleID: vault.Literal(secret), SecretID: vault.Literal(secret)},
		vault.Kubernetes{Role: "r", Token: vault.Literal(secret)},
		vault.JWT{Role: "r", Token: vault.Literal(secret)},
		vault.Userpass{Username: "u", Password: vault.Literal(secret)},
	} {
		tokensourcetest.AssertNoSecret(t, auth, secret)
		tokensourcetest.AssertNoSecret(t, vault.Options{Auth: auth}, secret)
	}
}

// bareAuth is a user's own method, which hides nothing.
type bareAuth struct{ Secret string }

func (a bareAuth) Login(context.Context, *api.Client) (*api.Secret, error) {
	return &api.Secret{Auth: &api.SecretAuth{ClientToken: a.Secret}}, nil
}

// Guarantees: K1, G1.
func TestSource_PrintsNoCredential(t *testing.T) {
	const secret = "hvs.of-the-login-or-the-client"
	given := handlerClient(t, newFake())
	given.SetToken(secret)
	given.SetHeaders(http.Header{"X-Gateway-Key": {secret}})
	for _, auth := range []api.AuthMethod{nil, bareAuth{secret}, vault.Token(vault.Literal(secret))} {
		source := newSource(t, given, "secret/x", vault.Options{Auth: auth})
		refused(t, source, tokensource.ErrDenied, "", secret) // and it has logged in
		for _, v := range []any{source, *source} {
			tokensourcetest.AssertNoSecret(t, v, secret)
		}
	}
}
