package packagecloud_test

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
)

// Guarantee A5.
func TestSecretURL_NeverPrints(t *testing.T) {
	c := newCanary(t, fakeToken)
	for _, text := range []string{
		"https://" + fakeToken + ":@packagecloud.io/acme/main/x",
		"https://user:" + fakeToken + "@packagecloud.io/x",
		"https://packagecloud.io/priv/" + fakeToken + "/acme/main/x",
		"https://packagecloud.io/x?token=" + fakeToken,
		"https://packagecloud.io/x#" + fakeToken,
		"/priv/" + fakeToken,
		"mailto:" + fakeToken,
	} {
		u, err := packagecloud.NewSecretURL(text)
		if err != nil {
			t.Fatal(err)
		}
		if u.Reveal() != text {
			t.Error("Reveal gives another URL")
		}
		c.clean(t, u)
		c.clean(t, &u)
		c.clean(t, packagecloud.Package{DownloadURL: u})
		c.clean(t, &packagecloud.Package{DownloadURL: u})
		c.clean(t, packagecloud.RepositoryInfo{InstallScriptURL: u})
	}
	_, err := packagecloud.NewSecretURL("https://" + fakeToken + ":@%zz/")
	if err == nil {
		t.Fatal("a malformed URL was accepted")
	}
	c.clean(t, err)
}

func TestSecretURL_ShowsItsHost(t *testing.T) {
	u, _ := packagecloud.NewSecretURL("https://secret:@packagecloud.io:444/x?y=z")
	if u.String() != "https://packagecloud.io:444/[redacted]" {
		t.Errorf("it shows as %q", u)
	}
	for _, empty := range []string{"", "N/A"} {
		if u, err := packagecloud.NewSecretURL(empty); err != nil || !u.IsZero() || u.Reveal() != "" || u.String() != "" {
			t.Errorf("%q gives %v, %v", empty, u, err)
		}
	}
}

func TestSecretURL_CannotBeDecoded(t *testing.T) {
	var u packagecloud.SecretURL
	if json.Unmarshal([]byte(`"https://packagecloud.io"`), &u) == nil || u.UnmarshalText(nil) == nil || u.UnmarshalBinary(nil) == nil {
		t.Error("it was decoded")
	}
}

// Guarantee A5.
func FuzzNewSecretURL(f *testing.F) {
	for _, seed := range []string{"https://token:@packagecloud.io/a?b=c#d", "http://a:b@[::1]:80/x", "//u@h/p", "/priv/x/y", "mailto:x@y", "a@b", "https://%20:@h", "N/A", "h://:@"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := packagecloud.NewSecretURL(text)
		if err != nil || u.IsZero() {
			return
		}
		shown, err := url.Parse(u.String())
		if u.String() != "[redacted]" && (err != nil || shown.Host == "" || shown.User != nil || shown.RawQuery != "" || shown.Fragment != "" || shown.Path != "/[redacted]") {
			t.Errorf("%q shows as %q", text, u)
		}
		address, tok, err := packagecloud.Split(u)
		if address.User != nil {
			t.Errorf("%q keeps its user info: %q", text, address)
		}
		if user := whole(t, u).User; err == nil && tok.Reveal() != user.Username() {
			t.Errorf("%q gives the credential %q", text, tok.Reveal())
		}
	})
}

func whole(t *testing.T, s packagecloud.SecretURL) *url.URL {
	u, err := url.Parse(s.Reveal())
	if err != nil {
		t.Skip("net/url can't read what it wrote")
	}
	return u
}
