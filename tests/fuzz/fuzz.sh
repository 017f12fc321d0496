#!/usr/bin/env bash
# fuzz.sh - builds the libFuzzer targets under ASan and UBSan in a folder of their own and runs each from its seeds for
# a counted number of inputs, one process at a time. `make fuzz` calls it:
#   fuzz.sh SOURCE_DIR FUZZ_DIR TARGET...
# FUZZ_RUNS: inputs for the targets of DNS together (100,000,000 unless set), each its share, see share(); the other targets
# take theirs besides. At the end stands how many there were.
# FUZZ_SECONDS: an end for each target, whatever was run until then (0, the default: none).
# FUZZ_ONLY: names of the only targets to run. What is found stays in FUZZ_DIR/found/TARGET; a second run goes on from it.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
die() { printf 'fuzz: %s\n' "$*" >&2; exit 1; }
source_dir=$(cd "$1" && pwd) dir=$2 runs=${FUZZ_RUNS:-100000000} seconds=${FUZZ_SECONDS:-0}
shift 2
case $runs in '' | *[!0-9]*) die "FUZZ_RUNS=$runs is no number of inputs";; esac
case $seconds in '' | *[!0-9]*) die "FUZZ_SECONDS=$seconds is no number of seconds";; esac
command -v clang >/dev/null || die "clang is missing: apt-get install clang"
mkdir -p "$dir/found"
dir=$(cd "$dir" && pwd)

# What a target does per input differs ten thousandfold: connections over loopback, a whole zone, some bytes in each piece, or one
# look at them. The percentages are those of DNS and make a hundred.
share() {
	case $1 in
	fuzz_question) echo "$((runs * 80 / 100))";;
	fuzz_dns_packet) echo "$((runs * 11 / 100))";;
	fuzz_tcp_input) echo "$((runs * 8 / 100))";;
	fuzz_zone_file) echo "$((runs / 100 + 1))";;
	fuzz_http1 | fuzz_grpc) echo "$((runs / 10000 + 1))";;
	*) echo "$((runs / 100 + 1))";;
	esac
}
is_dns() { case $1 in fuzz_question | fuzz_dns_packet | fuzz_tcp_input | fuzz_zone_file) return 0;; *) return 1;; esac; }
# A question fits into 512 octets; longer inputs only take longer.
longest() { case $1 in fuzz_question | fuzz_dns_packet | fuzz_tcp_input) echo 512;; fuzz_zone_file) echo 1024;; *) echo 4096;; esac; }

if [ ! -f "$dir/Makefile" ] || [ "$source_dir/configure" -nt "$dir/config.status" ]; then
	(cd "$dir" && "$source_dir/configure" CC="${FUZZ_CC:-clang}" CFLAGS="-O1 -g -fno-sanitize-recover=undefined" \
		--enable-fuzzers --enable-sanitize=address,undefined) >"$dir/configure.log" 2>&1 ||
		{ tail -n 5 "$dir/configure.log" >&2; die "configure failed: see $dir/configure.log"; }
fi
make -C "$dir" fuzzers >"$dir/make.log" 2>&1 || { tail -n 20 "$dir/make.log" >&2; die "make failed: see $dir/make.log"; }

ran=0 failed=0 total=0 of_dns=0
for target; do
	name=${target##*/}
	[ -z "${FUZZ_ONLY:-}" ] || case " $FUZZ_ONLY " in *" $name "*) ;; *) continue;; esac
	found=$dir/found/$name log=$dir/$name.log status=0
	mkdir -p "$found"
	begun=$SECONDS
	# What is freed need not stay out of use for 256 MiB: nothing outlives its input for long, and new pages cost the most.
	ASAN_OPTIONS=quarantine_size_mb=8:${ASAN_OPTIONS:-} UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		"$dir/$target" -runs="$(share "$name")" -max_total_time="$seconds" \
		-max_len="$(longest "$name")" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$found.crash-" \
		"$found" "$source_dir/$target.in" >"$log" 2>&1 || status=$?
	inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	ran=$((ran + 1)) total=$((total + ${inputs:-0}))
	! is_dns "$name" || of_dns=$((of_dns + ${inputs:-0}))
	if [ "$status" -eq 0 ]; then
		printf 'ok     %s: %s inputs in %d s, no crash, corpus of %d\n' "$name" "$inputs" $((SECONDS - begun)) \
			"$(find "$found" -type f | wc -l)"
	else
		failed=$((failed + 1))
		tail -n 40 "$log"
		printf 'FAILED %s: status %d after %s inputs; the input is %s.crash-*, the log %s\n' "$name" "$status" \
			"${inputs:-?}" "$found" "$log"
	fi
done
[ "$ran" -gt 0 ] || die "FUZZ_ONLY=$FUZZ_ONLY names none of: $*"
printf '%s inputs to %d targets, %s of them to those of DNS, %d failed\n' "$total" "$ran" "$of_dns" "$failed"
[ "$failed" -eq 0 ]
