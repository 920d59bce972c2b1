package packagecloud_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// shelf is what the downloads fetch.
var shelf = []stock{{"ubuntu/jammy", demo, big}}

// manyPackages are a list of n/5 pages.
func manyPackages(n int) []stock {
	var out []stock
	for i := range n {
		out = append(out, stock{"ubuntu/jammy", fmt.Sprintf("demo_%03d_amd64.deb", i), []byte{byte(i)}})
	}
	return out
}

const downloadPath = "/acme/main/packages/**"

// downloads are the rows of downloads to a file.
func downloads() []*fault {
	const host = packagecloudtest.HostDownload
	half := int64(len(big) / 2)
	flip := int64(1000)
	rows := []*fault{
		{
			name: "a download is cut at half", inject: []packagecloudtest.Fault{{Host: host, CutAfter: half}},
			requests: "GET 4", whole: true,
		}, {
			name: "a download is cut at half, and its rest at half", inject: []packagecloudtest.Fault{{Host: host, CutAfter: half}, {Host: host, CutAfter: half / 2}},
			requests: "GET 6", whole: true,
		}, {
			name: "a download is cut before its first byte, for ever", inject: []packagecloudtest.Fault{{Host: host, CutAfter: -1, Times: -1}},
			says: "the download broke off after 0 bytes", requests: "GET 10",
		}, {
			name: "the signed address has expired when a download is resumed", inject: []packagecloudtest.Fault{{Host: host, CutAfter: half}, {Host: host}}, then: "expire",
			requests: "GET 6", whole: true,
		}, {
			name: "403: the signed address is refused, for ever", inject: []packagecloudtest.Fault{{Host: host, Status: 403, Times: -1}},
			says: "403 Forbidden", status: 403, requests: "GET 4",
		}, {
			name: "a byte of a download is flipped", inject: []packagecloudtest.Fault{{Host: host, FlipByte: &flip}},
			says: "the checksum doesn't match ... download it again", is: []error{packagecloud.ErrChecksum}, requests: "GET 2",
		}, {
			name: "the server gives no checksum", noChecksums: true,
			says: "no checksum ... AllowUnverified", is: []error{packagecloud.ErrNoChecksum}, requests: "GET 1",
		}, {
			name: "a download comes slowly",
			do: func(s *scene) error {
				packagecloud.SetTiming(s.client, patience, time.Millisecond)
				return s.fetch(&packagecloud.DownloadOptions{Progress: func(int64, int64) { s.dawdle() }})
			},
			requests: "GET 2", whole: true,
		}, {
			name: "a download stalls", inject: []packagecloudtest.Fault{{Host: host, StallAfter: half}},
			do: func(s *scene) error {
				packagecloud.SetTiming(s.client, patience, time.Millisecond)
				return s.fetch(nil)
			},
			requests: "GET 4", whole: true,
		}, {
			name: "who gets a download takes longer over it than a stall",
			do: func(s *scene) error {
				packagecloud.SetTiming(s.client, patience, time.Millisecond)
				waited := false
				return s.fetch(&packagecloud.DownloadOptions{Progress: func(int64, int64) {
					if !waited {
						waited = true
						time.Sleep(patience * 3 / 2)
					}
				}})
			},
			requests: "GET 2", whole: true,
		}, {
			name: "the connection is reset, to a download", inject: []packagecloudtest.Fault{{Host: host, Reset: true}},
			requests: "GET 4", whole: true,
		}, {
			name: "500 as HTML, once, to a download", inject: []packagecloudtest.Fault{{Path: downloadPath, Status: 500}},
			requests: "GET 3", whole: true,
		}, {
			name: "503 with a Retry-After, to a download", inject: []packagecloudtest.Fault{{Host: host, Status: 503, Header: retrySoon}},
			requests: "GET 4", whole: true,
		}, {
			name: "429 as HTML, to a download", inject: []packagecloudtest.Fault{{Path: downloadPath, Status: 429, Header: retrySoon}},
			says: "no bandwidth or storage left", is: []error{packagecloud.ErrQuota}, status: 429, requests: "GET 1",
		}, {
			name: "402, to a download", inject: []packagecloudtest.Fault{{Path: downloadPath, Status: 402}},
			says: "payment required", is: []error{packagecloud.ErrPaymentRequired}, status: 402, requests: "GET 1",
		}, {
			name: "401: the read token in the package's address is refused", inject: []packagecloudtest.Fault{{Path: downloadPath, Status: 401, Times: -1}},
			says: "401 Unauthorized", is: []error{packagecloud.ErrUnauthorized}, status: 401, requests: "GET 1",
		}, {
			name: "404: the package was deleted before its download", inject: []packagecloudtest.Fault{{Path: downloadPath, Status: 404}},
			says: demo + " isn't there", is: []error{packagecloud.ErrNotFound}, status: 404, requests: "GET 1",
		}, {
			name: "the package's address is on another host",
			do: func(s *scene) error {
				var err error
				s.pkg.DownloadURL, err = packagecloud.NewSecretURL(s.elsewhere())
				s.try(err)
				return s.fetch(nil)
			},
			requests: "GET 1", whole: true,
		}, {
			name: "the package's address begins with http:// and isn't on loopback",
			do: func(s *scene) error {
				var err error
				s.pkg.DownloadURL, err = packagecloud.NewSecretURL("http://packages.example.com/x")
				s.try(err)
				return s.fetch(nil)
			},
			says: "http://packages.example.com ... WithInsecureHTTP", requests: "none",
		}, {
			name: "a download is larger than the package",
			do: func(s *scene) error {
				s.pkg.Size = int64(len(big) / 2)
				return s.fetch(nil)
			},
			says: "the checksum doesn't match ... more came", is: []error{packagecloud.ErrChecksum}, requests: "GET 2",
		}, {
			name: "a download is larger than MaxBytes",
			do:   func(s *scene) error { return s.fetch(&packagecloud.DownloadOptions{MaxBytes: int64(len(big) / 2)}) },
			says: "larger than MaxBytes allows", is: []error{packagecloud.ErrTooLarge}, requests: "GET 2",
		}, {
			name: "the writer of a download fails: no space left",
			do: func(s *scene) error {
				return s.repo.Download(s.ctx, s.pkg, writer(func([]byte) (int, error) { return 0, syscall.ENOSPC }), nil)
			},
			says: demo + ": writing it: no space left", is: []error{syscall.ENOSPC}, requests: "GET 2",
		}, {
			name: "the disk takes no more of a downloaded file",
			do:   (*scene).fetchToAFullDisk,
			says: "file too large", is: []error{syscall.EFBIG}, requests: "GET 3",
		},
	}
	for _, row := range rows {
		row.have = shelf
		if row.do == nil {
			row.do = func(s *scene) error { return s.fetch(nil) }
		}
		row.stored = 1
	}
	return rows
}

// lists are the rows of lists of several pages.
func lists() []*fault {
	const path = "/api/v1/repos/*/*/packages.json"
	all := func(s *scene) error { return s.list(nil) }
	return []*fault{
		{
			name: "402 to page 5 of a list", inject: []packagecloudtest.Fault{{Path: path, Skip: 4, Status: 402}}, do: all,
			have: manyPackages(23),
			says: "payment required", is: []error{packagecloud.ErrPaymentRequired}, status: 402, requests: "GET 5", stored: 23, yields: 20,
		}, {
			name: "500 to page 5 of a list, once", inject: []packagecloudtest.Fault{{Path: path, Skip: 4, Status: 500}}, do: all,
			have:     manyPackages(23),
			requests: "GET 6", stored: 23, yields: 23,
		}, {
			name: "500 to page 5 of a list, for ever", inject: []packagecloudtest.Fault{{Path: path, Skip: 4, Status: 500, Times: -1}}, do: all,
			have: manyPackages(23),
			says: "500 Internal Server Error", status: 500, requests: "GET 9", stored: 23, yields: 20,
		}, {
			name: "a list grows while it is read", have: manyPackages(12),
			do: func(s *scene) error { return s.list(func() { s.try(s.uploadDemo()) }) },

			says: "the total went from 12 to another", is: []error{packagecloud.ErrListChanged}, requests: "GET 4, POST 1", stored: 13, yields: 13,
		}, {
			name: "a list shrinks while it is read", have: manyPackages(12),
			do: func(s *scene) error { return s.list(func() { s.try(s.repo.Delete(s.ctx, s.pkg)) }) },

			says: "the total went from 12 to another", is: []error{packagecloud.ErrListChanged}, requests: "DELETE 1, GET 3", stored: 11, yields: 11,
		}, {
			name: "a page of a list lacks the link to the next one", have: manyPackages(12),
			inject: []packagecloudtest.Fault{{Path: path, Skip: 1, Status: 200, ContentType: "application/json", Body: "[]", Header: http.Header{"Total": {"12"}}}}, do: all,
			says: "its total is 12, but 5 came", is: []error{packagecloud.ErrListChanged}, requests: "GET 2", stored: 12, yields: 5,
		}, {
			name: "a list loses a package and gains another between two pages", have: manyPackages(12),
			do: func(s *scene) error {
				return s.list(func() {
					s.try(s.repo.Delete(s.ctx, s.pkg))
					s.try(s.uploadDemo())
				})
			},
			requests: "DELETE 1, GET 4, POST 1", stored: 12, yields: 12,
		}, {
			name: "the link to the next page leads to another host", have: shelf,
			do: func(s *scene) error {
				s.inject(s.t, packagecloudtest.Fault{
					Path: path, Status: 200, ContentType: "application/json", Body: `[{"filename":"a"},{"filename":"b"}]`,
					Header: http.Header{"Link": {"<" + s.elsewhere() + `>; rel="next"`}},
				}, "")
				return s.list(nil)
			},
			says: "not in the form that the API promises", requests: "GET 2", stored: 1, yields: 2,
		},
	}
}

// redirects are the rows of redirects that could carry something away. That of
// every download is one more.
func redirects() []*fault {
	elsewhere := http.Header{"Location": {"https://elsewhere.example.com/?x=y"}}
	return []*fault{
		{
			name: "a read is redirected to another host", have: shelf,
			do: func(s *scene) error {
				s.inject(s.t, packagecloudtest.Fault{Path: "/api/v1/repos/*/*", Status: 302, Header: http.Header{"Location": {s.elsewhere()}}}, "")
				return s.info()
			},
			says: "not in the form that the API promises", requests: "GET 2", stored: 1,
		}, {
			name: "a read is redirected to an address above 32 KiB", have: shelf,
			do: func(s *scene) error {
				far := http.Header{"Location": {s.elsewhere() + "?q=" + strings.Repeat("x", 512<<10)}}
				s.inject(s.t, packagecloudtest.Fault{Path: "/api/v1/repos/*/*", Status: 302, Header: far}, "")
				return s.info()
			},
			says: "bytes, more than", requests: "GET 1", stored: 1,
		}, {
			name: "an upload is redirected", inject: []packagecloudtest.Fault{{Method: "POST", Status: 307, Header: elsewhere}},
			says: "refused a redirect of a POST request to elsewhere.example.com; set the base URL", requests: "GET 1, POST 1",
		}, {
			name: "a deletion is redirected", have: shelf, inject: []packagecloudtest.Fault{{Method: "DELETE", Status: 307, Header: elsewhere}},
			do:   func(s *scene) error { return s.repo.Delete(s.ctx, s.pkg) },
			says: "refused a redirect of a DELETE request", requests: "DELETE 1", stored: 1,
		},
	}
}

// departures are the rows of callers who leave: their context ends at a stage.
func departures() []*fault {
	left := []error{context.Canceled}
	unsure := []error{context.Canceled, packagecloud.ErrUnknownOutcome}
	return []*fault{
		{
			name: "the caller left before the call",
			do:   func(s *scene) error { s.leave(); return s.uploadDemo() },
			says: "context canceled", is: left, requests: "none",
		}, {
			name: "the caller leaves while the token is fetched",
			do: func(s *scene) error {
				s.secret = func(ctx context.Context) (string, error) {
					s.leave()
					<-ctx.Done()
					return "", ctx.Err()
				}
				return s.uploadDemo()
			},
			says: "no token for the request ... context canceled", is: left, requests: "none",
		}, {
			name: "the caller leaves while another token is waited for", inject: []packagecloudtest.Fault{post}, then: "revoke",
			do: func(s *scene) error {
				s.client = s.newClient(writer(s.log), s, packagecloud.WithRotationWait(time.Hour))
				s.repo = s.client.Repository("acme", "main")
				s.leaveAt("packagecloud refused the token")
				return s.uploadDemo()
			},
			says: "context canceled while waiting for another token ... the server doesn't know the token from test",
			is:   []error{context.Canceled, packagecloud.ErrUnauthorized}, requests: "GET 1, POST 1",
		}, {
			name: "the caller leaves while a connection is made",
			do: func(s *scene) error {
				s.dial = func() error { s.leave(); return s.ctx.Err() }
				return s.uploadDemo()
			},
			says: "context canceled", is: left, requests: "none",
		}, {
			name: "the caller leaves while a connection for a deletion is made", have: theirs,
			do: func(s *scene) error {
				s.transport.CloseIdleConnections()
				s.dial = func() error { s.leave(); return s.ctx.Err() }
				return s.repo.Delete(s.ctx, s.pkg)
			},
			says: "context canceled", is: left, requests: "none", stored: 1,
		}, {
			name: "the caller leaves while the body is sent",
			do: func(s *scene) error {
				options := *jammy
				options.Progress = func(sent, _ int64) {
					if sent > 0 {
						s.leave()
					}
				}
				return s.upload(largeDemo(), &options)
			},
			says: "context canceled", is: left, requests: "GET 1, POST 1",
		}, {
			name: "the caller leaves while the answer is waited for, and the package isn't stored", inject: []packagecloudtest.Fault{{Method: "POST", Delay: time.Hour}},
			do:   func(s *scene) error { s.leaveBehind("/packages.json"); return s.uploadDemo() },
			says: "the outcome is unknown ... context canceled", is: unsure, requests: "GET 1, POST 1",
		}, {
			name: "the caller leaves while the answer is read, and the package is stored", inject: []packagecloudtest.Fault{{Method: "POST", StallAfter: -1}},
			do: func(s *scene) error {
				s.tried = func(r *http.Request) {
					if r.Method == "POST" {
						s.leave()
					}
				}
				return s.uploadDemo()
			},
			says: "the outcome is unknown ... context canceled", is: unsure, requests: "GET 1, POST 1", stored: 1,
		}, {
			name: "the caller leaves while the answer to a read is waited for", inject: []packagecloudtest.Fault{{Delay: time.Hour}},
			do:   func(s *scene) error { s.leaveBehind("/main.json"); return s.info() },
			says: "context canceled", is: left, requests: "GET 1",
		}, {
			name: "the caller leaves while the answer to a read is read", inject: []packagecloudtest.Fault{{StallAfter: 5}},
			do: func(s *scene) error {
				s.tried = func(*http.Request) { s.leave() }
				return s.info()
			},
			says: "context canceled", is: left, requests: "GET 1",
		}, {
			name: "the caller leaves in the pause before a read is repeated", inject: []packagecloudtest.Fault{{Status: 500}},
			do:   func(s *scene) error { s.leaveAt("packagecloud retry"); return s.info() },
			says: "context canceled; before that: ... 500", is: left, status: 500, requests: "GET 1",
		}, {
			name: "the caller leaves in the pause after a 429 with a Retry-After", inject: []packagecloudtest.Fault{{Method: "POST", Status: 429, ContentType: "text/plain", Header: retrySoon}},
			do:   func(s *scene) error { s.leaveAt("packagecloud retry"); return s.uploadDemo() },
			says: "context canceled; before that: ... 429", is: left, status: 429, requests: "GET 1, POST 1",
		}, {
			name: "the caller leaves while a lost answer is looked up", inject: []packagecloudtest.Fault{lost, {Path: searchPath, Delay: time.Hour}},
			do:   func(s *scene) error { s.leaveBehind("/search.json"); return s.uploadDemo() },
			says: "the outcome is unknown ... context canceled", is: unsure, requests: "GET 2, POST 1", stored: 1,
		}, {
			name: "the caller leaves in the pause between two look-ups", inject: []packagecloudtest.Fault{lost, unlisted(1)},
			do: func(s *scene) error {
				packagecloud.SetTiming(s.client, time.Hour, time.Hour, 0, time.Hour)
				s.leaveAfter("/search.json")
				return s.uploadDemo()
			},
			says: "the outcome is unknown ... context canceled", is: unsure, requests: "GET 2, POST 1", stored: 1,
		}, {
			name: "the caller leaves in the pause before an upload is repeated", inject: []packagecloudtest.Fault{notDone},
			do: func(s *scene) error {
				packagecloud.SetTiming(s.client, time.Hour, time.Hour, 0)
				s.leaveAfter("/search.json")
				return s.uploadDemo()
			},
			says: "the outcome is unknown ... context canceled", is: unsure, requests: "GET 2, POST 1",
		}, {
			name: "the caller leaves during a download", have: shelf, inject: []packagecloudtest.Fault{{Host: packagecloudtest.HostDownload, StallAfter: 100 << 10}},
			do: func(s *scene) error {
				return s.fetch(&packagecloud.DownloadOptions{Progress: func(int64, int64) { s.leave() }})
			},
			says: "context canceled", is: left, requests: "GET 2", stored: 1,
		}, {
			name: "the caller leaves in the pause before a download is resumed", have: shelf, inject: []packagecloudtest.Fault{{Host: packagecloudtest.HostDownload, CutAfter: 100 << 10}},
			do:   func(s *scene) error { s.leaveAt("packagecloud download resumes"); return s.fetch(nil) },
			says: "context canceled; before that: ... the download broke off", is: left, requests: "GET 2", stored: 1,
		}, {
			name: "the caller leaves between two pages of a list", have: manyPackages(12),
			do:   func(s *scene) error { return s.list(s.leave) },
			says: "context canceled", is: left, requests: "GET 1", stored: 12, yields: 5,
		},
	}
}

// elsewhere returns an address of the package on the download host.
func (s *scene) elsewhere() string {
	req, err := http.NewRequestWithContext(s.ctx, "GET", s.pkg.DownloadURL.Reveal(), nil)
	s.try(err)
	req.SetBasicAuth(req.URL.User.Username(), "")
	resp, err := s.transport.RoundTrip(req)
	s.try(err)
	resp.Body.Close()
	s.forget(s.t)
	return resp.Header.Get("Location")
}

// leaveAt ends the context when the client logs a text, which it does before
// it pauses.
func (s *scene) leaveAt(text string) {
	s.logged = func(line string) {
		if strings.Contains(line, text) {
			s.leave()
		}
	}
}

// leaveAfter ends the context when an answer to a path was read.
func (s *scene) leaveAfter(path string) {
	s.closed = func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, path) {
			s.leave()
		}
	}
}

// leaveBehind ends the context when a request to a path has arrived: what was
// written may not be on its way yet.
func (s *scene) leaveBehind(path string) {
	s.trip = func(r *http.Request) *http.Request {
		if !strings.HasSuffix(r.URL.Path, path) {
			return r
		}
		return r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			WroteRequest: func(httptrace.WroteRequestInfo) {
				go func() {
					arrived := func(r packagecloudtest.Request) bool { return strings.HasSuffix(r.Path, path) }
					for s.ctx.Err() == nil && !slices.ContainsFunc(s.requests(s.t), arrived) {
						time.Sleep(time.Millisecond)
					}
					s.leave()
				}()
			},
		}))
	}
}
