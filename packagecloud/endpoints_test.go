package packagecloud_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
)

// serviceEndpoints returns method and path of packagecloudtest's list of endpoints.
func serviceEndpoints(t *testing.T) [][2]string {
	t.Helper()
	b, err := os.ReadFile("packagecloudtest/testdata/endpoints.txt")
	if err != nil {
		t.Fatal(err)
	}
	var listed [][2]string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] != "#" {
			listed = append(listed, [2]string{f[2], f[3]})
		}
	}
	return listed
}

var wildcards = regexp.MustCompile(`\\\{[a-z_]+\\\}`)

// templatePattern matches the listed paths that a template of the client means.
// Its {package} stands for all segments that name a package; a template that
// ends in a slash is the beginning of several.
func templatePattern(template string) *regexp.Regexp {
	pattern := wildcards.ReplaceAllStringFunc(regexp.QuoteMeta(template), func(wildcard string) string {
		if wildcard == `\{package\}` {
			return `.+`
		}
		return `\{[a-z_]+\}`
	})
	if !strings.HasSuffix(template, "/") {
		pattern += "$"
	}
	return regexp.MustCompile("^" + pattern)
}

// TestEndpoints_TheServiceHasEach holds the client's table of endpoints against the
// list that packagecloudtest serves.
func TestEndpoints_TheServiceHasEach(t *testing.T) {
	listed := serviceEndpoints(t)
	seen := map[[2]string]bool{}
	for _, e := range packagecloud.Endpoints() {
		if seen[e] {
			t.Errorf("%s %s is declared twice", e[0], e[1])
		}
		seen[e] = true
		pattern := templatePattern(e[1])
		if !slices.ContainsFunc(listed, func(l [2]string) bool { return l[0] == e[0] && pattern.MatchString(l[1]) }) {
			t.Errorf("the service has no endpoint %s %s", e[0], e[1])
		}
	}
}
