"""Who may ask for which zone, and where: query_allow and listen of [zone NAME]."""
import contextlib
import socket
import subprocess

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.reversename
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


REVERSE4, REVERSE6 = "10.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"


@pytest.fixture(scope="module")
def hiding():
    """Services of group SECRET are shown in a zone that is for 127.0.0.2 alone, and in one at one address; of group MIXED in
    an open one too."""
    port = free_port()
    server = Server(**{"dns.listen": f"127.0.0.1:{port}, 127.0.0.3:{port}"})
    server.zone("secret.test", query_allow="127.0.0.2")
    server.zone("there.test", layout="bound", group="THERE", listen=f"127.0.0.3:{port}")
    server.zone("open.test", layout="bound", group="MIXED")
    server.zone("open2.test", layout="bound", group="MIXED")
    server.zone(REVERSE4, layout="reverse", transfer_allow="127.0.0.0/8")
    server.zone(REVERSE6, layout="reverse")
    server.zone("11.in-addr.arpa", layout="reverse", query_allow="127.0.0.2")
    server.zone("12.in-addr.arpa", layout="reverse", listen=f"127.0.0.3:{port}")
    with started(server):
        server.here, server.there = ("127.0.0.1", port), ("127.0.0.3", port)
        server.register("a", "10.1.0.1", 80, groupName="SECRET")
        server.register("a", "2001:db8::1", 80, groupName="SECRET")
        server.register("b", "10.2.0.1", 80, groupName="THERE")
        server.register("c", "10.3.0.1", 80, groupName="MIXED")
        server.register("d", "11.1.0.1", 80, groupName="MIXED")
        server.register("e", "12.1.0.1", 80, groupName="MIXED")
        yield server


def pointers(at, address, source):
    answer = ask(at, dns.reversename.from_address(address), "PTR", source=source)
    return dns.rcode.to_text(answer.rcode()), [r.to_text() for a in answer.answer for r in a]


@pytest.mark.parametrize("source, at, seen", [
    ("127.0.0.2", "here", {"10.1.0.1": "secret.test", "2001:db8::1": "secret.test", "10.2.0.1": "secret.test", "10.3.0.1": "secret.test"}),
    ("127.0.0.4", "here", {"10.1.0.1": None, "2001:db8::1": None, "10.2.0.1": None, "10.3.0.1": "open.test"}),
    ("127.0.0.4", "there", {"10.1.0.1": None, "10.2.0.1": "there.test", "10.3.0.1": "open.test"}),
])
def test_an_address_points_only_to_zones_that_the_client_may_ask(hiding, source, at, seen):
    for address, zone in seen.items():
        label = "2001-db8-0-0-0-0-0-1" if ":" in address else address.replace(".", "-")
        want = ("NXDOMAIN", []) if zone is None else ("NOERROR", [f"{label}.i.{zone}."])
        assert pointers(getattr(hiding, at), address, source) == want, address


@pytest.mark.parametrize("source, rcode", [("127.0.0.2", "NOERROR"), ("127.0.0.4", "NXDOMAIN")])
def test_names_above_hidden_addresses_do_not_exist_for_others(hiding, source, rcode):
    above = [f"0.1.{REVERSE4}", f"1.{REVERSE4}"] + [("0." * n) + REVERSE6 for n in range(1, 24)]
    for name in above:
        assert dns.rcode.to_text(ask(hiding.here, name, "PTR", source=source).rcode()) == rcode, name
    assert ask(hiding.here, f"3.{REVERSE4}", "A", source=source).rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("source, zones", [("127.0.0.2", {"secret.test"}), ("127.0.0.4", {"open.test"})])
def test_who_takes_a_reverse_zone_gets_the_pointers_that_he_would_be_answered(hiding, source, zones):
    names = {}
    for message in dns.query.xfr(hiding.here[0], REVERSE4, port=hiding.here[1], source=source, relativize=False, lifetime=20):
        for rrset in message.answer:
            if rrset.rdtype == dns.rdatatype.PTR:
                names[str(rrset.name)] = str(rrset[0])
    assert {n.split(".i.")[1].rstrip(".") for n in names.values()} == zones
    for name, target in names.items():
        assert [r.to_text() for r in ask(hiding.here, name, "PTR", source=source).answer[0]] == [target]


def test_reverse_zones_have_settings_of_their_own(hiding):
    for address, source, at, want in [("11.1.0.1", "127.0.0.2", "here", "NOERROR"), ("11.1.0.1", "127.0.0.4", "here", "REFUSED"),
                                      ("12.1.0.1", "127.0.0.4", "there", "NOERROR"), ("12.1.0.1", "127.0.0.4", "here", "REFUSED")]:
        assert pointers(getattr(hiding, at), address, source)[0] == want, (address, source, at)
    assert ask(hiding.here, REVERSE6, "AXFR", tcp=True).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("flags, words", [
    (["--zone.a.test.query_allow=10.0.0.0/33"], "zone a.test: query_allow"),
    (["--dns.listen=127.0.0.1:5399", "--zone.a.test.listen=127.0.0.2:5399"],
     "zone a.test: listen: \"127.0.0.2:5399\" has an address that is none of dns.listen or dns.tls_listen"),
])
def test_wrong_settings_are_told(flags, words):
    done = subprocess.run([MUSTERD, "--check-config", *flags], capture_output=True, text=True)
    assert done.returncode == 2 and words in done.stdout + done.stderr
