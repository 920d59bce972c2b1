package tokensource_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

type valueError struct{ Body string }

func (e valueError) Error() string { return "server said " + e.Body }

type pointerError struct {
	Header map[string][]string
	Cause  error
}

func (e *pointerError) Error() string { return fmt.Sprint(e.Header) }
func (e *pointerError) Unwrap() error { return e.Cause }

// leakyErrors returns errors like those of SDKs, with secrets in their text.
func leakyErrors() map[string]error {
	return map[string]error{
		"text":    errors.New("denied for " + canary),
		"base64":  errors.New("Basic " + base64.StdEncoding.EncodeToString([]byte(canary+":"))),
		"value":   valueError{canary},
		"pointer": &pointerError{Header: map[string][]string{"Authorization": {canary}}, Cause: valueError{canary}},
		"url":     &url.Error{Op: "Get", URL: "https://x/?token=" + canary, Err: io.ErrUnexpectedEOF},
		"wrapped": fmt.Errorf("reading %s: %w", canary, &url.Error{Op: "Get", URL: canary, Err: valueError{canary}}),
		"joined":  errors.Join(errors.New(canary), valueError{canary}),
	}
}

// Guarantee K4.
func TestError_KeepsItsCauseFromPrinting(t *testing.T) {
	for name, cause := range leakyErrors() {
		t.Run(name, func(t *testing.T) {
			err := tokensource.NewError("vault:a", tokensource.ErrDenied, "ask for access", cause)
			if got := err.Error(); got != "vault:a: denied: ask for access" {
				t.Errorf("it says %q", got)
			}
			tokensourcetest.AssertNoSecret(t, err, canary)
			tokensourcetest.AssertNoSecret(t, fmt.Errorf("calling: %w", errors.Join(err)), canary)
			if errors.Unwrap(err) != nil {
				t.Error("Unwrap reaches the cause")
			}
			if !errors.Is(err, tokensource.ErrDenied) || errors.Is(err, tokensource.ErrNotFound) {
				t.Error("errors.Is doesn't tell its kind")
			}
		})
	}
}

// Guarantee K4.
func TestError_ReachesItsCause(t *testing.T) {
	cause := &url.Error{Op: "Get", URL: "https://x/?" + canary, Err: io.ErrUnexpectedEOF}
	err := fmt.Errorf("outer: %w", tokensource.NewError("s", nil, "m", cause))
	if got, ok := errors.AsType[*url.Error](err); !ok || got != cause {
		t.Error("errors.As doesn't reach the cause")
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, tokensource.ErrUnavailable) {
		t.Error("errors.Is doesn't reach the cause, or a nil kind isn't ErrUnavailable")
	}
	if _, ok := errors.AsType[*pointerError](err); ok {
		t.Error("errors.As finds what isn't there")
	}
	bare := tokensource.NewError("s", nil, "m", nil)
	if _, ok := errors.AsType[*url.Error](error(bare)); ok || errors.Is(bare, io.EOF) {
		t.Error("an error without a cause has one")
	}
}

// Guarantee K4.
func TestFunc_WithholdsForeignErrors(t *testing.T) {
	for name, cause := range leakyErrors() {
		t.Run(name, func(t *testing.T) {
			_, err := tokensource.Func(func(context.Context) (tokensource.Token, error) { return tokensource.Token{}, cause }).Token(t.Context())
			tokensourcetest.AssertNoSecret(t, err, canary)
			if !errors.Is(err, tokensource.ErrUnavailable) {
				t.Errorf("%v is not ErrUnavailable", err)
			}
			if name != "value" && name != "joined" && !errors.Is(err, cause) {
				t.Error("the cause is lost")
			}
			if _, ok := errors.AsType[valueError](err); ok != (name == "value" || name == "pointer" || name == "wrapped" || name == "joined") {
				t.Errorf("errors.As finds a valueError: %v", ok)
			}
		})
	}
}

func TestFunc_KeepsTheKindOfWrappedErrors(t *testing.T) {
	ours := tokensource.NewError("my:store", tokensource.ErrDenied, "ask for access", nil)
	for name, c := range map[string]struct {
		err  error
		kind error
		says string
	}{
		"ours":             {ours, tokensource.ErrDenied, "my:store: denied: ask for access"},
		"ours wrapped":     {fmt.Errorf("%s: %w", canary, ours), tokensource.ErrDenied, "my:store: denied: ask for access"},
		"a kind":           {tokensource.ErrNotFound, tokensource.ErrNotFound, "func: not found: "},
		"a kind wrapped":   {fmt.Errorf("%s: %w", canary, tokensource.ErrNotFound), tokensource.ErrNotFound, "func: not found: "},
		"joined":           {errors.Join(tokensource.ErrNotFound, ours), tokensource.ErrDenied, "func: denied: "},
		"joined, unknown":  {errors.Join(tokensource.ErrNotFound, io.EOF), tokensource.ErrUnavailable, "func: unavailable: "},
		"cancelled":        {context.Canceled, tokensource.ErrUnavailable, "func: unavailable: context canceled"},
		"typed nil":        {(*tokensource.Error)(nil), tokensource.ErrInvalid, "func: invalid: "},
		"typed nil inside": {fmt.Errorf("x: %w", (*tokensource.Error)(nil)), tokensource.ErrUnavailable, "func: unavailable: "},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := tokensource.Func(func(context.Context) (tokensource.Token, error) { return newToken(t, "abc"), c.err }).Token(t.Context())
			if !tok.IsZero() {
				t.Error("a token came with the error")
			}
			e, ok := errors.AsType[*tokensource.Error](err)
			if !ok || e.Kind != c.kind || !strings.HasPrefix(err.Error(), c.says) {
				t.Errorf("got %v, want kind %v and %q", err, c.kind, c.says)
			}
			if name == "cancelled" && !errors.Is(err, context.Canceled) {
				t.Error("the context's error is lost")
			}
			tokensourcetest.AssertNoSecret(t, err, canary)
		})
	}
}

func TestFunc_RefusesNothing(t *testing.T) {
	for name, f := range map[string]tokensource.Func{
		"nil":                        nil,
		"neither token nor an error": func(context.Context) (tokensource.Token, error) { return tokensource.Token{}, nil },
	} {
		if tok, err := f.Token(t.Context()); !tok.IsZero() || !errors.Is(err, tokensource.ErrInvalid) {
			t.Errorf("%s: got (%v, %v), want ErrInvalid", name, tok, err)
		}
	}
}

func TestStatic_ReturnsItsToken(t *testing.T) {
	source := tokensource.Static(canary)
	tok, err := source.Token(t.Context())
	if err != nil || tok.Reveal() != canary || tok.Metadata().Origin != fmt.Sprint(source) {
		t.Errorf("got %v with %+v, %v", tok, tok.Metadata(), err)
	}
	tokensourcetest.AssertNoSecret(t, source, canary)
	_, err = tokensource.Static(canary + " ").Token(t.Context())
	if !errors.Is(err, tokensource.ErrInvalid) {
		t.Errorf("malformed: %v, want ErrInvalid", err)
	}
	tokensourcetest.AssertNoSecret(t, err, canary)
}

func TestError_NameThatForgesALine(t *testing.T) {
	err := tokensource.NewError("file:/a\u0085b\u2028c\n\u202ed", tokensource.ErrDenied, "make it readable", nil)
	if got, want := err.Error(), "file:/a b c  d: denied: make it readable"; got != want {
		t.Errorf("the text is %q; want %q", got, want)
	}
}
