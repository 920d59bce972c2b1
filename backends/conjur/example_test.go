package conjur_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/backends/conjur/internal/conjurserver"
	"github.com/packagecloud-go/sdk/tokensource"
)

// Where Conjur's own tools work, the id of the variable is all it takes.
func Example() {
	defer exampleServer()()

	source, err := conjur.New("prod/packagecloud/token", conjur.Options{})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := cache.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok, "from", tok.Metadata().Origin)
	// Output: [redacted] from conjur:prod/packagecloud/token
}

// A pod logs in with the token that Kubernetes keeps renewing in a file.
func ExampleJWTFile() {
	source, err := conjur.New("prod/packagecloud/token", conjur.Options{
		Account:      "acme",
		ApplianceURL: "https://conjur.acme.example",
		Auth:         conjur.JWTFile("k8s-prod", "", "/var/run/secrets/tokens/conjur"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(source)
	// Output: conjur:prod/packagecloud/token?account=acme&auth=jwt&file=/var/run/secrets/tokens/conjur&service=k8s-prod&url=https://conjur.acme.example
}

// A CI job says in one string where its token is.
func ExampleOpener() {
	defer exampleServer()()

	source, err := backends.Parse("conjur:prod/packagecloud/token?version=1", conjur.Opener())
	if err != nil {
		log.Fatal(err)
	}
	tok, err := source.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("version", tok.Metadata().Version)
	// Output: version 1
}

// A new token becomes the variable's latest value.
func ExampleSource_Put() {
	defer exampleServer()()

	ctx := context.Background()
	source, err := conjur.New("prod/packagecloud/token", conjur.Options{})
	if err != nil {
		log.Fatal(err)
	}
	next, err := tokensource.NewToken("the-next-token", tokensource.Metadata{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := source.Put(ctx, next, tokensource.Token{}); err != nil {
		log.Fatal(err)
	}
	now, err := source.Token(ctx)
	fmt.Println(now.Equal(next), err)
	// Output: true <nil>
}

// exampleServer makes a Conjur with a variable, and the settings that lead to it.
func exampleServer() (stop func()) {
	server := conjurserver.New("acme", nil)
	key := server.AddLogin("host/ci")
	server.Permit("prod/packagecloud/token", "host/ci", conjurserver.Privileges{Read: true, Execute: true, Update: true})
	server.Set("prod/packagecloud/token", "the-token-of-the-example")
	settings := map[string]string{
		"CONJUR_APPLIANCE_URL": server.URL,
		"CONJUR_ACCOUNT":       "acme",
		"CONJUR_AUTHN_LOGIN":   "host/ci",
		"CONJUR_AUTHN_API_KEY": key,
	}
	for name, value := range settings {
		os.Setenv(name, value)
	}
	return func() {
		server.Close()
		for name := range settings {
			os.Unsetenv(name)
		}
	}
}
