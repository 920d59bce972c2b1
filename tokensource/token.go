package tokensource

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

const (
	redacted = "[redacted]"

	// maxLen is far above the length of any token (48 bytes today). It is below
	// the limit that servers set for a header, so a wrong file fails here
	// first.
	maxLen = 4096
)

// Token is a secret with its metadata. It is immutable, one pointer wide and
// safe for concurrent use. The zero Token holds no secret.
//
// Nothing prints the secret. Every verb of fmt, slog and the encoders of the
// standard library write "[redacted]". Decoding into a Token is an error.
//
// The operator == does not compile for tokens; use [Token.Equal].
type Token struct {
	_ [0]func() // makes == a compile error
	p *token
}

// token holds the data of a Token. The secret sits in a closure, because
// reflection can't read the variables of a closure.
type token struct {
	reveal func() string
	Metadata
}

// Metadata describes a token. None of its fields is secret, and all may be
// zero.
type Metadata struct {
	// Origin spells the source, such as "env:PACKAGECLOUD_TOKEN".
	Origin string
	// Version is the store's name for this value of the token.
	Version string
	// Expiry is the time at which the token ends. It is zero if the time is
	// unknown.
	Expiry time.Time
	// BaseURL is the only server the token may be sent to. It is empty if the
	// source names no server.
	BaseURL string
}

// NewToken makes a token of a secret as a source read it. NewToken drops one
// trailing LF or CRLF.
//
// The rest must be printable ASCII without space or colon. It is sent as the
// user name of Basic authentication (RFC 7617, section 2). It must not stand in
// quotes: a shell or a settings file would have removed them. It may have at
// most 4096 bytes.
//
// A malformed secret gives an *[Error] of kind [ErrInvalid]. The error names
// the origin and the flaw, but never the value.
func NewToken(secret string, meta Metadata) (Token, error) {
	if s, ok := strings.CutSuffix(secret, "\n"); ok {
		secret = strings.TrimSuffix(s, "\r")
	}
	if flaw := flaw(secret); flaw != "" {
		return Token{}, NewError(meta.Origin, ErrInvalid, "the token "+flaw, nil)
	}
	// secret may be part of a large file or answer. The clone lets that be
	// freed while the token lives.
	secret = strings.Clone(secret)
	return Token{p: &token{reveal: func() string { return secret }, Metadata: meta}}, nil
}

func flaw(s string) string {
	switch {
	case s == "":
		return "is empty; store the token there"
	case strings.HasPrefix(s, "\xef\xbb\xbf"):
		return "begins with a UTF-8 byte order mark; save it without one"
	case isUTF16(s):
		return "is UTF-16; save it as ASCII"
	case len(s) > maxLen:
		return fmt.Sprintf("is %d bytes long, more than the %d a token may have; is it the right file or field?", len(s), maxLen)
	case s[0] == s[len(s)-1] && strings.IndexByte("\"'`", s[0]) >= 0:
		return "stands in quotes; store the token without them"
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == ':':
			return "contains a colon; store the token alone, without a user name or a key before it"
		case c == '\n' || c == '\r':
			return "has more than one line; store the token alone"
		case c == ' ' || c == '\t':
			return "contains white space; store the token alone, without quotes or padding"
		case c >= 0x80:
			return "contains a byte that is not ASCII; copy the token again"
		case c < 0x21 || c == 0x7f:
			return "contains a control character; copy the token again"
		}
	}
	return ""
}

// isUTF16 reports whether s has a UTF-16 byte order mark or a zero in every
// other byte.
func isUTF16(s string) bool {
	if strings.HasPrefix(s, "\xff\xfe") || strings.HasPrefix(s, "\xfe\xff") {
		return true
	}
	var other [2]bool // whether even and odd places have a byte other than zero
	for i := range len(s) {
		other[i%2] = other[i%2] || s[i] != 0
	}
	return len(s) > 1 && other[0] != other[1]
}

// Reveal returns the secret, or "" for the zero Token. No other function
// returns it: search for callers of Reveal to see where the secret goes.
func (t Token) Reveal() string {
	if t.p == nil {
		return ""
	}
	return t.p.reveal()
}

// IsZero reports whether t holds no secret.
func (t Token) IsZero() bool { return t.p == nil }

// Metadata returns the description of the token. It is zero for the zero Token.
func (t Token) Metadata() Metadata {
	if t.p == nil {
		return Metadata{}
	}
	return t.p.Metadata
}

// With returns a token with the same secret and the given metadata. A zero
// Token stays zero.
func (t Token) With(meta Metadata) Token {
	if t.p == nil {
		return t
	}
	return Token{p: &token{reveal: t.p.reveal, Metadata: meta}}
}

// Equal reports, in constant time, whether both tokens hold the same secret.
// Two zero tokens are equal. Equal ignores metadata.
func (t Token) Equal(u Token) bool {
	a, b := sha256.Sum256([]byte(t.Reveal())), sha256.Sum256([]byte(u.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Fingerprint returns the first 12 hexadecimal digits of the secret's SHA-256,
// or "" for the zero Token. It shows in logs which service uses which token,
// without showing the token.
func (t Token) Fingerprint() string {
	if t.p == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(t.Reveal()))
	return hex.EncodeToString(sum[:6])
}

// String returns "[redacted]".
func (Token) String() string { return redacted }

// GoString returns "[redacted]".
func (Token) GoString() string { return redacted }

// Format writes "[redacted]" for every verb.
func (Token) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns "[redacted]".
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]".
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]", quoted.
func (Token) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalBinary returns "[redacted]". encoding/gob calls it.
func (Token) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText always fails, because a token must come from a source.
func (*Token) UnmarshalText([]byte) error { return errDecode }

// UnmarshalJSON always fails; see [Token.UnmarshalText].
func (*Token) UnmarshalJSON([]byte) error { return errDecode }

// UnmarshalBinary always fails; see [Token.UnmarshalText].
func (*Token) UnmarshalBinary([]byte) error { return errDecode }

var errDecode = errors.New("tokensource: a Token cannot be decoded; get it from a TokenSource")
