"""What is on every machine: dig, nslookup, glibc. Others: test_consumers_follow.py."""
import os
import re
import subprocess
import tempfile

import pytest
from conftest import MUSTERD, SLOW, need

ZONE = "muster.internal"


def test_dig_gets_weighted_addresses_and_services(server):
    need("dig")
    server.register("dig-me", "10.20.1.1", 8080, weight=1)
    server.register("dig-me", "10.20.1.2", 8080, weight=3)
    base = ["dig", "@127.0.0.1", "-p", str(server.dns[1]), "+norec"]
    out = subprocess.run(base + [f"dig-me.svc.{ZONE}", "A"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "status: NOERROR" in out and re.search(r"flags: qr aa;", out), out
    assert re.search(r"dig-me\.svc\.muster\.internal\.\s+5\s+IN\s+A\s+10\.20\.1\.1", out) and "10.20.1.2" in out
    out = subprocess.run(base + ["+short", f"_dig-me._tcp.svc.{ZONE}", "SRV"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert sorted(out.split("\n")[:2]) == ["10 16384 8080 10-20-1-1.i.muster.internal.", "10 49152 8080 10-20-1-2.i.muster.internal."]
    out = subprocess.run(base + ["+tcp", f"absent.svc.{ZONE}"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "status: NXDOMAIN" in out and "SOA" in out
    out = subprocess.run(base + ["www.example.com"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "status: REFUSED" in out


def test_nslookup_gets_the_addresses(server):
    need("nslookup")
    server.register("look-me", "10.20.2.1", 8080)
    out = subprocess.run(["nslookup", f"-port={server.dns[1]}", f"look-me.svc.{ZONE}", "127.0.0.1"], stdout=subprocess.PIPE, text=True).stdout
    assert "Address: 10.20.2.1" in out, out


GLIBC = r"""
set -e
ip link set lo up
ip address add 10.99.0.1/24 dev lo
ip -6 address add fd99::1/64 dev lo nodad
mount --make-rprivate /
printf 'nameserver 127.0.0.1\nsearch svc.muster.internal\noptions timeout:1 attempts:2\n' > "$1/resolv.conf"
printf 'hosts: dns\n' > "$1/nsswitch.conf"
mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)"
mount --bind "$1/nsswitch.conf" "$(readlink -f /etc/nsswitch.conf)"
"$2" --server.data_dir="$1/data" --dns.listen=127.0.0.1:53 --http.listen=127.0.0.1:8848 >"$1/log" 2>&1 &
server=$!
for i in $(seq 200); do [ -f "$1/data/ports.json" ] && break; sleep 0.05; done
reg() { /usr/bin/python3 -c 'import sys, urllib.request as u; print(u.urlopen(u.Request("http://127.0.0.1:8848/nacos/v1/ns/instance?" + sys.argv[2], method=sys.argv[1])).read().decode())' "$@"; }
reg POST "serviceName=glibc-one&ip=10.30.0.1&port=80" >/dev/null
reg POST "serviceName=glibc-one&ip=10.30.0.2&port=80" >/dev/null
reg POST "serviceName=six&ip=fd00::7&port=80" >/dev/null
echo "short: $(getent ahostsv4 glibc-one | awk '/STREAM/ {print $1}' | sort | tr '\n' ' ')"
echo "full: $(getent hosts glibc-one.svc.muster.internal | wc -l)"
echo "six: $(getent ahostsv6 six | awk '/STREAM/ {print $1}')"
reg DELETE "serviceName=glibc-one&ip=10.30.0.1&port=80" >/dev/null
echo "left: $(getent ahostsv4 glibc-one | awk '/STREAM/ {print $1}')"
begun=$(date +%s%N)
getent ahosts nobody-here >/dev/null || echo "absent: $(( ($(date +%s%N) - begun) / 1000000000 )) s"
kill $server
wait $server
"""


def test_glibc_resolves_with_a_resolv_conf_that_points_here():
    need("ip"), need("unshare"), need("getent")
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "-m", "true"]).returncode != 0:
        pytest.skip("network and mount namespaces need root here")
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "data"))
        run = subprocess.run(["unshare", "-n", "-m", "bash", "-c", GLIBC, "glibc", folder, MUSTERD], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, timeout=60 * SLOW)
        log = open(os.path.join(folder, "log"), errors="replace").read() if os.path.exists(os.path.join(folder, "log")) else ""
        assert run.returncode == 0, run.stdout + log
        assert "short: 10.30.0.1 10.30.0.2 \n" in run.stdout, run.stdout
        assert "six: fd00::7\n" in run.stdout, run.stdout
        assert "left: 10.30.0.2\n" in run.stdout, run.stdout
        assert re.search(r"absent: [01] s", run.stdout), run.stdout
