package vault

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/hashicorp/vault/api"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// lookup remembers where Vault says that a path is.
type lookup struct {
	flight sourcekit.Flight[store]
	mu     sync.Mutex
	known  *store
}

func (l *lookup) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = nil
}

func (l *lookup) get() *store {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

// locate finds the store that the path is in.
func (s *Source) locate(ctx context.Context, vault *api.Client) (store, error) {
	full := s.full()
	if s.options.KVVersion != 0 {
		at := store{versioned: s.options.KVVersion == 2, mount: s.options.Mount, path: s.path}
		if at.mount == "" {
			at.mount, at.path, _ = strings.Cut(full, "/")
		}
		return at, nil
	}
	if at := s.lookup.get(); at != nil {
		return *at, nil
	}
	at, err := s.lookup.flight.Do(ctx, func(ctx context.Context) (store, error) {
		if at := s.lookup.get(); at != nil {
			return *at, nil // by a call that has just ended
		}
		at, err := lookUpMount(ctx, vault, full)
		if err == nil {
			s.lookup.mu.Lock()
			s.lookup.known = &at
			s.lookup.mu.Unlock()
		}
		return at, err
	})
	if isRefusal(err) {
		// It may be another caller's Vault token that was refused.
		return lookUpMount(ctx, vault, full)
	}
	return at, err
}

// errNoLookup is the cause of the error of a server that can't look up a mount.
var errNoLookup = errors.New("no mount lookup")

// lookUpMount has Vault look up the mount of a path, as the vault command does before
// it reads: https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts
func lookUpMount(ctx context.Context, vault *api.Client, full string) (store, error) {
	answer, err := vault.Logical().ReadWithContext(ctx, "sys/internal/ui/mounts/"+full)
	if err != nil {
		return store{}, err
	}
	if answer == nil {
		return store{}, wrapf(tokensource.ErrUnavailable, errNoLookup, "the server has no mount lookup; set KVVersion (option kv) to 1 or 2")
	}
	mount, _ := answer.Data["path"].(string)
	switch kind, _ := answer.Data["type"].(string); kind {
	case "kv", "generic":
	default:
		return store{}, failf(tokensource.ErrInvalid, "the path isn't in a key/value store")
	}
	path, mount, ok := within(full, mount)
	if !ok {
		return store{}, failf(tokensource.ErrInvalid, "the path is only a mount; give the secret within it")
	}
	options, _ := answer.Data["options"].(map[string]any)
	version, _ := options["version"].(string)
	return store{versioned: version == "2", mount: mount, path: path}, nil
}

// within splits full at the end of mount. The mount may begin with namespaces
// that full doesn't have.
func within(full, mount string) (path, at string, ok bool) {
	mount = strings.Trim(mount, "/")
	for mount != "" {
		if path, ok := strings.CutPrefix(full, mount+"/"); ok {
			return path, mount, true
		}
		_, mount, _ = strings.Cut(mount, "/")
	}
	return "", "", false
}
