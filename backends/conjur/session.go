package conjur

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
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

// session is the access token of one source.
type session struct {
	server *server
	fetch  fetch
	held   bool
	hint   string

	login sourcekit.Flight[*accessToken]

	mu       sync.Mutex
	current  *accessToken
	failures int       // in a row
	retry    time.Time // no login behind the callers before
}

func newSession(server *server, auth Auth) *session {
	return &session{
		server: server, fetch: auth.fetch, held: auth.held, hint: auth.hint,
		login: sourcekit.Flight[*accessToken]{Name: "the login", Timeout: server.timeout},
	}
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
	due := serves && !now.Before(current.renew) && !now.Before(s.retry)
	s.mu.Unlock()
	if due {
		s.login.Start(s.logIn)
	}
	if serves {
		return current, nil
	}
	access, err := s.login.Do(ctx, s.logIn)
	switch e := err.(type) {
	case *failure:
		return nil, e
	case *tokensource.Error:
		return nil, fail(e.Kind, e.Message, e)
	}
	if err != nil {
		return nil, ended(err)
	}
	return access, nil
}

func ended(err error) error {
	return fail(tokensource.ErrUnavailable, "gave up waiting: "+err.Error(), err)
}

// logIn makes one login, unless another has just ended well.
func (s *session) logIn(ctx context.Context) (*accessToken, error) {
	if current := s.begin(); current != nil {
		return current, nil
	}
	data, err := s.fetch(ctx, s.server)
	var access *accessToken
	if err == nil {
		access, err = s.parse(data)
	}
	if late := ctx.Err(); late != nil { // Nobody may wait for it any more.
		return nil, fail(tokensource.ErrUnavailable, fmt.Sprintf("the login took longer than %v", s.server.timeout), late)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.retry = time.Now().Add(sourcekit.Backoff(s.failures))
		return nil, err
	}
	s.current, s.failures, s.retry = access, 0, time.Time{}
	return access, nil
}

// begin returns the access token if it isn't due. Else it counts the login that begins
// as failed until that has ended well, since it may never end.
func (s *session) begin() *accessToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && time.Now().Before(s.current.renew) {
		return s.current
	}
	s.failures++
	s.retry = time.Now().Add(s.server.timeout + sourcekit.Backoff(s.failures))
	return nil
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
