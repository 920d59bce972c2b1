package packagecloud_test

import (
	"errors"
	"testing"

	"github.com/packagecloud-go/sdk/packagecloud"
)

// Guarantee A7.
func TestParseTarget(t *testing.T) {
	for s, want := range map[string]packagecloud.Target{
		"acme/main":                 {Owner: "acme", Repository: "main"},
		"acme/main/":                {Owner: "acme", Repository: "main"},
		"acme/main/python":          {Owner: "acme", Repository: "main", Distribution: "python"},
		"acme/main/ubuntu/noble":    {Owner: "acme", Repository: "main", Distribution: "ubuntu/noble"},
		"acme/main/ubuntu/24.04":    {Owner: "acme", Repository: "main", Distribution: "ubuntu/24.04"},
		"acme/main/any/any/":        {Owner: "acme", Repository: "main", Distribution: "any/any"},
		"a-c.m_e/ma.in/java/maven2": {Owner: "a-c.m_e", Repository: "ma.in", Distribution: "java/maven2"},
	} {
		got, err := packagecloud.ParseTarget(s)
		if err != nil || got != want {
			t.Errorf("%q gives %+v, %v; want %+v", s, got, err, want)
		}
		if again, err := packagecloud.ParseTarget(got.String()); err != nil || again != got {
			t.Errorf("%q is spelled %q, which gives %+v, %v", s, got, again, err)
		}
	}
	for _, s := range []string{
		"", "/", "acme", "acme/", "/main", "acme//ubuntu", "acme/main//noble", "acme/main/ubuntu/noble/x",
		"acme/../ubuntu", "acme/main/ubuntu/noble//", "https://packagecloud.io/acme/main", "acme/ma in", "acme/main\n", "acme/main?x",
	} {
		if got, err := packagecloud.ParseTarget(s); !errors.Is(err, packagecloud.ErrInvalid) {
			t.Errorf("%q gives %+v, %v; want invalid", s, got, err)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	f.Add("acme/main/ubuntu/noble")
	f.Fuzz(func(t *testing.T, s string) {
		target, err := packagecloud.ParseTarget(s)
		if err != nil {
			return
		}
		if again, err := packagecloud.ParseTarget(target.String()); err != nil || again != target {
			t.Errorf("%q gives %+v; its spelling gives %+v, %v", s, target, again, err)
		}
	})
}
