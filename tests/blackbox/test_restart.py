"""Promises 2 and 4: what is there after a stop, a kill -9 and a second start; who may use a data directory."""
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request

import pytest
from conftest import MUSTERD, SLOW, Server, eventually
from grpc_client import Client


def test_persistent_instances_overlays_namespaces_and_settings_survive_kill_9(make_server):
    server = make_server().start()
    server.register("durable", "10.5.0.1", 80, ephemeral="false", weight=3, metadata='{"a":"b"}')
    server.register("durable", "10.5.0.2", 80, ephemeral="false")
    assert server.put("/nacos/v1/ns/instance", serviceName="durable", ip="10.5.0.2", port=80, weight=7, enabled="true", ephemeral="false").text == "ok"
    assert server.post("/nacos/v1/console/namespaces", customNamespaceId="prod", namespaceName="Production", namespaceDesc="d").text == "true"
    assert server.post("/nacos/v1/ns/service", serviceName="made", protectThreshold="0.4", metadata='{"k":"v"}').text == "ok"
    assert server.put("/nacos/v1/ns/operator/switches", entry="check", value="false").text == "ok"
    before = server.get("/nacos/v1/ns/instance/list", serviceName="durable").json()
    server.kill9()
    server.start()
    after = server.get("/nacos/v1/ns/instance/list", serviceName="durable").json()
    key = lambda h: h["ip"]
    assert sorted(after["hosts"], key=key) == sorted(before["hosts"], key=key)
    assert {h["ip"]: h["weight"] for h in after["hosts"]} == {"10.5.0.1": 3.0, "10.5.0.2": 7.0}
    assert after["lastRefTime"] > before["lastRefTime"]
    assert server.addresses("durable.svc.muster.internal") == ["10.5.0.1", "10.5.0.2"]
    assert "prod" in [n["namespace"] for n in server.get("/nacos/v1/console/namespaces").json()["data"]]
    made = server.get("/nacos/v1/ns/service", serviceName="made").json()
    assert made["protectThreshold"] == 0.4 and made["metadata"] == {"k": "v"}
    assert server.get("/nacos/v1/ns/operator/switches").json()["healthCheckEnabled"] is False


def test_every_acknowledged_persistent_write_survives_kills_under_load(make_server):
    server = make_server().start()
    acknowledged, over = [], threading.Event()

    def write(worker):
        i = 0
        while not over.is_set():
            i += 1
            url = f"{server.http}/nacos/v1/ns/instance?serviceName=load{worker}&ip=10.6.{i >> 8}.{i & 255}&port={8000 + worker}&ephemeral=false"
            try:
                with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10) as answer:
                    if answer.read() == b"ok":
                        acknowledged.append((worker, f"10.6.{i >> 8}.{i & 255}"))
            except OSError:
                return

    for _ in range(3):
        over.clear()
        threads = [threading.Thread(target=write, args=(w,)) for w in range(8)]
        for t in threads:
            t.start()
        time.sleep(0.5)
        server.kill9()
        over.set()
        for t in threads:
            t.join()
        server.start()
        for worker in range(8):
            listed = {h["ip"] for h in server.hosts(f"load{worker}")}
            missing = {ip for w, ip in acknowledged if w == worker} - listed
            assert not missing, f"lost: {sorted(missing)[:5]} of {len(acknowledged)}"
    assert len(acknowledged) > 50


@pytest.mark.alone  # heartbeats of seconds
def test_ephemeral_instances_answer_at_once_after_kill_9_and_expire_only_after_a_fresh_grace(make_server):
    server = make_server().start()
    times = {"preserved.heart.beat.interval": "1000", "preserved.heart.beat.timeout": "4000", "preserved.ip.delete.timeout": "6000"}
    for i in range(1, 6):
        server.register("warm", f"10.7.0.{i}", 80, metadata=json.dumps(times))
    number = server.get("/nacos/v1/ns/instance/list", serviceName="warm").json()["lastRefTime"]
    time.sleep(2.2)  # what the promise needs: acknowledged more than 2 s before the kill
    server.kill9()
    time.sleep(3)  # the dead server's time is not the instances'
    server.start()
    begun = time.monotonic()
    assert len(server.addresses("warm.svc.muster.internal")) == 5
    again = server.get("/nacos/v1/ns/instance/list", serviceName="warm").json()
    assert len(again["hosts"]) == 5 and all(h["healthy"] for h in again["hosts"])
    assert again["lastRefTime"] > number
    while time.monotonic() - begun < 2:
        assert len(server.addresses("warm.svc.muster.internal")) == 5
        time.sleep(0.1)
    eventually(lambda: not server.hosts("warm"), 10)
    assert time.monotonic() - begun < 9 * SLOW


def test_what_was_restored_stays_its_clients_own_when_an_operator_edits_it(make_server):
    server = make_server().start()
    assert Client(server).set_up().register("edited", ip="10.8.0.1")[1]["success"]

    def edit(weight):
        assert server.put("/nacos/v1/ns/instance", serviceName="edited", ip="10.8.0.1", port=80, weight=weight, enabled="true").text == "ok"

    def publisher():
        return server.get("/muster/v1/explain", serviceName="edited").json()["instances"][0]["publisher"]

    edit(2)
    registered = publisher()["registeredMs"]
    server.restart()
    edit(3)
    assert publisher()["kind"] == "restored" and publisher()["registeredMs"] == registered
    assert publisher()["expiresInMs"] > 15000  # connections have more time to come back than heartbeats
    said = Client(server).set_up().ask("InstanceRequest", {"namespace": "public", "serviceName": "edited", "groupName": "DEFAULT_GROUP",
                                                           "type": "deregisterInstance", "instance": {"ip": "10.8.0.1", "port": 80}})
    assert said[1]["success"] and server.hosts("edited") == []


@pytest.mark.alone  # heartbeats of seconds
def test_a_heartbeat_keeps_an_instance_and_silence_removes_it_in_time(server):
    times = {"preserved.heart.beat.interval": "1000", "preserved.heart.beat.timeout": "2000", "preserved.ip.delete.timeout": "4000"}
    for ip in ("10.8.0.1", "10.8.0.2"):
        server.register("beating", ip, 80, metadata=json.dumps(times))
    begun, unhealthy, removed = time.monotonic(), None, None
    while removed is None and time.monotonic() - begun < 10 * SLOW:
        beat = {"ip": "10.8.0.1", "port": 80, "serviceName": "DEFAULT_GROUP@@beating", "cluster": "DEFAULT"}
        answer = server.put("/nacos/v1/ns/instance/beat", serviceName="DEFAULT_GROUP@@beating", beat=json.dumps(beat)).json()
        assert answer["code"] == 10200 and answer["clientBeatInterval"] == 1000
        hosts = {h["ip"]: h["healthy"] for h in server.hosts("beating")}
        assert hosts["10.8.0.1"] is True
        now = time.monotonic() - begun
        if unhealthy is None and hosts.get("10.8.0.2") is False:
            unhealthy = now
            assert server.addresses("beating.svc.muster.internal") == ["10.8.0.1"]
        if "10.8.0.2" not in hosts:
            removed = now
        time.sleep(0.1)
    assert 2.0 <= unhealthy <= 3.0 + SLOW and 4.0 <= removed <= 5.0 + SLOW, (unhealthy, removed)
    light = server.put("/nacos/v1/ns/instance/beat", serviceName="beating", ip="10.8.0.2", port=80)
    assert light.json()["code"] == 20404


def test_a_second_start_on_the_same_directory_is_refused_with_the_pid(make_server):
    server = make_server().start()
    second = subprocess.run([MUSTERD, f"--server.data_dir={server.data}", "--http.listen=127.0.0.1:0", "--dns.listen=127.0.0.1:0"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20 * SLOW)
    assert second.returncode == 1 and str(server.process.pid) in second.stdout, second.stdout
    assert server.get("/health").status == 200
    assert os.path.exists(os.path.join(server.data, "ports.json"))


def test_a_taken_port_is_told_with_its_holder(make_server):
    server = make_server().start()
    other = Server(dns_listen=f"127.0.0.1:{server.dns[1]}").start(wait=False)
    assert other.process.wait(20 * SLOW) == 1
    text = other.log_text()
    other.process = None
    other.close()
    assert f"127.0.0.1:{server.dns[1]}" in text and f"pid {server.process.pid}" in text, text


def test_sigterm_and_sigint_end_with_status_0_and_leave_no_ports_file(make_server):
    for number in (signal.SIGTERM, signal.SIGINT):
        server = make_server().start()
        server.register("last", "10.1.1.9", 80)
        server.process.send_signal(number)
        assert server.process.wait(15 * SLOW) == 0, server.log_text()
        assert not os.path.exists(os.path.join(server.data, "ports.json"))
        server.start()
        assert server.addresses("last.svc.muster.internal") == ["10.1.1.9"]  # the orderly stop wrote the warm copy
        server.stop()


def test_health_tells_when_it_serves(server):
    reply = server.get("/health")
    assert reply.status == 200, reply
    metrics = server.get("/metrics").text
    assert "muster_build_info{" in metrics
    assert "# TYPE muster_" in metrics
