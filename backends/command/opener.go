package command

import (
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
)

const (
	scheme        = "command"
	timeoutOption = "timeout"
	stderrOption  = "stderr"
)

// Opener lets package backends open command:PROGRAM%20ARGUMENTS. Its options are
// timeout, such as 10s, and stderr=true for ShowStderr; the field is
// Options.Field. It refuses words that only a shell understands: | && ; > and
// their kin, quotes, $NAME, ~/ and, as the first word, NAME=value.
func Opener() backends.Opener {
	return backends.Opener{Scheme: scheme, Open: func(s backends.Spec) (tokensource.TokenSource, error) {
		if err := s.CheckOptions(timeoutOption, stderrOption); err != nil {
			return nil, err
		}
		options := Options{Field: s.Field}
		var err error
		if options.ShowStderr, err = s.Bool(stderrOption); err != nil {
			return nil, err
		}
		if text, ok := s.Options[timeoutOption]; ok {
			options.Timeout, err = time.ParseDuration(text)
			if err != nil || options.Timeout <= 0 {
				return nil, s.OptionError(timeoutOption, "a timeout is a positive duration, such as 10s or 1m30s")
			}
		}
		words := strings.Fields(s.Name)
		if flaw := shellFlaw(words); flaw != "" {
			return nil, s.NameError(flaw)
		}
		source, err := New(words, options)
		if err != nil {
			return nil, err
		}
		return source, nil
	}}
}
