package packagecloud

import (
	"fmt"
	"strings"
)

// Target is a place that packages are sent to.
type Target struct {
	Owner, Repository string
	// Distribution is one such as "ubuntu/noble", or "python"; empty if the target
	// is a whole repository.
	Distribution string
}

// ParseTarget reads "user/repo[/distribution[/version]]", as the official command
// line tool does: "acme/main/ubuntu/noble", "acme/main/python" or "acme/main".
// Whether the server has the distribution shows when the target is used.
func ParseTarget(s string) (Target, error) {
	parts := strings.SplitN(strings.TrimSuffix(s, "/"), "/", 5)
	bad := func(why string) (Target, error) {
		return Target{}, fmt.Errorf("packagecloud: the target %q %s; it should look like user/repo/ubuntu/noble, user/repo/python or user/repo: %w", shorten(s, 200), why, ErrInvalid)
	}
	switch {
	case strings.Contains(s, "://"):
		return bad("is a URL")
	case len(parts) < 2:
		return bad("names no repository")
	case len(parts) > 4:
		return bad("has too many parts")
	}
	for _, part := range parts {
		if checkName(part) != nil || strings.ContainsAny(part, " \t?#") {
			return bad("has a part that can't be a name")
		}
	}
	return Target{Owner: parts[0], Repository: parts[1], Distribution: strings.Join(parts[2:], "/")}, nil
}

// String returns the target as [ParseTarget] reads it.
func (t Target) String() string {
	return strings.TrimSuffix(t.Owner+"/"+t.Repository+"/"+t.Distribution, "/")
}
