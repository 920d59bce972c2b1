//go:build unix

package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/command"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// TestSource_Faults takes the source through the table of faults, with helpers that
// come into them.
//
// Guarantees: K4, B3, G1.
func TestSource_Faults(t *testing.T) {
	h := &helper{dir: t.TempDir()}
	noLogin := tokensourcetest.NotApplicable("the credentials are the helper's own; that it was refused it tells by its exit status alone, as any failure")
	noVersion := tokensourcetest.NotApplicable("versions are the helper's matter, chosen by its arguments")
	noServer := tokensourcetest.NotApplicable("the connection is the helper's own")
	field := command.Options{Field: "token"}
	tokensourcetest.RunFaults(t,
		tokensourcetest.StoredFaults(tokensourcetest.Backend{
			New: func(t *testing.T) tokensource.TokenSource {
				return newCommand(t, command.Options{}, "cat", h.path("token"))
			},
			Set:    func(t *testing.T, value string) { h.write(t, "token", value, 0o600) },
			Remove: func(t *testing.T) { h.write(t, "token", "", 0o600) },
		}),
		tokensourcetest.Faults{
			tokensourcetest.DownAtStart:        h.until("up", `cat "$DIR/token" >&2; exit 7`, "exit status 7"),
			tokensourcetest.DownLater:          h.downLater,
			tokensourcetest.Stalled:            h.stalled,
			tokensourcetest.WrongCredentials:   noLogin,
			tokensourcetest.ExpiredCredentials: noLogin,
			tokensourcetest.Denied:             h.denied,
			tokensourcetest.VersionMissing:     noVersion,
			tokensourcetest.VersionDeleted:     noVersion,
			tokensourcetest.FieldMissing:       h.printing(`printf '{"other":"%s"}' $(cat "$DIR/token")`, field, `no field "token"`),
			tokensourcetest.NotJSON:            h.printing(`cat "$DIR/token"`, field, "not a JSON object"),
			tokensourcetest.OddNamed:           h.oddNamed,
			tokensourcetest.Redirected:         noServer,
			tokensourcetest.UnknownCA:          noServer,
			tokensourcetest.ExpiredCertificate: noServer,
			tokensourcetest.WrongHost:          noServer,
			tokensourcetest.CutInHalf:          h.until("whole", `head -c 24 "$DIR/token"; kill -9 $$`, "signal: killed"),
			tokensourcetest.ServerError:        h.until("good", `cat "$DIR/token"; exit 22`, "exit status 22"),
			tokensourcetest.ForeignAnswer:      h.until("own", `printf '<html> %s </html>' $(cat "$DIR/token")`, "white space"),
		})
}

// helper is a folder with scripts that know it as $DIR, and the token they print.
type helper struct{ dir string }

func (h *helper) path(name string) string { return filepath.Join(h.dir, name) }

func (h *helper) write(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	path := h.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func (h *helper) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(h.path(name)); err != nil {
		t.Fatal(err)
	}
}

func (h *helper) source(t *testing.T, options command.Options, script string) *command.Source {
	t.Helper()
	options.Env = []string{"DIR=" + h.dir}
	return newCommand(t, options, "/bin/sh", "-c", script)
}

// printing is a row with a helper that prints the wrong thing.
func (h *helper) printing(script string, options command.Options, says string) func(*testing.T, string) []tokensourcetest.Scene {
	return func(t *testing.T, secret string) []tokensourcetest.Scene {
		h.write(t, "token", secret, 0o600)
		return []tokensourcetest.Scene{{Source: h.source(t, options, script), Says: says}}
	}
}

// until is a row with a helper that runs a script until there is a file of this
// name, and from then on prints the token.
func (h *helper) until(name, script, says string) func(*testing.T, string) []tokensourcetest.Scene {
	return func(t *testing.T, secret string) []tokensourcetest.Scene {
		h.write(t, "token", secret, 0o600)
		return []tokensourcetest.Scene{{
			Source: h.source(t, command.Options{}, `test -e "$DIR/`+name+`" || { `+script+`; exit; }; cat "$DIR/token"`),
			Heal:   func(t *testing.T) { h.write(t, name, "", 0o600) },
			Says:   says,
		}}
	}
}

func (h *helper) downLater(t *testing.T, secret string) []tokensourcetest.Scene {
	h.write(t, "reached", "", 0o600)
	scenes := h.until("reached", `cat "$DIR/token" >&2; exit 7`, "exit status 7")(t, secret)
	scenes[0].Break = func(t *testing.T) { h.remove(t, "reached") }
	return scenes
}

// stalled has a helper that waits for a file.
func (h *helper) stalled(t *testing.T, secret string) []tokensourcetest.Scene {
	scenes := h.until("goes-on", `: >"$DIR/waits"; until test -e "$DIR/goes-on"; do sleep 0.02; done; cat "$DIR/token"`, "")(t, secret)
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		for t.Context().Err() == nil {
			if _, err := os.Stat(h.path("waits")); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	scenes[0].Waiting = waiting
	return scenes
}

// denied has a program that may not be executed.
func (h *helper) denied(t *testing.T, secret string) []tokensourcetest.Scene {
	h.write(t, "token", secret, 0o600)
	h.write(t, "helper", "#!/bin/sh\ncat \"$DIR/token\"\n", 0o600)
	return []tokensourcetest.Scene{{
		Source: newCommand(t, command.Options{Env: []string{"DIR=" + h.dir}}, h.path("helper")),
		Says:   "may not be executed",
		Heal: func(t *testing.T) {
			if err := os.Chmod(h.path("helper"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	}}
}

func (h *helper) oddNamed(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
	for _, name := range tokensourcetest.OddNames() {
		h.write(t, "odd/"+name, secret, 0o600)
		source := newCommand(t, command.Options{}, "cat", h.path("odd/"+name))
		scenes = append(scenes, tokensourcetest.Scene{Name: name, Source: source})
		if strings.Contains(name, " ") {
			continue // which separates arguments in one string
		}
		spelled, err := backends.Parse(source.String(), command.Opener())
		if err != nil {
			t.Fatal(err)
		}
		scenes = append(scenes, tokensourcetest.Scene{Name: name + ", spelled", Source: spelled})
	}
	return scenes
}
