"""Each resolver of test_resolvers.py is seen to fail: between it and Muster stands a relay that breaks one behaviour on purpose.
That EDNS is not echoed is none of these: whoever asks takes that for a server without EDNS, and goes on (RFC 6891, 7)."""
import socket
import socketserver
import struct
import threading

import dns.message
import dns.rdatatype
import pytest
from conftest import Server
from machine import Machine
from story import Story
from test_resolvers import installed, register_wide  # noqa: F401: a fixture

BEHIND = ("127.0.0.1", 5390)
PATIENCE = 8  # seconds in which a consumer has to see a change: longer than any of them keeps an answer


class Falsifier:
    """What one behaviour, broken, makes of an answer."""

    def __init__(self, behaviour):
        self.behaviour, self.lock, self.first = behaviour, threading.Lock(), {}

    def __call__(self, octets, transport):
        if self.behaviour == "tc" and transport == "udp":
            return octets[:2] + bytes([octets[2] & ~0x02]) + octets[3:]
        if self.behaviour not in ("weight", "left"):
            return octets
        answer = dns.message.from_wire(octets)
        with self.lock:
            getattr(self, self.behaviour)(answer)
        return answer.to_wire()

    def weight(self, answer):
        """Weights stay what they were when they were first asked for."""
        for rrset in answer.answer:
            if rrset.rdtype == dns.rdatatype.SRV:
                old = [r.replace(weight=self.first.setdefault(r.target, r.weight)) for r in rrset]
                rrset.clear()
                for r in old:
                    rrset.add(r)

    def left(self, answer):
        """Who was there once is answered for good."""
        asked = answer.question[0]
        if asked.rdtype not in (dns.rdatatype.A, dns.rdatatype.SRV):
            return
        ever = self.first.setdefault((asked.name, asked.rdtype), {})
        found = {r.address if asked.rdtype == dns.rdatatype.A else r.target: r for rrset in answer.answer for r in rrset}
        ever.update(found)
        if len(found) < len(ever):
            rrset = answer.find_rrset(answer.answer, asked.name, asked.rdclass, asked.rdtype, create=True)
            for who in ever.keys() - found.keys():
                rrset.add(ever[who], ttl=1)


class Datagrams(socketserver.BaseRequestHandler):
    def handle(self):
        query, reply = self.request
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as behind:
            behind.settimeout(5)
            behind.connect(BEHIND)
            try:
                behind.send(query)
                reply.sendto(self.server.falsify(behind.recv(65535), "udp"), self.client_address)
            except OSError:
                pass  # it asks again


class Streams(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            with socket.create_connection(BEHIND, timeout=30) as behind, behind.makefile("rb") as answers:
                while len(head := self.rfile.read(2)) == 2:
                    behind.sendall(head + self.rfile.read(struct.unpack(">H", head)[0]))
                    answer = self.server.falsify(answers.read(struct.unpack(">H", answers.read(2))[0]), "tcp")
                    self.wfile.write(struct.pack(">H", len(answer)) + answer)
        except (OSError, struct.error):
            pass  # either side has gone


class Relay:
    """On the ports where consumers look for Muster."""

    def __init__(self, behaviour):
        falsify, self.servers = Falsifier(behaviour), []
        for port in (53, 5300):
            for kind, handler in ((socketserver.ThreadingUDPServer, Datagrams), (socketserver.ThreadingTCPServer, Streams)):
                one = kind(("127.0.0.1", port), handler, bind_and_activate=False)
                one.allow_reuse_address = one.daemon_threads = True
                one.falsify = falsify
                one.server_bind()
                one.server_activate()
                threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
                self.servers.append(one)

    def close(self):
        for one in self.servers:
            one.shutdown()
            one.server_close()


@pytest.fixture
def consumers(installed, request):  # noqa: F811
    """Those that are installed, behind a relay that breaks what the test says, and their story."""
    machine = Machine()
    server = relay = None
    try:
        server = Server(dns_listen=f"{BEHIND[0]}:{BEHIND[1]}", dns_ttl="1s", dns_ttl_negative="1s", http_listen="127.0.0.1:8848").start()
        relay = Relay(request.param)
        found = [kind(machine) for kind, why in installed.items() if why is None]
        for one in found:
            one.limit = PATIENCE if request.param else one.limit
        if not found:
            pytest.skip("no resolver is installed")
        yield server, found
    finally:
        if relay:
            relay.close()
        if server:
            server.close()
        machine.close()


BREAKS = {None: None, "weight": "its weight is 3", "left": "the first is drained by weight 0"}


@pytest.mark.parametrize("consumers, behaviour", [(b, b) for b in BREAKS], indirect=["consumers"], ids=["nothing", *filter(None, BREAKS)])
def test_a_server_that_does_not_follow_is_noticed_by_each(consumers, behaviour):
    server, found = consumers
    told = Story(server, found)
    try:
        told.run()
    finally:
        told.close()
    for one in found:
        assert (one.problem or "None").startswith(f"{BREAKS[behaviour]}"), (one.name, one.problem)


@pytest.mark.parametrize("consumers, behaviour", [(None, None), ("tc", "tc")], indirect=["consumers"], ids=["nothing", "tc"])
def test_a_server_that_does_not_say_what_it_cut_off_is_noticed_by_each(consumers, behaviour):
    server, found = consumers
    wanted = register_wide(server)
    for one in found:
        seen = one.wide()
        assert all(sorted(part) == wanted for part in seen) == (behaviour is None), (one.name, [len(set(part)) for part in seen], len(wanted), seen)
