package vault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/backends/vault"
	"github.com/packagecloud-go/sdk/tokensource"
)

var appRole = vault.AppRole{RoleID: vault.Literal("the-role-id"), SecretID: vault.Literal("the-secret-id-value")}

// bubble runs a test in faked time against a fake Vault.
func bubble(t *testing.T, test func(t *testing.T, f *fake, source *vault.Source)) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		test(t, f, newSource(t, f.client(t), "secret/packagecloud", vault.Options{Auth: appRole}))
		synctest.Wait()
	})
}

// counts checks how often the fake was called.
func counts(t *testing.T, f *fake, wants map[string]int) {
	t.Helper()
	synctest.Wait()
	for kind, want := range wants {
		if got := f.count(kind); got != want {
			t.Errorf("%d calls of %s, want %d", got, kind, want)
		}
	}
}

// Guarantee B6.
func TestSession_RenewsAtAReadPastTwoThirdsOfItsLife(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		f.set(func() { f.ttl = 90 * time.Second })
		get(t, source)
		time.Sleep(59 * time.Second)
		get(t, source)
		counts(t, f, map[string]int{"login": 1, "renew": 0})
		time.Sleep(2 * time.Second)
		for i := range 10 {
			get(t, source)
			counts(t, f, map[string]int{"login": 1, "renew": i + 1})
			time.Sleep(61 * time.Second)
		}
		time.Sleep(31 * time.Second)
		get(t, source)
		counts(t, f, map[string]int{"login": 2, "renew": 10})
	})
}

// Guarantee B6.
func TestSession_LogsInAnewWhenRenewalEnds(t *testing.T) {
	for name, change := range map[string]func(*fake){
		"at its longest life": func(f *fake) { f.maxTTL = 200 * time.Second },
		"not renewable":       func(f *fake) { f.renewable = false },
		"renewal refused":     func(f *fake) { f.status["renew"] = 403 },
		"renewal malformed":   func(f *fake) { f.status["renew"] = 400 },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
				f.set(func() { f.ttl = 90 * time.Second; change(f) })
				for range 3600 {
					get(t, source)
					time.Sleep(time.Second)
				}
				// A token is used for two thirds of a life at least.
				if got := f.count("login"); got < 2 || got > 3600/60+1 {
					t.Errorf("%d logins in an hour", got)
				}
				if renewals, logins := f.count("renew"), f.count("login"); renewals > 4*logins {
					t.Errorf("%d renewals for %d logins: they go on when they extend nothing", renewals, logins)
				}
				if got := f.count("lookup"); got != 0 {
					t.Errorf("a read was refused %d times", got)
				}
			})
		})
	}
}

func TestSession_ReadsGoOnWhileRenewalFails(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		f.set(func() { f.ttl = 300 * time.Second })
		get(t, source)
		f.set(func() { f.status["renew"] = 503 })
		time.Sleep(201 * time.Second)
		for range 950 {
			get(t, source)
			time.Sleep(100 * time.Millisecond)
		}
		// 95 s: after 1, 2, 4, 8, 16, 32 s and a minute, each 20% up or down.
		if got := f.count("renew"); got < 4 || got > 9 {
			t.Errorf("%d tries to renew, want a few", got)
		}
		f.set(func() { f.status["renew"] = 0 })
		time.Sleep(80 * time.Second) // it has expired
		get(t, source)
		counts(t, f, map[string]int{"login": 2})
	})
}

func TestSession_RunRenewsWithoutReads(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		f.set(func() { f.ttl = 90 * time.Second })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := source.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run returned %v, want the error of its context", err)
		}
		counts(t, f, map[string]int{"login": 1, "read": 0})
		if got := f.count("renew"); got < 58 || got > 60 {
			t.Errorf("%d renewals of a 90 s token in an hour, want one a minute", got)
		}
	})
}

// Guarantee B6.
func TestSession_RunDoesNotHammerAVaultThatIsDown(t *testing.T) {
	for name, status := range map[string]int{"sealed": 503, "failing": 500, "refusing": 400} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
				f.set(func() { f.ttl = 90 * time.Second; f.status["login"], f.status["renew"] = status, status })
				for range 2 { // at the start, and once a token has ended
					before := f.count("login") + f.count("renew")
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					source.Run(ctx)
					cancel()
					if got := f.count("login") + f.count("renew") - before; got < 50 || got > 150 {
						t.Errorf("%d calls in an hour, want about one a minute", got)
					}
					f.set(func() { f.status["login"] = 0 })
					time.Sleep(time.Hour)
					get(t, source)
					f.set(func() { f.status["login"] = status })
				}
			})
		})
	}
}

// TestSession_RunDoesNotHammerAVaultThatIsAway has one that refuses connections,
// and one that doesn't answer.
func TestSession_RunDoesNotHammerAVaultThatIsAway(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) error{
		"refused": func(*http.Request) error { return syscall.ECONNREFUSED },
		"stalled": func(r *http.Request) error { <-r.Context().Done(); return r.Context().Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				config := api.DefaultConfig()
				config.HttpClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					calls.Add(1)
					return nil, answer(r)
				})}
				source := newSource(t, must(api.NewClient(config)), "secret/packagecloud", vault.Options{Auth: appRole})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				source.Run(ctx)
				time.Sleep(2 * time.Minute) // what is under way ends
				if got := calls.Load(); got < 25 || got > 150 {
					t.Errorf("%d calls in an hour, want about one a minute", got)
				}
			})
		})
	}
}

func TestSession_RunLooksAtANewToken(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { source.Run(ctx) })
		f.set(func() { f.ttl = 10 * time.Hour })
		synctest.Wait()
		f.set(func() { f.ttl = 90 * time.Second })
		f.revoke()
		get(t, source)
		time.Sleep(10 * time.Minute)
		cancel()
		wg.Wait()
		if got := f.count("renew"); got < 8 {
			t.Errorf("%d renewals in ten minutes of a 90 s token", got)
		}
	})
}

func TestSession_NoticesRevocation(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		get(t, source)
		f.revoke()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := source.Token(t.Context()); err != nil {
					t.Errorf("Token: %v", err)
				}
			})
		}
		wg.Wait()
		counts(t, f, map[string]int{"login": 2, "lookup": 1, "mount": 1})
	})
}

// TestSession_ALateRefusalFindsTheNewToken has a refusal of the old token arrive
// when the new one is there.
func TestSession_ALateRefusalFindsTheNewToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var slow atomic.Bool
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if kindOf(r.URL.Path) == "read" && slow.CompareAndSwap(true, false) {
				time.Sleep(10 * time.Second)
			}
			f.ServeHTTP(w, r)
		})
		source := newSource(t, handlerClient(t, handler), "secret/packagecloud", vault.Options{Auth: appRole})
		get(t, source)
		f.revoke()
		slow.Store(true)
		var wg sync.WaitGroup
		wg.Go(func() { want(t, source, secretA) })
		synctest.Wait()
		want(t, source, secretA)
		wg.Wait()
		counts(t, f, map[string]int{"login": 2, "lookup": 1})
	})
}

func TestSession_ARefusedTokenIsNotTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		get(t, source)
		f.revoke()
		f.set(func() { f.status["login"] = 503 })
		for i := range 3 {
			refused(t, source, tokensource.ErrUnavailable, "sealed", "hvs.fake-token-1")
			counts(t, f, map[string]int{"login": i + 2, "lookup": 1, "read": 2})
		}
		f.set(func() { f.status["login"] = 0 })
		get(t, source)
	})
}

func TestSession_ACredentialThatHangsEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		auth := vault.JWT{Token: func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}}
		source := newSource(t, newFake().client(t), "secret/packagecloud", vault.Options{Auth: auth})
		start := time.Now()
		refused(t, source, tokensource.ErrUnavailable, "JWT")
		if took := time.Since(start); took != time.Minute {
			t.Errorf("it took %v, want the client's time limit, 1m", took)
		}
	})
}

// loginFunc is a user's own method.
type loginFunc func(context.Context) (*api.Secret, error)

func (f loginFunc) Login(ctx context.Context, _ *api.Client) (*api.Secret, error) { return f(ctx) }

// Guarantee B6.
func TestSession_ALoginThatIgnoresItsContextBlocksNobodyForEver(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, _ *vault.Source) {
		release := make(chan struct{})
		var logins atomic.Int64
		auth := loginFunc(func(context.Context) (*api.Secret, error) {
			if logins.Add(1) == 1 {
				<-release
				return &api.Secret{Auth: &api.SecretAuth{ClientToken: "hvs.of-the-late-login"}}, nil
			}
			return &api.Secret{Auth: &api.SecretAuth{ClientToken: "hvs.of-the-next-login"}}, nil
		})
		f.set(func() { f.tokens["hvs.of-the-next-login"] = life{} })
		source := newSource(t, f.client(t), "secret/packagecloud", vault.Options{Auth: auth})
		start := time.Now()
		_, err := source.Token(t.Context())
		check(t, err, tokensource.ErrUnavailable, "vault:secret/packagecloud#api_key: unavailable: the login took longer than 1m0s")
		if took := time.Since(start); took > 62*time.Second {
			t.Errorf("it took %v, want little more than the client's time limit, 1m", took)
		}
		get(t, source)
		close(release)
		synctest.Wait()
		get(t, source) // with the next login's token, since nobody waits for the late one
		counts(t, f, map[string]int{"lookup": 0, "read": 2})
		if got := logins.Load(); got != 2 {
			t.Errorf("%d logins, want 2", got)
		}
	})
}

// Guarantee B6.
func TestSession_ALoginThatPanics(t *testing.T) {
	for name, do := range map[string]func(){"panic": func() { panic("hunter2-password") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logins := 0
				auth := loginFunc(func(context.Context) (*api.Secret, error) {
					logins++
					do()
					return nil, nil
				})
				source := newSource(t, newFake().client(t), "secret/packagecloud", vault.Options{Auth: auth})
				for range 2 {
					refused(t, source, tokensource.ErrInvalid, "panicked or ended", "hunter2-password")
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				source.Run(ctx)
				if logins < 50 || logins > 150 {
					t.Errorf("%d logins in an hour, want about one a minute", logins)
				}
			})
		})
	}
}

func TestSession_ALoginSendsNoOtherToken(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "hvs.of-the-user")
	f := newFake()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kindOf(r.URL.Path) == "login" && r.Header.Get("X-Vault-Token") != "" {
			t.Error("the user's token was sent with a login")
		}
		f.ServeHTTP(w, r)
	})
	want(t, newSource(t, handlerClient(t, handler), "secret/x", vault.Options{Auth: appRole}), secretA)
}

func TestSession_ADenialIsNoReasonToLogIn(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		f.set(func() { f.denied = true })
		for i := range 3 {
			refused(t, source, tokensource.ErrDenied, "no policy of it permits", "hvs.fake-token-1", "the-secret-id-value")
			counts(t, f, map[string]int{"login": 1, "lookup": i + 1, "read": i + 1, "mount": i + 1})
		}
	})
}

// TestSession_AnOutageOfTheLookupIsNoRefusal: a token isn't given up because Vault
// can't say whether it counts.
func TestSession_AnOutageOfTheLookupIsNoRefusal(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		get(t, source)
		f.set(func() { f.denied = true; f.status["lookup"] = 503 })
		refused(t, source, tokensource.ErrUnavailable, "sealed", "hvs.fake-token-1")
		counts(t, f, map[string]int{"login": 1, "lookup": 1})
		f.set(func() { f.denied = false; f.status["lookup"] = 0 })
		get(t, source)
		counts(t, f, map[string]int{"login": 1})
	})
}

func TestSession_OneMoreLoginWhereTheTokenMayNotBeLookedUp(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		f.set(func() { f.denied = true; f.status["lookup"] = 403 })
		refused(t, source, tokensource.ErrDenied, "403", "hvs.fake-token-1", "hvs.fake-token-2")
		counts(t, f, map[string]int{"login": 2, "read": 2})
	})
}

func TestSession_ARevokedTokenThatCannotBeReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, _ *vault.Source) {
		source := newSource(t, f.client(t), "secret/packagecloud", vault.Options{Auth: vault.Token(vault.Literal("hvs.revoked-token"))})
		refused(t, source, tokensource.ErrDenied, "supply another", "hvs.revoked-token")
		counts(t, f, map[string]int{"mount": 2, "lookup": 3, "read": 0})
	})
}

func TestSession_CallersCancelOnlyThemselves(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		f.set(func() { f.delay = 10 * time.Second })
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			ctx, cancel := t.Context(), func() {}
			if i%2 == 0 {
				ctx, cancel = context.WithTimeout(ctx, time.Second)
			}
			wg.Go(func() {
				defer cancel()
				_, err := source.Token(ctx)
				if i%2 == 0 && (!errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second) {
					t.Errorf("after %v: %v, want the context's error after 1s", time.Since(start), err)
				}
				if i%2 == 1 && err != nil {
					t.Errorf("another's context failed this caller: %v", err)
				}
			})
		}
		wg.Wait()
		counts(t, f, map[string]int{"login": 1, "mount": 1, "read": 10})
	})
}

func TestSession_AStalledVaultEndsInTime(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		for _, kind := range []string{"login", "mount", "read"} {
			f.set(func() { f.delay = time.Hour })
			start := time.Now()
			refused(t, source, tokensource.ErrUnavailable, "no answer from Vault: the server didn't answer in time")
			if took := time.Since(start); took != time.Minute {
				t.Errorf("a stalled %s took %v, want the client's time limit, 1m", kind, took)
			}
			f.set(func() { f.delay = 0 })
			get(t, source)
		}
	})
}

func TestSession_KeepsToTheTimeLimitOfTheGivenClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.delay = time.Hour
		client := f.client(t)
		client.SetClientTimeout(7 * time.Second)
		source := newSource(t, client, "secret/packagecloud", vault.Options{Auth: appRole})
		start := time.Now()
		refused(t, source, tokensource.ErrUnavailable, "no answer from Vault: the server didn't answer in time")
		if took := time.Since(start); took != 7*time.Second {
			t.Errorf("it took %v, want the client's 7s", took)
		}
		synctest.Wait()
	})
}

func TestSession_ALoginThatWantsASecondFactor(t *testing.T) {
	client := handlerClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// https://developer.hashicorp.com/vault/docs/auth/login-mfa
		io.WriteString(w, `{"auth":{"client_token":"","mfa_requirement":{"mfa_request_id":"an-id-of-the-request","mfa_constraints":{"x":{"any":[{"type":"totp","uses_passcode":true}]}}}}}`)
	}))
	source := newSource(t, client, "secret/packagecloud", vault.Options{Auth: appRole})
	refused(t, source, tokensource.ErrInvalid, "wants a second factor", "an-id-of-the-request")
}

func TestSession_ManyColdCallersMakeOneLogin(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		f.set(func() { f.delay = time.Second })
		herd(t, source)
		counts(t, f, map[string]int{"login": 1, "mount": 1, "read": callers})
	})
}

func TestSession_ManyColdCallersOfACacheMakeOneRead(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake, source *vault.Source) {
		cache, err := tokensource.Cache(source, tokensource.CacheOptions{})
		if err != nil {
			t.Fatal(err)
		}
		f.set(func() { f.delay = time.Second })
		herd(t, cache)
		counts(t, f, map[string]int{"login": 1, "mount": 1, "read": 1})
	})
}

const callers = 1000

// herd reads a source from as many goroutines.
func herd(t *testing.T, source tokensource.TokenSource) {
	t.Helper()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if tok, err := source.Token(t.Context()); err != nil || tok.Reveal() != secretA {
				t.Errorf("Token: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestSession_ReadsItsCredentialsAtEveryLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.ttl = time.Minute
		reads := 0
		auth := vault.JWT{Role: "ci", Token: func(context.Context) (string, error) {
			reads++
			return fmt.Sprintf("jwt-number-%d", reads), nil
		}}
		source := newSource(t, f.client(t), "secret/packagecloud", vault.Options{Auth: auth})
		for i := range 5 {
			get(t, source)
			if reads != i+1 {
				t.Errorf("%d reads of the JWT for %d logins", reads, i+1)
			}
			time.Sleep(2 * time.Minute)
		}
	})
}

func TestCredential_ErrorsOfAFunctionAreWithheld(t *testing.T) {
	cause := errors.New("can't decrypt hunter2-password")
	auth := vault.Userpass{Username: "ci", Password: func(context.Context) (string, error) { return "", cause }}
	source := newSource(t, newFake().client(t), "secret/packagecloud", vault.Options{Auth: auth})
	err := refused(t, source, tokensource.ErrUnavailable, "text is withheld", "hunter2-password")
	if !errors.Is(err, cause) {
		t.Errorf("errors.Is doesn't find the cause of %v", err)
	}
}

// TestCredential_OfAChainThatMeetsAnOutageIsNoReasonToGoOn has a login whose JWT
// comes from a chain, in a chain with another token.
//
// Guarantee B6.
func TestCredential_OfAChainThatMeetsAnOutageIsNoReasonToGoOn(t *testing.T) {
	fails := func(kind error) tokensource.TokenSource {
		return tokensource.Func(func(context.Context) (tokensource.Token, error) {
			return tokensource.Token{}, tokensource.NewError("func:ci", kind, "it is "+kind.Error(), nil)
		})
	}
	missing, foreign := fails(tokensource.ErrNotFound), errors.New("a text with hunter2-password")
	for name, test := range map[string]struct {
		jwt  vault.Credential
		kind error
		says string
	}{
		"nothing, then an outage": {jwtOf(missing, fails(tokensource.ErrUnavailable)), tokensource.ErrUnavailable, "JWT: it is unavailable"},
		"nothing, then a denial":  {jwtOf(missing, fails(tokensource.ErrDenied)), tokensource.ErrDenied, "JWT: it is denied"},
		"nothing anywhere":        {jwtOf(missing, missing), tokensource.ErrNotFound, "JWT: it is not found"},
		"a chain within":          {jwtOf(missing, must(tokensource.Chain(missing, fails(tokensource.ErrInvalid)))), tokensource.ErrInvalid, "JWT: it is invalid"},
		"nothing, and a foreigner": {func(context.Context) (string, error) {
			return "", errors.Join(tokensource.NewError("", tokensource.ErrNotFound, "", nil), foreign)
		}, tokensource.ErrUnavailable, "withheld"},
	} {
		t.Run(name, func(t *testing.T) {
			source := newSource(t, newFake().client(t), "secret/packagecloud", vault.Options{Auth: vault.JWT{Token: test.jwt}})
			_, err := source.Token(t.Context())
			e, _ := errors.AsType[*tokensource.Error](err)
			if e == nil || e.Kind != test.kind {
				t.Errorf("the error is %v, want kind %q", err, test.kind)
			}
			check(t, err, test.kind, test.says, "hunter2-password")
			outer := must(tokensource.Chain(source, tokensource.Static(secretB)))
			if _, err := outer.Token(t.Context()); (err == nil) != (test.kind == tokensource.ErrNotFound) {
				t.Errorf("a chain goes on to another token, or doesn't: %v", err)
			}
		})
	}
}

// jwtOf gets a JWT from a chain, as a program may.
func jwtOf(sources ...tokensource.TokenSource) vault.Credential {
	chain := must(tokensource.Chain(sources...))
	return func(ctx context.Context) (string, error) {
		tok, err := chain.Token(ctx)
		if err != nil {
			return "", err
		}
		return tok.Reveal(), nil
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
