package packagecloud

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
	"github.com/packagecloud-go/sdk/tokensource"
)

// SetTiming replaces what would make tests slow: how long a transfer may stand
// still, the first pause between tries, and the pauses before each look for a
// lost upload.
func SetTiming(c *Client, stall, backoff time.Duration, looks ...time.Duration) {
	c.http.Stall, c.retry.MinPause, c.unknownOutcomeAt = stall, backoff, looks
}

// IgnoresExpect reports whether the client remembers that its server left the
// question unanswered.
func IgnoresExpect(c *Client) bool { return c.http.IgnoresExpect() }

// ExpectedBefore moves what the client remembers of its server into the past.
func ExpectedBefore(c *Client, d time.Duration) {
	c.http.SetExpectIgnored(c.http.ExpectIgnored().Add(-d))
}

func ParseFields(body []byte) map[string][]string {
	return parseFields(body, func(s string) string { return s })
}

func ContentRange(value string) (first, total int64, ok bool) { return contentRange(value) }

func Split(s SecretURL) (*url.URL, tokensource.Token, error) { return s.split() }

// Against makes the target of a page's link absolute, as a list does.
func Against(ctx context.Context, c *Client, page *url.URL, target string) (*url.URL, error) {
	next, err := against(ctx, c, page, target)
	if err != nil {
		return nil, err
	}
	return c.http.Resolve(ctx, next)
}

func NextLink(header http.Header) string { return nextLink(header) }

func ParseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	return parseRetryAfter(value, now)
}

// Lookup returns the number of the distribution.
func Lookup(groups map[string][]Distribution, group, name string) (int, error) {
	p, err := lookup(groups, group, name)
	return p.id, err
}

// ParseBaseURL returns the address as requests are sent to it.
func ParseBaseURL(s string) (string, error) {
	u, err := exchange.ParseBaseURL(s, "", false)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// Redirect returns where a GET of from is led to by location.
func Redirect(from, location string) (string, error) {
	u, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	to, err := exchange.Request{Method: http.MethodGet}.Redirect(u, location, 0)
	if err != nil {
		return "", err
	}
	return to.String(), nil
}

// Syncing returns the writer of a downloaded file, and what waits for its syncs.
func Syncing(f *os.File) (io.Writer, func() error) {
	s := &syncing{file: f}
	return s, s.wait
}

// CreateTemporary creates the file of a download to path, as it is before it
// inherits anything, and returns its name.
func CreateTemporary(path string) (string, error) {
	replaced, own, err := replacedFile(path)
	if err != nil {
		return "", err
	}
	t := &target{path: path}
	if err := t.create(permissions(replaced, own)); err != nil {
		return "", err
	}
	return t.temporary, t.file.Close()
}

// Prepare completes c as an upload does when it begins.
func Prepare(c Content) (Content, error) { return c.prepare() }

// ReplaceFile does what a download of nothing to path does.
func ReplaceFile(path string) error {
	t, err := newTarget(path)
	if err != nil {
		return err
	}
	return t.commit()
}

// HasChangeTime reports whether the system tells when a file was changed last.
func HasChangeTime(path string) bool {
	info, err := os.Stat(path)
	return err == nil && changeTime(info) != nil
}

// Endpoints returns the method and the path's template of every endpoint that the
// client calls.
func Endpoints() [][2]string {
	var all [][2]string
	for _, e := range endpoints() {
		all = append(all, [2]string{e.method, e.path})
	}
	return all
}
