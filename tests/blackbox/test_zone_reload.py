"""Zones come, go and change by SIGHUP: those that stay answer every question meanwhile, new ones are whole at once, others are
refused at once, and what is wrong changes nothing."""
import signal
import socket
import struct
import threading
import time
from urllib.parse import quote

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from conftest import SLOW, VARIANT, eventually
from test_reload import LOCAL, reload, with_file, write

NAMES = 20
BULK = 20000 if VARIANT == "plain" else 3000  # services that are loaded besides
PATIENT = '{"preserved.heart.beat.timeout":"3600000","preserved.ip.delete.timeout":"7200000"}'
STAYS = """[zone muster.internal]
transfer_allow = 127.0.0.1
[zone stays.test]
layout = bound
transfer_allow = 127.0.0.1
{}[zone bulk.test]
layout = bound
group = BULK
transfer_allow = 127.0.0.1
{}"""


def load(server, count=BULK):
    """@count services of group BULK with one instance each."""
    metadata, each = quote(PATIENT), 100
    with socket.create_connection(server.http_address, timeout=60 * SLOW) as s:
        f = s.makefile("rb")
        for first in range(0, count, each):
            s.sendall(b"".join(f"POST /nacos/v1/ns/instance?serviceName=b{n}&groupName=BULK&ip=10.1.{n // 250}.{n % 250}&port=80&metadata={metadata}"
                               f" HTTP/1.1\r\nHost: a\r\n\r\n".encode() for n in range(first, first + each)))
            for _ in range(each):
                assert f.readline().startswith(b"HTTP/1.1 200")
                while f.readline().strip():
                    pass
                assert f.read(2) == b"ok"


def register_names(server, **more):
    for i in range(NAMES):
        server.register(f"s{i}", f"10.70.0.{i + 1}", 80, metadata=PATIENT, **more)


def soa(answer):
    return next(r for rrset in answer.answer + answer.authority for r in rrset if r.rdtype == dns.rdatatype.SOA)


def serial(server, zone):
    return soa(server.dig(zone, "SOA")).serial


class Asker(threading.Thread):
    """Asks the names of zones that stay, again and again; what was not as it should be is in @wrong."""

    def __init__(self, server, tcp):
        super().__init__()
        self.address, self.tcp, self.wrong, self.asked, self.over, self.serials = server.dns, tcp, [], 0, False, {}

    def ask(self, s, name, kind):
        wire = dns.message.make_query(name, kind)
        if not self.tcp:
            s.send(wire.to_wire())
            answer = dns.message.from_wire(s.recv(65535))
        else:
            out = wire.to_wire()
            s.sendall(struct.pack("!H", len(out)) + out)
            answer = dns.message.from_wire(self.file.read(struct.unpack("!H", self.file.read(2))[0]))
        assert answer.id == wire.id
        return answer

    def look(self, s):
        for i in range(NAMES):
            for zone in ("svc.muster.internal", "stays.test"):
                answer = self.ask(s, f"s{i}.{zone}", "A")
                addresses = [r.to_text() for rrset in answer.answer for r in rrset]
                if answer.rcode() != 0 or addresses != [f"10.70.0.{i + 1}"]:
                    self.wrong.append((i, zone, answer.to_text()))
                self.asked += 1
        for zone in ("muster.internal", "stays.test"):
            answer = self.ask(s, zone, "SOA")
            if answer.rcode() != 0 or not answer.answer or soa(answer).serial < self.serials.get(zone, 0):
                self.wrong.append((zone, self.serials, answer.to_text()))
            else:
                self.serials[zone] = soa(answer).serial
        if self.ask(s, "no.stays.test", "A").rcode() != dns.rcode.NXDOMAIN:
            self.wrong.append("no.stays.test")

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if self.tcp else socket.SOCK_DGRAM) as s:
            s.settimeout(20 * SLOW)
            s.connect(self.address)
            self.file = s.makefile("rb") if self.tcp else None
            try:
                while not self.over:
                    self.look(s)
                    time.sleep(0.02)  # the others want a turn too
            except (OSError, AssertionError, struct.error, dns.exception.DNSException) as e:
                self.wrong.append(repr(e))


class Taker(Asker):
    """Takes a zone that stays, again and again: whole each time."""

    def __init__(self, server):
        super().__init__(server, True)

    def look(self, s):
        names, serials = take(self.address, "stays.test")
        if {f"s{i}.stays.test." for i in range(NAMES)} - names or len(set(serials)) != 1 or serials[0] < self.serials.get("t", 0):
            self.wrong.append((names, serials, self.serials))
        self.serials["t"] = serials[0]
        self.asked += 1


def messages(s, zone):
    """Messages of an AXFR over @s, up to the second SOA."""
    query = dns.message.make_query(zone, "AXFR").to_wire()
    s.sendall(struct.pack("!H", len(query)) + query)
    f, ends = s.makefile("rb"), 0
    while ends < 2:
        answer = dns.message.from_wire(f.read(struct.unpack("!H", f.read(2))[0]), xfr=True, one_rr_per_rrset=True)
        assert answer.rcode() == 0, answer
        ends += sum(rrset.rdtype == dns.rdatatype.SOA for rrset in answer.answer)
        yield answer


def take(address, zone):
    names, serials = set(), []
    with socket.create_connection(address, timeout=60 * SLOW) as s:
        for answer in messages(s, zone):
            names |= {rrset.name.to_text() for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A}
            serials += [rrset[0].serial for rrset in answer.answer if rrset.rdtype == dns.rdatatype.SOA]
    return names, serials


def rcode(server, name, kind="A", tcp=False):
    return server.dig(name, kind, tcp=tcp).rcode()


def metric(server, line):
    return sum(float(row.split()[-1]) for row in server.get("/metrics").text.splitlines() if row.startswith(line))


def variant(n, zone_file):
    """The settings of the @nth reload, which zones there are besides, and which there are not."""
    soa_settings = f"mname = ns{n}.stays.test\nrname = host{n}.example\n" if n % 2 else ""
    extra, there, gone = "", [], []
    if n % 3 == 0:
        extra, there, gone = "[zone a.test]\nlayout = bound\n", ["s1.a.test"], ["s1.b.test"]
    elif n % 3 == 1:
        extra, there, gone = "[zone b.test]\nlayout = bound\n", ["s1.b.test"], ["s1.a.test"]
    extra += f"[zone shape.test]\nlayout = {['full', 'bound-ns', 'bound', 'bound-group'][n % 4]}\n"
    there.append(["s2.svc.shape.test", "s2.default_group.shape.test", "s2.shape.test", "s2.public.shape.test"][n % 4])
    if n % 2 == 0:
        extra += f"[zone file.test]\nlayout = static\nfile = {zone_file}\n[zone 10.in-addr.arpa]\nlayout = reverse\n"
        there.append("www.file.test")
    else:
        gone += ["www.file.test", "2.0.70.10.in-addr.arpa"]
    return LOCAL + STAYS.format(soa_settings, extra), there, gone


@pytest.fixture
def zone_file(tmp_path):
    path = tmp_path / "file.zone"
    path.write_text("@ 60 SOA ns.file.test. host.file.test. 1 2 3 4 5\n@ 60 NS ns.file.test.\nns 60 A 192.0.2.1\nwww 60 A 192.0.2.2\n")
    return path


def test_nobody_notices_zones_that_come_and_go_beside_his(make_server, zone_file):
    server = with_file(make_server, variant(0, zone_file)[0]).start()
    register_names(server)
    load(server)
    askers = [Asker(server, False), Asker(server, True), Taker(server)]
    for asker in askers:
        asker.start()
    try:
        for n in range(1, 21):
            text, there, gone = variant(n, zone_file)
            log = reload(server, text)
            assert ", 0 wait for a restart" in log and "nothing was reloaded" not in log, log
            for tcp in False, True:
                assert [rcode(server, name, tcp=tcp) for name in there] == [0] * len(there), (n, there)
                assert [rcode(server, name, tcp=tcp) for name in gone] == [dns.rcode.REFUSED] * len(gone), (n, gone)
            if n % 2 == 0:
                assert server.dig("2.0.70.10.in-addr.arpa", "PTR").rcode() == 0
            assert server.addresses(f"b{BULK - 1}.bulk.test") == [f"10.1.{(BULK - 1) // 250}.{(BULK - 1) % 250}"]
            mname = soa(server.dig("stays.test", "SOA")).mname.to_text()
            assert mname == (f"ns{n}.stays.test." if n % 2 else "ns1.stays.test.")
            server.register(f"late{n}", f"10.71.0.{n}", 80, metadata=PATIENT)  # what follows the registry is the new set
            assert server.addresses(f"late{n}.stays.test") == [f"10.71.0.{n}"]
    finally:
        for asker in askers:
            asker.over = True
        for asker in askers:
            asker.join()
    assert [asker.wrong[:3] for asker in askers] == [[], [], []]
    assert all(asker.asked > 20 for asker in askers[:2]) and askers[2].asked > 2
    # Counters of a zone that stays go on.
    asked = sum(asker.asked for asker in askers[:2]) / 2
    assert metric(server, 'muster_dns_queries_total{zone="stays.test",type="A",rcode="NOERROR"') >= asked
    assert metric(server, 'muster_dns_queries_total{zone="a.test",') > 0 and metric(server, 'muster_dns_queries_total{zone="b.test",') > 0


@pytest.mark.parametrize("wrong, says", [
    ("[zone new.test]\nlayout = square\n", "muster.conf:11: zone"),
    ("[zone new.test]\nlayout = static\nfile = {0}\n", "{0}:2: "),
    ("[zone new.test]\nlayout = bound\nalias = www = public/DEFAULT_GROUP/a\nalias = www = public/DEFAULT_GROUP/b\n", "muster.conf:"),
])
def test_what_is_wrong_changes_nothing_and_is_told_with_its_line(make_server, tmp_path, wrong, says):
    broken = tmp_path / "broken.zone"
    broken.write_text("@ 60 SOA ns.new.test. host.new.test. 1 2 3 4 5\nwww 60 A nonsense\n")
    text = LOCAL + "[zone muster.internal]\n[zone old.test]\nlayout = bound\n[log]\nlevel = info\n"
    server = with_file(make_server, text).start()
    server.register("still", "10.72.0.1", 80)
    before = serial(server, "old.test")
    log = reload(server, text.replace("level = info", "level = debug").replace("old.test", "other.test") + wrong.format(broken),
                 expect="nothing was reloaded")
    eventually(lambda: says.format(broken) in server.log_text())
    assert server.addresses("still.old.test") == ["10.72.0.1"] and rcode(server, "still.other.test") == dns.rcode.REFUSED, log
    assert server.get("/muster/v1/log").json() == {"level": "info"} and serial(server, "old.test") >= before
    reload(server, text.replace("old.test", "other.test"))
    assert server.addresses("still.other.test") == ["10.72.0.1"] and rcode(server, "still.old.test") == dns.rcode.REFUSED


def test_a_zone_that_comes_back_has_a_later_serial(make_server):
    text = LOCAL + "[zone muster.internal]\n{}"
    server = with_file(make_server, text.format("[zone back.test]\nlayout = bound\ntransfer_allow = 127.0.0.1\n")).start()
    for i in range(8):  # each transfer of a changed zone takes a serial: they run ahead of the clock
        server.register("x", f"10.73.0.{i + 1}", 80)
        last = take(server.dns, "back.test")[1][0]
    reload(server, text.format(""))
    assert rcode(server, "x.back.test") == dns.rcode.REFUSED
    reload(server, text.format("[zone back.test]\nlayout = bound\ntransfer_allow = 127.0.0.1\n"))
    assert serial(server, "back.test") > last
    assert len(server.addresses("x.back.test")) == 8


def test_hangups_in_a_row_end_with_the_last_settings(make_server):
    text = LOCAL + "[zone muster.internal]\n[zone z{}.test]\nlayout = bound\n"
    server = with_file(make_server, text.format(0)).start()
    server.register("x", "10.74.0.1", 80)
    load(server, 2000)
    for n in range(1, 9):
        write(server, text.format(n))
        server.process.send_signal(signal.SIGHUP)
    eventually(lambda: rcode(server, "x.z8.test") == 0, 30)
    eventually(lambda: "zone z8.test is new" in server.log_text())
    assert [rcode(server, f"x.z{n}.test") for n in range(9)] == [dns.rcode.REFUSED] * 8 + [0]


def frames(s, zone):
    """Octets of each message of an AXFR over @s, up to the one that ends in a SOA: parsing them all would take minutes."""
    query = dns.message.make_query(zone, "AXFR").to_wire()
    s.sendall(struct.pack("!H", len(query)) + query)
    f, end = s.makefile("rb"), struct.pack("!III", 3600, 600, 604800)
    while True:
        frame = f.read(struct.unpack("!H", f.read(2))[0])
        assert frame[3] & 15 == 0
        yield frame
        if frame[-16:-4] == end:
            return


def test_a_transfer_goes_on_while_other_zones_take_over_and_the_third_change_waits(make_server):
    text = LOCAL.replace("[http]", "tcp_idle = 10m\n[http]") + STAYS
    server = with_file(make_server, text.format("", "")).start()
    load(server, 20000)  # more than sockets hold
    clients = [socket.socket() for _ in range(2)]
    for s in clients:
        s.settimeout(60 * SLOW)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.connect(server.dns)
    streams = [frames(s, "bulk.test") for s in clients]
    first = [next(streams[0])]
    reload(server, text.format("mname = one.example\n", ""))
    first.append(next(streams[1]))
    reload(server, text.format("mname = two.example\n", ""))
    write(server, text.format("mname = three.example\n", ""))
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "wait until transfers of former ones have ended" in server.log_text())
    assert soa(server.dig("stays.test", "SOA")).mname.to_text() == "two.example."
    for i in 1, 0:
        whole = [first[i]] + list(streams[i])
        records = sum(struct.unpack("!H", frame[6:8])[0] for frame in whole)
        begin = dns.message.from_wire(whole[0], xfr=True, one_rr_per_rrset=True).answer[0][0]
        assert begin.rdtype == dns.rdatatype.SOA and begin.serial == struct.unpack("!I", whole[-1][-20:-16])[0]
        assert records == 20000 * 11 + 5
        clients[i].close()
    eventually(lambda: soa(server.dig("stays.test", "SOA")).mname.to_text() == "three.example.", 30)


def test_a_kill_during_a_change_leaves_one_of_both_and_serials_go_on(make_server):
    text = LOCAL + "[zone muster.internal]\ntransfer_allow = 127.0.0.1\n[zone k{}.test]\nlayout = bound\ntransfer_allow = 127.0.0.1\n"
    server = with_file(make_server, text.format(0)).start()
    register_names(server, ephemeral="false")
    load(server, 200)
    last = 0
    for n in range(1, 5):
        assert serial(server, "muster.internal") >= last
        last = take(server.dns, "muster.internal")[1][0]
        write(server, text.format(n))
        server.process.send_signal(signal.SIGHUP)
        if n % 2 == 0:
            eventually(lambda n=n: rcode(server, f"s1.k{n}.test") == 0, 30)
            last = serial(server, "muster.internal")
        server.kill9()
        server.start()
        assert rcode(server, f"s1.k{n}.test") == 0 and rcode(server, f"s1.k{n - 1}.test") == dns.rcode.REFUSED
        assert serial(server, "muster.internal") > last


def test_a_stop_during_a_change_is_in_order(make_server):
    text = LOCAL + "[zone muster.internal]\n[zone k{}.test]\nlayout = bound\n"
    server = with_file(make_server, text.format(0)).start()
    load(server, 2000)
    for n in range(1, 4):
        write(server, text.format(n))
        server.process.send_signal(signal.SIGHUP)
        if n == 2:
            eventually(lambda: rcode(server, "b1.k2.test") != dns.rcode.REFUSED, 30)
        server.stop()
        server.start()
        assert rcode(server, f"b1.k{n}.test") == dns.rcode.NXDOMAIN  # of another group
