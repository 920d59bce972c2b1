// Package packagecloud is a client of the API of packagecloud.io, a host for deb,
// rpm, npm, Python, gem, Maven, Helm and other packages. It also works with
// installations of packagecloud:enterprise. API reference:
// https://packagecloud.io/docs/api
//
//	client, err := packagecloud.New(source)
//	repo := client.Repository("acme", "main")
//	pkg, err := repo.Upload(ctx, packagecloud.File("demo_1.0_amd64.deb"),
//		&packagecloud.UploadOptions{Distribution: "ubuntu/noble"})
//	for pkg, err := range repo.Packages(ctx, nil) { ... }
//	err = repo.DownloadFile(ctx, pkg, "demo.deb", nil)
//
// # Authentication
//
// A [Client] takes a [tokensource.TokenSource], never a string. It asks the source
// for the token at every request, and sends the token to one server only: the
// scheme, host and port of the base URL. No redirect and no address in an answer
// carries the token elsewhere.
//
// When the server answers 401, the client invalidates the token that this request
// carried, asks the source for another one, and repeats the request, body included.
// If the server had accepted the refused token before, the client waits up to ten
// seconds for its successor; see [WithRotationWait]. [Transport] offers the same
// to programs with an HTTP client of their own. [Client.Check] asks whether the
// server knows the token.
//
// # Errors
//
// An answer that is no success is an *[Error]. It has the status, the server's
// messages by field, and its kind: [ErrUnauthorized], [ErrNotFound], [ErrExists],
// [ErrQuota], [ErrPaymentRequired] or [ErrInvalid], by errors.Is. A success in a
// form that the API doesn't have is an error too.
//
// [ErrUnknownOutcome] means that the server may have carried out a change, and that
// a look didn't tell. No text of an error or a log holds a token, the body of an
// answer or the query of a URL.
//
// # Retries
//
// The client repeats what is safe to repeat after a 5xx, a broken connection or a
// timeout, five times at most, and waits as long as the server asks by Retry-After.
// [WithRetry] tunes that. The client repeats a change only if it knows that the
// server has not carried it out. It doesn't repeat a request that met a spent quota.
//
// The caller's context is the only limit on the time of a call. A transfer that
// doesn't move for a minute fails with [ErrStalled].
//
// # Uploads
//
// [Repository.Upload] streams a [Content] and reads it again when it has to be sent
// again. It hashes what it sends, and compares the answer with that. If the answer
// gets lost, Upload looks the package up before it sends the package again.
// [UploadOptions] say what to do if the package exists: fail, skip or replace.
//
// # Downloads
//
// [Repository.Download] writes to a writer, [Repository.DownloadFile] to a file that
// appears whole or not at all. Both verify the package's SHA-256 or SHA-512, and
// resume after a cut. They refuse a package without a checksum unless the caller
// allows it.
//
// # Lists
//
// Lists are iterators. A loop that ends without an error has had as many elements as
// the server counts. A list that changed while it was read ends with
// [ErrListChanged]: collect a list before you delete or promote what is in it.
//
// # Everything else
//
// [Client.Do] calls an endpoint that has no method here. Package packagecloudtest is
// a server for tests.
package packagecloud

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
	"github.com/packagecloud-go/sdk/tokensource"
)

// DefaultBaseURL is the server that a client talks to unless it is told
// otherwise.
const DefaultBaseURL = exchange.DefaultBaseURL

const (
	defaultRotationWait = 10 * time.Second
	stallTimeout        = time.Minute
)

// Client talks to one packagecloud server. It is safe for concurrent use and
// needs no closing.
type Client struct {
	http             *exchange.Client
	retry            exchange.Policy
	unknownOutcomeAt []time.Duration // pauses before each look for a lost upload
	distributions    distributionCache
}

// String tells where the client's token is from.
func (c *Client) String() string { return "packagecloud client with " + c.http.Auth.String() }

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (c *Client) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// Option configures a [Client] or a [Transport]; if only one of them has a use for
// it, it says so.
type Option func(*config) error

type config struct {
	baseURL       string
	baseURLOrigin string // the variable it is from, if it isn't an option
	httpClient    *http.Client
	logger        *slog.Logger
	application   string
	insecure      bool
	rotationWait  time.Duration
	retry         RetryPolicy
}

// WithBaseURL names the server, as "https://packagecloud.example.com" or with a
// path in front of the API. The default is the base URL that the first token
// names, else [DefaultBaseURL]. Plain http is taken only for a loopback address.
func WithBaseURL(url string) Option {
	return func(c *config) error {
		if url == "" {
			return errors.New("packagecloud: the base URL is empty; leave the option out for " + DefaultBaseURL)
		}
		c.baseURL = url
		return nil
	}
}

// WithHTTPClient sends requests through client's Transport: it brings proxies,
// private certification authorities and client certificates. The client is
// not changed; its Timeout, Jar and CheckRedirect are not used. A Client copies
// an *[http.Transport] without an ExpectContinueTimeout and gives it one, since
// large uploads wait for leave to send. Nil is the same as leaving the option out.
func WithHTTPClient(client *http.Client) Option {
	return func(c *config) error { c.httpClient = client; return nil }
}

// WithLogger logs requests, retries and the source's events, at debug and
// warning level, without any secret. Nil logs nothing, which is the default.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error { c.logger = logger; return nil }
}

// WithApplication puts the program's name, such as "myapp/1.2", in front of
// this library's in the User-Agent header. A Transport leaves that header to
// the program's own client.
func WithApplication(name string) Option {
	return func(c *config) error {
		for _, r := range name {
			if r < 0x20 || r > 0x7e {
				return errors.New("packagecloud: the application's name must be printable ASCII")
			}
		}
		c.application = name
		return nil
	}
}

// WithRotationWait is how long a request that got a 401 waits for the source to
// have another token, where the server had accepted the refused one before; it
// bridges the moment between a rotation on the site and in the store. The
// default is 10 seconds. Zero doesn't wait.
func WithRotationWait(d time.Duration) Option {
	return func(c *config) error {
		if d < 0 {
			return errors.New("packagecloud: the rotation wait must not be negative")
		}
		c.rotationWait = d
		return nil
	}
}

// RetryPolicy says how often a request is tried, and how long the client pauses
// between two tries. The zero value, and each field that is zero, is the default.
type RetryPolicy struct {
	// Tries is the most tries of a request, the first included. The default is 5;
	// 1 never repeats a request, except with another token.
	Tries int
	// MinPause is the pause after the first try. It doubles with each further one,
	// and is varied by a quarter up and down. The default is 250 ms. An upload whose
	// answer got lost is looked up four times, at once and after pauses of 4, 8 and
	// 16 times MinPause.
	MinPause time.Duration
	// MaxPause is the longest wait that a server may ask for by Retry-After; a
	// request that would have to wait longer fails. Other pauses reach a quarter of
	// it. The default is 30 s.
	MaxPause time.Duration
}

// WithRetry sets the policy by which requests are repeated; the client repeats
// only what is safe to repeat. A test against packagecloudtest sets a MinPause of a
// millisecond to be quick. Negative values are an error. A [Transport] repeats
// nothing by it.
func WithRetry(policy RetryPolicy) Option {
	return func(c *config) error {
		if policy.Tries < 0 || policy.MinPause < 0 || policy.MaxPause < 0 {
			return errors.New("packagecloud: the tries and pauses of a RetryPolicy must not be negative; zero is the default")
		}
		c.retry = policy
		return nil
	}
}

// WithInsecureHTTP lets the token be sent over plain http to a host that isn't
// this machine. Everyone on the way can read it.
func WithInsecureHTTP() Option {
	return func(c *config) error { c.insecure = true; return nil }
}

// New returns a client that gets its token from source. A source that reads a
// remote store wants a [tokensource.Cache] around it, since it is asked at
// every request. Nil sources and malformed options are errors.
func New(source tokensource.TokenSource, options ...Option) (*Client, error) {
	cfg, err := apply(options)
	if err != nil {
		return nil, err
	}
	return newClient(source, cfg)
}

// apply applies the options in order.
func apply(options []Option) (*config, error) {
	cfg := &config{rotationWait: defaultRotationWait}
	for _, option := range options {
		if option == nil {
			return nil, errors.New("packagecloud: an option is nil")
		}
		if err := option(cfg); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

func newClient(source tokensource.TokenSource, cfg *config) (*Client, error) {
	if cfg.httpClient != nil {
		cfg.httpClient = &http.Client{Transport: exchange.Patient(cfg.httpClient.Transport)}
	}
	auth, err := newAuthenticator(source, cfg)
	if err != nil {
		return nil, err
	}
	return &Client{
		http:             &exchange.Client{Auth: auth, Logger: logger(cfg), UserAgent: userAgent(cfg.application), Stall: stallTimeout},
		retry:            exchange.Policy(cfg.retry),
		unknownOutcomeAt: looks(cfg.retry),
	}, nil
}

// looks returns the pauses before each look for a lost upload.
func looks(policy RetryPolicy) []time.Duration {
	unit := 4 * cmp.Or(policy.MinPause, 250*time.Millisecond)
	return []time.Duration{0, unit, 2 * unit, 4 * unit}
}

// logger returns the configured logger, or one that discards.
func logger(cfg *config) *slog.Logger {
	if cfg.logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return cfg.logger
}

func userAgent(application string) string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/packagecloud-go/sdk" {
				version = m.Version
			}
		}
	}
	own := "packagecloud-go/" + cmp.Or(version, "devel")
	if application == "" {
		return own
	}
	return fmt.Sprintf("%s %s", application, own)
}

// Repository is a repository of packages. It only holds names: making one asks
// the server nothing. It is safe for concurrent use.
type Repository struct {
	client      *Client
	owner, name string
}

// Repository returns the repository owner/name. Names that can't be are the
// error of the first call that uses them.
func (c *Client) Repository(owner, name string) *Repository {
	return &Repository{client: c, owner: owner, name: name}
}

// String returns "owner/name".
func (r *Repository) String() string { return r.owner + "/" + r.name }
