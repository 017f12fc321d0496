"""Who subscribes and who is connected, over HTTP: complete whichever I/O thread has them, in the shapes of Nacos and in
ours, with what was pushed to whom."""
import http.client
import threading

import pytest
from conftest import SLOW, Server, eventually
from grpc_client import Client
from test_metrics import metrics, value

THREADS = 3


@pytest.fixture(scope="module")
def server():
    one = Server(server_io_threads=str(THREADS)).start()
    yield one
    one.close()


@pytest.fixture
def clients(server):
    made = []

    def make(count=1, **more):
        made.extend(Client(server).set_up(**more) for _ in range(count))
        return made[-count:]

    yield make
    for one in made:
        one.close()


def port_of(client):
    return client.socket.getsockname()[1]


def subscribers(server, service, **more):
    return server.get("/nacos/v1/ns/service/subscribers", serviceName=service, **more).json()


def ours(server, service, **more):
    return server.get("/muster/v1/subscribers", serviceName=service, **more).json()


def connection_of(server, client):
    return next(c for c in server.get("/muster/v1/connections").json()["connections"] if c["port"] == port_of(client))


def acknowledge(client, well=True):
    kind, said = client.hear()
    assert kind == "NotifySubscriberRequest"
    client.say("NotifySubscriberResponse", {"resultCode": 200 if well else 500, "requestId": said["requestId"]})
    return said["serviceInfo"]


# ---- lists as Nacos has them

def test_subscribers_of_every_thread_are_in_every_list(server, clients):
    some = clients(8 * THREADS)
    for c in some:
        c.subscribe("everywhere")
    clients()[0].subscribe("elsewhere")
    ports = sorted(port_of(c) for c in some)
    v1 = subscribers(server, "everywhere")
    assert v1["count"] == len(some) and sorted(s["port"] for s in v1["subscribers"]) == ports
    assert v1["subscribers"][0] == {"addrStr": f"127.0.0.1:{ports[0]}", "agent": "Test:v1", "app": "unknown", "ip": "127.0.0.1", "port": ports[0],
                                    "namespaceId": "public", "serviceName": "DEFAULT_GROUP@@everywhere", "cluster": ""}
    v2 = server.get("/nacos/v2/ns/client/service/subscriber/list", serviceName="everywhere").json()
    assert v2["code"] == 0 and sorted(s["port"] for s in v2["data"]) == ports and set(v2["data"][0]) == {"clientId", "ip", "port"}
    v3 = server.get("/nacos/v3/admin/ns/service/subscribers", serviceName="everywhere").json()["data"]
    assert (v3["totalCount"], v3["pageNumber"], v3["pagesAvailable"]) == (len(some), 1, 1)
    assert v3["pageItems"][0] == {"namespaceId": "public", "groupName": "DEFAULT_GROUP", "serviceName": "everywhere", "ip": "127.0.0.1",
                                  "port": ports[0], "agent": "Test:v1", "appName": "unknown"}
    assert server.get("/v3/console/ns/service/subscribers", serviceName="everywhere").json()["data"] == v3
    inner = server.get("/nacos/v3/admin/ns/client/service/subscriber/list", serviceName="everywhere").json()["data"]
    assert sorted(int(s["address"].rpartition(":")[2]) for s in inner) == ports and set(inner[0]) == {"clientId", "appName", "agent", "address"}
    assert len(ours(server, "everywhere")["subscribers"]) == len(some)


def test_pages_make_up_the_whole(server, clients):
    for c in clients(7):
        c.subscribe("paged")
    whole = subscribers(server, "paged")["subscribers"]
    pages = [subscribers(server, "paged", pageNo=n, pageSize=3) for n in (1, 2, 3, 4)]
    assert [p["count"] for p in pages] == [7] * 4 and [len(p["subscribers"]) for p in pages] == [3, 3, 1, 0]
    assert sum((p["subscribers"] for p in pages), []) == whole
    v3 = server.get("/nacos/v3/admin/ns/service/subscribers", serviceName="paged", pageNo=2, pageSize=3).json()["data"]
    assert (v3["totalCount"], v3["pageNumber"], v3["pagesAvailable"]) == (7, 2, 3)
    assert [s["port"] for s in v3["pageItems"]] == [s["port"] for s in whole[3:6]]
    assert [s["port"] for s in ours(server, "paged", pageNo=2, pageSize=3)["subscribers"]] == [s["port"] for s in whole[3:6]]
    assert server.get("/muster/v1/subscribers", serviceName="paged", pageSize=0).status == 400
    assert server.get("/nacos/v1/ns/service/subscribers").status == 400  # no service


def test_namespaces_and_groups_are_held_apart(server, clients):
    one, two, three = clients(3)
    for c, namespace, group in ((one, "public", "DEFAULT_GROUP"), (two, "dev", "DEFAULT_GROUP"), (three, "public", "G")):
        c.ask("SubscribeServiceRequest", {"namespace": namespace, "serviceName": "apart", "groupName": group, "subscribe": True, "clusters": "a,b"})
    for c, more in ((one, {}), (two, {"namespaceId": "dev"}), (three, {"groupName": "G"})):
        found = subscribers(server, "apart", **more)["subscribers"]
        assert [(s["port"], s["cluster"]) for s in found] == [(port_of(c), "a,b")]


def test_who_unsubscribes_or_leaves_is_no_longer_listed(server, clients):
    stays, unsubscribes, leaves = clients(3)
    for c in (stays, unsubscribes, leaves):
        c.subscribe("leaving")
    unsubscribes.ask("SubscribeServiceRequest", {"namespace": "public", "serviceName": "leaving", "groupName": "DEFAULT_GROUP",
                                                 "subscribe": False, "clusters": ""})
    leaves.close()
    eventually(lambda: [s["port"] for s in subscribers(server, "leaving")["subscribers"]] == [port_of(stays)])


def test_a_connection_is_a_client(server, clients):
    c, idle = clients(2)
    c.subscribe("seen")
    c.ask("BatchInstanceRequest", {"namespace": "public", "serviceName": "shown", "groupName": "DEFAULT_GROUP", "type": "batchRegisterInstance",
                                   "instances": [{"ip": "10.71.0.1", "port": 80}, {"ip": "10.71.0.2", "port": 81, "clusterName": "hz"}]})
    server.register("shown", "10.71.0.3", 82)
    id_, other = connection_of(server, c)["client"], connection_of(server, idle)["client"]
    for path in ("/nacos/v2/ns/client", "/nacos/v3/admin/ns/client"):
        listed = server.get(path + "/list").json()["data"]
        assert {id_, other, "10.71.0.3:82#true"} <= set(listed) and "10.71.0.1:80#true" not in listed
        detail = server.get(path, clientId=id_).json()["data"]
        assert (detail["clientType"], detail["connectType"], detail["version"], detail["clientIp"], detail["clientPort"], detail["ephemeral"]) == (
            "connection", "GRPC", "Test:v1", "127.0.0.1", str(port_of(c)), True)
        assert server.get(path + "/subscribe/list", clientId=other).json()["data"] == []
        assert server.get(path + "/subscribe/list", clientId="10.71.0.3:82#true").json()["data"] == []
        assert server.get(path + "/publish/list", clientId=other).json()["data"] == []
        for part in ("", "/publish/list", "/subscribe/list"):
            reply = server.get(path + part, clientId="17_10.0.0.1_99")
            assert reply.status == 404 and reply.json()["code"] == 20004 and "17_10.0.0.1_99" in reply.json()["data"]
    address = f"127.0.0.1:{port_of(c)}"
    assert server.get("/nacos/v2/ns/client/subscribe/list", clientId=id_).json()["data"] == [
        {"namespace": "public", "group": "DEFAULT_GROUP", "serviceName": "seen", "subscriberInfo": {"app": "unknown", "agent": "Test:v1", "addr": address}}]
    assert server.get("/nacos/v3/admin/ns/client/subscribe/list", clientId=id_).json()["data"] == [
        {"namespaceId": "public", "groupName": "DEFAULT_GROUP", "serviceName": "seen",
         "subscriberInfo": {"clientId": id_, "appName": "unknown", "agent": "Test:v1", "address": address}}]
    published = server.get("/nacos/v2/ns/client/publish/list", clientId=id_).json()["data"]
    assert [p["registeredInstance"] for p in published] == [{"ip": "10.71.0.1", "port": 80, "cluster": "DEFAULT"},
                                                            {"ip": "10.71.0.2", "port": 81, "cluster": "hz"}]
    published = server.get("/nacos/v3/admin/ns/client/publish/list", clientId=id_).json()["data"]
    assert published[1] == {"namespaceId": "public", "groupName": "DEFAULT_GROUP", "serviceName": "shown",
                            "publisherInfo": {"clientId": id_, "ip": "10.71.0.2", "port": 81, "clusterName": "hz"}}
    for path in ("/nacos/v2/ns/client", "/nacos/v3/admin/ns/client"):
        publishers = server.get(path + "/service/publisher/list", serviceName="shown").json()["data"]
        assert sorted((p["ip"], p["clientId"]) for p in publishers) == [("10.71.0.1", id_), ("10.71.0.2", id_), ("10.71.0.3", "10.71.0.3:82#true")]


def test_the_operators_metrics_count_connections_and_subscriptions(make_server):
    server = make_server(server_io_threads=str(THREADS)).start()
    some = [Client(server).set_up() for _ in range(5)]
    for c in some:
        c.subscribe("one")
        c.subscribe("two")
    some[0].register("one")
    server.register("two", "10.72.0.1", 80)
    answer = server.get("/nacos/v1/ns/operator/metrics", onlyStatus="false").json()
    assert {k: answer[k] for k in ("subscribeCount", "connectionBasedClientCount", "ephemeralIpPortClientCount", "clientCount")} == {
        "subscribeCount": 10, "connectionBasedClientCount": 5, "ephemeralIpPortClientCount": 1, "clientCount": 6}
    now = metrics(server)
    assert value(now, "muster_grpc_subscriptions") == 10 and value(now, "muster_grpc_connections") == 5
    for c in some:
        c.close()
    eventually(lambda: value(metrics(server), "muster_grpc_connections") == 0)
    assert value(metrics(server), "muster_grpc_subscriptions") == 0 and value(metrics(server), "muster_grpc_pushes_pending") == 0


# ---- what was pushed to whom

def test_pushes_are_counted_until_they_are_acknowledged(make_server):
    server = make_server(server_io_threads=str(THREADS)).start()
    c, silent = Client(server).set_up(), Client(server).set_up()
    for one in (c, silent):
        one.subscribe("counted")
    waiting = ours(server, "counted")
    assert waiting["exists"] is False and waiting["count"] == 2
    assert all((s["sent"], s["acknowledged"], s["pending"], s["upToDate"]) == (0, 0, False, True) for s in waiting["subscribers"])
    server.register("counted", "10.73.0.1", 80)

    def mine():
        return next(s for s in ours(server, "counted")["subscribers"] if s["port"] == port_of(c))

    eventually(lambda: mine()["sent"] >= 1)
    now = mine()
    assert (now["acknowledged"], now["pending"], now["upToDate"], now["acknowledgedNumber"]) == (0, True, False, 0)
    assert now["sentNumber"] == now["currentNumber"] == ours(server, "counted")["currentNumber"] > 0
    eventually(lambda: mine()["lagMs"] > 50)
    eventually(lambda: value(metrics(server), "muster_grpc_pushes_pending") == 2)
    acknowledge(c, well=False)  # it will be sent again
    eventually(lambda: mine()["retries"] >= 1)
    assert mine()["pending"] is True
    acknowledge(c)
    eventually(lambda: mine()["acknowledged"] == 1)
    now, whole = mine(), ours(server, "counted")
    assert now["sent"] >= 2 and (now["pending"], now["lagMs"], now["upToDate"]) == (False, 0, True)
    assert now["acknowledgedNumber"] == now["currentNumber"]
    assert (whole["count"], whole["upToDate"], whole["pending"], whole["acknowledged"]) == (2, 1, 1, 1) and whole["lagMs"] > 50
    assert whole["sent"] == sum(s["sent"] for s in whole["subscribers"])
    families = metrics(server)
    assert value(families, "muster_grpc_pushes_pending") == 1 and value(families, "muster_grpc_push_lag_seconds_count") == 1
    silent.close()
    eventually(lambda: value(metrics(server), "muster_grpc_pushes_pending") == 0)
    c.close()


def test_what_an_answer_tells_needs_no_acknowledgement(server, clients):
    server.register("answered", "10.74.0.1", 80)
    c = clients()[0]
    c.subscribe("answered")
    now = ours(server, "answered")["subscribers"][0]
    assert (now["pending"], now["upToDate"]) == (False, True) and now["acknowledgedNumber"] == now["currentNumber"] > 0


def test_connections_are_listed_with_what_they_do(make_server):
    server = make_server(server_io_threads=str(THREADS), health_reconnect_grace="60s").start()
    assert server.get("/muster/v1/connections").json() == {"count": 0, "connections": []}
    some = [Client(server).set_up() for _ in range(4)]
    some[0].register("conn")
    some[0].subscribe("conn")
    some[0].subscribe("conn-2")
    said = server.get("/muster/v1/connections").json()
    assert said["count"] == 4 and sorted(c["port"] for c in said["connections"]) == sorted(port_of(c) for c in some)
    first = connection_of(server, some[0])
    assert (first["state"], first["transport"], first["version"], first["services"], first["subscriptions"]) == ("connected", "gRPC", "Test:v1", 1, 2)
    assert first["client"].endswith(f"_127.0.0.1_{port_of(some[0])}") and first["ageMs"] >= first["silentMs"] >= 0
    ages = [c["ageMs"] for c in said["connections"]]
    assert ages == sorted(ages, reverse=True)
    pages = [server.get("/muster/v1/connections", pageNo=n, pageSize=3).json()["connections"] for n in (1, 2, 3)]
    assert [len(p) for p in pages] == [3, 1, 0]
    port = port_of(some[0])
    for c in some:
        c.close()
    eventually(lambda: [(c["port"], c["state"]) for c in server.get("/muster/v1/connections").json()["connections"]] == [(port, "closed, in grace")])


def test_a_server_that_stops_while_it_is_asked_stops_in_order(make_server):
    """The threads end one by one: whoever is on the way between them comes home."""
    for _ in range(3):
        server = make_server(server_io_threads=str(THREADS)).start()
        some = [Client(server).set_up() for _ in range(4)]
        for c in some:
            c.subscribe("stopping")
        asked, over = [0] * 4, threading.Event()

        def ask(n):
            connection = http.client.HTTPConnection(*server.http_address, timeout=10 * SLOW)
            try:
                while not over.is_set():
                    for path in ("/muster/v1/subscribers", "/muster/v1/explain", "/nacos/v2/ns/client/list"):
                        connection.request("GET", path + "?serviceName=stopping")
                        connection.getresponse().read()
                        asked[n] += 1
            except (OSError, http.client.HTTPException):
                pass  # it has stopped
            connection.close()

        threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(4)]
        for t in threads:
            t.start()
        eventually(lambda: min(asked) > 5)
        server.stop()
        over.set()
        for t in threads:
            t.join()
        for c in some:
            c.close()
