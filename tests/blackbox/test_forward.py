"""Names outside of the zones, for hosts whose resolv.conf points here: a real unbound is the upstream."""
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from conftest import MUSTERD, Server, eventually, free_port, need
from test_reload import reload, with_file

EDE = 15


@contextlib.contextmanager
def upstream(port=None, forward=None):
    """unbound with corp.example of its own, or one that forwards everything to @forward."""
    need("unbound")
    port = port or free_port()
    rest = f'forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@{forward}\n' if forward else ""
    text = f"""server:
  do-daemonize: no
  interface: 127.0.0.1@{port}
  port: {port}
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  local-zone: "corp.example." static
  local-data: "corp.example. 300 SOA ns.corp.example. host.corp.example. 1 2 3 4 5"
  local-data: "www.corp.example. 300 A 192.0.2.7"
  local-data: "www.corp.example. 300 AAAA 2001:db8::7"
{"".join(f'  local-data: "many.corp.example. 300 A 192.0.{2 + i // 200}.{i % 200 + 1}"' + chr(10) for i in range(400))}
{rest}"""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write(text)
        conf.flush()
        process = subprocess.Popen(["unbound", "-d", "-c", conf.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: ask(port, "www.corp.example") is not None, 20)
            yield process, port
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def ask(port, name, kind="A", rd=True, tcp=False, timeout=3, **more):
    question = dns.message.make_query(name, kind, use_edns=0, **more)
    if not rd:
        question.flags &= ~dns.flags.RD
    try:
        return (dns.query.tcp if tcp else dns.query.udp)(question, "127.0.0.1", port=port, timeout=timeout)
    except (OSError, dns.exception.Timeout):
        return None


def ede(answer):
    return [int.from_bytes(o.to_wire()[:2], "big") for o in answer.options if o.otype == EDE]


@contextlib.contextmanager
def forwarder(port, **settings):
    server = Server(**{"forward.upstreams": f"127.0.0.1:{port}", **settings})
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def pair():
    with upstream() as (_, port), forwarder(port) as server:
        yield server


@pytest.mark.parametrize("tcp", [False, True])
def test_names_of_others_are_resolved_and_ours_stay_ours(pair, tcp):
    pair.register("orders", "10.30.0.1", 80)
    other = ask(pair.dns[1], "wWw.cOrp.example", tcp=tcp, timeout=10)
    assert other.rcode() == dns.rcode.NOERROR and [r.to_text() for r in other.answer[0]] == ["192.0.2.7"]
    assert other.flags & dns.flags.RA and not other.flags & dns.flags.AA
    assert other.question[0].name.to_text() == other.answer[0].name.to_text() == "wWw.cOrp.example."
    six = ask(pair.dns[1], "www.corp.example", "AAAA", tcp=tcp, timeout=10)
    assert [r.to_text() for r in six.answer[0]] == ["2001:db8::7"]
    ours = ask(pair.dns[1], "orders.svc.muster.internal", tcp=tcp)
    assert [r.to_text() for r in ours.answer[0]] == ["10.30.0.1"]
    assert ours.flags & dns.flags.AA and ours.flags & dns.flags.RA
    absent = ask(pair.dns[1], "no.svc.muster.internal", tcp=tcp)
    assert absent.rcode() == dns.rcode.NXDOMAIN and absent.flags & dns.flags.AA


def test_an_absent_name_and_an_absent_type_are_told_apart(pair):
    absent = ask(pair.dns[1], "no.corp.example", timeout=10)
    assert absent.rcode() == dns.rcode.NXDOMAIN and absent.authority[0].rdtype == dns.rdatatype.SOA
    empty = ask(pair.dns[1], "www.corp.example", "MX", timeout=10)
    assert empty.rcode() == dns.rcode.NOERROR and not empty.answer and empty.authority


def test_an_answer_too_large_for_udp_is_whole_over_tcp(pair):
    small = ask(pair.dns[1], "many.corp.example", timeout=10)
    assert small.flags & dns.flags.TC and not small.answer
    whole = ask(pair.dns[1], "many.corp.example", tcp=True, timeout=10)
    assert not whole.flags & dns.flags.TC and len(whole.answer[0]) == 400


OUT = """$TTL 300
@ SOA ns host 1 2 3 4 5
@ NS ns
ns A 10.30.0.53
www CNAME hop
hop CNAME www.corp.example.
no CNAME no.corp.example.
many CNAME many.corp.example.
under DNAME corp.example.
dead CNAME dead.servers.example.
"""


def test_an_alias_of_ours_that_leads_out_is_followed_for_who_may_ask_for_other_names(tmp_path):
    """A resolv.conf user follows no CNAME: it asks whom it asked, or takes the alias alone for "no address"."""
    (tmp_path / "out.zone").write_text(OUT)
    with upstream() as (process, port):
        server = Server(**{"forward.upstreams": f"127.0.0.1:{port}", "forward.timeout": "2s"})
        server.zone("muster.internal", layout="full").zone("out.test", layout="static", file=tmp_path / "out.zone")
        server.start()
        try:
            for tcp in (False, True):
                answer = ask(server.dns[1], "wWw.out.test", tcp=tcp, timeout=20)
                assert [r.to_text() for r in answer.answer] == [
                    "wWw.out.test. 300 IN CNAME hop.out.test.", "hop.out.test. 300 IN CNAME www.corp.example.",
                    answer.answer[2].to_text()] and answer.answer[2][0].to_text() == "192.0.2.7"
                assert answer.rcode() == 0 and answer.flags & dns.flags.AA and answer.flags & dns.flags.RA
                below = ask(server.dns[1], "www.under.out.test", "AAAA", tcp=tcp, timeout=20)
                assert [r[0].to_text() for r in below.answer] == ["corp.example.", "www.corp.example.", "2001:db8::7"]
                absent = ask(server.dns[1], "no.out.test", tcp=tcp, timeout=20)
                assert absent.rcode() == dns.rcode.NXDOMAIN and len(absent.answer) == 1
                assert absent.authority[0].name.to_text() == "corp.example."
                none = ask(server.dns[1], "www.out.test", "MX", tcp=tcp, timeout=20)
                assert none.rcode() == 0 and len(none.answer) == 2 and none.authority
                alone = ask(server.dns[1], "www.out.test", "CNAME", tcp=tcp)
                assert [r[0].to_text() for r in alone.answer] == ["hop.out.test."]
                resolver = ask(server.dns[1], "www.out.test", rd=False, tcp=tcp)
                assert [r[0].to_text() for r in resolver.answer] == ["hop.out.test.", "www.corp.example."]
            small = ask(server.dns[1], "many.out.test", timeout=20)
            assert small.flags & dns.flags.TC and not small.answer
            assert len(ask(server.dns[1], "many.out.test", tcp=True, timeout=20).answer[1]) == 400
            process.send_signal(signal.SIGSTOP)
            dead = ask(server.dns[1], "dead.out.test", timeout=20)
            assert dead.rcode() == dns.rcode.SERVFAIL and not dead.answer and not dead.flags & dns.flags.AA and ede(dead) == [22]
        finally:
            process.send_signal(signal.SIGCONT)
            server.close()


@pytest.mark.parametrize("tcp", [False, True])
def test_an_alias_outlives_the_zones_that_it_was_asked_in(tmp_path, make_server, tcp):
    """What an upstream says comes when those zones have been freed: the third change waits for that."""
    (tmp_path / "out.zone").write_text(OUT)
    text = (f"[dns]\nlisten = 127.0.0.1:0\nthreads = 1\n[http]\nlisten = 127.0.0.1:0\n"
            f"[zone out.test]\nlayout = static\nfile = {tmp_path / 'out.zone'}\n")
    with upstream() as (process, port):
        text += f"[forward]\nupstreams = 127.0.0.1:{port}\ntimeout = 1m\n"
        server = with_file(make_server, text).start()
        process.send_signal(signal.SIGSTOP)
        answers = []
        asker = threading.Thread(target=lambda: answers.append(ask(server.dns[1], "www.out.test", tcp=tcp, timeout=100)))
        asker.start()
        eventually(lambda: "muster_dns_forward_pending 1" in server.get("/metrics").text, 10)
        for n in range(5):
            reload(server, text + f"[zone n{n}.test]\nlayout = full\n")
        process.send_signal(signal.SIGCONT)
        asker.join()
        assert [r[0].to_text() for r in answers[0].answer] == ["hop.out.test.", "www.corp.example.", "192.0.2.7"]


def test_without_the_wish_for_recursion_nothing_is_forwarded(pair):
    answer = ask(pair.dns[1], "www.corp.example", rd=False)
    assert answer.rcode() == dns.rcode.REFUSED and ede(answer) == [20]


def test_answers_on_one_connection_need_not_wait_for_each_other(pair):
    """A question of ours behind one for the upstreams: both are answered, in whichever order, before the half-close ends it."""
    pair.register("behind", "10.30.0.2", 80)
    questions = [dns.message.make_query(n, "A") for n in ("www.corp.example", "behind.svc.muster.internal", "no.corp.example")]
    with socket.create_connection(pair.dns, 10) as s:
        s.settimeout(10)
        s.sendall(b"".join(len(w).to_bytes(2, "big") + w for w in (q.to_wire() for q in questions)))
        s.shutdown(socket.SHUT_WR)
        data = b""
        while chunk := s.recv(65536):
            data += chunk
    rcodes = {}
    while data:
        size = int.from_bytes(data[:2], "big")
        answer = dns.message.from_wire(data[2:2 + size])
        rcodes[answer.id] = answer.rcode()
        data = data[2 + size:]
    assert rcodes == {questions[0].id: 0, questions[1].id: 0, questions[2].id: 3}


def test_off_unless_upstreams_are_set(server):
    answer = ask(server.dns[1], "www.corp.example")
    assert answer.rcode() == dns.rcode.REFUSED and ede(answer) == [20] and not answer.flags & dns.flags.RA


def test_who_is_not_allowed_is_refused():
    with upstream() as (_, port), forwarder(port, **{"forward.allow": "10.0.0.0/8"}) as server:
        answer = ask(server.dns[1], "www.corp.example")
        assert answer.rcode() == dns.rcode.REFUSED and not answer.flags & dns.flags.RA


def test_upstreams_and_who_may_use_them_change_at_once(make_server):
    """A question that waits for an upstream that says nothing is answered by the new one."""
    text = "[dns]\nlisten = 127.0.0.1:0\n[http]\nlisten = 127.0.0.1:0\n[forward]\ntimeout = 60s\n{}"
    with upstream() as (_, port), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        nowhere, there = f"upstreams = 127.0.0.1:{silent.getsockname()[1]}\n", f"upstreams = 127.0.0.1:{port}\n"
        server = with_file(make_server, text.format(nowhere)).start()
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(ask(server.dns[1], "www.corp.example", timeout=120)))
        waiting.start()
        eventually(lambda: 'muster_dns_forward_pending 1\n' in server.get("/metrics").text)
        log = reload(server, text.format(there))
        assert "forward.upstreams = " in log and "1 changed, 0 wait for a restart" in log, log
        waiting.join(120)
        assert [r.to_text() for r in answers[0].answer[0]] == ["192.0.2.7"]
        reload(server, text.format(there + "allow = 10.0.0.0/8\n"))
        refused = ask(server.dns[1], "www.corp.example", timeout=20)
        assert refused.rcode() == dns.rcode.REFUSED and not refused.flags & dns.flags.RA
        reload(server, text.format(there))
        assert ask(server.dns[1], "www.corp.example", timeout=20).rcode() == dns.rcode.NOERROR
        log = reload(server, text.format(there + "trust_anchor = /nowhere\n"), expect='forward.trust_anchor: "/nowhere" cannot be read')
        assert "nothing was reloaded" in log
        assert ask(server.dns[1], "www.corp.example", timeout=20).rcode() == dns.rcode.NOERROR
        reload(server, text.format(""))
        assert ask(server.dns[1], "www.corp.example", timeout=20).rcode() == dns.rcode.REFUSED
        reload(server, text.format(there))
        assert ask(server.dns[1], "www.corp.example", timeout=20).rcode() == dns.rcode.NOERROR


def test_forwarding_begins_with_a_reload(make_server):
    """Upstreams that come later are asked, over sockets and connections that were there before; and they go again."""
    text = "[dns]\nlisten = 127.0.0.1:0\n[http]\nlisten = 127.0.0.1:0\n"
    with upstream() as (_, port):
        server = with_file(make_server, text).start()
        assert ask(server.dns[1], "www.corp.example").rcode() == dns.rcode.REFUSED
        for _ in range(2):
            log = reload(server, text + f"[forward]\nupstreams = 127.0.0.1:{port}\n")
            assert "forward.upstreams = " in log and "1 changed, 0 wait for a restart" in log, log
            for tcp in False, True:
                def found(tcp=tcp):
                    """Each thread hears of it in a moment."""
                    got = ask(server.dns[1], "www.corp.example", tcp=tcp, timeout=20)
                    return got if got is not None and got.rcode() == dns.rcode.NOERROR else None
                answer = eventually(found)
                assert [r.to_text() for r in answer.answer[0]] == ["192.0.2.7"] and answer.flags & dns.flags.RA
            reload(server, text)
            assert ask(server.dns[1], "www.corp.example").rcode() == dns.rcode.REFUSED


def test_a_silent_upstream_costs_its_time_and_no_more():
    with upstream() as (process, port), forwarder(port, **{"forward.timeout": "1s", "forward.pending": "3"}) as server:
        process.send_signal(signal.SIGSTOP)
        answers = []
        askers = [threading.Thread(target=lambda i=i: answers.append(ask(server.dns[1], f"n{i}.corp.example", timeout=15))) for i in range(6)]
        start = time.monotonic()
        for a in askers:
            a.start()
        server.register("meanwhile", "10.30.0.3", 80)
        assert server.addresses("meanwhile.svc.muster.internal") == ["10.30.0.3"]
        for a in askers:
            a.join()
        assert time.monotonic() - start < 12
        assert [a.rcode() for a in answers] == [dns.rcode.SERVFAIL] * 6
        assert sorted(e for a in answers for e in ede(a)) == [0, 0, 0, 22, 22, 22]
        process.send_signal(signal.SIGCONT)
        eventually(lambda: ask(server.dns[1], "www.corp.example", timeout=5).rcode() == 0, 60)


def test_many_questions_are_with_an_upstream_at_a_time():
    """Each has a socket of its own. libunbound of its own accord has 16: those that nobody answers would hold up all others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        silent.bind(("127.0.0.1", 0))
        with forwarder(silent.getsockname()[1]) as server:
            def sockets():
                return len(os.listdir(f"/proc/{server.process.pid}/fd"))

            def busy():
                s.sendto(dns.message.make_query(f"n{next(number)}.example", "A").to_wire(), server.dns)
                return sockets() > idle + 100

            number, idle = itertools.count(), sockets()
            eventually(busy, 20, pause=0.005)


def test_a_stop_waits_for_nobody():
    with upstream() as (process, port), forwarder(port, **{"forward.timeout": "30s"}) as server:
        process.send_signal(signal.SIGSTOP)
        waiting = threading.Thread(target=ask, args=(server.dns[1], "www.corp.example"), kwargs={"timeout": 20})
        waiting.start()
        eventually(lambda: "muster_dns_forward_pending 1" in server.get("/metrics").text, 10)
        server.stop(limit=10)
        waiting.join()


def test_upstreams_that_lead_back_are_found_and_refused():
    """This server > unbound > this server."""
    own = free_port()
    with upstream(forward=own) as (_, port):
        with forwarder(port, **{"dns.listen": f"127.0.0.1:{own}"}) as server:
            eventually(lambda: "muster_dns_forward_loop 1" in server.get("/metrics").text, 30)
            answer = ask(own, "www.elsewhere.example", timeout=10)
            assert answer.rcode() == dns.rcode.REFUSED and "loop" in answer.options[0].text
            assert "ask this server again" in server.log_text()


@pytest.mark.parametrize("flags, words", [
    (["--dns.listen=127.0.0.1:5399", "--forward.upstreams=127.0.0.1:5399"], "forward.upstreams: \"127.0.0.1:5399\" is this server itself"),
    (["--dns.listen=0.0.0.0:5399", "--forward.upstreams=127.0.0.1:5399"], "is this server itself"),
    (["--forward.upstreams=127.0.0.1:0"], "has port 0"),
    (["--forward.upstreams=192.0.2.1"], "forward.upstreams"),
    (["--forward.trust_anchor=/no/such/file"], "forward.trust_anchor: \"/no/such/file\" cannot be read"),
    (["--forward.timeout=1ms"], "forward.timeout"),
])
def test_wrong_settings_are_told(flags, words):
    done = subprocess.run([MUSTERD, "--check-config", *flags], capture_output=True, text=True)
    assert done.returncode == 2 and words in done.stdout + done.stderr
