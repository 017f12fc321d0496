#!/usr/bin/env bash
# registry-bench.sh MUSTERD [ROUNDS=3] [SECONDS=3] - server CPU per HTTP operation against an echo of the same protocol
# (registry-peers.sh), memory of an empty server, and the time from exec to the first answers. Core 0 serves, core 1 loads.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
musterd=$1
. "$here/bars.sh"
rounds=${2:-3} secs=${3:-3}
w=$(mktemp -d) pid=
cleanup() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }; rm -rf "$w"; }
trap cleanup EXIT
start() { # leaves pid, http, dns
	mkdir -p "$1"
	rm -f "$1/ports.json"
	taskset -c 0 "$musterd" --server.data_dir="$1" --http.listen=127.0.0.1:0 --dns.listen=127.0.0.1:0 --dns.threads=1 >"$1/log" 2>&1 &
	pid=$!
	until [ -f "$1/ports.json" ]; do kill -0 "$pid" || { cat "$1/log"; exit 1; }; sleep 0.01; done
	http=$(sed -n 's/.*"http":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$1/ports.json")
	dns=$(sed -n 's/.*"dns":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$1/ports.json")
}
stop() { kill "$pid"; wait "$pid" || true; pid=; }

cc -O2 -o "$w/first-answer" "$here/first-answer.c"
echo "== start: exec to the first DNS answer and the first /health, empty directory each time (ms)"
for i in $(seq "$rounds"); do "$w/first-answer" "$musterd" "$w/start$i" | tee -a "$w/starts"; done
bar "start, empty, until DNS and HTTP answer (median)" \
	"$(sed 's/.*dns_ms=\([0-9.]*\) http_ms=\([0-9.]*\).*/\1 \2/' "$w/starts" | awk '{print ($1 > $2 ? $1 : $2)}' | sort -n | sed -n "$(((rounds + 1) / 2))p")" "<=" 50 ms

start "$w/data"
sleep 1
echo "== memory of an empty server: $(awk '/^VmRSS/ {printf "%.1f MB resident", $2 / 1024} /^RssAnon/ {printf ", %.1f MB of it anonymous", $2 / 1024}' "/proc/$pid/status")"
bar "memory of an empty server" "$(awk '/^VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$pid/status")" "<=" 12 MB
curl -fsS -X PUT "http://127.0.0.1:$http/nacos/v1/ns/operator/switches?entry=check&value=false" >/dev/null
echo "== HTTP, x echo"
"$here/registry-peers.sh" -r "$rounds" -t "$secs" -m "${MODES:-http-register http-beat http-list http-persistent}" "muster:$http:$http:$pid" 2>"$w/lines" >"$w/table" || { cat "$w/lines"; exit 1; }
cat "$w/table"
of() { awk -v m="$1" -v c="$2" '$1 == m && $2 == "muster" {print $c; exit}' "$w/table"; } # MODE COLUMN
bar "http-register, x echo" "$(of http-register 5)" "<=" 2.5
bar "http-beat, x echo" "$(of http-beat 5)" "<=" 1.6
bar "http-list of 10, x echo" "$(of http-list 5)" "<=" 1.4
bar "http-persistent, fsync before the answer, x echo" "$(of http-persistent 5)" "<=" 8
bar "http-persistent a second" "$(of http-persistent 3)" ">=" 15000
[ -z "${VERBOSE:-}" ] || cat "$w/lines"
stop
