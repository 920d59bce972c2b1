package packagecloudtest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// installMaster is the master token of an install request: the one that came
// with it, or on a public repository the default one.
func (s *Server) installMaster(c *call) *masterToken {
	if c.cred.kind == CredentialMaster && c.cred.master.repo == c.repo {
		return c.cred.master
	}
	if c.cred.kind == CredentialNone && !c.repo.private {
		return s.defaultMaster(c.repo)
	}
	return nil
}

// routeInstall serves the helpers below /install/repositories/{user}/{repository}.
// Their credential is a master token.
func (s *Server) routeInstall(c *call) {
	form, err := params(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	master := s.installMaster(c)
	if master == nil {
		unauthenticated(c.w)
		return
	}
	if c.is("POST", "tokens.text") {
		name := form.Get("name")
		if name == "" {
			invalid{"name": {blank}}.write(c.w)
			return
		}
		writeText(c.w, http.StatusCreated, "text/plain; charset=utf-8", s.readNamed(master, name).value+"\n")
		return
	}
	if !c.is("GET", "*") {
		notFound(c.w)
		return
	}
	if kind, ok := strings.CutPrefix(c.segs[0], "script."); ok {
		kind, ok = strings.CutSuffix(kind, ".sh")
		if ok && slices.Contains([]string{"deb", "rpm", "alpine", "node", "gem", "python", "helm"}, kind) {
			writeText(c.w, http.StatusOK, "application/x-sh", s.script(c.repo, master, kind))
			return
		}
	}
	groups, contentType := []string(nil), "text/plain; charset=utf-8"
	switch c.segs[0] {
	case "config_file.list":
		groups, contentType = []string{"deb"}, "text/apt_source_list"
	case "config_file.repo":
		groups, contentType = []string{"rpm"}, "text/repo"
	case "apt_auth_conf", "gpg_key_url.list":
		groups = []string{"deb"}
	case "gpg_key_url.repo", "rpm_base_url":
		groups = []string{"rpm"}
	case "config_file.alpine", "rsa_key_url.alpine":
		groups = []string{"alpine"}
	default:
		notFound(c.w)
		return
	}
	place, ok := s.distroByName(form.Get("os")+"/"+form.Get("dist"), groups)
	if !ok || form.Get("dist") == "" {
		writeText(c.w, http.StatusNotFound, "text/plain; charset=utf-8", "This operating system or distribution is not supported\n")
		return
	}
	token := ""
	if c.repo.private {
		name := form.Get("name")
		if name == "" {
			name = "unnamed"
		}
		token = s.readNamed(master, name).value
	}
	ip, _, _ := net.SplitHostPort(c.r.RemoteAddr)
	if strings.HasPrefix(c.segs[0], "config_file.") {
		c.repo.installs = append(c.repo.installs, install{
			at: now(), ip: ip, hostname: form.Get("name"), agent: c.r.UserAgent(), master: master, distro: place.distro, version: place.version,
		})
	}
	c.w.Header().Set("Content-Type", contentType)
	_, _ = io.WriteString(c.w, s.helper(c.segs[0], c.repo, place, token))
}

// helper writes one helper's answer; token is empty for a public repository.
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

// script writes a shell script that sets a machine up for the repository, with
// the master token in it.
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
