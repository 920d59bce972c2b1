package tokensourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

// Fault names a row of the table that [RunFaults] goes through. Each row is
// something that goes wrong in a store, or on the way to it.
type Fault string

// The rows. Each comment says what happens and how the source must answer.
const (
	// DownAtStart: no server runs at the store's address yet. ErrUnavailable.
	// Then the store comes up, and the source returns the token.
	DownAtStart Fault = "DownAtStart"
	// DownLater: the store goes down after a first read. ErrUnavailable, but a
	// cache in front still serves its token. Then the store comes back.
	DownLater Fault = "DownLater"
	// Stalled: the store accepts the request and doesn't answer. A caller whose
	// context ends must return at once. A caller who stays must get the token
	// when the store answers.
	Stalled Fault = "Stalled"
	// WrongCredentials: the store refuses the credentials of the source.
	// ErrDenied.
	WrongCredentials Fault = "WrongCredentials"
	// ExpiredCredentials: the credentials of the source expire after the first
	// read. The source gets new ones and returns the token.
	ExpiredCredentials Fault = "ExpiredCredentials"
	// Denied: the credentials are good, but lack the right to read the secret.
	// ErrDenied.
	Denied Fault = "Denied"
	// SecretMissing: the secret doesn't exist. ErrNotFound. Then somebody
	// creates it.
	SecretMissing Fault = "SecretMissing"
	// VersionMissing: the secret never had the requested version. ErrNotFound.
	VersionMissing Fault = "VersionMissing"
	// VersionDeleted: the requested version or secret was deleted, and the
	// store remembers it. ErrInvalid, so that no chain goes on to its next
	// source.
	VersionDeleted Fault = "VersionDeleted"
	// FieldMissing: the secret lacks the requested field. ErrInvalid.
	FieldMissing Fault = "FieldMissing"
	// NotJSON: a field is requested, but the secret has no fields. ErrInvalid.
	NotJSON Fault = "NotJSON"
	// Binary: the value is not text. ErrInvalid.
	Binary Fault = "Binary"
	// TrailingNewline: a newline ends the value. The source returns the token
	// without it.
	TrailingNewline Fault = "TrailingNewline"
	// Empty: the value is "". ErrInvalid, or ErrNotFound where an empty value
	// means that the store has no secret.
	Empty Fault = "Empty"
	// Large: the value has 1 MiB. ErrInvalid.
	Large Fault = "Large"
	// OddNamed: the name of the secret has characters with a meaning in a path
	// or a URL; see [OddNames]. The source returns the token.
	OddNamed Fault = "OddNamed"
	// Rotated: the store holds another token at the second read. The source
	// returns it.
	Rotated Fault = "Rotated"
	// Redirected: the answer redirects to another host. The source must send
	// nothing there. ErrUnavailable or ErrInvalid.
	Redirected Fault = "Redirected"
	// UnknownCA: an unknown authority signed the server's certificate.
	// ErrUnavailable, with "certificate" and "authority" in its text.
	UnknownCA Fault = "UnknownCA"
	// ExpiredCertificate: the server's certificate has expired. ErrUnavailable,
	// with "certificate" and "expired" in its text.
	ExpiredCertificate Fault = "ExpiredCertificate"
	// WrongHost: the server's certificate is for another host. ErrUnavailable,
	// with "certificate" and "name" in its text.
	WrongHost Fault = "WrongHost"
	// CutInHalf: the connection ends in the middle of the answer.
	// ErrUnavailable.
	CutInHalf Fault = "CutInHalf"
	// ServerError: the status of the answer is 5xx. ErrUnavailable.
	ServerError Fault = "ServerError"
	// ForeignAnswer: a proxy or a portal answers instead of the store, with a
	// page, with its own JSON or with nothing. Any kind but ErrNotFound,
	// because a chain would go on after that.
	ForeignAnswer Fault = "ForeignAnswer"
)

// row describes how a source must answer to a fault. Without kinds the source
// must return the token.
type row struct {
	fault  Fault
	what   string
	kinds  []error
	breaks bool     // the fault begins after a first read
	heals  bool     // the scene must end the fault
	says   []string // the error's text must contain these
}

var table = []row{
	{fault: DownAtStart, what: "a store that is down at the start", kinds: unavailable, heals: true},
	{fault: DownLater, what: "a store that goes down later", kinds: unavailable, breaks: true, heals: true},
	{fault: Stalled, what: "a store that doesn't answer", heals: true},
	{fault: WrongCredentials, what: "wrong credentials", kinds: denied},
	{fault: ExpiredCredentials, what: "credentials that expire", breaks: true},
	{fault: Denied, what: "credentials without a right to the secret", kinds: denied},
	{fault: SecretMissing, what: "a secret that isn't there", kinds: notFound, heals: true},
	{fault: VersionMissing, what: "a version that never existed", kinds: notFound},
	{fault: VersionDeleted, what: "a version that was deleted", kinds: invalid},
	{fault: FieldMissing, what: "a field that isn't there", kinds: invalid},
	{fault: NotJSON, what: "a field of a value without fields", kinds: invalid},
	{fault: Binary, what: "a value that is not text", kinds: invalid},
	{fault: TrailingNewline, what: "a newline at the end"},
	{fault: Empty, what: "an empty value", kinds: []error{tokensource.ErrInvalid, tokensource.ErrNotFound}},
	{fault: Large, what: "a value of 1 MiB", kinds: invalid},
	{fault: OddNamed, what: "a secret with an odd name"},
	{fault: Rotated, what: "a token that is replaced between two reads", breaks: true},
	{fault: Redirected, what: "a redirect to another host", kinds: []error{tokensource.ErrUnavailable, tokensource.ErrInvalid}, heals: true},
	{fault: UnknownCA, what: "a certificate of an unknown authority", kinds: unavailable, heals: true, says: []string{"certificate", "authority"}},
	{fault: ExpiredCertificate, what: "a certificate that has expired", kinds: unavailable, heals: true, says: []string{"certificate", "expired"}},
	{fault: WrongHost, what: "a certificate for another host", kinds: unavailable, heals: true, says: []string{"certificate", "name"}},
	{fault: CutInHalf, what: "an answer that is cut in half", kinds: unavailable, heals: true},
	{fault: ServerError, what: "an answer of 5xx", kinds: unavailable, heals: true},
	{fault: ForeignAnswer, what: "an answer that isn't the store's", kinds: []error{tokensource.ErrUnavailable, tokensource.ErrInvalid, tokensource.ErrDenied}, heals: true},
}

var (
	unavailable = []error{tokensource.ErrUnavailable}
	denied      = []error{tokensource.ErrDenied}
	notFound    = []error{tokensource.ErrNotFound}
	invalid     = []error{tokensource.ErrInvalid}
)

// Scene is a fault that has been set up, and the source that meets it.
type Scene struct {
	// Name tells the scenes of a row apart. A single scene needs no name.
	Name string
	// Source meets the fault. Required.
	Source tokensource.TokenSource
	// Break starts the fault, in rows where the fault follows a good first
	// read. RunFaults then invalidates the token of that read. Nil means that
	// the fault exists already.
	Break func(t *testing.T)
	// Heal ends the fault; the same source must then return the token. Some
	// rows require Heal, and the others may have it.
	Heal func(t *testing.T)
	// Waiting delivers a value, or is closed, when the stalled store holds a
	// request. Required for [Stalled], where Heal makes the store answer.
	Waiting <-chan struct{}
	// Want is the token that the source must return at the end. Empty means the
	// secret of the row.
	Want string
	// Says is a part of the error's text. Empty means that any text will do.
	Says string
	// Canaries are further secrets that nothing may show, such as passwords,
	// the tokens of the store itself, and wrong credentials.
	Canaries []string
}

// Faults sets up the rows for one backend. The function of a row returns one
// scene or several. The store holds secret there, unless the fault is that it
// doesn't. A backend uses [NotApplicable] for a row that can't happen to it.
type Faults map[Fault]func(t *testing.T, secret string) []Scene

// NotApplicable skips a row that can't happen to a backend. why is a sentence
// with the reason, which the test's log shows.
func NotApplicable(why string) func(t *testing.T, secret string) []Scene {
	return func(t *testing.T, _ string) []Scene {
		if why == "" {
			t.Fatal("NotApplicable needs a reason")
		}
		t.Skip("doesn't apply: " + why)
		return nil
	}
}

// RunFaults tests a source against each [Fault], in subtests. When several of
// the given Faults have the same row, the last one wins. A row that none of
// them has fails. In each scene
//
//   - the error has the kind of the row and is a *tokensource.Error that names the
//     source; its text has three words or more and at most 1 KiB
//   - the source returns the token where the row says so, and when the fault has
//     ended
//   - the error, the token, the source and its events show neither the token nor a
//     canary; nor do a chain and a cache around the source, in results and logs
//   - the memory of the source, the chain and the cache hides them, as
//     [AssertHidden] demands
//
// Pass [StoredFaults], [HTTPFaults] for a store behind HTTP, and the rows of
// your own store. Play rows such as Denied against the real store.
func RunFaults(t *testing.T, faults ...Faults) {
	t.Helper()
	all := Faults{}
	for _, f := range faults {
		maps.Copy(all, f)
	}
	for fault := range all {
		if !slices.ContainsFunc(table, func(r row) bool { return r.fault == fault }) {
			t.Errorf("the table has no row %q; use one of the Fault constants", fault)
		}
	}
	for _, r := range table {
		t.Run(string(r.fault), func(t *testing.T) { r.run(t, all[r.fault]) })
	}
}

func (r row) run(t *testing.T, stage func(*testing.T, string) []Scene) {
	if stage == nil {
		t.Fatalf("no Faults has a row for %s; add its scenes, or NotApplicable with the reason", r.what)
	}
	secret := newSecret()
	scenes := stage(t, secret)
	if len(scenes) == 0 {
		t.Fatalf("the row for %s returned no scene; return one, or use NotApplicable with the reason", r.what)
	}
	for _, s := range scenes {
		if len(scenes) == 1 && s.Name == "" {
			r.play(t, s, secret)
			return
		}
		t.Run(s.Name, func(t *testing.T) { r.play(t, s, secret) })
	}
}

func (r row) play(t *testing.T, s Scene, secret string) {
	switch {
	case s.Source == nil:
		t.Fatal("the scene has no Source")
	case r.breaks && s.Break == nil:
		t.Fatalf("the scene needs Break: %s must follow a first read", r.what)
	case r.heals && s.Heal == nil:
		t.Fatalf("the scene needs Heal: the source must return the token after %s", r.what)
	case r.fault == Stalled && s.Waiting == nil:
		t.Fatal("the scene needs Waiting, which tells when the store holds a request")
	}
	if s.Want == "" {
		s.Want = secret
	}
	b := Backend{Canaries: append([]string{s.Want}, s.Canaries...)}
	var events Recorder
	ctx := tokensource.WithHook(t.Context(), events.Record)
	defer func() {
		AssertNoSecret(t, s.Source, b.secrets(secret)...)
		AssertHidden(t, s.Source, b.secrets(secret)...)
		for _, e := range events.Events() {
			AssertNoSecret(t, e, b.secrets(secret)...)
		}
	}()
	if breaks := s.Break; breaks != nil {
		before := b.get(t, s.Source, secret)
		s.Break = func(t *testing.T) {
			breaks(t)
			tokensource.Invalidate(s.Source, before)
		}
		if r.fault == DownLater {
			r.outlive(t, b, s, secret)
		} else {
			s.Break(t)
		}
	}
	switch {
	case r.fault == Stalled:
		leaveStalled(t, b, s)
	case r.kinds != nil:
		r.check(t, b.refused(t, s.Source, ctx, secret), s)
		b.wrapped(t, s.Source, secret)
	}
	if s.Heal != nil {
		s.Heal(t)
	}
	if s.Heal != nil || r.kinds == nil {
		b.get(t, s.Source, s.Want)
		b.wrapped(t, s.Source, secret)
	}
}

// wrapped reads the source as programs do, through a chain and a cache with a
// debug logger. It searches all their results and logs for secrets.
func (b Backend) wrapped(t *testing.T, source tokensource.TokenSource, secrets ...string) {
	t.Helper()
	absent := tokensource.Func(func(context.Context) (tokensource.Token, error) {
		return tokensource.Token{}, tokensource.NewError("absent", tokensource.ErrNotFound, "there is nothing here", nil)
	})
	chain, err := tokensource.Chain(absent, source)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var events Recorder
	write := tokensource.LogEvents(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	cache, err := tokensource.Cache(chain, tokensource.CacheOptions{OnEvent: func(e tokensource.Event) {
		events.mu.Lock()
		write(e)
		events.mu.Unlock()
		events.Record(e)
	}})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := cache.Token(t.Context())
	if err == nil {
		cache.Invalidate(tok)
		tok, err = cache.Token(t.Context())
	}
	// The search skips the fields of the cache, because its timer writes them.
	shown := []any{tok, err, fmt.Sprintf("%v %+v %#v %d", cache, cache, cache, cache), chain, cache.Status()}
	for _, e := range events.Events() {
		shown = append(shown, e)
	}
	for _, v := range shown {
		if v != nil {
			AssertNoSecret(t, v, b.secrets(secrets...)...)
		}
	}
	AssertHidden(t, []any{chain, cache, err}, b.secrets(secrets...)...)
	events.mu.Lock()
	defer events.mu.Unlock()
	if how := FindSecret(log.String(), b.secrets(secrets...)...); how != "" {
		t.Errorf("the log of a cache leaks: %s", how)
	}
}

// check compares an error with the row.
func (r row) check(t *testing.T, err error, s Scene) {
	t.Helper()
	if !slices.ContainsFunc(r.kinds, func(kind error) bool { return errors.Is(err, kind) }) {
		t.Errorf("the error is %v, want the kind %v", err, errors.Join(r.kinds...))
	}
	text := err.Error()
	for _, want := range append(r.says, s.Says) {
		if !strings.Contains(text, want) {
			t.Errorf("the error is %v, want %q in it", err, want)
		}
	}
	if e, ok := errors.AsType[*tokensource.Error](err); ok && len(strings.Fields(e.Message)) < 3 {
		t.Errorf("the error is %v, want a Message of three words or more that says what to do", err)
	}
}

// outlive breaks the store behind a cache, which must still serve its token.
func (r row) outlive(t *testing.T, b Backend, s Scene, secret string) {
	failed := make(chan error, 1)
	cache, err := tokensource.Cache(s.Source, tokensource.CacheOptions{
		RefreshAfter: time.Nanosecond,
		OnEvent: func(e tokensource.Event) {
			if e.Kind == tokensource.EventRefreshFailed {
				select {
				case failed <- e.Err:
				default:
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.get(t, cache, secret)
	s.Break(t)
	for giveUp := time.After(patience); ; {
		b.get(t, cache, secret)
		select {
		case err := <-failed:
			b.assertError(t, s.Source, err, secret)
			r.check(t, err, s)
			b.get(t, cache, secret)
			return
		case <-giveUp:
			t.Fatalf("no refresh of a cache has failed for %v", patience)
		case <-time.After(time.Millisecond):
		}
	}
}

// leaveStalled lets three callers wait for a store that doesn't answer. The
// store holds the request of the first; the other two come later. The first
// caller and one of the others leave, and must return before the store answers.
// The last caller must get the token when it answers.
func leaveStalled(t *testing.T, b Backend, s Scene) {
	type answer struct {
		tok tokensource.Token
		err error
	}
	ask := func(ctx context.Context) <-chan answer {
		got := make(chan answer, 1)
		go func() {
			tok, err := s.Source.Token(ctx)
			got <- answer{tok, err}
		}()
		return got
	}
	wait := func(got <-chan answer, failure string) answer {
		t.Helper()
		select {
		case a := <-got:
			return a
		case <-time.After(patience):
			s.Heal(t)
			t.Fatalf("%s within %v", failure, patience)
			return answer{}
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	first := ask(ctx)
	select {
	case <-s.Waiting:
	case <-time.After(patience):
		s.Heal(t)
		t.Fatalf("no request reached the stalled store within %v", patience)
	}
	later, leaveLater := context.WithCancel(t.Context())
	defer leaveLater()
	waits, stayerWaits := newWatched(later), newWatched(t.Context())
	second, stays := ask(waits), ask(stayerWaits)
	waits.await()
	stayerWaits.await()
	leave()
	gone := []answer{wait(first, "the store is stalled, and the caller whose request it holds did not return after its context ended")}
	leaveLater()
	gone = append(gone, wait(second, "the store is stalled, and a later caller did not return after its context ended"))
	for _, a := range gone {
		if !errors.Is(a.err, context.Canceled) || !a.tok.IsZero() {
			t.Errorf("a caller that left got (%v, %v), want no token and an error that matches context.Canceled", a.tok, a.err)
		}
		if a.err != nil {
			b.assertError(t, s.Source, a.err)
		}
	}
	select {
	case a := <-stays:
		t.Errorf("while the store was stalled a caller got (%v, %v)", a.tok, a.err)
		return
	default:
	}
	s.Heal(t)
	if a := wait(stays, "the store has answered, and the caller who stayed did not return"); a.err != nil {
		b.assertError(t, s.Source, a.err)
		t.Errorf("the caller who stayed got %v after the store answered", a.err)
	} else if a.tok.Reveal() != s.Want {
		t.Error("the caller who stayed got another token than the store's")
	}
}

// watched is a context that reports the first call of its Done method.
type watched struct {
	context.Context
	looked chan struct{}
	look   func()
}

func newWatched(ctx context.Context) *watched {
	looked := make(chan struct{})
	return &watched{ctx, looked, sync.OnceFunc(func() { close(looked) })}
}

// Done returns the channel of the inner context.
func (w *watched) Done() <-chan struct{} {
	w.look()
	return w.Context.Done()
}

// await waits until somebody calls Done. A source that never calls Done gets
// some time to start its wait in another way.
func (w *watched) await() {
	select {
	case <-w.looked:
	case <-time.After(patience / 20):
	}
}

// StoredFaults sets up the rows about the stored value, with the functions of
// [Run]: SecretMissing, Binary, TrailingNewline, Empty, Large and Rotated. Set
// calls t.Skip for a value that the store can't hold.
func StoredFaults(b Backend) Faults {
	holding := func(value func(secret string) string) func(*testing.T, string) []Scene {
		return func(t *testing.T, secret string) []Scene {
			b.Set(t, value(secret))
			return []Scene{{Source: b.New(t), Canaries: b.Canaries}}
		}
	}
	return Faults{
		SecretMissing: func(t *testing.T, secret string) []Scene {
			b.Remove(t)
			return []Scene{{Source: b.New(t), Canaries: b.Canaries, Heal: func(t *testing.T) { b.Set(t, secret) }}}
		},
		Binary:          holding(func(secret string) string { return "\x8e\x01\xfe" + secret + "\x02" }),
		TrailingNewline: holding(func(secret string) string { return secret + "\n" }),
		Empty:           holding(func(string) string { return "" }),
		Large:           holding(func(secret string) string { return strings.Repeat(secret, 1<<20/len(secret)+1)[:1<<20] }),
		Rotated: func(t *testing.T, secret string) []Scene {
			next := newSecret()
			b.Set(t, secret)
			return []Scene{{Source: b.New(t), Canaries: b.Canaries, Want: next, Break: func(t *testing.T) { b.Set(t, next) }}}
		},
	}
}

// OddNames returns names for the scenes of [OddNamed]. Leave out those that the
// store doesn't allow.
func OddNames() []string {
	return []string{
		"with space", "a/b/c", "a#b", "a?version=1", "100%", "a%2fb", "a%20b", "größe/日本", "a+b", "a&b=c",
		"a,b", "a;b", "a:b", "a@b", "dot.dot", "it's", `a"b`, "~a", "$a", "*",
		`a\b`, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a",
	}
}
