"""Memory stays flat under churn: ten minutes of registrations, deregistrations, weights and heartbeats of 10,000 instances, of
DNS queries of every kind over UDP, TCP and TLS, of whole zones out and of reloads. RSS is read each second. While a
whole zone goes out it takes some MiB for a moment, so the lowest reading of every ten seconds counts: the least-squares
slope of these over the second half, extrapolated to an hour, is the verdict. MUSTER_SOAK_SECONDS=60 is a short run, which
says what it saw and judges nothing."""
import contextlib
import os
import random
import socket
import ssl
import struct
import subprocess
import threading
import time

import dns.edns
import dns.message
import dns.query
import dns.rdataclass
import pytest
from conftest import BUILD, Server, SLOW, VARIANT, eventually

SECONDS = int(os.environ.get("MUSTER_SOAK_SECONDS", "600"))
SLOPE_MAX = 1 << 20  # octets an hour
SERVICES, EACH = 2500, 4
KINDS = 200  # services that come and go
FLEET = os.path.join(BUILD, "tests/bench/fleet")
ZONE = "muster.internal"


class Worker(threading.Thread):
    """One turn after the other, at most @rate a second, until it is over. A turn that fails is a finding."""

    def __init__(self, server, rate):
        super().__init__(daemon=True)
        self.server, self.rate = server, rate
        self.over, self.turns, self.failure = threading.Event(), 0, None
        self.rng = random.Random(type(self).__name__)

    def run(self):
        try:
            with contextlib.ExitStack() as self.stack:
                self.begin()
                due = time.monotonic()
                while not self.over.is_set():
                    self.turn()
                    self.turns += 1
                    due = max(due + 1 / self.rate, time.monotonic() - 1)
                    self.over.wait(max(0.0, due - time.monotonic()))
        except Exception as e:  # noqa: BLE001
            self.failure = repr(e)

    def begin(self):
        pass


class Churn(Worker):
    """Instances that come, change and go; half of their services have never been seen before."""

    def begin(self):
        self.here = Server.__new__(Server)  # a connection of its own
        self.here.connection, self.here.http_address = None, self.server.http_address
        self.gone = []
        for kind, ephemeral in (("churn", "true"), ("stored", "false")):  # whoever will be met once has been met
            for n in range(KINDS):
                one = {"ip": "10.200.9.9", "port": 80, "ephemeral": ephemeral}
                self.here.register(f"{kind}{n}", **one)
                self.here.delete("/nacos/v1/ns/instance", serviceName=f"{kind}{n}", **one)

    def turn(self):
        kind = self.rng.choices(["churn", "fresh", "stored"], [5, 4, 1])[0]
        service = f"{kind}{self.turns if kind == 'fresh' else self.rng.randrange(KINDS)}"
        one = {"ip": f"10.200.{self.rng.randrange(4)}.{self.rng.randrange(1, 5)}", "port": 80, "ephemeral": "false" if kind == "stored" else "true"}
        self.here.register(service, **one, weight=self.rng.randrange(1, 9), metadata='{"version":"v%d"}' % self.rng.randrange(3))
        self.gone.append((service, one))
        if self.rng.random() < 0.5:
            assert self.here.put("/nacos/v1/ns/instance", serviceName=service, **one, weight=self.rng.randrange(1, 9)).status == 200
        if len(self.gone) > 100:
            service, one = self.gone.pop(0)
            self.here.delete("/nacos/v1/ns/instance", serviceName=service, **one)


def questions():
    """Wire forms of all kinds of questions, good and bad ones."""
    names = [(f"s0{n:04d}.svc.{ZONE}", t) for n in range(0, SERVICES, 37) for t in ("A", "AAAA", "SRV", "TXT", "ANY", "HTTPS")]
    names += [(f"churn{n}.svc.{ZONE}", "A") for n in range(50)] + [(f"absent{n}.svc.{ZONE}", "A") for n in range(50)]
    names += [(ZONE, t) for t in ("SOA", "NS", "A", "MX", "DNSKEY")] + [("www.example.com", "A"), ("1.0.0.10.in-addr.arpa", "PTR"),
                                                                         (f"_s00000._tcp.svc.{ZONE}", "SRV"), (f"10-0-0-1.i.{ZONE}", "A")]
    cookie = dns.edns.GenericOption(10, b"12345678")
    wires = [dns.message.make_query(name, rdtype, **more).to_wire() for name, rdtype in names
             for more in ({}, {"use_edns": 0}, {"use_edns": 0, "payload": 4096, "want_dnssec": True, "options": [cookie]})]
    wires += [dns.message.make_query("id.server", "TXT", rdclass=dns.rdataclass.CH).to_wire(), dns.message.make_query(ZONE, "IXFR").to_wire()]
    noise = random.Random(1)
    wires += [bytes(wires[n][:noise.randrange(1, len(wires[n]))]) for n in range(0, len(wires), 40)]  # cut off: FORMERR, or silence
    return wires


class Datagrams(Worker):
    def begin(self):
        self.wires = questions()
        self.socket = self.stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.socket.connect(self.server.dns)
        self.socket.setblocking(False)
        self.answers = 0

    def turn(self):
        for wire in self.rng.sample(self.wires, 20):
            self.socket.send(wire)
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(4096):
                self.answers += 1


class Streams(Worker):
    """Connections of some pipelined questions each, in the clear."""

    def begin(self):
        self.wires = [w for w in questions() if len(w) > 28]

    def connect(self):
        return socket.create_connection(self.server.dns, timeout=20 * SLOW)

    def turn(self):
        some = self.rng.sample(self.wires, 10)
        end = dns.message.make_query(ZONE, "SOA").to_wire()
        with self.connect() as s:
            s.sendall(b"".join(struct.pack(">H", len(w)) + w for w in (*some, end)))
            stream, answer = s.makefile("rb"), b""
            while answer[:2] != end[:2]:
                head = stream.read(2)
                if len(head) < 2:
                    return  # a question that ends the connection was among them
                answer = stream.read(struct.unpack(">H", head)[0])
            if self.turns % 3 == 0:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends by a reset


class Secure(Streams):
    def begin(self):
        super().begin()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.session = None

    def connect(self):
        plain = socket.create_connection(self.server.split(self.server.ports["dns_tls"][0]), timeout=20 * SLOW)
        s = self.context.wrap_socket(plain, session=self.session if self.turns % 2 else None)
        self.session = s.session
        return s


class ZonesOut(Worker):
    def turn(self):
        at = [f"@{self.server.dns[0]}", "-p", str(self.server.dns[1])]
        text = subprocess.run(["dig", *at, "+time=60", "+tries=1", "AXFR", ZONE], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert text.count("\n") > SERVICES * EACH, text[-300:]
        host, port = self.server.http_address
        subprocess.run(["curl", "-sf", "-o", "/dev/null", f"http://{host}:{port}/muster/v1/zones/{ZONE}"], check=True)


class Reloads(Worker):
    def turn(self):
        ttl = 5 + self.turns % 2  # s
        with open(self.server.conf + ".new", "w") as f:
            f.write(settings(self.server, ttl))
        os.replace(self.server.conf + ".new", self.server.conf)
        self.server.process.send_signal(1)


def settings(server, ttl):
    return (f"[dns]\nlisten = 127.0.0.1:0\ntls_listen = 127.0.0.1:0\nttl = {ttl}s\n[http]\nlisten = 127.0.0.1:0\nmax_output = 64MiB\n"
            f"[tls]\ncert = {server.cert}\nkey = {server.key}\n[zone {ZONE}]\ntransfer_allow = 127.0.0.0/8\n")


@pytest.fixture
def server():
    one = Server()
    one.conf, one.cert, one.key = (os.path.join(one.dir, name) for name in ("muster.conf", "c.crt", "c.key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-subj", "/CN=soak.example", "-keyout", one.key, "-out", one.cert], check=True, capture_output=True)
    for key in ("http.listen", "dns.listen"):  # flags would override the file
        one.flags.pop(key)
    with open(one.conf, "w") as f:
        f.write(settings(one, 5))
    arguments = one.arguments
    one.arguments = lambda: arguments() + ["-c", one.conf]
    one.env["MALLOC_TOP_PAD_"] = "4096"  # the heap grows by pages: by 128 KiB, as it does otherwise, one step is 1.5 MiB an hour
    yield one.start()
    one.close()


def fleet(server, *options):
    command = [FLEET, str(server.http_address[1]), options[0], "-s", str(SERVICES), "-i", str(EACH), *map(str, options[1:])]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def resident(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) * 1024


def lowest(points, every=10):
    return [min(points[n:n + every], key=lambda p: p[1]) for n in range(0, len(points), every)]


def slope(points):
    """Least squares, of (seconds, octets): octets a second."""
    mean_x, mean_y = (sum(c) / len(points) for c in zip(*points))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def test_memory_stays_flat_under_churn(server):
    if not os.path.exists(FLEET):
        pytest.skip(f"{FLEET} is not built (make check-programs)")
    said, _ = (first := fleet(server, "register", "-m", "-x", "-c", 16)).communicate()
    assert first.returncode == 0, said
    fleets = [fleet(server, "beat", "-r", 1500, "-t", SECONDS, "-c", 8, "-q"),
              fleet(server, "register", "-m", "-x", "-r", 100, "-t", SECONDS, "-c", 4, "-q")]
    workers = [Churn(server, 50), Datagrams(server, 10), Streams(server, 10), Secure(server, 5), ZonesOut(server, 0.1), Reloads(server, 1 / 30)]
    points, begun = [], time.monotonic()
    for w in workers:
        w.start()
    while (now := time.monotonic() - begun) < SECONDS:
        points.append((now, resident(server)))
        assert not [w.failure for w in workers if w.failure], [w.failure for w in workers]
        time.sleep(max(0.0, begun + len(points) - time.monotonic()))  # one each second
    for w in workers:
        w.over.set()
    for w in workers:
        w.join(60 * SLOW)
    for f in fleets:
        said, _ = f.communicate(timeout=60 * SLOW)
        assert f.returncode == 0, said
    assert not [w.failure for w in workers if w.failure], [w.failure for w in workers]
    eventually(lambda: server.get("/health").status == 200)
    hour = slope(lowest(points[len(points) // 2:])) * 3600
    turns = ", ".join(f"{type(w).__name__.lower()} {w.turns}" for w in workers)
    print(f"\n{SECONDS} s: RSS {points[0][1] >> 10} KiB at the start, {points[len(points) // 2][1] >> 10} in the middle, {points[-1][1] >> 10} at the end, "
          f"{max(p[1] for p in points) >> 10} at most; slope of the second half {hour / (1 << 20):+.2f} MiB an hour; turns: {turns}")
    with open(os.path.join(os.environ.get("MUSTER_SOAK_TRACE", os.devnull)), "w") as f:
        f.writelines(f"{second:.1f} {octets}\n" for second, octets in points)
    if SECONDS >= 600 and VARIANT == "plain":
        assert hour < SLOPE_MAX, f"{hour / (1 << 20):.2f} MiB an hour"
