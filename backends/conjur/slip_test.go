package conjur_test

import (
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/tokensource"
)

// Guarantee C1.
func TestSource_SlipInAnIDStopsAChain(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	for id, says := range map[string]string{
		account + ":variable:" + variable: "give the id alone",
		"variable:" + variable:            "give the id alone",
		":variable:" + variable:           "give the id alone",
		"conjur:" + variable:              "the name of this backend",
		"conjur://" + variable:            "the name of this backend",
		"//" + variable:                   "a slash",
		"/" + variable:                    "a slash",
		variable + "/":                    "a slash",
		`"` + variable + `"`:              "a quote or white space",
		variable + "\n":                   "a quote or white space",
		"$VARIABLE":                       "which nothing expands",
		"prod/$STAGE/token":               "which nothing expands",
		"prod/${STAGE}/token":             "which nothing expands",
		"https://conjur/" + variable:      "begins like a URL",
	} {
		source := newSource(t, id, s.options())
		s.refused(t, source, tokensource.ErrInvalid, says)
		chain := must(tokensource.Chain(source, tokensource.Static("old")))
		if tok, err := chain.Token(t.Context()); err == nil {
			t.Errorf("%q: the chain went on to %v", id, tok.Metadata().Origin)
		}
	}
	for _, id := range []string{"missing", "prod:missing", "prod/variable:x", "a:b:c", "policy/variable/x", "prod/a$/x", "prod/100%"} {
		s.refused(t, newSource(t, id, s.options()), tokensource.ErrNotFound, "doesn't exist")
	}
}

// What there is is read, whatever it looks like.
func TestSource_IDThatLooksLikeASlipIsReadWhereItIs(t *testing.T) {
	s := start(t)
	for _, id := range []string{"variable:x", account + ":variable:x", "a:b", "conjur:x", "/x"} {
		s.Permit(id, host, everything)
		s.Set(id, secret)
		holds(t, newSource(t, id, s.options()), secret)
	}
}

// Credentials that aren't configured say nothing of the id.
func TestSource_SlipIsNotLookedForWithoutAnAnswer(t *testing.T) {
	s := start(t)
	setenv(t, map[string]string{"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account, "CONJUR_CREDENTIAL_STORAGE": "none"})
	s.refused(t, must(conjur.New("variable:x", conjur.Options{})), tokensource.ErrNotFound, "no credentials")
}

// Guarantee C1.
func TestOpener_RefusesSlips(t *testing.T) {
	clearSettings(t)
	for spec, says := range map[string]string{
		"conjur://app/token":          "column 8: a source is no URL; write it without //, such as conjur:prod/packagecloud/token",
		"conjur:'app/token'":          "column 8: a quote",
		"conjur:app/token?field=x":    `no option "field"`,
		"conjur:app/token?account=":   "the value is empty",
		"conjur:app/token;conjur:b":   "separate them by a comma alone",
		"conjur:app/token#":           "expected a field",
		"Conjur:app/token":            `did you mean "conjur"?`,
		"conjur:app/token#x?account=": "options come before the field",
	} {
		_, err := backends.Parse(spec+",conjur:old", conjur.Opener())
		if e, ok := err.(*tokensource.Error); !ok || e.Kind != tokensource.ErrInvalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want ErrInvalid that says %q", spec, err, says)
		}
	}
}

// Guarantee K3.
func TestSource_NamesTheEncodingOfWhatIsNoJSON(t *testing.T) {
	s := start(t)
	options := s.options()
	options.Field = "token"
	for value, says := range map[string]string{
		"\ufeff{\"token\":\"x\"}": "byte order mark",
		"\xff\xfe{\x00":           "UTF-16",
		"\xfe\xff\x00{":           "UTF-16",
		"{\x00\"\x00":             "UTF-16",
		"x":                       "not a JSON object",
	} {
		s.Set(variable, value)
		s.refused(t, newSource(t, variable, options), tokensource.ErrInvalid, says)
	}
}
