package vault_test

import (
	"path/filepath"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/vault"
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
