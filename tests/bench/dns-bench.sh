#!/usr/bin/env bash
# dns-bench.sh MUSTERD [ROUNDS=9] [SECONDS=1] [SERVICES=10000] - musterd beside Knot, NSD, BIND and the socket ceiling
# (dns-peers.sh): the same names and answers of the same size, all registered over HTTP. Core 0 serves, core 1 asks.
# The bars: server CPU of a query against that of the echo, over streams against the best peer, and ahead of every peer; with
# forwarding switched on, against the same program without it. ROWS picks some of: a edns cookie srv absent spread tcp dot dot-each
# forward (all of them); MOST=1 also finds the rate without loss.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
musterd=$1
. "$here/bars.sh"
rounds=${2:-9} secs=${3:-1} services=${4:-10000}
rows=" ${ROWS:-a edns cookie srv absent spread tcp dot dot-each forward} "
w=$(mktemp -d) pids=()
cleanup() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; wait "$p" 2>/dev/null || true; done
	rm -rf "$w"
}
trap cleanup EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout "$w/key.pem" \
	-out "$w/cert.pem" 2>/dev/null
load() { # HTTPPORT
python3 - "$1" "$services" <<'P'
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
}
serve() { # NAME [OPTION ...]; leaves the server's place in dns-peers.sh in spec
	local dir=$w/$1 name=$1 pid
	shift
	mkdir "$dir"
	"$musterd" --server.data_dir="$dir" --dns.listen=127.0.0.1:0 --http.listen=127.0.0.1:0 --dns.tls_listen=127.0.0.1:0 \
		--tls.cert="$w/cert.pem" --tls.key="$w/key.pem" --zone.test.layout=full --dns.threads=1 --dns.minimal_responses=on \
		--dns.tcp_per_prefix=1000 "$@" >"$dir/log" 2>&1 &
	pid=$!
	pids+=("$pid")
	until [ -f "$dir/ports.json" ]; do kill -0 "$pid" 2>/dev/null || { cat "$dir/log"; exit 1; }; sleep 0.05; done
	port() { sed -n 's/.*"'"$1"'":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$dir/ports.json"; }
	load "$(port http)"
	taskset -a -p -c 0 "$pid" >/dev/null
	spec=$name:$(port dns):$pid::$(port dns_tls)
}
peers() { # OPTION ... SPEC ...; leaves the table and a line for each round
	"$here/dns-peers.sh" -r "$rounds" -t "$secs" -n "$services" "$@" 2>"$w/lines" >"$w/table" || { cat "$w/lines"; exit 1; }
	cat "$w/table"
	[ -z "${VERBOSE:-}" ] || cat "$w/lines"
}
# The figure of SERVER in COLUMN of a row's table; a run of one row has no heading.
figure() { awk -v row="$1" -v server="$2" -v column="$3" 'BEGIN { here = 1 } $1 == "--" { here = $2 == row } here && $1 == server && NF > 6 { print $column; exit }' "$w/table"; }
row_bar() { case $1 in a) echo 1.08;; edns|absent) echo 1.06;; cookie|srv) echo 1.12;; tcp) echo 1.0;; dot*) echo 0.9;; esac; }
serve muster
plain=$spec beside=${rows/ forward / }
if [ -n "${beside// }" ]; then
	echo "== DNS:$beside"
	[[ $rows != *" dot"* || -x ${MUSTER_PEERS:-$HOME/.cache/muster-peers}/bin/knotd ]] ||
		echo "   dot: beside NSD and BIND; Knot has DNS over TLS from 3.4 on, which tests/bench/later-peers.sh would get"
	peers -R "$beside" ${MOST:+-m} "$plain"
	for row in $beside; do
		case $row in
		tcp|dot*) bar "DNS, $row, queries per CPU second, x the best peer" "$(figure "$row" muster 3)" ">=" "$(row_bar "$row")";;
		spread) ;; # answers to different sockets: what musterd does for bursts (dns.udp_gso) has no part in it
		*) bar "DNS, $services services, $row, x echo" "$(figure "$row" muster 3)" "<=" "$(row_bar "$row")";;
		esac
		for peer in knot knot+cookies knot-later nsd nsd-later bind; do
			theirs=$(figure "$row" "$peer" 2)
			[ -z "$theirs" ] || bar "DNS, $row, us a query beside $peer" "$(figure "$row" muster 2)" "<=" "$theirs"
		done
	done
fi
if [[ $rows == *" forward "* ]]; then
	serve forwarding --forward.upstreams=127.0.0.1:9 # where nobody answers: it is not asked for names of ours
	echo "== DNS: a, while other names would be forwarded, and would not"
	rounds=$((rounds * 2)) secs=$(awk -v s="$secs" 'BEGIN { print s / 2 }')
	peers -e "$plain" "$spec"
	# Of each round, then the middle: the machine's pace changes more from second to second than forwarding could.
	bar "DNS, a, CPU of a query with forwarding on, x off" "$(awk '{ for (i = 2; i <= NF; i++) if (sub("server_us_per_query=", "", $i)) us[$1, ++n[$1]] = $i }
		END { for (i = 1; i <= n["muster"]; i++) print us["forwarding", i] / us["muster", i] }' "$w/lines" |
		sort -n | awk '{ r[NR] = $1 } END { printf "%.3f", (r[int((NR + 1) / 2)] + r[int(NR / 2) + 1]) / 2 }')" "<=" 1.02
fi
