// Package awssm reads the packagecloud token from AWS Secrets Manager, and
// writes it there when it is rotated.
//
// [Open] makes a source the way AWS's own tools do: credentials, region and
// profile come from the environment, the shared files or the machine's role.
// [New] makes one of a client that the program already has.
//
//	source, err := awssm.Open(ctx, "prod/packagecloud", awssm.Options{Field: "token"})
//	...
//	cached, err := tokensource.Cache(source, tokensource.CacheOptions{})
//
// Every read of a [Source] asks AWS, which bills and throttles it; wrap it in
// [tokensource.Cache], which also retries.
//
// # Permissions
//
// Reading needs one permission, on one secret; the six question marks stand for
// the characters that AWS appends to the name in an ARN:
//
//	{
//	  "Version": "2012-10-17",
//	  "Statement": [{
//	    "Effect": "Allow",
//	    "Action": "secretsmanager:GetSecretValue",
//	    "Resource": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/packagecloud-??????"
//	  }]
//	}
//
// If a customer managed key encrypts the secret, kms:Decrypt on that key comes
// in addition. A [Store], which also writes, needs
// secretsmanager:PutSecretValue, secretsmanager:UpdateSecretVersionStage and,
// for such a key, kms:GenerateDataKey.
//
// # Names
//
// A secret is named by its name or its ARN, whole or without the hyphen and the six
// characters at its end. What AWS can't have is [tokensource.ErrInvalid] at once, so
// that no chain goes on to another token because of it:
//
//	awssm://prod/packagecloud               awssm:prod/packagecloud
//	awssm:prod/packagecloud:token           awssm:prod/packagecloud#token
//	awssm:arn:...:secret:NAME:token::       awssm:arn:...:secret:NAME#token
//	awssm:arn:aws:ssm:...:parameter/NAME    Systems Manager isn't read
//	awssm:prod/packagecloud&region=R        awssm:prod/packagecloud?region=R
//	?region=R with an ARN of another one    leave the region out
//
// Where AWS finds nothing, so are an ARN of another region than the client's, a name
// that ends like an ARN (-AbCdEf), and a stage such as AWSCURENT.
//
// # Failures
//
// They are of these kinds of package tokensource:
//
//	ErrNotFound     no such secret, stage or version; AWS isn't configured at
//	                all (no region, or for certain no credentials)
//	ErrDenied       AWS refused the credentials or the permission
//	ErrUnavailable  throttling, an error of the server, the network or TLS; no
//	                credentials because their source didn't answer
//	ErrInvalid      no usable token in the secret, a secret that is scheduled
//	                for deletion, a wrong endpoint
//
// That the instance metadata service doesn't answer is an outage, not a sign
// that there are no credentials. Where it can't exist, set
// AWS_EC2_METADATA_DISABLED=true to have a chain fall through.
//
// No error's text holds what AWS answered; the SDK's error is reached by
// errors.As.
package awssm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// The staging labels that Secrets Manager itself gives, for [Options.Stage]. A source
// of StagePrevious bridges a rotation: behind one of StageCurrent, in a chain with
// FallThrough(tokensource.ErrRejected), it serves while the new token is refused.
const (
	StageCurrent  = "AWSCURRENT"
	StagePrevious = "AWSPREVIOUS"
	StagePending  = "AWSPENDING"
)

// The actions, as IAM names them.
const (
	actionGet  = "secretsmanager:GetSecretValue"
	actionPut  = "secretsmanager:PutSecretValue"
	actionMove = "secretsmanager:UpdateSecretVersionStage"
)

// API is what a [Source] needs of a client; *[secretsmanager.Client] has it. It
// must be safe for concurrent use.
//
// See https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html.
type API interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Options says where a secret is and which part of it is the token. The zero
// value is good for a secret that is the token alone.
type Options struct {
	// Region is the AWS region of the secret. Empty is the region of the
	// secret's ARN or, for a name, what the SDK finds: AWS_REGION or the
	// profile. Only for [Open] and [OpenStore].
	Region string
	// RoleARN is a role to assume before reading. Empty assumes none beyond
	// what the environment or profile says. Only for Open and OpenStore.
	RoleARN string
	// Endpoint is the URL of Secrets Manager, for a VPC endpoint or an
	// emulator. Empty is AWS's own, or AWS_ENDPOINT_URL_SECRETS_MANAGER. It
	// must be https, except to this machine. Only for Open and OpenStore.
	Endpoint string

	// Stage is the staging label of the version to read. Empty is
	// [StageCurrent].
	Stage string
	// VersionID names one version to read for ever, in place of Stage.
	VersionID string
	// Field is the key of the token in a secret that is a JSON object, which
	// is what the AWS console makes. Empty takes the secret as it is. Keys
	// are compared exactly; there are no paths.
	Field string
}

// Source reads one secret of AWS Secrets Manager. Every call of Token is a
// request. It is safe for concurrent use.
type Source struct {
	// These are functions, because fmt can't follow them into the client and
	// its credentials.
	getSecretValue func(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	strict         func(*secretsmanager.Options)
	renewing       *sync.Mutex // see lent

	secretID string
	options  Options
	origin   string
	region   string // of the client, if it tells
	noRegion bool
}

// New returns a source for the secret of this name or ARN, read through client.
// Region, RoleARN and Endpoint are the client's business and must be empty, as
// one of Stage and VersionID must be; else, or without client or secretID, the
// error is of kind [tokensource.ErrInvalid].
//
// A request is tried twice at most, since a cache retries too; a client that sets
// RetryMaxAttempts, as AWS_MAX_ATTEMPTS does for that of config.LoadDefaultConfig,
// tries as often. Credentials that AWS says have expired are got anew if the client
// has them from an *aws.CredentialsCache, as LoadDefaultConfig gives them. An HTTP
// client of the SDK or of net/http is used without following redirects, because they
// would take the session token and a written secret along.
func New(client API, secretID string, options Options) (*Source, error) {
	if err := misplaced(secretID, options); err != nil {
		return nil, err
	}
	if options.Region != "" || options.RoleARN != "" || options.Endpoint != "" {
		return nil, tokensource.NewError(spell(secretID, options), tokensource.ErrInvalid,
			"Region, RoleARN and Endpoint are for Open; with New, configure the client", nil)
	}
	return newSource(client, secretID, options)
}

func newSource(client API, secretID string, options Options) (*Source, error) {
	s := &Source{secretID: secretID, options: options, origin: spell(secretID, options), renewing: &sync.Mutex{}}
	if isNil(client) {
		return nil, s.invalid("the client is nil")
	}
	if flaw := nameFlaw(secretID); flaw != "" {
		return nil, s.invalid(flaw)
	}
	if _, flaw := options.flaw(); flaw != "" {
		return nil, s.invalid(flaw)
	}
	s.getSecretValue = client.GetSecretValue
	s.strict = func(*secretsmanager.Options) {}
	if c, ok := client.(interface{ Options() secretsmanager.Options }); ok {
		o := c.Options()
		s.region, s.noRegion = o.Region, o.Region == ""
		strict := withoutRedirects(o.HTTPClient)
		s.strict = func(o *secretsmanager.Options) { o.HTTPClient = strict }
	}
	return s, nil
}

// misplaced is the error of a token in the place of its name, which would be sent
// to AWS and shown as the origin.
func misplaced(secretID string, options Options) error {
	if sourcekit.HoldsToken(secretID) || sourcekit.HoldsToken(options.Field) {
		return tokensource.NewError(scheme, tokensource.ErrInvalid, "the name or the field looks like a token; pass the name of the secret that holds it", nil)
	}
	return nil
}

// isNil also finds the typed nil, which would panic at its first use.
func isNil(client API) bool {
	v := reflect.ValueOf(client)
	return client == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

// spell writes the source as one string that package backends can read back.
func spell(secretID string, o Options) string {
	options := map[string]string{}
	for key, value := range map[string]string{
		"region": o.Region, "role": o.RoleARN, "endpoint": redactURL(o.Endpoint), "stage": o.Stage, "version": o.VersionID,
	} {
		if value != "" {
			options[key] = value
		}
	}
	return backends.Spec{Scheme: scheme, Name: secretID, Options: options, Field: o.Field}.String()
}

// String spells the source, such as "awssm:prod/packagecloud#token".
func (s *Source) String() string { return s.origin }

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (s *Source) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// Token reads the secret. Its Metadata has the version's id as Version. It
// returns when ctx ends, whatever AWS does.
func (s *Source) Token(ctx context.Context) (tokensource.Token, error) {
	v, err := s.get(ctx, cmp.Or(s.options.Stage, StageCurrent), s.options.VersionID)
	if missing, ok := errors.AsType[smithy.APIError](err); ok && missing.ErrorCode() == codeMissing && errors.Is(err, tokensource.ErrNotFound) {
		if slip := s.slip(); slip != "" {
			return tokensource.Token{}, tokensource.NewError(s.origin, tokensource.ErrInvalid, "no such secret, stage or version: "+slip, missing)
		}
	}
	if err != nil {
		return tokensource.Token{}, err
	}
	return s.token(v)
}

// get reads one version: the one with that id or, if it is empty, with that
// stage. The stage is always named: what an unnamed one means has been
// understood differently by those who serve this API.
func (s *Source) get(ctx context.Context, stage, versionID string) (value, error) {
	if err := s.ready(ctx); err != nil {
		return value{}, err
	}
	in := &secretsmanager.GetSecretValueInput{SecretId: &s.secretID}
	if versionID != "" {
		in.VersionId = &versionID
	} else {
		in.VersionStage = &stage
	}
	out, err := call(ctx, s, actionGet, s.getSecretValue, in)
	if err != nil {
		return value{}, err
	}
	if out == nil || out.SecretString == nil && out.SecretBinary == nil {
		return value{}, s.invalid("AWS answered without a value; does the endpoint speak for Secrets Manager?")
	}
	v := value{version: aws.ToString(out.VersionId), stages: out.VersionStages}
	if out.SecretString != nil {
		v.data = *out.SecretString
	} else {
		v.data, v.binary = string(out.SecretBinary), true
	}
	return v, nil
}

// call makes a request, and once more if it took credentials that have expired.
func call[I, O any](ctx context.Context, s *Source, action string, do func(context.Context, I, ...func(*secretsmanager.Options)) (O, error), in I) (O, error) {
	with := &lent{renewing: s.renewing}
	perCall := func(o *secretsmanager.Options) {
		s.strict(o)
		if o.Retryer != nil {
			o.Retryer = bounded(o.Retryer, o.RetryMaxAttempts)
		}
		if o.Credentials != nil {
			o.Credentials = with.lend(o.Credentials)
		}
	}
	out, err := do(ctx, in, perCall)
	if hasExpired(err) && with.renew() {
		out, err = do(ctx, in, perCall)
	}
	if err != nil {
		return out, s.failure(ctx, action, err)
	}
	return out, nil
}

// ready refuses a request that can't succeed.
func (s *Source) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return s.failure(ctx, "", ctx.Err())
	}
	if s.noRegion {
		return tokensource.NewError(s.origin, tokensource.ErrNotFound,
			"no AWS region is configured; set Options.Region or AWS_REGION, or name the secret by its ARN", nil)
	}
	return nil
}

// token makes a token of what is stored.
func (s *Source) token(v value) (tokensource.Token, error) {
	secret, err := s.field().Read([]byte(v.data))
	if err != nil {
		return tokensource.Token{}, s.located(err)
	}
	return tokensource.NewToken(secret, s.metadata(v.version))
}

func (s *Source) field() sourcekit.Field { return sourcekit.Field(s.options.Field) }

// located gives an error of sourcekit its source.
func (s *Source) located(err error) error {
	if e, ok := errors.AsType[*tokensource.Error](err); ok {
		return tokensource.NewError(s.origin, e.Kind, e.Message, e)
	}
	return err
}

func (s *Source) metadata(version string) tokensource.Metadata {
	// The SDK's strings are parts of whole answers.
	return tokensource.Metadata{Origin: s.origin, Version: strings.Clone(version)}
}

func (s *Source) invalid(message string) error {
	return tokensource.NewError(s.origin, tokensource.ErrInvalid, message, nil)
}
