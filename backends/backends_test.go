package backends

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// opened is a source that remembers the spec it was opened with.
type opened struct{ spec Spec }

func (o *opened) Token(context.Context) (tokensource.Token, error) {
	return tokensource.Token{}, tokensource.NewError(o.String(), tokensource.ErrNotFound, "it is a fake", nil)
}

func (o *opened) String() string { return o.spec.String() }

// fake is an opener whose sources take the options region and private.
func fake(scheme string) Opener {
	return Opener{Scheme: scheme, Open: func(s Spec) (tokensource.TokenSource, error) {
		if err := s.CheckOptions("region", "private"); err != nil {
			return nil, err
		}
		if _, err := s.Bool("private"); err != nil {
			return nil, err
		}
		if s.Field == "forbidden" {
			return nil, s.FieldError("this one takes no field")
		}
		return &opened{s}, nil
	}}
}

func fakes() []Opener { return []Opener{fake("env"), fake("file"), fake("awssm")} }

// Guarantee B8.
func TestParse_ReadsTheGrammar(t *testing.T) {
	for _, test := range []struct {
		in   string
		want Spec
	}{
		{"env:PACKAGECLOUD_TOKEN", Spec{Scheme: "env", Name: "PACKAGECLOUD_TOKEN"}},
		{"file:/run/secrets/token#api_key", Spec{Scheme: "file", Name: "/run/secrets/token", Field: "api_key"}},
		{`file:C:\Users\ci\token`, Spec{Scheme: "file", Name: `C:\Users\ci\token`}},
		{"file:~/.packagecloud", Spec{Scheme: "file", Name: "~/.packagecloud"}},
		{"awssm:prod/x?region=eu-west-1#token", Spec{Scheme: "awssm", Name: "prod/x", Options: map[string]string{"region": "eu-west-1"}, Field: "token"}},
		{"awssm:arn:aws:secretsmanager:eu-west-1:123:secret:x", Spec{Scheme: "awssm", Name: "arn:aws:secretsmanager:eu-west-1:123:secret:x"}},
		{"awssm:x?private=true&region=", Spec{Scheme: "awssm", Name: "x", Options: map[string]string{"private": "true", "region": ""}}},
		{"awssm:x?region=a=b", Spec{Scheme: "awssm", Name: "x", Options: map[string]string{"region": "a=b"}}},
		{"file:a%20b%2Cc%3Fd%23e%25f&g=h#i%2cj&k=l", Spec{Scheme: "file", Name: "a b,c?d#e%f&g=h", Field: "i,j&k=l"}},
		{"awssm:x?region=%26%3D%2C%3F%23%25%20", Spec{Scheme: "awssm", Name: "x", Options: map[string]string{"region": "&=,?#% "}}},
		{"file:/tmp/schlüssel", Spec{Scheme: "file", Name: "/tmp/schlüssel"}},
		{"file:/a+b", Spec{Scheme: "file", Name: "/a+b"}},
	} {
		source, err := Parse(test.in, fakes()...)
		if err != nil {
			t.Errorf("%s: %v", test.in, err)
			continue
		}
		if got := source.(*opened).spec; !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: opened %#v, want %#v", test.in, got, test.want)
		}
	}
}

func TestParse_OneElementIsTheSourceItselfAndSeveralAChain(t *testing.T) {
	one, err := Parse("env:A", fakes()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := one.(*opened); !ok {
		t.Errorf("one element gave a %T, want the opener's own source", one)
	}
	const spec = "env:A,file:/x#token,awssm:arn:aws:secretsmanager:eu-west-1:123:secret:x?region=eu-west-1"
	several, err := Parse(spec, fakes()...)
	if err != nil {
		t.Fatal(err)
	}
	chain, ok := several.(*tokensource.ChainSource)
	if !ok {
		t.Fatalf("several elements gave a %T, want a chain", several)
	}
	if got := chain.String(); got != spec {
		t.Errorf("the chain spells itself %q, want %q", got, spec)
	}
	_, err = chain.Token(t.Context())
	tried, _ := errors.AsType[*tokensource.ChainError](err)
	if tried == nil || len(tried.Attempts) != 3 || !strings.Contains(tried.Attempts[0].Error(), "env:A") {
		t.Errorf("the chain tried %v, want the three elements in their order", err)
	}
}

// Guarantee B8.
func TestParse_PointsAtTheFault(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"empty", "", "the spec is empty"},
		{"no scheme", "PACKAGECLOUD_TOKEN", "column 1: there is no scheme"},
		{"scheme alone", "env", "column 4: expected a colon and a name"},
		{"no name", "env:", `column 5: expected a name after "env:"`},
		{"no name but a field", "env:#x", "column 5: expected a name"},
		{"empty element", "env:A,,file:/x", "element 2 of 3, column 7: the element is empty"},
		{"trailing comma", "env:A,", "element 2 of 2, column 7: the element is empty"},
		{"leading comma", ",env:A", "element 1 of 2, column 1: the element is empty"},
		{"space after comma", "env:A, file:/x", "element 2 of 2, column 7: a space"},
		{"space in a name", "file:/a b", "column 8: a space; remove it, or write %20"},
		{"line break", "env:A\n", "column 6: a line break"},
		{"no-break space", "env:A\u00a0", "column 6: a character that doesn't print"},
		{"broken UTF-8", "env:A\xff", "column 6: a character that doesn't print"},
		{"percent", "file:/100%", "column 10: expected two hexadecimal digits after %"},
		{"percent and one digit", "file:/%4", "column 7: expected two hexadecimal digits"},
		{"percent and no digits", "file:/%zz", "column 7: expected two hexadecimal digits"},
		{"percent and a sign", "file:/%+4", "column 7: expected two hexadecimal digits"},
		{"percent in a value", "awssm:x?region=%q1", "column 16: expected two hexadecimal digits"},
		{"percent in a field", "awssm:x#a%", "column 10: expected two hexadecimal digits"},
		{"no field", "file:/x#", "column 9: expected a field after the #"},
		{"two fields", "file:/x#a#b", "column 10: a second #"},
		{"options after field", "awssm:x#token?region=y", "column 14: a ? after the #"},
		{"no options", "awssm:x?", "column 9: expected an option, key=value"},
		{"option without value", "awssm:x?region", "column 9: expected an option, key=value"},
		{"option without key", "awssm:x?=y", "column 9: expected an option, key=value"},
		{"two question marks", "awssm:x?region=a?b=c", "column 17: a second ?"},
		{"option after ampersand", "awssm:x?region=y&", "column 18: expected an option"},
		{"option twice", "awssm:x?region=y&region=z", "column 18: the option is there twice"},
		{"unknown option", "env:A,awssm:x?region=y&colour=z", `element 2 of 2, column 24: "awssm" has no option "colour"; it takes region, private`},
		{"misspelt option", "awssm:x?regoin=y", `column 9: "awssm" has no option "regoin"; did you mean "region"?`},
		{"not a boolean", "awssm:x?region=y&private=yes", `column 18: option "private" is true or false`},
		{"field not taken", "env:A,awssm:x#forbidden", "element 2 of 2, column 15: this one takes no field"},
		{"columns count characters", "file:/schlüssel,fil:/x", "element 2 of 2, column 17: unknown scheme"},
		{"upper case", "ENV:A", `column 1: expected a scheme, of lower-case letters and digits, before the colon; did you mean "env"?`},
		{"drive letter", `C:\token`, "column 1: expected a scheme"},
		{"a URL", "https://packagecloud.io", `column 1: unknown scheme "https"; this program knows env, file, awssm`},
		{"misspelt linked", "env:A,flie:/x", `element 2 of 2, column 7: unknown scheme "flie"; did you mean "file"?`},
		{"neighbours swapped", "evn:A", `column 1: unknown scheme "evn"; did you mean "env"?`},
		{"misspelt unlinked", "valt:x", `column 1: unknown scheme "valt"; did you mean "vault"? It isn't linked into this program; import "github.com/packagecloud-go/sdk/backends/vault" and pass vault.Opener() to backends.Parse or packagecloud.EnvironmentOptions`},
		{"unlinked", "vault:secret/x#api_key", `column 1: the backend "vault" isn't linked into this program; import "github.com/packagecloud-go/sdk/backends/vault" and pass vault.Opener() to backends.Parse or packagecloud.EnvironmentOptions`},
	} {
		t.Run(test.name, func(t *testing.T) {
			source, err := Parse(test.in, fakes()...)
			if err == nil || source != nil {
				t.Fatalf("Parse(%q) = %v, %v, want an error alone", test.in, source, err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse(%q):\n got %v\nwant ...%s...", test.in, err, test.want)
			}
			if !errors.Is(err, tokensource.ErrInvalid) {
				t.Errorf("the error %v is not ErrInvalid", err)
			}
			if _, ok := errors.AsType[*tokensource.Error](err); !ok {
				t.Errorf("the error is a %T, want a *tokensource.Error", err)
			}
		})
	}
}

// Guarantee B8.
func TestParse_DoesNotRepeatWhatMayBeAToken(t *testing.T) {
	const hex = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"
	const odd = "Zx9-sekrit_value.0815-long"
	for _, in := range []string{
		hex, strings.ToUpper(hex), hex + ":", hex + ",env:A", "env:" + hex, "env:A," + hex,
		"file:/x#" + hex, "awssm:x?region=" + hex, "awssm:x?" + hex + "=y",
		"https://" + hex + ":@packagecloud.io/", "env:A=" + hex, "  " + hex + "\n",
		odd, odd + ":", "https://" + odd + ":@packagecloud.io", "env:A," + odd, odd + "%", "awssm:x?" + odd + "=y=%",
		"user:" + odd, "awssm:x?private=" + odd, "zxsekritvalueoverlongwithoutdigits:x",
	} {
		_, err := Parse(in, fakes()...)
		if err == nil {
			t.Errorf("Parse accepted %q", in)
			continue
		}
		tokensourcetest.AssertNoSecret(t, err, hex, odd, "zxsekritvalue")
		if strings.Contains(strings.ToLower(in), hex) && !strings.Contains(err.Error(), "looks like a token") {
			t.Errorf("the error of %q doesn't say what it looks like: %v", in, err)
		}
	}
}

func TestParse_AcceptsOtherHexadecimalNames(t *testing.T) {
	for _, n := range []int{32, 40, 47, 49, 64, 96} {
		if _, err := Parse("file:/store/"+strings.Repeat("a", n), fakes()...); err != nil {
			t.Errorf("%d digits: %v", n, err)
		}
	}
}

func TestParse_RefusesOpenersThatCannotServe(t *testing.T) {
	for _, test := range []struct {
		name    string
		openers []Opener
		want    string
	}{
		{"none", nil, "links no backend"},
		{"twice", []Opener{fake("env"), fake("file"), fake("env")}, `two openers for "env"`},
		{"no scheme", []Opener{{Open: fake("env").Open}}, "opener 1 has no usable scheme"},
		{"bad scheme", []Opener{fake("env"), fake("a:b")}, "opener 2 has no usable scheme"},
		{"no function", []Opener{fake("env"), {Scheme: "file"}}, `the opener for "file" has no Open`},
		{"no source", []Opener{{Scheme: "env", Open: func(Spec) (tokensource.TokenSource, error) { return nil, nil }}}, "an opener returned no source"},
		{"typed nil", []Opener{{Scheme: "env", Open: func(Spec) (tokensource.TokenSource, error) { return (*opened)(nil), nil }}}, "an opener returned no source"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source, err := Parse("env:A", test.openers...)
			if err == nil || source != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse = %v, %v, want an error with %q", source, err, test.want)
			}
			if !errors.Is(err, tokensource.ErrInvalid) {
				t.Errorf("the error %v is not ErrInvalid", err)
			}
		})
	}
}

func TestParse_OpensNothingWhenASchemeIsUnknown(t *testing.T) {
	count := 0
	counting := Opener{Scheme: "env", Open: func(s Spec) (tokensource.TokenSource, error) {
		count++
		return &opened{s}, nil
	}}
	if _, err := Parse("env:A,nope:B", counting); err == nil || count != 0 {
		t.Errorf("opened %d sources, error %v, want none opened and an error", count, err)
	}
}

func TestParse_KeepsAnOpenersErrorAndWithholdsForeignText(t *testing.T) {
	const canary = "canary-of-an-sdk-0815"
	foreign := fmt.Errorf("dial https://%s@vault", canary)
	openWith := func(err error) Opener {
		return Opener{Scheme: "env", Open: func(Spec) (tokensource.TokenSource, error) { return nil, err }}
	}
	_, err := Parse("file:/x,env:A", fake("file"), openWith(foreign))
	tokensourcetest.AssertNoSecret(t, err, canary)
	if !errors.Is(err, foreign) || !errors.Is(err, tokensource.ErrInvalid) {
		t.Errorf("errors.Is doesn't reach the cause and ErrInvalid in %v", err)
	}
	if !strings.Contains(err.Error(), "element 2 of 2, column 9: the backend failed with a *fmt.wrapError") &&
		!strings.Contains(err.Error(), "element 2 of 2, column 9: the backend failed with a *errors.errorString") {
		t.Errorf("the error doesn't point at the element: %v", err)
	}

	denied := tokensource.NewError("env:A", tokensource.ErrDenied, "log in first", foreign)
	_, err = Parse("env:A", openWith(denied))
	tokensourcetest.AssertNoSecret(t, err, canary)
	if !errors.Is(err, tokensource.ErrDenied) || !strings.Contains(err.Error(), "column 1: env:A: log in first") {
		t.Errorf("got %v, want the opener's kind and message", err)
	}
}

// Guarantee B8.
func TestSpec_RoundTrips(t *testing.T) {
	for _, want := range []Spec{
		{Scheme: "env", Name: "A"},
		{Scheme: "awssm", Name: "arn:aws:secretsmanager:eu-west-1:123:secret:x"},
		{Scheme: "x", Name: "%,?# &=", Options: map[string]string{"%,?# &=": "%,?# &=", "a": ""}, Field: "%,?# &="},
		{Scheme: "x", Name: "\x00\n\u202e\u2028\ufffd\xff\xc3é"},
		{Scheme: "x", Name: "a", Options: map[string]string{"b": "1", "a": "2", "c": "3"}},
	} {
		text := want.String()
		got, err := scan(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if len(got) != 1 || !reflect.DeepEqual(got[0].spec, want) {
			t.Errorf("%q: got %#v, want %#v", text, got, want)
		}
	}
}

func TestSpec_StringLeavesNamesReadable(t *testing.T) {
	s := Spec{Scheme: "awssm", Name: "arn:aws:s/x&y=z", Options: map[string]string{"stage": "A&B", "region": "a:b/c"}, Field: "k=é"}
	const want = "awssm:arn:aws:s/x&y=z?region=a:b/c&stage=A%26B#k=é"
	if got := s.String(); got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func TestSpec_StringSortsOptions(t *testing.T) {
	s := Spec{Scheme: "x", Name: "y", Options: map[string]string{"d": "4", "a": "1", "e": "5", "c": "3", "b": "2", "f": "6"}}
	for range 5 {
		if got := s.String(); got != "x:y?a=1&b=2&c=3&d=4&e=5&f=6" {
			t.Fatalf("String() = %q", got)
		}
	}
}

// Guarantee B8.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"env:PACKAGECLOUD_TOKEN,vault:secret/packagecloud#api_key,awssm:prod/packagecloud?region=eu-west-1#token",
		"awssm:arn:aws:secretsmanager:eu-west-1:123:secret:x", "x:%25%2C?a=%26&b=#%23", "x:\xff", "x:%ff%00", "a:b?c=d=e", "", ",", "env",
		"f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		elements, err := scan(text)
		if err != nil {
			if !errors.Is(err, tokensource.ErrInvalid) || !strings.HasPrefix(err.Error(), errorSource+": ") {
				t.Errorf("a wrong kind of error: %v", err)
			}
			return
		}
		var specs []Spec
		var spelled []string
		for _, e := range elements {
			if e.spec.Name == "" || !isScheme(e.spec.Scheme) {
				t.Errorf("accepted %#v", e.spec)
			}
			specs = append(specs, e.spec)
			spelled = append(spelled, e.spec.String())
		}
		again, err := scan(strings.Join(spelled, ","))
		if err != nil {
			t.Fatalf("%q was accepted, and its spelling %q refused: %v", text, spelled, err)
		}
		for i, e := range again {
			if !reflect.DeepEqual(e.spec, specs[i]) || len(again) != len(specs) {
				t.Errorf("%#v came back as %#v", specs[i], e.spec)
			}
			if e.spec.String() != spelled[i] {
				t.Errorf("%q is spelled %q the second time", spelled[i], e.spec.String())
			}
		}
	})
}

// Guarantee B8.
func FuzzSpec(f *testing.F) {
	f.Add("name", "key", "value", "field")
	f.Add("%,?# ", "&=", "\xff\x00", "\u202e")
	f.Fuzz(func(t *testing.T, name, key, value, field string) {
		if name == "" || key == "" {
			return
		}
		want := Spec{Scheme: "x", Name: name, Options: map[string]string{key: value}, Field: field}
		text := want.String()
		got, err := scan(text)
		if err != nil {
			if strings.Contains(err.Error(), "looks like a token") {
				return
			}
			t.Fatalf("%q: %v", text, err)
		}
		if len(got) != 1 || !reflect.DeepEqual(got[0].spec, want) {
			t.Errorf("%q: got %#v, want %#v", text, got, want)
		}
	})
}
