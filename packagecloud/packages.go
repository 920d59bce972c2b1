package packagecloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"
)

// Package is one file of a repository. Lists fill in fewer fields than
// [Repository.Package] does: no size, description or dependencies, and of the
// checksums SHA256 at most. What a type doesn't have, or the server doesn't tell,
// is the zero value.
// https://packagecloud.io/docs/api#object_PackageDetails
type Package struct {
	Name         string
	Version      string // without Epoch and Release
	Release      string
	Epoch        int64
	Type         string // deb, dsc, rpm, gem, python, node, java, alpine, helm or anyfile
	Distribution string // such as "ubuntu/noble"
	Architecture string // of a dsc a list, separated by spaces
	Scope        string // of an npm package, with its @
	Filename     string // as the server calls it, which may not be what was uploaded
	Repository   string // name only
	Uploader     string
	CreatedAt    time.Time
	Private      bool
	Indexed      bool // the metadata for package managers includes it

	Size           int64 // in bytes; of a dsc with its source files
	Summary        string
	Description    string
	Licenses       []string
	Dependencies   []Dependencies
	TotalDownloads int64

	MD5, SHA1, SHA256, SHA512 string // hexadecimal

	// Existed is set by Upload: the same content was there already, and was left.
	// Skip sends nothing then, unless only the server's refusal told; Replace sends
	// the package once.
	Existed bool

	empty bool // the server says that Size is 0

	// DownloadURL may hold a read token.
	DownloadURL SecretURL
	// The addresses that the server gives for what can be done next; paths
	// on its host. Empty where it gives none.
	PackageURL, VersionsURL, PromoteURL, DestroyURL, HTMLURL  string
	DownloadsCountURL, DownloadsDetailURL, DownloadsSeriesURL string
}

// Dependencies are those of one kind, such as "depends" of a deb.
type Dependencies struct {
	Context string
	Names   []string
}

// UnmarshalJSON reads the API's forms of a package: of lists, of details, and
// the older one that is wrapped in an object. Unknown fields do no harm.
func (p *Package) UnmarshalJSON(data []byte) error { return p.unmarshal(data, false) }

// wirePackage is a package as the API spells it.
type wirePackage struct {
	Package *json.RawMessage `json:"package"`

	Name         text       `json:"name"`
	Version      text       `json:"version"`
	Release      text       `json:"release"`
	Epoch        number     `json:"epoch"`
	Type         text       `json:"type"`
	Distribution text       `json:"distro_version"`
	Architecture text       `json:"architecture"`
	Scope        text       `json:"scope"`
	Filename     text       `json:"filename"`
	Repository   text       `json:"repository"`
	Uploader     text       `json:"uploader_name"`
	CreatedAt    text       `json:"created_at"`
	Private      flag       `json:"private"`
	Indexed      flag       `json:"indexed"`
	Size         number     `json:"size"`
	Summary      text       `json:"summary"`
	Description  text       `json:"description"`
	Licenses     list[text] `json:"licenses"`
	Downloads    number     `json:"total_downloads_count"`
	MD5          text       `json:"md5sum"`
	SHA1         text       `json:"sha1sum"`
	SHA256       text       `json:"sha256sum"`
	SHA512       text       `json:"sha512sum"`
	Dependencies list[struct {
		Context text       `json:"context"`
		Names   list[text] `json:"dependencies"`
	}] `json:"dependencies"`

	DownloadURL        text    `json:"download_url"`
	PackageURL         address `json:"package_url"`
	SelfURL            address `json:"self_url"`
	VersionsURL        address `json:"versions_url"`
	PromoteURL         address `json:"promote_url"`
	DestroyURL         address `json:"destroy_url"`
	HTMLURL            address `json:"package_html_url"`
	DownloadsCountURL  address `json:"downloads_count_url"`
	DownloadsDetailURL address `json:"downloads_detail_url"`
	DownloadsSeriesURL address `json:"downloads_series_url"`
}

func (p *Package) unmarshal(data []byte, nested bool) error {
	w := wirePackage{Size: -1} // none is given, or one that makes no sense
	if err := json.Unmarshal(data, &w); err != nil {
		return errors.New("packagecloud: a package isn't a JSON object")
	}
	if w.Package != nil && w.Filename == "" && !nested {
		return p.unmarshal(*w.Package, true)
	}
	download, _ := NewSecretURL(string(w.DownloadURL))          // none if it is odd
	created, _ := time.Parse(time.RFC3339, string(w.CreatedAt)) // zero if it is odd
	*p = Package{
		Name: string(w.Name), Version: string(w.Version), Release: string(w.Release), Epoch: int64(w.Epoch),
		Type: string(w.Type), Distribution: string(w.Distribution), Architecture: string(w.Architecture),
		Scope: string(w.Scope), Filename: string(w.Filename), Repository: string(w.Repository),
		Uploader: string(w.Uploader), CreatedAt: created, Private: bool(w.Private), Indexed: bool(w.Indexed),
		Size: max(0, int64(w.Size)), empty: w.Size == 0, Summary: string(w.Summary), Description: string(w.Description),
		Licenses: texts(w.Licenses), TotalDownloads: int64(w.Downloads),
		MD5: w.MD5.checksum(32), SHA1: w.SHA1.checksum(40), SHA256: w.SHA256.checksum(64), SHA512: w.SHA512.checksum(128),
		DownloadURL: download, PackageURL: string(w.PackageURL), VersionsURL: string(w.VersionsURL),
		PromoteURL: string(w.PromoteURL), DestroyURL: string(w.DestroyURL), HTMLURL: string(w.HTMLURL),
		DownloadsCountURL: string(w.DownloadsCountURL), DownloadsDetailURL: string(w.DownloadsDetailURL),
		DownloadsSeriesURL: string(w.DownloadsSeriesURL),
	}
	if p.PackageURL == "" {
		p.PackageURL = string(w.SelfURL)
	}
	if p.Type == "" {
		p.Type = typeOfURL(p.PackageURL)
	}
	if p.Scope == "" {
		p.Scope = scopeOfURL(p.DestroyURL)
	}
	for _, d := range w.Dependencies {
		p.Dependencies = append(p.Dependencies, Dependencies{Context: string(d.Context), Names: texts(d.Names)})
	}
	return nil
}

func texts(l []text) []string {
	var out []string
	for _, t := range l {
		out = append(out, string(t))
	}
	return out
}

// typeOfURL reads the type in a package's own address; details lack the field.
func typeOfURL(u string) string {
	_, rest, _ := strings.Cut(u, "/package/")
	typ, _, _ := strings.Cut(rest, "/")
	return typ
}

// scopeOfURL reads the scope of an npm package in the address that deletes it; a
// list may lack the field.
func scopeOfURL(u string) string {
	_, query, _ := strings.Cut(u, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return values.Get("scope")
}

// Package returns everything the server knows of pkg, which comes from a list,
// a search or an upload. Where the server has no address for a package's details
// (alpine), or shows another file of the same version there (a Python package
// can have several), pkg is looked up in the list and returned as that has it.
// https://packagecloud.io/docs/api#resource_packages_method_show
func (r *Repository) Package(ctx context.Context, pkg *Package) (*Package, error) {
	if pkg == nil {
		return nil, errNilPackage
	}
	if pkg.PackageURL != "" {
		details, err := r.show(ctx, pkg)
		if err != nil || details.isOf(pkg) {
			return details, err
		}
	}
	return r.find(ctx, pkg.Distribution, pkg.qualifiedName(), pkg.Architecture)
}

// show returns what the server has at the address of pkg, which is the one of its
// version: it may be another file.
func (r *Repository) show(ctx context.Context, pkg *Package) (*Package, error) {
	return r.client.onePackage(ctx, request{endpoint: packageShow, url: pkg.PackageURL, subject: r.subject(pkg)})
}

// isOf reports whether p, as show returned it, is the file of pkg.
func (p *Package) isOf(pkg *Package) bool {
	have, want := strings.TrimPrefix(p.namespace(), "@"), strings.TrimPrefix(pkg.namespace(), "@")
	return (pkg.Filename == "" || p.Filename == pkg.Filename) && (have == "" || want == "" || have == want)
}

// fileSize is the size of the file itself, 0 if it isn't known.
func (p *Package) fileSize() int64 {
	if p.Type == "dsc" || strings.HasSuffix(p.Filename, ".dsc") {
		return 0
	}
	return max(0, p.Size)
}

// hasChecksum reports whether p has one that a download verifies.
func (p *Package) hasChecksum() bool { return p.SHA256 != "" || p.SHA512 != "" }

// withChecksum completes pkg, as a list has it, by its details if it has no
// checksum. The details of another file tell nothing, and the address to download
// from stays the one that pkg has.
func (r *Repository) withChecksum(ctx context.Context, pkg *Package) (*Package, error) {
	if pkg.hasChecksum() || pkg.PackageURL == "" {
		return pkg, nil
	}
	details, err := r.show(ctx, pkg)
	if err != nil {
		return nil, err
	}
	if !details.isOf(pkg) {
		return pkg, nil
	}
	if !pkg.DownloadURL.IsZero() {
		details.DownloadURL = pkg.DownloadURL
	}
	return details, nil
}

// isNone reports that an element of a list is no package.
func (p *Package) isNone() bool { return p.Filename == "" && p.Name == "" }

// onePackage sends r, whose answer is a package: one has a file name.
func (c *Client) onePackage(ctx context.Context, r request) (*Package, error) {
	var pkg Package
	if fits := r.fits; fits == nil {
		r.fits = func() bool { return pkg.Filename != "" }
	}
	if _, err := c.call(ctx, r, &pkg); err != nil {
		return nil, err
	}
	return &pkg, nil
}

var errNilPackage = errors.New("packagecloud: the package is nil")

// Find returns the package with this file name in the distribution, such as
// "ubuntu/noble"; an empty one finds it anywhere. An npm package's scope and a
// Java archive's group may stand before the name, as in "@acme/demo-1.0.0.tgz"
// and "com.acme/demo-1.0.jar"; where a name is there several times without, it
// means the npm package that has no scope. ErrNotFound says that there is none;
// several in different places are an error that lists them, and so are Alpine
// packages of several architectures, which [Repository.Search] tells apart.
func (r *Repository) Find(ctx context.Context, distribution, filename string) (*Package, error) {
	return r.find(ctx, distribution, filename, "")
}

// find does that, but of Alpine packages takes those of the architecture, unless
// it is empty.
func (r *Repository) find(ctx context.Context, distribution, filename, architecture string) (*Package, error) {
	i := strings.LastIndex(filename, "/")
	want := wanted{distribution: distribution, namespace: filename[:max(i, 0)], filename: filename[i+1:], architecture: architecture}
	if err := checkName(want.filename); err != nil {
		return nil, err
	}
	if i >= 0 {
		if err := checkName(want.namespace); err != nil {
			return nil, err
		}
	}
	var found, bare []*Package
	for pkg, err := range r.search(ctx, want.filename, distribution, "") {
		if err != nil {
			return nil, err
		}
		if !want.is(pkg) {
			continue
		}
		if found = append(found, pkg); pkg.namespace() == "" {
			bare = append(bare, pkg)
		}
	}
	if len(bare) == 1 {
		found = bare
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("packagecloud: %s in %s: %w", shorten(filename, 200), r, ErrNotFound)
	case 1:
		return found[0], nil
	}
	var places []string
	for _, pkg := range found {
		places = append(places, strings.TrimSpace(pkg.Distribution+" "+pkg.qualifiedName()))
	}
	return nil, fmt.Errorf("packagecloud: %s is in several places of %s (%s): name the distribution, or the scope or group, or search by architecture",
		shorten(filename, 200), r, shorten(strings.Join(places, ", "), 1000))
}

// wanted is what find looks for; an empty field but the file name is any.
type wanted struct{ distribution, namespace, filename, architecture string }

func (w wanted) is(pkg *Package) bool {
	inNamespace := w.namespace == "" || strings.TrimPrefix(w.namespace, "@") == strings.TrimPrefix(pkg.namespace(), "@")
	otherArchitecture := pkg.Type == "alpine" && differ(w.architecture, pkg.Architecture)
	return pkg.Filename == w.filename && inDistribution(pkg, w.distribution) && inNamespace && !otherArchitecture
}

// namespace is the scope of an npm package, or the group of a Java archive, which
// only its address tells.
func (p *Package) namespace() string {
	if p.Scope != "" {
		return p.Scope
	}
	_, rest, _ := strings.Cut(p.DestroyURL, "/java/maven2/")
	group, _, ok := strings.Cut(rest, "/")
	group, err := url.PathUnescape(group)
	if !ok || err != nil {
		return ""
	}
	return group
}

// qualifiedName is what Find takes for p alone.
func (p *Package) qualifiedName() string {
	if namespace := p.namespace(); namespace != "" {
		return namespace + "/" + p.Filename
	}
	return p.Filename
}

// inDistribution compares "ubuntu/noble" exactly; the types with a single
// distribution are spelled in several ways ("python", "python/1"), so their
// first part counts. A type that isn't known here may have several.
func inDistribution(pkg *Package, distribution string) bool {
	if distribution == "" || pkg.Distribution == distribution {
		return true
	}
	switch pkg.Type {
	case "gem":
		return true
	case "python", "node", "java", "anyfile", "helm":
		want, _, _ := strings.Cut(distribution, "/")
		have, _, _ := strings.Cut(pkg.Distribution, "/")
		return want == have
	}
	return false
}

// Versions lists the other versions of pkg, itself included.
// https://packagecloud.io/docs/api#resource_packages_method_versions
func (r *Repository) Versions(ctx context.Context, pkg *Package) iter.Seq2[*Package, error] {
	return func(yield func(*Package, error) bool) {
		if pkg == nil {
			yield(nil, errNilPackage)
			return
		}
		address := pkg.VersionsURL
		if address == "" { // lists don't have it
			look := r.Package
			if pkg.PackageURL != "" {
				look = r.show // another file of the version will do
			}
			details, err := look(ctx, pkg)
			if err == nil && details.VersionsURL == "" {
				err = fmt.Errorf("packagecloud: the server lists no versions of %s packages", shorten(pkg.Type, 20))
			}
			if err != nil {
				yield(nil, err)
				return
			}
			address = details.VersionsURL
		}
		req := request{endpoint: packageVersions, url: address, subject: r.subject(pkg)}
		for p, err := range pages(ctx, r.client, req, packageKey, false) {
			if !yield(p, err) {
				return
			}
		}
	}
}
