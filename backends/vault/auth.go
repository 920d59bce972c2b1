package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/cliconfig"
	"github.com/hashicorp/vault/api/tokenhelper"
	"github.com/packagecloud-go/sdk/tokensource"
)

// serviceAccountToken is where Kubernetes mounts a pod's own token.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// Token uses a Vault token that something else has obtained, say a file that
// Vault Agent writes: vault.Token(vault.File("/run/vault/token")). It is read at
// the first use, when it has two thirds of its life behind it and can't be
// renewed, and when Vault refuses it. Vault is asked for its life; where the token
// may not ask, it is used as it is.
type Token Credential

// Login looks up the token.
func (t Token) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	token, err := Credential(t).get(ctx, "Vault token")
	if err != nil {
		return nil, err
	}
	return lookUp(ctx, client, token)
}

func lookUp(ctx context.Context, client *api.Client, token string) (*api.Secret, error) {
	auth := &api.SecretAuth{ClientToken: token}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return &api.Secret{Auth: auth}, nil // refused by the session, which says why
	}
	client.SetToken(token)
	answer, err := client.Auth().Token().LookupSelfWithContext(ctx)
	switch {
	case isRefusal(err):
		// Ended, or not permitted to ask: reading tells.
	case err != nil:
		return nil, located("", err)
	case answer != nil:
		if ttl, ok := answer.Data["ttl"].(json.Number); ok {
			seconds, _ := ttl.Int64()
			auth.LeaseDuration = int(seconds)
		}
		auth.Renewable, _ = answer.Data["renewable"].(bool)
	}
	return &api.Secret{Auth: auth}, nil
}

// ambient uses the token of the client that the program gave, or what the vault
// command would use: VAULT_TOKEN, else its token helper, which reads
// ~/.vault-token unless ~/.vault names another.
type ambient struct {
	given *api.Client
	agent bool // VAULT_AGENT_ADDR is set
}

func (a ambient) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	token, hint := "", "the client that was given has no token; call SetToken, or set Options.Auth"
	if a.given != nil {
		token = a.given.Token()
	} else {
		hint = "there is no Vault token; set VAULT_TOKEN, run \"vault login\", or set Options.Auth (option auth)"
		var err error
		if token, err = environmentToken(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case token != "":
		return lookUp(ctx, client, token)
	case a.agent:
		return throughAgent, nil
	}
	return nil, failf(tokensource.ErrNotFound, "%s", hint)
}

func environmentToken(ctx context.Context) (string, error) {
	if token := os.Getenv("VAULT_TOKEN"); token != "" {
		return token, nil
	}
	home, err := os.UserHomeDir()
	switch {
	case err != nil:
		return "", nil // the helper would panic
	case !filepath.IsAbs(home):
		return "", failf(tokensource.ErrInvalid, "the home directory in the environment is a relative path, which means another folder wherever the program is started; set it to an absolute one")
	}
	for _, path := range []string{cmp.Or(os.Getenv("VAULT_CONFIG_PATH"), filepath.Join(home, ".vault")), filepath.Join(home, ".vault-token")} {
		if isIrregular(path) { // the helper would read it for ever
			return "", failf(tokensource.ErrInvalid, "%s, which the vault command keeps, isn't a regular file; remove it, or set VAULT_TOKEN", path)
		}
	}
	helper, err := cliconfig.DefaultTokenHelper()
	if err != nil {
		return "", wrapf(tokensource.ErrInvalid, err, "the vault command's configuration, ~/.vault, can't be used")
	}
	var token string
	if program, ok := helper.(*tokenhelper.ExternalTokenHelper); ok {
		token, err = run(ctx, program)
	} else {
		token, err = helper.Get()
	}
	if err != nil {
		return "", wrapf(tokensource.ErrUnavailable, err, "the vault command's token helper failed; look at ~/.vault-token")
	}
	return token, nil
}

// run is Get of a helper, which has no context there.
func run(ctx context.Context, program *tokenhelper.ExternalTokenHelper) (string, error) {
	cmd := exec.CommandContext(ctx, program.BinaryPath, slices.Concat(program.Args, []string{"get"})...)
	cmd.Env = program.Env
	defer isolate(cmd)()
	cmd.WaitDelay = time.Second / 2 // a child of it may hold its output open
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil && cmd.ProcessState.Success() {
		err = nil // it has left a child behind, and all it had to say
	}
	return string(out), err
}

// throughAgent is the answer of a login that needs no token.
var throughAgent = &api.Secret{Auth: &api.SecretAuth{}}

// Agent sends no Vault token, for a Vault Agent or Vault Proxy in between that
// adds its own (auto-auth). It is the default where VAULT_AGENT_ADDR is set and
// there is no token.
type Agent struct{}

// Login asks nothing.
func (Agent) Login(context.Context, *api.Client) (*api.Secret, error) { return throughAgent, nil }

// AppRole logs in with a role-id and a secret-id:
// https://developer.hashicorp.com/vault/docs/auth/approle
type AppRole struct {
	// RoleID is required.
	RoleID Credential
	// SecretID may be nil, for roles that are bound by something else.
	SecretID Credential
	// Mount is where the method is mounted. Empty: approle.
	Mount string
}

// Login logs in.
func (a AppRole) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	roleID, err := a.RoleID.get(ctx, "role-id")
	if err != nil {
		return nil, err
	}
	body := map[string]any{"role_id": roleID}
	if a.SecretID != nil {
		if body["secret_id"], err = a.SecretID.get(ctx, "secret-id"); err != nil {
			return nil, err
		}
	}
	return login(ctx, client, a.Mount, "approle", "", body)
}

// Kubernetes logs in with a pod's service account token:
// https://developer.hashicorp.com/vault/docs/auth/kubernetes
type Kubernetes struct {
	// Role is the role in Vault. Required.
	Role string
	// Token is the service account's token. Nil: the file that Kubernetes
	// mounts into every pod.
	Token Credential
	// Mount is where the method is mounted. Empty: kubernetes.
	Mount string
}

// Login logs in.
func (k Kubernetes) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	if k.Role == "" {
		return nil, failf(tokensource.ErrInvalid, "the login has no role; set it")
	}
	token := k.Token
	if token == nil {
		token = File(serviceAccountToken)
	}
	return loginJWT(ctx, client, k.Mount, "kubernetes", k.Role, token)
}

// JWT logs in with a token of an OpenID provider, such as a CI service's:
// https://developer.hashicorp.com/vault/docs/auth/jwt
type JWT struct {
	// Role is the role in Vault. Empty: the method's default role.
	Role string
	// Token is the JWT. Required.
	Token Credential
	// Mount is where the method is mounted. Empty: jwt.
	Mount string
}

// Login logs in.
func (j JWT) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	return loginJWT(ctx, client, j.Mount, "jwt", j.Role, j.Token)
}

func loginJWT(ctx context.Context, client *api.Client, mount, standard, role string, token Credential) (*api.Secret, error) {
	jwt, err := token.get(ctx, "JWT")
	if err != nil {
		return nil, err
	}
	return login(ctx, client, mount, standard, "", map[string]any{"role": role, "jwt": jwt})
}

// Userpass logs in with a user name and a password:
// https://developer.hashicorp.com/vault/docs/auth/userpass
type Userpass struct {
	// Username is required.
	Username string
	// Password is required.
	Password Credential
	// Mount is where the method is mounted. Empty: userpass. LDAP and RADIUS
	// take the same request: name theirs.
	Mount string
}

// Login logs in.
func (u Userpass) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	if u.Username == "" || strings.Contains(u.Username, "/") || strings.Trim(u.Username, ".") == "" {
		return nil, failf(tokensource.ErrInvalid, "the login's user name is empty or can't be one")
	}
	password, err := u.Password.get(ctx, "password")
	if err != nil {
		return nil, err
	}
	return login(ctx, client, u.Mount, "userpass", "/"+u.Username, map[string]any{"password": password})
}

// Certificate logs in with the TLS certificate that the client presents:
// https://developer.hashicorp.com/vault/docs/auth/cert
type Certificate struct {
	// Role is the certificate role in Vault. Empty: any that matches.
	Role string
	// CertFile and KeyFile hold the certificate in PEM, and are read anew at
	// each login. Empty: the client's own certificate, which that of
	// the environment has from VAULT_CLIENT_CERT and VAULT_CLIENT_KEY. Not
	// for a client given to [New], which brings its own.
	CertFile, KeyFile string
	// Mount is where the method is mounted. Empty: cert.
	Mount string
}

// Login logs in.
func (c Certificate) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	if c.CertFile != "" {
		if _, err := c.load(); err != nil {
			return nil, err
		}
		ctx = context.WithValue(ctx, onFresh{}, true)
		// A renewal, too, has to show the certificate of its login.
		client.CloneConfig().HttpClient.CloseIdleConnections()
	}
	body := map[string]any{}
	if c.Role != "" {
		body["name"] = c.Role
	}
	return login(ctx, client, c.Mount, "cert", "", body)
}

func (c Certificate) load() (*tls.Certificate, error) {
	cert, err := readFile(c.CertFile)
	if err != nil {
		return nil, err
	}
	key, err := readFile(c.KeyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, wrapf(tokensource.ErrInvalid, err, "the files %s and %s are no certificate and its key, in PEM", c.CertFile, c.KeyFile)
	}
	return &pair, nil
}

// install has a client present the certificate.
func (c Certificate) install(given *api.Client, config *api.Config) error {
	transport, ok := config.HttpClient.Transport.(*http.Transport)
	switch {
	case given != nil || !ok:
		return failf(tokensource.ErrInvalid, "give the certificate to the client itself, with ConfigureTLS, and not to the login")
	case c.CertFile == "" || c.KeyFile == "":
		return failf(tokensource.ErrInvalid, "the login needs both CertFile and KeyFile")
	}
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return c.load()
	}
	return nil
}

func login(ctx context.Context, client *api.Client, mount, standard, user string, body map[string]any) (*api.Secret, error) {
	mount = strings.Trim(cmp.Or(mount, standard), "/")
	return client.Logical().WriteWithContext(ctx, "auth/"+mount+"/login"+user, body)
}
