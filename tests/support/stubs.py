"""Libraries that look names up in a process of its user: each program here is started for each look, with /etc/resolv.conf."""
import os
import re
import socket
import subprocess
import sys
import threading

import dns.message
import dns.rcode
import dns.rrset
import pytest
from conftest import TOP, need
from story import MUSTER, PORT, SERVICE, ZONE, Consumer, host, recipe, srv_weights

DECOY = "127.0.0.66"
NSSWITCH = "hosts: dns\n"
FULL = f"{SERVICE}.svc.{ZONE}"


class Decoy(threading.Thread):
    """A name server that has an address for every name of the zone: whoever gave Muster's answer up for it is found out."""
    A, AAAA = "192.0.2.66", "2001:db8::66"

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((DECOY, 53))
        self.start()

    def run(self):
        while True:
            try:
                wire, peer = self.socket.recvfrom(4096)
                answer = dns.message.make_response(dns.message.from_wire(wire))
            except (OSError, dns.exception.DNSException):
                return
            question = answer.question[0]
            if question.name.to_text().lower().endswith(f"{ZONE}."):
                kind = "AAAA" if question.rdtype == dns.rdatatype.AAAA else "A"
                answer.answer.append(dns.rrset.from_text(question.name, 1, "IN", kind, getattr(self, kind)))
            else:
                answer.set_rcode(dns.rcode.REFUSED)
            self.socket.sendto(answer.to_wire(), peer)


def resolv_conf(options="", servers=(MUSTER,)):
    """The recipe, with more options or servers."""
    text = recipe("resolv.conf", **{f"nameserver {MUSTER}\n": "".join(f"nameserver {s}\n" for s in servers)})
    return text.replace("\noptions ", f"\noptions {options} ")


def build(machine, compiler, source, name, *more):
    """A program of tests/support, built with @compiler; a skip where that cannot be."""
    path = machine.path(name)
    if not os.path.exists(path):
        done = subprocess.run([need(compiler), "-O1", "-w", "-o", path, os.path.join(TOP, "tests", "support", source), *more], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            pytest.skip(f"{compiler} cannot build {source}: {done.stdout[-300:]}")
    return path


class Stub(Consumer):
    """look() is what say() says, sorted, of the short name and of the whole one."""
    options = ""
    servers = (MUSTER,)

    def start(self):
        self.etc = {"resolv.conf": resolv_conf(self.options, self.servers), "nsswitch.conf": NSSWITCH}
        self.prepare()

    def prepare(self):
        need("getent")

    def lookup(self, *names):
        """Of each name the addresses, in the order that they came."""
        raise NotImplementedError

    def look(self):
        return [sorted(found) for found in self.lookup(SERVICE, FULL)]

    def wanted(self, state):
        return [sorted(state)] * 2


class Glibc(Stub):
    """The second server is never asked: not for "no data", not for "no such name"."""
    servers = (MUSTER, DECOY)

    def lookup(self, *names):
        said = self.machine.run(["sh", "-c", 'for name; do getent ahosts "$name"; echo; done', "sh", *names], self.etc, self.name)
        for part in re.split(r"^\n", said, flags=re.M)[:len(names)]:
            yield [line.split()[0] for line in part.splitlines() if "STREAM" in line]


class GlibcOptions(Glibc):
    options = "edns0 trust-ad single-request"


class GlibcReopen(Glibc):
    options = "single-request-reopen use-vc"


class Lines(Stub):
    """A program that says one line of addresses a name."""

    def lookup(self, *names):
        said = self.machine.run(self.program + list(names), self.etc, self.name)
        for line in said.splitlines():
            yield [word for word in line.split() if re.fullmatch(r"[0-9a-f]*[.:][0-9a-f.:]+", word)]


class Musl(Lines):
    def prepare(self):
        self.program = [build(self.machine, "musl-gcc", "lookup.c", "lookup-musl", "-static")]


class Cares(Lines):
    def prepare(self):
        if not os.path.exists("/usr/include/ares.h"):
            pytest.skip("libc-ares-dev is not installed")
        self.program = [build(self.machine, "gcc", "lookup_ares.c", "lookup-ares", "-lcares")]

    def look(self):
        said = self.machine.run(self.program + [FULL, f"_{SERVICE}._tcp.svc.{ZONE}"], self.etc, self.name).splitlines()
        return sorted(w for w in said[0].split() if w[0].isdigit()), sorted(r for r in said[1].split(",") if r[0].isdigit())

    def wanted(self, state):
        return sorted(state), sorted(f"10 {w} {PORT} {host(a)}" for a, w in srv_weights(state).items())


class Python(Lines):
    """getaddrinfo() of the language, and dnspython as a stub resolver."""
    TEXT = """
import socket, sys
import dns.resolver
for name in sys.argv[1:]:
	try:
		print(*[a[4][0] for a in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)])
	except socket.gaierror as e:
		print(e.strerror)
	try:
		print(*[r.address for r in dns.resolver.resolve(name, "A", search=True)])
	except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN, dns.resolver.NoNameservers) as e:
		print(type(e).__name__)
"""

    def prepare(self):
        self.program = [sys.executable, "-c", self.TEXT]

    def wanted(self, state):
        return [sorted(state)] * 4


STUBS = [Glibc, GlibcOptions, GlibcReopen, Musl, Cares, Python]
