#!/usr/bin/env bash
# dns-bench.sh MUSTERD [ROUNDS=3] [SECONDS=3] [SERVICES=10000] - musterd beside Knot, NSD, BIND and the socket ceiling
# (dns-peers.sh): the same names and answers of the same size, all registered over HTTP. Core 0 serves, core 1 asks.
# The bars: server CPU of a query against that of the echo, over streams against the best peer, and ahead of every peer.
# ROWS picks some rows of dns-peers.sh; MOST=1 also finds the rate without loss.
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
	--zone.test.layout=full --dns.threads=1 --dns.minimal_responses=on \
	--dns.tcp_per_prefix=1000 >"$w/log" 2>&1 &
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
rows=${ROWS:-a edns cookie srv absent tcp}
echo "== DNS: $rows"
"$here/dns-peers.sh" -r "$rounds" -t "$secs" -n "$services" -R "$rows" ${MOST:+-m} "muster:$dns:$pid" 2>"$w/lines" >"$w/table" || { cat "$w/lines"; exit 1; }
cat "$w/table"
# The figure of SERVER in COLUMN of a row's table; a run of one row has no heading.
figure() { awk -v row="$1" -v server="$2" -v column="$3" 'BEGIN { here = 1 } $1 == "--" { here = $2 == row } here && $1 == server && NF > 6 { print $column; exit }' "$w/table"; }
row_bar() { case $1 in a) echo 1.08;; edns|absent) echo 1.06;; cookie|srv) echo 1.12;; tcp) echo 1.0;; esac; }
for row in $rows; do
	case $row in
	tcp) bar "DNS over TCP, queries per CPU second, x the best peer" "$(figure tcp muster 3)" ">=" "$(row_bar tcp)";;
	*) bar "DNS, $services services, $row, x echo" "$(figure "$row" muster 3)" "<=" "$(row_bar "$row")";;
	esac
	for peer in knot knot+cookies nsd bind; do
		theirs=$(figure "$row" "$peer" 2)
		[ -z "$theirs" ] || bar "DNS, $row, us a query beside $peer" "$(figure "$row" muster 2)" "<=" "$theirs"
	done
done
[ -z "${VERBOSE:-}" ] || cat "$w/lines"
