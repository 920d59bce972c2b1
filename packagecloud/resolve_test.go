package packagecloud_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

const searchPath = "/api/v1/repos/*/*/search.json"

func TestUpload_LostAnswerOfAStoredPackageIsSuccess(t *testing.T) {
	for name, opts := range map[string]packagecloudtest.Options{"": {}, "without checksums": {NoChecksums: true}} {
		f := setupServer(t, &opts, nil)
		f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
		pkg, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("content")), jammy)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if pkg.Filename != demo || pkg.Type != "deb" || pkg.Existed {
			t.Errorf("%s: got %+v", name, pkg)
		}
		f.stored(t, 1)
		if n := len(f.requests("POST")); n != 1 {
			t.Errorf("%s: %d uploads; want 1", name, n)
		}
	}
}

func TestUpload_LostAnswerOfAnAlpinePackage(t *testing.T) {
	f := setup(t)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes("demo-1.0-r0.apk", []byte("\x1f\x8bcontent")), &packagecloud.UploadOptions{Type: "alpine", Distribution: "alpine/v3.20"})
	if err != nil {
		t.Error(err)
	}
	f.stored(t, 1)
}

func TestUpload_WhatWasNotStoredIsSentAgain(t *testing.T) {
	for name, fault := range map[string]packagecloudtest.Fault{
		"reset at once":   {Reset: true},
		"reset in middle": {ResetAfter: 50 << 10},
		"500":             {Status: 500},
		"502 twice":       {Status: 502, Times: 2},
		"cut answer":      {Status: 201, Body: "{", ContentType: "application/json"},
	} {
		f := setup(t)
		fault.Method = "POST"
		f.srv.Inject(fault)
		if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, make([]byte, 100<<10)), jammy); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.stored(t, 1)
	}
}

func TestUpload_TriesEnd(t *testing.T) {
	f := setup(t)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", Status: 500, Times: -1})
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("x")), jammy)
	f.clean(t, err)
	if e, ok := errors.AsType[*packagecloud.Error](err); !ok || e.StatusCode != 500 {
		t.Errorf("the error is %v", err)
	}
	if n := len(f.requests("POST")); n != 5 {
		t.Errorf("%d uploads; want 5", n)
	}
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

func TestUpload_DuplicateOfSomebodyElseAfterALostTryIsNot(t *testing.T) {
	f := setup(t)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", ResetAfter: 1 << 20})
	f.srv.Inject(packagecloudtest.Fault{Path: searchPath, Times: 3, Status: 200, ContentType: "application/json", Body: "[]"})
	if err := f.srv.AddPackage("main", "ubuntu/jammy", demo, []byte("theirs")); err != nil {
		t.Fatal(err)
	}
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("content")), jammy)
	f.want(t, err, packagecloud.ErrExists)
}

func TestUpload_LostAnswerWithOtherContentThereIsErrExists(t *testing.T) {
	f := setup(t)
	f.add(t, "ubuntu/jammy", demo, []byte("theirs"))
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", ResetAfter: 1 << 20})
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("ours")), jammy)
	f.want(t, err, packagecloud.ErrExists)
	f.stored(t, 1)
}

func TestUpload_SameFileInAnotherDistributionIsAnother(t *testing.T) {
	f := setup(t)
	content := []byte("content")
	f.add(t, "ubuntu/focal", demo, content)
	f.srv.Inject(packagecloudtest.Fault{Method: "POST", ResetAfter: 1 << 20})
	if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, content), jammy); err != nil {
		t.Fatal(err)
	}
	if p := f.stored(t, 2); p[1].DistroVersion != "ubuntu/jammy" {
		t.Errorf("it went to %s", p[1].DistroVersion)
	}
}

func TestUpload_OutcomeThatCannotBeToldIsErrUnknownOutcome(t *testing.T) {
	t.Run("no checksum and another size", func(t *testing.T) {
		f := setupServer(t, &packagecloudtest.Options{NoChecksums: true}, nil)
		f.add(t, "ubuntu/jammy", demo, []byte("theirs, and longer"))
		f.srv.Inject(packagecloudtest.Fault{Method: "POST", ResetAfter: 1 << 20})
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("ours")), jammy)
		f.want(t, err, packagecloud.ErrUnknownOutcome)
	})
	t.Run("the lookup fails", func(t *testing.T) {
		f := setup(t)
		f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
		f.srv.Inject(packagecloudtest.Fault{Path: searchPath, Times: -1, Status: 500})
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("ours")), jammy)
		f.want(t, err, packagecloud.ErrUnknownOutcome)
	})
	t.Run("the duplicate isn't listed", func(t *testing.T) {
		f := setup(t)
		f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
		f.srv.Inject(packagecloudtest.Fault{Path: searchPath, Times: -1, Status: 200, ContentType: "application/json", Body: "[]"})
		_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("ours")), jammy)
		f.want(t, err, packagecloud.ErrUnknownOutcome)
		f.want(t, err, packagecloud.ErrExists)
	})
	t.Run("the caller leaves", func(t *testing.T) {
		for _, path := range []string{uploadPath, searchPath} {
			f := setup(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if path == searchPath {
				f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
				f.srv.Inject(packagecloudtest.Fault{Path: path, Then: func(*packagecloudtest.Server) { cancel() }})
			} else {
				f.srv.Inject(packagecloudtest.Fault{Method: "POST", StallAfter: -1, Then: func(*packagecloudtest.Server) {
					time.AfterFunc(300*time.Millisecond, cancel) // when the body has been sent
				}})
			}
			_, err := f.repo.Upload(ctx, packagecloud.Bytes(demo, []byte("ours")), jammy)
			f.want(t, err, packagecloud.ErrUnknownOutcome)
			f.want(t, err, context.Canceled)
		}
	})
}
