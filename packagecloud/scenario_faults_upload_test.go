package packagecloud_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// large is more than the sockets between client and server hold, so that a
// server that doesn't read it hasn't got it.
const large = 4 << 20

func largeDemo() packagecloud.Content { return packagecloud.ReaderAt(demo, pattern{}, large) }

func (s *scene) uploadDemo() error {
	return s.upload(packagecloud.Bytes(demo, []byte("content")), jammy)
}

func (s *scene) uploadLarge() error { return s.upload(largeDemo(), jammy) }

// theirs is another package in the place of demo.
var theirs = []stock{{"ubuntu/jammy", demo, []byte("theirs, and longer")}}

// answers makes a fault of an answer to the upload.
func answers(status int, contentType, body string) []packagecloudtest.Fault {
	return []packagecloudtest.Fault{{Method: "POST", Status: status, ContentType: contentType, Body: body}}
}

func invalid(body string) []packagecloudtest.Fault { return answers(422, "application/json", body) }

// unlisted hides all packages from that many searches.
func unlisted(times int) packagecloudtest.Fault {
	return packagecloudtest.Fault{Path: searchPath, Times: times, Status: 200, ContentType: "application/json", Body: "[]"}
}

var (
	post      = packagecloudtest.Fault{Method: "POST"} // for what happens then
	lost      = packagecloudtest.Fault{Method: "POST", LoseAnswer: true}
	notDone   = packagecloudtest.Fault{Method: "POST", ResetAfter: 1 << 30}   // reads it all
	cutShort  = packagecloudtest.Fault{Method: "POST", ResetAfter: 256 << 10} // reads a part of what is large
	retrySoon = http.Header{"Retry-After": {"1"}}
	retryLate = http.Header{"Retry-After": {"3600"}}
)

// refusals are the rows of what the server answers to an upload and to small
// requests.
func refusals() []*fault {
	unauthorized := []error{packagecloud.ErrUnauthorized}
	exists := []error{packagecloud.ErrInvalid, packagecloud.ErrExists}
	unknown := []error{packagecloud.ErrUnknownOutcome}
	return []*fault{
		{
			name: "401: the token is wrong",
			do: func(s *scene) error {
				wrong := s.canary.add(fakeToken)
				s.secret = func(context.Context) (string, error) { return wrong, nil }
				return s.uploadDemo()
			},
			says: "the server doesn't know the token from test (fingerprint", is: unauthorized, status: 401, requests: "GET 1",
		}, {
			name: "401: the token is revoked during the work, and the source has no other", inject: []packagecloudtest.Fault{post}, then: "revoke",
			says: "the server doesn't know the token", is: unauthorized, status: 401, requests: "GET 1, POST 1",
		}, {
			name: "401: the token is replaced, and the source has the new one", inject: []packagecloudtest.Fault{post}, then: "rotate",
			do:       func(s *scene) error { s.follow(); return s.uploadDemo() },
			requests: "GET 1, POST 2", stored: 1,
		}, {
			name: "401: the token is replaced, and the source has the new one a little later", inject: []packagecloudtest.Fault{post}, then: "rotate",
			do: func(s *scene) error {
				s.client = s.newClient(s.canary, s, packagecloud.WithRotationWait(time.Minute))
				s.repo = s.client.Repository("acme", "main")
				old, asked := s.token(s.t), 0
				s.secret = func(context.Context) (string, error) {
					if asked++; asked < 5 {
						return old, nil
					}
					return s.canary.add(s.token(s.t)), nil
				}
				return s.uploadDemo()
			},
			requests: "GET 1, POST 2", stored: 1,
		}, {
			name: "401 as text that is no JSON", inject: answers(401, "text/plain", `{'error':'unauthenticated'}`),
			says: "the server doesn't know the token", is: unauthorized, status: 401, requests: "GET 1, POST 1",
		}, {
			name: "401 before the body of a large file was sent", inject: []packagecloudtest.Fault{post}, then: "revoke",
			do: (*scene).uploadLarge,

			says: "the server doesn't know the token", is: unauthorized, status: 401, requests: "GET 1, POST 1",
		}, {
			name:   "401 in the midst of the body, and the connection is closed at once",
			inject: []packagecloudtest.Fault{{Method: "POST", CloseAfterAnswer: true}}, then: "revoke",
			do:   func(s *scene) error { s.transport.ExpectContinueTimeout = 1; return s.uploadLarge() },
			says: "the server doesn't know the token", is: unauthorized, status: 401, requests: "GET 1-2, POST 1",
		}, {
			name: "402: the plan doesn't include it", inject: []packagecloudtest.Fault{{Method: "POST", Status: 402}},
			says: "payment required", is: []error{packagecloud.ErrPaymentRequired}, status: 402, requests: "GET 1, POST 1",
		}, {
			name: "404: the repository isn't there, or the token can't see it",
			do:   func(s *scene) error { s.repo = s.client.Repository("acme", "missing"); return s.uploadDemo() },
			says: "the repository acme/missing isn't there, or the token can't see it", is: []error{packagecloud.ErrNotFound}, status: 404, requests: "GET 1, POST 1",
		}, {
			name: "404: the package to delete isn't there any more", have: theirs,
			do: func(s *scene) error {
				if err := s.repo.Delete(s.ctx, s.pkg); err != nil {
					return err
				}
				return s.repo.Delete(s.ctx, s.pkg)
			},
			says: "filename: not found", is: []error{packagecloud.ErrNotFound}, status: 404, requests: "DELETE 2",
		}, {
			name:   "200 whose body says not_found",
			inject: []packagecloudtest.Fault{{Status: 200, ContentType: "application/json", Body: `{"error":"not_found"}`}},
			do:     (*scene).info,
			says:   "not_found", is: []error{packagecloud.ErrNotFound}, status: 200, requests: "GET 1",
		}, {
			name: "422: the package exists", have: theirs,
			says: "filename: has already been taken", is: exists, status: 422, requests: "GET 1, POST 1", stored: 1,
		}, {
			name: "422: the package exists, in the newer wording", inject: invalid(`{"repository":["Validation failed: Full name already exists."]}`),
			says: "Full name already exists", is: exists, status: 422, requests: "GET 1, POST 1",
		}, {
			name: "422: the package exists, and the plan is full", inject: invalid(`{"filename":["has already been taken"],"plan":["Upgrade to add more packages!"]}`),
			says: "has already been taken ... Upgrade to add more packages!", is: append(exists, packagecloud.ErrPaymentRequired), status: 422, requests: "GET 1, POST 1",
		}, {
			name: "422: the plan is full", inject: invalid(`{"plan":["Upgrade to add more packages!"]}`),
			says: "Upgrade to add more packages!", is: []error{packagecloud.ErrInvalid, packagecloud.ErrPaymentRequired}, status: 422, requests: "GET 1, POST 1",
		}, {
			name: "422: the distribution doesn't take such a file",
			do: func(s *scene) error {
				return s.upload(packagecloud.Bytes("demo-1.0-1.x86_64.rpm", []byte("content")), &packagecloud.UploadOptions{Distribution: "ubuntu/jammy", Type: "deb"})
			},
			says: "The specified distro does not support the package", is: []error{packagecloud.ErrInvalid}, status: 422, requests: "GET 1, POST 1",
		}, {
			name: "422 with one message in place of a list", inject: invalid(`{"error":"is not a key"}`),
			says: "error: is not a key", is: []error{packagecloud.ErrInvalid}, status: 422, requests: "GET 1, POST 1",
		}, {
			name: "422 with the messages under error", inject: invalid(`{"error":["has already been taken"]}`),
			says: "error: has already been taken", is: exists, status: 422, requests: "GET 1, POST 1",
		}, {
			name: "422: the plan is full, with the message under error", inject: invalid(`{"error":["payment required"]}`),
			says: "error: payment required", is: []error{packagecloud.ErrInvalid, packagecloud.ErrPaymentRequired}, status: 422, requests: "GET 1, POST 1",
		}, {
			name: "408: the server says that the upload took too long", inject: []packagecloudtest.Fault{{Method: "POST", Status: 408}},
			requests: "GET 2-4, POST 2", stored: 1,
		}, {
			name: "417: the server doesn't take a question before a large file", inject: []packagecloudtest.Fault{{Method: "POST", Status: 417}},
			do: (*scene).uploadLarge, requests: "GET 1, POST 2", stored: 1,
		}, {
			name: "425: the server won't do it yet", inject: []packagecloudtest.Fault{{Method: "POST", Status: 425}},
			requests: "GET 1, POST 2", stored: 1,
		}, {
			name: "429 as HTML: the plan's bandwidth or storage is spent", inject: []packagecloudtest.Fault{{Method: "POST", Status: 429}},
			says: "no bandwidth or storage left", is: []error{packagecloud.ErrQuota}, status: 429, requests: "GET 1, POST 1",
		}, {
			name: "429 with a Retry-After", inject: []packagecloudtest.Fault{{Method: "POST", Status: 429, ContentType: "text/plain", Header: retrySoon}},
			requests: "GET 1, POST 2", stored: 1,
		}, {
			name: "429 with a Retry-After of an hour", inject: []packagecloudtest.Fault{{Method: "POST", Status: 429, ContentType: "text/plain", Header: retryLate}},
			says: "429 Too Many Requests ... come back in 1h0m0s", status: 429, requests: "GET 1, POST 1",
		}, {
			name: "503 with a Retry-After, to an upload", inject: []packagecloudtest.Fault{{Method: "POST", Status: 503, Header: retrySoon}},
			requests: "GET 2-4, POST 2", stored: 1,
		}, {
			name: "503 with a Retry-After, to a read", inject: []packagecloudtest.Fault{{Status: 503, Header: retrySoon}},
			do: (*scene).info, requests: "GET 2",
		}, {
			name: "503 with a Retry-After of an hour, to a read", inject: []packagecloudtest.Fault{{Status: 503, Header: retryLate}},
			do:   (*scene).info,
			says: "503 Service Unavailable ... come back in 1h0m0s", status: 503, requests: "GET 1",
		}, {
			name: "503 with a Retry-After of an hour, to an upload", inject: []packagecloudtest.Fault{{Method: "POST", Status: 503, Header: retryLate, ReadBody: true}},
			says: "the outcome is unknown ... 503 Service Unavailable", is: unknown, status: 503, requests: "GET 4, POST 1",
		}, {
			name: "500 as HTML, once, to an upload", inject: []packagecloudtest.Fault{{Method: "POST", Status: 500}},
			requests: "GET 2-4, POST 2", stored: 1,
		}, {
			name: "500 as HTML, for ever, to an upload", inject: []packagecloudtest.Fault{{Method: "POST", Status: 500, Times: -1, ReadBody: true}},
			says: "the outcome is unknown ... not listed in acme/main after 5 tries ... 500 Internal Server Error", is: unknown, status: 500, requests: "GET 16, POST 5",
		}, {
			name: "500 as HTML, for ever, before the body of a large file was sent", inject: []packagecloudtest.Fault{{Method: "POST", Status: 500, Times: -1}},
			do:   (*scene).uploadLarge,
			says: "not listed in acme/main after 5 tries ... 500 Internal Server Error", status: 500, requests: "GET 6, POST 5",
		}, {
			name: "500 as HTML, once, to a read", inject: []packagecloudtest.Fault{{Status: 500}},
			do: (*scene).info, requests: "GET 2",
		}, {
			name: "500 as HTML, for ever, to a read", inject: []packagecloudtest.Fault{{Status: 500, Times: -1}},
			do:   (*scene).info,
			says: "500 Internal Server Error ... try again later", status: 500, requests: "GET 5",
		}, {
			name: "507: the server has no room left, to a read", inject: []packagecloudtest.Fault{{Status: 507, Times: -1}},
			do:   (*scene).info,
			says: "507 Insufficient Storage ... no room left", status: 507, requests: "GET 1",
		}, {
			name: "502 once, to an upload", inject: []packagecloudtest.Fault{{Method: "POST", Status: 502}},
			requests: "GET 2-4, POST 2", stored: 1,
		},
	}
}

// breaks are the rows of connections that break or stand still, and of answers
// that get lost.
func breaks() []*fault {
	return []*fault{
		{
			name: "the connection is reset in the midst of an upload's body", inject: []packagecloudtest.Fault{cutShort},
			do: (*scene).uploadLarge, requests: "GET 2, POST 2", stored: 1,
		}, {
			name: "the connection is reset, to a read", inject: []packagecloudtest.Fault{{Reset: true}},
			do: (*scene).info, requests: "GET 2",
		}, {
			name: "nobody listens at the address",
			do: func(s *scene) error {
				s.dial = func() error {
					return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
				}
				return s.uploadDemo()
			},
			says: "connection refused", is: []error{syscall.ECONNREFUSED}, requests: "none",
		}, {
			name: "the answer to an upload gets lost, and the package is stored", inject: []packagecloudtest.Fault{lost},
			requests: "GET 2, POST 1", stored: 1,
		}, {
			name: "the answer to an upload gets lost, and the package isn't stored", inject: []packagecloudtest.Fault{notDone},
			requests: "GET 4, POST 2", stored: 1,
		}, {
			name: "the answer to an upload is cut, and the package is stored", inject: []packagecloudtest.Fault{{Method: "POST", CutAfter: 20}},
			requests: "GET 2, POST 1", stored: 1,
		}, {
			name: "the answer to an upload is a success that can't be read, and the package isn't stored", inject: answers(201, "application/json", "{"),
			requests: "GET 2-4, POST 2", stored: 1,
		}, {
			name: "the answer gets lost, the package is stored, and another distribution has a file of the name", inject: []packagecloudtest.Fault{lost},
			have:     []stock{{"ubuntu/focal", demo, []byte("content")}},
			requests: "GET 2, POST 1", stored: 2,
		}, {
			name: "the answer gets lost, the package isn't stored, and another distribution has a file of the name", inject: []packagecloudtest.Fault{notDone},
			have:     []stock{{"ubuntu/focal", demo, []byte("content")}},
			requests: "GET 4, POST 2", stored: 2,
		}, {
			name: "the answer gets lost, and other content has the file's place", inject: []packagecloudtest.Fault{notDone}, have: theirs,
			says: "is in ubuntu/jammy already, and its content is another", is: []error{packagecloud.ErrExists}, requests: "GET 2, POST 1", stored: 1,
		}, {
			name: "the answer gets lost, and the package isn't listed for a while", inject: []packagecloudtest.Fault{lost, unlisted(3)},
			requests: "GET 5, POST 2", stored: 1,
		}, {
			name: "the answer gets lost, and other content has the file's place but isn't listed for a while", inject: []packagecloudtest.Fault{notDone, unlisted(3)}, have: theirs,
			says: "its content is another ... has already been taken", is: []error{packagecloud.ErrExists, packagecloud.ErrInvalid}, status: 422, requests: "GET 5, POST 2", stored: 1,
		}, {
			name: "the answer gets lost, and the package is never listed", inject: []packagecloudtest.Fault{lost, unlisted(-1)},
			says: "the outcome is unknown ... has already been taken", is: []error{packagecloud.ErrUnknownOutcome, packagecloud.ErrExists, packagecloud.ErrInvalid}, status: 422,
			requests: "GET 8, POST 2", stored: 1,
		}, {
			name: "the answer gets lost, and the look-up fails", inject: []packagecloudtest.Fault{lost, {Path: searchPath, Status: 500, Times: -1}},
			says: "the outcome is unknown: " + demo + " may be in acme/main", is: []error{packagecloud.ErrUnknownOutcome}, status: 500,
			requests: "GET 6, POST 1", stored: 1,
		}, {
			name: "the answer gets lost, the package is stored, and the server gives no checksum", inject: []packagecloudtest.Fault{lost}, noChecksums: true,
			requests: "GET 4, POST 1", stored: 1,
		}, {
			name: "the answer gets lost, a package of another size is there, and the server gives no checksum", inject: []packagecloudtest.Fault{notDone}, noChecksums: true,
			have: theirs,
			says: "the outcome is unknown ... no checksum", is: []error{packagecloud.ErrUnknownOutcome}, requests: "GET 3, POST 1", stored: 1,
		}, {
			name: "the answer gets lost, the package isn't stored, and the content can be read once", inject: []packagecloudtest.Fault{notDone},
			do: func(s *scene) error {
				return s.upload(packagecloud.Reader(demo, strings.NewReader("content"), 7), jammy)
			},
			says: "the outcome is unknown ... can be read only once", is: []error{packagecloud.ErrUnknownOutcome, packagecloud.ErrNotReplayable}, requests: "GET 4, POST 1",
		}, {
			name: "the answer gets lost, the package isn't listed, and the plan doesn't allow the repeat", inject: []packagecloudtest.Fault{lost, unlisted(-1), {Method: "POST", Status: 402}},
			says: "the outcome is unknown: " + demo + " may be in acme/main ... payment required", is: []error{packagecloud.ErrUnknownOutcome, packagecloud.ErrPaymentRequired}, status: 402,
			requests: "GET 4, POST 2", stored: 1,
		}, {
			name: "the answer gets lost, the package isn't listed, and the token is revoked before the repeat", inject: []packagecloudtest.Fault{lost, unlisted(-1), post}, then: "revoke",
			says: "the outcome is unknown ... the server doesn't know the token", is: []error{packagecloud.ErrUnknownOutcome, packagecloud.ErrUnauthorized}, status: 401,
			requests: "GET 4, POST 2", stored: 1,
		}, {
			name: "the answer gets lost, the package isn't listed, and the caller leaves while the body is sent again", inject: []packagecloudtest.Fault{lost, unlisted(-1)},
			do: func(s *scene) error {
				options, try := *jammy, 0
				options.Progress = func(sent, _ int64) {
					if sent == 0 {
						try++
					} else if try == 2 {
						s.leave()
					}
				}
				return s.upload(largeDemo(), &options)
			},
			says: "the outcome is unknown ... context canceled", is: []error{packagecloud.ErrUnknownOutcome, context.Canceled}, requests: "GET 4, POST 2", stored: 1,
		}, {
			name: "IfExists is Skip, and the same content is there", have: []stock{{"ubuntu/jammy", demo, []byte("content")}},
			do: func(s *scene) error {
				pkg, err := s.repo.Upload(s.ctx, packagecloud.Bytes(demo, []byte("content")), ifExists(packagecloud.Skip))
				if err == nil && !pkg.Existed {
					s.t.Errorf("it is said to be uploaded: %+v", pkg)
				}
				return err
			},
			requests: "GET 2", stored: 1,
		}, {
			name: "IfExists is Skip, and other content is there", have: theirs,
			do: func(s *scene) error {
				return s.upload(packagecloud.Bytes(demo, []byte("content")), ifExists(packagecloud.Skip))
			},
			says: "is in ubuntu/jammy already, and its content is another", is: []error{packagecloud.ErrExists}, requests: "GET 2", stored: 1,
		}, {
			name: "IfExists is Replace, the deletion gets lost, and the plan doesn't allow its repeat", have: theirs,
			inject: []packagecloudtest.Fault{{Method: "DELETE", Reset: true}, {Method: "DELETE", Status: 402}},
			do: func(s *scene) error {
				return s.upload(packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
			},
			says: demo + " may be deleted, and nothing was sent in its place ... the outcome is unknown ... payment required",
			is:   []error{packagecloud.ErrUnknownOutcome, packagecloud.ErrPaymentRequired}, status: 402, requests: "DELETE 2, GET 4, POST 1", stored: 1,
		}, {
			name: "IfExists is Replace, and the new package is refused after the old one was deleted", have: theirs, inject: []packagecloudtest.Fault{{Method: "POST", Skip: 1, Status: 402}},
			do: func(s *scene) error {
				return s.upload(packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
			},
			says: "the old " + demo + " was deleted", is: []error{packagecloud.ErrPaymentRequired}, status: 402, requests: "DELETE 1, GET 2, POST 2",
		}, {
			name: "IfExists is Replace, and other content is there", have: theirs,
			do: func(s *scene) error {
				return s.upload(packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
			},
			requests: "DELETE 1, GET 2, POST 2", stored: 1,
		}, {
			name: "IfExists is Replace, and the same content is there", have: []stock{{"ubuntu/jammy", demo, newDemo}},
			do: func(s *scene) error {
				pkg, err := s.repo.Upload(s.ctx, packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
				if err == nil && !pkg.Existed {
					s.t.Errorf("it is said to be uploaded: %+v", pkg)
				}
				return err
			},
			requests: "GET 2, POST 1", stored: 1,
		}, {
			name: "IfExists is Replace, and the server refuses the new package before anything was deleted", have: theirs, inject: []packagecloudtest.Fault{{Method: "POST", Status: 422, ContentType: "application/json", Body: `{"package_file":["is damaged"]}`}},
			do: func(s *scene) error {
				return s.upload(packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
			},
			says: "is damaged", is: []error{packagecloud.ErrInvalid}, status: 422, requests: "GET 1, POST 1", stored: 1,
		}, {
			name: "IfExists is Replace, the package exists, and the plan is full", have: theirs, inject: []packagecloudtest.Fault{{
				Method: "POST", Status: 422, ContentType: "application/json", Body: `{"filename":["has already been taken"],"plan":["Upgrade to add more packages!"]}`,
			}},
			do: func(s *scene) error {
				return s.upload(packagecloud.Bytes(demo, newDemo), ifExists(packagecloud.Replace))
			},
			says: "nothing was replaced, since the server has other reasons", is: []error{packagecloud.ErrExists, packagecloud.ErrPaymentRequired, packagecloud.ErrInvalid}, status: 422, requests: "GET 2, POST 1", stored: 1,
		}, {
			name: "IfExists is Replace, and neither the content nor the name tells which package is in the way", have: theirs,
			do: func(s *scene) error {
				return s.upload(packagecloud.Bytes(demo, []byte("content")), ifExists(packagecloud.Replace))
			},
			says: "nothing was replaced, since the content can't be read as a deb package", is: []error{packagecloud.ErrExists, packagecloud.ErrInvalid}, status: 422, requests: "GET 3, POST 1", stored: 1,
		}, {
			name: "the answer to a deletion gets lost", have: theirs, inject: []packagecloudtest.Fault{{Method: "DELETE", LoseAnswer: true}},
			do:       func(s *scene) error { return s.repo.Delete(s.ctx, s.pkg) },
			requests: "DELETE 1, GET 1",
		}, {
			name: "a deletion gets lost", have: theirs, inject: []packagecloudtest.Fault{{Method: "DELETE", Reset: true}},
			do:       func(s *scene) error { return s.repo.Delete(s.ctx, s.pkg) },
			requests: "DELETE 2, GET 1",
		}, {
			name: "the answer to a promotion gets lost", have: theirs,
			do:       func(s *scene) error { return s.promote(packagecloudtest.Fault{LoseAnswer: true}) },
			requests: "GET 2, POST 2",
		}, {
			name: "a promotion gets lost", have: theirs,
			do:   func(s *scene) error { return s.promote(packagecloudtest.Fault{ResetAfter: 1}) },
			says: "the outcome is unknown ... acme/stable", is: []error{packagecloud.ErrUnknownOutcome}, requests: "GET 6, POST 2", stored: 1,
		}, {
			name: "the answer to the creation of a repository gets lost", inject: []packagecloudtest.Fault{{Method: "POST", LoseAnswer: true}},
			do:       func(s *scene) error { return second(s.client.CreateRepository(s.ctx, "stable", nil)) },
			requests: "GET 2, POST 1",
		}, {
			name: "the server takes long over an upload", inject: []packagecloudtest.Fault{{Method: "POST", Delay: patience * 3 / 2}},
			do: func(s *scene) error {
				packagecloud.SetTiming(s.client, patience, time.Millisecond, 0)
				return s.uploadDemo()
			},
			requests: "GET 1, POST 1", stored: 1,
		}, {
			name: "an upload goes slowly",
			do: func(s *scene) error {
				packagecloud.SetTiming(s.client, patience, time.Millisecond, 0)
				options := *jammy
				options.Progress = func(sent, _ int64) {
					if sent > 0 {
						s.dawdle()
					}
				}
				return s.upload(largeDemo(), &options)
			},
			requests: "GET 1, POST 1", stored: 1,
		}, {
			name: "an upload stalls", inject: []packagecloudtest.Fault{{Method: "POST", Delay: time.Hour}},
			do: func(s *scene) error {
				packagecloud.SetTiming(s.client, patience, time.Millisecond, 0)
				return s.uploadLarge()
			},
			requests: "GET 2, POST 2", stored: 1,
		}, {
			name: "no answer to a read comes", inject: []packagecloudtest.Fault{{Delay: time.Hour, Times: -1}},
			do: func(s *scene) error {
				packagecloud.SetTiming(s.client, patience, time.Millisecond)
				return s.info()
			},
			says: "the transfer stalled", is: []error{packagecloud.ErrStalled}, requests: "GET 5",
		}, {
			name: "every answer to a read stalls", inject: []packagecloudtest.Fault{{StallAfter: 20, Times: -1}},
			do: func(s *scene) error {
				packagecloud.SetTiming(s.client, patience, time.Millisecond)
				return s.info()
			},
			says: "the transfer stalled", is: []error{packagecloud.ErrStalled}, requests: "GET 5",
		},
	}
}

// changes are what can happen to a file while it is being uploaded.
var changes = map[string]func(path string) error{
	"grows": func(path string) error {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString("more")
		return err
	},
	"shrinks":    func(path string) error { return os.Truncate(path, 1000) },
	"is touched": func(path string) error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Minute)) },
	"is replaced": func(path string) error {
		info, err := os.Stat(path)
		if err == nil {
			err = os.WriteFile(path+".new", make([]byte, info.Size()), 0o600)
		}
		if err == nil {
			err = os.Chtimes(path+".new", time.Time{}, info.ModTime())
		}
		if err == nil {
			err = os.Rename(path+".new", path)
		}
		return err
	},
	"vanishes": os.Remove,
	"becomes a FIFO": func(path string) error {
		if err := os.Remove(path); err != nil {
			return err
		}
		err := mkfifo(path)
		if errors.Is(err, errors.ErrUnsupported) {
			return os.Mkdir(path, 0o700) // no regular file either
		}
		return err
	},
	"is edited in place": func(path string) error { return editInPlace(path, 0) },
}

// files are the rows of what is wrong with the file, or with what is said of it.
func files() []*fault {
	var rows []*fault
	for _, what := range slices.Sorted(maps.Keys(changes)) {
		change := changes[what]
		row := &fault{
			name: "the file " + what + " between two tries", inject: []packagecloudtest.Fault{cutShort},
			do: func(s *scene) error {
				return s.uploadFile(func(path string, _ *packagecloud.UploadOptions) {
					once := sync.OnceFunc(func() { s.try(change(path)) })
					s.tried = func(r *http.Request) {
						if r.Method == "POST" {
							once()
						}
					}
				})
			},
			says: "upload it again", is: []error{packagecloud.ErrContentChanged}, requests: "GET 2, POST 2",
		}
		if what == "vanishes" {
			row.says, row.is = demo, []error{fs.ErrNotExist}
		}
		rows = append(rows, row)
		if what == "vanishes" || what == "is replaced" || what == "becomes a FIFO" {
			continue // the open file isn't affected
		}
		rows = append(rows, &fault{
			name: "the file " + what + " while it is sent",
			do: func(s *scene) error {
				return s.uploadFile(func(path string, options *packagecloud.UploadOptions) {
					once := sync.OnceFunc(func() { s.try(change(path)) })
					options.Progress = func(sent, _ int64) {
						if sent > 0 {
							once()
						}
					}
				})
			},
			says: "the content changed", is: []error{packagecloud.ErrContentChanged}, requests: "GET 1, POST 1",
		})
	}
	rows = append(rows, &fault{
		name: "the file is touched after an answer got lost", inject: []packagecloudtest.Fault{notDone},
		do: func(s *scene) error {
			return s.uploadFile(func(path string, _ *packagecloud.UploadOptions) {
				once := sync.OnceFunc(func() { s.try(changes["is touched"](path)) })
				s.tried = func(r *http.Request) {
					if r.Method == "POST" {
						once()
					}
				}
			})
		},
		says: "the outcome is unknown ... the content changed", is: []error{packagecloud.ErrUnknownOutcome, packagecloud.ErrContentChanged}, requests: "GET 4, POST 2",
	})
	wrong := []error{packagecloud.ErrInvalid}
	return append(rows, []*fault{
		{
			name: "the file is empty",
			do:   func(s *scene) error { return s.upload(packagecloud.Bytes(demo, nil), jammy) },
			says: demo + " is empty", is: wrong, requests: "none",
		}, {
			name: "the file's extension is of no type",
			do:   func(s *scene) error { return s.upload(packagecloud.Bytes("demo.xyz", []byte("content")), jammy) },
			says: "demo.xyz ... set UploadOptions.Type", is: wrong, requests: "none",
		}, {
			name: "a source file of a .dsc is missing, or differs from what that says",
			do: func(s *scene) error {
				dsc, sources := sourcePackage()
				sources[1] = packagecloud.Bytes(sources[1].Name, make([]byte, sources[1].Size))
				return s.upload(packagecloud.Bytes(dscName, dsc), &packagecloud.UploadOptions{Distribution: "ubuntu/jammy", SourceFiles: sources})
			},
			says: "has another checksum than " + dscName + " says", is: wrong, requests: "none",
		}, {
			name: "the coordinates of a Java archive are malformed",
			do: func(s *scene) error {
				return s.upload(packagecloud.Bytes("demo-1.0.jar", []byte("content")), &packagecloud.UploadOptions{Coordinates: "com.acme:demo"})
			},
			says: "group:artifact:version", is: wrong, requests: "none",
		}, {
			name: "the distribution is misspelled",
			do:   func(s *scene) error { return s.uploadTo("ubuntu/jamy") },
			says: `no distribution "ubuntu/jamy" for deb packages; near are ubuntu/jammy`, is: wrong, requests: "GET 1",
		}, {
			name: "the distribution is one of other packages",
			do:   func(s *scene) error { return s.uploadTo("el/9") },
			says: `"el/9" takes rpm packages, not deb`, is: wrong, requests: "GET 1",
		}, {
			name: "the distribution is missing",
			do:   func(s *scene) error { return s.uploadTo("") },
			says: "need UploadOptions.Distribution, such as ubuntu/noble", is: wrong, requests: "GET 1",
		}, {
			name: "the distribution is ambiguous",
			inject: []packagecloudtest.Fault{{Method: "GET", Status: 200, ContentType: "application/json",
				Body: `{"deb":[{"index_name":"ubuntu","versions":[{"id":1,"index_name":"jammy"},{"id":2,"index_name":"other","version_number":"jammy"}]}]}`}},
			says: `"ubuntu/jammy" is ambiguous`, is: wrong, requests: "GET 1",
		},
	}...)
}

func (s *scene) uploadTo(distribution string) error {
	return s.upload(packagecloud.Bytes(demo, []byte("content")), &packagecloud.UploadOptions{Distribution: distribution})
}

// uploadFile uploads a file that prepare may meddle with.
func (s *scene) uploadFile(prepare func(path string, options *packagecloud.UploadOptions)) error {
	path := filepath.Join(s.t.TempDir(), demo)
	s.try(os.WriteFile(path, bytes.Repeat([]byte("x"), large), 0o600))
	options := *jammy
	prepare(path, &options)
	return s.upload(packagecloud.File(path), &options)
}

// try fails the test if what it needs failed.
func (s *scene) try(err error) {
	if err != nil {
		s.t.Error(err)
	}
}
