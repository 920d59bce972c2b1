package packagecloud_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// Guarantees: C1, B8, A1.
func TestFromEnvironment(t *testing.T) {
	var got string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _, _ = r.BasicAuth()
		io.WriteString(w, mainInfo)
	}))
	t.Cleanup(ts.Close)
	const (
		fromVariable = "aaaaaaaa00aaaaaaaa11aaaaaaaa22"
		fromSpec     = "bbbbbbbb00bbbbbbbb11bbbbbbbb22"
		fromFile     = "cccccccc00cccccccc11cccccccc22"
		fromMemory   = "dddddddd00dddddddd11dddddddd22"
	)
	c := newCanary(t, fromVariable, fromSpec, fromFile, fromMemory)
	memory := backends.Opener{Scheme: "memory", Open: func(backends.Spec) (tokensource.TokenSource, error) {
		return tokensourcetest.NewSource(fromMemory), nil
	}}
	for _, test := range []struct {
		name    string
		env     map[string]string
		file    string // ~/.packagecloud
		options []packagecloud.Option
		own     *packagecloud.EnvironmentOptions
		token   string
		err     string // of FromEnvironment or of the first request
	}{
		{name: "variable", env: map[string]string{"PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": ts.URL}, token: fromVariable},
		{name: "the option's URL wins", env: map[string]string{"PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": "https://127.0.0.1:1"},
			options: []packagecloud.Option{packagecloud.WithBaseURL(ts.URL)}, token: fromVariable},
		{name: "spec wins", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": "env:OTHER", "OTHER": fromSpec, "PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": ts.URL}, token: fromSpec},
		{name: "variable wins over the file", env: map[string]string{"PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": ts.URL},
			file: `{"url":"` + ts.URL + `","token":"` + fromFile + `"}`, token: fromVariable},
		{name: "file", file: `{"url":"` + ts.URL + `","token":"` + fromFile + `"}`, token: fromFile},
		{name: "file of the old tool", file: `{"` + ts.URL + `":"x","token":"` + fromFile + `"}`, token: fromFile},
		{name: "file for another server", file: `{"url":"https://packages.example.com","token":"` + fromFile + `"}`,
			options: []packagecloud.Option{packagecloud.WithBaseURL(ts.URL)}, err: "another server"},
		{name: "file for the server of the variable", env: map[string]string{"PACKAGECLOUD_URL": ts.URL},
			file: `{"url":"` + ts.URL + `/","token":"` + fromFile + `"}`, token: fromFile},
		{name: "file that names no server", env: map[string]string{"PACKAGECLOUD_URL": ts.URL}, file: `{"token":"` + fromFile + `"}`, token: fromFile},
		{name: "file for another server than the variable", env: map[string]string{"PACKAGECLOUD_URL": ts.URL},
			file: `{"url":"https://packages.example.com","token":"` + fromFile + `"}`, err: "another server"},
		{name: "file for this server, variable for another", env: map[string]string{"PACKAGECLOUD_URL": "https://packages.example.com"},
			file: `{"url":"` + ts.URL + `","token":"` + fromFile + `"}`, err: "PACKAGECLOUD_URL"},
		{name: "the option's URL wins over the variable, for the file too", env: map[string]string{"PACKAGECLOUD_URL": "https://packages.example.com"},
			file: `{"url":"` + ts.URL + `","token":"` + fromFile + `"}`, options: []packagecloud.Option{packagecloud.WithBaseURL(ts.URL)}, token: fromFile},
		{name: "linked backend", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": "env:NONE,memory:x", "PACKAGECLOUD_URL": ts.URL},
			own: &packagecloud.EnvironmentOptions{Backends: []backends.Opener{memory}}, token: fromMemory},
		{name: "backend that isn't linked", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": "memory:x"}, err: "memory"},
		{name: "nothing", env: map[string]string{"PACKAGECLOUD_URL": ts.URL}, err: "set PACKAGECLOUD_TOKEN or PACKAGECLOUD_TOKEN_SOURCE, or write"},
		{name: "bad file", file: `{"token":"user:` + fromFile + `"}`, err: "colon"},
		{name: "spec in quotes", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": `"env:OTHER"`, "OTHER": fromSpec, "PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": ts.URL},
			err: "PACKAGECLOUD_TOKEN_SOURCE: invalid: column 1: a quote"},
		{name: "spec with a dollar sign", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": "env:$OTHER,env:OLD", "OTHER": fromSpec, "OLD": fromVariable, "PACKAGECLOUD_URL": ts.URL},
			err: "element 1 of 2, column 5: '$' is no part"},
		{name: "spec with a semicolon", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": "env:NONE;env:OLD,env:OLD", "OLD": fromVariable, "PACKAGECLOUD_URL": ts.URL}, err: "column 9: ';'"},
		{name: "spec that is a URL", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": "env://OTHER,env:OLD", "OLD": fromVariable, "PACKAGECLOUD_URL": ts.URL}, err: "column 5: a source is no URL"},
		{name: "spec that is a name", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": "PACKAGECLOUD_TOKEN", "PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": ts.URL}, err: "there is no scheme"},
		{name: "spec that is blank", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": " ", "PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": ts.URL}, err: "a space"},
		{name: "spec that is the token", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": fromVariable, "PACKAGECLOUD_URL": ts.URL}, err: "there is no scheme"},
		{name: "spec with the token", env: map[string]string{"PACKAGECLOUD_TOKEN_SOURCE": "env:PACKAGECLOUD_TOKEN=" + fromVariable, "PACKAGECLOUD_URL": ts.URL}, err: "can't hold ="},
		{name: "token in quotes", env: map[string]string{"PACKAGECLOUD_TOKEN": `"` + fromVariable + `"`, "PACKAGECLOUD_URL": ts.URL},
			file: `{"url":"` + ts.URL + `","token":"` + fromFile + `"}`, err: "in quotes"},
		{name: "token with a space", env: map[string]string{"PACKAGECLOUD_TOKEN": fromVariable + " ", "PACKAGECLOUD_URL": ts.URL},
			file: `{"url":"` + ts.URL + `","token":"` + fromFile + `"}`, err: "white space"},
		{name: "token that is blank", env: map[string]string{"PACKAGECLOUD_TOKEN": " ", "PACKAGECLOUD_URL": ts.URL},
			file: `{"url":"` + ts.URL + `","token":"` + fromFile + `"}`, err: "white space"},
		{name: "URL in quotes", env: map[string]string{"PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": `"` + ts.URL + `"`}, err: "from PACKAGECLOUD_URL"},
		{name: "URL that is blank", env: map[string]string{"PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": " "}, err: "from PACKAGECLOUD_URL"},
		{name: "URL with a space", env: map[string]string{"PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": "https://pack ages.io"}, err: "from PACKAGECLOUD_URL"},
		{name: "URL with another scheme", env: map[string]string{"PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": "env:URL"}, err: "from PACKAGECLOUD_URL"},
		{name: "URL that isn't expanded", env: map[string]string{"PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": "https://$HOST"}, err: "from PACKAGECLOUD_URL"},
		{name: "bad URL", env: map[string]string{"PACKAGECLOUD_TOKEN": fromVariable, "PACKAGECLOUD_URL": "packagecloud.io"}, err: "https://"},
		{name: "bad token", env: map[string]string{"PACKAGECLOUD_TOKEN": "user:" + fromVariable, "PACKAGECLOUD_URL": ts.URL}, err: "colon"},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			t.Setenv("HOME", home)
			if runtime.GOOS == "windows" {
				t.Setenv("USERPROFILE", home)
			}
			for _, name := range []string{"PACKAGECLOUD_TOKEN_SOURCE", "PACKAGECLOUD_TOKEN", "PACKAGECLOUD_URL"} {
				t.Setenv(name, test.env[name])
			}
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			if test.file != "" {
				if err := errors.Join(os.Chmod(home, 0o700), os.WriteFile(filepath.Join(home, ".packagecloud"), []byte(test.file), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			got = ""
			client, err := packagecloud.FromEnvironment(test.own, append(test.options, packagecloud.WithLogger(c.logger()))...)
			if err == nil {
				_, err = client.Repository("acme", "main").Info(t.Context())
			}
			c.clean(t, err)
			switch {
			case test.err == "" && (err != nil || got != test.token):
				t.Errorf("the right token was sent: %v; error %v", got == test.token, err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err) || got != ""):
				t.Errorf("the error is %v; want %q in it", err, test.err)
			}
		})
	}
}

// Guarantee B8.
func TestFromEnvironment_CachesTheToken(t *testing.T) {
	asked := 0
	counting := backends.Opener{Scheme: "counting", Open: func(backends.Spec) (tokensource.TokenSource, error) {
		return source(func() string { asked++; return fakeToken }), nil
	}}
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, mainInfo) }))
	t.Cleanup(ts.Close)
	t.Setenv("PACKAGECLOUD_TOKEN_SOURCE", "counting:x")
	t.Setenv("PACKAGECLOUD_URL", ts.URL)
	client, err := packagecloud.FromEnvironment(&packagecloud.EnvironmentOptions{Backends: []backends.Opener{counting}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := client.Repository("acme", "main").Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("the source was asked %d times; want 1", asked)
	}
}

// Guarantees: B8, H7.
func TestFromEnvironment_TunesTheCache(t *testing.T) {
	c, _, ts := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, mainInfo) })
	t.Setenv(packagecloud.EnvTokenSource, "")
	t.Setenv(packagecloud.EnvToken, fakeToken)
	t.Setenv(packagecloud.EnvURL, ts.URL)
	var events tokensourcetest.Recorder
	options := &packagecloud.EnvironmentOptions{CacheOptions: tokensource.CacheOptions{OnEvent: events.Record}}
	client, err := packagecloud.FromEnvironment(options, packagecloud.WithLogger(c.logger()))
	if err == nil {
		_, err = client.Repository("acme", "main").Info(t.Context())
	}
	if c.clean(t, err); err != nil {
		t.Fatal(err)
	}
	if len(events.Events()) == 0 || !strings.Contains(c.text(), "env:PACKAGECLOUD_TOKEN") {
		t.Errorf("the hook got %d events, and the log is %q", len(events.Events()), c.text())
	}
	options.CacheOptions.MaxStale = -1
	if _, err = packagecloud.FromEnvironment(options); err == nil {
		t.Error("a negative MaxStale is no error")
	}
}

// A flaw in the backends is an error as soon as they are needed.
//
// Guarantee B8.
func TestFromEnvironment_RefusesFlawedBackends(t *testing.T) {
	open := func(backends.Spec) (tokensource.TokenSource, error) { return nil, nil }
	for name, opener := range map[string]backends.Opener{
		"zero": {}, "no Open": {Scheme: "memory"}, "env twice": {Scheme: "env", Open: open}, "no source": {Scheme: "memory", Open: open},
	} {
		t.Setenv(packagecloud.EnvTokenSource, "memory:x")
		_, err := packagecloud.FromEnvironment(&packagecloud.EnvironmentOptions{Backends: []backends.Opener{opener}})
		if !errors.Is(err, tokensource.ErrInvalid) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}
