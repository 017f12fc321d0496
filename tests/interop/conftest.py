"""Official SDKs against the real server. Each SDK runs in a driver of its own language, a process that reads one JSON
request a line ({"id": 1, "do": "register", "service": ..., ...}) and writes answers ({"id": 1, "ok": true, "value": ...})
and what it is pushed ({"push": service, "hosts": [[ip, port, weight, healthy, metadata], ...]}).

SDKs are installed by name and version into MUSTER_INTEROP (default ~/.cache/muster-interop). What cannot be had here
is a skip with its reason; with CI=true it is a failure. MUSTER_SDKS picks some: "python3 go2 java2".
"""
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
_spec = importlib.util.spec_from_file_location("blackbox_conftest", os.path.join(HERE, "..", "blackbox", "conftest.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
globals().update({name: value for name, value in vars(_module).items() if not name.startswith("_")})
HERE = os.path.dirname(os.path.abspath(__file__))

CACHE = os.environ.get("MUSTER_INTEROP", os.path.expanduser("~/.cache/muster-interop"))
INSTALL_SEC = 300


class Missing(Exception):
    """A toolchain or a registry that is not there."""


def command(words, **more):
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_SEC, **more)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Missing(f"{words[0]}: {e}")
    if done.returncode != 0:
        raise Missing(f"{' '.join(words[:4])}: {(done.stdout + done.stderr)[-400:]}")
    return done.stdout


def made(name, sources, make):
    """CACHE/name, made once for this state of @sources."""
    path, state = os.path.join(CACHE, name), "".join(open(os.path.join(HERE, s)).read() for s in sources)
    stamp = os.path.join(path, ".made")
    if not os.path.exists(stamp) or open(stamp).read() != state:
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        make(path)
        open(stamp, "w").write(state)
    return path


def python_sdk(version):
    def make(path):
        command(["/usr/bin/python3", "-m", "venv", path])
        command([f"{path}/bin/pip", "-q", "install", f"nacos-sdk-python=={version}"])
    path = made(f"python-{version}", [], make)
    return [f"{path}/bin/python", os.path.join(HERE, "driver.py")]


def go_sdk(version, folder="go"):
    def make(path):
        for name in ("go.mod", "main.go"):
            text = open(os.path.join(HERE, folder, name)).read()
            open(os.path.join(path, name), "w").write(text.replace("v2.3.5", "v" + version))
        command(["go", "mod", "tidy"], cwd=path)
        command(["go", "build", "-o", "driver", "."], cwd=path)
    name = folder.replace("/", "-")
    return [os.path.join(made(f"{name}-{version}", [f"{folder}/go.mod", f"{folder}/main.go"], make), "driver")]


def java_sdk(version, folder="java", main="Driver", more=()):
    """@more: sources that only this generation can compile."""
    def make(path):
        shutil.copytree(os.path.join(HERE, folder), path, dirs_exist_ok=True)
        for source in more:
            shutil.copy(os.path.join(HERE, source), os.path.join(path, "src/main/java"))
        command(["mvn", "-q", "-B", f"-Dnacos.version={version}", "compile", "dependency:build-classpath",
                 "-Dmdep.outputFile=classpath"], cwd=path)
    name = folder.replace("/", "-")
    path = made(f"{name}-{version}", [f"{folder}/pom.xml", f"{folder}/src/main/java/{main}.java", *more], make)
    classpath = open(os.path.join(path, "classpath")).read()
    return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{path}/target/classes:{classpath}", main]


def node_sdk(version):
    def make(path):
        command(["npm", "init", "-y"], cwd=path)
        command(["npm", "install", "--no-audit", "--no-fund", f"nacos@{version}"], cwd=path)
        shutil.copy(os.path.join(HERE, "node", "driver.js"), path)
    return ["node", os.path.join(made(f"node-{version}", ["node/driver.js"], make), "driver.js")]


def rust_sdk(version):
    sources = ["rust/Cargo.toml", "rust/Cargo.lock", "rust/src/main.rs"]

    def make(path):
        shutil.copytree(os.path.join(HERE, "rust"), path, dirs_exist_ok=True)
        target = os.path.join(CACHE, "rust-target")  # beside: what it needs is not built anew for each change of it
        command(["cargo", "build", "--locked", "-q", "--target-dir", target], cwd=path)
        shutil.copy(os.path.join(target, "debug", "driver"), os.path.join(path, "driver"))
    return [os.path.join(made(f"rust-{version}", sources, make), "driver")]


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
    "java3": Sdk(lambda: java_sdk("3.1.1", more=["java3/Fuzzy.java"]), fuzzy=True),
    # A health check sees the cut up to 10 s later, it waits 2 s and more to connect, its redo comes in rounds of 3 s.
    "rust": Sdk(lambda: rust_sdk("0.8.3"), gone=14, back=30),
}
# Of 1.x: HTTP, and pushes over UDP (test_sdk_1x.py); MUSTER_SDKS_1X picks some.
SDKS_1X = {
    "java1": lambda: java_sdk("1.4.8"),
    "go1": lambda: go_sdk("1.1.6", "go1"),
    "node": lambda: node_sdk("2.6.3"),
}
WANTED_1X = os.environ.get("MUSTER_SDKS_1X", "java1 go1 node").split()
WANTED = os.environ.get("MUSTER_SDKS", "python3 python2 go2 java2 java3 rust").split()


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
        assert self.wait(lambda: self.answers.pop("ready", None), 60), f"the driver does not start:\n{self.error_text()}"

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

    def wait(self, true, limit):
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

    def answer(self, number, limit=30):
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

    def hears(self, service, addresses, limit=10):
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


@pytest.fixture(scope="session", params=WANTED)
def sdk(request):
    """One SDK; sdk.words start its driver."""
    one = SDKS[request.param]
    one.words = words_of(request.param, one.start)
    return one


@pytest.fixture(scope="session", params=WANTED_1X)
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
