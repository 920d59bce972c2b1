package awssm

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
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
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) {
			o.HTTPClient = client // has its own else
			o.APIOptions = append(slices.Clip(o.APIOptions), likeAService)
		}),
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

// likeAService has who gives credentials to a container fail as services do, by
// name, and never succeed with nothing, at which the SDK would end the program too.
func likeAService(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("LikeAService",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleInitialize(ctx, in)
			if v := reflect.ValueOf(out.Result); err == nil && (!v.IsValid() || v.IsNil()) {
				err = errNoCredentials
			}
			if err != nil {
				err = &smithy.OperationError{ServiceID: "container", OperationName: stack.ID(), Err: err}
			}
			return out, metadata, err
		}), middleware.Before)
}

// credentialsError is what a request for credentials failed with. The codes in it
// are another service's and say nothing of the secret.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// lent are the credentials of one request.
type lent struct {
	// renewing guards the look at a cache of credentials and what is done about it.
	renewing *sync.Mutex

	mu    sync.Mutex
	from  aws.CredentialsProvider
	keyID string // of those that were given last
}

// lend has l give those of another provider.
func (l *lent) lend(from aws.CredentialsProvider) *lent {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from = from
	return l
}

// Retrieve marks its errors.
func (l *lent) Retrieve(ctx context.Context) (aws.Credentials, error) {
	l.mu.Lock()
	from := l.from
	l.mu.Unlock()
	c, err := from.Retrieve(ctx)
	if err == nil && !c.HasKeys() {
		err = errNoCredentials
	}
	if err != nil {
		return aws.Credentials{}, &credentialsError{err}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keyID = c.AccessKeyID
	return c, nil
}

// renew drops the credentials that were lent, unless somebody has done so already:
// many requests may find out at once that a session has ended, and one new one
// serves them all. It reports whether there can be others.
func (l *lent) renew() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	cache, ok := l.from.(*aws.CredentialsCache)
	if !ok || cache.IsCredentialsProvider(credentials.StaticCredentialsProvider{}) {
		return false
	}
	noWait, cancel := context.WithCancel(context.Background())
	cancel()
	l.renewing.Lock()
	defer l.renewing.Unlock()
	if c, err := cache.Retrieve(noWait); err == nil && c.AccessKeyID == l.keyID {
		cache.Invalidate()
	}
	return true
}

// assumer assumes a role, with the credentials that it is lent.
type assumer struct {
	aws.CredentialsProvider
	with *lent
}

// Retrieve renews these where AWS says that they have expired.
func (a assumer) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := a.CredentialsProvider.Retrieve(ctx)
	if hasExpired(err) && a.with.renew() {
		c, err = a.CredentialsProvider.Retrieve(ctx)
	}
	return c, err
}
