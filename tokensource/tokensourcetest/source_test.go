package tokensourcetest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

func TestSource_PassesTheSuite(t *testing.T) {
	s := &tokensourcetest.Source{}
	tokensourcetest.Run(t, tokensourcetest.Backend{
		New:    func(*testing.T) tokensource.TokenSource { return s },
		Set:    func(_ *testing.T, value string) { s.Set(value) },
		Remove: func(*testing.T) { s.SetToken(tokensource.Token{}) },
	})
}

func TestSource_FailsAndHeals(t *testing.T) {
	s := tokensourcetest.NewSource("abc")
	broken := errors.New("broken")
	s.Fail(broken)
	if _, err := s.Token(t.Context()); err != broken {
		t.Errorf("got %v, want the error it was given", err)
	}
	s.Fail(nil)
	if tok, err := s.Token(t.Context()); err != nil || tok.Reveal() != "abc" {
		t.Errorf("got (%v, %v), want the token back", tok.Reveal(), err)
	}
	s.Fail(broken)
	s.Set("def")
	if tok, err := s.Token(t.Context()); err != nil || tok.Reveal() != "def" || tok.Metadata().Version != "2" {
		t.Errorf("got (%v, %v), want version 2", tok.Reveal(), err)
	}
	if s.Calls() != 3 {
		t.Errorf("counted %d calls, want 3", s.Calls())
	}
	tok, _ := s.Token(t.Context())
	s.Invalidate(tok)
	if got := s.Invalidated(); len(got) != 1 || !got[0].Equal(tok) {
		t.Errorf("recorded %d invalidated tokens, want the one", len(got))
	}
}

func TestSource_DelaysAndBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := tokensourcetest.NewSource("abc")
		s.Delay(time.Minute)
		start := time.Now()
		if _, err := s.Token(t.Context()); err != nil || time.Since(start) != time.Minute {
			t.Errorf("err %v after %v, want none after a minute", err, time.Since(start))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Token(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err %v, want the context's", err)
		}

		s.Delay(0)
		release := s.Block()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := s.Token(t.Context()); err != nil {
					t.Errorf("after release: %v", err)
				}
			})
		}
		synctest.Wait()
		if s.Calls() != 5 {
			t.Errorf("counted %d calls, want 5 with those that wait", s.Calls())
		}
		s.Set("def")
		release()
		release()
		wg.Wait()
		if _, err := s.Token(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRecorder_KeepsEventsByKind(t *testing.T) {
	var r tokensourcetest.Recorder
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { r.Record(tokensource.Event{Kind: tokensource.EventFetched}) })
	}
	wg.Wait()
	r.Record(tokensource.Event{Kind: tokensource.EventRotated})
	if got := len(r.Events(tokensource.EventFetched)); got != 8 {
		t.Errorf("%d fetched, want 8", got)
	}
	if got := r.Kinds(); len(got) != 9 || !slices.Contains(got, tokensource.EventRotated) {
		t.Errorf("kinds %v", got)
	}
}
