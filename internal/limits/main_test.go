package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestMeasure_CountsAsGocyclo(t *testing.T) {
	s, err := measure("a/b.go", []byte(`package b

type list[T any] struct{}

func (l *list[T]) walk(n int, in chan int) {
	for i := range n {
		if i > 1 && i < 3 || i == 7 {
			switch i {
			case 1, 2:
			default:
			}
		}
	}
	select {
	case <-in:
	default:
	}
	_ = func() { for {} }
}

func (e list[T]) Error() string { return "" }
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []size{{"a/b.go", 2, 21}, {"a/b.go:list[T].walk", 0, 15}, {"a/b.go:list[T].walk", 1, 8},
		{"a/b.go:list[T].Error", 0, 1}, {"a/b.go:list[T].Error", 1, 1}}
	if !slices.Equal(s.sizes, want) || s.errorTypes != 1 {
		t.Errorf("%+v, want %+v", s, want)
	}
}

func TestViolations(t *testing.T) {
	sizes := []size{{"a.go", 2, 401}, {"a.go:f", 0, 61}, {"a.go:f", 1, 16}, {"a.go:g", 0, 60}, {"a.go:g", 1, 15}, {"b.go", 2, 400}}
	for _, test := range []struct {
		exceptions string
		want       []string
	}{
		{"", []string{"a.go: lines of a file is 401", "a.go:f: lines of a function is 61", "a.go:f: complexity of a function is 16"}},
		{"# why\n\na.go:f one table\n", []string{"a.go: lines"}},
		{"a.go one table\na.go:f another\n", nil},
		{"a.go x\na.go:f x\na.go:g no need\n", []string{"a.go:g: .ci/limits excepts it without need"}},
	} {
		exceptions, err := parseExceptions(test.exceptions)
		if err != nil {
			t.Fatal(err)
		}
		got := violations(sizes, exceptions)
		if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
			t.Errorf("with %q: %q, want %q", test.exceptions, got, test.want)
		}
	}
}

func TestParseExceptions_Refuses(t *testing.T) {
	many := ""
	for i := range maxExceptions + 1 {
		many += fmt.Sprintf("%d.go reason\n", i)
	}
	for _, text := range []string{"a.go\n", "a.go   \n", many} {
		if got, err := parseExceptions(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
