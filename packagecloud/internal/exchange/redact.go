package exchange

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	redacted = "[redacted]"
	// withheld replaces a text that could not be searched within the budget.
	withheld = "[withheld]"

	// maxText is the longest text that is searched.
	maxText = 1 << 20
	// maxWork is how many bytes all searches for one request may read.
	maxWork = 32 << 20
	// freeWork is how much of maxWork is spent even after the context has ended.
	freeWork = 1 << 20
	// maxDecodings is how often a text may have been escaped.
	maxDecodings = 4

	// minCredential is the least length of a value in an address that is taken
	// for a credential. A region or a number is shorter.
	minCredential = 12
)

// Redactor strikes from texts the credentials of one request: those that it
// carried, that its replays and redirects carried, and those in their addresses. It
// finds them raw, escaped for URLs, HTML and JSON, in hexadecimal, in base64 and as
// a list of bytes. It builds these forms once, when it needs them first.
//
// The work is bounded. A text beyond the bound becomes "[withheld]". A nil Redactor
// strikes nothing. It is safe for concurrent use.
type Redactor struct {
	ctx context.Context // the caller's

	mu       sync.Mutex
	requests []*http.Request
	compiled int             // how many of requests are among the needles
	secrets  map[string]bool // that have needles
	needles  [3][]string     // by kind of view
	spent    int             // of maxWork
}

// carry tells r that req is sent now.
func (r *Redactor) carry(req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req)
}

// Strike returns text without the credentials.
func (r *Redactor) Strike(text string) string { return r.StrikeUpTo(text, len(text)) }

// StrikeUpTo strikes like Strike, and returns no more than the first limit bytes of
// text. A credential across the limit is struck as a whole.
func (r *Redactor) StrikeUpTo(text string, limit int) string {
	limit = min(limit, len(text))
	if r == nil {
		return text[:limit]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.compile()
	if len(text) > maxText {
		return withheld
	}
	spans, ok := r.find(text)
	if !ok {
		return withheld
	}
	var out strings.Builder
	end := 0
	for _, s := range spans {
		if s.from >= limit {
			break
		}
		if s.from >= end && (s.from > end || end == 0) { // else it joins the span before
			out.WriteString(text[end:s.from])
			out.WriteString(redacted)
		}
		end = max(end, s.to)
	}
	if end < limit {
		out.WriteString(text[end:limit])
	}
	return out.String()
}

// find returns where the needles are in text, in order. It is not ok if the budget
// does not suffice.
func (r *Redactor) find(text string) ([]span, bool) {
	var spans []span
	for v, level := (view{text: text}), 0; ; level++ {
		for kind, needles := range r.needles {
			if len(needles) == 0 {
				continue
			}
			if !r.pay(len(v.text) * (len(needles) + 1)) {
				return nil, false
			}
			shown := v.as(kind)
			for _, needle := range needles {
				spans = shown.find(spans, needle, kind == inBase64)
			}
		}
		next, changed := v.decoded()
		if !changed {
			break
		}
		if level == maxDecodings {
			return nil, false
		}
		v = next
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(a.from-b.from, a.to-b.to) })
	return spans, true
}

// pay takes n bytes from the budget.
func (r *Redactor) pay(n int) bool {
	r.spent = min(r.spent+n, maxWork+1)
	return r.spent <= freeWork || r.spent <= maxWork && r.ctx.Err() == nil
}

// compile makes needles of the requests that have none yet.
func (r *Redactor) compile() {
	if r.secrets == nil {
		r.secrets = map[string]bool{}
	}
	for ; r.compiled < len(r.requests); r.compiled++ {
		req := r.requests[r.compiled]
		user, _, ok := req.BasicAuth()
		if ok && user != "" {
			r.add(user)
			r.add(base64.StdEncoding.EncodeToString([]byte(user + ":"))) // for an encoding of the header
		}
		if req.URL == nil {
			continue
		}
		if req.URL.RawQuery != "" {
			r.addNeedles(inPlain, decodings(req.URL.RawQuery)...)
		}
		// The query of an authenticated API request is the caller's own.
		if !ok || !strings.Contains(req.URL.Path, "/api/v1/") {
			for _, values := range req.URL.Query() {
				for _, value := range values {
					if len(value) >= minCredential {
						r.add(value)
					}
				}
			}
		}
		for element := range strings.SplitSeq(req.URL.Path, "/") {
			if LooksLikeToken(element) {
				r.add(element)
			}
		}
	}
}

// add makes the needles of a secret.
func (r *Redactor) add(secret string) {
	if r.secrets[secret] {
		return
	}
	r.secrets[secret] = true
	r.addNeedles(inPlain, decodings(secret)...)
	if strings.Contains(secret, " ") { // as a form encodes it
		r.addNeedles(inPlain, lowerASCII(strings.ReplaceAll(secret, " ", "+")))
	}
	if len(secret) < 4 {
		r.addNeedles(inBase64, base64.RawStdEncoding.EncodeToString([]byte(secret+":")))
		return
	}
	var numbers []byte
	for i := range len(secret) {
		numbers = strconv.AppendUint(numbers, uint64(secret[i]), 10)
	}
	r.addNeedles(inCompact, view{text: secret}.as(inCompact).text, hex.EncodeToString([]byte(secret)), string(numbers))
	// A byte's place within its group of three decides how base64 shows it. The
	// first and the last character may also hold bits of a neighbour.
	for shift := range 3 {
		padded := append(make([]byte, shift), secret...)
		s := base64.RawStdEncoding.EncodeToString(padded)
		r.addNeedles(inBase64, s[(shift*8+5)/6:len(padded)*8/6])
	}
}

func (r *Redactor) addNeedles(kind int, needles ...string) {
	for _, needle := range needles {
		if needle != "" && (len(r.needles[kind]) > 100 || !slices.Contains(r.needles[kind], needle)) {
			r.needles[kind] = append(r.needles[kind], needle)
		}
	}
}

// decodings returns a secret in lower case as it is, and as it is in a text that
// was decoded although the secret itself has what looks like an escape.
func decodings(secret string) []string {
	all := []string{lowerASCII(secret)}
	v := view{text: secret}
	for range maxDecodings {
		next, changed := v.decoded()
		if !changed || len(next.text) < min(len(secret), 4) {
			break
		}
		all = append(all, lowerASCII(next.text))
		v = next
	}
	return all
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

// LooksLikeToken reports whether an element of a path may be a token of the
// service: 32 hexadecimal digits or more.
func LooksLikeToken(element string) bool {
	return len(element) >= 32 && strings.Trim(lowerASCII(element), "0123456789abcdef") == ""
}
