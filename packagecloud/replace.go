package packagecloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/packagecloud-go/sdk/internal/packagefile"
)

// replace deletes the package that is in the way, and sends the new one again. It
// deletes nothing unless it knows for certain which package that is.
func (u *upload) replace(ctx context.Context, refusal error, send func() (*Package, error)) (*Package, error) {
	found, err := u.inTheWay(ctx)
	if err != nil {
		return nil, fmt.Errorf("packagecloud: nothing was replaced, since the look-up of the old package failed: %w: %w", refusal, err)
	}
	for _, pkg := range found {
		if !u.fits(pkg) {
			continue
		}
		result, details, err := u.compare(ctx, pkg)
		if err != nil {
			return nil, fmt.Errorf("packagecloud: nothing was replaced, since %s could not be compared: %w: %w", shorten(pkg.Filename, 200), refusal, err)
		}
		if result == same {
			details.Existed = true
			return details, nil
		}
	}
	if e, ok := answerOf(refusal); !ok || !e.duplicate {
		return nil, fmt.Errorf("packagecloud: nothing was replaced, since the server has other reasons to refuse %s: %w", u.content.Name, refusal)
	}
	why := u.doubt(found)
	if why == "" {
		if err := u.delete(ctx, found[0]); err != nil {
			return nil, err
		}
		pkg, err := send()
		if u.isDuplicate(err) { // an earlier try of ours may have come after the deletion
			if own, lookupErr := u.findSum(ctx); lookupErr == nil && own != nil {
				return own, nil
			}
		}
		return pkg, err
	}
	pkg, err := u.findSum(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("packagecloud: nothing was replaced, since %s: %w; looking for it by its checksum: %w", why, refusal, err)
	case pkg == nil:
		return nil, existsError(&Package{Filename: u.content.Name, Distribution: cmp.Or(u.place.name, u.repo.String())}, "nothing was replaced, since "+why, refusal)
	}
	pkg.Existed = true
	return pkg, nil
}

// inTheWay lists the packages that may keep the server from taking the new one:
// those with the name that the content tells, or with the file's name.
func (u *upload) inTheWay(ctx context.Context) (found []*Package, err error) {
	names := u.names
	if u.canonical != nil {
		names = u.canonical
	}
	for _, name := range names {
		// Of every architecture, since one address deletes them all.
		for pkg, err := range u.repo.search(ctx, name, u.place.name, "") {
			if err != nil {
				return nil, err
			}
			architecture := u.typ == packagefile.Alpine && inDistribution(pkg, u.place.name)
			if pkg.Filename == name && (architecture || u.fits(pkg)) {
				found = append(found, pkg)
			}
		}
	}
	return found, nil
}

const byHand = "; or delete the old package yourself, with Repository.Delete or on the site"

// doubt says why none of the packages found is certain to be the one in the way,
// and what the caller can do. It is empty if the only one is certain.
func (u *upload) doubt(found []*Package) string {
	if why := u.untold(); why != "" {
		return why
	}
	switch {
	case len(found) == 0:
		return "the server lists it under a name that neither the content nor the file tells, or doesn't list it yet: look for it on the site, delete it there, and then upload"
	case u.typ == packagefile.Java && found[0].namespace() != u.group:
		return "the server doesn't say of which group the archive of this name is: delete the old one on the site"
	case u.typ == packagefile.Alpine && (len(found) > 1 || !u.fits(found[0])):
		return "a package of another architecture has this file name, and would be deleted by the same address: delete the old one on the site"
	case len(found) > 1:
		return "several packages have its name: delete the old one yourself, with Repository.Delete or on the site"
	}
	return ""
}

// untold says why neither the content nor a file name that the server keeps tells
// which package this is; it is empty if one does.
func (u *upload) untold() string {
	switch {
	case u.packed != "":
		return "the content is packed with " + u.packed + ", and the file's name may be another package's: set UploadOptions.Decompressors, which the module packagecloud/decompress has" + byHand
	case u.damaged && u.typ == packagefile.Node:
		return "the content doesn't tell its scope, so that the package of the file's name may be another's: mend the archive" + byHand
	case u.damaged && u.typ == packagefile.Gem:
		return "the content doesn't tell for certain how RubyGems names it: mend the archive, or call the file as gem build does" + byHand
	case u.damaged:
		return "the content can't be read as a " + u.typ + " package: mend the file" + byHand
	case u.typ == packagefile.Java:
		return u.untoldArchive()
	case u.told || packagefile.KeepsName(u.typ):
		return ""
	}
	return "the content can't be looked into, and the file's name may be another package's: use File, Bytes or ReaderAt" + byHand
}

func (u *upload) untoldArchive() string {
	switch {
	case u.group == "":
		return "the archive doesn't tell its group, so that the package of the file's name may be another's: set UploadOptions.Coordinates" + byHand
	case !isCalled(u.content.Name, u.artifact):
		return "the file is not called after its coordinates, so that the server may list it under another name: call it " + u.artifact + " with its extension" + byHand
	}
	return ""
}

// isCalled reports whether a file has the name of the artifact-version, with an
// extension and perhaps a classifier. The file demo-1.0.1.jar isn't called after
// demo-1.0.
func isCalled(file, artifact string) bool {
	rest, ok := strings.CutPrefix(file, artifact)
	return ok && len(rest) > 1 && (rest[0] == '-' || rest[0] == '.') && (rest[1] < '0' || rest[1] > '9')
}

// delete removes the old package once it is sure that the new one can be read.
func (u *upload) delete(ctx context.Context, pkg *Package) error {
	// Its checksum may be known, but it has to be sent again.
	err := u.content.copyTo(ctx, io.Discard, u.repo.client.http.Stall)
	for i := 0; err == nil && i < len(u.sources); i++ {
		err = u.sources[i].copyTo(ctx, io.Discard, u.repo.client.http.Stall)
	}
	if err != nil {
		return fmt.Errorf("packagecloud: nothing was replaced: %w", err)
	}
	switch err := u.repo.Delete(ctx, pkg); {
	case err == nil || errors.Is(err, ErrNotFound):
	case errors.Is(err, ErrUnknownOutcome):
		return fmt.Errorf("packagecloud: %s may be deleted, and nothing was sent in its place; look for it in the repository before you go on: %w", pkg.Filename, err)
	default:
		return fmt.Errorf("packagecloud: %s was not replaced, since it could not be deleted: %w", pkg.Filename, err)
	}
	u.deleted = pkg
	return nil
}

// afterDelete says that the old package is gone where the new one has not taken
// its place.
func (u *upload) afterDelete(pkg *Package, err error) (*Package, error) {
	old := u.deleted
	if old == nil {
		return pkg, err
	}
	gone := "packagecloud: the old " + shorten(old.Filename, 200) + " was deleted"
	e, refused := answerOf(err)
	switch {
	case err == nil && pkg.Filename != "" && pkg.Filename != old.Filename:
		return nil, fmt.Errorf("%s, but the new package is another: it is stored as %s", gone, shorten(pkg.Filename, 100))
	case err == nil:
		return pkg, nil
	case errors.Is(err, ErrChecksum):
		return nil, fmt.Errorf("%s, and what has its place is not the new one: %w", gone, err)
	case errors.Is(err, ErrUnknownOutcome):
		return nil, fmt.Errorf("%s, and the new one may be in its place: look for it in the repository: %w", gone, err)
	case errors.Is(err, ErrExists):
		return nil, fmt.Errorf("%s, but another package has the place of the new one: list the repository to see which: %w", gone, err)
	case refused && !ambiguous(err) && e.StatusCode != http.StatusTooEarly && (e.StatusCode != http.StatusTooManyRequests || e.Is(ErrQuota)):
		return nil, fmt.Errorf("%s, and the server refused the new one: mend what the server says, or upload the old file to bring it back: %w", gone, err)
	}
	return nil, fmt.Errorf("%s, and the new one has not arrived: upload it again: %w", gone, err)
}
