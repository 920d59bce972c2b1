package exchange

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"

	"github.com/packagecloud-go/sdk/tokensource"
)

// outgoing is a request on its way to one address.
type outgoing struct {
	target     *url.URL
	watch      *Watch                        // nil if nobody watches it
	secrets    *Redactor                     // of the requests that were redirected here, and of the attempts
	prepare    func() (*http.Request, error) // makes the request for an attempt, with a body of its own
	replayable bool

	attempt int // counts the tokens tried
}

// deliver sends one attempt with tok, or with none if it is zero, and holds the
// RoundTripper to what it must return.
func (o *outgoing) deliver(next http.RoundTripper, tok tokensource.Token) (*Answer, error) {
	req, err := o.prepare()
	if err != nil {
		return nil, err
	}
	if !tok.IsZero() {
		req.URL, req.Host = lowered(req.URL), lowerASCII(req.Host)
		req.SetBasicAuth(tok.Reveal(), "")
	}
	o.attempt++
	o.secrets.carry(req)
	t := newTrace(o.watch, next)
	resp, err := next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), t.hooks())))
	if err != nil {
		unsent := t.neverSent(err)
		if err = o.secrets.struck(err); unsent {
			err = &unsentError{err}
		}
		return nil, err
	}
	if resp == nil {
		return nil, fmt.Errorf("packagecloud: the RoundTripper %T returned neither an answer nor an error", next)
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	resp.Request = req // not every RoundTripper sets it
	return &Answer{Response: resp, Replayed: t.wasReplayed(resp), Attempt: o.attempt, Secrets: o.secrets}, nil
}

// trace notes what net/http does with a request.
type trace struct {
	watch                             *Watch
	direct                            bool // sent by net/http itself, with nothing around it
	queues                            bool // it may wait for a connection that other requests use
	asked, connected, wrote, replayed atomic.Bool
}

func newTrace(watch *Watch, next http.RoundTripper) *trace {
	transport, direct := next.(*http.Transport)
	return &trace{watch: watch, direct: direct, queues: watch != nil && direct && transport.MaxConnsPerHost > 0}
}

func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			t.asked.Store(true)
			if t.queues { // to wait for other transfers is no stall
				t.watch.rest()
			}
		},
		GotConn: func(httptrace.GotConnInfo) {
			t.connected.Store(true)
			if t.wrote.Load() { // HTTP/2 sends again when the server resets a stream
				t.replayed.Store(true)
			}
			if t.queues {
				t.watch.Touch()
			}
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				t.wrote.Store(true)
			}
		},
	}
}

// neverSent reports whether a request that failed with err had no connection. Only
// net/http's own RoundTripper has sent nothing when its last dial failed.
func (t *trace) neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	dial := ok && op.Op == "dial"
	return !t.wrote.Load() && (t.asked.Load() && !t.connected.Load() || dial && (t.direct || !t.connected.Load()))
}

// wasReplayed reports whether the whole request was sent before, and again. Over
// HTTP/1 net/http repeats only what it had not sent.
func (t *trace) wasReplayed(resp *http.Response) bool {
	return t.replayed.Load() && (resp.ProtoMajor == 2 || !t.direct)
}
