package conjur

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"

	"github.com/cyberark/conjur-api-go/conjurapi/response"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// Put adds next to the variable as its latest value and returns it as this source
// would: without a version, which Conjur doesn't tell. With a field, the other
// fields of the variable's JSON stay as they are.
//
// Conjur can't compare: expected is ignored, and of two rotations at once the
// second one wins. With a field, what somebody else writes between this method's
// read and its write is lost. A source for a fixed version can't be written. The role needs
// the privilege update, and with a field also execute. When the context ends or
// Conjur doesn't answer, the error says so if next may have been stored.
func (s *Source) Put(ctx context.Context, next, _ tokensource.Token) (tokensource.Token, error) {
	switch {
	case next.IsZero():
		return tokensource.Token{}, s.error(tokensource.ErrInvalid, "there is no token to store", nil)
	case s.version != 0:
		return tokensource.Token{}, s.error(tokensource.ErrInvalid, "this source is for a fixed version, and writing makes a new one; leave the version out", nil)
	}
	value := next.Reveal()
	if s.field != "" {
		data, err := s.read(ctx)
		if err != nil && !(errors.Is(s.wrap(err), tokensource.ErrNotFound) && s.missing == nil) {
			return tokensource.Token{}, s.wrap(err)
		}
		written, err := sourcekit.Field(s.field).Write(data, value)
		if err != nil {
			return tokensource.Token{}, s.wrap(err)
		}
		value = string(written)
	}
	_, err := s.do(ctx, func() (*http.Request, error) {
		return s.session().server.requests.AddSecretRequest(s.id(), value)
	})
	if err != nil {
		return tokensource.Token{}, s.wrap(err)
	}
	return next.With(s.metadata()), nil
}

// unsure adds to the error of a write that nobody knows what became of it.
func unsure(req *http.Request, err error) error {
	f, ok := err.(*failure)
	if !ok || req.Method != http.MethodPost || f.kind != tokensource.ErrUnavailable || wasNotSent(f.cause()) {
		return err
	}
	return fail(f.kind, f.message+"; the new token may have been stored", f.cause())
}

// wasNotSent reports whether a request didn't reach Conjur, or was turned away.
func wasNotSent(err error) bool {
	if e, ok := errors.AsType[*response.ConjurError](err); ok {
		return e.Code == http.StatusTooManyRequests
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return true
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return untrusted
}
