package exchange

import (
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
)

func TestShorten_LeavesNothingThatForgesALine(t *testing.T) {
	for _, r := range "\n\r\x00\x7f\u0085\u009b\u2028\u2029\u202e\u2066\u061c\u200b\u200d\u2060\ufeff\u00ad\u034f\ufe0f\U000e0041" {
		if got := Shorten("a"+string(r)+"b", 100); got != "a b" {
			t.Errorf("%U: %q", r, got)
		}
	}
	if got := Shorten("na\u00efve \u65e5\u672c", 100); got != "na\u00efve \u65e5\u672c" {
		t.Errorf("%q", got)
	}
}

// Guarantee A1.
func TestSameOrigin_ComparesSchemeHostAndPort(t *testing.T) {
	base, _ := ParseBaseURL("https://packagecloud.example:8443", "", false)
	for address, want := range map[string]bool{
		"https://packagecloud.example:8443": true, "https://PACKAGECLOUD.example:8443": true,
		"https://packagecloud.example": false, "https://other.example:8443": false, "http://packagecloud.example:8443": false,
	} {
		other, err := ParseBaseURL(address, "", true)
		if err != nil || SameOrigin(base, other) != want {
			t.Errorf("%s: want %v (%v)", address, want, err)
		}
	}
}

// A token that names its server is for that scheme and port alone. Guarantee A1.
func TestAuthenticator_ChecksSchemeAndPortOfATokensServer(t *testing.T) {
	a := &Authenticator{insecure: true}
	base, _ := ParseBaseURL("https://packagecloud.example", "", false)
	for address, want := range map[string]bool{
		"https://packagecloud.example": true, "https://packagecloud.example:443/": true,
		"http://packagecloud.example": false, "https://packagecloud.example:8443": false, "https://other.example": false,
	} {
		tok, err := tokensource.NewToken("c0ffee00c0ffee11", tokensource.Metadata{BaseURL: address})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.check(tok, base); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}
