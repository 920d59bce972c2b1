package conjur_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/backends/conjur/internal/conjurserver"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

const (
	secret   = "f00dfacef00dfacef00dfacef00dfacef00dfacef00dface"
	account  = "acme"
	variable = "prod/packagecloud/token"
	host     = "host/ci/publisher"
)

var everything = conjurserver.Privileges{Read: true, Execute: true, Update: true}

// conjurtest is a server with one host that may do everything with one variable.
type conjurtest struct {
	*conjurserver.Server
	key string
}

// start makes a server over plain http on the loopback interface, and an environment
// without settings of the machine's.
func start(t *testing.T) *conjurtest {
	t.Helper()
	return startTLS(t, nil)
}

func startTLS(t *testing.T, certificate *tls.Certificate) *conjurtest {
	t.Helper()
	clearSettings(t)
	s := &conjurtest{Server: conjurserver.New(account, certificate)}
	t.Cleanup(s.Close)
	s.key = s.AddLogin(host)
	s.Permit(variable, host, everything)
	return s
}

// clearSettings takes away what Conjur's tools would find.
func clearSettings(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "CONJUR") || name == "JWT_TOKEN_PATH" {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
}

// options are those of the server's host.
func (s *conjurtest) options() conjur.Options {
	return conjur.Options{Account: account, ApplianceURL: s.URL, Auth: conjur.APIKey(host, s.key)}
}

// source reads the server's variable with the options, changed by edit.
func (s *conjurtest) source(t *testing.T, edit ...func(*conjur.Options)) *conjur.Source {
	t.Helper()
	options := s.options()
	for _, f := range edit {
		f(&options)
	}
	return newSource(t, variable, options)
}

func newSource(t *testing.T, id string, options conjur.Options) *conjur.Source {
	t.Helper()
	source, err := conjur.New(id, options)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// holds checks that the source's token is want.
func holds(t *testing.T, source tokensource.TokenSource, want string) tokensource.Token {
	t.Helper()
	tok, err := source.Token(t.Context())
	if err != nil {
		t.Fatalf("Token: %v", err)
	}
	if tok.Reveal() != want {
		t.Fatalf("Token returned another secret than is stored")
	}
	return tok
}

// fails checks an error's kind and words, and that none of the secrets shows in it.
func (s *conjurtest) fails(t *testing.T, err error, kind error, says string) {
	t.Helper()
	secrets := append(s.Secrets(), secret)
	tokensourcetest.AssertNoSecret(t, err, secrets...)
	e, ok := err.(*tokensource.Error)
	if !ok {
		t.Fatalf("error %v is a %T, want a *tokensource.Error", err, err)
	}
	if e.Kind != kind {
		t.Errorf("error %v is of kind %v, want %v", err, e.Kind, kind)
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("error %q doesn't say %q", err, says)
	}
	if !strings.HasPrefix(e.Source, "conjur:") {
		t.Errorf("error names the source %q", e.Source)
	}
}

// refused is fails for a source's Token.
func (s *conjurtest) refused(t *testing.T, source tokensource.TokenSource, kind error, says string) {
	t.Helper()
	tok, err := source.Token(t.Context())
	if err == nil {
		t.Fatalf("Token returned one, want an error that says %q", says)
	}
	if !tok.IsZero() {
		t.Errorf("Token returned a token beside its error")
	}
	s.fails(t, err, kind, says)
}

// isEnded checks the error of a call whose context ended.
func isEnded(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want one that is %v", err, want)
	}
}

// writeFile writes a file of a new folder and returns its path.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// jwt returns what has the form of a JWT.
func jwt(name string) string { return "eyJhbGciOiJSUzI1NiJ9." + name + "0123456789abcdef.c2lnbmF0dXJl" }

// authority is a certificate authority of the test's own.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	return authority{must(x509.ParseCertificate(der)), key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue makes a server's certificate, for the loopback interface unless it is for
// another name.
func (a authority) issue(name string, end time.Time) *tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key))
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// within fails the test if f doesn't return in a time that only tells prompt from
// never.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the call doesn't return")
	}
}
