package packagecloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
	"github.com/packagecloud-go/sdk/tokensource"
)

// fetch asks for what is missing, and writes what comes of it.
func (d *download) fetch(ctx context.Context) error {
	r, answer, err := d.ask(ctx)
	if err != nil {
		return err
	}
	resp := answer.Response
	defer resp.Body.Close()
	if err = d.join(resp); err == nil {
		err = d.copy(resp.Body)
	}
	if err == nil && d.isShort(resp) {
		err = &cutError{d.written, errShort}
	}
	return d.failure(ctx, r, answer, err)
}

// ask sends the request to the address that the API gave: the one that the API
// redirects to expires.
func (d *download) ask(ctx context.Context) (request, *exchange.Answer, error) {
	address, credential, err := d.pkg.DownloadURL.split()
	if d.reader != nil {
		credential, err = tokensource.Token{}, nil
	}
	if err != nil {
		return request{}, nil, err
	}
	r := request{
		endpoint: packageDownload, url: address.String(), header: http.Header{"Accept-Encoding": {"identity"}},
		subject: d.name, credential: credential, reader: d.reader,
	}
	if d.written > 0 && d.etag != "" {
		r.header.Set("Range", "bytes="+strconv.FormatInt(d.written, 10)+"-")
		r.header.Set("If-Range", d.etag)
	}
	answer, err := d.client.once(ctx, r)
	if e, ok := answerOf(err); ok && e.StatusCode == http.StatusRequestedRangeNotSatisfiable && d.etag != "" {
		d.etag = "" // all may have come before the cut: read it from the start
		return d.ask(ctx)
	}
	return r, answer, err
}

// join brings the answer to the byte that is missing next, and refuses what can't
// become the package.
func (d *download) join(resp *http.Response) error {
	var err error
	switch resp.StatusCode {
	case http.StatusNoContent, http.StatusResetContent:
		return fmt.Errorf("packagecloud: %s: the server answered %d and sent nothing", d.name, resp.StatusCode)
	case http.StatusPartialContent:
		err = d.resume(resp)
	default:
		err = d.startOver(resp)
	}
	switch {
	case err != nil:
		return err
	case d.maxBytes > 0 && d.total > d.maxBytes:
		return d.tooLarge()
	case d.want == "" && d.total == 0 && endsWithConnection(resp):
		return fmt.Errorf("%w: %s; nor does the answer say where it ends, so that a cut would go unnoticed; set the package's SHA256 or Size", ErrNoChecksum, d.name)
	}
	return nil
}

// resume checks that a partial answer begins where it must, and is of the same
// file: not every host heeds If-Range.
func (d *download) resume(resp *http.Response) error {
	first, total, ok := contentRange(resp.Header.Get("Content-Range"))
	if !ok || d.written == 0 || d.etag == "" || first != d.written {
		return fmt.Errorf("packagecloud: %s: the server sent another part than was asked for", d.name)
	}
	if etag := resp.Header.Get("ETag"); etag != "" && etag != d.etag || total > 0 && d.total > 0 && total != d.total {
		return fmt.Errorf("%w: %s is another file on the server than before a cut; download it again", ErrChecksum, d.name)
	}
	d.total = cmp.Or(d.total, total)
	return nil
}

// startOver passes over what the writer has had of an answer with the whole file.
func (d *download) startOver(resp *http.Response) error {
	d.total = cmp.Or(d.pkg.fileSize(), max(resp.ContentLength, 0), d.total)
	d.etag = ""
	if err := d.skip(resp.Body); err != nil {
		return err
	}
	d.etag = strongETag(resp.Header) // what the writer has is of this answer
	return nil
}

// isShort reports that an answer which ended well lacks the rest. A part may be
// shorter than was asked for, and the end of an answer without a length may be that
// of the connection.
func (d *download) isShort(resp *http.Response) bool {
	return d.written < d.total && (resp.StatusCode == http.StatusPartialContent || resp.ContentLength < 0)
}

// endsWithConnection reports whether the end of an answer looks like a cut.
func endsWithConnection(resp *http.Response) bool {
	return resp.Close && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
}

// contentRange reads "bytes 4-9/10" (RFC 9110, section 14.4); a total of "*" is 0.
func contentRange(value string) (first, total int64, ok bool) {
	unit, rest, _ := strings.Cut(value, " ")
	part, size, found := strings.Cut(rest, "/")
	from, to, dash := strings.Cut(part, "-")
	start, err1 := strconv.ParseUint(from, 10, 63)
	last, err2 := strconv.ParseUint(to, 10, 63)
	whole, err3 := strconv.ParseUint(size, 10, 63)
	if size == "*" {
		whole, err3 = 0, nil
	}
	if !strings.EqualFold(unit, "bytes") || !found || !dash || errors.Join(err1, err2, err3) != nil || last < start || size != "*" && last >= whole {
		return 0, 0, false
	}
	return int64(start), int64(whole), true
}

func strongETag(header http.Header) string {
	if etag := header.Get("ETag"); strings.HasPrefix(etag, `"`) {
		return etag
	}
	return ""
}
