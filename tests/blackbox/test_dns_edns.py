"""EDNS and odd messages: the questions of RFC 8906 with dig, and raw messages of every broken kind, each with its answer."""
import re
import socket
import struct
import subprocess

import pytest
import dns_wire
from conftest import SLOW
from dns_wire import (ANY, AXFR, BADVERS, CH, FORMERR, IN, IXFR, NOERROR, NONE, NOTAUTH, NOTIMP, NS, OPT, REFUSED, SOA, TXT, A,
                      header, name, opt, option)

ZONE = "muster.internal"
NAME = f"edns.svc.{ZONE}"


@pytest.fixture(scope="module", autouse=True)
def four_instances(server):
    for n in range(4):
        server.register("edns", f"10.0.0.{n + 1}", 80)
    for n in range(250):  # 4000 octets of addresses and as many of SRV
        server.register("edns-many", f"10.1.0.{n + 1}", 8000 + n)


# ---- RFC 8906: what dig asks, and what a correct server says; the same over UDP and TCP

@pytest.fixture(params=["+notcp", "+tcp"])
def transport(request):
    return request.param


def dig(server, *arguments, zone=ZONE):
    """What dig shows: status, flags (with those of the OPT), numbers of records, the whole text."""
    at = [f"@{server.dns[0]}", "-p", str(server.dns[1]), "+tries=1", f"+time={5 * SLOW}", "+norec", "+qr"]
    text = subprocess.run(["dig", *at, *arguments, *([zone] if zone else [])], capture_output=True, text=True, timeout=60).stdout
    assert "+tcp" not in arguments or "(TCP)" in text
    assert ";; Got answer" in text, text
    answer = text.split(";; Got answer")[1]
    status = re.search(r"status: (\w+)", answer)[1]
    flags = re.search(r"^;; flags:([^;]*);", answer, re.M)[1].split()
    counts = [int(n) for n in re.search(r"QUERY: (\d+), ANSWER: (\d+), AUTHORITY: (\d+), ADDITIONAL: (\d+)", answer).groups()]
    return status, flags, counts, answer


@pytest.mark.parametrize("arguments, flags", [
    ("+noedns +noad soa", "qr aa"),
    ("+noedns +noad +cd soa", "qr aa"),
    ("+noedns +ad soa", "qr aa"),
    ("+noedns +noad +zflag soa", "qr aa"),
    ("+noedns +noad +rec soa", "qr aa rd"),
])
def test_flags_of_the_query_come_back_only_where_they_belong(server, transport, arguments, flags):
    status, got, counts, text = dig(server, transport, *arguments.split())
    assert (status, got, counts) == ("NOERROR", flags.split(), [1, 1, 0, 0]), text
    assert "EDNS" not in text and "MBZ" not in text


def test_a_type_that_is_unknown_has_no_data_and_an_soa(server, transport):
    status, flags, counts, text = dig(server, transport, "+noedns", "+noad", "-t", "type1000")
    assert (status, flags, counts) == ("NOERROR", ["qr", "aa"], [1, 0, 1, 0]), text


def test_an_unknown_opcode_is_not_implemented_in_twelve_octets(server, transport):
    status, flags, counts, text = dig(server, transport, "+noedns", "+noad", "+opcode=15", "+header-only", zone=None)
    assert (status, flags, counts) == ("NOTIMP", ["qr"], [0, 0, 0, 0]), text
    assert "rcvd: 12" in text


@pytest.mark.parametrize("arguments", ["", "+ednsopt=100", "+ednsflags=0x40", "+ednsopt=100:0102030405"])
def test_edns_version_0_is_answered_and_what_is_unknown_is_not_echoed(server, transport, arguments):
    status, flags, counts, text = dig(server, transport, "+nocookie", "+edns=0", "+noad", *arguments.split(), "soa")
    assert (status, flags, counts) == ("NOERROR", ["qr", "aa"], [1, 1, 0, 1]), text
    assert re.search(r"EDNS: version: 0, flags:; udp: \d+", text)
    assert "MBZ" not in text and "OPT=100" not in text


@pytest.mark.parametrize("arguments, flags", [("", ""), ("+ednsflags=0x40", ""), ("+ednsopt=100", ""), ("+dnssec", " do")])
def test_another_version_of_edns_is_refused_without_data(server, transport, arguments, flags):
    status, got, counts, text = dig(server, transport, "+nocookie", "+edns=1", "+noednsneg", "+noad", *arguments.split(), "soa")
    assert (status, got, counts) == ("BADVERS", ["qr"], [1, 0, 0, 1]), text
    assert f"EDNS: version: 0, flags:{flags}; udp" in text
    assert "MBZ" not in text and "OPT=100" not in text


def test_do_is_echoed(server, transport):
    status, flags, counts, text = dig(server, transport, "+nocookie", "+edns=0", "+noad", "+dnssec", "soa")
    assert (status, flags) == ("NOERROR", ["qr", "aa"]), text
    assert "EDNS: version: 0, flags: do; udp" in text


def test_an_answer_of_512_octets_is_no_longer_than_that(server, transport):
    status, flags, counts, text = dig(server, transport, "+dnssec", "+bufsize=512", "+ignore", "dnskey")
    assert status == "NOERROR" and int(re.search(r"MSG SIZE +rcvd: (\d+)", text)[1]) <= 512, text
    status, flags, counts, text = dig(server, transport, "+bufsize=512", "+ignore", "srv", zone=f"edns-many.svc.{ZONE}")
    if transport == "+tcp":  # the size is of datagrams
        assert (status, flags, counts[1]) == ("NOERROR", ["qr", "aa"], 250), text
    else:
        assert (status, flags, counts[1]) == ("NOERROR", ["qr", "aa", "tc"], 0), text


def test_several_options_at_once_are_answered_or_ignored(server, transport):
    status, flags, counts, text = dig(server, transport, "+edns=0", "+cookie", "+nsid", "+expire", "+subnet=0.0.0.0/0", "+noad", "soa")
    assert (status, flags, counts[1]) == ("NOERROR", ["qr", "aa"], 1), text


# ---- raw messages

def question(text=NAME, rdtype=A, rdclass=IN):
    return dns_wire.question(text, rdtype, rdclass)


def asked(options=b"", text=NAME, rdtype=A, **more):
    """A question with an OPT."""
    return header(ar=1) + question(text, rdtype) + opt(options, **more)


class Answer:
    def __init__(self, octets):
        self.octets = octets
        self.id, self.flags, self.qd, self.an, self.ns, self.ar = struct.unpack(">HHHHHH", octets[:12])
        self.aa, self.tc = bool(self.flags & 0x400), bool(self.flags & 0x200)
        self.rcode, self.options, self.opt = self.flags & 15, {}, None
        at = 12
        for _ in range(self.qd):
            at = self.skip(at) + 4
        self.question = octets[12:at]
        for _ in range(self.an + self.ns + self.ar):
            at = self.skip(at)
            rdtype, rdclass, ttl, length = struct.unpack(">HHIH", octets[at:at + 10])
            if rdtype == OPT:
                assert at == self.skip(at - 1) and octets[at - 1] == 0
                self.opt, self.size = ttl, rdclass
                self.rcode |= (ttl >> 24) << 4
                rest = octets[at + 10:at + 10 + length]
                while rest:
                    code, n = struct.unpack(">HH", rest[:4])
                    self.options[code] = rest[4:4 + n]
                    rest = rest[4 + n:]
            at += 10 + length
        assert at == len(octets), "octets behind the last record"

    def skip(self, at):
        while self.octets[at]:
            if self.octets[at] >= 0xC0:
                return at + 2
            at += 1 + self.octets[at]
        return at + 1


class Asker:
    """One socket. What gets no answer is told from what does by a good question behind it: no clock decides."""

    def __init__(self, server, stream=False):
        self.stream = stream
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        self.socket.settimeout(20 * SLOW)
        self.socket.connect(server.dns)
        self.file = self.socket.makefile("rb")

    def send(self, message):
        self.socket.sendall((struct.pack(">H", len(message)) if self.stream else b"") + message)

    def receive(self):
        if not self.stream:
            return self.socket.recv(65535)
        return self.file.read(struct.unpack(">H", self.file.read(2))[0])

    def close(self):
        self.file.close()
        self.socket.close()

    def ask(self, message):
        self.send(message)
        return Answer(self.receive())

    def ignored(self, message):
        """True: the next answer is to the question behind it."""
        self.send(message)
        self.send(b"\x77\x77" + (header() + question())[2:])
        return self.receive()[:2] == b"\x77\x77"


@pytest.fixture(scope="module")
def asker(server):
    a = Asker(server)
    yield a
    a.close()


@pytest.fixture(params=["UDP", "TCP"])
def either(server, request):
    """An asker over this transport or that."""
    a = Asker(server, request.param == "TCP")
    yield a
    a.close()


UNKNOWN = "www.example.org"
GOOD = header() + question()
TSIG = b"\3key\0" + struct.pack(">HHIH", 250, 255, 0, 16) + b"\0" * 16
ONE_SOA = b"\xc0\x0c" + struct.pack(">HHIH", SOA, IN, 0, 22) + b"\0\0" + struct.pack(">5I", 1, 2, 3, 4, 5)


@pytest.mark.parametrize("what, message, rcode", [
    ("a question", GOOD, NOERROR),
    ("another zone", header() + question(UNKNOWN), REFUSED),
    ("the root's NS", header() + question("", NS), REFUSED),
    ("opcode STATUS", header(2 << 11) + question(), NOTIMP),
    ("opcode 15", header(15 << 11) + question(), NOTIMP),
    ("UPDATE", header(5 << 11) + question(ZONE, SOA), REFUSED),
    ("NOTIFY", header(4 << 11) + question(ZONE, SOA), NOTAUTH),
    ("class NONE", header() + question(rdclass=NONE), REFUSED),
    ("class CH, no name of ours", header() + question("foo.bar", TXT, CH), REFUSED),
    ("type 0", header() + question(rdtype=0), FORMERR),
    ("type OPT", header() + question(rdtype=OPT), FORMERR),
    ("type TSIG", header() + question(rdtype=250), FORMERR),
    ("type TKEY", header() + question(rdtype=249), FORMERR),
    ("type NXNAME", header() + question(rdtype=128), FORMERR),
    ("type MAILB", header() + question(rdtype=253), FORMERR),
    ("type MAILA", header() + question(rdtype=254), FORMERR),
    ("AXFR", header() + question(ZONE, AXFR), FORMERR),
    ("IXFR without its SOA", header() + question(ZONE, IXFR), FORMERR),
    ("CD, AD and Z", header(0x70) + question(), NOERROR),
    ("AA, TC and RA", header(0x680) + question(), NOERROR),
    ("RCODE 5", header(5) + question(), NOERROR),
    ("octets behind the question", GOOD + b"\0", FORMERR),
    ("octets behind the OPT", asked() + b"abc", FORMERR),
    ("two OPT", header(ar=2) + question() + opt() + opt(), FORMERR),
    ("an OPT that is not the root's", header(ar=1) + question() + b"\1a" + opt(), FORMERR),
    ("an OPT in the answer section", header(an=1) + question() + opt(), FORMERR),
    ("an OPT in the authority section", header(ns=1) + question() + opt(), FORMERR),
    ("an answer in the query", header(an=1) + question() + b"\0" + struct.pack(">HHIH", A, IN, 0, 4) + b"\1\2\3\4", FORMERR),
    ("an SOA in a query", header(ns=1) + question() + ONE_SOA, FORMERR),
    ("TSIG, then OPT", header(ar=2) + question() + TSIG + opt(), FORMERR),
    ("a TSIG with an unknown key", header(ar=1) + question() + TSIG, NOTAUTH),
    ("a record that is cut", (header(ar=1) + question() + opt())[:-1], FORMERR),
    ("options longer than the OPT", asked(b"\0\x0a\0\x09abc"), FORMERR),
    ("an option of three octets", asked(b"\0\x0a\0"), FORMERR),
    ("a cookie of 7", asked(option(10, b"c" * 7)), FORMERR),
    ("a cookie of 9", asked(option(10, b"c" * 9)), FORMERR),
    ("a cookie of 15", asked(option(10, b"c" * 15)), FORMERR),
    ("a cookie of 41", asked(option(10, b"c" * 41)), FORMERR),
    ("an empty cookie", asked(option(10)), FORMERR),
    ("ECS 10.0.0.0/8", asked(option(8, b"\0\1\x08\0\x0a")), NOERROR),
    ("ECS 0/0 of no family", asked(option(8, b"\0\0\0\0")), NOERROR),
    ("ECS of family 3", asked(option(8, b"\0\3\x08\0\x0a")), FORMERR),
    ("ECS with bits behind the prefix", asked(option(8, b"\0\1\x07\0\x0b")), FORMERR),
    ("ECS with a scope", asked(option(8, b"\0\1\x08\x08\x0a")), FORMERR),
    ("ECS of 33 bits", asked(option(8, b"\0\1\x21\0\1\2\3\4\0")), FORMERR),
    ("ECS with an octet too many", asked(option(8, b"\0\1\x08\0\x0a\0")), FORMERR),
    ("ECS that is cut", asked(option(8, b"\0\1\x08")), FORMERR),
    ("EDNS version 1", asked(version=1), BADVERS),
    ("EDNS version 1 and options of another layout", asked(b"\xff\xff\xff", version=1), BADVERS),
    ("EDNS version 255", asked(version=255), BADVERS),
    ("EDNS size 0", asked(size=0), NOERROR),
    ("EDNS size 1", asked(size=1), NOERROR),
    ("EDNS size 65535", asked(size=65535), NOERROR),
    ("all flags of EDNS", asked(flags=0x7FFF), NOERROR),
    ("tcp-keepalive", asked(option(11)), NOERROR),
    ("padding", asked(option(12, b"\0" * 100)), NOERROR),
    ("unknown options", asked(b"".join(option(c, b"x" * 9) for c in range(65001, 65040))), NOERROR),
])
def test_each_odd_message_has_its_rcode_and_keeps_its_question(either, what, message, rcode):
    a = either.ask(message)
    if either.stream and what == "AXFR":
        rcode = REFUSED  # that is how to ask for a zone, but nobody may have it
    assert a.rcode == rcode, f"{what}: {a.rcode}"
    assert a.id == 0x1234 and a.flags & 0x8000
    assert a.flags & 0x7900 == struct.unpack(">H", message[2:4])[0] & 0x7900  # opcode and RD
    assert a.flags & 0x00F0 == 0, what  # RA, Z, AD, CD
    assert message[12:].startswith(a.question)
    if rcode in (NOERROR, REFUSED, BADVERS):
        assert a.question != b"", what
    assert a.an == (4 if rcode == NOERROR else 0), what
    assert a.aa == (rcode == NOERROR), what
    if a.opt is not None:
        assert a.opt & 0x00FFFFFF == 0, "version 0, no flags"
        assert set(a.options) <= ({10, 11, 15} if what == "tcp-keepalive" and either.stream else {10, 15}), what


@pytest.mark.parametrize("what, message", [
    ("with an OPT", asked()),
    ("refused", asked(text=UNKNOWN)),
    ("no such name", asked(text=f"none.svc.{ZONE}")),
    ("another version", asked(version=7)),
    ("a wrong option", asked(option(10, b"c"))),
    ("a wrong type", asked(rdtype=253)),
])
def test_an_opt_comes_back_whatever_the_answer(either, what, message):
    a = either.ask(message)
    assert a.opt is not None and a.opt & 0x8000 == 0


@pytest.mark.parametrize("message", [GOOD, header() + question(UNKNOWN), header() + question(f"none.svc.{ZONE}"),
                                     header() + question(rdtype=253)], ids=["answer", "refused", "no such name", "wrong type"])
def test_no_opt_comes_back_that_was_not_asked_for(either, message):
    assert either.ask(message).opt is None


# ---- what the zone says of itself

EXPIRE, ZONEVERSION = 9, 19


def test_dig_shows_how_long_a_secondary_may_keep_the_zone(server):
    status, flags, counts, text = dig(server, "+expire", "soa")
    assert status == "NOERROR" and re.search(r"EXPIRE: 604800", text), text


def test_expire_comes_with_the_soa_alone(either):
    assert either.ask(asked(option(EXPIRE), text=ZONE, rdtype=SOA)).options[EXPIRE] == struct.pack(">I", 604800)
    assert either.ask(asked(option(EXPIRE, b"\0\0\0\1"), text=ZONE, rdtype=SOA)).options[EXPIRE] == struct.pack(">I", 604800)
    for text, rdtype in ((ZONE, NS), (NAME, A), (NAME, SOA), ("www.example.org", SOA)):
        assert EXPIRE not in either.ask(asked(option(EXPIRE), text=text, rdtype=rdtype)).options
    assert EXPIRE not in either.ask(asked(text=ZONE, rdtype=SOA)).options


def serial_of(asker):
    a = asker.ask(asked(text=ZONE, rdtype=SOA))
    at = a.octets.index(struct.pack(">HH", SOA, IN), a.octets.index(struct.pack(">HH", SOA, IN)) + 4)  # behind the question's
    length = struct.unpack(">H", a.octets[at + 8:at + 10])[0]
    return struct.unpack(">I", a.octets[at + 10 + length - 20:at + 10 + length - 16])[0]


@pytest.mark.parametrize("text, rdtype, rcode", [(ZONE, SOA, NOERROR), (NAME, A, NOERROR), (NAME, TXT, NOERROR),
                                                 (f"nobody.svc.{ZONE}", A, 3), (f"edns-many.svc.{ZONE}", A, NOERROR)])
def test_the_version_of_the_zone_is_the_serial_of_its_soa(either, text, rdtype, rcode):
    for _ in range(200):  # the serial may move meanwhile
        before = serial_of(either)
        a = either.ask(asked(option(ZONEVERSION), text=text, rdtype=rdtype))
        if serial_of(either) == before:
            break
    assert a.rcode == rcode
    assert a.options[ZONEVERSION] == struct.pack(">BBI", 2, 0, before)


def test_the_version_needs_a_zone_and_an_empty_option(either):
    a = either.ask(asked(option(ZONEVERSION), text="www.example.org"))
    assert (a.rcode, ZONEVERSION in a.options) == (REFUSED, False)
    a = either.ask(asked(option(ZONEVERSION, b"\2\0\0\0\0\1")))
    assert (a.rcode, a.an, ZONEVERSION in a.options) == (FORMERR, 0, False)
    assert ZONEVERSION not in either.ask(asked()).options


def test_the_version_has_its_place_in_a_truncated_answer(asker):
    a = asker.ask(asked(option(ZONEVERSION) + option(EXPIRE), text=f"edns-many.svc.{ZONE}", rdtype=33, size=512))
    assert a.tc and len(a.options[ZONEVERSION]) == 6 and len(a.octets) <= 512


def test_the_version_is_that_of_the_zone_asked(make_server):
    """Of a zone file: its EXPIRE, our serial; a zone below another has its own."""
    server = make_server().zone("muster.internal", layout="full").zone("deep.muster.internal", layout="static")
    path = f"{server.dir}/deep.zone"
    with open(path, "w") as f:
        f.write("$TTL 60\n@ SOA ns1 hostmaster 7 3600 600 4321 5\n@ NS ns1\nns1 A 10.0.0.1\n")
    server.zone("deep.muster.internal", file=path).start()
    asker = Asker(server)
    a = asker.ask(asked(option(EXPIRE) + option(ZONEVERSION), text="deep.muster.internal", rdtype=SOA))
    assert a.options[EXPIRE] == struct.pack(">I", 4321) and a.options[ZONEVERSION][:2] == bytes([3, 0])
    a = asker.ask(asked(option(EXPIRE) + option(ZONEVERSION), text=ZONE, rdtype=SOA))
    assert a.options[EXPIRE] == struct.pack(">I", 604800) and a.options[ZONEVERSION][:2] == bytes([2, 0])
    asker.close()


@pytest.mark.parametrize("what, message", [
    ("no question and no cookie", header(qd=0)),
    ("no question, an OPT", header(qd=0, ar=1) + opt()),
    ("two questions", header(qd=2) + question() + question()),
    ("a question that is missing", header()),
    ("a name that is cut", header() + b"\3abc"),
    ("a label of 64", header() + bytes([64]) + b"a" * 64 + b"\0\0\1\0\1"),
    ("a pointer", header() + b"\xc0\x0c\0\1\0\1"),
    ("a name of 256", header() + (bytes([63]) + b"a" * 63) * 4 + b"\0\0\1\0\1"),
    ("no class", header() + name(NAME) + b"\0\1"),
])
def test_what_has_no_readable_question_is_a_format_error_and_not_echoed(either, what, message):
    a = either.ask(message)
    assert (a.rcode, a.qd, a.an, a.ns) == (FORMERR, 0, 0, 0), what
    assert len(a.octets) == 12 or a.opt is not None


def test_class_any_is_answered_without_authority(either):
    a = either.ask(header() + question(rdclass=ANY))
    assert (a.rcode, a.an, a.aa) == (NOERROR, 4, False)


def test_any_gets_one_rrset(either):
    a = either.ask(header() + question(rdtype=255))
    assert (a.rcode, a.an, a.aa) == (NOERROR, 4, True)


def test_ds_at_the_apex_has_no_data(either):
    a = either.ask(header() + question(ZONE, 43))
    assert (a.rcode, a.an, a.ns, a.aa) == (NOERROR, 0, 1, True)


def test_dso_over_udp_is_not_implemented(asker):
    a = asker.ask(header(6 << 11, qd=0) + b"\0\1\0\x08" + b"\0" * 8)
    assert (a.rcode, len(a.octets)) == (NOTIMP, 12)


@pytest.mark.parametrize("message", [b"", b"\x12\x34", GOOD[:11], header(0x8000) + question(), header(0x8000, qd=0)],
                         ids=["empty", "2 octets", "11 octets", "an answer", "an answer without a question"])
def test_what_is_no_query_gets_no_answer(asker, message):
    assert asker.ignored(message)


@pytest.mark.parametrize("limit, rdtype", [(n, t) for n in (None, 0, 511, 512, 513, 900, 1232, 4096, 65535) for t in ("A", "SRV", "TXT")])
def test_no_answer_is_larger_than_the_client_takes(server, asker, limit, rdtype):
    number = {"A": 1, "SRV": 33, "TXT": 16}[rdtype]
    many = f"edns-many.svc.{ZONE}"
    message = header() + question(many, number) if limit is None else asked(text=many, rdtype=number, size=limit)
    a = asker.ask(message)
    assert len(a.octets) <= (512 if limit is None else min(max(limit, 512), 4096))
    if a.tc:
        assert (a.an, a.ns, a.aa) == (0, 0, True)
        assert len(a.octets) == len(message)


def test_clients_nearby_may_have_larger_datagrams(server, make_server):
    """dns.udp_size_lan is for private and loopback addresses; there is no other here, so that it is set to less."""
    near = Asker(server)
    many = f"edns-many.svc.{ZONE}"
    assert near.ask(asked(size=4096)).size == 4096
    little = make_server(dns_udp_size_lan="700").start()
    for n in range(60):
        little.register("edns-many", f"10.1.0.{n + 1}", 8000 + n)
    asker = Asker(little)
    a = asker.ask(asked(text=many, rdtype=33, size=4096))
    assert (a.size, a.tc, a.an) == (700, True, 0)
    near.close()
    asker.close()
