"""pytest processes, several at a time: each with its own output and report, and ended with us. For run_blackbox.py and run_interop.py."""
import os
import signal
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree as tree

NO_TESTS = 5  # the exit status of pytest that was left with none


class Running:
    """The processes that are not over."""

    def __init__(self):
        self.processes, self.lock, self.over = set(), threading.Lock(), False
        signal.signal(signal.SIGTERM, self.end)
        signal.signal(signal.SIGINT, self.end)

    def start(self, *words, **more):
        with self.lock:
            if self.over:
                raise SystemExit(1)
            process = subprocess.Popen(*words, start_new_session=True, **more)
            self.processes.add(process)
        return process

    def kill(self, process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def end(self, *_):
        self.over = True
        for process in list(self.processes):
            if process.poll() is None:
                self.kill(process)
        os._exit(1)


def cases(report, folder):
    """Every test of a report as (how to name it to pytest, passed, failed or skipped)."""
    for case in tree.parse(report).getroot().iter("testcase"):
        tags = {child.tag for child in case}
        how = 1 if tags & {"failure", "error"} else 2 if "skipped" in tags else 0
        yield f"{folder}/{case.get('classname').rpartition('.')[2]}.py::{case.get('name')}", how


def pytest(running, env, folder, words, timeout_sec):
    """(tests by how they ended: passed, failed and skipped; what was said) of one run over tests of @folder. ["all"] have
    failed when pytest itself has, or had no end in time."""
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.NamedTemporaryFile(suffix=".xml") as report:
        process = running.start([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", "--tb=short", "--durations=5",
                                 f"--junitxml={report.name}", *words], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            status = process.wait(timeout_sec)
        except subprocess.TimeoutExpired:
            status = f"no end within {timeout_sec} s"
        running.kill(process)
        process.wait()
        running.processes.discard(process)
        out.seek(0)
        text = out.read()
        ends = ([], [], [])
        try:
            for name, how in cases(report.name, folder):
                ends[how].append(name)
        except tree.ParseError:
            pass
        empty = status == NO_TESTS and "-m" in words  # every test of a file may have the mark, or none
        if status != 0 and not empty and not ends[1]:
            ends[1].append("all")
        return ends, f"{text}\nexit status: {status}"


def add_counts(path, counts):
    """One line for check.sh: passed, failed, skipped."""
    if path:
        with open(path, "a") as f:
            f.write("{} {} {}\n".format(*counts))
