package packagecloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// Delete removes pkg. Package managers see it go when their metadata has been
// rebuilt. A package that isn't there is ErrNotFound. Besides a package of a
// list, one made of Distribution, Filename and, for npm, Scope will do.
//
// When the answer gets lost, or is none of the API's, Delete looks whether the
// package is still listed. If it isn't, Delete has done its work; if it is, Delete
// sends the request again, a few times. The error is ErrUnknownOutcome where the
// server may still delete it, or where the list can't be read. Alpine packages of
// several architectures have one file name and one address: all of them may go.
// https://packagecloud.io/docs/api#resource_packages_method_destroy
func (r *Repository) Delete(ctx context.Context, pkg *Package) error {
	address, err := r.address(ctx, pkg, "")
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d := &deletion{repo: r, pkg: pkg, request: packageDelete.on(address)}
	d.request.subject = r.subject(pkg)
	err = r.client.retry.Run(ctx, func(int) error { return d.try(ctx) }, func(err error) exchange.Verdict {
		return exchange.Verdict{Again: ambiguous(err) && d.failure == nil && !lasting(err), RetryAfter: retryAfter(err)}
	}, nil)
	return d.outcome(ctx, err)
}

// deletion is one call of Delete.
type deletion struct {
	repo    *Repository
	pkg     *Package
	request request

	lost    bool  // a try may have been carried out
	failure error // of the look after it
}

// try sends the request, and looks for the package if the answer doesn't tell. Its
// error is nil if the package is gone.
func (d *deletion) try(ctx context.Context) error {
	_, err := d.repo.client.call(ctx, d.request, nil)
	if err == nil || d.lost && errors.Is(err, ErrNotFound) {
		return nil
	}
	if d.lost = d.lost || ambiguous(err); !d.lost || ctx.Err() != nil {
		return err
	}
	have, failure := d.repo.stored(ctx, d.pkg, false)
	if d.failure = failure; failure == nil && have == nil {
		return nil
	}
	return err
}

// outcome makes the error of the deletion from that of its last try.
func (d *deletion) outcome(ctx context.Context, err error) error {
	name := shorten(d.pkg.Filename, 200)
	switch {
	case err == nil || !d.lost:
		return err
	case d.failure != nil:
		err = unseen(err, d.failure)
	case ctx.Err() == nil && answered(err):
		return fmt.Errorf("packagecloud: %s is still in %s: %w", name, d.repo, err)
	}
	return fmt.Errorf("%w: %s may be deleted; look whether it is still in %s: %w", ErrUnknownOutcome, name, d.repo, err)
}

// Promote moves pkg to another repository, such as "acme/stable", and returns
// it as it is there. Its download statistics are lost.
//
// When the answer gets lost, or is none of the API's, Promote looks at both
// repositories. If the package has moved, Promote returns it as the list has it.
// Where they don't tell, the error is ErrUnknownOutcome.
// https://packagecloud.io/docs/api#resource_packages_method_promote
func (r *Repository) Promote(ctx context.Context, pkg *Package, destination *Repository) (*Package, error) {
	if destination == nil {
		return nil, errors.New("packagecloud: Promote needs a destination")
	}
	if err := destination.check(); err != nil {
		return nil, err
	}
	address, err := r.address(ctx, pkg, "/promote.json")
	if err != nil {
		return nil, err
	}
	form := url.Values{"destination": {destination.String()}}
	if pkg.Scope != "" {
		form.Set("scope", pkg.Scope)
	}
	req := packagePromote.on(address).withForm(form)
	req.subject = r.subject(pkg) + " or the repository " + destination.String()
	var out Package
	req.fits = func() bool {
		return out.Filename != "" && (pkg.Filename == "" || strings.EqualFold(out.Filename, pkg.Filename))
	}
	moved := &out
	if _, err := r.client.call(ctx, req, &out); err != nil {
		if !ambiguous(err) {
			return nil, err
		}
		if moved, err = r.promoted(ctx, pkg, destination, err); err != nil {
			return nil, err
		}
	}
	// The answer names the repository it came from.
	moved.Repository = destination.name
	moved.Type = cmp.Or(moved.Type, pkg.Type)
	return moved, nil
}

// promoted finds out what became of a promotion whose answer tells nothing, which
// is the cause. It looks several times, since the server may still be working.
func (r *Repository) promoted(ctx context.Context, pkg *Package, destination *Repository, cause error) (*Package, error) {
	name := shorten(pkg.Filename, 200)
	unknown := func(err error) error {
		return fmt.Errorf("%w: %s may be in %s or in %s: %w", ErrUnknownOutcome, name, r, destination, err)
	}
	var here, there *Package
	for _, pause := range r.client.unknownOutcomeAt {
		if ctx.Err() != nil || exchange.Sleep(ctx, pause) != nil {
			break
		}
		var err error
		if there, err = destination.stored(ctx, pkg, true); err == nil {
			here, err = r.stored(ctx, pkg, true)
		}
		switch {
		case err != nil:
			return nil, unknown(unseen(cause, err))
		case here == nil && there != nil:
			return there, nil
		}
	}
	if here != nil && there == nil && answered(cause) {
		return nil, fmt.Errorf("packagecloud: %s is still in %s and not in %s: %w", name, r, destination, cause)
	}
	return nil, unknown(cause)
}

// stored returns what the repository lists in the place of pkg, or nil. Another
// package of the same name, as its checksum tells or, unless pkg may have been
// moved, the time of its creation, is not it.
func (r *Repository) stored(ctx context.Context, pkg *Package, moved bool) (*Package, error) {
	if pkg.Filename == "" {
		return nil, errors.New("packagecloud: the package has no Filename to look for")
	}
	for have, err := range r.search(ctx, pkg.Filename, pkg.Distribution, "") {
		if err != nil {
			return nil, err
		}
		another := have.Filename != pkg.Filename || !inDistribution(have, pkg.Distribution) ||
			strings.TrimPrefix(have.Scope, "@") != strings.TrimPrefix(pkg.Scope, "@") ||
			differ(have.namespace(), pkg.namespace()) || differ(have.Architecture, pkg.Architecture) ||
			differ(strings.ToLower(have.SHA256), strings.ToLower(pkg.SHA256)) ||
			!moved && !have.CreatedAt.IsZero() && !pkg.CreatedAt.IsZero() && !have.CreatedAt.Equal(pkg.CreatedAt)
		if !another {
			return have, nil
		}
	}
	return nil, nil
}

// unseen adds to an answer that tells nothing why the look that followed it failed.
// A repository that can't be looked into doesn't make the package "not found".
func unseen(cause, failure error) error {
	if errors.Is(failure, ErrNotFound) {
		return fmt.Errorf("%w; looking for it: %v", cause, failure)
	}
	return fmt.Errorf("%w; looking for it: %w", cause, failure)
}

// differ compares two values that may be unknown: an empty one proves nothing.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// CreateRepository makes a repository in the account of the token's owner and
// returns the address of its web page. One that exists is ErrExists.
//
// When the answer gets lost, or is none of the API's, CreateRepository looks for
// the repository. Where that doesn't tell, the error is ErrUnknownOutcome.
// https://packagecloud.io/docs/api#resource_repositories_method_create
func (c *Client) CreateRepository(ctx context.Context, name string, options *CreateRepositoryOptions) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	private := "0"
	if options != nil && options.Private {
		private = "1"
	}
	req := repositoryCreate.on(repositoryCreate.path).withForm(url.Values{"repository[name]": {name}, "repository[private]": {private}})
	var out struct {
		URL address `json:"url"`
	}
	req.fits = func() bool {
		u, err := url.Parse(string(out.URL))
		return err == nil && strings.EqualFold(u.Path[strings.LastIndex(u.Path, "/")+1:], name)
	}
	started := time.Now()
	_, err := c.call(ctx, req, &out)
	switch {
	case err == nil:
		return string(out.URL), nil
	case !ambiguous(err):
		return "", err
	case ctx.Err() != nil:
		return "", unknownRepository(name, err)
	}
	return c.created(ctx, name, started, err)
}

func unknownRepository(name string, err error) error {
	return fmt.Errorf("%w: look with Repositories whether %s is there: %w", ErrUnknownOutcome, shorten(name, 100), err)
}

// created finds out whether a repository was made by a request whose answer tells
// nothing, which is the cause. No answer but the list of repositories tells in whose
// account it would be.
func (c *Client) created(ctx context.Context, name string, started time.Time, cause error) (string, error) {
	owner, now, err := c.account(ctx)
	var info *RepositoryInfo
	if err == nil && owner != "" {
		info, err = c.Repository(owner, name).Info(ctx)
	}
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return "", unknownRepository(name, unseen(cause, err))
	case info == nil && answered(cause):
		return "", fmt.Errorf("packagecloud: the repository %s isn't there: %w", shorten(name, 100), cause)
	case info == nil:
		return "", unknownRepository(name, cause)
	}
	// By the server's clock alone, which dates its answers to the second.
	dated := !now.IsZero() && !info.CreatedAt.IsZero()
	switch {
	case dated && now.Sub(info.CreatedAt) > time.Since(started)+time.Second:
		return "", fmt.Errorf("packagecloud: the repository %s was there before: %w; the answer was: %w", info.FullName, ErrExists, cause)
	case !dated && !answered(cause): // the lost answer may have been a refusal
		return "", unknownRepository(name, cause)
	case info.URL != "":
		return info.URL, nil
	}
	base, err := c.http.Auth.BaseURL(ctx)
	if err != nil {
		return "", err
	}
	return base.JoinPath(owner, name).String(), nil
}

// ambiguous reports whether the server may have done what it was asked.
func ambiguous(err error) bool {
	if e, ok := answerOf(err); ok {
		// A gateway may say so of a request that the server works on.
		return e.replayed || e.StatusCode >= 500 || e.StatusCode == http.StatusRequestTimeout || answered(err)
	}
	if answered(err) {
		return true
	}
	if _, ok := errors.AsType[*exchange.LeftError](err); ok {
		return false // it was refused
	}
	return exchange.Reached(err) && !exchange.NeverSent(err)
}

// answered reports whether the answer was a success by its status, but not in the
// form that the API promises. An unknown repository is the one exception: the API
// itself says so with 200.
func answered(err error) bool {
	if e, ok := answerOf(err); ok {
		return e.StatusCode < 300 && !e.Is(ErrNotFound)
	}
	_, ok := errors.AsType[*answerError](err)
	return ok
}
