"""One story that every DNS consumer lives through at once: service `orders`, whose instances join, change their weight, are
drained, disabled, lost and deregistered. Each consumer tells what it sees, in a thread of its own, and has to see each
state within its own limit."""
import concurrent.futures
import http.server
import os
import threading
import time

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest
from conftest import SLOW, TOP, Server
from machine import Machine

ZONE = "muster.internal"
SERVICE, PORT = "orders", 9080
FIRST, SECOND, THIRD = "127.50.0.1", "127.50.0.2", "127.50.0.3"
MUSTER = "127.0.0.1"  # port 53, and 5300 for the recipes


def recipe(name, **other):
    """A file of contrib/recipes as it stands there, with words in place of others."""
    text = open(os.path.join(TOP, "contrib", "recipes", name)).read()
    for old, new in other.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def srv_weights(state):
    """{address: weight} as SRV says it: times the power of two that takes the largest up to 65535."""
    scale = 1
    while state and max(state.values()) * scale * 2 <= 65535:
        scale *= 2
    return {address: weight * scale for address, weight in state.items()}


def host(address):
    return f"{address.replace('.', '-')}.i.{ZONE}"


def ask(address, name, kind="A", **more):
    """(RCODE, sorted texts of the answer) of the server at @address, or None."""
    try:
        answer = dns.query.udp(dns.message.make_query(name, kind, **more), address, timeout=2)
    except (OSError, dns.exception.DNSException):
        return None
    return dns.rcode.to_text(answer.rcode()), sorted(r.to_text() for rrset in answer.answer for r in rrset)


@pytest.fixture(scope="module")
def machine():
    one = Machine()
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(machine):
    """Port 53 for those who know no other, 5300 for the recipes. A second of TTL: the story has nine turns."""
    one = Server(dns_listen=f"{MUSTER}:53, {MUSTER}:5300", dns_ttl="1s", dns_ttl_negative="1s", http_listen="127.0.0.1:8848").start()
    yield one
    one.close()


class Backend(http.server.ThreadingHTTPServer):
    """Says its own address to whoever asks."""
    daemon_threads = True

    def __init__(self, address):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(address)))
                self.end_headers()
                self.wfile.write(address.encode())

            def log_message(self, *_):
                pass
        super().__init__((address, PORT), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_):
        """Probes and health checks close as they like."""

    def stop(self):
        self.shutdown()
        self.server_close()


class Consumer:
    """A program that asks Muster. @limit: the seconds in which it has to see a change: its own refresh, with room."""
    limit = 20
    complaint = None  # what its log must not say

    def __init__(self, machine):
        self.machine, self.name = machine, type(self).__name__.lower()
        self.problem, self.seen = None, []
        self.start()

    def start(self):
        """Raises pytest's skip where the program is not there."""

    def look(self):
        """What it sees now; None while it sees nothing."""
        raise NotImplementedError

    def wanted(self, state):
        """What look() has to return when @state, {address: weight}, is in force."""
        return sorted(state)

    def log(self):
        return self.machine.log(self.name)[-3000:]

    def follow(self, step, state):
        begun, wanted = time.monotonic(), self.wanted(state)
        while True:
            try:
                value = self.look()
            except Exception as e:  # it may not be up yet
                value = f"{type(e).__name__}: {e}"
            took = time.monotonic() - begun
            if value == wanted:
                self.seen.append((step, round(took, 2)))
                return
            if took > self.limit * SLOW:
                self.problem = f"{step}: sees {value!r}, not {wanted!r}, after {took:.0f} s\n{self.log()}"
                return
            time.sleep(0.1)


class Resolver(Consumer):
    """A DNS server that gets its answers from Muster: both addresses and SRV have to be right, and what is not there."""
    address = None

    def look(self):
        srv = ask(self.address, f"_{SERVICE}._tcp.svc.{ZONE}", "SRV")
        return (ask(self.address, f"{SERVICE}.svc.{ZONE}"), srv, ask(self.address, f"{SERVICE}.default.public.ns.{ZONE}"),
                ask(self.address, f"{SERVICE}.svc.{ZONE}", "AAAA"), ask(self.address, f"absent.svc.{ZONE}"))

    def wanted(self, state):
        addresses = ("NOERROR", sorted(state))
        srv = ("NOERROR", sorted(f"10 {weight} {PORT} {host(a)}." for a, weight in srv_weights(state).items()))
        return addresses, srv, addresses, ("NOERROR", []), ("NXDOMAIN", [])


class Story:
    """@consumers are started already and follow together."""

    def __init__(self, server, consumers):
        self.server, self.consumers = server, consumers
        self.backends = {address: Backend(address) for address in (FIRST, SECOND, THIRD)}
        self.register(FIRST)

    def call(self, method, address, **more):
        more = {"serviceName": SERVICE, "ip": address, "port": PORT, "ephemeral": "false", **more}
        reply = self.server.call(method, "/nacos/v1/ns/instance", more)
        assert (reply.status, reply.text) == (200, "ok"), reply

    def register(self, address, weight=1):
        self.call("POST", address, weight=weight)

    def change(self, address, weight=1, enabled=True):
        self.call("PUT", address, weight=weight, enabled=str(enabled).lower())

    def steps(self):
        """(what happens, the state that follows)."""
        yield "one is there", {FIRST: 1}
        self.register(SECOND)
        yield "another joins", {FIRST: 1, SECOND: 1}
        self.change(SECOND, weight=3)
        yield "its weight is 3", {FIRST: 1, SECOND: 3}
        self.change(FIRST, weight=0)
        yield "the first is drained by weight 0", {SECOND: 3}
        self.register(THIRD, weight=2)
        self.change(FIRST)
        self.change(SECOND, weight=3, enabled=False)
        yield "it is back, a third joins, and the second is disabled", {FIRST: 1, THIRD: 2}
        self.change(SECOND, weight=3)
        self.backends.pop(THIRD).stop()
        yield "the second is back, and the third does not listen any more", {FIRST: 1, SECOND: 3}
        self.call("DELETE", FIRST)
        self.call("DELETE", THIRD)
        yield "the first leaves", {SECOND: 3}
        self.change(SECOND, weight=3, enabled=False)
        yield "nobody is left", {}
        self.change(SECOND, weight=3)
        yield "one is back", {SECOND: 3}

    def run(self):
        with concurrent.futures.ThreadPoolExecutor(max(1, len(self.consumers))) as pool:
            for step, state in self.steps():
                still = [c for c in self.consumers if c.problem is None]
                list(pool.map(lambda c: c.follow(step, state), still))
        return self

    def close(self):
        for backend in self.backends.values():
            backend.stop()
