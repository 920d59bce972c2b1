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
	// expectFrom is the size of a body from which the client asks the server first.
	expectFrom = 1 << 20
	// answerTimeout is how long the server may work on a whole package. After it the
	// client looks the package up.
	answerTimeout = 10 * time.Minute
)

// IfExists says what an upload does when the repository has the package already.
type IfExists int

const (
	// Fail sends the package and lets the server refuse it; the error is ErrExists.
	Fail IfExists = iota
	// Skip compares checksums before it sends anything. If they are equal, it sends
	// nothing, and returns the package with Existed set. If they differ, or the server
	// gives no checksum, the error is ErrExists.
	//
	// Skip looks for the names that the content and the file tell. The server may list
	// the package under another name, or not list it yet. Then Skip sends the file, and
	// finds the package by its checksum after the server's refusal.
	Skip
	// Replace puts the new package in the place of the old one. It sends the new one
	// first. Only when the server refuses it as a duplicate, and for no other reason,
	// does it delete the old one and send the new one again: a changed file is sent
	// twice. If the old one has the same checksum, Replace deletes nothing, and returns
	// the package with Existed set.
	//
	// Replace deletes the package that the content names. The server keeps the file
	// names of python, java, alpine, helm and anyfile packages. Of these, Replace
	// deletes the one with the same file name in the same place; of java packages the
	// group must be the same too.
	//
	// Where neither the content nor the file name is certain, Replace deletes nothing.
	// The error is ErrExists then, and says what to do. Examples are a deb with a
	// control.tar.xz or control.tar.zst without UploadOptions.Decompressors, an npm
	// package whose scope can't be read, an Alpine file name that several architectures
	// share, damaged content, and most readers that are no io.ReaderAt.
	//
	// The repository has neither package between the deletion and the second upload. If
	// the old one was npm's "latest", that tag moves. The server may still refuse the
	// new package after the deletion. The error then says that the old one is gone.
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
	// Decompressors unpack the control.tar.xz or control.tar.zst of a deb, which the
	// standard library can't. Dpkg makes such debs by default. The keys are "xz" and
	// "zstd"; the module packagecloud/decompress has both. Without one the file name
	// alone tells what such a deb is, and Replace doesn't trust that.
	//
	// A function returns a reader of the unpacked bytes of its argument, which Upload
	// closes if it is an io.Closer. Upload gives it at most 8 MiB, and reads at most
	// 8 MiB from it. Functions that uploads share must be safe for concurrent use.
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
	sources []Content // the source files of a dsc
	options UploadOptions

	// inspect sets these.
	typ          string   // the package's type
	names        []string // the server may list the package under these
	scope        string   // the scope of an npm package
	group        string   // the group of a Java archive; empty if it is unknown
	architecture string   // the architecture of an Alpine package; empty if it is unknown
	artifact     string   // "artifact-version" of a Java archive: its file's name begins so
	looked       bool     // inspect could read the content at will
	damaged      bool     // the content is no package of the type
	packed       string   // the compression that inspect could not unpack
	told         bool     // the content says what the package is, and not just the file name
	canonical    []string // the names that the content tells; nil if it tells none

	place   place // the distribution; zero for gems
	started time.Time

	transfer transfer
	sums     map[string]string // checksums of the content by algorithm, without SHA-256
	deleted  *Package          // the package that Replace deleted
}

// Upload adds a package to the repository, and returns it as the server describes
// it. Its Filename may differ from the content's. Upload streams the content, and
// reads it again when it has to repeat the request.
//
// Upload hashes what it sends, and compares the answer with that. An answer with
// another checksum or size is ErrChecksum. If the answer names another repository or
// distribution, Upload looks the package up; if the package isn't where it belongs,
// the error is ErrUnknownOutcome. If the answer has no SHA-256 but a SHA-512, SHA-1
// or MD5, Upload reads the content once more for that, where it can.
//
// If the answer gets lost, Upload looks the package up, so that it is neither missing
// nor sent twice. A package with the same checksum is the one that was sent. The
// server gives no checksum for alpine and dsc packages, nor for java ones at first.
// Of these, the size, the uploader and the time of creation by the server's clock
// must fit. If they don't tell, the error is ErrUnknownOutcome. It may also be the
// error of a later try, such as ErrUnauthorized.
//
// Errors are an *[Error], such as ErrExists and ErrInvalid; ErrContentChanged,
// ErrChecksum, ErrNotReplayable and ErrUnknownOutcome; or errors of the token, the
// file, the network and the context.
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

// prepare checks the options and the contents, and inspects the package. It asks the
// server nothing.
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
	if u.isDuplicate(err) && u.options.IfExists != Fail {
		pkg, err = u.refused(ctx, err, func() (*Package, error) { return u.send(ctx, req, newForm(fields, files)) })
	}
	return u.afterDelete(pkg, err)
}

// isDuplicate reports whether the server refused the upload as a duplicate. The error
// of reading a content is none, though it may hold the answer to another request.
func (u *upload) isDuplicate(err error) bool {
	local, _ := u.transfer.state()
	return local == nil && errors.Is(err, ErrExists) && !errors.Is(err, ErrUnknownOutcome)
}
