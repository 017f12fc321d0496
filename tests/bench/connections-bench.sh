#!/usr/bin/env bash
# connections-bench.sh MUSTERD - gRPC connections that do nothing: memory of each, what their health checks cost, 50,000 of
# them from several source addresses. Core 0 serves, core 1 loads. PARTS: any of "memory cpu many" (all when not set). A part
# that needs more descriptors than `ulimit -H -n` allows is made smaller, and says so; 50,000 are then not measured.
# The CPU of health checks stands beside that of a bare echo over as many sockets in the same run (tcpfloor.c).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
musterd=$1 parts=" ${PARTS:-memory cpu many} "
. "$here/bars.sh"
w=$(mktemp -d) pid=
cleanup() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }; rm -rf "$w"; }
trap cleanup EXIT
allowed=$(ulimit -H -n)
[ "$allowed" = unlimited ] && allowed=1048576
ulimit -n "$allowed"
cc -O2 -o "$w/nacosblast" "$here"/nacosblast/*.c -lnghttp2 -lz

hold() { # CONNECTIONS SECONDS [OPTION ...]; the line of figures goes to $w/line
	local count=$1 seconds=$2
	shift 2
	rm -rf "$w/data"
	taskset -c 0 "$musterd" --server.data_dir="$w/data" --http.listen=127.0.0.1:0 --dns.listen=127.0.0.1:0 --dns.threads=1 \
		--grpc.connections=100000 --grpc.connections_per_address=100000 >"$w/log" 2>&1 &
	pid=$!
	until [ -f "$w/data/ports.json" ]; do kill -0 "$pid" || { cat "$w/log"; exit 1; }; sleep 0.02; done
	sleep 1
	port() { sed -n 's/.*"'"$1"'":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$w/data/ports.json"; }
	taskset -c 1 "$w/nacosblast" grpc-idle -H "$(port http)" -G "$(port grpc)" -P "$pid" -c "$count" -t "$seconds" "$@" | tee "$w/line" || true
	kill "$pid"
	wait "$pid" || true
	pid=
}
value() { sed -n "s/.*\\b$1=\\([0-9.]*\\).*/\\1/p" "$w/line"; }

if [[ $parts == *" memory "* ]]; then
	echo "== 10,000 idle gRPC connections: memory"
	hold 10000 3
	bar "memory of an idle gRPC connection" "$(value bytes_per_conn)" "<=" 12288 bytes
fi
if [[ $parts == *" cpu "* ]]; then
	count=$((allowed < 20300 ? allowed - 300 : 20000))
	echo "== $count gRPC connections, each with a health check every 5 s: CPU"
	cc -O2 -o "$w/tcpfloor" "$here/tcpfloor.c"
	: >"$w/floor"
	floor() { "$w/tcpfloor" echo "$count" $((count / 5)) 8 | tee -a "$w/floor"; }
	floor
	hold "$count" 20 -b 5
	floor
	bar "CPU of 20,000 connections with health checks every 5 s" \
		"$(awk -v us="$(value cpu_us_per_conn_s)" 'BEGIN { printf "%.1f", us * 20000 / 1e4 }')" "<=" 5 "% of a core"
	beside "a bare echo of as many bytes on as many sockets, before, after" \
		"$(awk -F= -v scale="$((count / 5))" '{ printf "%s%.1f", (NR > 1 ? " " : ""), $NF * 4000 / scale }' "$w/floor")" "% of a core"
fi
if [[ $parts == *" many "* ]]; then
	echo "== 50,000 gRPC connections from 8 source addresses"
	if [ "$allowed" -lt 50300 ]; then
		echo "only $allowed descriptors are allowed here (ulimit -H -n): as many as fit; make bench-connections-vm holds 50,000"
		hold $((allowed - 300)) 10 -A 8 -b 5
		bar "50,000 gRPC connections at a time, those that are up" "" ">=" 50000
	else
		hold 50000 10 -A 8 -b 5
		bar "50,000 gRPC connections at a time, those that are up" "$(value up)" ">=" 50000
		bar "50,000 gRPC connections: errors and lost ones" "$(($(value errors) + $(value closed)))" "<=" 0
	fi
fi
