#!/usr/bin/env bash
# scale-bench.sh MUSTERD BUILD_DIR [PART ...] - a million instances: what each costs in memory, what a DNS query costs among
# them, how long a start with them takes, DNS while 20,000 registrations a second arrive, probes a second on one core.
# Parts: million start load probes (all of them when none is named). SERVICES=100000 makes a smaller fleet of ten each.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
musterd=$1 build=$2
shift 2
parts=" ${*:-million start load probes} "
services=${SERVICES:-100000}
. "$here/bars.sh"
w=$(mktemp -d) pid= load=
cleanup() {
	for p in $load $pid; do kill "$p" 2>/dev/null || true; wait "$p" 2>/dev/null || true; done
	rm -rf "$w"
}
trap cleanup EXIT
fleet=$build/tests/bench/fleet blast=$build/tests/bench/dnsblast

start() { # DIR [OPTION ...]; leaves pid, http, dns
	local dir=$1
	shift
	mkdir -p "$dir"
	rm -f "$dir/ports.json"
	"$musterd" --server.data_dir="$dir" --http.listen=127.0.0.1:0 --dns.listen=127.0.0.1:0 --zone.test.layout=full \
		--dns.threads=1 "$@" >"$dir/log" 2>&1 &
	pid=$!
	until [ -f "$dir/ports.json" ]; do kill -0 "$pid" || { cat "$dir/log"; exit 1; }; sleep 0.02; done
	http=$(sed -n 's/.*"http":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$dir/ports.json")
	dns=$(sed -n 's/.*"dns":\["127.0.0.1:\([0-9]*\)".*/\1/p' "$dir/ports.json")
}
stop() { kill "$pid"; wait "$pid" || true; pid=; }
checks_off() { curl -fsS -X PUT "http://127.0.0.1:$http/nacos/v1/ns/operator/switches?entry=check&value=false" >/dev/null; }
warm_copied() { # a pass over all that was registered is through; at most two minutes
	local age
	for _ in $(seq 120); do
		age=$(curl -fsS "http://127.0.0.1:$http/metrics" | awk '/^muster_warm_copy_age_seconds / {print int($2)}')
		[ "${age:-9}" -ge 2 ] || return 0
		sleep 1
	done
	echo "the warm copy is still under way: it takes processor time from what is measured"
}
rss() { awk '/^VmRSS/ {print $2}' "/proc/$pid/status"; }
queries() { # SERVICES: 200,000 random names
	python3 -c "
import random; random.seed(1)
for _ in range(200000): print(f's{random.randrange($1):05d}.svc.test A')" >"$w/queries"
}
value() { sed -n "s/.*\\b$1=\\([0-9.]*\\).*/\\1/p"; }

if [[ $parts == *" million "* ]]; then
	echo "== $((services * 10)) ephemeral instances in $services services, two metadata pairs with values of their own"
	start "$w/million"
	checks_off
	sleep 1
	empty=$(rss)
	"$fleet" "$http" register -s "$services" -i 10 -m -x
	"$fleet" "$http" register -s "$services" -i 10 -m -x -g 1
	"$fleet" "$http" list -s "$services"
	sleep 3
	bar "memory of an instance, re-registered once, every service listed" \
		$((($(rss) - empty) * 1024 / (services * 10))) "<=" 500 bytes
	warm_copied # of a million registrations within a minute: it works on after them, on the core that is measured
	queries "$services"
	taskset -a -p -c 0 "$pid" >/dev/null
	"$here/dns-peers.sh" -e -a 160 -r "${ROUNDS:-5}" -t 2 -q "$w/queries" "muster:$dns:$pid" 2>"$w/lines" | tee "$w/table"
	bar "DNS among them, random names, x echo" "$(awk '$1 == "muster" {print $3}' "$w/table")" "<=" 1.10
	stop
fi

if [[ $parts == *" start "* ]]; then
	echo "== start with $((services * 10)) persistent instances, checks off"
	cc -O2 -o "$w/first-answer" "$here/first-answer.c"
	start "$w/start"
	checks_off
	"$fleet" "$http" persistent -s "$services" -i 10 -m -c 64
	stop
	for name in s00007 "s$(printf %05d $((services - 1)))"; do
		line=$("$w/first-answer" "$musterd" "$w/start" "$name.svc.test" 10) || true
		echo "$line"
		took=$(printf '%s\n' "${took:-0}" "$(value dns_ms <<<"$line")" | sort -n | tail -1)
	done
	bar "start until DNS answers rightly, the slower of two" "$took" "<=" 4000 ms
fi

if [[ $parts == *" load "* ]]; then
	echo "== DNS while 20,000 registrations a second arrive (10,000 services of 4)"
	start "$w/load"
	checks_off
	queries 10000
	"$fleet" "$http" register -s 10000 -i 4
	most=$(for _ in 1 2 3; do taskset -c 1 "$blast" -w 128 -s 4 127.0.0.1 "$dns" "$w/queries" 1 | value qps; done | sort -n | tail -1)
	rate=${RATE:-$((${most%.*} / 2))}
	paced() { # prints "p99 lost": the best of three windows, other work can only make one worse
		for _ in 1 2 3; do
			line=$(taskset -c 1 "$blast" -w 128 -s 4 -r "$1" 127.0.0.1 "$dns" "$w/queries" 2)
			echo "   $line" >&2
			echo "$(value p99_us <<<"$line") $(value lost <<<"$line")"
		done | sort -n | head -1
	}
	echo "most without load: $most queries a second; paced at half of that, then at 10,000 a second"
	read -r idle_half lost_idle < <(paced "$rate")
	read -r idle _ < <(paced 10000)
	nice -n 5 "$fleet" "$http" register -s 10000 -i 4 -m -x -r 20000 -t 18 -q >"$w/fleet" &
	load=$!
	sleep 2
	read -r half lost < <(paced "$rate")
	read -r busy _ < <(paced 10000)
	wait "$load" && load=
	cat "$w/fleet"
	limit() { awk -v i="$1" 'BEGIN { print (i * 2 > 1000) ? i * 2 : 1000 }'; }
	bar "registrations a second that were answered meanwhile" "$(value per_s <"$w/fleet")" ">=" 19500
	bar "p99 of DNS at 10,000 a second (idle $idle us)" "$busy" "<=" "$(limit "$idle")" us
	echo "p99 at half of the ceiling: $half us, idle $idle_half us (the generator alone takes one core there)"
	bar "queries lost at half of the ceiling (idle $lost_idle)" "$lost" "<=" 0
	stop
fi

if [[ $parts == *" probes "* ]]; then
	echo "== probes on one core"
	"$build/tests/bench/bench_probes" 3 | tee "$w/probes"
	bar "TCP probes a second on one core" "$(sed -n 's|^tcp:.* \([0-9]*\)/s on one core|\1|p' "$w/probes")" ">=" 20000
	bar "HTTP probes a second on one core" "$(sed -n 's|^http:.* \([0-9]*\)/s on one core|\1|p' "$w/probes")" ">=" 8000
fi
