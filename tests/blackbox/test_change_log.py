"""The change log: one line of JSON for each change, with the documented members; what is repeated or refused leaves none;
a flood leaves counts; the file is rotated, and opened anew when it was moved away."""
import json
import os
import re
import socket

import pytest
from conftest import eventually, free_port


class Changes:
    def __init__(self, server, name="changes.log"):
        self.server, self.path = server, os.path.join(server.data, name)

    def all(self):
        try:
            with open(self.path) as f:
                return [json.loads(line) for line in f.read().splitlines()]
        except FileNotFoundError:
            return []

    def of(self, service, what=None):
        return [c for c in self.all() if c.get("service") == service and what in (None, c["what"])]

    def wait(self, service, what, count=1):
        return eventually(lambda: (found := self.of(service, what)) and len(found) >= count and found)


@pytest.fixture
def changes(server):
    return Changes(server)


def test_registering_is_told_whole(server, changes):
    server.register("cl-reg", "10.9.0.1", 80, weight="2.5", metadata='{"zone":"a \\"b\\""}')
    c, = changes.wait("cl-reg", "register")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", c["time"])
    assert (c["namespace"], c["group"], c["cluster"], c["ip"], c["port"]) == ("public", "DEFAULT_GROUP", "DEFAULT", "10.9.0.1", 80)
    assert c["before"] is None and c["cause"] == "api" and c["remote"] == "127.0.0.1"
    assert c["after"] == {"healthy": True, "enabled": True, "weight": 2.5, "metadata": {"zone": 'a "b"'}, "cluster": "DEFAULT",
                          "ephemeral": True, "overridden": False}
    assert c["number"] == server.get("/muster/v1/instances", serviceName="cl-reg").json()["number"]
    created, = changes.of("cl-reg", "service_create")
    assert created["cause"] == "api" and created["after"]["ephemeral"] is True


def test_repeats_and_refusals_leave_no_line(server, changes):
    server.register("cl-same", "10.9.0.2", 80)
    server.register("cl-same", "10.9.0.2", 80)
    assert server.post("/nacos/v1/ns/instance", serviceName="cl-same", ip="10.9.0.3", port=99999).status == 400
    server.deregister("cl-same", "10.9.0.99", 80)
    server.deregister("cl-same", "10.9.0.2", 80)
    gone, = changes.wait("cl-same", "deregister")
    assert gone["after"] is None and gone["before"]["weight"] == 1.0 and gone["cause"] == "api"
    assert [c["what"] for c in changes.of("cl-same")] == ["service_create", "register", "deregister"]


def test_an_operators_edit_names_old_and_new(server, changes):
    server.register("cl-edit", "10.9.0.4", 80)
    assert server.put("/nacos/v1/ns/instance", serviceName="cl-edit", ip="10.9.0.4", port=80, weight=7).status == 200
    c, = changes.wait("cl-edit", "weight")
    assert (c["before"]["weight"], c["after"]["weight"], c["cause"]) == (1.0, 7.0, "operator")
    assert (c["before"]["overridden"], c["after"]["overridden"]) == (False, True)
    assert server.put("/nacos/v1/ns/instance", serviceName="cl-edit", ip="10.9.0.4", port=80, weight=7, enabled="false").status == 200
    c, = changes.wait("cl-edit", "enabled")
    assert (c["before"], c["after"]) == ({"enabled": True}, {"enabled": False})
    assert server.put("/nacos/v1/ns/instance", serviceName="cl-edit", ip="10.9.0.5", port=80, weight=3).status == 200
    c, = changes.wait("cl-edit", "override")
    assert (c["ip"], c["before"], c["after"]["weight"]) == ("10.9.0.5", None, 3.0)


def test_an_expiry_says_how_long_there_was_silence(server, changes):
    times = '{"preserved.heart.beat.timeout":300,"preserved.ip.delete.timeout":600,"preserved.heart.beat.interval":100}'
    server.register("cl-beat", "10.9.0.6", 80, metadata=times)
    flip, = changes.wait("cl-beat", "health")
    assert (flip["before"], flip["after"], flip["cause"]) == ({"healthy": True}, {"healthy": False}, "beat_expired")
    assert 300 < flip["silent_ms"] < 20000
    gone, = changes.wait("cl-beat", "deregister")
    assert gone["cause"] == "beat_expired" and gone["silent_ms"] > 600


def test_a_beat_that_brings_health_back_is_its_cause(server, changes):
    times = '{"preserved.heart.beat.timeout":300,"preserved.ip.delete.timeout":60000,"preserved.heart.beat.interval":100}'
    server.register("cl-back", "10.9.0.7", 80, metadata=times)
    changes.wait("cl-back", "health")
    assert server.put("/nacos/v1/ns/instance/beat", serviceName="cl-back", ip="10.9.0.7", port=80).status == 200
    back = next(c for c in changes.wait("cl-back", "health", 2) if c["after"]["healthy"])
    assert back["cause"] == "beat" and back["remote"] == "127.0.0.1"


def test_a_probes_verdict_has_its_reason(server, changes):
    server.register("cl-probe", "127.0.0.1", free_port(), ephemeral="false")
    down, = changes.wait("cl-probe", "health")
    assert (down["cause"], down["reason"], down["after"]) == ("probe", "connect refused", {"healthy": False})


def test_services_namespaces_and_switches_have_lines(server, changes):
    assert server.post("/nacos/v1/ns/service", serviceName="cl-svc", protectThreshold=0.5).status == 200
    assert server.put("/nacos/v1/ns/service", serviceName="cl-svc", protectThreshold=0.7).status == 200
    assert server.delete("/nacos/v1/ns/service", serviceName="cl-svc").status == 200
    update, = changes.wait("cl-svc", "service_update")
    assert (update["before"], update["after"], update["cause"]) == ({"protectThreshold": 0.5}, {"protectThreshold": 0.7}, "operator")
    gone, = changes.wait("cl-svc", "service_delete")
    assert gone["after"] is None
    server.post("/nacos/v1/console/namespaces", customNamespaceId="cl-ns", namespaceName="one", namespaceDesc="d")
    server.put("/nacos/v1/console/namespaces", namespace="cl-ns", namespaceShowName="two", namespaceDesc="d")
    server.delete("/nacos/v1/console/namespaces", namespaceId="cl-ns")
    lines = eventually(lambda: (f := [c for c in changes.all() if c.get("namespace") == "cl-ns"]) and len(f) == 3 and f)
    assert [c["what"] for c in lines] == ["namespace_create", "namespace_update", "namespace_delete"]
    assert (lines[1]["before"]["name"], lines[1]["after"]["name"]) == ("one", "two")
    server.put("/nacos/v1/ns/operator/switches", entry="clientBeatInterval", value="6000")
    switch = eventually(lambda: [c for c in changes.all() if c["what"] == "switch"])[0]
    assert (switch["entry"], switch["before"], switch["after"]) == ("clientBeatInterval", 5000, 6000)
    server.put("/nacos/v1/ns/operator/switches", entry="clientBeatInterval", value="5000")


def test_a_checkers_password_is_not_told(server, changes):
    server.register("cl-sql", "10.9.0.8", 3306, ephemeral="false")
    checker = json.dumps({"type": "MYSQL", "user": "root", "pwd": "hunter22", "cmd": "select 1"})
    assert server.put("/nacos/v1/ns/cluster", serviceName="cl-sql", clusterName="DEFAULT", checkPort=3306,
                      useInstancePort4Check="true", healthChecker=checker).status == 200
    line, = changes.wait("cl-sql", "service_update")
    assert line["after"]["clusters"][0]["checker"] == "MYSQL" and "hunter22" not in open(changes.path).read()


def test_a_cluster_that_a_publisher_makes_is_told_alone(server, changes):
    for i, cluster in enumerate(["a", "b"]):
        server.register("cl-clusters", f"10.9.2.{i}", 80, clusterName=cluster)
    line, = changes.wait("cl-clusters", "service_update")
    assert line["cause"] == "api" and line["before"] == {} and [c["name"] for c in line["after"]["clusters"]] == ["b"]


def test_a_restart_is_no_change(make_server):
    server = make_server().start()
    server.register("cl-stay", "10.9.0.9", 80)
    server.register("cl-stay2", "10.9.0.9", 81, ephemeral="false")
    log = Changes(server)
    server.stop()
    before = len(log.all())
    assert before == 4  # the stop writes what waits
    server.start()
    server.register("cl-after", "10.9.0.9", 82)
    log.wait("cl-after", "register")
    assert len(log.all()) == before + 2


def burst(server, count):
    """@count registrations over one connection, pipelined."""
    with socket.create_connection(server.http_address, 20) as s:
        for first in range(0, count, 200):
            s.sendall(b"".join(b"POST /nacos/v1/ns/instance?serviceName=cl-flood&ip=10.8.%d.%d&port=80 HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n"
                               % (i >> 8, i & 255) for i in range(first, first + 200)))
            answers = b""
            while answers.count(b"HTTP/1.1 200") < 200:
                piece = s.recv(65536)
                assert piece
                answers += piece


def test_a_flood_is_counted_and_an_operator_still_heard(make_server):
    server = make_server(log_changes_rate="10").start()
    burst(server, 1000)
    assert server.put("/nacos/v1/ns/instance", serviceName="cl-flood", ip="10.8.0.1", port=80, weight=9).status == 200
    server.stop()
    lines = Changes(server).all()
    told = [c for c in lines if c["what"] == "register"]
    held = sum(c["count"] for c in lines if c["what"] == "held_back")
    assert 40 <= len(told) <= 200
    assert len(told) + held + len([c for c in lines if c["what"] == "service_create"]) == 1001
    assert [c["cause"] for c in lines if c["what"] == "weight"] == ["operator"]


def test_files_are_rotated_and_the_oldest_goes(make_server):
    server = make_server(log_changes_size="4KiB", log_changes_files="3").start()
    log = Changes(server)
    for i in range(60):
        server.register("cl-rot", "10.9.1.1", 1000 + i)
        if i % 5 == 0:
            eventually(lambda: any(c.get("port") == 1000 + i for c in log.all()))
    server.stop()
    assert sorted(f for f in os.listdir(server.data) if f.startswith("changes")) == ["changes.log", "changes.log.1", "changes.log.2"]
    ports = [c["port"] for name in ("changes.log.2", "changes.log.1", "changes.log") for c in Changes(server, name).all() if "port" in c]
    assert ports == list(range(ports[0], 1060))


def test_a_file_that_was_moved_away_is_made_anew(make_server):
    server = make_server().start()
    log = Changes(server)
    server.register("cl-move", "10.9.1.2", 1)
    log.wait("cl-move", "register")
    os.rename(log.path, log.path + ".old")
    server.register("cl-move", "10.9.1.2", 2)
    assert [c["port"] for c in log.wait("cl-move", "register")] == [2]
    os.rename(log.path, log.path + ".old")
    open(log.path, "w").close()  # as logrotate's "create" does
    server.register("cl-move", "10.9.1.2", 3)
    assert [c["port"] for c in log.wait("cl-move", "register")] == [3]


def test_off_writes_nothing_and_a_wrong_path_is_told(make_server):
    server = make_server(log_changes="off").start()
    server.register("cl-off", "10.9.1.3", 1)
    server.stop()
    assert not os.path.exists(os.path.join(server.data, "changes.log"))
    server.start(log_changes="/nowhere/at/all.log")
    server.register("cl-off", "10.9.1.3", 2)
    eventually(lambda: "/nowhere/at/all.log cannot be written" in server.log_text())
