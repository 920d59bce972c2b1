package packagecloud_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// http2Server speaks HTTP/2, as the service does and packagecloudtest doesn't: it
// knows one repository, and the size of what it got.
type http2Server struct {
	*httptest.Server
	post   func(n int32, w http.ResponseWriter, r *http.Request) (done bool) // acts before the server does
	token  atomic.Value
	posts  atomic.Int32
	stored atomic.Int64
	client *packagecloud.Client
	source *tokensourcetest.Source
}

const largeName = "large-1.0.bin"

func serveHTTP2(t *testing.T) *http2Server {
	s := &http2Server{source: tokensourcetest.NewSource(fakeToken)}
	s.token.Store(fakeToken)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("a request by %s", r.Proto)
		}
		if r.Method == "POST" && s.post(s.posts.Add(1), w, r) {
			return
		}
		if user, _, _ := r.BasicAuth(); user != s.token.Load() {
			w.WriteHeader(401)
			io.WriteString(w, `{"error":"Unauthenticated"}`)
			return
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "distributions.json"):
			io.WriteString(w, `{"anyfile":[{"index_name":"anyfile","versions":[{"id":230,"index_name":"1"}]}]}`)
		case r.Method == "POST":
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				return
			}
			s.stored.Store(n)
			w.WriteHeader(201)
			fmt.Fprintf(w, `{"filename":%q}`, largeName)
		default:
			io.WriteString(w, "[]") // nothing is found
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	transport := s.Client().Transport.(*http.Transport).Clone()
	transport.ExpectContinueTimeout = time.Second
	c := newCanary(t, fakeToken)
	s.client = newClient(t, s.source, packagecloud.WithBaseURL(s.URL), packagecloud.WithHTTPClient(&http.Client{Transport: transport}), packagecloud.WithRotationWait(0), packagecloud.WithLogger(c.logger()))
	return s
}

func (s *http2Server) upload(ctx context.Context, progress func(sent, total int64)) error {
	content := packagecloud.Bytes(largeName, make([]byte, 8<<20))
	_, err := s.client.Repository("acme", "main").Upload(ctx, content, &packagecloud.UploadOptions{Type: "anyfile", Progress: progress})
	return err
}

// Guarantee U8.
func TestHTTP2_RefusalCostsNoBody(t *testing.T) {
	s := serveHTTP2(t)
	s.post = func(_ int32, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(402)
		io.WriteString(w, `{"error":["payment required"]}`)
		return true
	}
	var most int64
	err := s.upload(t.Context(), func(sent, _ int64) { most = max(most, sent) })
	if !errors.Is(err, packagecloud.ErrPaymentRequired) || most != 0 {
		t.Errorf("%d bytes were sent: %v", most, err)
	}
}

// The first try meets the fault; the second stores the package, whole.
//
// Guarantee A2.
func TestHTTP2_UploadOutlives(t *testing.T) {
	const next = "11111111111111112222222222222222"
	for name, fault := range map[string]func(s *http2Server, w http.ResponseWriter, r *http.Request){
		"a rotation before the body": func(s *http2Server, w http.ResponseWriter, r *http.Request) {
			s.token.Store(next)
			s.source.Set(next)
			w.WriteHeader(401)
		},
		"a rotation in the midst of the body": func(s *http2Server, w http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 100<<10)
			s.token.Store(next)
			s.source.Set(next)
			w.WriteHeader(401)
		},
		"a stream that is reset at once": func(s *http2Server, w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"a stream that is reset in the midst": func(s *http2Server, w http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 1<<20)
			panic(http.ErrAbortHandler)
		},
		"a stream that is reset at the end": func(s *http2Server, w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		},
		"a connection that is closed in the midst": func(s *http2Server, w http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 1<<20)
			s.CloseClientConnections()
			panic(http.ErrAbortHandler)
		},
		"an early 500": func(s *http2Server, w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serveHTTP2(t)
			s.post = func(n int32, w http.ResponseWriter, r *http.Request) bool {
				if n == 1 {
					fault(s, w, r)
				}
				return n == 1
			}
			if err := s.upload(t.Context(), nil); err != nil || s.posts.Load() != 2 || s.stored.Load() < 8<<20 {
				t.Errorf("%d tries, %d bytes stored: %v", s.posts.Load(), s.stored.Load(), err)
			}
		})
	}
}

func TestHTTP2_LeavingEndsTheUpload(t *testing.T) {
	s := serveHTTP2(t)
	ctx, leave := context.WithCancel(t.Context())
	s.post = func(_ int32, _ http.ResponseWriter, r *http.Request) bool {
		r.Body.Read(make([]byte, 1)) // gives leave to send
		leave()
		<-r.Context().Done()
		return true
	}
	if err := s.upload(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}
