package vault

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/tokensource"
)

// calls are what follows the mount in the API of a version 2 store, and never in
// "vault kv get".
// https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2
var calls = []string{"data", "metadata", "delete", "undelete", "destroy", "subkeys"}

// isExpansion finds what a shell would have expanded.
var isExpansion = regexp.MustCompile(`\$[A-Za-z_{(]`).MatchString

// full is the path with its mount.
func (s *Source) full() string { return strings.TrimPrefix(s.options.Mount+"/"+s.path, "/") }

// slip returns the error of a path at which at has nothing because the path or the
// options don't fit the store, so that no chain goes on; nil if they do.
func (s *Source) slip(ctx context.Context, vault *api.Client, at store) error {
	if s.options.KVVersion == 2 || s.options.KVVersion == 1 && isCall(at.path) {
		real, err := lookUpMount(ctx, vault, s.full())
		switch {
		case errors.Is(err, errNoLookup), status(err) >= 400 && status(err) < 500:
			// Who sets KVVersion may have a server without the lookup.
		case err != nil:
			return err
		case real.versioned != at.versioned:
			return failf(tokensource.ErrInvalid, "there is no secret at this path, and the store at %s/ is of version %d; set KVVersion (option kv) to that, or leave it out", real.mount, real.version())
		case real.mount != at.mount && at.versioned:
			return failf(tokensource.ErrInvalid, "there is no secret at this path, and the store is mounted at %s/; set Mount (option mount) to that, or leave KVVersion (option kv) out", real.mount)
		}
	}
	if isExpansion(s.full()) {
		return failf(tokensource.ErrInvalid, "there is no secret at this path, which holds a variable of a shell that nothing expands; write the whole path")
	}
	if ends := at.path[:1] + at.path[len(at.path)-1:]; strings.ContainsAny(ends, "\"'` ") {
		return failf(tokensource.ErrInvalid, "there is no secret at this path, which has a quote or a space at an end; write it without")
	}
	rest, doubled := strings.CutPrefix(s.path, s.options.Mount+"/")
	switch {
	case at.versioned && isCall(at.path):
		call, rest, _ := strings.Cut(at.path, "/")
		return failf(tokensource.ErrInvalid, "there is no secret at this path, which is that of Vault's API; write it as in \"vault kv get\", without %s/: %s/%s", call, at.mount, rest)
	case doubled && s.options.Mount != "":
		return failf(tokensource.ErrInvalid, "there is no secret at this path, which begins with the mount a second time; write %s, or leave Mount (option mount) out", rest)
	}
	return nil
}

// isCall reports whether a path within a mount begins as one of the API of a version
// 2 store does.
func isCall(path string) bool {
	call, _, more := strings.Cut(path, "/")
	return more && slices.Contains(calls, call)
}

// hint says, of a path that Vault refuses, how it is probably meant.
func (s *Source) hint() string {
	if rest, ok := strings.CutPrefix(s.full(), "v1/"); ok {
		return "; write the path as in \"vault kv get\", without v1/: " + rest
	}
	within := s.path
	if s.options.Mount == "" {
		_, within, _ = strings.Cut(s.path, "/")
	}
	if isCall(within) {
		call, _, _ := strings.Cut(within, "/")
		return fmt.Sprintf("; in a version 2 store, write the path as in \"vault kv get\", without %s/", call)
	}
	return ""
}

// namesField reports whether the path seems to end in the name of a field.
func (s *Source) namesField() bool {
	return strings.Contains(s.path[strings.LastIndex(s.path, "/")+1:], ":")
}
