package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers the format
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers the format
)

// build makes a real package of the format, "deb" or "rpm", with a payload of
// that many random bytes, and returns its path.
func build(dir, format, version string, payload int) (string, error) {
	data := filepath.Join(dir, "payload")
	random := make([]byte, payload)
	rand.Read(random)
	if err := os.WriteFile(data, random, 0o644); err != nil {
		return "", err
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name:        "packagecloud-quickstart",
		Arch:        "amd64",
		Platform:    "linux",
		Version:     version,
		Release:     "1",
		Maintainer:  "Quickstart <quickstart@example.com>",
		Description: "A package made by the quickstart of packagecloud-go.",
		License:     "Apache-2.0",
		Overridables: nfpm.Overridables{Contents: files.Contents{
			{Source: data, Destination: "/usr/share/packagecloud-quickstart/payload"},
		}},
	})
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return "", fmt.Errorf("building the %s: %w", format, err)
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, packager.ConventionalFileName(info))
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := packager.Package(info, f); err != nil {
		return "", fmt.Errorf("building the %s: %w", format, err)
	}
	return path, f.Close()
}
