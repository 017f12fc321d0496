"""The server about itself: metrics, members, responsibility, clients; and what it says of routes that are not built."""
import time

import pytest
from conftest import eventually

OP, CORE1, CORE2 = "/nacos/v1/ns/operator", "/nacos/v1/core/cluster", "/nacos/v2/core/cluster"


# ---- metrics

def test_the_long_metrics_are_counted_and_measured(make_server):
    server = make_server().start()
    server.register("one", "10.60.0.1", 80)
    server.register("two", "10.60.0.1", 80, namespaceId="dev")  # the same client
    server.register("two", "10.60.0.1", 80, namespaceId="dev", clusterName="hz")
    server.register("two", "10.60.0.1", 81, namespaceId="dev")
    server.register("three", "10.60.0.1", 80, ephemeral="false")
    answer = server.get(OP + "/metrics", onlyStatus="false").json()
    assert {k: v for k, v in answer.items() if k not in ("cpu", "load", "mem", "instanceCount", "responsibleInstanceCount")} == {
        "status": "UP", "serviceCount": 3, "subscribeCount": 0, "clientCount": 3, "connectionBasedClientCount": 0, "ephemeralIpPortClientCount": 2,
        "persistentIpPortClientCount": 1, "responsibleClientCount": 3}
    assert answer["instanceCount"] == answer["responsibleInstanceCount"] == len(server.hosts("one")) + len(server.hosts("two", namespaceId="dev")) + 1
    assert 0 < answer["mem"] < 1 and answer["load"] >= 0
    with open(f"/proc/{server.process.pid}/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    with open("/proc/meminfo") as meminfo:
        total = int(meminfo.readline().split()[1])
    assert answer["mem"] == pytest.approx(resident / total, rel=0.3)
    assert server.get("/nacos/v2/ns/operator/metrics", onlyStatus="false").json()["data"]["clientCount"] == 3
    admin = server.get("/nacos/v3/admin/ns/ops/metrics", onlyStatus="false").json()["data"]
    assert admin["clientCount"] == 3 and not {"cpu", "load", "mem", "responsibleInstanceCount"} & set(admin)


def test_cpu_is_what_the_server_used(make_server):
    server = make_server().start()
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        server.hosts("busy")
    assert 0 < server.get(OP + "/metrics", onlyStatus="false").json()["cpu"] <= 1


def test_metrics_of_many_clients(make_server):
    server = make_server().start()
    for n in range(3000):
        server.register(f"m{n % 50}", f"10.61.{n // 250}.{n % 250}", 80)
    assert server.get(OP + "/metrics", onlyStatus="false").json()["clientCount"] == 3000
    ids = server.get("/nacos/v2/ns/client/list").json()["data"]
    assert len(ids) == len(set(ids)) == 3000


# ---- members

def self_of(server):
    return f"{server.http_address[0]}:{server.http_address[1]}"


def test_there_is_one_member_which_is_itself(server):
    members = [server.get(OP + "/servers").json()["servers"], server.get("/nacos/v1/ns/ops/servers", healthy="true").json()["servers"],
               server.get(OP + "/distro/status").json()["status"], [server.get(CORE1 + "/self").json()["data"]], server.get(CORE1 + "/nodes").json()["data"],
               [server.get(CORE2 + "/node/self").json()["data"]], server.get(CORE2 + "/node/list").json()["data"],
               server.get("/nacos/v3/admin/core/cluster/node/list", state="UP").json()["data"], server.get("/v3/console/core/cluster/nodes").json()["data"]]
    for member in members:
        assert len(member) == 1
        assert (member[0]["ip"], member[0]["port"], member[0]["address"], member[0]["state"], member[0]["failAccessCnt"]) == (*server.http_address, self_of(server), "UP", 0)
        assert member[0]["extendInfo"]["version"] == server.get("/nacos/v1/console/server/state").json()["version"]
        assert member[0]["abilities"]["remoteAbility"] == {"supportRemoteConnection": True, "grpcReportEnabled": False}
    assert server.get(CORE1 + "/simple/nodes").json() == {"code": 200, "message": None, "data": [self_of(server)]}
    assert server.get(CORE1 + "/self").json()["code"] == 200 and server.get(CORE2 + "/node/self").json()["code"] == 0
    assert server.get(CORE1 + "/nodes", keyword="10.99.").json()["data"] == []
    assert server.get(CORE2 + "/node/list", address="10.99.").json()["data"] == []
    assert server.get(CORE2 + "/node/list", state="DOWN").json()["data"] == []


def test_it_is_responsible_for_everything(server):
    wanted = {"responsibleServer": self_of(server)}
    for path in (OP + "/distro/client", "/nacos/v1/ns/ops/distro/client"):
        assert server.get(path, ip="10.0.0.1", port=80).json() == wanted
        assert server.get(path, ip="10.0.0.1").status == 400 and server.get(path, port=80).status == 400
        assert server.get(path, ip="10.0.0.1", port="x").status == 400
    for path in ("/nacos/v2/ns/client/distro", "/nacos/v3/admin/ns/client/distro"):
        assert server.get(path, ip="10.0.0.1", port=80).json()["data"] == wanted
    server.register("owned", "10.62.0.1", 80)
    assert server.get(OP + "/distro/server", serviceName="owned").json() == wanted
    assert server.get(OP + "/distro/server", serviceName="owned-not").status == 400


# ---- clients

@pytest.fixture(scope="module")
def client(server):
    server.register("cl-a", "10.63.0.1", 80)
    server.register("cl-b", "10.63.0.1", 80, namespaceId="dev", groupName="g", clusterName="hz")
    server.register("cl-p", "10.63.0.1", 80, ephemeral="false")
    server.register("cl-a", "2001:db8::1", 80)
    return "/nacos/v2/ns/client"


def test_clients_are_addresses_and_kinds(server, client):
    ids = server.get(client + "/list").json()["data"]
    assert {"10.63.0.1:80#true", "10.63.0.1:80#false", "2001:db8::1:80#true"} <= set(ids)
    assert ids.count("10.63.0.1:80#true") == 1
    now = time.time() * 1000
    answer = server.get(client, clientId="10.63.0.1:80#true").json()["data"]
    assert abs(answer.pop("lastUpdatedTime") - now) < 60000
    assert answer == {"clientId": "10.63.0.1:80#true", "ephemeral": True, "clientType": "ipPort", "clientIp": "10.63.0.1", "clientPort": "80"}
    assert server.get(client, clientId="10.63.0.1:80#false").json()["data"]["ephemeral"] is False
    assert server.get(client, clientId="2001:db8::1:80#true").json()["data"]["clientIp"] == "2001:db8::1"


def test_a_beat_updates_its_client(server, client):
    before = server.get(client, clientId="10.63.0.1:80#true").json()["data"]["lastUpdatedTime"]

    def beaten():
        server.put("/nacos/v1/ns/instance/beat", serviceName="cl-a", ip="10.63.0.1", port=80)
        return server.get(client, clientId="10.63.0.1:80#true").json()["data"]["lastUpdatedTime"] > before
    assert eventually(beaten)


def test_what_a_client_publishes(server, client):
    data = server.get(client + "/publish/list", clientId="10.63.0.1:80#true").json()["data"]
    assert sorted(data, key=lambda s: s["namespace"]) == [
        {"namespace": "dev", "group": "g", "serviceName": "cl-b", "registeredInstance": {"ip": "10.63.0.1", "port": 80, "cluster": "hz"}},
        {"namespace": "public", "group": "DEFAULT_GROUP", "serviceName": "cl-a", "registeredInstance": {"ip": "10.63.0.1", "port": 80, "cluster": "DEFAULT"}}]
    assert [s["serviceName"] for s in server.get(client + "/publish/list", clientId="10.63.0.1:80#false").json()["data"]] == ["cl-p"]


@pytest.mark.parametrize("wrong", ["10.63.0.9:80#true", "10.63.0.1:81#true", "nonsense", "10.63.0.1:80", "10.63.0.1:x#true", "#true", ":80#true", "10.63.0.1:99999999999999999999#true"])
def test_unknown_clients_are_404_20004(server, client, wrong):
    for path in (client, client + "/publish/list"):
        reply = server.get(path, clientId=wrong)
        assert (reply.status, reply.json()["code"]) == (404, 20004), reply
    assert server.get(client).json()["code"] == 10000


def test_who_publishes_a_service(server, client):
    path = client + "/service/publisher/list"
    data = server.get(path, serviceName="cl-a").json()["data"]
    assert sorted(c["clientId"] for c in data) == ["10.63.0.1:80#true", "2001:db8::1:80#true"]
    assert server.get(path, serviceName="cl-a", ip="10.63.0.1", port=80).json()["data"] == [
        {"ip": "10.63.0.1", "port": 80, "cluster": "DEFAULT", "clientId": "10.63.0.1:80#true"}]
    assert server.get(path, serviceName="cl-a", ip="10.63.0.1", port=81).json()["data"] == []
    assert server.get(path, serviceName="cl-none").json()["data"] == []
    assert server.get(path).json()["code"] == 10000


# ---- switches that only pass, and routes that are not built

def test_a_debug_switch_ends_with_the_process(make_server):
    server = make_server().start()
    path = OP + "/switches"
    assert server.put(path, entry="checkTimes", value="5", debug="true").text == "ok"
    assert server.put(path, entry="clientBeatInterval", value="7000", debug="false").text == "ok"
    answer = server.get(path).json()
    assert (answer["checkTimes"], answer["clientBeatInterval"]) == (5, 7000)
    server.restart()
    answer = server.get(path).json()
    assert (answer["checkTimes"], answer["clientBeatInterval"]) == (3, 7000)


REFUSED = {"distroThreshold": "0.5", "pushVersion": "java:1.2.3", "masters": "10.0.0.1", "distro": "false",
           "serviceStatusSynchronizationPeriodMillis": "6000", "serverStatusSynchronizationPeriodMillis": "16000", "disableAddIP": "true", "sendBeatOnly": "true",
           "limitedUrlMap": "/a:403", "enableStandalone": "false", "distroServerExpiredMillis": "5000", "autoChangeHealthCheckEnabled": "false",
           "healthCheckWhiteList": "a"}


@pytest.mark.parametrize("entry", sorted(REFUSED))
def test_a_switch_without_effect_is_refused_with_the_reason(server, entry):
    before = server.get(OP + "/switches").json()
    for path in (OP, "/nacos/v1/ns/ops", "/nacos/v2/ns/operator", "/nacos/v2/ns/ops"):
        reply = server.put(path + "/switches", entry=entry, value=REFUSED[entry])
        assert reply.status == 400 and f"switch {entry} has no effect on this server: " in reply.text, reply
        if "/v2/" in path:
            assert reply.json()["code"] == 30000
    assert server.get(OP + "/switches").json() == before


@pytest.mark.parametrize("entry,key,good,bad", [
    ("check", "healthCheckEnabled", [("false", False), ("TRUE", True)], ["1", "yes"]), ("pushEnabled", "pushEnabled", [("false", False), ("true", True)], ["off"]),
    ("lightBeatEnabled", "lightBeatEnabled", [("false", False), ("true", True)], ["x"]),
    ("defaultInstanceEphemeral", "defaultInstanceEphemeral", [("false", False), ("true", True)], ["x"]),
    ("healthCheckTimes", "checkTimes", [("1", 1), ("100", 100), ("3", 3)], ["0", "101", "-1", "x", "1.5"]),
    ("clientBeatInterval", "clientBeatInterval", [("100", 100), ("5000", 5000)], ["99", "3600001", "x"]),
    ("pushCacheMillis", "defaultPushCacheMillis", [("86400000", 86400000), ("10000", 10000)], ["9999", "86400001"]),
    ("tcpHealthParams", "tcpHealthParams", [('{"max":3000,"min":500,"factor":1}', {"max": 3000, "min": 500, "factor": 1.0}), ('{"max":5000,"min":1000,"factor":0.75}', {"max": 5000, "min": 1000, "factor": 0.75})],
     ['{"max":2999}', '{"min":499}', '{"factor":1.1}', '{"factor":-0.1}', '{"max":4000,"min":4001}', "{", "5000"]),
    ("httpHealthParams", "httpHealthParams", [('{"max":6000}', {"max": 6000, "min": 500, "factor": 0.85}), ('{"max":5000}', {"max": 5000, "min": 500, "factor": 0.85})], ["[]"]),
    ("mysqlHealthParams", "mysqlHealthParams", [('{"min":2500}', {"max": 3000, "min": 2500, "factor": 0.65}), ('{"min":2000}', {"max": 3000, "min": 2000, "factor": 0.65})], ["x"]),
    ("overriddenServerStatus", "overriddenServerStatus", [("READ_ONLY", "READ_ONLY"), ("UP", "UP"), ("NULL", None)], ["BUSY", "up"]),
])
def test_a_switch_takes_its_values_and_no_others(server, entry, key, good, bad):
    path = OP + "/switches"
    for text, value in good:
        assert server.put(path, entry=entry, value=text).text == "ok", text
        assert server.get(path).json()[key] == value
    last = server.get(path).json()
    for text in bad:
        reply = server.put(path, entry=entry, value=text)
        assert reply.status == 400 and entry in reply.text, text
    assert server.get(path).json() == last


@pytest.mark.parametrize("method,path,reason", [
    ("GET", "/nacos/v1/ns/operator/push/state", "push"),
    ("GET", "/nacos/v1/ns/raft/state", "Raft"), ("GET", "/nacos/v1/ns/operator/cluster/state", "Raft"), ("PUT", "/nacos/v1/ns/distro/datum", "Distro"),
    ("PUT", "/nacos/v2/core/cluster/node/list", "standalone"), ("GET", "/nacos/v1/cs/configs", "configuration"), ("POST", "/nacos/v1/auth/users", "access control"),
])
def test_what_is_not_built_says_so_and_why(server, method, path, reason):
    reply = server.call(method, path)
    assert reply.status == 501
    message = reply.json()["message"]
    assert message.startswith("not built in this release of Muster") and reason in message and reply.json()["path"] == path
