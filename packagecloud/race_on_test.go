//go:build race

package packagecloud_test

// raceDetector reports whether the tests run under the race detector, which makes a
// program allocate more.
const raceDetector = true
