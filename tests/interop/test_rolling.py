"""A hundred restarts under a publisher and a subscriber of every SDK (make soak): no empty list is seen, no instance is
lost. Each SDK has a server of its own, all at the same time, and each server restarts again as soon as its two clients
are all that they were: the publisher registered by its own connection (or its beats), the subscriber pushed what an
operator has changed meanwhile. A second stays between: the Go SDK (2.3.5) blocks for good when its server goes away
while it registers again (Request(), called from the channel of events, waits in switchServerAsync() for the loop that
waits for that channel). The Rust SDK (0.8.3) comes back from any of them, but doubles its pause with each failure in a
row, up to 64 s (sleep_time()), so that restarts at a fixed pace may keep it away.

What is slow to come back has its hundred shared out between several servers. MUSTER_RESTARTS: another count."""
import os
import threading
import time

import pytest
from conftest import SDKS, SDKS_1X, SOAK, WANTED, WANTED_1X, Driver, Server, words_of
from test_sdk import edit_weight, fixed, name, weights_pushed

RESTARTS = int(os.environ.get("MUSTER_RESTARTS", "100"))
SERVICE, IP = "rolling", "10.20.0.1"
LANES = {"python3": 4, "python2": 4, "rust": 2}  # servers at a time: their clients need 10 to 40 s to come back
BACK_1X = 70  # they poll: the last ones find a minute too long behind two failures


class Rolling(threading.Thread):
    """The @goal restarts of one server; what went wrong is in @failure, how long clients were away in @took."""

    def __init__(self, key, words, server, goal):
        super().__init__(daemon=True)
        self.key, self.words, self.server, self.goal = key, words, server, goal
        self.limit = 2 * SDKS[key].back + 60 if key in SDKS else BACK_1X + 60
        self.failure, self.errors, self.took, self.restarts = None, [], [], 0

    def run(self):
        drivers = []
        try:
            drivers = [Driver(self.words, self.server), Driver(self.words, self.server)]
            self.roll(*drivers)
        except BaseException as e:  # told by the test
            self.failure = e
            self.errors = [d.error_text() for d in drivers]
        finally:
            for driver in drivers:
                driver.close()

    def roll(self, one, other):
        one.call("register", service=SERVICE, ip=IP, port=1)
        other.call("subscribe", service=SERVICE)
        other.hears(SERVICE, [f"{IP}:1"])
        time.sleep(2)  # into the warm copy, which is written every second
        while self.restarts < self.goal:
            self.restart()
            self.come_back(other)
            assert all(other.pushes[SERVICE]), ("an empty list", other.pushes[SERVICE])
            self.look_until(time.monotonic() + 1)

    def restart(self):
        self.restarts += 1
        self.server.restart()
        edit_weight(self.server, SERVICE, IP, self.restarts)

    def look(self):
        assert self.server.addresses(name(SERVICE)) == [IP], f"restart {self.restarts}"

    def look_until(self, end):
        while time.monotonic() < end:
            self.look()
            time.sleep(0.1)

    def come_back(self, other):
        begun = time.monotonic()
        while True:
            self.look()
            pushed, published = weights_pushed(other, SERVICE) == [float(self.restarts)], self.published()
            if pushed and published:
                break
            assert time.monotonic() - begun < self.limit, \
                f"restart {self.restarts}, {self.limit} s later: pushed {pushed}, published {published}: {self.explain()}"
            time.sleep(0.1)
        self.took.append(time.monotonic() - begun)

    def explain(self):
        return self.server.get("/muster/v1/explain", serviceName=SERVICE).json()

    def published(self):
        """Not as it was found when the server started: by its client."""
        hosts = self.explain()["instances"]
        assert [h["ip"] for h in hosts] == [IP], hosts
        publisher = hosts[0]["publisher"]
        return publisher["kind"] != "restored" and publisher.get("connected") is not False


@pytest.fixture(scope="module")
def rolling():
    """All at once: their restarts are mostly waiting."""
    made, missing, servers = {}, {}, []
    for key in WANTED + WANTED_1X:
        try:
            words = words_of(key, SDKS[key].start if key in SDKS else SDKS_1X[key])
        except (pytest.skip.Exception, pytest.fail.Exception) as e:
            missing[key] = e
            continue
        lanes = LANES.get(key, 1)
        servers += [fixed(Server().start()) for _ in range(lanes)]
        made[key] = [Rolling(key, words, one, -(-RESTARTS // lanes)) for one in servers[-lanes:]]
        for one in made[key]:
            one.start()
    yield made, missing
    for one in sum(made.values(), []):
        one.join()
    for server in servers:
        server.close()


@pytest.mark.skipif(not SOAK, reason="make soak; test_sdk.py restarts twice")
@pytest.mark.parametrize("key", WANTED + WANTED_1X)
def test_nobody_sees_an_empty_list_through_a_hundred_restarts(rolling, key):
    made, missing = rolling
    if key in missing:
        raise missing[key]
    for one in made[key]:
        one.join()
    took, restarts = sorted(t for one in made[key] for t in one.took) or [0.0], [one.restarts for one in made[key]]
    print(f"{key}: {restarts} restarts; back in {took[len(took) // 2]:.1f} s (median), {took[-1]:.1f} s (last)")
    for one in made[key]:
        assert one.failure is None, f"restart {one.restarts}: {one.failure!r}\n{one.errors}"
    assert sum(restarts) >= RESTARTS
