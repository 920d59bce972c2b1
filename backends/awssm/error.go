package awssm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// failure makes an error of the SDK's. The action is the IAM name of what was
// tried. Of the SDK's error only its type, status and known codes are told: its
// text quotes what the server sent.
func (s *Source) failure(ctx context.Context, action string, err error) error {
	message, kind := classify(action, err)
	if ctx.Err() != nil {
		message, kind = "the caller's context ended before AWS answered", tokensource.ErrUnavailable
	}
	if mayBeDone(err) {
		message += unsure[action]
	}
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return tokensource.NewError(s.origin, kind, message, err)
}

// unsure says what a write may have come to that failed without AWS's refusal.
var unsure = map[string]string{
	actionPut:  "; the new token may have been stored",
	actionMove: "; the stage may have been moved",
}

// mayBeDone reports whether a request may have been carried out that failed so.
func mayBeDone(err error) bool {
	_, unsent := errors.AsType[*credentialsError](err)
	status := statusOf(err)
	return !unsent && (status < 300 || status >= 500)
}

// codeMissing is Secrets Manager's, for a secret, a stage and a version.
const codeMissing = "ResourceNotFoundException"

// Error codes by what they mean for a reader. AWS lists them at
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html
// and below each action; the services behind the credentials have their own.
var (
	codesForbidden = []string{"AccessDeniedException", "AccessDenied", "NotAuthorized", "ForbiddenException", "OptInRequired"}
	codesExpired   = []string{"ExpiredTokenException", "ExpiredToken"}
	codesClock     = []string{"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"}
	codesRefused   = []string{
		"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidSignatureException",
		"SignatureDoesNotMatch", "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken",
		"MissingAuthenticationTokenException", "AuthFailure", "UnauthorizedException", "InvalidIdentityToken",
		"IDPRejectedClaim", "InvalidGrantException", "AccessDeniedByIdentityProvider",
	}
)

// classify says what an error of the SDK means and what to do about it.
func classify(action string, err error) (message string, kind error) {
	var code string
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		code = e.ErrorCode()
	}
	status := statusOf(err)
	name := service(err)
	own := name == "" || name == secretsmanager.ServiceID
	if e, ok := errors.AsType[*credentialsError](err); ok {
		name, own = service(e), false
	}
	switch { // the codes of other services mean other things
	case own:
	case name == "ec2imds":
		return classifyMachineRole(err, status)
	case name == "STS":
		action = "assuming the role"
	default:
		action = "the request for credentials"
	}

	_, throttled := retry.DefaultThrottleErrorCodes[code]
	switch {
	case slices.Contains(codesForbidden, code):
		return "AWS denied " + action + "; grant it to the caller, and for a secret under a customer managed key the use of that key", tokensource.ErrDenied
	case slices.Contains(codesExpired, code):
		return "the AWS credentials have expired; renew them", tokensource.ErrDenied
	case slices.Contains(codesClock, code):
		return "AWS refused the time of the request; set this machine's clock", tokensource.ErrDenied
	case slices.Contains(codesRefused, code):
		return "AWS refused the credentials (" + code + "); check the access key, its secret and the session token", tokensource.ErrDenied
	case throttled && code != "LimitExceededException" || status == http.StatusTooManyRequests:
		return "AWS limits the rate of requests; ask less often, through a cache", tokensource.ErrUnavailable
	case code == "IDPCommunicationError":
		return "AWS couldn't reach the identity provider to check the web identity", tokensource.ErrUnavailable
	case !own:
	case code == "DecryptionFailure" || code == "EncryptionFailure":
		return "AWS couldn't use the secret's KMS key; check that it is enabled and that the caller may use it", tokensource.ErrDenied
	case code == "LimitExceededException":
		return "a quota of Secrets Manager is used up", tokensource.ErrUnavailable
	case code == codeMissing:
		return "no such secret in this account and region, or it has no such stage or version", tokensource.ErrNotFound
	case code == "InvalidRequestException":
		return "AWS can't do this to the secret as it is; if it is scheduled for deletion restore it, if it is a replica write to the primary", tokensource.ErrInvalid
	case code == "InvalidParameterException" || code == "ValidationException":
		return "AWS found the request invalid; check the secret's name, stage and version", tokensource.ErrInvalid
	}
	if status != 0 {
		return classifyStatus(action, status)
	}
	return classifyNoAnswer(err)
}

// classifyStatus is for answers that aren't Secrets Manager's own, such as those of
// a proxy or a gateway. A 404 among them says nothing of the secret.
func classifyStatus(action string, status int) (message string, kind error) {
	answered := fmt.Sprintf("the answer to %s was HTTP %d", action, status)
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return answered + "; check the credentials and that they are permitted it", tokensource.ErrDenied
	case status >= 500 || status == http.StatusRequestTimeout:
		return answered, tokensource.ErrUnavailable
	case status >= 300 && status < 400:
		return answered + ", a redirect, which is not followed; check the endpoint", tokensource.ErrInvalid
	case status < 300:
		return answered + ", but its body was cut or isn't Secrets Manager's; check the endpoint if that persists", tokensource.ErrUnavailable
	}
	return answered + " without a reason that is known; check the endpoint and the AWS configuration", tokensource.ErrInvalid
}

// classifyMachineRole is for the instance metadata service, the last place the SDK
// looks for credentials.
func classifyMachineRole(err error, status int) (message string, kind error) {
	const none = "no AWS credentials: none in the environment or the shared files, and "
	_, unsent := errors.AsType[*smithyhttp.RequestSendError](err)
	switch {
	case status == http.StatusNotFound:
		return none + "the machine has no role", tokensource.ErrNotFound
	case status == 0 && !unsent && !isTimeout(err):
		return none + "asking for the machine's role is disabled", tokensource.ErrNotFound
	}
	return none + "the instance metadata service didn't answer; where there is none, AWS_EC2_METADATA_DISABLED=true says so", tokensource.ErrUnavailable
}

// connection is where the SDK's settings for it come from.
var connection = sourcekit.Connection{
	Address:    "the region or the endpoint",
	CA:         "set AWS_CA_BUNDLE to the authority's certificate",
	ClientCert: "give the SDK's client an HTTP client that has it",
}

// classifyNoAnswer is for errors on this side of the network.
func classifyNoAnswer(err error) (message string, kind error) {
	if errors.Is(err, errRedirect) {
		return "who gives credentials answered with a redirect, which is not followed; check the AWS configuration", tokensource.ErrInvalid
	}
	if errors.Is(err, errNoCredentials) {
		return "the answer to the request for credentials had none; check the AWS configuration", tokensource.ErrUnavailable
	}
	if _, ok := errors.AsType[*credentials.StaticCredentialsEmptyError](err); ok {
		return "no AWS credentials are configured", tokensource.ErrNotFound
	}
	if _, ok := errors.AsType[*ssocreds.InvalidTokenError](err); ok {
		return "the AWS sign-in has expired or is missing; run: aws sso login", tokensource.ErrDenied
	}
	if _, ok := errors.AsType[*processcreds.ProviderError](err); ok {
		return "the credential process of the AWS profile failed", tokensource.ErrUnavailable
	}
	reason, _ := connection.Reason(err)
	if _, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok && reason == "" {
		reason = "the connection failed"
	}
	if reason != "" {
		return "no answer from AWS: " + reason, tokensource.ErrUnavailable
	}
	return "no answer from AWS, or no credentials to ask with; the SDK's error, by errors.As, says more", tokensource.ErrUnavailable
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// hasExpired reports whether AWS says so of the credentials of the request itself.
func hasExpired(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	_, foreign := errors.AsType[*credentialsError](err)
	return ok && !foreign && slices.Contains(codesExpired, e.ErrorCode())
}

// statusOf returns the HTTP status of the answer, or 0.
func statusOf(err error) int {
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		if e.Response == nil || e.Response.Response == nil {
			return 0
		}
		return e.HTTPStatusCode()
	}
	// A container's credentials have an error of their own.
	if e, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}

// service names the service that failed: the innermost one, since a request's
// error wraps that of getting credentials for it. An API of a user's may name none.
func service(err error) string {
	name := ""
	for ; err != nil; err = errors.Unwrap(err) {
		if e, ok := err.(*smithy.OperationError); ok {
			name = e.Service()
		}
	}
	return name
}
