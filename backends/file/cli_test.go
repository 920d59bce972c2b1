package file

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
)

// writeCLI makes content the ~/.packagecloud of a new home directory.
func writeCLI(t *testing.T, content string) *Source {
	t.Helper()
	path := filepath.Join(setHome(t), ".packagecloud")
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return CLI()
}

// Guarantee B2.
func TestCLI_ReadsTokenAndURL(t *testing.T) {
	const member = `"token":"` + first + `"`
	for _, test := range []struct{ name, content, want string }{
		{"as documented", `{"url":"https://packagecloud.io",` + member + `}`, "https://packagecloud.io"},
		{"as the CLI writes it", `{"url":"https://packagecloud.io",` + member + "}\r\n", "https://packagecloud.io"},
		{"slash at the end", `{"url":"https://packages.example.com/",` + member + `}`, "https://packages.example.com"},
		{"path and port", `{"url":"http://localhost:8080/pc/",` + member + `}`, "http://localhost:8080/pc"},
		{"no url", `{` + member + `}`, ""},
		{"empty url", `{"url":"",` + member + `}`, ""},
		{"null url", `{"url":null,` + member + `}`, ""},
		{"the URL as its own key", `{"https://packages.example.com/":"https://packages.example.com/",` + member + "}\r\n", "https://packages.example.com"},
		{"the URL as key of null", `{"https://packages.example.com":null,` + member + `}`, "https://packages.example.com"},
		{"both", `{"https://a.example.com":"x","url":"https://b.example.com",` + member + `}`, "https://b.example.com"},
		{"unknown keys", `{"httpsish":1,"user":{"url":"x"},` + member + `,"url":"https://packagecloud.io"}`, "https://packagecloud.io"},
	} {
		t.Run(test.name, func(t *testing.T) {
			meta := assertToken(t, writeCLI(t, test.content), first).Metadata()
			if meta.BaseURL != test.want {
				t.Errorf("the base URL is %q, want %q", meta.BaseURL, test.want)
			}
			if meta.Origin != "file:~/.packagecloud" {
				t.Errorf("the origin is %q", meta.Origin)
			}
		})
	}
}

func TestCLI_RefusesUnusableContent(t *testing.T) {
	const member = `"token":"` + first + `"`
	for _, test := range []struct{ name, content, want string }{
		{"token alone", first, `not a JSON object; the fault is near byte 1; write {"url": "https://packagecloud.io", "token": "..."} to it`},
		{"no token", `{"url":"https://packagecloud.io"}`, `no field "token"`},
		{"token twice", `{` + member + `,"token":"` + second + `"}`, `the field "token" 2 times`},
		{"url twice", `{"url":"https://a.example.com","url":"https://b.example.com",` + member + `}`, `the field "url" 2 times`},
		{"url null and not", `{"url":null,"url":"https://b.example.com",` + member + `}`, `the field "url" 2 times`},
		{"url a number", `{"url":1,` + member + `}`, `the field "url" is a number`},
		{"two URLs as keys", `{"https://a.example.com":1,"https://b.example.com":1,` + member + `}`, "several URLs"},
		{"user info", `{"url":"https://` + second + `:@packagecloud.io",` + member + `}`, "user information"},
		{"user info in the key", `{"https://` + second + `:@packagecloud.io":1,` + member + `}`, "user information"},
		{"no scheme", `{"url":"packagecloud.io",` + member + `}`, "not one of http or https"},
		{"other scheme", `{"url":"ftp://packagecloud.io",` + member + `}`, "not one of http or https"},
		{"no host", `{"url":"https:///x",` + member + `}`, "not one of http or https"},
		{"port alone", `{"url":"https://:443",` + member + `}`, "not one of http or https"},
		{"not a URL", `{"url":"https://canary-0815%zz",` + member + `}`, "can't be parsed"},
		{"query", `{"url":"https://packagecloud.io?token=canary-0815",` + member + `}`, "query"},
		{"fragment", `{"url":"https://packagecloud.io#canary-0815",` + member + `}`, "query or a fragment"},
	} {
		t.Run(test.name, func(t *testing.T) {
			assertError(t, writeCLI(t, test.content), tokensource.ErrInvalid, test.want)
		})
	}
}

func TestCLI_NoFileOrNoHomeIsNotFound(t *testing.T) {
	setHome(t)
	assertError(t, CLI(), tokensource.ErrNotFound, `no such file; write {"url": "https://packagecloud.io", "token": "..."} to it`)
	t.Setenv("HOME", "")
	t.Setenv("USERPROFILE", "")
	assertError(t, CLI(), tokensource.ErrNotFound, "no home directory")
}

func TestCLI_IsWhatTheSpecNames(t *testing.T) {
	want := writeCLI(t, `{"https://packages.example.com":"","token":"`+first+`"}`)
	assertToken(t, want, first)
	for _, spec := range []string{"file:~/.packagecloud", "file:~/.packagecloud#token", "file:~/.packagecloud?private=true"} {
		parsed, err := backends.Parse(spec, Opener())
		must(t, err)
		source := parsed.(*Source)
		if got := assertToken(t, source, first).Metadata().BaseURL; got != "https://packages.example.com" {
			t.Errorf("%s: the base URL is %q", spec, got)
		}
		if got := fmt.Sprintf("%s %#v", source, source); got != "file:~/.packagecloud file:~/.packagecloud" {
			t.Errorf("printed as %s", got)
		}
		if source.String() != "file:~/.packagecloud" {
			t.Errorf("%s is spelled %s", spec, source)
		}
	}
}

// Guarantee B2.
func FuzzCLI(f *testing.F) {
	f.Add(`{"url":"https://packagecloud.io","token":"x"}`)
	f.Add(`{"https://packagecloud.io/":"https://packagecloud.io/"}` + "\r\n")
	f.Add(`{"url":"http://[::1]:80/%2f//"}`)
	f.Add(`{"url":"https://u:p@h?q#f"}`)
	f.Fuzz(func(t *testing.T, content string) {
		base, err := cliURL([]byte(content))
		if err != nil {
			if base != "" {
				t.Errorf("returned %q with an error", base)
			}
			return
		}
		if base == "" {
			return
		}
		u, err := url.Parse(base)
		if err != nil {
			t.Fatalf("accepted %q, which doesn't parse", base)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
			u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(base, "/") {
			t.Errorf("accepted %q", base)
		}
		if again, err := baseURL(base); err != nil || again != base {
			t.Errorf("%q becomes %q, %v the second time", base, again, err)
		}
	})
}
