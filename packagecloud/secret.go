package packagecloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"

	"github.com/packagecloud-go/sdk/tokensource"
)

// SecretURL is a URL with a credential in it, such as a private package's
// download_url. It prints as its scheme and host alone. The zero SecretURL is
// empty. It is immutable and safe for concurrent use.
type SecretURL struct {
	_ [0]func()
	p *secretURL
}

type secretURL struct {
	reveal func() *url.URL
	scheme string
	host   string
}

// NewSecretURL parses a URL as the server gave it. Empty text and "N/A" give
// the zero SecretURL.
func NewSecretURL(s string) (SecretURL, error) {
	if s == "" || s == "N/A" {
		return SecretURL{}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return SecretURL{}, errors.New("packagecloud: a URL of the server is malformed")
	}
	return SecretURL{p: &secretURL{reveal: func() *url.URL { c := *u; return &c }, scheme: u.Scheme, host: u.Host}}, nil
}

// IsZero reports whether there is no URL.
func (s SecretURL) IsZero() bool { return s.p == nil }

// Reveal returns the whole URL, with its credential, or "".
func (s SecretURL) Reveal() string {
	if s.p == nil {
		return ""
	}
	return s.p.reveal().String()
}

// String returns the URL without anything that could be a credential.
func (s SecretURL) String() string {
	switch {
	case s.p == nil:
		return ""
	case s.p.host == "":
		return "[redacted]"
	}
	return (&url.URL{Scheme: s.p.scheme, Host: s.p.host}).String() + "/[redacted]"
}

// GoString returns what String does.
func (s SecretURL) GoString() string { return s.String() }

// Format writes what String returns, for every verb.
func (s SecretURL) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue returns what String does.
func (s SecretURL) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns what String does.
func (s SecretURL) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalBinary returns what String does; encoding/gob uses it.
func (s SecretURL) MarshalBinary() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON returns what String does, quoted.
func (s SecretURL) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

var errDecodeURL = errors.New("packagecloud: a SecretURL cannot be decoded; see NewSecretURL")

// UnmarshalJSON always fails, since what was encoded is no URL any more.
func (*SecretURL) UnmarshalJSON([]byte) error { return errDecodeURL }

// UnmarshalText always fails; see [SecretURL.UnmarshalJSON].
func (*SecretURL) UnmarshalText([]byte) error { return errDecodeURL }

// UnmarshalBinary always fails; see [SecretURL.UnmarshalJSON].
func (*SecretURL) UnmarshalBinary([]byte) error { return errDecodeURL }

// split takes the user info out of the URL; it is the credential of the one
// request to it. One that can't be a token is an error: without it the API token
// would go in its place.
func (s SecretURL) split() (*url.URL, tokensource.Token, error) {
	u := s.p.reveal()
	user := u.User
	u.User = nil
	if strings.Trim(user.String(), ":") == "" {
		return u, tokensource.Token{}, nil
	}
	tok, err := tokensource.NewToken(user.Username(), tokensource.Metadata{Origin: "download_url"})
	if err != nil {
		err = errors.New("packagecloud: the credential in the server's download_url can't be one; set DownloadOptions.ReadToken")
	}
	return u, tok, err
}
