#!/usr/bin/env bash
# Fetches the 22 paintings of Debian's package gcompris-qt-data, a stand-in for the images of colour
# transport, to .cache/paintings/paintings.rcc. Does nothing where they are installed or fetched
# already. On Debian or Ubuntu, without root: 44 MB are downloaded, 2 MB kept.
#
# Usage: scripts/get_paintings.sh            fetch them where they are missing
#        scripts/get_paintings.sh --check    check only
set -euo pipefail

name=get_paintings
package=gcompris-qt-data
inside=usr/share/gcompris-qt/rcc/paintings.rcc
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
kept=$here/.cache/paintings/paintings.rcc

give_up() {
    echo "$name: $1" >&2
    echo "$name: have the Debian package $package installed, or name a folder of your own images" >&2
    echo "$name: in the config's measures.palettes.folder" >&2
    exit 3
}

for found in "/$inside" "$kept"; do
    if [ -f "$found" ]; then
        echo "$name: $found is there; nothing to do"
        exit 0
    fi
done
[ "${1:-}" != "--check" ] || give_up "not installed and not fetched"
for program in apt-get dpkg-deb; do
    command -v "$program" >/dev/null 2>&1 || give_up "this is not a Debian system (no $program)"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -q download "$package" || give_up "apt-get could not download $package"
dpkg-deb -x "$package"_*.deb unpacked || give_up "the package is damaged"
[ -f "unpacked/$inside" ] || give_up "the package has no $inside"
mkdir -p -- "$(dirname -- "$kept")"
cp -- "unpacked/$inside" "$kept.partial.$$"
mv -- "$kept.partial.$$" "$kept"
echo "$name: $kept is there now"
