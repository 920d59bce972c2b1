package packagecloud

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// endpoint declares one operation of the API.
type endpoint struct {
	method string
	// path is the template of the path. Its wildcards are filled in order. It names
	// the operation in errors and logs; {package} stands for several segments, whose
	// number the type of the package decides.
	path string
	// repeatable says that a repeat changes nothing more than the first request.
	repeatable bool
}

func read(path string) endpoint { return endpoint{http.MethodGet, path, true} }

// The endpoints that the client calls. A test holds them against those that
// packagecloudtest serves.
var (
	distributionsIndex = read("/api/v1/distributions.json")

	repositoriesIndex = read("/api/v1/repos.json")
	repositoryCreate  = endpoint{http.MethodPost, "/api/v1/repos.json", false}
	repositoryShow    = read("/api/v1/repos/{owner}/{repo}.json")

	packagesIndex   = read("/api/v1/repos/{owner}/{repo}/packages.json")
	packagesSearch  = read("/api/v1/repos/{owner}/{repo}/search.json")
	packageCreate   = endpoint{http.MethodPost, "/api/v1/repos/{owner}/{repo}/packages.json", false}
	packageShow     = read("/api/v1/repos/{owner}/{repo}/package/{package}.json")
	packageVersions = read("/api/v1/repos/{owner}/{repo}/package/{package}/versions.json")
	packageDelete   = endpoint{http.MethodDelete, "/api/v1/repos/{owner}/{repo}/{distribution}/{version}/{filename}", false}
	packagePromote  = endpoint{http.MethodPost, "/api/v1/repos/{owner}/{repo}/{distribution}/{version}/{filename}/promote.json", false}
	packageDownload = read("/{owner}/{repo}/packages/{distribution}/{version}/{filename}/download")
)

// endpoints lists them all.
func endpoints() []endpoint {
	return []endpoint{
		distributionsIndex, repositoriesIndex, repositoryCreate, repositoryShow,
		packagesIndex, packagesSearch, packageCreate, packageShow, packageVersions, packageDelete, packagePromote, packageDownload,
	}
}

// on returns the request to an address that the server gave, or to a path that is
// filled already.
func (e endpoint) on(address string) request { return request{endpoint: e, url: address} }

// with returns the request whose path has these names in place of the wildcards.
func (e endpoint) with(names ...string) (request, error) {
	var path strings.Builder
	rest := e.path
	for _, name := range names {
		if err := checkName(name); err != nil {
			return request{}, err
		}
		before, after, _ := strings.Cut(rest, "{")
		_, rest, _ = strings.Cut(after, "}")
		path.WriteString(before + url.PathEscape(name))
	}
	return e.on(path.String() + rest), nil
}

// request returns the request to an endpoint of the repository; names stand in place
// of the wildcards after the owner and the repository.
func (r *Repository) request(e endpoint, names ...string) (request, error) {
	if err := r.check(); err != nil {
		return request{}, err
	}
	req, err := e.with(append([]string{r.owner, r.name}, names...)...)
	req.subject = r.subject(nil)
	return req, err
}

// get sends r and decodes its answer, which fits tells from what is no answer of
// the API.
func get[T any](ctx context.Context, c *Client, r request, fits func(*T) bool) (*T, error) {
	out := new(T)
	r.fits = func() bool { return fits(out) }
	if _, err := c.call(ctx, r, out); err != nil {
		return nil, err
	}
	return out, nil
}

// withForm returns r with a form as its body.
func (r request) withForm(form url.Values) request {
	return r.withBody("application/x-www-form-urlencoded", form.Encode())
}

func (r request) withBody(contentType, body string) request {
	r.header = http.Header{"Content-Type": {contentType}}
	r.size = int64(len(body))
	r.body = func(*exchange.Attempt) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	return r
}
