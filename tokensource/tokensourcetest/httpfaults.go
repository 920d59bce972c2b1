package tokensourcetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"html"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
)

// HTTPFaults sets up the rows about the way to a store behind HTTP, with a
// proxy in front of the real store. These rows are DownAtStart, DownLater,
// Stalled, Redirected, UnknownCA, ExpiredCertificate, WrongHost, CutInHalf,
// ServerError and ForeignAnswer.
//
// HTTPFaults first counts the requests of one read, such as a login and the
// read itself. Each of these requests, with all that follow it, meets most
// faults in a scene of its own. So a source that repeats requests should pause
// only briefly.
//
// The store is at address, such as "http://127.0.0.1:8200"; b.Set stores a
// value in it. open returns a source that reads the store at the address of the
// proxy. With a ca, that address is https, and the source must trust the
// certificates in ca (PEM) and no others. With a nil ca, the address is http.
//
// The proxy repeats the request in the body of its bad answers, so that an
// error which shows a body is found. List the credentials of the source in
// b.Canaries. The source may send no request to another host.
func HTTPFaults(b Backend, address string, open func(t *testing.T, address string, ca []byte) tokensource.TokenSource) Faults {
	h := httpFaults{b, address, open}
	return Faults{
		DownAtStart:        h.downAtStart,
		DownLater:          h.downLater,
		Stalled:            h.stalled,
		Redirected:         h.redirected,
		UnknownCA:          h.untrusted(func(trusted, other authority) tls.Certificate { return other.issue("127.0.0.1", time.Hour) }),
		ExpiredCertificate: h.untrusted(func(trusted, _ authority) tls.Certificate { return trusted.issue("127.0.0.1", -time.Hour) }),
		WrongHost:          h.untrusted(func(trusted, _ authority) tls.Certificate { return trusted.issue("store.example", time.Hour) }),
		CutInHalf:          h.meddling("in half", func(string) meddler { return cut }),
		ServerError: func(t *testing.T, secret string) []Scene {
			return slices.Concat(
				h.answering(500, "application/json")(t, secret), h.answering(503, "application/json")(t, secret),
				h.answering(502, "text/html")(t, secret), h.answering(504, "text/html")(t, secret))
		},
		ForeignAnswer: func(t *testing.T, secret string) []Scene {
			return slices.Concat(
				h.answering(200, "text/html")(t, secret), h.answering(403, "text/html")(t, secret),
				h.answering(404, "text/html")(t, secret),
				h.saying(404, `{"message":"no Route matched with those values"}`)(t, secret), h.saying(404, "")(t, secret),
				h.saying(200, "{}")(t, secret), h.saying(200, "")(t, secret), h.saying(204, "")(t, secret))
		},
	}
}

type httpFaults struct {
	Backend
	address string
	open    func(t *testing.T, address string, ca []byte) tokensource.TokenSource
}

// meddler answers a request instead of next, which is the real store.
type meddler func(w http.ResponseWriter, r *http.Request, next http.Handler)

// proxy forwards requests to the store. From a chosen request on, it lets a
// meddler answer instead, until heal is called.
type proxy struct {
	address string // host:port
	next    http.Handler
	server  *httptest.Server
	secure  atomic.Pointer[tls.Certificate] // nil: no TLS

	mu       sync.Mutex
	requests int
	from     int
	meddle   meddler // nil: the proxy forwards every request
}

// proxy returns a proxy with an address of its own, which doesn't listen yet.
func (h httpFaults) proxy(t *testing.T) *proxy {
	t.Helper()
	store, err := url.Parse(h.address)
	if err != nil {
		t.Fatalf("HTTPFaults: the store's address is not a URL")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return &proxy{
		address: listener.Addr().String(),
		// Keep the Host header, because some requests are signed.
		next: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(store)
				r.Out.Host = r.In.Host
			},
			ErrorLog: quiet,
		},
	}
}

var quiet = log.New(io.Discard, "", 0)

// up starts the proxy, or restarts it.
func (p *proxy) up(t *testing.T) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Listener.Close()
	p.server.Listener = listener
	p.server.Config.ErrorLog = quiet
	if p.secure.Load() == nil {
		p.server.Start()
	} else {
		p.server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{*p.secure.Load()}}, nil
		}}
		p.server.StartTLS()
	}
	t.Cleanup(p.down)
	return p
}

func (p *proxy) down() {
	p.server.CloseClientConnections()
	p.server.Close()
}

func (p *proxy) url() string {
	if p.secure.Load() != nil {
		return "https://" + p.address
	}
	return "http://" + p.address
}

// meddleFrom lets m answer from the n-th further request on, counted from 0.
func (p *proxy) meddleFrom(n int, m meddler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from, p.meddle = p.requests+n, m
}

// asked returns the number of requests so far.
func (p *proxy) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

func (p *proxy) heal(*testing.T) { p.meddleFrom(0, nil) }

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	n, from, meddle := p.requests, p.from, p.meddle
	p.requests++
	p.mu.Unlock()
	if meddle != nil && n >= from {
		meddle(w, r, p.next)
		return
	}
	p.next.ServeHTTP(w, r)
}

// each returns a scene for every request of one read. The store holds secret.
// For each scene, set makes a new proxy meddle from that request on.
func (h httpFaults) each(t *testing.T, secret string, set func(name string, from int, p *proxy) Scene) []Scene {
	t.Helper()
	h.Set(t, secret)
	probe := h.proxy(t).up(t)
	h.get(t, h.open(t, probe.url(), nil), secret)
	var scenes []Scene
	for from := range probe.asked() {
		p := h.proxy(t).up(t)
		s := set("request "+strconv.Itoa(from+1), from, p)
		s.Source, s.Canaries = h.open(t, p.url(), nil), h.Canaries
		scenes = append(scenes, s)
	}
	return scenes
}

func (h httpFaults) downAtStart(t *testing.T, secret string) []Scene {
	h.Set(t, secret)
	p := h.proxy(t)
	return []Scene{{
		Source: h.open(t, p.url(), nil), Canaries: h.Canaries,
		Heal: func(t *testing.T) { p.up(t) },
	}}
}

func (h httpFaults) downLater(t *testing.T, secret string) []Scene {
	h.Set(t, secret)
	p := h.proxy(t).up(t)
	return []Scene{{
		Source: h.open(t, p.url(), nil), Canaries: h.Canaries,
		Break: func(*testing.T) { p.down() },
		Heal:  func(t *testing.T) { p.up(t) },
	}}
}

// stalled returns scenes without any answer, and scenes whose answer stops in
// the middle.
func (h httpFaults) stalled(t *testing.T, secret string) []Scene {
	var scenes []Scene
	for _, half := range []bool{false, true} {
		scenes = append(scenes, h.each(t, secret, func(name string, from int, p *proxy) Scene {
			if half {
				name += ", in the middle of its answer"
			}
			waiting, release := make(chan struct{}), make(chan struct{})
			arrived, free := sync.OnceFunc(func() { close(waiting) }), sync.OnceFunc(func() { close(release) })
			t.Cleanup(free)
			p.meddleFrom(from, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if half {
					finish := record(next, r).begin(w)
					arrived()
					<-release
					finish()
					return
				}
				arrived()
				<-release
				next.ServeHTTP(w, r)
			})
			return Scene{Name: name, Waiting: waiting, Heal: func(t *testing.T) {
				p.heal(t)
				free()
			}}
		})...)
	}
	return scenes
}

func (h httpFaults) redirected(t *testing.T, secret string) []Scene {
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		t.Errorf("the source sent %s %s to another host, with %d headers and a body of %d bytes", r.Method, r.URL.Path, len(r.Header), len(body))
	}))
	t.Cleanup(stranger.Close)
	var scenes []Scene
	for _, status := range []int{301, 302, 303, 307, 308} {
		scenes = append(scenes, h.each(t, secret, func(name string, from int, p *proxy) Scene {
			p.meddleFrom(from, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				http.Redirect(w, r, stranger.URL+r.URL.Path+"?token="+secret, status)
			})
			return Scene{Name: fmt.Sprintf("%d at %s", status, name), Heal: p.heal}
		})...)
	}
	return scenes
}

// meddling returns a row in which one meddler answers all requests.
func (h httpFaults) meddling(name string, of func(secret string) meddler) func(*testing.T, string) []Scene {
	return func(t *testing.T, secret string) []Scene {
		return h.each(t, secret, func(request string, from int, p *proxy) Scene {
			p.meddleFrom(from, of(secret))
			return Scene{Name: name + " at " + request, Heal: p.heal}
		})
	}
}

// answering returns a row with a foreign answer. Its body repeats the secret
// and the whole request.
func (h httpFaults) answering(status int, kind string) func(*testing.T, string) []Scene {
	return h.meddling(strconv.Itoa(status), func(secret string) meddler {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			request, _ := httputil.DumpRequest(r, true)
			text := secret + " " + string(request)
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			if kind == "text/html" {
				fmt.Fprintf(w, "<html><title>%d</title>%s</html>", status, html.EscapeString(text))
			} else {
				fmt.Fprintf(w, `{"message":%q,"errors":[%q]}`, text, text)
			}
		}
	})
}

// saying returns a row with a short answer, as a gateway gives it. Its body is
// JSON or empty.
func (h httpFaults) saying(status int, body string) func(*testing.T, string) []Scene {
	return h.meddling(strings.TrimSpace(strconv.Itoa(status)+" "+body), func(string) meddler {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			if body != "" {
				w.Header().Set("Content-Type", "application/json")
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	})
}

// cut sends half of the store's answer and closes the connection.
func cut(w http.ResponseWriter, r *http.Request, next http.Handler) {
	record(next, r).begin(w)
	panic(http.ErrAbortHandler)
}

// recorded holds the whole answer of the store.
type recorded struct{ *httptest.ResponseRecorder }

func record(next http.Handler, r *http.Request) recorded {
	answer := recorded{httptest.NewRecorder()}
	next.ServeHTTP(answer, r)
	return answer
}

// begin sends the first half of the body, and returns a function that sends the
// rest. For an answer without a body it sends nothing yet.
func (a recorded) begin(w http.ResponseWriter) (finish func()) {
	body := a.Body.Bytes()
	maps.Copy(w.Header(), a.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if len(body) == 0 {
		return func() { w.WriteHeader(a.Code) }
	}
	w.WriteHeader(a.Code)
	w.Write(body[:len(body)/2])
	http.NewResponseController(w).Flush()
	return func() { w.Write(body[len(body)/2:]) }
}

// untrusted returns a row in which the proxy has a certificate that the source
// must not trust. Heal gives it a good one.
func (h httpFaults) untrusted(issue func(trusted, other authority) tls.Certificate) func(*testing.T, string) []Scene {
	return func(t *testing.T, secret string) []Scene {
		h.Set(t, secret)
		trusted, other := newAuthority(t), newAuthority(t)
		bad, good := issue(trusted, other), trusted.issue("127.0.0.1", time.Hour)
		p := h.proxy(t)
		p.secure.Store(&bad)
		p.up(t)
		return []Scene{{
			Source: h.open(t, p.url(), trusted.pem), Canaries: h.Canaries,
			Heal: func(t *testing.T) {
				if p.asked() != 0 {
					t.Error("the source sent a request to a server that it must not trust")
				}
				p.secure.Store(&good)
			},
		}}
	}
}

// authority is a private CA.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) authority {
	a := authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tokensourcetest " + newSecret()[:8]},
		NotBefore: time.Now().Add(-3 * time.Hour), NotAfter: time.Now().Add(3 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, key := a.sign(template)
	a.key = key
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// issue returns a certificate for host that is valid for life from now. A
// negative life means that it has expired.
func (a authority) issue(host string, life time.Duration) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, key := a.sign(template)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// sign makes a certificate and its key. An authority without a certificate yet
// signs its own.
func (a authority) sign(template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}
