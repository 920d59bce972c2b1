package packagecloud

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// perPage is what is asked for; the server lowers it to its own maximum.
const perPage = 250

// pages walks through the pages of a list by their "next" links. Items that the
// page before had too are dropped: that is how a list looks when something was
// put in front of it. If the total changed meanwhile, or fewer items than it came,
// ErrListChanged is the last element, unless it is waived. As many items gone as
// come between two pages leave the total as it was: that can't be seen.
// https://packagecloud.io/docs/api#pagination
func pages[T any](ctx context.Context, c *Client, r request, key func(*T) string, waive bool) iter.Seq2[*T, error] {
	r.method, r.readOnly = http.MethodGet, true
	return func(yield func(*T, error) bool) {
		r, first, changed, count := r, "", false, 0
		visited := map[string]bool{}
		var before map[string]bool
		stale := 0 // pages in a row without anything new
		for {
			address, err := c.resolve(ctx, r.url)
			if err != nil {
				yield(nil, err)
				return
			}
			if visited[address.String()] {
				yield(nil, fmt.Errorf("packagecloud: %s %s: the pages go in a circle; this is a fault of the server", r.method, r.endpoint))
				return
			}
			visited[address.String()] = true
			var items page[T]
			header, err := c.call(ctx, r, &items)
			if err != nil {
				yield(nil, err)
				return
			}
			if items == nil { // null is no list
				yield(nil, malformed(r, header))
				return
			}
			total := header.Get("Total")
			first = cmp.Or(first, total)
			changed = changed || total != "" && total != first
			old := count
			seen := make(map[string]bool, len(items))
			for i := range items {
				k := key(&items[i])
				seen[k] = true
				if before[k] {
					continue
				}
				if count++; !yield(&items[i], nil) {
					return
				}
			}
			next := nextLink(header)
			if next == "" {
				break
			}
			// A list without elements, or a page behind the last, links to the
			// next all the same on some servers, and so on for ever.
			if len(items) == 0 {
				if _, err := strconv.Atoi(first); err == nil {
					break // the total tells whether that is all
				}
				yield(nil, fmt.Errorf("packagecloud: %s %s: an empty page leads to another; this is a fault of the server", r.method, r.endpoint))
				return
			}
			if stale++; count > old {
				stale = 0
			}
			if stale == maxStalePages {
				yield(nil, fmt.Errorf("packagecloud: %s %s: %d pages have nothing new; this is a fault of the server", r.method, r.endpoint, stale))
				return
			}
			if r.url, err = against(ctx, c, address, next); err != nil {
				yield(nil, err)
				return
			}
			before = seen
		}
		total, err := strconv.Atoi(first)
		switch {
		case waive:
		case changed:
			yield(nil, fmt.Errorf("%w: the total went from %s to another; list again", ErrListChanged, shorten(first, 20)))
		case err == nil && count < total:
			yield(nil, fmt.Errorf("%w: its total is %d, but %d came; list again", ErrListChanged, total, count))
		}
	}
}

// maxStalePages is more than what is put in front of a list between two pages of
// it can fill.
const maxStalePages = 20

// maxItems bounds the memory that the elements of one page take, which in JSON can
// be three bytes each.
const maxItems = 100_000

// page is the elements of one.
type page[T any] []T

func (p *page[T]) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
		return err // null leaves it nil
	}
	*p = page[T]{}
	for decoder.More() {
		var item T
		if len(*p) == maxItems {
			return errors.New("packagecloud: a page has more elements than any list of the service")
		}
		if err := decoder.Decode(&item); err != nil {
			return err
		}
		*p = append(*p, item)
	}
	return nil
}

// against makes the target of a page's link absolute, unless it is a path on the
// server, which [Client.resolve] does.
func against(ctx context.Context, c *Client, page *url.URL, target string) (string, error) {
	base, err := c.transport.baseURL(ctx)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(target, "/") && sameOrigin(page, base) {
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
