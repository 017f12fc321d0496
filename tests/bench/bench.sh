#!/usr/bin/env bash
# bench.sh MUSTERD - what `make bench` runs: DNS beside Knot, NSD and BIND (where installed), HTTP against an echo, memory,
# start, a million instances, probes, and acknowledged-is-resolvable with 100,000 operations. Alone on the two cores;
# ratios within one run count. At the end every figure stands beside its bar; a missed one makes the status 1.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
musterd=$1 build=$2 resolvable=$2/tests/bench/resolvable
export BARS=$(mktemp)
. "$here/bars.sh"
for p in knotd nsd named; do PATH=$PATH:/usr/sbin command -v $p >/dev/null || echo "$p is not installed: its row is missing (apt-get install knot nsd bind9)"; done
export PATH=$PATH:/usr/sbin
"$here/dns-bench.sh" "$musterd"
"$here/registry-bench.sh" "$musterd"
"$here/connections-bench.sh" "$musterd"
"$here/scale-bench.sh" "$musterd" "$build"
echo "== acknowledged is resolvable: 100,000 operations"
w=$(mktemp -d) pid=
trap '[ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }; rm -rf "$w" "$BARS"' EXIT
"$musterd" --server.data_dir="$w" --http.listen=127.0.0.1:0 --dns.listen=127.0.0.1:0 --dns.threads=2 >"$w/log" 2>&1 &
pid=$!
until [ -f "$w/ports.json" ]; do kill -0 "$pid"; sleep 0.05; done
port() { sed -n 's/.*"'"$1"'":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$w/ports.json"; }
"$resolvable" "$(port http)" "$(port dns)" 100000 5000
echo "== figures and bars"
cat "$BARS"
! grep -q "MISSED$" "$BARS"
