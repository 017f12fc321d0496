"""A network of a test's own: another network namespace behind a cable that can be pulled, or that loses packets.

The kernel's netem is not everywhere, so packets are lost by hand: two TUN devices, and a thread between them that drops
one in so many, drawn by a seeded generator. Root is needed: a test is skipped, with the reason, where that is missing."""
import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import threading

import pytest
from conftest import need

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
libc = ctypes.CDLL(None, use_errno=True)


def run(*arguments):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, f"{' '.join(arguments)}: {done.stdout.strip()}"


class Network:
    """Ours is `here`, 198.18.x.1; `there`, 198.18.x.2, is in the namespace."""

    def __init__(self):
        self.ip = need("ip")
        if os.getuid() != 0:
            pytest.skip("only root can make network namespaces")
        self.name = f"muster{os.getpid()}"
        self.subnet = os.getpid() % 250
        self.here, self.there = f"198.18.{self.subnet}.1", f"198.18.{self.subnet}.2"
        code, said = run(self.ip, "netns", "add", self.name)
        if code != 0:
            pytest.skip(f"no network namespaces here: {said}")
        self.forwarder = None
        self.must("-n", self.name, "link", "set", "lo", "up")

    def must(self, *arguments):
        code, said = run(self.ip, *arguments)
        assert code == 0, said

    def plug(self):
        """A cable."""
        ours, theirs = f"mu{os.getpid()}a", f"mu{os.getpid()}b"
        self.must("link", "add", ours, "type", "veth", "peer", "name", theirs)
        self.must("link", "set", theirs, "netns", self.name)
        self.cable = theirs
        self.must("addr", "add", f"{self.here}/30", "dev", ours)
        self.must("link", "set", ours, "up")
        self.must("-n", self.name, "addr", "add", f"{self.there}/30", "dev", theirs)
        self.must("-n", self.name, "link", "set", theirs, "up")
        return self

    def pull(self):
        """Nobody is told: what was on its way is lost."""
        self.must("-n", self.name, "link", "set", self.cable, "down")

    def plug_lossy(self, loss, seed=1):
        if not os.path.exists("/dev/net/tun"):
            pytest.skip("no TUN devices here")
        ours = self.tun(f"mu{os.getpid()}t")
        theirs = self.inside(lambda: self.tun(f"mu{os.getpid()}u"))
        self.must("addr", "add", self.here, "peer", self.there, "dev", f"mu{os.getpid()}t")
        self.must("link", "set", f"mu{os.getpid()}t", "up")
        self.must("-n", self.name, "addr", "add", self.there, "peer", self.here, "dev", f"mu{os.getpid()}u")
        self.must("-n", self.name, "link", "set", f"mu{os.getpid()}u", "up")
        self.forwarder = Forwarder(ours, theirs, loss, seed)
        self.forwarder.start()
        return self

    @staticmethod
    def tun(name):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        return fd

    def inside(self, do):
        """What @do returns, called by this thread in the namespace: its sockets and devices stay there."""
        home, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            assert libc.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            return do()
        finally:
            assert libc.setns(home, CLONE_NEWNET) == 0
            os.close(home)
            os.close(there)

    def close(self):
        if self.forwarder is not None:
            self.forwarder.end()
        run(self.ip, "link", "del", f"mu{os.getpid()}a")
        run(self.ip, "netns", "del", self.name)


class Forwarder(threading.Thread):
    """Packets from one TUN device to the other, but for those that are lost."""

    def __init__(self, a, b, loss, seed):
        super().__init__(daemon=True)
        self.ends, self.loss, self.draw = (a, b), loss, random.Random(seed)
        self.stopping, self.passed, self.lost = threading.Event(), 0, 0

    def run(self):
        a, b = self.ends
        while not self.stopping.is_set():
            for fd in select.select([a, b], [], [], 0.2)[0]:
                try:
                    packet = os.read(fd, 65536)
                    if self.draw.random() < self.loss:
                        self.lost += 1
                        continue
                    os.write(b if fd == a else a, packet)
                    self.passed += 1
                except OSError:
                    pass  # the device is not up (any more)

    def end(self):
        self.stopping.set()
        self.join(10)
        for fd in self.ends:
            os.close(fd)


@pytest.fixture
def network():
    one = Network()
    yield one
    one.close()
