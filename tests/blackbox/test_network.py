"""gRPC clients whose network, or whose process, stops: who falls silent is gone within 15 s, who answers is never removed."""
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import HERE, SLOW, SOAK, eventually
from grpc_client import Client
from network import network  # noqa: F401: a fixture

SILENT = 15 if SLOW == 1 else 20  # seconds, until who fell silent is out of every answer

# A client in a process of its own, which answers until it is stopped.
PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
from grpc_client import Client
class At:
    ports = {"grpc": [sys.argv[2]]}
    split = staticmethod(lambda a: (a.rpartition(":")[0], int(a.rpartition(":")[2])))
c = Client(At).set_up()
c.register(sys.argv[3], ip=sys.argv[4])
print("registered", flush=True)
while True:
    kind, said = c.hear(60)
    c.say("ClientDetectionResponse", {"resultCode": 200, "requestId": said["requestId"]})
"""


class Answering(threading.Thread):
    """Keeps a client alive as SDKs do: a health check every @pause seconds, answers to whatever is asked on the stream."""

    def __init__(self, clients, pause=5.0):
        super().__init__(daemon=True)
        self.clients, self.pause, self.stopping, self.failure, self.checks = clients, pause, threading.Event(), None, 0

    def run(self):
        try:
            while not self.stopping.is_set():
                for c in self.clients:
                    assert c.ask("HealthCheckRequest")[1]["success"] is True
                    self.checks += 1
                self.stopping.wait(self.pause)
        except Exception as e:  # told by end()
            self.failure = e

    def end(self):
        self.stopping.set()
        self.join(60)
        assert self.failure is None, repr(self.failure)


def metric(server, name):
    return float(re.search(rf"^{re.escape(name)} (\S+)$", server.get("/metrics").text, re.M)[1])


def served_at(make_server, address, **flags):
    """A server that also listens at @address; its gRPC port there."""
    server = make_server(http_listen=f"127.0.0.1:0, {address}:0", http_allow="127.0.0.0/8, 198.18.0.0/15", **flags).start()
    server.far = [server.split(a) for a in server.ports["grpc"] if server.split(a)[0] == address][0]
    return server


def connect_from(net, server):
    """A client in the other namespace."""
    class Far:
        ports = {"grpc": [f"{server.far[0]}:{server.far[1]}"]}
        split = staticmethod(server.split)

    return net.inside(lambda: Client(Far)).set_up()


@pytest.mark.alone  # time-outs of a second
def test_who_is_unplugged_or_frozen_is_out_of_every_answer_within_15_seconds(make_server, network):  # noqa: F811
    network.plug()
    server = served_at(make_server, network.here)
    unplugged, stays, watcher = connect_from(network, server), Client(server).set_up(), Client(server).set_up()
    unplugged.register("silent", ip="10.0.0.1")
    stays.register("silent", ip="10.0.0.3")
    frozen = subprocess.Popen([sys.executable, "-c", PROCESS, HERE, server.ports["grpc"][0], "silent", "10.0.0.2"],
                              stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        assert frozen.stdout.readline() == "registered\n"
        assert len(watcher.subscribe("silent")[1]["serviceInfo"]["hosts"]) == 3
        living = Answering([stays], pause=1)
        living.start()
        started = time.monotonic()
        frozen.send_signal(signal.SIGSTOP)
        network.pull()
        hosts = 3
        while hosts > 1:
            assert time.monotonic() - started < SILENT, hosts
            kind, said = watcher.hear(SILENT)
            if kind == "NotifySubscriberRequest":
                hosts = len(said["serviceInfo"]["hosts"])
            watcher.say("NotifySubscriberResponse" if kind == "NotifySubscriberRequest" else "ClientDetectionResponse",
                        {"resultCode": 200, "requestId": said["requestId"]})
        took = time.monotonic() - started
        assert [h["ip"] for h in server.hosts("silent")] == ["10.0.0.3"]
        assert server.addresses("silent.svc.muster.internal") == ["10.0.0.3"]
        assert 5 < took < SILENT, took
        living.end()
    finally:
        frozen.kill()
        frozen.wait()
        for c in (unplugged, stays, watcher):
            c.close()


def test_who_answered_while_the_server_stood_still_is_not_removed(make_server):
    server = make_server(health_connection_idle="1s", health_connection_probe="3s").start()
    client = Client(server).set_up()
    client.register("still", ip="10.0.0.1")
    kind, said = client.hear()
    assert kind == "ClientDetectionRequest"
    server.process.send_signal(signal.SIGSTOP)  # a suspended machine, or a busy one
    client.say("ClientDetectionResponse", {"resultCode": 200, "requestId": said["requestId"]})
    time.sleep(4)  # the answer lies there for longer than the server would have waited for it
    server.process.send_signal(signal.SIGCONT)
    assert client.ask("HealthCheckRequest")[1]["success"] is True
    assert len(server.hosts("still")) == 1 and metric(server, "muster_grpc_connections_evicted_total") == 0
    eventually(lambda: metric(server, "muster_grpc_connections_evicted_total") == 1)  # now it is silent
    client.close()


@pytest.mark.plain_only  # what it had to wait for is a matter of seconds
def test_who_comes_back_once_the_server_no_longer_stands_still_has_not_left(make_server):
    server = make_server(health_reconnect_grace="3s").start()
    first, watcher = Client(server).set_up(), Client(server).set_up()
    first.register("still-back", ip="10.0.0.1")
    number = watcher.subscribe("still-back")[1]["serviceInfo"]["lastRefTime"]
    connections = metric(server, "muster_grpc_connections")
    first.close()
    eventually(lambda: metric(server, "muster_grpc_connections") == connections - 1)
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(6)  # the grace ends meanwhile
    server.process.send_signal(signal.SIGCONT)
    second = Client(server).set_up()
    second.register("still-back", ip="10.0.0.1")
    time.sleep(3.5)  # the grace has ended again
    assert len(server.hosts("still-back")) == 1
    assert watcher.subscribe("still-back")[1]["serviceInfo"]["lastRefTime"] == number
    second.close()
    eventually(lambda: server.hosts("still-back") == [])
    watcher.close()


@pytest.mark.plain_only  # a sanitizer sees nothing here that it does not see elsewhere
def test_nobody_who_answers_is_removed_at_five_percent_loss(make_server, network):  # noqa: F811
    network.plug_lossy(0.05)
    server = served_at(make_server, network.here)
    clients = [connect_from(network, server) for _ in range(10)]
    for n, c in enumerate(clients):
        c.register("lossy", ip=f"10.0.1.{n}")
    watcher = Client(server).set_up()
    number = watcher.subscribe("lossy")[1]["serviceInfo"]["lastRefTime"]
    living = [Answering([c]) for c in clients]  # each at its own pace, as clients are
    for one in living:
        one.start()
    end = time.monotonic() + (180 if SOAK else 12)
    while time.monotonic() < end:
        assert len(server.hosts("lossy")) == 10
        watcher.ask("HealthCheckRequest")
        time.sleep(0.5)  # the pace of looking
    for one in living:
        one.end()
    assert network.forwarder.lost > 10 and sum(one.checks for one in living) >= 20
    assert watcher.subscribe("lossy")[1]["serviceInfo"]["lastRefTime"] == number  # nobody left, not even for a moment
    assert metric(server, "muster_grpc_connections_evicted_total") == 0
    for c in (watcher, *clients):
        c.close()


# ---- connections that are cut, and clients that come back

class Proxy(threading.Thread):
    """Between a client and the server, until it is cut: then it takes everything and passes nothing on."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.target, self.cut, self.sockets = server.split(server.ports["grpc"][0]), threading.Event(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        try:
            client, _ = self.listener.accept()
        except OSError:
            return  # not used
        server = socket.create_connection(self.target)
        self.sockets = [client, server]
        threading.Thread(target=self.pump, args=(server, client), daemon=True).start()
        self.pump(client, server)

    def pump(self, source, to):
        try:
            while piece := source.recv(65536):
                if not self.cut.is_set():
                    to.sendall(piece)
        except OSError:
            pass

    def close(self):
        for one in (self.listener, *self.sockets):
            one.close()


@pytest.mark.alone  # time-outs of a second
@pytest.mark.parametrize("how", ["end", "reset", "dropped"])
def test_a_client_whose_connection_is_cut_and_that_comes_back_has_not_left(make_server, how):
    server = make_server(health_reconnect_grace="1s", health_connection_idle="1s", health_connection_probe="1s").start()
    proxy = Proxy(server)
    first, watcher = Client(server, port=proxy.port if how == "dropped" else None).set_up(), Client(server).set_up()
    living = Answering([watcher], pause=0.3)
    first.register("cut", ip="10.0.0.1")
    number = watcher.subscribe("cut")[1]["serviceInfo"]["lastRefTime"]
    connections = metric(server, "muster_grpc_connections")
    living.start()
    if how == "dropped":
        proxy.cut.set()  # the server learns of it when its question stays unanswered
    else:
        if how == "reset":
            first.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        first.close()
        eventually(lambda: metric(server, "muster_grpc_connections") == connections - 1)
    second = Client(server).set_up()
    again = Answering([second], pause=0.3)
    second.register("cut", ip="10.0.0.1")
    again.start()
    eventually(lambda: metric(server, "muster_grpc_connections") == connections)  # the first one is gone, however it ended
    assert metric(server, "muster_grpc_connections_evicted_total") == (how == "dropped")
    end = time.monotonic() + 1.5  # longer than the grace
    while time.monotonic() < end:
        assert len(server.hosts("cut")) == 1
        time.sleep(0.05)
    again.end()
    living.end()
    assert watcher.subscribe("cut")[1]["serviceInfo"]["lastRefTime"] == number
    second.close()
    eventually(lambda: server.hosts("cut") == [])
    for one in (first, watcher, proxy):
        one.close()
