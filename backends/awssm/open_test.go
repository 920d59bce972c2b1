package awssm_test

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// machine gives the test a machine on which nothing of AWS is configured but
// what env says.
func machine(t *testing.T, env map[string]string) {
	t.Helper()
	for _, e := range os.Environ() {
		if key, _, _ := strings.Cut(e, "="); strings.HasPrefix(key, "AWS_") {
			t.Setenv(key, "") // which has the old value restored
			os.Unsetenv(key)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for key, value := range env {
		t.Setenv(key, value)
	}
}

// static are credentials, as the environment gives them.
var static = map[string]string{"AWS_ACCESS_KEY_ID": "AKIACANARY", "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": session}

func TestOpen_TakesRegionFromOptionARNOrEnvironment(t *testing.T) {
	const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:s-AbCdEf"
	for _, test := range []struct{ option, id, env, want string }{
		{"us-east-2", arn, "eu-north-1", "us-east-2"},
		{"", arn, "eu-north-1", "eu-central-1"},
		{"", "s", "eu-north-1", "eu-north-1"},
	} {
		machine(t, static)
		t.Setenv("AWS_REGION", test.env)
		var scope atomic.Value
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			scope.Store(r.Header.Get("Authorization"))
			answer(w)
		})
		s := must(awssm.Open(t.Context(), test.id, awssm.Options{Region: test.option, Endpoint: url}))
		tok, err := s.Token(t.Context())
		holds(t, tok, err, secret)
		if got, _ := scope.Load().(string); !strings.Contains(got, "/"+test.want+"/secretsmanager/") {
			t.Errorf("%+v: the request was signed for another region", test)
		}
	}
}

func TestOpen_ReadsFromARealServer(t *testing.T) {
	m := startMoto(t)
	machine(t, static)
	m.create("prod/packagecloud", `{"token":"`+secret+`"}`)
	s := must(awssm.Open(t.Context(), "prod/packagecloud", awssm.Options{Region: region, Endpoint: m.url, Field: "token"}))
	tok, err := s.Token(t.Context())
	holds(t, tok, err, secret)
	if want := "awssm:prod/packagecloud?endpoint=" + m.url + "&region=eu-west-1#token"; s.String() != want {
		t.Errorf("String %q, want %q", s, want)
	}
}

// The role may what its user may not.
//
// Guarantee B4.
func TestOpen_AssumesTheRole(t *testing.T) {
	m := startMoto(t, "INITIAL_NO_AUTH_ACTION_COUNT=6")
	m.create("s", secret)
	id, key := m.user("u", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`)
	role := m.role("reader", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`)
	machine(t, map[string]string{"AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": key, "AWS_ENDPOINT_URL_STS": m.url})
	options := awssm.Options{Region: region, Endpoint: m.url}

	_, err := must(awssm.Open(t.Context(), "s", options)).Token(t.Context())
	fails(t, err, tokensource.ErrDenied, "HTTP 403")

	options.RoleARN = role
	tok, err := must(awssm.Open(t.Context(), "s", options)).Token(t.Context())
	holds(t, tok, err, secret)

	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	_, err = must(awssm.Open(t.Context(), "s", options)).Token(t.Context())
	fails(t, err, tokensource.ErrDenied, "assuming the role")
}

func TestOpen_SaysHowCredentialsFailed(t *testing.T) {
	metadata := func(status int) func(t *testing.T) string {
		return func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "PUT" {
					w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
					w.Write([]byte(session))
					return
				}
				w.WriteHeader(status)
			})
		}
	}
	for _, test := range []struct {
		name   string
		region string
		env    map[string]string
		server func(*testing.T) string // of instance metadata
		kind   error
		says   string
	}{
		{"nothing", "", nil, nil, tokensource.ErrNotFound, "no AWS region"},
		{"region only", region, nil, nil, tokensource.ErrNotFound, "asking for the machine's role is disabled"},
		{"machine without a role", region, nil, metadata(404), tokensource.ErrNotFound, "the machine has no role"},
		{"metadata service fails", region, nil, metadata(500), tokensource.ErrUnavailable, "metadata service didn't answer"},
		{"metadata service is down", region, nil, func(*testing.T) string { return "http://127.0.0.1:1" }, tokensource.ErrUnavailable, "metadata service didn't answer"},
		{"credential process fails", region, map[string]string{"AWS_PROFILE": "process"}, nil, tokensource.ErrUnavailable, "credential process"},
		{"signed out", region, map[string]string{"AWS_PROFILE": "sso"}, nil, tokensource.ErrDenied, "aws sso login"},
	} {
		t.Run(test.name, func(t *testing.T) {
			machine(t, test.env)
			config := filepath.Join(t.TempDir(), "config")
			t.Setenv("AWS_CONFIG_FILE", config)
			t.Setenv("HOME", t.TempDir())
			os.WriteFile(config, []byte("[profile process]\ncredential_process = sh -c 'echo "+secretKey+"; exit 1'\n"+
				"[profile sso]\nsso_start_url = https://x.invalid\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = r\n"), 0o600)
			if test.server != nil {
				t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
				t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", test.server(t))
			}
			s := must(awssm.Open(t.Context(), "s", awssm.Options{Region: test.region, Endpoint: "http://127.0.0.1:1"}))
			_, err := s.Token(t.Context())
			fails(t, err, test.kind, test.says)
		})
	}
}

// signedIn gives the test a machine on which somebody has used aws sso login, with
// the service at this address.
func signedIn(t *testing.T, service string) {
	t.Helper()
	home := t.TempDir()
	machine(t, map[string]string{"HOME": home, "AWS_CONFIG_FILE": filepath.Join(home, "config"), "AWS_ENDPOINT_URL_SSO": service, "AWS_MAX_ATTEMPTS": "1"})
	const start = "https://x.invalid/start"
	cache := filepath.Join(home, ".aws", "sso", "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(home, "config"):                                         "[default]\nsso_start_url = " + start + "\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = r\n",
		filepath.Join(cache, fmt.Sprintf("%x.json", sha1.Sum([]byte(start)))): `{"accessToken":"` + session + `","expiresAt":"2199-01-01T00:00:00Z"}`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// inContainer gives the test a machine that has its credentials from this address,
// as containers of ECS and EKS have.
func inContainer(t *testing.T, service string) {
	t.Helper()
	machine(t, map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": service + "/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN": session, "AWS_MAX_ATTEMPTS": "1"})
}

// A role that a sign-in or a container doesn't have is "not found" in the words of
// that service, which says nothing of the secret: no chain must fall through.
//
// Guarantee B4.
func TestOpen_CodesOfOtherServicesSayNothingOfTheSecret(t *testing.T) {
	for _, test := range []struct {
		code   string
		status int
		kind   error
		says   string
	}{
		{"ResourceNotFoundException", 404, tokensource.ErrInvalid, "the request for credentials was HTTP 404"},
		{"InvalidRequestException", 400, tokensource.ErrInvalid, "the request for credentials was HTTP 400"},
		{"AccessDeniedException", 400, tokensource.ErrDenied, "denied the request for credentials"},
		{"UnauthorizedException", 404, tokensource.ErrDenied, "refused the credentials"},
		{"TooManyRequestsException", 404, tokensource.ErrUnavailable, "rate of requests"},
		{"InternalServerException", 500, tokensource.ErrUnavailable, "the request for credentials was HTTP 500"},
		{"", 401, tokensource.ErrDenied, "the request for credentials was HTTP 401"},
		{"", 403, tokensource.ErrDenied, "the request for credentials was HTTP 403"},
		{"", 404, tokensource.ErrInvalid, "the request for credentials was HTTP 404"},
		{"", 503, tokensource.ErrUnavailable, "the request for credentials was HTTP 503"},
	} {
		for _, from := range []struct {
			name string
			set  func(t *testing.T, service string)
		}{{"sign-in", signedIn}, {"container", inContainer}} {
			t.Run(fmt.Sprint(from.name, " ", test.status, " ", test.code), func(t *testing.T) {
				service := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if test.code != "" {
						w.Header().Set("Content-Type", "application/json")
						w.Header().Set("X-Amzn-ErrorType", test.code)
					}
					w.WriteHeader(test.status)
					fmt.Fprintf(w, `{"code":%q,"message":%q}`, test.code, session)
				})
				from.set(t, service)
				s := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region, Endpoint: service}))
				_, err := s.Token(t.Context())
				fails(t, err, test.kind, test.says)
				if errors.Is(err, tokensource.ErrNotFound) {
					t.Error("it became ErrNotFound")
				}
				// So they do where the program has made the client.
				cfg := must(config.LoadDefaultConfig(t.Context(), config.WithRegion(region)))
				_, err = must(awssm.New(secretsmanager.NewFromConfig(cfg), "s", awssm.Options{})).Token(t.Context())
				fails(t, err, test.kind, test.says)
			})
		}
	}
}

// The SDK follows a redirect of those who give credentials, and net/http takes
// headers of theirs along that it doesn't know for secrets.
//
// Guarantee B4.
func TestOpen_FollowsNoRedirectOfThoseWhoGiveCredentials(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(t *testing.T, service string)
	}{
		{"sign-in", signedIn},
		{"container", inContainer},
		{"machine", func(t *testing.T, service string) {
			machine(t, map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": service})
		}},
		{"web identity", func(t *testing.T, service string) {
			machine(t, map[string]string{
				"AWS_ENDPOINT_URL_STS": service, "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
				"AWS_WEB_IDENTITY_TOKEN_FILE": writeFile(t, "jwt", webIdentity),
			})
		}},
	} {
		for _, status := range []int{302, 307} {
			t.Run(fmt.Sprint(test.name, " ", status), func(t *testing.T) {
				elsewhere := serve(t, func(_ http.ResponseWriter, r *http.Request) {
					t.Errorf("another host was asked %s %s, with %d headers", r.Method, r.URL.Path, len(r.Header))
				})
				service := serve(t, func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, strings.Replace(elsewhere, "127.0.0.1", "localhost", 1)+r.URL.Path, status)
				})
				test.set(t, service)
				t.Setenv("AWS_MAX_ATTEMPTS", "1")
				_, err := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region, Endpoint: service})).Token(t.Context())
				if !errors.Is(err, tokensource.ErrInvalid) && !errors.Is(err, tokensource.ErrUnavailable) {
					t.Errorf("error %v, want ErrInvalid or ErrUnavailable", err)
				}
				tokensourcetest.AssertNoSecret(t, err, secretKey, session, webIdentity)
			})
		}
	}
}

// The SDK takes the one for credentials, and ends the program where it misses them.
//
// Guarantee B4.
func TestOpen_WhoGivesCredentialsGivesNone(t *testing.T) {
	for answer, says := range map[string]string{"": "had none", "{}": "had none", `{"roleCredentials":null}`: "had none", "<html>" + session: "check the endpoint"} {
		signedIn(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(answer)) }))
		_, err := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region})).Token(t.Context())
		fails(t, err, tokensource.ErrUnavailable, says)
	}
	for answer, says := range map[string]string{"": "no answer", "{}": "had none", "null": "had none", "<html>" + session: "no answer"} {
		inContainer(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(answer)) }))
		_, err := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region})).Token(t.Context())
		fails(t, err, tokensource.ErrUnavailable, says)
	}
}

// A program's stderr is its own.
func TestOpen_LeavesTheSDKsLogSilent(t *testing.T) {
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	os.Stderr = must(os.Create(filepath.Join(t.TempDir(), "stderr")))
	defer os.Stderr.Close()
	machine(t, static)
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		answer(w)
	})
	_, err := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region, Endpoint: url})).Token(t.Context())
	fails(t, err, tokensource.ErrUnavailable, "")
	if text := must(os.ReadFile(os.Stderr.Name())); len(text) != 0 {
		t.Errorf("the SDK logged %q", text)
	}
}

func TestOpen_CallerLeavesAStalledCredentialService(t *testing.T) {
	arrived, release := make(chan bool, 100), make(chan bool)
	url := serve(t, func(http.ResponseWriter, *http.Request) {
		arrived <- true
		<-release
	})
	defer close(release)
	machine(t, map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": url})
	s := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region, Endpoint: url}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := s.Token(ctx)
	fails(t, err, context.Canceled, "context ended")
}

func TestOpen_RefusesWhatCannotWork(t *testing.T) {
	for _, test := range []struct {
		options awssm.Options
		env     map[string]string
		says    string
	}{
		{awssm.Options{Endpoint: "localhost:4566"}, nil, "not a URL"},
		{awssm.Options{Endpoint: "ftp://localhost"}, nil, "not a URL"},
		{awssm.Options{Endpoint: "http://10.0.0.1:4566"}, nil, "plain http"},
		{awssm.Options{Endpoint: "https://u:" + secretKey + "@h"}, nil, "no user"},
		{awssm.Options{Endpoint: "https://h?X-Amz-Security-Token=" + session}, nil, "no user, query"},
		{awssm.Options{RoleARN: "reader"}, nil, "not an ARN"},
		{awssm.Options{Stage: "a", VersionID: "b"}, nil, "exclude each other"},
		{awssm.Options{}, map[string]string{"AWS_PROFILE": "none"}, "profile"},
		{awssm.Options{}, map[string]string{"AWS_CA_BUNDLE": "/nonexistent"}, "can't be loaded"},
	} {
		machine(t, test.env)
		_, err := awssm.Open(t.Context(), "s", test.options)
		fails(t, err, tokensource.ErrInvalid, test.says)
		_, err = awssm.OpenStore(t.Context(), "s", test.options)
		fails(t, err, tokensource.ErrInvalid, test.says)
	}
}

// Nor are those who give credentials asked more often, or anew at each try of the
// read.
//
// Guarantee B4.
func TestOpen_TriesTwiceAtMost(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/r"
	profile := func(text string) func(*testing.T, string) map[string]string {
		return func(t *testing.T, url string) map[string]string {
			return map[string]string{
				"AWS_CONFIG_FILE":                    writeFile(t, "config", "[default]\n"+text+"\n[profile user]\naws_access_key_id = AKIA\naws_secret_access_key = "+secretKey+"\n"),
				"AWS_CONTAINER_CREDENTIALS_FULL_URI": url,
			}
		}
	}
	for _, test := range []struct {
		name string
		env  func(t *testing.T, url string) map[string]string
		role string
	}{
		{"access key", func(*testing.T, string) map[string]string { return static }, ""},
		{"access key and role", func(*testing.T, string) map[string]string { return static }, role},
		{"web identity", func(t *testing.T, _ string) map[string]string {
			return map[string]string{"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": writeFile(t, "jwt", webIdentity)}
		}, ""},
		{"role of the profile", profile("role_arn = " + role + "\nsource_profile = user"), ""},
		{"role of the profile and role", profile("role_arn = " + role + "\nsource_profile = user"), role},
		{"role of the profile in a container", profile("role_arn = " + role + "\ncredential_source = EcsContainer"), ""},
		{"container", profile(""), ""},
		{"container and role", profile(""), role},
	} {
		for set, want := range map[string]int64{"": 2, "1": 1, "3": 3} {
			if set == "3" && test.name != "container" {
				continue // the SDK waits long between three
			}
			t.Run(test.name+" "+set, func(t *testing.T) {
				var requests atomic.Int64
				url := serve(t, func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					refuse(w, r, 500, "InternalServiceError")
				})
				machine(t, merge(test.env(t, url), map[string]string{"AWS_MAX_ATTEMPTS": set, "AWS_ENDPOINT_URL_STS": url}))
				_, err := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region, Endpoint: url, RoleARN: test.role})).Token(t.Context())
				fails(t, err, tokensource.ErrUnavailable, "")
				if requests.Load() != want {
					t.Errorf("AWS_MAX_ATTEMPTS=%q: %d requests, want %d", set, requests.Load(), want)
				}
			})
		}
	}
	t.Run("number in the profile", func(t *testing.T) {
		var requests atomic.Int64
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			refuse(w, r, 500, "InternalServiceError")
		})
		machine(t, merge(static, profile("max_attempts = 1\nretry_mode = adaptive")(t, url)))
		_, err := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region, Endpoint: url})).Token(t.Context())
		fails(t, err, tokensource.ErrUnavailable, "HTTP 500")
		if requests.Load() != 1 {
			t.Errorf("%d requests, want 1", requests.Load())
		}
	})
}

// The SDK's own default is three.
//
// Guarantee B4.
func TestNew_TriesTwiceAtMostUnlessTheClientSays(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(*secretsmanager.Options)
		want int64
	}{
		"default":             {func(*secretsmanager.Options) {}, 2},
		"retryer of three":    {func(o *secretsmanager.Options) { o.Retryer = retry.NewStandard() }, 2},
		"retryer without end": {func(o *secretsmanager.Options) { o.Retryer = retry.AddWithMaxAttempts(retry.NewStandard(), 0) }, 2},
		"retryer of one":      {func(o *secretsmanager.Options) { o.Retryer = retry.AddWithMaxAttempts(retry.NewStandard(), 1) }, 1},
		"none":                {func(o *secretsmanager.Options) { o.Retryer = aws.NopRetryer{} }, 1},
		"a number":            {func(o *secretsmanager.Options) { o.RetryMaxAttempts = 3 }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				refuse(w, r, 400, "ThrottlingException")
			})
			client := clientOf(url, func(o *secretsmanager.Options) { o.Retryer = retry.NewStandard() }, test.set)
			cached := must(tokensource.Cache(must(awssm.New(client, "s", awssm.Options{})), tokensource.CacheOptions{}))
			_, err := cached.Token(t.Context())
			fails(t, err, tokensource.ErrUnavailable, "rate of requests")
			if requests.Load() != test.want {
				t.Errorf("%d requests, want %d", requests.Load(), test.want)
			}
		})
	}
}

func TestOpen_IdentityProviderThatAWSCannotReachIsAnOutage(t *testing.T) {
	sts := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		io.WriteString(w, `<ErrorResponse><Error><Type>Sender</Type><Code>IDPCommunicationError</Code><Message>`+webIdentity+`</Message></Error></ErrorResponse>`)
	})
	machine(t, map[string]string{
		"AWS_ENDPOINT_URL_STS": sts, "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
		"AWS_WEB_IDENTITY_TOKEN_FILE": writeFile(t, "jwt", webIdentity),
	})
	_, err := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region, Endpoint: sts})).Token(t.Context())
	fails(t, err, tokensource.ErrUnavailable, "couldn't reach the identity provider")
	tokensourcetest.AssertNoSecret(t, err, webIdentity)
}

// The SDK tries twice, and a cache lets it do so once for all who ask.
func TestOpen_ThrottledCallersOfACacheShareTwoTries(t *testing.T) {
	var requests atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		refuse(w, r, 400, "ThrottlingException")
	})
	machine(t, static)
	cached := must(tokensource.Cache(must(awssm.Open(t.Context(), "s", awssm.Options{Region: region, Endpoint: url})), tokensource.CacheOptions{}))
	var errs [100]error
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = cached.Token(t.Context()) })
	}
	wg.Wait()
	for _, err := range errs {
		fails(t, err, tokensource.ErrUnavailable, "rate of requests")
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestOpen_ShowsNoCredential(t *testing.T) {
	f := newFront(t, startMoto(t))
	f.store.create("s", secret)
	for _, options := range []awssm.Options{{}, {RoleARN: "arn:aws:iam::123456789012:role/r"}} {
		machine(t, merge(static, map[string]string{"AWS_ENDPOINT_URL_STS": f.url}))
		options.Region, options.Endpoint = region, f.url
		source, store := must(awssm.Open(t.Context(), "s", options)), must(awssm.OpenStore(t.Context(), "s", options))
		for _, s := range []tokensource.TokenSource{source, store} {
			tok, err := s.Token(t.Context())
			holds(t, tok, err, secret)
		}
		for _, v := range []any{options, source, *source, store, *store} {
			tokensourcetest.AssertNoSecret(t, v, secret, secretKey, session, sessionMark)
		}
	}
}

// net/http keeps "localhost" from a proxy, but no other spelling of it: by that,
// the answer with the token would pass the proxy in clear.
//
// Guarantee B4.
func TestOpen_HostIsSentInLowerCase(t *testing.T) {
	var hosts []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.Host)
		http.Error(w, `{"__type":"InternalServiceError"}`, http.StatusInternalServerError)
	}))
	defer server.Close()
	port := strings.TrimPrefix(server.URL, "http://127.0.0.1:")
	for name, test := range map[string]struct {
		options  awssm.Options
		variable string
	}{
		"option":         {awssm.Options{Endpoint: "http://LocalHost:" + port}, ""},
		"every service":  {awssm.Options{}, "AWS_ENDPOINT_URL"},
		"this service":   {awssm.Options{}, "AWS_ENDPOINT_URL_SECRETS_MANAGER"},
		"that of a role": {awssm.Options{RoleARN: "arn:aws:iam::123456789012:role/r"}, "AWS_ENDPOINT_URL_STS"},
	} {
		t.Run(name, func(t *testing.T) {
			machine(t, static)
			t.Setenv("AWS_MAX_ATTEMPTS", "1")
			if test.variable != "" {
				t.Setenv(test.variable, "http://LocalHost:"+port)
			}
			hosts = nil
			test.options.Region = "eu-west-1"
			_, err := must(awssm.Open(t.Context(), "s", test.options)).Token(t.Context())
			fails(t, err, tokensource.ErrUnavailable, "")
			if len(hosts) == 0 {
				t.Error("no request was sent")
			}
			for _, host := range hosts {
				if host != "localhost:"+port {
					t.Errorf("a request went to %s", host)
				}
			}
		})
	}
}
