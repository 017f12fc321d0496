"""Zone files: served as RFC 1034, 4592, 6604 and 6672 want, merged with the registry, checked with file and line, and read
again without a gap."""
import os
import socket
import struct
import subprocess
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from conftest import MUSTERD, SLOW, eventually

ZONE = r"""$TTL 300
@ IN SOA ns1 hostmaster ( 2024 ; the serial is not used
   7200 900 1209600 60 )
@ NS ns1
@ NS ns.elsewhere.test.
ns1 A 192.0.2.53
@ MX 10 mail
mail 1h A 192.0.2.25
     AAAA 2001:db8::25
www CNAME web
WEB A 192.0.2.80
web A 192.0.2.80
a1 CNAME a2
a2 CNAME a3.static.test.
a3 CNAME www
ring1 CNAME ring2
ring2 CNAME ring1
out CNAME www.elsewhere.test.
reg CNAME cart.svc.muster.internal.
gone CNAME nothing
*.wild A 192.0.2.99
there.wild TXT "here"
*.wildc CNAME web
sub NS ns.sub
sub NS ns2.elsewhere.test.
ns.sub A 192.0.2.54
deep.ent.x TXT "a;b" "c d"
old DNAME new
host.new IN 60 A 192.0.2.81
odd TYPE65534 \# 3 0a0b0c
none TYPE65534 \# 0
same A \# 4 c0000201
srv SRV 0 1 80 web
hosts SRV 0 1 80 any.wild
hosts SRV 0 1 81 ANY.wild
hosts SRV 0 1 80 www
hosts SRV 0 1 80 nothing
hosts SRV 0 1 80 cart.svc.muster.internal.
hosts SRV 0 1 80 10-0-0-1.i.bound.test.
hosts SRV 0 1 80 x.sub
dotted\.name TXT "one label"
$INCLUDE more.inc inc
"""
MORE = "here A 192.0.2.1\n$ORIGIN deeper\n@ A 192.0.2.2\n"


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return str(path)


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    from conftest import Server
    folder = tmp_path_factory.mktemp("zones")
    write(folder / "more.inc", MORE)
    server = Server()
    server.zone("muster.internal", file=write(folder / "full.zone", "$TTL 60\n@ TXT \"apex\"\n@ A 192.0.2.7\nblog A 192.0.2.8\n"
                                              "*.any A 192.0.2.9\n* TXT \"everything\"\n"), transfer_allow="127.0.0.1")
    server.zone("static.test", layout="static", file=write(folder / "static.zone", ZONE), transfer_allow="127.0.0.1")
    server.zone("bound.test", layout="bound", file=write(folder / "bound.zone", "* A 192.0.2.70\ncart MX 5 mail.elsewhere.test.\n"
                                                         "*.cart A 192.0.2.71\n"), transfer_allow="127.0.0.1")
    server.folder = folder
    server.start()
    server.register("cart", "10.0.0.1", 8080, ephemeral="false")
    yield server
    server.close()


def texts(section):
    return sorted(f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {r}" for rrset in section for r in rrset)


@pytest.mark.parametrize("name,rdtype,answer", [
    ("web", "A", ["web A 192.0.2.80"]),
    ("WeB", "A", ["WeB A 192.0.2.80"]),
    ("www", "A", ["web A 192.0.2.80", "www CNAME web"]),
    ("www", "CNAME", ["www CNAME web"]),
    ("a1", "A", ["a1 CNAME a2", "a2 CNAME a3", "a3 CNAME www", "web A 192.0.2.80", "www CNAME web"]),
    ("ring1", "A", ["ring1 CNAME ring2", "ring2 CNAME ring1"]),
    ("out", "A", ["out CNAME www.elsewhere.test."]),
    ("x.wild", "A", ["x.wild A 192.0.2.99"]),
    ("x.y.wild", "A", ["x.y.wild A 192.0.2.99"]),
    ("x.wildc", "A", ["web A 192.0.2.80", "x.wildc CNAME web"]),
    ("host.old", "A", ["host.new A 192.0.2.81", "host.old CNAME host.new", "old DNAME new"]),
    ("host.old", "ANY", ["host.new A 192.0.2.81", "host.old CNAME host.new", "old DNAME new"]),
    ("host.old", "CNAME", ["host.old CNAME host.new", "old DNAME new"]),
    ("old", "DNAME", ["old DNAME new"]),
    ("none", "TYPE65534", [r"none TYPE65534 \# 0" + " "]),
    ("same", "A", ["same A 192.0.2.1"]),
    ("odd", "TYPE65534", [r"odd TYPE65534 \# 3 0a0b0c"]),
    (r"dotted\.name", "TXT", [r'dotted\.name TXT "one label"']),
    ("deep.ent.x", "TXT", ['deep.ent.x TXT "a;b" "c d"']),
    ("here.inc", "A", ["here.inc A 192.0.2.1"]),
    ("deeper.inc", "A", ["deeper.inc A 192.0.2.2"]),
])
def test_records_are_answered(static, name, rdtype, answer):
    reply = static.dig(f"{name}.static.test.", rdtype)
    assert reply.rcode() == dns.rcode.NOERROR and reply.flags & dns.flags.AA
    assert [t.replace(".static.test.", "") for t in texts(reply.answer)] == answer and not reply.authority


def test_a_ring_of_aliases_is_gone_round_once(static):
    """Counted on the wire: dnspython keeps equal records once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20 * SLOW)
        s.sendto(dns.message.make_query("ring1.static.test.", "A").to_wire(), static.dns)
        assert struct.unpack(">H", s.recv(4096)[6:8])[0] == 2


@pytest.mark.parametrize("name,rdtype,rcode", [
    ("www", "RRSIG", dns.rcode.NOERROR), ("gone", "NSEC", dns.rcode.NOERROR), ("web", "AAAA", dns.rcode.NOERROR), ("ent.x", "A", dns.rcode.NOERROR), ("x", "A", dns.rcode.NOERROR),
    ("wild", "A", dns.rcode.NOERROR), ("there.wild", "A", dns.rcode.NOERROR), ("sub", "DS", dns.rcode.NOERROR),
    ("nope", "A", dns.rcode.NXDOMAIN), ("x.there.wild", "A", dns.rcode.NXDOMAIN), ("below.web", "A", dns.rcode.NXDOMAIN),
    ("gone", "A", dns.rcode.NXDOMAIN), ("x.old", "A", dns.rcode.NXDOMAIN), ("svc", "A", dns.rcode.NXDOMAIN),
])
def test_what_is_not_there_is_denied_with_the_soa_of_the_file(static, name, rdtype, rcode):
    reply = static.dig(f"{name}.static.test.", rdtype)
    assert reply.rcode() == rcode and reply.flags & dns.flags.AA
    (soa,) = reply.authority
    assert soa.rdtype == dns.rdatatype.SOA and soa.ttl == 60 and soa[0].refresh == 7200
    assert soa[0].serial == static.dig("static.test.", "SOA").answer[0][0].serial != 2024


def test_a_delegation_is_a_referral_with_its_glue(static):
    for name, rdtype in (("x.y.sub", "A"), ("sub", "NS"), ("sub", "A"), ("ns.sub", "A"), ("x.sub", "DS")):
        reply = static.dig(f"{name}.static.test.", rdtype)
        assert reply.rcode() == dns.rcode.NOERROR and not reply.answer and not reply.flags & dns.flags.AA
        assert texts(reply.authority) == ["sub.static.test. NS ns.sub.static.test.", "sub.static.test. NS ns2.elsewhere.test."]
        assert texts(reply.additional) == ["ns.sub.static.test. A 192.0.2.54"]


def test_addresses_of_named_hosts_come_along(static):
    assert texts(static.dig("static.test.", "MX").additional) == ["mail.static.test. A 192.0.2.25",
                                                                 "mail.static.test. AAAA 2001:db8::25"]
    assert texts(static.dig("srv.static.test.", "SRV").additional) == ["web.static.test. A 192.0.2.80"]
    assert texts(static.dig("static.test.", "NS").additional) == ["ns1.static.test. A 192.0.2.53"]
    # what a question for it would find: by a wildcard, of the registry, of another zone; not behind an alias
    assert texts(static.dig("hosts.static.test.", "SRV").additional) == [
        "10-0-0-1.i.bound.test. A 10.0.0.1", "any.wild.static.test. A 192.0.2.99", "cart.svc.muster.internal. A 10.0.0.1"]


def test_a_chain_leads_into_the_registry(static):
    reply = static.dig("reg.static.test.", "SRV")
    assert texts(reply.answer) == ["cart.svc.muster.internal. SRV 10 32768 8080 10-0-0-1.i.muster.internal.",
                                   "reg.static.test. CNAME cart.svc.muster.internal."]
    assert texts(reply.additional) == ["10-0-0-1.i.muster.internal. A 10.0.0.1"]
    reply = static.dig("reg.static.test.", "AAAA")
    assert reply.rcode() == dns.rcode.NOERROR and str(reply.authority[0].name) == "muster.internal."


def test_a_file_beside_the_registry(static):
    def ask(name, rdtype="A"):
        reply = static.dig(name, rdtype)
        return reply.rcode(), [t.split(" ", 1)[1] for t in texts(reply.answer)]
    assert ask("muster.internal.") == (0, ["A 192.0.2.7"]) and ask("muster.internal.", "TXT") == (0, ['TXT "apex"'])
    assert ask("blog.muster.internal.") == (0, ["A 192.0.2.8"])
    assert ask("cart.svc.muster.internal.") == (0, ["A 10.0.0.1"])
    assert ask("x.any.muster.internal.") == (0, ["A 192.0.2.9"])
    assert ask("nobody.muster.internal.", "TXT") == (0, ['TXT "everything"'])
    # never below the registry's anchors, nor below what it has
    for name in ("nobody.svc", "x.nobody.ns", "x.y.i", "below.dns-version", "x.ns1", "x.cart.svc"):
        assert ask(f"{name}.muster.internal.", "TXT") == (dns.rcode.NXDOMAIN, [])
    assert ask("ns1.muster.internal.")[1] and ask("muster.internal.", "NS")[1] == ["NS ns1.muster.internal."]
    # a service beats the wildcard, its other types are the file's
    assert ask("cart.bound.test.") == (0, ["A 10.0.0.1"]) and ask("cart.bound.test.", "MX") == (0, ["MX 5 mail.elsewhere.test."])
    assert ask("other.bound.test.") == (0, ["A 192.0.2.70"]) and ask("x.cart.bound.test.") == (0, ["A 192.0.2.71"])
    assert ask("cart.bound.test.", "AAAA") == (0, []) and ask("x.i.bound.test.") == (dns.rcode.NXDOMAIN, [])


def test_a_transfer_has_the_file_too(static):
    from test_zone_out import by_set, transfer
    records, _ = transfer(static, "static.test.")
    have = {f"{n} {dns.rdatatype.to_text(t)} {r}" for n, t, _, r in records}
    assert {"static.test. MX 10 mail.static.test.", "*.wild.static.test. A 192.0.2.99",
            "sub.static.test. NS ns.sub.static.test.", "ns.sub.static.test. A 192.0.2.54"} <= have
    assert len(records) == len(have) + 1 and records[0][3].serial == static.dig("static.test.", "SOA").answer[0][0].serial
    have = {f"{n} {dns.rdatatype.to_text(t)} {r}" for n, t, _, r in transfer(static, "muster.internal.")[0]}
    assert {"blog.muster.internal. A 192.0.2.8", "cart.svc.muster.internal. A 10.0.0.1", "muster.internal. A 192.0.2.7",
            "ns1.muster.internal. A 127.0.0.1"} <= have


FAR = f"$ORIGIN {'a' * 60}.{'a' * 60}.{'a' * 60}\n"  # one label more of that length is too much
BROKEN = {
    "a A 1.2.3": "1: A: ",
    "a A 192.0.2.1\nb BOGUS x": '2: "BOGUS" is no type',
    "a A 192.0.2.1\na CNAME b": "a.broken.test. has a CNAME and other data",
    "a CNAME b\na CNAME c": "2: a.broken.test. has a second CNAME",
    "a 60 A 192.0.2.1\na 70 A 192.0.2.2": "2: a.broken.test. has records of one type with different TTLs",
    "a.elsewhere. A 192.0.2.1": "1: a.elsewhere. does not lie in the zone",
    "x.svc A 192.0.2.1": "x.svc.broken.test. lies below svc or ns",
    "ns TXT x": "ns.broken.test. lies below svc or ns",
    "1.i A 192.0.2.1": "lies below i",
    "dns-version TXT x": "is the registry's",
    "@ CNAME a": "broken.test. is the zone itself",
    "a SOA b c 1 2 3 4 5": "has an SOA, which only the zone itself has",
    "@ SOA b c 1 2 3 4 5\n@ SOA b d 1 2 3 4 5": "has a second SOA",
    "sub NS ns.sub": "name server in the zone without an address",
    "d DNAME e\nx.d A 192.0.2.1": "x.d.broken.test. lies below a DNAME",
    "a CH TXT x": "1: class CH",
    "a TXT (\n x\n": "1: a parenthesis is not closed",
    "a TXT \"x\nb A 192.0.2.1": "1: a quoted string does not end",
    "a 99999999999 A 192.0.2.1": "is no TTL",
    "$INCLUDE /nonexistent/file": "1: /nonexistent/file cannot be opened: No such file",
    "$GENERATE 1-2 a A 192.0.2.$": "1: $GENERATE: no directive",
    " A 192.0.2.1": "1: the first record has no name",
    "a" * 70 + " A 192.0.2.1": "is no name",
    r"a CNAME \# 0": "1: CNAME: the data are not as long",
    r"a NS \# 0": "1: NS: the data are not as long",
    r"a MX \# 2 0000": "1: MX: the data are not as long",
    r"a SRV \# 6 000000000000": "1: SRV: the data are not as long",
    r"a HTTPS \# 2 0001": "1: HTTPS: the data are not as long",
    r"a TXT \# 0": "1: TXT: the data are not as long",
    r"a A \# 5 c000020100": "1: A: the data are not as long",
    f"{FAR}b NS {'c' * 60}": "2: NS: too long a name with the origin",
    f"{FAR}b MX 1 {'c' * 60}": "2: MX: too long a name with the origin",
    f"{FAR}{'c' * 60} A 192.0.2.1": "2: \"cccc",
    f"{FAR}$ORIGIN {'c' * 60}": "2: \"cccc",
}


def check(path, layout="full", *more):
    done = subprocess.run([MUSTERD, "--check-config", "--server.data_dir=/tmp", f"--zone.broken.test.file={path}",
                           f"--zone.broken.test.layout={layout}", *more], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("text,message", BROKEN.items(), ids=range(len(BROKEN)))
def test_an_error_is_told_with_its_line(tmp_path, text, message):
    path = write(tmp_path / "broken.zone", text)
    status, errors = check(path)
    assert status == 2 and errors.startswith(path) and message in errors, errors


def test_every_error_is_told(tmp_path):
    path = write(tmp_path / "broken.zone", "a A x\nb AAAA x\nx.svc A 192.0.2.1\n$INCLUDE inner\nc A 192.0.2.1\n")
    write(tmp_path / "inner", "\n\nd A y\n")
    status, errors = check(path)
    assert status == 2
    assert [e.split(": ")[0].removeprefix(str(tmp_path)) for e in errors.splitlines()] == \
        ["/broken.zone:1", "/broken.zone:2", "/inner:3", "/broken.zone:3"]
    status, errors = check(write(tmp_path / "empty.zone", ""), layout="static")
    assert status == 2 and "has no SOA" in errors and "has no NS" in errors
    path = write(tmp_path / "loop.zone", "$INCLUDE loop.zone\n" * 9)
    assert check(path) == (2, f"{path}:1: files include each other more than 8 deep\n")


def test_an_alias_and_the_file_do_not_have_the_same(tmp_path):
    good = "@ MX 1 mail\nmail A 192.0.2.1\nwww TXT x\nabove.x TXT x\n"
    bad = "@ A 192.0.2.1\nwww CNAME mail\na.b HTTPS 1 .\nb NS ns.elsewhere.test.\na.b DNAME elsewhere.test.\n"
    path = write(tmp_path / "z", bad)
    aliases = "--zone.broken.test.alias=" + ",".join(f"{n}broken.test=public/DEFAULT_GROUP/s" for n in ("", "www.", "a.b.", "c.a.b."))
    status, errors = check(path, "bound", aliases)
    assert status == 2 and sorted(errors.splitlines()) == [
        f"{path}:{i + 1}: {name}broken.test. has what is the registry's, because of an alias there or below"
        for i, name in enumerate(("", "www.", "a.b.", "b.", "a.b."))]
    assert check(write(tmp_path / "z", good), "bound", aliases) == (0, "")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for what in ("fifo", "."):
        path = str(tmp_path / what)
        assert check(path) == (2, f"{path}: cannot be opened: it is no file\n")
        assert check(write(tmp_path / "outer.zone", f"$INCLUDE {path}\n"))[1].endswith(f":1: {path} cannot be opened: it is no file\n")


@pytest.mark.parametrize("text, wrong", [
    ("@ A 192.0.2.1", "broken.test. has what is the registry's"),
    ("www.shop AAAA 2001:db8::1", "www.shop.broken.test. has what is the registry's"),
    ("WWW.shop HTTPS 1 .", "www.shop.broken.test. has what is the registry's"),
    ("www.shop CNAME x", "www.shop.broken.test. has what is the registry's"),
    ("shop NS ns.elsewhere.test.", "shop.broken.test. has what is the registry's"),
    ("www.shop NS ns.elsewhere.test.", "www.shop.broken.test. has what is the registry's"),
    ("shop DNAME elsewhere.test.", "shop.broken.test. has what is the registry's"),
    ("10-0-0-1.i A 10.0.0.1", "lies below i"),
    ("www.shop MX 5 mail.elsewhere.test.", None), ("x.www.shop A 192.0.2.1", None), ("shop A 192.0.2.1", None),
    ("www.shop TXT x", None), ("www.shop DNAME elsewhere.test.", None), ("@ TXT x", None),
])
@pytest.mark.parametrize("layout", ["full", "bound", "static"])
def test_a_record_where_an_alias_answers_is_told_with_its_line(tmp_path, text, wrong, layout):
    soa = "@ SOA ns.elsewhere.test. x. 1 2 3 4 5\n@ NS ns.elsewhere.test.\n" if layout == "static" else "; nothing\n\n"
    path = write(tmp_path / "z", soa + text + "\n")
    done = subprocess.run([MUSTERD, "--check-config", f"--server.data_dir={tmp_path}", f"--zone.broken.test.file={path}",
                           f"--zone.broken.test.layout={layout}", "--zone.broken.test.alias=broken.test=public/g/s, www.shop.broken.test=public/g/s"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == (2 if wrong else 0), done.stderr
    assert not wrong or (done.stderr.startswith(f"{path}:3: ") and wrong in done.stderr), done.stderr


def test_a_live_service_goes_before_the_file_in_answers_and_transfers(make_server, tmp_path):
    """dns.md 4.3: address types are the registry's where it has the name, all others the file's; without the service the
    file has them all. What is transferred says the same."""
    from test_zone_out import transfer
    path = write(tmp_path / "z", "cart A 192.0.2.1\ncart TXT file\ncart MX 5 mail.elsewhere.test.\nother CNAME cart\ni2 A 192.0.2.2\n")
    server = make_server().zone("bound.test", layout="bound", file=path, transfer_allow="127.0.0.0/8")
    server.start()

    def whole():
        return {f"{n} {dns.rdatatype.to_text(t)} {r}" for n, t, _, r in transfer(server, "bound.test.")[0]
                if t != dns.rdatatype.SOA}

    def answers(have):
        for row in have:
            name, rdtype, rdata = row.split(" ", 2)
            assert row in {f"{name} {t.split(' ', 1)[1]}" for t in texts(server.dig(name, rdtype).answer)} or rdtype == "CNAME", row
    have = whole()
    assert {"cart.bound.test. A 192.0.2.1", "cart.bound.test. TXT \"file\"", "cart.bound.test. MX 5 mail.elsewhere.test."} <= have
    answers(have)
    server.register("cart", "10.0.0.1", 80)
    server.register("i", "10.0.0.2", 80)
    server.register("dns-version", "10.0.0.3", 80)
    have = whole()
    assert {"cart.bound.test. A 10.0.0.1", "cart.bound.test. TXT \"file\"", "cart.bound.test. MX 5 mail.elsewhere.test.",
            "_i._tcp.bound.test. SRV 10 32768 80 10-0-0-2.i.bound.test.", "10-0-0-2.i.bound.test. A 10.0.0.2"} <= have
    assert not any(row.startswith(("cart.bound.test. A 192", "i.bound.test. ", "default.c.i.bound.test.", "dns-version.bound.test. A"))
                   for row in have), have
    answers(have)
    assert server.dig("i.bound.test.", "A").rcode() == dns.rcode.NOERROR and not server.dig("i.bound.test.", "A").answer
    assert "service i of group DEFAULT_GROUP, namespace public, cannot be asked for by its name in zone bound.test" in server.log_text()
    assert "\nmuster_dns_hidden_services 2\n" in server.get("/metrics").text
    explained = server.get("/muster/v1/explain", serviceName="i").text
    assert '"i.bound.test."' not in explained, explained
    server.deregister("cart", "10.0.0.1", 80)
    server.deregister("i", "10.0.0.2", 80)
    # the service is there without instances: it has no address, and the file does not step in
    assert texts(server.dig("cart.bound.test.", "A").answer) == [] and server.dig("cart.bound.test.", "TXT").answer


def test_a_server_does_not_start_with_a_broken_file(make_server, tmp_path):
    server = make_server().zone("broken.test", file=write(tmp_path / "z", "a A 1.2.3\n"))
    with pytest.raises(AssertionError, match=r"z:1: A: "):
        server.start()
    server.process.wait(20 * SLOW)
    server.process = None


def test_a_file_is_read_again_without_a_gap(make_server, tmp_path):
    import signal
    path = tmp_path / "z"
    rows = "".join(f"h{i} A 192.0.2.{i % 250}\n" for i in range(20000))
    write(path, f"a A 192.0.2.1\n{rows}")
    server = make_server().zone("re.test", layout="bound", file=str(path)).start()
    seen, stop = set(), threading.Event()

    def ask():
        while not stop.is_set():
            seen.add(tuple(server.addresses("a.re.test.", timeout=20 * SLOW)))

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        serial = server.dig("re.test.", "SOA").answer[0][0].serial
        write(path, f"a A 192.0.2.2\n{rows}")
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: server.addresses("a.re.test.") == ["192.0.2.2"], limit=30)
        eventually(lambda: server.dig("re.test.", "SOA").answer[0][0].serial > serial, limit=30)
        write(path, "a A 192.0.2\n")
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "what was read before stays in force" in server.log_text(), limit=30)
        assert f"{path}:1: A: " in server.log_text()
        assert server.addresses("a.re.test.") == ["192.0.2.2"] and server.addresses("h7.re.test.") == ["192.0.2.7"]
    finally:
        stop.set()
        asker.join()
    assert seen == {("192.0.2.1",), ("192.0.2.2",)}


def test_a_path_is_relative_to_the_settings(tmp_path):
    write(tmp_path / "z", "a A x\n")
    conf = write(tmp_path / "muster.conf", f"[server]\ndata_dir = {tmp_path}\n[zone rel.test]\nfile = z\n")
    done = subprocess.run([MUSTERD, "-c", conf, "--check-config"], cwd="/", capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and f"{tmp_path}/z:1: A: " in done.stderr
    conf = write(tmp_path / "muster.conf", "[zone rel.test]\nlayout = static\n")
    done = subprocess.run([MUSTERD, "-c", conf, "--check-config"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and f"{conf}:2: zone rel.test: layout = static needs a file" in done.stderr
