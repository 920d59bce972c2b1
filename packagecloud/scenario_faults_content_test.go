package packagecloud_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// editInPlace changes a file at the offset, and sets its time back.
func editInPlace(path string, offset int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("changed"), offset); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

// mismatches are the rows of answers that don't fit what was sent.
func mismatches() []*fault {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("content")))
	same := []stock{{"ubuntu/jammy", demo, []byte("content")}}
	checksum, unknown := []error{packagecloud.ErrChecksum}, []error{packagecloud.ErrUnknownOutcome}
	answer := func(fields string) []packagecloudtest.Fault {
		return []packagecloudtest.Fault{{Method: "POST", ReadBody: true, Status: 201, ContentType: "application/json", Body: `{"filename":"` + demo + `"` + fields + `}`}}
	}
	return []*fault{
		{
			name: "a bit of an upload is flipped on its way",
			do: func(s *scene) error {
				s.trip = func(r *http.Request) *http.Request {
					if r.Method != "POST" {
						return r
					}
					body := r.Body
					r = r.Clone(r.Context())
					r.GetBody, r.Body = nil, struct {
						io.Reader
						io.Closer
					}{&flippingReader{body, 1 << 20}, body}
					return r
				}
				return s.uploadLarge()
			},
			says: "the checksum doesn't match ... delete it there, then upload the file again", is: checksum, requests: "GET 1, POST 1", stored: 1,
		}, {
			name: "the answer to an upload has another checksum", inject: answer(`,"sha256sum":"` + flipped(sum, -1) + `"`),
			says: flipped(sum, -1) + " ... " + sum, is: checksum, requests: "GET 1, POST 1",
		}, {
			name: "the answer to an upload has another size", inject: answer(`,"size":"1"`),
			says: "with 1 bytes, but 7 were sent", is: checksum, requests: "GET 1, POST 1",
		}, {
			name: "the answer to an upload has another size, and is that of a dsc",
			inject: []packagecloudtest.Fault{{Method: "POST", ReadBody: true, Status: 201, ContentType: "application/json",
				Body: `{"filename":"demo_1.0-1.dsc","size":"3732.0","distro_version":"ubuntu/jammy"}`}},
			do: func(s *scene) error {
				_, err := s.repo.Upload(s.ctx, packagecloud.Bytes("demo_1.0-1.dsc", []byte("content")), jammy)
				return err
			},
			requests: "GET 1, POST 1",
		}, {
			name: "the answer to an upload names another distribution, and the package is where it belongs", inject: answer(`,"distro_version":"ubuntu/focal"`), have: same,
			requests: "GET 2, POST 1", stored: 1,
		}, {
			name: "the answer to an upload names another distribution, and the package isn't where it belongs", inject: answer(`,"distro_version":"ubuntu/focal"`),
			says: "the outcome is unknown ... ubuntu/jammy of acme/main ... in ubuntu/focal", is: unknown, requests: "GET 3, POST 1",
		}, {
			name: "the answer to an upload names another repository, and the package isn't where it belongs", inject: answer(`,"repository":"other"`),
			says: "the outcome is unknown ... the repository other", is: unknown, requests: "GET 3, POST 1",
		},
	}
}
