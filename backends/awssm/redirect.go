package awssm

import (
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// withoutRedirects returns a client that takes a redirect as the answer. That of
// net/http follows them all, the SDK's own 307 and 308 where the body, if any, can
// be sent again; on the way to another host Authorization is stripped, but not
// X-Amz-Security-Token. A client of another type follows what it follows. Answers are
// bounded in any case.
func withoutRedirects(client aws.HTTPClient) aws.HTTPClient {
	if b, ok := client.(*awshttp.BuildableClient); ok {
		client = b.Freeze()
	}
	if client == nil {
		return nil
	}
	if c, ok := client.(*http.Client); ok && c != nil {
		strict := *c
		strict.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		client = &strict
	}
	return boundedClient{client}
}

// maxAnswer is far above the 64 KiB that a secret may have. The SDK reads an answer
// whole and decodes all of it, which takes many times its length.
const maxAnswer = 2 << 20

var errTooLong = errors.New("the answer is too long")

// boundedClient is a client whose answers fail beyond maxAnswer.
type boundedClient struct{ aws.HTTPClient }

func (c boundedClient) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.HTTPClient.Do(req)
	if err == nil && resp != nil && resp.Body != nil {
		resp.Body = &boundedBody{resp.Body, maxAnswer}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}
