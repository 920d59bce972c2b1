// Command realvault serves the core of HashiCorp Vault for the tests of the
// vault backend: real key/value stores, real logins and real refusals, in
// memory. Only tests use it. It must never hold a valuable secret.
//
// It is a module of its own, outside go.work. In a workspace, Vault's 500
// dependencies would change the versions that every other module builds with.
//
// The command listens on 127.0.0.1, on a port that the system picks. It prints
// three lines: its URL, a root token, and the key that unseals it. Vault is
// initialized and unsealed, with KV version 2 at secret/ and version 1 at kv/.
// The API can enable the auth methods approle, cert, jwt, kubernetes and
// userpass, and the file audit device. The command ends when its standard input
// ends, so that a test that dies leaves no server behind.
//
//	-tls-cert FILE -tls-key FILE   serve HTTPS, asking for client certificates
//	-log LEVEL                     write Vault's log to standard error
package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"

	"github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	certFile := flag.String("tls-cert", "", "PEM `file` of the server's certificate; serves HTTPS")
	keyFile := flag.String("tls-key", "", "PEM `file` of the certificate's key")
	level := flag.String("log", "off", "`level` of Vault's log: trace, debug, info, warn, error, off")
	flag.Parse()
	if err := run(*certFile, *keyFile, *level); err != nil {
		fmt.Fprintln(os.Stderr, "realvault:", err)
		os.Exit(1)
	}
}

func run(certFile, keyFile, level string) error {
	core, err := newCore(hclog.New(&hclog.LoggerOptions{Level: hclog.LevelFromString(level), Output: os.Stderr}))
	if err != nil {
		return err
	}
	defer core.Shutdown()
	rootToken, key, err := open(core)
	if err != nil {
		return err
	}
	listener, url, err := listen(certFile, keyFile)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:           core,
		ListenerConfig: &configutil.Listener{Address: listener.Addr().String(), TLSDisable: certFile == ""},
	})}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Printf("%s\n%s\n%s\n", url, rootToken, hex.EncodeToString(key))

	closed := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(closed)
	}()
	select {
	case err := <-failed:
		return err
	case <-closed:
		return server.Close()
	}
}

func newCore(logger hclog.Logger) (*vault.Core, error) {
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, err
	}
	return vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		StorageType:        "inmem",
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory},
		CredentialBackends: credentials,
		AuditBackends:      map[string]audit.Factory{"file": audit.NewFileBackend},
		BuiltinRegistry:    registry{},
		DisableMlock:       true,
		Logger:             logger,
	})
}

// open initializes and unseals core, and mounts the key/value stores.
func open(core *vault.Core) (rootToken string, key []byte, err error) {
	ctx := namespace.RootContext(context.Background())
	seal := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1, StoredShares: 1}
	result, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: seal, RecoveryConfig: seal})
	if err != nil {
		return "", nil, err
	}
	// Unseal clears its argument, so it gets a copy.
	if _, err := core.Unseal(slices.Clone(result.SecretShares[0])); err != nil {
		return "", nil, err
	}
	inner, err := core.DecodeSSCToken(result.RootToken)
	if err != nil {
		return "", nil, err
	}
	for path, version := range map[string]string{"secret": "2", "kv": "1"} {
		response, err := core.HandleRequest(ctx, &logical.Request{
			Operation:   logical.UpdateOperation,
			ClientToken: inner,
			Path:        "sys/mounts/" + path,
			Data:        map[string]any{"type": "kv", "options": map[string]string{"version": version}},
		})
		if err == nil && response.IsError() {
			err = response.Error()
		}
		if err != nil {
			return "", nil, fmt.Errorf("mounting %s: %w", path, err)
		}
	}
	return result.RootToken, result.SecretShares[0], nil
}

func listen(certFile, keyFile string) (net.Listener, string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil || certFile == "" {
		return listener, fmt.Sprintf("http://%v", addr(listener)), err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, "", err
	}
	// The cert auth method verifies the client's certificate itself.
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	return tls.NewListener(listener, config), fmt.Sprintf("https://%v", addr(listener)), nil
}

func addr(listener net.Listener) any {
	if listener == nil {
		return nil
	}
	return listener.Addr()
}

var credentials = map[string]logical.Factory{
	"approle":    approle.Factory,
	"cert":       cert.Factory,
	"jwt":        jwt.Factory,
	"kubernetes": kubernetes.Factory,
	"userpass":   userpass.Factory,
}

// registry tells Vault which plugins are built in.
type registry struct{}

func (registry) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory := logical.Factory(nil)
	switch {
	case kind == consts.PluginTypeCredential:
		factory = credentials[name]
	case kind == consts.PluginTypeSecrets && name == "kv":
		factory = kv.Factory
	}
	return func() (any, error) { return factory, nil }, factory != nil
}

func (r registry) Contains(name string, kind consts.PluginType) bool {
	_, ok := r.Get(name, kind)
	return ok
}

func (registry) Keys(kind consts.PluginType) []string {
	switch kind {
	case consts.PluginTypeCredential:
		names := make([]string, 0, len(credentials))
		for name := range credentials {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	case consts.PluginTypeSecrets:
		return []string{"kv"}
	}
	return nil
}

func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
