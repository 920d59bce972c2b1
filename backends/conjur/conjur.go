// Package conjur reads packagecloud tokens from variables of CyberArk Conjur, and
// can write them there. It speaks to Conjur Open Source, Enterprise and the cloud
// service through the requests and error types of [conjurapi].
//
//	source, err := conjur.New("prod/packagecloud/token", conjur.Options{})
//
// finds the server and the credentials as Conjur's own tools do: in CONJUR_*
// variables, the file that CONJURRC names or else ~/.conjurrc, and /etc/conjur.conf
// (on Windows C:\windows\conjur.conf). [Options] replaces any of it. [Opener] does the
// same for package backends.
//
// # Access tokens
//
// Conjur's access tokens live for 8 minutes. A source logs in at its first read,
// keeps the access token, and logs in again when three quarters of its time have
// passed, or when Conjur answers 401 to it. Nobody waits for a login while the access
// token still serves, and one that fails is repeated with pauses of a second to a
// minute; the access token's end makes its error that of the reads. One login runs at
// a time, however many callers wait for it; it has a time limit of its own and no
// caller's context. A caller whose context ends returns at once, and that doesn't
// disturb the login.
//
// # The id
//
// It is the variable's alone, such as prod/packagecloud/token. A colon in it is
// legal. Where Conjur has no such variable, these slips are ErrInvalid, so that no
// chain goes on to another token:
//
//   - acme:variable:prod/token, with the account and the kind: give prod/token, and
//     the account as an option
//   - /prod/token or prod/token/: Conjur's ids have no slash at their ends
//   - conjur:prod/token, with the scheme, and "prod/token", with quotes
//
// # Errors
//
// All are of type *tokensource.Error:
//
//   - ErrNotFound: Conjur itself answered 404, not a proxy. The variable or the
//     version doesn't exist, the variable has no value yet, or this role may not
//     see it: Conjur tells these apart to nobody. It is also the error of every
//     read where neither options nor settings say which server to ask, so that a
//     chain goes on.
//   - ErrDenied: Conjur refused the login, answered 401 even to a new access token,
//     or 403, which means that the role sees the variable and may not read it.
//   - ErrUnavailable: no connection, no trust in the server's certificate, no
//     answer in time, 429 or 5xx; or a file with a JWT or an access token that
//     isn't there (yet).
//   - ErrInvalid: something is there, but no usable token or setting.
//
// No error shows a credential, an answer's body or a URL's query. errors.As reaches
// a *response.ConjurError, whose text is the server's and may hold anything.
//
// Redirects are not followed, so that no credential leaves for another host. The
// SDK's own log, which CONJURAPI_LOG switches on, gets nothing about requests and
// answers.
//
//	file:         what it holds
//	conjur.go     Options, Source and reading
//	put.go        writing
//	auth.go       the ways to log in
//	session.go    access tokens and when to replace them
//	server.go     requests, and what answers mean
//	settings.go   CONJUR_* and .conjurrc
//	stored.go     what "conjur login" left in .netrc or a keyring
//	slip.go       ids that were probably meant otherwise
//	opener.go     Opener
//
// [conjurapi]: https://pkg.go.dev/github.com/cyberark/conjur-api-go/conjurapi
package conjur

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cyberark/conjur-api-go/conjurapi/response"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

const defaultTimeout = 30 * time.Second

// Options says where Conjur is, who asks, and which value is meant. The zero value
// takes all of it from Conjur's settings. If Account, ApplianceURL and Auth are all
// set, the settings are not read at all.
type Options struct {
	// Account is Conjur's account; "" is that of the settings.
	Account string
	// ApplianceURL is the address of the server with its path, if it has one;
	// "" is that of the settings. It holds no user, query or fragment.
	ApplianceURL string
	// Auth is how to log in. The zero Auth is what the settings say.
	Auth Auth
	// CA holds PEM certificates to trust in place of the system's. If it is nil
	// the settings' certificate counts, if they are read and have one.
	CA []byte
	// HTTPClient makes the requests; it brings proxies and client
	// certificates. It is copied, and the copy follows no redirect and has no
	// cookies. It can't be combined with CA, and the settings for certificates
	// and proxies don't count beside it. Nil is a client with the defaults of
	// net/http, idle connections apart.
	HTTPClient *http.Client
	// Timeout is the limit of one request and of one login. Zero is the
	// settings' http_timeout, or 30 seconds.
	Timeout time.Duration
	// AllowHTTP permits plain http to another host than this one. Credentials
	// and tokens then cross the network in clear.
	AllowHTTP bool
	// Version picks a version of the variable, counted from 1; Conjur keeps
	// the last 20. Zero is the latest, whose number Conjur doesn't tell: such
	// tokens have no version in their metadata.
	Version int
	// Field picks a string of a variable whose value is a JSON object; "" is
	// the whole value.
	Field string
}

// Source is one variable of Conjur, a [tokensource.TokenSource] and
// [tokensource.Sink]. It is safe for concurrent use. It holds an access token, but
// no value: wrap it in [tokensource.Cache].
type Source struct {
	origin   string
	variable string
	version  int
	field    string
	missing  error           // why no server can be asked
	session  func() *session // a func, so that printing a source doesn't read what changes
}

// New returns a source for a variable, named by its id without account and kind. It
// reads the settings, once, and asks Conjur nothing. Settings that are malformed
// or unreadable, and impossible options, are errors of kind ErrInvalid. Settings
// that are merely absent aren't: then Token returns ErrNotFound.
func New(variable string, options Options) (*Source, error) {
	spec := spell(variable, options)
	if holdsToken(spec) {
		return nil, tokensource.NewError(scheme+":[redacted]", tokensource.ErrInvalid,
			"the id of the variable, or an option, looks like a token; pass the id of the variable that holds it", nil)
	}
	return open(spec.String(), variable, options, func(*settings) {})
}

// open is New with the source's spelling and with changes to the settings.
func open(origin, variable string, options Options, override func(*settings)) (*Source, error) {
	s := &Source{
		origin:   origin,
		variable: variable,
		version:  options.Version,
		field:    options.Field,
	}
	if flaw := s.flaw(options); flaw != "" {
		return nil, s.error(tokensource.ErrInvalid, flaw, nil)
	}
	var set settings
	if options.Account == "" || options.ApplianceURL == "" || options.Auth.isZero() {
		var err error
		if set, err = readSettings(systemFile(runtime.GOOS), os.Getenv); err != nil {
			return nil, s.wrap(err)
		}
	}
	override(&set)
	set.Account = cmp.Or(options.Account, set.Account)
	set.ApplianceURL = cmp.Or(options.ApplianceURL, set.ApplianceURL)
	if set.ApplianceURL == "" {
		s.missing = s.error(tokensource.ErrNotFound, "no server is configured; set CONJUR_APPLIANCE_URL, appliance_url in .conjurrc, or Options.ApplianceURL", nil)
		return s, nil
	}
	server, err := newServer(set, options)
	if err != nil {
		return nil, s.wrap(err)
	}
	if server.account == "" {
		s.missing = s.error(tokensource.ErrNotFound, "no account is configured; set CONJUR_ACCOUNT, account in .conjurrc, or Options.Account", nil)
		return s, nil
	}
	auth := options.Auth
	if auth.isZero() {
		if auth, err = set.auth(); err != nil {
			return nil, s.wrap(err)
		}
	}
	own := newSession(server, auth)
	s.session = func() *session { return own }
	return s, nil
}

// flaw says what is wrong with the arguments of New.
func (s *Source) flaw(options Options) string {
	switch {
	case s.variable == "":
		return "the id of the variable is empty"
	case !isSegment(s.variable):
		return `the id of the variable must not be "." or ".."`
	case s.version < 0:
		return "the version is negative; versions count from 1, and 0 is the latest"
	case options.Timeout < 0:
		return "the timeout is negative"
	case options.CA != nil && options.HTTPClient != nil:
		return "CA and HTTPClient are both set; give the HTTPClient a transport that trusts the CA"
	}
	return ""
}

// String spells the source as package backends does, with the options that were
// set and no credential.
func (s *Source) String() string { return s.origin }

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (s *Source) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

func spell(variable string, o Options) backends.Spec {
	spec := backends.Spec{Scheme: scheme, Name: variable, Field: o.Field, Options: map[string]string{}}
	set := func(key, value string) {
		if value != "" {
			spec.Options[key] = value
		}
	}
	set("account", o.Account)
	// An address that New refuses may hold a password.
	if u, err := parseURL(o.ApplianceURL); err == nil {
		set("url", u)
	}
	if o.Version != 0 {
		set("version", strconv.Itoa(o.Version))
	}
	for key, value := range o.Auth.spelling {
		set(key, value)
	}
	return spec
}

// holdsToken reports whether there is what looks like a token of packagecloud where
// something is only named, which errors would repeat.
func holdsToken(spec backends.Spec) bool {
	words := slices.AppendSeq([]string{spec.Name, spec.Field}, maps.Values(spec.Options))
	return slices.ContainsFunc(words, sourcekit.HoldsToken)
}

// Token reads the variable.
func (s *Source) Token(ctx context.Context) (tokensource.Token, error) {
	data, err := s.read(ctx)
	if f, ok := err.(*failure); ok && f.kind == tokensource.ErrNotFound {
		if _, answered := errors.AsType[*response.ConjurError](f.cause()); answered && s.slip() != "" {
			err = fail(tokensource.ErrInvalid, "Conjur answered 404, and "+s.slip(), f.cause())
		}
	}
	if err != nil {
		return tokensource.Token{}, s.wrap(err)
	}
	secret, err := sourcekit.Field(s.field).Read(data)
	if err != nil {
		return tokensource.Token{}, s.wrap(err)
	}
	return tokensource.NewToken(secret, s.metadata())
}

func (s *Source) metadata() tokensource.Metadata {
	meta := tokensource.Metadata{Origin: s.origin}
	if s.version != 0 {
		meta.Version = strconv.Itoa(s.version)
	}
	return meta
}

// read returns the variable's value, whatever it is.
func (s *Source) read(ctx context.Context) ([]byte, error) {
	return s.do(ctx, func() (*http.Request, error) {
		if s.version != 0 {
			return s.session().server.requests.RetrieveSecretWithVersionRequest(s.id(), s.version)
		}
		return s.session().server.requests.RetrieveSecretRequest(s.id())
	})
}

// id is the variable's full id. The SDK would take a short one with colons in it
// for something else.
func (s *Source) id() string { return s.session().server.account + ":variable:" + s.variable }

// do makes an authorized request. After a 401 it makes another one with the access
// token that comes next, if that is a different one.
func (s *Source) do(ctx context.Context, newRequest func() (*http.Request, error)) ([]byte, error) {
	if s.missing != nil {
		return nil, s.missing
	}
	var refused *accessToken
	var refusal error
	for range 2 {
		access, err := s.session().get(ctx, refused)
		if err != nil {
			return nil, err
		}
		if refused != nil && access.same(refused) {
			break
		}
		req, err := newRequest()
		if err != nil {
			return nil, fail(tokensource.ErrInvalid, "the request can't be built; check the account and the address", err)
		}
		req.Header.Set("Authorization", access.header())
		body, err := s.session().server.do(ctx, req)
		status, ok := errors.AsType[*statusError](err)
		if !ok {
			return body, unsure(req, err)
		}
		if refusal = s.meaning(status); status.code != http.StatusUnauthorized {
			return nil, unsure(req, refusal)
		}
		refused = access
	}
	return nil, refusal
}

// meaning says what an answer to a request for the variable means.
func (s *Source) meaning(e *statusError) error {
	switch e.code {
	case http.StatusUnauthorized:
		return fail(tokensource.ErrDenied, "Conjur refused the access token (401)"+s.session().hint, e.cause())
	case http.StatusForbidden:
		return fail(tokensource.ErrDenied, "Conjur refused the permission (403); grant the role the privilege execute to read, update to write", e.cause())
	case http.StatusNotFound:
		if !e.isConjurs("not_found") {
			break // that of a proxy, or of a wrong address, is no reason for a chain to go on
		}
		what := "the variable"
		if s.version != 0 {
			what = fmt.Sprintf("version %d of the variable", s.version)
		}
		return fail(tokensource.ErrNotFound, "Conjur answered 404: "+what+" doesn't exist, has no value, or isn't visible to this role", e.cause())
	}
	return e.meaning()
}

// failure is an error of this package that doesn't know its source yet.
type failure struct {
	kind    error
	message string
	cause   func() error
}

func fail(kind error, message string, cause error) *failure {
	return &failure{kind: kind, message: message, cause: func() error { return cause }}
}

// Error returns the message, which is safe to print.
func (f *failure) Error() string { return f.message }

func (s *Source) error(kind error, message string, cause error) error {
	return tokensource.NewError(s.origin, kind, message, cause)
}

// wrap gives an error of this package, or of sourcekit, its source.
func (s *Source) wrap(err error) error {
	switch e := err.(type) {
	case *failure:
		return s.error(e.kind, e.message, e.cause())
	case *tokensource.Error:
		return s.error(e.Kind, e.Message, e)
	}
	return err
}

// parseURL returns the address with its host in lower case and without a slash at
// its end. Its errors don't repeat
// the address, which may hold a password.
func parseURL(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "", fail(tokensource.ErrInvalid, "the server's address is no URL", err)
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "", fail(tokensource.ErrInvalid, "the server's address must begin with https:// and a host", nil)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", fail(tokensource.ErrInvalid, "the server's address must hold no user, query or fragment", nil)
	}
	u.Host = strings.ToLower(u.Host) // net/http keeps "localhost" from a proxy, and no other spelling
	for u.Path != "" && u.Path[len(u.Path)-1] == '/' {
		u.Path = u.Path[:len(u.Path)-1]
		u.RawPath = ""
	}
	return u.String(), nil
}
