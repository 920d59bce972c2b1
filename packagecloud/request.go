package packagecloud

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/packagecloud-go/sdk/tokensource"
)

const (
	maxRedirects = 10
	maxTries     = 5
	maxPause     = 30 * time.Second
	maxAnswer    = 32 << 20
)

// request is one call of the API.
type request struct {
	method   string
	endpoint string // the path's template, for errors and logs
	subject  string // what the caller named, for errors; may be empty
	url      string // absolute, or a path on the base URL's host
	header   http.Header

	body          func(*watchdog) (io.ReadCloser, error) // nil for none
	size          int64                                  // of the body
	readOnly      bool                                   // may be repeated at will
	fits          func() bool                            // the decoded answer is a success of this call; nil where any is
	credential    tokensource.Token                      // sent to url's host instead of the API token
	authenticator *Transport                             // used instead of the client's, for a read token
}

// maxName is more bytes than a name of the API or of a file system has.
const maxName = 1024

// checkName refuses what can't be the name of an owner, a repository, a part of
// a distribution or a file, and would change the path that it is put into: a
// server or proxy may decode the path before it looks for slashes.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("packagecloud: a name is empty; the owner, the repository, the distribution and the file each need one")
	case len(name) > maxName:
		return fmt.Errorf("packagecloud: %.20q... is %d bytes long, more than the %d a name may have; is it a name at all?", name, len(name), maxName)
	case strings.ContainsFunc(name, isControl):
		return fmt.Errorf("packagecloud: the name %.100q has a control character; leave it out", name)
	case !utf8.ValidString(name): // JSON can't spell it
		return fmt.Errorf("packagecloud: the name %.100q isn't UTF-8; rename the file, or convert the name", name)
	case name == "." || name == ".." || strings.ContainsAny(name, `/\`):
		return fmt.Errorf("packagecloud: %.100q can't be the name of an owner, repository, distribution or file; give the name alone, without a path", name)
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// apiPath joins escaped names below /api/v1.
func apiPath(elements ...string) (string, error) {
	var b strings.Builder
	b.WriteString("/api/v1")
	for _, e := range elements {
		if err := checkName(e); err != nil {
			return "", err
		}
		b.WriteByte('/')
		b.WriteString(url.PathEscape(e))
	}
	return b.String(), nil
}

func (r *Repository) path(elements ...string) (string, error) {
	if strings.Contains(r.owner, "/") || strings.Contains(r.name, "/") {
		return "", fmt.Errorf("packagecloud: the repository %q has a slash in its owner or name; give the two apart: Repository(\"owner\", \"name\")", shorten(r.String(), 200))
	}
	return apiPath(append([]string{"repos", r.owner, r.name}, elements...)...)
}

// subject names the repository, and pkg if it isn't nil, in errors.
func (r *Repository) subject(pkg *Package) string {
	if pkg == nil {
		return "the repository " + r.String()
	}
	place := shorten(cmp.Or(pkg.Filename, pkg.Name), 100)
	if pkg.Distribution != "" {
		place += " for " + shorten(pkg.Distribution, 50)
	}
	return place + " in " + r.String()
}

// resolve makes an address of the API absolute. A path that the server gave is
// on its host; one of ours is below the base URL's path.
func (c *Client) resolve(ctx context.Context, address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("packagecloud: a URL of the server is malformed")
	}
	u.User, u.Fragment = nil, ""
	lowered(u)
	if u.IsAbs() {
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, errors.New("packagecloud: a URL of the server has an unknown scheme")
		}
		return c.secured(ctx, u)
	}
	base, err := c.transport.baseURL(ctx)
	if err != nil {
		return nil, err
	}
	prefix := strings.TrimSuffix(base.EscapedPath(), "/")
	if u.Host == "" && prefix != "" && !strings.HasPrefix(u.EscapedPath(), prefix+"/") {
		u, err = url.Parse(prefix + address)
		if err != nil {
			return nil, errors.New("packagecloud: a URL of the server is malformed")
		}
	}
	return base.ResolveReference(u), nil
}

// call sends r, decodes the JSON of the answer into out, which may be nil, and
// retries what is safe to repeat.
func (c *Client) call(ctx context.Context, r request, out any) (http.Header, error) {
	for try := 1; ; try++ {
		header, err := c.exchange(ctx, r, out)
		if err == nil {
			return header, nil
		}
		pause, again := c.again(ctx, r, err, try)
		if !again {
			return nil, err
		}
		c.logger.DebugContext(ctx, "packagecloud retry", "method", r.method, "endpoint", r.endpoint, "try", try, "pause", pause, "error", err.Error())
		if sleep(ctx, pause) != nil {
			return nil, contextError(ctx, err)
		}
	}
}

func (c *Client) exchange(ctx context.Context, r request, out any) (http.Header, error) {
	resp, err := c.once(ctx, r)
	if err != nil {
		return nil, err
	}
	resp.Header.Set("Content-Type", strike(resp.Header.Get("Content-Type"), resp.Request)) // for malformed
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	drain(resp.Body)
	if err != nil {
		return nil, newTransportError(r.method, r.endpoint, resp.Request, err)
	}
	return resp.Header, decodeAnswer(r, resp, body, out)
}

// contextError adds to the end of a context what went wrong before.
func contextError(ctx context.Context, err error) error {
	return fmt.Errorf("%w; before that: %w", ctx.Err(), err)
}

// again decides on another try. What changes something is repeated only if the
// server certainly hasn't done it.
func (c *Client) again(ctx context.Context, r request, err error, try int) (time.Duration, bool) {
	if try >= maxTries || ctx.Err() != nil {
		return 0, false
	}
	pause, ok := c.pause(try, err)
	if !ok {
		return 0, false
	}
	if e, ok := errors.AsType[*Error](err); ok {
		switch {
		case e.StatusCode == http.StatusTooManyRequests, e.StatusCode == http.StatusTooEarly:
			// Nothing was done. But a spent quota is not hammered.
			return pause, !e.Is(ErrQuota)
		case e.StatusCode >= 500, e.StatusCode == http.StatusRequestTimeout:
			// A gateway says so also after the server has done its work.
			return pause, r.readOnly
		}
		return 0, false
	}
	return pause, reached(err) && (r.readOnly || neverSent(err))
}

// pause is the backoff, or what the server asks for if that is longer. More
// than maxPause is the caller's matter.
func (c *Client) pause(try int, err error) (time.Duration, bool) {
	pause := c.backoff(try)
	if e, ok := errors.AsType[*Error](err); ok {
		return max(pause, e.RetryAfter), e.RetryAfter <= maxPause
	}
	return pause, true
}

// backoff doubles from a quarter of a second, with 50% of jitter.
func (c *Client) backoff(try int) time.Duration {
	d := min(c.backoffBase<<(try-1), maxPause/4)
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
}

// reached reports whether a request without an answer may have reached the
// server, or may next time.
func reached(err error) bool {
	if _, ok := errors.AsType[*transportError](err); !ok {
		return false
	}
	return misconnected(err) == "" && !errors.Is(err, errRedirect)
}

// neverSent reports whether no connection was made.
func neverSent(err error) bool {
	_, ok := errors.AsType[*unsentError](err)
	return ok
}

var errRedirect = errors.New("refused a redirect")

// once sends r and follows its redirects. Headers are set anew at each hop, so
// that nothing meant for one host reaches another.
func (c *Client) once(ctx context.Context, r request) (*http.Response, error) {
	target, err := c.resolve(ctx, r.url)
	if err != nil {
		return nil, err
	}
	watch := newWatchdog(ctx, c.stall)
	credential := r.credential
	var from *http.Request // that was redirected
	for hop := 0; ; hop++ {
		req, err := c.newRequest(watch, r, target)
		if err != nil {
			watch.stop()
			return nil, err
		}
		if from != nil {
			req = req.WithContext(context.WithValue(req.Context(), redirectedKey{}, from))
		}
		// Not by an http.Client: it would follow redirects with headers meant for
		// another host, and its errors quote the addresses they lead to.
		watch.touch()
		var resp *http.Response
		switch {
		case !credential.IsZero():
			req.SetBasicAuth(credential.Reveal(), "")
			resp, err = send(c.transport.next, req)
		case r.authenticator != nil:
			resp, err = r.authenticator.roundTrip(req)
		case !r.credential.IsZero(): // a redirect left it behind, and no other takes its place
			resp, err = send(c.transport.next, req)
		default:
			resp, err = c.transport.roundTrip(req)
		}
		if err != nil {
			unsent := neverSent(err)
			if err = watch.cause(err); unsent {
				err = &unsentError{err}
			}
			watch.stop()
			return nil, newTransportError(r.method, r.endpoint, req, err)
		}
		watch.rest()
		resp.Body = &watchedBody{ReadCloser: resp.Body, watch: watch}
		c.logger.DebugContext(ctx, "packagecloud request", "method", r.method, "endpoint", r.endpoint, "status", resp.StatusCode, "hop", hop)
		location := resp.Header.Get("Location")
		if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotModified || resp.StatusCode >= 400 || location == "" {
			return c.answer(r, resp)
		}
		next, err := redirect(r, target, location, hop)
		drain(resp.Body.(*watchedBody).ReadCloser) // and the watch goes on
		if err != nil {
			watch.stop()
			return nil, newTransportError(r.method, r.endpoint, resp.Request, err)
		}
		if !sameOrigin(next, target) {
			credential = tokensource.Token{}
		}
		target, from = next, resp.Request
	}
}

// redirectedKey finds in a request's context the one before it: servers repeat in
// an address what they were sent.
type redirectedKey struct{}

func redirect(r request, from *url.URL, location string, hop int) (*url.URL, error) {
	to, err := from.Parse(location)
	switch {
	case err != nil || to.Host == "" && (to.Scheme == "https" || to.Scheme == "http"):
		return nil, fmt.Errorf("%w: it is malformed", errRedirect)
	case hop >= maxRedirects:
		return nil, fmt.Errorf("%w: more than %d in a row", errRedirect, maxRedirects)
	case r.body != nil || r.method != http.MethodGet && r.method != http.MethodHead:
		return nil, fmt.Errorf("%w of a %s request to %s; set the base URL to the server's real address", errRedirect, r.method, to.Host)
	case to.Scheme != "https" && to.Scheme != "http":
		return nil, fmt.Errorf("%w to the scheme %q", errRedirect, shorten(to.Scheme, 20))
	case from.Scheme == "https" && to.Scheme != "https":
		return nil, fmt.Errorf("%w from https to %s on %s", errRedirect, to.Scheme, to.Host)
	}
	to.User = nil
	return lowered(to), nil
}

func (c *Client) newRequest(watch *watchdog, r request, target *url.URL) (*http.Request, error) {
	req, err := http.NewRequestWithContext(watch.ctx, r.method, target.String(), nil)
	if err != nil {
		return nil, errors.New("packagecloud: a URL of the server is malformed")
	}
	for key, values := range r.header {
		req.Header[key] = values
	}
	req.Header.Set("User-Agent", c.userAgent)
	if r.body != nil {
		req.GetBody = func() (io.ReadCloser, error) { return r.body(watch) }
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
		req.ContentLength = r.size
	}
	return req, nil
}

// answer turns a status that isn't a success into an error.
func (c *Client) answer(r request, resp *http.Response) (*http.Response, error) {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	// A little more, so that a token at the limit is seen whole and struck out.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody+8<<10))
	resp.Body.Close()
	return nil, newError(r, resp, body)
}

func decodeAnswer(r request, resp *http.Response, body []byte, out any) error {
	if len(body) > maxAnswer {
		return &answerError{r.method, r.endpoint, fmt.Sprintf("the answer is larger than %d MiB", maxAnswer>>20)}
	}
	// An unknown repository can come as a success whose body says otherwise.
	if len(body) <= maxErrorBody && saysError(body) {
		return newError(r, resp, body)
	}
	if out == nil { // nothing is awaited, and nothing else is a success
		if body = bytes.TrimSpace(body); len(body) == 0 || len(body) <= maxEmpty && isEmptyObject(body) {
			return nil
		}
		return malformed(r, resp.Header)
	}
	if json.Unmarshal(body, out) != nil || r.fits != nil && !r.fits() {
		// The decoder's text quotes the body.
		return malformed(r, resp.Header)
	}
	return nil
}

// maxEmpty is more white space than an empty object has inside.
const maxEmpty = 1 << 10

func isEmptyObject(body []byte) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(body, &members) == nil && members != nil && len(members) == 0
}

// saysError reports whether a body holds an error and nothing else.
func saysError(body []byte) bool {
	fields := parseFields(body, strings.Clone)
	if len(fields["error"])+len(fields["errors"]) == 0 {
		return false
	}
	for key := range fields {
		if key != "error" && key != "errors" && key != "message" && key != "status" {
			return false
		}
	}
	return true
}

// answerError is a success that can't be believed.
type answerError struct{ method, endpoint, flaw string }

// malformed is the error of a success in another form than the API's.
func malformed(r request, header http.Header) error {
	return &answerError{r.method, r.endpoint, fmt.Sprintf("the server answered with success, but not in the form that the API promises (Content-Type %q); is the base URL right?",
		shorten(header.Get("Content-Type"), 100))}
}

func (e *answerError) Error() string {
	return fmt.Sprintf("packagecloud: %s %s: %s", e.method, e.endpoint, e.flaw)
}
