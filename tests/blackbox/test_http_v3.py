"""The HTTP API of Nacos 3: naming for clients and for maintainers, and the console's paths of the same."""
import itertools
import json

import pytest

ADMIN, CLIENT, CONSOLE = "/nacos/v3/admin/ns", "/nacos/v3/client/ns", "/v3/console/ns"
OK = {"code": 0, "message": "success", "data": "ok"}
counter = itertools.count(1)


@pytest.fixture
def name():
    """A service name nobody else uses."""
    return f"v3-{next(counter)}"


def data(reply, status=200):
    assert reply.status == status, reply
    answer = reply.json()
    assert answer["code"] == 0 and answer["message"] == "success", reply
    return answer["data"]


def refused(reply, status, code):
    assert (reply.status, reply.json()["code"]) == (status, code), reply
    return reply.json()["data"]


# ---- instances

@pytest.mark.parametrize("base", [ADMIN + "/instance", "/v3/admin/ns/instance"])
def test_an_instance_lives_by_the_admin_api(server, name, base):
    one = dict(serviceName=name, ip="10.70.0.1", port=80)
    assert server.post(base, **one, weight="2.5", clusterName="hz", metadata='{"v":"1"}', groupName="g").json() == OK
    found = data(server.get(base, **one, clusterName="hz", groupName="g"))
    assert found == {"instanceId": f"10.70.0.1#80#hz#g@@{name}", "ip": "10.70.0.1", "port": 80, "weight": 2.5, "healthy": True, "enabled": True,
                     "ephemeral": True, "clusterName": "hz", "serviceName": f"g@@{name}", "metadata": {"v": "1"},
                     "instanceHeartBeatInterval": 5000, "instanceHeartBeatTimeOut": 15000, "ipDeleteTimeout": 30000}
    assert server.put(base, **one, clusterName="hz", groupName="g", weight=7, enabled="false", metadata='{"w":"2"}').json() == OK
    found = data(server.get(base, **one, clusterName="hz", groupName="g"))
    assert (found["weight"], found["enabled"], found["metadata"]["w"]) == (7.0, False, "2")
    assert server.delete(base, **one, clusterName="hz", groupName="g").json() == OK
    refused(server.get(base, **one, clusterName="hz", groupName="g"), 404, 20004)
    assert server.delete(base, **one, clusterName="hz", groupName="g").json() == OK  # what is not there is fine


def test_a_registration_by_the_admin_api_resolves_at_once(server, name):
    server.post(ADMIN + "/instance", serviceName=name, ip="10.70.0.2", port=80)
    assert server.addresses(f"{name}.svc.muster.internal") == ["10.70.0.2"]
    server.delete(ADMIN + "/instance", serviceName=name, ip="10.70.0.2", port=80)
    assert server.addresses(f"{name}.svc.muster.internal") == []


def test_a_partial_update_leaves_the_rest_alone(server, name):
    one = dict(serviceName=name, ip="10.70.0.3", port=80)
    server.post(ADMIN + "/instance", **one, weight=3, metadata="a=1", ephemeral="false")
    assert server.put(ADMIN + "/instance/partial", **one, enabled="false").json() == OK
    found = data(server.get(ADMIN + "/instance", **one))
    assert (found["weight"], found["enabled"], found["metadata"]) == (3.0, False, {"a": "1"})
    assert server.put(ADMIN + "/instance/partial", **one, weight=4).json() == OK
    found = data(server.get(ADMIN + "/instance", **one))
    assert (found["weight"], found["enabled"]) == (4.0, False)
    refused(server.put(ADMIN + "/instance/partial", **one, weight=10001), 400, 21001)
    refused(server.put(ADMIN + "/instance/partial", **dict(one, port=81), weight=1), 404, 20004)


def test_a_partial_update_does_not_heal(server, name):
    """The maintainer client sends healthy=true with every change."""
    one = dict(serviceName=name, ip="10.70.0.4", port=80)
    server.post(ADMIN + "/instance", **one, ephemeral="false")
    assert server.put(ADMIN + "/cluster", serviceName=name, clusterName="DEFAULT", checkPort=80, useInstancePort4Check="true",
                      healthChecker='{"type":"NONE"}').json() == OK
    assert server.put(ADMIN + "/health/instance", **one, healthy="false").json() == OK
    assert server.put(ADMIN + "/instance/partial", **one, weight=2, healthy="true").json() == OK
    found = data(server.get(ADMIN + "/instance", **one))
    assert (found["weight"], found["healthy"]) == (2.0, False)


def test_the_admin_list_is_of_one_cluster_and_shows_what_is_disabled(server, name):
    for port, more in ((1, {}), (2, {"enabled": "false"}), (3, {"clusterName": "hz"}), (4, {"healthy": "false"})):
        server.post(ADMIN + "/instance", serviceName=name, ip="10.70.0.5", port=port, **more)
    path = ADMIN + "/instance/list"
    assert sorted(i["port"] for i in data(server.get(path, serviceName=name))) == [1, 2, 4]
    assert sorted(i["port"] for i in data(server.get(path, serviceName=name, healthyOnly="true"))) == [1, 2]
    assert [i["port"] for i in data(server.get(path, serviceName=name, clusterName="hz"))] == [3]
    assert "cluster sh" in refused(server.get(path, serviceName=name, clusterName="sh"), 404, 30000)
    assert name + "-not" in refused(server.get(path, serviceName=name + "-not"), 404, 30000)
    refused(server.get(path), 400, 10000)
    # The client's list has the enabled ones only.
    assert sorted(i["port"] for i in data(server.get(CLIENT + "/instance/list", serviceName=name))) == [1, 4]


def test_metadata_of_many_by_the_admin_api(server, name):
    for port in (1, 2):
        server.post(ADMIN + "/instance", serviceName=name, ip="10.70.0.6", port=port, metadata='{"a":"1"}')
    path, instances = ADMIN + "/instance/metadata/batch", json.dumps([{"ip": "10.70.0.6", "port": 1, "clusterName": "DEFAULT"}])
    assert data(server.put(path, serviceName=name, metadata='{"b":"2"}', instances=instances, consistencyType="ephemeral")) == {
        "updated": ["10.70.0.6:1:unknown:DEFAULT:ephemeral"]}
    of = {i["port"]: i["metadata"] for i in data(server.get(ADMIN + "/instance/list", serviceName=name))}
    assert of == {1: {"a": "1", "b": "2"}, 2: {"a": "1"}}
    assert len(data(server.delete(path, serviceName=name, metadata='{"b":""}'))["updated"]) == 2
    assert "b" not in data(server.get(ADMIN + "/instance", serviceName=name, ip="10.70.0.6", port=1))["metadata"]


@pytest.mark.parametrize("params,status,code", [
    ({"ip": "10.0.0.1", "port": 80}, 400, 10000), ({"serviceName": "x", "port": 80}, 400, 10000), ({"serviceName": "x", "ip": "10.0.0.1"}, 400, 10000),
    ({"serviceName": "x", "ip": "10.0.0.1", "port": 80, "weight": "-1"}, 400, 21001), ({"serviceName": "x", "ip": "10.0.0.1", "port": 80, "weight": "10001"}, 400, 21001),
    ({"serviceName": "x", "ip": "10.0.0.1", "port": 80, "metadata": "nonsense"}, 400, 21002),
    ({"serviceName": "x", "ip": "10.0.0.1", "port": 80, "metadata": '{"preserved.heart.beat.timeout":"1000"}'}, 400, 21004)])
def test_a_bad_instance_is_told_by_its_code(server, params, status, code):
    refused(server.post(ADMIN + "/instance", **params), status, code)


def test_the_kind_of_a_service_is_kept(server, name):
    server.post(ADMIN + "/instance", serviceName=name, ip="10.70.0.7", port=80, ephemeral="false")
    refused(server.post(ADMIN + "/instance", serviceName=name, ip="10.70.0.8", port=80, ephemeral="true"), 400, 21004)


# ---- the client's

def test_the_client_api_beats_and_says_what_it_does_not_know(server, name):
    path, one = CLIENT + "/instance", dict(serviceName=name, ip="10.70.0.9", port=80)
    reply = server.post(path, **one, heartBeat="true")
    assert (reply.status, reply.json()["code"], reply.json()["data"]) == (200, 21003, None)
    assert server.post(path, **one).json() == OK and server.post(path, **one, heartBeat="true").json() == OK
    assert [i["ip"] for i in data(server.get("/v3/client/ns/instance/list", serviceName=name))] == ["10.70.0.9"]
    assert server.delete(path, **one).json() == OK and data(server.get(path + "/list", serviceName=name)) == []
    refused(server.post(path, serviceName=name), 400, 10000)


# ---- services

@pytest.mark.parametrize("base", [ADMIN + "/service", CONSOLE + "/service"])
def test_a_service_lives_by_the_admin_api_and_the_console(server, name, base):
    assert server.post(base, serviceName=name, groupName="g", protectThreshold="0.5", metadata='{"a":"1"}', ephemeral="true", selector='{"type":"none"}').json() == OK
    found = data(server.get(base, serviceName=name, groupName="g"))
    assert found == {"namespaceId": "public", "serviceName": name, "groupName": "g", "clusterMap": {}, "metadata": {"a": "1"}, "protectThreshold": 0.5,
                     "selector": {"type": "none"}, "ephemeral": True}
    refused(server.post(base, serviceName=name, groupName="g"), 400, 21007)
    assert server.put(base, serviceName=name, groupName="g", protectThreshold="0.25", metadata='{"b":"2"}').json() == OK
    found = data(server.get(base, serviceName=name, groupName="g"))
    assert (found["protectThreshold"], found["metadata"]) == (0.25, {"b": "2"})
    server.post(ADMIN + "/instance", serviceName=name, groupName="g", ip="10.71.0.1", port=80)
    refused(server.delete(base, serviceName=name, groupName="g"), 400, 21009)
    server.delete(ADMIN + "/instance", serviceName=name, groupName="g", ip="10.71.0.1", port=80)
    assert server.delete(base, serviceName=name, groupName="g").json() == OK
    for call in (server.get, server.put, server.delete):
        refused(call(base, serviceName=name, groupName="g"), 400, 21008)
        refused(call(base), 400, 10000)


def test_a_cluster_is_set_up_by_the_admin_api_and_the_console(server, name):
    server.post(ADMIN + "/service", serviceName=name)
    checker = {"type": "HTTP", "path": "/up", "headers": "", "expectedResponseCode": 204}
    for path in (ADMIN + "/cluster", CONSOLE + "/service/cluster"):
        assert server.put(path, serviceName=name, clusterName="hz", checkPort=8080, useInstancePort4Check="false", healthChecker=json.dumps(checker),
                          metadata='{"zone":"a"}').json() == OK
    found = data(server.get(ADMIN + "/service", serviceName=name))["clusterMap"]["hz"]
    assert found == {"clusterName": "hz", "healthChecker": checker, "healthyCheckPort": 8080, "useInstancePortForCheck": False, "metadata": {"zone": "a"},
                     "hosts": None}
    refused(server.put(ADMIN + "/cluster", serviceName=name + "-not", clusterName="hz", checkPort=80, useInstancePort4Check="true",
                       healthChecker='{"type":"TCP"}'), 400, 21008)
    refused(server.put(ADMIN + "/cluster", serviceName=name), 400, 10000)


def test_health_by_hand_only_where_nobody_checks(server, name):
    one = dict(serviceName=name, ip="10.71.0.2", port=80)
    server.post(ADMIN + "/instance", **one, ephemeral="false")
    path = ADMIN + "/health/instance"
    refused(server.put(path, **one, healthy="false"), 400, 30000)
    server.put(ADMIN + "/cluster", serviceName=name, clusterName="DEFAULT", checkPort=80, useInstancePort4Check="true", healthChecker='{"type":"NONE"}')
    assert server.put(path, **one, healthy="false").json() == OK
    assert data(server.get(ADMIN + "/instance", **one))["healthy"] is False
    refused(server.put(path, **one), 400, 10000)
    assert set(data(server.get(ADMIN + "/health/checkers"))) == {"TCP", "HTTP", "MYSQL", "NONE"}


@pytest.mark.parametrize("base", [ADMIN + "/service", CONSOLE + "/service"])
def test_services_in_pages(make_server, base):
    server = make_server().start()
    for n in range(5):
        server.post(ADMIN + "/instance", serviceName=f"full-{n}", groupName="g" if n % 2 else "DEFAULT_GROUP", ip="10.72.0.1", port=n, healthy="false" if n == 4 else "true")
    server.post(ADMIN + "/service", serviceName="empty")
    path = base + "/list"
    page = data(server.get(path))
    assert (page["totalCount"], page["pageNumber"], page["pagesAvailable"], len(page["pageItems"])) == (6, 1, 1, 6)
    assert {s["name"] for s in page["pageItems"]} == {"empty"} | {f"full-{n}" for n in range(5)}
    assert [s for s in page["pageItems"] if s["name"] == "full-4"] == [
        {"name": "full-4", "groupName": "DEFAULT_GROUP", "clusterCount": 1, "ipCount": 1, "healthyInstanceCount": 0, "triggerFlag": "false"}]
    seen = []
    for n in (1, 2, 3):
        page = data(server.get(path, pageNo=n, pageSize=2))
        assert (page["totalCount"], page["pageNumber"], page["pagesAvailable"], len(page["pageItems"])) == (6, n, 3, 2)
        seen += [s["name"] for s in page["pageItems"]]
    assert len(set(seen)) == 6
    past = data(server.get(path, pageNo=4, pageSize=2))
    assert (past["totalCount"], past["pageNumber"], past["pageItems"]) == (6, 4, [])
    assert data(server.get(path, pageNo=2, pageSize=100))["pageItems"] == []
    assert data(server.get(path, ignoreEmptyService="true"))["totalCount"] == 5
    assert [s["name"] for s in data(server.get(path, serviceNameParam="full-3"))["pageItems"]] == ["full-3"]
    assert data(server.get(path, groupNameParam="g", serviceNameParam="full"))["totalCount"] == 2
    assert data(server.get(path, namespaceId="elsewhere")) == {"totalCount": 0, "pageNumber": 1, "pagesAvailable": 0, "pageItems": []}
    for bad in ({"pageNo": 0}, {"pageNo": -1}, {"pageSize": 0}, {"pageSize": "x"}):
        refused(server.get(path, **bad), 400, 20002)


def test_services_with_their_instances(server, name):
    for port, cluster in ((1, "DEFAULT"), (2, "hz"), (3, "hz")):
        server.post(ADMIN + "/instance", serviceName=name, groupName="gw", ip="10.73.0.1", port=port, clusterName=cluster, metadata='{"a":"1"}')
    page = data(server.get(ADMIN + "/service/list", withInstances="true", groupNameParam="gw", serviceNameParam=name))
    assert page["totalCount"] == 1
    found = page["pageItems"][0]
    assert (found["namespaceId"], found["serviceName"], found["groupName"], found["ephemeral"]) == ("public", name, "gw", True)
    hosts = {cluster: sorted(i["port"] for i in c["hosts"]) for cluster, c in found["clusterMap"].items()}
    assert hosts == {"DEFAULT": [1], "hz": [2, 3]}
    assert found["clusterMap"]["hz"]["hosts"][0]["serviceName"] == f"gw@@{name}" and found["clusterMap"]["hz"]["hosts"][0]["metadata"] == {"a": "1"}


@pytest.mark.parametrize("base", [ADMIN, CONSOLE])
def test_selector_types(server, base):
    assert data(server.get(base + "/service/selector/types")) == ["none", "label"]


def test_the_console_lists_and_edits_instances(server, name):
    for port in range(1, 6):
        server.post(ADMIN + "/instance", serviceName=name, ip="10.74.0.1", port=port, clusterName="hz" if port == 5 else "DEFAULT")
    path = CONSOLE + "/instance"
    page = data(server.get(path + "/list", serviceName=name, pageNo=2, pageSize=2))
    assert (page["totalCount"], page["pageNumber"], page["pagesAvailable"], len(page["pageItems"])) == (5, 2, 3, 2)
    assert [i["port"] for i in data(server.get(path + "/list", serviceName=name, clusterName="hz"))["pageItems"]] == [5]
    assert server.put(path, serviceName=name, ip="10.74.0.1", port=1, weight=9, enabled="true").json() == OK
    assert data(server.get(ADMIN + "/instance", serviceName=name, ip="10.74.0.1", port=1))["weight"] == 9.0


# ---- namespaces of the console

def test_namespaces_of_the_console(server):
    base = "/v3/console/core/namespace"
    assert data(server.post(base, customNamespaceId="v3c", namespaceName="V3", namespaceDesc="d")) is True
    assert {n["namespace"] for n in data(server.get(base + "/list"))} >= {"public", "v3c"}
    assert data(server.get(base, namespaceId="v3c"))["namespaceShowName"] == "V3"
    assert data(server.put(base, namespaceId="v3c", namespaceName="W3", namespaceDesc="")) is True
    assert data(server.get(base, namespaceId="v3c"))["namespaceShowName"] == "W3"
    assert data(server.get(base + "/exist", customNamespaceId="v3c")) is True
    assert data(server.delete(base, namespaceId="v3c")) is True
    assert data(server.get(base + "/exist", customNamespaceId="v3c")) is False
