"""Whole zones over TLS (RFC 9103): the same records as over TCP, for who may have them, and other questions meanwhile."""
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from conftest import SLOW, Server
from test_dns_tls import certificate

ZONE, CLOSED = "over.test", "closed.test"


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    cert, key = certificate(str(tmp_path_factory.mktemp("tls")), "zone", "zone.example")
    server = Server(dns_tls_listen="127.0.0.1:0", tls_cert=cert, tls_key=key)
    server.zone(ZONE, layout="bound", transfer_allow="127.0.0.1").zone(CLOSED, layout="bound", transfer_allow="127.0.0.9")
    server.start()
    for n in range(60):
        server.register(f"s{n % 6}", f"10.0.0.{n}", 80, ephemeral="false", metadata='{"pad":"x"}')
    yield server
    server.close()


class Tls:
    def __init__(self, server):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["dot"])
        self.address = server.split(server.ports["dns_tls"][0])
        self.socket = context.wrap_socket(socket.create_connection(self.address, timeout=20 * SLOW))
        self.file = self.socket.makefile("rb")

    def send(self, *questions):
        for wire in (q.to_wire() for q in questions):
            self.socket.sendall(struct.pack("!H", len(wire)) + wire)

    def receive(self):
        wire = self.file.read(struct.unpack("!H", self.file.read(2))[0])
        return dns.message.from_wire(wire, xfr=True, one_rr_per_rrset=True)


def over_tcp(server):
    return [(r.name, r.rdtype, r.ttl, d) for m in dns.query.xfr(server.dns[0], ZONE, port=server.dns[1], relativize=False,
                                                              lifetime=30 * SLOW) for r in m.answer for d in r]


def test_a_zone_over_tls_is_that_over_tcp_and_a_question_behind_it_is_answered(secure):
    tls, records, question = Tls(secure), [], dns.message.make_query(f"s1.{ZONE}", "SRV")
    tls.send(dns.message.make_query(ZONE, "AXFR"), question)
    while [r[1] for r in records].count(dns.rdatatype.SOA) < 2:
        message = tls.receive()
        assert message.rcode() == dns.rcode.NOERROR
        records += [(r.name, r.rdtype, r.ttl, r[0]) for r in message.answer]
    assert sorted(records[1:-1]) == sorted(over_tcp(secure)[1:-1])
    answer = tls.receive()
    assert answer.id == question.id and len(answer.answer) == 10


def test_who_may_not_have_it_is_refused_over_tls_too(secure):
    tls = Tls(secure)
    tls.send(dns.message.make_query(CLOSED, "AXFR"), dns.message.make_query(ZONE, "SOA"))
    assert tls.receive().rcode() == dns.rcode.REFUSED
    assert tls.receive().rcode() == dns.rcode.NOERROR


def test_kdig_takes_it_over_tls(secure):
    program = shutil.which("kdig", path=os.environ["PATH"] + ":/usr/bin")
    if program is None:
        pytest.skip("kdig is not here")
    host, port = Tls(secure).address
    done = subprocess.run([program, "+tls", f"@{host}", "-p", str(port), ZONE, "AXFR"], capture_output=True, text=True,
                          timeout=30 * SLOW)
    lines = [line for line in done.stdout.splitlines() if re.match(r"\S+\s+\d+\s+IN\s", line)]
    assert len(lines) == len(over_tcp(secure)), done.stdout + done.stderr
