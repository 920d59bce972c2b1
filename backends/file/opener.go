package file

import (
	"strings"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
)

const (
	scheme        = "file"
	privateOption = "private"
)

// Opener lets package backends open file:PATH?private=true#field; the option sets
// RequirePrivate and the field is Options.Field. "~/" at the beginning is the
// home directory and file:~/.packagecloud what [CLI] returns, with or without
// its field "token" named. "$CREDENTIALS_DIRECTORY/name" is what [Credential]
// returns. Any other "~" or "$" at the beginning is an error; a file of such a
// name is spelled with "./" before it.
func Opener() backends.Opener {
	return backends.Opener{Scheme: scheme, Open: func(s backends.Spec) (tokensource.TokenSource, error) {
		if err := s.CheckOptions(privateOption); err != nil {
			return nil, err
		}
		private, err := s.Bool(privateOption)
		if err != nil {
			return nil, err
		}
		if s.Name == cliName {
			return openCLI(s, private)
		}
		switch {
		case strings.HasPrefix(s.Name, "~") && !strings.HasPrefix(s.Name, homePrefix):
			return nil, tokensource.NewError(scheme, tokensource.ErrInvalid,
				`"~" means something only in "~/", one's own home directory; spell a file of such a name with "./" before it`, nil)
		case strings.HasPrefix(s.Name, "$") && !strings.HasPrefix(s.Name, credentialPrefix):
			return nil, tokensource.NewError(scheme, tokensource.ErrInvalid,
				`no variable but "`+credentialPrefix+`" is expanded; spell a file of such a name with "./" before it`, nil)
		}
		source, err := newSource(s.Name, Options{Field: s.Field, RequirePrivate: private})
		if err != nil {
			return nil, err
		}
		return source, nil
	}}
}

func openCLI(s backends.Spec, private bool) (tokensource.TokenSource, error) {
	if _, set := s.Options[privateOption]; set && !private {
		return nil, s.OptionError(privateOption, cliName+" is refused while others can read it; this can't be lifted, so chmod it to 600")
	}
	if s.Field != "" && s.Field != cliField {
		return nil, s.FieldError(`the token of ` + cliName + ` is its field "token"; leave the field out`)
	}
	return CLI(), nil
}
