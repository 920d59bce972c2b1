package packagecloud_test

import (
	"net/http"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

// promote promotes the package to a new repository; the fault meets the promotion.
func (s *scene) promote(f packagecloudtest.Fault) error {
	if _, err := s.client.CreateRepository(s.ctx, "stable", nil); err != nil {
		return err
	}
	f.Method, f.Path = http.MethodPost, "**/promote.json"
	s.inject(s.t, f, "")
	return second(s.repo.Promote(s.ctx, s.pkg, s.client.Repository("acme", "stable")))
}

// oddAnswers are the rows of successes that are none, and of addresses that lead
// elsewhere.
func oddAnswers() []*fault {
	const login, doubt = `{"message":"please log in"}`, "the server answered with success, but not in the form"
	answer := func(method, path, body string, times int) packagecloudtest.Fault {
		return packagecloudtest.Fault{Method: method, Path: path, Status: 200, ContentType: "application/json", Body: body, Times: times}
	}
	remove := func(s *scene) error { return s.repo.Delete(s.ctx, s.pkg) }
	return []*fault{
		{
			name: "a repository is answered with a success of another form", inject: []packagecloudtest.Fault{answer("GET", "", login, 1)},
			do: (*scene).info, says: doubt, requests: "GET 1",
		}, {
			name: "a repository is answered with another repository", inject: []packagecloudtest.Fault{answer("GET", "", `{"name":"other","fqname":"acme/other"}`, 1)},
			do: (*scene).info, says: doubt, requests: "GET 1",
		}, {
			name: "the distributions are answered with a success of another form", inject: []packagecloudtest.Fault{answer("GET", "", `{"errors":{"base":["x"]}}`, 1)},
			says: doubt, requests: "GET 1",
		}, {
			name: "a list has elements, but no packages", inject: []packagecloudtest.Fault{answer("GET", "", `[`+login+`]`, 1)},
			do: func(s *scene) error { return s.list(nil) }, says: doubt, requests: "GET 1",
		}, {
			name: "a deletion is answered with a success of another form, and the package is gone", have: theirs,
			do: func(s *scene) error {
				s.try(remove(s))
				s.inject(s.t, answer("DELETE", "", login, 1), "")
				return remove(s)
			},
			requests: "DELETE 2, GET 1",
		}, {
			name: "a deletion is answered with a success of another form, and the package is there", have: theirs,
			inject: []packagecloudtest.Fault{answer("DELETE", "", `{"error":"maintenance"}`, -1)}, do: remove,
			says: demo + " is still in acme/main ... maintenance", status: 200, requests: "DELETE 5, GET 5", stored: 1,
		}, {
			name: "a deletion is answered with a success of another form, and the list with another", have: theirs,
			inject: []packagecloudtest.Fault{answer("", "", login, -1)}, do: remove,
			says: "the outcome is unknown ... " + doubt, is: []error{packagecloud.ErrUnknownOutcome}, requests: "DELETE 1, GET 1", stored: 1,
		}, {
			name: "a promotion is answered with a success of another form, and the package has not moved", have: theirs,
			do:   func(s *scene) error { return s.promote(answer("", "", login, 1)) },
			says: demo + " is still in acme/main and not in acme/stable ... " + doubt, requests: "GET 6, POST 2", stored: 1,
		}, {
			name: "a promotion is answered with another package, and the package has not moved", have: theirs,
			do: func(s *scene) error {
				return s.promote(answer("", "", `{"name":"other","filename":"other_1_amd64.deb"}`, 1))
			},
			says: demo + " is still in acme/main and not in acme/stable ... " + doubt, requests: "GET 6, POST 2", stored: 1,
		}, {
			name: "the creation of a repository is answered with a success of another form", inject: []packagecloudtest.Fault{answer("POST", "", `{"status":"error"}`, 1)},
			do:   func(s *scene) error { return second(s.client.CreateRepository(s.ctx, "stable", nil)) },
			says: "the repository stable isn't there ... " + doubt, requests: "GET 2, POST 1",
		}, {
			name: "the address at which a package is deleted is on another server", have: theirs,
			do: func(s *scene) error {
				s.pkg.DestroyURL = s.elsewhere() + s.pkg.DestroyURL
				return remove(s)
			},
			says: "is on another server ... nothing was sent", requests: "none", stored: 1,
		}, {
			name: "the address at which a package is deleted is in another repository", have: theirs,
			do: func(s *scene) error {
				s.pkg.DestroyURL = "/api/v1/repos/acme/other/ubuntu/jammy/" + demo
				return remove(s)
			},
			says: "the package is in acme/other, not in acme/main", requests: "none", stored: 1,
		}, {
			name: "the address at which a package is promoted leads out of the repository", have: theirs,
			do: func(s *scene) error {
				s.pkg.PromoteURL = "/api/v1//repos/acme/main/ubuntu/jammy/" + demo + "/promote.json"
				return second(s.repo.Promote(s.ctx, s.pkg, s.client.Repository("acme", "stable")))
			},
			says: "nothing was sent", requests: "none", stored: 1,
		},
	}
}
