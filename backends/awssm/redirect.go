package awssm

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// withoutRedirects returns a client that takes a redirect as the answer. That of
// net/http follows them all, the SDK's own 307 and 308 where the body, if any, can
// be sent again; on the way to another host Authorization is stripped, but not
// X-Amz-Security-Token. A client of another type is returned as it is.
func withoutRedirects(client aws.HTTPClient) aws.HTTPClient {
	if b, ok := client.(*awshttp.BuildableClient); ok {
		client = b.Freeze()
	}
	c, ok := client.(*http.Client)
	if !ok || c == nil {
		return client
	}
	strict := *c
	strict.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &strict
}
