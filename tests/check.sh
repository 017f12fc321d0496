#!/usr/bin/env bash
# check.sh - every test in every build, as ./bootstrap check runs it. Ends with one line
# "N passed, N failed, N skipped"; exit status 1 when something failed. With CI=true a skip counts as a
# failure. MUSTER_CHECK="plain asan tsan clang blackbox asan-blackbox tree interop" picks parts.
set -uo pipefail
cd "$(dirname "$0")/.."
parts=${MUSTER_CHECK:-tree plain blackbox interop asan asan-blackbox tsan clang}
tally=$(mktemp -d)
interop=
trap '[ -z "$interop" ] || kill "$interop" 2>/dev/null; rm -rf "$tally"' EXIT
started=$SECONDS
has() { case " $parts " in *" $1 "*) return 0;; *) return 1;; esac; }
step() { printf '\n== %s (%d s)\n' "$1" "$((SECONDS - started))"; }
build() { MAKE_MORE="check-programs ${more:-}" ./bootstrap --build-only "$@"; }
broken() { echo "FAILED $1"; echo "0 1 0" >>"$tally/counts"; }
unit() { # DIR LABEL
	/usr/bin/python3 tests/support/run_units.py --build "$1" --label "$2" --counts "$tally/counts"
}
blackbox() { # DIR LABEL
	/usr/bin/python3 tests/support/run_blackbox.py --build "$1" --label "$2" --counts "$tally/counts"
}

if has tree; then
	step "tree: includes against the map"
	/usr/bin/python3 tests/support/check_tree.py --counts "$tally/counts"
fi
if has plain || has blackbox || has interop; then
	step "gcc, warnings are errors"
	if more=tests/support/musterd-broken build build-check gcc --enable-werror; then
		# Official SDKs mostly wait, so they do it beside all that follows.
		if has interop; then
			/usr/bin/python3 tests/support/run_interop.py --build build-check --counts "$tally/counts" >"$tally/interop.log" 2>&1 &
			interop=$!
		fi
		has plain && { step "unit tests"; unit build-check plain; }
		has blackbox && { step "black-box tests"; blackbox build-check plain; }
	else
		broken "build with gcc"
	fi
fi
if has asan || has asan-blackbox; then
	step "gcc, ASan and UBSan"
	if build build-asan gcc --enable-werror --enable-sanitize=address,undefined CFLAGS="-O1 -g -fno-sanitize-recover=undefined"; then
		has asan && { step "unit tests under ASan and UBSan"; unit build-asan asan; }
		has asan-blackbox && { step "black-box tests under ASan and UBSan"; blackbox build-asan asan; }
	else
		broken "build with ASan"
	fi
fi
if has tsan; then
	step "clang, TSan"
	if build build-tsan clang --enable-werror --enable-sanitize=thread CFLAGS="-O1 -g"; then
		step "unit tests under TSan"; unit build-tsan tsan
	else
		broken "build with TSan"
	fi
fi
if has clang; then
	step "clang, warnings are errors"
	if build build-clang clang --enable-werror; then echo "ok clang"; echo "1 0 0" >>"$tally/counts"; else broken "build with clang"; fi
fi
if [ -n "$interop" ]; then
	step "official SDKs and applications"
	wait "$interop" || [ -s "$tally/interop.log" ] || broken "interop"
	interop=
	cat "$tally/interop.log"
fi
step "done"
awk -v ci="${CI:-}" '{ p += $1; f += $2; s += $3 } END {
	if (ci == "true" && s > 0) { printf "%d skips count as failures (CI=true)\n", s; f += s; s = 0 }
	printf "%d passed, %d failed, %d skipped\n", p, f, s; exit (f > 0 || p == 0) }' "$tally/counts"
