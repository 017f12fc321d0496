"""What an application does with its SDK, and the DNS answer after each step."""
import json
import subprocess
import time

from conftest import SLOW, eventually

GRACE = 5  # health.reconnect_grace


def name(service):
    return f"{service}.svc.muster.internal"


def resolves(server, service, addresses, limit=2):
    eventually(lambda: server.addresses(name(service)) == sorted(addresses), limit)


def test_what_was_registered_is_listed_pushed_and_resolved_at_once(server, connect):
    one, other = connect(server), connect(server)
    other.call("subscribe", service="join")
    one.call("register", service="join", ip="10.1.0.1", port=8080, weight=2.0, metadata={"version": "7"})
    assert server.addresses(name("join")) == ["10.1.0.1"]  # acknowledged is resolvable
    other.hears("join", ["10.1.0.1:8080"])
    assert other.call("list", service="join") == [["10.1.0.1", 8080, 2.0, True, {"version": "7"}]]


def test_a_deregistered_instance_leaves_lists_pushes_and_dns(server, connect):
    one, two, other = connect(server), connect(server), connect(server)
    one.call("register", service="leave", ip="10.2.0.1", port=1)
    two.call("register", service="leave", ip="10.2.0.2", port=1)
    other.call("subscribe", service="leave")
    other.hears("leave", ["10.2.0.1:1", "10.2.0.2:1"])
    two.call("deregister", service="leave", ip="10.2.0.2", port=1)
    assert server.addresses(name("leave")) == ["10.2.0.1"]
    other.hears("leave", ["10.2.0.1:1"])


def test_weight_and_metadata_change_by_registering_again(server, connect):
    one, other = connect(server), connect(server)
    one.call("register", service="change", ip="10.3.0.1", port=1, metadata={"v": "1"})
    other.call("subscribe", service="change")
    other.hears("change", ["10.3.0.1:1"])
    one.call("register", service="change", ip="10.3.0.1", port=1, weight=0.5, metadata={"v": "2"})
    assert other.wait(lambda: other.pushes["change"][-1] == [["10.3.0.1", 1, 0.5, True, {"v": "2"}]], 10), other.pushes


def test_what_an_operator_edits_is_pushed(server, connect):
    one, other = connect(server), connect(server)
    one.call("register", service="edited", ip="10.4.0.1", port=1)
    other.call("subscribe", service="edited")
    other.hears("edited", ["10.4.0.1:1"])
    reply = server.put("/nacos/v1/ns/instance", serviceName="edited", ip="10.4.0.1", port=1, weight=7, enabled="true")
    assert (reply.status, reply.text) == (200, "ok")
    assert other.wait(lambda: other.pushes["edited"][-1][0][2] == 7.0, 10), other.pushes


def test_a_batch_replaces_the_batch_before(server, connect):
    one, other = connect(server), connect(server)
    other.call("subscribe", service="batch")
    one.call("batch", service="batch", hosts=[["10.5.0.1", 1], ["10.5.0.2", 1], ["10.5.0.3", 1]])
    assert server.addresses(name("batch")) == ["10.5.0.1", "10.5.0.2", "10.5.0.3"]
    other.hears("batch", ["10.5.0.1:1", "10.5.0.2:1", "10.5.0.3:1"])
    one.call("batch", service="batch", hosts=[["10.5.0.3", 1], ["10.5.0.4", 1]])
    assert server.addresses(name("batch")) == ["10.5.0.3", "10.5.0.4"]
    other.hears("batch", ["10.5.0.3:1", "10.5.0.4:1"])


def test_a_persistent_instance_outlives_its_client(server, connect):
    one = connect(server)
    one.call("register", service="lasting", ip="10.6.0.1", port=1, ephemeral=False)
    one.kill9()
    time.sleep(GRACE + 1)
    assert [h["ip"] for h in server.hosts("lasting")] == ["10.6.0.1"]
    two = connect(server)
    two.call("deregister", service="lasting", ip="10.6.0.1", port=1, ephemeral=False)
    assert server.hosts("lasting") == []


def test_an_unsubscribed_service_is_no_longer_pushed(server, connect):
    one, other = connect(server), connect(server)
    one.call("register", service="quiet", ip="10.7.0.1", port=1)
    other.call("subscribe", service="quiet")
    other.hears("quiet", ["10.7.0.1:1"])
    other.call("unsubscribe", service="quiet")
    one.call("register", service="quiet", ip="10.7.0.1", port=1, weight=3.0)
    one.call("register", service="quiet-end", ip="10.7.0.2", port=1)
    other.call("subscribe", service="quiet-end")
    other.hears("quiet-end", ["10.7.0.2:1"])
    assert all(hosts[0][2] == 1.0 for hosts in other.pushes["quiet"] if hosts)


def test_services_are_listed_by_pages(make_server, connect):
    server = make_server().start()
    one = connect(server)
    for i in range(5):
        one.call("register", service=f"page-{i}", ip="10.8.0.1", port=1)
    count, names = one.call("services", page=1, size=3)
    more = one.call("services", page=2, size=3)
    assert (count, more[0]) == (5, 5)
    assert sorted(names + more[1]) == [f"page-{i}" for i in range(5)]


def test_namespaces_and_groups_are_kept_apart(server, connect):
    one, other = connect(server), connect(server, namespace="blue")
    one.call("register", service="apart", ip="10.9.0.1", port=1)
    other.call("register", service="apart", ip="10.9.0.2", port=1)
    one.call("register", service="apart", group="G2", ip="10.9.0.3", port=1)
    assert [h[0] for h in one.call("list", service="apart")] == ["10.9.0.1"]
    assert [h[0] for h in other.call("list", service="apart")] == ["10.9.0.2"]
    assert [h[0] for h in one.call("list", service="apart", group="G2")] == ["10.9.0.3"]
    assert server.addresses(name("apart")) == ["10.9.0.1"]


def test_a_killed_client_is_gone_after_the_grace(server, connect):
    one, stays, other = connect(server), connect(server), connect(server)
    one.call("register", service="killed", ip="10.10.0.1", port=1)
    stays.call("register", service="killed", ip="10.10.0.2", port=1)
    other.call("subscribe", service="killed")
    other.hears("killed", ["10.10.0.1:1", "10.10.0.2:1"])
    one.kill9()
    other.hears("killed", ["10.10.0.2:1"], GRACE + 3)
    resolves(server, "killed", ["10.10.0.2"])


def test_a_frozen_client_is_gone_within_15_s(server, connect):
    one, stays = connect(server), connect(server)
    one.call("register", service="frozen", ip="10.11.0.1", port=1)
    stays.call("register", service="frozen", ip="10.11.0.2", port=1)
    one.process.send_signal(19)  # SIGSTOP: the kernel keeps its connection
    started = time.monotonic()
    try:
        resolves(server, "frozen", ["10.11.0.2"], 15)
        assert time.monotonic() - started < 15 * SLOW
    finally:
        one.process.send_signal(18)
    resolves(server, "frozen", ["10.11.0.1", "10.11.0.2"], 45)  # it connects again and registers


def test_a_cut_connection_is_taken_up_again_unseen(server, connect):
    one, other = connect(server), connect(server)
    one.call("register", service="cut", ip="10.12.0.1", port=1)
    other.call("subscribe", service="cut")
    other.hears("cut", ["10.12.0.1:1"])
    before = len(other.pushes["cut"])
    pid = one.process.pid
    cut = subprocess.run(["ss", "-K", "-tn", "dst", "127.0.0.1", "dport", "=", str(server.split(server.ports["grpc"][0])[1])],
                         capture_output=True, text=True)
    assert cut.returncode == 0 and pid, cut.stderr
    end = time.monotonic() + GRACE + 3
    while time.monotonic() < end:
        assert server.addresses(name("cut")) == ["10.12.0.1"]
        time.sleep(0.05)
    assert all(hosts for hosts in other.pushes["cut"][before:]), other.pushes["cut"]


def test_clients_that_are_asked_to_go_come_back_unseen(make_server, connect):
    """Java and Go connect again when they hear of it, Python when it is cut off."""
    server = make_server().start()
    one, other = connect(server), connect(server)
    one.call("register", service="asked", ip="10.14.0.1", port=1)
    other.call("subscribe", service="asked")
    other.hears("asked", ["10.14.0.1:1"])

    def connected():
        return set(server.get("/nacos/v3/admin/core/loader/current").json()["data"])
    before = connected()
    assert len(before) == 2 and server.post("/nacos/v3/admin/core/loader/reloadCurrent", count=0).status == 200

    def moved():
        assert server.addresses(name("asked")) == ["10.14.0.1"]
        return len(connected()) == 2 and not connected() & before
    eventually(moved, 30)
    end = time.monotonic() + GRACE + 3
    while time.monotonic() < end:
        assert server.addresses(name("asked")) == ["10.14.0.1"]
        time.sleep(0.1)
    assert all(other.pushes["asked"]), json.dumps(other.pushes)
    one.call("register", service="asked", ip="10.14.0.1", port=1, weight=4.0)
    assert other.wait(lambda: other.pushes["asked"][-1][0][2] == 4.0, 45), other.pushes


def test_a_restarted_server_is_found_again_and_nobody_sees_an_empty_list(make_server, connect):
    server = make_server().start()
    port = server.http_address[1]
    server.flags["http.listen"] = f"127.0.0.1:{port}"
    one, other = connect(server), connect(server)
    one.call("register", service="restart", ip="10.13.0.1", port=1)
    other.call("subscribe", service="restart")
    other.hears("restart", ["10.13.0.1:1"])
    time.sleep(2)  # into the warm copy
    for _ in range(2):
        server.restart()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert server.addresses(name("restart")) == ["10.13.0.1"]
            time.sleep(0.1)
    assert all(other.pushes["restart"]), json.dumps(other.pushes)
    one.call("register", service="restart", ip="10.13.0.1", port=1, weight=4.0)
    assert other.wait(lambda: other.pushes["restart"][-1][0][2] == 4.0, 15), other.pushes
