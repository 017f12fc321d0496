"""Any number of instances in any size of answer, as a client sees it: TC if and only if the set does not fit, never a part of it,
the same over UDP and TCP; and dnspython reads every message (dns.md 3.1, D.5). tests/zones/test_sizes.c has more numbers,
read by ldns."""
import itertools
import socket
import struct

import dns.flags
import dns.message
import dns.rcode
import dns.reversename
import pytest

from conftest import SLOW, Server

ZONE = "muster.internal"
FRAMES = {"plain": None, "512": 512, "1232": 1232, "4096": 4096, "TCP": 65535}
# where 512, 1232 and 4096 octets end for 16 (A), 28 (AAAA), 46 and more (SRV) of a record
COUNTS = [*range(0, 4), *range(7, 13), 16, 17, *range(22, 31), *range(40, 44), *range(71, 75), *range(84, 91),
          143, 144, 145, 251, 252, 253]


class Asker(Server):
    """A server with a socket of each transport; they last as long as the server."""

    def ask(self, name, rdtype, frame, do):
        """The message, and its octets."""
        question = dns.message.make_query(name, rdtype, use_edns=frame != "plain", want_dnssec=do,
                                          payload=min(FRAMES[frame] or 512, 4096))
        octets = self.over_tcp(question.to_wire()) if frame == "TCP" else self.over_udp(question.to_wire())
        reply = dns.message.from_wire(octets)
        assert question.is_response(reply) and reply.rcode() == dns.rcode.NOERROR and reply.flags & dns.flags.AA
        assert len(octets) <= (FRAMES[frame] or 512)
        assert (reply.edns == 0) == (frame != "plain") and bool(reply.ednsflags & dns.flags.DO) == do
        return reply, octets

    def over_udp(self, octets):
        self.udp.send(octets)
        return self.udp.recv(65535)

    def over_tcp(self, octets):
        self.tcp.sendall(struct.pack(">H", len(octets)) + octets)
        return self.stream.read(struct.unpack(">H", self.stream.read(2))[0])


@pytest.fixture(scope="module")
def sized():
    server = Asker(dns_reverse="10.0.0.0/8, 2001:db8::/32", dns_threads=1, dns_tcp_idle="1h").start()
    with socket.create_connection(server.dns, timeout=20 * SLOW) as server.tcp, server.tcp.makefile("rb") as server.stream, \
         socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server.udp:
        server.udp.settimeout(20 * SLOW)
        server.udp.connect(server.dns)
        yield server
    server.close()


def records(reply):
    return sorted(r.to_text() for rrset in reply.answer for r in rrset)


def frames(n):
    """TCP first: it shows the whole. DO now and then: there is nothing that it adds."""
    return [(frame, frame != "plain" and n % 2 == 1) for frame in reversed(FRAMES)]


def answered_octets(wire):
    """Of header, question and answer section as they stand on the wire."""
    at = 12
    while wire[at]:
        at += wire[at] + 1
    at += 5
    for _ in range(struct.unpack(">H", wire[6:8])[0]):
        assert wire[at:at + 2] == b"\xc0\x0c"
        at += 12 + struct.unpack(">H", wire[at + 10:at + 12])[0]
    return at


def check_whole(server, name, rdtype, expected):
    """A set that is given whole or not at all, but for streams that are too short for it."""
    whole = octets = None
    for frame, do in frames(len(expected)):
        reply, wire = server.ask(name, rdtype, frame, do)
        got = records(reply)
        if frame == "TCP":
            assert not reply.flags & dns.flags.TC and set(got) <= set(expected) and len(set(got)) == len(got)
            whole, octets = got, answered_octets(wire)
            assert len(got) == len(expected) or octets > 65535 - 11 - 100
            continue
        fits = octets + (0 if frame == "plain" else 11) <= (FRAMES[frame] or 512) and len(whole) == len(expected)
        assert bool(reply.flags & dns.flags.TC) == (not fits), (name, rdtype, frame, len(expected))
        assert got == (whole if fits else [])
        if not fits:
            assert not reply.authority and not reply.additional


def check_chosen(server, name, rdtype, expected):
    """Addresses: all of them up to the cap, then a subset of them; never TC."""
    for frame, do in frames(len(expected)):
        reply, _ = server.ask(name, rdtype, frame, do)
        got = records(reply)
        assert not reply.flags & dns.flags.TC and set(got) <= set(expected) and len(set(got)) == len(got) == min(len(expected), 16)


@pytest.mark.parametrize("family", ["A", "AAAA"])
def test_every_number_of_instances_fits_or_says_tc(sized, family):
    chosen, whole = f"auto-{family.lower()}", f"all-{family.lower()}"
    for service, metadata in ((chosen, "{}"), (whole, '{"dns.mode":"all"}')):
        assert sized.post("/nacos/v2/ns/service", serviceName=service, metadata=metadata, ephemeral="true").json()["data"] == "ok"
    patience = '{"preserved.heart.beat.timeout":"3600000","preserved.ip.delete.timeout":"3600000"}'
    have = []
    for n in COUNTS:
        while len(have) < n:
            i = len(have)
            ip = f"10.0.{i // 250}.{i % 250 + 1}" if family == "A" else f"2001:db8::{i // 250 + 1:x}:{i % 250 + 1:x}"
            for service in (chosen, whole):
                sized.register(service, ip, 8000 + i % 100, metadata=patience)
            have.append(ip)
        check_chosen(sized, f"{chosen}.svc.{ZONE}", family, have)
        check_whole(sized, f"{whole}.svc.{ZONE}", family, have)
        targets = [f"10 32768 {8000 + i % 100} {host(ip)}.i.{ZONE}." for i, ip in enumerate(have)]
        for service in (chosen, whole):
            check_whole(sized, f"{service}.svc.{ZONE}", "SRV", targets)
        other, _ = sized.ask(f"{whole}.svc.{ZONE}", "AAAA" if family == "A" else "A", "plain", False)
        assert not other.answer and len(other.authority) == 1
    for ip, (frame, do) in itertools.product((have[0], have[-1]), frames(1)):
        assert records(sized.ask(dns.reversename.from_address(ip), "PTR", frame, do)[0]) == [f"{host(ip)}.i.{ZONE}."]


def host(ip):
    if "." in ip:
        return ip.replace(".", "-")
    head, tail = ip.split("::")
    return "-".join(head.split(":") + ["0"] * (8 - len(head.split(":")) - len(tail.split(":"))) + tail.split(":"))
