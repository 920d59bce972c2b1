package packagecloud_test

import (
	"slices"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

const searchPath = "/api/v1/repos/*/*/search.json"

func TestUpload_LostAnswerOfAnAlpinePackage(t *testing.T) {
	f := setup(t)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes("demo-1.0-r0.apk", []byte("\x1f\x8bcontent")), &packagecloud.UploadOptions{Type: "alpine", Distribution: "alpine/v3.20"})
	if err != nil {
		t.Error(err)
	}
	f.stored(t, 1)
}

func TestUpload_DuplicateAfterOwnLostTryIsSuccess(t *testing.T) {
	for _, wording := range []packagecloudtest.DuplicateWording{packagecloudtest.DuplicateFilename, packagecloudtest.DuplicateFullName} {
		f := setupServer(t, &packagecloudtest.Options{DuplicateWording: wording}, nil)
		f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
		// It isn't listed yet, whenever the client looks.
		f.srv.Inject(packagecloudtest.Fault{Path: searchPath, Times: 3, Status: 200, ContentType: "application/json", Body: "[]"})
		if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("content")), jammy); err != nil {
			t.Error(err)
		}
		f.stored(t, 1)
		if got := statuses(f.requests("POST")); !slices.Equal(got, []int{0, 422}) {
			t.Errorf("the answers were %v", got)
		}
	}
}
