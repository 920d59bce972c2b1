// Package env takes the token from an environment variable.
//
// In a spec of package backends it is env:NAME, such as env:PACKAGECLOUD_TOKEN.
package env

import (
	"context"
	"os"
	"strings"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/internal/payload"
	"github.com/packagecloud-go/sdk/tokensource"
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
// decides: if its value can't be a token, or its name can't be one of a variable,
// that is [tokensource.ErrInvalid].
func (s *Source) Token(ctx context.Context) (tokensource.Token, error) {
	if err := ctx.Err(); err != nil {
		return tokensource.Token{}, tokensource.NewError(s.String(), tokensource.ErrUnavailable, "the caller's context ended", err)
	}
	for _, name := range s.variables() {
		if err := check(name); err != nil {
			return tokensource.Token{}, err
		}
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

// spell doesn't repeat a token that was passed in place of a variable's name.
func spell(name string) string {
	if payload.HoldsToken(name) {
		return scheme + ":[redacted]"
	}
	return backends.Spec{Scheme: scheme, Name: name}.String()
}

func check(name string) error {
	message := ""
	switch {
	case payload.HoldsToken(name):
		message = "the name looks like a token; pass the name of the variable that holds it"
	case name == "":
		message = "the name of a variable is empty"
	case strings.ContainsAny(name, "=\x00"):
		message = "the name of a variable can't hold = or a zero byte"
	default:
		return nil
	}
	return tokensource.NewError(spell(name), tokensource.ErrInvalid, message, nil)
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
		if err := check(s.Name); err != nil {
			return nil, err
		}
		return New(s.Name), nil
	}}
}
