package packagecloudtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type masterToken struct {
	id                 int
	repo               *repository
	name, value        string
	createdAt, updated time.Time
	reads              []*readToken
}

type readToken struct {
	id          int
	name, value string
}

func (m *masterToken) path() string { return m.repo.apiPath() + "/master_tokens/" + strconv.Itoa(m.id) }

// addMaster makes a master token. The caller holds s.mu.
func (s *Server) addMaster(repo *repository, name string) *masterToken {
	t := now()
	m := &masterToken{id: s.nextID(), repo: repo, name: name, value: randomToken(), createdAt: t, updated: t}
	repo.masters = append(repo.masters, m)
	return m
}

// addRead makes a read token. The caller holds s.mu.
func (s *Server) addRead(m *masterToken, name string) *readToken {
	t := &readToken{id: s.nextID(), name: name, value: randomToken()}
	m.reads = append(m.reads, t)
	return t
}

// masterNamed finds a master token, or makes it. The caller holds s.mu.
func (s *Server) masterNamed(repo *repository, name string) *masterToken {
	for _, m := range repo.masters {
		if m.name == name {
			return m
		}
	}
	return s.addMaster(repo, name)
}

// readNamed finds a read token, or makes it. The caller holds s.mu.
func (s *Server) readNamed(m *masterToken, name string) *readToken {
	for _, t := range m.reads {
		if t.name == name {
			return t
		}
	}
	return s.addRead(m, name)
}

func (s *Server) defaultMaster(repo *repository) *masterToken { return s.masterNamed(repo, "default") }

// webToken returns the read token in a private repository's download_urls. The
// first call makes its master token, "web-downloads".
func (s *Server) webToken(repo *repository) *readToken {
	return s.readNamed(s.masterNamed(repo, "web-downloads"), "web-downloads")
}

// CreateReadToken returns the read token of that name under the default master
// token of a repository ("name" or "user/name"). It makes the token if there is
// none. It panics if the repository doesn't exist.
func (s *Server) CreateReadToken(repo, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repositoryNamed(repo)
	if r == nil {
		panic("packagecloudtest: no repository " + strconv.Quote(repo) + "; create it first")
	}
	return s.readNamed(s.defaultMaster(r), name).value
}

// MasterToken returns the value of a repository's master token of that name,
// such as "default". It returns "" if there is none.
func (s *Server) MasterToken(repo, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.repositoryNamed(repo); r != nil {
		for _, m := range r.masters {
			if m.name == name {
				return m.value
			}
		}
	}
	return ""
}

// master finds the master token that the path names by its id or its value. If
// there is none, it answers and returns nil. The caller holds s.mu.
func (c *call) master() *masterToken {
	id := c.value("master_token")
	for _, m := range c.repo.masters {
		if m.value == id || strconv.Itoa(m.id) == id {
			return m
		}
	}
	notFound(c.w)
	return nil
}

// readIndex finds the read token that the path names by its id. The caller
// holds s.mu.
func (c *call) readIndex(m *masterToken) int {
	return slices.IndexFunc(m.reads, func(t *readToken) bool { return strconv.Itoa(t.id) == c.value("read_token") })
}

func (s *Server) showMaster(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := c.master(); m != nil {
		writeJSON(c.w, http.StatusOK, []any{map[string]any{
			"value": m.value, "name": m.name, "read_tokens_url": m.path() + "/read_tokens",
		}})
	}
}

// deleteMaster deletes a master token and its read tokens. The master token
// "default" stays and gets a new value.
func (s *Server) deleteMaster(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := c.master()
	if m == nil {
		return
	}
	m.reads = nil
	if m.name == "default" {
		m.value, m.updated = randomToken(), now()
	} else {
		c.repo.masters = slices.DeleteFunc(c.repo.masters, func(other *masterToken) bool { return other == m })
	}
	c.w.WriteHeader(http.StatusNoContent)
}

func (s *Server) listReads(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := c.master()
	if m == nil {
		return
	}
	list := []any{}
	for _, t := range m.reads {
		list = append(list, t.show())
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"read_tokens": list})
}

func (s *Server) newRead(c *call) {
	form, err := params(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	name := form.Get("read_token[name]")
	s.mu.Lock()
	defer s.mu.Unlock()
	m := c.master()
	if m == nil {
		return
	}
	exists := slices.ContainsFunc(m.reads, func(t *readToken) bool { return t.name == name })
	if refusal := refuseName(name, exists); refusal != nil {
		refusal.write(c.w)
		return
	}
	t := s.addRead(m, name)
	writeJSON(c.w, http.StatusCreated, map[string]any{"name": t.name, "value": t.value})
}

func (s *Server) showRead(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := c.master()
	if m == nil {
		return
	}
	if i := c.readIndex(m); i >= 0 {
		writeJSON(c.w, http.StatusOK, m.reads[i].show())
		return
	}
	notFound(c.w)
}

func (s *Server) deleteRead(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := c.master()
	if m == nil {
		return
	}
	i := c.readIndex(m)
	if i < 0 {
		notFound(c.w)
		return
	}
	m.reads = slices.Delete(m.reads, i, i+1)
	c.w.WriteHeader(http.StatusNoContent)
}

func (t *readToken) show() map[string]any {
	return map[string]any{"id": t.id, "value": t.value, "name": t.name}
}

func refuseName(name string, exists bool) invalid {
	switch {
	case name == "":
		return invalid{"name": {blank}}
	case exists:
		return invalid{"name": {taken}}
	}
	return nil
}

func (s *Server) listMasters(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []any{}
	for _, m := range c.repo.masters {
		reads := []any{}
		for _, t := range m.reads {
			reads = append(reads, t.show())
		}
		list = append(list, map[string]any{
			"value": m.value, "name": m.name, "read_tokens": reads, "paths": map[string]string{"self": m.path()},
		})
	}
	writeJSON(c.w, http.StatusOK, list)
}

func (s *Server) searchMasters(c *call) {
	q := strings.ToLower(c.r.URL.Query().Get("q"))
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*masterToken
	for _, m := range c.repo.masters {
		if strings.Contains(strings.ToLower(m.name), q) {
			found = append(found, m)
		}
	}
	s.page(c, len(found), func(i int) any {
		m := found[i]
		return map[string]any{"name": m.name, "value": m.value, "self_url": m.path(), "read_tokens_url": m.path() + "/read_tokens"}
	})
}

func (s *Server) newMaster(c *call) {
	form, err := params(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	name := form.Get("master_token[name]")
	s.mu.Lock()
	defer s.mu.Unlock()
	exists := slices.ContainsFunc(c.repo.masters, func(m *masterToken) bool { return m.name == name })
	if refusal := refuseName(name, exists); refusal != nil {
		refusal.write(c.w)
		return
	}
	m := s.addMaster(c.repo, name)
	if s.opts.FlatMasterTokens {
		writeJSON(c.w, http.StatusCreated, map[string]any{
			"id": m.id, "repository_id": slices.Index(s.repos, c.repo) + 1, "name": m.name, "value": m.value,
			"created_at": timestamp(m.createdAt), "updated_at": timestamp(m.updated),
		})
		return
	}
	writeJSON(c.w, http.StatusCreated, map[string]any{
		"value": m.value, "name": m.name, "paths": map[string]string{"self": m.path()},
	})
}
