package packagecloud_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

const searchPath = "/api/v1/repos/*/*/search.json"

func TestUpload_LostAnswerWithoutAChecksumIsJudgedByWhatIsKnown(t *testing.T) {
	alpine := &packagecloud.UploadOptions{Type: "alpine", Distribution: "alpine/v3.20"}
	type change func(r *http.Request, body string) *http.Response
	rewrite := func(pattern, with string) change {
		re := regexp.MustCompile(pattern)
		return func(r *http.Request, body string) *http.Response {
			if !re.MatchString(body) {
				t.Errorf("%s holds no %s", body, pattern)
			}
			return reply(r, 200, re.ReplaceAllString(body, with))
		}
	}
	answer := func(status int, body string) change {
		return func(r *http.Request, _ string) *http.Response { return reply(r, status, body) }
	}
	const uploader, created, details, content = `"uploader_name":"[^"]*"`, `"created_at":"[^"]*"`, "/package/", "content"
	for name, test := range map[string]struct {
		options *packagecloud.UploadOptions
		path    string // whose answer is changed
		change  change
		ours    bool
	}{
		"deb":                       {jammy, "", nil, true},
		"alpine":                    {alpine, "", nil, true},
		"size that only a GET has":  {jammy, details, rewrite(`"size":"7"`, `"size":"0"`), true},
		"server ignores ranges":     {alpine, content, answer(200, "7 bytes"), true},
		"uploader in capitals":      {jammy, details, rewrite(uploader, `"uploader_name":"ACME"`), true},
		"another uploader":          {jammy, details, rewrite(uploader, `"uploader_name":"bob"`), false},
		"no uploader":               {jammy, details, rewrite(uploader, `"uploader_name":null`), false},
		"alpine, another uploader":  {alpine, "/search.json", rewrite(uploader, `"uploader_name":"bob"`), false},
		"account without a name":    {jammy, "/repos.json", rewrite(`"fqname":"acme/main"`, `"fqname":null`), false},
		"account without a list":    {jammy, "/repos.json", answer(404, ""), false},
		"account of nothing":        {jammy, "/repos.json", answer(200, "[]"), false},
		"another size":              {jammy, details, rewrite(`"size":"7"`, `"size":"8"`), false},
		"alpine, another size":      {alpine, content, answer(200, "8 bytes!"), false},
		"alpine, no content":        {alpine, content, answer(404, ""), false},
		"alpine, no address":        {alpine, "/search.json", rewrite(`"download_url":"[^"]*"`, `"download_url":""`), false},
		"created long before":       {jammy, details, rewrite(created, `"created_at":"2020-01-24T05:35:34.000Z"`), false},
		"created nobody knows when": {jammy, details, rewrite(created, `"created_at":null`), false},
	} {
		t.Run(name, func(t *testing.T) {
			changed := test.path == ""
			f := setupServer(t, &packagecloudtest.Options{NoChecksums: true}, nil, packagecloud.WithHTTPClient(&http.Client{
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					resp, err := http.DefaultTransport.RoundTrip(r)
					if err != nil || r.Method != "GET" || test.path == "" {
						return resp, err
					}
					isContent := r.Header.Get("Range") != "" && resp.StatusCode < 300
					if test.path == content && !isContent || test.path != content && !strings.Contains(r.URL.Path, test.path) {
						return resp, nil
					}
					changed = true
					defer resp.Body.Close()
					return test.change(r, text(t, resp.Body)), nil
				}),
			}))
			f.srv.Inject(packagecloudtest.Fault{Method: "POST", LoseAnswer: true})
			_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(nameOf(test.options), []byte("\x1f\x8b 2345")), test.options)
			if test.ours && err != nil {
				t.Error(err)
			}
			if !test.ours {
				f.want(t, err, packagecloud.ErrUnknownOutcome)
			}
			if !changed {
				t.Error("the answer to change was never asked for")
			}
			f.stored(t, 1)
		})
	}
}

func nameOf(options *packagecloud.UploadOptions) string {
	if options.Type == "alpine" {
		return "demo-1.0-r0.apk"
	}
	return demo
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
