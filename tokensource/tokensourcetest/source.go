package tokensourcetest

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

// Source is a fake for tests of a program. A test can rotate its token, make
// its store fail, be slow or hang, and count the calls. The zero Source holds
// no token and returns ErrNotFound. It is safe for concurrent use and must not
// be copied.
type Source struct {
	mu          sync.Mutex
	tok         tokensource.Token
	err         error
	version     int
	delay       time.Duration
	gate        chan struct{} // calls wait until it is closed; nil: calls don't wait
	calls       int
	invalidated []tokensource.Token
}

// NewSource returns a source that holds secret; see [Source.Set].
func NewSource(secret string) *Source {
	s := &Source{}
	s.Set(secret)
	return s
}

// Set stores secret as the next version: "1", "2" and so on. After a malformed
// secret Token fails, as with a real store. Set ends the effect of
// [Source.Fail].
func (s *Source) Set(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	meta := tokensource.Metadata{Origin: s.String(), Version: strconv.Itoa(s.version)}
	s.tok, s.err = tokensource.NewToken(secret, meta)
}

// SetToken stores tok with its metadata, such as an expiry. A zero token
// empties the store. SetToken ends the effect of [Source.Fail].
func (s *Source) SetToken(tok tokensource.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tok, s.err = tok, nil
}

// Fail makes Token return err. Fail(nil) makes it return the stored token
// again.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Delay makes each call of Token take d, or until its context ends. In a
// testing/synctest bubble the delay costs no real time.
func (s *Source) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Block makes calls of Token wait until release is called, or until their
// context ends. Calling release again does nothing.
func (s *Source) Block() (release func()) {
	gate := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = gate
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.gate == gate {
			s.gate = nil
		}
		close(gate)
	})
}

// Token waits as Delay and Block say, and then returns the stored token.
func (s *Source) Token(ctx context.Context) (tokensource.Token, error) {
	s.mu.Lock()
	s.calls++
	gate, delay := s.gate, s.delay
	s.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return tokensource.Token{}, tokensource.NewError(s.String(), tokensource.ErrUnavailable, err.Error(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return tokensource.Token{}, s.err
	case s.tok.IsZero():
		return tokensource.Token{}, tokensource.NewError(s.String(), tokensource.ErrNotFound, "call Set first", nil)
	}
	return s.tok, nil
}

// Invalidate records tok for [Source.Invalidated]. The stored token stays.
func (s *Source) Invalidate(tok tokensource.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.invalidated = append(s.invalidated, tok)
}

// Calls returns how often Token was called.
func (s *Source) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Invalidated returns the arguments of all calls of Invalidate, in order.
func (s *Source) Invalidated() []tokensource.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]tokensource.Token(nil), s.invalidated...)
}

// String returns "test:token", the origin of the tokens that Set stores.
func (s *Source) String() string { return "test:token" }
