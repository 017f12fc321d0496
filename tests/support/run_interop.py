#!/usr/bin/env python3
"""Runs the tests of tests/interop, several SDKs at a time since they mostly wait, and counts them. Each group is a pytest of its
own, with servers and ports of its own; what it installs stays in MUSTER_INTEROP. What fails is printed whole, and run once more.
"""
import argparse
import concurrent.futures
import os
import re
import sys
import time

from pytest_runs import Running, add_counts, pytest

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(HERE), "interop")
FEW = 5  # failed tests that are run once more
TIMEOUT_SEC = 2400  # from nothing: downloads and builds included

WALK = ["test_sdk.py", "test_sdk_1x.py", "test_broken.py", "test_application.py"]
# Who takes longest comes first. The frameworks one after the other: each is four processes that want the machine.
GROUPS = {
    "frameworks": ["test_frameworks.py"], "rust": WALK, "python2": WALK, "python3": WALK, "java1": WALK, "go1": WALK, "node": WALK,
    "java2": WALK, "java3": WALK, "go2": WALK, "maintainer": ["test_maintainer.py"],
    "resolvers": ["test_resolvers.py", "test_resolvers_broken.py"],
}


def run(running, build, name):
    """What failed is run once more: SDKs have clocks and races of their own. What a server does wrong it does wrong twice."""
    env = dict(os.environ, MUSTERD=os.path.join(build, "musterd/musterd"), MUSTER_BUILD=build, MUSTER_VARIANT="plain")
    words = GROUPS[name]
    if words is WALK:
        env["MUSTER_SDKS"] = name
    words = [os.path.join(FOLDER, word) if word.endswith(".py") else word for word in words]
    begun = time.monotonic()
    ends, text = pytest(running, env, FOLDER, words, TIMEOUT_SEC)
    counts, again = [len(end) for end in ends], []
    if ends[1] != ["all"] and 0 < len(ends[1]) <= FEW:
        again = sorted(set(ends[1]))
        second, more = pytest(running, env, FOLDER, again, TIMEOUT_SEC)
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
    add_counts(args.counts, total)
    return total[1] > 0


sys.exit(main())
