#!/usr/bin/env bash
# demo.sh MUSTERD DIR - starts MUSTERD in the foreground with its data under DIR, and shows on real local backends what
# it does: registrations, weights, health checks, and the DNS answers that follow them. All that is printed is what the
# server and dig say. MUSTER_DEMO_HTTP, MUSTER_DEMO_DNS (ADDRESS:PORT) move the listeners; MUSTER_DEMO_ONCE=1 ends after
# the tour.
set -euo pipefail
musterd=$1 dir=$2
here=$(cd "$(dirname "$0")" && pwd)
http=${MUSTER_DEMO_HTTP:-127.0.0.1:8848} dns=${MUSTER_DEMO_DNS:-127.0.0.1:5300}
zone=muster.internal backend_port=${MUSTER_DEMO_BACKEND_PORT:-9080}
pids=() server=
mkdir -p "$dir/data"

stop_all() {
	trap - EXIT INT TERM
	for p in "${pids[@]:-}"; do [ -z "$p" ] || kill "$p" 2>/dev/null || true; done
	[ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
}
trap 'stop_all' EXIT
trap 'echo; echo "stopping"; stop_all; exit 0' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '  $ %s\n' "$*"; "$@" 2>&1 | sed 's/^/  /'; }
ask() { dig "@${dns%:*}" -p "${dns##*:}" +norec +noall +answer "$@" 2>&1 | sed 's/^/  /'; }
query() { printf '  $ dig @%s -p %s %s\n' "${dns%:*}" "${dns##*:}" "$*"; ask "$@"; }
post() { # PATH FIELD...
	local path=$1 args=(); shift
	for f in "$@"; do args+=(--data-urlencode "$f"); done
	printf '  $ curl -X POST http://%s%s' "$http" "$path"; printf " -d '%s'" "$@"; echo
	printf '  %s\n' "$(curl -sS -X POST "http://$http$path" "${args[@]}")"
}
backend() { # ADDRESS [--beat ...]
	python3 "$here/backend.py" "$1" "$backend_port" "${@:2}" >>"$dir/backends.log" 2>&1 &
	pids+=($!)
}
until_true() { # SECONDS COMMAND...
	local end=$((SECONDS + $1)); shift
	until "$@"; do [ "$SECONDS" -lt "$end" ] || return 1; sleep 0.1; done
}
count_is() { [ "$(ask "$1.svc.$zone" A | grep -c .)" -eq "$2" ]; }
serving() { [ -f "$dir/data/ports.json" ] && curl -fsS "http://$http/health" >/dev/null 2>&1; }

"$musterd" --server.data_dir="$dir/data" --http.listen="$http" --dns.listen="$dns" >"$dir/musterd.log" 2>&1 &
server=$!
until_true 20 eval 'serving || ! kill -0 $server 2>/dev/null' || true
if ! kill -0 "$server" 2>/dev/null; then
	server=
	echo "bootstrap: musterd did not start: $(tail -n 1 "$dir/musterd.log")" >&2
	exit 1
fi
say "Muster runs: HTTP http://$http, DNS $dns, data in $dir/data, log in $dir/musterd.log"

say "1. 'orders' registers itself and sends heartbeats: two backends, weights 1 and 3"
backend 127.0.0.11 --beat "http://$http" orders 1
backend 127.0.0.12 --beat "http://$http" orders 3
until_true 10 count_is orders 2 || true
query "orders.svc.$zone" A
query "orders.svc.$zone" SRV

say "   of 400 answers, how often does each address stand first? (weights 1:3)"
for _ in $(seq 400); do echo "orders.svc.$zone A"; done >"$dir/questions"
dig "@${dns%:*}" -p "${dns##*:}" +norec +short -f "$dir/questions" | awk 'NR % 2 == 1 { n[$1]++ } END { for (a in n) print "  " a ": " n[a] }' | sort

say "2. 'stock' is persistent: registered once, probed over HTTP by the server"
backend 127.0.0.13
backend 127.0.0.14
first_stock=${pids[-2]}
for a in 127.0.0.13 127.0.0.14; do until_true 5 curl -fs -o /dev/null "http://$a:$backend_port/health" || true; done
post /nacos/v1/ns/instance serviceName=stock ip=127.0.0.13 port="$backend_port" ephemeral=false weight=1
post /nacos/v1/ns/instance serviceName=stock ip=127.0.0.14 port="$backend_port" ephemeral=false weight=3
printf '  $ curl -X PUT http://%s/nacos/v1/ns/cluster ... healthChecker={"type":"HTTP","path":"/health"}\n' "$http"
curl -sS -X PUT "http://$http/nacos/v1/ns/cluster" --data-urlencode serviceName=stock --data-urlencode clusterName=DEFAULT \
	--data-urlencode checkPort=80 --data-urlencode useInstancePort4Check=true \
	--data-urlencode 'healthChecker={"type":"HTTP","path":"/health","expectedResponseCode":200}' | sed 's/^/  /'
echo
query "stock.svc.$zone" A

say "3. the backend on 127.0.0.13 is stopped; the probe notices"
kill "$first_stock"
stopped=$SECONDS
until_true 30 count_is stock 1 || true
query "stock.svc.$zone" A
echo "  (about $((SECONDS - stopped)) s after the stop)"
printf '  $ curl http://%s/muster/v1/instances?serviceName=stock\n' "$http"
curl -sS "http://$http/muster/v1/instances?serviceName=stock" | sed 's/^/  /'
echo

say "Try next"
cat <<T
  dig @${dns%:*} -p ${dns##*:} orders.svc.$zone SRV
  dig @${dns%:*} -p ${dns##*:} _orders._tcp.svc.$zone SRV
  curl 'http://$http/nacos/v1/ns/instance/list?serviceName=orders'
  curl -X PUT 'http://$http/nacos/v1/ns/instance?serviceName=orders&ip=127.0.0.12&port=$backend_port&enabled=false'
  curl http://$http/metrics
  README.md: five-minute tour, recipes for dnsmasq, unbound, CoreDNS and resolv.conf
T
[ -z "${MUSTER_DEMO_ONCE:-}" ] || exit 0
say "Muster stays until Ctrl-C"
wait "$server" || { echo "musterd ended: $(tail -n 1 "$dir/musterd.log")" >&2; server=; exit 1; }
