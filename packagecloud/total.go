package packagecloud

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// totals is what the pages of a list say of its size.
type totals struct {
	first, total int64 // the first and the newest total; -1 is none yet
	changed      bool
}

// noTotal is before the first page.
var noTotal = totals{first: -1, total: -1}

// read takes the total from an answer's header. An empty one is none.
func (t *totals) read(r request, header http.Header) error {
	values := slices.DeleteFunc(slices.Clone(header.Values("Total")), func(v string) bool { return v == "" })
	if len(values) == 0 {
		return nil
	}
	total, err := strconv.ParseUint(values[0], 10, 63)
	if err != nil || len(values) > 1 {
		return &answerError{r.method, r.path, fmt.Sprintf("the answer's Total is %q, and not one number; this is a fault of the server, or of a proxy before it",
			shorten(strings.Join(values, ", "), 50))}
	}
	if t.total = int64(total); t.first < 0 {
		t.first = t.total
	}
	t.changed = t.changed || t.total != t.first
	return nil
}

// complete compares the number of items that came with the total.
func (t *totals) complete(count int) error {
	switch {
	case t.changed:
		return fmt.Errorf("%w: the total went from %d to another; list again", ErrListChanged, t.first)
	case t.first >= 0 && int64(count) != t.first:
		return fmt.Errorf("%w: its total is %d, but %d came; list again", ErrListChanged, t.first, count)
	}
	return nil
}
