// Package env takes the token from an environment variable.
//
// In a spec of package backends it is env:NAME, such as env:PACKAGECLOUD_TOKEN. The
// name stands alone: $NAME, ${NAME}, //NAME, NAME=value, quotes, white space and the
// separators of paths and lists are refused, because a chain would take the variable
// for one that isn't set, and go on. Letters of any script, digits and the signs
// _ - . + @ ~ ^ ( ) [ ] may be part of a name.
package env

import (
	"context"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

const scheme = "env"

// DefaultName is the variable that [New] reads when it is given none. It is the
// one of the official packagecloud CLI.
const DefaultName = "PACKAGECLOUD_TOKEN"

// Source reads environment variables. It is immutable and safe for concurrent
// use. The zero Source reads [DefaultName].
type Source struct {
	names []string
}

// New returns a source that takes the token from the first of the named
// variables that is set and not empty. No names stand for [DefaultName].
func New(names ...string) *Source {
	return &Source{names: append([]string(nil), names...)}
}

// Token returns the token that the environment holds now. Variables that are
// unset or empty are [tokensource.ErrNotFound]. The first that is neither
// decides: if its value can't be a token, that is [tokensource.ErrInvalid]. So is
// any name that can't be one of a variable, before a variable is read.
func (s *Source) Token(ctx context.Context) (tokensource.Token, error) {
	if err := ctx.Err(); err != nil {
		return tokensource.Token{}, tokensource.NewError(s.String(), tokensource.ErrUnavailable, "the caller's context ended", err)
	}
	for _, name := range s.variables() {
		if flaw := flaw(name); flaw != "" {
			return tokensource.Token{}, tokensource.NewError(spell(name), tokensource.ErrInvalid, flaw, nil)
		}
	}
	for _, name := range s.variables() {
		if value := os.Getenv(name); value != "" {
			return tokensource.NewToken(value, tokensource.Metadata{Origin: spell(name)})
		}
	}
	message := "the environment variable " + s.variables()[0] + " is unset or empty; set it to the token"
	if len(s.names) > 1 {
		message = "the environment variables " + strings.Join(s.names, ", ") + " are unset or empty; set one to the token"
	}
	return tokensource.Token{}, tokensource.NewError(s.String(), tokensource.ErrNotFound, message, nil)
}

// String spells the source as package backends reads it. Several names are a
// chain of as many elements.
func (s *Source) String() string {
	spelled := make([]string, 0, 1)
	for _, name := range s.variables() {
		spelled = append(spelled, spell(name))
	}
	return strings.Join(spelled, ",")
}

func (s *Source) variables() []string {
	if len(s.names) == 0 {
		return []string{DefaultName}
	}
	return s.names
}

// spell doesn't repeat a name that is none: it may be a token, or hold one.
func spell(name string) string {
	if flaw(name) != "" {
		return scheme + ":[redacted]"
	}
	return backends.Spec{Scheme: scheme, Name: name}.String()
}

// flaw says why no variable has this name, and doesn't repeat it.
func flaw(name string) string {
	odd := strings.IndexFunc(name, isOdd)
	switch {
	case sourcekit.HoldsToken(name):
		return "the name looks like a token; pass the name of the variable that holds it"
	case name == "":
		return "the name of a variable is empty"
	case odd < 0:
		return ""
	}
	r, _ := utf8.DecodeRuneInString(name[odd:])
	switch {
	case r == '=':
		return "the name of a variable can't hold =; write the name alone, env:NAME, and never a value, which errors and logs would show"
	case r == '$' || r == '%' || r == '{' || r == '}':
		return fmt.Sprintf("%q is no part of a variable's name; write the name alone, env:NAME, without the signs with which a shell reads it", r)
	case r == '/' || r == '\\':
		return fmt.Sprintf("%q is no part of a variable's name; write env:NAME without slashes, or file:PATH for a file", r)
	case unicode.IsSpace(r):
		return "white space is no part of a variable's name; write env:NAME, and a comma between two elements"
	case !unicode.IsPrint(r) || r == utf8.RuneError:
		return "the name of a variable can't hold a character that doesn't print; write env:NAME"
	}
	return fmt.Sprintf("%q is no part of a variable's name; write the name alone, env:NAME, and a comma between two elements", r)
}

// isOdd finds what stands in a variable's name by a slip only. Systems take nearly
// all characters, but no tool sets such a variable for a token.
func isOdd(r rune) bool {
	return !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) && !strings.ContainsRune("_-.+@~^()[]", r) || r == utf8.RuneError
}

// Opener lets package backends open env:NAME. It takes neither options nor a
// field; several variables are several elements.
func Opener() backends.Opener {
	return backends.Opener{Scheme: scheme, Open: func(s backends.Spec) (tokensource.TokenSource, error) {
		if err := s.CheckOptions(); err != nil {
			return nil, err
		}
		if s.Field != "" {
			return nil, s.FieldError("env takes no field; a variable holds the token alone")
		}
		if flaw := flaw(s.Name); flaw != "" {
			return nil, s.NameError(flaw)
		}
		return New(s.Name), nil
	}}
}
