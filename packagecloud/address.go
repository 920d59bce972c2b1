package packagecloud

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// address is the path at which pkg is deleted and, with a suffix, promoted:
// the server's own, or, where it gives none (alpine) or pkg was made by hand, the
// documented path.
func (r *Repository) address(ctx context.Context, pkg *Package, suffix string) (string, error) {
	if pkg == nil {
		return "", errNilPackage
	}
	given := pkg.DestroyURL
	if suffix != "" {
		given = pkg.PromoteURL
	}
	if given != "" {
		return given, r.owns(ctx, given, pkg.Filename)
	}
	var elements []string
	switch index, version, ok := strings.Cut(pkg.Distribution, "/"); {
	case pkg.Type == "gem" || index == "RubyGem" || index == "gems":
		elements = []string{"gems"}
	case index == "java": // its version is followed by the group
		elements = append([]string{index}, strings.Split(version, "/")...)
	case ok:
		elements = []string{index, version}
	case index == "python", index == "node", index == "anyfile":
		elements = []string{index, "1"}
	case index == "helm":
		elements = []string{index, "v1"}
	default:
		return "", fmt.Errorf("packagecloud: the distribution of the package is %q; it should look like ubuntu/noble", shorten(pkg.Distribution, 100))
	}
	path, err := r.path(append(elements, pkg.Filename)...)
	if err != nil {
		return "", err
	}
	if path += suffix; pkg.Scope != "" {
		if err := checkName(pkg.Scope); err != nil {
			return "", err
		}
		path += "?" + url.Values{"scope": {pkg.Scope}}.Encode()
	}
	return path, nil
}

// owns makes sure that a change at an address of the server's stays on the base
// URL's server and below this repository, however that server or a proxy before it
// cleans and decodes the path. A file's own name may look escaped.
func (r *Repository) owns(ctx context.Context, address, filename string) error {
	u, err := r.client.http.Resolve(ctx, address)
	if err != nil {
		return err
	}
	base, err := r.client.http.Auth.BaseURL(ctx)
	if err != nil {
		return err
	}
	elsewhere := func(how string) error {
		return fmt.Errorf("packagecloud: the server's address for changing the package %s; nothing was sent: list the packages of %s again, from its own server", how, r)
	}
	if !exchange.SameOrigin(u, base) {
		return elsewhere("is on another server, " + shorten(u.Host, 200))
	}
	rest, ok := strings.CutPrefix(u.EscapedPath(), strings.TrimSuffix(base.EscapedPath(), "/")+"/api/v1/repos/")
	if !ok {
		return elsewhere("isn't below /api/v1/repos")
	}
	elements, ok := plainElements(rest, filename)
	switch {
	case !ok:
		return elsewhere("has a part that may lead out of the repository")
	case len(elements) < 4:
		return elsewhere("names no package")
	case !strings.EqualFold(elements[0], r.owner) || !strings.EqualFold(elements[1], r.name):
		return fmt.Errorf("packagecloud: the package is in %s/%s, not in %s; call the method of its own repository", shorten(elements[0], 100), shorten(elements[1], 100), r)
	case strings.EqualFold(elements[2], "master_tokens"), strings.EqualFold(elements[2], "gpg_keys"):
		return elsewhere("is one of the repository's " + strings.ToLower(elements[2]))
	}
	if !harmlessQuery(u.RawQuery) {
		return elsewhere("has a query that may change what is asked")
	}
	return nil
}

// plainElements returns the names in a path, and whether all stay names however the
// path is cleaned and decoded. The file's own name may look escaped.
func plainElements(path, filename string) (elements []string, ok bool) {
	for escaped := range strings.SplitSeq(path, "/") {
		e, err := url.PathUnescape(escaped)
		if err != nil || checkName(e) != nil || e != filename && !plain(e) {
			return nil, false
		}
		elements = append(elements, e)
	}
	return elements, true
}

// harmlessQuery reports whether a query has what the service puts there, and no more.
func harmlessQuery(raw string) bool {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return false
	}
	for key, values := range query {
		if key != "scope" && key != "distro_version_id" || len(values) != 1 {
			return false
		}
	}
	return true
}

// plain reports whether a part of a path is a name still when a server decodes it
// once more, or drops what follows a semicolon.
func plain(element string) bool {
	name, _, _ := strings.Cut(element, ";")
	again, err := url.PathUnescape(element)
	if err != nil { // a bare % of a file name
		again = element
	}
	return checkName(name) == nil && checkName(again) == nil
}
