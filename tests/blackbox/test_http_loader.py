"""Connections of gRPC clients as an operator sees them, and clients that are asked to connect elsewhere."""
import time

import pytest
from conftest import SLOW, eventually
from grpc_client import Client

V3, V2 = "/nacos/v3/admin/core/loader", "/nacos/v2/core/loader"


@pytest.fixture(params=["1", "2"])
def server(make_server, request):
    """With one I/O thread and with two."""
    return make_server(server_io_threads=request.param).start()


@pytest.fixture
def client(server):
    made = []

    def make(version="Test:v1"):
        made.append(Client(server).set_up(clientVersion=version, labels={"source": "sdk", "module": "naming", "AppName": "shop"}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def number_of(client):
    return client.ask("ServerCheckRequest")[1]["connectionId"]


def data(reply):
    assert reply.status == 200 and reply.json()["code"] == 0, reply
    return reply.json()["data"]


def test_who_is_connected(server, client):
    assert data(server.get(V3 + "/current")) == {}
    before = time.time() * 1000
    clients = [client(f"Test:v{n}") for n in range(5)]
    for path in (V3, V2):
        found = data(server.get(path + "/current"))
        assert set(found) == {number_of(c) for c in clients}
        for n, one in enumerate(clients):
            number = number_of(one)
            meta = found[number]["metaInfo"]
            assert (meta["connectionId"], meta["version"], meta["appName"], meta["remoteIp"]) == (number, f"Test:v{n}", "shop", "127.0.0.1")
            assert meta["labels"] == {"source": "sdk", "module": "naming", "AppName": "shop"}
            assert meta["remotePort"] == one.socket.getsockname()[1]
            assert before - 1000 <= meta["createTime"] <= meta["lastActiveTime"] <= time.time() * 1000 + 1000
    clients[0].close()
    assert eventually(lambda: len(data(server.get(V3 + "/current"))) == 4)


def test_how_many_are_connected(server, client):
    clients = [client() for _ in range(3)]
    address = f"{server.http_address[0]}:{server.http_address[1]}"
    found = data(server.get(V3 + "/cluster"))
    assert {k: found[k] for k in ("memberCount", "metricsCount", "completed", "max", "min", "avg", "threshold", "total")} == {
        "memberCount": 1, "metricsCount": 1, "completed": True, "max": 3, "min": 3, "avg": 3, "threshold": "3.3", "total": 3}
    one = found["detail"][0]
    assert (one["address"], one["sdkConCount"], one["conCount"]) == (address, 3, 3) and float(one["load"]) >= 0 and float(one["cpu"]) >= 0
    one = data(server.get(V2 + "/cluster"))["detail"][0]
    assert (one["address"], one["metric"]["sdkConCount"], one["metric"]["conCount"]) == (address, "3", "3")
    kind, said = clients[0].ask("ServerLoaderInfoRequest")
    assert kind == "ServerLoaderInfoResponse" and said["loaderMetrics"]["sdkConCount"] == "3"
    assert server.post(V3 + "/smartReloadCluster").json()["data"] == "ok" and server.get(V2 + "/smartReloadCluster").text == "Ok"


def test_one_connection_is_asked_to_go(server, client):
    goes, stays = client(), client()
    number = number_of(goes)
    assert data(server.post(V3 + "/reloadClient", connectionId=number, redirectAddress="10.0.0.9:8848")) == "ok"
    kind, said = goes.hear()
    assert kind == "ConnectResetRequest" and type(said["requestId"]) is str
    assert (said["serverIp"], said["serverPort"], said["connectionId"]) == ("10.0.0.9", "8848", number)
    goes.say("ConnectResetResponse", {"requestId": said["requestId"], "resultCode": 200})
    assert stays.ask("HealthCheckRequest")[1]["success"] is True
    assert stays.calls[stays.stream]["data"] == b""
    assert data(server.post(V3 + "/reloadClient", connectionId="nobody")) == "ok"


def test_who_is_asked_to_go_and_stays_is_cut_off_and_keeps_its_instances_when_it_comes_back(server, client):
    stubborn = client()
    stubborn.register("moved", ip="10.98.0.1")
    assert server.get(V2 + "/reloadClient", connectionId=number_of(stubborn)).text == "success"
    kind, said = stubborn.hear()
    assert kind == "ConnectResetRequest" and "serverIp" not in said
    began = time.monotonic()
    while not stubborn.closed and time.monotonic() - began < 20 * SLOW:  # it goes on talking
        try:
            stubborn.ask("HealthCheckRequest")
            time.sleep(0.2)
        except (AssertionError, OSError):
            stubborn.closed = True
    assert stubborn.closed and time.monotonic() - began >= 1
    assert server.addresses("moved.svc.muster.internal") == ["10.98.0.1"]
    client().register("moved", ip="10.98.0.1")
    assert server.addresses("moved.svc.muster.internal") == ["10.98.0.1"]


def test_so_many_may_stay(server, client):
    clients = [client() for _ in range(5)]
    assert data(server.post(V3 + "/reloadCurrent", count=2)) == "ok"

    def asked():
        for one in clients:
            one.ask("HealthCheckRequest")
        return sum(b"ConnectResetRequest" in one.calls[one.stream]["data"] for one in clients)
    assert eventually(lambda: asked() == 3)
    assert data(server.post(V3 + "/reloadCurrent", count=100)) == "ok"
    assert asked() == 3


@pytest.mark.parametrize("path,params,field", [
    ("/reloadClient", {}, "connectionId"), ("/reloadCurrent", {}, "count"), ("/reloadCurrent", {"count": "x"}, "count"), ("/reloadCurrent", {"count": -1}, "count"),
    ("/reloadClient", {"connectionId": "a", "redirectAddress": "nowhere"}, "redirectAddress"), ("/reloadCurrent", {"count": 1, "redirectAddress": "a:b"}, "redirectAddress"),
    ("/reloadCurrent", {"count": 1, "redirectAddress": ":1"}, "redirectAddress")])
def test_bad_input_is_told(server, path, params, field):
    reply = server.post(V3 + path, **params)
    assert reply.status == 400 and field in reply.json()["data"], reply


def test_a_client_may_not_send_others_away(client):
    one, other = client(), client()
    kind, said = one.ask("ServerReloadRequest", {"reloadCount": 0, "reloadServer": ""})
    assert (kind, said["success"], said["errorCode"]) == ("ServerReloadResponse", False, 403)
    assert other.ask("HealthCheckRequest")[1]["success"] is True and other.calls[other.stream]["data"] == b""


def test_no_id_is_generated_here(server):
    assert data(server.get("/nacos/v3/admin/core/ops/ids")) == data(server.get("/nacos/v2/core/ops/ids")) == []
    assert server.get("/nacos/v1/core/ops/idInfo").json() == {}
