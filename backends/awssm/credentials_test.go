package awssm

import (
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
)

// All reads wait for one request for credentials, which must therefore end.
func TestCareful_RequestsForCredentialsEnd(t *testing.T) {
	var options config.LoadOptions
	for _, set := range careful() {
		if err := set(&options); err != nil {
			t.Fatal(err)
		}
	}
	var container endpointcreds.Options
	options.EndpointCredentialOptions(&container)
	for name, client := range map[string]any{"all others": options.HTTPClient, "a container": container.HTTPClient} {
		if c, ok := client.(*awshttp.BuildableClient); !ok || c.GetTimeout() != requestLimit {
			t.Errorf("the client for %s is a %T without the limit", name, client)
		}
	}
}
