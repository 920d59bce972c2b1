package tokensource

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestCache_ReadClockEndsATokenWhoseTimersStoodStill changes fields of the
// cache, because no test can suspend the machine. It stops the cache's own
// time, as a suspend does, and lets the wall clock go on.
//
// Guarantee H1.
func TestCache_ReadClockEndsATokenWhoseTimersStoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, readClock := range []bool{true, false} {
			calls := 0
			source := Func(func(context.Context) (Token, error) {
				calls++
				return NewToken("abc", Metadata{Expiry: time.Now().Add(time.Minute)})
			})
			c, err := Cache(source, CacheOptions{ReadClock: readClock})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.mu.Lock()
			c.timer.Stop()
			c.end, c.due = c.end.Add(time.Hour), c.due.Add(time.Hour)
			c.mu.Unlock()

			time.Sleep(time.Minute)
			tok, err := c.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if renewed := time.Now().Before(tok.Metadata().Expiry); renewed != readClock || (calls == 2) != readClock {
				t.Errorf("with ReadClock %v a token past its expiry was replaced: %v", readClock, renewed)
			}
		}
	})
}
