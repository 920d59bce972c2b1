#!/bin/sh
# Builds realvault once per machine and prints the binary's path. The first build
# downloads 476 MiB of modules and takes minutes, so that it can't be a part of
# go test. The path names the contents of the module's files: a change of any of
# them makes a new binary. Set NO_BUILD=1 to only print the path.
set -eu
cd "$(dirname "$0")"
case $(uname -s) in
Darwin) cache=$HOME/Library/Caches ;;
*) cache=${XDG_CACHE_HOME:-$HOME/.cache} ;;
esac
sum() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }
hash=$(cat go.mod go.sum main.go | sum | cut -c1-16)
binary=$cache/packagecloud-go/realvault-$hash
if [ ! -x "$binary" ] && [ -z "${NO_BUILD:-}" ]; then
	mkdir -p "$(dirname "$binary")"
	# Renamed into place, so that a build that was cut off is never used and two
	# at once do no harm.
	partial=$binary.$$
	trap 'rm -f "$partial"' EXIT
	GOWORK=off CGO_ENABLED=0 nice -n 19 go build -trimpath -ldflags "-s -w" -o "$partial" . >&2
	mv "$partial" "$binary"
fi
echo "$binary"
