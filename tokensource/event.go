package tokensource

import (
	"context"
	"log/slog"
	"time"
)

// EventKind is the kind of an event.
type EventKind string

// The kinds of events that sources report.
const (
	EventFetched       EventKind = "fetched"        // a refresh returned a token
	EventServedStale   EventKind = "served stale"   // a read returned a token past RefreshAfter
	EventRefreshFailed EventKind = "refresh failed" // Err says why
	EventInvalidated   EventKind = "invalidated"    // the API refused the token
	EventRotated       EventKind = "rotated"        // the source returned another token than before
	EventFellThrough   EventKind = "fell through"   // a chain went on to its next source; Err says why
	EventExposed       EventKind = "exposed"        // others on the machine can read the token's file
)

// Event is one thing that happened to a source. It holds no secret.
type Event struct {
	Kind EventKind
	// Source is the origin of the token or, on a failure, the source that
	// failed.
	Source string
	// Fingerprint and Version describe the token, if there is one.
	Fingerprint, Version string
	// Previous is the fingerprint of the token before a rotation.
	Previous string
	// Age is the time since the token was fetched.
	Age time.Duration
	// Detail describes the event further, in words.
	Detail string
	// Err is set on failures.
	Err error
}

// LogValue returns a group of the fields that are set. Unprintable characters
// become spaces, so that no field forges a line of a log.
func (e Event) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 8)
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, onOneLine(value)))
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
		attrs = append(attrs, slog.String("error", onOneLine(e.Err.Error())))
	}
	return slog.GroupValue(attrs...)
}

// LogEvents returns a hook that writes events to logger. Failures, rejected
// tokens and exposed tokens are warnings; other events have level debug. A nil
// logger means slog.Default().
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

// WithHook returns a context in which sources report their events to hook. The
// hook must be safe for concurrent use and must not block. A nil hook silences
// the sources. [Cache] calls WithHook for the source that it wraps.
func WithHook(ctx context.Context, hook func(Event)) context.Context {
	return context.WithValue(ctx, hookKey{}, hook)
}

// Emit passes an event to the hook of ctx, if ctx has one. Authors of sources
// call it.
func Emit(ctx context.Context, e Event) {
	if hook, _ := ctx.Value(hookKey{}).(func(Event)); hook != nil {
		hook(e)
	}
}
