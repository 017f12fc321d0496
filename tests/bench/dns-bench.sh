#!/usr/bin/env bash
# dns-bench.sh MUSTERD [ROUNDS=3] [SECONDS=3] - loads 10,000 services of 4 addresses into a fresh musterd over HTTP and measures
# it beside the echo, Knot, NSD and BIND (dns-peers.sh). Core 0 serves, core 1 asks.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
musterd=$1 rounds=${2:-3} secs=${3:-3}
w=$(mktemp -d) pid=
trap '[ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }; rm -rf "$w"' EXIT
taskset -c 0 "$musterd" --server.data_dir="$w" --http.listen=127.0.0.1:0 --dns.listen=127.0.0.1:0 --dns.threads=1 --zone.test.layout=full >"$w/log" 2>&1 &
pid=$!
until [ -f "$w/ports.json" ]; do kill -0 "$pid" || { cat "$w/log"; exit 1; }; sleep 0.01; done
port() { sed -n 's/.*"'"$1"'":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$w/ports.json"; }
python3 - "$(port http)" <<'P'
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
def call(method, path):
    c.request(method, path); r = c.getresponse(); b = r.read()
    assert (r.status, b) == (200, b"ok"), (r.status, b)
call("PUT", "/nacos/v1/ns/operator/switches?entry=check&value=false")
for i in range(10000):
    for j in range(4):
        call("POST", f"/nacos/v1/ns/instance?serviceName=s{i:05d}&ip=10.{i >> 8 & 255}.{i & 255}.{j + 1}&port={8000 + j}&weight={j + 1}")
P
"$here/dns-peers.sh" -r "$rounds" -t "$secs" "muster:$(port dns):$pid" 2>/dev/null
