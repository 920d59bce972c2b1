// Command limits measures the repository's Go code, and fails where production
// code is above a limit: 400 lines a file, 60 lines a function, a cyclomatic
// complexity of 15. Run it in the repository's root.
//
//	go run ./internal/limits           # prints the largest, fails above a limit
//	go run ./internal/limits -report   # prints all figures, never fails
//
// The file .ci/limits holds at most five exceptions and their reasons.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const maxExceptions, shown = 5, 15 // shown: the rows of a table

// kinds are what has a limit, in production code.
var kinds = []struct {
	name  string
	limit int
}{{"lines of a function", 60}, {"complexity of a function", 15}, {"lines of a file", 400}}

// size is the size of a function or file, of one of the kinds.
type size struct {
	id      string // file, or file:function
	kind, n int
}

// source is a Go file. Of a test's, only the lines are counted.
type source struct {
	path                          string
	lines, withValues, errorTypes int
	sizes                         []size
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func main() {
	report := flag.Bool("report", false, "print all figures and don't fail")
	flag.Parse()
	if err := run(*report); err != nil {
		log.New(os.Stderr, "", 0).Fatalln("limits:", err)
	}
}

func run(report bool) error {
	sources, err := readSources()
	if err != nil {
		return err
	}
	var sizes []size
	for _, s := range sources {
		sizes = append(sizes, s.sizes...)
	}
	printLargest(sizes)
	if report {
		printFolders(sources)
		return printArrows("./packagecloud")
	}
	text, err := os.ReadFile(".ci/limits")
	exceptions, wrong := parseExceptions(string(text))
	if found := violations(sizes, exceptions); len(found) > 0 {
		wrong = cmp.Or(wrong, fmt.Errorf("above the limits:\n%s", strings.Join(found, "\n")))
	}
	return cmp.Or(err, wrong)
}

// readSources measures the Go files that git knows or would add.
func readSources() ([]source, error) {
	out, err := exec.Command("git", "ls-files", "-co", "--exclude-standard", "--", "*.go").Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var sources []source
	for name := range strings.FieldsSeq(string(out)) {
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) || strings.Contains("/"+name, "/testdata/") {
			continue
		}
		s, wrong := measure(name, text)
		if sources = append(sources, s); cmp.Or(err, wrong) != nil {
			return nil, cmp.Or(err, wrong)
		}
	}
	return sources, nil
}

// measure measures a file and its functions.
func measure(name string, text []byte) (source, error) {
	s := source{path: name, lines: bytes.Count(text, []byte("\n"))}
	if s.test() {
		return s, nil
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return s, err
	}
	s.sizes = []size{{name, 2, s.lines}}
	s.withValues = bytes.Count(text, []byte("context"+".WithValue(")) // here is none
	for _, decl := range parsed.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		id := f.Name.Name
		if f.Recv != nil {
			id = strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*") + "." + id
		}
		if strings.HasSuffix(id, ".Error") {
			s.errorTypes++
		}
		lines := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1
		id = name + ":" + id
		s.sizes = append(s.sizes, size{id, 0, lines}, size{id, 1, complexity(f)})
	}
	return s, nil
}

// complexity counts as gocyclo does: 1, and 1 for each if, for, range, case, &&
// and ||, those of function literals included.
func complexity(f *ast.FuncDecl) int {
	n := 1
	ast.Inspect(f, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			n += min(len(x.List), 1) // 0 for a default
		case *ast.CommClause:
			if x.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if x.Op == token.LAND || x.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}

// parseExceptions reads .ci/limits: lines of what is excepted and why.
func parseExceptions(text string) (map[string]bool, error) {
	exceptions := map[string]bool{}
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		what, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
		if reason == "" {
			return nil, fmt.Errorf(".ci/limits: %s has no reason: write it behind the name", what)
		}
		exceptions[what] = true
	}
	if len(exceptions) > maxExceptions {
		return nil, fmt.Errorf(".ci/limits has %d exceptions: keep %d at most", len(exceptions), maxExceptions)
	}
	return exceptions, nil
}

// violations lists what is above a limit, and each exception without a use.
func violations(sizes []size, exceptions map[string]bool) []string {
	var out []string
	unused := maps.Clone(exceptions)
	for _, s := range sizes {
		kind := kinds[s.kind]
		if s.n > kind.limit && !exceptions[s.id] {
			out = append(out, fmt.Sprintf("%s: %s is %d, the limit is %d", s.id, kind.name, s.n, kind.limit))
		} else if s.n > kind.limit {
			delete(unused, s.id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(unused)) {
		out = append(out, id+": .ci/limits excepts it without need; remove the line")
	}
	return out
}

// printLargest prints the largest of each kind.
func printLargest(sizes []size) {
	for i, kind := range kinds {
		rows := slices.DeleteFunc(slices.Clone(sizes), func(s size) bool { return s.kind != i })
		slices.SortStableFunc(rows, func(a, b size) int { return cmp.Compare(b.n, a.n) })
		over, _ := slices.BinarySearchFunc(rows, kind.limit, func(s size, limit int) int { return cmp.Compare(limit, s.n) })
		fmt.Printf("\n%s: %d of %d are over %d\n", kind.name, over, len(rows), kind.limit)
		for _, s := range rows[:min(shown, len(rows))] {
			fmt.Printf("%6d  %s\n", s.n, s.id)
		}
	}
}

// printFolders prints the lines and files of each folder, who passes values by
// context, and how many types are errors.
func printFolders(sources []source) {
	folders := map[string][4]int{} // lines, of tests, files, of tests
	errorTypes, contexts := 0, ""
	for _, s := range sources {
		kind := 0
		if s.test() {
			kind = 1
		}
		for _, dir := range []string{filepath.Dir(s.path), "total"} {
			f := folders[dir]
			f[kind] += s.lines
			f[kind+2]++
			folders[dir] = f
		}
		errorTypes += s.errorTypes
		if s.withValues > 0 {
			contexts += fmt.Sprintf(" %s (%d)", s.path, s.withValues)
		}
	}
	fmt.Println("\n  lines of tests  files of tests  folder")
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		f := folders[dir]
		fmt.Printf("%7d %8d %6d %8d  %s\n", f[0], f[1], f[2], f[3], dir)
	}
	fmt.Printf("\ncontext.WithValue in:%s\ntypes that are errors: %d\n", contexts, errorTypes)
}

// printArrows prints how many pairs of a package's files are joined by calls. It
// puts the files in an order, each time that which the fewest of the rest call:
// their calls point upward.
func printArrows(pkg string) error {
	files, arrows, err := calls(pkg)
	if err != nil {
		return err
	}
	n, upward, pairs := len(files), 0, map[[2]string]bool{}
	for a := range arrows {
		pairs[[2]string{min(a[0], a[1]), max(a[0], a[1])}] = true
	}
	for len(files) > 0 {
		callers := map[string]int{}
		for a := range arrows {
			if slices.Contains(files, a[0]) {
				callers[a[1]]++
			}
		}
		next := slices.MinFunc(files, func(a, b string) int { return cmp.Compare(callers[a], callers[b]) })
		upward += callers[next]
		files = slices.DeleteFunc(files, func(f string) bool { return f == next })
	}
	fmt.Printf("%s: %d of %d pairs of its %d files are joined by calls; %d arrows, %d of them upward\n", pkg, len(pairs), n*(n-1)/2, n, len(arrows), upward)
	return nil
}

// calls returns a package's files, and which uses functions of which other.
func calls(pkg string) ([]string, map[[2]string]bool, error) {
	out, err := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export", pkg).Output()
	var target, none struct { // after the loop, target is the package itself
		ImportPath, Dir, Export string
		GoFiles                 []string
	}
	exports := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); err == nil && d.More(); {
		target = none
		err = d.Decode(&target)
		exports[target.ImportPath] = target.Export
	}
	set, parsed := token.NewFileSet(), []*ast.File(nil)
	for _, name := range target.GoFiles {
		f, wrong := parser.ParseFile(set, filepath.Join(target.Dir, name), nil, parser.SkipObjectResolution)
		parsed, err = append(parsed, f), cmp.Or(err, wrong)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", pkg, err)
	}
	config := types.Config{Importer: importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	checked, err := config.Check(target.ImportPath, set, parsed, info)
	file := func(pos token.Pos) string { return filepath.Base(set.Position(pos).Filename) }
	arrows := map[[2]string]bool{}
	for id, object := range info.Uses {
		if f, ok := object.(*types.Func); ok && f.Pkg() == checked && file(id.Pos()) != file(f.Origin().Pos()) {
			arrows[[2]string{file(id.Pos()), file(f.Origin().Pos())}] = true
		}
	}
	return target.GoFiles, arrows, err
}
