package packagecloud_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// envPush makes the test binary the program that is killed: it pushes the files
// of the folder that the variable names.
const envPush = "PACKAGECLOUD_SOAK_PUSH"

// push is what a CI job does. It prints "sending NAME" when the first byte of a
// package is handed to the network, and "pushed NAME" or "existed NAME" when the
// package is there.
func push(folder string) int {
	client, err := packagecloud.FromEnvironment(nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	paths, _ := filepath.Glob(filepath.Join(folder, "*.deb"))
	repo := client.Repository("acme", "main")
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(paths); i = next.Add(1) - 1 {
				name, told := filepath.Base(paths[i]), false
				pkg, err := repo.Upload(context.Background(), packagecloud.File(paths[i]), &packagecloud.UploadOptions{
					Distribution: "ubuntu/jammy",
					IfExists:     packagecloud.Skip,
					Progress: func(sent, _ int64) {
						if sent > 0 && !told {
							told = true
							fmt.Println("sending", name)
						}
					},
				})
				switch {
				case err != nil:
					failed.Store(true)
					fmt.Fprintln(os.Stderr, err)
				case pkg.Existed:
					fmt.Println("existed", name)
				default:
					fmt.Println("pushed", name)
				}
			}
		})
	}
	wg.Wait()
	if failed.Load() {
		return 1
	}
	return 0
}

// pushed is what a run of the program printed, by file name.
type pushed struct {
	sending, pushed, existed map[string]bool
	killed                   bool
}

// runPush runs the program; after so many lines that begin with word it is
// killed a moment later, unless it has ended.
func runPush(t *testing.T, srv *process, folder, word string, lines int, moment time.Duration) pushed {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), envPush+"="+folder, packagecloud.EnvURL+"="+srv.url, packagecloud.EnvToken+"="+srv.token(t), packagecloud.EnvTokenSource+"=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := pushed{map[string]bool{}, map[string]bool{}, map[string]bool{}, false}
	what := map[string]map[string]bool{"sending": p.sending, "pushed": p.pushed, "existed": p.existed}
	out := bufio.NewScanner(stdout)
	for seen := 0; out.Scan(); {
		first, name, _ := strings.Cut(out.Text(), " ")
		if what[first] == nil {
			t.Fatalf("the program printed %q", out.Text())
		}
		what[first][name] = true
		if first == word {
			if seen++; seen == lines {
				time.Sleep(moment) // wherever it is by then
				cmd.Process.Kill()
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		p.killed = cmd.ProcessState.ExitCode() < 0 || stderr.Len() == 0
		if !p.killed {
			t.Fatalf("the program: %v\n%s", err, stderr.String())
		}
	}
	return p
}

// settled waits until the server has answered every request, those of a killed
// program included, and has a package for each success. It returns the packages,
// and all answers to uploads by status.
func (p *process) settled(t *testing.T) (map[string]packagecloudtest.Package, map[int]int) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		posts := map[int]int{}
		for _, r := range p.requests(t) {
			if r.Status == 0 {
				posts[0]++
			} else if r.Method == "POST" {
				posts[r.Status]++
			}
		}
		now := byName(t, p.packages(t))
		if posts[0] == 0 && posts[201] == len(now) || time.Since(start) > time.Minute {
			return now, posts
		}
	}
}

// Guarantee U3.
func TestSoak_KilledPushIsFinishedByRunningItAgain(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	count, kills := size(60, 200), size(4, 25)
	folder, sums := t.TempDir(), map[string]string{}
	for i := range count {
		length := 1000 + random.IntN(50_000)
		if i%10 == 9 { // one that asks before it sends
			length += size(2, 8) << 20
		}
		content := make([]byte, length)
		rand.NewChaCha8([32]byte{byte(i)}).Read(content)
		name := fmt.Sprintf("demo%d_1.0_amd64.deb", i)
		sum := sha256.Sum256(content)
		sums[name] = hex.EncodeToString(sum[:])
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	srv := startProcess(t, false, "-private", "-repo", "main")
	killed, cut, finished := 0, 0, 0 // programs; packages under way at a kill: absent and there afterwards
	stored := map[string]packagecloudtest.Package{}
	for round := 0; ; round++ {
		word, lines := "sending", 1+random.IntN(2*count/(kills+1))
		if round%4 == 3 && len(stored) > 0 { // while it finds out what is there
			word, lines = "existed", 1+random.IntN(len(stored))
		}
		if round >= kills {
			word = "" // let it run
		}
		moment := time.Duration(random.IntN(5000)>>random.IntN(10)) * time.Microsecond
		run := runPush(t, srv, folder, word, lines, moment)
		now, posts := srv.settled(t)

		for name, pkg := range stored {
			if run.sending[name] {
				t.Errorf("round %d: %s was there and was sent again", round, name)
			}
			if now[name].CreatedAt != pkg.CreatedAt {
				t.Errorf("round %d: %s was there and was replaced", round, name)
			}
		}
		for name := range run.pushed {
			if _, ok := now[name]; !ok {
				t.Errorf("round %d: %s was pushed and isn't there", round, name)
			}
		}
		for name := range run.sending {
			switch _, ok := now[name]; {
			case run.pushed[name]:
			case ok:
				finished++
			default:
				cut++
			}
		}
		if posts[201] != len(now) || posts[422] > 0 {
			t.Errorf("round %d: the answers by status are %v; want %d of 201 and no 422", round, posts, len(now))
		}
		stored = now
		if !run.killed {
			break
		}
		killed++
	}
	t.Logf("killed %d times; of the packages under way then, %d were there and %d were not", killed, finished, cut)
	if killed < kills/2 {
		t.Errorf("the program was killed %d times; want about %d", killed, kills)
	}
	sameContent(t, stored, sums)

	srv.forget(t)
	last := runPush(t, srv, folder, "", 0, 0)
	if len(last.existed) != count || len(last.sending)+len(last.pushed) > 0 {
		t.Errorf("the last run says that %d existed and %d were sent; want %d and 0", len(last.existed), len(last.sending), count)
	}
	for _, r := range srv.requests(t) {
		if r.Method != "GET" || r.BodyBytes > 0 {
			t.Errorf("the last run sent a %s request with %d bytes", r.Method, r.BodyBytes)
		}
	}
	if now := byName(t, srv.packages(t)); !maps.EqualFunc(now, stored, func(a, b packagecloudtest.Package) bool { return a.SHA256 == b.SHA256 && a.CreatedAt == b.CreatedAt }) {
		t.Error("the last run changed what is stored")
	}
}
