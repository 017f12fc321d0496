"""Resolvers that languages bring along, and CoreDNS, in the story of the DNS consumers (tests/support/story.py)."""
import os
import re
import subprocess

import dns.message
import dns.query
import pytest
from conftest import command, eventually, made, put, words_of
from story import PORT, SERVICE, ZONE, Consumer, Resolver, Story, ask, host, machine, recipe, server, srv_weights  # noqa: F401
from stubs import FULL, NSSWITCH, resolv_conf

COREDNS, PYCARES = "1.11.3", "4.11.0"
SRV = f"_{SERVICE}._tcp.svc.{ZONE}"


def srv_lines(state):
    return sorted(f"10 {weight} {PORT} {host(address)}" for address, weight in srv_weights(state).items())


WIDE, WIDE_COUNT = f"wide.svc.{ZONE}", 200  # too many for a datagram


def register_wide(server):
    """A service whose addresses are these, all in every answer; nobody beats for them for a while."""
    made = {"serviceName": "wide", "ephemeral": "true", "metadata": '{"dns.mode":"all"}'}
    assert server.call("POST", "/nacos/v2/ns/service", made).status == 200
    wanted = [f"127.60.0.{i + 1}" for i in range(WIDE_COUNT)]
    for address in wanted:
        server.register("wide", address, PORT, metadata='{"preserved.heart.beat.timeout":"3600000","preserved.ip.delete.timeout":"3600000"}')
    return sorted(wanted)


class Language(Consumer):
    """A program that says one line for each thing it looked up, answers divided by commas, in any order."""
    limit = 60  # other tests run beside
    environment = {}

    def start(self):
        self.etc = {"resolv.conf": resolv_conf(), "nsswitch.conf": NSSWITCH}

    def look(self):
        said = self.machine.run(["env", *[f"{k}={v}" for k, v in self.environment.items()], *self.words, SERVICE, FULL, SRV], self.etc, self.name)
        return [sorted(line.split(",")) for line in said.splitlines()]

    def wanted(self, state):
        return [sorted(state) or ["error"]] * self.addresses + [srv_lines(state) or ["error"]]

    addresses = 2

    def wide(self):
        """What each of its ways finds of a service that no datagram holds."""
        said = self.machine.run(["env", *[f"{k}={v}" for k, v in self.environment.items()], *self.words, WIDE], self.etc, self.name)
        return [line.split(",") for line in said.splitlines()]


class Go(Language):
    environment = {"GODEBUG": "netdns=go"}

    @staticmethod
    def install():
        def make(path):
            put(["resolvers/resolvers.go"], path)
            command(["go", "build", "-o", os.path.join(path, "resolvers"), os.path.join(path, "resolvers.go")], env={**os.environ, "CGO_ENABLED": "1"})
        return [os.path.join(made("resolvers-go", "go", ["resolvers/resolvers.go"], make), "resolvers")]


class GoCgo(Go):
    environment = {"GODEBUG": "netdns=cgo"}


class Node(Language):
    """dns.lookup and dns.resolve4 of each name; the latter, for which there is no search list, has only the whole one."""

    @staticmethod
    def install():
        def make(path):
            put(["resolvers/resolvers.js"], path)
        return ["node", os.path.join(made("resolvers-node", "node", ["resolvers/resolvers.js"], make), "resolvers.js")]

    def look(self):
        said = super().look()
        return said[:1] + said[2:]

    addresses = 3


class Cares(Language):
    """With cookies and 0x20."""

    @staticmethod
    def install():
        def make(path):
            command(["/usr/bin/python3", "-m", "venv", path])
            command([f"{path}/bin/pip", "-q", "install", f"pycares=={PYCARES}"])
            put(["resolvers/resolvers.py"], path)
        path = made(f"resolvers-cares-{PYCARES}", "pip", ["resolvers/resolvers.py"], make)
        return [f"{path}/bin/python", f"{path}/resolvers.py"]

    def look(self):
        said = self.machine.run([*self.words, FULL, SRV], self.etc, self.name).lower()  # names come in the case of the question
        return [sorted(line.split(",")) for line in said.splitlines()]

    addresses = 1


class Java(Consumer):
    """InetAddress and JNDI of one process that stays, with what the readme says about its caches."""
    limit = 60

    @staticmethod
    def install():
        def make(path):
            put(["resolvers/Resolvers.java"], path)
            command(["javac", "-d", path, os.path.join(path, "Resolvers.java")])
        return ["java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
                made("resolvers-java", "javac", ["resolvers/Resolvers.java"], make)]

    def start(self):
        settings = self.machine.write("java.security", "networkaddress.cache.ttl=5\nnetworkaddress.cache.negative.ttl=0\n")
        words = self.words + [f"-Djava.security.properties={settings}", "Resolvers"]
        self.process = subprocess.Popen(self.machine.words(words, {"resolv.conf": resolv_conf(), "nsswitch.conf": NSSWITCH}, self.name),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.machine.processes.append((self.name, self.process))

    def ask(self, kind, name):
        self.process.stdin.write(f"{kind} {name}\n")
        self.process.stdin.flush()
        return sorted(self.process.stdout.readline().rstrip("\n").split(","))

    def look(self):
        return [self.ask("host", SERVICE), self.ask("host", FULL), self.ask("A", FULL), self.ask("SRV", SRV)]

    def wide(self):
        return [self.ask("host", WIDE), self.ask("A", WIDE)]

    def wanted(self, state):
        return [sorted(state) or ["error"]] * 2 + [sorted(state) or [""]] + [srv_lines(state) or [""]]


class CoreDns(Resolver):
    limit = 60
    address = "127.0.0.16"

    @staticmethod
    def install():
        def make(path):
            put(["coredns/main.go"], path)
            with open(os.path.join(path, "go.mod"), "w") as module:
                module.write(f"module consumer\n\ngo 1.21\n\nrequire github.com/coredns/coredns v{COREDNS}\n")
            command(["go", "build", "-mod=mod", "-o", "coredns", "."], cwd=path)
        return [os.path.join(made(f"coredns-{COREDNS}", "go", ["coredns/main.go"], make), "coredns")]

    def start(self):
        conf = self.machine.write("Corefile", recipe("Corefile", errors=f"errors\n\tbind {self.address}"))
        self.machine.start(self.name, self.words + ["-conf", conf])

    def wide(self):
        """As a client has it that goes to TCP when it is told to."""
        eventually(lambda: ask(self.address, f"absent.svc.{ZONE}") is not None, 60)  # it may not be up yet
        answer, _ = dns.query.udp_with_fallback(dns.message.make_query(WIDE, "A"), self.address, timeout=30)
        return [[r.to_text() for rrset in answer.answer for r in rrset]]


KINDS = [Go, GoCgo, Node, Cares, Java, CoreDns]


@pytest.fixture(scope="module")
def installed(request):
    """What is wanted, or why it cannot be had; before the network of the machine, where no registry is."""
    missing = {}
    chosen = [i.callspec.params["kind"] for i in request.session.items if i.module is request.module and "kind" in i.callspec.params]
    for kind in dict.fromkeys(chosen or KINDS):
        try:
            kind.words, missing[kind] = words_of(kind.__name__, kind.install), None
        except (pytest.skip.Exception, pytest.fail.Exception) as e:
            missing[kind] = e
    return missing


@pytest.fixture(scope="module")
def story(installed, machine, server):  # noqa: F811
    consumers = {kind: kind(machine) for kind, why in installed.items() if why is None}
    told = Story(server, list(consumers.values()))
    try:
        told.run()
        yield consumers
    finally:
        told.close()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.lower())
def test_a_resolver_follows(installed, story, kind):
    if installed[kind] is not None:
        raise installed[kind]
    print(story[kind].seen)
    assert story[kind].problem is None, story[kind].problem


@pytest.fixture(scope="module")
def wide(story, server):  # noqa: F811
    return register_wide(server)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.lower())
def test_what_no_datagram_holds_comes_whole(installed, story, wide, kind):
    if installed[kind] is not None:
        raise installed[kind]
    seen = story[kind].wide()
    assert seen and all(sorted(part) == wide for part in seen), seen


@pytest.mark.parametrize("kind", [Cares], ids=["cares"])
def test_cookies_are_good(installed, story, server, kind):  # noqa: F811
    """It asks twice in each process: the second time with the cookie that it was given."""
    if installed[kind] is not None:
        raise installed[kind]
    found = dict(re.findall(r'^muster_dns_cookies_total\{state="(\w+)"\} (\d+)', server.get("/metrics").text, re.M))
    assert int(found["good"]) > 0 and int(found["wrong"]) == 0, found


@pytest.mark.parametrize("kind", [CoreDns], ids=["coredns"])
def test_a_probe_finds_muster_again(installed, story, server, kind):  # noqa: F811
    """CoreDNS probes an upstream that failed with ". NS": REFUSED is an answer, and it is up again."""
    if installed[kind] is not None:
        raise installed[kind]
    look, was = story[kind].look, story[kind].look()
    server.kill9()
    eventually(lambda: look()[0] is None or look()[0][0] == "SERVFAIL", 60)
    server.start()
    eventually(lambda: look() == was, 60, pause=0.2)
    refused = r'^muster_dns_queries_total\{[^}]*rcode="REFUSED"[^}]*\} (\d+)'
    eventually(lambda: sum(map(int, re.findall(refused, server.get("/metrics").text, re.M))) > 0)
