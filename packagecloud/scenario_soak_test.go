package packagecloud_test

import (
	"os"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
	"github.com/packagecloud-go/sdk/tokensource"
)

// The soak tests let much happen at once for some time and count all of it:
// scenario_soak_rotation_test.go, scenario_soak_faults_test.go, scenario_soak_kill_test.go. An ordinary
// test run does a little of it; envSoak=1 does all.
const envSoak = "PACKAGECLOUD_SOAK"

// size is that of a soak test: small, or in full.
func size[T any](small, full T) T {
	if os.Getenv(envSoak) == "1" {
		return full
	}
	return small
}

// byName fails the test if a name is there twice.
func byName(t *testing.T, list []packagecloudtest.Package) map[string]packagecloudtest.Package {
	t.Helper()
	out := map[string]packagecloudtest.Package{}
	for _, pkg := range list {
		if _, twice := out[pkg.Filename]; twice {
			t.Errorf("%s is there twice", pkg.Filename)
		}
		out[pkg.Filename] = pkg
	}
	return out
}

// sameContent holds what a server stores against what it was sent: checksums by
// file name. Nothing may be missing, changed or more.
func sameContent(t *testing.T, stored map[string]packagecloudtest.Package, sent map[string]string) {
	t.Helper()
	for name, sum := range sent {
		pkg, ok := stored[name]
		switch {
		case !ok:
			t.Errorf("%s is lost", name)
		case pkg.SHA256 != sum:
			t.Errorf("%s has the checksum %s; want %s", name, pkg.SHA256, sum)
		}
	}
	for name := range stored {
		if _, ok := sent[name]; !ok {
			t.Errorf("%s is there and was never sent", name)
		}
	}
}

// patientClient has the timing of a user's.
func patientClient(t *testing.T, source tokensource.TokenSource, options ...packagecloud.Option) *packagecloud.Client {
	t.Helper()
	client, err := packagecloud.New(source, options...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
