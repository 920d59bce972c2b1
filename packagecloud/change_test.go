package packagecloud_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// noSuccesses are bodies that come with 200 and are no success of any call.
var noSuccesses = []string{
	`{"message":"please log in"}`, `{"status":"error"}`, `{"errors":{"base":["x"]}}`, `{"error":{"code":1}}`, `{"error":"denied"}`, `{"errors":["denied"]}`,
	`false`, `true`, `null`, `0`, `"done"`, `[]`, `[{}]`, `[[]]`, "<html>please log in</html>", "OK", `{"name":"portal","message":"please log in"}`, `{"a":`, "\ufeff{}",
}

// Guarantee A5.
func TestAnswers_SuccessOfAnotherFormIsNone(t *testing.T) {
	for _, body := range append(noSuccesses, "", "{}") {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		repo, ctx := client.Repository("acme", "main"), t.Context()
		pkg := &packagecloud.Package{Distribution: "ubuntu/jammy", Filename: demo, PackageURL: "/api/v1/x.json"}
		for name, do := range map[string]func() error{
			"info":          func() error { return second(repo.Info(ctx)) },
			"distributions": func() error { return second(client.Distributions(ctx)) },
			"package":       func() error { return second(repo.Package(ctx, pkg)) },
			"creation":      func() error { return second(client.CreateRepository(ctx, "new", nil)) },
			"promotion":     func() error { return second(repo.Promote(ctx, pkg, client.Repository("acme", "stable"))) },
			"deletion":      func() error { return repo.Delete(ctx, pkg) },
		} {
			err := do()
			switch empty := body == "" || body == "{}"; {
			case name == "deletion" && (empty || body == "[]"): // an empty list has no package
				if err != nil {
					t.Errorf("%s: %s: %v", name, body, err)
				}
			case err == nil:
				t.Errorf("%s: %s is taken for success", name, body)
			case strings.Contains(err.Error(), "log in"):
				t.Errorf("%s: the error quotes the page: %v", name, err)
			}
		}
	}
}

// A change whose answer tells nothing is done when a look says so.
// Guarantee A5.
func TestChange_IsSettledByALook(t *testing.T) {
	for _, done := range []bool{true, false} {
		for _, body := range noSuccesses {
			f := setup(t)
			f.srv.CreateRepository("stable", true)
			gone, moved := f.add(t, "ubuntu/jammy", demo, []byte("x")), f.add(t, "ubuntu/jammy", "moved_1_amd64.deb", []byte("y"))
			// The transport lets the server do the work, or not, and replaces the answer.
			client := newClient(t, source(f.srv.Token), packagecloud.WithBaseURL(f.srv.URL), packagecloud.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodGet {
					return http.DefaultTransport.RoundTrip(r)
				}
				if done {
					resp, err := http.DefaultTransport.RoundTrip(r)
					if err != nil {
						return nil, err
					}
					resp.Body.Close()
				}
				return reply(r, 200, body), nil
			})}))
			repo, stable := client.Repository("acme", "main"), client.Repository("acme", "stable")
			address, created := client.CreateRepository(t.Context(), "new", nil)
			pkg, promoted := repo.Promote(t.Context(), moved, stable)
			for name, err := range map[string]error{"deletion": repo.Delete(t.Context(), gone), "promotion": promoted, "creation": created} {
				if (err == nil) != done || errors.Is(err, packagecloud.ErrUnknownOutcome) {
					t.Errorf("%s, done %t, answered %s: %v", name, done, body, err)
				}
			}
			if done && (address != f.srv.URL+"/acme/new" || pkg.Filename != moved.Filename || pkg.Repository != "stable") {
				t.Errorf("answered %s: the repository is at %q, the package %+v", body, address, pkg)
			}
		}
	}
}

// A package that somebody else uploaded in the place of the deleted one stays.
func TestDelete_LeavesWhatCameInThePlaceOfThePackage(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "ubuntu/jammy", demo, []byte("x"))
	f.srv.Inject(packagecloudtest.Fault{Method: "DELETE", LoseAnswer: true})
	f.srv.Inject(packagecloudtest.Fault{Method: "GET", Then: func(s *packagecloudtest.Server) {
		if err := s.AddPackage("main", "ubuntu/jammy", demo, []byte("newer")); err != nil {
			t.Error(err)
		}
	}})
	if err := f.repo.Delete(t.Context(), pkg); err != nil || len(f.requests("DELETE")) != 1 {
		t.Errorf("%d deletions: %v", len(f.requests("DELETE")), err)
	}
	f.stored(t, 1)
}

func TestCreateRepository_LostAnswerIsLookedUp(t *testing.T) {
	f := setup(t)
	lost := packagecloudtest.Fault{Method: "POST", LoseAnswer: true}
	f.srv.Inject(lost)
	if address, err := f.client.CreateRepository(t.Context(), "new", nil); err != nil || address != f.srv.URL+"/acme/new" {
		t.Errorf("%q, %v", address, err)
	}
	f.want(t, second(f.client.CreateRepository(t.Context(), "new", nil)), packagecloud.ErrExists)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", Reset: true})
	f.want(t, second(f.client.CreateRepository(t.Context(), "other", nil)), packagecloud.ErrUnknownOutcome)

	// One that was there before isn't what the lost request made.
	for created, want := range map[string]error{`"2020-01-01T00:00:00.000Z"`: packagecloud.ErrExists, "null": packagecloud.ErrUnknownOutcome} {
		client := serveRoundTrip(t, func(r *http.Request) (*http.Response, error) {
			resp := reply(r, 200, `[{"name":"main","fqname":"acme/main"}]`)
			switch {
			case r.Method == http.MethodPost:
				return nil, errors.New("connection reset")
			case strings.HasSuffix(r.URL.Path, "/new.json"):
				resp = reply(r, 200, `{"name":"new","fqname":"acme/new","created_at":`+created+`}`)
			}
			resp.Header.Set("Date", "Fri, 02 Jan 2026 03:05:05 GMT")
			return resp, nil
		})
		if _, err := client.CreateRepository(t.Context(), "new", nil); !errors.Is(err, want) {
			t.Errorf("created %s: %v; want %v", created, err, want)
		}
	}
}

// Guarantee A1.
func TestChange_AddressStaysInTheRepository(t *testing.T) {
	const rest = "/ubuntu/jammy/" + demo
	for _, below := range []string{"", "/packages"} {
		var asked []string
		_, _, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Method+" "+r.RequestURI)
			if r.Method == http.MethodPost {
				fmt.Fprintf(w, `{"filename":%q}`, demo)
			}
		})
		client := newClient(t, source(func() string { return fakeToken }), packagecloud.WithBaseURL(ts.URL+below))
		repo := client.Repository("acme", "main")
		for address, follow := range map[string]string{
			"/api/v1/repos/acme/main" + rest:                                            "/api/v1/repos/acme/main" + rest,
			"/api/v1/repos/Acme/MAIN" + rest:                                            "/api/v1/repos/Acme/MAIN" + rest,
			ts.URL + below + "/api/v1/repos/acme/main" + rest:                           "/api/v1/repos/acme/main" + rest,
			"http://user:pass@" + ts.URL[7:] + below + "/api/v1/repos/acme/main" + rest: "/api/v1/repos/acme/main" + rest,
			"/api/v1/repos/acme/main/node/1/x.tgz?scope=%40acme":                        "/api/v1/repos/acme/main/node/1/x.tgz?scope=%40acme",
			"/api/v1/repos/acme/main/gems/x.gem":                                        "/api/v1/repos/acme/main/gems/x.gem",
			"/api/v1/repos/acme/main/java/maven2/com.acme/x-1.0%2B1.jar":                "/api/v1/repos/acme/main/java/maven2/com.acme/x-1.0%2B1.jar",

			"/my-index": "", ts.URL + "/my-index": "", "http://127.0.0.1:1/my-index": "", "/": "", "?x": "", "#x": "",
			"http://127.0.0.1:1/api/v1/repos/acme/main" + rest:         "",
			"https://" + ts.URL[7:] + "/api/v1/repos/acme/main" + rest: "",
			"//evil.example/api/v1/repos/acme/main" + rest:             "",
			"///api/v1/repos/acme/main" + rest:                         "",
			"mailto:x@example.com":                                     "",
			"/api/v1//repos/other" + rest:                              "",
			"/api/v1//repos/acme/main" + rest:                          "",
			"/api/v1/repos//acme/main" + rest:                          "",
			"/api/v1/repos/acme//main" + rest:                          "",
			"/api/v1/repos/acme/main/" + rest:                          "",
			"/api/v1/repos/acme/main" + rest + "/":                     "",
			"//api/v1/repos/acme/main" + rest:                          "",
			"/API/V1/repos/acme/main" + rest:                           "",
			"/api/v1/repos/acme/other" + rest:                          "",
			"/api/v1/repos/evil/main" + rest:                           "",
			"/api/v1/repos/acme/main2" + rest:                          "",
			"/api/v1/repos/acme/main/../other" + rest:                  "",
			"/api/v1/repos/acme/main/%2e%2e/other" + rest:              "",
			"/api/v1/repos/acme/main/.%2E/other" + rest:                "",
			"/api/v1/repos/acme/main/%252e%252e/other" + rest:          "",
			"/api/v1/repos/acme/main/..%2fother" + rest:                "",
			"/api/v1/repos/acme/main/..%252fother" + rest:              "",
			"/api/v1/repos/acme/main/..;/other" + rest:                 "",
			"/api/v1/repos/acme/main/..;x=y/other" + rest:              "",
			`/api/v1/repos/acme/main/..\other` + rest:                  "",
			"/api/v1/repos/acme/main/..%5cother" + rest:                "",
			"/api/v1/repos/acme%2fmain/x" + rest:                       "",
			"/api/v1/repos/acme/main%2f.." + rest:                      "",
			"/api/v1/repos/acme/main%00" + rest:                        "",
			"/api/v1/repos/acme/main/ubuntu/jammy/%0d%0ax":             "",
			"/api/v1/repos/acme/main":                                  "",
			"/api/v1/repos/acme/main.json":                             "",
			"/api/v1/repos/acme/main/x":                                "",
			"/api/v1/repos/acme/main/master_tokens/1":                  "",
			"/api/v1/repos/acme/main/Master_Tokens/1":                  "",
			"/api/v1/repos/acme/main/master_tokens/1/read_tokens/2":    "",
			"/api/v1/repos/acme/main/gpg_keys/x.json":                  "",
			"/api/v1/repos/acme/main" + rest + "?destination=evil/x":   "",
			"/api/v1/repos/acme/main" + rest + "?_method=delete":       "",
			"/api/v1/repos/acme/main" + rest + "?scope=@a&scope=@b":    "",
			"/api/v1/repos/acme/main" + rest + "?scope[]=@a":           "",
			"/api/v1/repos/acme/main" + rest + "?a;b":                  "",
			"/api/v1/repos/acme/main" + rest + "?%zz":                  "",
		} {
			pkg := &packagecloud.Package{Distribution: "ubuntu/jammy", Filename: demo, DestroyURL: address, PromoteURL: address}
			for method, err := range map[string]error{
				"DELETE": repo.Delete(t.Context(), pkg), "POST": second(repo.Promote(t.Context(), pkg, client.Repository("acme", "stable"))),
			} {
				want := method + " " + below + follow
				if follow == "" && (err == nil || len(asked) > 0) || follow != "" && (err != nil || len(asked) != 2 || asked[0] != want && asked[1] != want) {
					t.Errorf("%s of %s: it sent %q: %v", method, address, asked, err)
				}
			}
			asked = nil
		}
	}
}

// A file whose own name looks escaped can be deleted.
func TestDelete_FileNameMayLookEscaped(t *testing.T) {
	f := setup(t)
	pkg := f.add(t, "anyfile/1", "a%2Fb-1.0.bin", []byte("x"))
	if err := f.repo.Delete(t.Context(), pkg); err != nil {
		t.Error(err)
	}
	f.stored(t, 0)
}

// Guarantee U3.
func TestDelete_RefusesThePackageOfAnotherRepository(t *testing.T) {
	f := setup(t)
	f.srv.CreateRepository("other", false)
	f.add(t, "ubuntu/jammy", demo, []byte("content"))
	pkg, err := f.repo.Find(t.Context(), "ubuntu/jammy", demo)
	if err != nil {
		t.Fatal(err)
	}
	other := f.client.Repository("acme", "other")
	if err := other.Delete(t.Context(), pkg); err == nil || !strings.Contains(err.Error(), "acme/main") {
		t.Errorf("deleting it gave %v", err)
	}
	if _, err := other.Promote(t.Context(), pkg, f.client.Repository("acme", "third")); err == nil {
		t.Error("promoting it succeeded")
	}
	f.stored(t, 1)
}
