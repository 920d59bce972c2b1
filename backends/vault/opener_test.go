package vault_test

import (
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/backends/vault/internal/realvault"
	"github.com/packagecloud-go/sdk/tokensource"
)

func TestOpener_ReadsTheRealVault(t *testing.T) {
	l := newLogin(t, "approle")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "role"), l.appRole(t, nil))
	t.Setenv("THE_SECRET_ID", l.secretID(t))
	t.Setenv("VAULT_ADDR", l.client.Address())
	spec := "vault:secret/" + l.path + "?auth=approle&auth_mount=" + l.mount + "&role_id_file=" + filepath.Join(dir, "role") + "&secret_id_env=THE_SECRET_ID&version=1#api_key"
	source, err := backends.Parse(spec, vault.Opener())
	if err != nil {
		t.Fatal(err)
	}
	tok := want(t, source, secretA)
	// The spelling opens the same source.
	again, err := backends.Parse(tok.Metadata().Origin, vault.Opener())
	if err != nil {
		t.Fatalf("%s: %v", tok.Metadata().Origin, err)
	}
	want(t, again, secretA)
	if got := want(t, again, secretA).Metadata().Origin; got != tok.Metadata().Origin {
		t.Errorf("the origin is %q, and opened again %q", tok.Metadata().Origin, got)
	}
}

// TestOpener_EveryLoginOfTheRealVault has each option at work: the methods are at
// mounts of their own, with roles and policies that only the option names.
//
// Guarantee B6.
func TestOpener_EveryLoginOfTheRealVault(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		writeFile(t, filepath.Join(dir, name), content)
		return filepath.Join(dir, name)
	}
	reads := func(t *testing.T, l *login, options string) {
		t.Helper()
		source, err := backends.Parse("vault:secret/"+l.path+"?"+options, vault.Opener())
		if err != nil {
			t.Fatal(err)
		}
		want(t, source, secretA)
	}
	address := realvault.Shared(t).URL
	t.Run("jwt", func(t *testing.T) {
		l := newLogin(t, "jwt")
		jwt := signJWT(t, jwtLogin(t, l, "1h"), ciClaims(time.Hour))
		t.Setenv("VAULT_ADDR", address)
		t.Setenv("THE_JWT", jwt)
		reads(t, l, "auth=jwt&role=ci&auth_mount="+l.mount+"&jwt_file="+file("jwt", jwt))
		reads(t, l, "auth=jwt&role=ci&auth_mount="+l.mount+"&jwt_env=THE_JWT")
	})
	t.Run("kubernetes", func(t *testing.T) {
		l := newLogin(t, "kubernetes")
		pod := kubernetesLogin(t, l)
		t.Setenv("VAULT_ADDR", address)
		reads(t, l, "auth=kubernetes&role=ci&auth_mount="+l.mount+"&jwt_file="+file("pod", pod))
	})
	t.Run("userpass", func(t *testing.T) {
		l := newLogin(t, "userpass")
		write(t, l.root, "auth/"+l.mount+"/users/ci", map[string]any{"password": "correct-horse-battery", "token_policies": l.policy})
		t.Setenv("VAULT_ADDR", address)
		reads(t, l, "auth=userpass&username=ci&auth_mount="+l.mount+"&password_file="+file("password", "correct-horse-battery\n"))
	})
	t.Run("token", func(t *testing.T) {
		l := newLogin(t, "")
		t.Setenv("VAULT_ADDR", address)
		t.Setenv("THE_TOKEN", l.newToken(t, nil))
		reads(t, l, "auth=token&token_env=THE_TOKEN")
		reads(t, l, "auth=token&token_file="+file("token", l.newToken(t, nil)))
	})
	t.Run("cert", func(t *testing.T) {
		l, clients := certificateLogin(t)
		// Without the role, Vault could take this one too, which permits nothing.
		write(t, l.root, "auth/"+l.mount+"/certs/another", map[string]any{"certificate": readFile(t, clients.file), "allowed_common_names": "ci"})
		certFile, keyFile := clients.issue(t, "ci")
		options := "auth=cert&auth_mount=" + l.mount + "&cert_file=" + certFile + "&key_file=" + keyFile
		reads(t, l, options+"&role=ci")
		source, err := backends.Parse("vault:secret/"+l.path+"?"+options+"&role=another", vault.Opener())
		if err != nil {
			t.Fatal(err)
		}
		refused(t, source, tokensource.ErrDenied, "no policy")
	})
	t.Run("agent", func(t *testing.T) {
		l := newLogin(t, "")
		token := l.newToken(t, nil)
		agent := newProxy(t, address, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Header.Get("X-Vault-Token") != "" {
				t.Error("a token was sent to the agent")
			}
			r.Header.Set("X-Vault-Token", token)
			next.ServeHTTP(w, r)
		})
		t.Setenv("VAULT_ADDR", agent.URL)
		t.Setenv("VAULT_TOKEN", "hvs.of-the-user")
		reads(t, l, "auth=agent")
	})
	t.Run("namespace", func(t *testing.T) {
		l := newLogin(t, "")
		var asked, bare atomic.Int64
		enterprise := newProxy(t, address, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			asked.Add(1)
			if r.Header.Get("X-Vault-Namespace") != "teams/a" {
				bare.Add(1)
			}
			r.Header.Del("X-Vault-Namespace") // the real one here has none
			next.ServeHTTP(w, r)
		})
		t.Setenv("VAULT_ADDR", enterprise.URL)
		t.Setenv("VAULT_TOKEN", l.newToken(t, nil))
		reads(t, l, "namespace=teams/a")
		if asked.Load() == 0 || bare.Load() != 0 {
			t.Errorf("%d of %d requests lack the namespace", bare.Load(), asked.Load())
		}
	})
}

func TestOpener_Specs(t *testing.T) {
	for _, spec := range []string{
		"vault:secret/packagecloud",
		"vault:secret/packagecloud#api_key",
		"vault:a%20b/c%23d?mount=x&namespace=n/s&kv=2&version=3#f%2Cg",
		"vault:secret/x?auth=token&token_file=/run/token",
		"vault:secret/x?auth=token&token_env=T",
		"vault:secret/x?auth=approle&role_id_env=R&secret_id_file=/s",
		"vault:secret/x?auth=approle&role_id_env=R",
		"vault:secret/x?auth=kubernetes&role=r",
		"vault:secret/x?auth=kubernetes&role=r&jwt_file=/t&auth_mount=k8s",
		"vault:secret/x?auth=jwt&jwt_env=CI_JOB_JWT",
		"vault:secret/x?auth=userpass&username=u&password_env=P",
		"vault:secret/x?auth=cert&role=r&cert_file=/c&key_file=/k",
		"vault:secret/x?auth=cert",
		"vault:secret/x?auth=agent",
	} {
		if _, err := backends.Parse(spec, vault.Opener()); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for spec, text := range map[string]string{
		"vault:secret":                                                  "only a mount",
		"vault:secret/x?versoin=1":                                      `did you mean "version"?`,
		"vault:secret/x?version=latest":                                 "a number from 1 up",
		"vault:secret/x?version=0":                                      "a number from 1 up",
		"vault:secret/x?kv=3":                                           "1 or 2",
		"vault:secret/x?kv=":                                            "a number from 1 up",
		"vault:secret/x?auth=ldap":                                      "is one of agent, approle, cert, jwt, kubernetes, token, userpass",
		"vault:secret/x?auth=":                                          "is one of",
		"vault:secret/x?auth=approle":                                   "needs the option role_id_file or role_id_env",
		"vault:secret/x?auth=approle&role_id=abc":                       `no option "role_id"; it takes`,
		"vault:secret/x?auth=token&token_file=/a&token_env=B":           "not both",
		"vault:secret/x?auth=kubernetes":                                `needs the option "role"`,
		"vault:secret/x?auth=userpass&password_env=P":                   `needs the option "username"`,
		"vault:secret/x?auth=jwt&role=r":                                "needs the option jwt_file or jwt_env",
		"vault:secret/x?auth=cert&cert_file=/c":                         "both CertFile and KeyFile",
		"vault:secret/x?role=r":                                         `no option "role"`,
		"vault:secret/x?auth=agent&role=r":                              `no option "role"`,
		"vault:secret/x?auth=userpass&username=u&password=hunter2-secr": "no option",
	} {
		_, err := backends.Parse(spec, vault.Opener())
		check(t, err, tokensource.ErrInvalid, text, "hunter2-secr")
	}
}
