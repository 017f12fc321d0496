"""Promise 4 on the whole server: every acknowledged durable write survives a power cut, and nothing is half done.

musterd-crash is the product on a SQLite VFS (tests/support/crash_vfs.c) that keeps what is not synced in memory: a kill -9 loses
it, and CRASH_AFTER cuts the power at a chosen write, when some of it reaches the disk in part. 20 cuts; 200 in make soak.
"""
import http.client
import json
import os
import random
import threading
import time
import urllib.parse

import pytest
from conftest import BUILD, SLOW, SOAK, VARIANT

CRASH = os.path.join(BUILD, "tests/support/musterd-crash")
ROUNDS = 200 if SOAK else 20 if VARIANT == "plain" else 6
WORKERS = 8
GONE = object()


class Worker(threading.Thread):
    """Writes to keys of its own, one request after the other, each with a number that stands in two of its fields."""

    def __init__(self, server, index, seed, model):
        super().__init__()
        self.index, self.model, self.rng = index, model, random.Random(seed)
        self.connection = http.client.HTTPConnection(*server.http_address, timeout=20)
        self.acknowledged, self.over = 0, threading.Event()

    def request(self, method, path, params):
        self.connection.request(method, path + "?" + urllib.parse.urlencode(params))
        answer = self.connection.getresponse()
        return answer.status == 200 and answer.read().decode() in ("ok", "true")

    def write(self, key, number, method, path, params):
        """In between the key may have the old value or the new one; afterwards only the new one."""
        self.model.setdefault(key, [GONE]).append(number)
        if self.request(method, path, params):
            self.model[key] = [number]
            self.acknowledged += 1
        else:
            self.model[key].pop()  # refused: nothing was done

    def step(self):
        number, what, w = self.rng.randrange(1, 10000), self.rng.random(), self.index
        if what < 0.75:
            address = self.rng.randrange(1, 100)
            where = {"serviceName": f"cut{w}", "ip": f"127.77.{w}.{address}", "port": 80, "ephemeral": "false"}
            key = ("instance", w, where["ip"])
            if what < 0.15 and self.model.get(key, [GONE])[-1] is not GONE:
                self.write(key, GONE, "DELETE", "/nacos/v1/ns/instance", where)
            else:
                self.write(key, number, "POST", "/nacos/v1/ns/instance", {**where, "weight": number, "metadata": json.dumps({"n": str(number)})})
        elif what < 0.9:
            known = self.model.get(("service", w), [GONE])[-1] is not GONE
            self.write(("service", w), number, "PUT" if known else "POST", "/nacos/v1/ns/service",
                       {"serviceName": f"made{w}", "protectThreshold": number / 10000, "metadata": json.dumps({"n": str(number)})})
        else:
            name = f"ns{w}-{self.rng.randrange(20)}"
            known = self.model.get(("namespace", name), [GONE])[-1] is not GONE
            self.write(("namespace", name), number, "PUT" if known else "POST", "/nacos/v1/console/namespaces",
                       {("namespace" if known else "customNamespaceId"): name, "namespaceShowName" if known else "namespaceName": f"n{number}",
                        "namespaceDesc": f"n{number}"})

    def run(self):
        try:
            while not self.over.is_set():
                self.step()
        except (OSError, http.client.HTTPException):
            pass  # the power is gone
        finally:
            self.connection.close()


def pair(a, b, what, problems):
    if a != b:
        problems.append(f"half done: {what} has {a} and {b}")
    return a


def found(server, problems):
    """What the server has: key to number."""
    have = {}
    for w in range(WORKERS):
        reply = server.get("/muster/v1/instances", serviceName=f"cut{w}")
        for i in reply.json()["instances"] if reply.status == 200 else []:
            have[("instance", w, i["ip"])] = pair(int(i["weight"]), int(i["metadata"]["n"]), i["ip"], problems)
        reply = server.get("/nacos/v1/ns/service", serviceName=f"made{w}")
        if reply.status == 200:
            s = reply.json()
            have[("service", w)] = pair(round(s["protectThreshold"] * 10000), int(s["metadata"]["n"]), f"made{w}", problems)
    for n in server.get("/nacos/v1/console/namespaces").json()["data"]:
        if n["namespace"].startswith("ns"):
            have[("namespace", n["namespace"])] = pair(int(n["namespaceShowName"][1:]), int(n["namespaceDesc"][1:]), n["namespace"], problems)
    return have


def compare(server, model, problems):
    have = found(server, problems)
    for key, possible in model.items():
        value = have.pop(key, GONE)
        if value not in possible:
            problems.append(f"lost: {key} is {'gone' if value is GONE else value}, acknowledged was {possible[0] if possible[0] is not GONE else 'gone'}")
        model[key] = [value]
    problems += [f"from nowhere: {key}" for key in have]


def one_round(server, model, rng):
    """Start, look, load, cut. Returns how many writes were acknowledged; None: cut off before it served."""
    problems = []
    cut = rng.random() < 0.6
    server.env.pop("CRASH_AFTER", None)
    if cut:
        server.env.update(CRASH_AFTER=str(int(2 ** rng.uniform(0, 9))), CRASH_SEED=str(rng.getrandbits(32)))
    try:
        server.start()
        compare(server, model, problems)
    except (AssertionError, OSError, http.client.HTTPException):
        if not cut or server.process.wait(20 * SLOW) != -9:
            raise
        server.process = None
        return problems, None
    workers = [Worker(server, w, rng.getrandbits(32), model) for w in range(WORKERS)]
    for w in workers:
        w.start()
    end = time.monotonic() + rng.uniform(0.02, 0.4) * SLOW
    while server.process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    server.kill9()
    for w in workers:
        w.over.set()
        w.join()
    return problems, sum(w.acknowledged for w in workers)


def campaign(server, rounds, seed, least=0):
    """@rounds cuts, and more (up to five times as many) until @least writes were acknowledged: many a cut comes early."""
    rng, model, problems, acknowledged, early, cuts = random.Random(seed), {}, [], 0, 0, 0
    while not problems and (cuts < rounds or (acknowledged < least and cuts < 5 * rounds)):
        said, count = one_round(server, model, rng)
        problems += said
        acknowledged += count or 0
        early += count is None
        cuts += 1
    server.env.pop("CRASH_AFTER", None)
    if not problems:
        server.start()
        compare(server, model, problems)
        server.stop()
    print(f"seed {seed}: {cuts} cuts, {acknowledged} acknowledged, {early} cut off while starting")
    return problems, acknowledged


def crash_server(make_server, **env):
    if not os.path.exists(CRASH):
        pytest.skip(f"{CRASH} is not built (make check-programs)")
    server = make_server()
    server.program = CRASH
    server.env.update(env)
    return server


def test_acknowledged_durable_writes_survive_power_cuts_under_load(make_server):
    seed = int(os.environ.get("MUSTER_SEED", random.SystemRandom().getrandbits(32)))
    problems, acknowledged = campaign(crash_server(make_server), ROUNDS, seed, 20 * ROUNDS)
    assert not problems, f"MUSTER_SEED={seed}: {len(problems)}: {problems[:5]}"
    assert acknowledged >= 20 * ROUNDS


def test_without_syncs_the_same_run_notices(make_server):
    seed = random.SystemRandom().getrandbits(32)
    server = crash_server(make_server, CRASH_NO_SYNC="1")
    try:
        problems, acknowledged = campaign(server, 20, seed)
    except AssertionError as e:  # a store that cannot be read any more is noticed, too
        problems = [str(e)]
        if server.process is not None and server.process.poll() is not None:
            server.process = None
    print(problems[:2])
    assert problems, f"seed {seed}: nothing was lost without a single sync"
