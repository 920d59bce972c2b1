package awssm_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// sessionMark begins each session token that moto gives for a role.
const sessionMark = "FQoGZXIvYXdzEBYaD"

// webIdentity is in place of a JWT.
const webIdentity = "canary-of-a-web-identity-000000004"

const (
	mayRead   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`
	mayWrite  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}]}`
	mayAssume = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`
)

// account is a moto that checks signatures and policies, with those who use it.
type account struct {
	*moto
	admin                   *secretsmanager.Client
	reader, assumer, nobody map[string]string // as in the environment
	readerRole, nobodyRole  string
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{moto: startMoto(t)}
	user := func(name, policy string) map[string]string {
		id, key := a.user(name, policy)
		return map[string]string{"AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": key}
	}
	admin := user("admin", mayWrite)
	a.admin = clientOf(a.url, withCredentials(admin["AWS_ACCESS_KEY_ID"], admin["AWS_SECRET_ACCESS_KEY"], ""), persistent)
	a.reader, a.assumer, a.nobody = user("reader", mayRead), user("assumer", mayAssume), user("nobody", mayAssume)
	a.readerRole, a.nobodyRole = a.role("reader", mayRead), a.role("nobody", mayAssume)
	a.checksSignatures(true)
	return a
}

// set gives a secret of any name a value, as another program may.
func (a *account) set(t *testing.T, name, value string) {
	t.Helper()
	a.admin.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name}) // unless it is there
	in := &secretsmanager.PutSecretValueInput{SecretId: &name}
	if utf8.ValidString(value) {
		in.SecretString = &value
	} else {
		in.SecretBinary = []byte(value)
	}
	must(a.admin.PutSecretValue(t.Context(), in))
}

// open returns a source of a machine with these credentials.
func (a *account) open(t *testing.T, name string, env map[string]string, options awssm.Options) *awssm.Source {
	t.Helper()
	machine(t, env)
	t.Setenv("AWS_ENDPOINT_URL_STS", cmp.Or(env["AWS_ENDPOINT_URL_STS"], options.Endpoint, a.url))
	options.Region, options.Endpoint = region, cmp.Or(options.Endpoint, a.url)
	return must(awssm.Open(t.Context(), name, options))
}

// Every request is signed by who may do no more than it takes, and moto checks it.
//
// Guarantees: K4, B4, G1.
func TestSource_Faults(t *testing.T) {
	a := newAccount(t)
	backend := tokensourcetest.Backend{
		New: func(t *testing.T) tokensource.TokenSource { return a.open(t, "s", a.reader, awssm.Options{}) },
		Set: func(t *testing.T, value string) { a.set(t, "s", value) },
		Remove: func(t *testing.T) {
			a.admin.DeleteSecret(context.WithoutCancel(t.Context()), &secretsmanager.DeleteSecretInput{SecretId: new("s"), ForceDeleteWithoutRecovery: new(true)})
		},
		Canaries: []string{a.reader["AWS_SECRET_ACCESS_KEY"], a.assumer["AWS_SECRET_ACCESS_KEY"], sessionMark},
	}
	onTheWay := func(env map[string]string, role string) tokensourcetest.Faults {
		return tokensourcetest.HTTPFaults(backend, a.url, func(t *testing.T, address string, ca []byte) tokensource.TokenSource {
			bundle := ""
			if ca != nil {
				bundle = writeFile(t, "ca.pem", string(ca))
			}
			// One try, since the SDK waits long before the next.
			env := merge(env, map[string]string{"AWS_CA_BUNDLE": bundle, "AWS_MAX_ATTEMPTS": "1"})
			return a.open(t, "s", env, awssm.Options{RoleARN: role, Endpoint: address})
		})
	}
	faults := tokensourcetest.Faults{}
	byRole := onTheWay(a.assumer, a.readerRole)
	for fault, byKey := range onTheWay(a.reader, "") {
		faults[fault] = func(t *testing.T, secret string) []tokensourcetest.Scene {
			return slices.Concat(named("access key", byKey(t, secret)), named("role", byRole[fault](t, secret)))
		}
	}
	tokensourcetest.RunFaults(t, tokensourcetest.StoredFaults(backend), faults, tokensourcetest.Faults{
		tokensourcetest.WrongCredentials:   a.wrongCredentials,
		tokensourcetest.ExpiredCredentials: a.expiredCredentials,
		tokensourcetest.Denied:             a.denied,
		tokensourcetest.VersionMissing: func(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
			a.set(t, "fresh", secret)
			for name, options := range map[string]awssm.Options{
				"AWSPENDING":      {Stage: awssm.StagePending},
				"AWSPREVIOUS":     {Stage: awssm.StagePrevious},
				"stage of a team": {Stage: "BLUE"},
				"version":         {VersionID: "00000000-0000-4000-8000-000000000000"},
			} {
				scenes = append(scenes, tokensourcetest.Scene{Name: name, Source: a.open(t, "fresh", a.reader, options), Says: "no such stage or version"})
			}
			return scenes
		},
		tokensourcetest.VersionDeleted: func(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
			for i, options := range []awssm.Options{{}, {Stage: awssm.StagePrevious}} {
				name := fmt.Sprintf("deleted/%d", i)
				a.set(t, name, secret)
				a.set(t, name, secret)
				must(a.admin.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &name}))
				scenes = append(scenes, tokensourcetest.Scene{
					Name: "scheduled " + options.Stage, Source: a.open(t, name, a.reader, options), Says: "scheduled for deletion",
					Heal: func(t *testing.T) {
						must(a.admin.RestoreSecret(t.Context(), &secretsmanager.RestoreSecretInput{SecretId: &name}))
					},
				})
			}
			return scenes
		},
		tokensourcetest.FieldMissing: a.holding(`no field "token"`, `{"Token":%q}`, `{"other":%q,"nested":{"token":"x"}}`),
		tokensourcetest.NotJSON:      a.holding("not a JSON object", "%s", "[%q]", `{"token":%q`, "%q", "null%.0s"),
		tokensourcetest.Empty: func(t *testing.T, secret string) []tokensourcetest.Scene {
			must(a.admin.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: new("valueless")}))
			valueless := tokensourcetest.Scene{
				Name: "secret", Source: a.open(t, "valueless", a.reader, awssm.Options{}),
				Heal: func(t *testing.T) { a.set(t, "valueless", secret) },
			}
			return append(a.holding("empty", `{"token":"","other":%q}`)(t, secret), valueless)
		},
		// No more characters than these are possible.
		tokensourcetest.OddNamed: func(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
			for _, name := range []string{"/_+=.@-", "prod/eu/packagecloud-AbCdEf", "a/b/c", "a+b", "a@b", "dot.dot", "=", "//a"} {
				a.set(t, name, secret)
				source := a.open(t, name, a.reader, awssm.Options{})
				scenes = append(scenes, tokensourcetest.Scene{Name: name, Source: source},
					tokensourcetest.Scene{Name: name + ", spelled", Source: must(backends.Parse(source.String(), awssm.Opener()))})
			}
			return scenes
		},
	})
}

// holding stages secrets that hold the token in each of these formats, and whose
// field token is read.
func (a *account) holding(says string, formats ...string) func(*testing.T, string) []tokensourcetest.Scene {
	return func(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
		for i, format := range formats {
			name := fmt.Sprintf("%s/%d", t.Name(), i)
			a.set(t, name, fmt.Sprintf(format, secret))
			scenes = append(scenes, tokensourcetest.Scene{
				Name: format, Source: a.open(t, name, a.reader, awssm.Options{Field: "token"}), Says: says,
				Heal: func(t *testing.T) { a.set(t, name, fmt.Sprintf(`{"token":%q}`, secret)) },
			})
		}
		return scenes
	}
}

// wrongCredentials are refused in XML, which the SDK can't read: the status tells.
func (a *account) wrongCredentials(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
	a.set(t, "s", secret)
	const wrong = "canary-of-a-wrong-secret-access-key"
	stranger := map[string]string{"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"}
	for _, test := range []struct {
		name, role string
		env        map[string]string
		says       string
	}{
		{"secret key", "", merge(a.reader, map[string]string{"AWS_SECRET_ACCESS_KEY": wrong}), "the answer to secretsmanager:GetSecretValue was HTTP 403"},
		{"access key", "", merge(a.reader, stranger), "the answer to secretsmanager:GetSecretValue was HTTP 403"},
		{"session token", "", merge(a.reader, map[string]string{"AWS_SESSION_TOKEN": session}), "the answer to secretsmanager:GetSecretValue was HTTP 403"},
		{"secret key for the role", a.readerRole, merge(a.assumer, map[string]string{"AWS_SECRET_ACCESS_KEY": wrong}), "assuming the role"},
		{"access key for the role", a.readerRole, merge(a.assumer, stranger), "assuming the role"},
	} {
		scenes = append(scenes, tokensourcetest.Scene{
			Name: test.name, Source: a.open(t, "s", test.env, awssm.Options{RoleARN: test.role}), Says: test.says,
			Canaries: []string{wrong, session, test.env["AWS_SECRET_ACCESS_KEY"]},
		})
	}
	return scenes
}

// denied has callers that moto knows, and who may not read or not assume the role.
func (a *account) denied(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
	a.set(t, "s", secret)
	for _, test := range []struct {
		name, role string
		env        map[string]string
		says       string
	}{
		{"user", "", a.nobody, "HTTP 403; check the credentials and that they are permitted it"},
		{"role", a.nobodyRole, a.assumer, "the answer to secretsmanager:GetSecretValue was HTTP 403"},
		{"assuming the role", a.readerRole, a.reader, "the answer to assuming the role was HTTP 403"},
	} {
		scenes = append(scenes, tokensourcetest.Scene{
			Name: test.name, Source: a.open(t, "s", test.env, awssm.Options{RoleARN: test.role}), Says: test.says,
			Canaries: []string{test.env["AWS_SECRET_ACCESS_KEY"], sessionMark},
		})
	}
	return scenes
}

// expiredCredentials are sessions that AWS refuses from some time on: those of some
// minutes, and those that are good for an hour by this machine's clock.
func (a *account) expiredCredentials(t *testing.T, secret string) []tokensourcetest.Scene {
	a.set(t, "s", secret)
	return slices.Concat(
		named("4 minutes,", a.expired(t, 4*time.Minute)),
		named("an hour,", a.expired(t, time.Hour)))
}

func (a *account) expired(t *testing.T, life time.Duration) (scenes []tokensourcetest.Scene) {
	f := newFront(t, a.moto)
	f.life = life
	scene := func(name string, env map[string]string, options awssm.Options, expire func(t *testing.T), canaries ...string) {
		options.Endpoint = f.url
		scenes = append(scenes, tokensourcetest.Scene{
			Name: name, Source: a.open(t, "s", env, options), Canaries: append(canaries, sessionMark), Break: expire,
		})
	}
	own := a.assumer["AWS_SECRET_ACCESS_KEY"]
	expire := func(*testing.T) { f.expire() }
	scene("role", a.assumer, awssm.Options{RoleARN: a.readerRole}, expire, own)
	scene("role of the profile", map[string]string{"AWS_CONFIG_FILE": writeFile(t, "config", fmt.Sprintf(
		"[default]\nrole_arn = %s\nsource_profile = user\n[profile user]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
		a.readerRole, a.assumer["AWS_ACCESS_KEY_ID"], own))}, awssm.Options{}, expire, own)

	jwt := writeFile(t, "jwt", webIdentity)
	const next = "canary-of-the-next-web-identity"
	scene("web identity", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": jwt, "AWS_ROLE_ARN": a.readerRole}, awssm.Options{}, func(t *testing.T) {
		if err := os.WriteFile(jwt, []byte(next), 0o600); err != nil {
			t.Fatal(err)
		}
		f.forget(webIdentity)
		f.expire()
	}, webIdentity, next)

	scene("role by a web identity", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": writeFile(t, "jwt", "canary-of-a-lasting-web-identity"), "AWS_ROLE_ARN": a.nobodyRole},
		awssm.Options{RoleARN: a.readerRole}, expire, "canary-of-a-lasting-web-identity")

	process := writeFile(t, "process.json", processCredentials(a.reader))
	scene("credential process", map[string]string{
		"AWS_CONFIG_FILE": writeFile(t, "config", "[default]\ncredential_process = cat "+process+"\n"),
	}, awssm.Options{}, func(t *testing.T) {
		if err := os.WriteFile(process, []byte(processCredentials(a.reader)), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	return scenes
}

// front is a proxy to moto that counts, and answers where moto can't be asked to.
type front struct {
	url   string
	store *moto
	life  time.Duration // of sessions, if it isn't zero
	next  http.Handler

	mu       sync.Mutex
	counts   map[string]int  // of requests by action
	sessions map[string]bool // whether a session token is still good
	gone     []string        // web identities that have expired
}

var (
	expiration   = regexp.MustCompile(`<Expiration>[^<]*<`)
	sessionToken = regexp.MustCompile(`<SessionToken>([^<]*)<`)
)

func newFront(t *testing.T, m *moto) *front {
	t.Helper()
	store := must(url.Parse(m.url))
	f := &front{store: m, counts: map[string]int{}, sessions: map[string]bool{}}
	f.next = &httputil.ReverseProxy{
		// One program may have a thousand connections, but moto not.
		Transport: &http.Transport{MaxConnsPerHost: 8},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(store)
			r.Out.Host = r.In.Host // is signed
		},
		ModifyResponse: f.modify,
	}
	f.url = serve(t, f.ServeHTTP)
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := must(io.ReadAll(r.Body))
	r.Body = io.NopCloser(bytes.NewReader(body))
	form := must(url.ParseQuery(string(body)))
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	f.mu.Lock()
	f.counts[cmp.Or(action, form.Get("Action"))]++
	good, known := f.sessions[r.Header.Get("X-Amz-Security-Token")]
	gone := slices.Contains(f.gone, form.Get("WebIdentityToken"))
	f.mu.Unlock()
	switch {
	case (known && !good || gone) && action == "": // of STS, which speaks XML
		w.WriteHeader(400)
		io.WriteString(w, "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>"+session+"</Message></Error></ErrorResponse>")
	case known && !good:
		refuse(w, r, 400, "ExpiredTokenException")
	case form.Get("Action") == "AssumeRoleWithWebIdentity": // isn't signed, at which moto fails
		f.store.checksSignatures(false)
		f.next.ServeHTTP(w, r)
		f.store.checksSignatures(true)
	default:
		f.next.ServeHTTP(w, r)
	}
}

// modify shortens the sessions that STS gives.
func (f *front) modify(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if token := sessionToken.FindSubmatch(body); token != nil {
		f.sessions[string(token[1])] = true
		if f.life != 0 {
			body = expiration.ReplaceAll(body, []byte("<Expiration>"+time.Now().Add(f.life).UTC().Format(time.RFC3339)+"<"))
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return nil
}

// expire has no session be good that was given so far.
func (f *front) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for token := range f.sessions {
		f.sessions[token] = false
	}
}

// forget has that web identity be good no more.
func (f *front) forget(jwt string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = append(f.gone, jwt)
}

func (f *front) count(action string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[action]
}

// named puts a word before the scenes' names.
func named(word string, scenes []tokensourcetest.Scene) []tokensourcetest.Scene {
	for i := range scenes {
		scenes[i].Name = word + " " + scenes[i].Name
	}
	return scenes
}

func merge(a, b map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range []map[string]string{a, b} {
		for key, value := range m {
			if value != "" {
				all[key] = value
			}
		}
	}
	return all
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// processCredentials is what a credential process prints: a session that ends soon.
func processCredentials(user map[string]string) string {
	return fmt.Sprintf(`{"Version":1,"AccessKeyId":%q,"SecretAccessKey":%q,"Expiration":%q}`,
		user["AWS_ACCESS_KEY_ID"], user["AWS_SECRET_ACCESS_KEY"], time.Now().Add(4*time.Minute).UTC().Format(time.RFC3339))
}
