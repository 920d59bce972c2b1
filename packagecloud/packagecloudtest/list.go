package packagecloudtest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/packagecloud-go/sdk/internal/packagefile"
)

func (s *Server) fragments(c *call, list []*storedPackage) {
	s.page(c, len(list), func(i int) any { return s.fragment(list[i]) })
}

// listPackages serves GET packages.json, which lists every file.
func (s *Server) listPackages(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fragments(c, c.repo.packages)
}

// search serves GET search.json. The parameter dist overrides filter.
func (s *Server) search(c *call) {
	query := c.r.URL.Query()
	q, filter, dist, arch := strings.ToLower(query.Get("q")), query.Get("filter"), query.Get("dist"), query.Get("arch")
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*storedPackage
	for _, p := range c.repo.packages {
		switch {
		case !strings.Contains(strings.ToLower(p.filename), q):
		case dist != "" && dist != p.place.distro && dist != p.place.distro+"/"+p.place.version:
		case dist == "" && !filterMatches(filter, p.Type):
		case arch != "" && (!hasArchitecture(p.Type) || arch != p.Architecture):
		default:
			found = append(found, p)
		}
	}
	s.fragments(c, found)
}

func hasArchitecture(typ string) bool {
	return typ == packagefile.Deb || typ == packagefile.RPM || typ == packagefile.Alpine || typ == packagefile.DSC
}

// filterMatches compares a filter with a type. The filter may be in any case,
// and singular or plural.
func filterMatches(filter, typ string) bool {
	filter = strings.ToLower(filter)
	return filter == "" || filter == "all" || filter == typ || filter == typ+"s"
}

// indexPackages serves GET
// packages/{type}[/{distro}[/{version}[/{arch}]]].json. It lists names with the
// number of their versions. "*" matches any value.
func (s *Server) indexPackages(c *call) {
	want := append(c.below[1:len(c.below):len(c.below)], "*", "*", "*")[:4]
	if arch := c.r.URL.Query().Get("arch"); arch != "" {
		want[3] = arch
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	type family struct {
		p     *storedPackage
		count int
	}
	var families []*family
	byPath := map[string]*family{}
	for _, p := range c.repo.packages {
		have := []string{p.Type, p.place.distro, p.place.version, p.Architecture}
		matches := true
		for i := range want {
			matches = matches && (want[i] == "*" || want[i] == have[i])
		}
		if !matches {
			continue
		}
		path := p.familyPath()
		if path == "" { // alpine
			path = strings.Join(have, "/") + "/" + p.Name
		}
		f := byPath[path]
		if f == nil {
			f = &family{p: p}
			byPath[path] = f
			families = append(families, f)
		}
		f.count++
	}
	s.page(c, len(families), func(i int) any {
		p := families[i].p
		versions := ""
		if p.familyPath() != "" {
			versions = p.repo.apiPath() + p.familyPath() + "/versions.json"
		}
		return map[string]any{
			"name":                p.Name,
			"versions_count":      families[i].count,
			"versions_url":        versions,
			"repository_url":      p.repo.apiPath(),
			"repository_html_url": "/" + p.repo.fqname(),
		}
	})
}

// showPackage serves GET package/{type}/... for every type.
func (s *Server) showPackage(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.find(c.repo, c.below[1:]); p != nil {
		writeJSON(c.w, http.StatusOK, s.details(p))
		return
	}
	notFound(c.w)
}

// find finds the package that a path shows. Several files may share the path,
// as Python wheels do; find returns the newest. The caller holds s.mu.
func (s *Server) find(repo *repository, path []string) *storedPackage {
	for _, p := range slices.Backward(repo.packages) {
		if shown := p.showPath(); shown != "" && p.inPath(path) && samePath(shown, path) {
			return p
		}
	}
	return nil
}

// inPath reports whether the package's name is among the segments. It is a
// quick check before the whole path is compared.
func (p *storedPackage) inPath(segs []string) bool {
	if p.Scope != "" {
		return slices.Contains(segs, p.Scope+"/"+p.Name)
	}
	return slices.Contains(segs, p.Name)
}

// samePath compares an escaped path, which starts with "/package", with
// unescaped segments.
func samePath(escaped string, segs []string) bool {
	have, ok := split(escaped)
	return ok && slices.Equal(have[1:], segs)
}

// listVersions serves GET package/{type}/.../versions.json.
func (s *Server) listVersions(c *call) {
	path := c.below[1 : len(c.below)-1]
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*storedPackage
	for _, p := range c.repo.packages {
		if family := p.familyPath(); family != "" && p.inPath(path) && samePath(family, path) {
			found = append(found, p)
		}
	}
	if found == nil {
		notFound(c.w)
		return
	}
	s.fragments(c, found)
}
