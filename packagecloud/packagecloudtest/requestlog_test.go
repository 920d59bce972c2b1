package packagecloudtest_test

import (
	"net/http"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

func TestServer_RequestLogForgesNoLine(t *testing.T) {
	srv := packagecloudtest.NewServer(nil)
	defer srv.Close()
	req, err := http.NewRequest("GET", srv.URL+"/a%0Ab%C2%85c%E2%80%A8d%C2%9Be%E2%80%AEf%E2%80%8Bg", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "a\u0085b\u2028c\u200bd")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	requests := srv.Requests()
	if len(requests) != 1 {
		t.Errorf("the log has %d requests, want 1", len(requests))
	}
	for _, r := range requests {
		if r.Path != "/a b c d e f g" || r.UserAgent != "a b c d" {
			t.Errorf("the log has the path %q and the user agent %q", r.Path, r.UserAgent)
		}
	}
}
