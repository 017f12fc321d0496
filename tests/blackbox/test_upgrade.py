"""Databases of older versions open; newer ones are refused; a migration copies first, and is whole or not at all."""
import glob
import lzma
import os
import re
import shutil
import sqlite3
import subprocess
import threading
import time

import pytest
from conftest import BUILD, MUSTERD, SLOW, TOP, Server

NEXT = os.path.join(BUILD, "tests/support/musterd-next")  # a musterd whose schema is one version ahead
FIXTURES = sorted(glob.glob(os.path.join(TOP, "tests/fixtures/muster-v*.db.xz")))


def put_store(server, image):
    os.makedirs(server.data, exist_ok=True)
    with open(os.path.join(server.data, "muster.db"), "wb") as f:
        f.write(image)


def unpack(path):
    with lzma.open(path) as f:
        return f.read()


def check_fixture(server):
    """What tests/fixtures/make_store.py puts into a store, by API and DNS."""
    namespaces = {n["namespace"]: n for n in server.get("/nacos/v1/console/namespaces").json()["data"]}
    assert namespaces["prod"]["namespaceShowName"] == "Produktion" and namespaces["prod"]["namespaceDesc"] == "Münster / α"
    orders = server.get("/nacos/v1/ns/service", serviceName="orders", groupName="pay", namespaceId="prod").json()
    assert orders["protectThreshold"] == 0.6 and orders["metadata"] == {"team": "blue"}
    assert server.get("/nacos/v1/ns/service", serviceName="empty").json()["protectThreshold"] == 0.25
    listed = {h["ip"]: h for h in server.hosts("orders", groupName="pay", namespaceId="prod")}
    assert {ip: (h["port"], h["weight"], h["clusterName"], h["metadata"]) for ip, h in listed.items()} == {
        f"10.70.0.{i}": (8080 + i, float(i), "hz", {"version": f"1.{i}"}) for i in range(1, 4)}
    assert server.addresses("orders.pay.prod.ns.muster.internal") == [f"10.70.0.{i}" for i in range(1, 4)]
    many = [h["ip"] for n in range(4) for h in server.hosts(f"many{n}")]
    assert sorted(many) == sorted(f"10.70.1.{i}" for i in range(1, 40))  # the fortieth is disabled
    six = server.hosts("six")[0]
    assert (six["ip"], six["port"], six["metadata"]) == ("2001:db8::7", 443, {"k/ey": 'v,al"ue'})
    assert server.addresses("six.svc.muster.internal", "AAAA") == ["2001:db8::7"]
    server.register("edited", "10.70.2.1", 80, weight=2)  # comes back as a plain instance: the operator's edit still holds
    edited = server.get("/nacos/v1/ns/instance", serviceName="edited", ip="10.70.2.1", port=80).json()
    assert edited["weight"] == 9.0 and edited["metadata"]["by"] == "operator", edited
    assert server.hosts("edited") == []  # disabled
    cluster = server.get("/nacos/v1/ns/catalog/service", serviceName="many1").json()["clusters"][0]
    assert cluster["healthChecker"]["type"] == "NONE" and cluster["metadata"] == {"rack": "7"}, cluster
    assert server.get("/nacos/v1/ns/operator/switches").json()["healthCheckEnabled"] is False


def test_there_is_a_fixture_of_each_schema_version():
    versions = [int(re.search(r"-v(\d+)", path).group(1)) for path in FIXTURES]
    newest = sqlite3.connect(":memory:")
    server = Server().start()
    try:
        newest = sqlite3.connect(f"file:{server.data}/muster.db?mode=ro", uri=True).execute("PRAGMA user_version").fetchone()[0]
    finally:
        server.close()
    assert versions == list(range(1, newest + 1))


@pytest.mark.parametrize("program", [MUSTERD, NEXT], ids=["this", "next"])
@pytest.mark.parametrize("path", FIXTURES, ids=os.path.basename)
def test_a_database_of_every_version_opens_and_has_everything(make_server, path, program):
    server = make_server()
    server.program = program
    put_store(server, unpack(path))
    server.start()
    check_fixture(server)
    server.kill9()
    server.start()
    check_fixture(server)


def contents(directory):
    return {name: open(os.path.join(directory, name), "rb").read() for name in sorted(os.listdir(directory)) if name == "muster.db" or ".bak" in name}


def fails(server, *words):
    server.start(wait=False)
    assert server.process.wait(20 * SLOW) == 1
    server.process = None
    text = server.log_text()
    for word in words:
        assert word in text, text


def version_of(path):
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute("PRAGMA user_version").fetchone()[0]


def test_a_newer_database_is_refused_with_both_versions_named(make_server):
    server = make_server()
    server.program = NEXT
    server.start()
    server.register("kept", "10.71.0.1", 80, ephemeral="false")
    server.stop()
    server.program = MUSTERD
    before = contents(server.data)
    fails(server, "schema version 2", "versions up to 1", os.path.join(server.data, "muster.db"))
    assert contents(server.data) == before
    server.program = NEXT
    server.start()
    assert [h["ip"] for h in server.hosts("kept")] == ["10.71.0.1"]


def test_a_migration_copies_the_file_first_and_also_takes_over_a_killed_server_s_log(make_server):
    server = make_server().start()
    server.register("kept", "10.72.0.1", 80, ephemeral="false")
    server.kill9()  # the registration lies in the log alone
    server.program = NEXT
    server.start()
    assert [h["ip"] for h in server.hosts("kept")] == ["10.72.0.1"]
    copy = os.path.join(server.data, "muster.db.v1.bak")
    assert copy in server.log_text() and version_of(copy) == 1 and version_of(os.path.join(server.data, "muster.db")) == 2
    assert sqlite3.connect(copy).execute("SELECT count(*) FROM kv WHERE key LIKE '%/10.72.0.1/80'").fetchone()[0] == 1
    server.restart()
    assert sorted(n for n in os.listdir(server.data) if ".bak" in n) == ["muster.db.v1.bak"]


def test_a_migration_that_fails_leaves_the_database_as_it_was(make_server):
    server = make_server().start()
    server.register("kept", "10.73.0.1", 80, ephemeral="false")
    server.stop()
    path = os.path.join(server.data, "muster.db")
    trap = sqlite3.connect(path)
    trap.execute("CREATE TABLE next(b)")  # the second statement of the migration will find it
    trap.commit()
    trap.close()
    server.program = NEXT
    fails(server, "migrate from schema version 1 to 2")
    assert version_of(path) == 1
    assert "note" not in [row[1] for row in sqlite3.connect(path).execute("PRAGMA table_info(kv)")]
    server.program = MUSTERD
    server.start()
    assert [h["ip"] for h in server.hosts("kept")] == ["10.73.0.1"]


def test_a_migration_without_room_for_the_copy_is_refused(make_server):
    server = make_server().start()
    server.register("kept", "10.74.0.1", 80, ephemeral="false")
    server.stop()
    os.makedirs(os.path.join(server.data, "muster.db.v1.bak.new", "in the way"))
    server.program = NEXT
    fails(server, "copy before the migration", "muster.db.v1.bak.new")
    assert version_of(os.path.join(server.data, "muster.db")) == 1


class Poller:
    """A subscriber that polls the list, and a resolver: it notes empty lists, and numbers that went back."""

    def __init__(self, server, service):
        self.server, self.service, self.over = server, service, threading.Event()
        self.wrong, self.polls, self.last, self.last_hosts = [], 0, 0, None
        self.own = Server.__new__(Server)  # a connection of its own to the same addresses
        self.own.connection, self.own.http_address, self.own.dns = None, server.http_address, server.dns
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def poll(self):
        answer = self.own.call("GET", "/nacos/v1/ns/instance/list", {"serviceName": self.service}, timeout=5)
        if answer.status != 200:
            return  # starting or stopping: that is said, and is no list
        listed = answer.json()
        hosts = sorted((h["ip"], h["weight"]) for h in listed["hosts"])
        if not hosts:
            self.wrong.append("an empty list")
        if listed["lastRefTime"] < self.last:
            self.wrong.append(f"lastRefTime went back from {self.last} to {listed['lastRefTime']}")
        if listed["lastRefTime"] == self.last and hosts != self.last_hosts:
            self.wrong.append(f"new content under the old number {self.last}")
        self.last, self.last_hosts = listed["lastRefTime"], hosts
        if not self.own.addresses(f"{self.service}.svc.muster.internal", timeout=0.5):
            self.wrong.append("an empty DNS answer")
        self.polls += 1

    def run(self):
        while not self.over.wait(0.01):
            try:
                self.poll()
            except Exception as e:  # nobody listens between two servers
                if not isinstance(e, (OSError, EOFError)) and "Timeout" not in type(e).__name__ and not type(e).__module__.startswith("http"):
                    self.wrong.append(repr(e))

    def end(self):
        self.over.set()
        self.thread.join()
        assert not self.wrong, self.wrong[:5]
        assert self.polls > 5


def test_upgrade_and_downgrade_under_a_running_poller(make_server):
    server = make_server().start()
    for i in range(1, 6):
        server.register("polled", f"10.75.0.{i}", 80, ephemeral="false")
    same = {"http_listen": "127.0.0.1:%d" % server.http_address[1], "dns_listen": "127.0.0.1:%d" % server.dns[1]}
    poller = Poller(server, "polled")
    try:
        def go_on(last):
            """The poller has seen the new server's list; then a change, and it sees that."""
            end = time.monotonic() + 20 * SLOW
            while poller.last <= last and time.monotonic() < end:
                time.sleep(0.01)
            assert poller.last > last
        last = poller.last
        server.stop()
        server.program = NEXT
        server.start(**same)
        go_on(last)
        for i in range(6, 20):
            server.register("polled", f"10.75.0.{i}", 80, ephemeral="false")
        assert len(server.hosts("polled")) == 19
        time.sleep(0.1)
        last = poller.last
        server.stop()
        server.program = MUSTERD
        fails(server, "schema version 2")
        done = subprocess.run([MUSTERD, f"--server.data_dir={server.data}", "--restore", os.path.join(server.data, "muster.db.v1.bak")],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30 * SLOW)
        assert done.returncode == 0, done.stderr
        server.start()
        go_on(last)
        assert sorted(h["ip"] for h in server.hosts("polled")) == [f"10.75.0.{i}" for i in range(1, 6)]
        last = poller.last
        server.register("polled", "10.75.0.6", 80, ephemeral="false")
        go_on(last)
    finally:
        poller.end()
