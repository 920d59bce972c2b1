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

// EnvironmentOptions tunes [FromEnvironment]. Nil and the zero value read env and
// file sources, and cache the token as [tokensource.Cache] does by default.
type EnvironmentOptions struct {
	// Backends open the sources that PACKAGECLOUD_TOKEN_SOURCE may spell besides env and
	// file, such as vault.Opener(). A program links only the backends that it names.
	// A flaw in them is an error where that variable is set.
	Backends []backends.Opener
	// CacheOptions tunes the cache around the source. Its OnEvent is told what
	// happens besides the logger of [WithLogger].
	CacheOptions tokensource.CacheOptions
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
// used instead. A variable that is empty counts as unset. Impossible CacheOptions
// are an error. More options are those of [New].
func FromEnvironment(options *EnvironmentOptions, more ...Option) (*Client, error) {
	cfg, err := apply(more)
	if err != nil {
		return nil, err
	}
	if options == nil {
		options = &EnvironmentOptions{}
	}
	source, err := environmentSource(cfg, options.Backends)
	if err != nil {
		return nil, err
	}
	cache := options.CacheOptions
	cache.OnEvent = both(exchange.EventHook(cfg.logger), cache.OnEvent)
	cached, err := tokensource.Cache(source, cache)
	if err != nil {
		return nil, err
	}
	return newClient(cached, cfg)
}

// both returns a hook that calls a, then b. Either may be nil.
func both(a, b func(tokensource.Event)) func(tokensource.Event) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(e tokensource.Event) { a(e); b(e) }
}

func environmentSource(cfg *config, more []backends.Opener) (tokensource.TokenSource, error) {
	if cfg.baseURL == "" {
		cfg.baseURL, cfg.baseURLOrigin = os.Getenv(EnvURL), EnvURL
	}
	if spec := os.Getenv(EnvTokenSource); spec != "" {
		openers := append([]backends.Opener{env.Opener(), file.Opener()}, more...)
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
