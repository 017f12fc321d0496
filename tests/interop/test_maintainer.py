"""nacos-maintainer-client: what an operator of Nacos 3 does, by its own library, with a user name and a password set."""
import pytest
from conftest import Driver, java_sdk, words_of

VERSIONS = ["3.0.2", "3.2.1-2026.03.30"]  # the oldest and the newest
SERVICE = {"namespaceId": "public", "groupName": "g", "name": "kept", "ephemeral": False}
INSTANCE = {"ip": "10.90.0.1", "port": 80, "weight": 2.0, "healthy": True, "enabled": True, "ephemeral": False, "clusterName": "DEFAULT",
            "metadata": {"a": "1"}}


class Maintainer(Driver):
    def do(self, method, *args):
        return self.call(method, args=list(args))

    def fails(self, method, *args):
        said = self.answer(self.send(method, args=list(args)))
        assert not said["ok"], said
        return said["error"]


@pytest.fixture(scope="module", params=VERSIONS)
def words(request):
    return words_of(f"nacos-maintainer-client {request.param}", lambda: java_sdk(request.param, "Maintainer", "maintainer", ()))


@pytest.fixture
def server(make_server):
    return make_server().start()


@pytest.fixture
def client(words, server):
    driver = Maintainer(words, server)
    yield driver
    driver.close()


def resolved(server):
    return server.addresses("kept.g.public.ns.muster.internal")


def test_services_and_instances(server, client):
    assert client.do("createService", dict(SERVICE, protectThreshold=0.5, metadata={"x": "1"})) == "ok"
    assert client.do("updateService", dict(SERVICE, protectThreshold=0.25, metadata={"x": "2"})) == "ok"
    found = client.do("getServiceDetail", SERVICE)
    assert (found["serviceName"], found["groupName"], found["protectThreshold"], found["metadata"], found["ephemeral"]) == ("kept", "g", 0.25, {"x": "2"}, False)
    assert client.do("registerInstance", SERVICE, INSTANCE) == "ok" and resolved(server) == ["10.90.0.1"]
    assert client.do("updateInstance", SERVICE, dict(INSTANCE, weight=3.0, metadata={"b": "2"})) == "ok"
    found = client.do("getInstanceDetail", SERVICE, INSTANCE)
    assert (found["ip"], found["port"], found["weight"], found["metadata"]) == ("10.90.0.1", 80, 3.0, {"a": "1", "b": "2"})
    assert client.do("partialUpdateInstance", SERVICE, dict(INSTANCE, enabled=False)) == "ok" and resolved(server) == []
    assert [i["enabled"] for i in client.do("listInstances", SERVICE, "", False)] == [False]
    assert client.do("partialUpdateInstance", SERVICE, INSTANCE) == "ok" and resolved(server) == ["10.90.0.1"]
    assert client.do("batchUpdateInstanceMetadata", SERVICE, [INSTANCE], {"c": "3"}) == {"updated": ["10.90.0.1:80:unknown:DEFAULT:persist"]}
    assert client.do("batchDeleteInstanceMetadata", SERVICE, [INSTANCE], {"c": ""}) == {"updated": ["10.90.0.1:80:unknown:DEFAULT:persist"]}
    assert "404" in client.fails("listInstances", SERVICE, "hz", False)
    assert "not empty" in client.fails("removeService", SERVICE) or "400" in client.fails("removeService", SERVICE)
    assert client.do("deregisterInstance", SERVICE, INSTANCE) == "ok" and resolved(server) == []
    assert client.do("removeService", SERVICE) == "ok"
    assert "400" in client.fails("getServiceDetail", SERVICE)


def test_clusters_and_health(server, client):
    client.do("registerInstance", SERVICE, INSTANCE)
    checker = {"clusterName": "DEFAULT", "healthyCheckPort": 81, "useInstancePortForCheck": False, "healthChecker": {"type": "NONE"}, "metadata": {"z": "1"}}
    assert client.do("updateCluster", SERVICE, checker) == "ok"
    assert client.do("updateInstanceHealthStatus", SERVICE, dict(INSTANCE, healthy=False)) == "ok" and resolved(server) == []
    found = client.do("getServiceDetail", SERVICE)["clusterMap"]["DEFAULT"]
    assert (found["healthyCheckPort"], found["useInstancePortForCheck"], found["healthChecker"]["type"], found["metadata"]) == (81, False, "NONE", {"z": "1"})
    # An edit says healthy=true each time; that is not its business.
    assert client.do("partialUpdateInstance", SERVICE, INSTANCE) == "ok" and resolved(server) == []
    assert client.do("updateInstanceHealthStatus", SERVICE, INSTANCE) == "ok" and resolved(server) == ["10.90.0.1"]


def test_lists_in_pages(server, client):
    for n in range(5):
        server.register(f"page-{n}", "10.91.0.1", 80)
    client.do("createService", SERVICE)
    page = client.do("listServices", "public", "", "", False, 2, 4)
    assert (page["totalCount"], page["pageNumber"], page["pagesAvailable"], len(page["pageItems"])) == (6, 2, 2, 2)
    page = client.do("listServices", "public", "", "", True, 1, 10)
    assert {s["name"] for s in page["pageItems"]} == {f"page-{n}" for n in range(5)}
    page = client.do("listServicesWithDetail", "public", "", "page-3", 1, 10)
    assert [h["ip"] for h in page["pageItems"][0]["clusterMap"]["DEFAULT"]["hosts"]] == ["10.91.0.1"]
    assert client.do("getSubscribers", SERVICE, 1, 10, True)["totalCount"] == 0


def test_clients(server, client):
    client.do("registerInstance", SERVICE, INSTANCE)
    number = "10.90.0.1:80#false"
    assert client.do("getClientDetail", number)["clientIp"] == "10.90.0.1"
    found = client.do("getPublishedServiceList", number)
    assert (found[0]["serviceName"], found[0]["publisherInfo"]["ip"]) == ("kept", "10.90.0.1")
    assert client.do("getSubscribeServiceList", number) == []
    for ip, port in (("10.90.0.1", 80), (None, None)):  # without a port it sends the text null
        found = client.do("getPublishedClientList", "public", "g", "kept", ip, port)
        assert [c["clientId"] for c in found] == [number]
        assert client.do("getSubscribeClientList", "public", "g", "kept", ip, port) == []


def test_the_server_and_its_members(server, client):
    assert client.do("liveness") is True and client.do("readiness") is True
    assert client.do("getServerState")["version"][0].isdigit()
    assert [m["address"] for m in client.do("listClusterNodes", "", "UP")] == [f"{server.http_address[0]}:{server.http_address[1]}"]
    assert client.do("getMetrics", True)["status"] == "UP" and client.do("getMetrics", False)["serviceCount"] == 0
    assert client.do("setLogLevel", "naming-main", "INFO") == "ok"
    assert client.do("getIdGenerators") == []


def test_connections(server, client):
    assert client.do("getCurrentClients") == {}
    assert client.do("getClusterLoaderMetrics")["detail"][0]["sdkConCount"] == 0
    assert client.do("reloadConnectionCount", 10, "") == "ok" and client.do("smartReloadCluster", "0.1") == "ok"
    assert client.do("reloadSingleClient", "nobody", "") == "ok"


def test_namespaces(server, client):
    assert client.do("createNamespace", "blue", "Blue", "d") is True and client.do("checkNamespaceIdExist", "blue") is True
    assert client.do("getNamespace", "blue")["namespaceShowName"] == "Blue"
    assert client.do("updateNamespace", "blue", "Azure", "d") is True
    assert {n["namespace"]: n["namespaceShowName"] for n in client.do("getNamespaceList")} == {"public": "public", "blue": "Azure"}
    assert client.do("deleteNamespace", "blue") is True and client.do("checkNamespaceIdExist", "blue") is False


def test_what_a_standalone_server_has_not_says_so(client):
    for method, args in (("updateLookupMode", ["file"]), ("raftOps", ["doSnapshot", "", ""])):
        assert "not built in this release of Muster" in client.fails(method, *args)
