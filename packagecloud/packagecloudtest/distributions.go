package packagecloudtest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// distributionsJSON is an answer of the service, recorded in February 2023. See
// distributions.NOTICE.
//
//go:embed distributions.json
var distributionsJSON []byte

// newerDistributions lists entries that the service added after the recording:
// groups, distribution, id, version, number, display name. The groups of amazon
// and alpine_any follow from the types of their packages.
const newerDistributions = `
deb,dsc  ubuntu   278 mantic   23.10  23.10 Mantic Minotaur
deb,dsc  ubuntu   284 noble    24.04  24.04 LTS Noble Numbat
deb,dsc  ubuntu   300 oracular 24.10  24.10 Oracular Oriole
deb,dsc  debian   280 forky    14     14 forky
rpm      fedora   273 38       38     38
rpm      fedora   279 39       39     39
rpm      fedora   283 40       40     40
rpm      fedora   302 41       41     41
rpm      opensuse 272 15.5     15.5   15.5
rpm      opensuse 282 15.6     15.6   15.6
rpm      sles     288 15.5     15.5   15.5
rpm      sles     296 15.6     15.6   15.6
rpm      amazon   274 1        1      1
rpm      amazon   275 2        2      2
rpm      amazon   276 2023     2023   2023
alpine   alpine   277 v3.18    3.18   v3.18
alpine   alpine   286 v3.19    3.19   v3.19
alpine   alpine   295 v3.20    3.20   v3.20
alpine   alpine_any 293 alpine_any - Any
`

type distribution struct {
	DisplayName string         `json:"display_name"`
	IndexName   string         `json:"index_name"`
	Versions    []versionEntry `json:"versions"`
}

// versionEntry is one version of a distribution. Its raw fields tell an absent
// name from null.
type versionEntry struct {
	ID            int             `json:"id"`
	DisplayName   string          `json:"display_name"`
	IndexName     json.RawMessage `json:"index_name,omitempty"`
	VersionNumber json.RawMessage `json:"version_number,omitempty"`
}

// distroVersion is an entry of the list: a place that can hold packages.
type distroVersion struct {
	id              int
	groups          []string // groups of the distributions list; deb and dsc share their entries
	distro, version string   // as paths spell them; python's version is "1"
	number          string
}

func (s *Server) loadDistributions() error {
	if err := json.Unmarshal(distributionsJSON, &s.distributions); err != nil {
		return fmt.Errorf("distributions.json: %w", err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(newerDistributions), "\n") {
		f := strings.Fields(line)
		entry := versionEntry{DisplayName: strings.Join(f[5:], " "), IndexName: quoted(f[3]), VersionNumber: quoted(f[4])}
		fmt.Sscan(f[2], &entry.ID)
		for group := range strings.SplitSeq(f[0], ",") {
			s.addVersion(group, f[1], entry)
		}
	}
	s.distroByID = map[int]distroVersion{}
	for group, distributions := range s.distributions {
		for _, d := range distributions {
			for _, v := range d.Versions {
				dv := s.distroByID[v.ID]
				dv.id, dv.distro, dv.version, dv.number = v.ID, d.IndexName, unquoted(v.IndexName), unquoted(v.VersionNumber)
				if dv.version == "" {
					dv.version = "1" // python's version has no name in the list; paths call it python/1
				}
				dv.groups = append(dv.groups, group)
				s.distroByID[v.ID] = dv
			}
		}
	}
	return nil
}

func (s *Server) addVersion(group, index string, entry versionEntry) {
	list := s.distributions[group]
	i := slices.IndexFunc(list, func(d distribution) bool { return d.IndexName == index })
	if i < 0 {
		i = len(list)
		list = append(list, distribution{DisplayName: index, IndexName: index})
	}
	if !slices.ContainsFunc(list[i].Versions, func(v versionEntry) bool { return v.ID == entry.ID }) {
		list[i].Versions = append(list[i].Versions, entry)
	}
	s.distributions[group] = list
}

func quoted(s string) json.RawMessage {
	if s == "-" {
		return json.RawMessage("null")
	}
	b, _ := json.Marshal(s)
	return b
}

func unquoted(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

// distroByName finds an entry by a name such as "ubuntu/jammy" or
// "ubuntu/22.04", among the given groups. The version may be absent if there is
// just one.
func (s *Server) distroByName(name string, groups []string) (distroVersion, bool) {
	distro, version, _ := strings.Cut(name, "/")
	var found []distroVersion
	for _, dv := range s.distroByID {
		if dv.distro != distro || !slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(dv.groups, g) }) {
			continue
		}
		if version == "" || version == dv.version || version == dv.number {
			found = append(found, dv)
		}
	}
	if len(found) != 1 {
		return distroVersion{}, false
	}
	return found[0], true
}

func (s *Server) listDistributions(c *call) {
	writeJSON(c.w, http.StatusOK, s.distributions)
}
