package awssm_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/tokensource"
)

// manager stands in for AWS Secrets Manager. A *secretsmanager.Client has the
// same method.
type manager map[string]string

func (m manager) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(m[*in.SecretId]), VersionId: aws.String("f4463d94")}, nil
}

// A program that has a client of AWS already uses it.
func ExampleNew() {
	client := manager{"prod/packagecloud": `{"token":"0123456789abcdef"}`}
	source, err := awssm.New(client, "prod/packagecloud", awssm.Options{Field: "token"})
	if err != nil {
		log.Fatal(err)
	}
	cached, err := tokensource.Cache(source, tokensource.CacheOptions{})
	if err != nil {
		log.Fatal(err)
	}
	token, err := cached.Token(context.Background())
	fmt.Println(token, token.Metadata().Origin, token.Metadata().Version, err)
	// Output: [redacted] awssm:prod/packagecloud#token f4463d94 <nil>
}

// With credentials where AWS's own tools find them, the name of the secret is
// enough. Nothing is sent before the first Token.
func ExampleOpen() {
	source, err := awssm.Open(context.Background(), "prod/packagecloud", awssm.Options{Region: "eu-west-1", Field: "token"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(source)
	// Output: awssm:prod/packagecloud?region=eu-west-1#token
}

// The place of the secret may come from outside of the program.
func ExampleOpener() {
	source, err := backends.Parse("awssm:prod/packagecloud?region=eu-west-1#token", awssm.Opener())
	fmt.Println(source, err)
	// Output: awssm:prod/packagecloud?region=eu-west-1#token <nil>
}

// A rotation stages the new token, tries it, and only then makes it the current
// one. Programs that read the secret see no other state.
func ExampleStore() {
	rotate := func(ctx context.Context, next tokensource.Token, works func(tokensource.Token) error) error {
		store, err := awssm.OpenStore(ctx, "prod/packagecloud", awssm.Options{Field: "token"})
		if err != nil {
			return err
		}
		staged, err := store.Stage(ctx, next)
		if err != nil {
			return err
		}
		if err := works(staged); err != nil {
			return errors.Join(err, store.Discard(ctx, staged))
		}
		return store.Promote(ctx, staged)
	}
	_ = rotate
}
