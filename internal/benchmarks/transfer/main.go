// Transfer measures uploads and downloads of a large package side by side: this
// library, a bare streamed body of net/http, and curl. Each run is a process of
// its own against the same server, in turns; it prints medians, with the peak
// memory and CPU time of the client's process.
//
//	go run ./internal/benchmarks/transfer -size 1073741824 -runs 10 [-tls] [-max 1.10] [-name large-1.0.tar.gz]
//
// With -max it exits 1 where a median of the ratios of two runs in a row, of
// wall time or of user+sys, is above that. Both sides of these ratios do the same: an
// upload streams the file as a form and hashes it (SHA-256), a download is hashed,
// written to a file and synced. Only copy-download isn't synced, which DownloadFile
// always is.
//
// Plain-upload streams without a hash. The ratio to it says what the hash costs; -max
// doesn't bound it.
//
// A .deb is all zeros, its type told by its name; a .tar.gz has to be unpacked
// to tell, and has 16 MiB for that.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

func main() {
	if job := os.Getenv(jobVariable); job != "" {
		if err := child(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	size := flag.Int64("size", 1<<30, "bytes of the package")
	runs := flag.Int("runs", 10, "runs of each")
	tls := flag.Bool("tls", false, "over TLS")
	name := flag.String("name", fileName, "name of the package's file: a .deb or a .tar.gz of Python")
	limit := flag.Float64("max", 0, "the highest ratio; 0 is any")
	flag.Parse()
	if err := compare(*name, *size, *runs, *tls, *limit); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func compare(name string, size int64, runs int, tls bool, limit float64) error {
	b, err := newBench(name, size, tls)
	if err != nil {
		return err
	}
	defer b.close()
	results := map[string][]result{}
	for range runs {
		for _, job := range jobs {
			r, err := b.run(job)
			if err != nil {
				return fmt.Errorf("%s: %w", job, err)
			}
			results[job] = append(results[job], r)
		}
	}
	fmt.Printf("%s, %d bytes, %d runs of each in turns, TLS %v; medians\n", name, size, runs, tls)
	fmt.Printf("%-14s %10s %10s %12s\n", "", "wall", "user+sys", "peak memory")
	for _, job := range jobs {
		wall := median(results[job], func(r result) time.Duration { return r.wall })
		cpu := median(results[job], func(r result) time.Duration { return r.cpu })
		memory := median(results[job], func(r result) int64 { return r.peak })
		peak := "not known" // of curl
		if memory > 0 {
			peak = fmt.Sprintf("%.1f MiB", float64(memory)/(1<<20))
		}
		fmt.Printf("%-14s %10v %10v %12s\n", job, wall.Round(time.Millisecond), cpu.Round(time.Millisecond), peak)
	}
	above := false
	for _, pair := range [][2]string{{"sdk-upload", "bare-upload"}, {"sdk-download", "bare-download"}, {"sdk-download", "copy-download"}, {"sdk-upload", "plain-upload"}} {
		ratio := func(of func(result) time.Duration) float64 {
			var ratios []float64
			for i, r := range results[pair[0]] {
				ratios = append(ratios, float64(of(r))/float64(of(results[pair[1]][i])))
			}
			return median(ratios, func(f float64) float64 { return f })
		}
		wall, cpu := ratio(func(r result) time.Duration { return r.wall }), ratio(func(r result) time.Duration { return r.cpu })
		fmt.Printf("%s / %s: wall %.3f, user+sys %.3f\n", pair[0], pair[1], wall, cpu)
		above = above || max(wall, cpu) > limit && pair[1] != "plain-upload"
	}
	if limit > 0 && above {
		return fmt.Errorf("a ratio is above %.3f", limit)
	}
	return nil
}

func median[T any, V cmp.Ordered](items []T, of func(T) V) V {
	var values []V
	for _, item := range items {
		values = append(values, of(item))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
