package packagecloud_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

// pattern is a file of any size that takes no memory.
type pattern struct{}

func (pattern) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = byte((off + int64(i)) >> 3)
	}
	return len(p), nil
}

// Guarantee U1.
func TestUpload_MemoryDoesNotGrowWithTheFile(t *testing.T) {
	var got int64
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			io.WriteString(w, `{"anyfile":[{"index_name":"anyfile","versions":[{"id":230,"index_name":"1"}]}]}`)
			return
		}
		got, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(201)
		io.WriteString(w, `{"filename":"x"}`)
	})
	const size = 256 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.ReaderAt("big-1.bin", pattern{}, size), &packagecloud.UploadOptions{Type: "anyfile"})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if got < size {
		t.Errorf("%d bytes came; want at least %d", got, size)
	}
	// All that was ever allocated, the server's part included.
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("an upload of %d MiB allocated %d MiB", size>>20, used>>20)
	}
}

// Guarantee U1.
func TestUpload_SendsTheFormThatTheAPIWants(t *testing.T) {
	var fields []string
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			io.WriteString(w, `{"jar":[{"index_name":"java","versions":[{"id":167,"index_name":"maven2"}]}]}`)
			return
		}
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || r.ContentLength <= 0 {
			t.Errorf("%v, length %d", err, r.ContentLength)
		}
		reader := multipart.NewReader(r.Body, params["boundary"])
		for {
			part, err := reader.NextPart()
			if err != nil {
				break
			}
			// What the header says, not FileName, which cuts directories off.
			_, disposition, _ := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
			fields = append(fields, part.FormName()+" "+disposition["filename"]+" "+text(t, part))
		}
		w.WriteHeader(201)
		io.WriteString(w, `{"filename":"x"}`)
	})
	dir := t.TempDir()
	path := filepath.Join(dir, `x "quoted".jar`)
	os.WriteFile(path, []byte("content"), 0o600)
	pkg, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.File(path), &packagecloud.UploadOptions{
		Coordinates: "group:artifact:1.0", SourceFiles: []packagecloud.Content{packagecloud.Bytes(`C:\dir\a.tar`, []byte("A")), packagecloud.Bytes("dir/b.tar", nil)},
	})
	if err != nil || pkg.Type != "java" {
		t.Fatalf("%+v, %v", pkg, err)
	}
	want := []string{
		"package[coordinates]  group:artifact:1.0", "package[distro_version_id]  167",
		`package[package_file] x "quoted".jar content`, "package[source_files][] a.tar A", "package[source_files][] b.tar ",
	}
	slices.Sort(fields[:2]) // their order says nothing
	if !slices.Equal(fields, want) {
		t.Errorf("the form was %q; want %q", fields, want)
	}
}

func TestUpload_ContentThatIsNotWhatItSaysIsNotStored(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, test := range map[string]struct {
		reader io.Reader
		want   error
	}{
		"too short": {strings.NewReader("123456789"), packagecloud.ErrContentChanged},
		"too long":  {strings.NewReader("12345678901"), packagecloud.ErrContentChanged},
		"broken":    {io.MultiReader(strings.NewReader("12345"), &failing{broken}), broken},
		"endless":   {io.MultiReader(strings.NewReader("1234567890"), idle{}), io.ErrNoProgress},
	} {
		f := setup(t)
		_, err := f.repo.Upload(t.Context(), packagecloud.Content{Name: demo, Size: 10, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(test.reader), nil
		}}, jammy)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: the error is %v", name, err)
		}
		f.stored(t, 0)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// Guarantee U1.
func TestUpload_ReaderIsSentOnce(t *testing.T) {
	f := setup(t)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", ResetAfter: 10})
	_, err := f.repo.Upload(t.Context(), packagecloud.Reader(demo, strings.NewReader("content"), 7), jammy)
	f.want(t, err, packagecloud.ErrNotReplayable)
	f.stored(t, 0)
	for _, mode := range []packagecloud.IfExists{packagecloud.Skip, packagecloud.Replace} {
		_, err := f.repo.Upload(t.Context(), packagecloud.Reader(demo, strings.NewReader("content"), 7), &packagecloud.UploadOptions{Distribution: "ubuntu/jammy", IfExists: mode})
		f.want(t, err, packagecloud.ErrNotReplayable)
	}
	if _, err := f.repo.Upload(t.Context(), packagecloud.Reader(demo, strings.NewReader("content"), 7), jammy); err != nil {
		t.Error(err)
	}
}

// Guarantee U1.
func TestUpload_ReaderThatWasNotReadIsSentAgain(t *testing.T) {
	f := setup(t)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", Status: 503, Header: http.Header{"Retry-After": {"0"}}})
	const size = 2 << 20 // enough to ask first
	if _, err := f.repo.Upload(t.Context(), packagecloud.Reader(demo, io.LimitReader(zero{}, size), size), jammy); err != nil {
		t.Error(err)
	}
	f.stored(t, 1)
}

func TestUpload_LostAnswerOfAReaderIsLookedUpByItsChecksum(t *testing.T) {
	f := setup(t)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
	pkg, err := f.repo.Upload(t.Context(), packagecloud.Reader(demo, strings.NewReader("content"), 7), jammy)
	if err != nil || pkg.Filename != demo {
		t.Errorf("%+v, %v", pkg, err)
	}
}

func TestUpload_WhatCannotBeUploadedIsRefusedBeforeARequest(t *testing.T) {
	f := setup(t)
	dir := t.TempDir()
	empty, pipe := filepath.Join(dir, "empty.deb"), filepath.Join(dir, "pipe.deb")
	os.WriteFile(empty, nil, 0o600)
	contents := map[string]packagecloud.Content{
		"is empty":          packagecloud.File(empty),
		"a directory":       packagecloud.File(dir),
		"no such file":      packagecloud.File(filepath.Join(dir, "missing.deb")),
		"no Open function":  {Name: demo, Size: 1},
		"neither a reader":  {Name: demo, Size: 1, Open: func() (io.ReadCloser, error) { return nil, nil }},
		"is negative":       packagecloud.ReaderAt(demo, pattern{}, -1),
		"needs a file name": packagecloud.Bytes("dir/", []byte("x")),
		"control character": packagecloud.Bytes("a\nb.deb", []byte("x")),
		"Type":              packagecloud.Bytes("unknown.xyz", []byte("x")),
	}
	if mkfifo(pipe) == nil {
		contents["a pipe"] = packagecloud.File(pipe)
	}
	for want, content := range contents {
		_, err := f.repo.Upload(t.Context(), content, jammy)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v; want %q in it", err, want)
		}
		f.clean(t, err)
	}
	if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("x")), &packagecloud.UploadOptions{IfExists: 7}); err == nil {
		t.Error("IfExists 7 was accepted")
	}
	if n := len(f.requests("")); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// Guarantee U5.
func TestUpload_ProgressCountsBackWhenATryIsRepeated(t *testing.T) {
	f := setup(t)
	const size = 300 << 10
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", ResetAfter: 100 << 10})
	var seen []int64
	options := *jammy
	options.Progress = func(sent, total int64) {
		if total != size {
			t.Errorf("the total is %d", total)
		}
		seen = append(seen, sent)
	}
	if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, make([]byte, size)), &options); err != nil {
		t.Fatal(err)
	}
	again := slices.Index(seen[1:], 0) + 1
	if again == 0 || seen[0] != 0 || seen[again-1] == 0 || !slices.IsSorted(seen[:again]) || !slices.IsSorted(seen[again:]) || seen[len(seen)-1] != size {
		t.Errorf("the progress was %v", seen)
	}
}

// Guarantee U1.
func TestUpload_ContentIsLeftAloneAfterItsEnd(t *testing.T) {
	const size = 4 << 20
	for name, content := range map[string]packagecloud.Content{
		"Bytes":  packagecloud.Bytes("demo-1.asc", make([]byte, size)),
		"Reader": packagecloud.Reader("demo-1.asc", zero{}, size),
	} {
		begun, returned, done := make(chan bool), make(chan bool), make(chan bool)
		// It refuses in the midst of the body, and reads on in its own time.
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == "GET" {
				return reply(r, 200, `{"anyfile":[{"index_name":"anyfile","versions":[{"id":230,"index_name":"1"}]}]}`), nil
			}
			go func() {
				defer close(done)
				buf := make([]byte, 32<<10)
				io.ReadFull(r.Body, buf)
				begun <- true
				<-returned
				if n, err := r.Body.Read(buf); err == nil {
					t.Errorf("%s: %d bytes are read after the end", name, n)
				}
				if _, err := r.GetBody(); err == nil {
					t.Errorf("%s: the body is opened after the end", name)
				}
			}()
			<-begun
			return reply(r, 422, `{"plan":["full"]}`), nil
		})
		calls := 0
		client := newClient(t, tokensource.Static(fakeToken), packagecloud.WithHTTPClient(&http.Client{Transport: rt}))
		_, err := client.Repository("acme", "main").Upload(t.Context(), content, &packagecloud.UploadOptions{Progress: func(int64, int64) { calls++ }})
		if !errors.Is(err, packagecloud.ErrPaymentRequired) {
			t.Errorf("%s: the error is %v", name, err)
		}
		before := calls
		close(returned)
		<-done
		if calls != before {
			t.Errorf("%s: %d calls of Progress after the end", name, calls-before)
		}
	}
}

// Guarantee U8.
func TestUpload_RefusalOfALargeFileCostsNoBody(t *testing.T) {
	content := make([]byte, 8<<20)
	for name, test := range map[string]struct {
		fault packagecloudtest.Fault
		want  error
	}{
		"401": {packagecloudtest.Fault{Then: func(s *packagecloudtest.Server) { s.RotateToken() }}, packagecloud.ErrUnauthorized},
		"402": {packagecloudtest.Fault{Status: 402}, packagecloud.ErrPaymentRequired},
		"422": {packagecloudtest.Fault{Status: 422, ContentType: "application/json", Body: `{"filename":["has already been taken"]}`}, packagecloud.ErrExists},
	} {
		f := setup(t, packagecloud.WithRotationWait(0))
		test.fault.Method = "POST"
		f.srv.Inject(test.fault)
		read := int64(0)
		options := *jammy
		options.Progress = func(sent, _ int64) { read = max(read, sent) }
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, content), &options)
		f.want(t, err, test.want)
		if read != 0 {
			t.Errorf("%s: %d bytes were sent", name, read)
		}
		posts := f.requests("POST")
		if len(posts) != 1 || !posts[0].ExpectContinue || posts[0].BodyBytes != 0 {
			t.Errorf("%s: the uploads were %+v", name, posts)
		}
		if packagecloud.IgnoresExpect(f.client) {
			t.Errorf("%s: the server is thought to ignore the question", name)
		}
	}
}

func TestUpload_RotationOfALargeFileSendsItsBodyOnce(t *testing.T) {
	f := setupServer(t, nil, func(srv *packagecloudtest.Server) tokensource.TokenSource { return source(srv.Token) })
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", Then: func(s *packagecloudtest.Server) { f.canary.add(s.RotateToken()) }})
	// Even one that can be read only once.
	const size = 2 << 20
	if _, err := f.repo.Upload(t.Context(), packagecloud.Reader(demo, io.LimitReader(zero{}, size), size), jammy); err != nil {
		t.Fatal(err)
	}
	f.stored(t, 1)
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUpload_SmallFilesDoNotAsk(t *testing.T) {
	f := setup(t)
	if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, make([]byte, 900<<10)), jammy); err != nil {
		t.Fatal(err)
	}
	if f.requests("POST")[0].ExpectContinue {
		t.Error("it asked")
	}
}

// Guarantee U8.
func TestUpload_HostThatIgnoresTheQuestionIsRemembered(t *testing.T) {
	client, server := newDeafServer(t)
	upload := func() {
		t.Helper()
		_, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes("demo-1.bin", make([]byte, 9<<20)), &packagecloud.UploadOptions{Type: "anyfile"})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		upload()
		if !packagecloud.IgnoresExpect(client) || server.asked.Load() != 1 {
			t.Errorf("it was asked %d times; want 1", server.asked.Load())
		}
	}
	// But not for ever: it may have had a slow moment.
	packagecloud.ExpectedBefore(client, 11*time.Minute)
	upload()
	if !packagecloud.IgnoresExpect(client) || server.asked.Load() != 2 {
		t.Errorf("it was asked %d times; want 2", server.asked.Load())
	}
	packagecloud.ExpectedBefore(client, 11*time.Minute)
	for n, late := range []int64{10 << 20, 1 << 20, 1} {
		server.late.Store(late)
		upload()
		if packagecloud.IgnoresExpect(client) || int(server.asked.Load()) != 3+n {
			t.Errorf("it answers after %d bytes, and was asked %d times; want %d", late, server.asked.Load(), 3+n)
		}
	}
}

// deafServer reads a whole request before it answers, as some proxies do, and
// leaves "Expect: 100-continue" unanswered or answers it late.
type deafServer struct {
	asked atomic.Int32
	late  atomic.Int64 // bytes of a body before the answer; 0 for none
}

func newDeafServer(t *testing.T) (*packagecloud.Client, *deafServer) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &deafServer{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return newClient(t, tokensource.Static(fakeToken), packagecloud.WithBaseURL("http://"+l.Addr().String()),
		packagecloud.WithHTTPClient(&http.Client{Transport: &http.Transport{ExpectContinueTimeout: 20 * time.Millisecond}})), s
}

func (s *deafServer) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		var length int64
		expect := false
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line = strings.ToLower(strings.TrimSpace(line)); line == "" {
				break
			}
			fmt.Sscanf(line, "content-length: %d", &length)
			if strings.HasPrefix(line, "expect:") {
				s.asked.Add(1)
				expect = true
			}
		}
		if late := s.late.Load(); expect && late > 0 {
			n, _ := io.CopyN(io.Discard, r, min(late, length))
			length -= n
			io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		io.CopyN(io.Discard, r, length)
		body := `{"filename":"x","anyfile":[{"index_name":"anyfile","versions":[{"id":230,"index_name":"1"}]}]}`
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}
