"""The real server for black-box tests: started on free ports with a temporary data directory, asked over HTTP and DNS.

MUSTERD names the program (tests/check.sh sets it); MUSTER_VARIANT is "plain" or "asan". A test takes `server` (one for
each test file, shared by its tests: use names of your own) or `make_server` (a fresh one each call).
"""
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

import dns.message
import dns.query
import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
MUSTERD = os.environ.get("MUSTERD", os.path.join(TOP, "build-check", "musterd", "musterd"))
BUILD = os.environ.get("MUSTER_BUILD", os.path.dirname(os.path.dirname(MUSTERD)))  # where the test programs are
VARIANT = os.environ.get("MUSTER_VARIANT", "plain")
sys.path.append(os.path.join(TOP, "tests", "support"))
SLOW = 4 if VARIANT != "plain" else 1  # what a sanitizer costs, for time limits
SOAK = os.environ.get("MUSTER_SOAK") == "1"  # the full counts (make soak); a file that uses it is run by tests/soak/soak.sh


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Server:
    """One musterd. Flags are `http_listen="..."` style keywords: the first underscore is the dot of section.key."""

    def __init__(self, **flags):
        self.dir = tempfile.mkdtemp(prefix="muster-test-")
        self.data = os.path.join(self.dir, "data")
        self.flags = {"http.listen": "127.0.0.1:0", "dns.listen": "127.0.0.1:0", "push.udp_listen": "127.0.0.1:0",
                      "health.reconnect_probe": "off"}  # addresses of tests are made up: nobody listens there
        self.flags.update({k.replace("_", ".", 1): v for k, v in flags.items()})
        self.zones = []
        self.program = MUSTERD
        self.env = {}  # besides ours
        self.process = None
        self.log_path = os.path.join(self.dir, "log")
        self.connection = None

    def zone(self, name, **keys):
        self.zones += [f"--zone.{name}.{key}={value}" for key, value in keys.items()]
        return self

    def arguments(self):
        return [self.program, f"--server.data_dir={self.data}"] + [f"--{k}={v}" for k, v in self.flags.items()] + self.zones

    def see(self, name):
        """A file of the data directory, as this process finds it."""
        return os.path.join(self.data, name)

    def start(self, wait=True, **flags):
        self.flags.update({k.replace("_", ".", 1): v for k, v in flags.items()})
        if "server.user" not in self.flags:  # it makes the directory of another user itself
            os.makedirs(self.data, exist_ok=True)
        ports = self.see("ports.json")
        if os.path.exists(ports):
            os.unlink(ports)
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env={**os.environ, **self.env})
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, limit=20):
        ports = self.see("ports.json")
        end = time.monotonic() + limit * SLOW
        while not os.path.exists(ports):
            if self.process.poll() is not None:
                raise AssertionError(f"musterd ended with {self.process.returncode}:\n{self.log_text()}")
            if time.monotonic() > end:
                raise AssertionError(f"musterd is not ready:\n{self.log_text()}")
            time.sleep(0.005)
        self.ports = json.load(open(ports))
        self.http_address = self.split(self.ports["http"][0])
        self.dns = self.split(self.ports["dns"][0])
        self.http = f"http://{self.http_address[0]}:{self.http_address[1]}"
        self.connection = None

    @staticmethod
    def split(address):
        host, _, port = address.rpartition(":")
        return host.strip("[]"), int(port)

    def log_text(self):
        return open(self.log_path, errors="replace").read()

    def stop(self, limit=15):
        """An orderly stop; its exit status must be 0."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(limit * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"musterd does not stop:\n{self.log_text()}")
        self.process = None
        assert status == 0, f"exit status {status}:\n{self.log_text()}"

    def kill9(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self, **flags):
        self.stop()
        return self.start(**flags)

    def close(self):
        try:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"musterd ended by itself with {self.process.returncode}:\n{self.log_text()}")
            self.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    # ---- HTTP
    def call(self, method, path, params=None, body=None, headers=None, timeout=20):
        """One request over a kept connection; @params go into the query, a dict @body is sent as a form."""
        if params:
            path += ("&" if "?" in path else "?") + urllib.parse.urlencode(params)
        headers = dict(headers or {})
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body)
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        for attempt in (0, 1):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(*self.http_address, timeout=timeout)
            try:
                self.connection.request(method, path, body=body, headers=headers)
                answer = self.connection.getresponse()
                return Reply(answer.status, dict(answer.getheaders()), answer.read())
            except (http.client.RemoteDisconnected, ConnectionError, http.client.CannotSendRequest):
                self.connection = None
                if attempt:
                    raise

    def get(self, path, **params):
        return self.call("GET", path, params)

    def post(self, path, **params):
        return self.call("POST", path, params)

    def put(self, path, **params):
        return self.call("PUT", path, params)

    def delete(self, path, **params):
        return self.call("DELETE", path, params)

    def register(self, service, ip, port, **more):
        reply = self.post("/nacos/v1/ns/instance", serviceName=service, ip=ip, port=port, **more)
        assert (reply.status, reply.text) == (200, "ok"), reply
        return reply

    def deregister(self, service, ip, port, **more):
        reply = self.delete("/nacos/v1/ns/instance", serviceName=service, ip=ip, port=port, **more)
        assert (reply.status, reply.text) == (200, "ok"), reply
        return reply

    def hosts(self, service, **more):
        return self.get("/nacos/v1/ns/instance/list", serviceName=service, **more).json()["hosts"]

    # ---- DNS
    def dig(self, name, rdtype="A", tcp=False, timeout=5, **more):
        question = dns.message.make_query(name, rdtype, **more)
        ask = dns.query.tcp if tcp else dns.query.udp
        return ask(question, self.dns[0], timeout=timeout, port=self.dns[1])

    def addresses(self, name, rdtype="A", **more):
        """Sorted rdata texts of the answer."""
        return sorted(r.to_text() for rrset in self.dig(name, rdtype, **more).answer for r in rrset)


def pytest_collection_modifyitems(config, items):
    """Marked plain_only: what a sanitizer's build cannot do (a preloaded library before its own); the plain build runs it."""
    left = [i for i in items if VARIANT != "plain" and i.get_closest_marker("plain_only")]
    items[:] = [i for i in items if i not in left]
    config.hook.pytest_deselected(items=left)


def pytest_configure(config):
    config.addinivalue_line("markers", "plain_only: not for the build with sanitizers")
    config.addinivalue_line("markers", "alone: run without another test beside it (tests/support/run_blackbox.py)")


@pytest.fixture
def make_server():
    made = []

    def make(**flags):
        made.append(Server(**flags))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def server():
    one = Server().start()
    yield one
    one.close()


def free_port(host="127.0.0.1"):
    """A port that is free over UDP and TCP, below those that the kernel gives to clients: it stays free until it is used."""
    while True:
        port = random.SystemRandom().randrange(10000, 30000)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind((host, port))
                udp.bind((host, port))
                return port
            except OSError:
                continue


def eventually(check, limit=10.0, pause=0.02):
    """The value of @check as soon as it is true; fails with the last one after @limit seconds."""
    end = time.monotonic() + limit * SLOW
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, f"not within {limit * SLOW} s: {value!r}"
        time.sleep(pause)


def in_network_of_its_own(arguments):
    """@arguments wrapped so that the program has every port of an empty network to itself; a skip where that is not allowed."""
    unshare, ip = need("unshare"), need("ip")
    if subprocess.run([unshare, "--net", ip, "link", "set", "lo", "up"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no network namespaces here")
    return [unshare, "--net", "sh", "-c", f'{ip} link set lo up && exec "$@"', "sh"] + arguments


def need(program):
    """A program that a test needs: its path, or a skip with its reason."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path
