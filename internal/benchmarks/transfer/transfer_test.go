package main

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// The binary of the test is also the client.
func TestMain(m *testing.M) {
	if job := os.Getenv(jobVariable); job != "" {
		if err := child(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestUpload_PeakMemoryIsThatOfABareStream uploads 1 GiB. It compares the peak
// memory with that of a process that streams the same body with as little work
// as possible.
//
// Guarantee U1.
func TestUpload_PeakMemoryIsThatOfABareStream(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the peak is read from /proc")
	}
	size := int64(1 << 30)
	if testing.Short() {
		size = 64 << 20
	}
	for _, test := range []struct {
		name string
		tls  bool
	}{{fileName, false}, {fileName, true}, {"large-1.0.tar.gz", true}} {
		t.Run(fmt.Sprintf("%s, TLS %v", test.name, test.tls), func(t *testing.T) {
			b, err := newBench(test.name, size, test.tls)
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			bare, err := b.run("bare-upload")
			if err != nil {
				t.Fatal(err)
			}
			sdk, err := b.run("sdk-upload")
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("peak memory for %d MiB: bare %.1f MiB, sdk %.1f MiB", size>>20, float64(bare.peak)/(1<<20), float64(sdk.peak)/(1<<20))
			if bare.peak == 0 || sdk.peak > bare.peak+8<<20 {
				t.Errorf("peak memory is %d bytes, more than 8 MiB above the bare stream's %d", sdk.peak, bare.peak)
			}
		})
	}
}
