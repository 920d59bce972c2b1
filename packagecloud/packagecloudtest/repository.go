package packagecloudtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

type repository struct {
	owner, name        string
	private            bool
	createdAt, updated time.Time
	lastPush           time.Time
	packages           []*storedPackage // in order of upload
	byKey              map[string]*storedPackage
	masters            []*masterToken
	keys               []*gpgKey
	installs           []install
	artifacts          map[string]*blob // by Maven path
	readme             string
}

func (r *repository) fqname() string  { return r.owner + "/" + r.name }
func (r *repository) apiPath() string { return "/api/v1/repos/" + r.fqname() }

// validName reports whether the service allows s as the name of a user or a
// repository.
func validName(s string) bool {
	return s != "" && len(s) <= 100 && s != "." && s != ".." && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

// CreateRepository creates a repository of the owner. Given "user/name", it
// creates a repository of another user who has made the owner a collaborator.
// It panics if the name is taken or malformed.
func (s *Server) CreateRepository(name string, private bool) {
	owner := s.opts.Owner
	if user, bare, ok := strings.Cut(name, "/"); ok {
		owner, name = user, bare
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.createRepository(owner, name, private); err != nil {
		panic(fmt.Sprintf("packagecloudtest: repository %s/%s: %v", owner, name, err))
	}
}

func (s *Server) createRepository(owner, name string, private bool) invalid {
	switch {
	case name == "":
		return invalid{"name": {blank}}
	case !validName(name) || !validName(owner):
		return invalid{"name": {"is invalid"}}
	case s.repository(owner, name) != nil:
		return invalid{"name": {taken}}
	}
	t := now()
	repo := &repository{
		owner: owner, name: name, private: private, createdAt: t, updated: t,
		byKey: map[string]*storedPackage{}, artifacts: map[string]*blob{},
	}
	repo.keys = []*gpgKey{newRepositoryKey(repo)}
	s.addMaster(repo, "default")
	s.repos = append(s.repos, repo)
	return nil
}

// repository finds a repository, or returns nil. The caller holds s.mu.
func (s *Server) repository(owner, name string) *repository {
	i := slices.IndexFunc(s.repos, func(r *repository) bool { return r.owner == owner && r.name == name })
	if i < 0 {
		return nil
	}
	return s.repos[i]
}

// repositoryNamed finds a repository by "name" or "user/name". The caller holds
// s.mu.
func (s *Server) repositoryNamed(full string) *repository {
	owner, name, ok := strings.Cut(full, "/")
	if !ok {
		owner, name = s.opts.Owner, full
	}
	return s.repository(owner, name)
}

func (s *Server) listRepositories(c *call) {
	all := c.r.URL.Query().Has("include_collaborations")
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []any
	for _, repo := range s.repos {
		if repo.owner == s.opts.Owner || all {
			list = append(list, map[string]any{
				"name":                repo.name,
				"created_at":          timestamp(repo.createdAt),
				"url":                 s.URL + "/" + repo.fqname(),
				"last_push_human":     ago(repo.lastPush),
				"package_count_human": plural(len(repo.packages), "package"),
				"private":             repo.private,
				"fqname":              repo.fqname(),
			})
		}
	}
	s.page(c, len(list), func(i int) any { return list[i] })
}

func (s *Server) newRepository(c *call) {
	p, err := params(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	name, private := p.Get("repository[name]"), p.Get("repository[private]")
	if name == "" {
		name, private = p.Get("name"), p.Get("private")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.createRepository(s.opts.Owner, name, truth(private)); err != nil {
		err.write(c.w)
		return
	}
	writeJSON(c.w, http.StatusCreated, map[string]string{"url": s.URL + "/" + s.opts.Owner + "/" + name})
}

func (s *Server) showRepository(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo, path := c.repo, c.repo.apiPath()
	writeJSON(c.w, http.StatusOK, map[string]any{
		"name":                 repo.name,
		"fqname":               repo.fqname(),
		"path":                 "/" + repo.fqname(),
		"repo_type":            nil,
		"total_installs_count": len(repo.installs),
		"created_at":           timestamp(repo.createdAt),
		"updated_at":           timestamp(repo.updated),
		"paths": map[string]string{
			"self":                path,
			"create_package":      path + "/packages.json",
			"package_contents":    path + "/packages/contents.json",
			"master_tokens":       path + "/master_tokens",
			"create_master_token": path + "/master_tokens",
			"gpg_keys":            path + "/gpg_keys.json",
		},
		"urls": map[string]string{
			"install_script": s.withUser(s.defaultMaster(repo).value, "/install/repositories/"+repo.fqname()+"/script.:package_type.sh"),
		},
	})
}

// withUser returns an absolute URL whose user is a token.
func (s *Server) withUser(token, path string) string {
	scheme, host, _ := strings.Cut(s.URL, "://")
	return scheme + "://" + url.PathEscape(token) + ":@" + host + path
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ago spells a time as the service's lists do.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	switch d := time.Since(t); {
	case d < 30*time.Second:
		return "less than a minute ago"
	case d < 90*time.Minute:
		return plural(max(int(d.Minutes()+0.5), 1), "minute") + " ago"
	case d < 24*time.Hour:
		return "about " + plural(int(d.Hours()+0.5), "hour") + " ago"
	default:
		return plural(int(d.Hours()/24+0.5), "day") + " ago"
	}
}
