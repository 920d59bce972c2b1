package packagecloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"net/http"
	"net/url"
	"slices"
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

const (
	// maxStalePages is more than what is put in front of a list between two pages
	// of it can fill.
	maxStalePages = 20
	// morePages is how many pages more than its total needs a list may have: the
	// server may make some of them smaller.
	morePages = 20
	// maxPages is more than a list has that doesn't tell its total. One that does
	// has at most ten times as many.
	maxPages = 10_000
	// maxItems is how many elements more than were asked for a page may have.
	maxItems = 5_000
)

// pages walks through the pages of a list by their "next" links. Items that the
// page before had too are dropped: that is how a list looks when something was
// put in front of it. If the total changed meanwhile, or another number of items
// than it came, ErrListChanged is the last element, unless it is waived. As many
// items gone as come between two pages leave the total as it was: that can't be
// seen.
// https://packagecloud.io/docs/api#pagination
func pages[T any](ctx context.Context, c *Client, r request, key func(*T) string, waive bool) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		w := walk{client: c, request: r}
		var before map[string]bool
		for {
			items, err := nextPage[T](ctx, &w)
			if err != nil {
				yield(nil, err)
				return
			}
			seen := make(map[string]bool, len(items))
			for i := range items {
				k := key(&items[i])
				if seen[k] = true; before[k] {
					continue
				}
				if w.count++; !yield(&items[i], nil) {
					return
				}
			}
			more, err := w.next(ctx, len(items))
			if err == nil && !more && !waive {
				err = w.complete()
			}
			if err != nil {
				yield(nil, err)
			}
			if err != nil || !more {
				return
			}
			before = seen
		}
	}
}

// nextPage fetches the page that w is at.
func nextPage[T any](ctx context.Context, w *walk) ([]T, error) {
	if err := w.enter(ctx); err != nil {
		return nil, err
	}
	items, r := page[T]{limit: w.size() + maxItems}, w.request
	r.fits = items.fits
	header, err := w.client.call(ctx, r, &items)
	if err == nil {
		err = w.read(header)
	}
	return items.items, err
}

// walk is a way through the pages of a list, and what keeps a server from making
// it an endless one. It takes the same memory however many pages there are.
type walk struct {
	client  *Client
	request request
	address *url.URL // of the page
	header  http.Header

	recent [64]uint64 // hashes of the last addresses, in a ring
	pages  int
	count  int // items that were yielded
	before int // items that were yielded before this page
	stale  int // pages in a row without anything new
	least  int // items of the smallest page; 0 is none yet

	first, total int64 // the first and the newest total; -1 is none yet
	changed      bool
}

var addressSeed = maphash.MakeSeed()

// enter notes that the page's address is asked for.
func (w *walk) enter(ctx context.Context) (err error) {
	if w.pages == 0 {
		w.first, w.total = -1, -1
	}
	if w.address, err = w.client.http.Resolve(ctx, w.request.url); err != nil {
		return err
	}
	hash := maphash.String(addressSeed, w.address.String())
	if slices.Contains(w.recent[:min(w.pages, len(w.recent))], hash) {
		return w.fault("the pages go in a circle")
	}
	w.recent[w.pages%len(w.recent)] = hash
	w.pages++
	w.before = w.count
	return nil
}

func (w *walk) fault(what string) error {
	return fmt.Errorf("packagecloud: %s %s: %s; this is a fault of the server", w.request.method, w.request.path, what)
}

// read takes the total from an answer's header. An empty one is none.
func (w *walk) read(header http.Header) error {
	w.header = header
	values := slices.DeleteFunc(slices.Clone(header.Values("Total")), func(v string) bool { return v == "" })
	if len(values) == 0 {
		return nil
	}
	total, err := strconv.ParseUint(values[0], 10, 63)
	if err != nil || len(values) > 1 {
		return &answerError{w.request.method, w.request.path, fmt.Sprintf("the answer's Total is %q, and not one number; this is a fault of the server, or of a proxy before it",
			shorten(strings.Join(values, ", "), 50))}
	}
	if w.total = int64(total); w.first < 0 {
		w.first = w.total
	}
	w.changed = w.changed || w.total != w.first
	return nil
}

// size is how many items a page may have when the server does what it is asked.
func (w *walk) size() int {
	n, err := strconv.Atoi(w.address.Query().Get("per_page"))
	if err != nil || n < 1 {
		return perPage
	}
	return n
}

// next turns to the next page, and reports whether there is one. This one has n
// items.
func (w *walk) next(ctx context.Context, n int) (more bool, err error) {
	target := nextLink(w.header)
	if target == "" {
		target = w.guess(n)
	}
	if target == "" {
		return false, nil
	}
	// A list without elements, or a page behind the last, links to the next all the
	// same on some servers, and so on for ever.
	if n == 0 {
		if w.total >= 0 {
			return false, nil // the total tells whether that is all
		}
		return false, w.fault("an empty page leads to another")
	}
	if w.stale++; w.count > w.before {
		w.stale = 0
	}
	if w.stale == maxStalePages {
		return false, w.fault(fmt.Sprintf("%d pages have nothing new", w.stale))
	}
	if w.least == 0 || n < w.least {
		w.least = n
	}
	limit := int64(maxPages)
	if w.total >= 0 {
		limit = min(w.total/int64(w.least)+1+morePages, 10*maxPages)
	}
	if int64(w.pages) >= limit {
		return false, w.fault(fmt.Sprintf("after %d pages, more than the list needs, there is another", w.pages))
	}
	w.request.url, err = against(ctx, w.client, w.address, target)
	return err == nil, err
}

// guess is the page behind a full one whose answer tells nothing of what follows: a
// proxy may have dropped the headers. A page that has nothing new is no reason to
// ask for another.
func (w *walk) guess(n int) string {
	full := n >= w.size() || n == perPage || n == defaultPerPage
	if !full || w.total >= 0 || w.count == w.before {
		return ""
	}
	query := w.address.Query()
	page, _ := strconv.Atoi(query.Get("page")) // none is the first
	query.Set("page", strconv.Itoa(max(page, 1)+1))
	return "?" + query.Encode()
}

// complete compares what came with the total.
func (w *walk) complete() error {
	switch {
	case w.changed:
		return fmt.Errorf("%w: the total went from %d to another; list again", ErrListChanged, w.first)
	case w.first >= 0 && int64(w.count) != w.first:
		return fmt.Errorf("%w: its total is %d, but %d came; list again", ErrListChanged, w.first, w.count)
	}
	return nil
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
