"""A full, a read-only and a slow disk: durable writes are refused or wait, DNS and ephemeral registration go on."""
import errno
import os
import socket
import struct
import subprocess
import threading
import time

import dns.message
import pytest
from conftest import BUILD, MUSTERD, SLOW, SOAK, Server, eventually, need

SLOW_DISK = os.path.join(BUILD, "tests/support/slow_disk.so")


class TmpfsServer(Server):
    """Its data directory is a small file system in a mount namespace that a holder keeps, also between two servers."""

    def __init__(self, size="1m", **flags):
        super().__init__(**flags)
        os.makedirs(self.data)
        self.holder = subprocess.Popen([need("unshare"), "-m", "sh", "-c", f"mount -t tmpfs -o size={size} tmpfs '{self.data}' && echo up && exec sleep 1000"],
                                       stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        if self.holder.stdout.readline() != "up\n":
            pytest.skip("no mount namespace of our own here (needs CAP_SYS_ADMIN)")

    def see(self, name):
        return f"/proc/{self.holder.pid}/root{self.data}/{name}"

    def inside(self, *command):
        return [need("nsenter"), "-m", "-t", str(self.holder.pid), *command]

    def arguments(self):
        return self.inside(*super().arguments())

    def fill(self):
        """Not one octet is left."""
        with open(self.see("filler"), "ab", buffering=0) as f:
            for size in (65536, 4096, 512, 1):
                try:
                    while True:
                        f.write(b"\0" * size)
                except OSError as e:
                    assert e.errno == errno.ENOSPC

    def free(self):
        os.unlink(self.see("filler"))

    def close(self):
        try:
            super().close()
        finally:
            self.holder.kill()
            self.holder.wait()


@pytest.fixture
def make_tmpfs():
    made = []

    def make(**more):
        made.append(TmpfsServer(**more))
        return made[-1]

    yield make
    for server in made:
        server.close()


def refused(reply, *words):
    assert reply.status == 503, reply
    for word in words:
        assert word in reply.text, reply


def durable_writes(server, n):
    """One of each kind, in the shapes of v1 and v2."""
    return [
        server.post("/nacos/v1/ns/instance", serviceName="never", ip=f"127.80.0.{n}", port=80, ephemeral="false"),
        server.post("/nacos/v2/ns/instance", serviceName="never", ip=f"127.80.1.{n}", port=80, ephemeral="false"),
        server.post("/nacos/v1/ns/instance", serviceName="kept", ip=f"127.80.2.{n}", port=80, ephemeral="false"),
        server.put("/nacos/v1/ns/instance", serviceName="kept", ip="127.80.9.1", port=80, ephemeral="false", weight=9),
        server.delete("/nacos/v1/ns/instance", serviceName="kept", ip="127.80.9.1", port=80, ephemeral="false"),
        server.post("/nacos/v1/ns/service", serviceName=f"never{n}", protectThreshold="0.5"),
        server.post("/nacos/v1/console/namespaces", customNamespaceId=f"never{n}", namespaceName="n"),
        server.put("/nacos/v1/ns/operator/switches", entry="check", value="false"),
    ]


def check_no_trace(server):
    kept = server.get("/muster/v1/instances", serviceName="kept").json()["instances"]
    assert [(i["ip"], i["weight"]) for i in kept] == [("127.80.9.1", 1.0)]
    assert server.get("/muster/v1/instances", serviceName="never").status == 404
    assert server.get("/nacos/v1/ns/service", serviceName="never1").status in (404, 500, 400)
    assert not [n for n in server.get("/nacos/v1/console/namespaces").json()["data"] if n["namespace"].startswith("never")]
    assert server.get("/nacos/v1/ns/operator/switches").json()["healthCheckEnabled"] is True
    assert server.addresses("kept.svc.muster.internal") in (["127.80.9.1"], [])  # its check may have failed


def check_rest_goes_on(server, n):
    server.register(f"living{n}", f"127.81.0.{n}", 80)
    assert f"127.81.0.{n}" in server.addresses(f"living{n}.svc.muster.internal")
    beat = server.put("/nacos/v1/ns/instance/beat", serviceName=f"living{n}", ip=f"127.81.0.{n}", port=80)
    assert beat.status == 200 and beat.json()["code"] == 10200


def refuse_and_heal(server, break_disk, heal_disk, *words):
    """Durable writes under a broken disk leave no trace, the rest goes on, and a healed disk takes them again."""
    server.register("kept", "127.80.9.1", 80, ephemeral="false")
    for n in range(1, 4 if not SOAK else 40):
        break_disk()
        for reply in durable_writes(server, n):
            refused(reply, *words)
        check_no_trace(server)
        check_rest_goes_on(server, n)
        assert "durable writes are refused" in server.log_text()
        heal_disk()
        server.register(f"again{n}", "127.82.0.1", 80, ephemeral="false")
        check_no_trace(server)
    server.kill9()
    server.start()
    check_no_trace(server)
    assert len(server.hosts("again1")) == 1


def test_a_full_disk_refuses_durable_writes_without_a_trace_and_takes_them_again(make_tmpfs):
    server = make_tmpfs().start()
    refuse_and_heal(server, server.fill, server.free, "muster.db", "disk is full")


def test_ephemeral_instances_of_the_time_of_a_full_disk_are_in_the_warm_copy_afterwards(make_tmpfs):
    server = make_tmpfs().start()
    server.register("before", "127.83.0.1", 80)
    server.fill()
    for i in range(1, 20):
        server.register("meanwhile", f"127.83.1.{i}", 80)
    time.sleep(2)  # the warm copy tries, and fails
    server.free()
    time.sleep(2.5)
    server.kill9()
    server.start()
    assert len(server.hosts("meanwhile")) == 19 and len(server.hosts("before")) == 1


def test_a_killed_server_comes_back_on_a_full_disk_and_serves(make_tmpfs):
    server = make_tmpfs().start()
    server.register("kept", "127.80.9.1", 80, ephemeral="false")
    server.kill9()
    server.fill()
    free = Server.split(f"127.0.0.1:{socket.create_server(('127.0.0.1', 0)).getsockname()[1]}")
    server.start(wait=False, http_listen=f"127.0.0.1:{free[1]}")
    server.http_address = free
    eventually(lambda: "ready after" in server.log_text().split("kept")[-1] and answers(server), 20)
    assert len(server.get("/muster/v1/instances", serviceName="kept").json()["instances"]) == 1
    assert "ports.json" in server.log_text()
    refused(server.post("/nacos/v1/ns/instance", serviceName="kept", ip="127.80.9.2", port=80, ephemeral="false"), "disk is full")
    server.free()
    server.register("kept", "127.80.9.2", 80, ephemeral="false")


def answers(server):
    try:
        return server.get("/health").status == 200
    except OSError:
        return False


def test_a_start_on_a_read_only_directory_is_refused_with_the_reason(make_tmpfs):
    server = make_tmpfs().start()
    server.register("kept", "127.80.9.1", 80, ephemeral="false")
    server.stop()
    subprocess.run(server.inside("mount", "-o", "remount,ro", server.data), check=True)
    server.start(wait=False)
    assert server.process.wait(20 * SLOW) == 1
    server.process = None
    assert f"server.data_dir: open {server.data}/lock: Read-only file system" in server.log_text()
    done = subprocess.run(server.inside(MUSTERD, f"--server.data_dir={server.data}", "--backup", os.path.join(server.dir, "b")), stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr  # a backup needs nothing of it but to be read
    done = subprocess.run(server.inside(MUSTERD, f"--server.data_dir={server.data}", "--restore", os.path.join(server.dir, "b")), stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"Read-only file system" in done.stderr


def test_a_backup_or_restore_without_room_says_so_and_leaves_nothing(make_tmpfs):
    server = make_tmpfs(size="8m").start()
    for i in range(200):
        server.register("many", f"127.84.0.{i + 1}", 80, ephemeral="false", metadata='{"k":"%s"}' % ("v" * 300))
    server.stop()
    flag = f"--server.data_dir={server.data}"
    good = os.path.join(server.dir, "b")
    assert subprocess.run(server.inside(MUSTERD, flag, "--backup", good)).returncode == 0
    kept = lambda: [n for n in sorted(os.listdir(server.see("."))) if not n.endswith(("-shm", "-wal"))]
    before = kept()
    for name in ("muster.db-shm", "muster.db-wal"):
        if os.path.exists(server.see(name)):
            os.unlink(server.see(name))
    server.fill()
    done = subprocess.run(server.inside(MUSTERD, flag, "--backup", good, "--force"), stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr  # elsewhere there is room
    for what in (["--backup", os.path.join(server.data, "b")], ["--restore", good]):
        done = subprocess.run(server.inside(MUSTERD, flag, *what), stderr=subprocess.PIPE)
        assert done.returncode == 1 and b"No space left" in done.stderr, done.stderr
    server.free()
    assert kept() == before
    server.start()
    assert len(server.get("/muster/v1/instances", serviceName="many").json()["instances"]) == 200


# ---- a disk that is slow or refuses, while the server has its files open


class Knobs:
    def __init__(self, server):
        if not os.path.exists(SLOW_DISK):
            pytest.skip(f"{SLOW_DISK} is not built (make check-programs)")
        self.path = os.path.join(server.dir, "knobs")
        with open(self.path, "wb") as f:
            f.truncate(4096)
        server.env.update(LD_PRELOAD=SLOW_DISK, SLOW_DISK=self.path, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")

    def set(self, sync_ms=0, error=0):
        with open(self.path, "r+b", buffering=0) as f:
            f.write(struct.pack("=II", sync_ms, error))


def test_a_directory_that_becomes_read_only_refuses_durable_writes_and_heals(make_server):
    server = make_server()
    knobs = Knobs(server)
    server.start()
    refuse_and_heal(server, lambda: knobs.set(error=errno.EROFS), knobs.set, "muster.db", "Read-only file system")


def test_a_serial_that_was_answered_is_on_disk_before(make_server):
    """Killed at once, over and over, on a disk that takes its time: what was handed out does not come again."""
    server = make_server()
    knobs = Knobs(server)
    server.start()
    for i in range(150):  # each takes a serial: they run ahead of the clock
        server.register("many", f"10.0.0.{i}", 80)
        server.get("/muster/v1/zones/muster.internal")
    server.register("kept", "10.0.1.1", 80, ephemeral="false")  # and are on disk when this is
    server.kill9()
    knobs.set(sync_ms=500)
    serials = []
    for _ in range(3):
        server.start()
        serials.append(server.dig("muster.internal.", "SOA").answer[0][0].serial)
        server.kill9()
    assert serials == sorted(set(serials)), serials


def percentile(times, share):
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


def measure(server, seconds):
    """Milliseconds of DNS queries, beats and ephemeral registrations, asked one after the other."""
    query = dns.message.make_query("living1.svc.muster.internal", "A").to_wire()
    times = {"dns": [], "beat": [], "register": []}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.connect(server.dns)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(20):
                begun = time.monotonic()
                s.send(query)
                assert len(s.recv(4096)) > 12
                times["dns"].append((time.monotonic() - begun) * 1000)
            begun = time.monotonic()
            assert server.put("/nacos/v1/ns/instance/beat", serviceName="living1", ip="127.81.0.1", port=80).json()["code"] == 10200
            times["beat"].append((time.monotonic() - begun) * 1000)
            begun = time.monotonic()
            server.register("living1", f"127.81.1.{len(times['beat']) % 200 + 1}", 80)
            times["register"].append((time.monotonic() - begun) * 1000)
    return times


@pytest.mark.alone  # it measures times
def test_a_disk_whose_sync_takes_5_s_moves_neither_dns_nor_beats(make_server):
    server = make_server()
    knobs = Knobs(server)
    server.start()
    check_rest_goes_on(server, 1)
    usual = measure(server, 1.5 if not SOAK else 10)
    knobs.set(sync_ms=5000)
    durable, begun = [], time.monotonic()

    def write(i):
        other = Server.__new__(Server)
        other.connection, other.http_address = None, server.http_address
        reply = other.call("POST", "/nacos/v1/ns/instance", {"serviceName": "slow", "ip": f"127.85.0.{i}", "port": 80, "ephemeral": "false"}, timeout=60)
        durable.append((reply.status, time.monotonic() - begun))

    threads = [threading.Thread(target=write, args=(i,)) for i in range(1, 9)]
    for t in threads:
        t.start()
    time.sleep(0.3)
    slow = measure(server, 4.0 if not SOAK else 30)
    assert not durable or SOAK, durable  # all of it was measured while the disk was syncing
    knobs.set()
    for t in threads:
        t.join()
    assert [status for status, _ in durable] == [200] * 8 and min(sec for _, sec in durable) >= 4.9, durable
    assert len(server.get("/muster/v1/instances", serviceName="slow").json()["instances"]) == 8
    for kind in usual:
        before, after = percentile(usual[kind], 0.99), percentile(slow[kind], 0.99)
        print(f"{kind}: p50 {percentile(usual[kind], 0.5):.2f} and {percentile(slow[kind], 0.5):.2f} ms, p99 {before:.2f} and {after:.2f} ms, "
              f"worst {max(usual[kind]):.1f} and {max(slow[kind]):.1f} ms, of {len(usual[kind])} and {len(slow[kind])}")
        assert after <= max(4 * before, 20 * SLOW), kind
        assert max(slow[kind]) < 1000 * SLOW, kind
