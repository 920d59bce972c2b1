package exchange

import "testing"

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
