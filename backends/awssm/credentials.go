package awssm

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/smithy-go/logging"
)

const (
	// requestLimit ends a request that isn't answered. Without one, a service
	// for credentials that stalls would do so for all reads to come: they wait
	// for the one request that is under way.
	requestLimit = 30 * time.Second
	// renewBefore is how long before their end credentials are renewed, since
	// this machine's clock may be slow.
	renewBefore = 5 * time.Minute
)

var (
	errRedirect      = errors.New("redirect not followed")
	errNoCredentials = errors.New("answer without credentials")
)

// careful are the options with which the SDK asks for credentials.
func careful() []func(*config.LoadOptions) error {
	client := awshttp.NewBuildableClient().WithTimeout(requestLimit).WithTransportOptions(refuseRedirects)
	return []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = client }), // has its own else
		config.WithSSOProviderOptions(func(o *ssocreds.Options) { o.Client = signIn{o.Client} }),
		config.WithCredentialsCacheOptions(renewEarly),
		config.WithLogger(logging.Nop{}), // which would write to stderr
	}
}

func renewEarly(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = renewBefore }

// refuseRedirects makes a transport refuse them. Of the SDK's own client, which
// alone takes AWS_CA_BUNDLE, nothing else can be told so; it asks for the proxy of
// each request.
func refuseRedirects(tr *http.Transport) {
	proxy := tr.Proxy
	tr.Proxy = func(r *http.Request) (*url.URL, error) {
		switch {
		case r.Response != nil: // the redirect
			return nil, errRedirect
		case proxy == nil:
			return nil, nil
		}
		return proxy(r)
	}
}

// signIn is a client that never succeeds without credentials: the SDK would end
// the program by a panic in a goroutine of its own.
type signIn struct {
	ssocreds.GetRoleCredentialsAPIClient
}

func (c signIn) GetRoleCredentials(ctx context.Context, in *sso.GetRoleCredentialsInput, optFns ...func(*sso.Options)) (*sso.GetRoleCredentialsOutput, error) {
	out, err := c.GetRoleCredentialsAPIClient.GetRoleCredentials(ctx, in, optFns...)
	if err == nil && (out == nil || out.RoleCredentials == nil) {
		return nil, errNoCredentials
	}
	return out, err
}

// ownRetryer repeats a read, but not because credentials for it failed: who asked
// for these has repeated that already.
type ownRetryer struct{ aws.RetryerV2 }

func (r ownRetryer) IsErrorRetryable(err error) bool {
	return isOwn(service(err)) && r.RetryerV2.IsErrorRetryable(err)
}
