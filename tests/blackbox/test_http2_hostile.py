"""Clients that misuse HTTP/2: each costs its own connection, and neither memory nor the time of others."""
import socket
import struct
import time

import hpack
import pytest
from conftest import SLOW, VARIANT, eventually
from grpc_client import REQUEST, STREAM, Client, framed, payload

DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4
CALM = 11  # ENHANCE_YOUR_CALM
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, body=b""):
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def head(path=REQUEST):
    return hpack.Encoder().encode([(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x"),
                                   ("content-type", "application/grpc"), ("te", "trailers")], huffman=False)


class Raw:
    """A connection that sends what it likes."""

    def __init__(self, server, settings=b""):
        self.socket = socket.create_connection(server.split(server.ports["grpc"][0]), timeout=20 * SLOW)
        self.socket.sendall(PREFACE + frame(SETTINGS, body=settings))
        self.data, self.closed = b"", False

    def send(self, data):
        """False: the server does not take it any more."""
        try:
            self.socket.sendall(data)
            return True
        except (ConnectionError, TimeoutError):
            return False

    def read_all(self):
        """What comes until the server closes."""
        try:
            while piece := self.socket.recv(65536):
                self.data += piece
        except ConnectionError:
            pass
        return self.frames()

    def frames(self):
        at, found = 0, []
        while at + 9 <= len(self.data):
            length, kind = struct.unpack(">I", b"\0" + self.data[at:at + 3])[0], self.data[at + 3]
            found.append((kind, self.data[at + 9:at + 9 + length]))
            at += 9 + length
        return found

    def goaway(self):
        """Code and text of the last GOAWAY."""
        said = [body for kind, body in self.read_all() if kind == GOAWAY]
        assert said, "closed without a GOAWAY"
        return struct.unpack(">I", said[-1][4:8])[0], said[-1][8:].decode()

    def close(self):
        self.socket.close()


@pytest.fixture
def raw(server):
    made = []

    def make(to=server, **more):
        made.append(Raw(to, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def resident(server):
    """Bytes."""
    return int([line for line in open(f"/proc/{server.process.pid}/status") if line.startswith("VmRSS")][0].split()[1]) * 1024


def others_are_served(server):
    started = time.monotonic()
    other = Client(server).set_up()
    assert other.ask("HealthCheckRequest")[1]["success"] is True
    other.close()
    assert time.monotonic() - started < 5 * SLOW


FLOODS = {
    "ping": frame(PING, body=b"12345678"),
    "settings": frame(SETTINGS),
    "priority": frame(PRIORITY, stream=99, body=b"\0\0\0\0\1"),
    "empty data": None,
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_frames_that_ask_for_nothing_ends_its_connection(server, raw, kind):
    one = raw()
    flood = FLOODS[kind]
    if flood is None:
        one.send(frame(HEADERS, END_HEADERS, 1, head(STREAM)))
        flood = frame(DATA, stream=1)
    one.send(flood * 5000)
    assert one.goaway() == (CALM, "too many control frames")
    others_are_served(server)


def test_a_flood_whose_answers_nobody_reads_stays_small(server, raw):
    before, many = resident(server), [raw() for _ in range(20)]
    for one in many:
        one.socket.settimeout(2)
        one.send(frame(PING, body=b"12345678") * 20000)
    others_are_served(server)
    if VARIANT == "plain":
        assert resident(server) - before < 16 << 20
    for one in many:
        one.read_all()


def test_requests_that_are_reset_at_once_end_their_connection(server, raw):
    one, number = raw(), 1
    block = head()
    for _ in range(100):
        data = b"".join(frame(HEADERS, END_HEADERS, n, block) + frame(RST, stream=n, body=b"\0\0\0\x08")
                        for n in range(number, number + 400, 2))
        number += 400
        if not one.send(data):
            break
    one.read_all()  # it ends
    others_are_served(server)


def test_a_head_that_never_ends_ends_its_connection(server, raw):
    before, one = resident(server), raw()
    one.send(frame(HEADERS, 0, 1, head()))
    piece = frame(CONTINUATION, 0, 1, hpack.Encoder().encode([("x-more", "y" * 8000)], huffman=False))
    for _ in range(2000):
        if not one.send(piece):
            break
    else:
        raise AssertionError("16 MB of one head were taken")
    others_are_served(server)
    if VARIANT == "plain":
        assert resident(server) - before < 8 << 20


def test_a_client_that_opens_no_window_is_closed_after_the_write_timeout(make_server):
    server = make_server(http_write_timeout="700ms", health_connection_idle="1m").start()
    for n in range(50):
        server.register(f"window-{n}", "10.0.0.1", 80, metadata="k=" + "x" * 900)
    one = Raw(server, settings=struct.pack(">HI", 4, 0))  # SETTINGS_INITIAL_WINDOW_SIZE 0
    one.send(frame(HEADERS, END_HEADERS, 1, head(STREAM)) +
             frame(DATA, 0, 1, framed(payload("ConnectionSetupRequest", {"clientVersion": "Test:v1", "labels": {"module": "naming"}}))))
    ask = framed(payload("ServiceQueryRequest", {"namespace": "public", "serviceName": "window-1", "groupName": "DEFAULT_GROUP"}))
    before = resident(server)
    for n in range(3, 403, 2):
        one.send(frame(HEADERS, END_HEADERS, n, head()) + frame(DATA, END_STREAM, n, ask))
    frames = one.read_all()  # the server closes
    assert not [kind for kind, body in frames if kind == DATA and body]
    others_are_served(server)
    if VARIANT == "plain":
        assert resident(server) - before < 16 << 20
    one.close()


def test_a_subscriber_that_reads_slowly_is_closed_and_others_are_pushed_to(make_server):
    server = make_server(http_write_timeout="1s", health_connection_idle="1m").start()
    slow, quick = (Client(server).set_up() for _ in range(2))
    for n in range(200):
        server.register("many", f"10.0.0.{n}", 80, metadata="k=" + "x" * 900)
    slow.subscribe("many")  # and reads no more
    quick.subscribe("many")
    seen, before = 0, resident(server)
    for n in range(50):  # 200 KiB each: more than the buffers of a socket take
        server.register("many", "10.0.1.1", 80, weight=n + 1)
        kind, said = quick.hear(20)
        while kind != "NotifySubscriberRequest":
            kind, said = quick.hear(20)
        quick.say("NotifySubscriberResponse", {"resultCode": 200, "requestId": said["requestId"]})
        seen = len(said["serviceInfo"]["hosts"])
    assert seen == 201
    if VARIANT == "plain":
        assert resident(server) - before < 16 << 20
    eventually(lambda: "muster_grpc_connections 1\n" in server.get("/metrics").text)
    slow.close()
    quick.close()


def test_limits_of_connections_are_told_of(make_server):
    server = make_server(grpc_connections="2").start()
    two = [Client(server).set_up() for _ in range(2)]
    third = Raw(server)
    assert third.goaway() == (CALM, "no place for one more connection: grpc.connections is reached")
    assert two[0].ask("HealthCheckRequest")[1]["success"] is True
    two[1].close()
    eventually(lambda: "muster_grpc_connections 1\n" in server.get("/metrics").text)
    Client(server).set_up().close()  # there is a place again
    third.close()
    two[0].close()


def test_connections_of_one_address_are_limited_and_told_of(make_server):
    server = make_server(grpc_connections_per_address="2").start()
    two = [Client(server).set_up() for _ in range(2)]
    third = Raw(server)
    assert third.goaway() == (CALM, "too many connections of this address: grpc.connections_per_address is reached.")
    other = socket.create_connection(server.split(server.ports["grpc"][0]), source_address=("127.0.0.2", 0), timeout=20)
    other.sendall(PREFACE + frame(SETTINGS))
    assert other.recv(9)[3] == SETTINGS and other.recv(9)  # another address is welcome
    for one in (third, other, *two):
        one.close()
