package tokensourcetest

import (
	"slices"
	"sync"

	"github.com/packagecloud-go/sdk/tokensource"
)

// Recorder keeps events for a test. Its Record method is a hook for
// CacheOptions.OnEvent and tokensource.WithHook. The zero Recorder is ready. It
// is safe for concurrent use and must not be copied.
type Recorder struct {
	mu     sync.Mutex
	events []tokensource.Event
}

// Record keeps e.
func (r *Recorder) Record(e tokensource.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// Events returns the recorded events in order. With kinds, it returns only
// events of these kinds.
func (r *Recorder) Events(kinds ...tokensource.EventKind) []tokensource.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.events), func(e tokensource.Event) bool {
		return len(kinds) > 0 && !slices.Contains(kinds, e.Kind)
	})
}

// Kinds returns the kinds of all recorded events, in order.
func (r *Recorder) Kinds() []tokensource.EventKind {
	var kinds []tokensource.EventKind
	for _, e := range r.Events() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}
