"""Pushes to 1.x clients over UDP, seen by a client in Python that polls, receives and acknowledges as the SDKs do."""
import gzip
import http.client
import json
import random
import socket
import time
import urllib.parse

import pytest
from conftest import Reply, eventually, free_port

JAVA = "Nacos-Java-Client:v1.4.6"
GO = "Nacos-Go-Client:v1.1.4"
PUSHED, POLLED = 10000, 3000  # cacheMillis


class Subscriber:
    """One client: a UDP socket and its polls."""

    def __init__(self, server, host="127.0.0.1", agent=JAVA, ack=str):
        self.server, self.agent, self.ack = server, agent, ack  # ack: the type in which numbers are said; None: never
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.host, self.port = self.socket.getsockname()
        self.packets, self.raw, self.source = [], [], None

    def poll(self, service, path="/nacos/v1/ns/instance/list", header="User-Agent", source=None, **more):
        """A list request on a connection of its own, so that any I/O thread may get it."""
        params = {"serviceName": service, "udpPort": self.port, "clientIP": self.host}
        params.update(more)
        wire = http.client.HTTPConnection(*self.server.http_address, timeout=20, source_address=(source or self.host, 0))
        wire.request("GET", f"{path}?{urllib.parse.urlencode(params)}", headers={header: self.agent} if self.agent else {})
        answer = wire.getresponse()
        reply = Reply(answer.status, dict(answer.getheaders()), answer.read())
        wire.close()
        return reply

    def subscribe(self, service, **more):
        reply = self.poll(service, **more)
        assert reply.status == 200, reply
        return reply.json()

    def receive(self, limit=20):
        """The next push, acknowledged; its ServiceInfo."""
        self.socket.settimeout(limit)
        raw, self.source = self.socket.recvfrom(65536)
        packet = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
        self.raw.append(raw)
        self.packets.append(packet)
        if self.ack is not None:
            self.acknowledge(self.ack(packet["lastRefTime"]))
        return json.loads(packet["data"])

    def acknowledge(self, number, kind="push-ack", **more):
        self.send(json.dumps({"type": kind, "lastRefTime": number, "data": "", **more}).encode())

    def send(self, datagram):
        self.socket.sendto(datagram, self.source)

    def hears(self, addresses):
        """Pushes until one shows exactly these; nothing but news may come before."""
        while True:
            info = self.receive()
            if sorted(f"{h['ip']}:{h['port']}" for h in info["hosts"]) == sorted(addresses):
                return info

    def has_nothing(self):
        self.socket.setblocking(False)
        try:
            return self.socket.recv(65536) == b""
        except BlockingIOError:
            return True

    def close(self):
        self.socket.close()


@pytest.fixture
def subscriber():
    made = []

    def make(server, **more):
        made.append(Subscriber(server, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def counter(server, name, label=None):
    wanted = f"muster_{name}" + (f'{{{label}}}' if label else "")
    for line in server.get("/metrics").text.splitlines():
        if line.rpartition(" ")[0] == wanted:
            return float(line.rpartition(" ")[2])
    raise AssertionError(wanted)


def pushes(server, result):
    return counter(server, "udp_pushes_total", f'result="{result}"')


def made(server):
    return counter(server, "udp_subscriptions_total", 'result="made"')


def subscribers(server, service):
    return server.get("/nacos/v1/ns/service/subscribers", serviceName=service, pageNo=1, pageSize=100).json()


# ---- what is pushed

def test_join_leave_weight_and_health_are_pushed(server, subscriber):
    one = subscriber(server)
    assert one.subscribe("news")["hosts"] == []
    server.register("news", "10.0.0.1", 80)
    one.hears(["10.0.0.1:80"])
    server.register("news", "10.0.0.2", 80, metadata='{"v":"7"}')
    info = one.hears(["10.0.0.1:80", "10.0.0.2:80"])
    assert [h["metadata"] for h in info["hosts"] if h["ip"] == "10.0.0.2"] == [{"v": "7"}]
    server.put("/nacos/v1/ns/instance", serviceName="news", ip="10.0.0.2", port=80, weight=5)
    assert [h["weight"] for h in one.receive()["hosts"] if h["ip"] == "10.0.0.2"] == [5.0]
    server.register("news", "10.0.0.2", 80, healthy="false")
    assert [h["healthy"] for h in one.receive()["hosts"] if h["ip"] == "10.0.0.2"] == [False]
    server.deregister("news", "10.0.0.2", 80)
    one.hears(["10.0.0.1:80"])
    server.deregister("news", "10.0.0.1", 80)
    assert one.receive()["hosts"] == []  # deregistered by its owner: truly empty


def test_a_push_is_the_list_that_a_poll_would_get(server, subscriber):
    one = subscriber(server)
    one.subscribe("same", groupName="G", clusters="east,west", namespaceId="blue")
    where = {"groupName": "G", "namespaceId": "blue"}
    for cluster, ip in (("east", "10.0.1.1"), ("north", "10.0.1.2")):
        server.register("same", ip, 80, clusterName=cluster, **where)
    pushed = one.hears(["10.0.1.1:80"])
    while len(one.packets) < 2:  # north's, for which this list is the same with a higher number
        pushed = one.receive()
    packet = one.packets[-1]
    assert set(packet) == {"type", "data", "lastRefTime"} and packet["type"] == "dom"
    assert 0 < packet["lastRefTime"] < 2 ** 53
    assert pushed == one.subscribe("same", clusters="east,west", **where)
    assert (pushed["name"], pushed["clusters"], pushed["cacheMillis"]) == ("G@@same", "east,west", PUSHED)


def test_each_push_has_a_greater_number_inside_and_outside(server, subscriber):
    one = subscriber(server)
    one.subscribe("numbers")
    inside = []
    for weight in range(1, 6):
        server.register("numbers", "10.0.2.1", 80, weight=weight)
        inside.append(one.receive()["lastRefTime"])
    assert inside == sorted(set(inside))
    outside = [p["lastRefTime"] for p in one.packets]
    assert outside == sorted(set(outside))


def test_packets_of_1024_bytes_and_more_are_compressed(server, subscriber):
    one = subscriber(server)
    one.subscribe("size")
    server.register("size", "10.0.3.1", 80)
    one.receive()
    assert one.raw[0][:1] == b"{" and len(one.raw[0]) < 1024
    for i in range(2, 12):
        server.register("size", f"10.0.3.{i}", 80)
    one.hears([f"10.0.3.{i}:80" for i in range(1, 12)])
    assert one.raw[-1][:2] == b"\x1f\x8b" and len(gzip.decompress(one.raw[-1])) >= 1024
    for raw in one.raw:
        assert (raw[:1] == b"{") == (len(raw) < 1024 and not raw.startswith(b"\x1f\x8b"))


def test_what_a_go_client_cannot_read_is_left_to_its_polls(server, subscriber):
    java, go = subscriber(server), subscriber(server, agent=GO)
    for one in (java, go):
        assert one.subscribe("large")["cacheMillis"] == PUSHED
    letters = random.Random(1)
    for i in range(1, 12):  # hardly to be compressed: some 500 bytes each
        server.register("large", f"10.0.4.{i}", 80, metadata=json.dumps({"noise": "%0800x" % letters.getrandbits(3200)}))
    java.hears([f"10.0.4.{i}:80" for i in range(1, 12)])
    assert len(java.raw[-1]) > 4024
    eventually(lambda: pushes(server, "too_large") >= 1)
    while not go.has_nothing():
        pass
    assert go.subscribe("large")["cacheMillis"] == POLLED
    assert java.subscribe("large")["cacheMillis"] == PUSHED
    server.deregister("large", "10.0.4.11", 80)
    for i in range(2, 11):
        server.deregister("large", f"10.0.4.{i}", 80)
    go.hears(["10.0.4.1:80"])  # small again
    eventually(lambda: go.subscribe("large")["cacheMillis"] == PUSHED)


def test_an_empty_service_is_not_pushed_until_something_is_there(server, subscriber):
    one = subscriber(server)
    one.subscribe("nothing")
    server.register("nothing", "10.0.5.1", 80)
    assert [h["ip"] for h in one.receive()["hosts"]] == ["10.0.5.1"]
    assert len(one.packets) == 1


# ---- who is pushed to

@pytest.mark.parametrize("agent, pushed", [
    (JAVA, True), ("Nacos-Java-Client:v1.0.0", True), ("Nacos-Java-Client:v0.1.0", True), ("Nacos-Java-Client:v0.0.9", False),
    ("Nacos-Java-Client:1.4.1", False), ("Nacos-Java-Client", False), ("nacos-java-client:v1.4.1", False), ("Nacos-Java-Client:vX", False),
    ("Nacos-Java-Client:v1", True), ("Nacos-Java-Client:v1.4.6-SNAPSHOT", True), ("Nacos-Java-Client:v99999999999999.0.0", True),
    (GO, True), ("Nacos-Go-Client:v0.0.9", False), ("Nacos-go-Client:v1.0.0", False),
    ("Nacos-DNS:v1.0.1", True), ("Nacos-DNS:v0.4.2", False), ("Nacos-DNS:v0.4.3", True),
    ("Nacos-C-Client:v1.0.12", True), ("Nacos-C-Client:v1.0.11", False), ("vip-client4cpp:v1.1.0", True),
    ("Nacos-CSharp-Client:v0.9.0", True), ("Nacos-CSharp-Client:v0.8.9", False),
    ("Nacos-Python-Client:v0.1.16", False), ("curl/7.88.1", False), (None, False)])
def test_only_the_clients_of_the_gates_are_pushed_to(server, subscriber, agent, pushed):
    name, before = f"gate-{agent}".replace("/", "-").replace(":", "-"), made(server)
    one = subscriber(server, agent=agent)
    assert one.subscribe(name)["cacheMillis"] == (PUSHED if pushed else POLLED)
    assert made(server) == before + pushed
    server.register(name, "10.1.0.1", 80)
    if pushed:
        one.hears(["10.1.0.1:80"])


def test_the_agent_may_stand_in_client_version(server, subscriber):
    one = subscriber(server)
    assert one.subscribe("version", header="Client-Version")["cacheMillis"] == PUSHED
    server.register("version", "10.1.1.1", 80)
    one.hears(["10.1.1.1:80"])


def test_who_names_no_port_is_not_subscribed(server, subscriber):
    one, before = subscriber(server), made(server)
    assert one.subscribe("no-port", udpPort=0)["cacheMillis"] == PUSHED  # it asks for nothing, and gets the list of always
    assert one.subscribe("no-port", udpPort="")["cacheMillis"] == PUSHED
    assert made(server) == before


@pytest.mark.parametrize("port", ["65536", "-1", "x", "99999999999999999999"])
def test_an_impossible_port_is_named(server, subscriber, port):
    reply = subscriber(server).poll("bad-port", udpPort=port)
    assert reply.status == 400 and "udpPort" in reply.text and port in reply.text, reply


def test_the_list_of_v2_subscribes_by_ip_and_port(server, subscriber):
    one = subscriber(server)
    reply = one.poll("two", path="/nacos/v2/ns/instance/list", udpPort="", ip=one.host, port=one.port)
    assert reply.json()["code"] == 0
    server.register("two", "10.1.2.1", 80)
    assert one.hears(["10.1.2.1:80"])["name"] == "DEFAULT_GROUP@@two"


def test_a_push_goes_where_the_poll_came_from_whatever_it_names(server, subscriber):
    one = subscriber(server)
    one.subscribe("elsewhere", clientIP="192.0.2.1")
    one.subscribe("elsewhere", clientIP="no address")
    one.subscribe("elsewhere", clientIP="")
    assert [s["ip"] for s in subscribers(server, "elsewhere")["subscribers"]] == ["127.0.0.1"]
    server.register("elsewhere", "10.1.3.1", 80)
    one.hears(["10.1.3.1:80"])


def test_a_client_behind_a_proxy_is_named_when_the_operator_allows_it(make_server, subscriber):
    server = make_server(push_udp_allow="192.0.2.0/24").start()
    one = subscriber(server)
    one.subscribe("proxied", clientIP="192.0.2.1")
    one.subscribe("proxied", clientIP="198.51.100.1")
    assert sorted(s["ip"] for s in subscribers(server, "proxied")["subscribers"]) == ["127.0.0.1", "192.0.2.1"]


def test_addresses_of_this_machine_may_name_each_other(server, subscriber):
    one = subscriber(server, host="127.0.0.2")
    one.subscribe("loopback", source="127.0.0.1")
    server.register("loopback", "10.1.4.1", 80)
    one.hears(["10.1.4.1:80"])


def test_pushes_come_from_the_documented_port(make_server, subscriber):
    port = free_port()
    server = make_server(push_udp_listen=f"127.0.0.1:{port}").start()
    assert server.ports["push"] == [f"127.0.0.1:{port}"]
    one = subscriber(server)
    one.subscribe("port")
    server.register("port", "10.1.5.1", 80)
    one.hears(["10.1.5.1:80"])
    assert one.source == ("127.0.0.1", port)


def test_without_a_setting_the_port_is_one_above_that_of_http(make_server):
    server, port = make_server(), free_port()
    del server.flags["push.udp_listen"]
    server.flags["http.listen"] = f"127.0.0.1:{port}"
    server.flags["grpc.listen"] = "127.0.0.1:0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        try:
            taken.bind(("127.0.0.1", port + 1))
        except OSError:
            pass  # somebody else has it: as well
        server.start(wait=False)
        assert server.process.wait(60) != 0
        assert f"UDP push from 127.0.0.1 port {port + 1}" in server.log_text() and "push.udp_listen" in server.log_text()
        server.process = None
    server.start()
    assert server.ports["push"] == [f"127.0.0.1:{port + 1}"]


def test_ipv6_clients_are_pushed_to(make_server, subscriber):
    server = make_server(http_listen="[::1]:0", push_udp_listen="[::1]:0").start()
    one = subscriber(server)
    one.socket.close()
    one.socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    one.socket.bind(("::1", 0))
    one.host, one.port = one.socket.getsockname()[:2]
    assert one.subscribe("six")["cacheMillis"] == PUSHED
    server.register("six", "10.1.6.1", 80)
    one.hears(["10.1.6.1:80"])
    eventually(lambda: pushes(server, "acked") == 1)


# ---- acknowledgements

@pytest.mark.parametrize("said", [str, int])
def test_numbers_are_acknowledged_as_text_or_as_number(make_server, subscriber, said):
    server = make_server(push_udp_ack="1h").start()
    one = subscriber(server, ack=said)
    one.subscribe("ack")
    server.register("ack", "10.2.0.1", 80)
    one.hears(["10.2.0.1:80"])
    eventually(lambda: pushes(server, "acked") == 1)
    assert (pushes(server, "sent"), pushes(server, "repeated"), counter(server, "udp_pushes_pending")) == (1, 0, 0)


def test_a_push_without_acknowledgement_is_repeated_once_then_left_to_the_polls(make_server, subscriber):
    server = make_server(push_udp_ack="300ms").start()
    deaf, well = subscriber(server, ack=None), subscriber(server)
    for one in (deaf, well):
        one.subscribe("deaf")
    server.register("deaf", "10.2.1.1", 80)
    well.hears(["10.2.1.1:80"])
    for _ in range(2):
        deaf.receive()
    assert deaf.raw[0] == deaf.raw[1]
    eventually(lambda: pushes(server, "unacked") == 1)
    assert pushes(server, "repeated") >= 1 and pushes(server, "acked") == 1
    assert deaf.has_nothing()
    assert deaf.subscribe("deaf")["cacheMillis"] == POLLED
    assert well.subscribe("deaf")["cacheMillis"] == PUSHED
    deaf.ack = str
    server.register("deaf", "10.2.1.1", 80, weight=2)
    assert deaf.receive()["hosts"][0]["weight"] == 2.0
    eventually(lambda: pushes(server, "acked") == 2)
    assert deaf.subscribe("deaf")["cacheMillis"] == PUSHED


def test_what_is_repeated_is_the_newest(make_server, subscriber):
    server = make_server(push_udp_ack="500ms").start()
    one = subscriber(server, ack=None)
    one.subscribe("newest")
    for weight in (1, 2, 3):
        server.register("newest", "10.2.2.1", 80, weight=weight)
    while one.receive()["hosts"][0]["weight"] != 3.0:
        pass
    first = len(one.packets)
    assert one.receive()["hosts"][0]["weight"] == 3.0  # and none of the older two again
    assert one.raw[first] == one.raw[first - 1]
    eventually(lambda: pushes(server, "unacked") == 1)
    assert one.has_nothing()


def test_only_the_subscriber_itself_acknowledges_its_push(make_server, subscriber):
    server = make_server(push_udp_ack="1h").start()
    one, other = subscriber(server, ack=None), subscriber(server, ack=None)
    one.subscribe("own")
    server.register("own", "10.2.3.1", 80)
    one.receive()
    number = one.packets[0]["lastRefTime"]
    other.source = one.source
    other.acknowledge(str(number))
    one.acknowledge(str(number + 1))
    one.acknowledge(str(number), kind="push")
    one.acknowledge("")
    one.acknowledge(None)
    one.acknowledge({"a": number})
    one.acknowledge(-number)
    one.acknowledge(number + 0.5e300)
    eventually(lambda: counter(server, "udp_datagrams_ignored_total", 'reason="unknown"') == 2)
    eventually(lambda: counter(server, "udp_datagrams_ignored_total", 'reason="garbage"') == 6)
    assert (pushes(server, "acked"), counter(server, "udp_pushes_pending")) == (0, 1)
    one.acknowledge(str(number), more=[{"deep": 1}])
    eventually(lambda: pushes(server, "acked") == 1)
    one.acknowledge(str(number))  # twice: nothing waits any more
    eventually(lambda: counter(server, "udp_datagrams_ignored_total", 'reason="unknown"') == 3)


def test_garbage_on_the_push_port_changes_nothing(make_server, subscriber):
    server = make_server().start()
    one = subscriber(server)
    one.subscribe("garbage")
    server.register("garbage", "10.2.4.1", 80)
    one.hears(["10.2.4.1:80"])
    eventually(lambda: pushes(server, "acked") == 1)
    noise = random.Random(5)
    ack = json.dumps({"type": "push-ack", "lastRefTime": str(one.packets[0]["lastRefTime"]), "data": ""}).encode()
    datagrams = [ack[:n] for n in range(len(ack))] + [noise.randbytes(n) for n in range(0, 1500, 7)]
    datagrams += [b"{" * 2000, b'{"a":' * 300, b"\x1f\x8b" + noise.randbytes(100), b"x" * 60000, b'{"type":"push-ack","lastRefTime":"' + b"9" * 1500 + b'"}']
    for datagram in datagrams:
        one.send(datagram)
        if noise.random() < 0.02:
            time.sleep(0.001)

    def all_is_read():
        one.acknowledge("1")
        return counter(server, "udp_datagrams_ignored_total", 'reason="unknown"') > 0
    eventually(all_is_read)
    server.register("garbage", "10.2.4.1", 80, weight=3)
    assert one.receive()["hosts"][0]["weight"] == 3.0
    eventually(lambda: pushes(server, "acked") == 2)
    assert counter(server, "udp_datagrams_ignored_total", 'reason="garbage"') > 0
    assert server.get("/health").status == 200


# ---- the life of a subscription

def test_who_stays_away_is_pushed_to_no_longer(make_server, subscriber):
    server = make_server(push_udp_expiry="400ms").start()
    gone, stays = subscriber(server), subscriber(server)
    server.register("zombie", "10.3.0.1", 80, ephemeral="false")
    for one in (gone, stays):
        one.subscribe("zombie")
    assert counter(server, "udp_subscriptions") == 2

    def only_one_is_left():
        stays.subscribe("zombie")
        return counter(server, "udp_subscriptions_total", 'result="expired"') >= 1 and counter(server, "udp_subscriptions") == 1
    eventually(only_one_is_left)
    weights = iter(range(2, 1000))

    def change():
        server.put("/nacos/v1/ns/instance", serviceName="zombie", ip="10.3.0.1", port=80, weight=next(weights), ephemeral="false")

    def stays_hears():
        stays.subscribe("zombie")
        change()
        return not stays.has_nothing()
    eventually(stays_hears)
    assert gone.has_nothing()

    def comes_back():
        gone.subscribe("zombie")
        change()
        return not gone.has_nothing()
    eventually(comes_back)


def test_a_go_client_rests_on_pushes_and_stays(make_server, subscriber):
    server = make_server(push_udp_expiry="3s").start()
    go, java = subscriber(server, agent=GO), subscriber(server)
    server.register("rests", "10.3.5.1", 80, ephemeral="false")
    for one in (go, java):
        one.subscribe("rests")
    weights = iter(range(2, 1000))

    def java_is_gone():  # nobody polls: the real Go client has no reason to while pushes come
        weight = next(weights)
        server.put("/nacos/v1/ns/instance", serviceName="rests", ip="10.3.5.1", port=80, weight=weight, ephemeral="false")
        while go.receive()["hosts"][0]["weight"] != weight:
            pass
        return [s["port"] for s in subscribers(server, "rests")["subscribers"]] == [go.port]
    eventually(java_is_gone, 20, pause=0.1)


def test_who_waits_for_a_first_instance_is_given_more_time(make_server, subscriber):
    server = make_server(push_udp_expiry="200ms").start()
    waits, other = subscriber(server), subscriber(server)
    server.register("there", "10.3.1.1", 80, ephemeral="false")
    waits.subscribe("not-yet")  # a Java client polls an empty list once a minute
    other.subscribe("there")
    eventually(lambda: counter(server, "udp_subscriptions_total", 'result="expired"') == 1)
    server.register("not-yet", "10.3.1.2", 80)
    waits.hears(["10.3.1.2:80"])


def test_clusters_are_subscriptions_of_their_own(server, subscriber):
    one = subscriber(server)
    one.subscribe("split", clusters="a")
    one.subscribe("split", clusters="b")
    server.register("split", "10.3.2.1", 80, clusterName="a")
    server.register("split", "10.3.2.2", 80, clusterName="b")
    last = {}
    while {c: [h["ip"] for h in hosts] for c, hosts in last.items()} != {"a": ["10.3.2.1"], "b": ["10.3.2.2"]}:
        info = one.receive()
        last[info["clusters"]] = info["hosts"]


def test_a_burst_is_merged(make_server, subscriber):
    server = make_server(push_merge="2s").start()
    one = subscriber(server)
    one.subscribe("burst")
    started = time.monotonic()
    for weight in range(1, 41):
        server.register("burst", "10.3.3.1", 80, weight=weight)
    while one.receive()["hosts"][0]["weight"] != 40.0:
        pass
    windows = int((time.monotonic() - started) / 2) + 1
    assert len(one.packets) <= 1 + windows, [json.loads(p["data"])["hosts"][0]["weight"] for p in one.packets]


def test_a_restart_shows_nobody_an_empty_list(make_server, subscriber):
    server = make_server().start()
    one = subscriber(server)
    server.register("again", "10.3.4.1", 80)
    server.register("again", "10.3.4.2", 80)
    one.subscribe("again")
    seen = []
    for i in range(3):
        server.restart()
        seen.append(one.subscribe("again")["hosts"])
        server.register("again", "10.3.4.1", 80, weight=i + 2)
        info = one.hears(["10.3.4.1:80", "10.3.4.2:80"])
        while [h["weight"] for h in info["hosts"] if h["ip"] == "10.3.4.1"] != [i + 2.0]:
            info = one.receive()
    assert all(len(hosts) == 2 for hosts in seen), seen
    assert all(json.loads(p["data"])["hosts"] for p in one.packets)
    inside = [json.loads(p["data"])["lastRefTime"] for p in one.packets]
    assert inside == sorted(inside)


def test_the_switch_turns_pushes_off_and_on(make_server, subscriber):
    server = make_server().start()
    one = subscriber(server)
    switch = "/nacos/v1/ns/operator/switches"
    assert server.put(switch, entry="pushEnabled", value="false").status == 200
    assert one.subscribe("switch")["cacheMillis"] == POLLED
    assert counter(server, "udp_subscriptions") == 0
    assert server.put(switch, entry="defaultCacheMillis", value="4000").status == 200
    assert one.subscribe("switch")["cacheMillis"] == 4000
    assert server.put(switch, entry="pushEnabled", value="true").status == 200
    assert one.subscribe("switch")["cacheMillis"] == PUSHED


# ---- limits

def test_subscriptions_are_bounded_in_total_and_for_each_address(make_server, subscriber):
    server = make_server(push_udp_subscriptions=3, push_udp_subscriptions_per_address=2).start()
    one, two = subscriber(server), subscriber(server, host="127.0.0.2")
    got = [one.subscribe(f"limit-{i}")["cacheMillis"] for i in range(3)]
    assert got == [PUSHED, PUSHED, POLLED]
    assert counter(server, "udp_subscriptions_total", 'result="refused_address"') == 1
    got = [two.subscribe(f"limit-{i}")["cacheMillis"] for i in range(2)]
    assert got == [PUSHED, POLLED]
    assert counter(server, "udp_subscriptions_total", 'result="refused_total"') == 1
    assert one.subscribe("limit-0")["cacheMillis"] == PUSHED  # renewed: it has its place
    assert counter(server, "udp_subscriptions") == 3
    assert "push.udp_subscriptions_per_address (2) is reached" in server.log_text()
    assert "push.udp_subscriptions (3) is reached" in server.log_text()


def test_it_can_be_switched_off_by_the_settings(make_server, subscriber):
    server = make_server(push_udp_subscriptions=0).start()
    assert server.ports["push"] == []
    one = subscriber(server)
    assert one.subscribe("off")["cacheMillis"] == POLLED
    assert subscribers(server, "off")["subscribers"] == []


def test_a_hundred_subscribers_of_two_threads_hear_of_each_change(make_server, subscriber):
    server = make_server(server_io_threads=2).start()
    many = [subscriber(server) for _ in range(100)]
    for one in many:
        one.subscribe("many")
    eventually(lambda: counter(server, "udp_subscriptions") == 100)  # some of them came by way of the other thread
    for weight in (1.0, 2.0):
        server.register("many", "10.4.0.1", 80, weight=weight)
        for one in many:
            while one.receive()["hosts"][0]["weight"] != weight:
                pass
    eventually(lambda: counter(server, "udp_pushes_pending") == 0)
    assert len(subscribers(server, "many")["subscribers"]) == 100


# ---- who is shown

def test_subscribers_are_listed(server, subscriber):
    one = subscriber(server)
    one.subscribe("shown", app="shop")
    listed = subscribers(server, "shown")["subscribers"]
    assert [(s["ip"], s["port"], s["agent"], s["app"]) for s in listed] == [("127.0.0.1", one.port, JAVA, "shop")]
    found = server.get("/nacos/v2/ns/client/list").json()["data"]
    assert f"127.0.0.1:{one.port}#true" in found
