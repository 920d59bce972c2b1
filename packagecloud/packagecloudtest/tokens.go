package packagecloudtest

import (
	"context"
	"net/http"
	"strings"

	"github.com/packagecloud-go/sdk/tokensource"
)

// credential is the identity behind a request.
type credential struct {
	kind   string
	master *masterToken // of a request with a master or read token
	read   *readToken
}

// mayRead reports whether the credential may download from a private
// repository.
func (c credential) mayRead(repo *repository) bool {
	return c.kind == CredentialAPI || (c.kind == CredentialRead && c.master.repo == repo)
}

// mayInstall reports whether the credential may use the install helpers. A
// public repository needs none; a private one needs its master token.
func (c credential) mayInstall(repo *repository) bool {
	return (c.kind == CredentialMaster && c.master.repo == repo) || (c.kind == CredentialNone && !repo.private)
}

// identify reads the credential from the Authorization header or, below
// /priv/TOKEN/, from the path.
func (s *Server) identify(r *http.Request) credential {
	user, password, ok := r.BasicAuth()
	if !ok {
		if r.Header.Get("Authorization") != "" {
			return credential{kind: CredentialUnknown}
		}
		rest, found := strings.CutPrefix(r.URL.Path, "/priv/")
		if !found {
			return credential{kind: CredentialNone}
		}
		user, _, _ = strings.Cut(rest, "/")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identifyToken(user, password)
}

// identifyToken returns the identity behind a user name and password. The
// caller holds s.mu.
func (s *Server) identifyToken(user, password string) credential {
	switch {
	case user == "":
		return credential{kind: CredentialUnknown}
	case s.tokens[user]:
		return credential{kind: CredentialAPI}
	case user == s.opts.Email && password == s.opts.Password:
		return credential{kind: CredentialAccount}
	}
	for _, repo := range s.repos {
		for _, m := range repo.masters {
			if m.value == user {
				return credential{kind: CredentialMaster, master: m}
			}
			for _, t := range m.reads {
				if t.value == user {
					return credential{kind: CredentialRead, master: m, read: t}
				}
			}
		}
	}
	return credential{kind: CredentialUnknown}
}

// secrets returns the account's password and every valid token.
func (s *Server) secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []string{s.opts.Password}
	for token := range s.tokens {
		out = append(out, token)
	}
	for _, repo := range s.repos {
		for _, m := range repo.masters {
			out = append(out, m.value)
			for _, t := range m.reads {
				out = append(out, t.value)
			}
		}
	}
	return out
}

// Token returns the newest API token, even if it was revoked.
func (s *Server) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// TokenSource returns a source that always returns the newest API token.
func (s *Server) TokenSource() tokensource.TokenSource {
	return tokensource.Func(func(context.Context) (tokensource.Token, error) {
		return tokensource.NewToken(s.Token(), tokensource.Metadata{Origin: "packagecloudtest", BaseURL: s.URL})
	})
}

// RotateToken replaces the API token and returns the new one. The server
// refuses the old one at once, as the service does when the owner replaces it
// on the site.
func (s *Server) RotateToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = randomToken()
	s.tokens = map[string]bool{s.token: true}
	return s.token
}

// AddToken makes another API token, returns it, and leaves the others valid.
// Some installations of the service let tokens overlap like that.
func (s *Server) AddToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = randomToken()
	s.tokens[s.token] = true
	return s.token
}

// RevokeToken revokes an API, master or read token at once. The read tokens of
// a master token end with it. An unknown token is ignored.
func (s *Server) RevokeToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
	for _, repo := range s.repos {
		for i, m := range repo.masters {
			if m.value == token {
				repo.masters = append(repo.masters[:i:i], repo.masters[i+1:]...)
				break
			}
			for j, t := range m.reads {
				if t.value == token {
					m.reads = append(m.reads[:j:j], m.reads[j+1:]...)
					break
				}
			}
		}
	}
}
