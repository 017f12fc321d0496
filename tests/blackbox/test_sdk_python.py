"""The official Python SDK over HTTP (nacos-sdk-python 1.0.0 from PyPI), unchanged: what it does shows in DNS at once.

It is installed into a virtual environment of the test's own. Where the package index is out of reach the tests are skipped, unless CI=true.
"""
import json
import os
import subprocess
import sys
import time

import pytest
from conftest import SLOW, eventually

PACKAGE = "nacos-sdk-python==1.0.0"

# Runs inside the environment: one call per line, [function, arguments, keywords]; events of the subscription are kept.
DRIVER = r"""
import json, logging, sys
import nacos
events = []
client = nacos.NacosClient(sys.argv[1], namespace=sys.argv[2], logDir=sys.argv[3])
def listener(event, instance):
    events.append([event, instance.instance["ip"], instance.instance["weight"]])
def subscribe(service, interval):
    from nacos.listener import SubscribeListener
    client.subscribe(SubscribeListener(fn=listener, listener_name="test"), interval, service)
own = {"subscribe": subscribe, "events": lambda: events, "stop_subscribe": lambda: client.stop_subscribe()}
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    name, args, keywords = json.loads(line)
    try:
        answer = (own.get(name) or getattr(client, name))(*args, **keywords)
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
"""


def out_of_reach(why):
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def sdk(tmp_path_factory):
    """The environment's interpreter."""
    top = tmp_path_factory.mktemp("sdk")
    made = subprocess.run([sys.executable, "-m", "venv", str(top / "venv")], capture_output=True, text=True)
    if made.returncode != 0:
        out_of_reach(f"no virtual environment (is python3-venv installed?): {(made.stdout + made.stderr).strip()[-300:]}")
    python = str(top / "venv" / "bin" / "python")
    try:
        got = subprocess.run([python, "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check", "--retries", "1", "--timeout", "10", PACKAGE],
                             capture_output=True, text=True, timeout=90)
    except subprocess.TimeoutExpired:
        out_of_reach(f"{PACKAGE}: the package index does not answer")
    if got.returncode != 0:
        out_of_reach(f"{PACKAGE} cannot be installed: {got.stderr.strip()[-300:]}")
    return python


class Sdk:
    def __init__(self, python, server, directory, namespace="public"):
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.process = subprocess.Popen([python, "-c", DRIVER, "%s:%d" % server.http_address, namespace, str(directory)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=str(directory), env=environment)
        assert self.read() == "ready"

    def read(self):
        line = self.process.stdout.readline()
        assert line, f"the SDK's process ended with {self.process.wait(10)}"
        return json.loads(line)

    def call(self, name, *args, **keywords):
        self.process.stdin.write(json.dumps([name, args, keywords]) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def open_sdk(sdk, server, tmp_path):
    made = []

    def make(**more):
        made.append(Sdk(sdk, server, tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def name(service):
    return f"{service}.svc.muster.internal"


def test_every_step_of_the_sdk_shows_in_dns(server, open_sdk):
    client, at = open_sdk(), {"cluster_name": "DEFAULT"}
    assert client.call("add_naming_instance", "py", "10.70.0.1", 8080, metadata={"v": "1"}, **at) is True
    assert server.addresses(name("py")) == ["10.70.0.1"]
    assert client.call("add_naming_instance", "py", "10.70.0.2", 8080, weight=2.0, **at) is True
    assert server.addresses(name("py")) == ["10.70.0.1", "10.70.0.2"]
    listed = client.call("list_naming_instance", "py")
    assert sorted((h["ip"], h["port"], h["weight"], h["healthy"]) for h in listed["hosts"]) == [("10.70.0.1", 8080, 1.0, True), ("10.70.0.2", 8080, 2.0, True)]
    assert listed["name"] == "DEFAULT_GROUP@@py"
    one = client.call("get_naming_instance", "py", "10.70.0.1", 8080, cluster_name="DEFAULT")
    assert (one["ip"], one["weight"], one["metadata"]) == ("10.70.0.1", 1.0, {"v": "1"})

    assert client.call("modify_naming_instance", "py", "10.70.0.1", 8080, weight=0, **at) is True  # never chosen
    assert server.addresses(name("py")) == ["10.70.0.2"]
    assert client.call("modify_naming_instance", "py", "10.70.0.1", 8080, weight=5, metadata={"v": "2"}, **at) is True
    assert server.addresses(name("py")) == ["10.70.0.1", "10.70.0.2"]
    assert client.call("get_naming_instance", "py", "10.70.0.1", 8080, cluster_name="DEFAULT")["metadata"] == {"v": "2"}
    assert client.call("modify_naming_instance", "py", "10.70.0.1", 8080, enable=False, **at) is True
    assert server.addresses(name("py")) == ["10.70.0.2"]
    assert [h["ip"] for h in client.call("list_naming_instance", "py")["hosts"]] == ["10.70.0.2"]

    assert client.call("remove_naming_instance", "py", "10.70.0.2", 8080, **at) is True
    assert server.addresses(name("py")) == []
    answer = server.dig(name("py"))
    assert answer.rcode() == 0  # the service is still there: no data, not no such name


def test_beats_of_the_sdk(server, open_sdk):
    client = open_sdk(namespace="dev")
    answer = client.call("send_heartbeat", "py-beat", "10.70.1.1", 8080, cluster_name="DEFAULT", metadata={"k": "v"})
    assert answer["code"] == 10200 and answer["clientBeatInterval"] == 5000  # a full beat registers
    assert server.addresses("py-beat.default.dev.ns.muster.internal") == ["10.70.1.1"]
    assert client.call("send_heartbeat", "py-beat", "10.70.1.1", 8080, cluster_name="DEFAULT")["code"] == 10200
    assert client.call("list_naming_instance", "py-beat")["hosts"][0]["metadata"] == {"k": "v"}


@pytest.mark.alone  # heartbeats of a second
def test_an_instance_lives_as_long_as_its_process_beats(server, open_sdk):
    client = open_sdk()
    times = {"preserved.heart.beat.interval": "300", "preserved.heart.beat.timeout": str(1500 * SLOW), "preserved.ip.delete.timeout": str(2000 * SLOW)}
    assert client.call("add_naming_instance", "py-life", "10.70.2.1", 8080, cluster_name="DEFAULT", metadata=times, heartbeat_interval=0.3) is True

    def age():
        instances = server.get("/muster/v1/instances", serviceName="py-life").json()["instances"]
        return instances[0]["lastBeatAgeMs"] if instances else None
    registered = server.get("/muster/v1/instances", serviceName="py-life").json()["instances"][0]["registeredMs"]

    def beaten_past_its_time():
        listed = server.hosts("py-life")
        assert listed and listed[0]["healthy"]
        return time.time() * 1000 - registered > 2500 * SLOW
    assert eventually(beaten_past_its_time)
    assert age() < 1500 * SLOW and server.addresses(name("py-life")) == ["10.70.2.1"]
    client.process.kill()  # no goodbye
    assert eventually(lambda: server.addresses(name("py-life")) == [])
    assert eventually(lambda: server.hosts("py-life") == [])


def test_a_subscription_of_the_sdk_sees_the_changes(server, open_sdk):
    client = open_sdk()
    client.call("add_naming_instance", "py-sub", "10.70.3.1", 8080, cluster_name="DEFAULT")
    answer = client.call("subscribe", "py-sub", 0.1)
    assert answer is None, answer
    eventually(lambda: client.call("events") is not None)
    client.call("add_naming_instance", "py-sub", "10.70.3.2", 8080, cluster_name="DEFAULT")
    assert eventually(lambda: any(e[1] == "10.70.3.2" for e in client.call("events")))
    client.call("modify_naming_instance", "py-sub", "10.70.3.2", 8080, weight=3, cluster_name="DEFAULT")
    assert eventually(lambda: any(e[1:] == ["10.70.3.2", 3.0] for e in client.call("events")))
    count = len(client.call("events"))
    client.call("remove_naming_instance", "py-sub", "10.70.3.2", 8080, cluster_name="DEFAULT")
    assert eventually(lambda: len(client.call("events")) > count)
    client.call("stop_subscribe")
