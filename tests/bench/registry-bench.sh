#!/usr/bin/env bash
# registry-bench.sh MUSTERD [ROUNDS=3] [SECONDS=3] - server CPU per HTTP and gRPC operation against an echo of the same
# protocol (registry-peers.sh), how late pushes are, memory of an empty server, and the time from exec to the first answers.
# Core 0 serves, core 1 loads. PARTS names what is measured: any of "start http grpc push udp" (all of them when not set).
# Pushes to 10,000 stand beside what bare writes of the same bytes need in the same run (tcpfloor.c): no server is below.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
musterd=$1
. "$here/bars.sh"
rounds=${2:-3} secs=${3:-3} parts=" ${PARTS:-start http grpc push udp} "
w=$(mktemp -d) pid=
cleanup() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }; rm -rf "$w"; }
trap cleanup EXIT
value() { sed -n "s/.*\\b$1=\\([0-9.]*\\).*/\\1/p" "$2" | paste -sd ' '; } # NAME FILE
start() { # leaves pid, http, dns
	mkdir -p "$1"
	rm -f "$1/ports.json"
	taskset -c 0 "$musterd" --server.data_dir="$1" --http.listen=127.0.0.1:0 --dns.listen=127.0.0.1:0 --dns.threads=1 >"$1/log" 2>&1 &
	pid=$!
	until [ -f "$1/ports.json" ]; do kill -0 "$pid" || { cat "$1/log"; exit 1; }; sleep 0.01; done
	http=$(sed -n 's/.*"http":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$1/ports.json")
	grpc=$(sed -n 's/.*"grpc":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$1/ports.json")
	dns=$(sed -n 's/.*"dns":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$1/ports.json")
}
stop() { kill "$pid"; wait "$pid" || true; pid=; }

peers() { # PART OPTION ...; the table goes to $w/PART
	local part=$1
	shift
	"$here/registry-peers.sh" -r "$rounds" -t "$secs" "$@" "muster:$http:$grpc:$pid" 2>"$w/lines" >"$w/$part" || { cat "$w/lines"; exit 1; }
	cat "$w/$part"
	[ -z "${VERBOSE:-}" ] || cat "$w/lines"
}
of() { awk -v m="$2" -v c="$3" '$1 == m && $2 == "muster" {print $c; exit}' "$w/$1"; } # PART MODE COLUMN
sound() { # PART LAST_COLUMN: errors, and pushes that did not come, make a figure worthless
	bar "$1: errors of the load" "$(awk -v c="$2" '$2 == "muster" {n += $c} END {print n + 0}' "$w/$1")" "<=" 0
}

if [[ $parts == *" start "* ]]; then
	cc -O2 -o "$w/first-answer" "$here/first-answer.c"
	echo "== start: exec to the first DNS answer and the first /health, empty directory each time (ms)"
	for i in $(seq "$rounds"); do "$w/first-answer" "$musterd" "$w/start$i" | tee -a "$w/starts"; done
	bar "start, empty, until DNS and HTTP answer (median)" \
		"$(sed 's/.*dns_ms=\([0-9.]*\) http_ms=\([0-9.]*\).*/\1 \2/' "$w/starts" | awk '{print ($1 > $2 ? $1 : $2)}' | sort -n | sed -n "$(((rounds + 1) / 2))p")" "<=" 50 ms
fi

ulimit -n "$(ulimit -H -n)"
start "$w/data"
sleep 1
if [[ $parts == *" start "* ]]; then
	echo "== memory of an empty server: $(awk '/^VmRSS/ {printf "%.1f MB resident", $2 / 1024} /^RssAnon/ {printf ", %.1f MB of it anonymous", $2 / 1024}' "/proc/$pid/status")"
	bar "memory of an empty server" "$(awk '/^VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$pid/status")" "<=" 12 MB
fi
curl -fsS -X PUT "http://127.0.0.1:$http/nacos/v1/ns/operator/switches?entry=check&value=false" >/dev/null

if [[ $parts == *" http "* ]]; then
	echo "== HTTP, x echo"
	peers http -m "${MODES:-http-register http-beat http-list http-persistent}"
	bar "http-register, x echo" "$(of http http-register 5)" "<=" 2.5
	bar "http-beat, x echo" "$(of http http-beat 5)" "<=" 1.6
	bar "http-list of 10, x echo" "$(of http http-list 5)" "<=" 1.4
	bar "http-persistent, fsync before the answer, x echo" "$(of http http-persistent 5)" "<=" 8
	bar "http-persistent a second" "$(of http http-persistent 3)" ">=" 15000
fi

if [[ $parts == *" grpc "* ]]; then
	echo "== gRPC, 64 connections of 8 in flight, x echo"
	peers grpc -m "${GRPC_MODES:-grpc-register grpc-query}"
	bar "grpc-register, x echo" "$(of grpc grpc-register 5)" "<=" 5
	bar "grpc-register a second on one core" "$(of grpc grpc-register 3)" ">=" 60000
	bar "grpc-query of 10, x echo" "$(of grpc grpc-query 5)" "<=" 2
	sound grpc 10
fi

if [[ $parts == *" push "* ]]; then
	echo "== gRPC, one change to 200 subscribers, then to 10,000: from its acknowledgement to each of them"
	peers push -m grpc-push -s 200
	bar "grpc-push, the last of 200 subscribers, median" "$(of push grpc-push 9)" "<=" 5 ms
	sound push 12
	bar "push: pushes that did not come" "$(of push grpc-push 4)" "<=" 0
	cc -O2 -o "$w/tcpfloor" "$here/tcpfloor.c"
	: >"$w/floor"
	floor() { "$w/tcpfloor" push "$(($(ulimit -n) < 10300 ? $(ulimit -n) - 300 : 10000))" 3700 5 | tee -a "$w/floor"; }
	floor
	rounds=1 peers push -m grpc-push -s 10000 -o "-W 2000"
	floor
	bar "grpc-push, the last of 10,000 subscribers, median" "$(of push grpc-push 9)" "<=" 100 ms
	beside "bare writes of as many bytes to as many sockets, before, after" "$(value last_p50_ms "$w/floor")" ms
	sound push 12
	bar "push: pushes that did not come" "$(of push grpc-push 4)" "<=" 0
fi

if [[ $parts == *" udp "* ]]; then
	echo "== UDP, one change to 200 subscribers of 1.x: from its acknowledgement to each of them"
	peers udp -m http-push -s 200
	bar "http-push, the last of 200 subscribers over UDP, median" "$(of udp http-push 9)" "<=" 10 ms
	sound udp 12
	bar "udp: pushes that did not come" "$(of udp http-push 4)" "<=" 0
fi
stop
