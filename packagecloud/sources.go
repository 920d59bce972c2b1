package packagecloud

import (
	"context"
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/internal/packagefile"
	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// checkSources compares the source files with what the .dsc says of them, so that
// no byte is sent of a package that the server must refuse.
func (u *upload) checkSources(ctx context.Context, named []packagefile.SourceFile) error {
	for _, want := range named {
		found := false
		for i := range u.sources {
			if source := &u.sources[i]; source.Name == want.Name {
				found = true
				if err := u.checkSource(ctx, source, want); err != nil {
					return err
				}
			}
		}
		if !found {
			return fmt.Errorf("packagecloud: %s names the file %s: add it to UploadOptions.SourceFiles: %w", u.content.Name, shorten(want.Name, 200), ErrInvalid)
		}
	}
	return nil
}

// checkSource compares size and checksum. It compares the size alone of content that
// can be read only once, and of files with nothing but an MD5 where FIPS forbids that.
func (u *upload) checkSource(ctx context.Context, source *Content, want packagefile.SourceFile) error {
	other := func(what string) error {
		return fmt.Errorf("packagecloud: %s has another %s than %s says: build the source package again, or give the file that belongs to it: %w",
			source.Name, what, u.content.Name, ErrInvalid)
	}
	if source.Size != want.Size {
		return other("size")
	}
	sum, h := want.SHA256, hash.Hash(sha256.New())
	if source.once() || want.SHA256 == "" && fips140.Enforced() {
		return nil
	}
	if sum == "" {
		sum, h = want.MD5, md5.New()
	}
	if err := source.peek(ctx, h, u.repo.client.http.Stall); err != nil {
		return fmt.Errorf("packagecloud: nothing was sent, since %s could not be read: %w", source.Name, err)
	}
	if !strings.EqualFold(hex.EncodeToString(h.Sum(nil)), sum) {
		return other("checksum")
	}
	return nil
}

// peek writes the whole content to w. A reader that can be read at will is kept for
// the upload, since Open may work only once.
func (c *Content) peek(ctx context.Context, w io.Writer, stall time.Duration) error {
	watch := exchange.NewWatch(ctx, stall)
	defer watch.Stop()
	r, err := c.open(watch.Context())
	if err != nil {
		return err
	}
	from := watch.Reader(r)
	if at := watch.ReaderAt(r); at != nil {
		from = io.NewSectionReader(at, 0, c.Size+1)
		defer c.keep(r)
	} else {
		defer r.Close()
	}
	n, err := io.Copy(w, io.LimitReader(from, c.Size+1))
	if err == nil && n != c.Size {
		err = fmt.Errorf("%w: %s isn't %d bytes long", ErrContentChanged, c.Name, c.Size)
	}
	return err
}
