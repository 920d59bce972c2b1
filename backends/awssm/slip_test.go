package awssm_test

import (
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/tokensource"
)

const anARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/pkg-AbCdEf"

// impossible has what no secret of AWS is called, and what the error says.
var impossible = map[string]string{
	"prod pkg":                   "a name has letters, digits and /_+=.@- only",
	"prod/pkg:token":             "the field of a JSON secret goes after #",
	"awssm:prod/pkg":             "a name has letters",
	"//prod:x":                   "a name has letters",
	"prod/pkg#token":             "a name has letters",
	"prod/pkg?region=eu-west-1":  "a name has letters",
	"prod/pkg&region=eu-west-1":  "a name has letters",
	"prod/pkg!":                  "a name has letters",
	"prod/pkg!x":                 "a name has letters",
	"prod/pkg;x":                 "a name has letters",
	"$SECRET":                    "a name has letters",
	`"prod/pkg"`:                 "a name has letters",
	"pröd":                       "a name has letters",
	"prod/pkg\n":                 "a name has letters",
	anARN + ":token::":           "which only ECS understands",
	anARN + ":token:AWSCURRENT:": "which only ECS understands",
	anARN + ":":                  "which only ECS understands",
	anARN + "#token":             "no secret of AWS has the name in this ARN",
	anARN + " ":                  "no secret of AWS has the name in this ARN",
	"arn:aws:ssm:eu-west-1:123456789012:parameter/prod/pkg": "the ARN of something else than a secret of Secrets Manager; write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME",
	"arn:aws:s3:::bucket":                                           "something else than a secret",
	"arn:aws:iam::123456789012:role/r":                              "something else than a secret",
	"arn:aws:secretsmanager:eu-west-1:123456789012:prod/pkg":        "something else than a secret",
	"arn:aws:secretsmanager:eu-west-1:123456789012:secret:":         "no secret of AWS has the name",
	"arn:aws:secretsmanager::123456789012:secret:prod/pkg":          "region or account can't be",
	"arn:aws:secretsmanager:eu-west-1:1234:secret:prod/pkg":         "region or account can't be",
	"arn:aws:secretsmanager:123456789012:eu-west-1:secret:prod/pkg": "region or account can't be",
	"arn:aws:secretsmanager:eu-west-1":                              "no whole ARN",
	"ARN:aws:secretsmanager:eu-west-1:123456789012:secret:prod/pkg": "no whole ARN",
}

// Guarantee C1.
func TestNew_RefusesNamesThatAWSCannotHave(t *testing.T) {
	machine(t, nil)
	for id, says := range impossible {
		_, fromNew := awssm.New(clientOf("http://127.0.0.1:1"), id, awssm.Options{})
		_, fromStore := awssm.NewStore(clientOf("http://127.0.0.1:1"), id, awssm.Options{})
		_, fromOpen := awssm.Open(t.Context(), id, awssm.Options{Region: "eu-west-1"})
		_, fromSpec := backends.Parse(backends.Spec{Scheme: "awssm", Name: id}.String(), awssm.Opener())
		for _, err := range []error{fromNew, fromStore, fromOpen, fromSpec} {
			fails(t, err, tokensource.ErrInvalid, says)
		}
		fails(t, fromSpec, tokensource.ErrInvalid, "column 7: ")
	}
}

// Guarantee C1.
func TestOpener_RefusesSlips(t *testing.T) {
	machine(t, nil)
	old := backends.Opener{Scheme: "env", Open: func(backends.Spec) (tokensource.TokenSource, error) { return tokensource.Static(secret), nil }}
	for spec, says := range map[string]string{
		"awssm://prod/pkg":                          "column 7: a source is no URL; write it without //, such as awssm:prod/packagecloud",
		"awssm:" + anARN + ":token::":               "column 7: something follows the name in the ARN",
		"awssm:" + anARN + "?region=us-east-1":      "column 76: the ARN is of the region eu-west-1, and us-east-1 is asked",
		"awssm:prod/pkg?region=":                    "column 16: the value is empty",
		"awssm:prod/pkg?stage=":                     "column 16: the value is empty",
		"awssm:prod/pkg?version=AWSCURRENT":         "column 16: the version looks like a stage",
		"awssm:prod/pkg?role=arn:aws:iam::1:user/u": "column 16: the role is not an ARN of a role",
		"awssm:prod/pkg?role=" + anARN:              "column 16: the role is not an ARN of a role",
		"awssm:prod/pkg?eu-west-1":                  "column 16: expected an option, key=value",
		"awssm:prod/pkg#token?region=eu-west-1":     "options come before the field",
		"awssm:'prod/pkg'":                          "column 7: a quote",
		"awssm:prod/pkg;env:X":                      "separate them by a comma alone",
		"AWSSM:prod/pkg":                            `did you mean "awssm"?`,
		"awssm:eu-west-1:prod/pkg":                  "column 7: no secret of AWS has such a name",
		"awssm:prod/pkg?profile=ci":                 `no option "profile"`,
	} {
		_, err := backends.Parse(spec+",env:OLD", awssm.Opener(), old)
		fails(t, err, tokensource.ErrInvalid, says)
	}
}

// Guarantee C1.
func TestSource_SlipThatOnlyAWSCanTellStopsAChain(t *testing.T) {
	m := startMoto(t)
	arn := m.create("prod/packagecloud", secret)
	m.create("prod/eu-Ab1dEf", secret)
	for _, test := range []struct {
		id      string
		options awssm.Options
		kind    error
		says    string
	}{
		{arn, awssm.Options{}, nil, ""},
		{arn[:len(arn)-7], awssm.Options{}, nil, ""},
		{"prod/eu-Ab1dEf", awssm.Options{}, nil, ""},
		{"prod/packagecloud-AbCdEf", awssm.Options{}, tokensource.ErrInvalid, "the name ends in what AWS appends to it in an ARN; give the whole ARN"},
		{"prod/packagecloud", awssm.Options{Stage: "AWSCURENT"}, tokensource.ErrInvalid, "there are AWSCURRENT, AWSPREVIOUS, AWSPENDING only"},
		{"prod/packagecloud", awssm.Options{Stage: "awscurrent"}, tokensource.ErrInvalid, "there are AWSCURRENT"},
		{"prod/packagecloud", awssm.Options{Stage: "00000000-0000-4000-8000-000000000000"}, tokensource.ErrInvalid, "give it as the version"},
		{"arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/packagecloud-AbCdEf", awssm.Options{}, tokensource.ErrInvalid, "the ARN is of the region us-east-1, and eu-west-1 is asked"},
		{"prod/missing", awssm.Options{}, tokensource.ErrNotFound, "no such secret"},
		{"prod-secret", awssm.Options{}, tokensource.ErrNotFound, "no such secret"},
		{"Prod-Secret", awssm.Options{}, tokensource.ErrNotFound, "no such secret"},
		{"events!connection/prod/missing", awssm.Options{}, tokensource.ErrNotFound, "no such secret"},
		{"PROD-SECRET", awssm.Options{}, tokensource.ErrNotFound, "no such secret"},
		{"/prod/missing", awssm.Options{}, tokensource.ErrNotFound, "no such secret"},
		{"prod/packagecloud", awssm.Options{Stage: "blue"}, tokensource.ErrNotFound, "no such stage"},
		{"prod/packagecloud", awssm.Options{Stage: awssm.StagePending}, tokensource.ErrNotFound, "no such stage"},
	} {
		tok, err := must(awssm.New(m.client(), test.id, test.options)).Token(t.Context())
		if test.kind == nil {
			holds(t, tok, err, secret)
			continue
		}
		fails(t, err, test.kind, test.says)
	}
}
