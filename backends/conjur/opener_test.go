package conjur_test

import (
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

func TestOpener_OpensWhatItSpells(t *testing.T) {
	ca := newAuthority(t)
	s := startTLS(t, ca.issue("127.0.0.1", time.Now().Add(time.Hour)))
	s.Permit("odd id/#1", host, everything)
	s.Set("odd id/#1", `{"other":"x","token":"`+secret+`"}`)
	s.Set(variable, secret)
	s.AddJWT("k8s", jwt("a"), host)
	s.RequireHost("k8s")
	caFile := writeFile(t, "ca.pem", string(ca.pem))
	right := map[string]string{
		"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account, "CONJUR_CERT_FILE": caFile,
		"CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key, "CONJUR_AUTHN_TOKEN": s.Issue(host),
	}
	type env = map[string]string
	for _, test := range []struct {
		spec  string
		wrong env // what the spec's options must win over
	}{
		{"conjur:" + variable, nil},
		{"conjur:" + variable + "?version=1", nil},
		{"conjur:odd%20id/%231#token", nil},
		{"conjur:" + variable + "?account=" + account, env{"CONJUR_ACCOUNT": "other"}},
		{"conjur:" + variable + "?url=" + s.URL, env{"CONJUR_APPLIANCE_URL": "https://127.0.0.1:1"}},
		{"conjur:" + variable + "?ca=" + caFile, env{"CONJUR_CERT_FILE": "/nonexistent"}},
		{"conjur:" + variable + "?auth=apikey", env{"CONJUR_AUTHN_TOKEN": s.Issue("host/other"), "CONJUR_AUTHN_TYPE": "jwt", "CONJUR_SERVICE_ID": "other"}},
		{"conjur:" + variable + "?auth=apikey&login=" + host, env{"CONJUR_AUTHN_LOGIN": "host/other"}},
		{"conjur:" + variable + "?auth=jwt&file=" + writeFile(t, "jwt", jwt("a")) + "&host=" + host + "&service=k8s", env{
			"CONJUR_AUTHN_JWT_TOKEN": jwt("other"), "JWT_TOKEN_PATH": writeFile(t, "jwt", jwt("other")),
			"CONJUR_AUTHN_JWT_HOST_ID": "host/other", "CONJUR_AUTHN_JWT_SERVICE_ID": "other",
		}},
		{"conjur:" + variable + "?auth=token", env{"CONJUR_AUTHN_TOKEN_FILE": writeFile(t, "access", s.Issue("host/other")), "CONJUR_AUTHN_API_KEY": "other"}},
		{"conjur:" + variable + "?auth=tokenfile&file=" + writeFile(t, "access", s.Issue(host)), env{
			"CONJUR_AUTHN_TOKEN_FILE": writeFile(t, "access", s.Issue("host/other")), "CONJUR_AUTHN_TOKEN": s.Issue("host/other"),
		}},
	} {
		t.Run(test.spec, func(t *testing.T) {
			setenv(t, right)
			setenv(t, test.wrong)
			source, err := backends.Parse(test.spec, conjur.Opener())
			if err != nil {
				t.Fatal(err)
			}
			tok := holds(t, source, secret)
			if tok.Metadata().Origin != test.spec {
				t.Errorf("the origin is %s, want %s", tok.Metadata().Origin, test.spec)
			}
		})
	}
	setenv(t, right)
	t.Setenv("CONJUR_SSL_CERTIFICATE", string(newAuthority(t).pem))
	s.refused(t, must(backends.Parse("conjur:"+variable, conjur.Opener())), tokensource.ErrUnavailable, "isn't trusted")
	holds(t, must(backends.Parse("conjur:"+variable+"?ca="+caFile, conjur.Opener())), secret)
}

func TestOpener_TellsWhatIsWrong(t *testing.T) {
	s := start(t)
	for _, test := range []struct{ spec, says string }{
		{"conjur:x?acount=a", `did you mean "account"?`},
		{"conjur:x?version=latest", "the version is a number"},
		{"conjur:x?version=0", "the version is a number"},
		{"conjur:x?auth=magic", "auth is one of apikey, jwt, token, tokenfile"},
		{"conjur:x?auth=apikey&file=f", "goes with auth=jwt or auth=tokenfile"},
		{"conjur:x?service=s", "goes with auth=jwt"},
		{"conjur:x?url=conjur.example", "must begin with https://"},
		{"conjur:x?url=https://u:password@conjur.example", "no user"},
		{"conjur:x?url=http://conjur.example", "sends credentials"},
		{"conjur:x?account=", "the value is empty"},
		{"conjur:..", `must not be "."`},
	} {
		_, err := backends.Parse(test.spec, conjur.Opener())
		if err == nil {
			t.Errorf("%s was taken", test.spec)
			continue
		}
		if e, ok := err.(*tokensource.Error); !ok || e.Kind != tokensource.ErrInvalid || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want an ErrInvalid that says %q", test.spec, err, test.says)
		}
		tokensourcetest.AssertNoSecret(t, err, append(s.Secrets(), secret)...)
	}
}

// What a spec asks for isn't replaced by another way that the settings have.
func TestOpener_UsesNoOtherLoginThanNamed(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	setenv(t, map[string]string{"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account, "CONJUR_CREDENTIAL_STORAGE": "none"})
	open := func(spec string) tokensource.TokenSource {
		return must(backends.Parse("conjur:"+variable+spec, conjur.Opener()))
	}
	t.Run("no API key", func(t *testing.T) {
		t.Setenv("CONJUR_AUTHN_TOKEN", s.Issue(host))
		s.refused(t, open("?auth=apikey"), tokensource.ErrNotFound, "no credentials")
	})
	setenv(t, map[string]string{"CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key})
	s.refused(t, open("?auth=token"), tokensource.ErrNotFound, "CONJUR_AUTHN_TOKEN is not set")
	s.refused(t, open("?auth=tokenfile"), tokensource.ErrNotFound, "CONJUR_AUTHN_TOKEN_FILE is not set")
	s.refused(t, open("?auth=jwt"), tokensource.ErrNotFound, "needs a service id")
	s.refused(t, open("?auth=apikey&login=alice"), tokensource.ErrDenied, "refused the login")
}
