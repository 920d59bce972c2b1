// Package backends makes a token source, or a chain of them, of one string, so
// that a CI job chooses where its token lives without a change of code:
//
//	env:PACKAGECLOUD_TOKEN,vault:secret/packagecloud#api_key,awssm:prod/packagecloud?region=eu-west-1#token
//
// The program names the backends it links, and [Parse] does the rest:
//
//	source, err := backends.Parse(spec, env.Opener(), file.Opener(), vault.Opener())
//
// # Grammar
//
//	chain   = element *( "," element )
//	element = scheme ":" name [ "?" option *( "&" option ) ] [ "#" field ]
//	option  = key "=" value
//
// The elements of a chain are asked in order; see [tokensource.Chain]. What name,
// options and field mean is up to the backend that scheme selects: a field, where
// it has a meaning, picks one value of a secret that is a JSON object.
//
// A scheme is of lower-case letters, digits, "+", "-" and ".", and begins with a
// letter. Names, keys and fields are not empty; values may be. The bytes
//
//	%  ,  ?  #  space
//
// are written as a percent sign and two hexadecimal digits wherever they are part
// of a name, key, value or field (%25 %2C %3F %23 %20), and so are "&" (%26) in
// keys and values and "=" (%3D) in keys. Control characters are too. All else
// stands for itself, the colons and slashes of an ARN, a path or a URL included:
//
//	awssm:arn:aws:secretsmanager:eu-west-1:123456789012:secret:packagecloud-AbCdEf
//
// This is not the grammar of net/url. There is no default scheme and no quoting,
// and white space around elements is an error.
//
// # Slips
//
// A chain goes on to its next element where there is no token, so that a slip could
// select another one. [Parse] refuses, and says how to spell:
//
//	"env:X"            quotes around a part; %22 and %27 are quotes of a name
//	env:X;file:/y      another sign than a comma: ; | a space, a line break
//	env://X            the // of a URL, after a scheme of this repository
//	env:%X%            a variable, which nothing expands
//
// Each backend refuses names that no secret of its store can have, and says which.
// What only the store can tell is [tokensource.ErrInvalid] when the token is read.
//
// A spec says where a token is and never what it is. It is shown in logs and
// errors, as the origin of tokens.
//
//	file:          what it holds
//	backends.go    Parse and Opener
//	spec.go        Spec and how it is spelled
//	scan.go        the parser
package backends

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/packagecloud-go/sdk/tokensource"
)

// Opener is a backend as [Parse] sees it. Each package below this one has a
// function that returns its own. It is safe for concurrent use if Open is.
type Opener struct {
	// Scheme selects the backend; see the grammar for what it may hold.
	Scheme string
	// Open makes the source that a spec of this scheme describes. It doesn't
	// fetch the token. It begins with [Spec.CheckOptions]; its errors are made
	// by tokensource.NewError, [Spec.NameError], [Spec.OptionError] or
	// [Spec.FieldError], and the text of any other is withheld, since nobody
	// knows what it holds.
	//
	// The source has a String method that returns the spec, or another
	// spelling of it that opens the same source.
	Open func(Spec) (tokensource.TokenSource, error)
}

// errorSource is what Parse's errors give as their source.
const errorSource = "token source"

// Parse makes the token source that spec describes, out of the backends that
// openers name. One element gives the backend's own source, several a
// *[tokensource.ChainSource]. Nothing is fetched.
//
// The error is a *[tokensource.Error], nearly always of kind
// [tokensource.ErrInvalid]. It says which element of spec is wrong, at which
// column (in characters, from 1) and what was expected there. It doesn't repeat
// the spec, in case that is a token which somebody put into the wrong variable.
func Parse(spec string, openers ...Opener) (tokensource.TokenSource, error) {
	if err := checkOpeners(openers); err != nil {
		return nil, err
	}
	elements, err := scan(spec)
	if err != nil {
		return nil, err
	}
	// All schemes are looked at before anything is opened.
	opens := make([]func(Spec) (tokensource.TokenSource, error), len(elements))
	for i, e := range elements {
		at := slices.IndexFunc(openers, func(o Opener) bool { return o.Scheme == e.spec.Scheme })
		if at < 0 {
			return nil, e.errorf(e.start, "%s", unknownScheme(e.spec.Scheme, openers))
		}
		if err := e.slip(openers); err != nil {
			return nil, err
		}
		opens[i] = openers[at].Open
	}
	sources := make([]tokensource.TokenSource, len(elements))
	for i, e := range elements {
		sources[i], err = opens[i](e.spec)
		if err != nil {
			return nil, e.openError(err)
		}
	}
	chain, err := tokensource.Chain(sources...)
	if err != nil {
		// Its text is the tokensource package's own, and says which one is nil.
		return nil, tokensource.NewError(errorSource, tokensource.ErrInvalid, "an opener returned no source: "+err.Error(), err)
	}
	if len(sources) == 1 {
		return sources[0], nil
	}
	return chain, nil
}

func checkOpeners(openers []Opener) error {
	fail := func(format string, args ...any) error {
		return tokensource.NewError(errorSource, tokensource.ErrInvalid, fmt.Sprintf(format, args...), nil)
	}
	if len(openers) == 0 {
		return fail("the program links no backend; pass openers to backends.Parse, such as env.Opener()")
	}
	seen := make(map[string]bool)
	for i, o := range openers {
		switch {
		case !isScheme(o.Scheme):
			return fail("opener %d has no usable scheme; one is of lower-case letters and digits", i+1)
		case o.Open == nil:
			return fail("the opener for %q has no Open function", o.Scheme)
		case seen[o.Scheme]:
			return fail("two openers for %q; pass one", o.Scheme)
		}
		seen[o.Scheme] = true
	}
	return nil
}

// openError says where in the spec an opener found its fault.
func (e element) openError(err error) error {
	if o, ok := errors.AsType[*optionError](err); ok {
		at, ok := e.options[o.key]
		if !ok {
			at = e.start
		}
		return e.errorf(at, "%s", o.message)
	}
	if n, ok := errors.AsType[*nameError](err); ok {
		return e.errorf(e.name, "%s", n.message)
	}
	if f, ok := errors.AsType[*fieldError](err); ok {
		return e.errorf(max(e.start, e.field), "%s", f.message)
	}
	t, ok := errors.AsType[*tokensource.Error](err)
	if !ok {
		message := fmt.Sprintf("the backend failed with a %T, whose text is withheld because it may hold a secret; errors.As reaches it", err)
		t = tokensource.NewError("", tokensource.ErrInvalid, message, nil)
	}
	message := t.Message
	if t.Source != "" {
		message = t.Source + ": " + message
	}
	return tokensource.NewError(errorSource, t.Kind, e.place(e.start)+message, err)
}

// builtin are the backends of this repository.
var builtin = []string{"env", "file", "command", "awssm", "vault", "conjur"}

// spellings has an example of each of them, for hints.
var spellings = map[string]string{
	"env":     "env:NAME",
	"file":    "file:/run/secrets/token",
	"command": "command:op%20read%20REFERENCE",
	"awssm":   "awssm:prod/packagecloud",
	"vault":   "vault:secret/packagecloud",
	"conjur":  "conjur:prod/packagecloud/token",
}

// slip refuses what the grammar takes and nobody means: another sign where a comma
// belongs, and the // of a URL. A source that could not be found because of it would
// let the chain go on to another token.
func (e element) slip(openers []Opener) error {
	isKnown := func(scheme string) bool {
		return slices.Contains(builtin, scheme) || slices.ContainsFunc(openers, func(o Opener) bool { return o.Scheme == scheme })
	}
	for i, r := range e.raw {
		if !strings.ContainsRune(separators, r) {
			continue
		}
		rest := e.raw[i+1:]
		if scheme, _, ok := strings.Cut(rest, ":"); rest == "" || ok && isKnown(scheme) {
			return e.errorf(e.start+i, "%q between two elements; separate them by a comma alone, or write %%%02X if it is part of a name", r, r)
		}
	}
	if example, ok := spellings[e.spec.Scheme]; ok && strings.HasPrefix(e.text[e.name:], "//") {
		return e.errorf(e.name, "a source is no URL; write it without //, such as %s, or write %%2F for a slash that is part of the name", example)
	}
	return nil
}

// unknownScheme explains that no opener has this scheme.
func unknownScheme(scheme string, openers []Opener) string {
	linked := make([]string, len(openers))
	for i, o := range openers {
		linked[i] = o.Scheme
	}
	toLink := func(name string) string {
		return fmt.Sprintf(`import "github.com/packagecloud-go/sdk/backends/%s" and pass %s.Opener() to backends.Parse or packagecloud.EnvironmentOptions`, name, name)
	}
	if slices.Contains(builtin, scheme) {
		return fmt.Sprintf("the backend %q isn't linked into this program; %s", scheme, toLink(scheme))
	}
	message := "unknown scheme"
	if len(scheme) <= 16 { // a longer one isn't a typing error, and who knows what it is
		message += " " + strconv.Quote(scheme)
	}
	switch near := nearest(scheme, slices.Concat(linked, builtin)); {
	case near == "":
		return message + "; this program knows " + strings.Join(linked, ", ")
	case slices.Contains(linked, near):
		return fmt.Sprintf("%s; did you mean %q?", message, near)
	default:
		return fmt.Sprintf("%s; did you mean %q? It isn't linked into this program; %s", message, near, toLink(near))
	}
}

// nearest returns the candidate that takes the fewest typing errors to get word
// from, or "" if all take too many.
func nearest(word string, candidates []string) string {
	best, least := "", 3
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), c); d < least && d < max(len(c), len(word))/2+1 {
			best, least = c, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete, replace or swap with their
// neighbour to make b of a.
func distance(a, b string) int {
	// rows[i][j] is the distance of a[:i] and b[:j].
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
