"""SDKs of 1.x, which register and poll over HTTP and are pushed to over UDP: the same walk as test_sdk.py, and the DNS
answer after each step. That a change came by a push, and not by the next poll, is told by its acknowledgement: these
SDKs send it once they have taken the push. With push broken each test here that subscribes fails."""
import json
import time

from conftest import PUSH_SEC, eventually, fixed, warm_copy_written

BEATS_MISSED = 16  # 15 s without a beat: unhealthy
GONE = 32  # 30 s: removed


def name(service):
    return f"{service}.svc.muster.internal"


def acked(server):
    for line in server.get("/metrics").text.splitlines():
        if line.startswith('muster_udp_pushes_total{result="acked"}'):
            return int(float(line.split()[-1]))


def subscriptions(server, service):
    return server.get("/nacos/v1/ns/service/subscribers", serviceName=service, pageNo=1, pageSize=10).json()["subscribers"]


def subscribe(server, driver, service):
    driver.call("subscribe", service=service)
    eventually(lambda: subscriptions(server, service), PUSH_SEC)


class Pushed:
    """What is done inside is pushed, and acknowledged."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.before = acked(self.server)

    def __exit__(self, kind, *_):
        if kind is None:
            eventually(lambda: acked(self.server) > self.before, PUSH_SEC)


def test_join_change_and_leave_are_pushed_and_resolved_at_once(server, connect_1x):
    one, other = connect_1x(server), connect_1x(server)
    subscribe(server, other, "walk")
    with Pushed(server):
        one.call("register", service="walk", ip="10.1.0.1", port=8080, weight=2.0, metadata={"version": "7"})
        assert server.addresses(name("walk")) == ["10.1.0.1"]
        other.hears("walk", ["10.1.0.1:8080"])
    assert other.call("list", service="walk") == [["10.1.0.1", 8080, 2.0, True, {"version": "7"}]]
    with Pushed(server):
        one.call("register", service="walk", ip="10.1.0.2", port=8080)
        assert server.addresses(name("walk")) == ["10.1.0.1", "10.1.0.2"]
        other.hears("walk", ["10.1.0.1:8080", "10.1.0.2:8080"])
    with Pushed(server):
        one.call("register", service="walk", ip="10.1.0.2", port=8080, weight=4.0, metadata={"v": "2"})
        assert other.wait(lambda: ["10.1.0.2", 8080, 4.0, True, {"v": "2"}] in other.pushes["walk"][-1]), other.pushes
    with Pushed(server):
        server.put("/nacos/v1/ns/instance", serviceName="walk", ip="10.1.0.1", port=8080, weight=7, enabled="true")
        assert other.wait(lambda: sorted(h[2] for h in other.pushes["walk"][-1]) == [4.0, 7.0]), other.pushes
    with Pushed(server):
        one.call("deregister", service="walk", ip="10.1.0.2", port=8080)
        assert server.addresses(name("walk")) == ["10.1.0.1"]
        other.hears("walk", ["10.1.0.1:8080"])


def test_a_large_service_is_pushed_compressed(server, connect_1x):
    other = connect_1x(server)
    server.register("wide", "10.2.0.1", 80)
    subscribe(server, other, "wide")
    with Pushed(server):
        for i in range(2, 40):
            server.register("wide", f"10.2.0.{i}", 80)
        other.hears("wide", [f"10.2.0.{i}:80" for i in range(1, 40)])


def test_a_killed_client_is_first_unhealthy_then_gone(server, connect_1x):
    one, stays, other = connect_1x(server), connect_1x(server), connect_1x(server)
    one.call("register", service="killed", ip="10.3.0.1", port=1)
    stays.call("register", service="killed", ip="10.3.0.2", port=1)
    subscribe(server, other, "killed")
    other.hears("killed", ["10.3.0.1:1", "10.3.0.2:1"])
    one.kill9()
    with Pushed(server):
        assert other.wait(lambda: [h[3] for h in other.pushes["killed"][-1] if h[0] == "10.3.0.1"] == [False], BEATS_MISSED + 4), other.pushes
        assert server.addresses(name("killed")) == ["10.3.0.2"]
    with Pushed(server):
        other.hears("killed", ["10.3.0.2:1"], GONE - BEATS_MISSED + 4)
    assert all(hosts for hosts in other.pushes["killed"])


def test_a_persistent_instance_outlives_its_client(server, connect_1x):
    one, other = connect_1x(server), connect_1x(server)
    one.call("register", service="lasting", ip="10.4.0.1", port=1, ephemeral=False)
    one.kill9()
    subscribe(server, other, "lasting")
    other.hears("lasting", ["10.4.0.1:1"])
    assert [h["ip"] for h in server.hosts("lasting")] == ["10.4.0.1"]


def test_namespaces_and_groups_are_kept_apart(server, connect_1x):
    one, other = connect_1x(server), connect_1x(server, namespace="blue")
    one.call("register", service="apart", ip="10.5.0.1", port=1)
    other.call("register", service="apart", ip="10.5.0.2", port=1)
    one.call("register", service="apart", group="G2", ip="10.5.0.3", port=1)
    assert [h[0] for h in one.call("list", service="apart")] == ["10.5.0.1"]
    assert [h[0] for h in other.call("list", service="apart")] == ["10.5.0.2"]
    assert [h[0] for h in one.call("list", service="apart", group="G2")] == ["10.5.0.3"]
    assert server.addresses(name("apart")) == ["10.5.0.1"]


def test_services_are_listed_by_pages(make_server, connect_1x):
    server = make_server().start()
    one = connect_1x(server)
    for i in range(5):
        one.call("register", service=f"page-{i}", ip="10.6.0.1", port=1)
    count, names = one.call("services", page=1, size=3)
    more = one.call("services", page=2, size=3)
    assert (count, more[0]) == (5, 5)
    assert sorted(n.rpartition("@@")[2] for n in names + more[1]) == [f"page-{i}" for i in range(5)]


def test_a_subscriber_that_is_pushed_to_often_goes_on_being_pushed_to(make_server, connect_1x):
    server = make_server(push_udp_expiry="12s").start()
    other = connect_1x(server)
    server.register("busy", "10.7.0.1", 80, ephemeral="false")
    subscribe(server, other, "busy")
    other.hears("busy", ["10.7.0.1:80"])
    end = time.monotonic() + 40
    weight = 1
    while time.monotonic() < end:
        weight += 1
        with Pushed(server):  # a Go client does not poll while pushes come
            server.put("/nacos/v1/ns/instance", serviceName="busy", ip="10.7.0.1", port=80, weight=weight, ephemeral="false")
            assert other.wait(lambda: other.pushes["busy"][-1][0][2] == weight), other.pushes["busy"][-3:]
        time.sleep(2)


def test_a_restarted_server_is_found_again_and_nobody_sees_an_empty_list(make_server, connect_1x):
    server = fixed(make_server())
    one, other = connect_1x(server), connect_1x(server)
    one.call("register", service="restart", ip="10.8.0.1", port=1)
    subscribe(server, other, "restart")
    other.hears("restart", ["10.8.0.1:1"])
    warm_copy_written(server)
    for _ in range(2):
        server.restart()
        end = time.monotonic() + 12
        while time.monotonic() < end:
            assert server.addresses(name("restart")) == ["10.8.0.1"]
            time.sleep(0.1)
    eventually(lambda: subscriptions(server, "restart"), 70)  # it polls again
    with Pushed(server):
        one.call("register", service="restart", ip="10.8.0.1", port=1, weight=4.0)
        assert other.wait(lambda: other.pushes["restart"][-1][0][2] == 4.0), other.pushes
    assert all(other.pushes["restart"]), json.dumps(other.pushes)
