package packagecloud

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strconv"
	"strings"
)

// ListOptions tunes a list. Nil and the zero value are good.
type ListOptions struct {
	// PerPage is how many items are asked for at once; the server lowers it
	// to its own maximum. Zero is as many as it gives. Memory holds two pages.
	PerPage int
	// AllowChange doesn't end with ErrListChanged when the list changed while
	// it was read, or has fewer elements than the server says.
	AllowChange bool
}

func (o *ListOptions) values() (url.Values, bool, error) {
	if o == nil {
		o = &ListOptions{}
	}
	if o.PerPage < 0 {
		return nil, false, fmt.Errorf("packagecloud: PerPage is %d; it must not be negative", o.PerPage)
	}
	n := o.PerPage
	if n == 0 {
		n = perPage
	}
	return url.Values{"per_page": {strconv.Itoa(n)}}, o.AllowChange, nil
}

// Packages lists every file of the repository. The loop may be left at any
// time; nothing is fetched ahead. An error ends the list and is its last
// element. A list without one has as many elements as the server says that there
// are: it is complete, unless between two of its pages as many packages were
// deleted as were added, which can't be seen.
// https://packagecloud.io/docs/api#resource_packages_method_all
func (r *Repository) Packages(ctx context.Context, options *ListOptions) iter.Seq2[*Package, error] {
	return r.list(ctx, packagesIndex, nil, options)
}

// SearchOptions narrows a search. Nil and the zero value find everything.
type SearchOptions struct {
	// Query is a part of the file name.
	Query string
	// Distribution is one such as "ubuntu", or with a version "el/9".
	Distribution string
	// Type is a type of package in the server's spelling, such as "debs". It
	// has no effect beside Distribution.
	Type string
	// Architecture, such as "amd64", is for deb, rpm and alpine.
	Architecture string

	ListOptions
}

// Search lists the packages that options describe, as Packages does.
// https://packagecloud.io/docs/api#resource_packages_method_search
func (r *Repository) Search(ctx context.Context, options *SearchOptions) iter.Seq2[*Package, error] {
	if options == nil {
		options = &SearchOptions{}
	}
	query := url.Values{}
	for name, value := range map[string]string{"q": options.Query, "dist": options.Distribution, "filter": options.Type, "arch": options.Architecture} {
		if len(value) > maxName {
			err := fmt.Errorf("packagecloud: %.20q... is %d bytes long, more than the %d that a search takes; shorten it", value, len(value), maxName)
			return func(yield func(*Package, error) bool) { yield(nil, err) }
		}
		if value != "" {
			query.Set(name, value)
		}
	}
	return r.list(ctx, packagesSearch, query, &options.ListOptions)
}

// search looks for a file name. The list may change: a single package counts.
func (r *Repository) search(ctx context.Context, query, distribution, architecture string) iter.Seq2[*Package, error] {
	return r.Search(ctx, &SearchOptions{Query: query, Distribution: searchable(distribution), Architecture: architecture, ListOptions: ListOptions{AllowChange: true}})
}

func (r *Repository) list(ctx context.Context, e endpoint, query url.Values, options *ListOptions) iter.Seq2[*Package, error] {
	values, waive, err := options.values()
	var req request
	if err == nil {
		req, err = r.request(e)
	}
	if err != nil {
		return func(yield func(*Package, error) bool) { yield(nil, err) }
	}
	maps.Copy(values, query)
	req.url += "?" + values.Encode()
	return pages(ctx, r.client, req, packageKey, waive)
}

// packageKey tells packages of one repository apart. Alpine packages of several
// architectures have the same file name, and no address of their own.
func packageKey(p *Package) string {
	return strings.Join([]string{p.Distribution, p.Scope, p.DestroyURL, p.Filename, p.Architecture, p.CreatedAt.String()}, "\x00")
}
