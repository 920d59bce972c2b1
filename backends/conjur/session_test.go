package conjur_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/backends/conjur/internal/conjurserver"
	"github.com/packagecloud-go/sdk/tokensource"
)

// inMemory makes a source reach its server without a network, so that it works where
// time is made up.
func (s *conjurtest) inMemory(o *conjur.Options) {
	o.HTTPClient = &http.Client{Transport: s.Transport()}
}

// simulate runs f in a bubble in which time is made up.
func simulate(t *testing.T, f func(t *testing.T, s *conjurtest)) {
	s := start(t)
	s.Set(variable, secret)
	synctest.Test(t, func(t *testing.T) { f(t, s) })
}

func (s *conjurtest) countsAre(t *testing.T, want conjurserver.Counts) {
	t.Helper()
	if got := s.Counts(); got != want {
		t.Errorf("requests: %+v, want %+v", got, want)
	}
}

// stall is a fault that holds requests of a kind up for a time.
func stall(kind string, d time.Duration) conjurserver.Fault {
	return func(k string, w http.ResponseWriter, r *http.Request) bool {
		if k == kind {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
			}
		}
		return false
	}
}

const forever = 1000 * time.Hour

// Guarantee B7.
func TestSession_AThousandColdCallersLogInOnce(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	const callers = 1000
	read := func(source tokensource.TokenSource) {
		var wg sync.WaitGroup
		gate := make(chan struct{})
		for range callers {
			wg.Go(func() {
				<-gate
				tok, err := source.Token(t.Context())
				if err != nil || tok.Reveal() != secret {
					t.Errorf("Token: %v", err)
				}
			})
		}
		close(gate)
		wg.Wait()
	}
	s.AddJWT("ci", jwt("a"), host)
	for i, auth := range []conjur.Auth{conjur.APIKey(host, s.key), conjur.JWTFile("ci", "", writeFile(t, "jwt", jwt("a")))} {
		before := i * (callers + 1)
		read(s.source(t, with(auth)))
		s.countsAre(t, conjurserver.Counts{Logins: 2*i + 1, Reads: before + callers})
		read(must(tokensource.Cache(s.source(t, with(auth)), tokensource.CacheOptions{})))
		s.countsAre(t, conjurserver.Counts{Logins: 2*i + 2, Reads: before + callers + 1})
	}
}

func TestSession_RenewsAccessTokensInTime(t *testing.T) {
	for _, skew := range []time.Duration{0, time.Hour, -time.Hour} {
		simulate(t, func(t *testing.T, s *conjurtest) {
			s.SetSkew(skew)
			source := s.source(t, s.inMemory)
			for range 31 {
				holds(t, source, secret)
				time.Sleep(time.Minute)
			}
			s.countsAre(t, conjurserver.Counts{Logins: 6, Reads: 31})
		})
	}
}

func TestSession_ReplacesAnAccessTokenThatExpired(t *testing.T) {
	simulate(t, func(t *testing.T, s *conjurtest) {
		source := s.source(t, s.inMemory)
		holds(t, source, secret)
		time.Sleep(9 * time.Minute)
		holds(t, source, secret)
		s.countsAre(t, conjurserver.Counts{Logins: 2, Reads: 2})
	})
}

func TestSession_TrustsNoAccessTokenForMoreThanADay(t *testing.T) {
	simulate(t, func(t *testing.T, s *conjurtest) {
		s.SetLifetime(1000 * time.Hour)
		source := s.source(t, s.inMemory)
		for _, wait := range []time.Duration{0, 17 * time.Hour, 2 * time.Hour} { // 18 hours are three quarters
			time.Sleep(wait)
			holds(t, source, secret)
		}
		synctest.Wait() // for the login
		s.countsAre(t, conjurserver.Counts{Logins: 2, Reads: 3})
	})
}

func TestSession_LogsInAgainOnceWhenAnAccessTokenIsRefused(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	source := s.source(t)
	holds(t, source, secret)
	s.Revoke()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { holds(t, source, secret) })
	}
	wg.Wait()
	if got := s.Counts().Logins; got != 2 {
		t.Errorf("%d logins, want 2: the first, and one after the refusal", got)
	}
	next := must(tokensource.NewToken("next", tokensource.Metadata{}))
	s.Revoke()
	if _, err := source.Put(t.Context(), next, tokensource.Token{}); err != nil || s.Value(variable) != "next" {
		t.Errorf("Put with an access token that is refused: %v", err)
	}
}

func TestSession_GivesUpWhenANewAccessTokenIsRefusedToo(t *testing.T) {
	s := start(t)
	s.SetFault(answer("read", 401))
	s.refused(t, s.source(t), tokensource.ErrDenied, "refused the access token")
	s.countsAre(t, conjurserver.Counts{Logins: 2, Reads: 2})
}

// Whatever is wrong with the login, the access token serves to its end.
//
// Guarantee B7.
func TestSession_OutlivesAnOutageOfTheLogin(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault conjurserver.Fault
		kind  error
		says  string
	}{
		{"down", answer("login", 503), tokensource.ErrUnavailable, "Conjur answered 503"},
		{"stalled", stall("login", forever), tokensource.ErrUnavailable, "longer than 30s"},
		{"denied", answer("login", 401), tokensource.ErrDenied, "refused the login"},
		{"foreign 200", answer("login", 200), tokensource.ErrInvalid, "does the address lead to Conjur's API?"},
		{"foreign 404", answer("login", 404), tokensource.ErrInvalid, "check the address"},
		{"foreign 302", answer("login", 302), tokensource.ErrInvalid, "a redirect"},
	} {
		simulate(t, func(t *testing.T, s *conjurtest) {
			source := s.source(t, s.inMemory)
			holds(t, source, secret)
			time.Sleep(6 * time.Minute)
			s.SetFault(test.fault)
			for range 1199 { // up to the end of the 8 minutes
				began := time.Now()
				holds(t, source, secret)
				if took := time.Since(began); took != 0 {
					t.Fatalf("%s: a read waited %v for the login", test.name, took)
				}
				time.Sleep(100 * time.Millisecond)
			}
			// Pauses of 1, 2, 4, 8, 16, 32 and 60 seconds, which may be a fifth shorter.
			if got := s.Counts().Logins - 1; got < 3 || got > 8 {
				t.Errorf("%s: %d tries to log in within two minutes", test.name, got)
			}
			time.Sleep(time.Minute)
			s.refused(t, source, test.kind, test.says)
			s.SetFault(nil)
			holds(t, source, secret)
		})
	}
}

func TestSession_ReplacesAnAccessTokenBehindTheCallers(t *testing.T) {
	simulate(t, func(t *testing.T, s *conjurtest) {
		source := s.source(t, s.inMemory)
		holds(t, source, secret)
		for i := range 2 { // a success ends the pauses
			s.SetFault(answer("login", 503))
			time.Sleep(6 * time.Minute)
			holds(t, source, secret)
			synctest.Wait() // for the login that fails
			s.SetFault(stall("login", 10*time.Second))
			time.Sleep(1300 * time.Millisecond) // more than the first pause, less than the second
			began := time.Now()
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() { holds(t, source, secret) })
			}
			wg.Wait()
			if took := time.Since(began); took != 0 {
				t.Errorf("a read waited %v for the login", took)
			}
			time.Sleep(10 * time.Second) // for the login
			s.countsAre(t, conjurserver.Counts{Logins: 2*i + 3, Reads: 101*i + 102})
		}
	})
}

// An access token that Conjur refuses doesn't serve, however long it would last.
func TestSession_RefusedAccessTokenWaitsForNoPause(t *testing.T) {
	simulate(t, func(t *testing.T, s *conjurtest) {
		source := s.source(t, s.inMemory)
		holds(t, source, secret)
		s.SetFault(answer("login", 503))
		time.Sleep(7 * time.Minute)
		holds(t, source, secret)
		synctest.Wait() // for the login that fails
		s.Revoke()
		s.refused(t, source, tokensource.ErrUnavailable, "Conjur answered 503")
		s.SetFault(nil)
		holds(t, source, secret)
	})
}

func TestSession_ACallerWhoLeavesDoesNotDisturbTheLogin(t *testing.T) {
	simulate(t, func(t *testing.T, s *conjurtest) {
		s.SetFault(stall("login", 5*time.Second))
		source := s.source(t, s.inMemory)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { // the first, whose call starts the login
			_, err := source.Token(ctx)
			isEnded(t, err, context.DeadlineExceeded)
			s.fails(t, err, tokensource.ErrUnavailable, "gave up")
			if took := time.Since(began); took != time.Second {
				t.Errorf("the caller whose context ended after 1s got its answer after %v", took)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			holds(t, source, secret)
			if took := time.Since(began); took != 5*time.Second {
				t.Errorf("the caller who stayed got the token after %v, want 5s", took)
			}
		})
		wg.Wait()
		s.countsAre(t, conjurserver.Counts{Logins: 1, Reads: 1})
	})
}

func TestSession_TheLoginHasNoCallersValues(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	s.AddJWT("ci", jwt("a"), host)
	type key struct{}
	source := s.source(t, func(o *conjur.Options) {
		o.Auth = conjur.JWT("ci", "", func(ctx context.Context) (string, error) {
			if ctx.Value(key{}) != nil {
				t.Error("the login sees a value of its caller's context")
			}
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the login has no time limit")
			}
			return jwt("a"), nil
		})
	})
	if _, err := source.Token(context.WithValue(t.Context(), key{}, true)); err != nil {
		t.Error(err)
	}
}

func TestSession_StalledRequestsEnd(t *testing.T) {
	for _, kind := range []string{"login", "read"} {
		simulate(t, func(t *testing.T, s *conjurtest) {
			s.SetFault(stall(kind, forever))
			source := s.source(t, s.inMemory)
			began := time.Now()
			s.refused(t, source, tokensource.ErrUnavailable, "longer than 30s")
			if took := time.Since(began); took != 30*time.Second {
				t.Errorf("%s: an answer that never came was waited for %v, want 30s", kind, took)
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			began = time.Now()
			_, err := source.Token(ctx)
			isEnded(t, err, context.Canceled)
			if took := time.Since(began); took != time.Second {
				t.Errorf("%s: the caller cancelled after 1s and got its answer after %v", kind, took)
			}
			time.Sleep(time.Minute) // for what still runs
			s.SetFault(nil)
			holds(t, source, secret)
		})
	}
}

func TestSession_TimeLimitIsTheOptionsOrTheSettings(t *testing.T) {
	type env = map[string]string
	for _, test := range []struct {
		env    env
		option time.Duration
		want   time.Duration
	}{
		{env{"CONJUR_HTTP_TIMEOUT": "7"}, 0, 7 * time.Second},
		{env{"CONJURRC": writeFile(t, "rc", "http_timeout: 5\n")}, 0, 5 * time.Second},
		{env{"CONJUR_HTTP_TIMEOUT": "7"}, 3 * time.Second, 3 * time.Second},
	} {
		for _, kind := range []string{"login", "read"} {
			simulate(t, func(t *testing.T, s *conjurtest) {
				setenv(t, test.env)
				t.Setenv("CONJUR_ACCOUNT", account)
				source := s.source(t, s.inMemory, func(o *conjur.Options) { o.Account, o.Timeout = "", test.option })
				s.SetFault(stall(kind, forever))
				began := time.Now()
				s.refused(t, source, tokensource.ErrUnavailable, fmt.Sprintf("longer than %v", test.want))
				if took := time.Since(began); took != test.want {
					t.Errorf("%s: it took %v, want %v", kind, took, test.want)
				}
			})
		}
	}
}

// A network that hangs is not the same as a handler that does.
//
// Guarantee B7.
func TestSource_ReturnsAtOnceWhenItsContextEnds(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	for _, kind := range []string{"login", "read", "write"} {
		ctx, cancel := context.WithCancel(t.Context())
		s.SetFault(func(k string, w http.ResponseWriter, r *http.Request) bool {
			if k == kind {
				io.Copy(io.Discard, r.Body) // lest the server doesn't see the client leave
				cancel()
				<-r.Context().Done()
				return true
			}
			return false
		})
		source := s.source(t)
		within(t, func() {
			var err error
			if kind == "write" {
				_, err = source.Put(ctx, must(tokensource.NewToken("x", tokensource.Metadata{})), tokensource.Token{})
			} else {
				_, err = source.Token(ctx)
			}
			isEnded(t, err, context.Canceled)
			s.fails(t, err, tokensource.ErrUnavailable, "gave up")
		})
	}
}

func TestSession_AFunctionThatHangsBlocksNobodyForEver(t *testing.T) {
	simulate(t, func(t *testing.T, s *conjurtest) {
		s.AddJWT("ci", jwt("a"), host)
		release := make(chan struct{})
		var hang atomic.Bool
		hang.Store(true)
		source := s.source(t, s.inMemory, func(o *conjur.Options) {
			o.Auth = conjur.JWT("ci", "", func(context.Context) (string, error) {
				if hang.Load() {
					<-release // whatever its context says
				}
				return jwt("a"), nil
			})
		})
		s.refused(t, source, tokensource.ErrUnavailable, "the login took longer than 30s")
		hang.Store(false)
		holds(t, source, secret)
		close(release)
		synctest.Wait()
		holds(t, source, secret)
	})
}

func TestSession_SurvivesAFunctionThatPanics(t *testing.T) {
	s := start(t)
	for name, f := range map[string]func(){"panic": func() { panic(secret) }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			source := s.source(t, func(o *conjur.Options) {
				o.Auth = conjur.JWT("ci", "", func(context.Context) (string, error) { f(); return "", nil })
			})
			within(t, func() {
				for range 2 {
					_, err := source.Token(context.Background())
					s.fails(t, err, tokensource.ErrInvalid, "panicked or ended")
				}
			})
		})
	}
}
