package awssm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// secret is the packagecloud token of these tests.
const secret = "canary0packagecloud0token0000000000000000000003"

// fails asserts that err is of this kind and that its message says this, and
// that nothing of it shows a canary.
func fails(t testing.TB, err, kind error, says string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v, want one of kind %q", err, kind)
		return
	}
	if _, ok := errors.AsType[*tokensource.Error](err); !ok {
		t.Errorf("error %v is no *tokensource.Error", err)
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("error %q doesn't say %q", err, says)
	}
	tokensourcetest.AssertNoSecret(t, err, secret, secretKey, session)
}

// must returns the value of a call that can't fail here.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func token(secret string) tokensource.Token {
	return must(tokensource.NewToken(secret, tokensource.Metadata{}))
}

// holds asserts that a source answered with this secret and no error.
func holds(t testing.TB, tok tokensource.Token, err error, want string) {
	t.Helper()
	if err != nil {
		t.Errorf("error %v", err)
	} else if tok.Reveal() != want {
		t.Errorf("got the token with fingerprint %s, want that of %q", tok.Fingerprint(), want)
	}
}
