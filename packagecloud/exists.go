package packagecloud

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/packagecloud-go/sdk/internal/packagefile"
)

// before carries out IfExists ahead of the upload. It returns a package if
// there is nothing left to do.
func (u *upload) before(ctx context.Context) (*Package, error) {
	if u.options.IfExists == Fail {
		return nil, nil
	}
	pkg, err := u.find(ctx)
	if err != nil || pkg == nil {
		return nil, err
	}
	if u.options.IfExists == Replace {
		if u.typ == packagefile.Java && u.group == "" {
			return nil, existsError(pkg, "the archive doesn't tell its group, so that it may be another's; set UploadOptions.Coordinates", nil)
		}
		return nil, u.delete(ctx, pkg)
	}
	return u.skip(ctx, pkg, nil)
}

func (u *upload) skip(ctx context.Context, pkg *Package, refusal error) (*Package, error) {
	result, details, err := u.compare(ctx, pkg)
	switch {
	case err != nil:
		return nil, err
	case result == same:
		details.Existed = true
		return details, nil
	case result == unknown:
		return nil, existsError(pkg, "the server gives no checksum to compare", refusal)
	}
	return nil, existsError(pkg, "its content is another", refusal)
}

// delete removes the old package once it is sure that the new one can be read.
func (u *upload) delete(ctx context.Context, pkg *Package) error {
	if _, err := u.digest("sha256", sha256.New()); err != nil {
		return fmt.Errorf("packagecloud: nothing was replaced: %w", err)
	}
	switch err := u.repo.Delete(ctx, pkg); {
	case err == nil || errors.Is(err, ErrNotFound):
	case ambiguous(err):
		return fmt.Errorf("packagecloud: %s may be deleted, and nothing was sent in its place; upload again: %w", pkg.Filename, err)
	default:
		return fmt.Errorf("packagecloud: %s was not replaced: %w", pkg.Filename, err)
	}
	u.deleted = true
	return nil
}

func (u *upload) afterDelete(err error) error {
	if !u.deleted {
		return err
	}
	return fmt.Errorf("packagecloud: the old %s was deleted and the new one has not certainly arrived; upload it again: %w", u.content.Name, err)
}

// renamed carries out IfExists when the server found a duplicate that before
// didn't, because it is listed under a name that the file doesn't tell. What
// has the same checksum in the same place is the one; it is searched in the
// whole distribution.
func (u *upload) renamed(ctx context.Context, refusal error, send func() (*Package, error)) (*Package, error) {
	sum, err := u.digest("sha256", sha256.New())
	if err != nil {
		return nil, err
	}
	for pkg, err := range u.repo.search(ctx, "", u.place.name) {
		if err != nil {
			return nil, fmt.Errorf("%w; looking for it: %w", refusal, err)
		}
		if strings.EqualFold(pkg.SHA256, sum) && u.inNamespace(pkg) && inDistribution(pkg, u.place.name) {
			if u.options.IfExists == Skip {
				pkg.Existed = true
				return pkg, nil
			}
			if err := u.delete(ctx, pkg); err != nil {
				return nil, err
			}
			return send()
		}
	}
	return nil, fmt.Errorf("packagecloud: %s exists under another name or with other content: %w", u.content.Name, refusal)
}
