"""Everything of DNS that a reload can change is changed twenty times while questions come in by UDP, TCP and TLS, for names of the
registry, of a zone file and of others: each is answered, out of the old settings or out of the new ones. In a build with
ThreadSanitizer this is where workers and the control thread meet."""
import random
import socket
import struct
import threading

import dns.edns
import dns.message
import dns.rcode
import dns.rrset
import pytest
from conftest import SLOW, eventually
from test_dns_tls import Connection, addresses, certificate
from test_reload import reload, with_file

ZONE = "muster.internal"
RELOADS, SERVICES = 20, 60
REGISTERED = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
COOKIE = 10
PATIENT = '{"preserved.heart.beat.timeout":"3600000","preserved.ip.delete.timeout":"3600000"}'  # nobody beats
SETTINGS = """[dns]
listen = 127.0.0.1:0
tls_listen = 127.0.0.1:0
threads = 2
ttl = {ttl}s
mode = {mode}
rrl = {rrl}
cookie_secrets = {secrets}
nsid = turn-{turn}
[tls]
cert = {cert}
key = {key}
[forward]
upstreams = 127.0.0.1:{port}
allow = {ranges}
[zone {zone}]
layout = full
file = {file}
query_allow = {ranges}
transfer_allow = {ranges}
[http]
listen = 127.0.0.1:0
"""


class Upstream:
    """A resolver that knows one address for every name but those of the loop's probe."""

    def __init__(self, address):
        self.address, self.socket = address, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            octets, peer = self.socket.recvfrom(65535)
            if not octets:
                return
            question = dns.message.from_wire(octets)
            answer, name = dns.message.make_response(question, recursion_available=True), question.question[0].name
            if b"muster-probe" in name.labels:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            elif question.question[0].rdtype == 1:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", self.address))
            self.socket.sendto(answer.to_wire(), peer)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


class Asker(threading.Thread):
    """Asks for a name of each sort, round after round; remembers the first answer that was wrong."""

    def __init__(self, server, transport, stop):
        super().__init__()
        self.server, self.transport, self.stop = server, transport, stop
        self.rounds, self.wrong, self.names = 0, None, set()
        self.cookie = dns.edns.GenericOption(COOKIE, b"12345678")

    def open(self):
        if self.transport == "udp":
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.connect(self.server.dns)
        elif self.transport == "tcp":
            s = socket.create_connection(self.server.dns)
        else:
            c = Connection(self.server)
            s = c.socket
        s.settimeout(20 * SLOW)
        return s

    def receive(self, s):
        if self.transport == "udp":
            return s.recv(65535)
        octets = b""
        while len(octets) < 2 or len(octets) < 2 + struct.unpack(">H", octets[:2])[0]:
            more = s.recv(65535)
            assert more, "the server has closed"
            octets += more
        return octets[2:]

    def ask(self, s, name):
        question = dns.message.make_query(name, "A", use_edns=0, options=[self.cookie])
        octets = question.to_wire()
        s.sendall(octets if self.transport == "udp" else struct.pack(">H", len(octets)) + octets)
        answer = dns.message.from_wire(self.receive(s))
        assert answer.id == question.id and answer.rcode() == dns.rcode.NOERROR, answer
        self.cookie = next(o for o in answer.options if o.otype == COOKIE)
        assert len(self.cookie.data) == 24
        return addresses(answer)

    def round(self, s, n):
        assert self.ask(s, f"s{n % SERVICES}.svc.{ZONE}") == REGISTERED
        assert self.ask(s, f"static.{ZONE}") in (["192.0.2.1"], ["192.0.2.2"])
        other = self.ask(s, f"{self.transport}{n}.elsewhere.example")
        assert other in (["192.0.2.11"], ["192.0.2.12"]), other
        assert self.ask(s, f"10-0-0-1.i.{ZONE}") == ["10.0.0.1"]

    def run(self):
        try:
            while not self.stop.is_set():
                with self.open() as s:
                    for _ in range(4):
                        self.round(s, self.rounds)
                        self.rounds += 1
        except Exception as wrong:  # whatever it is, the test tells it
            self.wrong = repr(wrong)


@pytest.fixture
def upstreams():
    both = [Upstream("192.0.2.11"), Upstream("192.0.2.12")]
    yield both
    for u in both:
        u.close()


def test_twenty_reloads_under_questions_of_every_sort_leave_none_without_a_right_answer(make_server, upstreams, tmp_path):
    certificates = [certificate(str(tmp_path), n, f"{n}.example") for n in ("one", "two")]
    secrets, file = ["00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"], tmp_path / "zone"

    def settings(turn):
        way = turn % 2
        with open(file, "w") as f:
            f.write(f"static A 192.0.2.{1 + way}\n" + "".join(f"h{i} A 192.0.2.{i}\n" for i in range(200)))
        return SETTINGS.format(ttl=5 + way, mode=("all", "shuffle")[way], rrl=50 + way, turn=turn, zone=ZONE, file=file,
                               secrets=", ".join(secrets[way:] + secrets[:way]), cert=certificates[way][0], key=certificates[way][1],
                               port=upstreams[way].port, ranges=("127.0.0.0/8", "127.0.0.1, 10.0.0.0/8")[way])

    server = with_file(make_server, settings(0)).start()
    for n in range(SERVICES):
        for address in REGISTERED:
            server.register(f"s{n}", address, 80, metadata=PATIENT)
    stop = threading.Event()
    askers = [Asker(server, transport, stop) for transport in ("udp", "tcp", "tls")]
    for a in askers:
        a.start()
    try:
        for turn in range(1, RELOADS + 1):
            said = reload(server, settings(turn))
            assert "0 wait for a restart" in said, said
            before = [a.rounds for a in askers]
            server.register(f"s{random.Random(turn).randrange(SERVICES)}", REGISTERED[0], 80, weight=turn, metadata=PATIENT)
            eventually(lambda: all(a.wrong or a.rounds > b for a, b in zip(askers, before)), 30 * SLOW)
            assert [a.wrong for a in askers] == [None] * 3
    finally:
        stop.set()
        for a in askers:
            a.join()
    assert [a.wrong for a in askers] == [None] * 3
    answer = server.dig(f"s0.svc.{ZONE}", use_edns=0, options=[dns.edns.GenericOption(3, b"")])
    assert answer.answer[0].ttl == 5 and f"turn-{RELOADS}".encode() in [o.data if hasattr(o, "data") else o.nsid for o in answer.options]
    eventually(lambda: server.addresses(f"static.{ZONE}") == ["192.0.2.1"])
    c = Connection(server)
    assert c.name() == "one.example"
    c.close()
    assert server.addresses("last.elsewhere.example") == ["192.0.2.11"]
