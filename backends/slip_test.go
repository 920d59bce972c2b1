package backends

import (
	"errors"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
)

// Guarantee C1.
// Guarantee B8.
func TestParse_RefusesSlips(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"quoted", `"env:X"`, `column 1: a quote; a spec is written without quotes, so remove it, or write %22`},
		{"quoted chain", `'env:X,file:/y'`, "element 1 of 2, column 1: a quote"},
		{"quoted element", `env:X,"file:/y"`, "element 2 of 2, column 7: a quote"},
		{"quoted name", `env:"X"`, "column 5: a quote"},
		{"quoted value", `awssm:x?region='y'`, "column 16: a quote"},
		{"quoted field", `file:/x#"token"`, "column 9: a quote"},
		{"quote at the end of a name", `env:X'`, "column 6: a quote; a spec is written without quotes, so remove it, or write %27"},
		{"quote at the end of a value", `awssm:x?region=y"`, "column 17: a quote"},
		{"quote at the end of a field", "file:/x#token`", "column 14: a quote"},
		{"typographic quotes", "“env:X”", "column 1: a quote"},
		{"typographic quotes around a name", "env:“X”", "column 5: a quote; a spec is written without quotes, so remove it, or write %E2%80%9C"},
		{"semicolon", "env:X;file:/y", "column 6: ';' between two elements; separate them by a comma alone, or write %3B"},
		{"semicolon after a comma", "env:X,env:Y;file:/y", "element 2 of 2, column 12: ';'"},
		{"semicolon before a backend that isn't linked", "env:X;vault:secret/y", "column 6: ';'"},
		{"semicolon after an option", "awssm:x?region=y;env:X", "column 17: ';'"},
		{"semicolon after a field", "file:/x#token;env:X", "column 14: ';'"},
		{"semicolon at the end", "env:X;", "column 6: ';'"},
		{"bar", "env:X|file:/y", "column 6: '|' between two elements; separate them by a comma alone, or write %7C"},
		{"space", "env:X file:/y", "column 6: white space between two elements; separate them by a comma alone"},
		{"spaces", "env:X   file:/y", "column 6: white space between"},
		{"line break", "env:X\nfile:/y", "column 6: white space between"},
		{"CRLF", "env:X\r\nfile:/y", "column 6: white space between"},
		{"tab", "env:X\tfile:/y", "column 6: white space between"},
		{"comma and line break", "env:X,\nfile:/y", "element 2 of 2, column 7: a line break"},
		{"line break at the end", "env:X\n", "column 6: a line break"},
		{"BOM", "\ufeffenv:X", "column 1: a character that doesn't print"},
		{"blank", " ", "column 1: a space"},
		{"doubled scheme of env", "env://X", "column 5: a source is no URL; write it without //, such as env:NAME"},
		{"doubled scheme of file", "file:///run/token", "column 6: a source is no URL; write it without //, such as file:/run/secrets/token"},
		{"doubled scheme of awssm", "env:X,awssm://prod/pkg", "element 2 of 2, column 13: a source is no URL; write it without //, such as awssm:prod/packagecloud"},
		{"upper-case scheme", "Env:X", `column 1: expected a scheme, of lower-case letters and digits, before the colon; did you mean "env"?`},
		{"variable of Windows", "env:%X%", "column 5: %NAME% is not expanded; write a variable as env:NAME"},
		{"variable of Windows, of hexadecimal digits", "env:%CAFE%", "column 5: %NAME% is not expanded"},
		{"trailing comma", "env:X,", "element 2 of 2, column 7: the element is empty"},
		{"empty field", "file:/x#", "column 9: expected a field"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source, err := Parse(test.in, fakes()...)
			if source != nil || !errors.Is(err, tokensource.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse(%q) = %v, %v, want ErrInvalid with %q", test.in, source, err, test.want)
			}
		})
	}
}

// What may be part of a name is written percent-encoded, or stands where nobody
// takes it for a slip.
func TestParse_TakesNamesThatLookLikeSlips(t *testing.T) {
	own := fake("op")
	for in, want := range map[string]Spec{
		"file:%22/x%22":      {Scheme: "file", Name: `"/x"`},
		"file:/it's;a|b":     {Scheme: "file", Name: "/it's;a|b"},
		"file:/a;b:c":        {Scheme: "file", Name: "/a;b:c"},
		"file:/a%3Benv:X":    {Scheme: "file", Name: "/a;env:X"},
		"file:/a%3B":         {Scheme: "file", Name: "/a;"},
		"awssm:/%2Fprod/pkg": {Scheme: "awssm", Name: "//prod/pkg"},
		"file:/a//b":         {Scheme: "file", Name: "/a//b"},
		"file:%25X%25":       {Scheme: "file", Name: "%X%"},
		"op://ci/pkg/token":  {Scheme: "op", Name: "//ci/pkg/token"},
	} {
		source, err := Parse(in, append(fakes(), own)...)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got := source.(*opened).spec
		if got.Name != want.Name || got.Scheme != want.Scheme {
			t.Errorf("%s: opened %#v, want %#v", in, got, want)
		}
		if _, err := Parse(got.String(), append(fakes(), own)...); err != nil {
			t.Errorf("%s is spelled %s, which is refused: %v", in, got, err)
		}
	}
}
