"""Official SDKs against the real server. Each SDK runs in a driver of its own language, a process that reads one JSON
request a line ({"id": 1, "do": "register", "service": ..., ...}) and writes answers ({"id": 1, "ok": true, "value": ...})
and what it is pushed ({"push": service, "hosts": [[ip, port, weight, healthy, metadata], ...]}).

SDKs are installed by name and version into MUSTER_INTEROP (default ~/.cache/muster-interop). A toolchain or a registry
that is not there is a skip with its reason; with CI=true it is a failure. MUSTER_SDKS picks some: "python3 go2 java1".
"""
import fcntl
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
_spec = importlib.util.spec_from_file_location("blackbox_conftest", os.path.join(HERE, "..", "blackbox", "conftest.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
globals().update({name: value for name, value in vars(_module).items() if not name.startswith("_")})
HERE = os.path.dirname(os.path.abspath(__file__))

CACHE = os.environ.get("MUSTER_INTEROP", os.path.expanduser("~/.cache/muster-interop"))
# Limits for a machine that does five other things; elsewhere nothing takes that long. In PUSH_SEC no SDK with gRPC polls by itself
# (test_broken.py).
INSTALL_SEC, START_SEC, ANSWER_SEC, PUSH_SEC = 1200, 180, 60, 15
PROBE_SEC = 8


class Missing(Exception):
    """A toolchain or a registry that is not there."""


def command(words, **more):
    try:
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=INSTALL_SEC, **more)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Missing(f"{words[0]}: {e}")
    if done.returncode != 0:
        raise Missing(f"{' '.join(words[:4])}: {(done.stdout + done.stderr)[-400:]}")
    return done.stdout


# Where a tool gets its packages: what its user has set, or its own default. Some tell only in files of theirs: those are not asked.
REGISTRIES = {
    "pip": lambda: os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/",
    "go": lambda: command(["go", "env", "GOPROXY"]).split(",")[0].split("|")[0].strip(),
    "mvn": lambda: not os.path.exists(os.path.expanduser("~/.m2/settings.xml")) and "https://repo.maven.apache.org/maven2/",
    "npm": lambda: command(["npm", "config", "get", "registry"]).splitlines()[-1],
    "cargo": lambda: not os.path.exists(os.path.expanduser("~/.cargo/config.toml")) and "https://index.crates.io/config.json",
}


def reach(tool):
    """Missing at once where an installation would wait minutes for a registry that nobody can reach from here."""
    if tool != "pip" and not shutil.which(tool):
        raise Missing(f"{tool} is not installed")
    url = tool in REGISTRIES and REGISTRIES[tool]()
    if not url or not url.startswith("http"):
        return
    for last in (False, True):
        try:
            urllib.request.urlopen(url, timeout=PROBE_SEC).close()
            return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError as e:
            if last:
                raise Missing(f"the registry of {tool}, {url}, cannot be reached: {e}")


def made(name, tool, sources, make):
    """CACHE/name, made once for this state of @sources, with @tool; others may want it at the same time."""
    path, state = os.path.join(CACHE, name), "".join(open(os.path.join(HERE, s)).read() for s in sources)
    stamp = os.path.join(path, ".made")
    os.makedirs(CACHE, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(stamp) or open(stamp).read() != state:
            reach(tool)
            for left in (2, 1, 0):  # a registry may fail once
                shutil.rmtree(path, ignore_errors=True)
                os.makedirs(path)
                try:
                    make(path)
                    break
                except Missing:
                    if not left:
                        raise
                    time.sleep(PROBE_SEC)
            open(stamp, "w").write(state)
    return path


def put(sources, path):
    os.makedirs(path, exist_ok=True)
    for source in sources:
        shutil.copy(os.path.join(HERE, source), path)


def python_sdk(version):
    def make(path):
        command(["/usr/bin/python3", "-m", "venv", path])
        command([f"{path}/bin/pip", "-q", "install", f"nacos-sdk-python=={version}"])
    path = made(f"python-{version}", "pip", [], make)
    return [f"{path}/bin/python", os.path.join(HERE, "driver.py")]


def go_sdk(version):
    generation = "" if version[0] == "1" else f"/v{version[0]}"
    sources = ["go/main.go", f"go/v{version[0]}.go"]

    def make(path):
        put(sources, path)
        main = os.path.join(path, "main.go")
        text = open(main).read().replace("nacos-sdk-go/v2/", f"nacos-sdk-go{generation}/")
        open(main, "w").write(text)
        with open(os.path.join(path, "go.mod"), "w") as module:
            module.write(f"module driver\n\ngo 1.21\n\nrequire github.com/nacos-group/nacos-sdk-go{generation} v{version}\n")
        command(["go", "mod", "tidy"], cwd=path)
        command(["go", "build", "-o", "driver", "."], cwd=path)
    return [os.path.join(made(f"go-{version}", "go", sources, make), "driver")]


def classpath(name, project, sources, *options):
    """The class path of what @sources and @project, a pom.xml, make."""
    def make(path):
        put([project], path)
        for folder, some in sources.items():
            put(some, os.path.join(path, "src/main", folder))
        # One at a time: they share a repository, and two that load the same file spoil it.
        with open(os.path.join(CACHE, "mvn.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            command(["mvn", "-q", "-B", *options, "compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath"], cwd=path)
    path = made(name, "mvn", [project] + [s for some in sources.values() for s in some], make)
    return f"{path}/target/classes:" + open(os.path.join(path, "classpath")).read()


def java_sdk(version, main="Driver", folder="java", more=("java/Configuration.java",)):
    """@more: further sources, some of which only this generation can compile."""
    where = classpath(f"{folder}-{version}", f"{folder}/pom.xml", {"java": [f"{folder}/{main}.java", "shared/Lines.java", *more]},
                      f"-Dnacos.version={version}")
    return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", where, main]


def node_sdk(version):
    def make(path):
        command(["npm", "init", "-y"], cwd=path)
        command(["npm", "install", "--no-audit", "--no-fund", f"nacos@{version}"], cwd=path)
        put(["node/driver.js"], path)
    return ["node", os.path.join(made(f"node-{version}", "npm", ["node/driver.js"], make), "driver.js")]


def rust_sdk(version):
    sources = ["rust/Cargo.toml", "rust/Cargo.lock", "rust/src/main.rs"]

    def make(path):
        put(sources[:2], path)
        put(sources[2:], os.path.join(path, "src"))
        target = os.path.join(CACHE, "rust-target")  # beside: what it needs is not built anew for each change of it
        command(["cargo", "build", "--locked", "-q", "--target-dir", target], cwd=path)
        shutil.copy(os.path.join(target, "debug", "driver"), os.path.join(path, "driver"))
    return [os.path.join(made(f"rust-{version}", "cargo", sources, make), "driver")]


class Sdk:
    """@start gives the words of its driver. @gone: the seconds that a killed client's instances may stay, and @back:
    those that a cut client may need until it is all that it was, by the SDK's own clocks (late_sdks in api/session.c)."""

    def __init__(self, start, gone=5, back=15, fuzzy=False):
        self.start, self.gone, self.back, self.fuzzy = start, gone, back, fuzzy


SDKS = {
    # Its redo comes in rounds of 30 s (redo/abstract_redo_service.py).
    "python3": Sdk(lambda: python_sdk("3.2.0"), back=40),
    # The same redo; and it does not see that its stream has ended (transport/grpc_client.py, _server_request_watcher),
    # only that a health check fails, 5 s after the last one, 10 s after a call.
    "python2": Sdk(lambda: python_sdk("2.0.11"), gone=12, back=50),
    "go2": Sdk(lambda: go_sdk("2.3.5")),
    "java2": Sdk(lambda: java_sdk("2.5.1")),
    "java3": Sdk(lambda: java_sdk("3.2.1-2026.03.30", more=["java/Configuration.java", "java/Fuzzy.java"]), fuzzy=True),
    # A health check sees the cut up to 10 s later, it waits 2 s and more to connect, its redo comes in rounds of 3 s.
    "rust": Sdk(lambda: rust_sdk("0.8.3"), gone=14, back=30),
}
# Of 1.x: HTTP, and pushes over UDP (test_sdk_1x.py).
SDKS_1X = {
    "java1": lambda: java_sdk("1.4.8"),
    "go1": lambda: go_sdk("1.1.6"),
    "node": lambda: node_sdk("2.6.3"),
}
PICKED = os.environ.get("MUSTER_SDKS", "").split()
WANTED = [key for key in SDKS if not PICKED or key in PICKED]
WANTED_1X = [key for key in SDKS_1X if not PICKED or key in PICKED]


def pytest_collection_modifyitems(config, items):
    """Tests of SDKs that nobody wants, or of what an SDK has not, are none."""
    _module.pytest_collection_modifyitems(config, items)
    left = []
    for item in items:
        given = getattr(item, "callspec", None) and {v for k, v in item.callspec.params.items() if k in ("sdk", "sdk_1x", "key")}
        if given and not given <= set(WANTED + WANTED_1X) or item.get_closest_marker("fuzzy_watch") and not SDKS[given.pop()].fuzzy:
            left.append(item)
    items[:] = [i for i in items if i not in left]
    config.hook.pytest_deselected(items=left)


def pytest_configure(config):
    _module.pytest_configure(config)
    config.addinivalue_line("markers", "fuzzy_watch: for SDKs that have it")


def listen_at_two():
    """Sockets at a port and, as SDKs want it, at the port 1000 above."""
    for _ in range(100):
        port = free_port()
        first = socket.create_server(("127.0.0.1", port))
        try:
            return first, socket.create_server(("127.0.0.1", port + 1000))
        except OSError:
            first.close()
    raise AssertionError("no two ports that are 1000 apart are free")


def fixed(server):
    """@server, started where it comes back after each restart: below the ports that the kernel gives to clients, so that
    nobody has its port meanwhile."""
    first, second = listen_at_two()
    server.flags["http.listen"] = f"127.0.0.1:{first.getsockname()[1]}"
    first.close(), second.close()
    server.stop()
    return server.start()


def warm_copy_written(server):
    """What was acknowledged before comes back after a restart."""
    begun = time.monotonic()

    def written():
        age = float(re.search(r"^muster_warm_copy_age_seconds (\S+)", server.get("/metrics").text, re.M)[1])
        return age + 0.5 < time.monotonic() - begun  # one that was begun since
    eventually(written)


class Driver:
    """One client process."""

    def __init__(self, words, server, namespace="public"):
        self.dir = tempfile.mkdtemp(prefix="muster-sdk-")
        address = f"{server.http_address[0]}:{server.http_address[1]}"
        self.errors = open(os.path.join(self.dir, "stderr"), "wb+")
        self.process = subprocess.Popen(words + [address, namespace, self.dir], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors)
        self.answers, self.pushes, self.watched, self.last = {}, {}, [], 0
        self.news = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        assert self.wait(lambda: self.answers.pop("ready", None), START_SEC), f"the driver does not start:\n{self.error_text()}"

    def error_text(self):
        return open(self.errors.name, errors="replace").read()[-3000:]

    def read(self):
        for line in self.process.stdout:
            if not line.startswith(b"{"):
                continue
            said = json.loads(line)
            with self.news:
                if "watch" in said:
                    self.watched.append((said["change"], said["watch"]))
                elif "push" in said:
                    self.pushes.setdefault(said["push"], []).append(said["hosts"])
                else:
                    self.answers[said.get("id", "ready")] = said
                self.news.notify_all()

    def wait(self, true, limit=PUSH_SEC):
        end = time.monotonic() + limit
        with self.news:
            while not (found := true()):
                left = end - time.monotonic()
                if left <= 0 or not self.news.wait(left):
                    return true()
            return found

    def send(self, do, **more):
        self.last += 1
        more.update(id=self.last, do=do)
        self.process.stdin.write(json.dumps(more).encode() + b"\n")
        self.process.stdin.flush()
        return self.last

    def answer(self, number, limit=ANSWER_SEC):
        said = self.wait(lambda: self.answers.pop(number, None), limit)
        assert said is not None, f"no answer to request {number}:\n{self.error_text()}"
        return said

    def call(self, do, **more):
        said = self.answer(self.send(do, **more))
        assert said["ok"], said
        return said.get("value")

    def addresses(self, service):
        """What it was pushed last, as sorted ip:port."""
        heard = self.pushes.get(service)
        return sorted(f"{h[0]}:{h[1]}" for h in heard[-1]) if heard else None

    def hears(self, service, addresses, limit=PUSH_SEC):
        assert self.wait(lambda: self.addresses(service) == sorted(addresses), limit), \
            f"pushed {self.pushes.get(service)}, not {addresses}\n{self.error_text()}"

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.errors.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def words_of(name, make):
    """The words that start a program, or the reason why it cannot be had."""
    try:
        return make()
    except Missing as e:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name}: {e}")
        pytest.skip(f"{name}: {e}")


@pytest.fixture(scope="session", params=list(SDKS))
def sdk(request):
    """One SDK; sdk.words start its driver."""
    one = SDKS[request.param]
    one.words = words_of(request.param, one.start)
    return one


@pytest.fixture(scope="session", params=list(SDKS_1X))
def sdk_1x(request):
    return words_of(request.param, SDKS_1X[request.param])


def connecting(words):
    drivers = []

    def make(server, **more):
        drivers.append(Driver(words, server, **more))
        return drivers[-1]

    yield make
    for driver in drivers:
        driver.close()


@pytest.fixture
def connect(sdk):
    """Client processes of a test's own."""
    yield from connecting(sdk.words)


@pytest.fixture
def connect_1x(sdk_1x):
    yield from connecting(sdk_1x)


@pytest.fixture(scope="module")
def clients(sdk, server):
    """Client processes that the tests of a file share: clients(0), clients(1), clients(0, "blue")."""
    drivers = {}

    def get(number, namespace="public"):
        if (number, namespace) not in drivers:
            drivers[number, namespace] = Driver(sdk.words, server, namespace=namespace)
        return drivers[number, namespace]

    yield get
    for driver in drivers.values():
        driver.close()
