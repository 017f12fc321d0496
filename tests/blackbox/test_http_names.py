"""Names of services, the legacy routes of the old CoreDNS plug-in, and when an absent service was absent."""
import json

import pytest
from conftest import Server

S1, I1, OLD = "/nacos/v1/ns/service", "/nacos/v1/ns/instance", "/nacos/v1/ns/api"


@pytest.fixture(scope="module")
def named():
    server = Server().start()
    server.register("orders", "10.50.0.1", 80)
    server.register("cart", "10.50.0.2", 80, groupName="shop")
    server.register("cart", "10.50.0.3", 80, namespaceId="dev")
    yield server
    server.close()


def test_names_are_grouped_and_found_by_part(named):
    path = S1 + "/names"
    assert named.get(path).json() == {"META-INF/services": {"dev": ["DEFAULT_GROUP@@cart"], "public": ["DEFAULT_GROUP@@orders", "shop@@cart"]}, "count": 3}
    assert named.get(path, namespaceId="public").json() == {"META-INF/services": {"public": ["DEFAULT_GROUP@@orders", "shop@@cart"]}, "count": 2}
    assert named.get(path, expr="car").json() == {"META-INF/services": {"dev": ["DEFAULT_GROUP@@cart"], "public": ["shop@@cart"]}, "count": 2}
    assert named.get(path, expr="shop@@", namespaceId="public").json()["count"] == 1
    assert named.get(path, expr="none").json() == {"META-INF/services": {}, "count": 0}
    assert named.get(path, namespaceId="nowhere").json() == {"META-INF/services": {"nowhere": []}, "count": 0}
    assert named.call("POST", path, {"expr": "orders"}).json()["count"] == 1
    for params, what in (({"expr": "["}, "expr"), ({"namespaceId": "a b"}, "namespaceId")):
        reply = named.get(path, **params)
        assert reply.status == 400 and what in reply.text


# ---- the plug-in

def test_all_dom_names_of_the_default_group(named):
    assert named.get(OLD + "/allDomNames").json() == {"doms": {"dev": ["cart"], "public": ["orders"]}, "count": 2}
    assert named.call("POST", OLD + "/allDomNames", {"responsibleOnly": "true"}).json()["count"] == 2
    for agent, flat in (("Nacos-DNS:v1.0.1", True), ("Nacos-DNS:v1.0.0", True), ("Nacos-DNS:v1.0.2", False), ("Nacos-DNS:v2.0.0", False), ("Nacos-Go-Client:v1.0.0", False)):
        answer = named.call("GET", OLD + "/allDomNames", headers={"User-Agent": agent}).json()
        assert answer == ({"doms": ["orders"], "count": 1} if flat else {"doms": {"dev": ["cart"], "public": ["orders"]}, "count": 2}), agent


def test_all_dom_names_of_an_empty_server(make_server):
    server = make_server().start()
    assert server.get(OLD + "/allDomNames").json() == {"doms": {}, "count": 0}
    assert server.call("GET", OLD + "/allDomNames", headers={"User-Agent": "Nacos-DNS:v1.0.1"}).json() == {"doms": [], "count": 0}


def test_srv_ipxt_lists_as_1_4_did(named):
    named.register("old", "10.50.1.1", 8080, weight="2", metadata="a=1", clusterName="hz")
    named.register("old", "10.50.1.2", 8080, healthy="false")
    answer = named.get(OLD + "/srvIPXT", dom="old", clusters="", clientIP="10.0.0.1", udpPort=0, qps=1).json()
    assert answer.pop("lastRefTime") > 1_500_000_000_000
    hosts = sorted(answer.pop("hosts"), key=lambda h: h["ip"])
    assert answer == {"dom": "old", "name": "old", "cacheMillis": 10000, "checksum": "", "useSpecifiedURL": False, "clusters": "", "env": "", "metadata": {}}
    assert hosts[0] == {"ip": "10.50.1.1", "port": 8080, "valid": True, "healthy": True, "marked": False,
                        "instanceId": "10.50.1.1#8080#hz#DEFAULT_GROUP@@old", "metadata": {"a": "1"}, "enabled": True, "weight": 2.0, "clusterName": "hz",
                        "serviceName": "old", "ephemeral": True}
    assert hosts[1]["valid"] is False
    assert [h["ip"] for h in named.get(OLD + "/srvIPXT", dom="old", clusters="hz").json()["hosts"]] == ["10.50.1.1"]
    assert [h["ip"] for h in named.get(OLD + "/srvIPXT", dom="old", healthyOnly="true").json()["hosts"]] == ["10.50.1.1"]
    missing = named.get(OLD + "/srvIPXT", dom="old-none").json()
    assert missing["hosts"] == [] and missing["dom"] == "old-none"
    reply = named.get(OLD + "/srvIPXT")
    assert reply.status == 400 and "dom" in reply.text
    # The same list in today's shape is another one.
    assert set(named.hosts("old")[0]) != set(hosts[0])


def test_client_beat_registers_and_beats(named):
    beat = json.dumps({"ip": "10.50.2.1", "port": 80, "weight": 1.0, "cluster": "DEFAULT", "metadata": {}})
    assert named.call("PUT", OLD + "/clientBeat", {"dom": "old-beat", "beat": beat}).json()["code"] == 10200
    assert [h["ip"] for h in named.hosts("old-beat")] == ["10.50.2.1"]
    assert named.get(OLD + "/clientBeat", dom="old-beat", ip="10.50.2.1", port=80).json()["code"] == 10200
    assert named.get(OLD + "/clientBeat", dom="old-beat", ip="10.50.2.9", port=80).json()["code"] == 20404
    assert named.get(OLD + "/clientBeat", beat=beat).status == 400


# ---- lastRefTime

def last_ref(server, service, path=I1 + "/list", **more):
    answer = server.get(path, serviceName=service, **more).json()
    return answer.get("data", answer)["lastRefTime"]


def test_last_ref_time_grows_through_absence_and_back(server):
    """Go and Python clients drop a list whose lastRefTime is not above the one before: an absent service has one too."""
    seen = [last_ref(server, "blink")]
    assert seen[0] > 1_500_000_000_000
    for turn in range(5):
        server.register("blink", "10.51.0.1", 80)
        seen.append(last_ref(server, "blink"))
        server.deregister("blink", "10.51.0.1", 80)
        seen.append(last_ref(server, "blink"))
        assert server.delete(S1, serviceName="blink").text == "ok"
        seen.append(last_ref(server, "blink"))
        server.register("between", f"10.51.1.{turn}", 80)
    assert all(a < b for a, b in zip(seen, seen[1:])), seen
    assert last_ref(server, "blink", "/nacos/v2/ns/instance/list") >= seen[-1]
    assert last_ref(server, "blink", OLD + "/srvIPXT", dom="blink") >= seen[-1]


def test_last_ref_time_of_the_absent_grows_over_a_restart(make_server):
    server = make_server().start()
    server.register("before", "10.51.2.1", 80)
    before = last_ref(server, "nobody")
    server.kill9()
    server.start()
    after = last_ref(server, "nobody")
    assert after > before
    server.register("nobody", "10.51.2.2", 80)
    assert last_ref(server, "nobody") > after
