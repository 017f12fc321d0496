"""What is refused changes nothing: lists, DNS answers and change numbers are the same after a storm of bad input. Clients that
trickle are cut off in their time and harm nobody else. A held database, limits and restarts are told for what they are."""
import json
import re
import select
import socket
import sqlite3
import time
import urllib.parse

import pytest
from conftest import SLOW, eventually

V1, V2 = "/nacos/v1/ns/instance", "/nacos/v2/ns/instance"
ZONE = "svc.muster.internal"


def picture(server):
    """Everything a reader can see of the registry; no two equal pictures differ in what is registered."""
    instances = {}
    namespaces = [n["namespace"] for n in server.get("/nacos/v1/console/namespaces").json()["data"]]
    for ns in namespaces:
        for service in server.get("/nacos/v1/ns/service/list", pageNo=1, pageSize=500, namespaceId=ns).json()["doms"]:
            listed = server.get(f"{V1}/list", serviceName=service, namespaceId=ns).json()
            instances[ns, service] = (listed["lastRefTime"], sorted(json.dumps(h, sort_keys=True) for h in listed["hosts"]),
                                      server.get("/nacos/v1/ns/service", serviceName=service, namespaceId=ns).text)
    soa = server.dig("muster.internal", "SOA").answer[0][0]
    dns = [(n, t, server.dig(f"{n}.{ZONE}", t).rcode(), server.addresses(f"{n}.{ZONE}", t)) for n in ("steady", "kept", "bad", "bad-beat")
           for t in ("A", "AAAA", "SRV", "TXT")]
    counts = re.findall(r"^muster_(?:registry_)?(?:instances|services|namespaces|change_number)\b.*$", server.get("/metrics").text, re.M)
    figures = server.get("/nacos/v1/ns/operator/metrics", onlyStatus="false").json()
    return {"namespaces": namespaces, "instances": instances, "serial": soa.serial, "dns": dns, "counts": counts,
            "figures": [figures[k] for k in ("serviceCount", "instanceCount", "clientCount")]}


def storm():
    """(method, path, query or form bytes) of bad requests; each must be a 4xx."""
    bad = {
        "weight": ["-1", "-0.0001", "10000.1", "1e308", "1e999", "-1e999", "NaN", "nan", "-nan", "inf", "Infinity", "-Infinity", "0x10p9999", "heavy", "1,5"],
        "port": ["65536", "-1", "abc", "80.5", "0x50", "99999999999999999999", "8 0", ""],
        "ip": ["", "a b", "10.0\n.0.1", "x" * 129, "10.0.0.300"],
        "serviceName": ["", "@@", "@@x", "g@@", "a@@b@@c", "a@@@b", "@", "a b", "s" * 513, "a\x7fb", "\u4f60\u597d"],
        "groupName": ["a/b", "g" * 129, "@@", "a b"],
        "namespaceId": ["a.b", "n" * 65, "@@"],
        "clusterName": ["a.b", "c" * 65, "a b", "@@"],
        "metadata": ["{", "[1]", "{\"a\":{\"b\":1}}", "{\"a\":\"b\"", "{\"a\":\"b\"}}", "{\"a\":\"\\ud800\"}", "novalue", "k=" + "v" * 1024,
                     json.dumps({"k" * 512: "v" * 513})],
    }
    broken = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4\xbd", b"a\x00b", b"a\x01b", b"a\x1fb"]
    good = {"serviceName": "bad", "ip": "10.60.0.9", "port": "80"}
    for field, values in bad.items():
        for value in [v.encode() for v in values] + ([] if field in ("weight", "port") else broken):
            rest = urllib.parse.urlencode({k: v for k, v in good.items() if k != field})
            yield field, value, f"{rest}&{field}={urllib.parse.quote(value)}"


def test_a_storm_of_bad_requests_changes_nothing_that_anybody_can_see(make_server):
    server = make_server().start()
    server.put("/nacos/v1/ns/operator/switches", entry="check", value="false")
    server.register("steady", "10.60.0.1", 80, weight=3, metadata='{"a":"b"}')
    server.register("steady", "10.60.0.2", 80)
    server.register("kept", "10.60.0.3", 80, ephemeral="false")
    eventually(lambda: server.dig("muster.internal", "SOA").answer[0][0].serial)
    time.sleep(1.1)  # a serial follows its change within a second
    before, wrong = picture(server), []
    for field, value, query in storm():
        for method, path in (("POST", V1), ("POST", V2), ("PUT", V1), ("PUT", V2), ("DELETE", V1)):
            if method == "DELETE" and field in ("weight", "metadata", "ip", "clusterName"):
                continue  # not looked at; what cannot be registered is not there either
            for in_body in (False, True):
                reply = server.call(method, path if in_body else f"{path}?{query}", body=query if in_body else None,
                                    headers={"Content-Type": "application/x-www-form-urlencoded"} if in_body else None)
                said = reply.text.lower()
                named = field.replace("Name", "").replace("Id", "").lower() in said or "service" in said
                if not (400 <= reply.status < 500 and named and len(said) < 2000 and all(ord(c) >= 32 and ord(c) != 127 for c in said)):
                    wrong.append((method, path, in_body, field, value[:40], reply))
    assert not wrong, f"{len(wrong)}: {wrong[:12]}"
    assert picture(server) == before


def test_limits_hold_at_their_edge_and_one_over(server):
    fits, over = {"k" * 24: "v" * 1000}, {"k" * 24: "v" * 1001}
    for n, path in enumerate((V1, V2)):
        reply = server.call("POST", path, {"serviceName": f"edge{n}", "ip": "10.61.0.1", "port": 65535, "weight": 10000, "metadata": json.dumps(fits)})
        assert reply.status == 200, reply
        assert server.hosts(f"edge{n}")[0]["metadata"] == fits
        reply = server.call("POST", path, {"serviceName": f"edge{n}", "ip": "10.61.0.2", "port": 1, "metadata": json.dumps(over)})
        assert reply.status == 400 and "1024" in reply.text and "1025" in reply.text and "metadata" in reply.text, reply
        reply = server.call("POST", path, {"serviceName": f"edge{n}", "ip": "10.61.0.2", "port": 80, "weight": "10000.01"})
        assert reply.status == 400 and "10000" in reply.text and "10000.01" in reply.text and "weight" in reply.text, reply
        reply = server.call("POST", path, {"serviceName": f"edge{n}", "ip": "10.61.0.2", "port": 65536})
        assert reply.status == 400 and "65536" in reply.text and "65535" in reply.text and "port" in reply.text, reply
        assert [h["ip"] for h in server.hosts(f"edge{n}")] == ["10.61.0.1"]


# ---- slow-loris

def trickle(connections, seconds, bytes_of):
    """Sends one more byte on each every 20 ms until all were closed; what each got, and when it ended."""
    begun, ends = time.monotonic(), {}
    got = {c: b"" for c in connections}
    for turn in range(int(seconds / 0.02)):
        open_ones = [c for c in connections if c not in ends]
        if not open_ones:
            break
        for c in open_ones:
            try:
                c.send(bytes_of[turn % len(bytes_of):][:1])
            except OSError:
                pass  # the end is read below
        for c in select.select(open_ones, [], [], 0)[0]:
            try:
                part = c.recv(65536)
            except OSError:
                part = b""
            got[c] += part
            if not part:
                ends[c] = time.monotonic() - begun
        time.sleep(0.02)
    return got, ends


@pytest.mark.alone  # it measures times
@pytest.mark.parametrize("start,more", [
    (b"", b"GET /nacos/v1/ns/instance/list?serviceName=" + b"a" * 10000),
    (b"GET /health HTTP/1.1\r\nHost: a\r\n", b"X-Slow: 1\r\n" * 1000),
], ids=["request line", "headers"])
def test_who_trickles_is_cut_off_in_time_and_nobody_else_is_harmed(make_server, start, more):
    server = make_server(http_header_timeout="1s", http_idle_timeout="2s").start()
    server.register("other", "10.62.0.9", 80)
    slow = [socket.create_connection(server.http_address) for _ in range(50)]
    for c in slow:
        c.setblocking(True)
        c.sendall(start)
    worst = 0
    for _ in range(20):
        begun = time.monotonic()
        assert server.get("/health").status == 200 and len(server.hosts("other")) == 1
        worst = max(worst, time.monotonic() - begun)
    got, ends = trickle(slow, 15 * SLOW, more)
    assert len(ends) == len(slow), f"{len(slow) - len(ends)} of {len(slow)} still open"
    assert max(ends.values()) < (4 + 2) * SLOW, max(ends.values())
    for text in got.values():
        assert text == b"" or text.startswith(b"HTTP/1.1 408 "), text[:200]
    assert worst < 1.0 * SLOW, worst
    assert server.get("/health").status == 200 and server.hosts("a") == []
    for c in slow:
        c.close()


def test_headers_of_a_megabyte_are_refused_in_one_line_and_in_many(server):
    one = b"X: " + b"a" * (1 << 20) + b"\r\n"
    many = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 100) for n in range(10000))
    target = b"a" * (1 << 20)
    for head in (b"GET /health HTTP/1.1\r\nHost: a\r\n" + one, b"GET /health HTTP/1.1\r\nHost: a\r\n" + many, b"GET /health?" + target + b" HTTP/1.1\r\nHost: a\r\n"):
        with socket.create_connection(server.http_address, timeout=20 * SLOW) as s:
            answer = b""
            try:
                s.sendall(head + b"\r\n")
            except OSError:
                pass  # it was refused before the end
            try:
                while part := s.recv(65536):
                    answer += part
            except OSError:
                pass
        assert answer.split(b" ")[1] in (b"431", b"414"), answer[:200]
        assert re.search(rb"6553[56]|32768|64|header|limit", answer, re.I), answer[:300]
    assert server.get("/health").status == 200


# ---- the store, limits, restarts

def test_a_database_held_by_somebody_else_is_told_and_only_durable_writes_wait(make_server):
    server = make_server().start()
    server.register("held", "10.63.0.1", 80, ephemeral="false")
    holder = sqlite3.connect(f"{server.data}/muster.db", isolation_level=None, timeout=10)
    holder.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    waiting = socket.create_connection(server.http_address)
    waiting.sendall(b"POST /nacos/v1/ns/instance?serviceName=held&ip=10.63.0.2&port=80&ephemeral=false HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    server.register("free", "10.63.0.3", 80)  # ephemeral: not held up
    assert server.addresses(f"free.{ZONE}") == ["10.63.0.3"] and server.addresses(f"held.{ZONE}") == ["10.63.0.1"]
    assert time.monotonic() - begun < 3 * SLOW
    waiting.settimeout(20 * SLOW)
    answer = waiting.recv(65536)
    assert answer.startswith(b"HTTP/1.1 50") and b"another program holds its write lock" in answer, answer
    assert [h["ip"] for h in server.hosts("held")] == ["10.63.0.1"]
    holder.execute("ROLLBACK")
    holder.close()
    waiting.close()
    server.register("held", "10.63.0.2", 80, ephemeral="false")
    server.restart()
    assert server.addresses(f"held.{ZONE}") == ["10.63.0.1", "10.63.0.2"]


def test_over_a_limit_the_answer_is_503_and_names_it(make_server):
    server = make_server(limits_instances=5, limits_services=3, limits_instances_per_service=2, limits_namespaces=2).start()
    for i in range(2):
        server.register("full", f"10.64.0.{i + 1}", 80)
    for path, wrapped in ((V1, False), (V2, True)):
        reply = server.call("POST", path, {"serviceName": "full", "ip": "10.64.0.3", "port": 80})
        assert reply.status == 503 and "limits.instances_per_service" in reply.text, reply
        assert not wrapped or reply.json()["code"] == 30000
    assert len(server.hosts("full")) == 2
    server.register("full", "10.64.0.1", 80, weight=2)  # what is there may change
    server.register("more", "10.64.1.1", 80)
    server.register("more", "10.64.1.2", 80, ephemeral="true")
    server.register("last", "10.64.2.1", 80)
    reply = server.post(V1, serviceName="last", ip="10.64.2.2", port=80)
    assert reply.status == 503 and "limits.instances" in reply.text, reply
    reply = server.post(V1, serviceName="fourth", ip="10.64.3.1", port=80)
    assert reply.status == 503 and "limits." in reply.text, reply
    assert server.dig(f"fourth.{ZONE}").rcode() == 3
    replies = [server.post("/nacos/v1/console/namespaces", customNamespaceId=f"n{i}", namespaceName="n") for i in range(3)]
    assert replies[-1].status == 503 and "limits.namespaces" in replies[-1].text, replies
    server.deregister("full", "10.64.0.2", 80)
    server.register("last", "10.64.2.2", 80)  # there is room again


def test_the_soa_serial_never_goes_back_over_stops_and_kills(make_server):
    server = make_server().start()

    def serial():
        return server.dig("muster.internal", "SOA").answer[0][0].serial

    last = serial()
    for turn in range(6):
        for i in range(5):
            server.register("moving", f"10.65.{turn}.{i + 1}", 80)
        now = eventually(lambda: serial() if serial() != last else None, 10)  # changes move it within a second
        assert (now - last) % 2**32 < 2**31, (turn, last, now)
        last = now
        if turn % 2:
            server.kill9()
            server.start()
        else:
            server.restart()
        now = serial()
        assert (now - last) % 2**32 < 2**31, ("over a restart", turn, last, now)
        last = now
