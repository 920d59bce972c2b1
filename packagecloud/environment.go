package packagecloud

import (
	"os"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/backends/file"
	"github.com/packagecloud-go/sdk/tokensource"
)

// The environment variables that [FromEnvironment] reads.
const (
	// EnvTokenSource spells a chain of sources; see package backends.
	EnvTokenSource = "PACKAGECLOUD_TOKEN_SOURCE"
	// EnvToken holds the token itself.
	EnvToken = "PACKAGECLOUD_TOKEN"
	// EnvURL is the base URL that goes with either.
	EnvURL = "PACKAGECLOUD_URL"
)

// WithBackends lets [FromEnvironment] read sources other than env and file,
// such as vault.Opener(). Only the backends that are named are linked.
func WithBackends(openers ...backends.Opener) Option {
	return func(c *config) error { c.openers = append(c.openers, openers...); return nil }
}

// FromEnvironment returns a client configured as a CI job expects: its token
// comes from the sources that PACKAGECLOUD_TOKEN_SOURCE spells, else from
// PACKAGECLOUD_TOKEN, else from ~/.packagecloud, the file of the official CLI.
// PACKAGECLOUD_URL is the base URL for the first two, unless [WithBaseURL] is
// given; the file has its own. The source is cached. The environment is read
// now, the token at the first request; that none is there yet is not an error
// of this function.
func FromEnvironment(options ...Option) (*Client, error) {
	cfg, err := configure(options)
	if err != nil {
		return nil, err
	}
	source, err := environmentSource(cfg)
	if err != nil {
		return nil, err
	}
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{OnEvent: eventHook(cfg.logger)})
	if err != nil {
		return nil, err
	}
	return newClient(cached, cfg)
}

func environmentSource(cfg *config) (tokensource.TokenSource, error) {
	spec, token := os.Getenv(EnvTokenSource), os.Getenv(EnvToken)
	if spec != "" || token != "" {
		if cfg.baseURL == "" {
			cfg.baseURL, cfg.baseURLOrigin = os.Getenv(EnvURL), EnvURL
		}
	}
	switch {
	case spec != "":
		openers := append([]backends.Opener{env.Opener(), file.Opener()}, cfg.openers...)
		return backends.Parse(spec, openers...)
	case token != "":
		return env.New(EnvToken), nil
	}
	return tokensource.Chain(env.New(EnvToken), file.CLI())
}
