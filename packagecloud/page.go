package packagecloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// perPage is what is asked for; the server lowers it to its own maximum, which is
// said to be this. defaultPerPage is what it gives unasked.
const (
	perPage        = 250
	defaultPerPage = 30
)

// maxItems is how many elements more than were asked for a page may have.
const maxItems = 5_000

// nextPage fetches the page that w is at.
func nextPage[T any](ctx context.Context, w *walk) ([]T, error) {
	if err := w.enter(ctx); err != nil {
		return nil, err
	}
	items, r := page[T]{limit: w.size() + maxItems}, w.request
	r.fits = items.fits
	header, err := w.client.call(ctx, r, &items)
	if err == nil {
		w.header = header
		err = w.totals.read(r, header)
	}
	return items.items, err
}

// size is how many items a page may have when the server does what it is asked.
func (w *walk) size() int {
	n, err := strconv.Atoi(w.address.Query().Get("per_page"))
	if err != nil || n < 1 {
		return perPage
	}
	return n
}

// page is the elements of one, of which there may be limit.
type page[T any] struct {
	items []T // nil is no list
	limit int
}

// fits reports whether p is a page of a list. Each kind of element tells what is
// none; an odd one among others does no harm.
func (p *page[T]) fits() bool {
	for i := range p.items {
		e, ok := any(&p.items[i]).(interface{ isNone() bool })
		if !ok || !e.isNone() {
			return true
		}
	}
	return p.items != nil && len(p.items) == 0
}

// UnmarshalJSON decodes one element after the other: their number is bounded before
// it costs memory.
func (p *page[T]) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	p.items = nil
	if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
		return err // null leaves it nil
	}
	p.items = []T{}
	for decoder.More() {
		if len(p.items) == p.limit {
			return errors.New("packagecloud: a page has more elements than were asked for")
		}
		var item T
		if err := decoder.Decode(&item); err != nil {
			return err
		}
		p.items = append(p.items, item)
	}
	return nil
}

// against makes the target of a page's link absolute, unless it is a path on the
// server, which [Client.resolve] does.
func against(ctx context.Context, c *Client, page *url.URL, target string) (string, error) {
	base, err := c.http.Auth.BaseURL(ctx)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(target, "/") && exchange.SameOrigin(page, base) {
		return target, nil
	}
	u, err := page.Parse(target)
	if err != nil {
		return "", errors.New("packagecloud: a URL of the server is malformed")
	}
	return u.String(), nil
}

// nextLink returns the target of rel="next" (RFC 8288), or "".
func nextLink(header http.Header) string {
	for _, value := range header.Values("Link") {
		for value != "" {
			_, rest, ok := strings.Cut(value, "<")
			if !ok {
				break
			}
			target, rest, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			params := rest
			if i := strings.Index(rest, "<"); i >= 0 {
				params = rest[:i]
			}
			for param := range strings.FieldsFuncSeq(params, func(r rune) bool { return r == ';' || r == ',' }) {
				name, rel, _ := strings.Cut(strings.TrimSpace(param), "=")
				if !strings.EqualFold(strings.TrimSpace(name), "rel") {
					continue
				}
				for word := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(rel), `"`)) {
					if strings.EqualFold(word, "next") {
						return target
					}
				}
			}
			value = rest
		}
	}
	return ""
}
