package packagecloud_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// calls has each method that sends requests, in the ways that make it send
// others. A method that isn't here fails TestCanary_KnowsEveryMethod.
var calls = map[string]func(*bird) error{
	"Client.CreateRepository": func(b *bird) error {
		return second(b.client.CreateRepository(b.ctx, "new", nil))
	},
	"Client.Check": func(b *bird) error { return b.client.Check(b.ctx) },
	"Client.Do": func(b *bird) error {
		var out map[string]any
		_, err := b.client.Do(b.ctx, packagecloud.Call{Method: "POST", Path: "/api/v1/repos/acme/main/master_tokens", Form: url.Values{"master_token[name]": {"ci"}}}, &out)
		return err
	},
	"Client.Do of any answer": func(b *bird) error {
		var out []byte
		return second(b.client.Do(b.ctx, packagecloud.Call{Path: "/api/v1/repos/acme/main/gpg_keys.json"}, &out))
	},
	"Client.Distributions": func(b *bird) error { return second(b.client.Distributions(b.ctx)) },
	"Client.Repositories": func(b *bird) error {
		for info, err := range b.client.Repositories(b.ctx, nil) {
			b.returned(info)
			if err != nil {
				return err
			}
		}
		return nil
	},
	"Repository.Delete":   func(b *bird) error { return b.repo.Delete(b.ctx, b.pkg) },
	"Repository.Download": func(b *bird) error { return b.repo.Download(b.ctx, b.pkg, io.Discard, nil) },
	"Repository.Download of a name": func(b *bird) error {
		return b.repo.Download(b.ctx, &packagecloud.Package{Distribution: "ubuntu/jammy", Filename: demo}, io.Discard, nil)
	},
	"Repository.Download with a read token": func(b *bird) error {
		return b.repo.Download(b.ctx, b.pkg, io.Discard, &packagecloud.DownloadOptions{ReadToken: tokensource.Static(b.readToken)})
	},
	"Repository.DownloadFile": func(b *bird) error {
		return b.repo.DownloadFile(b.ctx, b.pkg, filepath.Join(b.t.TempDir(), demo), nil)
	},
	"Repository.Find": func(b *bird) error {
		pkg, err := b.repo.Find(b.ctx, "ubuntu/jammy", demo)
		b.returned(pkg)
		return err
	},
	"Repository.Info": func(b *bird) error {
		info, err := b.repo.Info(b.ctx)
		b.returned(info)
		return err
	},
	"Repository.Package": func(b *bird) error {
		pkg, err := b.repo.Package(b.ctx, b.pkg)
		b.returned(pkg)
		return err
	},
	"Repository.Packages": func(b *bird) error {
		return b.drain(b.repo.Packages(b.ctx, &packagecloud.ListOptions{PerPage: 1}))
	},
	"Repository.Promote": func(b *bird) error {
		pkg, err := b.repo.Promote(b.ctx, b.pkg, b.client.Repository("acme", "stable"))
		b.returned(pkg)
		return err
	},
	"Repository.Search": func(b *bird) error {
		return b.drain(b.repo.Search(b.ctx, &packagecloud.SearchOptions{Query: "demo"}))
	},
	"Repository.Upload": func(b *bird) error {
		pkg, err := b.repo.Upload(b.ctx, packagecloud.Bytes("more_1.0_amd64.deb", []byte("not read by anyone")), jammy)
		b.returned(pkg)
		return err
	},
	"Repository.Upload of what can be read once": func(b *bird) error {
		return second(b.repo.Upload(b.ctx, packagecloud.Reader("more_1.0_amd64.deb", strings.NewReader("once"), 4), jammy))
	},
	"Repository.Upload that skips": func(b *bird) error {
		return second(b.repo.Upload(b.ctx, packagecloud.Bytes(demo, []byte("demo")), &packagecloud.UploadOptions{Distribution: "ubuntu/jammy", IfExists: packagecloud.Skip}))
	},
	"Repository.Upload that replaces": func(b *bird) error {
		return second(b.repo.Upload(b.ctx, packagecloud.Bytes(demo, []byte("newer")), &packagecloud.UploadOptions{Distribution: "ubuntu/jammy", IfExists: packagecloud.Replace}))
	},
	"Repository.Versions": func(b *bird) error { return b.drain(b.repo.Versions(b.ctx, b.pkg)) },
	"Transport.RoundTrip": func(b *bird) error {
		transport, err := packagecloud.NewTransport(b.source(), packagecloud.WithBaseURL(b.srv.URL), packagecloud.WithLogger(b.logger()), packagecloud.WithHTTPClient(&http.Client{Transport: b}))
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(b.ctx, "GET", b.srv.URL+"/api/v1/repos.json", nil)
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		// What the body gives comes from below, and isn't ours.
		return resp.Body.Close()
	},
}

// asksNothing are the methods that send no request.
var asksNothing = []string{"Client.Repository", "Client.String", "Client.Format", "Repository.String", "Transport.String", "Transport.Format"}

// Guarantee G1.
func TestCanary_KnowsEveryMethod(t *testing.T) {
	driven := map[string]bool{}
	for name := range calls {
		method, _, _ := strings.Cut(name, " ")
		driven[method] = true
	}
	for _, v := range []any{&packagecloud.Client{}, &packagecloud.Repository{}, &packagecloud.Transport{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumMethod() {
			name := typ.Elem().Name() + "." + typ.Method(i).Name
			if driven[name] == slices.Contains(asksNothing, name) {
				t.Errorf("%s is to be among the calls, or among what asks nothing", name)
			}
			delete(driven, name)
		}
	}
	for name := range driven {
		t.Errorf("there is no method %s", name)
	}
}

// bird is a client in a mine: its requests go through RoundTrip, which looks for
// secrets where none belong, and lets one of them meet a fault.
type bird struct {
	*fixture
	t         *testing.T
	ctx       context.Context
	pkg       *packagecloud.Package
	readToken string // in the package's download_url
	events    tokensourcetest.Recorder

	mu    sync.Mutex
	sent  int
	at    int // which request meets the fault
	fault func(*http.Request, *http.Response) (*http.Response, error)
}

func (b *bird) source() tokensource.TokenSource {
	return tokensource.Static(b.srv.Token())
}

// hatch makes a client with a cache, a debug logger and a hook, and a private
// repository with two packages.
func hatch(t *testing.T) *bird {
	b := &bird{t: t, at: -1}
	b.fixture = setupServer(t, nil, func(srv *packagecloudtest.Server) tokensource.TokenSource {
		cache, err := tokensource.Cache(tokensource.Static(srv.Token()), tokensource.CacheOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return cache
	}, packagecloud.WithHTTPClient(&http.Client{Transport: b}), packagecloud.WithRotationWait(0))
	b.srv.CreateRepository("stable", true)
	b.add(t, "ubuntu/jammy", "other_1.0_amd64.deb", []byte("other"))
	b.pkg = b.add(t, "ubuntu/jammy", demo, []byte("demo"))
	u, err := url.Parse(b.pkg.DownloadURL.Reveal())
	if err != nil || u.User.Username() == "" {
		t.Fatalf("the address of a private package has no read token: %v", err)
	}
	b.readToken = b.canary.add(u.User.Username())
	b.ctx = tokensource.WithHook(t.Context(), b.events.Record)
	b.sent = 0
	return b
}

// RoundTrip sends a request, and lets its answer meet the fault if it is its turn.
func (b *bird) RoundTrip(r *http.Request) (*http.Response, error) {
	b.inspect(r)
	b.mu.Lock()
	turn := b.sent == b.at
	b.sent++
	b.mu.Unlock()
	resp, err := b.srv.Client().Transport.RoundTrip(r)
	if err == nil {
		if signature := signed(resp); signature != "" {
			b.canary.add(signature)
		}
		if turn {
			return b.fault(r, resp)
		}
	}
	return resp, err
}

// signed returns the signature of the address that a download is redirected to.
func signed(resp *http.Response) string {
	to, err := resp.Location()
	if err != nil {
		return ""
	}
	return to.Query().Get("Signature")
}

// inspect fails the test if a request has a credential elsewhere than in the
// Authorization header of the one server, or another one than belongs there.
func (b *bird) inspect(r *http.Request) {
	user, password, _ := r.BasicAuth()
	toServer := r.URL.Scheme+"://"+r.URL.Host == b.srv.URL
	download := strings.Contains(r.URL.Path, "/download")
	switch user {
	case "":
		if r.Header.Get("Authorization") != "" {
			b.t.Errorf("%s %s carries an Authorization that isn't Basic, or without a token", r.Method, r.URL.Path)
		}
	case b.srv.Token():
		if !toServer {
			b.t.Errorf("the API token is sent to %s", r.URL.Host)
		}
	case b.readToken:
		if !toServer || !download && !strings.HasPrefix(r.URL.Path, toldPath) {
			b.t.Errorf("the read token is sent with %s to %s%s", r.Method, r.URL.Host, r.URL.Path)
		}
	default:
		b.t.Errorf("%s %s carries an unknown credential", r.Method, r.URL.Path)
	}
	if password != "" {
		b.t.Errorf("%s %s carries a password", r.Method, r.URL.Path)
	}
	if strings.HasPrefix(r.URL.Path, toldPath) {
		return // the server itself has put it there
	}
	rest := r.Header.Clone()
	rest.Del("Authorization")
	var sent bytes.Buffer
	fmt.Fprint(&sent, r.Method, " ", r.URL.String(), " ", r.Host, " ", rest, " ", r.Trailer)
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the row's own fault
		}
		r.Body.Close()
		r.Body = io.NopCloser(bytes.NewReader(body))
		sent.Write(body)
	}
	// The signature is sent where the signed address leads, and nowhere else.
	if how := tokensourcetest.FindSecret(sent.String(), b.srv.Token(), b.readToken); how != "" {
		b.t.Errorf("%s %s carries a credential besides its Authorization: %s", r.Method, r.URL.Path, how)
	}
}

// returned fails the test if what a method returned shows a secret.
func (b *bird) returned(v any) { b.clean(b.t, v) }

func (b *bird) drain(packages func(func(*packagecloud.Package, error) bool)) error {
	for pkg, err := range packages {
		if pkg != nil {
			b.returned(pkg)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// carried returns what a hostile or careless server or proxy knows of a request:
// its credential, as it came and decoded, and the address, or else words.
func carried(r *http.Request) []string {
	user, _, _ := r.BasicAuth()
	if user == "" {
		return []string{"no credential", r.URL.String()}
	}
	return []string{user, r.Header.Get("Authorization"), user + ":", fmt.Sprintf("%x", user), url.QueryEscape(user + ":"), base64.URLEncoding.EncodeToString([]byte(user))}
}

// dump is a request as debugging transports and pages print it.
func dump(r *http.Request) string {
	return fmt.Sprintf("%s %s\nAuthorization: %s\n%s", r.Method, r.URL, r.Header.Get("Authorization"), strings.Join(carried(r), "\n"))
}

// bodies are the forms in which an answer repeats what the request carried.
var bodies = map[string]func(r *http.Request) (contentType, body string){
	"JSON": func(r *http.Request) (string, string) {
		fields := map[string]any{"error": carried(r)[0], "list": carried(r)}
		for i, s := range carried(r) {
			fields[s] = []any{s, map[string]string{"nested": s}, i}
		}
		b, _ := json.Marshal(fields)
		return "application/json", string(b)
	},
	"a page": func(r *http.Request) (string, string) {
		return "text/html; charset=utf-8", "<html><body><pre>" + html.EscapeString(dump(r)) + "</pre></body></html>"
	},
	// Where a text is cut, half a token must not stay.
	"a long text": func(r *http.Request) (string, string) {
		b, _ := json.Marshal(map[string]string{"error": strings.Repeat("x", 480) + carried(r)[0], "more": strings.Repeat("y", 64<<10-520) + strings.Join(carried(r), " ")})
		return "application/json", string(b)
	},
	"a Content-Type": func(r *http.Request) (string, string) {
		return strings.Join(carried(r), ";"), strings.Join(carried(r), ",")
	},
	"nothing": func(*http.Request) (string, string) { return "", "" },
}

// echo answers with a status, and repeats what the request carried in the body
// and in each header that the client reads.
func echo(status int, form string) func(*http.Request, *http.Response) (*http.Response, error) {
	return func(r *http.Request, real *http.Response) (*http.Response, error) {
		real.Body.Close()
		contentType, body := bodies[form](r)
		resp := reply(r, status, body)
		resp.Header.Set("Content-Type", contentType)
		said := carried(r)[0]
		for _, name := range []string{"Retry-After", "ETag", "Content-Range", "Total", "Per-Page", "Max-Per-Page", "WWW-Authenticate", "Set-Cookie", "X-Request-Id", "Server"} {
			resp.Header.Set(name, strconv.Quote(said))
		}
		resp.Header.Set("Link", `<https://`+said+`@elsewhere.example/?q=`+said+`>; rel="next"`)
		return resp, nil
	}
}

// toldPath is where redirects lead that have a credential in their address.
const toldPath = "/told/"

// redirectTo leads to an address made of what the request carried.
func redirectTo(status int, address func(b *bird, said string) string) func(*bird) func(*http.Request, *http.Response) (*http.Response, error) {
	return func(b *bird) func(*http.Request, *http.Response) (*http.Response, error) {
		return func(r *http.Request, real *http.Response) (*http.Response, error) {
			real.Body.Close()
			resp := reply(r, status, dump(r))
			resp.Header.Set("Location", address(b, carried(r)[0]))
			return resp, nil
		}
	}
}

// talkative is an error of a transport that knows too much, as those that dump
// requests do.
type talkative struct {
	Authorization, URL string
	Cause              error
}

func (e *talkative) Error() string { return e.Authorization + " " + e.URL + ": " + e.Cause.Error() }
func (e *talkative) Unwrap() error { return e.Cause }

// refuse ends a request with an error that says all of it.
func refuse(cause func(r *http.Request) error) func(*bird) func(*http.Request, *http.Response) (*http.Response, error) {
	return func(*bird) func(*http.Request, *http.Response) (*http.Response, error) {
		return func(r *http.Request, real *http.Response) (*http.Response, error) {
			real.Body.Close()
			return nil, cause(r)
		}
	}
}

// breaking is a body that gives some of what it has, and then an error.
type breaking struct {
	io.Reader
	io.Closer
	err error
}

func (b *breaking) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

// plagues are the faults, by name. Each acts once, on any request of a call.
func plagues() map[string]func(*bird) func(*http.Request, *http.Response) (*http.Response, error) {
	all := map[string]func(*bird) func(*http.Request, *http.Response) (*http.Response, error){
		"a redirect with the token elsewhere": redirectTo(302, func(_ *bird, said string) string {
			return "https://" + said + "@elsewhere.example" + toldPath + "?q=" + said
		}),
		"a redirect with the token back":    redirectTo(307, func(b *bird, said string) string { return toldPath + said + "?q=" + said }),
		"a redirect to another scheme":      redirectTo(303, func(_ *bird, said string) string { return said + "://elsewhere.example/" }),
		"a redirect to a malformed address": redirectTo(301, func(_ *bird, said string) string { return "http://[" + said + "/%zz" }),
		"a redirect to itself":              redirectTo(308, func(b *bird, said string) string { return "" }),

		"an error that says the request": refuse(func(r *http.Request) error { return errors.New(dump(r)) }),
		"an error that holds the request": refuse(func(r *http.Request) error {
			return fmt.Errorf("proxy: %w", &talkative{r.Header.Get("Authorization"), r.URL.String(), io.ErrUnexpectedEOF})
		}),
		"a url.Error": refuse(func(r *http.Request) error {
			return &url.Error{Op: dump(r), URL: r.URL.String() + "#" + carried(r)[0], Err: errors.Join(errors.New(dump(r)), io.ErrUnexpectedEOF)}
		}),
		"a wrapped url.Error": refuse(func(r *http.Request) error {
			return fmt.Errorf("%s: %w", dump(r), &url.Error{Op: "Get", URL: r.URL.String(), Err: io.ErrUnexpectedEOF})
		}),
		"a body that breaks off": func(*bird) func(*http.Request, *http.Response) (*http.Response, error) {
			return func(r *http.Request, real *http.Response) (*http.Response, error) {
				real.Body = &breaking{io.LimitReader(real.Body, 2), real.Body, errors.New(dump(r))}
				return real, nil
			}
		},
		"an answer that isn't meant": func(*bird) func(*http.Request, *http.Response) (*http.Response, error) {
			return func(r *http.Request, real *http.Response) (*http.Response, error) {
				real.Body = &breaking{strings.NewReader(`{"` + carried(r)[0]), real.Body, io.EOF}
				real.Header.Set("Content-Type", carried(r)[0])
				return real, nil
			}
		},
		"a caller that leaves": func(b *bird) func(*http.Request, *http.Response) (*http.Response, error) {
			return func(r *http.Request, real *http.Response) (*http.Response, error) {
				real.Body.Close()
				return nil, errors.Join(errors.New(dump(r)), context.Canceled)
			}
		},
		"nothing at all": func(*bird) func(*http.Request, *http.Response) (*http.Response, error) {
			return func(*http.Request, *http.Response) (*http.Response, error) { return nil, nil }
		},
		"a rotation": func(b *bird) func(*http.Request, *http.Response) (*http.Response, error) {
			return func(r *http.Request, real *http.Response) (*http.Response, error) {
				real.Body.Close()
				b.srv.RevokeToken(b.srv.Token())
				return echo(401, "JSON")(r, real)
			}
		},
	}
	for _, status := range []int{200, 201, 204, 206, 300, 304, 400, 401, 402, 403, 404, 408, 409, 416, 422, 429, 500, 502, 503} {
		for form := range bodies {
			if testing.Short() && form != "JSON" {
				continue
			}
			all[fmt.Sprintf("%d with %s", status, form)] = func(*bird) func(*http.Request, *http.Response) (*http.Response, error) {
				return echo(status, form)
			}
		}
	}
	return all
}

// Every method meets every fault at each of its requests, and neither an error,
// the log, an event nor a value shows a credential; nor is one sent where it
// doesn't belong.
//
// Guarantee G1.
func TestCanary_EveryMethodThroughEveryFault(t *testing.T) {
	faults := plagues()
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, plague := range slices.Sorted(maps.Keys(faults)) {
				met := false
				for at := 0; ; at++ {
					b := hatch(t)
					b.at, b.fault = at, faults[plague](b)
					err := calls[name](b)
					if b.sent <= at {
						break // all requests have met it
					}
					met = true
					if err != nil {
						b.clean(t, err)
						if e, ok := errors.AsType[*packagecloud.Error](err); ok {
							if how := tokensourcetest.FindSecret(string(e.Body()), b.secrets...); how != "" {
								t.Errorf("the body of the error leaks: %s", how)
							}
						}
					}
					for _, e := range b.events.Events() {
						b.clean(t, e)
					}
					if t.Failed() {
						t.Fatalf("after %s at request %d", plague, at+1)
					}
					b.srv.Close()
				}
				if !met {
					t.Fatalf("%s sent no request", name)
				}
			}
		})
	}
}
