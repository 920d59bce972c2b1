package packagecloud

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/backends/file"
	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
	"github.com/packagecloud-go/sdk/tokensource"
)

// The environment variables that [FromEnvironment] reads.
const (
	// EnvTokenSource spells a chain of sources; see package backends.
	EnvTokenSource = "PACKAGECLOUD_TOKEN_SOURCE"
	// EnvToken holds the token itself.
	EnvToken = "PACKAGECLOUD_TOKEN"
	// EnvURL is the base URL.
	EnvURL = "PACKAGECLOUD_URL"
)

// WithBackends lets [FromEnvironment] read sources other than env and file,
// such as vault.Opener(). Only the backends that are named are linked. [New] and
// [NewTransport] are given their source, and refuse it.
func WithBackends(openers ...backends.Opener) Option {
	return func(c *config) error { c.openers = append(c.openers, openers...); return nil }
}

// FromEnvironment returns a client configured as a CI job expects: its token
// comes from the sources that PACKAGECLOUD_TOKEN_SOURCE spells, else from
// PACKAGECLOUD_TOKEN, else from ~/.packagecloud, the file of the official CLI.
// PACKAGECLOUD_URL is the base URL, unless [WithBaseURL] is given; without either
// it is the one in ~/.packagecloud, or [DefaultBaseURL]. A file that names
// another server than PACKAGECLOUD_URL is refused when its token is asked for.
// The source is cached. The environment is read now, the token at the first
// request; that none is there yet is not an error of this function.
//
// A mistake in PACKAGECLOUD_TOKEN_SOURCE is an error of kind
// [tokensource.ErrInvalid] that points at the place, and PACKAGECLOUD_TOKEN isn't
// used instead. A variable that is empty counts as unset.
func FromEnvironment(options ...Option) (*Client, error) {
	cfg, err := apply(options)
	if err != nil {
		return nil, err
	}
	source, err := environmentSource(cfg)
	if err != nil {
		return nil, err
	}
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{OnEvent: exchange.EventHook(cfg.logger)})
	if err != nil {
		return nil, err
	}
	return newClient(cached, cfg)
}

func environmentSource(cfg *config) (tokensource.TokenSource, error) {
	if cfg.baseURL == "" {
		cfg.baseURL, cfg.baseURLOrigin = os.Getenv(EnvURL), EnvURL
	}
	if spec := os.Getenv(EnvTokenSource); spec != "" {
		openers := append([]backends.Opener{env.Opener(), file.Opener()}, cfg.openers...)
		source, err := backends.Parse(spec, openers...)
		if e, ok := err.(*tokensource.Error); ok {
			err = tokensource.NewError(EnvTokenSource, e.Kind, e.Message, e)
		}
		return source, err
	}
	if os.Getenv(EnvToken) != "" {
		return env.New(EnvToken), nil
	}
	chain, err := tokensource.Chain(env.New(EnvToken), file.CLI())
	return unconfigured{chain}, err
}

// unconfigured is what is left where no variable is set.
type unconfigured struct{ *tokensource.ChainSource }

// Token says what to do where there is no token.
func (u unconfigured) Token(ctx context.Context) (tokensource.Token, error) {
	tok, err := u.ChainSource.Token(ctx)
	if e, ok := err.(*tokensource.ChainError); ok && errors.Is(e.Attempts[len(e.Attempts)-1], tokensource.ErrNotFound) {
		return tok, &tokensource.ChainError{Attempts: append(slices.Clone(e.Attempts), tokensource.NewError("FromEnvironment", tokensource.ErrNotFound,
			"set "+EnvToken+" or "+EnvTokenSource+`, or write {"url":"`+DefaultBaseURL+`","token":"..."} to ~/.packagecloud, for you alone to read`, nil))}
	}
	return tok, err
}
