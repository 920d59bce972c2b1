package packagecloud

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/packagecloud-go/sdk/internal/packagefile"
)

// late reports whether Replace waits for the server's refusal. A guess is enough
// to compare with what is there, but not to delete it: the file may be called
// after another package than the one that it holds.
func (u *upload) late() bool { return u.options.IfExists == Replace && u.guess }

// before carries out IfExists ahead of the upload. It returns a package if
// there is nothing left to do.
func (u *upload) before(ctx context.Context) (*Package, error) {
	if u.options.IfExists == Fail || u.late() {
		return nil, nil
	}
	pkg, err := u.find(ctx)
	if err != nil || pkg == nil {
		return nil, err
	}
	if u.options.IfExists == Replace {
		return nil, u.delete(ctx, pkg, nil)
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
	case result == unknown && details.SHA256 == "" && details.SHA512 == "":
		return nil, existsError(pkg, "the server gives no checksum to compare", refusal)
	case result == unknown:
		return nil, existsError(pkg, "the content can't be read twice, to compare it first", refusal)
	}
	return nil, existsError(pkg, "its content is another", refusal)
}

// delete removes the old package once it is sure that the new one can be read.
func (u *upload) delete(ctx context.Context, pkg *Package, refusal error) error {
	if u.typ == packagefile.Java && u.group == "" {
		return existsError(pkg, "the archive doesn't tell its group, so that it may be another's; set UploadOptions.Coordinates", refusal)
	}
	if u.typ == packagefile.Node && !u.told {
		return existsError(pkg, "the scope can't be read in the archive, so that it may be another's; see to it that the content can be read at will, or delete that one yourself", refusal)
	}
	if u.typ == packagefile.Alpine {
		if err := u.alone(ctx, pkg, refusal); err != nil {
			return err
		}
	}
	_, err := u.digest(ctx, "sha256", sha256.New())
	for i := 0; err == nil && i < len(u.sources); i++ {
		err = u.sources[i].copyTo(ctx, io.Discard, u.repo.client.stall)
	}
	if err != nil {
		return fmt.Errorf("packagecloud: nothing was replaced: %w", err)
	}
	switch err := u.repo.Delete(ctx, pkg); {
	case err == nil || errors.Is(err, ErrNotFound):
	case errors.Is(err, ErrUnknownOutcome):
		return fmt.Errorf("packagecloud: %s may be deleted, and nothing was sent in its place; upload again: %w", pkg.Filename, err)
	default:
		return fmt.Errorf("packagecloud: %s was not replaced: %w", pkg.Filename, err)
	}
	u.deleted = pkg
	return nil
}

// alone makes sure that pkg is the only one of its file name in its place: Alpine
// packages of several architectures are deleted by the same address.
func (u *upload) alone(ctx context.Context, pkg *Package, refusal error) error {
	n := 0
	for other, err := range u.repo.search(ctx, pkg.Filename, u.place.name, "") {
		if err != nil {
			return fmt.Errorf("packagecloud: nothing was replaced: %w", err)
		}
		if other.Filename == pkg.Filename && inDistribution(other, u.place.name) {
			n++
		}
	}
	if n > 1 {
		return existsError(pkg, "so are those of other architectures, which would be deleted by the same address; delete it on the site", refusal)
	}
	return nil
}

// afterDelete says what is gone where that isn't what was replaced.
func (u *upload) afterDelete(pkg *Package, err error) (*Package, error) {
	switch old := u.deleted; {
	case old == nil:
		return pkg, err
	case errors.Is(err, ErrExists) && !errors.Is(err, ErrUnknownOutcome):
		return nil, fmt.Errorf("packagecloud: the old %s was deleted, but another package has the place of the new one: %w", old.Filename, err)
	case err != nil:
		return nil, fmt.Errorf("packagecloud: the old %s was deleted and the new one has not certainly arrived; upload it again: %w", old.Filename, err)
	case pkg.Filename != "" && pkg.Filename != old.Filename:
		return nil, fmt.Errorf("packagecloud: the old %s was deleted, but the new package is another: it is stored as %s", old.Filename, shorten(pkg.Filename, 100))
	}
	return pkg, nil
}

// refused carries out IfExists when the server found a duplicate that before
// didn't, because it is listed under a name that the file doesn't tell, or that
// before left. What has the same checksum in the same place is the one.
func (u *upload) refused(ctx context.Context, refusal error, send func() (*Package, error)) (*Package, error) {
	pkg, err := u.findSum(ctx)
	if err == nil && pkg == nil && u.late() {
		pkg, err = u.find(ctx)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w; looking for it: %w", refusal, err)
	case pkg == nil:
		return nil, fmt.Errorf("packagecloud: %s exists under another name or with other content: %w", u.content.Name, refusal)
	case u.options.IfExists == Skip:
		pkg.Existed = true
		return pkg, nil
	}
	if err := u.delete(ctx, pkg, refusal); err != nil {
		return nil, err
	}
	return send()
}
