//go:build !race

package packagecloud_test

const raceDetector = false
