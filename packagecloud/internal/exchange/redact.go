package exchange

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Redactor strikes out of a text the credentials of one request and of those that
// were redirected to it. The query of an address may be a credential, as that of
// a signed address is, and so may a part of its path, as in /priv/{read token}/.
// A nil Redactor strikes nothing. It is safe for concurrent use.
type Redactor struct {
	before *Redactor
	forms  func() []string // worked out once, when a text is printed
}

func newRedactor(req *http.Request, before *Redactor) *Redactor {
	return &Redactor{before: before, forms: sync.OnceValue(func() []string { return formsOf(req) })}
}

// Strike returns text without the credentials.
func (r *Redactor) Strike(text string) string {
	if r == nil {
		return text
	}
	text = r.before.Strike(text)
	for _, form := range r.forms() { // the longer ones first
		text = strings.ReplaceAll(text, form, "[redacted]")
	}
	return text
}

// minCredential is longer than what else an address may say, such as a region or
// a number.
const minCredential = 12

// formsOf lists the spellings of the request's credentials.
func formsOf(req *http.Request) []string {
	var forms []string
	user, _, ok := req.BasicAuth()
	if req.URL.RawQuery != "" {
		forms = append(forms, req.URL.RawQuery)
	}
	// A query of the API, which has the token, is what the caller asked for.
	if !ok || !strings.Contains(req.URL.Path, "/api/v1/") {
		for _, values := range req.URL.Query() {
			for _, value := range values {
				if len(value) >= minCredential {
					forms = append(forms, spellings(value)...)
				}
			}
		}
	}
	for element := range strings.SplitSeq(req.URL.Path, "/") {
		if len(element) >= 32 && strings.Trim(element, "0123456789abcdef") == "" { // as a token is
			forms = append(forms, spellings(element)...)
		}
	}
	if ok && user != "" {
		for _, plain := range []string{user + ":", user} {
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
				forms = append(forms, enc.EncodeToString([]byte(plain)))
			}
		}
		forms = append(forms, spellings(user)...)
	}
	return forms
}

var quoteEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// spellings are the forms of a secret in other texts, besides base64.
func spellings(secret string) []string {
	inJSON, _ := json.Marshal(secret)
	return []string{
		string(inJSON[1 : len(inJSON)-1]), quoteEscaper.Replace(secret),
		fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret),
		url.QueryEscape(secret), url.PathEscape(secret), secret,
	}
}

// struck returns err as it may be printed: with another text if its own quotes
// a credential, as that of a RoundTripper which dumps requests may.
func (r *Redactor) struck(err error) error {
	text := r.Strike(err.Error())
	if text == err.Error() {
		return err
	}
	return &struckError{text, func() error { return err }}
}

type struckError struct {
	text  string
	cause func() error
}

func (e *struckError) Error() string        { return e.text }
func (e *struckError) Is(target error) bool { return errors.Is(e.cause(), target) }
func (e *struckError) As(target any) bool   { return errors.As(e.cause(), target) }

// Shorten bounds a text of the server and keeps it on one line.
func Shorten(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
