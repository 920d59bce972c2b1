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

	// maxLen is far above any token (48 bytes today) and below what servers
	// take in a header, so that a wrong file fails here and not there.
	maxLen = 4096
)

// Token is a secret and where it came from. It is immutable, one pointer wide
// and safe for concurrent use. Nothing prints the secret: every verb of fmt, slog
// and the standard library's encoders give "[redacted]", and decoding into a
// Token is an error. The zero Token holds no secret.
//
// Tokens don't compare with ==; see [Token.Equal].
type Token struct {
	_ [0]func() // makes == a compile error
	p *token
}

// token is what a Token points to. The secret sits in a closure, where even
// code that walks values by reflection can't follow.
type token struct {
	reveal func() string
	Metadata
}

// Metadata is what is known of a token besides its secret. None of it is
// secret. All fields may be zero.
type Metadata struct {
	// Origin spells the source, such as "env:PACKAGECLOUD_TOKEN".
	Origin string
	// Version is the store's name for this value of the token.
	Version string
	// Expiry is when the token ends; zero if that is not known.
	Expiry time.Time
	// BaseURL is the only server the token is for; empty if it doesn't say.
	BaseURL string
}

// NewToken makes a token of a secret as it was read. One trailing LF or CRLF is
// dropped. The rest must be printable ASCII without space and colon, because
// the token is sent as the user name of Basic authentication (RFC 7617,
// section 2). It must not stand in quotes, which a shell or a settings file would
// have removed. The error, an *[Error] of kind [ErrInvalid], names the origin and
// the flaw, but not the value.
func NewToken(secret string, meta Metadata) (Token, error) {
	if s, ok := strings.CutSuffix(secret, "\n"); ok {
		secret = strings.TrimSuffix(s, "\r")
	}
	if flaw := flaw(secret); flaw != "" {
		return Token{}, NewError(meta.Origin, ErrInvalid, "the token "+flaw, nil)
	}
	// The clone keeps a large file or answer that secret is a part of from
	// living as long as the token does.
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

// isUTF16 finds a byte order mark, or a zero in every other byte.
func isUTF16(s string) bool {
	if strings.HasPrefix(s, "\xff\xfe") || strings.HasPrefix(s, "\xfe\xff") {
		return true
	}
	var other [2]bool // a byte other than zero, at even and at odd places
	for i := range len(s) {
		other[i%2] = other[i%2] || s[i] != 0
	}
	return len(s) > 1 && other[0] != other[1]
}

// Reveal returns the secret; the zero Token has "". It is the only way to it:
// look for its callers to see where the secret goes.
func (t Token) Reveal() string {
	if t.p == nil {
		return ""
	}
	return t.p.reveal()
}

// IsZero reports whether t holds no secret.
func (t Token) IsZero() bool { return t.p == nil }

// Metadata returns what is known of the token besides the secret.
func (t Token) Metadata() Metadata {
	if t.p == nil {
		return Metadata{}
	}
	return t.p.Metadata
}

// With returns a token of the same secret and other metadata. A zero Token
// stays zero.
func (t Token) With(meta Metadata) Token {
	if t.p == nil {
		return t
	}
	return Token{p: &token{reveal: t.p.reveal, Metadata: meta}}
}

// Equal reports whether both hold the same secret, in constant time. Two zero
// tokens are equal. Metadata doesn't count.
func (t Token) Equal(u Token) bool {
	a, b := sha256.Sum256([]byte(t.Reveal())), sha256.Sum256([]byte(u.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Fingerprint names the token without telling it: the first 12 hexadecimal
// digits of its SHA-256. It serves to see in logs which service uses which
// token. The zero Token has "".
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

// MarshalBinary returns "[redacted]", which is also what encoding/gob gets.
func (Token) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText always fails: a token comes from a source, not from a document.
func (*Token) UnmarshalText([]byte) error { return errDecode }

// UnmarshalJSON always fails; see [Token.UnmarshalText].
func (*Token) UnmarshalJSON([]byte) error { return errDecode }

// UnmarshalBinary always fails; see [Token.UnmarshalText].
func (*Token) UnmarshalBinary([]byte) error { return errDecode }

var errDecode = errors.New("tokensource: a Token cannot be decoded; get it from a TokenSource")
