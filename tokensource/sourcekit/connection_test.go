package sourcekit_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// setup is what the errors of the tests advise to set.
var setup = sourcekit.Connection{Address: "STORE_ADDR", CA: "set STORE_CA", ServerName: "set STORE_NAME", ClientCert: "set STORE_CERT"}

// server starts a server that speaks TLS unless config is nil.
func server(t *testing.T, config *tls.Config, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if s.TLS = config; config != nil {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// saying listens and answers each connection, whatever comes, with text, and closes it.
func saying(t *testing.T, text string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 64<<10))
			io.WriteString(conn, text)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// closed returns an address at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// certificate issues one by template, signed by itself, and what trusts it.
func certificate(t *testing.T, template x509.Certificate) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.IsCA, template.BasicConstraintsValid = big.NewInt(1), true, true
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestConnection_TellsWhySettingsAreWrong(t *testing.T) {
	hello := func(w http.ResponseWriter, r *http.Request) {}
	plain, secure := server(t, nil, hello), server(t, &tls.Config{}, hello)
	now, loopback := time.Now(), []net.IP{net.IPv4(127, 0, 0, 1)}
	issue := func(template x509.Certificate) (string, *http.Transport) {
		cert, pool := certificate(t, template)
		return server(t, &tls.Config{Certificates: []tls.Certificate{cert}}, hello).URL, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	}
	expired, trustsExpired := issue(x509.Certificate{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour), IPAddresses: loopback})
	early, trustsEarly := issue(x509.Certificate{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour), IPAddresses: loopback})
	elsewhere, trustsElsewhere := issue(x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), DNSNames: []string{"store.example"}})
	clients, trustsClients := issue(x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: loopback, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	certified := server(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert}, hello)
	certified12 := server(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, hello)
	old := server(t, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, hello)
	trusting := func(s *httptest.Server) *http.Transport { return s.Client().Transport.(*http.Transport) }
	for name, test := range map[string]struct {
		url       string
		transport *http.Transport
		says      string
	}{
		"https to http":         {strings.Replace(plain.URL, "http:", "https:", 1), nil, "the server speaks plain http there; STORE_ADDR should begin with http://"},
		"http to an alert":      {"http://" + saying(t, "\x15\x03\x01\x00\x02\x02\x46"), nil, "the server speaks https there; STORE_ADDR should begin with https://"},
		"https to SSH":          {"https://" + saying(t, "SSH-2.0-x\r\n"), nil, "doesn't speak https there; is the port of STORE_ADDR right?"},
		"unknown authority":     {secure.URL, nil, "the server's certificate is signed by an authority that isn't trusted here; set STORE_CA"},
		"another name":          {strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), trusting(secure), "another host name; STORE_ADDR should have a name that the certificate is for, or set STORE_NAME"},
		"no address in it":      {elsewhere, trustsElsewhere, "another host name"},
		"expired":               {expired, trustsExpired, "has expired or isn't valid yet; renew it, or correct the clock"},
		"not valid yet":         {early, trustsEarly, "has expired or isn't valid yet"},
		"not a server's":        {clients, trustsClients, "the server's certificate isn't valid"},
		"client cert, TLS 1.3":  {certified.URL, trusting(certified), "refuses the connection (tls: certificate required); if it wants a client certificate, set STORE_CERT"},
		"client cert, TLS 1.2":  {certified12.URL, trusting(certified12), "refuses the connection (tls: "},
		"old TLS":               {old.URL, trusting(old), "has no version of TLS in common"},
		"proxy of an authority": {"http://store.example", through(t, secure.URL), "the proxy can't be used (the proxy's certificate is signed by an authority"},
	} {
		t.Run(name, func(t *testing.T) { tells(t, test.url, test.transport, test.says, true) })
	}
}

// through returns a transport that goes through a proxy.
func through(t *testing.T, proxy string) *http.Transport {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Transport{Proxy: http.ProxyURL(u)}
}

// tells makes a request, bare and by a client, and checks the reason of its failure.
func tells(t *testing.T, address string, transport *http.Transport, says string, permanent bool) {
	t.Helper()
	if transport == nil {
		transport = &http.Transport{}
	}
	defer transport.CloseIdleConnections()
	const canary = "canary-0815"
	req, err := http.NewRequestWithContext(t.Context(), "GET", address+"/x?token="+canary, nil)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(how string, do func(*http.Request) (*http.Response, error)) {
		resp, err := do(req)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Fatalf("%s: the request succeeded", how)
		}
		reason, lasting := setup.Reason(fmt.Errorf("an SDK: %w", err))
		if !strings.Contains(reason, says) || lasting != permanent || strings.Contains(reason, canary) {
			t.Errorf("%s: of %q: got %q, permanent %t; want %q, %t", how, err, reason, lasting, says, permanent)
		}
	}
	ask("client", (&http.Client{Transport: transport}).Do)
	ask("transport", transport.RoundTrip)
}

func TestConnection_TellsWhatMayPass(t *testing.T) {
	cut := server(t, nil, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	half := server(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "half")
	})
	slow := server(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	reset := server(t, nil, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	})
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deaf.Close() })
	refusing := func(status string) *http.Transport {
		return through(t, "http://"+saying(t, "HTTP/1.1 "+status+"\r\nContent-Length: 0\r\n\r\n"))
	}
	resolving := func(err net.DNSError) *http.Transport {
		return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &err}
		}}
	}
	const secure = "https://store.example"
	for name, test := range map[string]struct {
		url       string
		transport *http.Transport
		says      string
	}{
		"refused":                 {"http://" + closed(t), nil, "the connection was refused; does the server run, and is the port of STORE_ADDR right?"},
		"refused, https":          {"https://" + closed(t), nil, "the connection was refused"},
		"cut":                     {cut.URL, nil, "the connection was cut"},
		"cut within the body":     {half.URL, nil, "the connection was cut"},
		"reset":                   {reset.URL, nil, "the connection was cut"},
		"cut within TLS":          {"https://" + saying(t, ""), nil, "the connection was cut"},
		"no header in time":       {"http://" + deaf.Addr().String(), &http.Transport{ResponseHeaderTimeout: time.Millisecond}, "the server didn't answer in time"},
		"no TLS in time":          {"https://" + deaf.Addr().String(), &http.Transport{TLSHandshakeTimeout: time.Millisecond}, "the server didn't answer in time"},
		"no such host":            {secure, resolving(net.DNSError{Err: "no such host", IsNotFound: true}), "host name doesn't resolve; correct STORE_ADDR"},
		"DNS is down":             {secure, resolving(net.DNSError{Err: "i/o timeout", IsTimeout: true}), "DNS doesn't answer"},
		"dead proxy":              {secure, through(t, "http://"+closed(t)), "the proxy can't be used (the connection was refused; does the proxy run, and is the port of the proxy's address right?); correct HTTPS_PROXY"},
		"dead proxy, http":        {"http://store.example", through(t, "http://"+closed(t)), "the proxy can't be used"},
		"dead SOCKS proxy":        {secure, through(t, "socks5://"+closed(t)), "the proxy can't be used"},
		"SOCKS proxy that isn't":  {secure, through(t, "socks5://"+saying(t, "HTTP/1.1 400 Bad Request\r\n\r\n")), "the SOCKS proxy doesn't connect"},
		"CONNECT, sign in":        {secure, refusing("407 Proxy Authentication Required"), "refuses to connect to the server (Proxy Authentication Required); give the proxy's user"},
		"CONNECT, forbidden":      {secure, refusing("403 Forbidden"), "the proxy refuses to connect to the server (Forbidden); correct HTTPS_PROXY"},
		"CONNECT, no such server": {secure, refusing("502 Bad gateway"), "(Bad Gateway)"},
		"CONNECT, no words":       {secure, refusing("503"), "the proxy refuses to connect to the server"},
		"CONNECT, cut":            {secure, through(t, "http://"+saying(t, "")), "the connection was cut"},
	} {
		t.Run(name, func(t *testing.T) { tells(t, test.url, test.transport, test.says, false) })
	}
	t.Run("the caller's time limit", func(t *testing.T) {
		client := http.Client{Timeout: 10 * time.Millisecond}
		resp, err := client.Get(slow.URL)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
		}
		if reason, permanent := setup.Reason(err); !strings.Contains(reason, "didn't answer in time") || permanent {
			t.Errorf("of %v: got %q", err, reason)
		}
	})
}

func TestConnection_KnowsNoReason(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+closed(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, canceled := http.DefaultTransport.RoundTrip(req)
	for name, err := range map[string]error{"nil": nil, "canceled": canceled, "another": fmt.Errorf("the canary is %s", "dead")} {
		if reason, permanent := setup.Reason(err); reason != "" || permanent {
			t.Errorf("%s: got %q, %t; want no reason", name, reason, permanent)
		}
	}
}

func TestConnection_ZeroAdvisesInGeneralWords(t *testing.T) {
	secure := server(t, &tls.Config{}, func(http.ResponseWriter, *http.Request) {})
	_, err := (&http.Client{Transport: &http.Transport{}}).Get(secure.URL)
	const want = "the server's certificate is signed by an authority that isn't trusted here; add the authority to those that this machine trusts"
	if reason, permanent := (sourcekit.Connection{}).Reason(err); reason != want || !permanent {
		t.Errorf("got %q, %t; want %q, true", reason, permanent, want)
	}
}
