package packagecloud

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
		w := walk{client: c, request: r, totals: noTotal}
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
				err = w.complete(w.count)
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

	totals
}

var addressSeed = maphash.MakeSeed()

// enter notes that the page's address is asked for.
func (w *walk) enter(ctx context.Context) (err error) {
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
