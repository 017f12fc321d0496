#!/usr/bin/env bash
# dns-bench.sh MUSTERD [ROUNDS=3] [SECONDS=3] [SERVICES=10000] - musterd beside Knot, NSD, BIND and the socket ceiling
# (dns-peers.sh): the same names and answers of the same size, all registered over HTTP. Core 0 serves, core 1 asks.
# The bar: server CPU of a query at most 1.08 times that of the echo. MOST=1 also finds the rate without loss.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
musterd=$1
. "$here/bars.sh"
rounds=${2:-3} secs=${3:-3} services=${4:-10000}
w=$(mktemp -d) pid=
cleanup() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }; rm -rf "$w"; }
trap cleanup EXIT
mkdir "$w/data"
"$musterd" --server.data_dir="$w/data" --dns.listen=127.0.0.1:0 --http.listen=127.0.0.1:0 \
	--zone.test.layout=full --dns.threads=1 >"$w/log" 2>&1 &
pid=$!
until [ -f "$w/data/ports.json" ]; do kill -0 "$pid" 2>/dev/null || { cat "$w/log"; exit 1; }; sleep 0.05; done
port() { sed -n 's/.*"'"$1"'":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$w/data/ports.json"; }
http=$(port http) dns=$(port dns)
python3 - "$http" "$services" <<'P'
# Ephemeral instances that send no beats: the operator switch "check" keeps them. Requests are pipelined.
import socket, sys, time
port, services = int(sys.argv[1]), int(sys.argv[2])
conns = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(32)]
files = [c.makefile("rb") for c in conns]
def answer(f):
    status = f.readline().split()
    length = 0
    while (line := f.readline().strip()):
        k, v = line.split(b":", 1)
        if k.lower() == b"content-length": length = int(v)
    body = f.read(length)
    if len(status) < 2 or status[1] != b"200":
        sys.exit(f"load: {status} {body}")
def ask(method, path): return f"{method} /nacos/v1/ns/{path} HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n".encode()
conns[0].sendall(ask("PUT", "operator/switches?entry=check&value=false")); answer(files[0])
start = time.monotonic()
for first in range(0, services, 32):
    some = range(first, min(first + 32, services))
    for c, i in zip(conns, some):
        c.sendall(b"".join(ask("POST", f"instance?serviceName=s{i:05d}&ip=10.{i>>8&255}.{i&255}.{j+1}&port=8080&ephemeral=true")
                           for j in range(4)))
    for _, f in zip(some, files):
        for _ in range(4): answer(f)
print(f"== registered {4*services} instances over HTTP in {time.monotonic()-start:.1f} s")
P
taskset -a -p -c 0 "$pid" >/dev/null
echo "== DNS, x echo"
"$here/dns-peers.sh" -r "$rounds" -t "$secs" -n "$services" ${MOST:+-m} "muster:$dns:$pid" 2>"$w/lines" >"$w/table" || { cat "$w/lines"; exit 1; }
cat "$w/table"
bar "DNS, $services services of 4, x echo" "$(awk '$1 == "muster" && NF > 6 {print $3; exit}' "$w/table")" "<=" 1.08
[ -z "${VERBOSE:-}" ] || cat "$w/lines"
