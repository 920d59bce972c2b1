package vault

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
)

const scheme = "vault"

// Opener lets backends.Parse open sources spelled
//
//	vault:PATH[?OPTION=VALUE&...][#FIELD]
//
// as [New] does with the environment's client. The options mount, namespace and
// version are those of [Options], kv is its KVVersion. The option auth chooses the
// login, and auth_mount is its mount:
//
//	token        token_file or token_env
//	approle      role_id_file or role_id_env, secret_id_file or secret_id_env
//	kubernetes   role, jwt_file or jwt_env
//	jwt          role, jwt_file or jwt_env
//	userpass     username, password_file or password_env
//	cert         role, cert_file and key_file
//	agent
//
// They say where a secret is and never what it is. Without auth, the Vault token
// is the environment's.
func Opener() backends.Opener {
	return backends.Opener{Scheme: scheme, Open: open}
}

// logins has, for each value of the option auth, the options that go with it.
var logins = map[string][]string{
	"token":      {"token_file", "token_env"},
	"approle":    {"auth_mount", "role_id_file", "role_id_env", "secret_id_file", "secret_id_env"},
	"kubernetes": {"auth_mount", "role", "jwt_file", "jwt_env"},
	"jwt":        {"auth_mount", "role", "jwt_file", "jwt_env"},
	"userpass":   {"auth_mount", "username", "password_file", "password_env"},
	"cert":       {"auth_mount", "role", "cert_file", "key_file"},
	"agent":      nil,
	"":           nil,
}

func open(spec backends.Spec) (tokensource.TokenSource, error) {
	kind := spec.Options["auth"]
	of, ok := logins[kind]
	if _, set := spec.Options["auth"]; !ok || set && kind == "" {
		known := slices.Sorted(maps.Keys(logins))[1:]
		return nil, spec.OptionError("auth", "option \"auth\" is one of "+strings.Join(known, ", "))
	}
	known := append([]string{"auth", "kv", "mount", "namespace", "version"}, of...)
	if err := spec.CheckOptions(known...); err != nil {
		return nil, err
	}
	for key, value := range spec.Options {
		if value == "" && key != "kv" && key != "version" {
			return nil, spec.OptionError(key, "the value is empty; leave the option out, or give it one")
		}
	}
	options := Options{Mount: spec.Options["mount"], Namespace: spec.Options["namespace"], Field: spec.Field}
	for key, to := range map[string]*int{"kv": &options.KVVersion, "version": &options.Version} {
		value, set := spec.Options[key]
		n, err := strconv.Atoi(value)
		if set && (err != nil || n < 1) {
			return nil, spec.OptionError(key, "option \""+key+"\" is a number from 1 up")
		}
		*to = n
	}
	var err error
	if options.Auth, err = method(spec, kind); err != nil {
		return nil, err
	}
	source, err := New(nil, spec.Name, options)
	if err != nil {
		return nil, err // and no typed nil
	}
	source.name = spec.String()
	source.session.name = source.name
	return source, nil
}

// method makes the login that the options of spec describe.
func method(spec backends.Spec, kind string) (api.AuthMethod, error) {
	role, mount := spec.Options["role"], spec.Options["auth_mount"]
	switch kind {
	case "token":
		token, err := credential(spec, "token", true)
		return Token(token), err
	case "approle":
		roleID, err := credential(spec, "role_id", true)
		if err != nil {
			return nil, err
		}
		secretID, err := credential(spec, "secret_id", false)
		return AppRole{RoleID: roleID, SecretID: secretID, Mount: mount}, err
	case "kubernetes":
		jwt, err := credential(spec, "jwt", false)
		if err == nil && role == "" {
			err = spec.OptionError("auth", "auth=kubernetes needs the option \"role\"")
		}
		return Kubernetes{Role: role, Token: jwt, Mount: mount}, err
	case "jwt":
		jwt, err := credential(spec, "jwt", true)
		return JWT{Role: role, Token: jwt, Mount: mount}, err
	case "userpass":
		password, err := credential(spec, "password", true)
		if err == nil && spec.Options["username"] == "" {
			err = spec.OptionError("auth", "auth=userpass needs the option \"username\"")
		}
		return Userpass{Username: spec.Options["username"], Password: password, Mount: mount}, err
	case "cert":
		return Certificate{Role: role, CertFile: spec.Options["cert_file"], KeyFile: spec.Options["key_file"], Mount: mount}, nil
	case "agent":
		return Agent{}, nil
	}
	return nil, nil
}

// credential reads NAME_file or NAME_env; neither gives nil, if it may.
func credential(spec backends.Spec, name string, required bool) (Credential, error) {
	file, env := spec.Options[name+"_file"], spec.Options[name+"_env"]
	switch {
	case file != "" && env != "":
		return nil, spec.OptionError(name+"_env", "give "+name+"_file or "+name+"_env, not both")
	case file != "":
		return File(file), nil
	case env != "":
		return Env(env), nil
	case required:
		return nil, spec.OptionError("auth", "auth="+spec.Options["auth"]+" needs the option "+name+"_file or "+name+"_env")
	}
	return nil, nil
}
