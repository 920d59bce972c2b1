package awssm

import (
	"context"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
)

const scheme = "awssm"

// Opener lets backends.Parse open sources spelled
//
//	awssm:NAME-OR-ARN[?region=R&stage=S&version=V&endpoint=URL&role=ARN][#FIELD]
//
// as [Open] does with the [Options] of these names.
func Opener() backends.Opener {
	return backends.Opener{Scheme: scheme, Open: openSpec}
}

func openSpec(spec backends.Spec) (tokensource.TokenSource, error) {
	if err := spec.CheckOptions("endpoint", "region", "role", "stage", "version"); err != nil {
		return nil, err
	}
	options := Options{
		Region:    spec.Options["region"],
		RoleARN:   spec.Options["role"],
		Endpoint:  spec.Options["endpoint"],
		Stage:     spec.Options["stage"],
		VersionID: spec.Options["version"],
		Field:     spec.Field,
	}
	for key, value := range spec.Options {
		if value == "" {
			return nil, spec.OptionError(key, "the value is empty; leave the option out, or give it one")
		}
	}
	if flaw := nameFlaw(spec.Name); flaw != "" {
		return nil, spec.NameError(flaw)
	}
	if flaw := regionFlaw(spec.Name, options.Region); flaw != "" && options.Endpoint == "" {
		return nil, spec.OptionError("region", flaw)
	}
	if option, flaw := options.flaw(); flaw != "" {
		return nil, spec.OptionError(option, flaw)
	}
	source, err := Open(context.Background(), spec.Name, options)
	if err != nil {
		return nil, err // and no typed nil
	}
	return source, nil
}
