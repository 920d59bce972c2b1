// Package benchmarks compares this library with the alternatives that a user
// would pick, in one run on one machine.
package benchmarks

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/oauth2"

	"github.com/packagecloud-go/sdk/tokensource"
)

type oauthSource struct{}

func (oauthSource) Token() (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: "token", Expiry: time.Now().Add(time.Hour)}, nil
}

// BenchmarkHit reads a cached token. The case "load" is a single load of an
// atomic pointer, the lower bound for a shared token. Run the benchmark with
// -cpu 1,2 to see how the caches scale.
func BenchmarkHit(b *testing.B) {
	ctx := b.Context()
	value := "token"
	var pointer atomic.Pointer[string]
	pointer.Store(&value)

	cache, err := tokensource.Cache(tokensource.Static("token"), tokensource.CacheOptions{})
	if err != nil {
		b.Fatal(err)
	}
	reuse := oauth2.ReuseTokenSource(nil, oauthSource{})
	credentials := aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "token", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
	}))

	for _, c := range []struct {
		name string
		hit  func(*testing.PB) error
	}{
		{"load", func(pb *testing.PB) error {
			for pb.Next() {
				if pointer.Load() == nil {
					b.Error("lost")
				}
			}
			return nil
		}},
		{"tokensource.Cache", func(pb *testing.PB) error {
			for pb.Next() {
				if _, err := cache.Token(ctx); err != nil {
					return err
				}
			}
			return nil
		}},
		{"oauth2.ReuseTokenSource", func(pb *testing.PB) error {
			for pb.Next() {
				if _, err := reuse.Token(); err != nil {
					return err
				}
			}
			return nil
		}},
		{"aws.CredentialsCache", func(pb *testing.PB) error {
			for pb.Next() {
				if _, err := credentials.Retrieve(ctx); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				if err := c.hit(pb); err != nil {
					b.Error(err)
				}
			})
		})
	}
}
