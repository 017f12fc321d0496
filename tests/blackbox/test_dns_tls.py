"""DNS over TLS (RFC 7858): answers, padding, resumption, certificates that change under open connections, and bad ones."""
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import warnings

import dns.flags
import dns.message
import dns.rcode
import pytest
from conftest import SLOW, eventually
from test_dns_tcp import Stream, closed, drip
from test_reload import reload, with_file

ZONE = "muster.internal"
NAME = f"tls.svc.{ZONE}"


def certificate(directory, name, common):
    """A self-signed certificate and its key, put in place by renaming."""
    cert, key = os.path.join(directory, name + ".crt"), os.path.join(directory, name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-subj", f"/CN={common}", "-addext", f"subjectAltName=DNS:{common}", "-keyout", key + ".new", "-out", cert + ".new"],
                   check=True, capture_output=True)
    os.replace(key + ".new", key)
    os.replace(cert + ".new", cert)
    return cert, key


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("tls"))
    return directory, *certificate(directory, "first", "first.example")


@pytest.fixture(scope="module")
def secure(files):
    """One server for the tests that change nothing."""
    from conftest import Server
    s = Server(dns_tls_listen="127.0.0.1:0", tls_cert=files[1], tls_key=files[2], dns_threads="1")
    s.start()
    s.register("tls", "10.0.0.1", 80)
    yield s
    s.close()


class Connection:
    def __init__(self, server, alpn=("dot",), context=None, session=None, source=None):
        self.context = context or self.context_of(alpn)
        plain = socket.create_connection(server.split(server.ports["dns_tls"][0]), timeout=20 * SLOW,
                                         source_address=(source, 0) if source else None)
        self.socket = self.context.wrap_socket(plain, server_hostname="first.example", session=session)

    @staticmethod
    def context_of(alpn=("dot",)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def name(self):
        """The common name in the certificate that was shown."""
        shown = ssl.DER_cert_to_PEM_cert(self.socket.getpeercert(True))
        return re.search(r"CN\s*=\s*(\S+)", subprocess.run(["openssl", "x509", "-noout", "-subject"], input=shown, text=True,
                                                          capture_output=True, check=True).stdout)[1]

    def send(self, *queries):
        self.socket.sendall(b"".join(struct.pack(">H", len(q)) + q for q in queries))

    def exactly(self, n):
        got = b""
        while len(got) < n:
            more = self.socket.recv(n - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def receive(self):
        return self.exactly(struct.unpack(">H", self.exactly(2))[0])

    def ask(self, **more):
        self.send(dns.message.make_query(NAME, "A", **more).to_wire())
        return dns.message.from_wire(self.receive())

    def is_open(self):
        try:
            return addresses(self.ask()) == ["10.0.0.1"]
        except (EOFError, ConnectionError, ssl.SSLError):
            return False

    def ends(self):
        """Waits for the server to close; no answer may come before."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def close(self):
        self.socket.close()


def addresses(answer):
    return sorted(r.to_text() for rrset in answer.answer for r in rrset)


def test_an_idle_connection_ends_with_a_goodbye(make_server, files):
    """So that the client knows that nothing was cut off (RFC 8446, 6.1)."""
    server = make_server(dns_tls_listen="127.0.0.1:0", tls_cert=files[1], tls_key=files[2], dns_tcp_idle="200ms").start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = Connection.context_of()
        context.minimum_version = context.maximum_version = version
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        plain = socket.create_connection(server.split(server.ports["dns_tls"][0]), timeout=20 * SLOW)
        with context.wrap_socket(plain, suppress_ragged_eofs=False) as s:
            assert s.recv(1) == b""  # an end without a goodbye would raise


def test_a_question_is_answered_over_tls_1_2_and_1_3_and_not_below(secure):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = Connection.context_of()
        context.minimum_version = context.maximum_version = version
        c = Connection(secure, context=context)
        assert c.socket.selected_alpn_protocol() == "dot"
        assert addresses(c.ask()) == ["10.0.0.1"]
        c.close()
    context = Connection.context_of()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is old is the point
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Connection(secure, context=context)


def test_alpn_is_dot_or_not_there(secure):
    c = Connection(secure, alpn=())
    assert c.socket.selected_alpn_protocol() is None
    assert addresses(c.ask()) == ["10.0.0.1"]
    c.close()
    c = Connection(secure, alpn=("h2", "dot"))
    assert c.socket.selected_alpn_protocol() == "dot"
    c.close()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Connection(secure, alpn=("h2", "http/1.1"))


def test_dig_gets_its_answer_and_padding(secure):
    host, port = secure.split(secure.ports["dns_tls"][0])
    text = subprocess.run(["dig", "+tls", "+padding=128", f"@{host}", "-p", str(port), "+tries=1", NAME, "A"],
                          capture_output=True, text=True, timeout=60).stdout
    assert "status: NOERROR" in text and "10.0.0.1" in text and "(TLS)" in text, text
    assert "MSG SIZE  rcvd: 468" in text, text


@pytest.mark.parametrize("size", [0, 1, 100, 464, 465, 1000])
def test_answers_are_padded_to_blocks_when_that_is_asked_for(secure, size):
    padding = dns.edns.GenericOption(12, b"\0" * size)
    c = Connection(secure)
    c.send(dns.message.make_query(NAME, "A", use_edns=0, options=[padding]).to_wire())
    octets = c.receive()
    assert len(octets) == 468
    answer = dns.message.from_wire(octets)
    assert [o.otype for o in answer.options][-1] == 12
    c.send(dns.message.make_query(NAME, "A", use_edns=0).to_wire())
    assert len(c.receive()) < 200
    c.close()
    over_tcp = secure.dig(NAME, tcp=True, use_edns=0, options=[padding])
    assert not over_tcp.options
    assert not secure.dig(NAME, use_edns=0, options=[padding]).options


def test_pipelines_are_answered_in_order_however_records_are_cut(secure):
    query = dns.message.make_query(NAME, "A").to_wire()[2:]
    for cut in (1, 7, 100, 5000, 100000):
        c = Connection(secure)
        stream = b"".join(struct.pack(">H", len(query) + 2) + struct.pack(">H", n) + query for n in range(200))
        for at in range(0, len(stream), cut):
            c.socket.sendall(stream[at:at + cut])
        for n in range(200):
            answer = c.receive()
            assert struct.unpack(">H", answer[:2])[0] == n
        c.close()


def test_a_session_is_resumed_by_its_ticket(secure):
    context = Connection.context_of()
    first = Connection(secure, context=context)
    first.ask()  # with the answer the ticket has come
    session = first.socket.session
    first.close()
    second = Connection(secure, context=context, session=session)
    assert second.socket.session_reused
    assert addresses(second.ask()) == ["10.0.0.1"]
    second.close()


def test_the_end_is_said_by_both_sides(secure):
    c = Connection(secure)
    c.send(*[dns.message.make_query(NAME, "A").to_wire() for _ in range(5)])
    for _ in range(5):
        c.receive()
    plain = c.socket.unwrap()  # returns when the server has said it as well
    plain.close()
    c = Connection(secure)
    c.socket.sendall(b"\0\0")  # no message has that length
    assert c.socket.recv(10) == b""
    c.close()


def test_what_is_no_tls_ends_the_connection_and_nothing_else(secure):
    c = Connection(secure)
    for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\0\x1d" + dns.message.make_query(NAME, "A").to_wire(), b"\x16\x03\x01\xff\xff" + b"x" * 70000,
                 os.urandom(3000)):
        with socket.create_connection(secure.split(secure.ports["dns_tls"][0]), timeout=20 * SLOW) as s:
            try:
                s.sendall(junk)
                while s.recv(4096):
                    pass
            except ConnectionError:
                pass
    with socket.create_connection(secure.split(secure.ports["dns_tls"][0]), timeout=20 * SLOW) as s:
        s.sendall(b"\x16\x03")  # and is gone
    assert addresses(c.ask()) == ["10.0.0.1"]
    c.close()


def test_who_takes_too_long_for_one_message_is_closed_though_octets_keep_coming(secure):
    before = closed(secure, "slow")
    slow, other = Connection(secure), Connection(secure)

    def others_are_well():
        assert other.is_open()

    drip(slow.socket, others_are_well)
    eventually(lambda: closed(secure, "slow") == before + 1)
    slow.close()
    other.close()


def test_one_network_has_its_own_limit_over_both_streams(make_server, files):
    """The longest idle of the network makes room, whether it came by TLS or in the clear."""
    server = make_server(dns_tls_listen="127.0.0.1:0", tls_cert=files[1], tls_key=files[2], dns_threads=1, dns_tcp_idle="1h",
                         dns_tcp_per_prefix=3).start()
    server.register("tls", "10.0.0.1", 80)
    near = [Connection(server, source="127.0.0.1") for _ in range(3)]
    assert all(c.is_open() for c in near)
    other = Connection(server, source="127.0.0.2")
    assert other.is_open()
    fresh = Connection(server, source="127.0.0.1")
    assert fresh.is_open() and near[0].ends()
    assert all(c.is_open() for c in (near[1], near[2], fresh, other))  # in the order in which they came: of one moment the first goes
    with Stream(server, "127.0.0.1") as clear:
        assert clear.is_open() and near[1].ends()
        assert all(c.is_open() for c in (near[2], fresh, other))
    eventually(lambda: closed(server, "limit") == 2)
    for c in [*near, other, fresh]:
        c.close()


def test_nobody_is_limited_in_rate_over_tls(make_server, files):
    """Whoever completes a handshake is at the address that he claims: over UDP the same questions are limited."""
    server = make_server(dns_tls_listen="127.0.0.1:0", tls_cert=files[1], tls_key=files[2], dns_threads=1, dns_rrl=1,
                         dns_rrl_private="on", dns_rrl_errors=1).start()
    server.register("tls", "10.0.0.1", 80)
    assert any(server.dig(NAME).flags & dns.flags.TC for _ in range(200))
    absent = dns.message.make_query("www.example.org", "A").to_wire()
    c = Connection(server)
    for _ in range(100):
        answer = c.ask()
        assert addresses(answer) == ["10.0.0.1"] and not answer.flags & dns.flags.TC
        c.send(absent)
        assert dns.message.from_wire(c.receive()).rcode() == dns.rcode.REFUSED
    c.close()


def test_connections_are_counted_by_transport(secure):
    def counted():
        text = secure.get("/metrics").text
        return sum(int(n) for n in re.findall(r'^muster_dns_queries_total\{[^}]*transport="tls"\} (\d+)$', text, re.M))
    before = counted()
    c = Connection(secure)
    c.ask()
    c.close()
    assert counted() == before + 1


def test_a_changed_certificate_is_shown_and_open_connections_go_on(make_server, tmp_path):
    cert, key = certificate(str(tmp_path), "c", "first.example")
    server = make_server(dns_tls_listen="127.0.0.1:0", tls_cert=cert, tls_key=key, dns_tcp_idle="1h").start()
    context = Connection.context_of()
    old = Connection(server, context=context)
    assert old.name() == "first.example"
    old.ask()
    session = old.socket.session

    def shown():
        c = Connection(server)
        said = c.name()
        c.close()
        return said

    certificate(str(tmp_path), "c", "second.example")
    eventually(lambda: shown() == "second.example", 30 * SLOW)
    old.ask()
    again = Connection(server, context=context, session=session)
    assert not again.socket.session_reused  # by another name's ticket nobody is resumed
    again.ask()
    session = again.socket.session
    again.close()
    read = server.log_text().count("was read again")
    certificate(str(tmp_path), "c", "second.example")
    eventually(lambda: server.log_text().count("was read again") > read, 30 * SLOW)
    again = Connection(server, context=context, session=session)  # of a renewed one they are good
    assert again.socket.session_reused
    again.close()
    # A bad one: the old stays, the log says why, once.
    with open(cert, "w") as f:
        f.write("nothing\n")
    eventually(lambda: "the old certificate stays" in server.log_text(), 30 * SLOW)
    assert f"{cert}: no certificate can be read from it" in server.log_text()
    assert shown() == "second.example"
    os.unlink(cert)
    eventually(lambda: f"the old certificate stays: {cert}: No such file or directory" in server.log_text(), 30 * SLOW)
    old.ask()
    certificate(str(tmp_path), "c", "third.example")
    eventually(lambda: shown() == "third.example", 30 * SLOW)
    old.ask()
    old.close()


def test_a_reload_reads_the_certificate_at_once_or_changes_nothing(make_server, tmp_path):
    first, second = certificate(str(tmp_path), "a", "a.example"), certificate(str(tmp_path), "b", "b.example")
    text = "[dns]\nlisten = 127.0.0.1:0\nttl = {}s\n{}[http]\nlisten = 127.0.0.1:0\n"
    tls = "tls_listen = 127.0.0.1:0\n[tls]\ncert = {}\nkey = {}\n"
    server = with_file(make_server, text.format(5, "")).start()
    server.register("tls", "10.0.0.1", 80)
    assert "dns_tls" not in server.ports
    reload(server, text.format(5, tls.format(*first)))
    server.wait_ready()
    eventually(lambda: os.path.exists(server.see("ports.json")) and "dns_tls" in (server.wait_ready() or server.ports))
    c = Connection(server)
    assert c.name() == "a.example"
    reload(server, text.format(5, tls.format(*second)))
    other = Connection(server)
    assert other.name() == "b.example"
    said = reload(server, text.format(7, tls.format(first[0], second[1])), expect="nothing was reloaded")
    assert "the old certificate stays" in said and first[0] in said
    assert server.dig(NAME).answer[0].ttl == 5
    third = Connection(server)
    assert third.name() == "b.example"
    assert addresses(c.ask()) == addresses(other.ask()) == addresses(third.ask()) == ["10.0.0.1"]
    for one in (c, other, third):
        one.close()


@pytest.mark.parametrize("what", ["missing", "no certificate", "another key", "no key", "a passphrase", "no file"])
def test_a_start_with_a_bad_certificate_is_refused_with_file_and_reason(make_server, files, tmp_path, what):
    cert, key = certificate(str(tmp_path), "x", "x.example")
    if what == "missing":
        os.unlink(cert)
    elif what == "no certificate":
        open(cert, "w").close()
    elif what == "another key":
        shutil.copy(files[2], key)
    elif what == "a passphrase":
        subprocess.run(["openssl", "pkey", "-in", files[2], "-aes128", "-passout", "pass:secret", "-out", key], check=True)
    elif what == "no file":
        os.unlink(key)
        os.mkfifo(key)
    else:
        open(key, "w").close()
    server = make_server(dns_tls_listen="127.0.0.1:0", tls_cert=cert, tls_key=key)
    server.start(wait=False)
    assert server.process.wait(30 * SLOW) != 0
    server.process = None
    wrong = cert if "cert" in what or what == "missing" else key
    assert f"tls: {wrong}" in server.log_text()
    assert what != "a passphrase" or "passphrase, which nobody can be asked for" in server.log_text()
    check = subprocess.run(server.arguments() + ["--check-config"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20 * SLOW)
    assert check.returncode == 2 and check.stderr.startswith(f"tls.cert, tls.key: {wrong}"), check.stderr


@pytest.mark.parametrize("text, said", [
    ("[dns]\ntls_listen = 127.0.0.1:0\n", "muster.conf:2: dns.tls_listen: there is no certificate: set tls.cert and tls.key"),
    ("[tls]\ncert = /x\n", "muster.conf:2: tls.cert: its key is missing: set tls.key"),
    ("[tls]\nkey = /x\n", "muster.conf:2: tls.key: its certificate is missing: set tls.cert"),
])
def test_settings_that_do_not_go_together_are_named_with_their_line(make_server, text, said):
    server = with_file(make_server, text)
    server.start(wait=False)
    assert server.process.wait(20 * SLOW) == 2
    server.process = None
    assert said in server.log_text()
