package packagecloudtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// controlPath is where the control endpoints are. They do what a test does with
// the Server's methods, and the command's documentation lists them.
const controlPath = "/_packagecloudtest/"

// faultJSON is a Fault on the wire.
type faultJSON struct {
	Fault
	Delay string `json:"delay"`
	Then  string `json:"then"`
}

func (j faultJSON) fault() (Fault, string) {
	f := j.Fault
	if j.Delay != "" {
		d, err := time.ParseDuration(j.Delay)
		if err != nil {
			return f, `delay must be a duration such as "1.5s"`
		}
		f.Delay = d
	}
	switch j.Then {
	case "":
	case "rotate":
		f.Then = func(s *Server) { s.RotateToken() }
	case "revoke":
		f.Then = func(s *Server) { s.RevokeToken(s.Token()) }
	case "expire":
		f.Then = (*Server).ExpireDownloads
	default:
		return f, `then must be "rotate", "revoke" or "expire"`
	}
	return f, ""
}

// control serves a control request; it reports whether r was one.
func (s *Server) control(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, controlPath)
	if !ok {
		return false
	}
	refuse := func(message string) {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": message})
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		refuse("the body is too long")
		return true
	}
	decode := func(v any) bool {
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.DisallowUnknownFields()
		if err := d.Decode(v); err != nil {
			refuse("the body must be JSON: " + err.Error())
			return false
		}
		return true
	}
	switch r.Method + " " + rest {
	case "POST faults":
		var j faultJSON
		if !decode(&j) {
			break
		}
		f, wrong := j.fault()
		id := 0
		if wrong == "" {
			if id, err = s.inject(f); err != nil {
				wrong = err.Error()
			}
		}
		if wrong != "" {
			refuse(wrong)
			break
		}
		writeJSON(w, http.StatusCreated, map[string]int{"id": id})
	case "DELETE faults":
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	case "GET token":
		writeJSON(w, http.StatusOK, map[string]string{"token": s.Token()})
	case "POST token/rotate":
		writeJSON(w, http.StatusOK, map[string]string{"token": s.RotateToken()})
	case "POST token/revoke":
		var j struct{ Token string }
		if decode(&j) {
			s.RevokeToken(j.Token)
			w.WriteHeader(http.StatusNoContent)
		}
	case "POST repositories":
		var j struct {
			Name    string
			Private bool
		}
		if !decode(&j) {
			break
		}
		owner, name := s.opts.Owner, j.Name
		if user, bare, ok := strings.Cut(j.Name, "/"); ok {
			owner, name = user, bare
		}
		s.mu.Lock()
		refusal := s.createRepository(owner, name, j.Private)
		s.mu.Unlock()
		if refusal != nil {
			refusal.write(w)
			break
		}
		writeJSON(w, http.StatusCreated, map[string]string{"name": owner + "/" + name})
	case "POST read_tokens":
		var j struct{ Repository, Name string }
		if !decode(&j) {
			break
		}
		s.mu.Lock()
		repo := s.repositoryNamed(j.Repository)
		s.mu.Unlock()
		if repo == nil || j.Name == "" {
			refuse("name a repository that exists and the token's name")
			break
		}
		writeJSON(w, http.StatusCreated, map[string]string{"token": s.CreateReadToken(j.Repository, j.Name)})
	case "GET packages":
		packages := s.Packages(r.URL.Query().Get("repository"))
		if packages == nil {
			notFound(w)
			break
		}
		writeJSON(w, http.StatusOK, packages)
	case "GET requests":
		writeJSON(w, http.StatusOK, s.Requests())
	case "DELETE requests":
		s.ResetRequests()
		w.WriteHeader(http.StatusNoContent)
	case "POST downloads/expire":
		s.ExpireDownloads()
		w.WriteHeader(http.StatusNoContent)
	case "POST plan":
		var j struct {
			MaxPackages     int  `json:"max_packages"`
			QuotaSpent      bool `json:"quota_spent"`
			PaymentRequired bool `json:"payment_required"`
		}
		if decode(&j) {
			s.SetPlan(Plan(j))
			w.WriteHeader(http.StatusNoContent)
		}
	default:
		id, err := strconv.Atoi(strings.TrimPrefix(rest, "faults/"))
		if r.Method == http.MethodDelete && err == nil && s.removeFault(id) {
			w.WriteHeader(http.StatusNoContent)
			break
		}
		notFound(w)
	}
	return true
}
