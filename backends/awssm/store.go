package awssm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/packagecloud-go/sdk/tokensource"
)

// StoreAPI is what a [Store] needs of a client; *[secretsmanager.Client] has it.
// It must be safe for concurrent use.
type StoreAPI interface {
	API
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
	UpdateSecretVersionStage(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error)
}

// stagePut marks a version from when Put wrote it to when it is current.
const stagePut = "PACKAGECLOUD_PUT"

// Store is a secret that can be written, a [tokensource.Stager]. The secret
// itself must exist: its key, tags and policy are for its owner to choose. Of a
// JSON secret only the field is changed, and a binary secret stays binary.
//
// What becomes current does so by moving AWSCURRENT off the very version that was
// read before, which AWS refuses if it was moved meanwhile: that is
// [tokensource.ErrConflict], and nothing has changed. AWS puts AWSPREVIOUS on the
// version before. The staged token is the version with AWSPENDING.
//
// A write that AWS doesn't answer, or that its caller leaves, may have been carried
// out all the same; the error says so. It can be repeated.
//
// A Store is safe for concurrent use.
type Store struct {
	source *Source

	// Functions, as in Source.
	putSecretValue           func(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
	updateSecretVersionStage func(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error)
}

var _ tokensource.Stager = (*Store)(nil)

// NewStore is [New] for a secret that is also to be written. Stage must be empty
// or [StageCurrent], and VersionID empty.
func NewStore(client StoreAPI, secretID string, options Options) (*Store, error) {
	if _, err := New(client, secretID, options); err != nil {
		return nil, err
	}
	return newStore(client, secretID, options)
}

func newStore(client StoreAPI, secretID string, options Options) (*Store, error) {
	source, err := newSource(client, secretID, options)
	if err != nil {
		return nil, err
	}
	if options.VersionID != "" || options.Stage != "" && options.Stage != StageCurrent {
		return nil, source.invalid("a Store reads and writes the current version; leave Stage and VersionID empty")
	}
	return &Store{source, client.PutSecretValue, client.UpdateSecretVersionStage}, nil
}

// String spells the store as [Source.String] does.
func (s *Store) String() string { return s.source.String() }

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (s *Store) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// Token reads the current token; see [Source.Token].
func (s *Store) Token(ctx context.Context) (tokensource.Token, error) { return s.source.Token(ctx) }

// Put makes next the current token, provided that the current one is expected.
// A zero expected stands for a secret without a value, or JSON without the
// field.
func (s *Store) Put(ctx context.Context, next, expected tokensource.Token) (tokensource.Token, error) {
	if next.IsZero() {
		return tokensource.Token{}, s.source.invalid("there is no token to put")
	}
	current, err := s.read(ctx, StageCurrent)
	if err != nil && !errors.Is(err, tokensource.ErrNotFound) {
		return tokensource.Token{}, err
	}
	stored, err := s.stored(current)
	if err != nil {
		return tokensource.Token{}, err
	}
	if !stored.Equal(expected) {
		return tokensource.Token{}, s.conflict("the secret holds another token than expected")
	}
	if slices.Contains(current.stages, StagePending) {
		// Left by a finished rotation. On a version that isn't current any
		// more it would look like a staged token.
		if err := s.unlabel(ctx, StagePending, current.version); err != nil {
			return tokensource.Token{}, err
		}
	}
	written, err := s.write(ctx, current, next, stagePut)
	if err != nil {
		return tokensource.Token{}, err
	}
	moved := s.move(ctx, current.version, written)
	// What a left label does is keep AWS from cleaning up this version; the
	// next Put takes it away. That is no reason to fail.
	s.unlabel(ctx, stagePut, written)
	if moved != nil {
		return tokensource.Token{}, moved
	}
	return next.With(s.source.metadata(written)), nil
}

// Stage stores next as AWSPENDING. Staging the token that is staged already
// returns it. A secret without a value has nothing to stage beside, since AWS
// makes the first version current: that is [tokensource.ErrNotFound].
func (s *Store) Stage(ctx context.Context, next tokensource.Token) (tokensource.Token, error) {
	if next.IsZero() {
		return tokensource.Token{}, s.source.invalid("there is no token to stage")
	}
	staged, err := s.Staged(ctx)
	switch {
	case err == nil && staged.Equal(next):
		return staged, nil
	case err == nil:
		return tokensource.Token{}, s.conflict("another token is staged already; promote or discard it first")
	case !errors.Is(err, tokensource.ErrNotFound):
		return tokensource.Token{}, err
	}
	current, err := s.read(ctx, StageCurrent)
	if err != nil {
		return tokensource.Token{}, err
	}
	if _, err := s.stored(current); err != nil {
		return tokensource.Token{}, err
	}
	written, err := s.write(ctx, current, next, StagePending)
	if err != nil {
		return tokensource.Token{}, err
	}
	return next.With(s.source.metadata(written)), nil
}

// Staged returns the token that is AWSPENDING. One that is current as well, as
// AWS's own rotations leave it, has been promoted: that is ErrNotFound.
func (s *Store) Staged(ctx context.Context) (tokensource.Token, error) {
	pending, err := s.read(ctx, StagePending)
	if err != nil {
		return tokensource.Token{}, err
	}
	if slices.Contains(pending.stages, StageCurrent) {
		return tokensource.Token{}, tokensource.NewError(s.String(), tokensource.ErrNotFound, "no token is staged; the last one was promoted", nil)
	}
	return s.source.token(pending)
}

// Promote makes the staged token the current one. ErrConflict says that it isn't
// staged any more, that another writer was faster, or that another field of the
// JSON has changed since, which promoting would undo: discard it and stage anew.
// A Promote that was cut short can be repeated.
func (s *Store) Promote(ctx context.Context, staged tokensource.Token) error {
	pending, err := s.read(ctx, StagePending)
	if errors.Is(err, tokensource.ErrNotFound) {
		return s.conflict("the token isn't staged any more")
	}
	if err != nil {
		return err
	}
	if !s.is(pending, staged) {
		return s.conflict("another token is staged")
	}
	if !slices.Contains(pending.stages, StageCurrent) {
		current, err := s.read(ctx, StageCurrent)
		if err != nil {
			return err
		}
		if !current.sameBeside(pending, s.source.field()) {
			return s.conflict("other fields of the secret have changed since the token was staged; discard it and stage it anew")
		}
		if err := s.move(ctx, current.version, pending.version); err != nil {
			return err
		}
	}
	return s.unlabel(ctx, StagePending, pending.version)
}

// Discard takes AWSPENDING off the staged token, which leaves AWS to delete it
// in its time. Another token that is staged stays.
func (s *Store) Discard(ctx context.Context, staged tokensource.Token) error {
	pending, err := s.read(ctx, StagePending)
	if errors.Is(err, tokensource.ErrNotFound) {
		return nil
	}
	if err != nil || !s.is(pending, staged) {
		return err
	}
	return s.unlabel(ctx, StagePending, pending.version)
}

func (s *Store) read(ctx context.Context, stage string) (value, error) {
	return s.source.get(ctx, stage, "")
}

// stored returns the token of v, or a zero one if v has none yet.
func (s *Store) stored(v value) (tokensource.Token, error) {
	if v.version == "" || v.lacks(s.source.field()) {
		return tokensource.Token{}, nil
	}
	return s.source.token(v)
}

// is reports whether v holds that token, in that version if tok names one.
func (s *Store) is(v value, tok tokensource.Token) bool {
	held, err := s.source.token(v)
	version := tok.Metadata().Version
	return err == nil && held.Equal(tok) && (version == "" || version == v.version)
}

// write stores next in a new version that differs from v in nothing else, gives
// it the label and returns its id.
func (s *Store) write(ctx context.Context, v value, next tokensource.Token, label string) (string, error) {
	in := &secretsmanager.PutSecretValueInput{SecretId: &s.source.secretID, VersionStages: []string{label}}
	data, err := s.source.field().Write([]byte(v.data), next.Reveal())
	if err != nil {
		return "", s.source.located(err)
	}
	if v.binary {
		in.SecretBinary = data
	} else {
		text := string(data)
		in.SecretString = &text
	}
	out, err := call(ctx, s.source, actionPut, s.putSecretValue, in)
	if err != nil {
		return "", err
	}
	if out == nil || out.VersionId == nil {
		return "", s.source.invalid("AWS answered without a version; does the endpoint speak for Secrets Manager?")
	}
	return *out.VersionId, nil
}

// move makes version to the current one, if version from still is.
func (s *Store) move(ctx context.Context, from, to string) error {
	if from == "" {
		// AWS has made the first version current, and only that one.
		return s.settled(ctx, from, to, nil)
	}
	err := s.update(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		VersionStage: new(StageCurrent), MoveToVersionId: &to, RemoveFromVersionId: &from,
	})
	if err == nil {
		return nil
	}
	return s.settled(ctx, from, to, err)
}

// settled says how a move ended, by looking: the SDK may have repeated a request
// whose answer was lost, and AWS refused the repetition.
func (s *Store) settled(ctx context.Context, from, to string, failure error) error {
	current, err := s.read(ctx, StageCurrent)
	switch {
	case err == nil && current.version == to:
		return nil
	case err == nil && current.version != from:
		return s.conflict("another writer changed the secret meanwhile")
	}
	return cmp.Or(failure, err)
}

// unlabel takes the label off that version. That it isn't there is no error.
func (s *Store) unlabel(ctx context.Context, label, version string) error {
	failure := s.update(ctx, &secretsmanager.UpdateSecretVersionStageInput{VersionStage: &label, RemoveFromVersionId: &version})
	if failure == nil {
		return nil
	}
	labelled, err := s.read(ctx, label)
	if errors.Is(err, tokensource.ErrNotFound) || err == nil && labelled.version != version {
		return nil
	}
	return failure
}

// update moves a label of the secret.
func (s *Store) update(ctx context.Context, in *secretsmanager.UpdateSecretVersionStageInput) error {
	in.SecretId = &s.source.secretID
	_, err := call(ctx, s.source, actionMove, s.updateSecretVersionStage, in)
	return err
}

func (s *Store) conflict(message string) error {
	return tokensource.NewError(s.String(), tokensource.ErrConflict, message, nil)
}
