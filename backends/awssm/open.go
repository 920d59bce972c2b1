package awssm

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/packagecloud-go/sdk/tokensource"
)

// Open returns a source for the secret of this name or ARN, with a client built
// as the SDK's config.LoadDefaultConfig does: AWS_* variables, the shared files,
// web identity, the role of the container or the machine. A request, for the secret
// or for credentials, is tried twice at most, unless AWS_MAX_ATTEMPTS or the profile
// says otherwise, and ends after 30 seconds; the role of the machine takes several.
// No redirect is followed, neither by who reads the secret nor by who gets
// credentials for that, and the SDK logs nothing. Credentials that end are renewed
// five minutes before, and at once where AWS says that they have expired; those of
// the environment and the shared files are read once.
//
// It reads files but sends nothing; what is missing shows at the first Token.
// Contradictory options and a broken configuration are of kind
// [tokensource.ErrInvalid]. ctx counts only during the call.
func Open(ctx context.Context, secretID string, options Options) (*Source, error) {
	client, err := open(ctx, secretID, options)
	if err != nil {
		return nil, err
	}
	return newSource(client, secretID, options)
}

// OpenStore is [Open] for a secret that is also to be written.
func OpenStore(ctx context.Context, secretID string, options Options) (*Store, error) {
	client, err := open(ctx, secretID, options)
	if err != nil {
		return nil, err
	}
	return newStore(client, secretID, options)
}

func open(ctx context.Context, secretID string, options Options) (*secretsmanager.Client, error) {
	if err := misplaced(secretID, options); err != nil {
		return nil, err
	}
	origin := spell(secretID, options)
	_, flaw := options.flaw()
	if options.Endpoint == "" { // which may serve several regions
		flaw = cmp.Or(flaw, regionFlaw(secretID, options.Region))
	}
	if flaw = cmp.Or(nameFlaw(secretID), flaw); flaw != "" {
		return nil, tokensource.NewError(origin, tokensource.ErrInvalid, flaw, nil)
	}
	load := careful()
	if region := regionOf(secretID, options); region != "" {
		load = append(load, config.WithRegion(region))
	}
	// The clients for credentials are made while loading, when what the environment
	// and the profile say of retries must be known.
	cfg, err := config.LoadDefaultConfig(ctx, append(slices.Clip(load), config.WithCredentialsProvider(aws.AnonymousCredentials{}))...)
	tries := cmp.Or(cfg.RetryMaxAttempts, attempts)
	if err == nil {
		cfg, err = config.LoadDefaultConfig(ctx, append(load, config.WithRetryer(retries(cfg)))...)
	}
	if err != nil {
		message := "the AWS configuration in the environment and the shared files can't be loaded; try the AWS CLI with the same environment"
		if _, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
			message = "the AWS profile that the environment names doesn't exist in the shared files"
		}
		return nil, tokensource.NewError(origin, tokensource.ErrInvalid, message, err)
	}
	if options.RoleARN != "" {
		with := (&lent{renewing: &sync.Mutex{}}).lend(cfg.Credentials)
		client := sts.NewFromConfig(cfg, func(o *sts.Options) {
			o.Credentials, o.BaseEndpoint = with, lowered(o.BaseEndpoint)
		})
		cfg.Credentials = aws.NewCredentialsCache(assumer{stscreds.NewAssumeRoleProvider(client, options.RoleARN), with}, renewEarly)
	}
	return secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		o.RetryMaxAttempts = tries
		if options.Endpoint != "" {
			o.BaseEndpoint = &options.Endpoint
		}
		o.BaseEndpoint = lowered(o.BaseEndpoint) // that of the environment or the profile, too
	}), nil
}

// regionOf returns the region that was asked for, or else that of an ARN.
func regionOf(secretID string, options Options) string {
	if options.Region != "" {
		return options.Region
	}
	a, err := arn.Parse(secretID)
	if err != nil {
		return ""
	}
	return a.Region
}

// flaw says what is wrong with the options and, by its name in a spec, with
// which.
func (o Options) flaw() (option, message string) {
	if flaw := endpointFlaw(o.Endpoint); flaw != "" {
		return "endpoint", flaw
	}
	role, err := arn.Parse(o.RoleARN)
	switch {
	case o.RoleARN != "" && (err != nil || role.Service != "iam" || !strings.HasPrefix(role.Resource, "role/")):
		return "role", "the role is not an ARN of a role; give it as arn:aws:iam::ACCOUNT:role/NAME"
	case o.Stage != "" && o.VersionID != "":
		return "version", "stage and version exclude each other; give one of them"
	case strings.HasPrefix(o.VersionID, "AWS"):
		return "version", "the version looks like a stage; give it as the stage"
	}
	return "", ""
}

// endpointFlaw says what is wrong with an endpoint, without quoting it.
func endpointFlaw(endpoint string) string {
	if endpoint == "" {
		return ""
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "the endpoint is not a URL such as https://vpce-1234.secretsmanager.eu-west-1.vpce.amazonaws.com"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "the endpoint must have no user, query or fragment; AWS credentials come from the SDK's configuration"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "the endpoint is plain http to another machine, where anyone between could read the token; use https, or pass New a client of your own"
	}
	return ""
}

// lowered returns a URL with its host in lower case: net/http keeps "localhost" from
// a proxy, and no other spelling of it.
func lowered(address *string) *string {
	if address == nil {
		return nil
	}
	u, err := url.Parse(*address)
	if err != nil {
		return address // the SDK says what is wrong
	}
	u.Host = strings.ToLower(u.Host)
	return aws.String(u.String())
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.ToLower(host) == "localhost" || ip != nil && ip.IsLoopback()
}

// redactURL leaves of a URL what an error may show.
func redactURL(s string) string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return "[redacted]"
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	return u.String()
}
