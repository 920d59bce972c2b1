package packagecloud

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// Call is a request to an endpoint that this package has no method for.
type Call struct {
	// Method is GET if it is empty.
	Method string
	// Path begins with a slash, such as "/api/v1/repos/acme/main/gpg_keys.json". A
	// name in it is escaped by [url.PathEscape]. It has no query.
	Path string
	// Query is added to the path.
	Query url.Values
	// Form is sent as the body, as HTML forms are. JSON, if it isn't nil, is encoded
	// and sent instead; both are an error.
	Form url.Values
	JSON any
	// Repeatable lets [Client.Do] repeat the request when it can't know whether the
	// server has carried it out. GET and HEAD always are.
	Repeatable bool
}

// Do carries out a call of the API, as the other methods do: with the token, its
// replay after a 401, redirects, retries and bounds. It decodes the JSON of a
// successful answer into out. An out of type *[]byte gets the answer as it is, and
// nil takes any. Do returns the answer's header.
//
// The token goes to the base URL's server alone: Path names no host. A status that
// isn't a success is an *[Error], whose Endpoint is Path with a token in it left
// out. Do doesn't know what a success of the endpoint looks like: look at what is
// in out. Do can't tell the outcome of a change whose answer was lost.
// https://packagecloud.io/docs/api
func (c *Client) Do(ctx context.Context, call Call, out any) (http.Header, error) {
	r, err := call.request()
	if err != nil {
		return nil, err
	}
	raw, ok := out.(*[]byte)
	if out != nil && !ok {
		return c.call(ctx, r, out)
	}
	var header http.Header
	err = c.repeat(ctx, r, func() error {
		answer, err := c.once(ctx, r)
		if err != nil {
			return err
		}
		body, err := readBody(r, answer)
		if err == nil && raw != nil {
			*raw = body
		}
		header = answer.Response.Header
		return err
	})
	return header, err
}

func (c Call) request() (request, error) {
	if err := c.check(); err != nil {
		return request{}, err
	}
	method := cmp.Or(c.Method, http.MethodGet)
	e := endpoint{method, withoutTokens(c.Path), c.Repeatable || method == http.MethodGet || method == http.MethodHead}
	r := e.on(c.Path)
	if len(c.Query) > 0 {
		r.url += "?" + c.Query.Encode()
	}
	switch {
	case c.JSON != nil:
		body, err := json.Marshal(c.JSON)
		if err != nil {
			return request{}, fmt.Errorf("packagecloud: Call.JSON can't be encoded: a %T", err) // its text may quote values
		}
		r = r.withBody("application/json", string(body))
	case c.Form != nil:
		r = r.withForm(c.Form)
	}
	return r, nil
}

// check refuses a call whose token could go elsewhere, or that says two things.
func (c Call) check() error {
	u, err := url.Parse(c.Path)
	switch {
	case err != nil || !strings.HasPrefix(c.Path, "/") || u.Host != "":
		return errors.New("packagecloud: the path of a call must begin with one slash and name no host, as in /api/v1/repos.json")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("packagecloud: the path of a call has a query or fragment; put the query into Call.Query, and escape names by url.PathEscape")
	case strings.Trim(c.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return fmt.Errorf("packagecloud: %.20q is no method of HTTP; write it in capitals, such as POST", c.Method)
	case c.Form != nil && c.JSON != nil:
		return errors.New("packagecloud: a call has a Form and JSON; set one of them")
	}
	return nil
}

// withoutTokens puts {token} in the place of what looks like one in a path: the
// service's install helpers and older downloads have it there.
func withoutTokens(path string) string {
	elements := strings.Split(path, "/")
	for i, e := range elements {
		if exchange.LooksLikeToken(e) {
			elements[i] = "{token}"
		}
	}
	return shorten(strings.Join(elements, "/"), 300)
}

// readBody reads an answer that may be no JSON.
func readBody(r request, answer *exchange.Answer) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(answer.Response.Body, maxAnswer+1))
	exchange.Drain(answer.Response.Body)
	switch {
	case err != nil:
		return nil, r.failure(answer, err)
	case len(body) > maxAnswer:
		return nil, tooLarge(r, maxAnswer)
	}
	return body, nil
}

// Check asks the server whether it knows the token, with one small request that
// changes nothing. It returns nil if so, ErrUnauthorized if not, and other errors
// where it can't tell.
// https://packagecloud.io/docs/api#resource_repositories_method_index
func (c *Client) Check(ctx context.Context) error {
	_, _, err := c.account(ctx)
	return err
}
