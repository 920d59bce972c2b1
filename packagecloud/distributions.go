package packagecloud

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// distributionsFor is how long the list is kept: new releases of operating
// systems come a few times a year.
const distributionsFor = time.Hour

// distributionsAgain is the age from which the list is fetched for a name that
// isn't in it, and the time until the next try after a failure.
const distributionsAgain = time.Minute

// Distribution is an operating system, or the one entry of a type of package
// that has none.
// https://packagecloud.io/docs/api#object_Distribution
type Distribution struct {
	DisplayName string                `json:"display_name"`
	IndexName   string                `json:"index_name"` // such as "ubuntu"
	Versions    []DistributionVersion `json:"versions"`
}

// UnmarshalJSON takes the values that are missing, null or of another kind.
func (d *Distribution) UnmarshalJSON(data []byte) error {
	var w struct {
		DisplayName text                      `json:"display_name"`
		IndexName   text                      `json:"index_name"`
		Versions    list[DistributionVersion] `json:"versions"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return errors.New("packagecloud: a distribution isn't a JSON object")
	}
	*d = Distribution{string(w.DisplayName), string(w.IndexName), w.Versions}
	return nil
}

// DistributionVersion is a release of a distribution.
type DistributionVersion struct {
	ID            int    `json:"id"`
	DisplayName   string `json:"display_name"`
	IndexName     string `json:"index_name"`     // such as "noble"; empty for Python
	VersionNumber string `json:"version_number"` // such as "24.04"; may be empty
}

// UnmarshalJSON takes the values that are missing, null or of another kind.
func (v *DistributionVersion) UnmarshalJSON(data []byte) error {
	var w struct {
		ID            number `json:"id"`
		DisplayName   text   `json:"display_name"`
		IndexName     text   `json:"index_name"`
		VersionNumber text   `json:"version_number"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return errors.New("packagecloud: a distribution's version isn't a JSON object")
	}
	*v = DistributionVersion{int(w.ID), string(w.DisplayName), string(w.IndexName), string(w.VersionNumber)}
	return nil
}

// Distributions returns the distributions by group of package types: "deb",
// "dsc", "rpm", "py", "jar", "node", "alpine", "anyfile", "helm". Gems have none.
// https://packagecloud.io/docs/api#resource_distributions
func (c *Client) Distributions(ctx context.Context) (map[string][]Distribution, error) {
	out, err := get(ctx, c, distributionsIndex.on(distributionsIndex.path), func(groups *map[string]list[Distribution]) bool {
		for _, group := range *groups { // any of them will do: new groups may have another form
			if slices.ContainsFunc(group, func(d Distribution) bool { return d.IndexName != "" }) {
				return true
			}
		}
		return false
	})
	if errors.Is(err, ErrNotFound) { // every server has it
		if base, failure := c.http.Auth.BaseURL(ctx); failure == nil {
			err = fmt.Errorf("%w; is the base URL right, %s?", err, base.Redacted())
		}
	}
	if err != nil {
		return nil, err
	}
	groups := make(map[string][]Distribution, len(*out))
	for group, distributions := range *out {
		groups[group] = distributions
	}
	return groups, nil
}

type distributionCache struct {
	mu      sync.Mutex
	groups  map[string][]Distribution
	fetched time.Time
}

// get returns the list, at most maxAge old. It is fetched without the lock, so
// that a caller's context ends its wait; a second fetch does no harm. With an
// error it returns the list as it was, if there is one.
func (d *distributionCache) get(ctx context.Context, c *Client, maxAge time.Duration) (map[string][]Distribution, error) {
	d.mu.Lock()
	old, fetched := d.groups, d.fetched
	d.mu.Unlock()
	if old != nil && time.Since(fetched) < maxAge {
		return old, nil
	}
	groups, err := c.Distributions(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil && ctx.Err() != nil:
		return old, err
	case err != nil:
		// The next uploads needn't wait for a list that can't be had now.
		d.fetched = time.Now().Add(distributionsAgain - distributionsFor)
		return old, err
	}
	d.groups, d.fetched = groups, time.Now()
	return groups, nil
}

// groupOf maps a package's type to its group of distributions.
func groupOf(typ string) string {
	switch typ {
	case "python":
		return "py"
	case "java":
		return "jar"
	}
	return typ
}

// place is one version of a distribution: its name, such as "ubuntu/noble", and
// the number that an upload must send for it.
type place struct {
	id   int
	name string
}

// place finds the one for a name such as "ubuntu/noble" or "ubuntu/24.04",
// exactly and within the type's group. A group with a single version needs no
// name.
func (c *Client) place(ctx context.Context, typ, name string) (place, error) {
	var notThere error
	for _, maxAge := range []time.Duration{distributionsFor, distributionsAgain} {
		groups, err := c.distributions.get(ctx, c, maxAge)
		if err != nil && ctx.Err() != nil {
			return place{}, err
		}
		var found place
		if found, notThere = lookup(groups, groupOf(typ), name); notThere == nil {
			return found, nil // in an old list, too: the numbers don't change
		}
		if err != nil {
			return place{}, err
		}
	}
	return place{}, notThere
}

func lookup(groups map[string][]Distribution, group, name string) (place, error) {
	matches, all := match(groups[group], name)
	switch {
	case len(matches) == 1:
		return matches[0], nil
	case len(matches) > 1:
		return place{}, fmt.Errorf("packagecloud: the distribution %q is ambiguous for %s packages: %w", shorten(name, 100), group, ErrInvalid)
	case len(all) == 0:
		return place{}, fmt.Errorf("packagecloud: the server has no distributions for %s packages; correct UploadOptions.Type: %w", shorten(group, 100), ErrInvalid)
	case name == "" && len(all) == 1:
		return all[0], nil
	case name == "":
		return place{}, fmt.Errorf("packagecloud: %s packages need UploadOptions.Distribution, such as %s: %w", group, near(groups[group], "ubuntu/noble")[0], ErrInvalid)
	}
	for _, other := range slices.Sorted(maps.Keys(groups)) {
		if matches, _ := match(groups[other], name); len(matches) > 0 {
			return place{}, fmt.Errorf("packagecloud: the distribution %q takes %s packages, not %s: %w", shorten(name, 100), other, group, ErrInvalid)
		}
	}
	if newest := newest(groups[group], name); newest != nil {
		return place{}, fmt.Errorf("packagecloud: the distribution %q lacks a version; add one, such as %s: %w", shorten(name, 100), strings.Join(newest, " or "), ErrInvalid)
	}
	return place{}, fmt.Errorf("packagecloud: the server has no distribution %q for %s packages; near are %s: %w",
		shorten(name, 100), group, strings.Join(near(groups[group], name), ", "), ErrInvalid)
}

// match returns the places that name stands for, and all there are.
func match(distributions []Distribution, name string) (matches, all []place) {
	index, version, _ := strings.Cut(name, "/")
	for _, d := range distributions {
		for _, v := range d.Versions {
			p := place{v.ID, strings.TrimSuffix(d.IndexName+"/"+v.IndexName, "/")}
			all = append(all, p)
			if d.IndexName == index && (version == "" && len(d.Versions) == 1 ||
				version != "" && (v.IndexName == version || v.VersionNumber == version || v.IndexName == "" && version == "1" || d.onlyRelease(v, version))) {
				matches = append(matches, p)
			}
		}
	}
	return matches, all
}

// onlyRelease reports whether v is 12.0, version is 12, and d has no 12.1.
func (d *Distribution) onlyRelease(v DistributionVersion, version string) bool {
	return v.VersionNumber == version+".0" && !slices.ContainsFunc(d.Versions, func(other DistributionVersion) bool {
		return other.ID != v.ID && (other.IndexName == version || other.VersionNumber == version || strings.HasPrefix(other.VersionNumber, version+"."))
	})
}

// newest returns the names of the newest versions of a distribution that was named
// without one, and nil if there is no such distribution.
func newest(distributions []Distribution, name string) []string {
	for _, d := range distributions {
		if d.IndexName != strings.TrimSuffix(name, "/") {
			continue
		}
		versions := slices.SortedFunc(slices.Values(d.Versions), func(a, b DistributionVersion) int { return b.ID - a.ID })
		var names []string
		for _, v := range versions[:min(len(versions), 3)] {
			names = append(names, d.IndexName+"/"+cmp.Or(v.IndexName, v.VersionNumber))
		}
		return names
	}
	return nil
}

// near returns the names that look most like name.
func near(distributions []Distribution, name string) []string {
	name = name[:min(len(name), 100)]
	distribution, version, _ := strings.Cut(name, "/")
	type candidate struct {
		name     string
		distance int
	}
	var all []candidate
	for _, d := range distributions {
		for _, v := range d.Versions {
			full := d.IndexName
			if v.IndexName != "" {
				full += "/" + v.IndexName
			}
			distance := min(editDistance(full, name), editDistance(d.IndexName+"/"+v.VersionNumber, name),
				editDistance(v.IndexName, name)+1, editDistance(v.VersionNumber, name)+1)
			if d.IndexName == distribution { // before any other's
				distance -= 1000
			}
			if version != "" && strings.HasPrefix(v.VersionNumber, version+".") {
				distance -= 100
			}
			all = append(all, candidate{full, distance})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return a.distance - b.distance })
	var names []string
	for _, c := range all[:min(len(all), 3)] {
		names = append(names, c.name)
	}
	return names
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// searchable is a distribution as the search knows it: those of a single
// version are found without.
func searchable(distribution string) string {
	switch index, _, _ := strings.Cut(distribution, "/"); index {
	case "python", "node", "java", "anyfile", "helm", "gems", "RubyGem":
		return ""
	}
	return distribution
}
