package sourcekit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/tokensource"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadFile_ReturnsTheContentAndTheStatus(t *testing.T) {
	path := write(t, "secret\n")
	data, info, err := ReadFile(path, 7)
	if err != nil || string(data) != "secret\n" {
		t.Fatalf("got %q, %v", data, err)
	}
	if want, _ := os.Stat(path); info.Mode() != want.Mode() || !os.SameFile(info, want) {
		t.Errorf("the status is that of another file: %v", info)
	}
}

func TestReadFile_SaysWhatIsWrong(t *testing.T) {
	const token = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"
	path := write(t, "canary-0815")
	folder := t.TempDir()
	for name, test := range map[string]struct {
		path  string
		limit int64
		kind  error
		says  string
	}{
		"too large":          {path, 10, tokensource.ErrInvalid, "the file " + path + " is larger than 10 bytes"},
		"KiB":                {write(t, strings.Repeat("x", 1<<10+1)), 1 << 10, tokensource.ErrInvalid, "larger than 1 KiB"},
		"MiB":                {write(t, strings.Repeat("x", 1<<20+1)), 1 << 20, tokensource.ErrInvalid, "larger than 1 MiB"},
		"missing":            {path + "2", 10, tokensource.ErrNotFound, "there is no file " + path + "2"},
		"below a file":       {path + "/x", 10, tokensource.ErrNotFound, "there is no file " + path + "/x"},
		"empty path":         {"", 10, tokensource.ErrNotFound, `there is no file ""`},
		"home":               {"~/credential", 10, tokensource.ErrInvalid, "no ~ or variable is expanded"},
		"variable":           {"/nowhere/$NAME", 10, tokensource.ErrInvalid, "no ~ or variable is expanded"},
		"quotes":             {`"` + path + `"`, 10, tokensource.ErrInvalid, "without quotes"},
		"folder":             {folder, 10, tokensource.ErrInvalid, folder + " isn't a regular file but a directory; name a regular file"},
		"a token for a path": {"/nowhere/" + token, 10, tokensource.ErrNotFound, "whose path looks like a token"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := ReadFile(test.path, test.limit)
			e, ok := errors.AsType[*tokensource.Error](err)
			if !ok || e.Kind != test.kind || !strings.Contains(e.Message, test.says) {
				t.Fatalf("got %v; want the kind %v and %q", err, test.kind, test.says)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), token) {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

func TestOpenFile_ErrorsAreOfThePath(t *testing.T) {
	folder := t.TempDir()
	f, info, err := OpenFile(folder)
	e, ok := errors.AsType[*fs.PathError](err)
	if f != nil || !ok || e.Path != folder || !errors.Is(err, fs.ErrInvalid) || info == nil || !info.IsDir() {
		t.Errorf("got %v, %v, %v; want fs.ErrInvalid and the status of the folder", f, info, err)
	}
	if f, info, err := OpenFile(folder + "/x"); f != nil || info != nil || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		t.Errorf("got %v, %v, %v; want fs.ErrNotExist alone", f, info, err)
	}
}

// Kubernetes replaces the directory of a secret between the steps of a look-up.
//
// Guarantee B2.
func TestOpenFile_FindsAFileWhileItsDirectoryIsSwapped(t *testing.T) {
	path := write(t, "secret")
	for stale, found := range map[int]bool{0: true, 1: true, 4: true, 5: false} {
		tries := 0
		f, _, err := openWith(path, func(path string) (*os.File, error) {
			if tries++; tries <= stale {
				return os.Open(path + "-before")
			}
			return os.Open(path)
		})
		if (err == nil) != found {
			t.Errorf("after %d look-ups that found nothing: %v", stale, err)
		}
		if err == nil {
			f.Close()
		}
	}
	tries := 0
	openWith(path+"2", func(path string) (*os.File, error) {
		tries++
		return os.Open(path)
	})
	if tries != 1 {
		t.Errorf("a file that isn't there was looked for %d times, want 1", tries)
	}
}
