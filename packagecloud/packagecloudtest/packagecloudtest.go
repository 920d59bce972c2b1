// Package packagecloudtest is a packagecloud server for tests and quickstarts.
//
// The server listens on the loopback interface, by HTTP or HTTPS. It answers as
// packagecloud.io does, with the same paths, status codes, odd values and error
// bodies. It serves every operation that the service's API is known to have.
// Any program that speaks to packagecloud can use it, in Go or in another
// language.
//
// # Quickstart
//
// In a test, start a server and create a repository. Then give the client the
// address and the token of the server:
//
//	srv := packagecloudtest.NewServer(nil)
//	defer srv.Close()
//	srv.CreateRepository("main", false)
//	client, err := packagecloud.New(srv.TokenSource(), packagecloud.WithBaseURL(srv.URL))
//	// ... upload with the client, then look at srv.Packages("main").
//
// Tests of faults are quick with two more options of the client:
// packagecloud.WithRetry with a MinPause of a millisecond, and
// packagecloud.WithRotationWait(0) where a token stays refused.
//
// With [Options].TLS, give the client the http.Client that [Server.Client]
// returns, or let it trust [Server.CertPEM]. Programs in other languages start
// the command packagecloudtest, in the folder cmd, and control it over HTTP.
//
// The server keeps metadata in memory. It writes packages to a temporary folder
// as they arrive, so a large upload takes little memory. [Server.Close] removes
// that folder.
//
// # Authentication
//
// The server knows API tokens, master tokens, read tokens, and the account's
// e-mail and password. It asks for the same credential as the service, and
// answers 401 without it.
//
// [Server.RotateToken] replaces the API token and refuses the old one at once,
// as the service's site does. [Server.AddToken] leaves the old one valid.
// [Server.RevokeToken] revokes a token of any kind. [Server.TokenSource] always
// returns the newest API token. To rotate in the middle of a request, call
// RotateToken in the Then function of a fault.
//
// # Uploads
//
// The service reads the names of most packages from their content. This server
// reads all that the Go standard library can read:
//
//	deb      control.tar or control.tar.gz; with [Options.Decompressors] also
//	         control.tar.xz and control.tar.zst, else the file name:
//	         name_version_arch.deb
//	dsc      the .dsc, signed or not; the server checks the source files by
//	         name, size and MD5
//	rpm      the header
//	gem      name, version, summary, description and licenses in metadata.gz,
//	         and the platform as RubyGems spells it, but no dependencies
//	python   METADATA or PKG-INFO (.whl, .egg, .tar.gz, .tar.bz2, .tar, .zip);
//	         the file keeps its name
//	node     package.json
//	java     a single pom.properties, or the pom.xml, or the coordinates in the
//	         request; without any of these the server refuses the upload
//	alpine   .PKGINFO; the file keeps its name
//	helm     name, version and description in Chart.yaml; the file keeps its name
//	anyfile  the file name, name-version.ext
//
// Tests may upload made-up bytes: if the server can't read the content, it
// takes name and version from the file name. It does the same for content that
// the format's own tool would refuse. [Options].Strict refuses such packages
// instead. The server stores a deb, dsc, rpm, gem or node package under its
// canonical file name.
//
// # Lists
//
// The server answers lists in pages, with the pagination headers of the service.
// Small values of PageSize and MaxPerPage in [Options] make a test see several
// pages.
//
// # Downloads
//
// The server redirects a download to a signed URL that expires, as the service
// does. That URL is on another host: the same machine by another name and port.
// The download host answers 400 to a request with an Authorization header, a
// cookie or a token, and the request log describes the leak.
// [Server.ExpireDownloads] ends the URLs early.
//
// # Faults
//
// [Server.Inject] makes the server misbehave. A [Fault] chooses requests by
// method, path and number. It answers with a status, resets the connection,
// loses the answer, stalls, or cuts or alters the body. Faults act before the
// server checks the credential.
//
//	// The next two requests to the API fail; later ones succeed.
//	srv.Inject(packagecloudtest.Fault{Path: "/api/v1/**", Times: 2, Status: 502})
//
// # The request log
//
// [Server.Requests] returns all requests in order, with the status of the
// answer and the kind of credential, such as [CredentialAPI]. The log holds no
// token, no query and no body. The server logs a request before it sends the
// answer, so a test can count requests right after a call.
//
// # Limits
//
// The server has one account. It has no metadata for package managers (apt,
// yum, npm, PyPI, RubyGems, Maven), no upload from a URL, no dist-tags and no
// web pages. Nobody has recorded every answer of the service; the server
// guesses the others, such as the fields of a readme.
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
	// TLS makes the server speak HTTPS, with a certificate made for this
	// server; see [Server.Client] and [Server.CertPEM].
	TLS bool
	// Owner is the user who owns the API token; empty means "acme".
	Owner string
	// Token is the API token; empty means 48 random hexadecimal digits.
	Token string
	// Email and Password are the account's credentials for GET
	// /api/v1/token.json. Empty means the owner's name at example.com, and
	// "password".
	Email, Password string

	// PageSize is the number of items on a page if the client asks for none;
	// zero means 30.
	PageSize int
	// MaxPerPage is the largest page that a client may ask for; zero means 250.
	MaxPerPage int
	// SignedURLTTL is the life of a download's signed URL; zero means one
	// minute.
	SignedURLTTL time.Duration
	// SettleDelay is the time until a new package is indexed, and until a new
	// Java package has its sha256sum. Zero means two seconds, negative means no
	// delay.
	SettleDelay time.Duration

	// NoChecksums replaces every checksum in every answer by null.
	NoChecksums bool
	// DuplicateWording chooses the refusal of an upload that exists already.
	// The zero value gives {"filename":["has already been taken"]}.
	// DuplicateFullName gives {"repository":["Validation failed: Full name
	// already exists."]}.
	DuplicateWording DuplicateWording
	// FlatMasterTokens chooses the older answer to the creation of a master
	// token: with an id and without paths.
	FlatMasterTokens bool
	// Strict refuses, with 422, packages whose content the server can't read.
	Strict bool
	// Decompressors unpack the control file of a deb, as those of
	// packagecloud.UploadOptions do. The keys are "xz" and "zstd"; the module
	// packagecloud/decompress has both. Without them the server reads the file
	// name of such a deb, or refuses it if Strict is set.
	Decompressors map[string]func(io.Reader) (io.Reader, error)
	// Plan holds the limits of the owner's plan; see [Server.SetPlan].
	Plan Plan
	// LicenseKey is the key of a made-up enterprise licence; empty means
	// "aabbccddeeffaa".
	LicenseKey string

	// Control opens the endpoints under /_packagecloudtest/, which the command
	// packagecloudtest documents. They need no credential, so set Control only
	// on a machine you trust.
	Control bool
	// ErrorLog receives the messages of net/http; nil discards them.
	ErrorLog *log.Logger
}

// DuplicateWording is a wording of the service's refusal of a duplicate.
type DuplicateWording int

// The older and the newer wording for a duplicate.
const (
	DuplicateFilename DuplicateWording = iota
	DuplicateFullName
)

// Plan holds the limits of the owner's plan. The zero value has no limits.
type Plan struct {
	// MaxPackages is the number of packages that the server stores. It answers
	// further uploads with 422 {"plan":["Upgrade to add more packages!"]}. Zero
	// means no limit.
	MaxPackages int
	// QuotaSpent makes the server answer downloads with 429, text/html,
	// "Bandwidth or Storage Limit Exceeded".
	QuotaSpent bool
	// PaymentRequired makes the server answer 402 {"error":["payment
	// required"]} to uploads, and to downloads from private repositories.
	PaymentRequired bool
}

// Server is a running packagecloud server. Its methods are safe for concurrent
// use.
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

	mu         sync.Mutex // guards the fields below
	plan       Plan
	tokens     map[string]bool // valid API tokens
	token      string          // the newest API token
	signingKey []byte
	repos      []*repository
	blobs      map[string]*blob // by the id in a signed URL
	lastID     int
}

// NewServer starts a server on a free port of the loopback interface. It panics
// on failure, as httptest does. The caller must call Close. A nil opts means
// the zero value.
func NewServer(opts *Options) *Server {
	s, err := Start(opts, "127.0.0.1:0")
	if err != nil {
		panic("packagecloudtest: " + err.Error())
	}
	return s
}

// Start starts a server that listens on addr, such as "127.0.0.1:8080". It
// serves downloads from a second port, which the system picks. A nil opts means
// the zero value.
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

// listen opens both listeners, makes the spool and the certificate, and starts
// to serve.
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
// packages. Further calls do nothing. A fault's Then must not call it.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		s.close()
		for _, server := range s.servers {
			server.Close()
		}
		s.serving.Wait()
		s.handlers.Lock() // waits until every request has ended
		defer s.handlers.Unlock()
		s.client.CloseIdleConnections()
		s.spool.remove()
	})
}

// Client returns an HTTP client that trusts the certificates of both hosts. It
// holds no credential. Close ends its idle connections.
func (s *Server) Client() *http.Client { return s.client }

// CertPEM returns the certificate of the authority that signed the certificates
// of both hosts, as PEM. It returns nil without TLS.
func (s *Server) CertPEM() []byte { return s.certPEM }

// SetPlan changes the owner's plan.
func (s *Server) SetPlan(p Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan = p
}

// nextID returns a new id. The caller holds s.mu.
func (s *Server) nextID() int {
	s.lastID++
	return s.lastID
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// randomToken returns a token in the service's form: 48 hexadecimal digits.
func randomToken() string { return hex.EncodeToString(randomBytes(24)) }

// now returns the time with the service's precision: UTC, in milliseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func timestamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }
