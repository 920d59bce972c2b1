package tokensource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

func TestEvent_ReachesTheHookOfItsContext(t *testing.T) {
	var outer, inner tokensourcetest.Recorder
	event := tokensource.Event{Kind: tokensource.EventExposed, Source: "file:x"}
	tokensource.Emit(t.Context(), event) // no hook: nothing happens
	ctx := tokensource.WithHook(t.Context(), outer.Record)
	tokensource.Emit(ctx, event)
	tokensource.Emit(tokensource.WithHook(ctx, inner.Record), event)
	tokensource.Emit(tokensource.WithHook(ctx, nil), event)
	if len(outer.Events()) != 1 || len(inner.Events()) != 1 || outer.Events()[0] != event {
		t.Errorf("outer got %v, inner %v", outer.Events(), inner.Events())
	}
}

func TestCache_PassesOnTheEventsOfItsSource(t *testing.T) {
	var events tokensourcetest.Recorder
	tok := newToken(t, "abc")
	source := tokensource.Func(func(ctx context.Context) (tokensource.Token, error) {
		tokensource.Emit(ctx, tokensource.Event{Kind: tokensource.EventExposed})
		return tok, nil
	})
	wantToken(t, cache(t, source, tokensource.CacheOptions{OnEvent: events.Record}), "abc")
	if len(events.Events(tokensource.EventExposed)) != 1 {
		t.Errorf("events %v", events.Kinds())
	}
	wantToken(t, cache(t, source, tokensource.CacheOptions{}), "abc")
}

// Guarantee H8.
func TestLogEvents_WritesWhatIsSet(t *testing.T) {
	var out bytes.Buffer
	log := tokensource.LogEvents(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log(tokensource.Event{
		Kind: tokensource.EventRefreshFailed, Source: "env:X", Fingerprint: "f", Version: "v", Previous: "p",
		Age: time.Minute, Detail: "d", Err: tokensource.NewError("env:X", tokensource.ErrDenied, "m", errors.New(canary)),
	})
	var line struct {
		Level string
		Msg   string
		Event map[string]any
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"kind": "refresh failed", "source": "env:X", "fingerprint": "f", "version": "v", "previous": "p",
		"detail": "d", "age": 6e10, "error": "env:X: denied: m",
	}
	if line.Level != "WARN" || line.Msg != "packagecloud token" || !reflect.DeepEqual(line.Event, want) {
		t.Errorf("got %+v, want a warning with %v", line, want)
	}
	if how := tokensourcetest.FindSecret(out.String(), canary); how != "" {
		t.Error(how)
	}
}

func TestLogEvents_WarnsOfWhatNeedsAnEye(t *testing.T) {
	for kind, level := range map[tokensource.EventKind]string{
		tokensource.EventFetched: "DEBUG", tokensource.EventServedStale: "DEBUG", tokensource.EventRotated: "DEBUG",
		tokensource.EventFellThrough: "DEBUG", tokensource.EventRefreshFailed: "WARN",
		tokensource.EventInvalidated: "WARN", tokensource.EventExposed: "WARN",
	} {
		var out bytes.Buffer
		tokensource.LogEvents(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))(tokensource.Event{Kind: kind})
		if !strings.Contains(out.String(), "level="+level+" ") {
			t.Errorf("%s is logged as %s, want %s", kind, out.String(), level)
		}
	}
}

func TestLogEvents_NilIsTheDefaultLogger(t *testing.T) {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	var out bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	tokensource.LogEvents(nil)(tokensource.Event{Kind: tokensource.EventInvalidated})
	if !strings.Contains(out.String(), "invalidated") {
		t.Errorf("the default logger got %q", out.String())
	}
}
