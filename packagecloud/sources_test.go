package packagecloud_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/internal/packagefile/packagefiletest"
	"github.com/packagecloud-go/sdk/packagecloud"
)

const dscName = "demo_1.0-1.dsc"

// sourcePackage is a .dsc and its files, in the order in which it names them.
func sourcePackage() (dsc []byte, sources []packagecloud.Content) {
	dsc, files := packagefiletest.DSC("demo", "1.0-1")
	for _, file := range files {
		sources = append(sources, packagecloud.Bytes(file.Name, []byte(file.Content)))
	}
	return dsc, sources
}

// Guarantee U3.
// Guarantee U6.
func TestUpload_SourceFilesThatDoNotMatchTheirDSCAreRefusedBeforeARequest(t *testing.T) {
	dsc, sources := sourcePackage()
	orig, debian := sources[0], sources[1]
	stale := func(c packagecloud.Content) packagecloud.Content {
		return packagecloud.Bytes(c.Name, bytes.Repeat([]byte("x"), int(c.Size)))
	}
	path := filepath.Join(t.TempDir(), orig.Name)
	if err := os.WriteFile(path, []byte("another tarball"), 0o600); err != nil {
		t.Fatal(err)
	}
	withoutSHA256 := regexp.MustCompile(`(?s)Checksums-Sha256:.*Files:`).ReplaceAll(dsc, []byte("Files:"))
	signed := fmt.Appendf(nil, "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n%s-----BEGIN PGP SIGNATURE-----\nx\n-----END PGP SIGNATURE-----\n", dsc)
	for name, test := range map[string]struct {
		dsc     []byte
		sources []packagecloud.Content
		says    string
	}{
		"none":                         {dsc, nil, orig.Name + ": add it to UploadOptions.SourceFiles"},
		"one is missing":               {dsc, sources[:1], debian.Name + ": add it to UploadOptions.SourceFiles"},
		"another name":                 {dsc, []packagecloud.Content{{Name: "orig.tar.gz", Size: orig.Size, Open: orig.Open}, debian}, orig.Name + ": add it"},
		"another size":                 {dsc, []packagecloud.Content{packagecloud.Bytes(orig.Name, []byte("stale")), debian}, orig.Name + " has another size"},
		"a stale file":                 {dsc, []packagecloud.Content{packagecloud.File(path), debian}, orig.Name + " has another size"},
		"another checksum":             {dsc, []packagecloud.Content{stale(orig), debian}, orig.Name + " has another checksum"},
		"the last has another":         {dsc, []packagecloud.Content{orig, stale(debian)}, debian.Name + " has another checksum"},
		"it is there twice":            {dsc, []packagecloud.Content{orig, debian, stale(debian)}, debian.Name + " has another checksum"},
		"another MD5 and no SHA-256":   {withoutSHA256, []packagecloud.Content{stale(orig), debian}, orig.Name + " has another checksum"},
		"the dsc is signed":            {signed, sources[1:], orig.Name + ": add it"},
		"another size, and read once":  {dsc, []packagecloud.Content{packagecloud.Reader(orig.Name, strings.NewReader("x"), 1), debian}, orig.Name + " has another size"},
		"another, not read at will":    {dsc, []packagecloud.Content{unseekable(stale(orig)), debian}, orig.Name + " has another checksum"},
		"the server would rename both": {dsc, []packagecloud.Content{{Name: "a", Size: orig.Size, Open: orig.Open}, {Name: "b", Size: debian.Size, Open: debian.Open}}, "add it"},
	} {
		for _, mode := range []packagecloud.IfExists{packagecloud.Fail, packagecloud.Skip, packagecloud.Replace} {
			f := setup(t)
			options := &packagecloud.UploadOptions{Distribution: "ubuntu/jammy", IfExists: mode, SourceFiles: test.sources}
			if mode == packagecloud.Replace && strings.Contains(name, "read once") {
				continue // Replace refuses it anyway
			}
			_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(dscName, test.dsc), options)
			f.want(t, err, packagecloud.ErrInvalid)
			if !strings.Contains(err.Error(), test.says) || len(f.requests("")) != 0 {
				t.Errorf("%s, %d: %d requests: %v", name, mode, len(f.requests("")), err)
			}
		}
	}
}

// unseekable hides everything but Read and Close.
func unseekable(c packagecloud.Content) packagecloud.Content {
	open := c.Open
	c.Open = func() (io.ReadCloser, error) {
		r, err := open()
		return struct{ io.ReadCloser }{r}, err
	}
	return c
}

func TestUpload_SourceFilesThatMatchTheirDSCAreSent(t *testing.T) {
	dsc, sources := sourcePackage()
	dir := t.TempDir()
	for name, change := range map[string]func(packagecloud.Content) packagecloud.Content{
		"memory":           func(c packagecloud.Content) packagecloud.Content { return c },
		"not read at will": unseekable,
		"opens only once": func(c packagecloud.Content) packagecloud.Content {
			return (&single{reader: func(b []byte) io.Reader { return bytes.NewReader(b) }}).content(c.Name, bytesOf(t, c))
		},
		"a reader": func(c packagecloud.Content) packagecloud.Content {
			return packagecloud.Reader(c.Name, bytes.NewReader(bytesOf(t, c)), c.Size)
		},
		"files, by their path": func(c packagecloud.Content) packagecloud.Content {
			path := filepath.Join(dir, c.Name)
			if err := os.WriteFile(path, bytesOf(t, c), 0o600); err != nil {
				t.Fatal(err)
			}
			return packagecloud.File(path)
		},
	} {
		f := setup(t)
		var given []packagecloud.Content
		for _, source := range slices.Backward(sources) { // in another order, with one more
			given = append(given, change(source))
		}
		given = append(given, packagecloud.Bytes("demo_1.0-1.buildinfo", []byte("x")))
		if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(dscName, dsc), &packagecloud.UploadOptions{Distribution: "ubuntu/jammy", SourceFiles: given}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := len(f.stored(t, 1)[0].SourceFiles); n != 2 {
			t.Errorf("%s: %d source files are stored", name, n)
		}
	}
}

func bytesOf(t *testing.T, c packagecloud.Content) []byte {
	t.Helper()
	r, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return []byte(text(t, r))
}

// Guarantee U3.
func TestUpload_CoordinatesAreRefusedBeforeARequest(t *testing.T) {
	jar := packagecloud.Bytes("demo-1.0.jar", packagefiletest.Zip(packagefiletest.File{Name: "a.class"}))
	for coordinates, ok := range map[string]bool{
		"com.acme:demo:1.0":          true,
		"a:b_c:1.0-SNAPSHOT+build.5": true,
		"com.acme:demo":              false,
		"com.acme:demo:":             false,
		":demo:1.0":                  false,
		"com.acme::1.0":              false,
		"::":                         false,
		"com.acme:demo:jar:1.0":      false,
		"com.acme:demo:1.0 ":         false,
		"com acme:demo:1.0":          false,
		"com/acme:demo:1.0":          false,
		`com.acme:demo:1\0`:          false,
		"com.acme:demo:1.0\n":        false,
		"com.acme:demo:${version}":   false,
		"demo-1.0.jar":               false,
	} {
		for _, mode := range []packagecloud.IfExists{packagecloud.Fail, packagecloud.Skip, packagecloud.Replace} {
			f := setup(t)
			_, err := f.repo.Upload(t.Context(), jar, &packagecloud.UploadOptions{Coordinates: coordinates, IfExists: mode})
			if ok {
				if err != nil {
					t.Errorf("%q: %v", coordinates, err)
				}
				continue
			}
			f.want(t, err, packagecloud.ErrInvalid)
			if !strings.Contains(err.Error(), "group:artifact:version") || len(f.requests("")) != 0 {
				t.Errorf("%q: %d requests: %v", coordinates, len(f.requests("")), err)
			}
		}
	}
}
