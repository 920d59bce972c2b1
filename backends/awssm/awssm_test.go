package awssm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// Guarantee B4.
func TestSource_ReadsNamesAndARNs(t *testing.T) {
	m := startMoto(t)
	for _, name := range []string{"packagecloud", "prod/eu/packagecloud", "a_b+c=d.e@f-g"} {
		arn := m.create(name, secret+"\n")
		partial := arn[:len(arn)-len("-AbCdEf")] // without what AWS appends
		for _, id := range []string{name, arn, partial} {
			s := must(awssm.New(m.client(), id, awssm.Options{}))
			tok, err := s.Token(t.Context())
			holds(t, tok, err, secret)
			meta := tok.Metadata()
			if want := "awssm:" + id; meta.Origin != want || s.String() != want {
				t.Errorf("origin %q, String %q, want %q", meta.Origin, s, want)
			}
			if got := fmt.Sprintf("%#v %d", s, must(awssm.NewStore(m.client(), id, awssm.Options{}))); got != s.String()+" "+s.String() {
				t.Errorf("printed as %s", got)
			}
			if got := m.get(name, awssm.StageCurrent).VersionId; meta.Version != *got {
				t.Errorf("version %q, want %q", meta.Version, *got)
			}
		}
	}
}

// Guarantee B4.
func TestSource_ReadsStagesAndVersions(t *testing.T) {
	m := startMoto(t)
	m.create("s", "one")
	first := *m.get("s", awssm.StageCurrent).VersionId
	m.put("s", "two")
	m.put("s", "three", awssm.StagePending)
	for _, test := range []struct {
		options      awssm.Options
		want, origin string
	}{
		{awssm.Options{}, "two", "awssm:s"},
		{awssm.Options{Stage: awssm.StageCurrent}, "two", "awssm:s?stage=AWSCURRENT"},
		{awssm.Options{Stage: awssm.StagePrevious}, "one", "awssm:s?stage=AWSPREVIOUS"},
		{awssm.Options{Stage: awssm.StagePending}, "three", "awssm:s?stage=AWSPENDING"},
		{awssm.Options{VersionID: first}, "one", "awssm:s?version=" + first},
	} {
		s := must(awssm.New(m.client(), "s", test.options))
		tok, err := s.Token(t.Context())
		holds(t, tok, err, test.want)
		if s.String() != test.origin {
			t.Errorf("String %q, want %q", s, test.origin)
		}
	}
}

// moto, and who knows what else, answers with the old value to a request
// without a stage after AWSCURRENT has moved.
//
// Guarantee B4.
func TestSource_FollowsAMovedStage(t *testing.T) {
	m := startMoto(t)
	m.create("s", "one")
	first := *m.get("s", awssm.StageCurrent).VersionId
	second := m.put("s", "two", awssm.StagePending)
	s := must(awssm.New(m.client(), "s", awssm.Options{}))
	tok, err := s.Token(t.Context())
	holds(t, tok, err, "one")
	if _, err := m.client().UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: new("s"), VersionStage: new(awssm.StageCurrent), MoveToVersionId: &second, RemoveFromVersionId: &first,
	}); err != nil {
		t.Fatal(err)
	}
	tok, err = s.Token(t.Context())
	holds(t, tok, err, "two")
}

// Guarantee B4.
func TestSource_ReadsStringsBinariesAndJSON(t *testing.T) {
	m := startMoto(t)
	m.create("s", "placeholder")
	for _, test := range []struct {
		name, data, field, want string
		kind                    error
		says                    string
	}{
		{"plain", secret, "", secret, nil, ""},
		{"trailing newline", secret + "\r\n", "", secret, nil, ""},
		{"two trailing newlines", secret + "\n\n", "", "", tokensource.ErrInvalid, "more than one line"},
		{"not ASCII", "tökén", "", "", tokensource.ErrInvalid, "not ASCII"},
		{"1 MiB", strings.Repeat("x", 1<<20), "", "", tokensource.ErrInvalid, "1048576 bytes"},
		{"JSON", `{"user":"u","token":"` + secret + `"}`, "token", secret, nil, ""},
		{"JSON with space around", "\n { \"token\" : \"" + secret + "\\n\" } \n", "token", secret, nil, ""},
		{"JSON with an odd name", `{"a.b/ü":"` + secret + `"}`, "a.b/ü", secret, nil, ""},
		{"JSON, no field named", `{"token":"` + secret + `"}`, "", "", tokensource.ErrInvalid, "name the field"},
		{"JSON without the field", `{"Token":"` + secret + `"}`, "token", "", tokensource.ErrInvalid, `no field "token"`},
		{"JSON, a number", `{"token":12,"x":"` + secret + `"}`, "token", "", tokensource.ErrInvalid, "expected a string"},
		{"JSON, null", `{"token":null}`, "token", "", tokensource.ErrInvalid, "expected a string"},
		{"JSON, empty", `{"token":""}`, "token", "", tokensource.ErrInvalid, "empty"},
		{"JSON, an array", `["` + secret + `"]`, "token", "", tokensource.ErrInvalid, "not a JSON object"},
		{"not JSON", secret, "token", "", tokensource.ErrInvalid, "not a JSON object"},
		{"cut JSON", `{"token":"` + secret, "token", "", tokensource.ErrInvalid, "not a JSON object"},
	} {
		for _, binary := range []bool{false, true} {
			in := &secretsmanager.PutSecretValueInput{SecretId: new("s")}
			if binary {
				in.SecretBinary = []byte(test.data)
			} else {
				in.SecretString = &test.data
			}
			if _, err := m.client().PutSecretValue(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			t.Run(test.name, func(t *testing.T) {
				tok, err := must(awssm.New(m.client(), "s", awssm.Options{Field: test.field})).Token(t.Context())
				if test.kind == nil {
					holds(t, tok, err, test.want)
					return
				}
				fails(t, err, test.kind, test.says)
			})
		}
	}
}

func TestSource_NamesWhatIsMissing(t *testing.T) {
	m := startMoto(t)
	for id, says := range map[string]string{
		"missing":             "awssm:missing: not found: no such secret",
		"/prod/a_b+c=d.e@f-g": "awssm:/prod/a_b+c=d.e@f-g: not found",
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:none-AbCdEf": "awssm:arn:aws:secretsmanager:eu-west-1:123456789012:secret:none-AbCdEf: not found",
	} {
		_, err := must(awssm.New(m.client(), id, awssm.Options{})).Token(t.Context())
		fails(t, err, tokensource.ErrNotFound, says)
	}
}

func TestSource_SDKErrorIsReachedByAs(t *testing.T) {
	m := startMoto(t)
	_, err := must(awssm.New(m.client(), "missing", awssm.Options{})).Token(t.Context())
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Errorf("errors.As doesn't reach the SDK's error in %v", err)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if _, ok := e.(*tokensource.Error); !ok {
			t.Errorf("unwrapping leads to a %T", e)
		}
	}
}

// Guarantee B4.
func TestSource_ThousandColdCallersAssumeTheRoleOnce(t *testing.T) {
	m := startMoto(t)
	m.create("s", secret)
	const callers = 1000
	for reads, wrap := range map[int]func(tokensource.TokenSource) tokensource.TokenSource{
		callers: func(s tokensource.TokenSource) tokensource.TokenSource { return s },
		1: func(s tokensource.TokenSource) tokensource.TokenSource {
			return must(tokensource.Cache(s, tokensource.CacheOptions{}))
		},
	} {
		f := newFront(t, m)
		machine(t, merge(static, map[string]string{"AWS_ENDPOINT_URL_STS": f.url}))
		source := wrap(must(awssm.Open(t.Context(), "s", awssm.Options{
			Region: region, Endpoint: f.url, RoleARN: "arn:aws:iam::123456789012:role/r",
		})))
		gate := make(chan struct{})
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				<-gate
				tok, err := source.Token(t.Context())
				holds(t, tok, err, secret)
			})
		}
		close(gate)
		wg.Wait()
		if got := f.count("AssumeRole"); got != 1 {
			t.Errorf("the role was assumed %d times by %d callers, want once", got, callers)
		}
		if got := f.count("GetSecretValue"); got != reads {
			t.Errorf("the secret was read %d times by %d callers, want %d", got, callers, reads)
		}
	}
}

// AWS may refuse a session long before its end by this machine's clock. Who learns
// of it when there is a new one already takes that.
//
// Guarantee B4.
func TestSource_CallersWhoseSessionHasExpiredShareTheNext(t *testing.T) {
	const callers = 100
	m := startMoto(t)
	m.create("s", secret)
	f := newFront(t, m)
	var requests atomic.Int64
	arrived, renewed := make(chan bool), make(chan bool)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch n := requests.Add(1) - 1; { // the first is before
		case n == callers:
			close(arrived)
			fallthrough
		case n > 1 && n < callers:
			<-renewed
		case n == 1:
			<-arrived
		}
		f.ServeHTTP(w, r)
	})
	machine(t, merge(static, map[string]string{"AWS_ENDPOINT_URL_STS": f.url}))
	source := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region, Endpoint: url, RoleARN: "arn:aws:iam::123456789012:role/r"}))
	tok, err := source.Token(t.Context())
	holds(t, tok, err, secret)
	f.expire()
	first := sync.OnceFunc(func() { close(renewed) })
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			defer first()
			tok, err := source.Token(t.Context())
			holds(t, tok, err, secret)
		})
	}
	wg.Wait()
	if got := f.count("AssumeRole"); got != 2 {
		t.Errorf("the role was assumed %d times, want twice", got)
	}
}

func TestSource_ExpiredSessionThatCannotBeRenewedIsDenied(t *testing.T) {
	var requests atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		refuse(w, r, 400, "ExpiredTokenException")
	})
	process := processCredentials(map[string]string{"AWS_ACCESS_KEY_ID": "AKIACANARY", "AWS_SECRET_ACCESS_KEY": secretKey})
	for _, test := range []struct {
		env  map[string]string
		want int64
	}{
		{static, 1}, // the same would come again
		{map[string]string{"AWS_CONFIG_FILE": writeFile(t, "config", "[default]\ncredential_process = cat "+writeFile(t, "process.json", process)+"\n")}, 2},
	} {
		requests.Store(0)
		machine(t, test.env)
		_, err := must(awssm.Open(t.Context(), "s", awssm.Options{Region: region, Endpoint: url})).Token(t.Context())
		fails(t, err, tokensource.ErrDenied, "have expired")
		if requests.Load() != test.want {
			t.Errorf("%d requests, want %d", requests.Load(), test.want)
		}
	}
}

type counter struct {
	awssm.API
	calls atomic.Int64
}

func (c *counter) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, optFns ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	c.calls.Add(1)
	return c.API.GetSecretValue(ctx, in, optFns...)
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	client := clientOf("http://127.0.0.1:1")
	var nilClient *secretsmanager.Client
	for _, test := range []struct {
		client  awssm.API
		id      string
		options awssm.Options
		says    string
	}{
		{nil, "s", awssm.Options{}, "client is nil"},
		{nilClient, "s", awssm.Options{}, "client is nil"},
		{client, "", awssm.Options{}, "no name"},
		{client, "s", awssm.Options{Stage: "A", VersionID: "b"}, "exclude each other"},
		{client, "s", awssm.Options{Region: "r"}, "for Open"},
		{client, "s", awssm.Options{RoleARN: "arn:aws:iam::1:role/r"}, "for Open"},
		{client, "s", awssm.Options{Endpoint: "https://h"}, "for Open"},
	} {
		_, err := awssm.New(test.client, test.id, test.options)
		fails(t, err, tokensource.ErrInvalid, test.says)
	}
}

func TestNew_RefusesATokenInPlaceOfItsName(t *testing.T) {
	const misplaced = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"
	machine(t, static)
	for id, field := range map[string]string{misplaced: "", "prod/" + strings.ToUpper(misplaced): "", "s": misplaced} {
		options := awssm.Options{Field: field}
		_, fromNew := awssm.New(clientOf("http://127.0.0.1:1"), id, options)
		_, fromOpen := awssm.Open(t.Context(), id, options)
		_, fromStore := awssm.OpenStore(t.Context(), id, options)
		for _, err := range []error{fromNew, fromOpen, fromStore} {
			fails(t, err, tokensource.ErrInvalid, "looks like a token")
			tokensourcetest.AssertNoSecret(t, err, misplaced, strings.ToUpper(misplaced))
		}
	}
	for _, n := range []int{47, 49} {
		must(awssm.New(clientOf("http://127.0.0.1:1"), strings.Repeat("a", n), awssm.Options{}))
	}
}

// A client that isn't AWS's may answer anything.
func TestSource_AnswerWithoutValueIsInvalid(t *testing.T) {
	for _, out := range []*secretsmanager.GetSecretValueOutput{nil, {}} {
		_, err := must(awssm.New(fixed{out}, "s", awssm.Options{})).Token(t.Context())
		fails(t, err, tokensource.ErrInvalid, "without a value")
	}
	_, err := must(awssm.New(fixed{&secretsmanager.GetSecretValueOutput{SecretString: new("")}}, "s", awssm.Options{})).Token(t.Context())
	fails(t, err, tokensource.ErrInvalid, "empty")
}

type fixed struct {
	out *secretsmanager.GetSecretValueOutput
}

func (f fixed) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return f.out, nil
}

// FuzzField holds reading a field against encoding/json's own reading.
func FuzzField(f *testing.F) {
	for _, seed := range []string{`{"token":"abc"}`, `{"token":1}`, ` {"token":"a","token":"b"}`, `{`, `[]`, `"x"`, "abc", `{"token":"\u0061"}`, `{"Token":"x"}`} {
		f.Add(seed, "token")
	}
	f.Fuzz(func(t *testing.T, data, field string) {
		s := must(awssm.New(fixed{&secretsmanager.GetSecretValueOutput{SecretString: &data}}, "s", awssm.Options{Field: field}))
		tok, err := s.Token(context.Background())
		if err != nil {
			if !errors.Is(err, tokensource.ErrInvalid) || !tok.IsZero() {
				t.Errorf("error %v with token %t", err, !tok.IsZero())
			}
			return
		}
		if field == "" {
			return
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(data), &object); err != nil {
			t.Fatalf("a token came of what isn't JSON: %v", err)
		}
		if want, _ := object[field].(string); strings.TrimSuffix(strings.TrimSuffix(want, "\n"), "\r") != tok.Reveal() {
			t.Errorf("got another token than encoding/json does")
		}
	})
}
