// Package tokensourcetest tests token sources: the sources of packagecloud-go,
// your own sources, and the programs that use them.
//
// # A source of your own
//
// [Run] tests a source against the contract of tokensource.TokenSource. Give it
// functions that fill and empty the store. [RunFaults] takes the source through
// a table of faults, such as an outage or a denial. [StoredFaults] and
// [HTTPFaults] set up most rows of that table.
//
// # A program that uses a source
//
// [Source] is a fake whose token can be rotated, and whose store can fail, be
// slow or hang. [Recorder] keeps the events that a source reports.
//
// # Leaks
//
// [FindSecret] finds a secret in a text, also in base64, hexadecimal and other
// forms. [AssertNoSecret] checks all texts that a value turns into when it is
// printed, logged or encoded. [AssertHidden] checks the memory that a value
// leads to.
package tokensourcetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

// patience bounds the wait for steps that must be prompt. It is long, because
// it only has to tell prompt from never.
var patience = 20 * time.Second

// maxText bounds the length of an error's text, which must fit into a line of a
// log.
const maxText = 1 << 10

// Backend tells [Run] how to reach a store and a source that reads the store.
// The functions get the test that calls them, and must fail that test when they
// can't do their work. Set calls t.Skip when the store can't hold the value,
// such as a zero byte in an environment variable.
type Backend struct {
	// New returns a new source that reads the store. Required.
	New func(t *testing.T) tokensource.TokenSource
	// Set stores value, byte for byte. Required.
	Set func(t *testing.T, value string)
	// Remove empties the store, so that the source finds nothing. Required.
	Remove func(t *testing.T)
	// Canaries are further secrets that nothing may show, such as passwords and
	// the tokens of the store itself.
	Canaries []string
	// Compares is true if the source is a [tokensource.Sink] whose Put
	// compares: it returns ErrConflict when the store holds another token than
	// expected.
	Compares bool
}

// Run tests a source against the contract of [tokensource.TokenSource], each
// point in a subtest of its own:
//
//   - it returns the stored token
//   - the token's origin is the spelling of the source, and its version, if any,
//     changes with the token
//   - it follows a rotation, after Invalidate if it is an Invalidator
//   - an empty store is ErrNotFound, and a malformed token is ErrInvalid
//   - its errors are *tokensource.Error, name the source and have at most 1 KiB
//   - it heeds a context that has ended, and is safe for concurrent use
//   - nothing that it returns or reports shows the token or a canary
//   - its memory hides them after it has worked, as [AssertHidden] demands
//   - it can be written, if it is a Sink or a Stager
//
// Use the race detector, and test against the real store where possible. The
// store must belong to the test: Run overwrites its content and empties it at
// the end.
func Run(t *testing.T, b Backend) {
	t.Helper()
	if b.New == nil || b.Set == nil || b.Remove == nil {
		t.Fatal("tokensourcetest: a Backend needs New, Set and Remove")
	}
	defer b.Remove(t)
	t.Run("ReturnsWhatIsStored", func(t *testing.T) { testStored(t, b) })
	t.Run("TrimsOneNewline", func(t *testing.T) { testNewline(t, b) })
	t.Run("FollowsRotation", func(t *testing.T) { testRotation(t, b) })
	t.Run("NothingStoredIsNotFound", func(t *testing.T) { testMissing(t, b) })
	t.Run("RefusesMalformedTokens", func(t *testing.T) { testMalformed(t, b) })
	t.Run("HeedsItsContext", func(t *testing.T) { testContext(t, b) })
	t.Run("IsSafeForConcurrentUse", func(t *testing.T) { testConcurrent(t, b) })
	t.Run("ReportsNoSecret", func(t *testing.T) { testEvents(t, b) })
	testSink(t, b)
}

// newSecret returns a new random token, which is well-formed.
func newSecret() string {
	b := make([]byte, 24)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// spelling returns the result of the source's String method.
func spelling(t *testing.T, source tokensource.TokenSource) string {
	t.Helper()
	s, ok := source.(fmt.Stringer)
	if !ok {
		t.Fatalf("%T has no String method; errors and events name a source by it", source)
	}
	return s.String()
}

// get reads the source, which must return the token want.
func (b Backend) get(t *testing.T, source tokensource.TokenSource, want string) tokensource.Token {
	t.Helper()
	tok, err := source.Token(t.Context())
	if err != nil {
		b.assertError(t, source, err, want)
		t.Fatalf("Token: %v", err)
	}
	if tok.Reveal() != want {
		t.Fatalf("Token returned one with fingerprint %s, but the store holds %s", tok.Fingerprint(), fingerprint(want))
	}
	AssertNoSecret(t, tok, b.secrets(want)...)
	AssertNoSecret(t, tok.Metadata(), b.secrets(want)...)
	return tok
}

func fingerprint(secret string) string {
	tok, _ := tokensource.NewToken(secret, tokensource.Metadata{})
	return tok.Fingerprint()
}

func (b Backend) secrets(more ...string) []string { return append(more, b.Canaries...) }

// refused reads the source, which must return an error, and returns that error.
func (b Backend) refused(t *testing.T, source tokensource.TokenSource, ctx context.Context, secrets ...string) error {
	t.Helper()
	tok, err := source.Token(ctx)
	if err == nil {
		t.Fatalf("Token returned one with fingerprint %s, want an error", tok.Fingerprint())
	}
	if !tok.IsZero() {
		t.Errorf("Token returned both an error and a token")
	}
	b.assertError(t, source, err, secrets...)
	return err
}

// assertError checks the rules for every error of a source.
func (b Backend) assertError(t *testing.T, source tokensource.TokenSource, err error, secrets ...string) {
	t.Helper()
	if n := len(err.Error()); n > maxText {
		t.Errorf("the error's text has %d bytes, more than %d", n, maxText)
		return
	}
	AssertNoSecret(t, err, b.secrets(secrets...)...)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	e, ok := errors.AsType[*tokensource.Error](err)
	if !ok {
		t.Errorf("the error is a %T, want a *tokensource.Error", err)
		return
	}
	if want := spelling(t, source); e.Source != want {
		t.Errorf("the error names the source %q, want %q as its String method does", e.Source, want)
	}
	if e.Message == "" {
		t.Errorf("the error %q has no Message; it must say what to do next", err)
	}
}

func testStored(t *testing.T, b Backend) {
	secret := newSecret()
	b.Set(t, secret)
	source := b.New(t)
	AssertNoSecret(t, source, b.secrets(secret)...)
	for range 2 {
		tok := b.get(t, source, secret)
		if got, want := tok.Metadata().Origin, spelling(t, source); got != want {
			t.Errorf("the token's Origin is %q, want %q as the source's String method says", got, want)
		}
	}
	AssertNoSecret(t, source, b.secrets(secret)...)
	AssertHidden(t, source, b.secrets(secret)...)
}

func testNewline(t *testing.T, b Backend) {
	for name, newline := range map[string]string{"LF": "\n", "CRLF": "\r\n"} {
		t.Run(name, func(t *testing.T) {
			secret := newSecret()
			b.Set(t, secret+newline)
			b.get(t, b.New(t), secret)
		})
	}
}

func testRotation(t *testing.T, b Backend) {
	first, second := newSecret(), newSecret()
	b.Set(t, first)
	source := b.New(t)
	before := b.get(t, source, first)
	b.Set(t, second)
	tokensource.Invalidate(source, before)
	after := b.get(t, source, second)
	if v := after.Metadata().Version; v != "" && v == before.Metadata().Version {
		t.Errorf("both tokens have version %q", v)
	}
	tokensource.Invalidate(source, before)
	b.get(t, source, second)
	b.get(t, b.New(t), second)
}

func testMissing(t *testing.T, b Backend) {
	b.Remove(t)
	source := b.New(t)
	if err := b.refused(t, source, t.Context()); !errors.Is(err, tokensource.ErrNotFound) {
		t.Errorf("the error is %v, want ErrNotFound", err)
	}
	secret := newSecret()
	b.Set(t, secret)
	tok := b.get(t, source, secret)
	b.Remove(t)
	tokensource.Invalidate(source, tok)
	if err := b.refused(t, source, t.Context(), secret); !errors.Is(err, tokensource.ErrNotFound) {
		t.Errorf("after the token was removed the error is %v, want ErrNotFound", err)
	}
}

func testMalformed(t *testing.T, b Backend) {
	secret := newSecret()
	wide := func(first, second string) string {
		var s strings.Builder
		for i := range len(secret) {
			s.WriteString(first + secret[i:i+1] + second)
		}
		return s.String()
	}
	for name, value := range map[string]string{
		"TwoNewlines": secret + "\n\n",
		"TwoLines":    secret + "\n" + secret,
		"Space":       secret + " ",
		"Tab":         "\t" + secret,
		"Colon":       "api:" + secret,
		"Quotes":      `"` + secret + `"`,
		"OneQuote":    "'" + secret + "'\n",
		"ByteOrder":   "\ufeff" + secret,
		"UTF16":       "\xff\xfe" + wide("", "\x00"),
		"UTF16NoBOM":  wide("\x00", ""),
		"NUL":         secret + "\x00" + secret,
		"Delete":      secret + "\x7f",
		"NotASCII":    secret + "\u00e9",
	} {
		t.Run(name, func(t *testing.T) {
			b.Set(t, value)
			if err := b.refused(t, b.New(t), t.Context(), secret, value); !errors.Is(err, tokensource.ErrInvalid) {
				t.Errorf("the error is %v, want ErrInvalid", err)
			}
		})
	}
}

func testContext(t *testing.T, b Backend) {
	secret := newSecret()
	b.Set(t, secret)
	source := b.New(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancelLate()
	for _, ctx := range []context.Context{cancelled, late} {
		done := make(chan struct{})
		var tok tokensource.Token
		var err error
		go func() {
			defer close(done)
			tok, err = source.Token(ctx)
		}()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatalf("Token did not return within %v of the end of its context", patience)
		}
		if !errors.Is(err, ctx.Err()) || !tok.IsZero() {
			t.Errorf("Token returned (%v, %v) to a context that had ended, want no token and an error that matches %v", tok, err, ctx.Err())
		}
		if err != nil {
			b.assertError(t, source, err, secret)
		}
	}
	b.get(t, source, secret)
}

func testConcurrent(t *testing.T, b Backend) {
	secret := newSecret()
	b.Set(t, secret)
	source := b.New(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			if i%4 == 0 {
				source.Token(cancelled)
			}
			tok, err := source.Token(t.Context())
			if err != nil {
				b.assertError(t, source, err, secret)
				t.Errorf("Token: %v", err)
				return
			}
			if tok.Reveal() != secret {
				t.Errorf("Token returned one with fingerprint %s, but the store holds %s", tok.Fingerprint(), fingerprint(secret))
			}
			tokensource.Invalidate(source, tok)
		})
	}
	wg.Wait()
}

func testEvents(t *testing.T, b Backend) {
	secret := newSecret()
	var events Recorder
	ctx := tokensource.WithHook(t.Context(), events.Record)
	b.Set(t, secret)
	source := b.New(t)
	if _, err := source.Token(ctx); err != nil {
		b.assertError(t, source, err, secret)
		t.Errorf("Token: %v", err)
	}
	b.Remove(t)
	source.Token(ctx)
	for _, e := range events.Events() {
		AssertNoSecret(t, e, b.secrets(secret)...)
	}
}
