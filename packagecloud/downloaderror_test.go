package packagecloud_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// A writer may hand on what went wrong elsewhere, such as with an upload at the other
// end of a pipe. That says nothing about the download.
//
// Guarantee A4.
func TestDownload_ErrorOfTheWriterIsNotTakenForTheServers(t *testing.T) {
	f := setup(t, packagecloud.WithRetry(packagecloud.RetryPolicy{Tries: 2}))
	pkg := f.add(t, "ubuntu/jammy", demo, big)
	f.srv.Inject(packagecloudtest.Fault{Host: packagecloudtest.HostDownload, CutAfter: -1, Times: 2})
	cut := f.repo.Download(t.Context(), pkg, io.Discard, nil)
	for name, other := range map[string]error{
		"denied": &packagecloud.Error{StatusCode: 403}, "busy": &packagecloud.Error{StatusCode: 429}, "down": &packagecloud.Error{StatusCode: 503},
		"cut": cut,
	} {
		f.srv.ResetRequests()
		err := f.repo.Download(t.Context(), pkg, writer(func([]byte) (int, error) { return 0, fmt.Errorf("elsewhere: %w", other) }), nil)
		if n := len(f.downloads(packagecloudtest.HostDownload)); !errors.Is(err, other) || n != 1 {
			t.Errorf("%s: %d downloads, want 1; the error is %v", name, n, err)
		}
	}
}
