"""What the look-up libraries of programs do with answers of every kind; that they follow changes is in
test_consumers_follow.py."""
import re

import pytest
from conftest import eventually
from story import MUSTER, ZONE, machine, server  # noqa: F401
from stubs import NSSWITCH, Cares, Decoy, Glibc, GlibcOptions, GlibcReopen, Musl, Python, resolv_conf

KINDS = [Glibc, GlibcOptions, GlibcReopen, Musl, Cares, Python]
CROWD = 60


@pytest.fixture(scope="module")
def decoy(machine):  # noqa: F811
    return Decoy()


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__.lower())
def stub(request, machine, decoy):  # noqa: F811
    return request.param(machine)


def add(server, service, address, weight=1):  # noqa: F811
    server.register(service, address, 80, weight=weight, metadata='{"preserved.heart.beat.timeout":"3600000"}')  # nobody beats


def truncated(server):  # noqa: F811
    """(answers with TC, questions over TCP) so far."""
    text = server.get("/metrics").text
    return (sum(float(v) for v in re.findall(r'^muster_dns_truncated_total\{[^}]*\} (\S+)', text, re.M)),
            sum(float(v) for v in re.findall(r'^muster_dns_queries_total\{[^}]*transport="tcp"[^}]*\} (\S+)', text, re.M)))


def test_both_families_come_together(server, stub):  # noqa: F811
    add(server, "both", "10.1.0.1")
    add(server, "both", "fd00::1")
    add(server, "six", "fd00::6")
    both, six = list(stub.lookup(f"both.svc.{ZONE}", f"six.svc.{ZONE}"))[::2 if isinstance(stub, Python) else 1][:2]
    assert sorted(both) == ["10.1.0.1", "fd00::1"] and six == ["fd00::6"]


def test_the_heavier_one_comes_first(server, stub):  # noqa: F811
    """Of weights 10000:1 the heavier is the first of most answers: with 21 of them no chance decides."""
    names = [f"heavy.svc.{ZONE}"] * 21
    for heavy, light in (("127.60.0.1", "127.60.0.2"), ("127.60.0.2", "127.60.0.1")):
        add(server, "heavy", heavy, 10000)
        add(server, "heavy", light, 1)
        found = list(stub.lookup(*names))
        assert all(sorted(f) == ["127.60.0.1", "127.60.0.2"] for f in found), found
        assert sum(f[0] == heavy for f in found) > len(found) / 2, found


def test_a_name_that_is_not_there_is_believed(server, stub):  # noqa: F811
    """glibc has another server that knows every name."""
    assert not any(stub.lookup(f"nobody-here.svc.{ZONE}", f"nobody.here.svc.{ZONE}"))


def crowd(server, mode):  # noqa: F811
    """A service whose addresses are more than 512 octets, and fewer than 1232."""
    name = f"crowd-{mode}"
    for i in range(CROWD):
        add(server, name, f"10.2.0.{i + 1}")
    reply = server.put("/nacos/v1/ns/service", serviceName=name, protectThreshold=0, metadata=f"dns.mode={mode},dns.cap={CROWD}")
    assert reply.text == "ok", reply
    return f"{name}.svc.{ZONE}"


def test_an_answer_that_is_too_long_is_asked_for_again_over_tcp(server, machine, decoy):  # noqa: F811
    """Without EDNS; a machine with "options edns0" has it in one message."""
    name = crowd(server, "all")
    for kind, more_cut, more_tcp in ((Glibc, 1, 1), (GlibcOptions, 0, 0)):
        stub, (cut, tcp) = kind(machine), truncated(server)
        found, = stub.lookup(name)
        assert len(found) == CROWD
        now_cut, now_tcp = truncated(server)
        assert (now_cut - cut > 0, now_tcp - tcp > 0) == (bool(more_cut), bool(more_tcp))


def test_musl_without_tcp_gets_as_many_as_fit(server, machine):  # noqa: F811
    """Debian's musl does not ask again over TCP, and an answer that is cut is none; mode auto sends some instead."""
    found, = Musl(machine).lookup(crowd(server, "auto"))
    assert 20 <= len(found) < CROWD, found


def test_a_recipe_for_resolv_conf_with_the_short_names(server, machine):  # noqa: F811
    add(server, "short", "10.4.0.1")
    etc = {"resolv.conf": resolv_conf(), "nsswitch.conf": NSSWITCH}
    assert machine.run(["getent", "hosts", "short"], etc, "short").split() == ["10.4.0.1", f"short.svc.{ZONE}"]
    server.deregister("short", "10.4.0.1", 80)
    eventually(lambda: machine.run(["getent", "hosts", "short"], etc, "short") == "")
    assert MUSTER in etc["resolv.conf"]
