package packagecloud

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/internal/packagefile"
)

// clockSlack is how far the server's clock may be behind.
const clockSlack = 2 * time.Minute

// find returns the package that the upload makes or made, or nil.
func (u *upload) find(ctx context.Context) (*Package, error) {
	for _, name := range u.names {
		for pkg, err := range u.repo.search(ctx, name, u.place.name) {
			if err != nil {
				return nil, err
			}
			if pkg.Filename == name && (pkg.Type == "" || pkg.Type == u.typ) && inDistribution(pkg, u.place.name) && u.inNamespace(pkg) {
				return pkg, nil
			}
		}
	}
	return nil, nil
}

// inNamespace tells packages of one file name apart: npm packages by scope, Java
// archives by group. An archive that doesn't tell its group may be any.
func (u *upload) inNamespace(pkg *Package) bool {
	switch u.typ {
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

// compare holds the content against what the server has.
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
		have, err = u.digest("sha256", sha256.New())
	case pkg.SHA512 != "":
		want = pkg.SHA512
		have, err = u.digest("sha512", sha512.New())
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

// lookUp finds out what became of a try without an answer. It returns the
// package if it is there, nothing if it isn't, and else an error. It looks
// several times, since the server may still be working. The refusal is that of a
// later try, if there was one.
func (u *upload) lookUp(ctx context.Context, refusal error) (*Package, error) {
	for _, pause := range u.repo.client.unknownOutcomeAt {
		if err := sleep(ctx, pause); err != nil {
			return nil, u.unknown(err)
		}
		pkg, err := u.find(ctx)
		if err != nil {
			return nil, u.unknown(err)
		}
		if pkg != nil {
			return u.judge(ctx, pkg, refusal)
		}
	}
	return nil, nil
}

// probe asks something small after a body that broke off. A server that refuses
// an upload and hangs up at once may have its answer lost to the reset: this one
// isn't, and a refused token is replaced by the way. The server can't have the
// package.
func (u *upload) probe(ctx context.Context) error {
	_, err := u.find(ctx)
	if e, ok := errors.AsType[*Error](err); ok && e.StatusCode < 500 {
		return e
	}
	return nil
}

// resolveDuplicate judges a refusal as duplicate after a try without an answer:
// the duplicate may be our own.
func (u *upload) resolveDuplicate(ctx context.Context, refusal error) (*Package, error) {
	pkg, err := u.lookUp(ctx, refusal)
	if pkg == nil && err == nil {
		err = fmt.Errorf("%w: the server says that %s exists but doesn't list it: %w", ErrUnknownOutcome, u.content.Name, refusal)
	}
	return pkg, err
}

// judge decides whether pkg is what a lost try uploaded. Without a checksum it is
// if its size, its uploader and the time of its creation say so; what can't be
// known says nothing.
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

// foreign tells what speaks against a package that has no checksum being the one
// that was uploaded.
func (u *upload) foreign(ctx context.Context, pkg *Package) error {
	if !pkg.CreatedAt.After(u.started.Add(-clockSlack)) {
		return errors.New("it was created before, or nobody knows when")
	}
	size, err := u.repo.client.sizeOf(ctx, pkg)
	if err != nil {
		return err
	}
	if size != u.content.Size {
		return errors.New("its size is another or unknown")
	}
	account, err := u.repo.client.account(ctx)
	if err != nil {
		return err
	}
	if account == "" || !strings.EqualFold(pkg.Uploader, account) {
		return errors.New("its uploader is another or unknown")
	}
	return nil
}

// sizeOf returns a package's size, 0 if it can't be known. Where lists and
// details don't have it (alpine), the first byte of the content tells.
func (c *Client) sizeOf(ctx context.Context, pkg *Package) (int64, error) {
	if pkg.Size > 0 || pkg.DownloadURL.IsZero() {
		return pkg.Size, nil
	}
	address, credential, err := pkg.DownloadURL.split()
	if err != nil {
		return 0, err
	}
	resp, err := c.once(ctx, request{
		method: http.MethodGet, readOnly: true, url: address.String(), credential: credential, subject: pkg.Filename,
		endpoint: "/{owner}/{repo}/packages/{distribution}/{version}/{filename}/download",
		header:   http.Header{"Accept-Encoding": {"identity"}, "Range": {"bytes=0-0"}},
	})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusPartialContent {
		return max(0, resp.ContentLength), nil
	}
	_, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return 0, nil // "*" is unknown
	}
	return size, nil
}

// account returns the name of the token's owner, "" if it can't be known. No
// endpoint tells it, but the list of repositories has the owner's alone.
func (c *Client) account(ctx context.Context) (string, error) {
	for repo, err := range c.Repositories(ctx, &RepositoriesOptions{ListOptions: ListOptions{PerPage: 1, AllowChange: true}}) {
		if err != nil {
			return "", err
		}
		owner, _, _ := strings.Cut(repo.FullName, "/")
		return owner, nil
	}
	return "", nil
}

// existsError is ErrExists, with the reason and the server's refusal, if any.
func existsError(pkg *Package, why string, refusal error) error {
	if refusal == nil {
		refusal = ErrExists
	}
	return fmt.Errorf("packagecloud: %s is in %s already, and %s: %w", pkg.Filename, pkg.Distribution, why, refusal)
}
