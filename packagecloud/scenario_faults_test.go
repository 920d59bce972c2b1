package packagecloud_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

// fault is a row of the fault table: something goes wrong, and what is left
// of it. docs/faults.md has the same rows in words.
type fault struct {
	name string // as in docs/faults.md

	have        []stock // what the server stores before
	noChecksums bool    // the server gives none
	inject      []packagecloudtest.Fault
	then        string // what the last of them does: "rotate", "revoke" or "expire"

	do func(*scene) error // nil uploads demo to ubuntu/jammy

	says     string  // in the error's text, parts separated by " ... "; "" is success
	is       []error // all of kinds that the error is
	status   int     // of the *packagecloud.Error in it; 0 = there is none
	requests string  // by method, as "GET 2, POST 1-2"; "none"
	stored   int     // packages on the server in the end
	whole    bool    // the folder of the download holds the whole file; else nothing at all
	yields   int     // elements of a list before its error
}

// stock is a package that the server stores.
type stock struct {
	distribution, filename string
	content                []byte
}

// named are the errors that a caller can ask for, as docs/faults.md calls them.
var named = map[string]error{
	"ErrUnauthorized": packagecloud.ErrUnauthorized, "ErrNotFound": packagecloud.ErrNotFound, "ErrExists": packagecloud.ErrExists,
	"ErrQuota": packagecloud.ErrQuota, "ErrPaymentRequired": packagecloud.ErrPaymentRequired, "ErrInvalid": packagecloud.ErrInvalid,
	"ErrNotReplayable": packagecloud.ErrNotReplayable, "ErrContentChanged": packagecloud.ErrContentChanged,
	"ErrUnknownOutcome": packagecloud.ErrUnknownOutcome, "ErrNoChecksum": packagecloud.ErrNoChecksum, "ErrChecksum": packagecloud.ErrChecksum,
	"ErrListChanged": packagecloud.ErrListChanged, "ErrTooLarge": packagecloud.ErrTooLarge, "ErrStalled": packagecloud.ErrStalled,
	"context.Canceled": context.Canceled, "fs.ErrNotExist": fs.ErrNotExist, "syscall.ENOSPC": syscall.ENOSPC, "syscall.EFBIG": syscall.EFBIG,
	"syscall.ECONNREFUSED": syscall.ECONNREFUSED,
}

// patience is how long nothing may move in the rows that try it: so long that
// a busy machine doesn't, too.
const patience = 3 * time.Second

// scene is a row that is being played.
type scene struct {
	*canary
	world
	t      *testing.T
	ctx    context.Context
	leave  func() // ends ctx
	client *packagecloud.Client
	repo   *packagecloud.Repository
	pkg    *packagecloud.Package // the first of what the server stores
	dir    string                // where a download goes
	yields int

	// What the row sets to act at a point of the client's work.
	secret  func(context.Context) (string, error) // the source
	dial    func() error                          // before a connection is made
	trip    func(r *http.Request) *http.Request   // before a request is sent
	tried   func(r *http.Request)                 // after it has an answer or an error
	closed  func(r *http.Request)                 // after its answer was read
	logged  func(line string)
	slow    atomic.Bool // the next read or write takes a while
	dawdled int

	transport *http.Transport
}

func (s *scene) log(p []byte) (int, error) {
	if s.logged != nil {
		s.logged(string(p))
	}
	return s.canary.Write(p)
}

// RoundTrip sends a request and calls the row's functions.
func (s *scene) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.trip != nil {
		r = s.trip(r)
	}
	resp, err := s.transport.RoundTrip(r)
	if s.tried != nil {
		s.tried(r)
	}
	if err == nil && s.closed != nil {
		resp.Body = &closing{resp.Body, func() { s.closed(r) }}
	}
	return resp, err
}

// closing is a body that tells when it is closed.
type closing struct {
	io.ReadCloser
	then func()
}

func (c *closing) Close() error {
	err := c.ReadCloser.Close()
	c.then()
	return err
}

// slowConn is a connection that takes a while now and then.
type slowConn struct {
	net.Conn
	slow *atomic.Bool
}

func (c *slowConn) wait() {
	if c.slow.Swap(false) {
		time.Sleep(patience / 4)
	}
}

func (c *slowConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.wait()
	return n, err
}

func (c *slowConn) Write(p []byte) (int, error) {
	c.wait()
	return c.Conn.Write(p)
}

// play sets a row's scene: the server with its stock and faults, and a client
// that has asked nothing yet.
func play(t *testing.T, w world, row *fault) *scene {
	s := &scene{canary: newCanary(t), world: w, t: t, dir: t.TempDir()}
	// The cause is another's failure, as where one of a group ends all: it is not
	// to be found in the error.
	ctx, cancel := context.WithCancelCause(t.Context())
	s.ctx, s.leave = ctx, func() { cancel(errors.Join(packagecloud.ErrExists, packagecloud.ErrPaymentRequired, fs.ErrNotExist)) }
	t.Cleanup(s.leave)
	token := s.canary.add(w.token(t))
	s.secret = func(context.Context) (string, error) { return token, nil }
	s.transport = &http.Transport{TLSClientConfig: trusting(w.authority()), ExpectContinueTimeout: time.Second}
	s.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if s.dial != nil {
			if err := s.dial(); err != nil {
				return nil, err
			}
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		// What a server doesn't read shall not fit in between.
		s.try(conn.(*net.TCPConn).SetWriteBuffer(256 << 10))
		return &slowConn{conn, &s.slow}, nil
	}
	t.Cleanup(s.transport.CloseIdleConnections)
	s.client = s.newClient(writer(s.log), s)
	s.repo = s.client.Repository("acme", "main")

	other := s.newClient(s.canary, s.transport).Repository("acme", "main")
	for _, p := range row.have {
		if _, err := other.Upload(t.Context(), packagecloud.Bytes(p.filename, p.content), &packagecloud.UploadOptions{Distribution: p.distribution}); err != nil {
			t.Fatal(err)
		}
	}
	if len(row.have) > 0 {
		var err error
		if s.pkg, err = other.Find(t.Context(), row.have[0].distribution, row.have[0].filename); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range row.inject {
		then := ""
		if i == len(row.inject)-1 {
			then = row.then
		}
		w.inject(t, f, then)
	}
	w.forget(t)
	return s
}

func (s *scene) newClient(log io.Writer, transport http.RoundTripper, options ...packagecloud.Option) *packagecloud.Client {
	source := tokensource.Func(func(ctx context.Context) (tokensource.Token, error) {
		secret, err := s.secret(ctx)
		if err != nil {
			return tokensource.Token{}, err
		}
		return tokensource.NewToken(secret, tokensource.Metadata{Origin: "test"})
	})
	return newClient(s.t, source, append([]packagecloud.Option{
		packagecloud.WithBaseURL(s.address()), packagecloud.WithLogger(debugLogger(log)),
		packagecloud.WithHTTPClient(&http.Client{Transport: transport}), packagecloud.WithRotationWait(0),
	}, options...)...)
}

// upload uploads content and, if that succeeds, makes sure that the server has
// the whole of it.
func (s *scene) upload(content packagecloud.Content, options *packagecloud.UploadOptions) error {
	pkg, err := s.repo.Upload(s.ctx, content, options)
	if err != nil {
		return err
	}
	if pkg.Existed || pkg.Type == "" {
		s.t.Errorf("the upload of %s returned %+v", content.Name, pkg)
	}
	for _, p := range s.packages(s.t) {
		if p.Filename == pkg.Filename && p.DistroVersion == pkg.Distribution && p.DistroVersion == options.Distribution && p.Size == content.Size {
			return nil
		}
	}
	s.t.Errorf("the upload of %s succeeded, but the server has no such package of %d bytes", content.Name, content.Size)
	return nil
}

// fetch downloads the package to the folder that is looked at in the end.
func (s *scene) fetch(options *packagecloud.DownloadOptions) error {
	return s.repo.DownloadFile(s.ctx, s.pkg, filepath.Join(s.dir, demo), options)
}

// list reads the packages five to a page; after the first page it calls between.
func (s *scene) list(between func()) (err error) {
	for _, e := range s.repo.Packages(s.ctx, &packagecloud.ListOptions{PerPage: 5}) {
		if e != nil {
			err = e
			continue
		}
		if s.yields++; s.yields == 5 && between != nil {
			between()
		}
	}
	return err
}

func (s *scene) info() error { return second(s.repo.Info(s.ctx)) }

// Guarantees: A3, A4, U1, U2, U3, D1, D2, D3, L1, G1.
func TestFaults(t *testing.T) {
	// More than t.Parallel would run at once, since a row mostly waits.
	slots := make(chan struct{}, 16)
	var all sync.WaitGroup
	for _, kind := range slices.Sorted(maps.Keys(worlds)) {
		for _, row := range faults() {
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				t.Run(kind+"/"+row.name, func(t *testing.T) { row.check(t, worlds[kind](t, row.noChecksums)) })
			})
		}
	}
	all.Wait()
}

func (row *fault) check(t *testing.T, w world) {
	s := play(t, w, row)
	do := row.do
	if do == nil {
		do = (*scene).uploadDemo
	}
	err := do(s)
	s.clean(t, err)
	row.checkError(t, err)
	row.checkRequests(t, s)
	row.checkServer(t, s)
	row.checkDisk(t, s)
	if s.yields != row.yields {
		t.Errorf("the list yielded %d elements; want %d", s.yields, row.yields)
	}
}

func (row *fault) checkError(t *testing.T, err error) {
	if row.says == "" {
		if err != nil {
			t.Errorf("the error is %v; want none", err)
		}
		return
	}
	if err == nil {
		t.Errorf("no error; want one that says %q", row.says)
		return
	}
	rest := err.Error()
	for part := range strings.SplitSeq(row.says, " ... ") {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Errorf("the error is %q; want %q in it", err, row.says)
			break
		}
		rest = after
	}
	if strings.Contains(err.Error(), "<html") {
		t.Errorf("the error shows the page: %v", err)
	}
	for name, kind := range named {
		if got, want := errors.Is(err, kind), slices.Contains(row.is, kind); got != want {
			t.Errorf("errors.Is(err, %s) is %t; want %t: %v", name, got, want, err)
		}
	}
	status := 0
	if e, ok := errors.AsType[*packagecloud.Error](err); ok {
		status = e.StatusCode
	}
	if status != row.status {
		t.Errorf("the status in the error is %d; want %d: %v", status, row.status, err)
	}
}

// checkRequests waits for the requests that are still on their way when a
// caller leaves.
func (row *fault) checkRequests(t *testing.T, s *scene) {
	var got map[string]int
	var all []packagecloudtest.Request
	for range 500 {
		got, all = map[string]int{}, s.requests(t)
		for _, r := range all {
			got[r.Method]++
		}
		if as(row.requests, got) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !as(row.requests, got) {
		t.Errorf("the requests were %v; want %q:", got, row.requests)
		for _, r := range all {
			t.Logf("  %s %s %s: %d", r.Host, r.Method, r.Path, r.Status)
		}
	}
	for _, r := range all {
		if r.Leak != "" || r.Host == packagecloudtest.HostDownload && r.Credential != packagecloudtest.CredentialNone {
			t.Errorf("%s %s carried a credential (%s) to the download host: %s", r.Method, r.Path, r.Credential, r.Leak)
		}
	}
}

var count = regexp.MustCompile(`^([A-Z]+) (\d+)(?:-(\d+))?$`)

// as reports whether the requests are as a row says.
func as(says string, requests map[string]int) bool {
	if says == "none" {
		return len(requests) == 0
	}
	left := maps.Clone(requests)
	for part := range strings.SplitSeq(says, ", ") {
		m := count.FindStringSubmatch(part)
		if m == nil {
			panic("malformed count of requests: " + says)
		}
		low, _ := strconv.Atoi(m[2])
		high := low
		if m[3] != "" {
			high, _ = strconv.Atoi(m[3])
		}
		if n := left[m[1]]; n < low || n > high {
			return false
		}
		delete(left, m[1])
	}
	return len(left) == 0
}

func (row *fault) checkServer(t *testing.T, s *scene) {
	packages := s.packages(t)
	if len(packages) != row.stored {
		t.Errorf("the server stores %d packages; want %d: %+v", len(packages), row.stored, packages)
	}
	seen := map[string]bool{}
	for _, p := range packages {
		key := p.DistroVersion + " " + p.Filename
		if seen[key] {
			t.Errorf("the server stores %s twice", key)
		}
		seen[key] = true
	}
}

func (row *fault) checkDisk(t *testing.T, s *scene) {
	got := entries(t, s.dir)
	if !row.whole {
		if len(got) != 0 {
			t.Errorf("the folder holds %v; want nothing", got)
		}
		return
	}
	if !slices.Equal(got, []string{demo}) {
		t.Errorf("the folder holds %v; want %s", got, demo)
		return
	}
	if b, err := os.ReadFile(filepath.Join(s.dir, demo)); err != nil || !bytes.Equal(b, row.have[0].content) {
		t.Errorf("the file has %d bytes of %d, or others: %v", len(b), len(row.have[0].content), err)
	}
}

// faults is the table.
func faults() []*fault {
	return slices.Concat(refusals(), breaks(), mismatches(), files(), downloads(), lists(), oddAnswers(), redirects(), departures())
}

func TestFaults_AreInTheDocs(t *testing.T) {
	const path = "../docs/faults.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "| ")
		cells := strings.Split(strings.TrimSuffix(line, " |"), " | ")
		if !ok || strings.HasPrefix(line, "---") || cells[0] == "what happens" {
			continue
		}
		if len(cells) != 4 {
			t.Errorf("%s: a row has %d cells: %s", path, len(cells), line)
			continue
		}
		if documented[cells[0]] != nil {
			t.Errorf("%s has %q twice", path, cells[0])
		}
		documented[cells[0]] = cells
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, row := range faults() {
		cells := documented[row.name]
		if cells == nil {
			t.Errorf("%s has no row %q", path, row.name)
			continue
		}
		delete(documented, row.name)
		if cells[3] != row.requests {
			t.Errorf("%s: %q makes the requests %q; the test wants %q", path, row.name, cells[3], row.requests)
		}
		var says, want []string
		for _, m := range quoted.FindAllStringSubmatch(cells[2], -1) {
			if named[m[1]] != nil || regexp.MustCompile(`^\d{3}$`).MatchString(m[1]) {
				says = append(says, m[1])
			}
		}
		for name, kind := range named {
			if slices.Contains(row.is, kind) {
				want = append(want, name)
			}
		}
		if row.status != 0 {
			want = append(want, fmt.Sprint(row.status))
		}
		slices.Sort(says)
		slices.Sort(want)
		if !slices.Equal(says, want) {
			t.Errorf("%s: the error of %q is said to be %v; the test wants %v", path, row.name, says, want)
		}
		if got := strings.HasPrefix(cells[2], "no error"); got != (row.says == "") {
			t.Errorf("%s: %q says %q; the test wants the text %q", path, row.name, cells[2], row.says)
		}
	}
	for name := range documented {
		t.Errorf("%s has the row %q, which the test doesn't", path, name)
	}
}

// What the README promises has its faults in the table.
func TestFaults_AreThoseOfTheReadmesPromises(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllSubmatch(table, -1) {
		anchor := strings.ReplaceAll(strings.ToLower(string(m[1])), " ", "-")
		sections[strings.ReplaceAll(anchor, ",", "")] = true
	}
	promises := regexp.MustCompile(`(?m)^\| .+ \| ([A-Z]\d(?:, [A-Z]\d)*) \|(.*)$`).FindAllSubmatch(readme, -1)
	if len(promises) < 5 {
		t.Fatalf("the README has %d promises", len(promises))
	}
	for _, m := range promises {
		link := regexp.MustCompile(`docs/faults\.md#([a-z-]+)`).FindSubmatch(m[2])
		if link == nil || !sections[string(link[1])] {
			t.Errorf("the README's promise %s leads to no section of docs/faults.md: %s", m[1], m[2])
		}
	}
}

// dawdle makes the connection slow for a moment, at the first few calls: for
// more than the patience all in all.
func (s *scene) dawdle() {
	if s.dawdled++; s.dawdled <= 5 {
		s.slow.Store(true)
	}
}

// follow lets the source return the newest token.
func (s *scene) follow() {
	s.secret = func(context.Context) (string, error) { return s.canary.add(s.token(s.t)), nil }
}
