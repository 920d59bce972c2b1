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

// DownloadOptions tunes a download. Nil and the zero value verify the package, send
// the API token and set no limit. A download only reads its options: several may
// share them.
type DownloadOptions struct {
	// AllowUnverified accepts a package for which the server gives no checksum. A
	// checksum or a size that is given is verified all the same. Where neither they
	// nor the answer tell where the package ends, a cut would look like the end, and
	// the error is still ErrNoChecksum. Nothing tells when a server or a proxy packs
	// the content (Content-Encoding) although it is asked not to.
	AllowUnverified bool
	// MaxBytes ends a download that has more bytes, with ErrTooLarge: before the
	// first byte where the server tells the size, else when MaxBytes are written. Zero
	// is no limit; then a server that doesn't tell the size can send for ever. A
	// negative number is ErrInvalid.
	MaxBytes int64
	// Progress is called as bytes are written, from the goroutine that called
	// Download; total is 0 if nobody tells it. Received never goes back, since a cut
	// is resumed. It must not block. Nil tells nobody.
	Progress func(received, total int64)
	// ReadToken supplies a read token, which is sent instead of the API token, so that
	// a program that only downloads needs no more. The server's answers to it don't
	// touch the API token. Nil sends the API token, or the one that the package's
	// DownloadURL holds. A nil pointer in the interface is ErrInvalid.
	//
	// Without [WithBaseURL] the client also reads the API token's source, to learn
	// which server it is for.
	ReadToken tokensource.TokenSource
}

// download is one call of Download.
type download struct {
	client  *Client
	pkg     *Package
	options DownloadOptions
	reader  *exchange.Authenticator // of options.ReadToken; nil without one

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
// Errors are ErrInvalid for impossible options; ErrNoChecksum, before a byte is written or the rest after a cut;
// ErrChecksum; ErrTooLarge; an *[Error]; those of w; or those of the network and the context.
func (r *Repository) Download(ctx context.Context, pkg *Package, w io.Writer, options *DownloadOptions) error {
	if pkg == nil {
		return errNilPackage
	}
	if w == nil {
		return errors.New("packagecloud: the writer is nil; io.Discard takes a download that nobody wants")
	}
	d := &download{client: r.client, pkg: pkg}
	if options != nil {
		d.options = *options
	}
	if err := d.options.check(); err != nil {
		return err
	}
	d.sink = sink{w: w, maxBytes: d.options.MaxBytes, progress: d.options.Progress}
	if err := d.prepare(ctx, r); err != nil {
		return err
	}
	return d.run(ctx)
}

// check refuses values that can't be meant.
func (o *DownloadOptions) check() error {
	if o.MaxBytes < 0 {
		return fmt.Errorf("packagecloud: DownloadOptions.MaxBytes is %d; it must not be negative, and 0 is no limit: %w", o.MaxBytes, ErrInvalid)
	}
	if o.ReadToken == nil {
		return nil
	}
	if _, err := tokensource.Chain(o.ReadToken); err != nil {
		return fmt.Errorf("packagecloud: DownloadOptions.ReadToken holds a nil pointer; leave it out to send the API token: %w", ErrInvalid)
	}
	return nil
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
	if d.options.ReadToken != nil {
		d.reader, err = r.client.http.Auth.Reader(ctx, d.options.ReadToken)
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
	case !d.options.AllowUnverified:
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
