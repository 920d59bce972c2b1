package packagecloud_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

// stress is a server that fails one request in twenty, and a client that
// uploads, downloads and lists at once.
type stress struct {
	srv    *process
	client *packagecloud.Client
	idle   func() // closes connections that nobody uses
	folder string

	next     atomic.Int64 // operation
	packages []testPackage
	failed   atomic.Int64 // errors that the client returned
}

// testPackage is one of the packages that a test uploads: the number decides on
// its content. All are made before the test begins to count memory.
type testPackage struct {
	state atomic.Int32
	sum   [sha256.Size]byte
}

// The states of a package.
const (
	unsent   = iota
	sending  // or the client doesn't know what became of it
	stored   // the client said so
	unstored // the client said so
)

const (
	stressRepositories = 16
	stressWorkers      = 32
)

func repositoryOf(n int) string { return fmt.Sprintf("main%d", n%stressRepositories) }
func fileOf(n int) string       { return fmt.Sprintf("soak%d_1.0_amd64.deb", n) }

// contentOf is what package n consists of: random, so that no two are mixed up.
func contentOf(n int) []byte {
	random := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	length := 1000 + int(random.Uint64()%20_000)
	if n%97 == 0 { // one that asks before it sends
		length += 1 << 20
	}
	b := make([]byte, length)
	random.Read(b)
	return b
}

// stressFaults act by turns.
var stressFaults = []struct {
	name  string
	fault packagecloudtest.Fault
}{
	{"500", packagecloudtest.Fault{Status: 500}},
	{"502", packagecloudtest.Fault{Status: 502}},
	{"reset", packagecloudtest.Fault{Reset: true}},
	{"reset within the body", packagecloudtest.Fault{ResetAfter: 600}},
	{"answer lost", packagecloudtest.Fault{LoseAnswer: true}},
	{"slow", packagecloudtest.Fault{Delay: size(20*time.Millisecond, 1500*time.Millisecond)}},
	{"cut", packagecloudtest.Fault{CutAfter: 50}},
}

func newStress(t *testing.T, operations int) *stress {
	var repositories []string
	for i := range stressRepositories {
		repositories = append(repositories, repositoryOf(i))
	}
	srv := startProcess(t, false, "-private", "-repo", strings.Join(repositories, ","))
	s := &stress{srv: srv, folder: t.TempDir(), packages: make([]testPackage, operations)}
	for n := range s.packages {
		s.packages[n].sum = sha256.Sum256(contentOf(n))
	}
	// The client doesn't copy a transport that has this set.
	transport := &http.Transport{MaxIdleConnsPerHost: stressWorkers, ExpectContinueTimeout: time.Second}
	s.idle = func() {
		transport.CloseIdleConnections()
		srv.client.CloseIdleConnections()
	}
	t.Cleanup(s.idle)
	newClient := size(newClient, patientClient)
	s.client = newClient(t, tokensource.Static(srv.token(t)), packagecloud.WithBaseURL(srv.url), packagecloud.WithHTTPClient(&http.Client{Transport: transport}))
	for i, kind := range stressFaults {
		f := kind.fault
		f.Times, f.Every, f.Skip = -1, 18*len(stressFaults), 18*i
		srv.inject(t, f, "")
	}
	return s
}

func (s *stress) repository(n int) *packagecloud.Repository {
	return s.client.Repository("acme", repositoryOf(n))
}

// work carries out so many operations more.
func (s *stress) work(t *testing.T, operations int) {
	end := s.next.Load() + int64(operations)
	var wg sync.WaitGroup
	for range stressWorkers {
		wg.Go(func() {
			for {
				i := s.next.Add(1) - 1
				if i >= end {
					return
				}
				s.operate(t, int(i))
			}
		})
	}
	wg.Wait()
	s.next.Store(end)
}

// operate uploads package i, or downloads a package or lists a repository.
func (s *stress) operate(t *testing.T, i int) {
	var err error
	switch known := s.known(i); {
	case i%5 < 2 || known < 0:
		err = s.upload(t, i)
	case i%5 < 4:
		err = s.download(t, i, known)
	default:
		err = s.list(t, i/5) // in turn, since i itself would meet every repository too
	}
	if err != nil {
		s.failed.Add(1)
		t.Logf("operation %d: %v", i, err)
	}
}

// known returns some package below i that is stored, or -1.
func (s *stress) known(i int) int {
	if i == 0 {
		return -1
	}
	for n := rand.New(rand.NewPCG(uint64(i), 0)).IntN(i); n >= 0; n-- {
		if s.packages[n].state.Load() == stored {
			return n
		}
	}
	return -1
}

func (s *stress) upload(t *testing.T, n int) error {
	p := &s.packages[n]
	p.state.Store(sending)
	pkg, err := s.repository(n).Upload(t.Context(), packagecloud.Bytes(fileOf(n), contentOf(n)), jammy)
	switch {
	case err == nil && (pkg.Filename != fileOf(n) || pkg.SHA256 != hex.EncodeToString(p.sum[:])):
		t.Errorf("%s became %s with the checksum %s", fileOf(n), pkg.Filename, pkg.SHA256)
	case err == nil:
		p.state.Store(stored)
	case !errors.Is(err, packagecloud.ErrUnknownOutcome):
		p.state.Store(unstored)
	}
	return err
}

// download is operation i: it checks package n, to a file every other time.
func (s *stress) download(t *testing.T, i, n int) error {
	repo := s.repository(n)
	pkg, err := repo.Find(t.Context(), "ubuntu/jammy", fileOf(n))
	if err != nil {
		return err
	}
	sum := sha256.New()
	if i%5 == 2 {
		err = repo.Download(t.Context(), pkg, sum, nil)
	} else {
		path := filepath.Join(s.folder, fmt.Sprint(i))
		if err = repo.DownloadFile(t.Context(), pkg, path, nil); err == nil {
			b, readErr := os.ReadFile(path)
			if readErr != nil {
				t.Error(readErr)
			}
			sum.Write(b)
			os.Remove(path)
		}
	}
	if err == nil && [sha256.Size]byte(sum.Sum(nil)) != s.packages[n].sum {
		t.Errorf("%s came with other content", fileOf(n))
	}
	return err
}

// list holds a complete list against the packages that were certainly there
// when it began, and those that can be there when it ends.
func (s *stress) list(t *testing.T, repository int) error {
	repository %= stressRepositories
	certain := map[int]bool{}
	for n := repository; n < len(s.packages); n += stressRepositories {
		if s.packages[n].state.Load() == stored {
			certain[n] = true
		}
	}
	listed := map[int]bool{}
	for pkg, err := range s.repository(repository).Packages(t.Context(), &packagecloud.ListOptions{PerPage: size(5, 100), AllowChange: true}) {
		if err != nil {
			return err
		}
		n := -1
		fmt.Sscanf(pkg.Filename, "soak%d_", &n)
		switch {
		case n < 0 || n >= len(s.packages) || fileOf(n) != pkg.Filename || n%stressRepositories != repository:
			t.Errorf("%s lists %s", repositoryOf(repository), pkg.Filename)
		case listed[n]:
			t.Errorf("%s lists %s twice", repositoryOf(repository), pkg.Filename)
		case s.packages[n].state.Load() == unsent:
			t.Errorf("%s lists %s, which was not sent", repositoryOf(repository), pkg.Filename)
		}
		listed[n] = true
	}
	for n := range certain {
		if !listed[n] {
			t.Errorf("%s doesn't list %s", repositoryOf(repository), fileOf(n))
		}
	}
	return nil
}

// verify holds what the server stores against what the client said.
func (s *stress) verify(t *testing.T) (count int) {
	all := map[string]map[string]string{}
	for i := range stressRepositories {
		all[repositoryOf(i)] = map[string]string{}
	}
	serverHas := map[string]bool{}
	for repository := range all {
		for name := range byName(t, s.srv.packagesOf(t, repository)) {
			serverHas[name] = true
		}
	}
	for n := range s.packages {
		switch state := s.packages[n].state.Load(); {
		case state == stored, state == sending && serverHas[fileOf(n)]:
			all[repositoryOf(n)][fileOf(n)] = hex.EncodeToString(s.packages[n].sum[:])
			count++
		}
	}
	for repository, want := range all {
		sameContent(t, byName(t, s.srv.packagesOf(t, repository)), want)
	}
	return count
}

// usage is what a process holds on to.
type usage struct{ heap, goroutines, files int }

// usage waits until the goroutines of closed connections have ended, and let go
// of what they sent last.
func (s *stress) usage(t *testing.T, atMost usage) usage {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		s.idle()
		runtime.GC()
		runtime.GC() // what finalizers and pools let go
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		files, _ := os.ReadDir("/proc/self/fd") // where there is none, nothing is counted
		now := usage{int(m.HeapAlloc), runtime.NumGoroutine(), len(files)}
		if now.heap <= atMost.heap && now.goroutines <= atMost.goroutines && now.files <= atMost.files || ctx.Err() != nil {
			return now
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Guarantees: A4, U2, D3, L1.
func TestSoak_NothingIsLostOrLeaksThoughOneRequestInTwentyFails(t *testing.T) {
	operations := size(400, 10_000)
	s := newStress(t, operations)
	start := time.Now()
	before := s.usage(t, usage{heap: 1 << 40, goroutines: 1 << 20, files: 1 << 20})
	var heaps []int
	atMost := usage{1 << 40, before.goroutines, before.files}
	for range 4 {
		s.work(t, operations/4)
		after := s.usage(t, atMost)
		if after.goroutines > before.goroutines || after.files > before.files {
			t.Errorf("%d goroutines and %d files are open; want %d and %d as at the start", after.goroutines, after.files, before.goroutines, before.files)
		}
		heaps = append(heaps, after.heap)
		atMost.heap = heaps[0] + 256<<10
		if after.heap > atMost.heap {
			t.Errorf("the heap grew by %d bytes: %v", after.heap-heaps[0], heaps)
		}
	}
	elapsed := time.Since(start)

	log, acted := s.srv.requests(t), map[int]int{}
	for _, r := range log {
		acted[r.Fault]++
		if r.Status == http.StatusUnprocessableEntity {
			t.Errorf("%s %s was refused: a package that is there was sent again", r.Method, r.Path)
		}
	}
	s.srv.control(t, "DELETE", "faults", nil, nil)
	count := s.verify(t)
	for i := range stressRepositories {
		if err := s.list(t, i); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(s.folder); err != nil || len(left) > 0 {
		t.Errorf("%d files are left of downloads, %v", len(left), err)
	}
	t.Logf("%d operations in %v, %d packages, %d requests (%.2f an operation), %d errors; heap after each quarter %v, before %d",
		operations, elapsed.Round(time.Millisecond), count, len(log), float64(len(log))/float64(operations), s.failed.Load(), heaps, before.heap)
	for i, kind := range stressFaults {
		t.Logf("%d requests: %s", acted[i+1], kind.name)
		if acted[i+1] == 0 {
			t.Errorf("no request met the fault %q", kind.name)
		}
	}
	if share := 1 - float64(acted[0])/float64(len(log)); share < size(0.04, 0.05) { // none do at the very start
		t.Errorf("%.2f%% of the requests failed; want 5%%", 100*share)
	}
	// Five tries in a row don't fail where one in twenty does, but a fault may
	// come at each of the looks for a lost answer.
	if n := s.failed.Load(); n > int64(operations/1000) {
		t.Errorf("%d operations failed", n)
	}
}
