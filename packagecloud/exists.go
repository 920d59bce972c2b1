package packagecloud

import (
	"context"
	"fmt"
)

// before looks for the package ahead of an upload with Skip. It returns the package
// if it is there with the same content, and nil if the upload should go on.
func (u *upload) before(ctx context.Context) (*Package, error) {
	if u.options.IfExists != Skip {
		return nil, nil
	}
	pkg, err := u.find(ctx)
	if err != nil || pkg == nil {
		return nil, err
	}
	result, details, err := u.compare(ctx, pkg)
	switch {
	case err != nil:
		return nil, err
	case result == same:
		details.Existed = true
		return details, nil
	case result == unknown && !details.hasChecksum():
		return nil, existsError(pkg, "the server gives no checksum to compare", nil)
	case result == unknown:
		return nil, existsError(pkg, "the content can't be read twice, to compare it first", nil)
	}
	return nil, existsError(pkg, "its content is another", nil)
}

// refused carries out Skip or Replace after the server refused the upload as a
// duplicate. A package with the same checksum in the same place has the same content.
func (u *upload) refused(ctx context.Context, refusal error, send func() (*Package, error)) (*Package, error) {
	if u.options.IfExists == Replace {
		return u.replace(ctx, refusal, send)
	}
	pkg, err := u.findSum(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w; looking for it: %w", refusal, err)
	case pkg == nil:
		return nil, fmt.Errorf("packagecloud: %s exists under another name or with other content: %w", u.content.Name, refusal)
	}
	pkg.Existed = true
	return pkg, nil
}
