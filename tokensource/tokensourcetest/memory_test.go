package tokensourcetest_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// failures counts and keeps the failures of an assertion.
type failures struct {
	testing.TB
	n    int
	text string
}

func (f *failures) Helper() {}
func (f *failures) Errorf(format string, args ...any) {
	f.n++
	f.text += fmt.Sprintf(format, args...)
}

// Guarantee K1.
func TestAssertHidden_FindsWhatDumpsFind(t *testing.T) {
	const secret = "hidden-s3cr3t-canary"
	type inner struct{ text string }
	type node struct {
		mu   sync.Mutex
		next *node
		any  any
	}
	loop := &node{mu: sync.Mutex{}, any: []any{map[string]*inner{"k": {secret}}}}
	loop.next = loop
	var pointer atomic.Pointer[inner]
	pointer.Store(&inner{secret})
	var value atomic.Value
	value.Store(inner{secret})
	var shared sync.Map
	shared.Store("k", secret)
	flushed := bufio.NewWriter(&bytes.Buffer{})
	flushed.WriteString("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(secret+":")))
	flushed.Flush()
	var written bytes.Buffer
	written.WriteString(secret)
	written.Next(len(secret))
	for name, v := range map[string]any{
		"a loop": loop, "atomic.Pointer": &pointer, "atomic.Value": &value, "sync.Map": &shared,
		"a key": map[inner]int{{secret}: 1}, "an array": [1]inner{{secret}}, "a flushed buffer": flushed, "a read buffer": &written,
		"an interface of a struct": struct{ v any }{inner{secret}},
	} {
		var f failures
		if tokensourcetest.AssertHidden(&f, v, secret); f.n != 1 {
			t.Errorf("%s: %d failures; want 1", name, f.n)
		}
	}
	tok, _ := tokensource.NewToken(secret, tokensource.Metadata{})
	var f failures
	tokensourcetest.AssertHidden(&f, []any{tok, func() string { return secret }, loop.next.next == loop, nil}, secret)
	if f.n != 0 {
		t.Errorf("closures: %d failures; want none", f.n)
	}
}

// A connection keeps what it has carried, and its goroutines hold its mutexes.
func TestAssertHidden_RefusesConnectionsAndValuesInUse(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	held := struct{ mu sync.Mutex }{}
	held.mu.Lock()
	defer held.mu.Unlock()
	endless := make([]any, 1<<20)
	for says, v := range map[string]any{
		"a *http.Transport at .Transport": http.Client{Transport: &http.Transport{}},
		"a *net.pipe":                     struct{ conn net.Conn }{client},
		"keeps the mutex":                 &held,
		"too many parts":                  endless,
	} {
		synctest.Test(t, func(t *testing.T) {
			var f failures
			tokensourcetest.AssertHidden(&f, v, "hidden-s3cr3t-canary")
			if f.n != 1 || !strings.Contains(f.text, strings.Split(says, " at ")[0]) {
				t.Errorf("%s: %d failures: %s", says, f.n, f.text)
			}
		})
	}
}

// Guarantee K1.
func TestAssertHidden_AllowsAMutexThatIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := struct{ mu sync.RWMutex }{}
		held.mu.Lock()
		time.AfterFunc(time.Second, held.mu.Unlock)
		tokensourcetest.AssertHidden(t, &held, "hidden-s3cr3t-canary")
	})
}
