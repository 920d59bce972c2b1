package awssm_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/packagecloud-go/sdk/backends/awssm"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// Guarantee B4.
func TestStore_Conforms(t *testing.T) {
	for name, test := range map[string]struct {
		options    awssm.Options
		wrap       func(string) string
		checkAuths bool
	}{
		"string":             {awssm.Options{}, func(s string) string { return s }, false},
		"JSON":               {awssm.Options{Field: "token"}, func(s string) string { return `{"a":[1],"token":` + quote(s) + `}` }, false},
		"checked signatures": {awssm.Options{}, func(s string) string { return s }, true},
	} {
		t.Run(name, func(t *testing.T) {
			var m *moto
			var id, key, session string
			if test.checkAuths {
				m = startMoto(t, "INITIAL_NO_AUTH_ACTION_COUNT=3")
				id, key = m.user("u", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}]}`)
			} else {
				m = startMoto(t)
				id, key, session = "AKIACANARY", secretKey, "canary-aws-session-token-00000000002"
			}
			client := clientOf(m.url, withCredentials(id, key, session))
			remove := func(t *testing.T) {
				client.DeleteSecret(context.Background(), &secretsmanager.DeleteSecretInput{SecretId: new("s"), ForceDeleteWithoutRecovery: new(true)})
				must(client.CreateSecret(context.Background(), &secretsmanager.CreateSecretInput{Name: new("s")}))
			}
			remove(t)
			tokensourcetest.Run(t, tokensourcetest.Backend{
				New: func(t *testing.T) tokensource.TokenSource {
					return must(awssm.NewStore(client, "s", test.options))
				},
				Set:      func(t *testing.T, value string) { setCurrent(t, client, []byte(test.wrap(value))) },
				Remove:   remove,
				Canaries: []string{key, session},
				Compares: true,
			})
		})
	}
}

// setCurrent gives the secret "s" a value as another program may. It moves
// AWSCURRENT itself, because moto, after any move, has two versions with
// AWSCURRENT when a put is left to do that.
func setCurrent(t *testing.T, client *secretsmanager.Client, value []byte) {
	t.Helper()
	current, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: new("s"), VersionStage: new(awssm.StageCurrent)}, persistent)
	in := &secretsmanager.PutSecretValueInput{SecretId: new("s"), SecretBinary: value}
	if err == nil {
		in.VersionStages = []string{"TEST"}
	} else if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Fatal(err)
	}
	put := must(client.PutSecretValue(t.Context(), in, persistent))
	if err == nil {
		must(client.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
			SecretId: new("s"), VersionStage: new(awssm.StageCurrent), MoveToVersionId: put.VersionId, RemoveFromVersionId: current.VersionId,
		}, persistent))
	}
}

// quote writes a JSON string, also of bytes that aren't UTF-8.
func quote(s string) string {
	b := must(json.Marshal(s))
	return string(b)
}

// labels returns which version has which stage.
func (m *moto) labels(name string) map[string]string {
	m.t.Helper()
	out, err := m.client().DescribeSecret(context.Background(), &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		m.t.Fatal(err)
	}
	labels := map[string]string{}
	for version, stages := range out.VersionIdsToStages {
		for _, stage := range stages {
			labels[stage] = version
		}
	}
	return labels
}

func store(m *moto, options awssm.Options) *awssm.Store {
	return must(awssm.NewStore(m.client(), "s", options))
}

func TestStore_PutLeavesOnlyAWSsLabels(t *testing.T) {
	m := startMoto(t)
	m.create("s", "")
	s := store(m, awssm.Options{})
	first := must(s.Put(t.Context(), token("first"), tokensource.Token{}))
	second := must(s.Put(t.Context(), token("second"), first))
	want := map[string]string{awssm.StageCurrent: second.Metadata().Version, awssm.StagePrevious: first.Metadata().Version}
	if got := m.labels("s"); !maps.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
	if got := second.Metadata().Origin; got != "awssm:s" {
		t.Errorf("origin %q", got)
	}
}

func TestStore_KeepsOtherFieldsAndBytes(t *testing.T) {
	m := startMoto(t)
	const before = `{ "z": 1.0e3, "user": "<a&b>", "token": "old", "list": [1, {"x": null}], "big": 12345678901234567890 }`
	const after = `{"big":12345678901234567890,"list":[1,{"x":null}],"token":"new","user":"<a&b>","z":1.0e3}`
	for _, binary := range []bool{false, true} {
		name := map[bool]string{false: "string", true: "binary"}[binary]
		in := &secretsmanager.CreateSecretInput{Name: &name, SecretString: new(before)}
		if binary {
			in.SecretString, in.SecretBinary = nil, []byte(before)
		}
		must(m.client().CreateSecret(t.Context(), in))
		s := must(awssm.NewStore(m.client(), name, awssm.Options{Field: "token"}))
		staged := must(s.Stage(t.Context(), token("new")))
		if err := s.Promote(t.Context(), staged); err != nil {
			t.Fatal(err)
		}
		got := m.get(name, awssm.StageCurrent)
		if text := string(got.SecretBinary); binary && (text != after || got.SecretString != nil) {
			t.Errorf("stored bytes %s, want %s", text, after)
		}
		if !binary && *got.SecretString != after {
			t.Errorf("stored %s, want %s", *got.SecretString, after)
		}
	}
}

func TestStore_PutFillsJSONAndEmptySecrets(t *testing.T) {
	m := startMoto(t)
	m.create("s", "")
	s := store(m, awssm.Options{Field: "token"})
	first := must(s.Put(t.Context(), token("first"), tokensource.Token{}))
	if got := *m.get("s", awssm.StageCurrent).SecretString; got != `{"token":"first"}` {
		t.Errorf("stored %s", got)
	}
	other := store(m, awssm.Options{Field: "other"})
	must(other.Put(t.Context(), token("second"), tokensource.Token{}))
	if got := *m.get("s", awssm.StageCurrent).SecretString; got != `{"other":"second","token":"first"}` {
		t.Errorf("stored %s", got)
	}
	tok, err := s.Token(t.Context())
	holds(t, tok, err, first.Reveal())
}

func TestStore_RefusesToSpoilASecret(t *testing.T) {
	m := startMoto(t)
	m.create("s", `{"token":"t"}`)
	m.create("plain", "t")
	for _, test := range []struct {
		name, id, field string
		next, expected  tokensource.Token
		kind            error
		says            string
	}{
		{"JSON as a whole", "s", "", token(secret), token("t"), tokensource.ErrInvalid, "name the field"},
		{"field of what isn't JSON", "plain", "token", token(secret), token("t"), tokensource.ErrInvalid, "not a JSON object"},
		{"another token", "s", "token", token(secret), token("u"), tokensource.ErrConflict, "another token"},
		{"nothing expected", "s", "token", token(secret), tokensource.Token{}, tokensource.ErrConflict, "another token"},
		{"missing secret", "none", "", token(secret), tokensource.Token{}, tokensource.ErrNotFound, "no such secret"},
		{"no token", "s", "token", tokensource.Token{}, token("t"), tokensource.ErrInvalid, "no token to put"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := must(awssm.NewStore(m.client(), test.id, awssm.Options{Field: test.field}))
			tok, err := s.Put(t.Context(), test.next, test.expected)
			fails(t, err, test.kind, test.says)
			if !tok.IsZero() {
				t.Error("a token came with the error")
			}
		})
	}
	if got := *m.get("s", awssm.StageCurrent).SecretString; got != `{"token":"t"}` {
		t.Errorf("the secret is now %s", got)
	}
}

// meddler does something just before a write reaches the server, or loses its
// answer.
type meddler struct {
	awssm.StoreAPI
	beforePut, beforeMove func()
	lose                  bool
}

func (c *meddler) PutSecretValue(ctx context.Context, in *secretsmanager.PutSecretValueInput, optFns ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error) {
	if f := c.beforePut; f != nil {
		c.beforePut = nil
		f()
	}
	return c.StoreAPI.PutSecretValue(ctx, in, optFns...)
}

func (c *meddler) UpdateSecretVersionStage(ctx context.Context, in *secretsmanager.UpdateSecretVersionStageInput, optFns ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error) {
	if f := c.beforeMove; f != nil {
		c.beforeMove = nil
		f()
	}
	out, err := c.StoreAPI.UpdateSecretVersionStage(ctx, in, optFns...)
	if c.lose {
		return nil, errors.New("the answer with " + secret + " was lost")
	}
	return out, err
}

func TestStore_OneOfTwoWritersWins(t *testing.T) {
	for _, stored := range []string{"", "old"} {
		m := startMoto(t)
		m.create("s", stored)
		expected := tokensource.Token{}
		if stored != "" {
			expected = token(stored)
		}
		faster := func() { must(store(m, awssm.Options{}).Put(t.Context(), token("faster"), expected)) }
		for _, c := range []*meddler{{StoreAPI: m.client(), beforePut: faster}, {StoreAPI: m.client(), beforeMove: faster}} {
			if stored == "" && c.beforeMove != nil {
				continue // AWS makes a first version current, there is no move
			}
			_, err := must(awssm.NewStore(c, "s", awssm.Options{})).Put(t.Context(), token(secret), expected)
			fails(t, err, tokensource.ErrConflict, "another writer")
			if got := *m.get("s", awssm.StageCurrent).SecretString; got != "faster" {
				t.Errorf("the secret is now %q", got)
			}
			if stored != "" {
				must(store(m, awssm.Options{}).Put(t.Context(), token("old"), token("faster")))
			}
			if _, ok := m.labels("s")["PACKAGECLOUD_PUT"]; ok {
				t.Error("the loser's version keeps its label")
			}
		}
	}
}

// The SDK repeats a request whose answer was lost, and AWS refuses the
// repetition: the move was done all the same.
func TestStore_LostAnswerOfAMoveIsResolved(t *testing.T) {
	m := startMoto(t)
	m.create("s", "old")
	s := must(awssm.NewStore(&meddler{StoreAPI: m.client(), lose: true}, "s", awssm.Options{}))
	tok, err := s.Put(t.Context(), token("new"), token("old"))
	holds(t, tok, err, "new")
	staged := must(s.Stage(t.Context(), token("newer")))
	if err := s.Promote(t.Context(), staged); err != nil {
		t.Error(err)
	}
	tok, err = s.Token(t.Context())
	holds(t, tok, err, "newer")
	if got := slices.Sorted(maps.Keys(m.labels("s"))); !slices.Equal(got, []string{awssm.StageCurrent, awssm.StagePrevious}) {
		t.Errorf("labels %v", got)
	}
}

// writes are the ways to write a secret that holds "old" and has "staged" staged,
// with the requests that each makes.
var writes = []struct {
	name, action, says string
	do                 func(context.Context, *awssm.Store) error
}{
	{"Put", "PutSecretValue", "the new token may have been stored", put},
	{"Put/move", "UpdateSecretVersionStage", "the stage may have been moved", put},
	{"Stage", "PutSecretValue", "the new token may have been stored", func(ctx context.Context, s *awssm.Store) error {
		if err := s.Discard(ctx, token("staged")); err != nil {
			return err
		}
		_, err := s.Stage(ctx, token(secret))
		return err
	}},
	{"Promote", "UpdateSecretVersionStage", "the stage may have been moved", func(ctx context.Context, s *awssm.Store) error { return s.Promote(ctx, token("staged")) }},
	{"Discard", "UpdateSecretVersionStage", "the stage may have been moved", func(ctx context.Context, s *awssm.Store) error { return s.Discard(ctx, token("staged")) }},
}

func put(ctx context.Context, s *awssm.Store) error {
	_, err := s.Put(ctx, token(secret), token("old"))
	return err
}

// Guarantee B4.
func TestStore_WriteWithoutAnAnswerSaysThatItMayHaveBeenDone(t *testing.T) {
	m := startMoto(t)
	f := newFront(t, m)
	for _, test := range writes {
		t.Run(test.name, func(t *testing.T) {
			m.create(test.name, "old")
			m.put(test.name, "staged", awssm.StagePending)
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+test.action) {
					refuse(w, r, 503, "ServiceUnavailable")
					return
				}
				f.ServeHTTP(w, r)
			})
			err := test.do(t.Context(), must(awssm.NewStore(clientOf(url), test.name, awssm.Options{})))
			fails(t, err, tokensource.ErrUnavailable, test.says)
		})
	}
}

func TestStore_RefusedWriteIsNotSaidToMayHaveBeenDone(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetSecretValue") {
			answer(w)
			return
		}
		refuse(w, r, 400, "ThrottlingException")
	})
	_, err := must(awssm.NewStore(clientOf(url), "s", awssm.Options{})).Put(t.Context(), token("next"), token(secret))
	fails(t, err, tokensource.ErrUnavailable, "rate of requests")
	if strings.Contains(err.Error(), "may have been") {
		t.Errorf("error %v", err)
	}
}

// Guarantee B4.
func TestStore_CallerLeavesAStalledWrite(t *testing.T) {
	m := startMoto(t)
	f := newFront(t, m)
	for _, test := range writes {
		t.Run(test.name, func(t *testing.T) {
			m.create(test.name, "old")
			m.put(test.name, "staged", awssm.StagePending)
			ctx, leave := context.WithCancel(t.Context())
			release := make(chan bool)
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+test.action) {
					leave()
					<-release // after the caller is gone
				}
				f.ServeHTTP(w, r)
			})
			defer close(release)
			err := test.do(ctx, must(awssm.NewStore(clientOf(url), test.name, awssm.Options{})))
			fails(t, err, context.Canceled, test.says)
			fails(t, err, tokensource.ErrUnavailable, "context ended")
		})
	}
}

func TestStore_FailedMoveChangesNothing(t *testing.T) {
	m := startMoto(t)
	m.create("s", "old")
	s := must(awssm.NewStore(immovable{m.client()}, "s", awssm.Options{}))
	_, err := s.Put(t.Context(), token(secret), token("old"))
	fails(t, err, tokensource.ErrUnavailable, "no answer from AWS")
	tok, err := s.Token(t.Context())
	holds(t, tok, err, "old")
	staged := must(s.Stage(t.Context(), token(secret)))
	fails(t, s.Promote(t.Context(), staged), tokensource.ErrUnavailable, "no answer from AWS")
	fails(t, s.Discard(t.Context(), staged), tokensource.ErrUnavailable, "no answer from AWS")
	tok, err = s.Token(t.Context())
	holds(t, tok, err, "old")
}

type immovable struct{ awssm.StoreAPI }

func (immovable) UpdateSecretVersionStage(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error) {
	return nil, errors.New(secret)
}

func TestStore_PromoteFinishesWhatWasCutShort(t *testing.T) {
	m := startMoto(t)
	m.create("s", "old")
	old := m.labels("s")[awssm.StageCurrent]
	s := store(m, awssm.Options{})
	staged := must(s.Stage(t.Context(), token("new")))
	// The process ended between the two steps.
	must(m.client().UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: new("s"), VersionStage: new(awssm.StageCurrent), MoveToVersionId: new(staged.Metadata().Version), RemoveFromVersionId: &old,
	}))
	if _, err := s.Staged(t.Context()); !errors.Is(err, tokensource.ErrNotFound) {
		t.Errorf("Staged of a promoted token: %v", err)
	}
	if err := s.Promote(t.Context(), staged); err != nil {
		t.Error(err)
	}
	want := map[string]string{awssm.StageCurrent: staged.Metadata().Version, awssm.StagePrevious: old}
	if got := m.labels("s"); !maps.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
	fails(t, s.Promote(t.Context(), staged), tokensource.ErrConflict, "isn't staged any more")
}

// AWS's own rotations leave AWSPENDING on the current version.
func TestStore_PutDoesNotTurnALeftLabelIntoAStagedToken(t *testing.T) {
	m := startMoto(t)
	m.create("s", "old")
	current := m.put("s", "rotated", awssm.StagePending, awssm.StageCurrent)
	if got := m.labels("s"); got[awssm.StagePending] != current || got[awssm.StageCurrent] != current {
		t.Fatalf("labels %v", got)
	}
	s := store(m, awssm.Options{})
	must(s.Put(t.Context(), token("new"), token("rotated")))
	must(s.Put(t.Context(), token("newer"), token("new")))
	_, err := s.Staged(t.Context())
	fails(t, err, tokensource.ErrNotFound, "")
}

func TestStore_PromoteKeepsChangesBesideTheToken(t *testing.T) {
	m := startMoto(t)
	m.create("s", `{"token":"old","user":"a"}`)
	s := store(m, awssm.Options{Field: "token"})
	staged := must(s.Stage(t.Context(), token(secret)))
	m.put("s", `{"token":"old","user":"b"}`)
	fails(t, s.Promote(t.Context(), staged), tokensource.ErrConflict, "discard it and stage it anew")
	if err := s.Discard(t.Context(), staged); err != nil {
		t.Fatal(err)
	}
	staged = must(s.Stage(t.Context(), token("new")))
	if err := s.Promote(t.Context(), staged); err != nil {
		t.Fatal(err)
	}
	if got := *m.get("s", awssm.StageCurrent).SecretString; got != `{"token":"new","user":"b"}` {
		t.Errorf("stored %s", got)
	}
}

func TestStore_StagesOneTokenAtATime(t *testing.T) {
	m := startMoto(t)
	m.create("s", "old")
	s := store(m, awssm.Options{})
	staged := must(s.Stage(t.Context(), token("new")))
	again := must(s.Stage(t.Context(), token("new")))
	if again.Metadata() != staged.Metadata() {
		t.Errorf("staging it again made %v of %v", again.Metadata(), staged.Metadata())
	}
	_, err := s.Stage(t.Context(), token(secret))
	fails(t, err, tokensource.ErrConflict, "another token is staged")
	other := staged.With(tokensource.Metadata{Version: "another"})
	fails(t, s.Promote(t.Context(), other), tokensource.ErrConflict, "another token is staged")

	// Another program staged the same secret meanwhile: one of both wins.
	m.put("s", "theirs", awssm.StagePending)
	fails(t, s.Promote(t.Context(), staged), tokensource.ErrConflict, "another token is staged")
	if err := s.Discard(t.Context(), staged); err != nil {
		t.Fatal(err)
	}
	tok, err := s.Staged(t.Context())
	holds(t, tok, err, "theirs")
}

// AWS makes a secret's first version current, whatever label it is given.
func TestStore_DoesNotStageBesideNothing(t *testing.T) {
	m := startMoto(t)
	m.create("s", "")
	s := store(m, awssm.Options{})
	_, err := s.Stage(t.Context(), token(secret))
	fails(t, err, tokensource.ErrNotFound, "")
	_, err = s.Token(t.Context())
	fails(t, err, tokensource.ErrNotFound, "")
	_, err = s.Stage(t.Context(), tokensource.Token{})
	fails(t, err, tokensource.ErrInvalid, "no token to stage")
}

// AWSPREVIOUS is a source of its own: while the site doesn't know the new token yet,
// or still knows the old one alone, a chain has the one that works.
//
// Guarantee B4.
func TestSource_PreviousBridgesARotation(t *testing.T) {
	m := startMoto(t)
	m.create("s", "old")
	s := store(m, awssm.Options{})
	current := must(awssm.New(m.client(), "s", awssm.Options{}))
	previous := must(awssm.New(m.client(), "s", awssm.Options{Stage: awssm.StagePrevious}))
	chain := must(tokensource.Chain(current, previous)).FallThrough(tokensource.ErrRejected)
	works := "old" // at the site
	use := func(want string) {
		t.Helper()
		for range 2 {
			tok, err := chain.Token(t.Context())
			if err == nil && tok.Reveal() != works {
				chain.Invalidate(tok)
				tok, err = chain.Token(t.Context())
			}
			holds(t, tok, err, want)
		}
	}
	use("old")
	staged := must(s.Stage(t.Context(), token("new")))
	use("old")
	if err := s.Promote(t.Context(), staged); err != nil {
		t.Fatal(err)
	}
	use("old") // of AWSPREVIOUS
	works = "new"
	use("new") // of AWSCURRENT again
	works = "newer"
	staged = must(s.Stage(t.Context(), token("newer")))
	if err := s.Promote(t.Context(), staged); err != nil {
		t.Fatal(err)
	}
	use("newer")
}

func TestStore_DeniedWritesNameTheAction(t *testing.T) {
	m := startMoto(t, "INITIAL_NO_AUTH_ACTION_COUNT=4")
	m.create("s", "old")
	id, key := m.user("reader", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`)
	s := must(awssm.NewStore(clientOf(m.url, withCredentials(id, key, "")), "s", awssm.Options{}))
	_, err := s.Put(t.Context(), token(secret), token("old"))
	fails(t, err, tokensource.ErrDenied, "secretsmanager:PutSecretValue")
	_, err = s.Stage(t.Context(), token(secret))
	fails(t, err, tokensource.ErrDenied, "secretsmanager:PutSecretValue")
}

func TestNewStore_IsForTheCurrentVersion(t *testing.T) {
	client := clientOf("http://127.0.0.1:1")
	for _, options := range []awssm.Options{{Stage: awssm.StagePending}, {VersionID: "v"}} {
		_, err := awssm.NewStore(client, "s", options)
		fails(t, err, tokensource.ErrInvalid, "leave Stage and VersionID empty")
	}
	_, err := awssm.NewStore(nil, "s", awssm.Options{})
	fails(t, err, tokensource.ErrInvalid, "client is nil")
	machine(t, static)
	_, err = awssm.OpenStore(t.Context(), "s", awssm.Options{Region: region, Stage: awssm.StagePending})
	fails(t, err, tokensource.ErrInvalid, "leave Stage and VersionID empty")
}

func TestOpenStore_Writes(t *testing.T) {
	m := startMoto(t)
	machine(t, static)
	m.create("s", "old")
	s := must(awssm.OpenStore(t.Context(), "s", awssm.Options{Region: region, Endpoint: m.url}))
	must(s.Put(t.Context(), token("new"), token("old")))
	tok, err := s.Token(t.Context())
	holds(t, tok, err, "new")
}
