package packagecloudtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// controlPath is the prefix of the control endpoints. They do the same as the
// Server's methods. The command's documentation lists them.
const controlPath = "/_packagecloudtest/"

// faultJSON is the JSON form of a Fault.
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

// controlCall is a control request.
type controlCall struct {
	w    http.ResponseWriter
	r    *http.Request
	body []byte
}

func (c controlCall) refuse(message string) {
	writeJSON(c.w, http.StatusBadRequest, map[string]string{"error": message})
}

// decode reads the body into v. On failure it answers and returns false.
func (c controlCall) decode(v any) bool {
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		c.refuse("the body must be JSON: " + err.Error())
		return false
	}
	return true
}

func (c controlCall) done() { c.w.WriteHeader(http.StatusNoContent) }

// controls holds the control endpoints by method and path below controlPath.
var controls = map[string]func(*Server, controlCall){
	"POST faults": (*Server).controlFault,
	"DELETE faults": func(s *Server, c controlCall) {
		s.ClearFaults()
		c.done()
	},
	"GET token": func(s *Server, c controlCall) {
		writeJSON(c.w, http.StatusOK, map[string]string{"token": s.Token()})
	},
	"POST token/rotate": func(s *Server, c controlCall) {
		writeJSON(c.w, http.StatusOK, map[string]string{"token": s.RotateToken()})
	},
	"POST token/revoke": func(s *Server, c controlCall) {
		var j struct{ Token string }
		if c.decode(&j) {
			s.RevokeToken(j.Token)
			c.done()
		}
	},
	"POST repositories": (*Server).controlRepository,
	"POST read_tokens":  (*Server).controlReadToken,
	"GET packages": func(s *Server, c controlCall) {
		packages := s.Packages(c.r.URL.Query().Get("repository"))
		if packages == nil {
			notFound(c.w)
			return
		}
		writeJSON(c.w, http.StatusOK, packages)
	},
	"GET requests": func(s *Server, c controlCall) { writeJSON(c.w, http.StatusOK, s.Requests()) },
	"DELETE requests": func(s *Server, c controlCall) {
		s.ResetRequests()
		c.done()
	},
	"POST downloads/expire": func(s *Server, c controlCall) {
		s.ExpireDownloads()
		c.done()
	},
	"POST plan": func(s *Server, c controlCall) {
		var j struct {
			MaxPackages     int  `json:"max_packages"`
			QuotaSpent      bool `json:"quota_spent"`
			PaymentRequired bool `json:"payment_required"`
		}
		if c.decode(&j) {
			s.SetPlan(Plan(j))
			c.done()
		}
	},
}

// control serves a control request. It returns false if r is another request.
func (s *Server) control(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, controlPath)
	if !ok {
		return false
	}
	c := controlCall{w: w, r: r}
	var err error
	if c.body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm)); err != nil {
		c.refuse("the body must have at most 1 MiB")
		return true
	}
	if serve := controls[r.Method+" "+rest]; serve != nil {
		serve(s, c)
		return true
	}
	id, err := strconv.Atoi(strings.TrimPrefix(rest, "faults/"))
	if r.Method == http.MethodDelete && err == nil && s.removeFault(id) {
		c.done()
	} else {
		notFound(w)
	}
	return true
}

func (s *Server) controlFault(c controlCall) {
	var j faultJSON
	if !c.decode(&j) {
		return
	}
	f, wrong := j.fault()
	if wrong != "" {
		c.refuse(wrong)
		return
	}
	id, err := s.inject(f)
	if err != nil {
		c.refuse(err.Error())
		return
	}
	writeJSON(c.w, http.StatusCreated, map[string]int{"id": id})
}

func (s *Server) controlRepository(c controlCall) {
	var j struct {
		Name    string
		Private bool
	}
	if !c.decode(&j) {
		return
	}
	owner, name, ok := strings.Cut(j.Name, "/")
	if !ok {
		owner, name = s.opts.Owner, j.Name
	}
	s.mu.Lock()
	refusal := s.createRepository(owner, name, j.Private)
	s.mu.Unlock()
	if refusal != nil {
		refusal.write(c.w)
		return
	}
	writeJSON(c.w, http.StatusCreated, map[string]string{"name": owner + "/" + name})
}

func (s *Server) controlReadToken(c controlCall) {
	var j struct{ Repository, Name string }
	if !c.decode(&j) {
		return
	}
	s.mu.Lock()
	repo := s.repositoryNamed(j.Repository)
	s.mu.Unlock()
	if repo == nil || j.Name == "" {
		c.refuse("the body must name an existing repository and the token's name")
		return
	}
	writeJSON(c.w, http.StatusCreated, map[string]string{"token": s.CreateReadToken(j.Repository, j.Name)})
}
