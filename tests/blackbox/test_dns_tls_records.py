"""DNS over TLS record by record: whatever questions share a record, or an octet of the stream, none waits for the next one.
(NSD and Knot answer one question of a record and then wait for more from the socket.)"""
import select
import socket
import ssl
import struct
import subprocess
import threading

import dns.message
import pytest
from conftest import SLOW
from test_dns_tls import NAME, Connection, addresses, files, secure  # noqa: F401: fixtures

PATIENCE = 60 * SLOW


def question(n):
    return struct.pack(">H", 2 + len(BODY)) + struct.pack(">H", n & 0xffff) + BODY


BODY = dns.message.make_query(NAME, "A").to_wire()[2:]


class Records:
    """A client that says which plain octets make a record, and which sealed ones are sent together."""

    def __init__(self, server, version=None):
        context = Connection.context_of()
        if version is not None:
            context.minimum_version = context.maximum_version = version
        self.socket = socket.create_connection(server.split(server.ports["dns_tls"][0]), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="first.example")
        self.plain = b""
        self.retry(self.tls.do_handshake)
        self.socket.sendall(self.outgoing.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def retry(self, step):
        """@step, with what it wants sent and received."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            if sealed := self.outgoing.read():
                self.socket.sendall(sealed)
            if octets := self.socket.recv(65536):
                self.incoming.write(octets)
            else:
                self.incoming.write_eof()

    def seal(self, *records):
        """Those, each a record, and not sent."""
        for record in records:
            self.tls.write(record)
        return self.outgoing.read()

    def send(self, *records):
        self.socket.sendall(self.seal(*records))

    def receive(self):
        """The next answer; None: the server has said that it ends."""
        while len(self.plain) < 2 or len(self.plain) < 2 + struct.unpack(">H", self.plain[:2])[0]:
            try:
                more = self.retry(lambda: self.tls.read(65536))
            except ssl.SSLZeroReturnError:
                more = b""
            if not more:
                assert not self.plain
                return None
            self.plain += more
        end = 2 + struct.unpack(">H", self.plain[:2])[0]
        answer, self.plain = self.plain[2:end], self.plain[end:]
        return answer

    def number(self):
        answer = self.receive()
        return answer and struct.unpack(">H", answer[:2])[0]

    def numbers(self, n):
        return [self.number() for _ in range(n)]


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


@VERSIONS
def test_no_question_of_a_record_waits_for_the_next_record(secure, version):
    with Records(secure, version) as c:
        for first, n in ((0, 1), (1, 2), (3, 16), (19, 300)):
            c.send(b"".join(question(first + i) for i in range(n)))
            assert c.numbers(n) == list(range(first, first + n))


@VERSIONS
def test_what_is_whole_is_answered_while_the_rest_of_a_question_is_in_another_record(secure, version):
    with Records(secure, version) as c:
        for n in range(0, 60, 2):
            both = question(n) + question(n + 1)
            cut = len(question(n)) + 1 + n % (len(question(n)) - 1)  # in the length, the header, the name, ...
            c.send(both[:cut])
            assert c.number() == n  # though nothing more comes
            c.send(both[cut:])
            assert c.number() == n + 1


def test_many_records_of_one_question_are_answered_however_segments_cut_them(secure):
    for piece in (1, 4, 5, 6, 29, 1000, 1 << 20):
        with Records(secure) as c:
            n = 20 if piece == 1 else 500
            sealed = c.seal(*[question(i) for i in range(n)])
            for at in range(0, len(sealed), piece):
                c.socket.sendall(sealed[at:at + piece])
            assert c.numbers(n) == list(range(n))


def test_a_record_that_waits_for_its_end_holds_up_nothing_before_it(secure):
    with Records(secure) as c:
        first, second = c.seal(question(1)), c.seal(question(2))
        for cut in (1, 5, len(second) - 1):
            c.socket.sendall(first + second[:cut])
            assert c.number() == 1
            c.socket.sendall(second[cut:])
            assert c.number() == 2
            first, second = c.seal(question(1)), c.seal(question(2))


def test_empty_records_are_nothing_and_stop_nothing(secure):
    with Records(secure) as c:
        c.send(question(1), b"", b"", question(2)[:7], b"", question(2)[7:])
        assert c.numbers(2) == [1, 2]


@VERSIONS
@pytest.mark.parametrize("goodbye", [True, False], ids=["close_notify", "FIN"])
def test_a_client_that_ends_its_side_gets_every_answer_and_then_the_goodbye(secure, version, goodbye):
    with Records(secure, version) as c:
        sealed = c.seal(b"".join(question(i) for i in range(300)))
        if goodbye:
            try:
                c.tls.unwrap()
            except ssl.SSLWantReadError:
                sealed += c.outgoing.read()
        c.socket.sendall(sealed)
        c.socket.shutdown(socket.SHUT_WR)
        assert goodbye or c.numbers(300) == list(range(300))
        if goodbye:  # this side's OpenSSL reads no more answers: they are counted as records
            octets = b""
            while more := c.socket.recv(65536):
                octets += more
            assert len(octets) > 300 * len(question(0))
        else:
            assert c.receive() is None


def test_a_client_that_reads_late_gets_everything(secure):
    n = 60000
    with Records(secure) as c:
        sealed = c.seal(b"".join(question(i) for i in range(n)))
        sender = threading.Thread(target=c.socket.sendall, args=[sealed])
        sender.start()
        with Records(secure) as other:
            for i in range(20):
                other.send(question(i))
                assert other.number() == i
        c.outgoing.read()
        assert c.numbers(n) == [i & 0xffff for i in range(n)]
        sender.join()


def s_client(secure, *words):
    return subprocess.Popen(["openssl", "s_client", "-connect", secure.ports["dns_tls"][0], *words], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def until(process, text, got=b""):
    """What it says, up to @text."""
    while text not in got:
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        more = process.stdout.read1(65536) if ready else b""
        assert more, got.decode(errors="replace")
        got += more
    return got


def test_renegotiation_is_refused_and_hurts_nobody(secure):
    with Records(secure) as other:
        process = s_client(secure, "-tls1_2")
        until(process, b"---\nSSL handshake has read")
        process.stdin.write(b"R\n")
        process.stdin.flush()
        said, _ = process.communicate(timeout=PATIENCE)
        assert b"no renegotiation" in said, said.decode(errors="replace")
        other.send(question(7))
        assert other.number() == 7


def test_new_keys_are_taken_amid_questions(secure):
    """RFC 8446, 4.6.3: a KeyUpdate that asks for one back comes between two questions."""
    process = s_client(secure, "-tls1_3")
    said = until(process, b"---\nSSL handshake has read")
    for n, command in enumerate((b"", b"k\n", b"K\n", b"K\n")):
        if command:
            process.stdin.write(command)
            process.stdin.flush()
            until(process, b"KEYUPDATE\n")
        process.stdin.write(question(0xabc0 + n))
        process.stdin.flush()
        until(process, struct.pack(">HH", 0xabc0 + n, 0x8500))
    process.stdin.write(b"Q\n")
    process.stdin.flush()
    process.communicate(timeout=PATIENCE)
    assert said
    assert addresses(Connection(secure).ask()) == ["10.0.0.1"]
