package packagecloud

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
	"github.com/packagecloud-go/sdk/tokensource"
)

// DownloadOption tunes a download.
type DownloadOption func(*download)

// AllowUnverified accepts a package for which the server gives no checksum. One
// that is given is verified all the same, and so is the size. Where neither they
// nor the answer tell where the package ends, a cut would look like the end, and
// the error is ErrNoChecksum still. Nothing tells when a server or a proxy packs
// the content (Content-Encoding) although it is asked not to.
func AllowUnverified() DownloadOption {
	return func(d *download) { d.allowUnverified = true }
}

// MaxBytes ends a download that has more than n bytes, with ErrTooLarge: before the
// first byte where the server tells the size, else when n bytes are written. Without
// it, and with an n of 0, a download has no limit. Then a server that doesn't tell the
// size can send for ever.
func MaxBytes(n int64) DownloadOption {
	return func(d *download) { d.maxBytes = n }
}

// DownloadProgress calls f as bytes are written; total is 0 if it isn't known.
// It must not block.
func DownloadProgress(f func(received, total int64)) DownloadOption {
	return func(d *download) { d.progress = f }
}

// WithReadToken sends the read token of this source instead of the API token,
// so that a program that only downloads needs no more. What the server answers
// to it doesn't touch the API token.
func WithReadToken(source tokensource.TokenSource) DownloadOption {
	return func(d *download) { d.readToken, d.asReader = source, true }
}

// download is one call of Download.
type download struct {
	client          *Client
	pkg             *Package
	w               io.Writer
	allowUnverified bool
	maxBytes        int64 // 0 is no limit
	progress        func(received, total int64)
	readToken       tokensource.TokenSource
	asReader        bool                    // with readToken
	reader          *exchange.Authenticator // of readToken

	newHash func() hash.Hash
	hash    hash.Hash // of what was written
	want    string    // "" if there is no checksum
	written int64
	total   int64  // 0 if nobody says it
	etag    string // strong; of the answer that the first bytes came from
}

// Download writes pkg to w and verifies its checksum as it passes. The error is
// the verdict: w has had the bytes by then. When the connection breaks, the
// download is resumed where it stopped.
//
// A SHA256 in pkg, else a SHA512, is the checksum that is verified, whatever the
// server says, and so is a Size. The server is asked for what pkg lacks: besides
// a package of a list, one made of Distribution, Filename and what else tells it
// apart, Scope or Architecture, will do.
//
// Errors are ErrNoChecksum, before a byte is written or the rest after a cut;
// ErrChecksum; ErrTooLarge; an *[Error]; those of w; or those of the network and the context.
func (r *Repository) Download(ctx context.Context, pkg *Package, w io.Writer, options ...DownloadOption) error {
	if pkg == nil {
		return errNilPackage
	}
	if w == nil {
		return errors.New("packagecloud: the writer is nil; io.Discard takes a download that nobody wants")
	}
	d := &download{client: r.client, pkg: pkg, w: w}
	for _, option := range options {
		if option == nil {
			return errors.New("packagecloud: an option is nil")
		}
		option(d)
	}
	if err := d.prepare(ctx, r); err != nil {
		return err
	}
	return d.run(ctx)
}

// prepare finds the checksum and the address.
func (d *download) prepare(ctx context.Context, r *Repository) error {
	if d.maxBytes < 0 {
		return fmt.Errorf("packagecloud: MaxBytes is %d; it must not be negative, and 0 is no limit", d.maxBytes)
	}
	pkg := d.pkg
	if pkg.DownloadURL.IsZero() {
		found, err := r.find(ctx, pkg.Distribution, pkg.qualifiedName(), pkg.Architecture)
		if err != nil {
			return err
		}
		if d.pkg.hasChecksum() {
			found.SHA256, found.SHA512 = d.pkg.SHA256, d.pkg.SHA512
		}
		pkg = found
	}
	pkg, err := r.withChecksum(ctx, pkg)
	if err != nil {
		return err
	}
	if d.pkg.Size > 0 {
		sized := *pkg
		sized.Size = d.pkg.Size
		pkg = &sized
	}
	d.pkg = pkg
	switch {
	case pkg.SHA256 != "":
		d.newHash, d.want = sha256.New, pkg.SHA256
	case pkg.SHA512 != "":
		d.newHash, d.want = sha512.New, pkg.SHA512
	case !d.allowUnverified:
		return fmt.Errorf("%w: %s; AllowUnverified accepts it as it is", ErrNoChecksum, d.name())
	}
	if d.want == "" {
		d.newHash = sha256.New // for what is sent again after a cut
	}
	d.hash = d.newHash()
	if pkg.DownloadURL.IsZero() {
		return fmt.Errorf("packagecloud: the server gives no address to download %s from", d.name())
	}
	if d.asReader {
		if d.reader, err = r.client.http.Auth.Reader(ctx, d.readToken); err != nil {
			return err
		}
	}
	return nil
}

// errCut is a download that broke off and can be resumed.
var errCut = errors.New("the download broke off")

// errShort is an answer that ended early, as it seems by its own end.
var errShort = fmt.Errorf("the answer ended early: %w", io.ErrUnexpectedEOF)

func (d *download) run(ctx context.Context) error {
	before, denied := int64(0), false // denied: the try before met an expired address
	try := func(n int) error {
		before = d.written
		err := d.fetch(ctx)
		if err == nil || n > 1 && d.written == before && errors.Is(err, errShort) {
			return d.verify() // in the second case, that is all there is
		}
		return err
	}
	judge := func(err error) exchange.Verdict {
		verdict := packageDownload.on("").judge(err)
		verdict.Again = verdict.Again || expired(err) && !denied
		verdict.Restart = d.written > before
		denied = expired(err)
		return verdict
	}
	return d.client.retry.Run(ctx, try, judge, func(_ int, _ time.Duration, err error) {
		d.client.http.Logger.DebugContext(ctx, "packagecloud download resumes", "file", d.name(), "at", d.written, "error", err.Error())
	})
}

// expired reports whether the signed address that the download was redirected
// to had run out: the next try gets a new one.
func expired(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.StatusCode == http.StatusForbidden
}

// name is the file's, as errors and logs show it: it is the server's word.
func (d *download) name() string { return shorten(d.pkg.Filename, 200) }

func (d *download) verify() error {
	if d.total > 0 && d.written != d.total {
		return fmt.Errorf("%w: %s should have %d bytes, but %d came; download it again", ErrChecksum, d.name(), d.total, d.written)
	}
	if d.want == "" {
		return nil
	}
	if have := hex.EncodeToString(d.hash.Sum(nil)); !strings.EqualFold(have, d.want) {
		return fmt.Errorf("%w: %s should have %s, but what came has %s; download it again", ErrChecksum, d.name(), shorten(d.want, 128), have)
	}
	return nil
}

// fetch asks for what is missing, from the address that the API gave: the one
// that it redirects to expires.
func (d *download) fetch(ctx context.Context) error {
	address, credential, err := d.pkg.DownloadURL.split()
	if d.reader != nil {
		credential, err = tokensource.Token{}, nil
	}
	if err != nil {
		return err
	}
	header := http.Header{"Accept-Encoding": {"identity"}}
	if d.written > 0 && d.etag != "" {
		header.Set("Range", "bytes="+strconv.FormatInt(d.written, 10)+"-")
		header.Set("If-Range", d.etag)
	}
	r := request{
		endpoint: packageDownload, url: address.String(), header: header,
		subject:    d.name(),
		credential: credential, reader: d.reader,
	}
	answer, err := d.client.once(ctx, r)
	if e, ok := errors.AsType[*Error](err); ok && e.StatusCode == http.StatusRequestedRangeNotSatisfiable && d.etag != "" {
		d.etag = "" // all may have come before the cut: read it from the start
		return d.fetch(ctx)
	}
	if err != nil {
		return err
	}
	resp := answer.Response
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusResetContent {
		return fmt.Errorf("packagecloud: %s: the server answered %d and sent nothing", d.name(), resp.StatusCode)
	}
	if resp.StatusCode == http.StatusPartialContent {
		if err := d.resumes(resp); err != nil {
			return err
		}
	} else {
		d.total = cmp.Or(d.pkg.fileSize(), max(resp.ContentLength, 0), d.total)
		d.etag = ""
		if err = d.skip(resp.Body); err == nil {
			d.etag = strongETag(resp.Header) // what w has is of this answer
		}
	}
	if err == nil && d.maxBytes > 0 && d.total > d.maxBytes {
		err = d.tooLarge()
	}
	if err == nil && d.want == "" && d.total == 0 && endsWithConnection(resp) {
		return fmt.Errorf("%w: %s; nor does the answer say where it ends, so that a cut would go unnoticed; set the package's SHA256 or Size", ErrNoChecksum, d.name())
	}
	if err == nil {
		err = d.copy(resp.Body)
	}
	// A part may be shorter than was asked for, and the end of an answer without
	// a length may be that of the connection.
	if err == nil && d.written < d.total && (resp.StatusCode == http.StatusPartialContent || resp.ContentLength < 0) {
		err = errShort
	}
	if err != nil {
		if _, ok := errors.AsType[*writeError](err); ok || ctx.Err() != nil || errors.Is(err, ErrChecksum) || errors.Is(err, ErrTooLarge) {
			return fmt.Errorf("packagecloud: %s: %w", d.name(), err)
		}
		r.path = "download of " + d.name()
		return r.failure(answer, fmt.Errorf("%w after %d bytes: %w", errCut, d.written, err))
	}
	return nil
}

func (d *download) tooLarge() error {
	return fmt.Errorf("%w: it may have %d bytes; raise MaxBytes, or leave it out, if so large a file is right", ErrTooLarge, d.maxBytes)
}

// endsWithConnection reports whether the end of an answer looks like a cut.
func endsWithConnection(resp *http.Response) bool {
	return resp.Close && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
}

// resumes checks that a partial answer begins where it must, and is of the same
// file: not every host heeds If-Range.
func (d *download) resumes(resp *http.Response) error {
	first, total, ok := contentRange(resp.Header.Get("Content-Range"))
	if !ok || d.written == 0 || d.etag == "" || first != d.written {
		return fmt.Errorf("packagecloud: %s: the server sent another part than was asked for", d.name())
	}
	if etag := resp.Header.Get("ETag"); etag != "" && etag != d.etag || total > 0 && d.total > 0 && total != d.total {
		return fmt.Errorf("%w: %s is another file on the server than before a cut; download it again", ErrChecksum, d.name())
	}
	d.total = cmp.Or(d.total, total)
	return nil
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

// skip reads the beginning of an answer that starts over: what w has had.
func (d *download) skip(body io.Reader) error {
	again := d.newHash()
	switch _, err := io.CopyN(again, body, d.written); {
	case err == io.EOF:
		return fmt.Errorf("%w: the server sent less after a cut than before it; download it again", ErrChecksum)
	case err != nil:
		return err
	}
	if !bytes.Equal(again.Sum(nil), d.hash.Sum(nil)) {
		return fmt.Errorf("%w: the server sent other content after a cut than before it; download it again", ErrChecksum)
	}
	return nil
}

// copy writes the rest of an answer. The checksum is over what was written.
func (d *download) copy(body io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if d.total > 0 && int64(n) > d.total-d.written {
			return fmt.Errorf("%w: it has %d bytes, but more came; download it again", ErrChecksum, d.total)
		}
		if d.maxBytes > 0 && int64(n) > d.maxBytes-d.written {
			return d.tooLarge()
		}
		if n > 0 {
			m, werr := d.w.Write(buf[:n])
			if werr == nil && m < n {
				werr = io.ErrShortWrite
			}
			if werr != nil {
				return &writeError{werr}
			}
			d.written += int64(n)
			d.hash.Write(buf[:n])
			if d.progress != nil {
				d.progress(d.written, d.total)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// writeError is a failure of the caller's writer, which no retry mends.
type writeError struct{ err error }

func (e *writeError) Error() string { return "writing it: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }
