package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/tokensource"
)

// stored is a secret as it was read.
type stored struct {
	data    map[string]any // nil if nothing is there
	version int            // 0 in a version 1 store, and where nothing ever was
	gone    string         // how this version ended, if it was deleted
}

// read returns what the store has, which may be nothing.
func (s *Source) read(ctx context.Context, vault *api.Client) (stored, store, error) {
	at, err := s.locate(ctx, vault)
	if err != nil {
		return stored{}, at, err
	}
	found, err := at.read(ctx, vault, s.options.Version)
	if err == nil && found.data == nil || (status(err) == 400 || status(err) == 404) {
		// The mount may have changed: ask again next time.
		s.lookup.forget()
	}
	if err == nil && found.data == nil && found.gone == "" {
		err = s.slip(ctx, vault, at)
	}
	return found, at, err
}

// token makes a token of the secret's field.
func (s *Source) token(found stored) (tokensource.Token, error) {
	fail := func(kind error, format string, args ...any) (tokensource.Token, error) {
		return tokensource.Token{}, tokensource.NewError(s.name, kind, fmt.Sprintf(format, args...), nil)
	}
	switch {
	case found.gone != "":
		return fail(tokensource.ErrInvalid, "version %d of the secret %s; restore it with \"vault kv undelete\" or write a new one", found.version, found.gone)
	case found.data == nil && s.options.Version != 0:
		return fail(tokensource.ErrNotFound, "there is no version %d of a secret at this path", s.options.Version)
	case found.data == nil && s.namesField():
		return fail(tokensource.ErrInvalid, "there is no secret at this path, whose last part has a colon; write a field after #, as in vault:secret/packagecloud#api_key")
	case found.data == nil:
		return fail(tokensource.ErrNotFound, "there is no secret at this path; write the secret there, or correct the path, which is as in \"vault kv get\"")
	}
	value, ok := found.data[s.options.Field]
	if !ok {
		return fail(tokensource.ErrInvalid, "the secret has no field %q; write it there, or name the right field", s.options.Field)
	}
	text, ok := value.(string)
	if !ok {
		return fail(tokensource.ErrInvalid, "the field %q holds %s, not a string", s.options.Field, typeName(value))
	}
	return tokensource.NewToken(text, s.metadata(found.version))
}

func (s *Source) metadata(version int) tokensource.Metadata {
	meta := tokensource.Metadata{Origin: s.name}
	if version != 0 {
		meta.Version = strconv.Itoa(version)
	}
	return meta
}

func typeName(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number, float64:
		return "a number"
	case []any:
		return "a list"
	}
	return "an object"
}

// store is a place in a key/value store.
type store struct {
	versioned   bool // version 2
	mount, path string
}

// api is the path of the secret in Vault's API.
// https://developer.hashicorp.com/vault/api-docs/secret/kv
func (at store) api() string {
	if at.versioned {
		return at.mount + "/data/" + at.path
	}
	return at.mount + "/" + at.path
}

// version is that of the store.
func (at store) version() int {
	if at.versioned {
		return 2
	}
	return 1
}

func (at store) read(ctx context.Context, vault *api.Client, version int) (stored, error) {
	var query url.Values
	switch {
	case version == 0:
	case at.versioned:
		query = url.Values{"version": {strconv.Itoa(version)}}
	default:
		return stored{}, failf(tokensource.ErrInvalid, "the store is of version 1, which keeps no versions; ask for none")
	}
	answer, err := ask(ctx, vault, at.api(), query)
	switch {
	case err != nil:
		return stored{}, err
	case answer.Data != nil && at.versioned:
		return versioned(answer.Data)
	case answer.Data != nil:
		return stored{data: answer.Data}, nil
	case len(answer.Warnings) > 0:
		// What Vault says to a version 1 request in a version 2 store.
		return stored{}, failf(tokensource.ErrInvalid, "Vault finds nothing and warns about the request; is the store of another version, and KVVersion wrong?")
	}
	return stored{}, nil
}

// answer is what Vault says to a read.
type answer struct {
	Data             map[string]any
	Warnings, Errors []string
}

// ask reads a path of Vault's API. Vault's own client takes any 404 and any
// answer without data for "nothing there". Here that is a 404 with an empty list
// of errors, which is what Vault says; a proxy in between says otherwise, and so
// does Vault where there is no such mount.
func ask(ctx context.Context, vault *api.Client, path string, query url.Values) (answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := vault.Logical().ReadRawWithDataWithContext(ctx, path, query)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil && (status(err) != http.StatusNotFound || foreign(err)) {
		return answer{}, err
	}
	var a answer
	decoder := json.NewDecoder(resp.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&a); err != nil {
		return answer{}, err
	}
	switch missing := err != nil; {
	case missing && len(a.Errors) > 0:
		return answer{}, err
	case a.Data == nil && len(a.Warnings) == 0 && (!missing || a.Errors == nil):
		return answer{}, wrapf(tokensource.ErrUnavailable, err, "status %d in an answer that isn't Vault's, for it says nothing; is a proxy in between?", resp.StatusCode)
	}
	return a, nil
}

// versioned takes apart the answer of a version 2 store. A version that was
// deleted has metadata and no data.
func versioned(answer map[string]any) (stored, error) {
	meta, ok := answer["metadata"].(map[string]any)
	number, isNumber := meta["version"].(json.Number)
	version, err := strconv.Atoi(number.String())
	if !ok || !isNumber || err != nil {
		return stored{}, failf(tokensource.ErrInvalid, "the answer isn't that of a version 2 store; is KVVersion wrong?")
	}
	found := stored{version: version}
	if data, ok := answer["data"].(map[string]any); ok {
		found.data = data
		return found, nil
	}
	found.gone = "was deleted"
	if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(meta["deletion_time"])); err == nil {
		found.gone += " at " + at.UTC().Format(time.RFC3339)
	}
	if destroyed, _ := meta["destroyed"].(bool); destroyed {
		found.gone = "was destroyed"
	}
	return found, nil
}
