package conjur

import (
	"context"
	"errors"
	"net/http"

	"github.com/packagecloud-go/sdk/tokensource"
)

// Put adds next to the variable as its latest value and returns it as this source
// would: without a version, which Conjur doesn't tell. With a field, the other
// fields of the variable's JSON stay as they are.
//
// Conjur can't compare: expected is ignored, and of two rotations at once the
// second one wins. With a field, what somebody else writes between this method's
// read and its write is lost. A source for a fixed version can't be written. The role needs
// the privilege update, and with a field also execute.
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
		var flaw string
		if value, flaw = with(data, s.field, value); flaw != "" {
			return tokensource.Token{}, s.error(tokensource.ErrInvalid, flaw, nil)
		}
	}
	_, err := s.do(ctx, func() (*http.Request, error) {
		return s.session().server.requests.AddSecretRequest(s.id(), value)
	})
	if err != nil {
		return tokensource.Token{}, s.wrap(err)
	}
	return next.With(s.metadata()), nil
}
