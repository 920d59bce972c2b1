package packagecloudtest

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/internal/packagefile"
)

// storedPackage is a package in a repository.
type storedPackage struct {
	packagefile.Info
	repo      *repository
	place     distroVersion // zero for a gem
	filename  string
	blob      *blob
	sources   []*sourceFile // only of a dsc
	createdAt time.Time
	uploader  string
	downloads []download
	id        int
}

type sourceFile struct {
	name string
	blob *blob
}

// key identifies the package in its repository, which holds each key once.
func (p *storedPackage) key() string { return packageKey(p.place.id, p.Scope+p.Group, p.filename) }

func packageKey(place int, space, filename string) string {
	return fmt.Sprintf("%d\x00%s\x00%s", place, space, filename)
}

// Package describes a package that the server stores.
type Package struct {
	Repository    string    `json:"repository"` // user/name
	Type          string    `json:"type"`
	Name          string    `json:"name"`
	Version       string    `json:"version"`
	Release       string    `json:"release"`
	Epoch         int       `json:"epoch"`
	Architecture  string    `json:"architecture"`
	Scope         string    `json:"scope"`
	Group         string    `json:"group"`
	Filename      string    `json:"filename"`
	DistroVersion string    `json:"distro_version"` // as the API spells it, such as "ubuntu/jammy" or "RubyGem"
	Size          int64     `json:"size"`
	MD5           string    `json:"md5"`
	SHA1          string    `json:"sha1"`
	SHA256        string    `json:"sha256"`
	SHA512        string    `json:"sha512"`
	Uploader      string    `json:"uploader"`
	CreatedAt     time.Time `json:"created_at"`
	Downloads     int       `json:"downloads"`
	SourceFiles   []string  `json:"source_files"` // only of a dsc
}

// Packages returns the packages of a repository ("name" or "user/name") in the
// order of upload. It returns nil for an unknown repository. The checksums are
// those of the stored bytes, whatever checksums the API shows.
func (s *Server) Packages(repo string) []Package {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repositoryNamed(repo)
	if r == nil {
		return nil
	}
	out := []Package{}
	for _, p := range r.packages {
		q := Package{
			Repository: r.fqname(), Type: p.Type, Name: p.Name, Version: p.Version, Release: p.Release, Epoch: p.Epoch,
			Architecture: p.Architecture, Scope: p.Scope, Group: p.Group, Filename: p.filename, DistroVersion: p.distroVersion(),
			Size: p.blob.size, MD5: p.blob.md5, SHA1: p.blob.sha1, SHA256: p.blob.sha256, SHA512: p.blob.sha512,
			Uploader: p.uploader, CreatedAt: p.createdAt, Downloads: len(p.downloads),
		}
		for _, f := range p.sources {
			q.SourceFiles = append(q.SourceFiles, f.name)
		}
		out = append(out, q)
	}
	return out
}

// distroVersion returns the package's place as the API spells it.
func (p *storedPackage) distroVersion() string {
	switch p.Type {
	case packagefile.Gem:
		return "RubyGem"
	case packagefile.Python:
		return "python"
	}
	return p.place.distro + "/" + p.place.version
}

// fullVersion joins version and release as paths of deb and dsc do.
func (p *storedPackage) fullVersion() string {
	if p.Release == "" {
		return p.Version
	}
	return p.Version + "-" + p.Release
}

// join escapes the segments and puts a slash before each.
func join(segs ...string) string {
	var b strings.Builder
	for _, seg := range segs {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(seg))
	}
	return b.String()
}

// nameSegment returns a package's name as paths have it. In the name of a
// scoped node package, the slash is escaped in lower case, as the service does
// it.
func (p *storedPackage) nameSegment() string {
	if p.Scope != "" {
		return "/" + url.PathEscape(p.Scope) + "%2f" + url.PathEscape(p.Name)
	}
	return join(p.Name)
}

// familyPath returns the path of all versions of a package, below the
// repository's path. It returns "" for a type without such a path.
func (p *storedPackage) familyPath() string {
	switch p.Type {
	case packagefile.Alpine:
		return ""
	case packagefile.Deb, packagefile.DSC, packagefile.RPM:
		return "/package" + join(p.Type, p.place.distro, p.place.version, p.Name, p.Architecture)
	case packagefile.Java:
		return "/package" + join("java", "maven2", p.Group, p.Name)
	case packagefile.Helm:
		return "/package" + join("helm", p.place.version, p.Name)
	}
	return "/package" + join(p.Type) + p.nameSegment()
}

// showPath returns the package's own path without ".json", below the
// repository's path.
func (p *storedPackage) showPath() string {
	family := p.familyPath()
	switch p.Type {
	case packagefile.Alpine:
		return ""
	case packagefile.Deb, packagefile.DSC:
		return family + join(p.fullVersion())
	case packagefile.RPM:
		return family + join(p.Version, p.Release)
	}
	return family + join(p.Version)
}

// filePath returns the path that deletes the package, below the repository's
// path.
func (p *storedPackage) filePath() string {
	switch p.Type {
	case packagefile.Gem:
		return join("gems", p.filename)
	case packagefile.Java:
		return join("java", "maven2", p.Group, p.filename)
	}
	return join(p.place.distro, p.place.version, p.filename)
}

// htmlPath returns the path of the package's page, below the repository's name.
func (p *storedPackage) htmlPath() string {
	switch p.Type {
	case packagefile.Gem:
		return "/packages" + join("gems", p.filename)
	case packagefile.Python, packagefile.Node, packagefile.Java, packagefile.Anyfile:
		return "/packages" + join(p.Type, p.filename)
	}
	return "/packages" + join(p.place.distro, p.place.version, p.filename)
}

// downloadPath returns the path of the download, below the repository's name.
func (p *storedPackage) downloadPath() string {
	id := "?distro_version_id=" + strconv.Itoa(p.place.id)
	switch p.Type {
	case packagefile.Gem, packagefile.Python:
		return p.htmlPath() + "/download"
	case packagefile.Node:
		return p.htmlPath() + "/download" + p.scopeQuery()
	case packagefile.Java:
		return "/packages" + join("java", p.Group, p.filename, "artifacts", p.filename, "download")
	case packagefile.Deb, packagefile.RPM:
		return p.htmlPath() + "/download." + p.Type + id
	}
	return p.htmlPath() + "/download" + id
}

func (p *storedPackage) scopeQuery() string {
	if p.Scope == "" {
		return ""
	}
	return "?scope=" + url.QueryEscape(p.Scope)
}

// downloadLink returns the package's absolute download_url. For a private
// repository, it holds a read token. The caller holds s.mu.
func (s *Server) downloadLink(p *storedPackage) string {
	path := "/" + p.repo.fqname() + p.downloadPath()
	if !p.repo.private {
		return s.URL + path
	}
	return s.withUser(s.webToken(p.repo).value, path)
}

// settled reports whether SettleDelay has passed since the upload.
func (s *Server) settled(p *storedPackage) bool {
	return s.opts.SettleDelay < 0 || time.Since(p.createdAt) >= s.opts.SettleDelay
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// common returns the fields that fragments and details share.
func (s *Server) common(p *storedPackage) map[string]any {
	api, html := p.repo.apiPath(), "/"+p.repo.fqname()
	m := map[string]any{
		"name":                 p.Name,
		"distro_version":       p.distroVersion(),
		"created_at":           timestamp(p.createdAt),
		"version":              p.Version,
		"release":              nullable(p.Release),
		"epoch":                nil,
		"architecture":         nil,
		"scope":                nullable(p.Scope),
		"private":              p.repo.private,
		"filename":             p.filename,
		"uploader_name":        p.uploader,
		"indexed":              s.settled(p),
		"repository_html_url":  html,
		"package_html_url":     html + p.htmlPath() + p.scopeQuery(),
		"package_url":          api + p.showPath() + ".json",
		"downloads_detail_url": api + p.showPath() + "/stats/downloads/detail.json",
		"downloads_series_url": api + p.showPath() + "/stats/downloads/series/daily.json",
		"downloads_count_url":  api + p.showPath() + "/stats/downloads/count.json",
		"promote_url":          api + p.filePath() + "/promote.json" + p.scopeQuery(),
		"destroy_url":          api + p.filePath() + p.scopeQuery(),
		"download_url":         s.downloadLink(p),
	}
	var special any
	var keys []string
	switch p.Type {
	case packagefile.Deb, packagefile.DSC, packagefile.RPM:
		m["epoch"], m["architecture"] = p.Epoch, p.Architecture
	case packagefile.Java:
		special, keys = "N/A", []string{"downloads_detail_url", "downloads_series_url", "downloads_count_url"}
	case packagefile.Alpine:
		m["architecture"] = nullable(p.Architecture)
		special, keys = "", []string{"downloads_detail_url", "downloads_series_url", "downloads_count_url", "package_url", "promote_url", "destroy_url"}
	}
	for _, key := range keys {
		m[key] = special
	}
	return m
}

// fragment returns a package as lists show it. The caller holds s.mu.
func (s *Server) fragment(p *storedPackage) map[string]any {
	m := s.common(p)
	m["type"] = p.Type
	m["sha256sum"] = nil
	if p.Type != packagefile.DSC && (p.Type != packagefile.Java || s.settled(p)) && !s.opts.NoChecksums {
		m["sha256sum"] = p.blob.sha256
	}
	var absent []string
	switch p.Type {
	case packagefile.Helm:
		absent = []string{"release", "architecture", "epoch", "scope"}
	case packagefile.Alpine:
		absent = []string{"release", "epoch", "scope", "sha256sum"}
	}
	for _, key := range absent {
		delete(m, key)
	}
	return m
}

// details returns a package as its own path shows it. The caller holds s.mu.
func (s *Server) details(p *storedPackage) map[string]any {
	m := s.common(p)
	api := p.repo.apiPath()
	m["repository"] = p.repo.name
	m["size"] = strconv.FormatInt(p.blob.size, 10)
	m["summary"] = nullable(p.Summary)
	m["description"] = nullable(p.Description)
	m["licenses"] = p.Licenses // null when nil
	m["dependencies"] = p.Dependencies
	m["total_downloads_count"] = len(p.downloads)
	m["repository_url"] = api
	m["self_url"] = m["package_url"]
	m["versions_url"] = api + p.familyPath() + "/versions.json"
	m["md5sum"], m["sha1sum"], m["sha256sum"], m["sha512sum"] = p.blob.md5, p.blob.sha1, p.blob.sha256, p.blob.sha512
	switch p.Type {
	case packagefile.DSC:
		total := p.blob.size
		for _, f := range p.sources {
			total += f.blob.size
		}
		m["size"] = strconv.FormatInt(total, 10) + ".0"
	case packagefile.Alpine:
		m["versions_url"] = ""
	case packagefile.Anyfile:
		m["description"] = "null"
	}
	if s.opts.NoChecksums || p.Type == packagefile.DSC || p.Type == packagefile.Java {
		for _, key := range []string{"md5sum", "sha1sum", "sha256sum", "sha512sum"} {
			m[key] = nil
		}
	}
	return m
}

// add stores a package. It refuses one that exists or that the plan doesn't
// allow. The caller holds s.mu.
func (s *Server) add(p *storedPackage) invalid {
	err := invalid{}
	if p.repo.byKey[p.key()] != nil {
		err = s.duplicate()
	}
	if s.plan.MaxPackages > 0 {
		n := 0
		for _, r := range s.repos {
			n += len(r.packages)
		}
		if n >= s.plan.MaxPackages {
			err["plan"] = []string{upgradeText}
		}
	}
	if len(err) > 0 {
		return err
	}
	p.id = s.nextID()
	p.repo.packages = append(p.repo.packages, p)
	p.repo.byKey[p.key()] = p
	p.repo.updated = now()
	p.repo.lastPush = p.repo.updated
	s.blobs[p.blob.id] = p.blob
	for _, f := range p.sources {
		s.blobs[f.blob.id] = f.blob
	}
	return nil
}

// detach removes a package from its repository. The caller holds s.mu.
func (s *Server) detach(p *storedPackage) {
	delete(p.repo.byKey, p.key())
	p.repo.packages = slices.DeleteFunc(p.repo.packages, func(q *storedPackage) bool { return q == p })
	p.repo.updated = now()
}

// drop removes a package and its files. The caller holds s.mu.
func (s *Server) drop(p *storedPackage) {
	s.detach(p)
	for _, b := range p.files() {
		delete(s.blobs, b.id)
		b.remove()
	}
}

func (p *storedPackage) files() []*blob {
	out := []*blob{p.blob}
	for _, f := range p.sources {
		out = append(out, f.blob)
	}
	return out
}
