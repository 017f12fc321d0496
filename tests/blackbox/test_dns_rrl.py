"""Response rate limiting: who is over his limit is told to come by TCP or with a cookie, and nobody else is. The limit is
one answer a second, and answers are held against the time that has passed, so that a slow machine changes nothing."""
import re
import socket
import struct
import time

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from conftest import SLOW, Server
from network import network  # noqa: F401 (a fixture)
from test_reload import reload, with_file

NAME = "limited.svc.muster.internal"
RATE, BURST = 1, 2.5
COOKIE = 10
FLOODER, NEIGHBOUR, LISTED, ELSEWHERE = "127.66.1.1", "127.66.1.2", "127.99.3.4", "127.66.200.1"


def query(name=NAME, cookie=None):
    options = [dns.edns.GenericOption(COOKIE, cookie)] if cookie else []
    return dns.message.make_query(name, "A", use_edns=0, options=options)


def ask(server, source, tcp=False, address=None, **more):
    """What is said: whole, truncated, BADCOOKIE..."""
    how = dns.query.tcp if tcp else dns.query.udp
    answer = how(query(**more), address or server.dns[0], port=server.dns[1], source=source, timeout=10 * SLOW)
    if answer.flags & dns.flags.TC:
        assert not answer.answer and not answer.authority
        return "truncated", answer
    return ("whole" if answer.answer else dns.rcode.to_text(answer.rcode())), answer


def until(server, source, wanted, tries=200, **more):
    """Asks until that is said: a moment may have passed since somebody was over his limit."""
    for _ in range(tries):
        said, answer = ask(server, source, **more)
        if said == wanted:
            return answer
    raise AssertionError(f"never {wanted}, but {said}")


def limited(server):
    text = server.get("/metrics").text
    return {action: int(n) for action, n in re.findall(r'^muster_dns_rate_limited_total{action="(\w+)"} (\d+)$', text, re.M)}


def socket_at(source):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    return s


def flood(server, source, n, name=NAME, s=None):
    """@n questions in a row: how many were answered whole, how many otherwise, in how many seconds at most."""
    before, began, end = limited(server), time.monotonic(), time.monotonic() + 30 * SLOW
    sent = whole = other = silent = 0
    with s or socket_at(source) as s:
        s.connect(server.dns)
        s.settimeout(0.05)
        while sent < n or whole + other + silent < n:
            assert time.monotonic() < end, (sent, whole, other, silent)
            if sent == whole + other + silent:  # no more at a time than every socket buffer holds
                for sent in range(sent + 1, min(sent + 50, n) + 1):
                    message = query(name)
                    message.id = sent
                    s.send(message.to_wire())
            try:
                flags, _, answers = struct.unpack(">HHH", s.recv(4096)[2:8])
                whole, other = whole + (answers > 0), other + (answers == 0)
            except TimeoutError:
                now = limited(server)
                silent = sum(now[a] - before[a] for a in ("dropped", "error"))
    return whole, other, time.monotonic() - began


@pytest.fixture(scope="module")
def strict():
    server = Server(dns_rrl=RATE, dns_rrl_private="on", dns_rrl_allow="127.99.0.0/16", dns_threads=1).start()
    server.register("limited", "10.0.0.1", 80)
    yield server
    server.close()


def test_above_the_rate_a_client_is_told_to_come_by_tcp_where_it_is_answered(strict):
    before = limited(strict)
    whole, other, seconds = flood(strict, FLOODER, 200)
    assert 2 <= whole <= BURST + RATE * seconds + 1
    assert whole + other == 200
    assert limited(strict)["truncated"] - before["truncated"] == other
    until(strict, FLOODER, "truncated")
    for _ in range(20):
        assert ask(strict, FLOODER, tcp=True)[0] == "whole"


def test_a_client_that_knows_cookies_is_given_one_and_passes_with_it(strict):
    client = bytes.fromhex("0011223344556677")
    answer = until(strict, FLOODER, "BADCOOKIE", cookie=client)
    assert not answer.answer and answer.question == query().question
    given = next(o.data for o in answer.options if o.otype == COOKIE)
    assert given[:8] == client and len(given) == 24
    for _ in range(50):
        assert ask(strict, FLOODER, cookie=given)[0] == "whole"
    until(strict, FLOODER, "BADCOOKIE", cookie=given[:-1] + bytes([given[-1] ^ 1]))
    until(strict, FLOODER, "truncated")


def test_neighbours_and_other_networks_are_unhurt(strict):
    whole, _, _ = flood(strict, FLOODER, 500)
    assert whole < 500
    for source in (NEIGHBOUR, ELSEWHERE):
        assert [ask(strict, source)[0] for _ in range(2)] == ["whole"] * 2
    until(strict, NEIGHBOUR, "truncated")


def test_those_of_the_list_are_not_limited(strict):
    assert flood(strict, LISTED, 300)[:2] == (300, 0)


def test_names_that_are_not_there_count_like_all_others(strict):
    source = "127.67.1.1"
    whole, other, seconds = flood(strict, source, 100, name="nobody.svc.muster.internal")
    assert (whole, other) == (0, 100)
    until(strict, source, "truncated", name="nobody.svc.muster.internal")
    until(strict, source, "truncated")


def test_the_slip_and_the_rest_change_by_a_reload(make_server):
    text = "[dns]\nlisten = 127.0.0.1:0\nthreads = 1\nrrl_private = on\nrrl = {}\nrrl_slip = {}\n{}[http]\nlisten = 127.0.0.1:0\n"
    server = with_file(make_server, text.format(1, 0, "")).start()
    server.register("limited", "10.0.0.1", 80)
    whole, other, seconds = flood(server, FLOODER, 100)
    assert whole >= 2 and other == 0 and whole <= BURST + seconds + 1
    said = reload(server, text.format(1, 4, ""))
    assert "dns.rrl_slip = 4, it was 0" in said and "0 wait for a restart" in said
    before = limited(server)
    whole, other, seconds = flood(server, NEIGHBOUR, 100)
    now = limited(server)
    told, dropped = now["truncated"] - before["truncated"], now["dropped"] - before["dropped"]
    assert told == other and whole + told + dropped == 100 and abs(told * 3 - dropped) <= 3
    reload(server, text.format(1, 1, "rrl_allow = 127.66.1.0/24\n"))
    assert flood(server, FLOODER, 100)[0] == 100
    reload(server, text.format(0, 1, ""))
    assert flood(server, FLOODER, 100)[0] == 100
    reload(server, text.format(1, 1, ""))
    assert flood(server, ELSEWHERE, 100)[0] < 100


def test_error_answers_are_limited_for_everybody_and_nothing_else_is(make_server):
    server = make_server(dns_rrl_errors=5, dns_threads=1).start()
    server.register("limited", "10.0.0.1", 80)
    whole, other, seconds = flood(server, "127.0.0.1", 200, name="www.example.org")
    assert whole == 0 and 5 <= other <= 5 * (seconds + 2)
    assert limited(server)["error"] == 200 - other
    assert flood(server, "127.0.0.1", 200)[:2] == (200, 0)
    for _ in range(10):
        assert ask(server, "127.0.0.1", tcp=True, name="www.example.org")[0] == "REFUSED"


def test_private_networks_are_not_limited(make_server):
    server = make_server(dns_rrl=1).start()
    server.register("limited", "10.0.0.1", 80)
    assert flood(server, "127.0.0.1", 300)[:2] == (300, 0)
    assert set(limited(server).values()) == {0}


def test_a_public_address_is_limited_without_any_setting(make_server, network):  # noqa: F811
    """By default: 50 a second, 125 after a rest."""
    network.plug()
    server = make_server(dns_listen=f"{network.here}:0").start()
    server.register("limited", "10.0.0.1", 80)
    outside = network.inside(lambda: socket_at(network.there))
    whole, other, seconds = flood(server, None, 1000, s=outside)
    assert 125 <= whole <= 125 + 50 * seconds + 1 and whole + other == 1000
    assert other > 0 or seconds > 17
