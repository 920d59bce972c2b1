package awssm_test

import (
	"fmt"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/tokensource"
)

func TestOpener_OpensWhatASpecSays(t *testing.T) {
	m := startMoto(t)
	machine(t, static)
	arn := m.create("prod/packagecloud", `{"api key":"one"}`)
	first := *m.get("prod/packagecloud", awssm.StageCurrent).VersionId
	m.put("prod/packagecloud", `{"api key":"two"}`)
	for _, test := range []struct{ spec, want string }{
		{"awssm:prod/packagecloud?endpoint=%s&region=eu-west-1#api%%20key", "two"},
		{"awssm:prod/packagecloud?endpoint=%s&region=eu-west-1&stage=AWSPREVIOUS#api%%20key", "one"},
		{"awssm:prod/packagecloud?endpoint=%s&region=eu-west-1&version=" + first + "#api%%20key", "one"},
		{"awssm:" + arn + "?endpoint=%s#api%%20key", "two"},
	} {
		spec := fmt.Sprintf(test.spec, m.url)
		s, err := backends.Parse(spec, awssm.Opener())
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		tok, err := s.Token(t.Context())
		holds(t, tok, err, test.want)
		if got := s.(fmt.Stringer).String(); got != spec || tok.Metadata().Origin != spec {
			t.Errorf("String %q and origin %q, want %q", got, tok.Metadata().Origin, spec)
		}
	}
}

// The role may what its user may not.
//
// Guarantee B4.
func TestOpener_AssumesTheRoleOfASpec(t *testing.T) {
	a := newAccount(t)
	a.set(t, "s", secret)
	machine(t, merge(a.assumer, map[string]string{"AWS_ENDPOINT_URL_STS": a.url}))
	spec := "awssm:s?endpoint=" + a.url + "&region=eu-west-1"
	_, err := must(backends.Parse(spec, awssm.Opener())).Token(t.Context())
	fails(t, err, tokensource.ErrDenied, "GetSecretValue was HTTP 403")
	spec += "&role=" + a.readerRole
	tok, err := must(backends.Parse(spec, awssm.Opener())).Token(t.Context())
	holds(t, tok, err, secret)
	if got := tok.Metadata().Origin; got != spec {
		t.Errorf("origin %q, want %q", got, spec)
	}
}

func TestOpener_RefusesWhatASpecCannotSay(t *testing.T) {
	machine(t, nil)
	for _, test := range []struct{ spec, says string }{
		{"awssm:s?regoin=eu-west-1", `did you mean "region"`},
		{"awssm:s?endpoint=localhost", "column 9: the endpoint is not a URL"},
		{"awssm:s?endpoint=https://u:" + secretKey + "@h", "no user"},
		{"awssm:s?role=reader", "not an ARN"},
		{"awssm:s?stage=AWSPENDING&version=v", "exclude each other"},
	} {
		_, err := backends.Parse(test.spec, awssm.Opener())
		fails(t, err, tokensource.ErrInvalid, test.says)
	}
	t.Setenv("AWS_PROFILE", "none")
	_, err := backends.Parse("awssm:s", awssm.Opener())
	fails(t, err, tokensource.ErrInvalid, "profile")
}

// A machine without AWS must not keep a chain's other sources from use.
func TestOpener_ChainPassesOverAWSThatIsNotConfigured(t *testing.T) {
	machine(t, nil)
	other := backends.Opener{Scheme: "other", Open: func(backends.Spec) (tokensource.TokenSource, error) {
		return tokensource.Static("there"), nil
	}}
	for _, spec := range []string{"awssm:s,other:x", "awssm:s?region=eu-west-1,other:x"} {
		s, err := backends.Parse(spec, awssm.Opener(), other)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := s.Token(t.Context())
		holds(t, tok, err, "there")
	}
	// An outage is another matter.
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIA")
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	s := must(backends.Parse("awssm:s?region=eu-west-1&endpoint=http://127.0.0.1:1,other:x", awssm.Opener(), other))
	_, err := s.Token(t.Context())
	fails(t, err, tokensource.ErrUnavailable, "the connection was refused")
}
