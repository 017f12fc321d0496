#!/usr/bin/env bash
# later-peers.sh [FOLDER=~/.cache/muster-peers] - Knot and NSD of the Debian release after this one, for the rows of dns-bench.sh
# that need them: Knot speaks DNS over TLS from 3.4 on. They are unpacked, with the C library and all else that they were built
# for, and not installed: FOLDER/bin has a command for each that starts it with those. apt's own lists and sources stay as they
# are. About 20 MB are loaded.
set -euo pipefail
to=${1:-${MUSTER_PEERS:-$HOME/.cache/muster-peers}} release=trixie
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] || { echo "later-peers.sh: $keys is missing: only Debian's own packages are taken" >&2; exit 1; }
w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
mkdir -p "$w/lists/partial" "$w/cache/archives/partial" "$w/load" "$w/root"
echo "deb [signed-by=$keys] http://deb.debian.org/debian $release main" >"$w/sources"
: >"$w/status" # nothing is installed as far as this apt knows, so it names every library
echo 'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";' >"$w/conf"
later() { # apt-get with lists of its own
	APT_CONFIG=$w/conf apt-get -o Dir::Etc::SourceList="$w/sources" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$w/lists" \
		-o Dir::State::status="$w/status" -o Dir::Cache="$w/cache" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 -q "$@"
}
later update >"$w/log" 2>&1 || { cat "$w/log" >&2; exit 1; }
mapfile -t wanted < <(later install -s --no-install-recommends knot nsd | awk '$1 == "Inst" && $2 ~ /^(lib|knot$|nsd$|zlib)/ { print $2 }')
(cd "$w/load" && later download "${wanted[@]}") >"$w/log" 2>&1 || { cat "$w/log" >&2; exit 1; }
for package in "$w"/load/*.deb; do dpkg -x "$package" "$w/root"; done
mkdir "$w/root/bin"
rm -rf "$to" && mkdir -p "${to%/*}" && cp -a "$w/root" "$to"
libraries=$(dirname "$(find "$to/usr/lib" -name 'ld-linux*.so.*' | head -n 1)")
for program in knotd nsd; do
	printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$(echo "$libraries"/ld-linux*.so.*)" "$libraries" "$to/usr/sbin/$program" >"$to/bin/$program"
	chmod +x "$to/bin/$program"
done
"$to/bin/knotd" -V
"$to/bin/nsd" -v 2>&1 | head -n 1
