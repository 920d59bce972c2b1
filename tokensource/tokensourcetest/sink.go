package tokensourcetest

import (
	"context"
	"errors"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
)

// testSink tests a store that can be written, in subtests. It opens a source to
// find out whether it is a Sink, so other backends show no such subtests.
func testSink(t *testing.T, b Backend) {
	source := b.New(t)
	if _, ok := source.(tokensource.Sink); ok {
		t.Run("StoresWhatIsPut", func(t *testing.T) { testPut(t, b) })
		t.Run("PutHeedsItsContext", func(t *testing.T) { testPutContext(t, b) })
		if b.Compares {
			t.Run("PutRefusesToOverwriteAnother", func(t *testing.T) { testConflict(t, b) })
		}
	} else if b.Compares {
		t.Errorf("Backend.Compares is set, but %T is not a tokensource.Sink", source)
	}
	if _, ok := source.(tokensource.Stager); ok {
		t.Run("StagesBesideTheCurrentToken", func(t *testing.T) { testStager(t, b) })
	}
}

// newToken returns a token that no store has yet.
func newToken(t *testing.T) tokensource.Token {
	t.Helper()
	tok, err := tokensource.NewToken(newSecret(), tokensource.Metadata{Origin: "new"})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// put stores next and checks that the store holds it.
func (b Backend) put(t *testing.T, sink tokensource.Sink, next, expected tokensource.Token) tokensource.Token {
	t.Helper()
	got, err := sink.Put(t.Context(), next, expected)
	if err != nil {
		b.assertError(t, sink, err, next.Reveal(), expected.Reveal())
		t.Fatalf("Put: %v", err)
	}
	if !got.Equal(next) {
		t.Errorf("Put returned the token %s, want %s which it was given", got.Fingerprint(), next.Fingerprint())
	}
	if want := spelling(t, sink); got.Metadata().Origin != want {
		t.Errorf("Put returned a token with Origin %q, want %q", got.Metadata().Origin, want)
	}
	tokensource.Invalidate(sink, expected)
	if read := b.get(t, sink, next.Reveal()); read.Metadata().Version != got.Metadata().Version {
		t.Errorf("Put returned version %q, and reading gives %q", got.Metadata().Version, read.Metadata().Version)
	}
	b.get(t, b.New(t), next.Reveal())
	return got
}

func testPut(t *testing.T, b Backend) {
	b.Remove(t)
	sink := b.New(t).(tokensource.Sink)
	first := b.put(t, sink, newToken(t), tokensource.Token{})
	b.put(t, sink, newToken(t), first)
}

func testPutContext(t *testing.T, b Backend) {
	secret := newSecret()
	b.Set(t, secret)
	sink := b.New(t).(tokensource.Sink)
	current, next := b.get(t, sink, secret), newToken(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := sink.Put(ctx, next, current)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Put in a cancelled context: %v, want context.Canceled", err)
	}
	if err != nil {
		b.assertError(t, sink, err, secret, next.Reveal())
	}
	b.get(t, b.New(t), secret)
}

func testConflict(t *testing.T, b Backend) {
	first := newSecret()
	b.Set(t, first)
	sink := b.New(t).(tokensource.Sink)
	old := b.get(t, sink, first)
	second := newSecret()
	b.Set(t, second) // someone else was faster
	next := newToken(t)
	for name, expected := range map[string]tokensource.Token{"an older token": old, "nothing": {}} {
		_, err := sink.Put(t.Context(), next, expected)
		if !errors.Is(err, tokensource.ErrConflict) {
			t.Errorf("Put that expected %s: %v, want ErrConflict", name, err)
		}
		if err != nil {
			b.assertError(t, sink, err, first, second, next.Reveal())
		}
		b.get(t, b.New(t), second)
	}
	b.put(t, sink, next, b.get(t, b.New(t), second))
}

func testStager(t *testing.T, b Backend) {
	secret := newSecret()
	b.Set(t, secret)
	source := b.New(t).(tokensource.Stager)
	ctx := t.Context()
	if tok, err := source.Staged(ctx); !errors.Is(err, tokensource.ErrNotFound) {
		t.Fatalf("Staged before Stage: (%v, %v), want ErrNotFound", tok, err)
	}
	stage := func(next tokensource.Token) tokensource.Token {
		t.Helper()
		staged, err := source.Stage(ctx, next)
		if err != nil {
			b.assertError(t, source, err, secret, next.Reveal())
			t.Fatalf("Stage: %v", err)
		}
		read, err := source.Staged(ctx)
		if err != nil {
			b.assertError(t, source, err, secret, next.Reveal())
			t.Fatalf("Staged: %v", err)
		}
		if !staged.Equal(next) || !read.Equal(next) {
			t.Errorf("Stage and Staged returned other tokens than the one staged")
		}
		b.get(t, source, secret)
		return staged
	}

	dropped := stage(newToken(t))
	if _, err := source.Stage(ctx, newToken(t)); !errors.Is(err, tokensource.ErrConflict) {
		t.Errorf("Stage where another is staged: %v, want ErrConflict", err)
	}
	for range 2 {
		if err := source.Discard(ctx, dropped); err != nil {
			t.Fatalf("Discard: %v", err)
		}
	}
	if err := source.Promote(ctx, dropped); !errors.Is(err, tokensource.ErrConflict) {
		t.Errorf("Promote of a discarded token: %v, want ErrConflict", err)
	}
	b.get(t, b.New(t), secret)

	staged := stage(newToken(t))
	if err := source.Promote(ctx, staged); err != nil {
		b.assertError(t, source, err, secret, staged.Reveal())
		t.Fatalf("Promote: %v", err)
	}
	b.get(t, b.New(t), staged.Reveal())
	if tok, err := source.Staged(ctx); !errors.Is(err, tokensource.ErrNotFound) {
		t.Errorf("Staged after Promote: (%v, %v), want ErrNotFound", tok, err)
	}
}
