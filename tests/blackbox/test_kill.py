"""kill -9 at random moments: of a server with ephemeral instances, of a restore, of a migration."""
import http.client
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import threading
import time
import urllib.parse

import pytest
from conftest import BUILD, MUSTERD, SLOW, SOAK

NEXT = os.path.join(BUILD, "tests/support/musterd-next")
PROMISED = 2.0  # seconds: what was acknowledged longer ago than this comes back
WORKERS, KEYS = 6, 300
GONE = 0
# No heartbeats are sent: the instances must not expire meanwhile.
PATIENT = json.dumps({"preserved.heart.beat.timeout": "600000", "preserved.ip.delete.timeout": "900000"})


class Publisher(threading.Thread):
    """Registers and deregisters services of one instance each; notes for each what was asked and when it was acknowledged."""

    def __init__(self, server, index, history, seed):
        super().__init__()
        self.index, self.history, self.rng, self.over = index, history, random.Random(seed), threading.Event()
        self.connection = http.client.HTTPConnection(*server.http_address, timeout=20)

    def step(self):
        i = self.rng.randrange(KEYS)
        weight = GONE if self.rng.random() < 0.2 else self.rng.randrange(1, 10000)
        params = {"serviceName": f"k{self.index}-{i}", "ip": f"127.90.{self.index}.{i + 1}", "port": 80}
        if weight != GONE:
            params.update(weight=weight, metadata=PATIENT)
        entry = [weight, None]  # the time is missing: not acknowledged
        self.history.setdefault((self.index, i), []).append(entry)
        self.connection.request("POST" if weight != GONE else "DELETE", "/nacos/v1/ns/instance?" + urllib.parse.urlencode(params))
        answer = self.connection.getresponse()
        if answer.read() == b"ok":
            entry[1] = time.monotonic()

    def run(self):
        try:
            while not self.over.is_set():
                self.step()
                self.over.wait(0.006)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            self.connection.close()


def possible(entries, promised):
    """The last value acknowledged before @promised, and all after it."""
    settled = [n for n, (_, at) in enumerate(entries) if at is not None and at <= promised]
    return {weight for weight, _ in entries[settled[-1]:]} if settled else {GONE} | {weight for weight, _ in entries}


def one_kill(server, history, rng):
    """Returns how many of the promised instances there were."""
    threads = [Publisher(server, w, history, rng.getrandbits(32)) for w in range(WORKERS)]
    for t in threads:
        t.start()
    time.sleep(PROMISED + rng.uniform(0.3, 1.2))
    killed = time.monotonic()
    server.kill9()
    for t in threads:
        t.over.set()
        t.join()
    server.start()
    promised = 0
    for (w, i), entries in history.items():
        name, ip = f"k{w}-{i}", f"127.90.{w}.{i + 1}"
        answered = server.addresses(f"{name}.svc.muster.internal")
        hosts = server.hosts(name)
        weight = hosts[0]["weight"] if hosts else GONE
        allowed = possible(entries, killed - PROMISED)
        assert weight in allowed, f"{name} has weight {weight}, may have {allowed}"
        assert answered == ([ip] if hosts else []) and all(h["healthy"] for h in hosts), (name, answered, hosts)
        promised += GONE not in allowed
        history[(w, i)] = [[weight, 0.0]]
    return promised


@pytest.mark.alone  # the copy of the last 2 s
def test_ephemeral_instances_acknowledged_2_s_before_a_kill_answer_at_once(make_server):
    seed = int(os.environ.get("MUSTER_SEED", random.SystemRandom().getrandbits(32)))
    server, history, rng = make_server().start(), {}, random.Random(seed)
    promised = sum(one_kill(server, history, rng) for _ in range(20 if SOAK else 2))
    print(f"seed {seed}: {promised} promised")
    assert promised > WORKERS * KEYS // 4


def image(path):
    """The rows of a store, as a server that starts would find them; the file itself is left alone."""
    copy = path + ".looked-at"
    for tail in ("", "-wal"):
        if os.path.exists(path + tail):
            shutil.copy(path + tail, copy + tail)
    db = sqlite3.connect(copy)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        version = db.execute("PRAGMA user_version").fetchone()[0]
        return version, {row[0] for row in db.execute("SELECT key FROM kv WHERE key LIKE '/muster/1/i/%'")}
    finally:
        db.close()
        for name in os.listdir(os.path.dirname(copy)):
            if name.startswith(os.path.basename(copy)):
                os.unlink(os.path.join(os.path.dirname(copy), name))


def killed_within(command, rng, most):
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        child.wait(rng.uniform(0, most) * SLOW)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    return child.returncode


def fill(server, name, count):
    for i in range(count):
        server.register(name, f"127.91.{i >> 8}.{i & 255}", 80, ephemeral="false", metadata='{"k":"%s"}' % ("v" * 500))


def test_a_restore_that_is_killed_leaves_the_old_store_or_the_new_one(make_server, tmp_path):
    server, rng = make_server().start(), random.Random()
    fill(server, "both", 150)
    backup = str(tmp_path / "b")
    assert subprocess.run([MUSTERD, f"--server.data_dir={server.data}", "--backup", backup], stdout=subprocess.DEVNULL).returncode == 0
    fill(server, "later", 150)
    server.kill9()
    path = os.path.join(server.data, "muster.db")
    old, new, seen = image(path), image(backup), set()
    assert len(old[1]) == 300 and len(new[1]) == 150
    kept = {name: open(os.path.join(server.data, name), "rb").read() for name in ("muster.db", "muster.db-wal")}
    for _ in range(300 if SOAK else 20):
        status = killed_within([MUSTERD, f"--server.data_dir={server.data}", "--restore", backup], rng, 0.2)
        found = image(path)
        assert found in (old, new)
        seen.add(("killed" if status < 0 else "done", "old" if found == old else "new"))
        formers = [n for n in os.listdir(server.data) if re.fullmatch(r"muster\.db\.before-restore-[0-9TZ]+(-\d+)?", n)]
        if found == new:  # the former one is whole, too: put it back and go on
            assert formers and image(os.path.join(server.data, formers[0])) == old
            for name in os.listdir(server.data):
                if name.startswith("muster.db"):
                    os.unlink(os.path.join(server.data, name))
            for name, octets in kept.items():
                with open(os.path.join(server.data, name), "wb") as f:
                    f.write(octets)
        for name in formers:
            if os.path.exists(os.path.join(server.data, name)):
                os.unlink(os.path.join(server.data, name))
    print(sorted(seen))
    assert subprocess.run([MUSTERD, f"--server.data_dir={server.data}", "--restore", backup], stdout=subprocess.DEVNULL).returncode == 0
    server.start()
    assert len(server.get("/muster/v1/instances", serviceName="both").json()["instances"]) == 150
    assert not os.path.exists(os.path.join(server.data, "muster.db.new"))


def test_a_migration_that_is_killed_leaves_the_old_schema_or_the_new_one(make_server):
    server, rng = make_server().start(), random.Random()
    fill(server, "kept", 200)
    server.kill9()
    path = os.path.join(server.data, "muster.db")
    rows = image(path)[1]
    kept = {name: open(os.path.join(server.data, name), "rb").read() for name in ("muster.db", "muster.db-wal")}
    flags = [f"--{k}={v}" for k, v in server.flags.items()]
    versions = set()
    for _ in range(200 if SOAK else 20):
        assert killed_within([NEXT, f"--server.data_dir={server.data}", *flags], rng, 0.08) == -9
        version, found = image(path)
        versions.add(version)
        assert version in (1, 2) and found == rows
        if os.path.exists(path + ".v1.bak"):
            assert image(path + ".v1.bak") == (1, rows)
        else:
            assert version == 1
        if version == 2:
            for name in os.listdir(server.data):
                if name.startswith("muster.db"):
                    os.unlink(os.path.join(server.data, name))
            for name, octets in kept.items():
                with open(os.path.join(server.data, name), "wb") as f:
                    f.write(octets)
    server.program = NEXT
    server.start()
    assert len(server.get("/muster/v1/instances", serviceName="kept").json()["instances"]) == 200
    print(versions)
