package packagecloud

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/internal/packagefile"
	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// find returns the package that the server lists under one of the upload's names, or
// nil.
func (u *upload) find(ctx context.Context) (*Package, error) {
	for _, name := range u.names {
		for pkg, err := range u.repo.search(ctx, name, u.place.name, u.architecture) {
			if err != nil {
				return nil, err
			}
			if pkg.Filename == name && u.fits(pkg) {
				return pkg, nil
			}
		}
	}
	return nil, nil
}

// findSum finds the package by its checksum, since the server may list it under a
// name that neither content nor file tells. It searches the whole distribution.
func (u *upload) findSum(ctx context.Context) (*Package, error) {
	sum, err := u.digest(ctx, "sha256", sha256.New())
	if err != nil {
		return nil, err
	}
	for pkg, err := range u.repo.search(ctx, "", u.place.name, u.architecture) {
		if err != nil {
			return nil, err
		}
		if packagefile.KeepsName(u.typ) && pkg.Filename != u.content.Name {
			continue // the same bytes under another name are another package
		}
		if strings.EqualFold(pkg.SHA256, sum) && pkg.Type != "" && u.fits(pkg) {
			return pkg, nil
		}
	}
	return nil, nil
}

// fits reports whether pkg has the type, the place and the namespace of the upload.
// The server may list the package that Replace deleted for a while: that doesn't fit.
func (u *upload) fits(pkg *Package) bool {
	if old := u.deleted; old != nil && !old.CreatedAt.IsZero() && pkg.Filename == old.Filename && pkg.CreatedAt.Equal(old.CreatedAt) && pkg.SHA256 == old.SHA256 {
		return false
	}
	return (pkg.Type == "" || pkg.Type == u.typ) && inDistribution(pkg, u.place.name) && u.inNamespace(pkg)
}

// inNamespace tells packages of one file name apart: npm packages by scope, Java
// archives by group, Alpine packages by architecture. An unknown group or
// architecture fits any.
func (u *upload) inNamespace(pkg *Package) bool {
	switch u.typ {
	case packagefile.Alpine:
		return u.architecture == "" || pkg.Architecture == "" || pkg.Architecture == u.architecture
	case packagefile.Node:
		return pkg.Scope == u.scope
	case packagefile.Java:
		_, rest, ok := strings.Cut(pkg.DestroyURL, "/java/maven2/")
		group, _, _ := strings.Cut(rest, "/")
		return u.group == "" || !ok || group == url.PathEscape(u.group)
	}
	return true
}

// sameness is what a comparison by checksum tells.
type sameness int

const (
	unknown sameness = iota
	same
	different
)

// compare compares the checksum of the content with that of pkg.
func (u *upload) compare(ctx context.Context, pkg *Package) (sameness, *Package, error) {
	details, err := u.repo.withChecksum(ctx, pkg)
	if err != nil {
		return unknown, pkg, err
	}
	pkg = details
	var want, have string
	switch {
	case pkg.SHA256 != "":
		want = pkg.SHA256
		have, err = u.digest(ctx, "sha256", sha256.New())
	case pkg.SHA512 != "":
		want = pkg.SHA512
		have, err = u.digest(ctx, "sha512", sha512.New())
	default:
		return unknown, pkg, nil
	}
	if errors.Is(err, ErrNotReplayable) {
		return unknown, pkg, nil
	}
	if err != nil {
		return unknown, pkg, err
	}
	if strings.EqualFold(want, have) {
		return same, pkg, nil
	}
	return different, pkg, nil
}

// lookUp looks for the package after a try without an answer. It returns the package
// if it is there, and nil if it isn't. It looks several times, since the server may
// still be working. The refusal is the error of a later try; nil if there was none.
func (u *upload) lookUp(ctx context.Context, refusal error) (*Package, error) {
	var other error
	for _, pause := range u.repo.client.unknownOutcomeAt {
		if err := exchange.Sleep(ctx, pause); err != nil {
			return nil, u.unknown(err)
		}
		pkg, err := u.find(ctx)
		if err != nil {
			return nil, u.unknown(err)
		}
		if pkg != nil {
			found, err := u.judge(ctx, pkg, refusal)
			if u.options.IfExists != Replace || !errors.Is(err, ErrExists) {
				return found, err
			}
			other = err // what Replace may have to delete
		}
	}
	if refusal == nil {
		return nil, nil
	}
	return nil, other
}

// probe sends a small request after a body that broke off, and returns the server's
// refusal of that. A server may refuse an upload and close the connection while the
// body is sent; its answer is then lost. The answer to a small request isn't.
func (u *upload) probe(ctx context.Context) error {
	_, err := u.find(ctx)
	if e, ok := answerOf(err); ok && e.StatusCode < 500 {
		return e
	}
	return nil
}

// resolveDuplicate finds out what a refusal as duplicate means after a lost try: the
// duplicate may be the package that this upload stored.
func (u *upload) resolveDuplicate(ctx context.Context, refusal error) (*Package, error) {
	pkg, err := u.lookUp(ctx, refusal)
	if pkg != nil || err != nil {
		return pkg, err
	}
	if pkg, err = u.findSum(ctx); err != nil {
		return nil, u.unknown(fmt.Errorf("%w; looking for it: %w", refusal, err))
	}
	if pkg == nil {
		err = fmt.Errorf("%w: the server says that %s exists but doesn't list it: %w", ErrUnknownOutcome, u.content.Name, refusal)
	}
	return pkg, err
}

// judge decides whether a lost try uploaded pkg. If the server gives no checksum, the
// size, the uploader and the time of creation decide.
func (u *upload) judge(ctx context.Context, pkg *Package, refusal error) (*Package, error) {
	result, details, err := u.compare(ctx, pkg)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	case result == same:
		return details, nil
	case result == different:
		return nil, existsError(pkg, "its content is another", refusal)
	}
	if err := u.foreign(ctx, details); err != nil {
		return nil, fmt.Errorf("%w: %s is in %s, but the server gives no checksum that tells whether it is this one, and %w", ErrUnknownOutcome, u.content.Name, u.repo, err)
	}
	return details, nil
}

// foreign says why a package without a checksum may not be the uploaded one.
func (u *upload) foreign(ctx context.Context, pkg *Package) error {
	size, err := u.sizeOf(ctx, pkg)
	if err != nil {
		return err
	}
	if size != u.content.Size {
		return errors.New("its size is another or unknown")
	}
	account, now, err := u.repo.client.account(ctx)
	if err != nil {
		return err
	}
	if account == "" || !strings.EqualFold(pkg.Uploader, account) {
		return errors.New("its uploader is another or unknown")
	}
	// The server's clock dates its answers to the second.
	if now.IsZero() {
		return errors.New("the server's answers have no Date to compare the time of its creation with")
	}
	if pkg.CreatedAt.IsZero() || now.Sub(pkg.CreatedAt) > time.Since(u.started)+time.Second {
		return errors.New("it was created before, or nobody knows when")
	}
	return nil
}

// sizeOf returns the size of a package's file, 0 if it can't be known. Where lists
// and details don't have it (alpine), or that of the source files with it (dsc),
// the first byte of the content tells.
func (u *upload) sizeOf(ctx context.Context, pkg *Package) (int64, error) {
	if pkg.Size > 0 && u.typ != packagefile.DSC || pkg.DownloadURL.IsZero() {
		return pkg.Size, nil
	}
	c := u.repo.client
	address, credential, err := pkg.DownloadURL.split()
	if err != nil {
		return 0, err
	}
	r := request{
		endpoint: packageDownload, url: address.String(), credential: credential, subject: pkg.Filename,
		header: http.Header{"Accept-Encoding": {"identity"}, "Range": {"bytes=0-0"}},
	}
	var size int64
	err = c.repeat(ctx, r, func() error {
		answer, err := c.once(ctx, r)
		if err == nil {
			answer.Response.Body.Close() // all of it, if the server ignores the range
			size = totalSize(answer.Response)
		}
		return err
	})
	return size, err
}

// totalSize reads the size of the whole in the answer to a request for a part; 0
// is unknown.
func totalSize(resp *http.Response) int64 {
	if resp.StatusCode != http.StatusPartialContent {
		return max(0, resp.ContentLength)
	}
	_, total, _ := contentRange(resp.Header.Get("Content-Range"))
	return total
}

// account returns the name of the token's owner, "" if it can't be known, and the
// server's time, zero if it doesn't say. No endpoint tells the name, but the list of
// repositories has the owner's alone.
func (c *Client) account(ctx context.Context) (owner string, now time.Time, err error) {
	var repos []RepositoryInfo
	header, err := c.call(ctx, repositoriesIndex.on(repositoriesIndex.path+"?per_page=1"), &repos)
	if err != nil {
		return "", now, err
	}
	if len(repos) > 0 {
		owner, _, _ = strings.Cut(repos[0].FullName, "/")
	}
	now, _ = http.ParseTime(header.Get("Date"))
	return owner, now, nil
}

// existsError is ErrExists, with the reason and the server's refusal, if any.
func existsError(pkg *Package, why string, refusal error) error {
	if refusal == nil {
		refusal = ErrExists
	}
	return fmt.Errorf("packagecloud: %s is in %s already, and %s: %w", pkg.Filename, pkg.Distribution, why, refusal)
}
