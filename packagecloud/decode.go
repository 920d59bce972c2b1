package packagecloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// What an answer may cost. A value of JSON can be two bytes long and take hundreds
// in memory, and gzip makes a thousand bytes of one. So the values are counted as
// the bytes arrive, before anything is decoded.
const (
	maxAnswer   = 32 << 20
	maxUnpacked = 4 << 20 // of an answer that came compressed
	maxDepth    = 32
	// An answer may have freeValues, and one more for each bytesPerValue that it has.
	// The service's own have 13 to 60 bytes for each.
	freeValues    = 16 << 10
	bytesPerValue = 16
	// maxElements is how many a single array or object may have.
	maxElements = 50_000
	// roomAtOnce is what is made room for because a Content-Length says so.
	roomAtOnce = 1 << 20
)

// readAnswer reads the body of an answer to its end. One that costs too much is an
// *answerError, other errors are the connection's.
func readAnswer(r request, resp *http.Response) ([]byte, error) {
	bounded := &boundedReader{body: resp.Body, left: maxAnswer}
	if resp.Uncompressed {
		bounded.left = maxUnpacked
	}
	limit := bounded.left
	var b bytes.Buffer
	b.Grow(int(min(max(resp.ContentLength, 0), roomAtOnce)) + bytes.MinRead)
	_, err := b.ReadFrom(bounded)
	switch {
	case bounded.left < 0:
		err = tooLarge(r, limit)
	case bounded.excess:
		err = &answerError{r.method, r.path, "the answer has more elements than any of the service, or nests them deeper; is the base URL right?"}
	}
	return b.Bytes(), err
}

func tooLarge(r request, limit int) error {
	return &answerError{r.method, r.path, fmt.Sprintf("the answer is larger than %d MiB; is the base URL right?", limit>>20)}
}

// boundedReader counts what goes through it as JSON. It ends when that is too much.
type boundedReader struct {
	body   io.Reader
	left   int // bytes that may come
	excess bool

	read, values, depth int
	elements            [maxDepth + 1]int // of the array or object that is open at each depth
	quoted, escaped     bool              // inside a string, and behind a backslash there
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, io.EOF
	}
	if b.read += n; !b.count(p[:n]) || b.values > freeValues+b.read/bytesPerValue {
		b.excess = true
		return 0, io.EOF
	}
	return n, err
}

// count goes through the next bytes, and reports whether their depth and the
// elements of each array and object are within bounds.
func (b *boundedReader) count(p []byte) bool {
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case b.escaped:
			b.escaped = false
		case b.quoted:
			for c != '"' && c != '\\' && i+1 < len(p) { // most of an answer
				i++
				c = p[i]
			}
			b.quoted, b.escaped = c != '"', c == '\\'
		case c == '"':
			b.quoted = true
		case c == ',':
			b.values++
			if b.elements[b.depth]++; b.elements[b.depth] > maxElements {
				return false
			}
		case c == '[', c == '{':
			b.values++
			if b.depth++; b.depth > maxDepth {
				return false
			}
			b.elements[b.depth] = 0
		case c == ']', c == '}':
			b.depth = max(b.depth-1, 0)
		}
	}
	return true
}

// decodeAnswer decodes the body of a success into out. It is an error where the
// body is none of this call.
func decodeAnswer(r request, answer *exchange.Answer, body []byte, out any) error {
	// An unknown repository can come as a success whose body says otherwise.
	if len(body) <= maxErrorBody && saysError(body) {
		return newError(r, answer, body)
	}
	if out == nil { // nothing is awaited, and nothing else is a success
		if body = bytes.TrimSpace(body); len(body) == 0 || isEmptyObject(body) {
			return nil
		}
		return malformed(r, answer.Response.Header)
	}
	if json.Unmarshal(body, out) != nil || r.fits != nil && !r.fits() {
		// The decoder's text quotes the body.
		return malformed(r, answer.Response.Header)
	}
	return nil
}

func isEmptyObject(body []byte) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(body, &members) == nil && members != nil && len(members) == 0
}

// saysError reports whether a body holds an error and nothing else.
func saysError(body []byte) bool {
	if !bytes.Contains(body, []byte(`"error`)) {
		return false
	}
	fields := parseFields(body, strings.Clone)
	if len(fields["error"])+len(fields["errors"]) == 0 {
		return false
	}
	for key := range fields {
		if key != "error" && key != "errors" && key != "message" && key != "status" {
			return false
		}
	}
	return true
}
