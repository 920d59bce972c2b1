package sourcekit

import (
	"math/rand/v2"
	"time"
)

const (
	minBackoff = time.Second
	maxBackoff = time.Minute
)

// Backoff returns the pause after the n-th failure in a row, where the first is 1:
// 1 s, 2 s, 4 s and so on up to a minute. Each pause is up to 20% shorter or longer,
// so that the members of a fleet don't come back together. An n below 1 counts as 1.
func Backoff(n int) time.Duration {
	d := min(minBackoff<<min(max(n-1, 0), 6), maxBackoff)
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
