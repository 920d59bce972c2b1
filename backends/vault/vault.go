// Package vault reads the packagecloud token from a key/value store of HashiCorp
// Vault, and writes it there in a rotation.
//
//	source, err := vault.New(nil, "secret/packagecloud", vault.Options{})
//
// reads the field api_key of that secret, from the server and with the token that
// Vault's own tools would use: VAULT_ADDR, VAULT_CACERT, VAULT_NAMESPACE,
// VAULT_TOKEN and the other variables of the vault command, and ~/.vault-token. A
// service logs in by itself:
//
//	vault.Options{Auth: vault.Kubernetes{Role: "packagecloud"}}
//
// # Policy
//
// For the secret above, in a version 2 store, the Vault token's policy needs
//
//	path "secret/data/packagecloud" {
//	  capabilities = ["read"]
//	}
//
// and "create" and "update" besides for [Source.Put]; in a version 1 store the
// path is secret/packagecloud. Renewal and the question whether a token was
// revoked use auth/token/renew-self and auth/token/lookup-self, which Vault's
// default policy permits.
//
// # The path
//
// It is what "vault kv get" takes. Where Vault has nothing there, these slips are
// [tokensource.ErrInvalid], so that no chain goes on to another token:
//
//	secret/data/packagecloud       the API's path; so with metadata/ and its kin
//	secret/packagecloud:api_key    a field is written #api_key
//	?kv=2 on a version 1 store     and kv=1 on a version 2 store
//	?mount=secret with secret/...  the mount twice
//
// A secret of a version 2 store that really is called data/packagecloud is read. A
// version 1 store has no path of an API beside its own, so that data/ means nothing
// there. A path that Vault refuses, such as v1/secret/..., is
// [tokensource.ErrDenied], with a hint.
//
// # Life of the Vault token
//
// A login is made at the first read, once for all callers that wait for it. At a
// read past two thirds of its life the Vault token is renewed, or replaced by a new
// login when it can't be extended, while reads go on with the one there is.
// [Source.Run] does so without reads. When Vault answers 403 it is asked
// whether the token still counts; if it doesn't there is one new login, and
// then the refusal is reported. A source makes no retries beyond that, and has
// no memory for the packagecloud token: wrap it in [tokensource.Cache].
//
// # What was tried
//
// The tests run against the core of Vault 1.21 itself, over HTTP and TLS: KV
// versions 1 and 2, every login method below, renewal, revocation and sealing.
// Namespaces, which only Vault Enterprise has, Vault Agent, Vault Proxy and
// OpenBao were not tried; only what Vault documents for all of them is used.
//
//	file:          what it holds
//	vault.go       New, Options and reading a token
//	put.go         Put, the writing half
//	kv.go          the two versions of the key/value store
//	mount.go       which version a path is of
//	slip.go        what a path that isn't there may have been meant for
//	session.go     the Vault token: login, renewal, revocation
//	auth.go        the login methods
//	credential.go  where a login's secrets come from
//	client.go      the Vault client: environment, no redirects
//	error.go       what an error of the client means
//	opener.go      the spelling for backends.Parse
package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

const defaultField = "api_key"

// Options tunes a source. The zero value is good.
type Options struct {
	// Mount is where the key/value store is mounted; the path given to [New]
	// is then within it, as with the vault command's -mount. Empty: the path
	// begins with the mount, and Vault is asked where that ends.
	Mount string
	// Field is the field of the secret that holds the token. Empty: api_key.
	Field string
	// Version pins a version of the secret, in a version 2 store. Zero is
	// the latest. A pinned source doesn't follow rotations and can't be Put.
	Version int
	// Namespace is a namespace of Vault Enterprise. Empty: that of the
	// client, or VAULT_NAMESPACE.
	Namespace string
	// KVVersion says which version of the key/value store it is, 1 or 2, and
	// saves asking Vault; without Mount, the mount is then the path's first
	// element. Zero: Vault is asked, once, by the lookup that the vault
	// command uses too.
	KVVersion int
	// Auth logs in to Vault: one of this package's methods, or any other
	// [api.AuthMethod]. Nil: the token of the client given to New, or the
	// environment's.
	Auth api.AuthMethod
}

// Source reads a token from Vault. It is safe for concurrent use. It is a
// [tokensource.Sink] and a [tokensource.Runner].
type Source struct {
	name    string
	options Options
	path    string // with the mount, unless options.Mount has it
	client  *client
	session *session
	lookup  *lookup
}

// New returns a source that reads the secret at path, such as
// "secret/packagecloud": what the vault command calls it in "vault kv get", with
// no "data/" inside. Of a client it makes a copy that follows no redirects and
// doesn't retry. With a nil client it makes one of the environment that the
// vault command reads.
//
// Nothing is asked of Vault yet. Options that can't be right are an error of
// kind [tokensource.ErrInvalid], and so is an environment that the client
// refuses.
func New(vault *api.Client, path string, options Options) (*Source, error) {
	path = strings.Trim(path, "/")
	options.Mount = strings.Trim(options.Mount, "/")
	if slices.ContainsFunc([]string{path, options.Mount, options.Namespace, options.Field}, sourcekit.HoldsToken) {
		return nil, tokensource.NewError(scheme, tokensource.ErrInvalid, "the path, or an option beside it, looks like a token of packagecloud; give the path of the secret that holds it", nil)
	}
	s := &Source{name: spell(path, options), options: options, path: path}
	if s.options.Field == "" {
		s.options.Field = defaultField
	}
	if flaw := flaw(path, options); flaw != "" {
		return nil, tokensource.NewError(s.name, tokensource.ErrInvalid, flaw, nil)
	}
	client, err := newClient(vault, options)
	if err != nil {
		return nil, located(s.name, err)
	}
	s.options.Auth = nil // the client has it, where a user's own doesn't print
	s.client = client
	s.session = newSession(s.name, client)
	s.lookup = &lookup{flight: sourcekit.Flight[store]{Name: "the lookup of the mount", Timeout: client.timeout}}
	return s, nil
}

// spell gives the source its name, in the spelling of package backends.
func spell(path string, options Options) string {
	spec := backends.Spec{Scheme: scheme, Name: path, Field: options.Field, Options: map[string]string{}}
	if spec.Field == "" {
		spec.Field = defaultField
	}
	for key, value := range map[string]string{"mount": options.Mount, "namespace": options.Namespace} {
		if value != "" {
			spec.Options[key] = value
		}
	}
	for key, value := range map[string]int{"kv": options.KVVersion, "version": options.Version} {
		if value != 0 {
			spec.Options[key] = strconv.Itoa(value)
		}
	}
	return spec.String()
}

func flaw(path string, options Options) string {
	if path == "" {
		return "the path is empty; give one such as secret/packagecloud"
	}
	full := strings.TrimPrefix(options.Mount+"/"+path, "/")
	if !utf8.ValidString(full) || strings.ContainsFunc(full, unicode.IsControl) {
		return "the path has characters that don't print"
	}
	for element := range strings.SplitSeq(full, "/") {
		if element == "" || element == "." || element == ".." {
			return fmt.Sprintf("the path has an element %q, which Vault's client would leave out", element)
		}
	}
	switch {
	case !strings.Contains(full, "/"):
		return "the path is only a mount; give the secret within it, such as secret/packagecloud"
	case options.Version < 0:
		return "the version is negative; 0 is the latest"
	case options.KVVersion < 0 || options.KVVersion > 2:
		return "the version of the key/value store is 1 or 2, or 0 to ask Vault"
	case options.KVVersion == 1 && options.Version != 0:
		return "a version 1 store keeps no versions; leave Version 0"
	}
	return ""
}

// String spells the source as backends.Parse reads it, without the options of
// the login: "vault:secret/packagecloud#api_key".
func (s *Source) String() string { return s.name }

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (s *Source) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// Token reads the secret and returns its field as a token, whose version is
// the exact version of the secret that it was read from (none in a version 1
// store). It asks Vault each time.
//
// A path or a version that isn't there is [tokensource.ErrNotFound], and so is
// a login that isn't configured: a variable that isn't set, a file that isn't
// there. A version that was deleted or destroyed, a secret without the field and a
// field that isn't a string are [tokensource.ErrInvalid]. Credentials that are
// refused, and a path the Vault token has no right to, are
// [tokensource.ErrDenied]: Vault answers so for a mount that doesn't exist too,
// and only where KVVersion is set that it doesn't exist, which is
// [tokensource.ErrInvalid]. A Vault that is sealed, fails, redirects or can't be
// reached, and an answer that isn't Vault's, are [tokensource.ErrUnavailable].
// [api.ResponseError] is found by errors.As.
func (s *Source) Token(ctx context.Context) (tokensource.Token, error) {
	var tok tokensource.Token
	err := s.call(ctx, func(vault *api.Client) error {
		found, _, err := s.read(ctx, vault)
		if err != nil {
			return err
		}
		tok, err = s.token(found)
		return err
	})
	return tok, err
}

// Run keeps the Vault token alive until ctx ends, whose error it returns: it
// logs in, renews and logs in anew as their times come, and backs off, from a
// second to a minute, while that fails.
func (s *Source) Run(ctx context.Context) error { return s.session.run(ctx) }

// call runs op with a client that has logged in. A 403 gets one more try if it
// was due to the Vault token. The error is fit to be returned.
func (s *Source) call(ctx context.Context, op func(*api.Client) error) error {
	lease, err := s.session.get(ctx)
	if err == nil {
		err = op(s.client.as(lease))
		if isRefusal(err) && ctx.Err() == nil {
			refused := err
			if lease, err = s.session.reject(ctx, lease); err == nil {
				err = op(s.client.as(lease))
			} else if errors.Is(err, errNoPermission) {
				s.lookup.forget() // it may have become another kind of store
				err = tokensource.NewError(s.name, tokensource.ErrDenied, err.Error()+s.hint(), refused)
			}
		}
	}
	if _, explained := err.(*tokensource.Error); !explained && (isRefusal(err) || status(err) == http.StatusNotFound && !foreign(err)) {
		message, kind := explain(err)
		err = tokensource.NewError(s.name, kind, message+s.hint(), err)
	}
	if err != nil && ctx.Err() != nil && !errors.Is(err, errUnsure) {
		return tokensource.NewError(s.name, tokensource.ErrUnavailable, ctx.Err().Error(), ctx.Err())
	}
	return located(s.name, err)
}
