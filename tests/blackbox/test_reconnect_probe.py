"""A gRPC client that is killed: where nobody listens at its port any more, its instance does not wait out the grace."""
import json
import re
import signal
import socket
import time

import pytest
from conftest import eventually
from grpc_client import Client

GRACE = "600s"


@pytest.fixture
def port_that_refuses():
    """Bound, so that nobody else gets it, and nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        yield s.getsockname()[1]


@pytest.fixture
def listener():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(100)
        yield s


@pytest.fixture
def asking(make_server):
    return make_server(health_reconnect_grace=GRACE, health_reconnect_probe="on").start()


def probes(server):
    text = server.get("/metrics").text
    return {k: int(v) for k, v in re.findall(r'^muster_reconnect_probes_total\{result="(\w+)"\} (\d+)', text, re.M)}


def register(client, service, port, ip="127.0.0.1"):
    assert client.register(service, ip=ip, port=port)[1]["success"] is True


def changes(server, what):
    lines = [json.loads(line) for line in open(server.see("changes.log"))]
    return [c for c in lines if c["what"] == what]


def test_where_the_port_refuses_the_instance_goes_at_once(asking, port_that_refuses):
    client, watcher = Client(asking).set_up(), Client(asking).set_up()
    register(client, "killed", port_that_refuses)
    assert len(watcher.subscribe("killed")[1]["serviceInfo"]["hosts"]) == 1
    client.close()
    eventually(lambda: watcher.hear()[1]["serviceInfo"]["hosts"] == [])
    assert asking.hosts("killed") == [] and asking.addresses("killed.svc.muster.internal") == []
    gone = eventually(lambda: changes(asking, "deregister"))
    assert [(c["service"], c["port"], c["cause"]) for c in gone] == [("killed", port_that_refuses, "connection_closed_port_refused")]
    eventually(lambda: asking.get("/muster/v1/connections").json()["count"] == 1)  # the watcher's: there is nothing to wait for
    assert probes(asking) == {"nothing": 0, "open": 0, "refused": 1}
    watcher.close()


def test_where_somebody_listens_the_grace_goes_on(asking, listener):
    client = Client(asking).set_up()
    port = listener.getsockname()[1]
    register(client, "cut", port)
    register(client, "cut-too", port)
    client.close()
    eventually(lambda: probes(asking)["open"] == 2)  # one address, asked twice
    said = asking.get("/muster/v1/explain", serviceName="cut").text
    assert "it stays for another" in said
    assert len(asking.hosts("cut")) == len(asking.hosts("cut-too")) == 1


def test_a_port_that_closes_a_little_after_the_connection_is_seen(asking):
    for attempt in range(20):  # this process may be too slow to close it in time
        service, before = f"dying-{attempt}", probes(asking)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = Client(asking).set_up()
            register(client, service, listener.getsockname()[1])
            client.close()
            listener.accept()  # it was asked
        eventually(lambda: sum(probes(asking).values()) == sum(before.values()) + 2)
        if probes(asking)["refused"] > before["refused"]:
            eventually(lambda: asking.hosts(service) == [])
            return
    raise AssertionError("the port is not asked again")


def test_each_address_of_a_client_is_judged_for_itself(asking, listener, port_that_refuses):
    client = Client(asking).set_up()
    port = listener.getsockname()[1]
    for service in ("both", "second"):
        reply = client.ask("BatchInstanceRequest", {
            "namespace": "public", "serviceName": service, "groupName": "DEFAULT_GROUP", "type": "batchRegisterInstance",
            "instances": [{"ip": ip, "port": p, "weight": 1, "healthy": True, "enabled": True, "ephemeral": True}
                          for ip, p in (("127.0.0.1", port), ("127.0.0.1", port_that_refuses), ("a-host.example", 80), ("127.0.0.3", 0))]})
        assert reply[1]["success"] is True, reply
    client.close()
    left = [("127.0.0.1", port), ("127.0.0.3", 0), ("a-host.example", 80)]
    for service in ("both", "second"):
        eventually(lambda: sorted((h["ip"], h["port"]) for h in asking.hosts(service)) == left)
    eventually(lambda: probes(asking) == {"nothing": 1, "open": 2, "refused": 1})


def test_who_is_back_already_stays(asking, port_that_refuses):
    first, second = Client(asking).set_up(), Client(asking).set_up()
    register(first, "taken", port_that_refuses)
    register(second, "taken", port_that_refuses)
    first.close()
    eventually(lambda: probes(asking)["refused"] == 1)
    eventually(lambda: asking.get("/muster/v1/connections").json()["count"] == 1)
    assert len(asking.hosts("taken")) == 1
    second.close()


def test_a_client_of_thousands_of_instances_is_asked_in_turn(asking, port_that_refuses):
    client = Client(asking).set_up()
    for service in range(10):
        batch = [{"ip": f"127.0.{service}.{n % 250 + 1}", "port": 1 + n // 250, "weight": 1, "healthy": True, "enabled": True, "ephemeral": True}
                 for n in range(1000)]
        reply = client.ask("BatchInstanceRequest", {"namespace": "public", "serviceName": f"many-{service}", "groupName": "DEFAULT_GROUP",
                                                    "type": "batchRegisterInstance", "instances": batch})
        assert reply[1]["success"] is True, reply
    client.close()
    eventually(lambda: all(asking.hosts(f"many-{service}") == [] for service in range(10)), 60)
    found = probes(asking)
    assert found["refused"] == 10000, found


def test_switched_off_or_after_our_own_restart_nobody_is_asked(make_server, port_that_refuses):
    server = make_server(health_reconnect_grace=GRACE, health_reconnect_probe="off").start()
    client = Client(server).set_up()
    register(client, "graced", port_that_refuses)
    client.close()
    eventually(lambda: "it stays for another" in server.get("/muster/v1/explain", serviceName="graced").text)
    assert sum(probes(server).values()) == 0
    server.restart(health_reconnect_probe="on")
    assert len(server.hosts("graced")) == 1
    client = Client(server).set_up()
    register(client, "graced", port_that_refuses)
    server.restart()  # it closes the connection
    client.close()
    assert len(server.hosts("graced")) == 1 and sum(probes(server).values()) == 0


def test_after_a_standstill_of_ours_nobody_goes_early(asking, port_that_refuses):
    client = Client(asking).set_up()
    register(client, "held", port_that_refuses)
    for n in range(10):  # who will be late, and held by the floor
        asking.register("late", f"127.0.0.{n + 1}", 80, metadata=json.dumps({"preserved.heart.beat.interval": 500,
                        "preserved.heart.beat.timeout": 2000, "preserved.ip.delete.timeout": 2000}))
    asking.process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    client.close()
    asking.process.send_signal(signal.SIGCONT)
    eventually(lambda: "it stays for another" in asking.get("/muster/v1/explain", serviceName="held").text)
    assert sum(probes(asking).values()) == 0
    assert len(asking.hosts("held")) == 1
