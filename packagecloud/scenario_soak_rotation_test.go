package packagecloud_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/backends/file"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

const (
	uploaders = 64
	lead      = 8 // uploads that one of them may be ahead of the slowest
)

// rotated is a server whose token is rotated while uploaders push packages to
// it. They have the token from a cached chain that ends in a file.
type rotated struct {
	srv    *packagecloudtest.Server
	path   string // of the token file
	client *packagecloud.Client

	mu       sync.Mutex
	moved    *sync.Cond
	finished [uploaders]int
	stopped  bool

	sent    map[string]string // checksums by file name
	longest time.Duration     // of the uploads
}

func newRotated(t *testing.T) *rotated {
	srv := packagecloudtest.NewServer(nil)
	t.Cleanup(srv.Close)
	srv.CreateRepository("main", true)
	r := &rotated{srv: srv, path: filepath.Join(t.TempDir(), "token"), sent: map[string]string{}}
	r.moved = sync.NewCond(&r.mu)
	r.store(t, srv.Token())

	stored, err := file.New(r.path, file.Options{RequirePrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	chain, err := tokensource.Chain(env.New("PACKAGECLOUD_TEST_TOKEN_THAT_IS_NOT_SET"), stored)
	if err != nil {
		t.Fatal(err)
	}
	cached, err := tokensource.Cache(chain, tokensource.CacheOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.client = patientClient(t, cached, packagecloud.WithBaseURL(srv.URL), packagecloud.WithHTTPClient(srv.Client()))
	return r
}

// store replaces the token file in one step.
func (r *rotated) store(t *testing.T, token string) {
	t.Helper()
	next := r.path + ".next"
	if err := os.WriteFile(next, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, r.path); err != nil {
		t.Fatal(err)
	}
}

// upload pushes packages of several sizes, one after the other, until the test
// stops or an upload fails.
func (r *rotated) upload(t *testing.T, uploader int) {
	repo := r.client.Repository("acme", "main")
	for i := 0; ; i++ {
		content := bytes.Repeat(fmt.Appendf(nil, "%d.%d ", uploader, i), 400)
		switch i % 64 {
		case uploader: // one that asks before it sends
			content = bytes.Repeat(content, 1+(1<<20)/len(content))
		case (uploader + 16) % 64, (uploader + 32) % 64: // one that is refused while it is being sent
			content = bytes.Repeat(content, 100)
		}
		name := fmt.Sprintf("demo_%d.%d_amd64.deb", uploader, i)
		sum := sha256.Sum256(content)
		want := hex.EncodeToString(sum[:])
		start := time.Now()
		pkg, err := repo.Upload(t.Context(), packagecloud.Bytes(name, content), jammy)
		if err == nil && (pkg.Filename != name || pkg.SHA256 != want) {
			err = fmt.Errorf("it became %s with the checksum %s", pkg.Filename, pkg.SHA256)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r.mu.Lock()
		r.finished[uploader]++
		r.sent[name] = want
		r.longest = max(r.longest, time.Since(start))
		r.stopped = r.stopped || err != nil
		r.moved.Broadcast()
		for !r.stopped && r.finished[uploader] >= slices.Min(r.finished[:])+lead {
			r.moved.Wait()
		}
		stopped := r.stopped
		r.mu.Unlock()
		if stopped {
			return
		}
	}
}

// settle waits until each uploader has finished one upload more; it reports
// whether they go on.
func (r *rotated) settle() bool { return r.wait(uploaders) }

// wait waits until so many uploaders have finished one upload more.
func (r *rotated) wait(many int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.finished
	for !r.stopped {
		moved := 0
		for i, n := range r.finished {
			if n > before[i] {
				moved++
			}
		}
		if moved >= many {
			return true
		}
		r.moved.Wait()
	}
	return false
}

// run calls rotate so many times while the uploaders work, and holds what the
// server has against what they sent.
func (r *rotated) run(t *testing.T, rotations int, rotate func(n int)) {
	start := time.Now()
	var wg sync.WaitGroup
	for uploader := range uploaders {
		wg.Go(func() { r.upload(t, uploader) })
	}
	for n := 0; n < rotations && r.settle(); n++ {
		rotate(n)
	}
	r.settle()
	r.mu.Lock()
	r.stopped = true
	r.moved.Broadcast()
	r.mu.Unlock()
	wg.Wait()

	sameContent(t, byName(t, r.srv.Packages("main")), r.sent)
	log, posts := r.srv.Requests(), map[int]int{}
	for _, request := range log {
		if request.Method == "POST" {
			posts[request.Status]++
		}
	}
	t.Logf("%d rotations in %v: %d uploads, %d answered 401, the longest took %v, %.3f requests an upload",
		rotations, time.Since(start).Round(time.Millisecond), len(r.sent), posts[401], r.longest.Round(time.Millisecond), float64(len(log))/float64(len(r.sent)))
	if posts[201] != len(r.sent) || len(posts) != 2 {
		t.Errorf("the answers by status are %v; want %d of 201, and 401", posts, len(r.sent))
	}
	if posts[401] < rotations {
		t.Errorf("%d uploads were refused in %d rotations; each should meet some", posts[401], rotations)
	}
}

// Guarantee A2.
func TestSoak_NoUploadIsLostWhileTheTokenIsRotatedAgainAndAgain(t *testing.T) {
	r := newRotated(t)
	old := r.srv.Token()
	rotate := func() {
		next := r.srv.AddToken()
		r.store(t, next)
		r.srv.RevokeToken(old)
		old = next
	}
	r.run(t, size(6, 100), func(n int) {
		rotate()
		if n%3 == 2 && r.wait(1) { // uploads meet two in a row
			rotate()
		}
	})
}

// Guarantee A2.
func TestSoak_NoUploadIsLostWhereTheStoreIsBehindTheSite(t *testing.T) {
	r := newRotated(t)
	behind := size(200*time.Millisecond, 3*time.Second)
	r.run(t, size(2, 100), func(n int) {
		next := r.srv.RotateToken() // the old one is dead
		time.Sleep(behind)
		if n%10 == 1 { // the store gets one that is dead when it comes
			dead := next
			next = r.srv.RotateToken()
			r.store(t, dead)
			time.Sleep(behind / 3)
		}
		r.store(t, next)
	})
}
