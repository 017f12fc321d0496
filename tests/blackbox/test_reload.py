"""SIGHUP: what can change changes at once and loses nothing; what cannot is named; a wrong file changes nothing."""
import http.client
import os
import random
import re
import signal
import socket
import threading
import time

import dns.message
import dns.query
import pytest
from conftest import SLOW, eventually, in_network_of_its_own
from grpc_client import REQUEST, Client, framed, payload


def with_file(make_server, text, **flags):
    server = make_server(**flags)
    server.conf = os.path.join(server.dir, "muster.conf")
    arguments = server.arguments
    server.arguments = lambda: arguments() + ["-c", server.conf]
    for key in ("http.listen", "dns.listen"):  # flags would override the file
        server.flags.pop(key)
    write(server, text)
    return server


def write(server, text):
    with open(server.conf + ".new", "w") as f:
        f.write(text)
    os.replace(server.conf + ".new", server.conf)  # never read half written: a reload may be under way


LOCAL = "[dns]\nlisten = 127.0.0.1:0\n[http]\nlisten = 127.0.0.1:0\n"


def reload(server, text=None, expect="reloaded from"):
    """Sends SIGHUP; the lines of the log from there up to the one with @expect."""
    if text is not None:
        write(server, text)
    before = len(server.log_text())
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: expect in server.log_text()[before:])
    return server.log_text()[before:]


def listens(address):
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as s:
        return s.connect_ex(address) == 0


def quiet_port():
    """A free port that the system gives to nobody who asks for any: the wildcard must be free of it too, for a while."""
    while True:
        port = random.randrange(20000, 30000)
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind(("0.0.0.0", port))
            return port
        except OSError:
            pass


def metric(server, name):
    return float(re.search(rf"^{re.escape(name)} (\S+)$", server.get("/metrics").text, re.M)[1])


def test_the_log_level_and_limits_change_at_once(make_server):
    server = with_file(make_server, LOCAL).start()
    log = reload(server, LOCAL + "[log]\nlevel = debug\n[limits]\ninstances_per_service = 1\nmetadata_bytes = 10\n[registry]\nfloor_percent = 30\n")
    assert "limits.instances_per_service = 1, it was 20000" in log and "4 changed, 0 wait for a restart" in log, log
    assert server.get("/muster/v1/log").json() == {"level": "debug"}
    server.register("few", "10.62.0.1", 80)
    assert "instances_per_service" in server.post("/nacos/v1/ns/instance", serviceName="few", ip="10.62.0.2", port=80).text
    assert server.post("/nacos/v1/ns/instance", serviceName="fat", ip="10.62.0.2", port=80, metadata="key=0123456789").status == 400
    server.put("/muster/v1/log", level="error")
    server.process.send_signal(signal.SIGHUP)  # the file is what holds
    eventually(lambda: server.get("/muster/v1/log").json() == {"level": "debug"})
    assert metric(server, 'muster_settings_reloads_total{result="applied"}') == 2


def test_what_cannot_change_is_named_one_line_each(make_server):
    server = with_file(make_server, LOCAL).start()
    text = LOCAL + "[server]\nio_threads = 2\n[dns]\nthreads = 3\n[store]\nurl = memory:\n"
    for _ in range(2):  # it is told until the restart
        log = reload(server, text)
        for name in ("server.io_threads", "dns.threads", "store.url"):
            lines = [line for line in log.splitlines() if f"setting {name}: takes effect after a restart" in line]
            assert len(lines) == 1 and f"{server.conf}:" in lines[0], (name, log)
        assert " 3 wait for a restart" in log, log
    assert "wait for a restart" in reload(server, LOCAL) and "0 wait" in server.log_text().splitlines()[-1]


def test_a_wrong_file_changes_nothing_and_says_which_line(make_server):
    server = with_file(make_server, LOCAL + "[log]\nlevel = warn\n").start()
    server.register("still", "10.62.1.1", 80)
    ports = server.ports
    wrong = "[log]\nlevel = debug\n[http]\nlisten = 127.0.0.1:0\noperator_listen = nonsense\n[dns]\nttll = 5s\n"
    log = reload(server, wrong, expect="ttll")
    assert f"{server.conf}:5: http.operator_listen" in log and f"{server.conf}:7: dns.ttll is no setting: did you mean dns.ttl" in log, log
    assert "the server goes on as before" in log
    os.unlink(server.conf)
    reload(server, expect="muster.conf: ")
    assert server.get("/muster/v1/log").json() == {"level": "warn"}
    assert server.addresses("still.svc.muster.internal") == ["10.62.1.1"]
    server.wait_ready()
    assert server.ports == ports
    assert metric(server, 'muster_settings_reloads_total{result="refused"}') == 2
    assert metric(server, 'muster_settings_reloads_total{result="applied"}') == 0


def test_an_address_that_is_taken_leaves_all_others_as_they_were(make_server):
    server = with_file(make_server, LOCAL).start()
    server.register("still", "10.62.1.2", 80)
    ports = server.ports
    with socket.socket() as holder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder_udp:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        holder_udp.bind(("127.0.0.1", 0))
        for text in (f"[dns]\nlisten = 127.0.0.1:0, [::1]:0\n[http]\nlisten = 127.0.0.1:0, 127.0.0.1:{taken}\n",
                     f"[dns]\nlisten = 127.0.0.1:0, 127.0.0.1:{holder_udp.getsockname()[1]}\n[http]\nlisten = 127.0.0.1:0, [::1]:0\n"):
            log = reload(server, text, expect="goes on as before")
            assert "in use" in log, log
    server.wait_ready()
    assert server.ports == ports
    assert server.addresses("still.svc.muster.internal") == ["10.62.1.2"]


def test_ttls_change_with_the_next_answer_and_the_serial_moves(make_server):
    server = with_file(make_server, LOCAL).start()
    server.register("web", "10.62.5.1", 80, clusterName="c1")
    server.post("/nacos/v1/ns/service", serviceName="own", metadata="dns.ttl=77")
    server.register("own", "10.62.5.2", 80, ephemeral="false")

    def ttls():
        srv = server.dig("web.svc.muster.internal", "SRV")
        negative = server.dig("none.svc.muster.internal").authority[0]
        return (server.dig("web.svc.muster.internal").answer[0].ttl, srv.answer[0].ttl, srv.additional[0].ttl, negative.ttl, negative[0].minimum,
                server.dig("own.svc.muster.internal").answer[0].ttl)

    assert ttls() == (5, 5, 60, 5, 5, 77)
    serial = server.dig("muster.internal", "SOA").answer[0][0].serial
    log = reload(server, "[dns]\nlisten = 127.0.0.1:0\nttl = 9s\nttl_host = 2m\nttl_negative = 3s\n[http]\nlisten = 127.0.0.1:0\n")
    assert "dns.ttl = 9s, it was 5s" in log and "3 changed, 0 wait" in log, log
    assert ttls() == (9, 9, 120, 3, 3, 77)
    eventually(lambda: server.dig("muster.internal", "SOA").answer[0][0].serial != serial)


def test_how_services_are_answered_changes_at_once(make_server):
    """Those that say nothing of it themselves; an instance that is unhealthy, by the policy."""
    text = LOCAL.replace("[http]", "protect = off\n{}[http]")
    server = with_file(make_server, text.format("")).start()
    own = '{"dns.mode":"one","dns.all_unhealthy":"servfail"}'
    for service, metadata in (("plain", ""), ("own", own), ("ill", ""), ("own-ill", own)):
        server.post("/nacos/v1/ns/service", serviceName=service, ephemeral="false", metadata=metadata)
        server.put("/nacos/v1/ns/cluster", serviceName=service, clusterName="DEFAULT", checkPort=80,
                   useInstancePort4Check="true", healthChecker='{"type":"NONE"}')
        for n in range(20):
            server.register(service, f"10.62.0.{n + 1}", 80, ephemeral="false")
            if "ill" in service:
                server.put("/nacos/v1/ns/health/instance", serviceName=service, ip=f"10.62.0.{n + 1}", port=80, healthy="false")

    def answers():
        replies = [server.dig(f"{s}.svc.muster.internal", tcp=True) for s in ("plain", "own", "ill", "own-ill")]
        return [sum(len(a) for a in r.answer) if r.rcode() == 0 else r.rcode() + 1000 for r in replies]

    assert answers() == [16, 1, 0, 1002]
    log = reload(server, text.format("cap = 5\n"))
    assert "dns.cap = 5, it was 16" in log and "1 changed, 0 wait for a restart" in log, log
    eventually(lambda: answers() == [5, 1, 0, 1002])
    reload(server, text.format("mode = all\nall_unhealthy = open\n"))
    eventually(lambda: answers() == [20, 1, 20, 1002])
    reload(server, text.format("all_unhealthy = nxdomain\n"))
    eventually(lambda: answers() == [16, 1, 1003, 1002])
    reload(server, text.format("").replace("protect = off", "protect = always"))
    eventually(lambda: answers() == [16, 1, 16, 1])


def test_who_may_ask_a_zone_where_and_who_may_take_it_changes_at_once(make_server):
    text = "[dns]\nlisten = 127.0.0.1:{0}, 127.0.0.2:{0}\n[http]\nlisten = 127.0.0.1:0\n[zone muster.internal]\n{1}[zone prod.example]\nlayout = bound\n"
    port = quiet_port()
    server = with_file(make_server, text.format(port, "")).start()
    server.register("hidden", "10.62.0.1", 80)

    def answers(name="hidden.svc.muster.internal"):
        q = dns.message.make_query(name, "A")
        return [dns.query.udp(q, at, port=port, timeout=10).rcode() for at in ("127.0.0.1", "127.0.0.2")]

    def transfer():
        q = dns.message.make_query("muster.internal", "AXFR")
        return dns.query.tcp(q, "127.0.0.1", port=port, timeout=10).rcode()

    assert (answers(), transfer()) == ([0, 0], 5)
    log = reload(server, text.format(port, "query_allow = 10.0.0.0/8\n"))
    assert "zone.muster.internal.query_allow = 10.0.0.0/8, it was " in log and "1 changed, 0 wait for a restart" in log, log
    assert (answers(), answers("hidden.prod.example")) == ([5, 5], [0, 0])
    log = reload(server, text.format(port, f"listen = 127.0.0.2:{port}\ntransfer_allow = 127.0.0.0/8\n"))
    assert "3 changed, 0 wait for a restart" in log, log
    assert (answers(), answers("hidden.prod.example"), transfer()) == ([5, 0], [0, 0], 9)
    reload(server, text.format(port, "transfer_allow = 127.0.0.0/8\n"))
    assert (answers(), transfer()) == ([0, 0], 0)
    log = reload(server, text.format(port, "rname = other.example\n"))
    assert "zone.muster.internal.rname = other.example, it was " in log and "2 changed, 0 wait" in log, log
    assert (answers(), transfer()) == ([0, 0], 5)


def test_beside_reverse_zones_who_may_ask_a_zone_changes_at_once(make_server):
    """They point by what the zones of names show, and to whom."""
    text = "[dns]\nlisten = 127.0.0.1:0\n[http]\nlisten = 127.0.0.1:0\n[zone muster.internal]\n{}[zone 10.in-addr.arpa]\nlayout = reverse\n{}"
    server = with_file(make_server, text.format("", "")).start()
    server.register("hidden", "10.62.0.1", 80)

    def answers():
        return [server.dig(*what).rcode() for what in (("hidden.svc.muster.internal",), ("1.0.62.10.in-addr.arpa", "PTR"))]

    assert answers() == [0, 0]
    log = reload(server, text.format("query_allow = 10.0.0.0/8\ntransfer_allow = 127.0.0.0/8\n", ""))
    assert "2 changed, 0 wait for a restart" in log and answers() == [5, 3], log
    assert server.dig("muster.internal", "AXFR", tcp=True).rcode() == 0
    log = reload(server, text.format("", "query_allow = 10.0.0.0/8\n"))
    assert "3 changed, 0 wait for a restart" in log and answers() == [0, 5], log
    reload(server, text.format("", ""))
    assert answers() == [0, 0]


def test_limits_of_grpc_and_the_pace_of_pushes_change_at_once(make_server):
    server = with_file(make_server, LOCAL).start()
    old = Client(server).set_up()
    log = reload(server, LOCAL + "[grpc]\nconnections = 2\nstreams = 16\nmax_message = 16KiB\n[push]\nmerge = 2s\n"
                 "[health]\nconnection_idle = 300ms\nconnection_probe = 300ms\nreconnect_grace = 100ms\n")
    assert "grpc.streams = 16, it was 256" in log and "push.merge = 2s, it was 50ms" in log and "7 changed, 0 wait" in log, log
    fresh = Client(server).set_up()
    assert fresh.h2.remote_settings.max_concurrent_streams == 16 and old.h2.remote_settings.max_concurrent_streams == 256
    number = fresh.open(REQUEST)
    fresh.send(number, framed(payload("ServerCheckRequest", {"x": "y" * 20000})), end=True)
    assert fresh.status(number) == 8  # too large
    third = Client(server)
    third.until(lambda: False)
    assert third.closed
    fresh.register("leaves")
    fresh.subscribe("merged")
    server.register("merged", "10.62.6.1", 80)
    assert len(pushed(fresh)) == 1
    started = time.monotonic()
    server.register("merged", "10.62.6.2", 80)
    assert len(pushed(fresh)) == 2 and time.monotonic() - started > 0.5  # behind the first, and not at once
    fresh.until(lambda: False)  # it falls silent: asked, closed, gone
    assert fresh.closed
    eventually(lambda: server.hosts("leaves") == [])
    old.close()


def pushed(client):
    """The hosts of the next push, which is acknowledged; whether the client lives is answered meanwhile."""
    while True:
        kind, body = client.hear()
        client.say("NotifySubscriberResponse" if kind == "NotifySubscriberRequest" else "ClientDetectionResponse",
                   {"resultCode": 200, "requestId": body["requestId"]})
        if kind == "NotifySubscriberRequest":
            return body["serviceInfo"]["hosts"]


def test_a_grpc_address_of_its_own_comes_and_goes(make_server):
    local = f"[dns]\nlisten = 127.0.0.1:0\n[http]\nlisten = 127.0.0.1:{quiet_port()}\n"  # nobody takes the one 1000 above meanwhile
    server = with_file(make_server, local).start()
    first = dict(server.ports)
    kept = Client(server).set_up()
    reload(server, local + f"[grpc]\nlisten = 127.0.0.1:{quiet_port()}\n")
    server.wait_ready()
    own = server.split(server.ports["grpc"][0])
    assert server.ports["http"] == first["http"] and server.ports["grpc"] != first["grpc"]
    eventually(lambda: not listens(server.split(first["grpc"][0])))
    Client(server, port=own[1]).set_up().close()
    reload(server, local)
    server.wait_ready()
    assert server.ports == first
    eventually(lambda: not listens(own))
    assert kept.ask("HealthCheckRequest")[1]["success"] is True  # a connection of before lives on
    kept.close()


def test_listeners_come_and_go(make_server):
    server = with_file(make_server, LOCAL).start()
    server.register("web", "10.62.2.1", 80)
    first = dict(server.ports)
    kept = http.client.HTTPConnection(*server.http_address, timeout=20)
    kept.request("GET", "/health")
    assert kept.getresponse().read()
    reload(server, "[dns]\nlisten = 127.0.0.1:0, [::1]:0\n[http]\nlisten = 127.0.0.1:0, [::1]:0\noperator_listen = 127.0.0.1:0\n")
    server.wait_ready()
    assert server.ports["dns"][0] == first["dns"][0] and server.ports["http"][0] == first["http"][0]
    for address in server.ports["dns"]:
        server.dns = server.split(address)
        assert server.addresses("web.svc.muster.internal") == ["10.62.2.1"]
        assert server.addresses("web.svc.muster.internal", tcp=True) == ["10.62.2.1"]
    for address in server.ports["http"]:
        server.http_address, server.connection = server.split(address), None
        assert len(server.hosts("web")) == 1
        eventually(lambda: server.get("/health").status == 403)
    server.http_address, server.connection = server.split(server.ports["operator"][0]), None
    assert server.get("/health").status == 200
    six = server.split(server.ports["http"][1]), server.split(server.ports["dns"][1])
    reload(server, LOCAL)
    server.wait_ready()
    assert server.ports == first
    eventually(lambda: server.get("/health").status == 200)
    for address in six:
        eventually(lambda: not listens(address))  # the threads close what is gone a moment later
    kept.request("GET", "/health")  # a connection of before lives on
    assert kept.getresponse().status == 200


def test_a_listener_widens_from_one_address_to_all_on_the_same_port(make_server):
    http_port, dns_port = quiet_port(), quiet_port()
    narrow = f"[dns]\nlisten = 127.0.0.1:{dns_port}\n[http]\nlisten = 127.0.0.1:{http_port}\n"
    wide = f"[dns]\nlisten = 0.0.0.0:{dns_port}\n[http]\nlisten = 0.0.0.0:{http_port}\nallow = 127.0.0.0/8\n"
    server = with_file(make_server, narrow).start()
    server.register("web", "10.62.3.1", 80)
    for text, elsewhere in ((wide, True), (narrow, False), (wide, True)):
        reload(server, text)
        server.connection = None
        assert server.addresses("web.svc.muster.internal") == ["10.62.3.1"]
        assert len(server.hosts("web")) == 1
        eventually(lambda: listens(("127.0.0.2", http_port)) == elsewhere)


def test_the_allow_list_changes_for_new_connections(make_server):
    server = with_file(make_server, LOCAL).start()
    assert server.get("/health").status == 200
    log = reload(server, LOCAL + "allow = 10.0.0.0/8\n")
    assert "http.allow = 10.0.0.0/8, it was" in log
    server.connection = None
    try:
        server.get("/health")
        raise AssertionError("served from 127.0.0.1")
    except (http.client.HTTPException, ConnectionError):
        pass
    reload(server, LOCAL + "allow = 127.0.0.0/8\n")
    server.connection = None
    assert server.get("/health").status == 200


class Load(threading.Thread):
    """Calls @once until it is stopped; keeps what went wrong."""

    def __init__(self, once):
        super().__init__(daemon=True)
        self.once, self.count, self.failures, self.ending = once, 0, [], threading.Event()

    def run(self):
        while not self.ending.is_set():
            try:
                self.once()
                self.count += 1
            except Exception as e:  # whatever it is, it is a loss
                self.failures.append(repr(e))
                if len(self.failures) > 20:
                    return

    def end(self):
        self.ending.set()
        self.join(30)


def test_a_reload_under_load_loses_no_query_and_no_request(make_server):
    server = with_file(make_server, LOCAL).start()
    server.register("busy", "10.62.4.1", 80)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.connect(server.dns)
    udp.settimeout(5 * SLOW)
    question = dns.message.make_query("busy.svc.muster.internal", "A").to_wire()
    kept = http.client.HTTPConnection(*server.http_address, timeout=5 * SLOW)

    def query():
        udp.send(question)
        answer = udp.recv(4096)
        assert answer[7] == 1, answer

    def request():
        kept.request("GET", "/nacos/v1/ns/instance/list?serviceName=busy")
        answer = kept.getresponse()
        assert answer.status == 200 and b"10.62.4.1" in answer.read()

    def connect():
        fresh = http.client.HTTPConnection(*server.http_address, timeout=5 * SLOW)
        fresh.request("POST", "/nacos/v1/ns/instance?serviceName=other&ip=10.62.4.2&port=80")
        assert fresh.getresponse().read() == b"ok"
        fresh.close()

    loads = [Load(query), Load(request), Load(connect)]
    for load in loads:
        load.start()
    texts = (LOCAL + "operator_listen = 127.0.0.1:0\n", LOCAL + "[limits]\nnamespaces = 77\n", "[dns]\nlisten = 127.0.0.1:0, [::1]:0\n[http]\nlisten = 127.0.0.1:0, [::1]:0\n")
    end, rounds = time.monotonic() + 4, 0
    while time.monotonic() < end:
        write(server, texts[rounds % len(texts)])
        server.process.send_signal(signal.SIGHUP)
        rounds += 1
        time.sleep(0.02)  # the pace of reloads, not a wait
    for load in loads:
        load.end()
    assert rounds > 50 and [load.failures for load in loads] == [[], [], []]
    assert all(load.count > 50 for load in loads), [load.count for load in loads]


def test_systemd_is_told_of_the_start_the_reload_and_the_stop(make_server):
    server = with_file(make_server, LOCAL)
    path = os.path.join(server.dir, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(20 * SLOW)
        arguments = server.arguments
        server.arguments = lambda: ["env", f"NOTIFY_SOCKET={path}"] + arguments()
        server.start()
        assert notify.recv(4096) == b"READY=1"
        for text in (LOCAL, "nonsense"):  # a refused one is over too
            write(server, text)
            server.process.send_signal(signal.SIGHUP)
            assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", notify.recv(4096))
            assert notify.recv(4096) == b"READY=1"
        server.process.send_signal(signal.SIGTERM)
        assert notify.recv(4096) == b"STOPPING=1"
        server.stop()


def test_a_reload_as_an_ordinary_user_still_binds_a_port_below_1024(make_server):
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    server = with_file(make_server, "[dns]\nlisten = 127.0.0.1:5300\n[http]\nlisten = 127.0.0.1:8848\n", server_user="daemon")
    os.chmod(server.dir, 0o755)
    arguments = server.arguments
    server.arguments = lambda: in_network_of_its_own(arguments())
    server.start()
    reload(server, "[dns]\nlisten = 127.0.0.1:53\n[http]\nlisten = 127.0.0.1:80\n")
    server.wait_ready()
    assert server.ports["dns"] == ["127.0.0.1:53"] and server.ports["http"] == ["127.0.0.1:80"]
