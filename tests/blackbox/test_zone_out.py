"""Whole zones go out: what AXFR says is what DNS answers, record by record; only to who may have it; and other servers
take it."""
import re
import shutil
import socket
import struct
import subprocess
import time
from urllib.parse import quote

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.zone
import pytest

import secondaries
from conftest import SLOW, eventually, need


def nobody_is_probed(server):
    """Addresses of tests are made up: after some seconds persistent instances would be found unhealthy."""
    assert server.put("/nacos/v1/ns/operator/switches", entry="healthCheckEnabled", value="false").status == 200


@pytest.fixture(scope="module")
def out():
    from conftest import Server
    server = Server()
    server.zone("muster.internal", transfer_allow="127.0.0.0/8")
    server.zone("bound.test", layout="bound", transfer_allow="127.0.0.1,::1")
    server.zone("group.test", layout="bound-group", group="PAY_GROUP", transfer_allow="127.0.0.1")
    server.zone("ns.test", layout="bound-ns", namespace="prod", transfer_allow="127.0.0.1")
    server.zone("some.test", export_groups="PAY_GROUP", transfer_allow="127.0.0.1")
    server.zone("closed.test", layout="bound")
    server.start()
    nobody_is_probed(server)
    for i in range(1, 5):
        server.register("OrderService", f"10.0.0.{i}", 8080 + i % 2, weight=i, ephemeral="false",
                        clusterName="hz-a" if i > 2 else "DEFAULT", metadata='{"dns.port-name":"http"}')
    server.register("cart", "2001:db8::1", 80, ephemeral="false", namespaceId="prod", groupName="PAY_GROUP")
    server.register("cart", "10.0.1.1", 80, ephemeral="false", namespaceId="prod", groupName="PAY_GROUP")
    server.register("sick", "10.0.2.1", 80, ephemeral="false", healthy="false", enabled="false")
    server.register("n" * 70, "10.0.3.1", 80, ephemeral="false", groupName="g" * 70)
    yield server
    server.close()


def transfer(server, zone):
    """All records in their order, and the messages."""
    records, messages = [], 0
    for message in dns.query.xfr(server.dns[0], zone, port=server.dns[1], lifetime=20 * SLOW, relativize=False):
        messages += 1
        for rrset in message.answer:
            records += [(rrset.name, rrset.rdtype, rrset.ttl, rdata) for rdata in rrset]
    return records, messages


def by_set(records):
    sets = {}
    for name, rdtype, ttl, rdata in records:
        sets.setdefault((name, rdtype), []).append((ttl, rdata))
    return sets


ZONES = ["muster.internal.", "bound.test.", "group.test.", "ns.test.", "some.test."]


@pytest.mark.parametrize("zone", ZONES)
def test_every_record_set_of_a_transfer_is_what_dns_answers(out, zone):
    records, _ = transfer(out, zone)
    assert records[0][1] == records[-1][1] == dns.rdatatype.SOA and records[0] == records[-1]
    sets = by_set(records[:-1])
    for (name, rdtype), transferred in sets.items():
        answer = out.dig(name, rdtype, tcp=True)
        assert answer.rcode() == dns.rcode.NOERROR and len(answer.answer) == 1, (name, rdtype)
        assert sorted((answer.answer[0].ttl, r) for r in answer.answer[0]) == sorted(transferred), (name, rdtype)
        assert len(set(transferred)) == len(transferred), (name, rdtype)


@pytest.mark.parametrize("zone,names", [
    ("muster.internal.", ["e-1--qorder-qservice.svc", "orderservice.svc", "orderservice.default.public.ns",
                          "hz-a.c.orderservice.svc", "_http._tcp.orderservice.svc", "_orderservice._tcp.svc",
                          "10-0-0-1.i.orderservice.svc", "10-0-0-1.i", "10-0-2-1.i", "cart.e-1--wpay-w-u-wgroup.prod.ns",
                          "ns1", "dns-version"]),
    ("bound.test.", ["orderservice", "10-0-0-1.i", "default.c.orderservice"]),
    ("group.test.", ["cart.prod", "10-0-1-1.i"]),
    ("ns.test.", ["cart.e-1--wpay-w-u-wgroup", "10-0-1-1.i"]),
    ("some.test.", ["cart.e-1--wpay-w-u-wgroup.prod.ns", "10-0-1-1.i"]),
])
def test_names_of_every_kind_are_in_the_transfer(out, zone, names):
    have = {str(name) for name, *_ in transfer(out, zone)[0]}
    assert [n for n in names if f"{n}.{zone}" not in have] == []
    if zone not in ("muster.internal.", "bound.test."):
        assert not any("10-0-2-1" in n for n in have)


def test_a_transfer_begins_where_the_last_change_was_acknowledged(out):
    out.register("fresh", "10.0.9.1", 80, ephemeral="false")
    before, _ = transfer(out, "bound.test.")
    out.register("fresh", "10.0.9.2", 80, ephemeral="false")
    after, _ = transfer(out, "bound.test.")
    assert "fresh.bound.test. 10.0.9.2" in {f"{n} {r}" for n, _, _, r in after}
    assert "fresh.bound.test. 10.0.9.2" not in {f"{n} {r}" for n, _, _, r in before}
    assert after[0][3].serial > before[0][3].serial
    soa = out.dig("bound.test.", "SOA").answer[0][0]
    assert soa.serial == after[0][3].serial
    assert transfer(out, "bound.test.")[0] == after, "nothing has changed"


@pytest.mark.parametrize("zone,rcode", [("closed.test.", dns.rcode.REFUSED), ("svc.muster.internal.", dns.rcode.NOTAUTH),
                                        ("elsewhere.test.", dns.rcode.NOTAUTH)])
def test_who_may_not_have_it_is_told(out, zone, rcode):
    answer = out.dig(zone, "AXFR", tcp=True, use_edns=0)
    assert answer.rcode() == rcode and not answer.answer
    if rcode == dns.rcode.REFUSED:
        assert [o.code for o in answer.options] == [18]


def test_over_udp_it_is_no_question(out):
    assert out.dig("bound.test.", "AXFR").rcode() == dns.rcode.FORMERR


def test_ixfr_says_that_nothing_is_new_or_sends_all(out):
    serial = out.dig("bound.test.", "SOA").answer[0][0].serial

    def ixfr(serial, tcp):
        question = dns.message.make_query("bound.test.", "IXFR")
        question.authority.append(dns.rrset.from_text("bound.test.", 0, "IN", "SOA", f". . {serial} 0 0 0 0"))
        wire = question.to_wire()
        if not tcp:
            return dns.query.udp(question, out.dns[0], port=out.dns[1], timeout=5 * SLOW)
        with socket.create_connection(out.dns, timeout=5 * SLOW) as s:
            s.sendall(struct.pack("!H", len(wire)) + wire)
            f = s.makefile("rb")
            return dns.message.from_wire(f.read(struct.unpack("!H", f.read(2))[0]), xfr=True, one_rr_per_rrset=True)

    current, behind, datagram = ixfr(serial, True), ixfr(serial - 1, True), ixfr(serial - 1, False)
    assert [r.rdtype for r in current.answer] == [dns.rdatatype.SOA]
    assert len(behind.answer) > 10 and behind.answer[0].rdtype == behind.answer[-1].rdtype == dns.rdatatype.SOA
    assert [r.rdtype for r in datagram.answer] == [dns.rdatatype.SOA] and datagram.answer[0][0].serial == serial


def test_what_follows_on_the_connection_is_answered_behind_it(out):
    axfr, after = dns.message.make_query("bound.test.", "AXFR"), dns.message.make_query("cart.bound.test.", "A")
    with socket.create_connection(out.dns, timeout=5 * SLOW) as s:
        for q in (axfr, after, axfr):
            wire = q.to_wire()
            s.sendall(struct.pack("!H", len(wire)) + wire)
        f = s.makefile("rb")
        ids, soas = [], 0
        while soas < 4:
            wire = f.read(struct.unpack("!H", f.read(2))[0])
            ids.append(struct.unpack("!H", wire[:2])[0])
            if ids[-1] == axfr.id:
                soas += sum(r.rdtype == dns.rdatatype.SOA for r in dns.message.from_wire(wire, xfr=True, one_rr_per_rrset=True).answer)
    assert ids[0] == ids[-1] == axfr.id and ids.count(after.id) == 1


def test_a_large_zone_comes_in_many_messages_and_others_are_answered_meanwhile(make_server):
    server = make_server().zone("big.test", layout="bound", transfer_allow="127.0.0.1").start()
    patience = '{"preserved.heart.beat.timeout":"600000","preserved.ip.delete.timeout":"900000"}'
    for n in range(10):
        for i in range(50):
            server.register(f"s{n}", f"10.{n}.0.{i}", 80, ephemeral="true", metadata=patience)
    records, messages = transfer(server, "big.test.")
    addresses = {str(r) for n, t, _, r in records if t == dns.rdatatype.A and str(n) == "s7.big.test."}
    assert addresses == {f"10.7.0.{i}" for i in range(50)} and messages > 5
    # One that reads nothing holds up nobody, and is cut off by the idle time.
    wire = dns.message.make_query("big.test.", "AXFR").to_wire()
    with socket.create_connection(server.dns, timeout=5 * SLOW) as s:
        s.sendall(struct.pack("!H", len(wire)) + wire)
        assert transfer(server, "big.test.")[0] == records
        assert len(server.addresses("s7.big.test.")) == 16


def test_the_text_of_a_zone_is_what_a_transfer_says(out, tmp_path):
    listed = {z["name"]: z["serial"] for z in out.get("/muster/v1/zones").json()["zones"]}
    assert set(listed) >= {z.rstrip(".") for z in ZONES}
    for zone in ZONES:
        reply = out.get(f"/muster/v1/zones/{zone.rstrip('.')}")
        assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/dns")
        records, _ = transfer(out, zone)
        text = dns.zone.from_text(reply.text, zone, relativize=False, check_origin=False)
        have = {(str(n), t.ttl, str(r)) for n, t in text.iterate_rdatasets() for r in t}
        assert have == {(str(n), ttl, str(r)) for n, _, ttl, r in records}
        path = tmp_path / "zone"
        path.write_text(reply.text)
        for command in (["named-checkzone", zone, path], ["ldns-read-zone", path], ["kzonecheck", "-o", zone, path]):
            if shutil.which(command[0], path="/usr/bin:/usr/sbin:/bin:/sbin"):
                done = subprocess.run([need(command[0])] + command[1:], capture_output=True, text=True, timeout=60)
                assert done.returncode == 0, done.stdout + done.stderr
    assert out.get("/muster/v1/zones/nowhere.test").status == 404


def test_a_name_server_inside_its_reverse_zone_has_an_address(make_server, tmp_path):
    zone, host = "10.in-addr.arpa", "ns1.10.in-addr.arpa"
    server = make_server().zone("bound.test", layout="bound").zone(zone, layout="reverse", mname=host, transfer_allow="127.0.0.1").start()
    server.register("cart", "10.0.0.1", 80)
    text = server.get(f"/muster/v1/zones/{zone}").text
    assert f"{host}.\t3600\tIN\tA\t127.0.0.1\n" in text
    assert server.addresses(f"{host}.") == ["127.0.0.1"]
    assert server.addresses(f"1.0.0.{zone}.", "PTR") == ["10-0-0-1.i.bound.test."]
    assert server.dig(f"x.{host}.", "A").rcode() == server.dig(f"ns2.{zone}.", "A").rcode() == dns.rcode.NXDOMAIN
    assert server.dig(f"{host}.", "PTR").rcode() == dns.rcode.NOERROR
    path = tmp_path / "zone"
    path.write_text(text)
    for command in (["named-checkzone", zone, path], ["kzonecheck", "-o", zone, path]):
        if shutil.which(command[0], path="/usr/bin:/usr/sbin:/bin:/sbin"):
            done = subprocess.run([need(command[0])] + command[1:], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr


COUNT, EACH = 20000, 100


@pytest.fixture(scope="module")
def large():
    """Twenty thousand instances, of which no answer but a stream of them fits the client's output."""
    from conftest import Server
    server = Server(http_max_output="64KiB", http_write_timeout="5s")
    server.zone("large.test", layout="bound", transfer_allow="127.0.0.1")
    server.start()
    metadata = quote('{"preserved.heart.beat.timeout":"3600000","preserved.ip.delete.timeout":"7200000"}')
    with socket.create_connection(server.http_address, timeout=60 * SLOW) as s:
        f = s.makefile("rb")
        for first in range(0, COUNT, EACH):
            s.sendall(b"".join(f"POST /nacos/v1/ns/instance?serviceName=s{first // EACH}&ip=10.1.{n // 250}.{n % 250}&port=80&metadata={metadata}"
                               f" HTTP/1.1\r\nHost: a\r\n\r\n".encode() for n in range(first, first + EACH)))
            for _ in range(EACH):
                assert f.readline().startswith(b"HTTP/1.1 200")
                while f.readline().strip():
                    pass
                assert f.read(2) == b"ok"
    yield server
    server.close()


def the_text_is_whole(server):
    """He who was before may not have been missed yet: 409 until then."""
    reply = eventually(lambda: (lambda r: r if r.status != 409 else None)(server.get("/muster/v1/zones/large.test")), limit=30 * SLOW)
    assert reply.status == 200
    lines = reply.text.splitlines()
    assert lines[0].split()[3] == "SOA" and lines[0] == lines[-1] and len(lines) > 2 * COUNT
    return lines


def test_a_text_longer_than_any_output_is_what_a_transfer_says(large):
    lines = the_text_is_whole(large)
    command = [need("dig"), f"@{large.dns[0]}", "-p", str(large.dns[1]), "large.test.", "AXFR", "+noall", "+answer", "+noedns", "+time=60"]
    transferred = subprocess.run(command, capture_output=True, text=True, timeout=60 * SLOW, check=True).stdout
    assert [line.split() for line in lines] == [line.split() for line in transferred.splitlines() if not line.startswith(";")]
    # An HTTP/1.0 client has it to the end of the connection.
    with socket.create_connection(large.http_address, timeout=30 * SLOW) as s:
        s.sendall(b"GET /muster/v1/zones/large.test HTTP/1.0\r\n\r\n")
        head, body = s.makefile("rb").read().decode().split("\r\n\r\n", 1)
    assert "chunked" not in head and body.splitlines() == lines


def begin_to_read(server):
    """A client that has read a little of it, and has room for no more."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(30 * SLOW)
    s.connect(server.http_address)
    s.sendall(b"GET /muster/v1/zones/large.test HTTP/1.1\r\nHost: a\r\n\r\n")
    if s.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200":
        return s
    s.close()
    return None


def test_who_does_not_read_it_to_the_end_keeps_nothing(large):
    begin_to_read(large).close()
    lines = the_text_is_whole(large)
    # Those that stop reading: a fifth one is told, and they are cut off by http.write_timeout.
    readers = [begin_to_read(large) for _ in range(4)]
    reply = large.get("/muster/v1/zones/large.test")
    assert reply.status == 409 and "4 texts of zones" in reply.text
    readers.pop().close()
    assert the_text_is_whole(large) == lines
    all_ended(large, readers)


def all_ended(server, readers):
    """There is place for four again, and the connections end before the text does."""
    for s in [eventually(lambda: begin_to_read(server), limit=30 * SLOW) for _ in range(4)]:
        s.close()
    for s in readers:
        text = b""
        with s, pytest.raises((ConnectionError, EOFError)):
            while True:
                some = s.recv(1 << 16)
                text = text[-7:] + some
                if not some:
                    raise EOFError
        assert not text.endswith(b"\r\n0\r\n\r\n")


def test_a_text_that_is_read_little_by_little_ends_with_its_time(make_server, large_file):
    server = make_server(dns_transfer_time="2s").zone("large.test", layout="bound", file=large_file).start()
    readers = [begin_to_read(server) for _ in range(4)]
    begun = time.monotonic()
    while (fifth := begin_to_read(server)) is None:
        for s in readers:
            try:
                s.recv(512)
            except ConnectionError:
                pass
        assert time.monotonic() - begun < 25 * SLOW, "http.write_timeout is 30 s, and it reads"
        time.sleep(0.05)
    fifth.close()
    all_ended(server, readers)


def test_a_server_that_stops_waits_for_nobody_who_reads_nothing(large):
    """The last test of this server."""
    the_text_is_whole(large)
    with begin_to_read(large):
        large.stop()


@pytest.mark.parametrize("program", secondaries.CONFIGURATIONS)
def test_other_servers_take_the_zone(out, tmp_path, program):
    other = secondaries.Secondary(program, tmp_path, out.dns[1], ["bound.test"])
    try:
        other.wait_ready()
        records, _ = transfer(out, "bound.test.")
        for (name, rdtype), transferred in by_set(records[1:-1]).items(): # the serial may have moved on
            answer = dns.query.tcp(dns.message.make_query(name, rdtype), "127.0.0.1", port=other.address[1], timeout=5 * SLOW)
            assert sorted(answer.answer[0]) == sorted(r for _, r in transferred), (name, rdtype)
    finally:
        other.close()


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    """Ten megabytes: more than sockets hold for who does not read."""
    path = tmp_path_factory.mktemp("large") / "zone"
    path.write_text("".join(f'r{i} TXT "{"x" * 250}"\n' for i in range(40000)))
    return path


def begin(server, zone):
    """A transfer of which only the beginning is read."""
    wire = dns.message.make_query(zone, "AXFR").to_wire()
    s = socket.socket()
    s.settimeout(20 * SLOW)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    s.connect(server.dns)
    s.sendall(struct.pack("!H", len(wire)) + wire)
    return s, dns.rcode.from_flags(struct.unpack("!HHH", s.recv(6, socket.MSG_WAITALL))[2], 0)


def test_who_does_not_read_holds_up_neither_others_nor_the_stop(make_server, large_file):
    """Six images that are read by nobody, and the newest is dropped after ten seconds: who asks then is told so at once."""
    server = make_server(dns_tcp_idle="1h").zone("large.test", layout="bound", file=large_file, transfer_allow="127.0.0.1")
    server.zone("small.test", layout="bound", transfer_allow="127.0.0.1").start()
    nobody_is_probed(server)
    readers = []
    for i in range(6):
        server.register("cart", f"10.0.0.{i}", 80, ephemeral="false")
        readers.append(begin(server, "large.test."))
    assert [rcode for _, rcode in readers] == [dns.rcode.NOERROR] * 6
    server.register("cart", "10.0.0.9", 80, ephemeral="false")
    time.sleep(10.5)  # asking would keep the image
    assert server.call("GET", "/muster/v1/zones/small.test", timeout=5 * SLOW).status in (200, 503)
    answer = server.dig("small.test.", "AXFR", tcp=True, timeout=5 * SLOW)
    assert answer.rcode() in (dns.rcode.NOERROR, dns.rcode.SERVFAIL)
    assert server.addresses("cart.small.test.")
    server.stop(limit=8)
    for s, _ in readers:
        s.close()


def test_transfers_at_a_time_and_the_time_of_each_are_bounded(make_server, large_file):
    server = make_server(dns_tcp_idle="1h", dns_threads=1, dns_transfers=2, dns_transfer_time="1s")
    server.zone("large.test", layout="bound", file=large_file, transfer_allow="127.0.0.1").start()

    def count(result):
        return int(re.search(rf'^muster_dns_transfers_total{{result="{result}"}} (\d+)$', server.get("/metrics").text, re.M)[1])

    readers = [begin(server, "large.test.") for _ in range(2)]
    third, rcode = begin(server, "large.test.")
    third.close()
    assert [r for _, r in readers] == [dns.rcode.NOERROR] * 2 and rcode == dns.rcode.REFUSED and count("busy") == 1
    readers[0][0].close()
    eventually(lambda: count("broken") == 1)
    fourth, rcode = begin(server, "large.test.")
    assert rcode == dns.rcode.NOERROR
    octets = 0
    try:
        while (some := len(fourth.recv(65536))) > 0:
            octets += some
            time.sleep(0.05 if octets < 2000000 else 0)
    except ConnectionError:
        pass
    fourth.close()
    assert octets < 10000000 and count("late") == 1 and "cut off by dns.transfer_time" in server.log_text()
    readers[1][0].close()


class Watched:
    """Transfers of one zone, one after the other: no serial goes back, and none has two contents."""

    def __init__(self, server, zone):
        self.server, self.zone, self.serial, self.contents = server, zone, None, {}

    def look(self):
        records = transfer(self.server, self.zone)[0]
        serial = records[0][3].serial
        assert self.serial is None or (serial - self.serial) % 2**32 < 2**31, (self.serial, serial)
        content = {(n, t, ttl, r) for n, t, ttl, r in records if t != dns.rdatatype.SOA}
        assert self.contents.setdefault(serial, content) == content, serial
        self.serial = serial
        return by_set(records[1:-1])

    def is_at(self, other, former):
        """Has @other what we have, and nothing of @former besides?"""
        sets = self.look()
        if other.serial(self.zone.rstrip(".")) != self.serial:
            return False
        for name, rdtype in set(sets) | former:
            answer = dns.query.tcp(dns.message.make_query(name, rdtype), "127.0.0.1", port=other.address[1], timeout=5 * SLOW)
            have = [r for rrset in answer.answer if rrset.rdtype == rdtype for r in rrset]
            if sorted(have) != sorted(r for _, r in sets.get((name, rdtype), [])):
                return False
        return True


def test_secondaries_follow_a_zone_that_changes_all_the_time_and_over_a_kill(make_server, tmp_path):
    soa = tmp_path / "soa"
    soa.write_text("@ SOA ns1 hostmaster 1 1 1 3600 1\n")
    server = make_server().zone("churn.test", layout="bound", file=soa, transfer_allow="127.0.0.1").start()
    server.flags["dns.listen"] = f"127.0.0.1:{server.dns[1]}"
    watched, former, others = Watched(server, "churn.test."), set(), []
    patience = '{"preserved.heart.beat.timeout":"600000","preserved.ip.delete.timeout":"900000"}'

    def churn(i):
        server.register(f"s{i % 10}", f"10.0.0.{i % 7}", 80, metadata=patience)
        if i % 3 == 2:
            server.deregister(f"s{(i - 2) % 10}", f"10.0.0.{(i - 2) % 7}", 80)
        former.update(watched.look())

    for i in range(6):
        server.register("kept", f"10.0.1.{i}", 80, ephemeral="false")  # is on disk, and what was before it
        churn(i)
        server.kill9()
        server.start()
        former.update(watched.look())
    try:
        for program in secondaries.CONFIGURATIONS:
            (tmp_path / program).mkdir()
            more = "min-refresh-time 1; min-retry-time 1;" if program == "named" else ""
            others.append(secondaries.Secondary(program, tmp_path / program, server.dns[1], ["churn.test"], more))
        for other in others:
            other.wait_ready()
        end, i = time.monotonic() + 5, 6
        while time.monotonic() < end:
            churn(i)
            i += 1
        assert len(watched.contents) > 10
        for other in others:  # then none is transferring: BIND leaves a primary alone for minutes that ends meanwhile
            eventually(lambda: watched.is_at(other, former), limit=60, pause=0.2)
        server.kill9()
        server.start()
        for i in range(i, i + 20):
            churn(i)
        for other in others:
            eventually(lambda: watched.is_at(other, former), limit=60, pause=0.2)
    finally:
        for other in others:
            other.close()
