// Package exchange carries out one HTTP request: it authenticates the request,
// follows redirects, repeats it with another token after a 401, ends a transfer
// that stalls, and keeps credentials out of what is printed. It knows nothing of
// packages and repositories.
//
// A [Client] takes a [Request] and returns an [Answer], whatever its status. What
// happened on the way is in the answer, and nothing travels through a context.
// [Policy] is the one loop of retries; the caller judges which failures it
// repeats.
package exchange

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

const (
	maxRedirects = 10
	// maxAddress is longer than any address of the API and any signed one, in bytes.
	maxAddress = 32 << 10
	// drainLimit is how much of an unwanted answer is read to keep its
	// connection; beyond that a new one is cheaper.
	drainLimit = 64 << 10
	drainTime  = time.Second
)

// Client carries out requests. It is safe for concurrent use; its fields are set
// before the first request.
type Client struct {
	Auth      *Authenticator
	Logger    *slog.Logger
	UserAgent string
	// Stall is how long a transfer may stand still.
	Stall time.Duration

	ignoresExpect atomic.Pointer[time.Time] // when the server left "Expect: 100-continue" unanswered
}

// Request is one call of an HTTP API.
type Request struct {
	Method   string
	Endpoint string // the path's template, for errors and logs
	URL      string // absolute, or a path on the base URL's host
	Header   http.Header

	// Body opens the body from its beginning for an attempt. Nil sends none.
	Body func(*Attempt) (io.ReadCloser, error)
	Size int64 // of the body, in bytes
	// AskFirst sends "Expect: 100-continue" and waits for leave to send the body,
	// unless the server has ignored the question lately.
	AskFirst bool

	// Credential is sent to the URL's host instead of the client's own token.
	Credential tokensource.Token
	// As authenticates the request instead of the client's own authenticator.
	As *Authenticator
}

// Answer is what came of a request.
type Answer struct {
	// Response is the answer, of any status but a redirect's. The caller closes its Body.
	Response *http.Response
	// Refusal says which token the server refused; empty unless the status is 401.
	Refusal string
	// Replayed reports that net/http sent the request twice. The server may have
	// carried out the first, whatever it says of the second.
	Replayed bool
	// Attempt counts the tokens that the last hop was tried with, from 1.
	Attempt int
	// Secrets strikes out what must not be printed of the request and its redirects.
	Secrets *Redactor
}

// Attempt is one sending of a request with one token. A RoundTripper may open its
// body several times, when it repeats the request by itself.
type Attempt struct {
	*Watch
	sent atomic.Bool
}

// Sent says that all of the body was handed out. The server has answerTime to
// answer.
func (a *Attempt) Sent(answerTime time.Duration) {
	a.sent.Store(true)
	a.allow(answerTime)
}

// Do sends r and follows its redirects. Headers are set anew at each hop, so
// that nothing meant for one host reaches another. The error is a [*Failure], a
// [*TokenError], a [*LeftError] or of the body.
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	asks := r.AskFirst && !c.IgnoresExpect()
	answer, err := c.follow(ctx, r, asks)
	if err == nil && asks && answer.Response.StatusCode == http.StatusExpectationFailed {
		Drain(answer.Response.Body)
		c.SetExpectIgnored(time.Now())
		return c.follow(ctx, r, false)
	}
	return answer, err
}

func (c *Client) follow(ctx context.Context, r Request, asks bool) (*Answer, error) {
	target, err := c.Resolve(ctx, r.URL)
	if err != nil {
		return nil, err
	}
	watch := NewWatch(ctx, c.Stall)
	h := hop{client: c, request: r, watch: watch, asks: asks, credential: r.Credential, secrets: &Redactor{ctx: ctx}}
	for n := 0; ; n++ {
		watch.Touch()
		answer, err := h.send(target)
		if err != nil {
			watch.Stop()
			return nil, err
		}
		watch.rest()
		resp := answer.Response
		body := resp.Body
		resp.Body = &watchedBody{ReadCloser: body, watch: watch}
		c.Logger.DebugContext(ctx, "packagecloud request", "method", r.Method, "endpoint", r.Endpoint, "status", resp.StatusCode, "hop", n)
		location := resp.Header.Get("Location")
		if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotModified || resp.StatusCode >= 400 || location == "" {
			return answer, nil
		}
		next, err := r.Redirect(target, location, n)
		Drain(body) // and the watch goes on
		if err != nil {
			watch.Stop()
			return nil, NewFailure(r, answer.Secrets, target.Host, err)
		}
		if !SameOrigin(next, target) {
			h.credential = tokensource.Token{}
		}
		target = next
	}
}

// hop sends a request to one address after the other.
type hop struct {
	client     *Client
	request    Request
	watch      *Watch
	asks       bool
	credential tokensource.Token // left behind by a redirect to another host
	secrets    *Redactor
}

func (h *hop) send(target *url.URL) (*Answer, error) {
	c, r, ctx := h.client, h.request, h.watch.ctx
	o := &outgoing{target: target, watch: h.watch, secrets: h.secrets, prepare: func() (*http.Request, error) { return h.newRequest(target) }, replayable: true}
	var answer *Answer
	var err error
	switch {
	case !h.credential.IsZero():
		answer, err = c.Auth.sendAs(o, h.credential)
	case r.As != nil:
		answer, err = r.As.send(ctx, o)
	case !r.Credential.IsZero(): // a redirect left it behind, and no other takes its place
		answer, err = c.Auth.sendAs(o, tokensource.Token{})
	default:
		answer, err = c.Auth.send(ctx, o)
	}
	if err != nil {
		unsent := NeverSent(err)
		if err = h.watch.cause(err); unsent {
			err = &unsentError{err}
		}
		return nil, NewFailure(r, o.secrets, target.Host, err)
	}
	return answer, nil
}

// newRequest makes the request for one attempt at the address.
func (h *hop) newRequest(target *url.URL) (*http.Request, error) {
	r, attempt := h.request, &Attempt{Watch: h.watch}
	ctx := h.watch.ctx
	if h.asks {
		ctx = h.client.asking(ctx, attempt)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target.String(), nil)
	if err != nil {
		return nil, errors.New("packagecloud: a URL of the server is malformed")
	}
	for key, values := range r.Header {
		req.Header[key] = values
	}
	req.Header.Set("User-Agent", h.client.UserAgent)
	if h.asks {
		req.Header.Set("Expect", "100-continue")
	}
	if r.Body == nil {
		return req, nil
	}
	req.GetBody = func() (io.ReadCloser, error) { return r.Body(attempt) }
	if req.Body, err = req.GetBody(); err != nil {
		return nil, err
	}
	req.ContentLength = r.Size
	return req, nil
}

// Drain reads what little is left of an answer, so that its connection can be
// used again, and closes it. It doesn't wait for what doesn't come.
func Drain(body io.ReadCloser) {
	late := time.AfterFunc(drainTime, func() { body.Close() })
	defer late.Stop()
	io.CopyN(io.Discard, body, drainLimit)
	body.Close()
}
