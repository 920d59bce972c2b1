// Transfer compares uploads and downloads of a large package by this library,
// by a bare net/http stream and by curl. Each run is a process of its own. The
// clients take turns at the same server. Transfer prints medians of the wall
// time, and of the peak memory and CPU time of the client's process.
//
//	go run ./internal/benchmarks/transfer -size 1073741824 -runs 10 [-tls] [-max 1.10] [-name large-1.0.tar.gz]
//
// For each pair of clients, Transfer prints the median ratio of two runs in the
// same turn, for wall time and for user+sys. With -max it exits 1 if a median
// is above that.
//
// Both clients of a pair do the same work. An upload streams the file as a form
// and hashes it (SHA-256). A download is hashed, written to a file and synced.
// Two jobs differ: copy-download doesn't sync, while DownloadFile does, and
// plain-upload doesn't hash. The ratio to plain-upload shows the cost of the
// hash; -max ignores it.
//
// A .deb is all zeros, and its name tells its type. The library must unpack a
// .tar.gz to find its type; that file begins with 16 MiB of digits.
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
	tls := flag.Bool("tls", false, "use TLS")
	name := flag.String("name", fileName, "name of the package's file: a .deb or a .tar.gz of Python")
	limit := flag.Float64("max", 0, "the highest allowed `ratio`; 0 allows any")
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
		peak := "unknown" // curl prints no peak
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
		return fmt.Errorf("a ratio is above the limit of %.3f; see the lines above", limit)
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
