package packagecloud_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// servicePaths returns the paths of packagecloudtest's list of endpoints.
func servicePaths(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("packagecloudtest/testdata/endpoints.txt")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] != "#" {
			paths = append(paths, f[3])
		}
	}
	return paths
}

var (
	isTemplate = regexp.MustCompile(`^/(api/v1/|\{owner\}/)[^?]*`)
	wildcards  = regexp.MustCompile(`\\\{[a-z_]+\\\}`)
)

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

// TestEndpoints_EachTemplateIsAPathOfTheService reads the client's source: each
// string that looks like an endpoint's template must be one on the list.
func TestEndpoints_EachTemplateIsAPathOfTheService(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	paths := servicePaths(t)
	checked := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			template := isTemplate.FindString(text)
			if err != nil || template == "" {
				return true
			}
			checked++
			if !matchesAny(templatePattern(template), paths) {
				t.Errorf("%s: the service has no endpoint %s", set.Position(lit.Pos()), template)
			}
			return true
		})
	}
	if checked < 10 {
		t.Errorf("only %d templates were found: is the pattern of a template out of date?", checked)
	}
}

func matchesAny(pattern *regexp.Regexp, paths []string) bool {
	for _, path := range paths {
		if pattern.MatchString(path) {
			return true
		}
	}
	return false
}
