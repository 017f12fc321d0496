"""Applications as they are: one address, a user name and a password for everything; or the address of a server list. Their
configuration, which is not in this release, is refused without sending them round in circles."""
import re
import time

import pytest
from conftest import SDKS, SDKS_1X, Driver, words_of

WATCHED_SEC = 12


@pytest.fixture(scope="module", params=["java1", "java2", "java3", "go2"])  # those that ask for configuration, too
def key(request):
    return request.param


@pytest.fixture(scope="module")
def words(key):
    return ["env", "NACOS_USER=nacos"] + words_of(key, SDKS_1X[key] if key in SDKS_1X else SDKS[key].start)


def asked(server, part):
    """How often a route with @part in its labels was asked."""
    rows = re.findall(r"^muster_http_route_requests_total\{(.*)\} (\S+)$", server.get("/metrics").text, re.M)
    return sum(float(count) for labels, count in rows if part in labels)


def all_calls(server):
    """HTTP and gRPC requests, but for those of this test."""
    text = server.get("/metrics").text
    grpc = sum(float(n) for n in re.findall(r"^muster_grpc_requests_total\{.*\} (\S+)$", text, re.M))
    return grpc + asked(server, 'route="/v1/') + asked(server, 'route="/v3/')


def walk(server, driver):
    driver.call("register", service="app", ip="10.95.0.1", port=80)
    assert server.addresses("app.svc.muster.internal") == ["10.95.0.1"]
    assert [h[:2] for h in driver.call("list", service="app")] == [["10.95.0.1", 80]]
    assert driver.call("status") == "UP"


def test_a_user_name_and_a_password_are_no_hindrance(make_server, words):
    server = make_server().start()
    driver = Driver(words, server)
    try:
        walk(server, driver)
        assert asked(server, "/login") == asked(server, 'login",status="2xx"') >= 1
    finally:
        driver.close()


def test_an_endpoint_leads_to_the_server(make_server, words):
    server = make_server(http_listen="127.0.0.1:0, 127.0.0.1:0").start()
    driver = Driver(["env", f"ENDPOINT={server.ports['http'][1]}"] + words, server)
    try:
        walk(server, driver)
        assert asked(server, "/serverlist") >= 1
    finally:
        driver.close()


def test_configuration_is_refused_once_and_not_asked_for_in_circles(make_server, words):
    server = make_server().start()
    driver = Driver(words, server)
    try:
        for do in ("get", "publish", "remove"):
            said = driver.answer(driver.send(do, name="app.yaml"))
            assert not said["ok"] or not said.get("value"), said  # Java logs it, and says null or false
        driver.call("listen", name="app.yaml")
        walk(server, driver)  # discovery goes on beside it
        before = all_calls(server)
        time.sleep(WATCHED_SEC)
        # Health checks of two connections and beats, each every 5 s, and the long poll of 1.x.
        assert all_calls(server) - before <= 24, server.get("/metrics").text
    finally:
        driver.close()
