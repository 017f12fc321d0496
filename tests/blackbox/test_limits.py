"""Promise 6: what is bounded, by which setting, what is said at the bound, and that DNS does not feel it."""
import os
import random
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import BUILD, SLOW, SOAK, VARIANT, eventually

pytestmark = pytest.mark.alone  # it measures how long everybody waits

FLEET = os.path.join(BUILD, "tests/bench/fleet")


def fleet(server, *options, limit=60):
    if not os.path.exists(FLEET):
        pytest.skip(f"{FLEET} is not built (make check-programs)")
    done = subprocess.run([FLEET, str(server.http_address[1]), *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=limit * SLOW, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


class Asker(threading.Thread):
    """Asks for a name all the while; @slowest in seconds, and every question has its answer."""

    def __init__(self, server, name, addresses):
        super().__init__(daemon=True)
        self.server, self.name, self.expected = server, name, addresses
        self.over, self.failure, self.times = False, None, []

    def __enter__(self):
        self.start()
        eventually(lambda: len(self.times) > 2)
        return self

    def __exit__(self, *_):
        self.over = True
        self.join()
        if _[0] is None:
            assert self.failure is None, self.failure
            times = sorted(self.times)
            # the test's own thread may wait for Python and for the machine: this is a bound against stalls
            assert times[len(times) * 9 // 10] < 0.1 * SLOW and times[-1] < 2 * SLOW, (times[len(times) * 9 // 10], times[-1])

    def run(self):
        while not self.over and self.failure is None:
            begun = time.monotonic()
            try:
                found = self.server.addresses(self.name)
                if found != self.expected:
                    self.failure = f"{self.name}: {found}"
            except Exception as e:  # noqa: BLE001 - a timeout is a finding
                self.failure = repr(e)
            self.times.append(time.monotonic() - begun)
            time.sleep(0.02)


def checks_off(server):
    assert server.put("/nacos/v1/ns/operator/switches", entry="check", value="false").text == "ok"


def rss_kib(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def test_a_very_large_service(make_server):
    count = 100000 if SOAK else 6000
    server = make_server(limits_instances_per_service=count).start()
    checks_off(server)
    server.register("other", "10.7.7.7", 80)
    with Asker(server, "other.svc.muster.internal", ["10.7.7.7"]):
        fleet(server, "register", "-s", 1, "-i", count, "-m", "-x", "-c", 64, "-d", 64, limit=300 if SOAK else 60)
        reply = server.post("/nacos/v1/ns/instance", serviceName="s00000", ip="10.99.0.1", port=80)
        assert reply.status >= 400 and "limits.instances_per_service" in reply.text and str(count) in reply.text, reply
        begun = time.monotonic()
        for weight in (2, 3, 4):  # a change waits for the pace of such a service, and no longer
            server.register("s00000", "10.0.0.1", 8080, weight=weight)
        assert time.monotonic() - begun < 5 * SLOW
        hosts = server.hosts("s00000")
        assert len(hosts) == count and len({h["ip"] for h in hosts}) == count
        for tcp in (False, True):
            answer = server.addresses("s00000.svc.muster.internal", tcp=tcp)
            assert 1 <= len(answer) <= 16 and all(a.startswith("10.") for a in answer)


def test_very_many_services(make_server):
    count = 100000 if SOAK else 3000
    server = make_server(limits_services=count).start()
    checks_off(server)
    fleet(server, "register", "-s", 1, "-i", 1)
    with Asker(server, "s00000.svc.muster.internal", ["10.0.0.1"]):
        fleet(server, "register", "-s", count, "-i", 1, limit=120)
        reply = server.post("/nacos/v1/ns/instance", serviceName="one-more", ip="10.99.0.1", port=80)
        assert reply.status >= 400 and "limits.services" in reply.text and str(count) in reply.text, reply
        assert server.get("/nacos/v1/ns/service/list", pageNo=1, pageSize=10).json()["count"] == count
        for n in random.sample(range(count), 20):
            assert server.addresses(f"s{n:05d}.svc.muster.internal") == [f"10.{n + 1 >> 16}.{n + 1 >> 8 & 255}.{n + 1 & 255}"]


def test_very_many_idle_connections(make_server):
    count = 10000 if SOAK else 400
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        pytest.skip(f"only {hard} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    server = make_server(http_connections=count).start()
    server.register("idle", "10.7.7.8", 80)  # over the first connection
    idle = []
    try:
        with Asker(server, "idle.svc.muster.internal", ["10.7.7.8"]):
            idle = [socket.create_connection(server.http_address, 10) for _ in range(count - 1)]
            with socket.create_connection(server.http_address, 10) as more:
                refusal = more.makefile("rb").read().decode()
            assert refusal.startswith("HTTP/1.1 503 ") and "http.connections" in refusal
            assert len(server.hosts("idle")) == 1  # those who are in are served
            idle.pop().close()
            eventually(lambda: served(server))
    finally:
        for s in idle:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def served(server):
    with socket.create_connection(server.http_address, 10) as s:
        s.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        try:
            return s.makefile("rb").readline().startswith(b"HTTP/1.1 200")
        except ConnectionError:
            return False


def test_too_many_connections_of_one_address(make_server):
    server = make_server(http_connections_per_address=5).start()
    server.get("/health")
    idle = [socket.create_connection(server.http_address, 10) for _ in range(4)]
    with socket.create_connection(server.http_address, 10) as more:
        refusal = more.makefile("rb").read().decode()
    assert refusal.startswith("HTTP/1.1 503 ") and "http.connections_per_address" in refusal
    head, body = refusal.split("\r\n\r\n")
    assert f"Content-Length: {len(body)}" in head
    for s in idle:
        s.close()


def test_a_slow_reader_that_asks_for_much_is_waited_for(make_server):
    server = make_server(http_max_output="3MiB").start()
    for n in range(200):
        server.register("big", f"10.7.1.{n}", 80, ephemeral="false", metadata='{"text":"%s"}' % ("x" * 500))
    length = len(server.get("/nacos/v1/ns/instance/list", serviceName="big").body)
    count = 12 * (1 << 20) // length  # four times what may wait
    with socket.create_connection(server.http_address, 10) as s:
        s.sendall(b"GET /nacos/v1/ns/instance/list?serviceName=big HTTP/1.1\r\nHost: a\r\n\r\n" * count)
        time.sleep(0.3)  # not a byte is read; what is late is late by our own doing
        stream = s.makefile("rb")
        for _ in range(count):
            assert stream.readline().startswith(b"HTTP/1.1 200")
            while stream.readline().strip():
                pass
            assert len(stream.read(length)) == length


@pytest.mark.parametrize("by", ["max_output", "write_timeout"])
def test_a_client_that_never_reads(make_server, by):
    limits = {"http_max_output": "256KiB"} if by == "max_output" else {"http_write_timeout": "1s", "http_max_output": "1GiB"}
    server = make_server(**limits).start()
    checks_off(server)
    for n in range(200):
        server.register("big", f"10.7.1.{n}", 80, metadata='{"text":"%s"}' % ("x" * 500))
    server.register("quiet", "10.7.7.9", 80)
    before = rss_kib(server)
    with Asker(server, "quiet.svc.muster.internal", ["10.7.7.9"]):
        cut_off = 0
        for _ in range(3):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(server.http_address)
            s.settimeout(0.2)
            end = time.monotonic() + 15 * SLOW
            while time.monotonic() < end:
                try:
                    s.sendall(b"GET /nacos/v1/ns/instance/list?serviceName=big HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
                except socket.timeout:  # it is not read from any more
                    continue
                except ConnectionError:
                    cut_off += 1
                    break
            s.close()
        assert cut_off == 3, "it was never cut off"
        assert len(server.hosts("big")) == 200
    if VARIANT == "plain":
        assert rss_kib(server) - before < 64 << 10


def test_more_commands_at_once_than_the_inbox_holds(make_server):
    """Four hundred requests find a server that stood still: it takes a hundred and refuses the others by name."""
    server = make_server(limits_inbox=100).start()
    clients = [socket.create_connection(server.http_address, timeout=20) for _ in range(400)]
    server.get("/health")  # all are accepted
    os.kill(server.process.pid, signal.SIGSTOP)
    for i, client in enumerate(clients):
        client.sendall(f"POST /nacos/v1/ns/instance?serviceName=crowd&ip=127.9.0.{i % 250 + 1}&port={80 + i // 250} HTTP/1.1\r\n"
                       "Host: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
    os.kill(server.process.pid, signal.SIGCONT)
    taken = refused = 0
    for client in clients:
        answer = b""
        while more := client.recv(4096):
            answer += more
        client.close()
        if answer.startswith(b"HTTP/1.1 200"):
            taken += 1
        else:
            assert answer.startswith(b"HTTP/1.1 503") and b"the limit is 100 (limits.inbox)" in answer, answer
            refused += 1
    assert taken >= 100 and refused > 0 and taken + refused == 400, (taken, refused)
    assert len(server.hosts("crowd")) == taken
    server.register("after", "127.9.1.1", 80)
