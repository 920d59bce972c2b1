package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/tokensource"
)

// maxRaces is how often Put begins again because another field of the secret
// was written meanwhile.
const maxRaces = 5

// errUnsure is a cause of the error of a write that may have been done.
var errUnsure = errors.New("the write may have been done")

// Put stores next in the field and keeps the secret's other fields. In a version
// 2 store it writes with check-and-set: a field that holds another token than
// expected, before or meanwhile, is [tokensource.ErrConflict], and nothing is
// written. A field that is absent or empty, and a secret that was deleted, count
// as nothing stored. A version 1 store can't compare: there expected is ignored,
// and of two writers at once the later one wins, other fields included.
//
// When Vault doesn't answer before ctx ends, or at all, or fails, the error says
// that next may have been stored: read it back.
func (s *Source) Put(ctx context.Context, next, expected tokensource.Token) (tokensource.Token, error) {
	switch {
	case next.IsZero():
		return tokensource.Token{}, tokensource.NewError(s.name, tokensource.ErrInvalid, "there is no token to store", nil)
	case s.options.Version != 0:
		return tokensource.Token{}, tokensource.NewError(s.name, tokensource.ErrInvalid, "a source of a pinned version can't be written; leave the version out", nil)
	}
	version := 0
	err := s.call(ctx, func(vault *api.Client) (err error) {
		version, err = s.put(ctx, vault, next, expected)
		return err
	})
	if err != nil {
		return tokensource.Token{}, err
	}
	return next.With(s.metadata(version)), nil
}

func (s *Source) put(ctx context.Context, vault *api.Client, next, expected tokensource.Token) (int, error) {
	var refused error
	before := -1
	for range maxRaces {
		found, at, err := s.read(ctx, vault)
		if err != nil {
			return 0, err
		}
		if at.versioned && !s.holds(found, expected) {
			return 0, failf(tokensource.ErrConflict, "the secret holds another token than was expected, in version %d", found.version)
		}
		if found.version == before {
			return 0, refused // so that wasn't due to another writer
		}
		data := map[string]any{}
		maps.Copy(data, found.data)
		data[s.options.Field] = next.Reveal()
		version, err := at.write(ctx, vault, data, found.version)
		if !at.versioned || status(err) != 400 {
			return version, err
		}
		before, refused = found.version, err
	}
	return 0, failf(tokensource.ErrConflict, "others write the secret all the time")
}

// holds reports whether the field has the expected token, or nothing if that is
// zero.
func (s *Source) holds(found stored, expected tokensource.Token) bool {
	switch value := found.data[s.options.Field]; value {
	case nil, "":
		return expected.IsZero()
	default:
		current, err := s.token(found)
		return err == nil && current.Equal(expected)
	}
}

// write stores data, in a version 2 store on condition that its latest version
// is the given one, and returns the new version.
func (at store) write(ctx context.Context, vault *api.Client, data map[string]any, version int) (int, error) {
	body := data
	if at.versioned {
		body = map[string]any{"data": data, "options": map[string]any{"cas": version}}
	}
	answer, err := vault.Logical().WriteWithContext(ctx, at.api(), body)
	switch {
	case err != nil && (status(err) == 0 || status(err) >= 500):
		message, kind := explain(err)
		if ctx.Err() != nil {
			message, kind = ctx.Err().Error(), tokensource.ErrUnavailable
		}
		return 0, wrapf(kind, errors.Join(errUnsure, err, ctx.Err()), "%s; the new token may have been stored", message)
	case err != nil || !at.versioned:
		return 0, err
	case answer != nil:
		if n, err := strconv.Atoi(fmt.Sprint(answer.Data["version"])); err == nil {
			return n, nil
		}
	}
	return 0, failf(tokensource.ErrInvalid, "Vault's answer names no version; the new token may have been stored")
}
