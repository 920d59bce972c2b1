package conjur_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/packagecloud-go/sdk/backends/conjur"
	"github.com/packagecloud-go/sdk/backends/conjur/internal/conjurserver"
	"github.com/packagecloud-go/sdk/tokensource"
)

// setenv sets what is in the environment of a test.
func setenv(t *testing.T, values map[string]string) {
	t.Helper()
	for name, value := range values {
		t.Setenv(name, value)
	}
}

// Guarantee B7.
func TestSettings_EveryWayToLogIn(t *testing.T) {
	type env = map[string]string
	for _, test := range []struct {
		name string
		env  func(t *testing.T, s *conjurtest) env
	}{
		{"API key", func(t *testing.T, s *conjurtest) env {
			return env{"CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key}
		}},
		{"API key, type named", func(t *testing.T, s *conjurtest) env {
			return env{"CONJUR_AUTHN_TYPE": "authn", "CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key}
		}},
		{"access token before API key", func(t *testing.T, s *conjurtest) env {
			return env{"CONJUR_AUTHN_TOKEN": s.Issue(host), "CONJUR_AUTHN_LOGIN": "x", "CONJUR_AUTHN_API_KEY": "x"}
		}},
		{"token file before access token", func(t *testing.T, s *conjurtest) env {
			return env{"CONJUR_AUTHN_TOKEN_FILE": writeFile(t, "token", s.Issue(host)), "CONJUR_AUTHN_TOKEN": "x"}
		}},
		{"LDAP", func(t *testing.T, s *conjurtest) env {
			return env{"CONJUR_AUTHN_TYPE": "ldap", "CONJUR_SERVICE_ID": "corp", "CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key}
		}},
		{"keyring", func(t *testing.T, s *conjurtest) env {
			keyring.MockInit()
			for key, value := range map[string]string{"login": host, "password": s.key} {
				if err := keyring.Set(s.URL+"/authn:team", key, value); err != nil {
					t.Fatal(err)
				}
			}
			return env{"CONJUR_KEYCHAIN_NAMESPACE": "team"}
		}},
		{"JWT before API key", func(t *testing.T, s *conjurtest) env {
			return env{"CONJUR_AUTHN_JWT_SERVICE_ID": "ci", "CONJUR_AUTHN_JWT_TOKEN": jwt("a"), "CONJUR_AUTHN_LOGIN": "x", "CONJUR_AUTHN_API_KEY": "x"}
		}},
		{"JWT file, service before CONJUR_SERVICE_ID", func(t *testing.T, s *conjurtest) env {
			return env{"CONJUR_AUTHN_JWT_SERVICE_ID": "ci", "CONJUR_SERVICE_ID": "x", "JWT_TOKEN_PATH": writeFile(t, "jwt", jwt("a"))}
		}},
		{"JWT by type, with a host", func(t *testing.T, s *conjurtest) env {
			return env{"CONJUR_AUTHN_TYPE": "jwt", "CONJUR_SERVICE_ID": "hosts", "CONJUR_AUTHN_JWT_HOST_ID": host, "CONJUR_AUTHN_JWT_TOKEN": jwt("a")}
		}},
		{"JWT by .conjurrc, with a host", func(t *testing.T, s *conjurtest) env {
			rc := "authn_type: jwt\nservice_id: hosts\njwt_host_id: " + host + "\njwt_file: " + writeFile(t, "jwt", jwt("a")) + "\n"
			return env{"CONJURRC": writeFile(t, "rc", rc)}
		}},
		{".netrc", func(t *testing.T, s *conjurtest) env {
			netrc := fmt.Sprintf("machine elsewhere/authn\n  login x\n  password x\nmachine %s/authn\n  login %s\n  password %s\n", s.URL, host, s.key)
			return env{"CONJUR_CREDENTIAL_STORAGE": "file", "CONJUR_NETRC_PATH": writeFile(t, "netrc", netrc)}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t)
			s.Set(variable, secret)
			s.AddJWT("ci", jwt("a"), host)
			s.AddJWT("hosts", jwt("a"), host)
			s.RequireHost("hosts")
			setenv(t, map[string]string{"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account})
			setenv(t, test.env(t, s))
			holds(t, newSource(t, variable, conjur.Options{}), secret)
		})
	}
}

func TestSettings_Files(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	setenv(t, map[string]string{"CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key})
	home := os.Getenv("HOME")
	rc := filepath.Join(home, ".conjurrc")
	for name, content := range map[string]string{
		"Go":              "account: " + account + "\nappliance_url: " + s.URL + "\nunknown: {x: [1]}\n",
		"Python":          "---\nconjur_account: " + account + "\nconjur_url: " + s.URL + "\n",
		"both":            "conjur_account: x\naccount: " + account + "\nconjur_url: x\nappliance_url: " + s.URL + "\n",
		"with an API key": "account: " + account + "\nappliance_url: " + s.URL + "\nauthn_type: authn\nhttp_timeout: 5\nplugins: []\n",
	} {
		t.Run(name, func(t *testing.T) {
			replace(t, rc, content)
			holds(t, newSource(t, variable, conjur.Options{}), secret)
		})
	}
	replace(t, rc, "account: x\nappliance_url: http://127.0.0.1:1\n")
	t.Run("CONJURRC", func(t *testing.T) {
		t.Setenv("CONJURRC", writeFile(t, "rc", "account: "+account+"\nappliance_url: "+s.URL+"\n"))
		holds(t, newSource(t, variable, conjur.Options{}), secret)
	})
	t.Run("environment wins", func(t *testing.T) {
		setenv(t, map[string]string{"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account})
		holds(t, newSource(t, variable, conjur.Options{}), secret)
	})
	t.Run("options win", func(t *testing.T) {
		holds(t, newSource(t, variable, conjur.Options{Account: account, ApplianceURL: s.URL}), secret)
	})
	t.Run("all options leave them unread", func(t *testing.T) {
		replace(t, rc, "{")
		holds(t, newSource(t, variable, s.options()), secret)
	})
}

func TestSettings_DisableKeepAlives(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	var mu sync.Mutex
	connections := map[string]bool{}
	s.SetFault(func(_ string, _ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		connections[r.RemoteAddr] = true
		return false
	})
	settings := map[string]string{"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account, "CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key}
	for _, test := range []struct {
		name, value string
		want        int // connections for a login and two reads
	}{
		{"CONJURRC", writeFile(t, "rc", ""), 1},
		{"CONJURRC", writeFile(t, "rc", "disable_keep_alives: true\n"), 3},
		{"CONJUR_DISABLE_KEEP_ALIVES", "true", 3},
		{"CONJUR_DISABLE_KEEP_ALIVES", "false", 1},
	} {
		t.Run(test.name+" "+test.value, func(t *testing.T) {
			clear(connections)
			setenv(t, settings)
			t.Setenv(test.name, test.value)
			source := newSource(t, variable, conjur.Options{})
			holds(t, source, secret)
			holds(t, source, secret)
			if got := len(connections); got != test.want {
				t.Errorf("%d connections, want %d", got, test.want)
			}
		})
	}
}

func TestSettings_Certificates(t *testing.T) {
	ca := newAuthority(t)
	s := startTLS(t, ca.issue("127.0.0.1", time.Now().Add(time.Hour)))
	s.Set(variable, secret)
	setenv(t, map[string]string{"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account, "CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key})
	file := writeFile(t, "ca.pem", string(ca.pem))
	t.Run("file", func(t *testing.T) {
		t.Setenv("CONJUR_CERT_FILE", file)
		holds(t, newSource(t, variable, conjur.Options{}), secret)
	})
	t.Run("inline before file", func(t *testing.T) {
		t.Setenv("CONJUR_CERT_FILE", "/nonexistent")
		t.Setenv("CONJUR_SSL_CERTIFICATE", string(ca.pem))
		holds(t, newSource(t, variable, conjur.Options{}), secret)
	})
	t.Run(".conjurrc", func(t *testing.T) {
		replace(t, filepath.Join(os.Getenv("HOME"), ".conjurrc"), "cert_file: "+file+"\n")
		holds(t, newSource(t, variable, conjur.Options{}), secret)
	})
}

func TestSettings_WhatIsAbsentIsNotFound(t *testing.T) {
	s := start(t)
	complete := map[string]string{"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account, "CONJUR_CREDENTIAL_STORAGE": "none"}
	for _, test := range []struct{ without, says string }{
		{"CONJUR_APPLIANCE_URL", "no server is configured; set CONJUR_APPLIANCE_URL"},
		{"CONJUR_ACCOUNT", "no account is configured; set CONJUR_ACCOUNT"},
		{"", "no credentials are configured"},
	} {
		t.Run(test.without, func(t *testing.T) {
			setenv(t, complete)
			t.Setenv(test.without+"X", "") // keeps an empty name from being set
			if test.without != "" {
				t.Setenv(test.without, "")
			}
			source := newSource(t, variable, conjur.Options{})
			s.refused(t, source, tokensource.ErrNotFound, test.says)
			_, err := source.Put(t.Context(), must(tokensource.NewToken("x", tokensource.Metadata{})), tokensource.Token{})
			s.fails(t, err, tokensource.ErrNotFound, test.says)
			chain := must(tokensource.Chain(source, tokensource.Static(secret)))
			holds(t, chain, secret)
		})
	}
	t.Run("no .netrc", func(t *testing.T) {
		setenv(t, complete)
		t.Setenv("CONJUR_CREDENTIAL_STORAGE", "file")
		s.refused(t, newSource(t, variable, conjur.Options{}), tokensource.ErrNotFound, "there is no .netrc")
		t.Setenv("CONJUR_NETRC_PATH", writeFile(t, "netrc", "machine elsewhere login x password "+secret+"\ndefault login x password "+secret+"\n"))
		s.refused(t, newSource(t, variable, conjur.Options{}), tokensource.ErrNotFound, "has none for this server")
	})
	t.Run("JWT without a service", func(t *testing.T) {
		setenv(t, complete)
		t.Setenv("JWT_TOKEN_PATH", "/nonexistent")
		s.refused(t, newSource(t, variable, conjur.Options{}), tokensource.ErrNotFound, "needs a service id")
	})
}

func TestSettings_WhatIsWrongIsInvalid(t *testing.T) {
	s := start(t)
	type env = map[string]string
	for _, test := range []struct {
		name string
		env  env
		says string
	}{
		{"CONJURRC missing", env{"CONJURRC": "/nonexistent/conjurrc"}, "which doesn't exist"},
		{"CONJURRC a folder", env{"CONJURRC": t.TempDir()}, "can't be read"},
		{"CONJURRC not YAML", env{"CONJURRC": writeFile(t, "rc", "account: a\n\t"+secret)}, "not the YAML that Conjur's tools write; see line 2"},
		{"CONJURRC wrong types", env{"CONJURRC": writeFile(t, "rc", "http_timeout: "+secret)}, "see line 1"},
		{"timeout", env{"CONJUR_HTTP_TIMEOUT": "soon"}, "CONJUR_HTTP_TIMEOUT"},
		{"long timeout", env{"CONJUR_HTTP_TIMEOUT": "601"}, "between 1 and 600"},
		{"keep-alives", env{"CONJUR_DISABLE_KEEP_ALIVES": "perhaps"}, "CONJUR_DISABLE_KEEP_ALIVES"},
		{"certificate missing", env{"CONJUR_CERT_FILE": "/nonexistent/ca.pem"}, "there is no file /nonexistent/ca.pem"},
		{"certificate a folder", env{"CONJUR_CERT_FILE": t.TempDir()}, "can't be read"},
		{"certificate not PEM", env{"CONJUR_SSL_CERTIFICATE": "x"}, "no PEM certificate"},
		{"a key for a certificate", env{"CONJUR_SSL_CERTIFICATE": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))}, "no PEM certificate"},
		{"proxy", env{"CONJURRC": writeFile(t, "rc", "proxy: nonsense")}, "proxy"},
		{"address", env{"CONJUR_APPLIANCE_URL": "conjur.example"}, "must begin with https://"},
		{"http", env{"CONJUR_APPLIANCE_URL": "http://conjur.example"}, "sends credentials and tokens in clear"},
		{"IAM", env{"CONJUR_AUTHN_TYPE": "iam"}, "conjur.Client"},
		{"certificates", env{"CONJUR_AUTHN_CERT_SERVICE_ID": "x"}, "conjur.Client"},
		{"unknown type", env{"CONJUR_AUTHN_TYPE": secret}, "authn_type isn't one"},
		{"LDAP", env{"CONJUR_AUTHN_TYPE": "ldap"}, "no service id"},
	} {
		t.Run(test.name, func(t *testing.T) {
			setenv(t, env{"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account})
			setenv(t, test.env)
			_, err := conjur.New(variable, conjur.Options{})
			if err == nil {
				t.Fatal("New took it")
			}
			s.fails(t, err, tokensource.ErrInvalid, test.says)
		})
	}
	t.Run("storage", func(t *testing.T) {
		setenv(t, env{"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account, "CONJUR_CREDENTIAL_STORAGE": "paper"})
		s.refused(t, newSource(t, variable, conjur.Options{}), tokensource.ErrInvalid, "credential_storage")
		setenv(t, env{"CONJUR_CREDENTIAL_STORAGE": "file", "CONJUR_NETRC_PATH": t.TempDir()})
		s.refused(t, newSource(t, variable, conjur.Options{}), tokensource.ErrInvalid, ".netrc")
	})
}

func TestSettings_AreReadOnce(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	setenv(t, map[string]string{"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account, "CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key})
	source := newSource(t, variable, conjur.Options{})
	setenv(t, map[string]string{"CONJUR_APPLIANCE_URL": "http://127.0.0.1:1", "CONJUR_ACCOUNT": "x", "CONJUR_AUTHN_API_KEY": "x", "CONJUR_KEYCHAIN_NAMESPACE": ""})
	holds(t, source, secret)
}

func TestSettings_Proxy(t *testing.T) {
	s := start(t)
	s.Set(variable, secret)
	var hits atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		resp := must(s.Transport().RoundTrip(r))
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	}))
	defer proxy.Close()
	setenv(t, map[string]string{
		"CONJUR_APPLIANCE_URL": s.URL, "CONJUR_ACCOUNT": account, "CONJUR_AUTHN_LOGIN": host, "CONJUR_AUTHN_API_KEY": s.key,
		"CONJURRC": writeFile(t, "rc", "proxy: "+proxy.URL+"\n"),
	})
	holds(t, newSource(t, variable, conjur.Options{}), secret)
	if got := hits.Load(); got != 2 {
		t.Errorf("%d requests went through the proxy, want 2", got)
	}
}

// The cloud service has one account, and its API below a path, as Conjur's tools know.
func TestSettings_Cloud(t *testing.T) {
	clearSettings(t)
	s := conjurserver.New("conjur", nil)
	defer s.Close()
	key := s.AddLogin(host)
	s.Permit(variable, host, everything)
	s.Set(variable, secret)
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if !strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Host != "acme.secretsmgr.cyberark.cloud" {
			t.Errorf("request to %s", r.URL)
		}
		r.URL = must(r.URL.Parse(strings.TrimPrefix(r.URL.EscapedPath(), "/api")))
		return s.Transport().RoundTrip(r)
	})}
	for _, path := range []string{"", "/", "/api"} {
		holds(t, newSource(t, variable, conjur.Options{
			ApplianceURL: "https://acme.secretsmgr.cyberark.cloud" + path, Auth: conjur.APIKey(host, key), HTTPClient: client,
		}), secret)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
