"""The catalog: what consoles are shown of services and instances, in pages."""
import json

import pytest

C1, C2, S1 = "/nacos/v1/ns/catalog", "/nacos/v2/ns/catalog", "/nacos/v1/ns/service"


def page(server, no, size, **more):
    return server.get(C1 + "/services", pageNo=no, pageSize=size, withInstances="false", **more)


@pytest.fixture(scope="module")
def filled(server):
    """Namespace cat: g1@@a (3, one unhealthy, two clusters), g1@@b (empty, stored), g2@@a (1), g2@@cart.v1 (1, unhealthy, protected)."""
    ns = {"namespaceId": "cat"}
    server.register("a", "10.40.0.1", 80, groupName="g1", metadata="m=1", **ns)
    server.register("a", "10.40.0.2", 81, groupName="g1", healthy="false", weight="2.5", **ns)
    server.register("a", "10.40.0.3", 82, groupName="g1", clusterName="hz", enabled="false", **ns)
    assert server.post(S1, serviceName="b", groupName="g1", metadata='{"k":"v"}', protectThreshold="0.5", **ns).text == "ok"
    server.register("a", "10.40.1.1", 80, groupName="g2", **ns)
    assert server.post("/nacos/v2/ns/service", serviceName="cart.v1", groupName="g2", protectThreshold="0.5", ephemeral="true", **ns).status == 200
    server.register("cart.v1", "10.40.2.1", 80, groupName="g2", healthy="false", **ns)
    return server


def test_services_without_instances(filled):
    answer = page(filled, 1, 10, namespaceId="cat").json()
    assert answer == {"count": 4, "serviceList": [
        {"name": "a", "groupName": "g1", "clusterCount": 2, "ipCount": 3, "healthyInstanceCount": 2, "triggerFlag": "false"},
        {"name": "b", "groupName": "g1", "clusterCount": 0, "ipCount": 0, "healthyInstanceCount": 0, "triggerFlag": "false"},
        {"name": "a", "groupName": "g2", "clusterCount": 1, "ipCount": 1, "healthyInstanceCount": 1, "triggerFlag": "false"},
        {"name": "cart.v1", "groupName": "g2", "clusterCount": 1, "ipCount": 1, "healthyInstanceCount": 0, "triggerFlag": "true"}]}
    assert filled.get(C1 + "/services", pageNo=1, pageSize=10, namespaceId="cat").json() == answer  # withInstances is off by default


def test_services_with_instances_are_a_bare_array(filled):
    answer = filled.get(C1 + "/services", pageNo=1, pageSize=10, withInstances="true", namespaceId="cat").json()
    assert [(s["groupName"], s["serviceName"]) for s in answer] == [("g1", "a"), ("g1", "b"), ("g2", "a"), ("g2", "cart.v1")]
    first = answer[0]
    assert set(first) == {"serviceName", "groupName", "clusterMap", "metadata"}
    assert first["clusterMap"]["hz"] == {"hosts": [{"valid": True, "metadata": {}, "port": 82, "ip": "10.40.0.3", "weight": 1.0, "enabled": False}]}
    assert sorted((h["ip"], h["valid"], h["weight"]) for h in first["clusterMap"]["DEFAULT"]["hosts"]) == [("10.40.0.1", True, 1.0), ("10.40.0.2", False, 2.5)]
    assert answer[1] == {"serviceName": "b", "groupName": "g1", "clusterMap": {}, "metadata": {"k": "v"}}


def names(reply):
    return [s["groupName"] + "@@" + s["name"] for s in reply.json()["serviceList"]]


@pytest.mark.parametrize("more,wanted", [
    ({"serviceNameParam": "a"}, ["g1@@a", "g2@@a", "g2@@cart.v1"]), ({"groupNameParam": "2"}, ["g2@@a", "g2@@cart.v1"]),
    ({"serviceNameParam": "a", "groupNameParam": "g1"}, ["g1@@a"]), ({"serviceNameParam": "rt.v"}, ["g2@@cart.v1"]),
    ({"serviceNameParam": "c.*1"}, ["g2@@cart.v1"]), ({"serviceNameParam": "^a$"}, ["g1@@a", "g2@@a"]), ({"serviceNameParam": "cx?a"}, ["g2@@cart.v1"]),
    ({"serviceNameParam": r"t\.v"}, ["g2@@cart.v1"]), ({"serviceNameParam": "none"}, []), ({"hasIpCount": "true"}, ["g1@@a", "g2@@a", "g2@@cart.v1"]),
    ({"hasIpCount": "false"}, ["g1@@a", "g1@@b", "g2@@a", "g2@@cart.v1"]), ({"hasIpCount": "true", "serviceNameParam": "b"}, []),
])
def test_services_are_filtered_by_part_of_their_names(filled, more, wanted):
    reply = page(filled, 1, 10, namespaceId="cat", **more)
    assert names(reply) == wanted and reply.json()["count"] == len(wanted)


def test_pages_of_services(filled):
    everything = ["g1@@a", "g1@@b", "g2@@a", "g2@@cart.v1"]
    assert [names(page(filled, n, 2, namespaceId="cat")) for n in (1, 2, 3)] == [everything[:2], everything[2:], []]
    assert [names(page(filled, n, 3, namespaceId="cat")) for n in (1, 2)] == [everything[:3], everything[3:]]
    assert names(page(filled, 0, 2, namespaceId="cat")) == names(page(filled, -3, 2, namespaceId="cat")) == everything[:2]
    assert names(page(filled, 2, 4, namespaceId="cat")) == []  # four fill a page of four
    assert names(page(filled, 7, 5, namespaceId="cat")) == everything  # as the original: all fits into one page, so every page is that one
    assert names(page(filled, 1, 0, namespaceId="cat")) == names(page(filled, 1, -1, namespaceId="cat")) == everything[:1]
    assert page(filled, 2, 2, namespaceId="cat").json()["count"] == 4
    assert page(filled, 1, 5, namespaceId="cat-none").json() == {"count": 0, "serviceList": []}
    assert names(page(filled, 2147483647, 2147483647, namespaceId="cat")) == everything


@pytest.mark.parametrize("params,what", [({"pageNo": 1}, "pageSize"), ({"pageSize": 1}, "pageNo"), ({"pageNo": "x", "pageSize": 1}, "pageNo"),
                                         ({"pageNo": 1, "pageSize": "99999999999"}, "pageSize"), ({"pageNo": 1, "pageSize": 1, "serviceNameParam": "a|b"}, "serviceNameParam"),
                                         ({"pageNo": 1, "pageSize": 1, "groupNameParam": "(" * 600}, "groupNameParam"), ({"pageNo": 1, "pageSize": 1, "namespaceId": "a b"}, "namespaceId")])
def test_bad_pages_and_patterns_are_refused(server, params, what):
    reply = server.get(C1 + "/services", **params)
    assert reply.status == 400 and what in reply.text, reply


def test_a_pattern_that_would_take_for_ever_ends(server):
    server.register("a" * 200, "10.41.0.1", 80, namespaceId="cat-slow")
    assert names(page(server, 1, 10, namespaceId="cat-slow", serviceNameParam=".*a" * 60 + "b")) == []
    assert len(names(page(server, 1, 10, namespaceId="cat-slow", serviceNameParam="a.*a"))) == 1


def test_more_services_than_one_slice(make_server):
    server = make_server().start()
    for n in range(5000):
        server.register(f"s{n:04d}", "10.42.0.1", 80, groupName=f"g{n % 3}")
    answer = page(server, 1, 1)
    assert answer.json()["count"] == 5000 and names(answer) == ["g0@@s0000"]
    seen = [name for no in range(1, 6) for name in names(page(server, no, 1000))]
    assert len(set(seen)) == 5000 and seen == sorted(seen)
    assert page(server, 1, 10, serviceNameParam="s4999").json()["count"] == 1


# ---- one service

def test_a_service_with_its_clusters(filled):
    assert filled.call("PUT", "/nacos/v1/ns/cluster", {"serviceName": "a", "groupName": "g1", "namespaceId": "cat", "clusterName": "hz", "checkPort": 99,
                                                       "useInstancePort4Check": "false", "healthChecker": '{"type":"NONE"}', "metadata": "c=1"}).text == "ok"
    answer = filled.get(C1 + "/service", serviceName="g1@@a", namespaceId="cat").json()
    assert answer["service"] == {"name": "a", "groupName": "g1", "protectThreshold": 0.0, "selector": {"type": "none"}, "metadata": {}}
    assert answer["clusters"] == [
        {"serviceName": "g1@@a", "name": "DEFAULT", "healthChecker": {"type": "TCP"}, "defaultPort": 80, "defaultCheckPort": 80, "useIpPort4Check": True,
         "useIPPort4Check": True, "metadata": {}},
        {"serviceName": "g1@@a", "name": "hz", "healthChecker": {"type": "NONE"}, "defaultPort": 80, "defaultCheckPort": 99, "useIpPort4Check": False,
         "useIPPort4Check": False, "metadata": {"c": "1"}}]
    assert filled.get(C1 + "/service", serviceName="b", groupName="g1", namespaceId="cat").json()["clusters"] == []
    assert filled.get(C1 + "/service", serviceName="none", namespaceId="cat").status == 404
    assert filled.get(C1 + "/service", namespaceId="cat").status == 400


# ---- instances

@pytest.fixture(scope="module")
def seven(server):
    for n in range(7):
        server.register("seven", f"10.43.0.{n}", 80, healthy="false" if n == 3 else "true", enabled="false" if n == 5 else "true")
    server.register("seven", "10.43.1.1", 80, clusterName="hz")
    return server


def ips(reply, key="list"):
    return [h["ip"] for h in reply.json()[key]]


def test_instances_of_a_cluster_in_pages(seven):
    def get(no, size, cluster="DEFAULT"):
        return seven.get(C1 + "/instances", serviceName="seven", clusterName=cluster, pageNo=no, pageSize=size)

    reply = get(1, 10)
    everything = ips(reply)
    assert len(everything) == 7 and reply.json()["count"] == 7 and set(reply.json()) == {"list", "count"}
    host = [h for h in reply.json()["list"] if h["ip"] == "10.43.0.5"][0]
    assert host["enabled"] is False and host["instanceId"] == "10.43.0.5#80#DEFAULT#DEFAULT_GROUP@@seven" and host["serviceName"] == "DEFAULT_GROUP@@seven"
    assert ips(get(1, 3)) + ips(get(2, 3)) + ips(get(3, 3)) == everything and ips(get(4, 3)) == []
    assert get(4, 3).json()["count"] == 7
    assert ips(get(0, 3)) == [] and ips(get(1, 0)) == []
    assert get(1, -1).status == 400
    assert ips(get(1, 5, "hz")) == ["10.43.1.1"]
    for service, cluster in (("seven", "nowhere"), ("seven-none", "DEFAULT")):
        assert seven.get(C1 + "/instances", serviceName=service, clusterName=cluster, pageNo=1, pageSize=1).status == 404
    for missing in ("serviceName", "clusterName", "pageNo", "pageSize"):
        params = {"serviceName": "seven", "clusterName": "DEFAULT", "pageNo": 1, "pageSize": 1}
        del params[missing]
        reply = seven.get(C1 + "/instances", **params)
        assert reply.status == 400 and missing in reply.text


def test_a_cluster_whose_last_instance_left_is_gone(server):
    server.register("leaving", "10.43.2.1", 80, clusterName="x")
    server.deregister("leaving", "10.43.2.1", 80, clusterName="x")
    assert server.get(C1 + "/instances", serviceName="leaving", clusterName="x", pageNo=1, pageSize=1).status == 404


def test_v2_instances_are_filtered_and_wrapped(seven):
    def get(**more):
        reply = seven.get(C2 + "/instances", serviceName="DEFAULT_GROUP@@seven", **{"pageNo": 1, "pageSize": 20, **more})
        assert reply.status == 200 and reply.json()["code"] == 0, reply
        return reply.json()["data"]

    assert get()["count"] == 8 and len(get()["instances"]) == 8
    assert [h["ip"] for h in get(healthyOnly="false")["instances"]] == ["10.43.0.3"]  # as the original: only the unhealthy
    assert get(healthyOnly="true")["count"] == 7 and get(enabledOnly="true")["count"] == 7
    assert [h["ip"] for h in get(enabledOnly="false")["instances"]] == ["10.43.0.5"]
    assert get(clusterName="hz")["count"] == 1
    assert len(get(pageNo=2, pageSize=5)["instances"]) == 3 and len(get(pageNo=0, pageSize=5)["instances"]) == 5 and get(pageNo=9)["instances"] == []
    reply = seven.get(C2 + "/instances", serviceName="DEFAULT_GROUP@@seven-none", pageNo=1, pageSize=1)
    assert reply.json()["data"] == {"instances": [], "count": 0}
    reply = seven.get(C2 + "/instances", serviceName="seven", pageNo=1)
    assert (reply.status, reply.json()["code"]) == (400, 10000)
    assert json.loads(reply.body)["data"]
