package tokensourcetest

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

// Source is a fake to test a program with: its token can be rotated, its store
// can fail, be slow or hang, and it counts what is asked of it. The zero Source
// holds no token and says ErrNotFound. It is safe for concurrent use and must
// not be copied.
type Source struct {
	mu          sync.Mutex
	tok         tokensource.Token
	err         error
	version     int
	delay       time.Duration
	gate        chan struct{} // closed when calls may go on; nil if they may
	calls       int
	invalidated []tokensource.Token
}

// NewSource returns a source that holds secret; see [Source.Set].
func NewSource(secret string) *Source {
	s := &Source{}
	s.Set(secret)
	return s
}

// Set stores secret as the next version: "1", "2" and so on. A malformed one
// makes Token fail as a real store would. It ends what [Source.Fail] began.
func (s *Source) Set(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	meta := tokensource.Metadata{Origin: s.String(), Version: strconv.Itoa(s.version)}
	s.tok, s.err = tokensource.NewToken(secret, meta)
}

// SetToken stores tok with its metadata, such as an expiry, as they are. A zero
// token empties the store. It ends what [Source.Fail] began.
func (s *Source) SetToken(tok tokensource.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tok, s.err = tok, nil
}

// Fail makes Token return err, or with nil the stored token again.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Delay makes each call of Token take d, or until its context ends. In a
// testing/synctest bubble that costs no real time.
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

// Token returns what the source holds when it is done waiting.
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

// Invalidate notes tok for [Source.Invalidated]; the stored token stays.
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

// Invalidated returns the tokens that Invalidate was given, in order.
func (s *Source) Invalidated() []tokensource.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]tokensource.Token(nil), s.invalidated...)
}

// String returns "test:token", which is also the origin of the tokens of Set.
func (s *Source) String() string { return "test:token" }
