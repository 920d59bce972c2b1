package awssm

import (
	"cmp"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// attempts is how often a request is tried, unless the configuration says; what
// goes beyond is the cache's. Two get over a connection that was cut.
const attempts = 2

// retries returns how the clients of cfg are to repeat requests, those for
// credentials included.
func retries(cfg aws.Config) func() aws.Retryer {
	standard := func(o *retry.StandardOptions) { o.MaxAttempts = cmp.Or(cfg.RetryMaxAttempts, attempts) }
	return func() aws.Retryer {
		if cfg.RetryMode == aws.RetryModeAdaptive {
			return ownRetryer{retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
				o.StandardOptions = append(o.StandardOptions, standard)
			})}
		}
		return ownRetryer{retry.NewStandard(standard)}
	}
}

// bounded returns r with the tries that are left to a client whose owner set no
// number of them.
func bounded(r aws.Retryer, set int) aws.Retryer {
	if n := r.MaxAttempts(); set == 0 && (n == 0 || n > attempts) {
		r = retry.AddWithMaxAttempts(r, attempts)
	}
	if r, ok := r.(aws.RetryerV2); ok {
		return ownRetryer{r}
	}
	return r
}

// ownRetryer repeats a request, but not because credentials for it failed: who asked
// for these has repeated that already.
type ownRetryer struct{ aws.RetryerV2 }

// IsErrorRetryable sees the request's own errors before they are given the name of
// its service.
func (r ownRetryer) IsErrorRetryable(err error) bool {
	_, marked := errors.AsType[*credentialsError](err)
	_, named := errors.AsType[*smithy.OperationError](err)
	return !marked && !named && r.RetryerV2.IsErrorRetryable(err)
}
