package packagecloud

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"time"
)

// RepositoryInfo is what the server tells of a repository. Lists and
// [Repository.Info] fill in different fields; the rest is zero.
// https://packagecloud.io/docs/api#object_Repository
type RepositoryInfo struct {
	Name          string
	FullName      string // owner/name
	URL           string // of its web page; in lists
	Type          string
	Private       bool // in lists
	CreatedAt     time.Time
	UpdatedAt     time.Time
	LastPush      string // in words
	PackageCount  string // in words, such as "17 packages"
	TotalInstalls int64
	// InstallScriptURL holds a token.
	InstallScriptURL SecretURL
}

// UnmarshalJSON reads the forms of lists and of a single repository.
func (r *RepositoryInfo) UnmarshalJSON(data []byte) error {
	var w struct {
		Name         text            `json:"name"`
		FullName     text            `json:"fqname"`
		Path         text            `json:"path"`
		URL          address         `json:"url"`
		Type         text            `json:"repo_type"`
		Private      flag            `json:"private"`
		CreatedAt    text            `json:"created_at"`
		UpdatedAt    text            `json:"updated_at"`
		LastPush     text            `json:"last_push_human"`
		PackageCount text            `json:"package_count_human"`
		Installs     number          `json:"total_installs_count"`
		URLs         json.RawMessage `json:"urls"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return errors.New("packagecloud: a repository isn't a JSON object")
	}
	var urls struct {
		InstallScript text `json:"install_script"`
	}
	json.Unmarshal(w.URLs, &urls)                         // what isn't an object has none
	script, _ := NewSecretURL(string(urls.InstallScript)) // none if it is odd
	created, _ := time.Parse(time.RFC3339, string(w.CreatedAt))
	updated, _ := time.Parse(time.RFC3339, string(w.UpdatedAt))
	*r = RepositoryInfo{
		Name: string(w.Name), FullName: string(w.FullName), URL: string(w.URL), Type: string(w.Type), Private: bool(w.Private),
		CreatedAt: created, UpdatedAt: updated, LastPush: string(w.LastPush), PackageCount: string(w.PackageCount),
		TotalInstalls: int64(w.Installs), InstallScriptURL: script,
	}
	if r.FullName == "" {
		r.FullName = strings.Trim(string(w.Path), "/")
	}
	return nil
}

// RepositoriesOptions tunes [Client.Repositories]. Nil and zero are good.
type RepositoriesOptions struct {
	// IncludeCollaborations adds the repositories that others share.
	IncludeCollaborations bool
	ListOptions
}

// Repositories lists the repositories of the token's owner.
// https://packagecloud.io/docs/api#resource_repositories_method_index
func (c *Client) Repositories(ctx context.Context, options *RepositoriesOptions) iter.Seq2[*RepositoryInfo, error] {
	if options == nil {
		options = &RepositoriesOptions{}
	}
	values, waive, err := options.ListOptions.values()
	if err != nil {
		return func(yield func(*RepositoryInfo, error) bool) { yield(nil, err) }
	}
	if options.IncludeCollaborations {
		values.Set("include_collaborations", "true")
	}
	req := repositoriesIndex.on(repositoriesIndex.path + "?" + values.Encode())
	return pages(ctx, c, req, func(r *RepositoryInfo) string { return r.FullName + "\x00" + r.Name }, waive)
}

// CreateRepositoryOptions tunes [Client.CreateRepository]. Nil and zero are good.
type CreateRepositoryOptions struct {
	// Private needs a plan that has private repositories.
	Private bool
}

// Info returns what the server tells of the repository.
// https://packagecloud.io/docs/api#resource_repositories_method_show
func (r *Repository) Info(ctx context.Context) (*RepositoryInfo, error) {
	req, err := r.request(repositoryShow)
	if err != nil {
		return nil, err
	}
	info, err := get(ctx, r.client, req, func(info *RepositoryInfo) bool { return info.is(r) })
	if err == nil {
		info.FullName = cmp.Or(info.FullName, r.String())
	}
	return info, err
}

// isNone reports that an element of a list is no repository.
func (r *RepositoryInfo) isNone() bool { return r.FullName == "" && r.Name == "" }

// is reports whether the server tells of r. A success may come without a
// repository, or with another: a proxy's page has a name, too.
func (r *RepositoryInfo) is(of *Repository) bool {
	if r.FullName != "" {
		return strings.EqualFold(r.FullName, of.String())
	}
	return strings.EqualFold(r.Name, of.name)
}
