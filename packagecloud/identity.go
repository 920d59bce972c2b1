package packagecloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/packagecloud-go/sdk/internal/packagefile"
	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// inspect determines the package's type and the name that the server will give
// it, by looking into it where that can be done.
func (u *upload) inspect(ctx context.Context) error {
	at := io.ReaderAt(strings.NewReader(""))
	watch := exchange.NewWatch(ctx, u.repo.client.http.Stall)
	defer watch.Stop()
	if !u.content.once() {
		r, err := u.content.open(watch.Context())
		if err != nil {
			return err
		}
		defer u.content.keep(r)
		if in := watch.ReaderAt(r); in != nil {
			at, u.looked = in, true
		}
	}
	info, err := packagefile.Decompressors(u.options.Decompressors).Read(u.content.Name, u.options.Type, at, u.content.Size)
	if err := watch.Err(); err != nil {
		return err
	}
	if errors.Is(err, packagefile.ErrAmbiguous) {
		return fmt.Errorf("packagecloud: %s: %s; set UploadOptions.Type: %w", u.content.Name, strings.TrimPrefix(err.Error(), "packagefile: "), ErrInvalid)
	}
	u.typ, u.packed = info.Type, info.Packed
	// A package that can't be read is the server's to judge.
	if err == nil {
		u.learn(info)
	}
	if u.looked && !u.told {
		u.damaged = u.typ != packagefile.Anyfile &&
			(u.typ != packagefile.Java || !packagefile.IsZip(at, u.content.Size)) // not all tell their coordinates
	}
	if err := u.coordinates(); err != nil {
		return err
	}
	return u.checkSources(ctx, info.SourceFiles)
}

// learn notes what the content or the file's name tells.
func (u *upload) learn(info packagefile.Info) {
	u.scope, u.group, u.told = info.Scope, info.Group, info.FromContent
	if u.told {
		u.artifact = info.Name + "-" + info.Version
	}
	if u.told && u.typ == packagefile.Alpine {
		u.architecture = info.Architecture
	}
	u.nameAfter(info)
}

// validCoordinates are group:artifact:version as Maven takes them.
var validCoordinates = regexp.MustCompile(`^[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+:[^\s\x00-\x1f\x7f\\/:"<>|?*\[\](){},]+$`)

// coordinates takes those of a Java archive that the caller gives.
func (u *upload) coordinates() error {
	given := u.options.Coordinates
	if given == "" || u.typ != packagefile.Java {
		return nil
	}
	if !validCoordinates.MatchString(given) {
		return fmt.Errorf("packagecloud: UploadOptions.Coordinates is %q; it must have the three parts group:artifact:version, such as com.acme:demo:1.0: %w",
			shorten(given, 200), ErrInvalid)
	}
	part := strings.Split(given, ":")
	u.group, u.artifact = part[0], part[1]+"-"+part[2]
	return nil
}

// nameAfter notes under which names the server may list the package.
func (u *upload) nameAfter(info packagefile.Info) {
	name, ext := info.FileName(), filepath.Ext(u.content.Name)
	if name == "" {
		return
	}
	if info.FromContent {
		u.canonical = []string{name}
		if other := strings.TrimSuffix(name, filepath.Ext(name)) + ext; other != name {
			u.canonical = append(u.canonical, other) // such as .udeb
		}
	}
	switch {
	case info.FromContent && filepath.Ext(name) == ext: // what is there under the local name is another package
		u.names = u.canonical
	case name != u.content.Name:
		u.names = append(u.names, name)
	}
}
