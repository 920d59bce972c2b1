package env_test

import (
	"os"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// TestSource_Faults takes the source through the table of faults: what can go wrong
// with a variable is what it holds.
//
// Guarantees: K4, B1, G1.
func TestSource_Faults(t *testing.T) {
	const name = "PACKAGECLOUD_GO_TEST_FAULTS"
	unset(t, name)
	noStore := tokensourcetest.NotApplicable("the environment is the process's own memory, and nothing that could fail lies in between")
	noLogin := tokensourcetest.NotApplicable("a process needs no credentials for its own environment")
	noVersion := tokensourcetest.NotApplicable("a variable has no versions")
	noField := tokensourcetest.NotApplicable("a variable holds the token alone; env takes no field")
	tokensourcetest.RunFaults(t,
		tokensourcetest.StoredFaults(tokensourcetest.Backend{
			New:    func(*testing.T) tokensource.TokenSource { return env.New(name) },
			Set:    func(t *testing.T, value string) { set(t, name, value) },
			Remove: func(*testing.T) { os.Unsetenv(name) },
		}),
		tokensourcetest.Faults{
			tokensourcetest.DownAtStart:        noStore,
			tokensourcetest.DownLater:          noStore,
			tokensourcetest.Stalled:            noStore,
			tokensourcetest.WrongCredentials:   noLogin,
			tokensourcetest.ExpiredCredentials: noLogin,
			tokensourcetest.Denied:             noLogin,
			tokensourcetest.VersionMissing:     noVersion,
			tokensourcetest.VersionDeleted:     noVersion,
			tokensourcetest.FieldMissing:       noField,
			tokensourcetest.NotJSON:            noField,
			tokensourcetest.OddNamed:           oddNamed,
			tokensourcetest.Redirected:         noStore,
			tokensourcetest.UnknownCA:          noStore,
			tokensourcetest.ExpiredCertificate: noStore,
			tokensourcetest.WrongHost:          noStore,
			tokensourcetest.CutInHalf:          noStore,
			tokensourcetest.ServerError:        noStore,
			tokensourcetest.ForeignAnswer:      noStore,
		})
}

// oddNamed leaves out the characters that stand in a variable's name by a slip only.
func oddNamed(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
	for _, name := range []string{"a-b", "a.b", "a+b", "a@b", "größe", "日本", "~a", "a(b)"} {
		t.Setenv(name, secret)
		source := env.New(name)
		spelled, err := backends.Parse(source.String(), env.Opener())
		if err != nil {
			t.Fatal(err)
		}
		scenes = append(scenes, tokensourcetest.Scene{Name: name, Source: source},
			tokensourcetest.Scene{Name: name + ", spelled", Source: spelled})
	}
	return scenes
}
