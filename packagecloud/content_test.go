package packagecloud_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud"
)

// hanging is a store that answers until it hangs, at some point of its work.
type hanging struct {
	at             string // "open", "look", "read" or "close"
	end            chan struct{}
	opened, closed atomic.Int32
}

func (h *hanging) hang(at string) {
	if h.at == at {
		<-h.end
	}
}

func (h *hanging) open() (io.ReadCloser, error) {
	h.opened.Add(1)
	h.hang("open")
	return &hangingReader{Reader: bytes.NewReader(make([]byte, 100_000)), hanging: h}, nil
}

type hangingReader struct {
	*bytes.Reader
	*hanging
	reading sync.Mutex
}

func (r *hangingReader) ReadAt(p []byte, off int64) (int, error) {
	r.hang("look")
	return r.Reader.ReadAt(p, off)
}

func (r *hangingReader) Read(p []byte) (int, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.Len() < 50_000 {
		r.hang("read")
	}
	return r.Reader.Read(p[:min(len(p), 10_000)])
}

func (r *hangingReader) WriteTo(io.Writer) (int64, error) { panic("not by the client") }

func (r *hangingReader) Close() error {
	if !r.reading.TryLock() {
		panic("closed while it is read")
	}
	defer r.reading.Unlock()
	r.hang("close")
	r.closed.Add(1)
	return nil
}

// Guarantee A4.
func TestUpload_EndsThoughItsContentHangs(t *testing.T) {
	for _, at := range []string{"open", "look", "read", "close"} {
		for name, want := range map[string]error{"context": context.DeadlineExceeded, "stall": packagecloud.ErrStalled} {
			t.Run(at+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := setup(t)
				h := &hanging{at: at, end: make(chan struct{})}
				ctx := t.Context()
				if name == "context" {
					var cancel func()
					ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
					defer cancel()
				} else {
					packagecloud.SetTiming(f.client, 200*time.Millisecond, time.Millisecond, 0)
				}
				done := make(chan error, 1)
				go func() {
					_, err := f.repo.Upload(ctx, packagecloud.Content{Name: demo, Size: 100_000, Open: h.open}, jammy)
					done <- err
				}()
				select {
				case err := <-done:
					// A reader that can't be closed has given all.
					if !errors.Is(err, want) && !(at == "close" && err == nil) {
						t.Errorf("the error is %v; want %v", err, want)
					}
				case <-time.After(20 * time.Second):
					t.Fatal("it waits for the content")
				}
				close(h.end)
				for n := 0; h.closed.Load() != h.opened.Load(); n++ {
					if n == 500 {
						t.Fatalf("of %d readers %d are closed", h.opened.Load(), h.closed.Load())
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
	}
}

// Guarantee A4.
func TestUpload_ContentThatGivesNothingIsNoProgress(t *testing.T) {
	begins := func() io.Reader { return io.MultiReader(strings.NewReader("123"), idle{}) }
	for name, content := range map[string]packagecloud.Content{
		"Reader":  packagecloud.Reader(demo, begins(), 10),
		"Content": {Name: demo, Size: 10, Open: func() (io.ReadCloser, error) { return io.NopCloser(begins()), nil }},
	} {
		f := setup(t)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := f.repo.Upload(ctx, content, jammy); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("%s: the error is %v", name, err)
		}
		f.stored(t, 0)
	}
	// Now and then a reader may give nothing.
	f := setup(t)
	content := packagecloud.Content{Name: demo, Size: 1000, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(&stutter{Reader: iotest.OneByteReader(bytes.NewReader(make([]byte, 1000)))}), nil
	}}
	if _, err := f.repo.Upload(t.Context(), content, jammy); err != nil {
		t.Error(err)
	}
}

// stutter gives nothing at every other read.
type stutter struct {
	io.Reader
	n int
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.n++; s.n%2 == 0 {
		return 0, nil
	}
	return s.Reader.Read(p)
}

// leaving ends the context at its first read, and gives bytes for ever.
type leaving struct {
	leave func()
	reads *atomic.Int32
}

func (l leaving) Read(p []byte) (int, error) {
	l.leave()
	l.reads.Add(1)
	clear(p)
	return len(p), nil
}

func (l leaving) ReadAt(p []byte, _ int64) (int, error) { return l.Read(p) }
func (l leaving) Close() error                          { return nil }

// Guarantee A4.
func TestUpload_ReadingAheadEndsWithTheContext(t *testing.T) {
	for name, test := range map[string]struct {
		file    string
		options packagecloud.UploadOptions
	}{
		"looking into it":  {"demo-1.0.tgz", packagecloud.UploadOptions{}},
		"its checksum":     {demo, *ifExists(packagecloud.Skip)},
		"before a replace": {demo, *ifExists(packagecloud.Replace)},
	} {
		f := setup(t)
		f.add(t, "ubuntu/jammy", demo, []byte("old"))
		ctx, leave := context.WithCancel(t.Context())
		var reads atomic.Int32
		_, err := f.repo.Upload(ctx, packagecloud.Content{Name: test.file, Size: 1 << 40, Open: func() (io.ReadCloser, error) {
			r := leaving{leave, &reads}
			if test.file == demo {
				return struct{ io.ReadCloser }{r}, nil // can't be looked into
			}
			return r, nil
		}}, &test.options)
		f.want(t, err, context.Canceled)
		if errors.Is(err, packagecloud.ErrExists) || errors.Is(err, packagecloud.ErrInvalid) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if n := reads.Load(); n != 1 {
			t.Errorf("%s: it read %d times", name, n)
		}
		f.stored(t, 1)
	}
}

// single is content that can be opened once.
type single struct {
	reader         func([]byte) io.Reader
	opened, closed int
}

func (s *single) content(name string, b []byte) packagecloud.Content {
	return packagecloud.Content{Name: name, Size: int64(len(b)), Open: func() (io.ReadCloser, error) {
		if s.opened++; s.opened > 1 {
			return nil, packagecloud.ErrNotReplayable
		}
		r := &singleReader{s.reader(b), s}
		if at, ok := r.Reader.(io.ReaderAt); ok {
			return struct {
				io.ReadCloser
				io.ReaderAt
			}{r, at}, nil
		}
		return r, nil
	}}
}

type singleReader struct {
	io.Reader
	*single
}

func (r *singleReader) Close() error { r.closed++; return nil }

// Guarantee U1.
func TestUpload_ContentThatOpensOnceIsOpenedOnce(t *testing.T) {
	for name, reader := range map[string]func([]byte) io.Reader{
		"a stream": func(b []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(b)) },
		"a file":   func(b []byte) io.Reader { return bytes.NewReader(b) },
	} {
		for what, mode := range map[string]packagecloud.IfExists{"fail": packagecloud.Fail, "skip": packagecloud.Skip, "replace": packagecloud.Replace} {
			f, s := setup(t), &single{reader: reader}
			if _, err := f.repo.Upload(t.Context(), s.content(demo, newDemo), ifExists(mode)); err != nil || s.opened != 1 || s.closed != 1 {
				t.Errorf("%s, %s: opened %d times, closed %d times: %v", name, what, s.opened, s.closed, err)
			}
			f.stored(t, 1)
		}
		// What would have to be read twice is left alone.
		for mode, want := range map[packagecloud.IfExists]error{packagecloud.Skip: packagecloud.ErrExists, packagecloud.Replace: packagecloud.ErrNotReplayable} {
			f, s := setup(t), &single{reader: reader}
			f.add(t, "ubuntu/jammy", demo, []byte("old"))
			if mode == packagecloud.Replace && name == "a stream" {
				want = packagecloud.ErrExists // nothing tells which package is in the way
			}
			_, err := f.repo.Upload(t.Context(), s.content(demo, newDemo), ifExists(mode))
			f.want(t, err, want)
			if p := f.stored(t, 1)[0]; p.Size != 3 || s.closed != 1 {
				t.Errorf("%s: %d bytes are stored, closed %d times: %v", name, p.Size, s.closed, err)
			}
		}
	}
	// Nor is it left open where it isn't sent.
	f, s := setup(t), &single{reader: func(b []byte) io.Reader { return bytes.NewReader(b) }}
	if _, err := f.repo.Upload(t.Context(), s.content(demo, newDemo), nil); err == nil || s.opened != 1 || s.closed != 1 {
		t.Errorf("opened %d times, closed %d times: %v", s.opened, s.closed, err)
	}
}

// Guarantee U1.
func TestUpload_FileThatIsRemovedWhileItIsSentIsStored(t *testing.T) {
	f := setup(t)
	path := filepath.Join(t.TempDir(), demo)
	os.WriteFile(path, make([]byte, large), 0o600)
	options := *jammy
	options.Progress = func(sent, _ int64) {
		if sent > 0 {
			os.Remove(path)
		}
	}
	if _, err := f.repo.Upload(t.Context(), packagecloud.File(path), &options); err != nil {
		t.Skip("this system doesn't remove open files: ", err)
	}
	if p := f.stored(t, 1)[0]; p.Size != large {
		t.Errorf("%d bytes are stored", p.Size)
	}
}

// Guarantee U1.
func TestUpload_FileThatCannotBeOpenedIsSaidBeforeARequest(t *testing.T) {
	f := setup(t)
	denied := packagecloud.Content{Name: demo, Size: 3, Open: func() (io.ReadCloser, error) { return nil, fs.ErrPermission }}
	_, err := f.repo.Upload(t.Context(), denied, jammy)
	f.want(t, err, fs.ErrPermission)
	missing := packagecloud.File(filepath.Join(t.TempDir(), "demo_1.0.orig.tar.gz"))
	_, err = f.repo.Upload(t.Context(), packagecloud.Bytes("demo_1.0-1.dsc", []byte("x")), &packagecloud.UploadOptions{
		Distribution: "ubuntu/jammy", SourceFiles: []packagecloud.Content{missing},
	})
	f.want(t, err, fs.ErrNotExist)
	if n := len(f.requests("")); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// Guarantee U1.
func TestUpload_SourceFileThatCannotBeOpenedEndsIt(t *testing.T) {
	f := setup(t)
	denied := packagecloud.Content{Name: "demo_1.0.orig.tar.gz", Size: 3, Open: func() (io.ReadCloser, error) { return nil, fs.ErrPermission }}
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes("demo_1.0-1.dsc", []byte("x")), &packagecloud.UploadOptions{
		Distribution: "ubuntu/jammy", SourceFiles: []packagecloud.Content{denied},
	})
	f.want(t, err, fs.ErrPermission)
	if n := len(f.requests("POST")); n > 1 {
		t.Errorf("%d uploads; want 1 at most", n)
	}
	f.stored(t, 0)
}

// Guarantee A4.
func TestUpload_WaitsAsLongAsTheServerAsks(t *testing.T) {
	var posts []time.Time
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "distributions.json"):
			io.WriteString(w, `{"anyfile":[{"index_name":"anyfile","versions":[{"id":230,"index_name":"1"}]}]}`)
		case r.Method == "GET":
			io.WriteString(w, "[]")
		default:
			io.Copy(io.Discard, r.Body)
			if posts = append(posts, time.Now()); len(posts) == 1 {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(503)
				return
			}
			w.WriteHeader(201)
			io.WriteString(w, `{"filename":"demo-1.asc"}`)
		}
	})
	if _, err := client.Repository("acme", "main").Upload(t.Context(), packagecloud.Bytes("demo-1.asc", []byte("x")), nil); err != nil {
		t.Fatal(err)
	}
	if len(posts) != 2 || posts[1].Sub(posts[0]) < time.Second {
		t.Errorf("the uploads came at %v", posts)
	}
}

// Guarantee U8.
func TestUpload_QuestionThatIsRefusedIsNotAskedAgain(t *testing.T) {
	var asked []string
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			io.WriteString(w, `{"anyfile":[{"index_name":"anyfile","versions":[{"id":230,"index_name":"1"}]}]}`)
			return
		}
		asked = append(asked, r.Header.Get("Expect"))
		if r.Header.Get("Expect") != "" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(201)
		io.WriteString(w, `{"filename":"x"}`)
	})
	for range 2 {
		// Its body can be read once, and isn't before the refusal.
		content := packagecloud.Reader("demo-1.asc", io.LimitReader(zero{}, 2<<20), 2<<20)
		if _, err := client.Repository("acme", "main").Upload(t.Context(), content, nil); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(asked, ",") != "100-continue,," {
		t.Errorf("the uploads asked %q", asked)
	}
}

// slowly gives a little at every read, and takes longer over all than a stall.
type slowly struct{ *bytes.Reader }

func (s slowly) pause() { time.Sleep(20 * time.Millisecond) }

func (s slowly) Read(p []byte) (int, error) {
	s.pause()
	return s.Reader.Read(p[:min(len(p), 10)])
}

func (s slowly) ReadAt(p []byte, off int64) (int, error) {
	s.pause()
	return s.Reader.ReadAt(p, off)
}

func (slowly) WriteTo(io.Writer) (int64, error) { panic("not by the client") }
func (slowly) Close() error                     { return nil }

// Guarantee A4.
func TestUpload_SlowContentIsNoStall(t *testing.T) {
	content := packagefiletest.Deb("demo", "1.0", "amd64")
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, content)
	packagecloud.SetTiming(f.client, 500*time.Millisecond, time.Millisecond, 0)
	pkg, err := f.repo.Upload(t.Context(), packagecloud.Content{Name: demo, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return slowly{bytes.NewReader(content)}, nil
	}}, ifExists(packagecloud.Skip))
	if err != nil || !pkg.Existed {
		t.Errorf("%+v, %v", pkg, err)
	}
}

func TestUpload_NilReaderIsAnError(t *testing.T) {
	f := setup(t)
	for name, content := range map[string]packagecloud.Content{
		"Reader":   packagecloud.Reader(demo, nil, 10),
		"ReaderAt": packagecloud.ReaderAt(demo, nil, 10),
	} {
		if _, err := f.repo.Upload(t.Context(), content, jammy); err == nil || !strings.Contains(err.Error(), "nil") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee A4.
func TestUpload_EndsWithItsContextThoughTheReaderBlocks(t *testing.T) {
	f := setup(t)
	reader, writer := io.Pipe()
	defer writer.Close()
	go writer.Write([]byte("the beginning"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan error)
	go func() {
		_, err := f.repo.Upload(ctx, packagecloud.Reader(demo, reader, 1000), jammy)
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for the reader")
	}
	f.stored(t, 0)
}
