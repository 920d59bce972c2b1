package packagecloud

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// What an [Error] can be, by errors.Is.
var (
	// ErrUnauthorized: 401, the token is missing or wrong, and the source had
	// no other.
	ErrUnauthorized = exchange.ErrUnauthorized
	// ErrNotFound: 404, or the repository isn't visible to this token.
	ErrNotFound = errors.New("not found")
	// ErrExists: the package is there already.
	ErrExists = errors.New("already exists")
	// ErrQuota: the owner's plan has no bandwidth or storage left. A retry
	// doesn't help until the billing cycle turns.
	ErrQuota = errors.New("quota spent")
	// ErrPaymentRequired: 402, or a limit of the owner's plan.
	ErrPaymentRequired = errors.New("payment required")
	// ErrInvalid: 400 or 422, the server refuses what was sent; Fields say why.
	ErrInvalid = errors.New("invalid")
)

// Failures that aren't an answer of the server.
var (
	// ErrNotReplayable: an upload has to be sent again, but its content can be
	// read only once.
	ErrNotReplayable = errors.New("packagecloud: the content can be read only once and can't be sent again; use File, Bytes or ReaderAt")
	// ErrContentChanged: the file isn't what it was when the upload began.
	ErrContentChanged = errors.New("packagecloud: the content changed while it was being uploaded")
	// ErrUnknownOutcome: the answer to a request got lost or fits another request,
	// and what the server shows doesn't tell whether it was carried out. An upload that is repeated
	// with Skip settles it: what is there isn't sent again.
	ErrUnknownOutcome = errors.New("packagecloud: the outcome is unknown")
	// ErrNoChecksum: the server gives no checksum for the package.
	ErrNoChecksum = errors.New("packagecloud: the server gives no checksum for this package")
	// ErrChecksum: what was downloaded isn't what the server has, or the server
	// says that it stored something else than what was uploaded.
	ErrChecksum = errors.New("packagecloud: the checksum doesn't match")
	// ErrTooLarge: a download has more bytes than MaxBytes allows.
	ErrTooLarge = errors.New("packagecloud: the download is larger than MaxBytes allows")
	// ErrListChanged: packages came or went while a list was read, so that
	// some may be missing in it.
	ErrListChanged = errors.New("packagecloud: the list changed while it was read")
	// ErrStalled: a transfer didn't move for a minute.
	ErrStalled = exchange.ErrStalled
)

const maxErrorBody = 64 << 10

// Error is an answer of the server that isn't a success. Its text holds the
// server's messages, shortened, and no token.
type Error struct {
	// StatusCode is the HTTP status.
	StatusCode int
	// Method and Endpoint tell what was asked; Endpoint is the template of
	// the path, such as "/api/v1/repos/{owner}/{repo}/packages.json". The
	// text of a 404 says what the caller named.
	Method, Endpoint string
	// Fields are the server's messages by field. A body that isn't such an
	// object gives none.
	Fields map[string][]string
	// RetryAfter is how long the server asks to wait; zero if it doesn't.
	RetryAfter time.Duration

	comeBack  bool // the server says when, be it at once
	replayed  bool // the request had been sent before, and that may be done
	duplicate bool // it is refused as a duplicate, and for no other reason
	kinds     []error
	hint      string
	body      func() []byte // a closure, so that %#v can't reach in
}

// Error returns the request's kind, the status and the server's messages.
func (e *Error) Error() string {
	text := fmt.Sprintf("packagecloud: %s %s: %d %s", e.Method, e.Endpoint, e.StatusCode, http.StatusText(e.StatusCode))
	if messages := e.messages(); messages != "" {
		text += ": " + messages
	}
	if e.hint != "" {
		text += " (" + e.hint + ")"
	}
	return text
}

func (e *Error) messages() string { return shorten(joined(e.Fields), 1000) }

func joined(fields map[string][]string) string {
	var parts []string
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		parts = append(parts, field+": "+strings.Join(fields[field], ", "))
	}
	return strings.Join(parts, "; ")
}

// Is reports whether the error is of kind target.
func (e *Error) Is(target error) bool { return slices.Contains(e.kinds, target) }

// Body returns the answer as it came, up to 64 KiB, with the token struck out.
// It may hold anything else; don't log it unread.
func (e *Error) Body() []byte {
	if e.body == nil {
		return nil
	}
	return slices.Clone(e.body())
}

func newError(r request, answer *exchange.Answer, body []byte) *Error {
	resp, clean := answer.Response, answer.Secrets.Strike
	all := readFields(body)
	fields := bounded(all, clean)
	shown := []byte(answer.Secrets.StrikeUpTo(string(body), maxErrorBody))
	e := &Error{
		StatusCode: resp.StatusCode,
		Method:     r.method,
		Endpoint:   r.path,
		Fields:     fields,
		body:       func() []byte { return shown },
	}
	now, err := http.ParseTime(resp.Header.Get("Date")) // by the clock that the date in Retry-After is by
	if err != nil {
		now = time.Now()
	}
	e.RetryAfter, e.comeBack = parseRetryAfter(resp.Header.Get("Retry-After"), now)
	e.replayed = !r.repeatable && answer.Replayed
	e.kinds, e.hint = classify(e, string(body), all)
	e.duplicate = e.Is(ErrExists) && onlyDuplicate(body)
	if e.RetryAfter > maxPause && e.kinds == nil {
		e.hint = fmt.Sprintf("it asks to come back in %v", e.RetryAfter.Round(time.Second))
	}
	if e.Is(ErrNotFound) {
		e.hint = cmp.Or(shorten(clean(r.subject), 300), "it") + " isn't there, or the token can't see it"
	}
	if resp.StatusCode == http.StatusBadRequest && fields == nil && resp.Request != nil && resp.Request.URL.Scheme == "http" {
		e.hint = "if the server speaks https there, the base URL should begin with https://"
	}
	if resp.StatusCode == http.StatusUnauthorized && resp.Request != nil {
		if answer.Refusal != "" {
			e.hint = answer.Refusal + "; tokens are shown at " + shorten(resp.Request.URL.Host, 200) + "/api_token"
		}
	}
	return e
}

// answerOf returns the server's answer that err is. A failure of a request or of a
// source is no answer, though a reader's or a source's own error in it may hold the
// answer to another request.
func answerOf(err error) (*Error, bool) {
	if _, ok := errors.AsType[*exchange.Failure](err); ok {
		return nil, false
	}
	if _, ok := errors.AsType[*exchange.TokenError](err); ok {
		return nil, false
	}
	return errors.AsType[*Error](err)
}

// classify looks at all fields, since what the text has room for may not tell.
func classify(e *Error, body string, all map[string][]string) (kinds []error, hint string) {
	lower := strings.ToLower(body)
	switch e.StatusCode {
	case http.StatusUnauthorized:
		return []error{ErrUnauthorized}, "the server doesn't know the token"
	case http.StatusPaymentRequired:
		return []error{ErrPaymentRequired}, "the owner's plan doesn't include this"
	case http.StatusNotFound:
		return []error{ErrNotFound}, ""
	case http.StatusTooManyRequests:
		if !e.comeBack || strings.Contains(lower, "bandwidth or storage") {
			return []error{ErrQuota}, "the owner's plan has no bandwidth or storage left"
		}
	case http.StatusBadRequest:
		return []error{ErrInvalid}, ""
	case http.StatusUnprocessableEntity:
		return refusalKinds(all), ""
	case http.StatusOK, http.StatusCreated, http.StatusAccepted: // the body says otherwise
		if e.messages() == "error: not_found" {
			return []error{ErrNotFound}, ""
		}
	}
	if e.StatusCode >= 500 && kinds == nil {
		hint = cmp.Or(lastingStatuses[e.StatusCode], "the server failed; try again later")
	}
	return kinds, hint
}

// refusalKinds tells what a 422 is, by its messages.
func refusalKinds(all map[string][]string) []error {
	kinds := []error{ErrInvalid}
	_, plan := all["plan"]
	exists := false
	for _, messages := range all {
		exists = exists || slices.ContainsFunc(messages, duplicateText)
		plan = plan || slices.ContainsFunc(messages, planMessage.MatchString)
	}
	if exists {
		kinds = append(kinds, ErrExists)
	}
	if plan {
		kinds = append(kinds, ErrPaymentRequired)
	}
	return kinds
}

// parseFields reads an error body: an object whose values are a message or an
// array of them. Anything else gives nil.
func parseFields(body []byte, clean func(string) string) map[string][]string {
	return bounded(readFields(body), clean)
}

func readFields(body []byte) map[string][]string {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return nil
	}
	fields := map[string][]string{}
	for key, raw := range object {
		var one string
		var many []any
		switch {
		case json.Unmarshal(raw, &one) == nil:
			fields[key] = []string{one}
		case json.Unmarshal(raw, &many) == nil:
			for _, m := range many {
				fields[key] = append(fields[key], fmt.Sprint(m))
			}
		}
	}
	return fields
}

// bounded returns the first fields and messages, shortened; nil for none. Texts are
// cleaned before they are cut, since half a token is one too many.
func bounded(all map[string][]string, clean func(string) string) map[string][]string {
	var fields map[string][]string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if len(fields) == 20 {
			break
		}
		if fields == nil {
			fields = map[string][]string{}
		}
		var messages []string
		for _, m := range all[key][:min(len(all[key]), 20)] {
			messages = append(messages, shorten(clean(m), 500))
		}
		fields[shorten(clean(key), 100)] = messages
	}
	return fields
}

// shorten bounds a text of the server and keeps it on one line.
func shorten(s string, limit int) string { return exchange.Shorten(s, limit) }

// parseRetryAfter reads seconds or a date (RFC 9110, section 10.2.3), and
// reports whether it is one of them. A date that has passed is 0.
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	// What is out of range is the longest wait that there is, and not none.
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, math.MaxInt64/uint64(time.Second))) * time.Second, true
	}
	if t, err := http.ParseTime(value); err == nil {
		return max(0, t.Sub(now)), true
	}
	return 0, false
}
