package examples

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The program asks the places in order. It uses the first place that has a
// token.
func TestChain_SaysWhereTheTokenCameFrom(t *testing.T) {
	w := newWorld(t)
	m := startMoto(t, "1000000")
	v := startVault(t)
	v.policy("packagecloud", read(t, "vault/policy.hcl"))
	vaultToken, _ := v.token("packagecloud", "1h")
	w.secrets = append(w.secrets, vaultToken)
	w.env = append(w.env, "VAULT_ADDR="+v.url, "VAULT_TOKEN="+vaultToken,
		"AWS_ENDPOINT_URL="+m.url, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIACANARY", "AWS_SECRET_ACCESS_KEY=canary-secret-access-key")
	w.write("printed", "")

	const all = "env:PACKAGECLOUD_TOKEN,file:token,command:cat%20printed,awssm:prod/packagecloud,vault:secret/packagecloud,conjur:prod/packagecloud/token"
	env := []string{"PACKAGECLOUD_TOKEN_SOURCE=" + all}
	stdout, stderr, status := w.run(env, "chain")
	if status != 1 || stdout != "" {
		t.Errorf("without any token it ended with %d and printed %q", status, stdout)
	}
	for place := range strings.SplitSeq(all, ",") {
		if !strings.Contains(stderr, place) {
			t.Errorf("the error of all doesn't name %s:\n%s", place, stderr)
		}
	}

	for _, test := range []struct {
		origin string
		put    func()
	}{
		{"conjur:prod/packagecloud/token", func() { env = append(env, startConjur(w, read(t, "conjur/policy.yml"), w.Token())...) }},
		{"vault:secret/packagecloud", func() { v.store("packagecloud", w.Token()) }},
		{"awssm:prod/packagecloud", func() { m.create("prod/packagecloud", w.Token()) }},
		{"command:cat%20printed", func() { w.write("printed", w.Token()) }},
		{"file:token", func() { w.write("token", w.Token()) }},
		{"env:PACKAGECLOUD_TOKEN", func() { env = append(env, "PACKAGECLOUD_TOKEN="+w.Token()) }},
	} {
		test.put()
		want := fmt.Sprintf("token %s from %s\nacme/main\n", token(t, w.Token()).Fingerprint(), test.origin)
		w.succeeds(want, env, "chain")
	}
}

// The program stops at a place that denies the token.
func TestChain_EndsAtADenial(t *testing.T) {
	v := startVault(t)
	w := newWorld(t)
	v.policy("packagecloud", without(t, read(t, "vault/policy.hcl"), readStatement))
	v.store("packagecloud", w.Token())
	vaultToken, _ := v.token("packagecloud", "1h")
	w.secrets = append(w.secrets, vaultToken)
	w.write("token", w.Token())
	_, stderr, status := w.run([]string{
		"PACKAGECLOUD_TOKEN_SOURCE=env:PACKAGECLOUD_TOKEN,vault:secret/packagecloud,file:token",
		"VAULT_ADDR=" + v.url, "VAULT_TOKEN=" + vaultToken,
	}, "chain")
	if want := "no policy of it permits this"; status != 1 || !strings.Contains(stderr, want) {
		t.Errorf("ended with %d and didn't say %q:\n%s", status, want, stderr)
	}
	if n := w.requests(); n != 0 {
		t.Errorf("%d requests without a token", n)
	}
}

// Without the variable, the program uses the chain for a developer's machine.
func TestChain_FindsTheFileOfTheCLI(t *testing.T) {
	w := newWorld(t)
	if err := os.Chmod(w.dir, 0o700); err != nil { // whatever the umask
		t.Fatal(err)
	}
	w.write(".packagecloud", `{"url": "`+w.URL+`", "token": "`+w.Token()+`"}`)
	want := fmt.Sprintf("token %s from file:~/.packagecloud\nacme/main\n", token(t, w.Token()).Fingerprint())
	w.succeeds(want, []string{"HOME=" + w.dir, "PACKAGECLOUD_URL="}, "chain")

	_, stderr, status := w.run([]string{"PACKAGECLOUD_TOKEN_SOURCE=vautl:secret/packagecloud"}, "chain")
	if want := `did you mean "vault"?`; status != 1 || !strings.Contains(stderr, want) {
		t.Errorf("a misspelled chain ended with %d and didn't say %s:\n%s", status, want, stderr)
	}
}
