package tokensourcetest_test

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

const password = "hunter2-opens-the-store"

// store keeps a token and a staged one. Its faults make it a bad backend.
type store struct {
	mu      sync.Mutex
	value   *string
	version int
	staged  tokensource.Token
	fault   string
	inUse   atomic.Int32
}

func (s *store) set(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = &value
	s.version++
}

func (s *store) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.staged = nil, tokensource.Token{}
}

func (s *store) backend() tokensourcetest.Backend {
	b := tokensourcetest.Backend{
		New: func(t *testing.T) tokensource.TokenSource {
			return &source{store: func() *store { return s }}
		},
		Set:      func(t *testing.T, value string) { s.set(value) },
		Remove:   func(t *testing.T) { s.remove() },
		Canaries: []string{password},
		Compares: true,
	}
	switch s.fault {
	case "no String method":
		b.New = func(t *testing.T) tokensource.TokenSource {
			return struct{ tokensource.TokenSource }{&source{store: func() *store { return s }}}
		}
		b.Compares = false
	case "no Sink":
		b.New = func(t *testing.T) tokensource.TokenSource {
			return readOnly{&source{store: func() *store { return s }}}
		}
	}
	return b
}

type readOnly struct{ s *source }

func (r readOnly) Token(ctx context.Context) (tokensource.Token, error) { return r.s.Token(ctx) }
func (r readOnly) String() string                                       { return r.s.String() }

type source struct {
	store  func() *store // dump libraries follow no function
	cached tokensource.Token
	Login  string
	opened *struct{ with string }
}

func (*source) String() string { return "mem:token" }

func (s *source) fail(kind error, message string, cause error) error {
	return tokensource.NewError(s.String(), kind, message, cause)
}

func (s *source) Token(ctx context.Context) (tokensource.Token, error) {
	st := s.store()
	if err := ctx.Err(); err != nil && st.fault != "ignores its context" {
		return tokensource.Token{}, s.fail(tokensource.ErrUnavailable, "the context ended", err)
	}
	if st.fault == "breaks under concurrency" {
		defer st.inUse.Add(-1)
		if st.inUse.Add(1) > 1 {
			return tokensource.Token{}, s.fail(tokensource.ErrUnavailable, "in use", nil)
		}
		time.Sleep(time.Millisecond)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.value == nil {
		switch st.fault {
		case "calls nothing invalid":
			return tokensource.Token{}, s.fail(tokensource.ErrInvalid, "nothing is stored", nil)
		case "returns a token with an error":
			tok, _ := tokensource.NewToken("leftover", tokensource.Metadata{})
			return tok, s.fail(tokensource.ErrNotFound, "nothing is stored", nil)
		case "prints its password":
			return tokensource.Token{}, s.fail(tokensource.ErrNotFound, "no token for "+password, nil)
		case "errors of its own":
			return tokensource.Token{}, tokensource.ErrNotFound
		case "names another source":
			return tokensource.Token{}, tokensource.NewError("mem:other", tokensource.ErrNotFound, "nothing is stored", nil)
		}
		return tokensource.Token{}, s.fail(tokensource.ErrNotFound, "nothing is stored", nil)
	}
	value := *st.value
	meta := tokensource.Metadata{Origin: s.String(), Version: strconv.Itoa(st.version)}
	switch st.fault {
	case "never asks again":
		if !s.cached.IsZero() {
			return s.cached, nil
		}
	case "another origin":
		meta.Origin = "mem"
	case "same version":
		meta.Version = "latest"
	case "repairs what is malformed":
		if fields := strings.Fields(value); len(fields) > 0 {
			value = fields[0]
		}
	case "keeps the newline":
		if strings.HasSuffix(value, "\n") {
			return tokensource.Token{}, s.fail(tokensource.ErrInvalid, "there is a newline", nil)
		}
	case "tells events":
		tokensource.Emit(ctx, tokensource.Event{Kind: "read", Detail: value})
	case "secret in a field":
		s.Login = password
	case "secret behind a pointer":
		s.opened = &struct{ with string }{password}
	}
	tok, err := tokensource.NewToken(value, meta)
	if err != nil && st.fault == "quotes what is malformed" {
		err = s.fail(tokensource.ErrInvalid, "cannot use "+strconv.Quote(value), nil)
	}
	s.cached = tok
	return tok, err
}

func (s *source) Put(ctx context.Context, next, expected tokensource.Token) (tokensource.Token, error) {
	st := s.store()
	if err := ctx.Err(); err != nil && st.fault != "puts in a cancelled context" {
		return tokensource.Token{}, s.fail(tokensource.ErrUnavailable, "the context ended", err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	var current tokensource.Token
	if st.value != nil {
		current, _ = tokensource.NewToken(*st.value, tokensource.Metadata{})
	}
	if !current.Equal(expected) && st.fault != "overwrites" {
		return tokensource.Token{}, s.fail(tokensource.ErrConflict, "another token is stored", nil)
	}
	st.version++
	if value := next.Reveal(); st.fault != "loses what is put" {
		st.value = &value
	}
	return next.With(tokensource.Metadata{Origin: s.String(), Version: strconv.Itoa(st.version)}), nil
}

func (s *source) Stage(ctx context.Context, next tokensource.Token) (tokensource.Token, error) {
	s.store().mu.Lock()
	defer s.store().mu.Unlock()
	if !s.store().staged.IsZero() {
		return tokensource.Token{}, s.fail(tokensource.ErrConflict, "another is staged", nil)
	}
	s.store().staged = next
	return next, nil
}

func (s *source) Staged(context.Context) (tokensource.Token, error) {
	s.store().mu.Lock()
	defer s.store().mu.Unlock()
	if s.store().staged.IsZero() {
		return tokensource.Token{}, s.fail(tokensource.ErrNotFound, "none is staged", nil)
	}
	return s.store().staged, nil
}

func (s *source) Promote(ctx context.Context, staged tokensource.Token) error {
	s.store().mu.Lock()
	defer s.store().mu.Unlock()
	if !s.store().staged.Equal(staged) && s.store().fault != "promotes anything" {
		return s.fail(tokensource.ErrConflict, "it isn't staged", nil)
	}
	value := staged.Reveal()
	s.store().value, s.store().staged = &value, tokensource.Token{}
	s.store().version++
	return nil
}

func (s *source) Discard(context.Context, tokensource.Token) error {
	s.store().mu.Lock()
	defer s.store().mu.Unlock()
	s.store().staged = tokensource.Token{}
	return nil
}

func TestRun_PassesAGoodBackend(t *testing.T) {
	tokensourcetest.Run(t, (&store{}).backend())
}

// TestSuiteOnFault runs in a process of its own, for TestRun_FailsABadBackend.
func TestSuiteOnFault(t *testing.T) {
	fault, ok := os.LookupEnv("TOKENSOURCETEST_FAULT")
	if !ok {
		t.Skip("not asked for")
	}
	tokensourcetest.Run(t, (&store{fault: fault}).backend())
}

func TestRun_FailsABadBackend(t *testing.T) {
	const (
		stored, newline, rotation, missing  = "ReturnsWhatIsStored", "TrimsOneNewline", "FollowsRotation", "NothingStoredIsNotFound"
		malformed, heeds, concurrent, event = "RefusesMalformedTokens", "HeedsItsContext", "IsSafeForConcurrentUse", "ReportsNoSecret"
		put, putContext, conflict, stages   = "StoresWhatIsPut", "PutHeedsItsContext", "PutRefusesToOverwriteAnother", "StagesBesideTheCurrentToken"
	)
	for fault, must := range map[string][]string{
		"":                              nil,
		"ignores its context":           {heeds},
		"breaks under concurrency":      {concurrent},
		"calls nothing invalid":         {missing},
		"returns a token with an error": {missing},
		"prints its password":           {missing},
		"errors of its own":             {missing},
		"names another source":          {missing},
		"never asks again":              {rotation, put},
		"another origin":                {stored, malformed},
		"same version":                  {rotation},
		"repairs what is malformed":     {malformed},
		"quotes what is malformed":      {malformed},
		"keeps the newline":             {newline},
		"tells events":                  {event},
		"secret in a field":             {stored},
		"secret behind a pointer":       {stored},
		"no String method":              {stored},
		"no Sink":                       {""},
		"puts in a cancelled context":   {putContext},
		"overwrites":                    {conflict},
		"loses what is put":             {put},
		"promotes anything":             {stages},
	} {
		t.Run(cmp.Or(fault, "none"), func(t *testing.T) {
			t.Parallel()
			failsIn(t, "TestSuiteOnFault", fault, must)
		})
	}
}

// failsIn runs a test in a process of its own, with a fault. It checks that
// exactly these subtests fail; "" means the test itself.
func failsIn(t *testing.T, test, fault string, must []string) {
	t.Helper()
	run := "^" + test + "$"
	if strings.Join(must, "") != "" {
		run += "/^(" + strings.Join(must, "|") + ")$"
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+run, "-test.v")
	if len(must) == 1 {
		cmd.Args = append(cmd.Args, "-test.failfast")
	}
	cmd.Env = append(os.Environ(), "TOKENSOURCETEST_FAULT="+fault)
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	if failed := err != nil; failed != (must != nil) {
		t.Fatalf("the suite failed: %v, want %v\n%s", failed, must != nil, out)
	}
	var failed []string
	for _, m := range regexp.MustCompile(`--- FAIL: `+test+`(?:/(\w+))?`).FindAllStringSubmatch(string(out), -1) {
		failed = append(failed, m[1])
	}
	for _, name := range must {
		if !slices.Contains(failed, name) {
			t.Errorf("the suite did not fail in %q but in %q\n%s", name, failed, out)
		}
	}
	if how := tokensourcetest.FindSecret(string(out), password); how != "" {
		t.Errorf("the suite's own output leaks: %s", how)
	}
}
