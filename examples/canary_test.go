package examples

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/backends/command"
	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// logged is what a program's logger writes at debug level.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// This test uses every kind of source, spelled in one string, with a cache, a
// client and a logger. Whatever is wrong with the source or the token, no
// error, log line or event shows a secret.
//
// Guarantee G1.
func TestCanary_EveryPlaceInOneString(t *testing.T) {
	w := newWorld(t)
	m, v := startMoto(t, "1000000"), startVault(t)
	v.policy("packagecloud", read(t, "vault/policy.hcl"))
	vaultToken, _ := v.token("packagecloud", "1h")
	policy := read(t, "conjur/policy.yml")
	settings := map[string][]string{
		"env": nil, "file": nil, "command": nil,
		"awssm": {"AWS_ENDPOINT_URL=" + m.url, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIACANARY", "AWS_SECRET_ACCESS_KEY=canary-secret-access-key"},
		"vault": {"VAULT_ADDR=" + v.url, "VAULT_TOKEN=" + vaultToken},
	}
	places := map[string]string{
		"env": "env:PACKAGECLOUD_TOKEN", "file": "file:" + w.write("token", ""), "command": "command:cat%20" + w.write("token", ""),
		"awssm": "awssm:prod/packagecloud", "vault": "vault:secret/packagecloud", "conjur": "conjur:prod/packagecloud/token",
	}
	const (
		malformed = "canary malformed 0f1e2d3c4b5a6978"
		dead      = "deadcanary00112233445566778899aabbccddeeff"
		inJSON    = "jsoncanary00112233445566778899aabbccddeeff"
		wrong     = "wrongcredentialcanary0123456789"
		userInfo  = "userinfocanary0123456789"
	)
	w.secrets = append(w.secrets, vaultToken, v.root, "canary-secret-access-key", malformed, dead, inJSON, wrong, userInfo, conjurJWT)
	made := false
	store := func(t *testing.T, scheme, value string) {
		switch scheme {
		case "env":
			t.Setenv("PACKAGECLOUD_TOKEN", value)
		case "file", "command":
			w.write("token", value)
		case "vault":
			v.store("packagecloud", value)
		case "conjur":
			for _, s := range startConjur(w, policy, value) {
				name, value, _ := strings.Cut(s, "=")
				t.Setenv(name, value)
			}
		case "awssm":
			if !made {
				m.create("prod/packagecloud", value)
				made = true
				return
			}
			m.put("prod/packagecloud", value)
		}
	}
	for _, test := range []struct {
		name, value, field string
		env                []string
		only               string // a place
		says               string // in the error; "" for none
	}{
		{name: "good", value: w.Token()},
		{name: "malformed", value: malformed, says: "invalid"},
		{name: "refused", value: dead, says: "401"},
		{name: "not JSON", value: dead, field: "#other", says: "invalid"},
		{name: "no such field", value: `{"other": "` + inJSON + `"}`, field: "#api_key", says: "invalid"},
		{name: "wrong credentials", value: w.Token(), only: "vault", env: []string{"VAULT_TOKEN=" + wrong}, says: "denied"},
		{name: "wrong credentials", value: w.Token(), only: "conjur", env: []string{"JWT_TOKEN_PATH=" + w.write("wrong", wrong+".e30."+wrong)}, says: "denied"},
		{name: "down", value: w.Token(), only: "vault", env: []string{"VAULT_ADDR=http://" + userInfo + ":" + userInfo + "@127.0.0.1:1/?q=" + userInfo, "VAULT_MAX_RETRIES=0"}, says: "vault"},
		{name: "down", value: w.Token(), only: "awssm", env: []string{"AWS_ENDPOINT_URL=http://" + userInfo + ":" + userInfo + "@127.0.0.1:1/?q=" + userInfo}, says: "awssm"},
		{name: "down", value: w.Token(), only: "conjur", env: []string{"CONJUR_APPLIANCE_URL=http://" + userInfo + ":" + userInfo + "@127.0.0.1:1/?q=" + userInfo}, says: "conjur"},
		{name: "the server of another", value: w.Token(), only: "env", env: []string{"PACKAGECLOUD_URL=http://" + userInfo + ":x@127.0.0.1:1"}, says: "127.0.0.1:1"},
	} {
		for scheme, place := range places {
			if test.only != "" && scheme != test.only || test.field != "" && (scheme == "env" || scheme == "command") {
				continue // these have no fields
			}
			t.Run(test.name+"/"+scheme, func(t *testing.T) {
				w.t = t
				if scheme == "vault" && strings.HasPrefix(test.value, "{") {
					v.write("secret/data/packagecloud", map[string]any{"data": map[string]string{"other": inJSON}})
				} else {
					store(t, scheme, test.value)
				}
				w.enter(append(settings[scheme], test.env...))
				if test.field == "" && scheme == "vault" {
					place += "#api_key"
				}
				t.Setenv("PACKAGECLOUD_TOKEN_SOURCE", "env:NOTHING_HERE,"+place+test.field)

				var log logged
				var events tokensourcetest.Recorder
				client, err := packagecloud.FromEnvironment(
					&packagecloud.EnvironmentOptions{Backends: []backends.Opener{command.Opener(), awssm.Opener(), vault.Opener(), conjur.Opener()}},
					packagecloud.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
				if err == nil {
					for _, listErr := range client.Repositories(tokensource.WithHook(t.Context(), events.Record), nil) {
						err = listErr
					}
				}
				switch {
				case test.says == "" && err != nil:
					t.Errorf("the error is %v", err)
				case test.says != "" && err == nil:
					t.Errorf("there is no error; want one that says %q", test.says)
				case err != nil && !strings.Contains(err.Error(), test.says):
					t.Errorf("the error is %v; want %q in it", err, test.says)
				}
				if err != nil {
					tokensourcetest.AssertNoSecret(t, err, w.secrets...)
				}
				if client != nil { // after it has worked
					tokensourcetest.AssertHidden(t, client, w.secrets...)
				}
				for _, e := range events.Events() {
					tokensourcetest.AssertNoSecret(t, e, w.secrets...)
				}
				log.mu.Lock()
				defer log.mu.Unlock()
				if how := tokensourcetest.FindSecret(log.buf.String(), w.secrets...); how != "" {
					t.Errorf("the log leaks: %s", how)
				}
				if client != nil && log.buf.Len() == 0 {
					t.Error("nothing was logged, so that there was nothing to search")
				}
			})
		}
	}
}
