package packagecloud

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
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
	allowUnverified bool
	readToken       tokensource.TokenSource
	asReader        bool                    // with readToken
	reader          *exchange.Authenticator // of readToken

	sink
	etag string // strong; of the answer that the first bytes came from
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
	d := &download{client: r.client, pkg: pkg, sink: sink{w: w}}
	for _, option := range options {
		if option == nil {
			return errors.New("packagecloud: an option is nil")
		}
		option(d)
	}
	if d.maxBytes < 0 {
		return fmt.Errorf("packagecloud: MaxBytes is %d; it must not be negative, and 0 is no limit", d.maxBytes)
	}
	if err := d.prepare(ctx, r); err != nil {
		return err
	}
	return d.run(ctx)
}

// prepare finds the address, the checksum and the read token.
func (d *download) prepare(ctx context.Context, r *Repository) error {
	pkg, err := d.lookUp(ctx, r)
	if err != nil {
		return err
	}
	d.pkg, d.name = pkg, shorten(pkg.Filename, 200)
	if err = d.expect(pkg); err != nil {
		return err
	}
	if pkg.DownloadURL.IsZero() {
		return fmt.Errorf("packagecloud: the server gives no address to download %s from", d.name)
	}
	if d.asReader {
		d.reader, err = r.client.http.Auth.Reader(ctx, d.readToken)
	}
	return err
}

// lookUp asks the server for what the caller's package lacks. The caller's own
// checksums and size stay.
func (d *download) lookUp(ctx context.Context, r *Repository) (*Package, error) {
	pkg := d.pkg
	if pkg.DownloadURL.IsZero() {
		found, err := r.find(ctx, pkg.Distribution, pkg.qualifiedName(), pkg.Architecture)
		if err != nil {
			return nil, err
		}
		if d.pkg.hasChecksum() {
			found.SHA256, found.SHA512 = d.pkg.SHA256, d.pkg.SHA512
		}
		pkg = found
	}
	pkg, err := r.withChecksum(ctx, pkg)
	if err != nil || d.pkg.Size <= 0 {
		return pkg, err
	}
	sized := *pkg
	sized.Size = d.pkg.Size
	return &sized, nil
}

// expect sets the checksum that the content must have.
func (d *download) expect(pkg *Package) error {
	d.newHash = sha256.New // without a checksum too, for what is sent again after a cut
	switch {
	case pkg.SHA256 != "":
		d.want = pkg.SHA256
	case pkg.SHA512 != "":
		d.newHash, d.want = sha512.New, pkg.SHA512
	case !d.allowUnverified:
		return fmt.Errorf("%w: %s; AllowUnverified accepts it as it is", ErrNoChecksum, d.name)
	}
	d.hash = d.newHash()
	return nil
}

// run fetches the content, as often as the connection breaks.
func (d *download) run(ctx context.Context) error {
	before, denied := int64(0), false // denied: the try before met an expired address
	try := func(n int) error {
		before = d.written
		err := d.fetch(ctx)
		if err == nil || n > 1 && d.written == before && endedEarly(err) {
			return d.verify() // in the second case, that is all there is
		}
		return err
	}
	judge := func(err error) exchange.Verdict {
		verdict := judgeDownload(err, denied)
		verdict.Restart = d.written > before
		denied = expired(err)
		return verdict
	}
	return d.client.retry.Run(ctx, try, judge, func(_ int, _ time.Duration, err error) {
		d.client.http.Logger.DebugContext(ctx, "packagecloud download resumes", "file", d.name, "at", d.written, "error", err.Error())
	})
}
