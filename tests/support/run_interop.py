#!/usr/bin/env python3
"""Runs the tests of tests/interop, several SDKs at a time since they mostly wait, and counts them. Each group is a pytest of its
own, with servers and ports of its own; what it installs stays in MUSTER_INTEROP. What fails is printed whole, and run once more.
"""
import argparse
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as tree

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(HERE), "interop")
FEW = 5  # failed tests that are run once more
TIMEOUT_SEC = 2400  # from nothing: downloads and builds included

WALK = ["test_sdk.py", "test_sdk_1x.py", "test_broken.py", "test_application.py"]
# Who takes longest comes first. The frameworks one after the other: each is four processes that want the machine.
GROUPS = {
    "frameworks": ["test_frameworks.py"], "rust": WALK, "python2": WALK, "python3": WALK, "java1": WALK, "go1": WALK, "node": WALK,
    "java2": WALK, "java3": WALK, "go2": WALK, "maintainer": ["test_maintainer.py"],
}


class Running:
    """The pytest processes, which are ended with us."""

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


def cases(report):
    """Every test of a report as (how to name it to pytest, passed, failed or skipped)."""
    for case in tree.parse(report).getroot().iter("testcase"):
        tags = {child.tag for child in case}
        how = 1 if tags & {"failure", "error"} else 2 if "skipped" in tags else 0
        yield f"{FOLDER}/{case.get('classname').rpartition('.')[2]}.py::{case.get('name')}", how


def pytest(running, env, words):
    """(tests by how they ended, exit status, what was said) of one run."""
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.NamedTemporaryFile(suffix=".xml") as report:
        process = running.start([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", "--tb=short", "--durations=5",
                                 f"--junitxml={report.name}", *words], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            status = process.wait(TIMEOUT_SEC)
        except subprocess.TimeoutExpired:
            status = f"no end within {TIMEOUT_SEC} s"
        running.kill(process)
        process.wait()
        out.seek(0)
        text = out.read()
        ends = ([], [], [])
        try:
            for name, how in cases(report.name):
                ends[how].append(name)
        except tree.ParseError:
            pass
        if status != 0 and not ends[1]:
            ends[1].append("all")
        return ends, f"{text}\nexit status: {status}"


def run(running, build, name):
    """What failed is run once more: SDKs have clocks and races of their own. What a server does wrong it does wrong twice."""
    env = dict(os.environ, MUSTERD=os.path.join(build, "musterd/musterd"), MUSTER_BUILD=build, MUSTER_VARIANT="plain")
    words = GROUPS[name]
    if words is WALK:
        env["MUSTER_SDKS"] = name
    words = [os.path.join(FOLDER, word) if word.endswith(".py") else word for word in words]
    begun = time.monotonic()
    ends, text = pytest(running, env, words)
    counts, again = [len(end) for end in ends], []
    if ends[1] != ["all"] and 0 < len(ends[1]) <= FEW:
        again = sorted(set(ends[1]))
        second, more = pytest(running, env, again)
        if not second[1]:
            counts = [counts[0] + len(second[0]), 0, counts[2] + len(second[2])]
        text += f"\n==== once more: {', '.join(again)}\n{more}"
    return name, counts, again, text, time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--counts")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="some of: " + " ".join(GROUPS))
    args = parser.parse_args()
    running, total = Running(), [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        done = [pool.submit(run, running, os.path.abspath(args.build), name) for name in args.groups or GROUPS]
        for one in concurrent.futures.as_completed(done):
            name, counts, again, text, sec = one.result()
            total = [a + b for a, b in zip(total, counts)]
            print(f"{'FAILED' if counts[1] else 'ok':6} interop {name}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped"
                  f"{f', {len(again)} of them run twice' if again else ''} ({sec:.1f} s)")
            if counts[1] or again:
                print(text[-60000:])
            for reason in sorted(set(re.findall(r"^SKIPPED \[\d+\] \S+: (.*)", text, re.M))):
                print("       " + reason)
            sys.stdout.flush()
    if args.counts:
        with open(args.counts, "a") as f:
            f.write("{} {} {}\n".format(*total))
    return total[1] > 0


sys.exit(main())
