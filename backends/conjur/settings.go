package conjur

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/packagecloud-go/sdk/tokensource"
)

// kubernetesJWT is where Kubernetes mounts the token of a service account.
const kubernetesJWT = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// settings are what Conjur's own tools take from their files and the environment.
// Secrets are in functions.
//
// https://github.com/cyberark/conjur-api-go#configuration
type settings struct {
	Account           string `yaml:"account"`
	ApplianceURL      string `yaml:"appliance_url"`
	CertFile          string `yaml:"cert_file"`
	AuthnType         string `yaml:"authn_type"`
	ServiceID         string `yaml:"service_id"`
	JWTHostID         string `yaml:"jwt_host_id"`
	JWTFile           string `yaml:"jwt_file"`
	NetRC             string `yaml:"netrc_path"`
	Storage           string `yaml:"credential_storage"`
	KeychainNamespace string `yaml:"keychain_namespace"`
	HTTPTimeout       int    `yaml:"http_timeout"`
	DisableKeepAlives bool   `yaml:"disable_keep_alives"`
	Proxy             string `yaml:"proxy"`

	// The names that Conjur's Python tool uses.
	PythonURL     string `yaml:"conjur_url"`
	PythonAccount string `yaml:"conjur_account"`

	way         string // to log in; "" is for the settings to choose
	certificate string // PEM
	login       string
	tokenFile   string

	// Functions, so that they can't be printed.
	token, key, jwt func() string
}

// readSettings reads the system's file, .conjurrc and the environment, of which the
// later ones count.
func readSettings(system string, get func(string) string) (settings, error) {
	var set settings
	home := get("HOME")
	if runtime.GOOS == "windows" {
		home = get("USERPROFILE")
	}
	if home != "" && !filepath.IsAbs(home) {
		return set, fail(tokensource.ErrInvalid, "the home directory in the environment is a relative path, which means another folder wherever the program is started; set it to an absolute one", nil)
	}
	if err := set.mergeFile(system, false); err != nil {
		return set, err
	}
	if rc := get("CONJURRC"); rc != "" {
		if err := set.mergeFile(rc, true); err != nil {
			return set, err
		}
	} else if home != "" {
		if err := set.mergeFile(filepath.Join(home, ".conjurrc"), false); err != nil {
			return set, err
		}
	}
	for name, field := range map[string]*string{
		"CONJUR_ACCOUNT":            &set.Account,
		"CONJUR_APPLIANCE_URL":      &set.ApplianceURL,
		"CONJUR_CERT_FILE":          &set.CertFile,
		"CONJUR_SSL_CERTIFICATE":    &set.certificate,
		"CONJUR_AUTHN_TYPE":         &set.AuthnType,
		"CONJUR_SERVICE_ID":         &set.ServiceID,
		"CONJUR_AUTHN_JWT_HOST_ID":  &set.JWTHostID,
		"JWT_TOKEN_PATH":            &set.JWTFile,
		"CONJUR_NETRC_PATH":         &set.NetRC,
		"CONJUR_CREDENTIAL_STORAGE": &set.Storage,
		"CONJUR_KEYCHAIN_NAMESPACE": &set.KeychainNamespace,
		"CONJUR_AUTHN_LOGIN":        &set.login,
		"CONJUR_AUTHN_TOKEN_FILE":   &set.tokenFile,
	} {
		*field = cmp.Or(get(name), *field)
	}
	// A service id of its own selects the authenticator.
	if id := get("CONJUR_AUTHN_JWT_SERVICE_ID"); id != "" {
		set.AuthnType, set.ServiceID = "jwt", id
	}
	if id := get("CONJUR_AUTHN_CERT_SERVICE_ID"); id != "" {
		set.AuthnType, set.ServiceID = "cert", id
	}
	if text := get("CONJUR_HTTP_TIMEOUT"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			return set, fail(tokensource.ErrInvalid, "CONJUR_HTTP_TIMEOUT is not a number of seconds", nil)
		}
		set.HTTPTimeout = seconds
	}
	if set.HTTPTimeout < 0 || set.HTTPTimeout > 600 {
		return set, fail(tokensource.ErrInvalid, "the setting http_timeout must be between 1 and 600 seconds", nil)
	}
	if text := get("CONJUR_DISABLE_KEEP_ALIVES"); text != "" {
		disable, err := strconv.ParseBool(text)
		if err != nil {
			return set, fail(tokensource.ErrInvalid, "CONJUR_DISABLE_KEEP_ALIVES is neither true nor false", nil)
		}
		set.DisableKeepAlives = disable
	}
	if set.NetRC == "" && home != "" {
		set.NetRC = filepath.Join(home, ".netrc")
	}
	set.token, set.key, set.jwt = hide(get("CONJUR_AUTHN_TOKEN")), hide(get("CONJUR_AUTHN_API_KEY")), hide(get("CONJUR_AUTHN_JWT_TOKEN"))
	return set, nil
}

func hide(secret string) func() string { return func() string { return secret } }

func none() string { return "" }

// systemFile is where Conjur's tools look on each system.
func systemFile(goos string) string {
	if goos == "windows" {
		return `C:\windows\conjur.conf`
	}
	return "/etc/conjur.conf"
}

// mergeFile adds the settings of a file to those already there. A file that was
// named must exist.
func (s *settings) mergeFile(path string, named bool) error {
	data, err := readRegular(path)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) && !named:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fail(tokensource.ErrInvalid, fmt.Sprintf("CONJURRC names %q, which doesn't exist", path), err)
	default:
		return fail(tokensource.ErrInvalid, "the settings can't be read: "+err.Message, err)
	}
	var file settings
	if err := yaml.Unmarshal(data, &file); err != nil {
		// Its text may quote the file.
		message := fmt.Sprintf("the settings in %q are not the YAML that Conjur's tools write", path)
		if line := regexp.MustCompile(`line \d+`).FindString(err.Error()); line != "" {
			message += "; see " + line
		}
		return fail(tokensource.ErrInvalid, message, err)
	}
	s.merge(file)
	return nil
}

// merge sets what o has. What a file sets to nothing counts as absent.
func (s *settings) merge(o settings) {
	s.Account = cmp.Or(o.Account, s.Account, o.PythonAccount)
	s.ApplianceURL = cmp.Or(o.ApplianceURL, s.ApplianceURL, o.PythonURL)
	s.CertFile = cmp.Or(o.CertFile, s.CertFile)
	s.AuthnType = cmp.Or(o.AuthnType, s.AuthnType)
	s.ServiceID = cmp.Or(o.ServiceID, s.ServiceID)
	s.JWTHostID = cmp.Or(o.JWTHostID, s.JWTHostID)
	s.JWTFile = cmp.Or(o.JWTFile, s.JWTFile)
	s.NetRC = cmp.Or(o.NetRC, s.NetRC)
	s.Storage = cmp.Or(o.Storage, s.Storage)
	s.KeychainNamespace = cmp.Or(o.KeychainNamespace, s.KeychainNamespace)
	s.HTTPTimeout = cmp.Or(o.HTTPTimeout, s.HTTPTimeout)
	s.DisableKeepAlives = cmp.Or(o.DisableKeepAlives, s.DisableKeepAlives)
	s.Proxy = cmp.Or(o.Proxy, s.Proxy)
}

// certificates returns the PEM certificates to trust, or nil for the system's.
func (s settings) certificates() ([]byte, error) {
	if s.certificate != "" {
		return []byte(s.certificate), nil
	}
	if s.CertFile == "" {
		return nil, nil
	}
	data, err := readRegular(s.CertFile)
	if err != nil {
		return nil, fail(tokensource.ErrInvalid, "the certificate file of the settings can't be read: "+err.Message, err)
	}
	return data, nil
}

// The ways to log in that the settings can ask for.
const (
	byTokenFile = "tokenfile"
	byToken     = "token"
	byJWT       = "jwt"
	byAPIKey    = "apikey"
)

// chosen picks the way to log in as Conjur's tools do. An API key is also what
// "conjur login" has stored.
func (s settings) chosen() string {
	switch {
	case s.way != "":
		return s.way
	case s.tokenFile != "":
		return byTokenFile
	case s.token() != "":
		return byToken
	case s.AuthnType == "jwt", s.AuthnType == "" && s.JWTFile != "":
		return byJWT
	}
	return byAPIKey
}

// auth returns the chosen way to log in. What it lacks is the error of its logins,
// of kind ErrNotFound.
func (s settings) auth() (Auth, error) {
	switch s.chosen() {
	case byTokenFile:
		if s.tokenFile == "" {
			return absent("CONJUR_AUTHN_TOKEN_FILE is not set"), nil
		}
		return AccessTokenFile(s.tokenFile), nil
	case byToken:
		if s.token() == "" {
			return absent("CONJUR_AUTHN_TOKEN is not set"), nil
		}
		return AccessToken(s.token()), nil
	case byJWT:
		return s.jwtAuth(), nil
	}
	return s.keyAuth()
}

func absent(why string) Auth {
	return Auth{fetch: func(context.Context, *server) ([]byte, error) { return nil, noCredentials(why) }}
}

// noCredentials is ErrNotFound, since a machine without them isn't configured.
func noCredentials(why string) error {
	return fail(tokensource.ErrNotFound, "no credentials are configured: "+why, nil)
}

func (s settings) jwtAuth() Auth {
	if s.ServiceID == "" {
		return absent("a JWT needs a service id; set CONJUR_AUTHN_JWT_SERVICE_ID or service_id in .conjurrc")
	}
	if jwt := s.jwt(); jwt != "" {
		return JWT(s.ServiceID, s.JWTHostID, func(context.Context) (string, error) { return jwt, nil })
	}
	return JWTFile(s.ServiceID, s.JWTHostID, cmp.Or(s.JWTFile, kubernetesJWT))
}

func (s settings) keyAuth() (Auth, error) {
	typ := s.AuthnType
	switch {
	case typ == "", typ == "authn", s.way != "" && typ != "ldap":
		typ = ""
	case typ == "ldap" && s.ServiceID == "":
		return Auth{}, fail(tokensource.ErrInvalid, "authn_type is ldap, but no service id is set; set CONJUR_SERVICE_ID or service_id in .conjurrc", nil)
	case typ == "ldap":
	case slices.Contains([]string{"oidc", "iam", "azure", "gcp", "cloud", "cert"}, typ):
		return Auth{}, fail(tokensource.ErrInvalid, fmt.Sprintf("the settings ask for authentication by %s, which needs code: make a client with Conjur's SDK and give it to Options.Auth by conjur.Client", typ), nil)
	default:
		return Auth{}, fail(tokensource.ErrInvalid, "authn_type isn't one that Conjur has", nil)
	}
	if login, key := s.login, s.key(); login != "" && key != "" {
		return keyAuth(typ, s.ServiceID, func(context.Context, *server) (string, string, error) { return login, key, nil }), nil
	}
	return keyAuth(typ, s.ServiceID, func(ctx context.Context, server *server) (string, string, error) {
		login, key, err := s.stored()
		if err == nil && s.way != "" && s.login != "" && s.login != login {
			return "", "", notLoggedIn("the login that is stored for this server is another one")
		}
		return login, key, err
	}), nil
}

// machine is the name under which Conjur's tools store a login for the server.
func (s settings) machine() string {
	if s.AuthnType != "" && s.AuthnType != "authn" {
		return s.ApplianceURL + "/authn-" + s.AuthnType + "/" + s.ServiceID
	}
	return s.ApplianceURL + "/authn"
}
