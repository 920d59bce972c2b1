package packagecloudtest

import (
	"net/http"
	"strings"

	"github.com/packagecloud-go/sdk/internal/packagefile"
)

// named finds the package that a path for deletion or promotion names. last is
// the path's last segment with its ".json", because a file's own name may end
// in ".json". The caller holds s.mu.
func (s *Server) named(repo *repository, segs []string, last, scope, group string) *storedPackage {
	space := ""
	switch {
	case segs[0] == "gems" && len(segs) == 2:
	case segs[0] == "java" && len(segs) == 4:
		space = segs[2]
	case segs[0] == "java" && len(segs) == 3:
		space = group
	case segs[0] == "node" && len(segs) == 3:
		space = scope
	case len(segs) != 3:
		return nil
	}
	for _, file := range []string{last, segs[len(segs)-1]} {
		for _, p := range repo.packages {
			switch {
			case p.filename != file:
			case p.Type == packagefile.Gem:
				if segs[0] == "gems" {
					return p
				}
			case segs[0] == "gems" || segs[0] != p.place.distro && (segs[0] != "pypi" || p.Type != packagefile.Python) || segs[1] != p.place.version:
			case p.Type == packagefile.Java && space == "", p.Scope+p.Group == space:
				return p
			}
		}
	}
	return nil
}

// deletePackage serves DELETE {distro}/{version}/{file} and the paths of gems
// and Java.
func (s *Server) deletePackage(c *call) {
	form, err := params(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.named(c.repo, c.below, c.last, form.Get("scope"), form.Get("group"))
	if p == nil {
		fileNotFound(c.w)
		return
	}
	s.drop(p)
	writeJSON(c.w, http.StatusOK, struct{}{})
}

// promote serves POST {distro}/{version}/{file}/promote.json, which moves a
// package. As in the service, the answer names the source repository, while its
// URLs point to the new place.
func (s *Server) promote(c *call) {
	form, err := params(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	place := c.below[:len(c.below)-1]
	p := s.named(c.repo, place, place[len(place)-1], form.Get("scope"), form.Get("group"))
	if p == nil || p.Type == packagefile.Alpine {
		fileNotFound(c.w)
		return
	}
	destination := form.Get("destination")
	if destination == "" {
		invalid{"destination": {blank}}.write(c.w)
		return
	}
	owner, name, _ := strings.Cut(destination, "/")
	to := s.repository(owner, name)
	if to == nil {
		writeJSON(c.w, http.StatusNotFound, invalid{"destination": {"not found"}})
		return
	}
	if to.byKey[p.key()] != nil {
		s.duplicate().write(c.w)
		return
	}
	from := p.repo
	s.detach(p)
	p.repo, p.downloads = to, nil
	to.packages = append(to.packages, p)
	to.byKey[p.key()] = p
	to.updated = now()
	to.lastPush = to.updated
	answer := s.details(p)
	answer["repository"] = from.name
	writeJSON(c.w, http.StatusOK, answer)
}
