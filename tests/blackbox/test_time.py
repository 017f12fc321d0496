"""A process that stood still and clocks that jump: nothing that lives is lost, nothing dead lives on."""
import email.utils
import os
import signal
import socket
import struct
import threading
import time

import dns.rdatatype
import pytest
from conftest import BUILD, SLOW, SOAK, eventually

pytestmark = pytest.mark.alone  # it counts beats while the server stands still

# instances, those that die, seconds of standstill, seconds between beats, time-outs in metadata
if SOAK:
    COUNT, DEAD, STILL, INTERVAL, TIMES, GONE = 5000, 50, 40, 5.0, {}, 62
else:
    COUNT, DEAD, STILL, INTERVAL, GONE = 100, 3, 5, 0.3, 62  # gone in some 5 s, unless the machine is too busy for the beats
    TIMES = {"preserved.heart.beat.interval": "500", "preserved.heart.beat.timeout": str(1500 * SLOW),
             "preserved.ip.delete.timeout": str(3000 * SLOW)}
SERVICES = 20


class Beater(threading.Thread):
    """Beats for everybody in @alive once per interval, pipelined over one connection; connects again when it must."""

    def __init__(self, server, alive, interval):
        super().__init__(daemon=True)
        self.server, self.alive, self.interval = server, alive, interval
        self.paused = self.over = False
        self.strict = True  # everybody is registered
        self.rounds = 0
        self.failure = None

    def beat(self, some):
        with socket.create_connection(self.server.http_address, 10) as s:
            s.sendall(b"".join(b"PUT /nacos/v1/ns/instance/beat?serviceName=%s&ip=%s&port=80 HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n"
                               % (service.encode(), ip.encode()) for service, ip in some))
            stream, known = s.makefile("rb"), 0
            for _ in some:
                assert b" 200 " in stream.readline()
                length = 0
                while line := stream.readline().strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                known += b"20404" not in stream.read(length)
            return known

    def run(self):
        while not self.over:
            begun, all_ = time.monotonic(), sorted(self.alive)
            for at in range(0, len(all_), 200):
                if self.over or self.paused:
                    break
                try:
                    some = all_[at:at + 200]
                    known = self.beat(some)
                    if self.strict and known != len(some):
                        self.failure = f"{len(some) - known} of {len(some)} beats found no instance"
                except OSError:
                    pass
            else:
                self.rounds += 1
            time.sleep(max(0.01, self.interval - (time.monotonic() - begun)))


def metadata(times):
    return "{" + ",".join(f'"{k}":"{v}"' for k, v in times.items()) + "}"


def test_a_standstill_removes_the_dead_and_nobody_else(make_server):
    server = make_server().start()
    everybody = [(f"still{n % SERVICES}", f"10.9.{n >> 8}.{n & 255}") for n in range(COUNT)]
    dead = {everybody[n * (COUNT // DEAD)] for n in range(DEAD)}
    alive = set(everybody)
    beater = Beater(server, alive, INTERVAL)
    beater.strict = False
    more = {"metadata": metadata(TIMES)} if TIMES else {}
    for n, (service, ip) in enumerate(everybody):
        server.register(service, ip, 80, **more)
        if n == COUNT // 2:
            beater.start()
    eventually(lambda: beater.rounds > 1, limit=3 * INTERVAL + 10)
    begun = beater.rounds
    eventually(lambda: beater.rounds > begun + 1, limit=3 * INTERVAL + 10)
    beater.strict = True
    server.process.send_signal(signal.SIGSTOP)
    beater.paused = True
    alive -= dead
    time.sleep(STILL * SLOW)  # longer than any time-out
    server.process.send_signal(signal.SIGCONT)
    beater.paused = False
    end = time.monotonic() + GONE * SLOW
    left = dead
    while left or beater.rounds < 3:
        listed = set()
        for k in range(SERVICES):
            hosts = {(f"still{k}", h["ip"]) for h in server.hosts(f"still{k}")}
            missing = {one for one in alive if one[0] == f"still{k}"} - hosts
            assert not missing, f"{len(missing)} living ones were removed: {sorted(missing)[:3]}"
            listed |= hosts
        assert server.addresses(f"still{int(time.monotonic() * 10) % SERVICES}.svc.muster.internal"), "no empty answer"
        left = dead & listed
        assert time.monotonic() < end, f"{len(left)} dead ones are still there"
        time.sleep(0.1)
    eventually(lambda: all(h["healthy"] for k in range(SERVICES) for h in server.hosts(f"still{k}")), limit=2 * INTERVAL + 5)
    beater.over = True
    beater.join()
    assert beater.failure is None


@pytest.mark.plain_only
def test_steps_of_the_wall_clock_kill_nobody_and_keep_nobody_alive(make_server, tmp_path):
    shim = os.path.join(BUILD, "tests/support/clock_step.so")
    if not os.path.exists(shim):
        pytest.skip(f"{shim} is not built (make check-programs)")
    server, step = make_server(), tmp_path / "step"

    def jump(seconds):
        with open(step, "r+b" if step.exists() else "wb") as f:
            f.write(struct.pack("=q", seconds))

    def answers_date():
        return email.utils.parsedate_to_datetime(server.get("/health").headers["Date"]).timestamp() - time.time()

    def serial():
        return next(r.serial for rrset in server.dig("muster.internal", "SOA").answer for r in rrset if r.rdtype == dns.rdatatype.SOA)

    jump(0)
    server.env = {"LD_PRELOAD": shim, "MUSTER_CLOCK_STEP": str(step)}
    server.start()
    times = metadata({"preserved.heart.beat.interval": "500", "preserved.heart.beat.timeout": "2500", "preserved.ip.delete.timeout": "4000"})
    alive = {("steady", f"10.8.0.{n}") for n in range(1, 6)}
    for service, ip in alive:
        server.register(service, ip, 80, metadata=times)
    server.register("stored", "10.8.1.1", 80, ephemeral="false")
    beater = Beater(server, alive, 0.2)
    beater.start()
    seen, last_serial = 0, serial()
    for number, offset in enumerate([3600, 0, -3600, 0]):
        server.register("silent", f"10.8.2.{number}", 80, metadata=times)  # never beats
        born = time.monotonic()
        jump(offset)
        eventually(lambda: abs(answers_date() - offset) < 5)
        while any(h["ip"] == f"10.8.2.{number}" for h in server.hosts("silent")):
            assert time.monotonic() < born + 12, "what does not beat lives on"
            assert {h["ip"] for h in server.hosts("steady") if h["healthy"]} == {ip for _, ip in alive}
            assert len(server.hosts("stored")) == 1
            time.sleep(0.1)
        assert time.monotonic() > born + 3.5, "it expired before its time"
        info = server.get("/nacos/v1/ns/instance/list", serviceName="silent").json()
        assert info["lastRefTime"] > seen, "what subscribers compare went back"
        seen = info["lastRefTime"]
        now = serial()
        assert 0 < (now - last_serial) % 2**32 < 2**31, "secondaries would not take the change"
        last_serial = now
    beater.over = True
    beater.join()
    assert beater.failure is None
