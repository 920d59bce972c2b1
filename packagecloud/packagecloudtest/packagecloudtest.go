// Package packagecloudtest is a packagecloud server for tests and quickstarts.
//
// It listens on the loopback interface, speaks HTTP or HTTPS, and answers as
// packagecloud.io does: the same paths, status codes, odd values and error
// bodies. It serves every operation that the service's API is known to have. Any
// program that speaks to packagecloud can use it, written in Go or not.
//
// # Quickstart
//
// In a test, start a server, create a repository and give the client the
// server's address and its token:
//
//	srv := packagecloudtest.NewServer(nil)
//	defer srv.Close()
//	srv.CreateRepository("main", false)
//	client, err := packagecloud.New(srv.TokenSource(), packagecloud.WithBaseURL(srv.URL))
//	// ... upload with the client, then look at srv.Packages("main").
//
// With [Options].TLS, take [Server.Client] for the client's http.Client, or
// trust [Server.CertPEM]. Programs in other languages start the command
// packagecloudtest, in the folder cmd, and control it over HTTP.
//
// Metadata is kept in memory. The server writes packages to a temporary folder
// as they arrive, so that an upload of any size takes little memory, and
// [Server.Close] removes it.
//
// # Downloads
//
// A download is redirected, as by the service, to a signed URL that expires. It
// lies on another host: the same machine by another name and port. That host
// answers 400 to a request with an Authorization header, a cookie or a token,
// and the log names the leak. [Server.ExpireDownloads] ends the URLs early.
//
// # What is read from a package
//
// The service names most packages by what is in them. This server reads what
// the Go standard library can read:
//
//	deb      from control.tar or control.tar.gz; with [Options.Decompressors]
//	         from control.tar.xz and control.tar.zst too, else from the file
//	         name: name_version_arch.deb
//	dsc      from the .dsc, signed or not; its source files are checked by
//	         name, size and MD5
//	rpm      from the header
//	gem      name, version, summary, description and licenses from metadata.gz,
//	         and the platform as RubyGems spells it; dependencies are not read
//	python   from METADATA or PKG-INFO (.whl, .egg, .tar.gz, .tar.bz2, .tar,
//	         .zip); the file keeps its name
//	node     from package.json
//	java     from a single pom.properties, or the pom.xml, or the coordinates
//	         sent along; without any of these the upload is refused
//	alpine   from .PKGINFO; the file keeps its name
//	helm     name, version and description from Chart.yaml; the file keeps its name
//	anyfile  from the file name, name-version.ext
//
// Where the server can't read the content, as of made-up bytes in a test, or the
// format's own tool would refuse it, name and version come from the file's name. [Options].Strict refuses such packages
// instead. A deb, dsc, rpm, gem or node package is stored under its canonical
// file name, whatever the client called it.
//
// # Faults
//
// [Server.Inject] makes the server misbehave: a [Fault] chooses requests by
// method, path and number, and answers with a status, resets the connection,
// loses the answer, stalls, or cuts or alters the body. Faults act before the
// server looks at the credential.
//
//	// The next two requests to the API fail, then all is well again.
//	srv.Inject(packagecloudtest.Fault{Path: "/api/v1/**", Times: 2, Status: 502})
//
// # The request log
//
// [Server.Requests] returns what the server was asked, in order, with the status
// and the kind of credential, such as [CredentialAPI]. The log holds no token, no
// query and no body. A request is in the log before its answer is sent, so a test
// can count right after a call.
//
// # Rotation of tokens
//
// [Server.RotateToken] replaces the API token, and the old one is refused at
// once, as on the service's site. [Server.AddToken] leaves the old one valid.
// [Server.RevokeToken] takes a token of any kind away. [Server.TokenSource]
// always has the newest API token. To rotate in the middle of a request, rotate
// in a fault's Then.
//
// # Limits
//
// The server has no metadata for package managers (apt, yum, npm, PyPI, RubyGems,
// Maven), no upload from a URL, no dist-tags, no web pages and one account. What
// the service does where nobody has recorded it, such as the fields of a readme,
// is a guess.
package packagecloudtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Options configures a server. The zero value is good.
type Options struct {
	// TLS serves HTTPS with a certificate made for this server; see
	// [Server.Client] and [Server.CertPEM].
	TLS bool
	// Owner is the user whom the API token belongs to; "acme" if empty.
	Owner string
	// Token is the API token; 48 random hexadecimal digits if empty.
	Token string
	// Email and Password are the account's, for GET /api/v1/token.json; the
	// defaults are the owner's name at example.com and "password".
	Email, Password string

	// PageSize is the number of items on a page unless the client asks for
	// another; 30 if zero.
	PageSize int
	// MaxPerPage is the most items on a page; 250 if zero.
	MaxPerPage int
	// SignedURLTTL is how long the URL that a download is redirected to is
	// good; one minute if zero.
	SignedURLTTL time.Duration
	// SettleDelay is how long a new package stays unindexed and a new Java
	// package without its sha256sum; two seconds if zero, not at all if negative.
	SettleDelay time.Duration

	// NoChecksums leaves every checksum out of every answer (null).
	NoChecksums bool
	// DuplicateWording chooses how an upload that exists already is refused:
	// {"filename":["has already been taken"]}, or with DuplicateFullName
	// {"repository":["Validation failed: Full name already exists."]}.
	DuplicateWording DuplicateWording
	// FlatMasterTokens answers the creation of a master token in the older
	// form: with an id and without paths.
	FlatMasterTokens bool
	// Strict refuses, with 422, packages whose content can't be read.
	Strict bool
	// Decompressors look into debs whose control file is packed with "xz" or "zstd",
	// the keys, as those of packagecloud.UploadOptions do; the module
	// packagecloud/decompress has both. Without them such a deb is named by its file
	// name, and refused if Strict is set.
	Decompressors map[string]func(io.Reader) (io.Reader, error)
	// Plan is what the owner's plan allows; see [Server.SetPlan].
	Plan Plan
	// LicenseKey is the key under which the server shows a made-up enterprise
	// licence; "aabbccddeeffaa" if empty.
	LicenseKey string

	// Control opens the endpoints under /_packagecloudtest/ to every client; the
	// command packagecloudtest documents them. They need no credential: set it
	// only on a machine you trust.
	Control bool
	// ErrorLog receives what net/http logs; nothing is logged if nil.
	ErrorLog *log.Logger
}

// DuplicateWording is the service's older or newer message for a duplicate.
type DuplicateWording int

// The wordings of a duplicate.
const (
	DuplicateFilename DuplicateWording = iota
	DuplicateFullName
)

// Plan holds the limits of the owner's plan. The zero value has none.
type Plan struct {
	// MaxPackages is how many packages the owner may store; further uploads get
	// 422 {"plan":["Upgrade to add more packages!"]}. Zero means no limit.
	MaxPackages int
	// QuotaSpent answers downloads with 429, text/html, "Bandwidth or Storage
	// Limit Exceeded".
	QuotaSpent bool
	// PaymentRequired answers uploads, and downloads from private
	// repositories, with 402 {"error":["payment required"]}.
	PaymentRequired bool
}

// Server is a running packagecloud server. Its methods may be called from
// several goroutines.
type Server struct {
	// URL is the base URL, without a trailing slash.
	URL string

	opts        Options
	downloadURL string
	certPEM     []byte
	tlsConfig   *tls.Config
	client      *http.Client
	spool       *spool
	servers     []*http.Server
	serving     sync.WaitGroup
	mux         *http.ServeMux
	handlers    sync.RWMutex // read-locked by every request
	closing     context.Context
	close       context.CancelFunc
	closeOnce   sync.Once

	distributions map[string][]distribution
	distroByID    map[int]distroVersion

	log    requestLog
	faults faultList

	mu         sync.Mutex // guards what follows
	plan       Plan
	tokens     map[string]bool // valid API tokens
	token      string          // the newest API token
	signingKey []byte
	repos      []*repository
	blobs      map[string]*blob // by the id in a signed URL
	lastID     int
}

// NewServer starts a server on a free port of the loopback interface. It
// panics if it can't, as httptest does. The caller closes the server.
func NewServer(opts *Options) *Server {
	s, err := Start(opts, "127.0.0.1:0")
	if err != nil {
		panic("packagecloudtest: " + err.Error())
	}
	return s
}

// Start starts a server that listens on addr, such as "127.0.0.1:8080". The
// downloads are served from another port, which the system picks. A nil opts
// means the zero value.
func Start(opts *Options, addr string) (*Server, error) {
	s := &Server{blobs: map[string]*blob{}, tokens: map[string]bool{}}
	if opts != nil {
		s.opts = *opts
	}
	o := &s.opts
	o.Owner = cmp.Or(o.Owner, "acme")
	o.Token = cmp.Or(o.Token, randomToken())
	o.Email = cmp.Or(o.Email, o.Owner+"@example.com")
	o.Password = cmp.Or(o.Password, "password")
	o.PageSize = cmp.Or(o.PageSize, 30)
	o.MaxPerPage = cmp.Or(o.MaxPerPage, 250)
	o.SignedURLTTL = cmp.Or(o.SignedURLTTL, time.Minute)
	o.SettleDelay = cmp.Or(o.SettleDelay, 2*time.Second)
	o.LicenseKey = cmp.Or(o.LicenseKey, "aabbccddeeffaa")
	if !validName(o.Owner) {
		return nil, fmt.Errorf("owner %q: use letters, digits, '.', '_' and '-'", o.Owner)
	}
	if o.PageSize < 1 || o.MaxPerPage < 1 {
		return nil, errors.New("PageSize and MaxPerPage must be positive")
	}
	s.mux = s.newMux()
	s.plan, s.token = o.Plan, o.Token
	s.tokens[o.Token] = true
	s.signingKey = randomBytes(32)
	s.closing, s.close = context.WithCancel(context.Background())
	if err := s.loadDistributions(); err != nil {
		return nil, err
	}
	if err := s.listen(addr); err != nil {
		return nil, err
	}
	return s, nil
}

// listen opens both listeners, the spool and the certificate, and serves.
func (s *Server) listen(addr string) (err error) {
	api, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			api.Close()
		}
	}()
	host, port, _ := net.SplitHostPort(api.Addr().String())
	ip := net.ParseIP(host)
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
		if asked, _, _ := net.SplitHostPort(addr); strings.Contains(asked, ":") {
			ip = net.IPv6loopback
		}
		host = ip.String()
	}
	download, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			download.Close()
		}
	}()
	downloadHost := host
	if ip.IsLoopback() {
		downloadHost = "localhost"
	}
	_, downloadPort, _ := net.SplitHostPort(download.Addr().String())
	if s.spool, err = newSpool(); err != nil {
		return err
	}

	scheme := "http"
	transport := &http.Transport{}
	if s.opts.TLS {
		scheme = "https"
		var pool *x509.CertPool
		if s.tlsConfig, s.certPEM, pool, err = newCertificate(ip); err != nil {
			os.RemoveAll(s.spool.dir)
			return err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
		api, download = tls.NewListener(api, s.tlsConfig), tls.NewListener(download, s.tlsConfig)
	}
	s.client = &http.Client{Transport: transport}
	s.URL = scheme + "://" + net.JoinHostPort(host, port)
	s.downloadURL = scheme + "://" + net.JoinHostPort(downloadHost, downloadPort)
	s.serve(api, HostAPI, http.HandlerFunc(s.routeAPI))
	s.serve(download, HostDownload, http.HandlerFunc(s.serveBlob))
	return nil
}

func (s *Server) serve(l net.Listener, host string, h http.Handler) {
	server := &http.Server{
		Handler:     s.middleware(host, h),
		ErrorLog:    cmp.Or(s.opts.ErrorLog, log.New(io.Discard, "", 0)),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		BaseContext: func(net.Listener) context.Context { return s.closing },
	}
	s.servers = append(s.servers, server)
	s.serving.Go(func() { _ = server.Serve(l) })
}

// Close stops the server at once, cuts its connections and removes the stored
// packages. It may be called more than once, but not from a fault's Then.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		s.close()
		for _, server := range s.servers {
			server.Close()
		}
		s.serving.Wait()
		s.handlers.Lock() // waits for the requests, whose connections are cut
		defer s.handlers.Unlock()
		s.client.CloseIdleConnections()
		s.spool.remove()
	})
}

// Client returns an HTTP client that trusts the certificate of both of the
// server's hosts. It holds no credential. Its connections end with the server.
func (s *Server) Client() *http.Client { return s.client }

// CertPEM returns the certificate of the authority that signed both hosts'
// certificates, in PEM, or nil without TLS.
func (s *Server) CertPEM() []byte { return s.certPEM }

// SetPlan changes the owner's plan.
func (s *Server) SetPlan(p Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan = p
}

// nextID returns a new id; s.mu is held.
func (s *Server) nextID() int {
	s.lastID++
	return s.lastID
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// randomToken returns a token as the service makes them: 48 hexadecimal digits.
func randomToken() string { return hex.EncodeToString(randomBytes(24)) }

// now is the time as the service shows it: UTC, in milliseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func timestamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }
