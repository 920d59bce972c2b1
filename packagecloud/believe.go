package packagecloud

import (
	"context"
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/packagecloud-go/sdk/internal/packagefile"
)

// believe holds a success against what was sent. A field that pkg lacks proves
// nothing.
func (u *upload) believe(ctx context.Context, pkg *Package) (*Package, error) {
	_, whole := u.transfer.state()
	flaw := ""
	switch {
	case !whole:
		flaw = "before it had the whole package"
	case pkg.Filename == "":
		flaw = "with no package; is the base URL right?"
	}
	if flaw != "" {
		return nil, &answerError{packageCreate.method, packageCreate.path, "the server answered with success, but " + flaw}
	}
	difference, compared := u.difference(ctx, pkg)
	if difference != "" && pkg.Filename != u.content.Name && !slices.Contains(u.names, pkg.Filename) {
		// A connection that a proxy or a server has got out of step gives the answer
		// to another request.
		return nil, &answerError{packageCreate.method, packageCreate.path, "the server answered with success, but with another package"}
	}
	if where := u.elsewhere(pkg); where != "" {
		return u.settle(ctx, fmt.Sprintf("%s in %s", shorten(pkg.Filename, 200), where))
	}
	if difference != "" {
		return nil, fmt.Errorf("%w: the server stored %s in %s with %s; delete it there, then upload the file again",
			ErrChecksum, shorten(pkg.Filename, 200), u.where(), difference)
	}
	if pkg.empty && !compared && u.typ != packagefile.DSC {
		return u.settle(ctx, shorten(pkg.Filename, 200)+" with 0 bytes")
	}
	return pkg, nil
}

// where names the place that the package belongs in, for people.
func (u *upload) where() string {
	if u.place.name == "" {
		return u.repo.String()
	}
	return u.place.name + " of " + u.repo.String()
}

// difference says in what pkg isn't what was sent, "" if nothing tells; compared
// reports whether a checksum was compared. A dsc's size is that of its source files
// too.
func (u *upload) difference(ctx context.Context, pkg *Package) (difference string, compared bool) {
	if pkg.Size > 0 && pkg.Size != u.content.Size && u.typ != packagefile.DSC {
		return fmt.Sprintf("%d bytes, but %d were sent", pkg.Size, u.content.Size), false
	}
	name, stored := strongest(pkg)
	if name == "" {
		return "", false
	}
	sent, err := u.digest(ctx, name, algorithms[name]())
	switch {
	case err != nil: // of all but SHA-256 that may be: the content can't be read again
		return "", false
	case !strings.EqualFold(sent, stored):
		return fmt.Sprintf("the checksum %s (%s), but that of the bytes that were sent is %s", strings.ToLower(stored), name, sent), true
	}
	return "", true
}

// algorithms are those of the checksums that a server may give.
var algorithms = map[string]func() hash.Hash{"sha256": sha256.New, "sha512": sha512.New, "sha1": sha1.New, "md5": md5.New}

// strongest returns the algorithm and the value of the checksum of pkg that proves
// most, "" if it has none.
func strongest(pkg *Package) (name, value string) {
	switch {
	case pkg.SHA256 != "":
		return "sha256", pkg.SHA256
	case pkg.SHA512 != "":
		return "sha512", pkg.SHA512
	case fips140.Enforced(): // it forbids the others
		return "", ""
	case pkg.SHA1 != "":
		return "sha1", pkg.SHA1
	case pkg.MD5 != "":
		return "md5", pkg.MD5
	}
	return "", ""
}

// elsewhere returns the repository or the place that pkg names, "" if it names those
// of the upload or none. Their names differ in case at times.
func (u *upload) elsewhere(pkg *Package) string {
	own := u.repo.String()
	if name := pkg.Repository; name != "" && !strings.EqualFold(name, u.repo.name) && !strings.EqualFold(name, own) {
		return "the repository " + shorten(name, 100)
	}
	for _, address := range []string{pkg.PackageURL, pkg.DestroyURL, pkg.PromoteURL} {
		_, rest, _ := strings.Cut(address, "/api/v1/repos/")
		if elements := strings.SplitN(rest, "/", 3); len(elements) == 3 && !strings.EqualFold(elements[0]+"/"+elements[1], own) {
			return "the repository " + shorten(elements[0]+"/"+elements[1], 200)
		}
	}
	named := &Package{Type: u.typ, Distribution: strings.ToLower(pkg.Distribution)}
	if pkg.Distribution != "" && !inDistribution(named, strings.ToLower(u.place.name)) {
		return shorten(pkg.Distribution, 100)
	}
	return ""
}

// settle looks once whether the package is where it belongs, after an answer that
// says that the server stored something else.
func (u *upload) settle(ctx context.Context, stored string) (*Package, error) {
	pkg, err := u.find(ctx)
	if err == nil && pkg == nil {
		pkg, err = u.findSum(ctx)
	}
	switch {
	case err == nil && pkg == nil:
		err = errors.New("it isn't listed where it belongs")
	case err == nil:
		if pkg, err = u.judge(ctx, pkg, nil); err == nil {
			return pkg, nil
		}
	}
	return nil, fmt.Errorf("%w: %s was sent to %s, but the server says that it stored %s; look in both places, and delete what is wrong there before you upload again: %w",
		ErrUnknownOutcome, u.content.Name, u.where(), stored, err)
}

// digest returns the content's checksum, as it was sent or read before, else by
// reading it. What is read must be what was sent.
func (u *upload) digest(ctx context.Context, algorithm string, h hash.Hash) (string, error) {
	if sum := u.content.sum.Load(); sum != nil && algorithm == "sha256" {
		return hex.EncodeToString(sum[:]), nil
	}
	if sum := u.sums[algorithm]; sum != "" {
		return sum, nil
	}
	if u.content.once() {
		return "", ErrNotReplayable
	}
	w := io.Writer(h)
	if algorithm == "sha256" {
		w = io.Discard // copyTo computes that itself
	}
	if err := u.content.copyTo(ctx, w, u.repo.client.http.Stall); err != nil {
		return "", err
	}
	if algorithm == "sha256" {
		return hex.EncodeToString(u.content.sum.Load()[:]), nil
	}
	u.sums[algorithm] = hex.EncodeToString(h.Sum(nil))
	return u.sums[algorithm], nil
}
