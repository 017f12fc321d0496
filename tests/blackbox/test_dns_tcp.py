"""DNS over TCP (RFC 7766, RFC 9210, dns.md 3.5) against the real server: pipelines, pieces, ends, limits, clients that are slow
to write or to read, large answers, garbage; and that a datagram with TC leads to the whole by TCP."""
import random
import socket
import ssl
import struct
import threading
import time

import pytest

import dns_wire
from conftest import SLOW, VARIANT, Server, eventually
from dns_wire import header, opt, option
from test_metrics import metrics, value

ZONE = "muster.internal"
CART = dns_wire.name(f"cart.svc.{ZONE}")
HUGE, BIG = dns_wire.name("huge.static.test"), dns_wire.name("big.static.test")
A, TXT, SRV, SOA = dns_wire.A, dns_wire.TXT, dns_wire.SRV, dns_wire.SOA
PATIENCE = 30 * SLOW  # for what comes at once on an idle machine


def query(qname=CART, rdtype=A, number=1, more=b"", ar=0):
    return header(ar=ar, number=number) + qname + struct.pack(">HH", rdtype, 1) + more


def framed(message):
    return struct.pack(">H", len(message)) + message


class Stream:
    def __init__(self, server, source=None):
        self.socket = socket.create_connection(server.dns, timeout=PATIENCE, source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, *messages):
        self.socket.sendall(b"".join(map(framed, messages)))

    def receive(self):
        """The next answer's octets; None: the server has closed."""
        head = self.file.read(2)
        if len(head) < 2:
            return None
        return self.file.read(struct.unpack(">H", head)[0])

    def ask(self, message):
        self.send(message)
        return dns_wire.Message(self.receive())

    def is_open(self):
        try:
            return dns_wire.Message(self.ask_octets(query(number=7))).id == 7
        except (ConnectionError, TypeError):
            return False

    def ask_octets(self, message):
        self.send(message)
        return self.receive()

    def ends(self):
        """Waits for the server to close; no answer may come before."""
        try:
            return self.receive() is None
        except ConnectionResetError:
            return True

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def datagram(server, message):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE)
        s.connect(server.dns)
        s.send(message)
        return dns_wire.Message(s.recv(65535))


def closed(server, reason):
    return value(metrics(server), "muster_dns_tcp_closed_total", reason=reason)


@pytest.fixture(scope="module")
def tcp(tmp_path_factory):
    """Its largest answers: 4,000 octets and 60 KiB."""
    path = tmp_path_factory.mktemp("zone") / "static.zone"
    text = " ".join(f'"{i:03}{"x" * 252}"' for i in range(240))
    path.write_text(f'$TTL 60\n@ SOA ns1 hostmaster 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\nbig TXT {" ".join(text.split()[:16])}\n'
                    f"huge TXT {text}\n")
    server = Server(dns_threads=1, dns_tcp_per_prefix=4096)
    server.zone(ZONE, layout="full")
    server.zone("static.test", layout="static", file=str(path))
    server.start()
    for i in range(3):
        server.register("cart", f"10.0.0.{i + 1}", 80)
    for i in range(60):
        server.register("wide", f"10.0.1.{i + 1}", 80)
    yield server
    server.close()


def test_a_hundred_questions_in_one_write_are_answered(tcp):
    names = [CART, dns_wire.name(f"none.svc.{ZONE}"), dns_wire.name("www.example.org"), BIG]
    with Stream(tcp) as s:
        s.send(*(query(names[i % 4], A if i % 4 < 3 else TXT, i) for i in range(100)))
        answers = {a.id: a for a in (dns_wire.Message(s.receive()) for _ in range(100))}  # in any order (RFC 7766 7)
    assert sorted(answers) == list(range(100))
    for i, a in answers.items():
        assert a.question == names[i % 4] + struct.pack(">HH", A if i % 4 < 3 else TXT, 1)
        assert (a.rcode, len(a.sections[0])) == [(0, 3), (3, 0), (5, 0), (0, 1)][i % 4]


def test_both_transports_answer_the_same_set(tcp):
    with Stream(tcp) as s:
        for qname, rdtype in ((CART, A), (CART, SRV), (CART, 255), (CART, 28), (dns_wire.name(ZONE), SOA), (dns_wire.name(ZONE), 2),
                              (dns_wire.name("none." + ZONE), A), (dns_wire.name("10-0-0-1.i." + ZONE), A)):
            for more, ar in ((b"", 0), (opt(), 1), (opt(flags=0x8000), 1)):
                over_udp, over_tcp = datagram(tcp, query(qname, rdtype, more=more, ar=ar)), s.ask(query(qname, rdtype, more=more, ar=ar))
                assert over_udp.flags == over_tcp.flags and over_udp.edns == over_tcp.edns
                assert [sorted(x) for x in over_udp.sections] == [sorted(x) for x in over_tcp.sections]


@pytest.mark.parametrize("qname, rdtype", [(BIG, TXT), (HUGE, TXT), (dns_wire.name(f"wide.svc.{ZONE}"), SRV)],
                         ids=["big", "huge", "many SRV"])
def test_tc_leads_to_the_whole_over_tcp(tcp, qname, rdtype):
    for more, ar in ((b"", 0), (opt(), 1)):
        cut = datagram(tcp, query(qname, rdtype, more=more, ar=ar))
        assert cut.flags & 0x200 and cut.sections == [[], [], []] and cut.flags & 0x400
        with Stream(tcp) as s:
            whole = s.ask(query(qname, rdtype, more=more, ar=ar))
        assert not whole.flags & 0x200 and whole.rcode == 0
        if rdtype == SRV:
            assert len(whole.sections[0]) == len(whole.sections[2]) == 60
        else:
            octets = len(whole.sections[0][0][4])
            assert octets == (16 if qname == BIG else 240) * 256
    assert len(whole.octets) > 61440 or qname != HUGE


@pytest.mark.parametrize("length", range(12))
def test_a_length_that_no_message_has_closes_behind_what_came_before(tcp, length):
    with Stream(tcp) as s:
        s.socket.sendall(framed(query(number=5)) + struct.pack(">H", length) + b"\0" * length + framed(query(number=6)))
        assert dns_wire.Message(s.receive()).id == 5
        assert s.ends()


def test_half_closing_is_answered_and_then_the_end(tcp):
    for n in (1, 50):
        with Stream(tcp) as s:
            s.send(*(query(number=i) for i in range(n)))
            s.socket.shutdown(socket.SHUT_WR)
            assert {dns_wire.Message(s.receive()).id for _ in range(n)} == set(range(n))
            assert s.ends()


def test_a_part_of_a_message_and_the_end_is_no_question(tcp):
    for part in (b"\0", framed(query())[:2], framed(query())[:-1]):
        with Stream(tcp) as s:
            s.socket.sendall(part)
            s.socket.shutdown(socket.SHUT_WR)
            assert s.ends()


def test_keepalive_is_said_only_when_asked_for_and_only_on_streams(tcp):
    wish = opt(option(11))
    with Stream(tcp) as s:
        assert s.ask(query(more=wish, ar=1)).options[11] == struct.pack(">H", 100)  # dns.tcp_idle in tenths of a second
        assert 11 not in s.ask(query(more=opt(), ar=1)).options
        plain = s.ask(query())
        assert plain.edns is None
        refused = s.ask(query(dns_wire.name("example.org"), more=wish, ar=1))
        assert refused.rcode == 5 and 11 in refused.options
    assert 11 not in datagram(tcp, query(more=wish, ar=1)).options


def test_messages_that_are_no_queries_get_nothing_and_the_stream_goes_on(tcp):
    with Stream(tcp) as s:
        s.send(header(0x8000) + CART + b"\0\1\0\1", query(number=9))
        assert dns_wire.Message(s.receive()).id == 9


def test_octet_by_octet_is_as_good_as_at_once(tcp):
    with Stream(tcp) as s:
        for octet in framed(query(number=1)) + framed(query(number=2)):
            s.socket.sendall(bytes([octet]))
        assert [dns_wire.Message(s.receive()).id for _ in range(2)] == [1, 2]


def drip(slow, meanwhile):
    """Sends octet after octet of the longest message into the socket @slow until the server closes it."""
    slow.settimeout(0.05)
    end, over = time.monotonic() + PATIENCE, False
    slow.sendall(b"\xff\xff")
    while not over:
        assert time.monotonic() < end
        try:
            slow.sendall(b"\0")
            over = slow.recv(1) == b""
        except TimeoutError:
            pass
        except (ConnectionError, ssl.SSLError):
            over = True
        meanwhile()


def test_who_takes_too_long_for_one_message_is_closed_though_octets_keep_coming(tcp):
    before = closed(tcp, "slow")
    with Stream(tcp) as slow, Stream(tcp) as other:
        def others_are_well():
            assert other.is_open()

        drip(slow.socket, others_are_well)
    eventually(lambda: closed(tcp, "slow") == before + 1)


def test_garbage_hurts_nobody(tcp):
    chance = random.Random(8906)
    with Stream(tcp) as other:
        for i in range(60):
            with Stream(tcp) as s:
                octets = chance.randbytes(chance.choice((1, 2, 30, 3000)))
                if i % 3 == 0:  # framed, so that the question reader sees it
                    octets = b"".join(framed(chance.randbytes(chance.randrange(12, 600))) for _ in range(20))
                try:
                    s.socket.sendall(octets)
                    s.socket.shutdown(socket.SHUT_WR)
                    while s.receive() is not None:
                        pass
                except ConnectionError:
                    pass
            assert other.is_open()
        largest = Stream(tcp)
        largest.send(query() + chance.randbytes(65535 - len(query())))
        assert dns_wire.Message(largest.receive()).rcode == 1  # octets behind the last record
        largest.close()


def memory(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def test_a_client_that_reads_late_holds_up_nobody_and_gets_everything(tcp):
    """Ten clients ask for 64 MB of answers each before they read: what the server keeps of that is one output buffer each."""
    n, clients = 1000, [Stream(tcp) for _ in range(10)]
    before = memory(tcp)
    senders = []
    for c in clients:
        sender = threading.Thread(target=c.send, args=[query(HUGE, TXT, i) for i in range(n)])
        sender.start()
        senders.append(sender)
    with Stream(tcp) as other:
        for _ in range(50):
            assert other.is_open()
    if VARIANT == "plain":  # a sanitizer keeps what is freed
        assert memory(tcp) - before < 20000  # kB
    for c in clients[1:]:
        c.socket.shutdown(socket.SHUT_RDWR)  # they leave without reading
    got = [clients[0].receive() for _ in range(n)]
    assert [struct.unpack(">H", a[:2])[0] for a in got] == list(range(n))
    assert {len(a) for a in got} == {len(got[0])} and dns_wire.Message(got[-1]).sections[0]
    for sender in senders:
        sender.join()
    for c in clients:
        c.close()


def test_an_idle_connection_is_closed_in_its_time_and_one_that_asks_is_not(make_server):
    server = make_server(dns_tcp_idle="1s", dns_threads=1).start()
    with Stream(server) as idle, Stream(server) as busy:
        assert idle.ask(query(more=opt(option(11)), ar=1)).options[11] == struct.pack(">H", 10)
        idle.socket.settimeout(0.05)
        end, over = time.monotonic() + PATIENCE, False
        while not over:
            assert time.monotonic() < end and busy.is_open()
            try:
                over = idle.socket.recv(1) == b""
            except TimeoutError:
                pass
        assert busy.is_open()
    eventually(lambda: closed(server, "idle") == 1)


def test_over_the_limit_the_longest_idle_makes_room(make_server):
    server = make_server(dns_tcp_idle="1h", dns_tcp_max=8, dns_tcp_per_prefix=100, dns_threads=1).start()
    streams = []
    for i in range(8):
        streams.append(Stream(server, f"127.0.0.{i + 1}"))
        assert streams[-1].is_open()
    assert streams[0].is_open()  # so the second is the one that has been idle longest
    fresh = Stream(server)
    assert fresh.is_open() and streams[1].ends()
    assert all(s.is_open() for i, s in enumerate(streams) if i != 1)
    eventually(lambda: closed(server, "limit") == 1)
    for s in [*streams, fresh]:
        s.close()


def test_one_network_has_its_own_limit(make_server):
    server = make_server(dns_tcp_idle="1h", dns_tcp_per_prefix=3, dns_threads=1).start()
    near = [Stream(server, "127.0.0.1") for _ in range(3)]
    assert all(s.is_open() for s in near)
    other = Stream(server, "127.0.0.2")
    assert other.is_open()
    fresh = Stream(server, "127.0.0.1")
    assert fresh.is_open() and near[0].ends()
    assert near[1].is_open() and near[2].is_open() and other.is_open()
    for s in [*near, other, fresh]:
        s.close()
