"""What users of Spring Cloud Alibaba and Dubbo 3 see of a life with Muster, at 100 calls a second: which calls fail while a
provider joins, is drained, leaves and is killed, while an operator changes weights, and while Muster restarts.

A call that found no provider, or was sent to nobody, is Muster's doing: there are always two that live. A call that a
provider refused which was leaving or dead is the framework's, for as long as that provider is listed; such calls are
counted. Any other failed call fails the test."""
import json
import os
import re
import signal
import time
import urllib.request

import pytest

from conftest import START_SEC, Missing, Server, eventually, fixed, warm_copy_written
from frameworks import ASKING, FRAMEWORKS

WANTED = os.environ.get("MUSTER_FRAMEWORKS", " ".join(FRAMEWORKS)).split()
KILLED_SEC = 4  # for so long at most the killed one is called: 0.1 s here, 5 s with the grace alone
ALL = {"one", "two", "three"}


def ago(failed):
    return f"{time.monotonic() - failed.begun:.1f} s ago"


class Shop:
    """A server, a consumer that calls, and its providers."""

    def __init__(self, framework):
        self.framework, self.apps, self.gone, self.looked_at = framework, [], [], 0
        self.server = Server(health_reconnect_probe="on")
        try:
            fixed(self.server)
            one, two = self.provider("one"), self.provider("two")
            one.ready(), two.ready()
            self.consumer = self.keep(framework.consumer(self.server)).ready()
            self.answered_by({"one", "two"}, START_SEC)
            self.in_service = time.monotonic()
        except BaseException:
            self.close()
            raise

    def keep(self, app):
        self.apps.append(app)
        return app

    def provider(self, name):
        return self.keep(self.framework.provider(self.server, name))

    def close(self):
        for app in self.apps:
            app.close()
        self.server.close()

    def instances(self):
        return self.server.get("/muster/v1/instances", serviceName=self.framework.service).json()["instances"]

    def heard_of(self):
        """After a restart: who is back from the warm copy alone has a beat that lies ahead, so it has no age."""
        instances = self.instances()
        return len(instances) == len(ALL) and all(i["lastBeatAgeMs"] > 0 for i in instances)

    def edit(self, app, **what):
        """What an operator does."""
        port = app.said["port"]
        ip = eventually(lambda: next((i["ip"] for i in self.instances() if i["port"] == port), None))
        reply = self.server.put("/nacos/v1/ns/instance", serviceName=self.framework.service, ip=ip, port=port, **what)
        assert (reply.status, reply.text) == (200, "ok"), reply

    def answers(self, calls):
        """Who answered how many of about the next @calls."""
        before = self.consumer.counts()
        while True:
            time.sleep(0.1)
            now = self.consumer.counts()
            delta = {who: n - before.get(who, 0) for who, n in now.items() if n > before.get(who, 0)}
            if sum(delta.values()) >= calls:
                return delta

    def answered_by(self, names, limit=60):
        end = time.monotonic() + limit
        while set(answers := self.answers(60)) != set(names):
            assert time.monotonic() < end, f"{names} do not answer all, but {answers}\n{self.log()}"

    def failures(self):
        """The failed calls since the last time; on a busy machine the very first ones fail within the SDK."""
        new, self.looked_at = self.consumer.failed[self.looked_at:], len(self.consumer.failed)
        return [f for f in new if f.begun > self.in_service]

    def log(self):
        """What server and consumer said."""
        changes = open(self.server.see("changes.log"), errors="replace").read()
        return self.server.log_text() + changes[-4000:] + self.consumer.text()

    def no_failed_call(self, what):
        new = self.failures()
        assert not new, f"{what}: {len(new)} failed calls, {ago(new[0])} to {ago(new[-1])}, the first: {new[0].text}\n{self.log()}"
        print(f"{what}: no failed call of {sum(self.consumer.counts().values())} so far")

    def only_refused_by(self, app, what):
        """Every call that failed was sent to @app, or another, which is known to be leaving or dead."""
        self.gone.append(str(app.said["port"]))
        new = self.failures()
        others = [f for f in new if "o provider available" in f.text or not any(port in f.text for port in self.gone)]
        assert not others, f"{what}: {len(others)} failed calls that are not {app.name}'s, the first: {others[0]}"
        print(f"{what}: {len(new)} calls were refused by {app.name}")
        return new

    def clients(self):
        """Connections and subscriptions, as the metrics count them."""
        text = self.server.get("/metrics").text
        return re.findall(r"^(muster_grpc_(?:connections|subscriptions) \d+)$", text, re.M)


def framework(make, name):
    try:
        return make()
    except Missing as e:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name}: {e}")
        pytest.skip(f"{name}: {e}")


@pytest.fixture(params=WANTED)
def shop(request):
    one = Shop(framework(FRAMEWORKS[request.param], request.param))
    yield one
    one.close()


def joins(shop):
    three = shop.provider("three").ready()
    shop.answered_by(ALL)
    shop.no_failed_call("a provider joined")
    return three


def is_drained_and_back(shop, app):
    shop.edit(app, enabled="false")
    shop.answered_by(ALL - {app.name})
    shop.edit(app, enabled="true")
    shop.answered_by(ALL)
    shop.no_failed_call(f"an operator drained {app.name} and took it back")


def weights_change(shop, one, others):
    """Where the framework takes weights from the registry: 0 is drained, one of ten thousand is next to nothing."""
    shop.edit(one, weight=0)
    shop.answered_by(ALL - {one.name})
    shop.edit(one, weight=0.01)
    for other in others:
        shop.edit(other, weight=100)
    eventually(lambda: shop.answers(100).get(one.name, 0) < 5)
    for app in [one] + others:
        shop.edit(app, weight=1)
    eventually(lambda: min(shop.answers(200).get(who, 0) for who in ALL) > 20)  # of some 67
    shop.no_failed_call("weights changed")


def muster_restarts(shop, stop, down_sec, what):
    clients = shop.clients()
    stop()
    time.sleep(down_sec)
    shop.server.start()
    eventually(lambda: shop.clients() == clients and shop.heard_of(), 60)
    shop.no_failed_call(what)
    is_drained_and_back(shop, shop.apps[1])  # the consumer is pushed to again


def drains_itself_and_back(shop, app):
    """By Spring's actuator, as a preStop hook does it."""
    for status, left in (("DOWN", ALL - {app.name}), ("UP", ALL)):
        request = urllib.request.Request(f"http://127.0.0.1:{app.said['port']}/actuator/serviceregistry",
                                         json.dumps({"status": status}).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=30).close()
        shop.answered_by(left)
    shop.no_failed_call(f"{app.name} drained itself and came back")


def is_killed(shop, app):
    """Out as soon as its port refuses, which also says that it was heard of since the restarts: it lives by its connection."""
    left = len(shop.instances()) - 1
    app.process.kill()
    killed = time.monotonic()
    eventually(lambda: len(shop.instances()) == left)
    unlisted = time.monotonic()
    print(f"{app.name} was unlisted {unlisted - killed:.2f} s after it was killed")
    shop.answered_by(ALL - {app.name})
    failed = shop.only_refused_by(app, "a provider was killed")
    late = [f for f in failed if f.begun > unlisted + 5]
    assert not late, f"{app.name} was called after it was unlisted: {late[0]}"
    assert all(f.begun < killed + KILLED_SEC for f in failed), f"{len(failed)} calls were refused in {failed[-1].begun - killed:.1f} s"


def leaves(shop, app, left):
    app.process.send_signal(signal.SIGTERM)
    shop.answered_by(left)
    app.process.wait(60)
    shop.only_refused_by(app, "a provider left (SIGTERM)")
    assert len(shop.instances()) == len(left)


def test_no_call_fails_by_musters_doing(shop):
    one, two = shop.apps[:2]
    three = joins(shop)
    if shop.framework.actuator:
        drains_itself_and_back(shop, three)
    is_drained_and_back(shop, three)  # an operator's word wins over three's from here on
    if shop.framework.weights:
        weights_change(shop, one, [two, three])
    muster_restarts(shop, shop.server.stop, 0, "Muster restarted")
    warm_copy_written(shop.server)
    muster_restarts(shop, shop.server.kill9, 2, "Muster was killed and started 2 s later")
    is_killed(shop, three)
    leaves(shop, two, {"one"})


@pytest.mark.parametrize("name", ASKING)
def test_an_application_that_asks_for_configuration_works_and_does_not_loop(name, server):
    """Nothing is set but the address: configuration is refused in a way that the framework can live with."""
    asking = framework(ASKING[name], name)
    asking.settings = asking.asking
    apps = []

    def refused():
        return int(re.search(r'^muster_grpc_requests_total\{result="failed"\} (\d+)', server.get("/metrics").text, re.M)[1])

    try:
        apps.append(asking.provider(server, "one"))
        apps[0].ready()
        apps.append(asking.consumer(server))
        eventually(apps[1].ready().counts, START_SEC)
        before = refused()
        time.sleep(5)
        assert refused() - before < 100, "requests for configuration are repeated all the time"
        assert "one" in apps[1].counts()
    finally:
        for app in apps:
            app.close()
