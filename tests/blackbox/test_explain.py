"""GET /muster/v1/explain: why an instance is listed and answered, or not, as an operator reads it."""
import json
import os
import signal
import socket
import time

import pytest
from conftest import SLOW, eventually
from grpc_client import Client

GROUP = {"groupName": "DEFAULT_GROUP", "namespaceId": "public"}


def explain(server, service, **more):
    reply = server.get("/muster/v1/explain", serviceName=service, **more)
    assert reply.status == 200, reply
    return reply.json()


def one(server, service, ip, **more):
    found = explain(server, service, ip=ip, **more)["instances"]
    assert len(found) == 1, found
    return found[0]


def says(instance, *words):
    """A sentence of "why" has all of @words."""
    return any(all(w in sentence for w in words) for sentence in instance["why"])


def update(server, service, ip, port=80, **more):
    assert server.put("/nacos/v1/ns/instance", serviceName=service, ip=ip, port=port, **more).status == 200


# ---- publishers

def test_a_connection_is_named_until_its_grace_is_over(make_server):
    server = make_server(server_io_threads="2", health_reconnect_grace=f"{3 * SLOW}s").start()
    some = [Client(server).set_up() for _ in range(4)]
    some[2].register("conn", ip="10.80.0.1")
    now = one(server, "conn", "10.80.0.1")
    port = some[2].socket.getsockname()[1]
    assert now["listed"] is True and now["dns"]["answered"] is True and now["health"]["decidedBy"] == "connection"
    publisher = now["publisher"]
    assert (publisher["kind"], publisher["connected"], publisher["port"], publisher["version"]) == ("connection", True, port, "Test:v1")
    assert publisher["client"].endswith(f"_127.0.0.1_{port}") and publisher["ageMs"] >= publisher["silentMs"] >= 0
    assert says(now, "over gRPC", publisher["client"], "Test:v1", "connected for")
    some[2].close()

    def closed():
        now = one(server, "conn", "10.80.0.1")
        return now if now["publisher"]["connected"] is False else None

    now = eventually(closed)
    assert now["publisher"]["client"] == publisher["client"] and 0 <= now["publisher"]["graceLeftMs"] <= 3000 * SLOW
    assert now["listed"] is True and now["dns"]["answered"] is True and says(now, "is closed", "stays for another")
    eventually(lambda: explain(server, "conn")["instances"] == [], 10)
    for c in some:
        c.close()


@pytest.mark.alone  # heartbeats of a second
def test_a_heartbeat_tells_how_old_it_is_and_what_comes_next(make_server):
    server = make_server().start()
    server.register("beats", "10.81.0.1", 80, app="shop", metadata=json.dumps({
        "preserved.heart.beat.interval": "500", "preserved.heart.beat.timeout": str(1000 * SLOW), "preserved.ip.delete.timeout": "60000"}))
    now = one(server, "beats", "10.81.0.1")
    assert now["health"] == {"healthy": True, "decidedBy": "heartbeats", "checker": None, "reason": None, "lastProbe": None}
    publisher = now["publisher"]
    assert (publisher["kind"], publisher["unhealthyAfterMs"], publisher["removedAfterMs"], publisher["app"]) == ("heartbeats", 1000 * SLOW, 60000, "shop")
    assert 0 <= publisher["lastBeatAgeMs"] and publisher["expiresInMs"] <= 1001 * SLOW
    assert says(now, "last heartbeat came", "removed after 60 s") and says(now, "unless it is heard of", "becomes unhealthy")
    eventually(lambda: one(server, "beats", "10.81.0.1")["health"]["healthy"] is False)
    now = one(server, "beats", "10.81.0.1")
    assert now["listed"] is True and says(now, "marked unhealthy") and says(now, "is removed in") and now["publisher"]["lastBeatAgeMs"] > 900 * SLOW
    assert now["dns"]["answered"] is False and now["dns"]["why"] == "it is unhealthy" and says(now, "not answered by DNS", "it is unhealthy")


def test_what_was_there_before_a_restart_says_so(make_server):
    server = make_server().start()
    server.register("restored", "10.82.0.1", 80)
    c = Client(server).set_up()
    c.register("restored-too", ip="10.82.0.2")
    server.restart()
    for service, ip in (("restored", "10.82.0.1"), ("restored-too", "10.82.0.2")):
        now = one(server, service, ip)
        assert [i["restored"] for i in server.get("/muster/v1/instances", serviceName=service).json()["instances"]] == [True]
        assert now["publisher"]["kind"] == "restored" and now["listed"] is True and now["dns"]["answered"] is True
        assert says(now, "before this server started", "has not been heard of since") and says(now, "unless it is heard of")
    server.put("/nacos/v1/ns/instance/beat", serviceName="restored", ip="10.82.0.1", port=80)
    again = Client(server).set_up()
    again.register("restored-too", ip="10.82.0.2")
    assert one(server, "restored", "10.82.0.1")["publisher"]["kind"] == "heartbeats"
    assert one(server, "restored-too", "10.82.0.2")["publisher"]["kind"] == "connection"
    for service in ("restored", "restored-too"):
        assert [i["restored"] for i in server.get("/muster/v1/instances", serviceName=service).json()["instances"]] == [False]
    c.close()
    again.close()


# ---- operators

def test_what_an_operator_has_set_is_told_beside_what_was_registered(server):
    server.register("edited", "10.83.0.1", 80, weight=2)
    assert one(server, "edited", "10.83.0.1")["override"] is None
    update(server, "edited", "10.83.0.1", enabled="false", weight=5, metadata=json.dumps({"zone": "b"}))
    now = one(server, "edited", "10.83.0.1")
    assert now["override"] == {"enabled": False, "registeredEnabled": True, "weight": 5.0, "registeredWeight": 2.0, "metadataKeys": ["zone"]}
    assert (now["listed"], now["enabled"], now["weight"]) == (False, False, 5.0)
    assert says(now, "not in the lists", "disabled by an operator") and says(now, "set its weight to 5", "with 2")
    assert now["dns"]["answered"] is False and now["dns"]["why"] == "it is disabled"
    server.register("edited", "10.83.0.2", 80, enabled="false")
    assert says(one(server, "edited", "10.83.0.2"), "not in the lists", "disabled by its publisher")


def test_a_weight_of_0_is_a_reason(server):
    server.register("weightless", "10.84.0.1", 80, weight=0)
    now = one(server, "weightless", "10.84.0.1")
    assert now["listed"] is True and says(now, "weight is 0", "never choose it")
    assert now["dns"]["answered"] is False and now["dns"]["why"] == "its weight is 0"


@pytest.mark.parametrize("ip,why", [("host.example", "host name"), ("0.0.0.1", "that a host can have"), ("224.0.0.5", "that a host can have")])
def test_what_dns_cannot_answer_says_why(server, ip, why):
    service = "odd-" + ip.replace(".", "-")
    server.register(service, ip, 80)
    now = one(server, service, ip)
    assert now["listed"] is True and now["dns"]["answered"] is False and why in now["dns"]["why"]
    assert server.addresses(f"{service}.svc.muster.internal") == []


def test_the_protect_threshold_is_told_while_it_is_in_force(server):
    assert server.post("/nacos/v1/ns/service", serviceName="protected", protectThreshold=0.6).text == "ok"
    assert server.put("/nacos/v1/ns/cluster", serviceName="protected", clusterName="DEFAULT", checkPort=80, useInstancePort4Check="true",
                      healthChecker='{"type":"NONE"}').text == "ok"
    for n in (1, 2):
        server.register("protected", f"10.85.0.{n}", 80, ephemeral="false")
    assert explain(server, "protected")["protecting"] is False
    assert server.put("/nacos/v1/ns/health/instance", serviceName="protected", ip="10.85.0.1", port=80, healthy="false").text == "ok"
    whole = explain(server, "protected")
    assert whole["protecting"] is True and whole["protectThreshold"] == 0.6 and says(whole, "protect threshold of 0.6 is in force")
    now = one(server, "protected", "10.85.0.1")
    assert now["health"]["healthy"] is False and now["health"]["decidedBy"] == "operator" and says(now, "shown as healthy")
    assert now["dns"]["answered"] is True and "protect threshold" in now["dns"]["why"]
    assert server.addresses("protected.svc.muster.internal") == ["10.85.0.1", "10.85.0.2"]


# ---- probes

def test_the_last_probe_is_told_with_its_reason(make_server):
    server = make_server().start()
    listener = socket.create_server(("127.0.0.1", 0))
    well = listener.getsockname()[1]
    closed = socket.create_server(("127.0.0.1", 0))
    gone = closed.getsockname()[1]
    closed.close()
    for port in (well, gone):
        server.register("probed", "127.0.0.1", port, ephemeral="false")
    server.register("probed", "host.example", 80, ephemeral="false")
    probed = lambda port: one(server, "probed", "127.0.0.1", port=port)  # noqa: E731
    eventually(lambda: probed(well)["health"]["lastProbe"], 20)
    now = probed(well)
    assert (now["health"]["decidedBy"], now["health"]["checker"], now["health"]["lastProbe"]["result"]) == ("probe", "TCP", "ok")
    assert now["publisher"]["kind"] == "persistent" and now["health"]["lastProbe"]["ageMs"] >= 0 and says(now, "probed by TCP", "ok")
    eventually(lambda: probed(gone)["health"]["healthy"] is False, 30)
    now = probed(gone)
    assert now["health"]["lastProbe"]["result"] == "connection refused" and "refused" in now["health"]["reason"]
    assert says(now, "unhealthy since a probe said", "refused")
    assert (now["dns"]["answered"], now["dns"]["addressAnswered"], now["dns"]["why"]) == (False, True, "it is unhealthy")
    assert says(now, "address is answered all the same") and probed(well)["dns"]["answered"] is True
    assert now["health"]["lastProbe"]["neededInARow"] >= 1
    host = one(server, "probed", "host.example")
    assert host["health"]["lastProbe"] is None and says(host, "a host name, which is not probed")
    listener.close()


# ---- the floor

def test_the_floor_is_told_while_it_holds(make_server):
    """The process stands still for longer than its instances may be silent: what cannot be believed is held, and says so."""
    server = make_server().start()
    times = json.dumps({"preserved.heart.beat.interval": "500", "preserved.heart.beat.timeout": "2000", "preserved.ip.delete.timeout": "4000"})
    for n in range(1, 6):
        server.register("held", f"10.86.0.{n}", 80, metadata=times)
    assert explain(server, "held")["floor"] == {"inForce": False, "held": 0, "leftMs": 0}
    os.kill(server.process.pid, signal.SIGSTOP)
    time.sleep(5)
    os.kill(server.process.pid, signal.SIGCONT)
    whole = eventually(lambda: (lambda w: w if w["floor"]["inForce"] and w["floor"]["held"] > 0 else None)(explain(server, "held")), 15)
    assert whole["floor"]["held"] == 5 and 0 < whole["floor"]["leftMs"] <= 60000 and says(whole, "the floor is in force")
    assert whole["instanceCount"] == 5 and all(says(i, "does not expire now", "the floor is in force") for i in whole["instances"])
    assert all(i["listed"] for i in whole["instances"])


# ---- names

@pytest.mark.parametrize("service,more", [
    ("plain-name", {}), ("Upper.Case", {}), ("com.shop.OrderService:1.0", {}), ("plain-name", {"namespaceId": "dev"}),
    ("plain-name", {"groupName": "Other_Group"}), ("n" * 200, {"groupName": "g" * 100}), ("under_score", {"namespaceId": "dev", "groupName": "G"})])
def test_every_name_that_is_told_is_answered(server, service, more):
    server.register(service, "10.87.0.1", 80, **more)
    server.register(service, "fd00::7", 80, **more)
    whole = explain(server, service, **more)
    assert whole["dns"]["names"] and whole["dns"]["addresses"] == 2 and whole["dns"]["inOneAnswer"] == 16
    assert server.dig(whole["dns"]["names"][0]).answer[0].ttl == whole["dns"]["ttlSec"]
    for name in whole["dns"]["names"]:
        assert server.addresses(name) == ["10.87.0.1"], name
        assert server.addresses(name, "AAAA") == ["fd00::7"], name
    assert ("plain-name.svc.muster.internal." in whole["dns"]["names"]) == (service == "plain-name" and not more)
    for ip, rdtype in (("10.87.0.1", "A"), ("fd00::7", "AAAA")):
        names = one(server, service, ip, **more)["dns"]["names"]
        assert names or service == "n" * 200
        for name in names:
            assert server.addresses(name, rdtype) == [ip], name


def test_a_bound_zone_has_its_own_name(make_server):
    server = make_server().zone("muster.internal", layout="full").zone("shop.test", layout="bound", namespace="dev", group="G").start()
    server.register("cart", "10.88.0.1", 80, namespaceId="dev", groupName="G")
    server.register("cart", "10.88.0.2", 80)
    assert "cart.shop.test." in explain(server, "cart", namespaceId="dev", groupName="G")["dns"]["names"]
    assert server.addresses("cart.shop.test") == ["10.88.0.1"]
    assert not any("shop.test" in name for name in explain(server, "cart")["dns"]["names"])


# ---- subscribers

def test_who_subscribes_and_which_number_each_has_acknowledged(server):
    c, late = Client(server).set_up(), Client(server).set_up()
    server.register("told", "10.89.0.1", 80)
    for each in (c, late):
        each.subscribe("told")
    first = explain(server, "told")
    assert (first["subscribers"]["count"], first["subscribers"]["upToDate"]) == (2, 2)
    assert {s["acknowledgedNumber"] for s in first["subscribers"]["list"]} == {first["number"]}
    server.register("told", "10.89.0.2", 80)
    said = {"serviceInfo": {"hosts": []}}
    while len(said["serviceInfo"]["hosts"]) < 2:  # what answered the subscription may be pushed before
        said = c.hear()[1]
        c.say("NotifySubscriberResponse", {"resultCode": 200, "requestId": said["requestId"]})
    eventually(lambda: explain(server, "told")["subscribers"]["upToDate"] == 1)
    now = explain(server, "told")
    assert now["number"] > first["number"] and now["subscribers"]["pending"] == 1
    numbers = {s["port"]: s["acknowledgedNumber"] for s in now["subscribers"]["list"]}
    assert numbers == {c.socket.getsockname()[1]: now["number"], late.socket.getsockname()[1]: first["number"]}
    for each in (c, late):
        each.close()


def test_a_client_of_1_4_is_a_subscriber_too(server):
    server.register("told-udp", "10.91.0.1", 80)
    c = Client(server).set_up()
    c.subscribe("told-udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        port = udp.getsockname()[1]
        reply = server.call("GET", "/nacos/v1/ns/instance/list", {"serviceName": "told-udp", "clientIP": "127.0.0.1", "udpPort": port},
                            headers={"User-Agent": "Nacos-Java-Client:v1.4.6"})
        assert reply.status == 200
        found = eventually(lambda: (lambda s: s if s["count"] == 2 else None)(explain(server, "told-udp")["subscribers"]))
        assert {s["transport"]: s["port"] for s in found["list"]} == {"gRPC": c.socket.getsockname()[1], "UDP": port}
        assert found["upToDate"] == 2 and {s["version"] for s in found["list"]} == {"Test:v1", "Nacos-Java-Client:v1.4.6"}
        mine = next(c for c in server.get("/muster/v1/connections").json()["connections"] if c["port"] == port)
        assert (mine["transport"], mine["state"], mine["subscriptions"]) == ("UDP", "pushed to", 1)
    c.close()


# ---- what is not there

def test_what_is_missing_is_named(server):
    server.register("here", "10.90.0.1", 80)
    server.register("here", "10.90.0.1", 81, clusterName="hz")
    for query, words in (({"serviceName": "nowhere"}, ["no service DEFAULT_GROUP@@nowhere", "namespace public"]),
                         ({"serviceName": "here", "namespaceId": "dev-x"}, ["no service DEFAULT_GROUP@@here", "namespace dev-x"]),
                         ({"serviceName": "here", "groupName": "G"}, ["no service G@@here"]),
                         ({"serviceName": "here", "ip": "10.90.0.9"}, ["has no instance 10.90.0.9", "2 instances", "0 of them with that ip"]),
                         ({"serviceName": "here", "ip": "10.90.0.1", "port": "90"}, ["has no instance 10.90.0.1:90", "2 of them with that ip"]),
                         ({"serviceName": "here", "ip": "10.90.0.1", "port": "80", "clusterName": "hz"}, ["10.90.0.1:80 in cluster hz"])):
        reply = server.get("/muster/v1/explain", **query)
        assert reply.status == 404 and reply.json()["path"] == "/muster/v1/explain", reply
        assert all(w in reply.json()["message"] for w in words), reply
    assert [i["port"] for i in explain(server, "here", ip="10.90.0.1")["instances"]] == [80, 81]
    assert [i["port"] for i in explain(server, "here", ip="10.90.0.1", clusterName="hz")["instances"]] == [81]


def test_a_missing_service_says_who_waits_for_it(server):
    c = Client(server).set_up()
    c.subscribe("awaited")
    reply = server.get("/muster/v1/explain", serviceName="awaited")
    assert reply.status == 404 and "1 clients subscribe to it" in reply.json()["message"]
    c.close()


@pytest.mark.parametrize("query,field", [({}, "serviceName"), ({"serviceName": "a b"}, "serviceName"), ({"serviceName": "a", "ip": "1.1.1.1", "port": "x"}, "port"),
                                         ({"serviceName": "a", "ip": "1.1.1.1", "port": "70000"}, "port"), ({"serviceName": "a", "port": "80"}, "ip"),
                                         ({"serviceName": "a", "clusterName": "c"}, "ip")])
def test_bad_questions_name_the_field(server, query, field):
    reply = server.get("/muster/v1/explain", **query)
    assert reply.status == 400 and field in reply.json()["message"], reply


def test_explanations_are_for_operators(make_server):
    server = make_server(http_operator_listen="127.0.0.1:0").start()
    for path in ("explain", "subscribers", "connections"):
        assert server.get("/muster/v1/" + path, serviceName="x").status == 403


def test_older_clients_of_the_same_address_are_named(server):
    old, new = Client(server).set_up(clientVersion="Old:v1"), Client(server).set_up(clientVersion="New:v1")
    server.register("in-line", "10.0.0.1", 80)
    old.register("in-line")
    new.register("in-line")
    now = one(server, "in-line", "10.0.0.1")
    assert now["publisher"]["version"] == "New:v1"
    assert [(s["kind"], s.get("version"), s.get("connected")) for s in now["standby"]] == [("connection", "Old:v1", True), ("heartbeats", None, None)]
    assert says(now, "2 older clients have registered its address")
    new.close()
    old.close()
    server.register("alone", "10.0.0.1", 80)
    assert one(server, "alone", "10.0.0.1")["standby"] == []
