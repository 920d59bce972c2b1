package vault

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// errNoPermission is the verdict on a 403 when the Vault token itself is good.
var errNoPermission = errors.New("the Vault token is valid, but no policy of it permits this, or there is no such mount")

// lease is a Vault token and its time. It is immutable.
type lease struct {
	reveal    func() string // a closure, so that nothing prints it
	renewable bool
	due, end  time.Time // zero: never
}

// newLease makes a lease of a login's answer that was asked for at start.
func newLease(auth *api.SecretAuth, start time.Time) *lease {
	token := strings.Clone(auth.ClientToken)
	l := &lease{reveal: func() string { return token }, renewable: auth.Renewable}
	if life := time.Duration(auth.LeaseDuration) * time.Second; life > 0 {
		l.due, l.end = start.Add(life*2/3), start.Add(life)
	}
	return l
}

func (l *lease) usable(now time.Time) bool { return l != nil && (l.end.IsZero() || now.Before(l.end)) }
func (l *lease) isDue(now time.Time) bool  { return !l.due.IsZero() && !now.Before(l.due) }

// session keeps a Vault token. One login, renewal or check runs at a time.
type session struct {
	name   string
	client *client
	flight sourcekit.Flight[*lease]
	// changed has an element after a new lease, so that run looks at it.
	changed chan struct{}

	mu       sync.Mutex
	current  *lease
	failures int       // in a row
	retry    time.Time // no renewal before
}

func newSession(name string, client *client) *session {
	return &session{
		name:    name,
		client:  client,
		flight:  sourcekit.Flight[*lease]{Name: "the login", Timeout: client.timeout},
		changed: make(chan struct{}, 1),
	}
}

// get returns a usable lease. One that is due is renewed behind the caller.
func (s *session) get(ctx context.Context) (*lease, error) {
	s.mu.Lock()
	now, l := time.Now(), s.current
	retry := !now.Before(s.retry)
	s.mu.Unlock()
	if !l.usable(now) {
		return s.flight.Do(ctx, s.tend)
	}
	if l.isDue(now) && retry {
		s.flight.Start(s.tend)
	}
	return l, nil
}

// tend does what is due: nothing, a renewal or a login.
func (s *session) tend(ctx context.Context) (*lease, error) {
	now, l := time.Now(), s.peek()
	if l.usable(now) {
		if !l.isDue(now) {
			return l, nil
		}
		if l.renewable {
			renewed, err := s.renew(ctx, l)
			if err == nil {
				return s.keep(renewed), nil
			}
			if errors.Is(err, tokensource.ErrUnavailable) {
				s.failed()
				return nil, err
			}
		}
	}
	fresh, err := s.login(ctx)
	if err != nil {
		return nil, err
	}
	return s.keep(fresh), nil
}

// reject says that Vault answered 403 to bad, and returns another lease if that
// may be why, errNoPermission if not.
func (s *session) reject(ctx context.Context, bad *lease) (*lease, error) {
	for range 2 { // the first time, the call may be one that began before
		l, err := s.flight.Do(ctx, func(ctx context.Context) (*lease, error) {
			return s.check(ctx, bad)
		})
		if err != nil || l != bad {
			return l, err
		}
	}
	return nil, errNoPermission
}

// check asks Vault about bad and replaces it if it has ended.
func (s *session) check(ctx context.Context, bad *lease) (*lease, error) {
	if s.peek() != bad {
		return s.tend(ctx)
	}
	if bad.reveal() == "" {
		return nil, errNoPermission // an agent's matter
	}
	_, err := s.client.as(bad).Auth().Token().LookupSelfWithContext(ctx)
	if err == nil {
		return nil, errNoPermission
	}
	if !isRefusal(err) {
		return nil, located(s.name, err)
	}
	s.drop()
	fresh, err := s.login(ctx)
	if err != nil {
		return nil, err
	}
	if fresh.reveal() == bad.reveal() {
		return nil, tokensource.NewError(s.name, tokensource.ErrDenied, "Vault refuses its token: it was revoked, has expired or never was; supply another", nil)
	}
	return s.keep(fresh), nil
}

// login logs in. What fails is noted, the panic of a user's own method too.
func (s *session) login(ctx context.Context) (*lease, error) {
	ok := false
	defer func() {
		if !ok {
			s.failed()
		}
	}()
	l, err := s.logIn(ctx)
	ok = err == nil
	return l, err
}

func (s *session) logIn(ctx context.Context) (*lease, error) {
	start := time.Now()
	answer, err := s.client.login(ctx, s.client.anonymous())
	if err == nil {
		err = ctx.Err() // nobody waits for it any more
	}
	if err != nil {
		return nil, located(s.name, loginError(err))
	}
	fail := func(message string) (*lease, error) {
		return nil, tokensource.NewError(s.name, tokensource.ErrInvalid, message, nil)
	}
	switch {
	case answer == nil || answer.Auth == nil:
		return fail("the login gave no Vault token; is it an auth method's mount?")
	case answer.Auth.MFARequirement != nil:
		return fail("the login wants a second factor, which a program can't give; use another auth method")
	case answer.Auth.ClientToken == "" && answer != throughAgent:
		return fail("the login gave an empty Vault token")
	case strings.ContainsFunc(answer.Auth.ClientToken, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fail("the Vault token has characters that no Vault token has; is it the right file or variable?")
	}
	return newLease(answer.Auth, start), nil
}

// loginError explains why a login failed. Vault says 400 to most of what is
// wrong with credentials.
func loginError(err error) error {
	if _, ok := err.(*tokensource.Error); ok || foreign(err) {
		return err
	}
	switch code := status(err); code {
	case 400, 401, 403:
		return wrapf(tokensource.ErrDenied, err, "Vault refuses the login (%d): the credentials are wrong, spent or expired, or no such auth method is mounted", code)
	case 404:
		return wrapf(tokensource.ErrInvalid, err, "no auth method is mounted there (404); set the method's Mount")
	}
	return err
}

// renew extends l. What can't be extended any more is replaced when it is due.
func (s *session) renew(ctx context.Context, l *lease) (*lease, error) {
	start := time.Now()
	answer, err := s.client.as(l).Auth().Token().RenewSelfWithContext(ctx, 0)
	if err != nil {
		return nil, located(s.name, err)
	}
	if answer == nil || answer.Auth == nil || answer.Auth.ClientToken != l.reveal() {
		return nil, tokensource.NewError(s.name, tokensource.ErrInvalid, "the renewal's answer isn't one", nil)
	}
	renewed := newLease(answer.Auth, start)
	if renewed.end.Before(l.end.Add(time.Second)) {
		renewed.renewable = false
	}
	return renewed, nil
}

func (s *session) peek() *lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *session) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
}

func (s *session) keep(l *lease) *lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.failures, s.retry = l, 0, time.Time{}
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return l
}

// failed notes a failure, for the pause before the next try.
func (s *session) failed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures++
	s.retry = time.Now().Add(sourcekit.Backoff(s.failures))
}

func (s *session) run(ctx context.Context) error {
	for ctx.Err() == nil {
		_, err := s.flight.Do(ctx, s.tend)
		wait := s.untilDue()
		if err != nil {
			wait = max(wait, time.Second/2)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.changed:
		}
		timer.Stop()
	}
	return ctx.Err()
}

// untilDue is the time to the next renewal or login.
func (s *session) untilDue() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.retry
	switch {
	case s.current == nil:
	case s.current.due.IsZero():
		return 24 * time.Hour // nothing to do; keep tells of news
	case next.Before(s.current.due):
		next = s.current.due
	}
	return max(time.Until(next), time.Millisecond)
}
