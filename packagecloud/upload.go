package packagecloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/packagecloud-go/sdk/internal/packagefile"
)

const (
	// expectFrom is the size from which a refusal is worth waiting for before
	// the body is sent.
	expectFrom = 1 << 20
	// answerTimeout is how long the server may work on a package that it has
	// got. After it the outcome is looked up.
	answerTimeout = 10 * time.Minute
)

// IfExists says what an upload does when the package is there already.
type IfExists int

const (
	// Fail lets the server refuse it; the error is ErrExists.
	Fail IfExists = iota
	// Skip leaves it if it has the same checksum, and then sends nothing, unless the
	// server lists it under a name that the file doesn't tell, or not yet: then the
	// file is sent, and found by its checksum when it was refused. Other
	// content is ErrExists, and so is a package without a checksum.
	Skip
	// Replace puts the new package in the place of the old one. It sends the new one
	// first. Only when the server refuses it as a duplicate, and for no other reason,
	// does it delete the old one and send the new one again: a changed file is sent
	// twice. If the old one has the same checksum, nothing is deleted, and the
	// package is returned with Existed set.
	//
	// The package in the way is the one that the content tells. The server keeps the
	// file names of python, java, alpine, helm and anyfile packages: of these it is the
	// one with the same file name in the same place, and of java packages in the same
	// group. Where neither tells, nothing is deleted, and the error is ErrExists, which
	// says what to do. That is so for a deb with a control.tar.xz or control.tar.zst
	// without UploadOptions.Decompressors, for an npm package whose scope can't be
	// read, for an Alpine package of whose file name there are several architectures,
	// for content that is damaged, and mostly for a reader that is no io.ReaderAt.
	//
	// There is no package between the deletion and the second upload. Where the old one
	// was npm's "latest", that tag moves. The server may still refuse the new package
	// after the deletion: the error then says that the old one is gone.
	Replace
)

// UploadOptions tunes an upload. Nil and the zero value will do for gem,
// python, node, java, helm and anyfile packages.
type UploadOptions struct {
	// Distribution is where a deb, dsc, rpm or alpine package belongs, such
	// as "ubuntu/noble" or "ubuntu/24.04". "any/any" and "rpm_any/rpm_any" fit all.
	Distribution string
	// Type overrides what the file's name and content tell: deb, dsc, rpm,
	// gem, python, node, java, alpine, helm or anyfile.
	Type string
	// IfExists is Fail by default.
	IfExists IfExists
	// Coordinates name a Java archive that doesn't itself:
	// "group:artifact:version". Another form is ErrInvalid.
	Coordinates string
	// SourceFiles are those that a .dsc names. Their names, sizes and checksums are
	// compared with the .dsc before anything is sent; what differs is ErrInvalid.
	SourceFiles []Content
	// Decompressors look into what the standard library can't unpack: the control.tar.xz
	// and control.tar.zst of a deb, which dpkg makes by default. The keys are "xz" and
	// "zstd". A function returns a reader of the unpacked bytes of its argument; if that
	// is an io.Closer, it is closed. At most 8 MiB are given to it and read of it. The
	// module packagecloud/decompress has both. Without one such a deb is known by its
	// file name alone, which Replace doesn't trust. They must be safe for concurrent
	// use if uploads share them.
	Decompressors map[string]func(io.Reader) (io.Reader, error)
	// Progress is called as bytes are handed to the network, from one
	// goroutine at a time and not after Upload has returned. It starts again at 0
	// when a try is repeated. It must not block.
	Progress func(sent, total int64)
}

// upload is one call of Upload.
type upload struct {
	repo    *Repository
	content Content
	sources []Content // of a dsc
	options UploadOptions

	typ   string
	place place    // none for gems
	names []string // under which the server may list it
	scope string   // of an npm package
	group string   // of a Java archive; empty if it doesn't tell

	looked    bool     // into the content, which may have told nothing
	damaged   bool     // the content was looked into, and is no package of the type
	packed    string   // the compression that hides what the content tells
	told      bool     // what it is, by the content; else by the file's name
	canonical []string // the names that the content tells, where the server gives it one
	artifact  string   // of a Java archive: artifact-version, as its file should be called

	architecture string // of an Alpine package; empty if it doesn't tell

	started time.Time

	transfer transfer
	sums     map[string]string // but SHA-256, which content.sum has
	deleted  *Package          // the old package, by Replace
}

// Upload adds a package to the repository and returns what the server made of
// it; its Filename may differ from the content's. The content is streamed, and
// read again when the request has to be repeated. An answer that got lost is
// looked up, so that a package is neither missing nor sent twice: what is there
// is ours if it has the checksum; where the server gives none (alpine, dsc, java
// at first), if its size is ours, its uploader is the token's owner, and it was
// created since the upload began, by the server's own clock. Else the error is ErrUnknownOutcome; besides,
// it may be what ended a later try, ErrUnauthorized for example.
//
// The content is hashed as it is sent, and the answer is compared with that. If it
// has another checksum or size, the error is ErrChecksum. If it names another
// repository or distribution, the package is looked up, and the error is
// ErrUnknownOutcome unless it is where it belongs. Where the answer has no SHA-256
// but SHA-512, SHA-1 or MD5, the content is read once more for that, if it can be.
//
// Errors are an *[Error], among them ErrExists and ErrInvalid; ErrContentChanged,
// ErrChecksum, ErrNotReplayable and ErrUnknownOutcome; or those of the token, the file, the
// network and the context.
// https://packagecloud.io/docs/api#resource_packages_method_create
func (r *Repository) Upload(ctx context.Context, content Content, options *UploadOptions) (*Package, error) {
	u := &upload{repo: r, started: time.Now()}
	if options != nil {
		u.options = *options
	}
	defer func() {
		u.content.drop(ctx, r.client.http.Stall)
		for i := range u.sources {
			u.sources[i].drop(ctx, r.client.http.Stall)
		}
	}()
	if err := u.prepare(ctx, content); err != nil {
		return nil, err
	}
	pkg, err := u.run(ctx)
	if err != nil {
		return nil, err
	}
	if pkg.Type == "" {
		pkg.Type = u.typ
	}
	return pkg, nil
}

// prepare finds out what can be known without the server.
func (u *upload) prepare(ctx context.Context, content Content) (err error) {
	if u.options.IfExists < Fail || u.options.IfExists > Replace {
		return fmt.Errorf("packagecloud: UploadOptions.IfExists is %d; it must be Fail, Skip or Replace", u.options.IfExists)
	}
	if u.content, err = content.prepare(); err != nil {
		return err
	}
	if u.content.Size == 0 {
		return fmt.Errorf("packagecloud: %s is empty: %w", u.content.Name, ErrInvalid)
	}
	if u.content.once() && u.options.IfExists != Fail {
		return fmt.Errorf("%w (IfExists has to read it first)", ErrNotReplayable)
	}
	u.sums, u.names = map[string]string{}, []string{u.content.Name}
	for _, source := range u.options.SourceFiles {
		if source, err = source.prepare(); err != nil {
			return err
		}
		if source.once() && u.options.IfExists == Replace {
			return fmt.Errorf("%w (IfExists has to read it first)", ErrNotReplayable)
		}
		u.sources = append(u.sources, source)
	}
	u.transfer.progress = u.options.Progress
	return u.inspect(ctx)
}

func (u *upload) run(ctx context.Context) (*Package, error) {
	req, err := u.repo.request(packageCreate)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	if u.typ != packagefile.Gem {
		if u.place, err = u.repo.client.place(ctx, u.typ, u.options.Distribution); err != nil {
			return nil, err
		}
		fields["package[distro_version_id]"] = strconv.Itoa(u.place.id)
	}
	if u.options.Coordinates != "" {
		fields["package[coordinates]"] = u.options.Coordinates
	}
	files := []part{{"package[package_file]", &u.content}}
	for i := range u.sources {
		files = append(files, part{"package[source_files][]", &u.sources[i]})
	}
	old, err := u.before(ctx)
	if err != nil || old != nil {
		return old, err
	}
	pkg, err := u.send(ctx, req, newForm(fields, files))
	if errors.Is(err, ErrExists) && !errors.Is(err, ErrUnknownOutcome) && u.options.IfExists != Fail {
		pkg, err = u.refused(ctx, err, func() (*Package, error) { return u.send(ctx, req, newForm(fields, files)) })
	}
	return u.afterDelete(pkg, err)
}
