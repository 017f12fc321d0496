"""What an application does with its SDK, and the DNS answer after each step. An SDK's calls are acknowledged once they
resolve, so that DNS is asked at once behind them; what SDKs do by their own clocks is waited for."""
import json
import time

import pytest
from conftest import eventually, fixed, warm_copy_written
from relay import Relay

GROUP = "DEFAULT_GROUP"


def name(service):
    return f"{service}.svc.muster.internal"


def resolves(server, service, addresses, limit=2):
    eventually(lambda: server.addresses(name(service)) == sorted(addresses), limit)


def resolves_always(server, service, addresses, until, limit):
    """DNS says the same all the time until @until is true."""
    end = time.monotonic() + limit
    while not until():
        assert server.addresses(name(service)) == sorted(addresses)
        assert time.monotonic() < end, f"not within {limit} s"
        time.sleep(0.05)
    assert server.addresses(name(service)) == sorted(addresses)


def weights_pushed(driver, service):
    heard = driver.pushes.get(service)
    return sorted(h[2] for h in heard[-1]) if heard else None


def edit_weight(server, service, ip, weight):
    reply = server.put("/nacos/v1/ns/instance", serviceName=service, ip=ip, port=1, weight=weight, enabled="true")
    assert (reply.status, reply.text) == (200, "ok")


def test_what_was_registered_is_listed_pushed_and_resolved_at_once(server, clients):
    one, other = clients(0), clients(1)
    other.call("subscribe", service="join")
    one.call("register", service="join", ip="10.1.0.1", port=8080, weight=2.0, metadata={"version": "7"})
    assert server.addresses(name("join")) == ["10.1.0.1"]  # acknowledged is resolvable
    other.hears("join", ["10.1.0.1:8080"])
    assert other.call("list", service="join") == [["10.1.0.1", 8080, 2.0, True, {"version": "7"}]]


def test_a_deregistered_instance_leaves_lists_pushes_and_dns(server, clients):
    one, other, two = clients(0), clients(1), clients(2)
    one.call("register", service="leave", ip="10.2.0.1", port=1)
    two.call("register", service="leave", ip="10.2.0.2", port=1)
    other.call("subscribe", service="leave")
    other.hears("leave", ["10.2.0.1:1", "10.2.0.2:1"])
    two.call("deregister", service="leave", ip="10.2.0.2", port=1)
    assert server.addresses(name("leave")) == ["10.2.0.1"]
    other.hears("leave", ["10.2.0.1:1"])


def test_weight_and_metadata_change_by_registering_again(server, clients):
    one, other = clients(0), clients(1)
    one.call("register", service="change", ip="10.3.0.1", port=1, metadata={"v": "1"})
    other.call("subscribe", service="change")
    other.hears("change", ["10.3.0.1:1"])
    one.call("register", service="change", ip="10.3.0.1", port=1, weight=0.5, metadata={"v": "2"})
    assert other.wait(lambda: other.pushes["change"][-1] == [["10.3.0.1", 1, 0.5, True, {"v": "2"}]]), other.pushes
    assert server.addresses(name("change")) == ["10.3.0.1"]


def test_what_an_operator_edits_is_pushed(server, clients):
    one, other = clients(0), clients(1)
    one.call("register", service="edited", ip="10.4.0.1", port=1)
    one_more = clients(2)
    one_more.call("register", service="edited", ip="10.4.0.2", port=1)
    other.call("subscribe", service="edited")
    other.hears("edited", ["10.4.0.1:1", "10.4.0.2:1"])
    edit_weight(server, "edited", "10.4.0.1", 7)
    assert other.wait(lambda: weights_pushed(other, "edited") == [1.0, 7.0]), other.pushes["edited"]
    reply = server.put("/nacos/v1/ns/instance", serviceName="edited", ip="10.4.0.1", port=1, weight=7, enabled="false")
    assert reply.text == "ok"  # out of service: no consumer sees it
    assert server.addresses(name("edited")) == ["10.4.0.2"]
    other.hears("edited", ["10.4.0.2:1"])


def test_a_batch_replaces_the_batch_before(server, clients):
    one, other = clients(0), clients(1)
    other.call("subscribe", service="batch")
    one.call("batch", service="batch", hosts=[["10.5.0.1", 1], ["10.5.0.2", 1], ["10.5.0.3", 1]])
    assert server.addresses(name("batch")) == ["10.5.0.1", "10.5.0.2", "10.5.0.3"]
    other.hears("batch", ["10.5.0.1:1", "10.5.0.2:1", "10.5.0.3:1"])
    one.call("batch", service="batch", hosts=[["10.5.0.3", 1], ["10.5.0.4", 1]])
    assert server.addresses(name("batch")) == ["10.5.0.3", "10.5.0.4"]
    other.hears("batch", ["10.5.0.3:1", "10.5.0.4:1"])


def test_the_health_of_a_persistent_instance_flips_in_pushes_and_dns(server, clients):
    one, other = clients(0), clients(1)
    for ip in ("10.14.0.1", "10.14.0.2"):
        one.call("register", service="flip", ip=ip, port=1, ephemeral=False)
    reply = server.put("/nacos/v1/ns/cluster", serviceName="flip", clusterName="DEFAULT", healthChecker='{"type":"NONE"}',
                       checkPort=1, useInstancePort4Check="true")
    assert reply.text == "ok"

    def told():
        return other.pushes.get("flip") and sorted([h[0], h[3]] for h in other.pushes["flip"][-1])

    def flip(healthy):
        reply = server.put("/nacos/v1/ns/health/instance", serviceName="flip", ip="10.14.0.2", port=1, healthy=healthy)
        assert reply.text == "ok", reply

    flip("true")
    other.call("subscribe", service="flip")
    assert other.wait(lambda: told() == [["10.14.0.1", True], ["10.14.0.2", True]]), other.pushes
    flip("false")
    assert server.addresses(name("flip")) == ["10.14.0.1"]
    assert other.wait(lambda: told() == [["10.14.0.1", True], ["10.14.0.2", False]]), other.pushes
    assert [h[0] for h in other.call("select", service="flip", healthy=True)] == ["10.14.0.1"]
    flip("true")
    assert server.addresses(name("flip")) == ["10.14.0.1", "10.14.0.2"]
    assert other.wait(lambda: told() == [["10.14.0.1", True], ["10.14.0.2", True]]), other.pushes


def test_an_instance_of_no_weight_is_listed_but_never_chosen(server, clients):
    one, two, other = clients(0), clients(2), clients(1)
    one.call("register", service="weight", ip="10.15.0.1", port=1, weight=0.0)
    two.call("register", service="weight", ip="10.15.0.2", port=1, weight=3.0)
    assert sorted(h[:3] for h in other.call("list", service="weight")) == [["10.15.0.1", 1, 0.0], ["10.15.0.2", 1, 3.0]]
    assert [h[0] for h in other.call("select", service="weight")] == ["10.15.0.2"]
    said = other.answer(other.send("one", service="weight"))
    if said["ok"]:
        for _ in range(20):
            assert other.call("one", service="weight")[0][0] == "10.15.0.2"
    else:
        assert "NotImplementedError" in said["error"], said
    assert server.addresses(name("weight")) == ["10.15.0.2"]


def test_clusters_are_told_apart(server, clients):
    one, two, other = clients(0), clients(2), clients(1)
    one.call("register", service="clusters", ip="10.16.0.1", port=1, cluster="east")
    two.call("register", service="clusters", ip="10.16.0.2", port=1, cluster="west")
    assert [h[0] for h in other.call("list", service="clusters", clusters=["west"])] == ["10.16.0.2"]
    assert sorted(h[0] for h in other.call("list", service="clusters")) == ["10.16.0.1", "10.16.0.2"]
    assert server.addresses(name("clusters")) == ["10.16.0.1", "10.16.0.2"]
    assert server.addresses("west.c.clusters.svc.muster.internal") == ["10.16.0.2"]


def test_a_persistent_instance_outlives_its_client(server, clients, connect, sdk):
    one = connect(server)
    one.call("register", service="lasting", ip="10.6.0.1", port=1, ephemeral=False)
    one.call("register", service="lasting-not", ip="10.6.0.2", port=1)
    one.kill9()
    eventually(lambda: server.hosts("lasting-not") == [], sdk.gone + 20)
    assert [h["ip"] for h in server.hosts("lasting")] == ["10.6.0.1"]
    clients(0).call("deregister", service="lasting", ip="10.6.0.1", port=1, ephemeral=False)
    assert server.hosts("lasting") == []


def test_an_unsubscribed_service_is_no_longer_pushed(server, clients):
    one, other = clients(0), clients(1)
    one.call("register", service="quiet", ip="10.7.0.1", port=1)
    other.call("subscribe", service="quiet")
    other.hears("quiet", ["10.7.0.1:1"])
    other.call("unsubscribe", service="quiet")
    one.call("register", service="quiet", ip="10.7.0.1", port=1, weight=3.0)
    one.call("register", service="quiet-end", ip="10.7.0.2", port=1)
    other.call("subscribe", service="quiet-end")
    other.hears("quiet-end", ["10.7.0.2:1"])
    assert all(hosts[0][2] == 1.0 for hosts in other.pushes["quiet"] if hosts)


def test_services_are_listed_by_pages(server, clients):
    one = clients(0)
    for i in range(5):
        one.call("register", service=f"page-{i}", group="PAGES", ip="10.8.0.1", port=1)
    count, names = one.call("services", group="PAGES", page=1, size=3)
    more = one.call("services", group="PAGES", page=2, size=3)
    assert (count, more[0]) == (5, 5)
    assert sorted(names + more[1]) == [f"page-{i}" for i in range(5)]
    assert server.addresses("page-4.pages.public.ns.muster.internal") == ["10.8.0.1"]


def test_namespaces_and_groups_are_kept_apart(server, clients):
    one, other = clients(0), clients(0, "blue")
    one.call("register", service="apart", ip="10.9.0.1", port=1)
    other.call("register", service="apart", ip="10.9.0.2", port=1)
    one.call("register", service="apart", group="G2", ip="10.9.0.3", port=1)
    assert [h[0] for h in one.call("list", service="apart")] == ["10.9.0.1"]
    assert [h[0] for h in other.call("list", service="apart")] == ["10.9.0.2"]
    assert [h[0] for h in one.call("list", service="apart", group="G2")] == ["10.9.0.3"]
    assert server.addresses(name("apart")) == ["10.9.0.1"]
    assert server.addresses("apart.g2.public.ns.muster.internal") == ["10.9.0.3"]


@pytest.mark.fuzzy_watch
def test_services_are_watched_by_a_pattern_of_names(server, clients):
    one, other = clients(0), clients(1)
    for i in range(12):
        one.call("register", service=f"fuzzy-{i:02}", ip="10.17.0.1", port=1)
    keys = other.call("watch", service="fuzzy-*")
    assert keys == [f"public@@{GROUP}@@fuzzy-{i:02}" for i in range(12)]
    one.call("register", service="fuzzy-new", ip="10.17.0.1", port=1)
    assert other.wait(lambda: ("ADD_SERVICE", f"{GROUP}@@fuzzy-new") in other.watched), other.watched
    one.call("deregister", service="fuzzy-new", ip="10.17.0.1", port=1)
    assert other.wait(lambda: ("DELETE_SERVICE", f"{GROUP}@@fuzzy-new") in other.watched), other.watched


def test_a_killed_client_is_gone_after_the_grace(server, clients, connect, sdk):
    one, stays, other = connect(server), clients(2), clients(1)
    one.call("register", service="killed", ip="10.10.0.1", port=1)
    stays.call("register", service="killed", ip="10.10.0.2", port=1)
    other.call("subscribe", service="killed")
    other.hears("killed", ["10.10.0.1:1", "10.10.0.2:1"])
    one.kill9()
    other.hears("killed", ["10.10.0.2:1"], sdk.gone + 20)
    assert server.addresses(name("killed")) == ["10.10.0.2"]


def test_a_frozen_client_is_gone_within_15_s(server, clients, connect, sdk):
    one, stays = connect(server), clients(2)
    one.call("register", service="frozen", ip="10.11.0.1", port=1)
    stays.call("register", service="frozen", ip="10.11.0.2", port=1)
    one.process.send_signal(19)  # SIGSTOP: the kernel keeps its connection
    try:
        resolves(server, "frozen", ["10.11.0.2"], 15)
    finally:
        one.process.send_signal(18)
    resolves(server, "frozen", ["10.11.0.1", "10.11.0.2"], sdk.back + 60)  # it connects again and registers


def test_a_cut_connection_is_taken_up_again_unseen(server, connect, sdk):
    relay = Relay(server)
    try:
        one, other = connect(relay), connect(relay)
        one.call("register", service="cut", ip="10.12.0.1", port=1)
        other.call("subscribe", service="cut")
        other.hears("cut", ["10.12.0.1:1"])
        relay.cut()
        edit_weight(server, "cut", "10.12.0.1", 5)  # told to whoever has subscribed again
        resolves_always(server, "cut", ["10.12.0.1"], lambda: weights_pushed(other, "cut") == [5.0], sdk.back + 60)
        assert all(other.pushes["cut"]), other.pushes["cut"]
    finally:
        relay.close()


def test_clients_that_are_asked_to_go_come_back_unseen(make_server, connect, sdk):
    """Java and Go connect again when they hear of it, others when they are cut off."""
    server = make_server().start()
    one, other = connect(server), connect(server)
    one.call("register", service="asked", ip="10.19.0.1", port=1)
    other.call("subscribe", service="asked")
    other.hears("asked", ["10.19.0.1:1"])

    def connected():
        return set(server.get("/nacos/v3/admin/core/loader/current").json()["data"])
    before = connected()
    assert len(before) == 2 and server.post("/nacos/v3/admin/core/loader/reloadCurrent", count=0).status == 200
    edit_weight(server, "asked", "10.19.0.1", 5)
    resolves_always(server, "asked", ["10.19.0.1"], lambda: weights_pushed(other, "asked") == [5.0] and
                    len(connected()) == 2 and not connected() & before, sdk.back + 60)
    assert all(other.pushes["asked"]), json.dumps(other.pushes)
    again = {"service": "asked", "ip": "10.19.0.1", "port": 1, "metadata": {"by": "the SDK"}}
    eventually(lambda: one.answer(one.send("register", **again))["ok"])  # a call on the channel that Java is closing fails
    assert other.wait(lambda: other.pushes["asked"][-1][0][4] == {"by": "the SDK"}, sdk.back + 60), other.pushes


def is_owned(server, service):
    """Its client has registered it with this server, which does not only remember it."""
    found = server.get("/muster/v1/instances", serviceName=service).json()["instances"]
    return found and not any(instance["restored"] for instance in found)


def restarts(server, one, other, sdk, rounds):
    """@one publishes, @other subscribes, the server restarts: nobody sees an empty list, nothing is lost."""
    one.call("register", service="restart", ip="10.13.0.1", port=1)
    other.call("subscribe", service="restart")
    other.hears("restart", ["10.13.0.1:1"])
    warm_copy_written(server)
    for i in range(rounds):
        server.restart()
        edit_weight(server, "restart", "10.13.0.1", i + 2)
        resolves_always(server, "restart", ["10.13.0.1"], lambda: is_owned(server, "restart") and
                        weights_pushed(other, "restart") == [i + 2.0], sdk.back + 60)
    assert all(other.pushes["restart"]), json.dumps(other.pushes)


def test_a_restarted_server_is_found_again_and_nobody_sees_an_empty_list(make_server, connect, sdk):
    server = fixed(make_server())
    one, other = connect(server), connect(server)
    restarts(server, one, other, sdk, 2)
    one.call("register", service="restart", ip="10.13.0.1", port=1, metadata={"by": "the SDK"})
    assert other.wait(lambda: other.pushes["restart"][-1][0][4] == {"by": "the SDK"}), other.pushes
    one.kill9()  # it owns its instance again: nothing of the time before the restart keeps it
    resolves(server, "restart", [], sdk.gone + 20)


def test_200_services_of_one_process(server, clients, connect, sdk):
    one, other = connect(server), clients(1)
    names = [f"many-{i}" for i in range(200)]
    for asked in [one.send("register", service=n, ip="10.18.0.1", port=1) for n in names]:
        assert one.answer(asked)["ok"]
    assert all(server.addresses(name(n)) == ["10.18.0.1"] for n in names)
    for asked in [other.send("subscribe", service=n) for n in names]:
        assert other.answer(asked)["ok"]
    assert other.wait(lambda: all(other.addresses(n) == ["10.18.0.1:1"] for n in names), 30)
    one.kill9()
    assert other.wait(lambda: all(other.addresses(n) == [] for n in names), sdk.gone + 30), \
        [n for n in names if other.addresses(n) != []]
    assert all(server.addresses(name(n)) == [] for n in names)
