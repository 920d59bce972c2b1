// Transfer measures uploads and downloads of a large package side by side: this
// library, a bare streamed body of net/http, and curl. Each run is a process of
// its own against the same server, in turns; it prints medians, with the peak
// memory and CPU time of the client's process.
//
//	go run ./internal/benchmarks/transfer -size 1073741824 -runs 10 [-tls]
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
	flag.Parse()
	if err := compare(*size, *runs, *tls); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func compare(size int64, runs int, tls bool) error {
	b, err := newBench(size, tls)
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
	fmt.Printf("%d bytes, %d runs of each in turns, TLS %v; medians\n", size, runs, tls)
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
	for _, pair := range [][2]string{{"sdk-upload", "bare-upload"}, {"sdk-download", "bare-download"}} {
		ratio := func(of func(result) time.Duration) float64 {
			var ratios []float64
			for i, r := range results[pair[0]] {
				ratios = append(ratios, float64(of(r))/float64(of(results[pair[1]][i])))
			}
			return median(ratios, func(f float64) float64 { return f })
		}
		fmt.Printf("%s / %s: wall %.3f, user+sys %.3f\n", pair[0], pair[1],
			ratio(func(r result) time.Duration { return r.wall }), ratio(func(r result) time.Duration { return r.cpu }))
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
