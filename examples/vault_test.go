package examples

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends/vault"
)

// realVault is a real Vault; see internal/realvault.
type realVault struct {
	t         *testing.T
	url, root string
}

func startVault(t *testing.T) *realVault {
	t.Helper()
	script := exec.CommandContext(t.Context(), "sh", filepath.Join("..", "internal", "realvault", "build.sh"))
	script.Env = append(os.Environ(), "NO_BUILD=1")
	out, err := script.Output()
	path := strings.TrimSpace(string(out))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		unavailable(t, "run internal/realvault/build.sh once (it downloads 476 MiB and builds for minutes)")
	}
	lines := serve(t, "", 3, exec.Command(path)) // its URL, a root token, a key
	return &realVault{t, lines[0], lines[1]}
}

// call sends a request with the root token and decodes the answer. It reports
// whether Vault accepted the request.
func (v *realVault) call(method, path string, body, answer any) bool {
	v.t.Helper()
	var sent bytes.Buffer
	if err := json.NewEncoder(&sent).Encode(body); err != nil {
		v.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.url+"/v1/"+path, &sent)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.root)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err == nil && len(content) > 0 && answer != nil {
		err = json.Unmarshal(content, answer)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode < 300
}

func (v *realVault) write(path string, body map[string]any) {
	v.t.Helper()
	if !v.call("POST", path, body, nil) {
		v.t.Fatalf("Vault refuses to write %s", path)
	}
}

// store puts a token into the secret at path of the store secret/.
func (v *realVault) store(path, token string) {
	v.t.Helper()
	v.write("secret/data/"+path, map[string]any{"data": map[string]string{"api_key": token}})
}

func (v *realVault) policy(name, text string) {
	v.t.Helper()
	v.write("sys/policies/acl/"+name, map[string]any{"policy": text})
}

// token makes a Vault token with this policy, but without Vault's default
// policy.
func (v *realVault) token(policy, ttl string) (token, accessor string) {
	v.t.Helper()
	var answer struct {
		Auth struct {
			Token    string `json:"client_token"`
			Accessor string
		}
	}
	if !v.call("POST", "auth/token/create", map[string]any{"policies": []string{policy}, "no_default_policy": true, "ttl": ttl}, &answer) {
		v.t.Fatal("Vault refuses to make a token")
	}
	return answer.Auth.Token, answer.Auth.Accessor
}

// jwt makes a role for the policy. It returns a JWT that can log in to the
// role.
func (v *realVault) jwt(role, policy string) string {
	v.t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		v.t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		v.t.Fatal(err)
	}
	v.write("sys/auth/jwt", map[string]any{"type": "jwt"})
	v.write("auth/jwt/config", map[string]any{
		"jwt_validation_pubkeys": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"jwt_supported_algs":     "EdDSA",
	})
	v.write("auth/jwt/role/"+role, map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault",
		"token_policies": policy, "token_no_default_policy": true, "token_ttl": "1h",
	})
	now, encode := time.Now(), base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"EdDSA","typ":"JWT"}`)) + "." +
		encode(fmt.Appendf(nil, `{"sub":"ci","aud":"vault","iat":%d,"exp":%d}`, now.Unix(), now.Add(time.Hour).Unix()))
	return text + "." + encode(ed25519.Sign(private, []byte(text)))
}

// watching is a running vault program.
type watching struct {
	w      *world
	cmd    *exec.Cmd
	lines  *bufio.Reader
	output *bytes.Buffer // its standard error
}

func (w *world) watch(env []string, args ...string) *watching {
	w.t.Helper()
	p := &watching{w: w, cmd: w.command(env, "vault", append(args, "-every", "50ms", "acme/main")...), output: &bytes.Buffer{}}
	p.cmd.Stderr = p.output
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	p.lines = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// count asserts the number of packages that the program prints.
func (p *watching) count(n int) {
	p.w.t.Helper()
	line, err := p.lines.ReadString('\n')
	line = p.w.checked(line)
	if want := fmt.Sprintln(n, "packages"); line != want {
		p.cmd.Wait()
		p.w.t.Fatalf("printed %q (%v), want %q; its standard error:\n%s", line, err, want, p.w.checked(p.output.String()))
	}
}

// stop interrupts the program and asserts that it ends with success.
func (p *watching) stop() {
	p.w.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.w.t.Fatal(err)
	}
	rest, err := io.ReadAll(p.lines)
	if err != nil {
		p.w.t.Fatal(err)
	}
	err = p.cmd.Wait()
	p.w.checked(string(rest))
	if output := p.w.checked(p.output.String()); err != nil || output != "" {
		p.w.t.Errorf("interrupted, it ends with %v and says\n%s", err, output)
	}
}

const readStatement = `path "secret/data/packagecloud"`

func TestVault_WatchesWithItsPolicyAlone(t *testing.T) {
	v := startVault(t)
	w := newWorld(t)
	w.store("main")
	policy := read(t, "vault/policy.hcl")
	v.policy("packagecloud", policy)
	v.store("packagecloud", w.Token())
	v.store("other", w.Token())
	jwt := v.jwt("packagecloud", "packagecloud")
	w.secrets = append(w.secrets, jwt)
	w.env = append(w.env, "VAULT_ADDR="+v.url)

	login := []string{"-jwt", w.write("jwt", jwt)}
	p := w.watch(nil, login...)
	p.count(1)
	next := w.RotateToken()
	w.secrets = append(w.secrets, next)
	v.store("packagecloud", next)
	for range 5 { // one of them at least was made with the new token
		p.count(1)
	}
	p.stop()

	w.requests()
	w.fails([]string{"vault:secret/other", "no policy of it permits this"}, nil, "vault", append(login, "-path", "secret/other", "acme/main")...)
	w.fails([]string{"refuses the login", "the credentials are wrong, spent or expired"}, nil, "vault",
		"-jwt", w.write("forged", jwt[:len(jwt)-8]+"AAAAAAAA"), "acme/main")
	v.policy("packagecloud", without(t, policy, readStatement))
	w.fails([]string{"vault:secret/packagecloud", "no policy of it permits this"}, nil, "vault", append(login, "acme/main")...)
	if n := w.requests(); n != 0 {
		t.Errorf("%d requests without a token", n)
	}

	// The policy doesn't permit writing.
	v.policy("packagecloud", policy)
	w.enter(nil)
	source, err := vault.New(nil, "secret/packagecloud", vault.Options{Auth: vault.JWT{Role: "packagecloud", Token: vault.Literal(jwt)}})
	if err != nil {
		t.Fatal(err)
	}
	cannotPut(t, source)
}

// A Vault token needs the two other statements of the policy to outlive its
// first term. It needs both.
func TestVault_TokenOutlivesItsTermWithItsPolicyAlone(t *testing.T) {
	v := startVault(t)
	w := newWorld(t)
	policy := read(t, "vault/policy.hcl")
	v.store("packagecloud", w.Token())
	for _, test := range []struct {
		name, policy string
		outlives     bool
	}{
		{"whole", policy, true},
		{"without-look-up", without(t, policy, `path "auth/token/lookup-self"`), false},
		{"without-renewal", without(t, policy, `path "auth/token/renew-self"`), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			v.policy(test.name, test.policy)
			token, accessor := v.token(test.name, "2s")
			w.secrets = append(w.secrets, token)
			first := v.expiry(accessor)
			p := w.watch([]string{"VAULT_ADDR=" + v.url, "VAULT_TOKEN=" + token})
			p.count(0)
			last := first
			for !last.IsZero() && !last.After(first) {
				p.count(0) // it goes on, with the token in its cache
				last = v.expiry(accessor)
			}
			if outlives := !last.IsZero(); outlives != test.outlives {
				t.Errorf("the token outlives its term: %v", outlives)
			}
			p.stop()
		})
	}
}

// expiry returns the end of the token with this accessor. It is zero if the
// token has ended.
func (v *realVault) expiry(accessor string) time.Time {
	v.t.Helper()
	var answer struct {
		Data struct {
			ExpireTime time.Time `json:"expire_time"`
		}
	}
	if !v.call("POST", "auth/token/lookup-accessor", map[string]string{"accessor": accessor}, &answer) {
		return time.Time{}
	}
	return answer.Data.ExpireTime
}
