"""Framework applications against the real server: a provider that answers its own name and a consumer that calls it 100
times a second, each a process of its own, with the settings that the README tells users to copy."""
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from conftest import HERE, START_SEC, classpath, free_port

JAVA = ["java", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def recipe(heading):
    """The settings that the README gives under @heading, as a text."""
    readme = open(os.path.join(HERE, "..", "..", "README.md")).read()
    section = readme.split(f"\n### {heading}\n", 1)[1].split("\n#", 1)[0]
    lines = [line.strip() for line in section.splitlines() if re.match(r"    [a-z.-]+ ?= ?", line)]
    assert lines, section
    return "\n".join(lines) + "\n"


Failed = collections.namedtuple("Failed", "begun text")


class App:
    """One application. @words end in what the framework needs; what it says of itself is lines of JSON."""

    def __init__(self, name, words, settings):
        self.name, self.dir = name, tempfile.mkdtemp(prefix="muster-app-")
        self.settings = os.path.join(self.dir, "settings.properties")
        open(self.settings, "w").write(settings)
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.said, self.failed, self.answers, self.last = {}, [], {}, 0
        self.news = threading.Condition()
        words = JAVA + [f"-Duser.home={self.dir}"] + [w.replace("SETTINGS", self.settings) for w in words]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, cwd=self.dir)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if not line.startswith(b"{"):
                self.log.write(line)
                self.log.flush()
                continue
            said = json.loads(line)
            with self.news:
                if "failed" in said and "id" not in said:
                    self.failed.append(Failed(time.monotonic() - said["ms"] / 1000, f"{said['to']} {said['failed']}"))
                elif "id" in said:
                    self.answers[said["id"]] = said
                else:
                    self.said.update(said)
                self.news.notify_all()

    def text(self):
        return open(self.log.name, errors="replace").read()[-4000:]

    def ready(self):
        with self.news:
            assert self.news.wait_for(lambda: "ready" in self.said or self.process.poll() is not None, START_SEC) \
                and "ready" in self.said, f"{self.name} does not start:\n{self.text()}"
        return self

    def counts(self):
        """How many calls each provider has answered so far."""
        self.last += 1
        self.process.stdin.write(b"counts %d\n" % self.last)
        self.process.stdin.flush()
        with self.news:
            assert self.news.wait_for(lambda: self.last in self.answers, 30), f"{self.name} does not answer:\n{self.text()}"
            return self.answers.pop(self.last)["answered"]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Spring:
    service, weights, actuator = "orders", True, True
    asking = "spring.config.import=optional:nacos:orders.properties\nspring.cloud.nacos.server-addr=127.0.0.1:8848\n"

    def __init__(self):
        self.settings = recipe("Spring Cloud Alibaba")
        self.classpath = classpath("spring", "spring/pom.xml", {
            "java/calls": ["calls/Calls.java"], "java/provider": ["spring/src/main/java/provider/Provider.java"],
            "java/consumer": ["spring/src/main/java/consumer/Consumer.java"]})

    def app(self, server, name, main, application, *more):
        return App(name, ["-cp", self.classpath, main, "--spring.config.location=file:SETTINGS", "--server.port=0",
                          f"--spring.application.name={application}", "--spring.cloud.nacos.discovery.ip=127.0.0.1",
                          "--management.endpoints.web.exposure.include=*", *more],
                   self.settings.replace("127.0.0.1:8848", address(server)))

    def provider(self, server, name):
        return self.app(server, name, "provider.Provider", "orders", f"--who={name}")

    def consumer(self, server):
        return self.app(server, "consumer", "consumer.Consumer", "shop")


class Dubbo:
    """Dubbo takes its weights from the provider's own settings. @modes: as applications, as interfaces or, as users have
    it who set nothing, both."""
    weights = actuator = False
    asking = "dubbo.registry.address=nacos://127.0.0.1:8848\n"

    def __init__(self, service, **modes):
        self.settings = recipe("Dubbo 3")
        self.classpath = classpath("dubbo", "dubbo/pom.xml", {
            "java/calls": ["calls/Calls.java"], "resources": ["dubbo/src/main/resources/logback.xml"],
            "java/shop": [f"dubbo/src/main/java/shop/{name}.java" for name in ("Provider", "Consumer", "Orders")]})
        self.service = service
        self.modes = [f"-Ddubbo.application.{name.replace('__', '.').replace('_', '-')}={value}" for name, value in modes.items()]

    def app(self, server, name, application, words):
        # no retries: no failed call is hidden; and time, since a provider that lives may be slow here
        return App(name, ["-Ddubbo.properties.file=SETTINGS", f"-Ddubbo.application.name={application}",
                          *self.modes,
                          "-Ddubbo.consumer.retries=0", "-Ddubbo.consumer.timeout=60000",
                          "-Ddubbo.application.qos-enable=false", "-cp", self.classpath] + words,
                   self.settings.replace("127.0.0.1:8848", address(server)))

    def provider(self, server, name):
        port = free_port()
        app = self.app(server, name, "orders", [f"-Ddubbo.protocol.port={port}", "shop.Provider", name])
        app.said["port"] = port
        return app

    def consumer(self, server):
        return self.app(server, "consumer", "shop", ["shop.Consumer"] + ["orders"] * bool(self.modes))


def address(server):
    return f"{server.http_address[0]}:{server.http_address[1]}"


INTERFACE = "providers:shop.Orders::"
FRAMEWORKS = {
    "spring": Spring,
    "dubbo-application": lambda: Dubbo("orders", register_mode="instance", service_discovery__migration="FORCE_APPLICATION"),
    "dubbo-interface": lambda: Dubbo(INTERFACE, register_mode="interface", service_discovery__migration="FORCE_INTERFACE"),
}
ASKING = {"spring": Spring, "dubbo": lambda: Dubbo(INTERFACE)}  # for configuration
