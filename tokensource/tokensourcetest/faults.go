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

// Fault is a row of the table that [RunFaults] goes through: something that goes
// wrong in a store, or on the way to it.
type Fault string

// The rows. Each says what happens, and what the source must make of it.
const (
	// DownAtStart: nothing answers yet. ErrUnavailable; then the store comes up.
	DownAtStart Fault = "DownAtStart"
	// DownLater: the store answers and then goes down. ErrUnavailable, while
	// a cache in front serves the token it has; then the store comes back.
	DownLater Fault = "DownLater"
	// Stalled: the store takes the request and doesn't answer. Callers whose
	// contexts end return while it still doesn't; another one, who stays, has
	// the token when it does.
	Stalled Fault = "Stalled"
	// WrongCredentials: the store refuses the source's own. ErrDenied.
	WrongCredentials Fault = "WrongCredentials"
	// ExpiredCredentials: the source's own end after the first read. It gets
	// new ones, and the token comes.
	ExpiredCredentials Fault = "ExpiredCredentials"
	// Denied: good credentials without a right to the secret. ErrDenied.
	Denied Fault = "Denied"
	// SecretMissing: there is no such secret. ErrNotFound; then it is made.
	SecretMissing Fault = "SecretMissing"
	// VersionMissing: the secret never had the version asked for. ErrNotFound.
	VersionMissing Fault = "VersionMissing"
	// VersionDeleted: what is asked for was deleted, and the store remembers
	// it. ErrInvalid, so that no chain passes it over.
	VersionDeleted Fault = "VersionDeleted"
	// FieldMissing: the secret hasn't the field asked for. ErrInvalid.
	FieldMissing Fault = "FieldMissing"
	// NotJSON: a field is asked for, of something that has none. ErrInvalid.
	NotJSON Fault = "NotJSON"
	// Binary: the value is no text. ErrInvalid.
	Binary Fault = "Binary"
	// TrailingNewline: a newline ends the value. The token comes without it.
	TrailingNewline Fault = "TrailingNewline"
	// Empty: the value is "". ErrInvalid, or ErrNotFound where a store says
	// so that it has none.
	Empty Fault = "Empty"
	// Large: the value has 1 MiB. ErrInvalid.
	Large Fault = "Large"
	// OddNamed: the secret's name has characters that mean something in a
	// path or a URL, see [OddNames]. The token comes.
	OddNamed Fault = "OddNamed"
	// Rotated: there is another token at the second read. It comes.
	Rotated Fault = "Rotated"
	// Redirected: the answer leads to another host, which must not be asked
	// anything. ErrUnavailable or ErrInvalid.
	Redirected Fault = "Redirected"
	// UnknownCA: the server's certificate is of an unknown authority, and the
	// error says so in these words. ErrUnavailable.
	UnknownCA Fault = "UnknownCA"
	// ExpiredCertificate: the server's certificate has expired, and the error
	// says so. ErrUnavailable.
	ExpiredCertificate Fault = "ExpiredCertificate"
	// WrongHost: the server's certificate is for another host name, and the
	// error says so. ErrUnavailable.
	WrongHost Fault = "WrongHost"
	// CutInHalf: the connection ends within the answer. ErrUnavailable.
	CutInHalf Fault = "CutInHalf"
	// ServerError: the answer is a 5xx. ErrUnavailable.
	ServerError Fault = "ServerError"
	// ForeignAnswer: a proxy or a portal answers in place of the store, with
	// a page, with JSON of its own or with nothing. Any kind but ErrNotFound, at which a chain would go on.
	ForeignAnswer Fault = "ForeignAnswer"
)

// row is what holds of a fault. No kind means that the token comes.
type row struct {
	fault  Fault
	what   string
	kinds  []error
	breaks bool     // it happens after the first read
	heals  bool     // it must be shown to end
	says   []string // are in the error's text
}

var table = []row{
	{fault: DownAtStart, what: "a store that is down at the start", kinds: unavailable, heals: true},
	{fault: DownLater, what: "a store that goes down later", kinds: unavailable, breaks: true, heals: true},
	{fault: Stalled, what: "a store that doesn't answer", heals: true},
	{fault: WrongCredentials, what: "wrong credentials", kinds: denied},
	{fault: ExpiredCredentials, what: "credentials that expire", breaks: true},
	{fault: Denied, what: "credentials without a right to the secret", kinds: denied},
	{fault: SecretMissing, what: "a secret that isn't there", kinds: notFound, heals: true},
	{fault: VersionMissing, what: "a version that never was", kinds: notFound},
	{fault: VersionDeleted, what: "a version that was deleted", kinds: invalid},
	{fault: FieldMissing, what: "a field that isn't there", kinds: invalid},
	{fault: NotJSON, what: "a field of what has none", kinds: invalid},
	{fault: Binary, what: "a value that is no text", kinds: invalid},
	{fault: TrailingNewline, what: "a newline at the end"},
	{fault: Empty, what: "an empty value", kinds: []error{tokensource.ErrInvalid, tokensource.ErrNotFound}},
	{fault: Large, what: "a value of 1 MiB", kinds: invalid},
	{fault: OddNamed, what: "a secret of an odd name"},
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
	// Name tells the scenes of a row apart. It may be empty if there is one.
	Name string
	// Source meets the fault. Required.
	Source tokensource.TokenSource
	// Break brings the fault about, in the rows where it follows a first
	// good read; what the source remembers of that is invalidated after it.
	// Nil: the fault is there already.
	Break func(t *testing.T)
	// Heal ends the fault: the token must come then, from the same source.
	// Required of the rows that say so, welcome in the others.
	Heal func(t *testing.T)
	// Waiting is received from when the stalled store holds a request.
	// Required for [Stalled], where Heal has the store go on.
	Waiting <-chan struct{}
	// Want is the token that comes in the end. Empty: the row's secret.
	Want string
	// Says must be in the error's text; empty asks for no words.
	Says string
	// Canaries are secrets besides the token that must not show in
	// anything: passwords, the store's own tokens, wrong ones too.
	Canaries []string
}

// Faults says, row by row, how a backend comes into the fault: the function sets
// up one scene or several, in which the store holds secret unless the fault is
// that it doesn't. A row that can't be has [NotApplicable].
type Faults map[Fault]func(t *testing.T, secret string) []Scene

// NotApplicable stands for a row that a backend can't come into, and says in a
// sentence why. The row is skipped with these words.
func NotApplicable(why string) func(t *testing.T, secret string) []Scene {
	return func(t *testing.T, _ string) []Scene {
		if why == "" {
			t.Fatal("NotApplicable needs to say why")
		}
		t.Skip("doesn't apply: " + why)
		return nil
	}
}

// RunFaults takes a source through the table of [Fault], each row in a subtest of
// its own. What several faults say of a row is what the last of them says; a row
// of which none says anything fails. In each scene
//
//   - the error is of the row's kind, is a *tokensource.Error that names the
//     source, and its text has three words at least and 1 KiB at most
//   - the token comes where the row says so, and when the fault has ended
//   - neither the error nor the token, the source and the events it reports
//     show the token or a canary; nor do a chain and a cache around it, what
//     they return and what they log
//
// Give it [StoredFaults] and, for a store behind HTTP, [HTTPFaults], and what is
// the store's own. Rows that need the real store are best run against it.
func RunFaults(t *testing.T, faults ...Faults) {
	t.Helper()
	all := Faults{}
	for _, f := range faults {
		maps.Copy(all, f)
	}
	for fault := range all {
		if !slices.ContainsFunc(table, func(r row) bool { return r.fault == fault }) {
			t.Errorf("there is no row %q in the table", fault)
		}
	}
	for _, r := range table {
		t.Run(string(r.fault), func(t *testing.T) { r.run(t, all[r.fault]) })
	}
}

func (r row) run(t *testing.T, stage func(*testing.T, string) []Scene) {
	if stage == nil {
		t.Fatalf("neither a scene of %s is there, nor NotApplicable that says why it can't be", r.what)
	}
	secret := newSecret()
	scenes := stage(t, secret)
	if len(scenes) == 0 {
		t.Fatalf("there is no scene of %s; if it can't be, NotApplicable says why", r.what)
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
		t.Fatalf("the scene needs Break: %s comes after a first read", r.what)
	case r.heals && s.Heal == nil:
		t.Fatalf("the scene needs Heal: it must be seen that the token comes after %s", r.what)
	case r.fault == Stalled && s.Waiting == nil:
		t.Fatal("the scene needs Waiting")
	}
	if s.Want == "" {
		s.Want = secret
	}
	b := Backend{Canaries: append([]string{s.Want}, s.Canaries...)}
	var events Recorder
	ctx := tokensource.WithHook(t.Context(), events.Record)
	defer func() {
		AssertNoSecret(t, s.Source, b.secrets(secret)...)
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
// debug logger, and looks at all that they show.
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
	// The cache's fields can't be looked at: its timer writes them.
	shown := []any{tok, err, fmt.Sprintf("%v %+v %#v %d", cache, cache, cache, cache), chain, cache.Status()}
	for _, e := range events.Events() {
		shown = append(shown, e)
	}
	for _, v := range shown {
		if v != nil {
			AssertNoSecret(t, v, b.secrets(secrets...)...)
		}
	}
	events.mu.Lock()
	defer events.mu.Unlock()
	if how := FindSecret(log.String(), b.secrets(secrets...)...); how != "" {
		t.Errorf("the log of a cache leaks: %s", how)
	}
}

// check holds an error against the row.
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
		t.Errorf("the error is %v, which doesn't say what to do", err)
	}
}

// outlive breaks the store behind a cache, which must go on serving its token.
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

// leaveStalled has callers wait for a store that doesn't answer: one whose request
// the store has, and two who come later. The first and one of the others leave,
// and must be gone before the store goes on; the last then has the token.
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
	wait := func(got <-chan answer, what string) answer {
		t.Helper()
		select {
		case a := <-got:
			return a
		case <-time.After(patience):
			s.Heal(t)
			t.Fatalf("%s within %v", what, patience)
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
		t.Fatalf("the stalled store was asked nothing within %v", patience)
	}
	later, leaveLater := context.WithCancel(t.Context())
	defer leaveLater()
	waits, stayerWaits := newWatched(later), newWatched(t.Context())
	second, stays := ask(waits), ask(stayerWaits)
	waits.await()
	stayerWaits.await()
	leave()
	gone := []answer{wait(first, "the store is stalled, and the caller whose request it has did not return when its context ended")}
	leaveLater()
	gone = append(gone, wait(second, "the store is stalled, and a caller who came later did not return when its context ended"))
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
	if a := wait(stays, "the store goes on, and the caller who stayed did not return"); a.err != nil {
		b.assertError(t, s.Source, a.err)
		t.Errorf("the caller who stayed got %v when the store went on", a.err)
	} else if a.tok.Reveal() != s.Want {
		t.Error("the caller who stayed got another token than the store holds")
	}
}

// watched is a context that knows when somebody waits for its end.
type watched struct {
	context.Context
	looked chan struct{}
	look   func()
}

func newWatched(ctx context.Context) *watched {
	looked := make(chan struct{})
	return &watched{ctx, looked, sync.OnceFunc(func() { close(looked) })}
}

// Done is the context's.
func (w *watched) Done() <-chan struct{} {
	w.look()
	return w.Context.Done()
}

// await waits until Done was called. A source that never does is given time to
// come to where it waits by other means.
func (w *watched) await() {
	select {
	case <-w.looked:
	case <-time.After(patience / 20):
	}
}

// StoredFaults plays the rows that are about what the store holds with the means
// of [Run]: SecretMissing, Binary, TrailingNewline, Empty, Large and Rotated. A
// value that the store can't hold is a skip in Set.
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

// OddNames returns names for the scenes of [OddNamed]. A store that can't have one of
// them leaves it out.
func OddNames() []string {
	return []string{
		"with space", "a/b/c", "a#b", "a?version=1", "100%", "a%2fb", "a%20b", "größe/日本", "a+b", "a&b=c",
		"a,b", "a;b", "a:b", "a@b", "dot.dot", "it's", `a"b`, "~a", "$a", "*",
		`a\b`, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a",
	}
}
