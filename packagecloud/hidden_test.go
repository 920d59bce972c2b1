package packagecloud_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// plainTypes holds the exported structs that the walk leaves out. Callers fill
// the options, which reach no token. The others are parts of walked results.
var plainTypes = []string{
	"Call", "CreateRepositoryOptions", "Dependencies", "DistributionVersion", "EnvironmentOptions",
	"ListOptions", "RepositoriesOptions", "RetryPolicy", "SearchOptions",
}

// exportedStructs returns the names of the exported structs of this package.
func exportedStructs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !spec.Name.IsExported() {
				return true
			}
			if _, ok := spec.Type.(*ast.StructType); ok {
				names = append(names, spec.Name.Name)
			}
			return true
		})
	}
	return names
}

// worked returns a value of each other exported struct, after it has worked.
// The errors of an SDK, which errors.As finds, are not walked: they lie behind
// a closure.
func worked(t *testing.T, f *fixture) map[string]any {
	t.Helper()
	var opened error
	take := func(_ any, err error) {
		t.Helper()
		opened = errors.Join(opened, err)
	}
	content := packagecloud.Bytes("demo-1.asc", []byte("content of a file"))
	upload := &packagecloud.UploadOptions{Type: "anyfile"}
	pkg, err := f.repo.Upload(t.Context(), content, upload)
	take(pkg, err)
	info, err := f.repo.Info(t.Context())
	take(info, err)
	distributions, err := f.client.Distributions(t.Context())
	take(distributions, err)
	target, err := packagecloud.ParseTarget("acme/main/ubuntu/noble")
	take(target, err)
	transport, err := packagecloud.NewTransport(tokensourcetest.NewSource(f.srv.Token()), packagecloud.WithBaseURL(f.srv.URL))
	take(transport, err)
	download := &packagecloud.DownloadOptions{}
	var got strings.Builder
	take(pkg, f.repo.Download(t.Context(), pkg, &got, download))
	if opened != nil {
		t.Fatal(opened)
	}
	_, refusal := f.client.Repository("acme", "missing").Info(t.Context())
	refused, ok := errors.AsType[*packagecloud.Error](refusal)
	if !ok {
		t.Fatalf("the error is %v, want an *Error", refusal)
	}
	return map[string]any{
		"Client": f.client, "Repository": f.repo, "Transport": transport, "Content": content, "UploadOptions": upload,
		"DownloadOptions": download, "Package": pkg, "RepositoryInfo": info, "Distribution": distributions, "Target": target,
		"Error": refused, "SecretURL": pkg,
	}
}

// A new exported struct must enter one of the two tables.
//
// Guarantees: G1, K1.
func TestExportedTypes_MemoryHidesTheToken(t *testing.T) {
	f := setup(t, packagecloud.WithLogger(nil)) // the logger of the fixture knows the token
	values := worked(t, f)
	known := slices.Concat(plainTypes, slices.Collect(maps.Keys(values)))
	slices.Sort(known)
	types := exportedStructs(t)
	slices.Sort(types)
	if !slices.Equal(known, types) {
		t.Errorf("the tables have the types\n%v, but the package exports\n%v", known, types)
	}
	for _, value := range values {
		tokensourcetest.AssertHidden(t, value, f.srv.Token())
	}
}
