# bars.sh - sourced by the benchmarks: a figure, its bar, and whether it is held.
#   bar WHAT FIGURE "<=" BAR UNIT    prints and counts; the figure may be empty: it was not measured
# The lines also go to $BARS when that names a file; bench.sh prints them all at its end.
#   beside WHAT FIGURE UNIT          a figure without a bar, which tells how to read the one before it
beside() { printf '    %-62s %12s   %s\n' "$1" "${2:--}" "$3" | tee -a "${BARS:-/dev/null}"; }
bar() {
	local verdict
	verdict=$(awk -v f="$2" -v op="$3" -v b="$4" 'BEGIN { if (f == "") print "not measured"; else print (op == "<=" ? f + 0 <= b + 0 : f + 0 >= b + 0) ? "ok" : "MISSED" }')
	printf '%-66s %12s   bar %s %s %s: %s\n' "$1" "${2:--}" "$3" "$4" "${5:-}" "$verdict" | tee -a "${BARS:-/dev/null}"
}
