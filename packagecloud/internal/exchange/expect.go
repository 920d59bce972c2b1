package exchange

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	expectTimeout = time.Second
	idleTimeout   = 90 * time.Second
	// expectAgain is how long a server isn't asked "Expect: 100-continue" after
	// it gave no answer. The question costs each upload the timeout then, but the
	// server may just have been slow for a moment.
	expectAgain = 10 * time.Minute
)

// IgnoresExpect reports whether the server left the question unanswered lately.
func (c *Client) IgnoresExpect() bool {
	ignored := c.ignoresExpect.Load()
	return ignored != nil && time.Since(*ignored) <= expectAgain
}

// ExpectIgnored is when the server last left the question unanswered; zero if it
// answers.
func (c *Client) ExpectIgnored() time.Time {
	if t := c.ignoresExpect.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// SetExpectIgnored notes that the server left the question unanswered then.
func (c *Client) SetExpectIgnored(t time.Time) { c.ignoresExpect.Store(&t) }

// asking notices whether the server answers the question.
func (c *Client) asking(ctx context.Context, attempt *Attempt) context.Context {
	var continued atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got100Continue: func() { // maybe late
			continued.Store(true)
			c.ignoresExpect.Store(nil)
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			// The body went out unasked, after a second of waiting.
			if info.Err == nil && attempt.sent.Load() {
				c.SetExpectIgnored(time.Now())
			}
			if continued.Load() {
				c.ignoresExpect.Store(nil)
			}
		},
	})
}

// Patient makes sure that a request which asks "Expect: 100-continue" waits for
// the answer.
func Patient(transport http.RoundTripper) http.RoundTripper {
	t, ok := transport.(*http.Transport)
	if !ok || t == nil || t.ExpectContinueTimeout != 0 {
		return transport
	}
	t = t.Clone()
	t.ExpectContinueTimeout = expectTimeout
	if t.IdleConnTimeout == 0 { // nobody else can close the clone's connections
		t.IdleConnTimeout = idleTimeout
	}
	return t
}
