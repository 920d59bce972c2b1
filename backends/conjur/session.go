package conjur

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

// lifetime is that of an access token that doesn't tell.
const lifetime = 8 * time.Minute

// accessToken is what Conjur gives for a login.
type accessToken struct {
	header func() string // of Authorization; a closure, so that it can't be printed
	renew  time.Time     // on this machine's clock
	end    time.Time     // likewise
}

func (a *accessToken) same(b *accessToken) bool {
	return subtle.ConstantTimeCompare([]byte(a.header()), []byte(b.header())) == 1
}

// The pause after a login that failed while the access token still serves.
const (
	minBackoff = time.Second
	maxBackoff = time.Minute
)

// session is the access token of one source.
type session struct {
	server *server
	fetch  fetch
	held   bool
	hint   string

	mu       sync.Mutex
	current  *accessToken
	call     *login    // the one that runs, or nil
	failures int       // in a row
	retry    time.Time // no login behind the callers before
}

// login is one attempt. Waiters hold on to done; the rest is set before it closes.
type login struct {
	done   chan struct{}
	access *accessToken
	err    error
}

func newSession(server *server, auth Auth) *session {
	return &session{server: server, fetch: auth.fetch, held: auth.held, hint: auth.hint}
}

// get returns an access token to use, other than refused if there can be another.
// As long as there is one that lasts nobody waits: the login for the next one runs
// behind the callers.
func (s *session) get(ctx context.Context, refused *accessToken) (*accessToken, error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(err)
	}
	s.mu.Lock()
	if refused != nil && s.current == refused {
		s.current = nil
	}
	now, current := time.Now(), s.current
	serves := current != nil && now.Before(current.end)
	if s.call == nil && (!serves || !now.Before(current.renew) && !now.Before(s.retry)) {
		s.start()
	}
	call := s.call
	s.mu.Unlock()
	if serves {
		return current, nil
	}

	select {
	case <-call.done:
		return call.access, call.err
	case <-ctx.Done():
		return nil, ended(ctx.Err())
	}
}

func ended(err error) error {
	return fail(tokensource.ErrUnavailable, "gave up waiting: "+err.Error(), err)
}

// start begins a login. s.mu is held. The time limit ends it even if a caller's
// function doesn't return.
func (s *session) start() {
	call := &login{done: make(chan struct{})}
	s.call = call
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.server.timeout)
		defer cancel()
		late := fail(tokensource.ErrUnavailable, fmt.Sprintf("the login took longer than %v", s.server.timeout), context.DeadlineExceeded)
		stop := context.AfterFunc(ctx, func() { s.finish(call, nil, late) })
		defer stop()
		access, err := (*accessToken)(nil), error(fail(tokensource.ErrInvalid, "the login panicked or ended its goroutine", nil))
		defer func() {
			if recover() != nil {
				access = nil // err is as it was
			}
			s.finish(call, access, err)
		}()
		access, err = s.logIn(ctx)
		if err != nil && ctx.Err() != nil {
			err = late
		}
	}()
}

func (s *session) logIn(ctx context.Context) (*accessToken, error) {
	data, err := s.fetch(ctx, s.server)
	if err != nil {
		return nil, err
	}
	return s.parse(data)
}

// finish ends a login, once.
func (s *session) finish(call *login, access *accessToken, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.call != call {
		return
	}
	s.call = nil
	if err == nil {
		s.current, s.failures = access, 0
	} else {
		s.failures++
		s.retry = time.Now().Add(backoff(s.failures))
	}
	call.access, call.err = access, err
	close(call.done)
}

// backoff is the pause after the n-th failure in a row: 1 s, 2 s, 4 s, up to a
// minute, each 20% up or down.
func backoff(n int) time.Duration {
	d := maxBackoff
	if n <= 6 {
		d = minBackoff << (n - 1)
	}
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// parse makes an access token of Conjur's JSON. Nothing of it is in an error.
//
// https://docs.cyberark.com/conjur-open-source/latest/en/content/developer/conjur_api_authenticate.htm
func (s *session) parse(data []byte) (*accessToken, error) {
	invalid := func(what string) error {
		return fail(tokensource.ErrInvalid, "Conjur's access token "+what, nil)
	}
	var parts struct{ Protected, Payload, Signature string }
	if json.Unmarshal(data, &parts) != nil {
		return nil, invalid("is not the JSON that Conjur makes; does the address lead to Conjur's API?")
	}
	if parts.Protected == "" || parts.Payload == "" || parts.Signature == "" {
		return nil, invalid("lacks its parts protected, payload and signature")
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(parts.Payload))
	var claims struct{ Iat, Exp json.Number }
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return nil, invalid("has a payload that can't be read")
	}
	now := time.Now()
	header := `Token token="` + base64.StdEncoding.EncodeToString(data) + `"`
	access := &accessToken{header: func() string { return header }}
	if s.held {
		return access, nil // it is asked for anew at each read
	}
	life := lifetime
	issued, err1 := claims.Iat.Int64()
	expires, err2 := claims.Exp.Int64()
	if errors.Join(err1, err2) == nil {
		// Only the difference counts, since the clocks may differ.
		life = min(max(time.Duration(expires-issued), 0), 24*60*60) * time.Second
	}
	access.renew, access.end = now.Add(life*3/4), now.Add(life)
	return access, nil
}
