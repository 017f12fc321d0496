"""What a whole zone holds: everything that the zone answers, and nothing else. Every record set of an export is asked for,
and every name that the registry gives reason for is looked for in the export."""
import json
import shutil
import socket
import struct
import subprocess

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.zone
import pytest

from conftest import SLOW, Server, eventually, need

ALLOW = "127.0.0.0/8, ::1"
FILE = """$TTL 60
@          TXT "of the file"
blog       A 192.0.2.8
orders     MX 10 mail.elsewhere.test.
orders     TXT "the file says this"
late       A 192.0.2.9
late       MX 10 mail.elsewhere.test.
sub        NS ns.sub
ns.sub     A 192.0.2.10
*.wild     A 192.0.2.11
www        CNAME blog
"""


class Asker:
    """Many questions over one connection."""

    def __init__(self, server):
        self.socket = socket.create_connection(server.dns, timeout=10 * SLOW)
        self.file = self.socket.makefile("rb")

    def __call__(self, name, rdtype):
        query = dns.message.make_query(name, rdtype, use_edns=0)
        wire = query.to_wire()
        self.socket.sendall(struct.pack("!H", len(wire)) + wire)
        answer = dns.message.from_wire(self.file.read(struct.unpack("!H", self.file.read(2))[0]))
        assert query.is_response(answer)
        return answer

    def close(self):
        self.file.close()
        self.socket.close()


def service(server, name, metadata, **more):
    server.post("/nacos/v1/ns/service", serviceName=name, metadata=json.dumps(metadata), protectThreshold="0", **more)


def cluster(server, name, cluster_name, **more):
    """Nobody looks whether its instances are there."""
    reply = server.put("/nacos/v1/ns/cluster", serviceName=name, clusterName=cluster_name, checkPort=80,
                       useInstancePort4Check="true", healthChecker='{"type":"NONE"}', **more)
    assert reply.status == 200, reply


def fill(server):
    service(server, "orders", {"dns.mode": "all"})
    for i in range(1, 31): # more than an answer has by default
        server.register("orders", f"10.0.0.{i}", 8080 + i % 2, weight=i, ephemeral="false",
                        clusterName="HZ_A" if i > 20 else "DEFAULT",
                        metadata='{"dns.port-name":"http","port.admin":"9000","dns.proto":"%s"}' % ("udp" if i % 3 == 0 else "tcp"))
    cluster(server, "orders", "DEFAULT")
    cluster(server, "orders", "HZ_A")
    service(server, "OrderService", {})
    cluster(server, "OrderService", "DEFAULT")
    server.register("OrderService", "10.0.1.1", 80, ephemeral="false", metadata='{"version":"7"}')
    server.register("OrderService", "2001:db8::1", 80, ephemeral="false", metadata='{"version":"8"}')
    service(server, "site", {"dns.https": "1", "dns.svcb": "1", "dns.alpn": "h2,http/1.1", "dns.port-name": "web"})
    cluster(server, "site", "DEFAULT")
    for i in (1, 2):
        server.register("site", f"10.0.2.{i}", 8443, ephemeral="false")
    server.register("site", "2001:db8::2", 8443, ephemeral="false")
    service(server, "ports", {"dns.https": "1", "dns.svcb": "1"})
    cluster(server, "ports", "DEFAULT")
    for i in (1, 2, 3):
        server.register("ports", f"10.0.3.{i}", 440 + i, ephemeral="false")
    service(server, "cart", {}, namespaceId="prod", groupName="PAY_GROUP")
    cluster(server, "cart", "DEFAULT", namespaceId="prod", groupName="PAY_GROUP")
    server.register("cart", "10.0.4.1", 80, ephemeral="false", namespaceId="prod", groupName="PAY_GROUP")
    service(server, "gone", {"dns.all_unhealthy": "nxdomain"})
    cluster(server, "gone", "DEFAULT")
    server.register("gone", "10.0.5.1", 80, ephemeral="false", healthy="false")
    service(server, "late", {})
    cluster(server, "late", "DEFAULT")
    server.register("late", "10.0.6.1", 80, ephemeral="false")
    service(server, "below", {}, groupName="sub")
    cluster(server, "below", "DEFAULT", groupName="sub")
    server.register("below", "10.0.7.1", 80, ephemeral="false", groupName="sub")
    service(server, "n" * 70, {}, groupName="g" * 70)
    cluster(server, "n" * 70, "DEFAULT", groupName="g" * 70)
    server.register("n" * 70, "10.0.8.1", 80, ephemeral="false", groupName="g" * 70)


ALIASES = ", ".join(["{z}=public/DEFAULT_GROUP/site", "shop.{z}=public/DEFAULT_GROUP/orders",
                     "pay.here.{z}=prod/PAY_GROUP/cart", "north.{z}=public/DEFAULT_GROUP/orders/HZ_A",
                     "web.{z}=public/DEFAULT_GROUP/site:web", "cart.{z}=public/DEFAULT_GROUP/OrderService",
                     "none.{z}=public/DEFAULT_GROUP/nobody", "orderservice.{z}=public/DEFAULT_GROUP/nobody"])
ZONES = ["full.test", "lower.full.test", "svc.upper.test", "upper.test", "vanity.test", "wide.test", "some.test",
         "static.test", "bound.test", "group.test", "ns.test", "10.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"]


@pytest.fixture(scope="module")
def all_of_it(tmp_path_factory):
    server = Server(dns_metadata_keys="name, cluster, version", dns_protect="off", dns_selector_keys="version")
    path = tmp_path_factory.mktemp("zones") / "file"
    path.write_text(FILE)
    server.zone("full.test", transfer_allow=ALLOW)
    server.zone("lower.full.test", layout="bound", transfer_allow=ALLOW)
    server.zone("upper.test", transfer_allow=ALLOW)
    server.zone("svc.upper.test", layout="bound", group="PAY_GROUP", namespace="prod", transfer_allow=ALLOW)
    server.zone("vanity.test", layout="bound", alias=ALIASES.format(z="vanity.test"), transfer_allow=ALLOW)
    server.zone("wide.test", layout="bound", alias=ALIASES.format(z="wide.test"), expand="on", transfer_allow=ALLOW)
    server.zone("some.test", export_groups="PAY_GROUP", alias="shop.some.test=public/DEFAULT_GROUP/orders", transfer_allow=ALLOW)
    server.zone("static.test", layout="static", alias="shop.static.test=public/DEFAULT_GROUP/orders", transfer_allow=ALLOW)
    server.zone("bound.test", layout="bound", file=str(path), transfer_allow=ALLOW)
    server.zone("group.test", layout="bound-group", group="PAY_GROUP", transfer_allow=ALLOW)
    server.zone("ns.test", layout="bound-ns", namespace="prod", transfer_allow=ALLOW)
    server.zone("10.in-addr.arpa", layout="reverse", transfer_allow=ALLOW)
    server.zone("8.b.d.0.1.0.0.2.ip6.arpa", layout="reverse", transfer_allow=ALLOW)
    server.start()
    fill(server)
    soa = {}

    def settled(): # serials move once a second
        before = dict(soa)
        soa.update({zone: server.dig(zone, "SOA").answer[0][0].serial for zone in ZONES})
        return soa == before

    eventually(settled, limit=20, pause=1.2)
    yield server
    server.close()


def transfer(server, zone):
    records = []
    for message in dns.query.xfr(server.dns[0], zone, port=server.dns[1], lifetime=30 * SLOW, relativize=False):
        for rrset in message.answer:
            records += [(rrset.name, rrset.rdtype, rrset.ttl, rdata) for rdata in rrset]
    assert records[0] == records[-1] and records[0][1] == dns.rdatatype.SOA
    return records[:-1]


def sets_of(records):
    sets = {}
    for name, rdtype, ttl, rdata in records:
        sets.setdefault((name, rdtype), []).append((ttl, rdata))
    return sets


def is_delegated(answer):
    return not answer.flags & dns.flags.AA


def comparable(ttl, rdata):
    """Hints are in the order of the moment."""
    words = [",".join(sorted(w.replace('"', ",").split(","))) if "hint=" in w else w for w in rdata.to_text().split(" ")]
    return ttl, " ".join(words)


@pytest.mark.parametrize("zone", ZONES)
def test_every_record_set_of_the_export_is_what_is_answered(all_of_it, zone):
    ask = Asker(all_of_it)
    for (name, rdtype), exported in sets_of(transfer(all_of_it, zone)).items():
        if name.labels[0] == b"*":
            continue
        answer = ask(name, rdtype)
        assert len(set(exported)) == len(exported), (name, rdtype)
        if is_delegated(answer): # in the answer it is a referral, or glue
            assert name.is_subdomain(dns.name.from_text("sub.bound.test")), name
            continue
        assert answer.rcode() == dns.rcode.NOERROR and len(answer.answer) == 1, (name, rdtype, answer)
        assert sorted(comparable(answer.answer[0].ttl, r) for r in answer.answer[0]) == \
            sorted(comparable(*e) for e in exported), (name, rdtype)
    ask.close()


# What the registry of fill() gives reason for; each name below its zone, with the types that it has.
SERVICE = {"orders": "A SRV", "_http._tcp.orders": "SRV", "_http._udp.orders": "SRV", "_admin._tcp.orders": "SRV",
           "_default._tcp.orders": "SRV", "_orders._tcp": "SRV", "_orders._udp": "SRV", "default.c.orders": "A SRV",
           "e-1--qh-qz-u-qa.c.orders": "A SRV", "hz_a.c.orders": "A SRV", "_http._tcp.hz_a.c.orders": "SRV",
           "10-0-0-1.i.orders": "A SRV TXT", "10-0-0-30.i.orders": "A SRV TXT",
           "e-1--qorder-qservice": "A AAAA SRV", "orderservice": "A AAAA SRV", "_orderservice._tcp": "SRV", "7.version.m.orderservice": "A SRV", "8.version.m.e-1--qorder-qservice": "AAAA SRV",
           "10-0-1-1.i.orderservice": "A SRV TXT", "2001-db8-0-0-0-0-0-1.i.e-1--qorder-qservice": "AAAA SRV TXT",
           "site": "A AAAA SRV HTTPS SVCB", "_web._tcp.site": "SRV SVCB", "default.c.site": "A AAAA SRV HTTPS SVCB",
           "ports": "A SRV HTTPS SVCB", "_default._tcp.ports": "SRV SVCB"}
HOSTS = {"10-0-0-1.i": "A", "10-0-0-30.i": "A", "10-0-1-1.i": "A", "2001-db8-0-0-0-0-0-1.i": "AAAA", "10-0-5-1.i": "A"}
CART = {"cart": "A SRV", "_default._tcp.cart": "SRV", "10-0-4-1.i.cart": "A SRV TXT", "_cart._tcp": "SRV"}
OWN = {"": "SOA NS", "ns1": "A", "dns-version": "TXT"}
SHOP = {name.replace("orders", "shop"): types for name, types in SERVICE.items()
        if name.endswith("orders")}
VANITY = {"": "SOA NS A AAAA SRV HTTPS SVCB", "shop": "A SRV", "pay.here": "A SRV", "north": "A SRV",
          "web": "A AAAA SRV HTTPS SVCB", "cart": "A AAAA SRV", "10-0-4-1.i": "A", "orderservice": "A AAAA SRV"}


def below(names, suffix):
    return {f"{name}.{suffix}": types for name, types in names.items()}


NAMES = {
    "full.test": {**OWN, **HOSTS, **below(SERVICE, "svc"), **below(SERVICE, "default.public.ns"),
                  **below(CART, "e-1--wpay-w-u-wgroup.prod.ns"), "10-0-4-1.i": "A"},
    "lower.full.test": {**OWN, **HOSTS, **SERVICE},
    "svc.upper.test": {**OWN, **CART, "10-0-4-1.i": "A"},
    "vanity.test": {**SERVICE, **HOSTS, **VANITY},
    "wide.test": {**SERVICE, **HOSTS, **VANITY, **SHOP, "10-0-4-1.i.pay.here": "A SRV TXT", "_web._tcp": "SRV SVCB",
                  "10-0-2-1.i": "A SRV TXT", "10-0-1-1.i.cart": "A SRV TXT"},
    "some.test": {**OWN, "shop": "A SRV", "10-0-0-1.i": "A", **below(CART, "e-1--wpay-w-u-wgroup.prod.ns")},
    "static.test": {"shop": "A SRV", "10-0-0-1.i": "A"},
    "bound.test": {**SERVICE, **HOSTS, "": "SOA NS TXT", "orders": "A SRV MX TXT", "blog": "A", "late": "A SRV MX",
                   "sub": "NS", "ns.sub": "A", "*.wild": "A", "www": "CNAME"},
    "group.test": {**OWN, **below(CART, "prod")},
    "ns.test": {**OWN, **below(CART, "e-1--wpay-w-u-wgroup")},
    "10.in-addr.arpa": {"": "SOA NS", "1.0.0": "PTR", "30.0.0": "PTR", "1.4.0": "PTR", "1.5.0": "PTR", "1.8.0": "PTR"},
    "8.b.d.0.1.0.0.2.ip6.arpa": {"": "SOA NS", "1.0.0.0." + "0." * 19 + "0": "PTR", "2.0.0.0." + "0." * 19 + "0": "PTR"},
}


@pytest.mark.parametrize("zone", NAMES)
def test_every_name_is_there(all_of_it, zone):
    have = {}
    for name, rdtype in sets_of(transfer(all_of_it, zone)):
        have.setdefault(str(name).removesuffix(f"{zone}.").rstrip("."), set()).add(dns.rdatatype.to_text(rdtype))
    assert {n: sorted(have.get(n, ())) for n in NAMES[zone]} == {n: sorted(t.split()) for n, t in NAMES[zone].items()}


@pytest.mark.parametrize("zone,absent", [
    ("full.test", ["gone.svc", "10-0-5-1.i.gone.svc", "cart.svc", "orders.lower", "lower"]),
    ("upper.test", ["orders.svc", "cart.svc", "svc"]),
    ("some.test", ["orders.svc", "10-0-1-1.i", "orders.default.public.ns", "10-0-0-1.i.shop"]),
    ("static.test", ["10-0-1-1.i", "dns-version.x", "orders"]),
    ("vanity.test", ["_http._tcp.shop", "none", "10-0-0-1.i.shop"]),
])
def test_what_is_not_answered_is_not_there(all_of_it, zone, absent):
    have = {str(name) for name, *_ in transfer(all_of_it, zone)}
    assert [n for n in absent if f"{n}.{zone}." in have] == []


CHECKERS = (["named-checkzone", "-i", "local", "{zone}", "{path}"], ["ldns-read-zone", "{path}"],
            ["kzonecheck", "-o", "{zone}", "{path}"])


@pytest.mark.parametrize("zone", ZONES)
def test_other_servers_readers_accept_the_text(all_of_it, zone, tmp_path):
    text = all_of_it.get(f"/muster/v1/zones/{zone}").text
    read = dns.zone.from_text(text, zone, relativize=False, check_origin=False)
    assert {(n, t.ttl, r) for n, t in read.iterate_rdatasets() for r in t} == \
        {(n, ttl, r) for n, _, ttl, r in transfer(all_of_it, zone)}
    path = tmp_path / "zone"
    path.write_text(text)
    for command in CHECKERS:
        if shutil.which(command[0], path="/usr/bin:/usr/sbin:/bin:/sbin"):
            arguments = [a.format(zone=zone, path=path) for a in command[1:]]
            done = subprocess.run([need(command[0])] + arguments, capture_output=True, text=True, timeout=60 * SLOW)
            assert done.returncode == 0, done.stdout + done.stderr
