package packagecloudtest

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// installMaster returns the master token that came with an install request.
// Without one, on a public repository, it returns the default token. The caller
// holds s.mu.
func (s *Server) installMaster(c *call) *masterToken {
	if c.cred.master != nil {
		return c.cred.master
	}
	return s.defaultMaster(c.repo)
}

// mintToken serves POST tokens.text. It returns a read token, and always the
// same one for the same name.
func (s *Server) mintToken(c *call) {
	form, err := params(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	name := form.Get("name")
	if name == "" {
		invalid{"name": {blank}}.write(c.w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	writeText(c.w, http.StatusCreated, "text/plain; charset=utf-8", s.readNamed(s.installMaster(c), name).value+"\n")
}

// installScript serves GET script.{package_type}.sh.
func (s *Server) installScript(c *call) {
	kind := strings.TrimSuffix(strings.TrimPrefix(c.last, "script."), ".sh")
	s.mu.Lock()
	defer s.mu.Unlock()
	writeText(c.w, http.StatusOK, "application/x-sh", s.script(c.repo, s.installMaster(c), kind))
}

// helperTypes holds, for each helper, the group of its distributions and the
// content type of its answer.
var helperTypes = map[string]struct{ group, contentType string }{
	"config_file.list":   {"deb", "text/apt_source_list"},
	"config_file.repo":   {"rpm", "text/repo"},
	"config_file.alpine": {"alpine", "text/plain; charset=utf-8"},
	"apt_auth_conf":      {"deb", "text/plain; charset=utf-8"},
	"gpg_key_url.list":   {"deb", "text/plain; charset=utf-8"},
	"gpg_key_url.repo":   {"rpm", "text/plain; charset=utf-8"},
	"rsa_key_url.alpine": {"alpine", "text/plain; charset=utf-8"},
	"rpm_base_url":       {"rpm", "text/plain; charset=utf-8"},
}

// installHelper serves the helpers that need an operating system as parameter.
func (s *Server) installHelper(c *call) {
	form, err := params(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	helper := helperTypes[c.last]
	place, ok := s.distroByName(form.Get("os")+"/"+form.Get("dist"), []string{helper.group})
	if !ok || form.Get("dist") == "" {
		writeText(c.w, http.StatusNotFound, "text/plain; charset=utf-8", "This operating system or distribution is not supported\n")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	master := s.installMaster(c)
	token := ""
	if c.repo.private {
		token = s.readNamed(master, cmp.Or(form.Get("name"), "unnamed")).value
	}
	ip, _, _ := net.SplitHostPort(c.r.RemoteAddr)
	if strings.HasPrefix(c.last, "config_file.") {
		c.repo.installs = append(c.repo.installs, install{
			at: now(), ip: ip, hostname: form.Get("name"), agent: c.r.UserAgent(), master: master, distro: place.distro, version: place.version,
		})
	}
	c.w.Header().Set("Content-Type", helper.contentType)
	_, _ = io.WriteString(c.w, s.helper(c.last, c.repo, place, token))
}

// helper returns the answer of one helper. token is empty for a public
// repository.
func (s *Server) helper(name string, repo *repository, place distroVersion, token string) string {
	base := s.URL + "/" + repo.fqname()
	if token != "" {
		base = s.withUser(token, "/"+repo.fqname())
	}
	id := repo.owner + "_" + repo.name
	switch name {
	case "config_file.list":
		line := fmt.Sprintf("[signed-by=/etc/apt/keyrings/%s-archive-keyring.gpg] %s/%s/ %s main\n", strings.ReplaceAll(id, "_", "-"), base, place.distro, place.version)
		return "deb " + line + "deb-src " + line
	case "config_file.repo":
		return fmt.Sprintf("[%[1]s]\nname=%[1]s\nbaseurl=%[2]s/%[3]s/%[4]s/$basearch\nrepo_gpgcheck=1\ngpgcheck=0\nenabled=1\ngpgkey=%[2]s/gpgkey\nsslverify=1\nmetadata_expire=300\n\n"+
			"[%[1]s-source]\nname=%[1]s-source\nbaseurl=%[2]s/%[3]s/%[4]s/SRPMS\nrepo_gpgcheck=1\ngpgcheck=0\nenabled=1\ngpgkey=%[2]s/gpgkey\nsslverify=1\nmetadata_expire=300\n",
			id, base, place.distro, place.version)
	case "config_file.alpine":
		return fmt.Sprintf("%s/alpine/%s/main\n", base, place.version)
	case "apt_auth_conf":
		_, host, _ := strings.Cut(s.URL, "://")
		return fmt.Sprintf("machine %s/%s/ login %s password\n", host, repo.fqname(), token)
	case "rsa_key_url.alpine":
		return base + "/rsakey\n"
	case "rpm_base_url":
		return fmt.Sprintf("%s/%s/%s\n", base, place.distro, place.version)
	}
	return base + "/gpgkey\n"
}

// script returns a shell script that sets a machine up for the repository. It
// holds the master token.
func (s *Server) script(repo *repository, master *masterToken, kind string) string {
	base := s.URL
	if repo.private {
		base = s.withUser(master.value, "")
	}
	base += "/install/repositories/" + repo.fqname()
	file, target := "", ""
	switch kind {
	case "deb":
		file, target = "config_file.list", "/etc/apt/sources.list.d/"+repo.owner+"_"+repo.name+".list"
	case "rpm":
		file, target = "config_file.repo", "/etc/yum.repos.d/"+repo.owner+"_"+repo.name+".repo"
	case "alpine":
		file, target = "config_file.alpine", "/etc/apk/repositories.d/"+repo.owner+"_"+repo.name
	default:
		return fmt.Sprintf("#!/bin/sh\nset -e\ntoken=$(curl -fsS -X POST -d \"name=$(hostname)\" %q)\necho \"repository: %s/%s\"\necho \"read token: $token\"\n",
			base+"/tokens.text", s.URL, repo.fqname())
	}
	return fmt.Sprintf("#!/bin/sh\nset -e\n. /etc/os-release\ndist=${dist:-${VERSION_CODENAME:-$VERSION_ID}}\nos=${os:-$ID}\n"+
		"curl -fsS \"%s/%s?os=$os&dist=$dist&name=$(hostname)&source=script\" > %q\n", base, file, target)
}
