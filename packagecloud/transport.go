package packagecloud

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/packagecloud-go/sdk/tokensource"
)

const (
	// replays is how often a request is repeated with another token.
	replays = 3
	// drainLimit is how much of an unwanted answer is read to keep its
	// connection; beyond that a new one is cheaper.
	drainLimit = 64 << 10
	drainTime  = time.Second
)

// Transport is an [http.RoundTripper] that authenticates requests to a
// packagecloud server, for programs with a client of their own. The token goes
// to the base URL's scheme, host and port, as the user name of Basic
// authentication; any other request passes through as it is, so that a redirect
// can't carry the token away.
//
// On a 401 the token that this request carried is invalidated and the request,
// body included, is repeated with each token that the source has not given
// before, three times at most. A body without GetBody isn't repeated.
//
// It is safe for concurrent use. https://packagecloud.io/docs/api#auth
type Transport struct {
	source       *tokensource.ChainSource
	hook         func(tokensource.Event) // nil leaves the caller's
	next         http.RoundTripper
	logger       *slog.Logger
	insecure     bool
	rotationWait time.Duration

	accepted *acceptedTokens

	mu   sync.Mutex
	base *url.URL // nil until the first token, if no option names it
}

// NewTransport returns a transport that gets its token from source. It sends
// requests with the Transport of [WithHTTPClient], else with one like
// [http.DefaultTransport].
func NewTransport(source tokensource.TokenSource, options ...Option) (*Transport, error) {
	cfg, err := configure(options)
	if err != nil {
		return nil, err
	}
	return newTransport(source, cfg)
}

func newTransport(source tokensource.TokenSource, cfg *config) (*Transport, error) {
	// A chain of one finds the nil that would panic later, and withholds the text
	// of errors that nobody knows.
	chain, err := tokensource.Chain(source)
	if err != nil {
		return nil, errors.New("packagecloud: the token source is nil")
	}
	t := &Transport{
		source:       chain,
		hook:         eventHook(cfg.logger),
		logger:       cfg.logger,
		insecure:     cfg.insecure,
		rotationWait: cfg.rotationWait,
		accepted:     &acceptedTokens{},
	}
	if t.logger == nil {
		t.logger = slog.New(slog.DiscardHandler)
	}
	if cfg.baseURL != "" {
		base, err := parseBaseURL(cfg.baseURL, cfg.baseURLOrigin, cfg.insecure)
		if err != nil {
			return nil, err
		}
		t.base = base
	}
	switch {
	case cfg.httpClient != nil && cfg.httpClient.Transport != nil:
		t.next = cfg.httpClient.Transport
	default:
		t.next = defaultTransport()
	}
	return t, nil
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

// parseBaseURL checks the address that the token will be sent to. Origin says
// where it was found, for errors; "" for an option.
func parseBaseURL(s, origin string, insecure bool) (*url.URL, error) {
	what := "packagecloud: the base URL"
	if origin != "" {
		what += " from " + origin
	}
	bad := func(why string) (*url.URL, error) {
		return nil, fmt.Errorf("%s %s; it should look like %s", what, why, DefaultBaseURL)
	}
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil {
		return bad("is malformed")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "":
		return bad("doesn't begin with https://")
	case u.Hostname() == "":
		return bad("names no host")
	case !strings.HasPrefix(u.Host, "[") && strings.ContainsFunc(u.Hostname(), isNotOfHost):
		return bad("has a character in its host that no host has")
	case !isPort(u.Port()):
		return bad("has a port that isn't between 1 and 65535")
	case u.RawQuery != "" || u.Fragment != "":
		return bad("has a query or fragment")
	case u.Scheme == "http" && !insecure && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("%s would send the token in the clear to %s; use https, or WithInsecureHTTP to allow it", what, u.Host)
	}
	// User info would be a credential: the token comes from the source.
	clean := &url.URL{Scheme: u.Scheme, Host: lowerASCII(u.Host), Path: u.Path, RawPath: u.RawPath}
	return clean.JoinPath("/").JoinPath("."), nil
}

// isNotOfHost finds what url.Parse takes and no host's name has: punctuation,
// and what doesn't print, such as the zero-width space of a copied text.
func isNotOfHost(r rune) bool {
	if r < utf8.RuneSelf {
		return !('a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_')
	}
	return r == utf8.RuneError || !unicode.IsPrint(r)
}

// isPort takes none too.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

func isLoopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return lowerASCII(host) == "localhost"
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && sameHost(a, b) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

// baseURL returns the server's address. If no option named it, the first token
// decides.
func (t *Transport) baseURL(ctx context.Context) (*url.URL, error) {
	t.mu.Lock()
	base := t.base
	t.mu.Unlock()
	if base != nil {
		return base, nil
	}
	tok, err := t.token(ctx)
	if err != nil {
		return nil, err
	}
	name := tok.Metadata().BaseURL
	if name == "" {
		name = DefaultBaseURL
	}
	base, err = parseBaseURL(name, tok.Metadata().Origin, t.insecure)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.base == nil {
		t.base = base
	}
	return t.base, nil
}

// eventHook logs a source's events; nil where nothing is to be logged.
func eventHook(logger *slog.Logger) func(tokensource.Event) {
	if logger == nil {
		return nil
	}
	return tokensource.LogEvents(logger)
}

func (t *Transport) token(ctx context.Context) (tokensource.Token, error) {
	if t.hook != nil {
		ctx = tokensource.WithHook(ctx, t.hook)
	}
	var tok tokensource.Token
	err := waiting(ctx, func() (err error) {
		tok, err = t.source.Token(ctx)
		return err
	})
	if err != nil {
		return tokensource.Token{}, &tokenError{err: err}
	}
	if tok.IsZero() {
		return tok, &tokenError{err: tokensource.NewError("source", tokensource.ErrInvalid, "the source returned no token and no error", nil)}
	}
	return tok, nil
}

// check refuses a token that is meant for another server.
func (t *Transport) check(tok tokensource.Token, base *url.URL) error {
	name := tok.Metadata().BaseURL
	if name == "" {
		return nil
	}
	own, err := parseBaseURL(name, "", t.insecure)
	if err != nil || !sameOrigin(own, base) {
		return &tokenError{err: tokensource.NewError(tok.Metadata().Origin, tokensource.ErrInvalid,
			fmt.Sprintf("the token is for another server than %s; set WithBaseURL (or %s) to the token's, or use another token", base, EnvURL), nil)}
	}
	return nil
}

// String tells where the transport's token is from.
func (t *Transport) String() string { return "the token of " + t.source.String() }

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (t *Transport) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

// RoundTrip sends req with the token if it goes to the base URL's server.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.roundTrip(req)
	if resp != nil {
		resp.Request = req // without the token
	}
	return resp, err
}

// roundTrip is RoundTrip, but its answer's Request is the one with the token,
// for what must not be printed of it.
func (t *Transport) roundTrip(req *http.Request) (_ *http.Response, err error) {
	defer func() {
		if err != nil && req.Body != nil {
			req.Body.Close() // harmless twice
		}
	}()
	ctx := req.Context()
	base, err := t.baseURL(ctx)
	if err != nil {
		return nil, err
	}
	if !sameOrigin(req.URL, base) {
		return send(t.next, req)
	}
	tok, err := t.token(ctx)
	if err != nil {
		return nil, err
	}
	var tried []tokensource.Token
	for {
		if err := t.check(tok, base); err != nil {
			return nil, err
		}
		sent, err := authenticated(req, tok, len(tried) > 0)
		if err != nil {
			return nil, err
		}
		resp, err := send(t.next, sent)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusUnauthorized {
			switch {
			case resp.StatusCode >= 500, resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusTooManyRequests:
				// These say nothing of the token.
			default:
				t.accepted.add(tok)
			}
			return resp, nil
		}
		t.logger.WarnContext(ctx, "packagecloud refused the token", "origin", tok.Metadata().Origin, "fingerprint", tok.Fingerprint())
		t.source.Invalidate(tok)
		tried = append(tried, tok)
		if len(tried) > replays || req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
			resp.Request = refused(sent, tok, nil)
			return resp, nil
		}
		next, err := t.successor(ctx, tried)
		if ctx.Err() != nil {
			drain(resp.Body)
			return nil, &leftError{refusalText(tok, nil), ctx.Err()}
		}
		if err != nil {
			resp.Request = refused(sent, tok, err)
			return resp, nil
		}
		if next.IsZero() {
			resp.Request = refused(sent, tok, nil)
			return resp, nil
		}
		tok = next
		drain(resp.Body)
	}
}

// send gives req to next, and holds what comes to what RoundTrip promises.
func send(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	var asked, connected, wrote, replayed atomic.Bool
	watch, _ := req.Context().Value(watchdogKey{}).(*watchdog)
	transport, direct := next.(*http.Transport)
	queues := watch != nil && direct && transport.MaxConnsPerHost > 0
	traced := req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) {
			asked.Store(true)
			if queues { // for what other transfers use, which is no stall
				watch.rest()
			}
		},
		GotConn: func(httptrace.GotConnInfo) {
			connected.Store(true)
			if wrote.Load() { // HTTP/2 does so where the server resets a stream
				replayed.Store(true)
			}
			if queues {
				watch.touch()
			}
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				wrote.Store(true)
			}
		},
	}))
	resp, err := next.RoundTrip(traced)
	if err != nil {
		op, ok := errors.AsType[*net.OpError](err)
		dial := ok && op.Op == "dial"
		err = struck(err, req)
		// Only net/http's own has sent nothing where its last dial failed.
		if !wrote.Load() && (asked.Load() && !connected.Load() || dial && (direct || !connected.Load())) {
			err = &unsentError{err}
		}
		return nil, err
	}
	switch {
	case resp == nil:
		return nil, fmt.Errorf("packagecloud: the RoundTripper %T returned neither an answer nor an error", next)
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	// In HTTP/1, net/http had sent nothing before.
	if replayed.Load() && (resp.ProtoMajor == 2 || !direct) {
		req = req.WithContext(context.WithValue(req.Context(), replayedKey{}, true))
	}
	resp.Request = req // for what must not be printed of it
	return resp, nil
}

// replayedKey marks the request of an answer that net/http got by sending it
// whole, and then again: what was refused may be what is done already.
type replayedKey struct{}

// unsentError is what happened to a request before it had a connection.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// authenticated returns a copy of req with tok, and with a body of its own if
// it is a replay.
func authenticated(req *http.Request, tok tokensource.Token, replay bool) (*http.Request, error) {
	sent := req.Clone(req.Context())
	sent.URL, sent.Host = lowered(sent.URL), lowerASCII(sent.Host)
	sent.SetBasicAuth(tok.Reveal(), "")
	if replay && req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		sent.Body = body
	}
	return sent, nil
}

// successor polls the source for a token that was not tried. It waits only when
// the server accepted the refused one before: then a rotation is under way,
// else the token is just wrong.
//
// It returns a zero token if the source has no other, and the source's error if
// it has none at all.
func (t *Transport) successor(ctx context.Context, tried []tokensource.Token) (tokensource.Token, error) {
	wait := time.Duration(0)
	if slices.ContainsFunc(tried, t.accepted.has) { // one in between may have been dead when it came
		wait = t.rotationWait
	}
	deadline := time.Now().Add(wait)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		tok, err := t.token(ctx)
		if err == nil && !isOneOf(tok, tried) {
			return tok, nil
		}
		left := time.Until(deadline)
		if left <= 0 || waiting(ctx, func() error { return sleep(ctx, min(pause, left)) }) != nil {
			return tokensource.Token{}, err
		}
	}
}

type refusalKey struct{}

// refused notes in the request of a 401 which token was refused, for the error
// that is made of it, and why the source has no other.
func refused(sent *http.Request, tok tokensource.Token, source error) *http.Request {
	return sent.WithContext(context.WithValue(sent.Context(), refusalKey{}, refusalText(tok, source)))
}

func refusalText(tok tokensource.Token, source error) string {
	meta := tok.Metadata()
	text := "the server doesn't know the token"
	if meta.Origin != "" {
		text += " from " + meta.Origin
	}
	text += " (fingerprint " + tok.Fingerprint() + ")"
	switch secret := tok.Reveal(); {
	case len(secret) > 1 && strings.ContainsAny(secret[:1], "\"'`") && secret[0] == secret[len(secret)-1]:
		text += ", which is stored in quotes; store it without"
	case strings.HasPrefix(secret, "PACKAGECLOUD_TOKEN="):
		text += ", which is stored with the name of a variable before it; store it alone"
	}
	if t, ok := errors.AsType[*tokenError](source); ok {
		text += ", and there is no other: " + t.err.Error()
	}
	return text
}

// leftError is a 401 whose caller left while the source was asked for another
// token.
type leftError struct {
	refusal string
	left    error // the context's
}

func (e *leftError) Error() string {
	return e.left.Error() + " while waiting for another token: " + e.refusal
}
func (e *leftError) Unwrap() []error { return []error{e.left, ErrUnauthorized} }

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

// strike removes from text whatever credential the request carried, and those it
// was redirected with, the longer spellings first. The query of an address may be
// one, as that of a signed address is, and a part of its path, as in
// /priv/{read token}/.
func strike(text string, req *http.Request) string {
	if req == nil {
		return text
	}
	if from, ok := req.Context().Value(redirectedKey{}).(*http.Request); ok {
		text = strike(text, from)
	}
	var forms []string
	user, _, ok := req.BasicAuth()
	if req.URL != nil {
		if req.URL.RawQuery != "" {
			forms = append(forms, req.URL.RawQuery)
		}
		// A query of the API, which has the token, is what the caller asked for.
		if !ok || !strings.Contains(req.URL.Path, "/api/v1/") {
			for _, values := range req.URL.Query() {
				for _, value := range values {
					if len(value) >= minCredential {
						forms = append(forms, spellings(value)...)
					}
				}
			}
		}
		for element := range strings.SplitSeq(req.URL.Path, "/") {
			if len(element) >= 32 && strings.Trim(element, "0123456789abcdef") == "" { // as a token is
				forms = append(forms, spellings(element)...)
			}
		}
	}
	if ok && user != "" {
		for _, plain := range []string{user + ":", user} {
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
				forms = append(forms, enc.EncodeToString([]byte(plain)))
			}
		}
		forms = append(forms, spellings(user)...)
	}
	for _, form := range forms {
		text = strings.ReplaceAll(text, form, "[redacted]")
	}
	return text
}

// minCredential is more bytes than what else an address may say, such as a
// region or a number.
const minCredential = 12

// spellings are the forms of a secret in other texts, besides base64.
func spellings(secret string) []string {
	inJSON, _ := json.Marshal(secret)
	return []string{
		string(inJSON[1 : len(inJSON)-1]), quoteEscaper.Replace(secret),
		fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret),
		url.QueryEscape(secret), url.PathEscape(secret), secret,
	}
}

// struck returns err as it may be printed: with another text if its own quotes
// the token, as that of a RoundTripper which dumps requests may.
func struck(err error, req *http.Request) error {
	text := strike(err.Error(), req)
	if text == err.Error() {
		return err
	}
	return &struckError{text, func() error { return err }}
}

type struckError struct {
	text  string
	cause func() error
}

func (e *struckError) Error() string        { return e.text }
func (e *struckError) Is(target error) bool { return errors.Is(e.cause(), target) }
func (e *struckError) As(target any) bool   { return errors.As(e.cause(), target) }

// drain reads what little is left of an answer, so that its connection can be
// used again. It doesn't wait for what doesn't come.
func drain(body io.ReadCloser) {
	late := time.AfterFunc(drainTime, func() { body.Close() })
	defer late.Stop()
	io.CopyN(io.Discard, body, drainLimit)
	body.Close()
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
