// Package file takes the token from a file: a token alone, a field of a JSON
// object, or the ~/.packagecloud of the official packagecloud CLI. Mounted
// secrets of Docker and Kubernetes and credentials of systemd are such files.
//
// The file is read at every Token call, so that a new token is seen however it
// got there, by a swapped symbolic link too; [tokensource.Cache] goes in front
// where that is too often. Whoever replaces the file does so by renaming a new
// one over it, so that no read sees half of it.
//
// In a spec of package backends it is
//
//	file:/run/secrets/packagecloud                    a token alone
//	file:/etc/deploy.json?private=true#token          a field of a JSON object
//	file:~/.packagecloud                              the CLI's file, with its URL
//	file:$CREDENTIALS_DIRECTORY/packagecloud          a credential of systemd
//
// where "~/" is the home directory. No other variables are expanded. A path has no
// // at its beginning: file:///run/x is written file:/run/x.
//
//	file:        what it holds
//	file.go      Source and its constructors
//	read.go      reading one file, whatever it turns out to be
//	slip.go      paths that were probably meant otherwise
//	cli.go       the format of ~/.packagecloud
//	safe_unix.go whose files and folders are trusted
//	opener.go    the spelling in a spec
package file

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// Names that begin so have the rest looked up below a directory that is known
// only at run time.
const (
	homePrefix       = "~/"
	credentialPrefix = "$CREDENTIALS_DIRECTORY/"

	cliName = homePrefix + ".packagecloud"
)

// Options tunes a [Source]. The zero value is a file that holds a token alone.
type Options struct {
	// Field is the key of the token in the JSON object that the file holds;
	// "" if the file holds the token alone. It isn't a path: the object's own
	// keys are looked at, no deeper ones.
	Field string
	// RequirePrivate refuses a file for which group or others have any
	// permission, with [tokensource.ErrInvalid]. Without it such a token is
	// used and [tokensource.EventExposed] reported, once for each token and
	// mode: secrets that Docker and Kubernetes mount are readable to all by
	// default. On Windows, where a mode tells nothing, it does nothing.
	RequirePrivate bool
}

// Source reads a file. It is safe for concurrent use. Make one with
// [New], [CLI] or [Credential]; the zero Source is not usable.
//
// Its tokens have no Version: a file system names none, and the modification time
// may be the same for two files that are written at nearly the same time.
type Source struct {
	name    string // as spelled, see path
	options Options
	cli     bool
	open    func(path string) (*os.File, fs.FileInfo, error)
	reading chan struct{} // full while a read runs

	mu       sync.Mutex
	reported exposure // last
}

// exposure is what EventExposed tells of.
type exposure struct {
	mode        fs.FileMode
	fingerprint string
}

// New returns a source that reads the file at path. A relative path is looked up
// in the working directory of each read; "~" and variables mean nothing in it.
// An empty path is an error, and one that looks like a token itself.
func New(path string, options Options) (*Source, error) {
	if strings.HasPrefix(path, "~") || strings.HasPrefix(path, "$") {
		path = "./" + path // in a spec these mean something
	}
	return newSource(path, options)
}

// CLI returns a source that reads ~/.packagecloud, where the official
// packagecloud CLI keeps a token and the URL of its server. The URL becomes the
// token's base URL.
//
// As ssh does with its keys, Token refuses the file with [tokensource.ErrInvalid]
// while group or others have any permission on it. On Unix it also refuses a file
// that the process's effective user doesn't own, and one in a folder that anybody
// but this user and root can write to, with the sticky bit too. If the file is a
// symbolic link, this holds for the file and the folder that it leads to as well.
// A relative home directory is ErrInvalid.
//
// Where there is no such file, or HOME (on Windows, USERPROFILE) is unset or empty,
// Token returns [tokensource.ErrNotFound].
func CLI() *Source {
	s := source(cliName, Options{RequirePrivate: true})
	s.cli = true
	return s
}

// Credential returns a source that reads a credential which systemd passes to a
// service (LoadCredential= and its kin): the file of that name in the directory
// that $CREDENTIALS_DIRECTORY names. Where the variable is unset, Token returns
// [tokensource.ErrNotFound].
//
// What the group may do with the file counts neither for RequirePrivate nor for
// [tokensource.EventExposed]: systemd grants the service's user access by an
// access control list, which shows as permissions of the group.
//
// A name that is empty or has a slash is an error.
func Credential(name string, options Options) (*Source, error) {
	return newSource(credentialPrefix+name, options)
}

func source(name string, options Options) *Source {
	return &Source{name: name, options: options, open: sourcekit.OpenFile, reading: make(chan struct{}, 1)}
}

func newSource(name string, options Options) (*Source, error) {
	fail := func(source, message string) (*Source, error) {
		return nil, tokensource.NewError(source, tokensource.ErrInvalid, message, nil)
	}
	s := source(name, options)
	credential, isCredential := strings.CutPrefix(name, credentialPrefix)
	switch {
	case sourcekit.HoldsToken(name), sourcekit.HoldsToken(options.Field):
		return fail("file", "the path or the field looks like a token; pass the path of the file that holds it")
	case name == "":
		return fail("file", "the path is empty")
	case strings.ContainsRune(name, 0):
		return fail(s.String(), "a path can't hold a zero byte")
	case isCredential && (credential == "" || credential == "." || credential == ".." || strings.ContainsAny(credential, `/\`)):
		return fail(s.String(), "the name of a systemd credential is not empty and has no slash")
	}
	return s, nil
}

// String spells the source as package backends reads it.
func (s *Source) String() string {
	spec := backends.Spec{Scheme: scheme, Name: s.name, Field: s.options.Field}
	if s.options.RequirePrivate && !s.cli {
		spec.Options = map[string]string{privateOption: "true"}
	}
	return spec.String()
}

// Format writes what String returns, for every verb: fmt would read what other
// goroutines write.
func (s *Source) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// Token reads the file and returns the token in it. The kinds of its errors:
//
//   - [tokensource.ErrNotFound]: there is no such file.
//   - [tokensource.ErrInvalid]: there is no such file, and its path has what is
//     meant otherwise: $NAME, ${NAME}, %NAME%, ~/ or *, which nothing expands;
//     quotes, white space or a slash at an end; a scheme, of a second source too; a # with a field.
//   - [tokensource.ErrDenied]: this process may not read it.
//   - [tokensource.ErrInvalid]: it isn't a regular file, is empty, is larger than
//     1 MiB, has no such field or no usable token in it, or is open to others or
//     theirs where that is refused.
//   - [tokensource.ErrUnavailable]: it couldn't be read for another reason.
//
// It returns when ctx ends, even if the file is on a network file system that
// hangs. One read runs at a time.
func (s *Source) Token(ctx context.Context) (tokensource.Token, error) {
	path, err := s.path()
	if err != nil {
		return tokensource.Token{}, err
	}
	c, err := s.read(ctx, path)
	if err != nil {
		return tokensource.Token{}, err
	}
	meta := tokensource.Metadata{Origin: s.String()}
	field := s.options.Field
	if s.cli {
		field = cliField
		meta.BaseURL, err = cliURL(c.data)
		if err != nil {
			return tokensource.Token{}, s.errorf(tokensource.ErrInvalid, nil, "%s", message(err))
		}
	}
	secret, err := sourcekit.Field(field).Read(c.data)
	if err != nil {
		return tokensource.Token{}, s.errorf(tokensource.ErrInvalid, nil, "%s", message(err))
	}
	tok, err := tokensource.NewToken(secret, meta)
	if err != nil {
		return tokensource.Token{}, err
	}
	s.report(ctx, tok, c.info)
	return tok, nil
}

// path resolves s.name.
func (s *Source) path() (string, error) {
	if rest, ok := strings.CutPrefix(s.name, homePrefix); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", s.errorf(tokensource.ErrNotFound, err, "there is no home directory to look in; set %s", homeVariable())
		}
		if !filepath.IsAbs(home) {
			return "", s.errorf(tokensource.ErrInvalid, nil, "%s is a relative path, which means another folder wherever the program is started; set it to an absolute one", homeVariable())
		}
		return filepath.Join(home, filepath.FromSlash(rest)), nil
	}
	if rest, ok := strings.CutPrefix(s.name, credentialPrefix); ok {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", s.errorf(tokensource.ErrNotFound, nil, "CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with LoadCredential=")
		}
		return filepath.Join(dir, rest), nil
	}
	return s.name, nil
}

func homeVariable() string {
	if runtime.GOOS == "windows" {
		return "USERPROFILE"
	}
	return "HOME"
}

// isOpen reports whether others than the owner have a permission on the file.
func (s *Source) isOpen(info fs.FileInfo) bool {
	others := fs.FileMode(0o077)
	if strings.HasPrefix(s.name, credentialPrefix) {
		others = 0o007
	}
	return runtime.GOOS != "windows" && info.Mode().Perm()&others != 0
}

// report tells of a token that others can read, once for each token and mode.
func (s *Source) report(ctx context.Context, tok tokensource.Token, info fs.FileInfo) {
	now := exposure{mode: info.Mode().Perm(), fingerprint: tok.Fingerprint()}
	s.mu.Lock()
	news := s.isOpen(info) && s.reported != now
	if news {
		s.reported = now
	}
	s.mu.Unlock()
	if !news {
		return
	}
	tokensource.Emit(ctx, tokensource.Event{
		Kind:        tokensource.EventExposed,
		Source:      s.String(),
		Fingerprint: now.fingerprint,
		Detail:      "the file's mode " + mode(info) + " lets group or others at it",
	})
}
