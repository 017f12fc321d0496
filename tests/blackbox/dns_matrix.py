"""The same questions to several servers with the same zones, and what differs between the answers: the questions, how an
answer is compared, and the table of differences that have a reason (dns_differences.toml)."""
import collections
import fnmatch
import itertools
import json
import os
import re
import socket
import struct
import time
import tomllib

import dns.name
import dns.query
import dns.rdatatype

import dns_wire
from conftest import HERE, SLOW
from dns_wire import header, opt, option

# ---- the zones: what the registry has beside files with everything that RFC 1034, 2308, 4592 and 6672 speak of

FULL_FILE = r"""$TTL 300
@ TXT "apex"
@ MX 10 mail
mail A 192.0.2.25
mail AAAA 2001:db8::25
www CNAME mail
reg CNAME cart.svc
none CNAME sick.svc
*.wild A 192.0.2.99
*.wild TXT "wild"
there.wild TXT "here"
sub NS ns.sub
sub NS ns2.elsewhere.test.
ns.sub A 192.0.2.54
deep.ent.x TXT "a;b" "c d"
"""
STATIC_FILE = r"""$TTL 300
@ IN SOA ns1 hostmaster 2024 7200 900 1209600 60
@ NS ns1
@ NS ns2.far
@ NS ns.elsewhere.test.
ns1 A 192.0.2.53
ns2.far AAAA 2001:db8::53
@ MX 10 mail
@ MX 20 mail.elsewhere.test.
@ A 192.0.2.1
@ TXT "apex"
@ CAA 0 issue "ca.example"
mail A 192.0.2.25
mail AAAA 2001:db8::25
web A 192.0.2.80
web A 192.0.2.81
www CNAME web
a1 CNAME a2
a2 CNAME a3
a3 CNAME www
ring1 CNAME ring2
ring2 CNAME ring1
self CNAME self
out CNAME www.elsewhere.test.
chain CNAME out
reg CNAME cart.svc.muster.internal.
gone CNAME nothing
goneent CNAME ent.x
tosub CNAME www.sub
towild CNAME any.wild
toold CNAME host.old
star.many TXT "beside"
*.many A 192.0.2.97
*.many AAAA 2001:db8::97
*.wild A 192.0.2.99
there.wild TXT "here"
below.ent.wild TXT "an empty non-terminal beside a wildcard"
*.wildc CNAME web
*.wildout CNAME www.elsewhere.test.
*.*.twice A 192.0.2.96
sub.*.odd A 192.0.2.95
sub NS ns.sub
sub NS ns2.elsewhere.test.
ns.sub A 192.0.2.54
ns.sub AAAA 2001:db8::54
www.sub A 192.0.2.55
lame NS ns.elsewhere.test.
signed NS ns.signed
signed DS 12345 13 2 49fd46e6c4b45c55d4ac69cbd3cd34ac1afe51de83a5d8a0d2f1a1f5cd1c9d05
ns.signed A 192.0.2.56
sibling NS ns.sub
sibling NS ns1
under.deep NS ns1
deep.ent.x TXT "a;b" "c d"
old DNAME new
old TXT "beside the DNAME"
host.new 60 A 192.0.2.82
*.new A 192.0.2.83
oldout DNAME elsewhere.test.
long DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
odd65534 TYPE65534 \# 3 0a0b0c
srv SRV 0 1 80 web
srv SRV 0 1 80 www
srv SRV 1 1 81 nothing
srv SRV 1 1 82 www.elsewhere.test.
srv SRV 1 1 83 ns.sub
off SRV 0 0 0 .
mx MX 5 mail
mx MX 6 any.wild
ptr PTR web
naptr NAPTR 10 10 "s" "SIP+D2U" "" srv
svcb SVCB 1 . port=853
https HTTPS 1 web alpn=h2 port=8443
alias HTTPS 0 web
hinfo HINFO "a" "b"
tlsa TLSA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
empty TXT ""
dotted\.name TXT "one label"
\000\255 TXT "octets"
CamelCase A 192.0.2.84
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa TXT "255 octets"
big TXT {big}
huge TXT {huge}
""".format(big=" ".join(f'"{i}{"b" * 200}"' for i in range(3)), huge=" ".join(f'"{i}{"h" * 200}"' for i in range(200)))
BOUND_FILE = r"""* A 192.0.2.70
* TXT "everything"
cart MX 5 mail.elsewhere.test.
*.cart A 192.0.2.71
@ SRV 0 0 80 cart
"""
IDENTITY = "ns.example"  # of every server
OPTIONS = {
    "knotd": f"  identity: {IDENTITY}\n  version: {IDENTITY}\n  nsid: {IDENTITY}\n",
    "nsd": f"  identity: {IDENTITY}\n  version: {IDENTITY}\n  nsid: ascii_{IDENTITY}\n  answer-cookie: yes\n",
    "named": f'minimal-responses no-auth; server-id "{IDENTITY}"; hostname "{IDENTITY}"; version "{IDENTITY}"; zero-no-soa-ttl no;',
}
ZONES = ["muster.internal", "static.test", "bound.test"]


def fill(server, folder):
    """Gives a server that is not started its zones, starts it, and registers; nothing changes afterwards."""
    def file(name, text):
        path = os.path.join(folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    allow = {"transfer_allow": "127.0.0.1"}
    server.zone("muster.internal", file=file("full.zone", FULL_FILE), **allow)
    server.zone("static.test", layout="static", file=file("static.zone", STATIC_FILE), **allow)
    server.zone("bound.test", layout="bound", file=file("bound.zone", BOUND_FILE), **allow)
    server.start(dns_mode="all", dns_udp_size_lan="1232", dns_nsid=IDENTITY, dns_version=IDENTITY, dns_rrl_errors=0)

    def register(service, ip, metadata={}, **more):
        patience = {"preserved.heart.beat.timeout": "3600000", "preserved.ip.delete.timeout": "3600000"}
        server.register(service, ip, more.pop("port", 80), metadata=json.dumps({**patience, **metadata}), **more)

    for i in range(1, 5):
        register("OrderService", f"10.0.0.{i}", {"dns.port-name": "http", "version": "v1"}, port=8080 + i % 2, weight=i,
                 clusterName="hz-a" if i > 2 else "DEFAULT")
    register("cart", "10.0.1.1")
    register("six", "2001:db8::1")
    for ip in ("10.0.2.1", "2001:db8::2"):
        register("both", ip, namespaceId="prod", groupName="PAY_GROUP")
    register("sick", "10.0.3.1", enabled="false")
    register("n" * 70, "10.0.4.1")
    for i in range(100):  # 1600 octets of addresses
        register("many", f"10.1.0.{i}")


def owners(server):
    """The owner names of every zone, as wire names; of the hundred hosts of one service there is one."""
    found = {}
    for zone in ZONES:
        for message in dns.query.xfr(server.dns[0], zone, port=server.dns[1], lifetime=20 * SLOW, relativize=False):
            for rrset in message.answer:
                host = re.match(rb"10-1-0-(\d+)", rrset.name[0])
                if host is None or host[1] == b"7":
                    found[rrset.name.to_wire()] = True
    return found


# ---- the questions

class Case:
    """@text is what the patterns of the table see: "UDP plain name type". @without: a server that is not asked."""

    def __init__(self, text, octets, stream=False, without=None):
        self.text, self.octets, self.stream, self.without = text, octets, stream, without


TYPES = ["A", "NS", "CNAME", "SOA", "PTR", "MX", "TXT", "AAAA", "SRV", "NAPTR", "DNAME", "DS", "RRSIG", "NSEC", "DNSKEY", "SVCB",
         "HTTPS", "ANY", "CAA", "TYPE65534"]
FEW = ["A", "TXT", "DS", "CNAME", "ANY"]
FRAMES = {"plain": None, "512": {"size": 512}, "1232": {}, "DO": {"flags": 0x8000}}  # of the OPT


def asked(qname, rdtype, frame="plain", flags=0, rdclass=dns_wire.IN):
    more = FRAMES[frame]
    text = qname + struct.pack(">HH", rdtype, rdclass)
    return header(flags) + text if more is None else header(flags, ar=1) + text + opt(**more)


def shown(qname):
    return dns.name.from_wire(qname, 0)[0].to_text()


def labels(qname):
    at, found = 0, []
    while qname[at]:
        found.append(qname[at:at + 1 + qname[at]])
        at += 1 + qname[at]
    return found


def swapped(qname):
    """Every other letter in the other case."""
    at, out = 0, bytearray(qname)
    for label in labels(qname):
        for i in range(at + 1, at + len(label)):
            if i % 2 and chr(out[i]).isascii() and chr(out[i]).isalpha():
                out[i] ^= 0x20
        at += len(label)
    return bytes(out)


def around(have):
    """Names above, below, between and beside those that there are."""
    found = {}
    for qname in have:
        parts = labels(qname)
        for i in range(len(parts)):  # above: empty non-terminals
            found[b"".join(parts[i:]) + b"\0"] = True
        first, rest = parts[0], b"".join(parts[1:]) + b"\0"
        for fresh in (b"\1x" + qname, b"\1x\1y" + qname, b"\1*" + qname, b"\3a-z" + qname, # below
                      bytes([len(first) - 1]) + first[1:-1] + b"~" + rest, bytes([2]) + b"zz" + rest): # between and beside
            if len(fresh) <= 255:
                found[fresh] = True
    return [n for n in found if n not in have and n not in TOO_HIGH]


LONG = dns_wire.name("long.static.test")
LONGER = b"\x3f" + b"c" * 63 + LONG
LONGEST = b"\x31" + b"d" * 49 + LONGER  # the DNAME's target has 141 octets instead of these 18
TOO_HIGH = {b"\0", dns_wire.name("internal"), dns_wire.name("test"), dns_wire.name("arpa"), dns_wire.name("in-addr.arpa")}


def generated(have):
    """Every owner with every type in every frame, and those around them with few."""
    def number(t):
        return dns.rdatatype.from_text(t)

    for qname, t, frame in itertools.product(have, TYPES, FRAMES):
        yield Case(f"UDP {frame} {shown(qname)} {t}", asked(qname, number(t), frame))
    for qname, t in itertools.product(have, TYPES):
        yield Case(f"TCP 1232 {shown(qname)} {t}", asked(qname, number(t), "1232"), True)
    for qname, t, frame in itertools.product(around(have), FEW, ("plain", "DO")):
        yield Case(f"UDP {frame} {shown(qname)} {t}", asked(qname, number(t), frame))
    for qname, what in ((LONGER, "longer"), (LONGEST, "longest"), (b"\1x" + LONGEST, "too long")):  # what the DNAME makes of it
        yield Case(f"UDP 1232 {what} A", asked(qname, dns_wire.A, "1232"))
    for qname in have:
        yield Case(f"UDP 1232 {shown(swapped(qname))} case", asked(swapped(qname), dns_wire.A, "1232"))


META = {"TYPE0": 0, "OPT": 41, "NXNAME": 128, "TKEY": 249, "TSIG": 250, "MAILB": 253, "MAILA": 254, "TYPE1000": 1000}
APEX, ORDERS, NOWHERE = dns_wire.name("static.test"), dns_wire.name("cart.svc.muster.internal"), dns_wire.name("www.example.org")
ONE_SOA = b"\xc0\x0c" + struct.pack(">HHIH", dns_wire.SOA, 1, 0, 22) + b"\0\0" + struct.pack(">5I", 1, 2, 3, 4, 5)
COOKIE = b"\x01\x23\x45\x67\x89\xab\xcd\xef"


def odd():
    """The rows of dns.md 6.3, and more of their kind, each over both transports. BIND answers few questions of class CHAOS a
    second over UDP: it is not asked there."""
    for stream in (False, True):
        for what, octets in odd_messages():
            chaos = what.startswith(("CHAOS", "class CH"))
            if stream and what.startswith(("transfer 252 apex", "IXFR with")):
                continue  # that is a zone: test_zone_out.py
            yield Case(f"{'TCP' if stream else 'UDP'} {what}", octets, stream, "named" if chaos and not stream else None)


def odd_messages():
    q = ORDERS + struct.pack(">HH", 1, 1)
    soa = APEX + struct.pack(">HH", dns_wire.SOA, 1)

    def options(*more, text=q, **fields):
        return header(ar=1) + text + opt(b"".join(option(*o) for o in more), **fields)

    for what, number in META.items():
        for frame in ("plain", "1232"):
            for where, qname in (("service", ORDERS), ("apex", APEX), ("absent", b"\x02zz" + APEX), ("elsewhere", NOWHERE)):
                yield f"type {what} {frame} {where}", asked(qname, number, frame)
    for what, number in {"NONE": 254, "ANY": 255, "CH": 3, "HS": 4, "0": 0, "2": 2, "1000": 1000}.items():
        for where, qname in (("service", ORDERS), ("apex", APEX), ("absent", b"\x02zz" + APEX), ("elsewhere", NOWHERE)):
            yield f"class {what} {where}", asked(qname, 1, "1232", rdclass=number)
    for opcode in range(1, 16):
        yield f"opcode {opcode}", header(opcode << 11) + soa
        yield f"opcode {opcode} with OPT", header(opcode << 11, ar=1) + soa + opt()
        yield f"opcode {opcode} of 12 octets", header(opcode << 11, qd=0)
        yield f"opcode {opcode} elsewhere", header(opcode << 11) + NOWHERE + struct.pack(">HH", 6, 1)
    for bit, flag in {"AA": 0x400, "TC": 0x200, "RD": 0x100, "RA": 0x80, "Z": 0x40, "AD": 0x20, "CD": 0x10, "CD+AD+Z": 0x70}.items():
        for where, qname in (("service", ORDERS), ("absent", b"\x02zz" + APEX), ("elsewhere", NOWHERE), ("referral", b"\3sub" + APEX)):
            for frame in ("plain", "DO"):
                yield f"bit {bit} {frame} {where}", asked(qname, 1, frame, flags=flag)
    for rcode in range(1, 16):
        yield f"rcode {rcode} in the query", header(rcode) + q
    for where, qname, t in (("elsewhere", NOWHERE, 1), ("the root", b"\0", 2), ("the root", b"\0", 1), ("above", dns_wire.name("test"), 6)):
        for frame in FRAMES:
            yield f"outside: {where} {t} {frame}", asked(qname, t, frame)
    yield "two questions", header(qd=2) + q + q
    yield "two questions with OPT", header(qd=2, ar=1) + q + q + opt()
    yield "no question", header(qd=0)
    yield "no question with OPT", header(qd=0, ar=1) + opt()
    yield "no question with a cookie", header(qd=0, ar=1) + opt(option(10, COOKIE))
    yield "a question that is missing", header()
    yield "a name that is cut", header() + b"\3abc"
    yield "no class", header() + ORDERS + b"\0\1"
    yield "a label of 64", header() + bytes([64]) + b"a" * 64 + b"\0\0\1\0\1"
    yield "a name of 256", header() + (bytes([63]) + b"a" * 63) * 4 + b"\0\0\1\0\1"
    yield "a name that points to itself", header() + b"\xc0\x0c\0\1\0\1"
    yield "a name that points ahead", header() + b"\xc0\x14\0\1\0\1"
    yield "a label of the extended kind", header() + b"\x41\x01\0\1\0\1"
    yield "an octet behind the question", header() + q + b"\0"
    yield "octets behind the OPT", options() + b"abc"
    yield "two OPT", header(ar=2) + q + opt() + opt()
    yield "an OPT that is not the root's", header(ar=1) + q + b"\1a" + opt()
    yield "an OPT in the answer section", header(an=1) + q + opt()
    yield "an OPT in the authority section", header(ns=1) + q + opt()
    yield "an answer in the query", header(an=1) + q + b"\0" + struct.pack(">HHIH", 1, 1, 0, 4) + b"\1\2\3\4"
    yield "an SOA in the query", header(ns=1) + q + ONE_SOA
    yield "an address in the additional section", header(ar=1) + q + b"\0" + struct.pack(">HHIH", 1, 1, 0, 4) + b"\1\2\3\4"
    yield "a record that is cut", options()[:-1]
    yield "options longer than the OPT", header(ar=1) + q + opt(b"\0\x0a\0\x09abc")
    yield "an option of three octets", header(ar=1) + q + opt(b"\0\x0a\0")
    for n in (0, 7, 8, 9, 15, 16, 24, 40, 41):
        yield f"cookie of {n}", options((10, b"c" * n))
    for what, octets in {"10.0.0.0/8": b"\0\1\x08\0\x0a", "no family 0/0": b"\0\0\0\0", "0/0": b"\0\1\0\0", "family 3": b"\0\3\x08\0\x0a",
                         "bits behind the prefix": b"\0\1\x07\0\x0b", "a scope": b"\0\1\x08\x08\x0a",
                         "33 bits": b"\0\1\x21\0\1\2\3\4\0", "an octet too many": b"\0\1\x08\0\x0a\0", "three octets": b"\0\1\x08",
                         "an octet too few": b"\0\1\x10\0\x0a", "::/0": b"\0\2\0\0", "129 bits": b"\0\2\x81\0" + b"\1" * 17}.items():
        yield f"ECS {what}", options((8, octets))
    for version in (1, 2, 255):
        for do in (0, 0x8000):
            yield f"EDNS version {version} {'DO' if do else 'plain'}", options(version=version, flags=do)
        yield f"EDNS version {version} with an option", options((100, b"xyz"), version=version)
        yield f"EDNS version {version} flags", options(version=version, flags=0x40)
    yield "EDNS version 1 elsewhere", header(ar=1) + NOWHERE + struct.pack(">HH", 1, 1) + opt(version=1)
    yield "EDNS version 1 type OPT", header(ar=1) + ORDERS + struct.pack(">HH", 41, 1) + opt(version=1)
    for size in (0, 1, 511, 512, 1231, 1232, 1233, 65535):
        yield f"EDNS size {size}", options(size=size)
        yield f"EDNS size {size} big", options(size=size, text=b"\3big" + APEX + struct.pack(">HH", 16, 1))
    yield "EDNS flags", options(flags=0x7FFF)
    yield "EDNS flags and DO", options(flags=0xFFFF)
    yield "EDNS extended rcode", header(ar=1) + q + b"\0" + struct.pack(">HHBBHH", 41, 1232, 1, 0, 0, 0)
    for code in (0, 1, 2, 3, 5, 9, 11, 12, 13, 14, 15, 16, 18, 19, 20, 100, 65001, 65535):
        yield f"option {code}", options((code, b""), text=soa)
        yield f"option {code} of 4", options((code, b"\0\1\2\3"), text=soa)
    for t in (251, 252):
        for where, qname in (("apex", APEX), ("service", ORDERS), ("elsewhere", NOWHERE)):
            yield f"transfer {t} {where}", header() + qname + struct.pack(">HH", t, 1)
    yield "IXFR with its SOA", header(ns=1) + APEX + struct.pack(">HH", 251, 1) + ONE_SOA
    for what in ("version.bind", "version.server", "id.server", "hostname.bind", "authors.bind", "foo.bar"):
        for t in (1, 16, 255):
            yield f"CHAOS {what} {t}", asked(dns_wire.name(what), t, "1232", rdclass=3)


MARK = b"\x77\x77"


def behind():
    """A good question that shows where the answers to one before it would have been."""
    return MARK + (header() + APEX + struct.pack(">HH", dns_wire.SOA, 1))[2:]


# ---- asking

def ask_all(address, cases):
    """The answers, in the order of @cases, every one of which is answered: many at a time over UDP, a pipeline over TCP."""
    answers = [None] * len(cases)
    streams = [i for i, c in enumerate(cases) if c.stream]
    datagrams = [i for i, c in enumerate(cases) if not c.stream]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(address)
        for at in range(0, len(datagrams), 32):
            batch = datagrams[at:at + 32]
            for _ in range(5):  # a datagram may be lost, though not here
                for i in batch:
                    if answers[i] is None:
                        s.send(struct.pack(">H", i & 0xFFFF) + cases[i].octets[2:])
                s.settimeout(5 * SLOW)
                try:
                    while any(answers[i] is None for i in batch):
                        octets = s.recv(65535)
                        mine = [i for i in batch if i & 0xFFFF == struct.unpack(">H", octets[:2])[0]]
                        if mine:
                            answers[mine[0]] = octets
                    break
                except TimeoutError:
                    pass
    with socket.create_connection(address, timeout=20 * SLOW) as s:
        stream = s.makefile("rb")
        for at in range(0, len(streams), 100):
            batch = streams[at:at + 100]
            s.sendall(b"".join(struct.pack(">HH", len(cases[i].octets), i & 0xFFFF) + cases[i].octets[2:] for i in batch))
            for _ in batch:
                octets = stream.read(struct.unpack(">H", stream.read(2))[0])
                (mine,) = [i for i in batch if i & 0xFFFF == struct.unpack(">H", octets[:2])[0]]
                answers[mine] = octets
    return answers


def ask_odd(address, cases):
    """Likewise, where there may be no answer: b"" over UDP, over TCP also b"closed" (it may be both)."""
    datagrams = iter(datagrams_odd(address, [c.octets for c in cases if not c.stream]))
    return [stream_odd(address, c.octets) if c.stream else next(datagrams) for c in cases]


def datagrams_odd(address, messages):
    """Each on a socket of its own, a good question behind it. Who has not answered when that is answered, and a while is over,
    and that three times, does not answer."""
    answers = [b""] * len(messages)
    for _ in range(3):
        left = [i for i, a in enumerate(answers) if a == b""]
        silent = {}
        for at in range(0, len(left), 50):
            for i in left[at:at + 50]:
                silent[i] = s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.connect(address)
                s.settimeout(20 * SLOW)
                s.send(messages[i])
                s.send(behind())
            for i in left[at:at + 50]:
                answer = silent[i].recv(65535)
                if answer[:2] != MARK:
                    answers[i] = answer
                    silent.pop(i).close()
        if silent:
            time.sleep(0.5)
        for i, s in silent.items():
            s.setblocking(False)
            try:
                answers[i] = s.recv(65535)
            except BlockingIOError:
                pass
            s.close()
    return answers


def stream_odd(address, octets):
    first = b""
    try:
        with socket.create_connection(address, timeout=20 * SLOW) as s:
            for message in (octets, behind()):
                s.sendall(struct.pack(">H", len(message)) + message)
            stream = s.makefile("rb")
            while True:
                head = stream.read(2)
                if len(head) < 2:
                    return first or b"closed"
                answer = stream.read(struct.unpack(">H", head)[0])
                if answer[:2] == MARK:
                    return first
                first = answer
    except ConnectionError:
        return first or b"closed"


# ---- comparing

BITS = {"AA": 0x400, "TC": 0x200, "RD": 0x100, "RA": 0x80, "Z": 0x40, "AD": 0x20, "CD": 0x10}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 9: "NOTAUTH",
          16: "BADVERS", 23: "BADCOOKIE"}


def read(octets, case):
    """The fields of an answer, for comparison. Order within a section is nobody's promise: sections are sorted."""
    if len(octets) < 12:
        return {"reply": octets.decode() or "none"}
    try:
        m = dns_wire.Message(octets)
    except (dns_wire.Unreadable, IndexError, struct.error) as e:
        return {"reply": f"unreadable: {e}"}
    fields = {"reply": "yes" if m.flags & 0x8000 else "a query", "rcode": RCODES.get(m.rcode, str(m.rcode)), "opcode": str(m.opcode)}
    fields.update({bit: str(int(m.flags & mask != 0)) for bit, mask in BITS.items()})
    fields["question"] = "none" if m.question == b"" else "as asked" if case.octets[12:].startswith(m.question) else "another"
    fields["answer"], fields["authority"], fields["additional"] = (sorted(s) for s in m.sections)
    name = case.octets[12:12 + len(m.question) - 4]
    fields["case"] = "as asked" if all(o == name for o in m.owners if o.lower() == name.lower()) else "another"
    fields["OPT"] = "none" if m.edns is None else "last" if m.last == dns_wire.OPT else "not last"
    if m.edns is not None:
        fields["EDNS"], fields["EDNS size"], fields["options"] = f"{m.edns & 0xFFFFFF:06x}", str(m.size), sorted(m.options)
    return fields


APEXES = {dns_wire.name(z) for z in ZONES}


def without_courtesy(theirs, ours):
    """NSD puts the servers of the zone behind every positive answer, and their addresses behind these; we do not (dns.md 2.11)."""
    if theirs["reply"] != "yes" or ours["reply"] != "yes" or theirs["answer"] == []:
        return theirs
    extra = [r for r in theirs["authority"] if r[1] == dns_wire.NS and r[0] in APEXES and r not in ours["authority"]]
    hosts = {r[4] for r in extra}
    return {**theirs, "authority": [r for r in theirs["authority"] if r not in extra],
            "additional": [r for r in theirs["additional"] if r[0] not in hosts or r in ours["additional"]]}


def told(these, others):
    """What is in @these and not in @others: types of records, or codes of options; "-": nothing."""
    left = collections.Counter(these) - collections.Counter(others)
    return " ".join(sorted({str(x) if isinstance(x, int) else dns.rdatatype.to_text(x[1]) for x in left})) or "-"


FOLLOWS_RCODE = {"AA", "answer", "authority", "additional", "case", "options"}


def differences(theirs, ours):
    """(field, their value, our value), as the table writes them. With another RCODE what comes with it is another as well."""
    if theirs == ours:
        return
    same = theirs.get("rcode") == ours.get("rcode")
    for field, a in theirs.items():
        b = ours.get(field, a)
        if a != b and (same or field not in FOLLOWS_RCODE):
            yield (field, told(a, b), told(b, a)) if isinstance(a, list) else (field, a, b)


class Table:
    """Rows with patterns: every difference has one, and what a row says still occurs, for each of its servers and inputs."""

    def __init__(self, path=os.path.join(HERE, "dns_differences.toml")):
        with open(path, "rb") as f:
            self.rows = tomllib.load(f)["difference"]
        for row in self.rows:
            assert set(row) <= {"input", "server", "field", "theirs", "ours", "why"} and row["why"], row
            for key in ("input", "server", "field", "theirs", "ours"):
                values = row.get(key, "*")
                row[key] = [values] if isinstance(values, str) else values
            row["unseen"] = {*row["server"], *row["input"]}

    def explains(self, text, server, field, theirs, ours):
        def fits(patterns, value):
            return next((p for p in patterns if fnmatch.fnmatchcase(value, p)), None)

        for row in self.rows:
            if server in row["server"] and field in row["field"] and fits(row["theirs"], theirs) and fits(row["ours"], ours):
                pattern = fits(row["input"], text)
                if pattern:
                    row["unseen"] -= {server, pattern}
                    return True
        return False

    def unseen(self):
        return [(row["input"], row["server"], row["field"], sorted(row["unseen"])) for row in self.rows if row["unseen"]]
