package conjur

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
)

const scheme = "conjur"

// extras are the options that belong to the values of the option auth.
var extras = map[string][]string{
	byAPIKey:    {"login"},
	byJWT:       {"service", "host", "file"},
	byToken:     nil,
	byTokenFile: {"file"},
}

// Opener lets package backends open sources spelled
//
//	conjur:VARIABLE[?account=A&url=URL&version=N&ca=FILE&auth=WAY&...][#FIELD]
//
// The options replace Conjur's settings, which give all the rest, secrets always:
//
//	account, url      Options.Account and Options.ApplianceURL
//	version           Options.Version
//	ca                a file with the certificates to trust
//	auth=apikey       an API key: CONJUR_AUTHN_API_KEY or what conjur login stored
//	  login           whose
//	auth=jwt          a JWT
//	  service, host   as for JWTFile
//	  file            where it is; else CONJUR_AUTHN_JWT_TOKEN, JWT_TOKEN_PATH, Kubernetes' place
//	auth=tokenfile    an access token in a file
//	  file            where it is; else CONJUR_AUTHN_TOKEN_FILE
//	auth=token        the access token CONJUR_AUTHN_TOKEN
func Opener() backends.Opener {
	return backends.Opener{Scheme: scheme, Open: openSpec}
}

func openSpec(spec backends.Spec) (tokensource.TokenSource, error) {
	err := spec.CheckOptions("account", "url", "version", "ca", "auth", "login", "service", "host", "file")
	if err != nil {
		return nil, err
	}
	o := spec.Options
	for key, value := range o {
		if value == "" {
			return nil, spec.OptionError(key, "the value is empty; leave the option out, or give it one")
		}
	}
	options := Options{Account: o["account"], ApplianceURL: o["url"], Field: spec.Field}
	if _, err := parseURL(o["url"]); o["url"] != "" && err != nil {
		return nil, spec.OptionError("url", err.Error())
	}
	if text := o["version"]; text != "" {
		if options.Version, err = strconv.Atoi(text); err != nil || options.Version < 1 {
			return nil, spec.OptionError("version", "the version is a number from 1; leave it out for the latest")
		}
	}
	way := o["auth"]
	if _, known := extras[way]; way != "" && !known {
		return nil, spec.OptionError("auth", "auth is one of "+strings.Join(slices.Sorted(maps.Keys(extras)), ", "))
	}
	for _, key := range []string{"login", "service", "host", "file"} {
		if o[key] != "" && !slices.Contains(extras[way], key) {
			return nil, spec.OptionError(key, "this option goes with "+takers(key))
		}
	}
	source, err := open(spec.String(), spec.Name, options, func(set *settings) {
		set.way = way
		if o["ca"] != "" {
			set.CertFile, set.certificate = o["ca"], ""
		}
		set.login = cmp.Or(o["login"], set.login)
		set.ServiceID = cmp.Or(o["service"], set.ServiceID)
		set.JWTHostID = cmp.Or(o["host"], set.JWTHostID)
		switch {
		case o["file"] == "":
		case way == byJWT:
			set.JWTFile, set.jwt = o["file"], none
		default:
			set.tokenFile = o["file"]
		}
	})
	if err != nil {
		return nil, err // and no typed nil
	}
	return source, nil
}

// takers lists the values of auth that an option goes with.
func takers(key string) string {
	var list []string
	for _, way := range slices.Sorted(maps.Keys(extras)) {
		if slices.Contains(extras[way], key) {
			list = append(list, "auth="+way)
		}
	}
	return strings.Join(list, " or ")
}
