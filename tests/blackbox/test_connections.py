"""The life of gRPC connections: who has an address, what becomes of connections that break, fall silent or are sent away."""
import pytest
from conftest import eventually
from grpc_client import Client


@pytest.fixture
def connect(server):
    made = []

    def make(to=server, **more):
        made.append(Client(to, **more).set_up())
        return made[-1]

    yield make
    for one in made:
        one.close()


def leave(client, service):
    client.ask("InstanceRequest", {"serviceName": service, "type": "deregisterInstance", "instance": {"ip": "10.0.0.1", "port": 80}})


def weights(server, service):
    return [h["weight"] for h in server.hosts(service)]


def connections(server):
    return int([line for line in server.get("/metrics").text.splitlines() if line.startswith("muster_grpc_connections ")][0].split()[1])


def test_an_address_falls_back_to_the_client_that_had_it_before(server, connect):
    old, new = connect(), connect()
    old.register("fallback", weight=1)
    new.register("fallback", weight=2)
    assert weights(server, "fallback") == [2]
    leave(new, "fallback")
    assert weights(server, "fallback") == [1]
    assert server.addresses("fallback.svc.muster.internal") == ["10.0.0.1"]
    leave(old, "fallback")
    assert weights(server, "fallback") == []


def test_an_address_falls_back_when_the_newest_connection_is_gone(make_server):
    server = make_server(health_reconnect_grace="300ms").start()
    old, new, watcher = (Client(server).set_up() for _ in range(3))
    old.register("fallback", weight=1)
    new.register("fallback", weight=2)
    watcher.subscribe("fallback")
    new.close()
    pushed = [2]
    while pushed == [2]:  # what answered the subscription is pushed as well; then the change, and never an empty list
        pushed = [h["weight"] for h in watcher.hear()[1]["serviceInfo"]["hosts"]]
    assert pushed == [1]
    assert weights(server, "fallback") == [1]
    old.close()
    eventually(lambda: weights(server, "fallback") == [])
    watcher.close()


def test_what_the_successor_deregisters_is_gone_while_the_grace_lasts(server, connect):
    old, new = connect(), connect()
    old.register("followed")
    before = connections(server)
    old.close()
    eventually(lambda: connections(server) == before - 1)
    new.register("followed")
    leave(new, "followed")
    assert server.hosts("followed") == []
