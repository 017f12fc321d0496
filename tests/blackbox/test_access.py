"""Who may ask for which zone, and where: query_allow and listen of [zone NAME]."""
import contextlib
import socket
import subprocess

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from conftest import MUSTERD, Server, free_port

EDE = 15


def ask(at, name, kind="A", source=None, tcp=False):
    question = dns.message.make_query(name, kind, use_edns=0)
    return (dns.query.tcp if tcp else dns.query.udp)(question, at[0], port=at[1], timeout=5, source=source)


def ede(answer):
    return [int.from_bytes(o.to_wire()[:2], "big") for o in answer.options if o.otype == EDE]


@contextlib.contextmanager
def started(server):
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def guarded():
    server = Server()
    server.zone("open.test", layout="full")
    server.zone("inner.open.test", layout="full", query_allow="127.0.0.2, 10.0.0.0/8")
    with started(server):
        server.register("orders", "10.31.0.1", 80)
        yield server


@pytest.mark.parametrize("tcp", [False, True])
def test_a_zone_answers_those_who_may_ask_and_refuses_others(guarded, tcp):
    mine = ask(guarded.dns, "orders.svc.inner.open.test", source="127.0.0.2", tcp=tcp)
    assert [r.to_text() for r in mine.answer[0]] == ["10.31.0.1"]
    other = ask(guarded.dns, "orders.svc.inner.open.test", source="127.0.0.1", tcp=tcp)
    assert other.rcode() == dns.rcode.REFUSED and ede(other) == [18]
    assert not other.answer and not other.authority and not other.flags & dns.flags.AA


def test_the_upper_zone_does_not_answer_in_its_place(guarded):
    assert ask(guarded.dns, "orders.svc.open.test").rcode() == dns.rcode.NOERROR
    for name in ("inner.open.test", "nothing.inner.open.test"):
        assert ask(guarded.dns, name, "SOA").rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("tcp", [False, True])
def test_a_zone_is_only_where_it_is_served(tcp):
    port = free_port()
    here, there = ("127.0.0.1", port), ("127.0.0.3", port)
    server = Server(**{"dns.listen": f"127.0.0.1:{port}, 127.0.0.3:{port}"})
    server.zone("both.test", layout="full")
    server.zone("hidden.test", layout="full", listen=f"127.0.0.3:{port}", transfer_allow="127.0.0.0/8")
    with started(server):
        server.register("orders", "10.31.0.2", 80)
        for at in (here, there):
            assert [r.to_text() for r in ask(at, "orders.svc.both.test", tcp=tcp).answer[0]] == ["10.31.0.2"]
        assert [r.to_text() for r in ask(there, "orders.svc.hidden.test", tcp=tcp).answer[0]] == ["10.31.0.2"]
        hidden = ask(here, "orders.svc.hidden.test", tcp=tcp)
        assert hidden.rcode() == dns.rcode.REFUSED and ede(hidden) == [20]
        if tcp:
            assert ask(here, "hidden.test", "AXFR", tcp=True).rcode() == dns.rcode.NOTAUTH
            with socket.create_connection(there, 5) as s:
                wire = dns.message.make_query("hidden.test", "AXFR").to_wire()
                s.sendall(len(wire).to_bytes(2, "big") + wire)
                assert s.recv(65536)[5] & 15 == dns.rcode.NOERROR


@pytest.mark.parametrize("flags, words", [
    (["--zone.a.test.query_allow=10.0.0.0/33"], "zone a.test: query_allow"),
    (["--dns.listen=127.0.0.1:5399", "--zone.a.test.listen=127.0.0.2:5399"],
     "zone a.test: listen: \"127.0.0.2:5399\" has an address that is none of dns.listen or dns.tls_listen"),
])
def test_wrong_settings_are_told(flags, words):
    done = subprocess.run([MUSTERD, "--check-config", *flags], capture_output=True, text=True)
    assert done.returncode == 2 and words in done.stdout + done.stderr
