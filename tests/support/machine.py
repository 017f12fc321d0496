"""A machine of a test's own: a network namespace in which port 53 and all of 127.0.0.0/8 are free, and programs with an
/etc of their own. The thread that made it is in it until close(), with every socket, thread and process that it makes
meanwhile. Root is needed: a test is skipped, with the reason, where that is missing."""
import contextlib
import ctypes
import os
import shutil
import subprocess
import tempfile

import pytest
from conftest import SLOW, need

CLONE_NEWNET = 0x40000000
# What ./bootstrap check unpacks and does not install: daemons that would start, or take /etc/resolv.conf.
UNPACKED = os.environ.get("MUSTER_CONSUMERS", os.path.expanduser("~/.cache/muster-consumers"))
libc = ctypes.CDLL(None, use_errno=True)

# Arguments: a folder whose files take the place of those of the same path, then the program and its words. /run is empty, and
# so is but for them the folder of a file that is not there otherwise.
WITH_FILES = r"""
set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir /run/systemd
files=$1
shift
for file in $(cd "$files" && find etc -type f); do
	to=$(readlink -m "/$file")
	if [ ! -e "$to" ]; then
		case $to in /run/*) mkdir -p "${to%/*}" ;; *) mount -t tmpfs none "${to%/*}" ;; esac
		: >"$to"
	fi
	mount --bind "$files/$file" "$to"
done
exec "$@"
"""


def program(name):
    """Its path: unpacked, or installed."""
    unpacked = os.pathsep.join(os.path.join(UNPACKED, folder) for folder in ("usr/sbin", "usr/bin", "lib/systemd"))
    return shutil.which(name, path=unpacked) or need(name)


def unpacked_environment():
    """Of a program that may find its libraries only where it was unpacked."""
    return {**os.environ, "LD_LIBRARY_PATH": os.path.join(UNPACKED, "usr/lib/x86_64-linux-gnu")}


class Machine:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="muster-machine-")
        self.processes = []
        self.ip = ip = need("ip")
        need("unshare")
        if os.geteuid() != 0:
            pytest.skip("only root can make network and mount namespaces")
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        if libc.unshare(CLONE_NEWNET) != 0:
            pytest.skip(f"no network namespaces here: {os.strerror(ctypes.get_errno())}")
        for words in ("link set lo up", "link add m0 type veth peer name m1", "address add 10.99.0.1/24 dev m0", "link set m0 up", "link set m1 up"):
            subprocess.run([ip] + words.split(), check=True)  # some programs take a machine with nothing but lo for offline

    def give(self, address):
        """@address, of the loopback network, by name."""
        subprocess.run([self.ip, "address", "add", f"{address}/8", "dev", "lo"], check=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path

    def words(self, words, etc=None, name="files"):
        """The words that start a program with @etc, {name below /etc: text}."""
        for at, text in (etc or {}).items():
            self.write(os.path.join(name, "etc", at), text)
        os.makedirs(self.path(name), exist_ok=True)
        return ["unshare", "--mount", "bash", "-c", WITH_FILES, "machine", self.path(name)] + words if etc else words

    def start(self, name, words, etc=None):
        """A program in the background; what it says is in NAME.log."""
        log = open(self.path(f"{name}.log"), "wb")
        process = subprocess.Popen(self.words(words, etc, name), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=unpacked_environment())
        log.close()
        self.processes.append((name, process))
        return process

    def log(self, name):
        with contextlib.suppress(FileNotFoundError):
            return open(self.path(f"{name}.log"), errors="replace").read()
        return ""

    def run(self, words, etc=None, name="files", timeout=30):
        """What a program says on its standard output."""
        done = subprocess.run(self.words(words, etc, name), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=timeout * SLOW,
                              env=unpacked_environment())
        return done.stdout

    def close(self):
        for _, process in self.processes:
            process.kill()
            process.wait()
        libc.setns(self.home, CLONE_NEWNET)
        os.close(self.home)
        shutil.rmtree(self.folder, ignore_errors=True)
