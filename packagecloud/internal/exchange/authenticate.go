package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

// replays is how often a request is repeated with another token.
const replays = 3

// Config says how an [Authenticator] works.
type Config struct {
	// BaseURL is the server. Empty means the one that the first token names, else
	// [DefaultBaseURL].
	BaseURL string
	// BaseURLOrigin names where BaseURL was found, for errors.
	BaseURLOrigin string
	// Next carries requests out; nil means one like [http.DefaultTransport].
	Next http.RoundTripper
	// Logger may be nil.
	Logger *slog.Logger
	// InsecureHTTP allows plain http to other hosts than this machine.
	InsecureHTTP bool
	// RotationWait bounds the wait for a successor of a token that had been
	// accepted.
	RotationWait time.Duration
}

// Authenticator sends requests with the token of a source to one server. It is
// safe for concurrent use.
type Authenticator struct {
	source       *tokensource.ChainSource
	hook         func(tokensource.Event)  // nil leaves the caller's
	next         func() http.RoundTripper // a closure, since dump libraries print the buffers of connections
	logger       *slog.Logger
	insecure     bool
	rotationWait time.Duration

	accepted *acceptedTokens
	readers  *acceptedTokens // shared by all that Reader returns

	mu   sync.Mutex
	base *url.URL // nil until the first token, if the configuration doesn't name it
}

// NewAuthenticator refuses a nil source and a malformed base URL.
func NewAuthenticator(source tokensource.TokenSource, c Config) (*Authenticator, error) {
	// A chain of one finds the nil that would panic later, and withholds the text
	// of errors that nobody knows.
	chain, err := tokensource.Chain(source)
	if err != nil {
		return nil, errors.New("packagecloud: the token source is nil")
	}
	a := &Authenticator{
		source:       chain,
		hook:         EventHook(c.Logger),
		logger:       c.Logger,
		insecure:     c.InsecureHTTP,
		rotationWait: c.RotationWait,
		accepted:     &acceptedTokens{},
		readers:      &acceptedTokens{},
	}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	if c.BaseURL != "" {
		if a.base, err = ParseBaseURL(c.BaseURL, c.BaseURLOrigin, c.InsecureHTTP); err != nil {
			return nil, err
		}
	}
	next := c.Next
	if next == nil {
		next = defaultTransport()
	}
	a.next = func() http.RoundTripper { return next }
	return a, nil
}

// Reader returns an authenticator for the same server whose token is from source,
// such as a read token. What the server answers to it doesn't touch a's token.
func (a *Authenticator) Reader(ctx context.Context, source tokensource.TokenSource) (*Authenticator, error) {
	base, err := a.BaseURL(ctx)
	if err != nil {
		return nil, err
	}
	reader, err := NewAuthenticator(source, Config{
		BaseURL: base.String(), Next: a.next(), Logger: a.logger, InsecureHTTP: a.insecure, RotationWait: a.rotationWait,
	})
	if err != nil {
		return nil, err
	}
	reader.accepted = a.readers
	return reader, nil
}

// defaultTransport is the standard one with room for concurrent uploads to the
// one host that a client talks to.
func defaultTransport() http.RoundTripper {
	std, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t := std.Clone()
	t.MaxIdleConnsPerHost = 32
	return t
}

// EventHook logs a source's events; it is nil where nothing is to be logged.
func EventHook(logger *slog.Logger) func(tokensource.Event) {
	if logger == nil {
		return nil
	}
	return tokensource.LogEvents(logger)
}

// BaseURL returns the server's address. If no option named it, the first token
// decides.
func (a *Authenticator) BaseURL(ctx context.Context) (*url.URL, error) { return a.baseURL(ctx, nil) }

// baseURL pauses the watch, if there is one, while the source is asked.
func (a *Authenticator) baseURL(ctx context.Context, watch *Watch) (*url.URL, error) {
	a.mu.Lock()
	base := a.base
	a.mu.Unlock()
	if base != nil {
		return base, nil
	}
	tok, err := a.token(ctx, watch)
	if err != nil {
		return nil, err
	}
	name := tok.Metadata().BaseURL
	if name == "" {
		name = DefaultBaseURL
	}
	base, err = ParseBaseURL(name, tok.Metadata().Origin, a.insecure)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.base == nil {
		a.base = base
	}
	return a.base, nil
}

func (a *Authenticator) token(ctx context.Context, watch *Watch) (tokensource.Token, error) {
	if a.hook != nil {
		ctx = tokensource.WithHook(ctx, a.hook)
	}
	var tok tokensource.Token
	err := watch.aside(func() (err error) {
		tok, err = a.source.Token(ctx)
		return err
	})
	if err != nil {
		return tokensource.Token{}, &TokenError{err: err}
	}
	if tok.IsZero() {
		return tok, &TokenError{err: tokensource.NewError("source", tokensource.ErrInvalid, "the source returned no token and no error", nil)}
	}
	return tok, nil
}

// check refuses a token that is meant for another server.
func (a *Authenticator) check(tok tokensource.Token, base *url.URL) error {
	name := tok.Metadata().BaseURL
	if name == "" {
		return nil
	}
	own, err := ParseBaseURL(name, "", a.insecure)
	if err != nil || !SameOrigin(own, base) {
		return &TokenError{err: tokensource.NewError(tok.Metadata().Origin, tokensource.ErrInvalid,
			fmt.Sprintf("the token is for another server than %s; set WithBaseURL (or %s) to the token's, or use another token", base, "PACKAGECLOUD_URL"), nil)}
	}
	return nil
}

// String tells where the token is from.
func (a *Authenticator) String() string { return "the token of " + a.source.String() }

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (a *Authenticator) Format(f fmt.State, _ rune) { io.WriteString(f, a.String()) }

// RoundTrip sends req with the token if it goes to the base URL's server, and as
// it is if not. The answer's Request is req, without the token.
func (a *Authenticator) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := false
	o := &outgoing{
		target:     req.URL,
		secrets:    &Redactor{ctx: req.Context()},
		replayable: req.Body == nil || req.Body == http.NoBody || req.GetBody != nil,
		prepare: func() (*http.Request, error) {
			again := req.Clone(req.Context())
			if sent && req.GetBody != nil {
				body, err := req.GetBody()
				if err != nil {
					return nil, err
				}
				again.Body = body
			}
			sent = true
			return again, nil
		},
	}
	answer, err := a.send(req.Context(), o)
	if err != nil {
		if req.Body != nil {
			req.Body.Close() // harmless twice
		}
		return nil, err
	}
	answer.Response.Request = req
	return answer.Response, nil
}

// sendAs sends o with tok, or without a token if it is zero, and takes the answer
// as it comes.
func (a *Authenticator) sendAs(o *outgoing, tok tokensource.Token) (*Answer, error) {
	return o.deliver(a.next(), tok)
}

// send sends o with the token, and repeats it with another after a 401.
func (a *Authenticator) send(ctx context.Context, o *outgoing) (*Answer, error) {
	base, err := a.baseURL(ctx, o.watch)
	if err != nil {
		return nil, err
	}
	if !SameOrigin(o.target, base) {
		return o.deliver(a.next(), tokensource.Token{})
	}
	tok, err := a.token(ctx, o.watch)
	if err != nil {
		return nil, err
	}
	var tried []tokensource.Token
	for {
		if err := a.check(tok, base); err != nil {
			return nil, err
		}
		answer, err := o.deliver(a.next(), tok)
		if err != nil {
			return nil, err
		}
		if answer.Response.StatusCode != http.StatusUnauthorized {
			a.learn(tok, answer.Response.StatusCode)
			return answer, nil
		}
		a.logger.WarnContext(ctx, "packagecloud refused the token", "origin", tok.Metadata().Origin, "fingerprint", tok.Fingerprint())
		a.source.Invalidate(tok)
		tried = append(tried, tok)
		answer.Refusal = refusalText(tok, nil)
		if len(tried) > replays || !o.replayable {
			return answer, nil
		}
		next, err := a.successor(ctx, o.watch, tried)
		switch {
		case ctx.Err() != nil:
			Drain(answer.Response.Body)
			return nil, &LeftError{answer.Refusal, ctx.Err()}
		case err != nil:
			answer.Refusal = refusalText(tok, err)
			return answer, nil
		case next.IsZero():
			return answer, nil
		}
		tok = next
		Drain(answer.Response.Body)
	}
}

// learn remembers a token that the server accepted. Some statuses say nothing of
// the token.
func (a *Authenticator) learn(tok tokensource.Token, status int) {
	if status < 500 && status != http.StatusForbidden && status != http.StatusTooManyRequests {
		a.accepted.add(tok)
	}
}

// successor polls the source for a token that was not tried. It waits only when
// the server accepted the refused one before: then a rotation is under way,
// else the token is just wrong.
//
// It returns a zero token if the source has no other, and the source's error if
// it has none at all.
func (a *Authenticator) successor(ctx context.Context, watch *Watch, tried []tokensource.Token) (tokensource.Token, error) {
	wait := time.Duration(0)
	if slices.ContainsFunc(tried, a.accepted.has) { // one in between may have been dead when it came
		wait = a.rotationWait
	}
	deadline := time.Now().Add(wait)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		tok, err := a.token(ctx, watch)
		if err == nil && !isOneOf(tok, tried) {
			return tok, nil
		}
		left := time.Until(deadline)
		if left <= 0 || watch.aside(func() error { return Sleep(ctx, min(pause, left)) }) != nil {
			return tokensource.Token{}, err
		}
	}
}

func refusalText(tok tokensource.Token, source error) string {
	meta := tok.Metadata()
	text := "the server doesn't know the token"
	if meta.Origin != "" {
		text += " from " + meta.Origin
	}
	text += " (fingerprint " + tok.Fingerprint() + ")"
	if strings.HasPrefix(tok.Reveal(), "PACKAGECLOUD_TOKEN=") {
		text += ", which is stored with the name of a variable before it; store it alone"
	}
	if t, ok := errors.AsType[*TokenError](source); ok {
		text += ", and there is no other: " + t.err.Error()
	}
	return text
}

func isOneOf(tok tokensource.Token, list []tokensource.Token) bool {
	for _, other := range list {
		if tok.Equal(other) {
			return true
		}
	}
	return false
}

// acceptedTokens remembers the fingerprints of tokens that the server took.
type acceptedTokens struct {
	mu           sync.Mutex
	fingerprints map[string]bool
}

func (a *acceptedTokens) add(tok tokensource.Token) {
	fingerprint := tok.Fingerprint()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fingerprints == nil || len(a.fingerprints) > 100 { // old tokens of a long life
		a.fingerprints = map[string]bool{}
	}
	a.fingerprints[fingerprint] = true
}

func (a *acceptedTokens) has(tok tokensource.Token) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fingerprints[tok.Fingerprint()]
}
