package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// TestSource_Faults takes the source through the table of faults, with a token
// alone in the file and with one in JSON. What a file system does wrong it does
// by the source's own way to open a file.
//
// Guarantees: K4, B2, G1.
func TestSource_Faults(t *testing.T) {
	for name, field := range map[string]string{"raw": "", "JSON": "token"} {
		t.Run(name, func(t *testing.T) {
			f := &faultStage{path: filepath.Join(t.TempDir(), "token"), options: Options{Field: field}}
			tokensourcetest.RunFaults(t,
				tokensourcetest.StoredFaults(tokensourcetest.Backend{
					New:      func(t *testing.T) tokensource.TokenSource { return newFile(t, f.path, f.options) },
					Set:      func(t *testing.T, value string) { f.set(t, f.path, value) },
					Remove:   func(t *testing.T) { must(t, os.Remove(f.path)) },
					Canaries: []string{canary},
				}),
				f.own())
		})
	}
}

const canary = "canary-0815"

type faultStage struct {
	path    string
	options Options
}

func (f *faultStage) set(t *testing.T, path, value string) {
	t.Helper()
	if f.options.Field != "" {
		value = fmt.Sprintf(`{"other":%q,"token":%s}`, canary, quote(value))
	}
	must(t, os.WriteFile(path, []byte(value), 0o600))
}

// own has the rows that are a file's own.
func (f *faultStage) own() tokensourcetest.Faults {
	noLogin := tokensourcetest.NotApplicable("a file is read as the user that the process is; there is nothing to log in with")
	noVersion := tokensourcetest.NotApplicable("a file system keeps no versions of a file")
	noServer := tokensourcetest.NotApplicable("no server answers; a network file system is the kernel's, which tells of it by an error number")
	return tokensourcetest.Faults{
		tokensourcetest.DownAtStart:        f.failing(false, errors.New("input/output error"), "can't be opened"),
		tokensourcetest.DownLater:          f.failing(true, errors.New("input/output error"), "can't be opened"),
		tokensourcetest.Stalled:            f.stalled,
		tokensourcetest.WrongCredentials:   noLogin,
		tokensourcetest.ExpiredCredentials: noLogin,
		tokensourcetest.Denied:             f.failing(false, fs.ErrPermission, "may not read the file"),
		tokensourcetest.VersionMissing:     noVersion,
		tokensourcetest.VersionDeleted:     noVersion,
		tokensourcetest.FieldMissing:       f.without(`{"other":"`, `"}`, `no field "token"`),
		tokensourcetest.NotJSON:            f.without("", "", "not a JSON object"),
		tokensourcetest.OddNamed:           f.oddNamed,
		tokensourcetest.Redirected:         noServer,
		tokensourcetest.UnknownCA:          noServer,
		tokensourcetest.ExpiredCertificate: noServer,
		tokensourcetest.WrongHost:          noServer,
		tokensourcetest.CutInHalf:          f.unreadable,
		tokensourcetest.ServerError:        noServer,
		tokensourcetest.ForeignAnswer:      noServer,
	}
}

// opening returns a source with another way to open its file.
func (f *faultStage) opening(t *testing.T, open func(path string) (*os.File, fs.FileInfo, error)) *Source {
	t.Helper()
	source := newFile(t, f.path, f.options)
	source.open = open
	return source
}

// failing has the file fail to open, until it heals.
func (f *faultStage) failing(later bool, err error, says string) func(*testing.T, string) []tokensourcetest.Scene {
	return func(t *testing.T, secret string) []tokensourcetest.Scene {
		f.set(t, f.path, secret)
		var fails atomic.Bool
		fails.Store(!later)
		scene := tokensourcetest.Scene{
			Source: f.opening(t, func(path string) (*os.File, fs.FileInfo, error) {
				if fails.Load() {
					return nil, nil, &fs.PathError{Op: "open " + canary, Path: path, Err: err}
				}
				return sourcekit.OpenFile(path)
			}),
			Heal: func(*testing.T) { fails.Store(false) },
			Says: says, Canaries: []string{canary},
		}
		if later {
			scene.Break = func(*testing.T) { fails.Store(true) }
		}
		return []tokensourcetest.Scene{scene}
	}
}

// stalled has a file system that hangs.
func (f *faultStage) stalled(t *testing.T, secret string) []tokensourcetest.Scene {
	f.set(t, f.path, secret)
	waiting, release := make(chan struct{}), make(chan struct{})
	arrived, free := sync.OnceFunc(func() { close(waiting) }), sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	return []tokensourcetest.Scene{{
		Source: f.opening(t, func(path string) (*os.File, fs.FileInfo, error) {
			arrived()
			<-release
			return sourcekit.OpenFile(path)
		}),
		Waiting: waiting,
		Heal:    func(*testing.T) { free() },
	}}
}

// without has a field be asked for of a file that hasn't got it.
func (f *faultStage) without(before, after, says string) func(*testing.T, string) []tokensourcetest.Scene {
	if f.options.Field == "" {
		return tokensourcetest.NotApplicable("no field is asked for of a token alone")
	}
	return func(t *testing.T, secret string) []tokensourcetest.Scene {
		must(t, os.WriteFile(f.path, []byte(before+secret+after), 0o600))
		return []tokensourcetest.Scene{{
			Source: newFile(t, f.path, f.options), Says: says,
			Heal: func(t *testing.T) { f.set(t, f.path, secret) },
		}}
	}
}

func (f *faultStage) oddNamed(t *testing.T, secret string) (scenes []tokensourcetest.Scene) {
	dir := t.TempDir()
	for _, name := range tokensourcetest.OddNames() {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		f.set(t, path, secret)
		source := newFile(t, path, f.options)
		spelled, err := backends.Parse(source.String(), Opener())
		must(t, err)
		scenes = append(scenes, tokensourcetest.Scene{Name: name, Source: source},
			tokensourcetest.Scene{Name: name + ", spelled", Source: spelled})
	}
	return scenes
}

// unreadable has a file that opens, and then fails to be read.
func (f *faultStage) unreadable(t *testing.T, secret string) []tokensourcetest.Scene {
	const unreadable = "/proc/self/mem" // at address 0
	if info, err := os.Stat(unreadable); err != nil || !info.Mode().IsRegular() {
		t.Skip("this system has no file that opens and fails to be read")
	}
	f.set(t, f.path, secret)
	var healed atomic.Bool
	return []tokensourcetest.Scene{{
		Source: f.opening(t, func(path string) (*os.File, fs.FileInfo, error) {
			if healed.Load() {
				return sourcekit.OpenFile(path)
			}
			return sourcekit.OpenFile(unreadable)
		}),
		Says: "the file can't be read",
		Heal: func(*testing.T) { healed.Store(true) },
	}}
}
