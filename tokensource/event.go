package tokensource

import (
	"context"
	"log/slog"
	"time"
)

// EventKind says what happened.
type EventKind string

// What a source reports.
const (
	EventFetched       EventKind = "fetched"        // a refresh brought a token
	EventServedStale   EventKind = "served stale"   // a token past RefreshAfter is served
	EventRefreshFailed EventKind = "refresh failed" // Err says why
	EventInvalidated   EventKind = "invalidated"    // the API refused the token
	EventRotated       EventKind = "rotated"        // the source has another token than before
	EventFellThrough   EventKind = "fell through"   // a chain went on to its next source; Err says why
	EventExposed       EventKind = "exposed"        // others on the machine can read the token's file
)

// Event is one thing that happened to a source. It holds no secret.
type Event struct {
	Kind EventKind
	// Source spells where the token comes from or, on a failure, which
	// source failed.
	Source string
	// Fingerprint and Version name the token, if there is one.
	Fingerprint, Version string
	// Previous is the fingerprint of the token before a rotation.
	Previous string
	// Age is the time since the token was fetched.
	Age time.Duration
	// Detail says more, in words.
	Detail string
	// Err is set on failures.
	Err error
}

// LogValue returns the fields that are set, as a group.
func (e Event) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 8)
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("kind", string(e.Kind))
	text("source", e.Source)
	text("fingerprint", e.Fingerprint)
	text("version", e.Version)
	text("previous", e.Previous)
	text("detail", e.Detail)
	if e.Age > 0 {
		attrs = append(attrs, slog.Duration("age", e.Age))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// LogEvents returns a hook that writes events to logger: failures, rejected and
// exposed tokens as warnings, the rest at debug. A nil logger is slog.Default().
func LogEvents(logger *slog.Logger) func(Event) {
	if logger == nil {
		logger = slog.Default()
	}
	return func(e Event) {
		level := slog.LevelDebug
		switch e.Kind {
		case EventRefreshFailed, EventInvalidated, EventExposed:
			level = slog.LevelWarn
		}
		logger.LogAttrs(context.Background(), level, "packagecloud token", slog.Any("event", e))
	}
}

type hookKey struct{}

// WithHook returns a context in which sources report their events to hook,
// which must be safe for concurrent use and must not block. [Cache] does this
// for the source that it wraps. A nil hook silences them.
func WithHook(ctx context.Context, hook func(Event)) context.Context {
	return context.WithValue(ctx, hookKey{}, hook)
}

// Emit reports an event to the hook of ctx, if it has one. It is for authors of
// sources.
func Emit(ctx context.Context, e Event) {
	if hook, _ := ctx.Value(hookKey{}).(func(Event)); hook != nil {
		hook(e)
	}
}
