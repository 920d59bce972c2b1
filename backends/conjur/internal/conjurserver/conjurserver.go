// Package conjurserver is a server that speaks Conjur's protocol as Conjur does, for
// tests: it authenticates by API key and JWT, issues access tokens that expire, and
// keeps variables with versions and permissions. What Conjur wouldn't take it
// refuses. [Server.Fault] makes it fail in ways that Conjur can't be asked for.
package conjurserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	kept     = 20 // versions of a variable
	saltSize = 24 // bytes of an access token's signature

	textJSON  = "application/json; charset=utf-8"
	textPlain = "text/plain; charset=utf-8"
)

// Server is one Conjur with one account. It is safe for concurrent use.
type Server struct {
	// URL is its address. Account is its account.
	URL, Account string

	http *httptest.Server
	key  []byte // signs access tokens
	mark []byte // begins each signature

	mu        sync.Mutex
	lifetime  time.Duration
	skew      time.Duration
	keys      map[string]string            // API keys by login
	jwts      map[string]map[string]string // logins by JWT, by service
	hosts     map[string]bool              // services that take the login from the path
	variables map[string]*variable
	fault     Fault
	counts    Counts
	secrets   []string
}

type variable struct {
	values     [][]byte // the last ones
	dropped    int      // versions before those
	privileges map[string]Privileges
}

// Privileges are what one login may do with a variable. None makes it invisible.
type Privileges struct{ Read, Execute, Update bool }

// Counts says how often each kind of request came in, and how many access tokens
// were refused.
type Counts struct{ Logins, Reads, Writes, Refused int }

// Fault may answer a request in the server's place; it then returns true. Kind is
// "login", "read" or "write", or else "key" or "batch", which the source doesn't use.
type Fault func(kind string, w http.ResponseWriter, r *http.Request) bool

// New starts a server on the loopback interface. The caller closes it. With a
// certificate it speaks TLS.
func New(account string, certificate *tls.Certificate) *Server {
	s := &Server{
		Account:   account,
		key:       make([]byte, 32),
		mark:      make([]byte, 12), // which base64 shows as 16 characters of its own
		lifetime:  8 * time.Minute,
		keys:      map[string]string{},
		jwts:      map[string]map[string]string{},
		hosts:     map[string]bool{},
		variables: map[string]*variable{},
	}
	rand.Read(s.key)
	rand.Read(s.mark)
	s.secrets = []string{base64.URLEncoding.EncodeToString(s.mark)}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // of faults that are meant
	if certificate != nil {
		s.http.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	s.URL = s.http.URL
	return s
}

// Close stops the server and cuts its connections.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// AddLogin makes a role that logs in with an API key, and returns the key.
func (s *Server) AddLogin(login string) string {
	b := make([]byte, 24)
	rand.Read(b)
	key := hex.EncodeToString(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[login] = key
	s.secrets = append(s.secrets, key)
	return key
}

// AddJWT makes the authenticator authn-jwt/service take a JWT as that login.
func (s *Server) AddJWT(service, jwt, login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jwts[service] == nil {
		s.jwts[service] = map[string]string{}
	}
	s.jwts[service][jwt] = login
	s.secrets = append(s.secrets, jwt)
}

// RequireHost sets the authenticator authn-jwt/service up without the property of the
// JWT that holds the login: then it must be in the path, and else it must not.
func (s *Server) RequireHost(service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts[service] = true
}

// DropJWT makes a JWT invalid, as its expiry would.
func (s *Server) DropJWT(service, jwt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jwts[service], jwt)
}

// Permit makes a variable, unless it exists, and says what a login may do with it.
func (s *Server) Permit(id, login string, p Privileges) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.variables[id]
	if v == nil {
		v = &variable{privileges: map[string]Privileges{}}
		s.variables[id] = v
	}
	v.privileges[login] = p
}

// Set adds a value to a variable that exists.
func (s *Server) Set(id, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.variables[id].add([]byte(value))
}

// Empty takes a variable's values away.
func (s *Server) Empty(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.variables[id].values = nil
}

// Value returns the latest value of a variable.
func (s *Server) Value(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.variables[id]; len(v.values) > 0 {
		return string(v.values[len(v.values)-1])
	}
	return ""
}

// SetLifetime is that of access tokens issued from now on.
func (s *Server) SetLifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime = d
}

// SetSkew puts the server's clock ahead, as far as access tokens show it.
func (s *Server) SetSkew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

// Transport reaches the server without a network, for tests in which time is made
// up. The URL's scheme, host and port don't matter to it.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ server *Server }

// RoundTrip serves the request in its own goroutine and gives up with its context.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	done := make(chan *http.Response, 1)
	go func() {
		recorder := httptest.NewRecorder()
		in := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.RequestURI(), r.Body)
		in.Header = r.Header.Clone()
		t.server.serve(recorder, in)
		done <- recorder.Result()
	}()
	select {
	case resp := <-done:
		resp.Request = r
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// Revoke makes all access tokens issued so far invalid, as a change of Conjur's
// signing key does.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	rand.Read(s.key)
}

// SetFault injects a fault, or ends it with nil.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Counts returns how many requests there were.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Secrets returns all credentials of the server: API keys, JWTs, and what is in the
// signature of every access token, also of those that it hasn't issued yet.
func (s *Server) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.secrets...)
}

func (v *variable) add(value []byte) {
	v.values = append(v.values, value)
	if n := len(v.values) - kept; n > 0 {
		v.values, v.dropped = v.values[n:], v.dropped+n
	}
}

// serve takes the path apart as it was escaped: an id with slashes is one segment.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	var path []string
	for _, part := range strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") {
		segment, err := url.PathUnescape(part)
		if err != nil {
			http.Error(w, "Bad Request", http.StatusBadRequest)
			return
		}
		path = append(path, segment)
	}
	kind := kindOf(path, r.Method)
	s.mu.Lock()
	fault := s.fault
	switch kind {
	case "login":
		s.counts.Logins++
	case "read":
		s.counts.Reads++
	case "write":
		s.counts.Writes++
	}
	s.mu.Unlock()
	if fault != nil && fault(kind, w, r) {
		return
	}
	switch kind {
	case "login":
		s.authenticate(w, r, path)
	case "key":
		s.apiKey(w, r)
	case "batch":
		s.batch(w, r)
	case "read", "write":
		s.secret(w, r, kind, path)
	default:
		http.NotFound(w, r)
	}
}

func kindOf(path []string, method string) string {
	switch {
	case strings.HasPrefix(path[0], "authn") && path[len(path)-1] == "authenticate" && method == http.MethodPost:
		return "login"
	case path[0] == "authn" && len(path) == 3 && path[2] == "login" && method == http.MethodGet:
		return "key"
	case path[0] == "secrets" && len(path) == 1 && method == http.MethodGet:
		return "batch"
	case path[0] == "secrets" && len(path) == 4 && method == http.MethodGet:
		return "read"
	case path[0] == "secrets" && len(path) == 4 && method == http.MethodPost:
		return "write"
	}
	return ""
}

func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, path []string) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	var login string
	switch {
	case path[0] == "authn" && len(path) == 4 && path[1] == s.Account:
		login = path[2]
		if s.keys[login] == "" || string(body) != s.keys[login] {
			login = ""
		}
	case path[0] == "authn-ldap" && len(path) == 5 && path[2] == s.Account:
		// Conjur asks the directory; here the API key is the password.
		if login = path[3]; s.keys[login] == "" || string(body) != s.keys[login] {
			login = ""
		}
	case path[0] == "authn-jwt" && (len(path) == 4 || len(path) == 5) && path[2] == s.Account:
		form, err := url.ParseQuery(string(body))
		if err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || len(form["jwt"]) != 1 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		login = s.jwts[path[1]][form.Get("jwt")]
		if s.hosts[path[1]] != (len(path) == 5) || len(path) == 5 && login != path[3] {
			login = ""
		}
	}
	if login == "" {
		w.WriteHeader(http.StatusUnauthorized) // with an empty body
		return
	}
	token := s.issue(login)
	if wantsBase64(r) {
		w.Header().Set("Content-Encoding", "base64")
		w.Header().Set("Content-Type", textPlain)
		token = base64.StdEncoding.EncodeToString([]byte(token))
	} else {
		w.Header().Set("Content-Type", textJSON)
	}
	io.WriteString(w, token)
}

func wantsBase64(r *http.Request) bool {
	for encoding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if strings.EqualFold(strings.TrimSpace(encoding), "base64") {
			return true
		}
	}
	return false
}

// apiKey gives the API key of a login for its password. Here that is the key itself,
// which Conjur takes as well.
func (s *Server) apiKey(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	login, password, _ := r.BasicAuth()
	key := s.keys[login]
	if r.URL.Path != "/authn/"+s.Account+"/login" || key == "" || password != key {
		w.WriteHeader(http.StatusUnauthorized) // with an empty body
		return
	}
	w.Header().Set("Content-Type", textPlain)
	io.WriteString(w, key)
}

// Issue returns an access token for a login, as authentication does.
func (s *Server) Issue(login string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issue(login)
}

func (s *Server) issue(login string) string {
	now := time.Now().Add(s.skew)
	payload := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, login, now.Unix(), now.Add(s.lifetime).Unix())
	token := map[string]string{
		"protected": base64.URLEncoding.EncodeToString([]byte(`{"alg":"conjur.org/slosilo/v2","kid":"0123456789abcdef"}`)),
		"payload":   base64.URLEncoding.EncodeToString([]byte(payload)),
	}
	salt := make([]byte, saltSize) // no two tokens are the same
	rand.Read(salt[copy(salt, s.mark):])
	token["signature"] = s.sign(token, salt)
	b, _ := json.Marshal(token)
	return string(b)
}

// sign returns salt and the signature that goes with it.
func (s *Server) sign(token map[string]string, salt []byte) string {
	mac := hmac.New(sha256.New, append(salt, s.key...))
	io.WriteString(mac, token["protected"]+"."+token["payload"])
	return base64.URLEncoding.EncodeToString(mac.Sum(salt))
}

// isSigned reports whether a token is one that sign was used for.
func (s *Server) isSigned(token map[string]string) bool {
	signature, err := base64.URLEncoding.DecodeString(token["signature"])
	return err == nil && len(signature) > saltSize &&
		hmac.Equal([]byte(s.sign(token, signature[:saltSize:saltSize])), []byte(token["signature"]))
}

// authorize returns the login of a request's access token, or the text of the 401.
func (s *Server) authorize(r *http.Request) (login, refusal string) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", "Authorization missing"
	}
	encoded, ok := strings.CutPrefix(header, `Token token="`)
	encoded, quoted := strings.CutSuffix(encoded, `"`)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	var token map[string]string
	if !ok || !quoted || err != nil || json.Unmarshal(raw, &token) != nil || len(token) != 3 {
		return "", "Malformed authorization token"
	}
	payload, err := base64.URLEncoding.DecodeString(token["payload"])
	var claims struct {
		Sub string
		Exp int64
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil ||
		!s.isSigned(token) || time.Now().Add(s.skew).Unix() >= claims.Exp {
		return "", "Unauthorized: Invalid token"
	}
	return claims.Sub, ""
}

func (s *Server) secret(w http.ResponseWriter, r *http.Request, kind string, path []string) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	login, ok := s.admit(w, r)
	if !ok {
		return
	}
	account, id := path[1], path[3]
	v := s.visible(login, account, path[2], id)
	if v == nil {
		notFound(w, account+":variable:"+id)
		return
	}
	if p := v.privileges[login]; kind == "read" && !p.Execute || kind == "write" && !p.Update {
		w.WriteHeader(http.StatusForbidden) // with an empty body
		return
	}
	if kind == "write" {
		if len(body) == 0 {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		v.add(body)
		w.WriteHeader(http.StatusCreated)
		return
	}
	n := v.dropped + len(v.values)
	if text := r.URL.Query().Get("version"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	at := n - v.dropped - 1
	if at < 0 || at >= len(v.values) {
		notFound(w, account+":variable:"+id)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(v.values[at])
}

// admit returns the login of a request's access token, or answers 401.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (login string, ok bool) {
	login, refusal := s.authorize(r)
	if refusal != "" {
		s.counts.Refused++
		w.Header().Set("Content-Type", textPlain)
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, refusal)
	}
	return login, refusal == ""
}

// visible returns a variable that the login may know of, or nil.
func (s *Server) visible(login, account, kind, id string) *variable {
	v := s.variables[id]
	if kind != "variable" || account != s.Account || v == nil || v.privileges[login] == (Privileges{}) {
		return nil
	}
	return v
}

// batch answers with the latest values of several variables, or with none.
func (s *Server) batch(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	login, ok := s.admit(w, r)
	if !ok {
		return
	}
	list := r.URL.Query().Get("variable_ids")
	if list == "" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	found := map[string]*variable{}
	for full := range strings.SplitSeq(list, ",") {
		part := append(strings.SplitN(full, ":", 3), "", "")
		if found[full] = s.visible(login, part[0], part[1], part[2]); found[full] == nil {
			notFound(w, full)
			return
		}
	}
	for _, v := range found {
		if !v.privileges[login].Execute {
			w.WriteHeader(http.StatusForbidden) // with an empty body
			return
		}
	}
	values := map[string]string{}
	for full, v := range found {
		if len(v.values) == 0 {
			notFound(w, full)
			return
		}
		value := v.values[len(v.values)-1]
		switch {
		case wantsBase64(r):
			values[full] = base64.StdEncoding.EncodeToString(value)
		case !utf8.Valid(value):
			w.WriteHeader(http.StatusNotAcceptable)
			return
		default:
			values[full] = string(value)
		}
	}
	if wantsBase64(r) {
		w.Header().Set("Content-Encoding", "base64")
	}
	w.Header().Set("Content-Type", textJSON)
	json.NewEncoder(w).Encode(values)
}

func notFound(w http.ResponseWriter, full string) {
	w.Header().Set("Content-Type", textJSON)
	w.WriteHeader(http.StatusNotFound)
	message := fmt.Sprintf("CONJ00076E Variable %s is empty or not found.", full)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": "not_found", "message": message}})
}
