package packagecloudtest

import (
	"net/http"
	"strconv"
	"strings"
)

// page writes one page of a list of n items, with the pagination headers. It
// builds only the items on that page. A per_page over the maximum counts as the
// maximum. With per_page=0 the list is empty.
func (s *Server) page(c *call, n int, item func(i int) any) {
	query := c.r.URL.Query()
	size := s.opts.PageSize
	if v, err := strconv.Atoi(query.Get("per_page")); err == nil && v >= 0 {
		size = v
	}
	size = min(size, s.opts.MaxPerPage)
	number := 1
	if v, err := strconv.Atoi(query.Get("page")); err == nil && v > 1 {
		number = v
	}
	pages := 0
	items := []any{}
	if size > 0 {
		pages = (n + size - 1) / size
		if number <= pages {
			for i := (number - 1) * size; i < min(number*size, n); i++ {
				items = append(items, item(i))
			}
		}
	}
	h := c.w.Header()
	h.Set("Total", strconv.Itoa(n))
	h.Set("Per-Page", strconv.Itoa(size))
	h.Set("Max-Per-Page", strconv.Itoa(s.opts.MaxPerPage))
	if number < pages {
		var links []string
		link := func(page int, rel string) {
			query.Set("page", strconv.Itoa(page))
			links = append(links, "<"+s.URL+c.r.URL.EscapedPath()+"?"+query.Encode()+`>; rel="`+rel+`"`)
		}
		if number > 1 {
			link(1, "first")
			link(number-1, "prev")
		}
		link(pages, "last")
		link(number+1, "next")
		h.Set("Link", strings.Join(links, ", "))
	}
	writeJSON(c.w, http.StatusOK, items)
}
