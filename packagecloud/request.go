package packagecloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
	"github.com/packagecloud-go/sdk/tokensource"
)

// maxPause is the longest wait that a server may ask for.
const maxPause = 30 * time.Second

// request is one call of the API.
type request struct {
	endpoint
	subject string // what the caller named, for errors; may be empty
	url     string // absolute, or a path on the base URL's host
	header  http.Header

	body       func(*exchange.Attempt) (io.ReadCloser, error) // nil for none
	size       int64                                          // of the body
	askFirst   bool                                           // whether the server takes the body, before it is sent
	fits       func() bool                                    // the decoded answer is a success of this call; nil where any is
	credential tokensource.Token                              // sent to url's host instead of the API token
	reader     *exchange.Authenticator                        // used instead of the client's, for a read token
}

// maxName is more bytes than a name of the API or of a file system has.
const maxName = 1024

// checkName refuses a name that no owner, repository, distribution or file has, since
// it would change the path that it becomes part of. A server or proxy may decode a
// path before it looks for slashes.
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

// check refuses names that can't be those of an owner and a repository.
func (r *Repository) check() error {
	if strings.Contains(r.owner, "/") || strings.Contains(r.name, "/") {
		return fmt.Errorf("packagecloud: the repository %q has a slash in its owner or name; give the two apart: Repository(\"owner\", \"name\")", shorten(r.String(), 200))
	}
	return cmp.Or(checkName(r.owner), checkName(r.name))
}

// path joins names below the repository's own path.
func (r *Repository) path(elements ...string) (string, error) {
	if err := r.check(); err != nil {
		return "", err
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

// call sends r, decodes the JSON of the answer into out, which may be nil, and
// retries what is safe to repeat.
func (c *Client) call(ctx context.Context, r request, out any) (header http.Header, err error) {
	err = c.repeat(ctx, r, func() (err error) {
		header, err = c.exchange(ctx, r, out)
		return err
	})
	return header, err
}

// repeat calls try, which sends r, as often as it is safe to.
func (c *Client) repeat(ctx context.Context, r request, try func() error) error {
	return c.retry.Run(ctx, func(int) error { return try() }, r.judge, func(n int, pause time.Duration, err error) {
		c.http.Logger.DebugContext(ctx, "packagecloud retry", "method", r.method, "endpoint", r.path, "try", n, "pause", pause, "error", err.Error())
	})
}

func (c *Client) exchange(ctx context.Context, r request, out any) (http.Header, error) {
	answer, err := c.once(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := answer.Response
	if contentType := resp.Header.Get("Content-Type"); !strings.HasPrefix("application/json; charset=utf-8", contentType) {
		resp.Header.Set("Content-Type", answer.Secrets.Strike(contentType)) // for malformed
	}
	body, err := readAnswer(r, resp)
	exchange.Drain(resp.Body)
	if _, ok := errors.AsType[*answerError](err); ok {
		return nil, err
	}
	if err != nil {
		return nil, r.failure(answer, err)
	}
	return resp.Header, decodeAnswer(r, answer, body, out)
}

// judge decides whether to send r again after err. It repeats a change only if the
// server certainly hasn't carried it out.
func (r request) judge(err error) exchange.Verdict {
	e, ok := answerOf(err)
	if !ok {
		return exchange.Verdict{Again: exchange.Reached(err) && (r.repeatable || exchange.NeverSent(err))}
	}
	again := false
	switch {
	case e.StatusCode == http.StatusTooManyRequests, e.StatusCode == http.StatusTooEarly:
		// The server did nothing. A spent quota won't be back soon.
		again = !e.Is(ErrQuota)
	case e.StatusCode >= 500, e.StatusCode == http.StatusRequestTimeout:
		// A gateway may answer so after the server has done its work.
		again = r.repeatable && !lasting(err)
	}
	return exchange.Verdict{Again: again, RetryAfter: e.RetryAfter}
}

// lasting reports whether the server, or the network before it, would give the
// same answer to a repeat.
func lasting(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	_, ok = lastingStatuses[e.StatusCode]
	return ok
}

// lastingStatuses are those of a 5xx that no repeat mends, with the advice for each.
var lastingStatuses = map[int]string{
	http.StatusNotImplemented:                "the server doesn't offer this; is the base URL right?",
	http.StatusHTTPVersionNotSupported:       "the server doesn't take this version of HTTP; set another one with WithHTTPClient",
	http.StatusInsufficientStorage:           "the server has no room left; whoever runs it must make some",
	http.StatusNetworkAuthenticationRequired: "the network wants a login first; log in with a web browser on this machine",
}

// retryAfter is how long the server asks to wait with err; zero if it doesn't.
func retryAfter(err error) time.Duration {
	if e, ok := answerOf(err); ok {
		return e.RetryAfter
	}
	return 0
}

// once sends r without a retry. A status that isn't a success is an *Error.
func (c *Client) once(ctx context.Context, r request) (*exchange.Answer, error) {
	answer, err := c.http.Do(ctx, r.outgoing())
	if err != nil {
		return nil, err
	}
	return r.succeeded(answer)
}

func (r request) outgoing() exchange.Request {
	return exchange.Request{
		Method: r.method, Endpoint: r.path, URL: r.url, Header: r.header, Body: r.body, Size: r.size,
		AskFirst: r.askFirst, Credential: r.credential, As: r.reader,
	}
}

// failure is the error of an answer that can't be read to its end.
func (r request) failure(answer *exchange.Answer, err error) error {
	return exchange.NewFailure(r.outgoing(), answer.Secrets, answer.Response.Request.URL.Host, err)
}

// succeeded turns a status that isn't a success into an error.
func (r request) succeeded(answer *exchange.Answer) (*exchange.Answer, error) {
	resp := answer.Response
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return answer, nil
	}
	// A little more, so that a token at the limit is seen whole and struck out.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody+8<<10))
	resp.Body.Close()
	return nil, newError(r, answer, body)
}

// answerError is a success that can't be believed.
type answerError struct{ method, endpoint, flaw string }

// malformed is the error of a success in another form than the API's.
func malformed(r request, header http.Header) error {
	return &answerError{r.method, r.path, fmt.Sprintf("the server answered with success, but not in the form that the API promises (Content-Type %q); is the base URL right?",
		shorten(header.Get("Content-Type"), 100))}
}

func (e *answerError) Error() string {
	return fmt.Sprintf("packagecloud: %s %s: %s", e.method, e.endpoint, e.flaw)
}
