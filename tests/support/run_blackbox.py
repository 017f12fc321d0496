#!/usr/bin/env python3
"""Runs the black-box tests against the musterd of a build directory and counts them: two files at a time, since tests mostly
wait; then, one after the other, the tests marked `alone`, whose times are sensitive or which want the machine. Each file is a
pytest of its own. What fails is printed whole; a test that failed beside another file is run once more without one.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import sys
import time

from pytest_runs import Running, add_counts, pytest

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "blackbox")
TIMEOUT_SEC = 1200  # for a file
FEW = 5  # failed tests that are run once more
FOR_GOOD = re.compile(r"Sanitizer|runtime error:")  # what is never forgiven
LONGEST = ("dns_answers", "grpc", "network", "resolvable", "consumers", "work", "dns_tls", "forward", "http_loader", "disk", "restart",
           "explain", "sdk_python", "http_application")  # they start first; the order of the others does not matter


def files(chosen):
    every = sorted(glob.glob(os.path.join(FOLDER, "test_*.py")))
    rank = {name: at for at, name in enumerate(LONGEST)}
    every.sort(key=lambda path: rank.get(os.path.basename(path)[5:-3], len(rank)))
    return [path for path in every if not chosen or os.path.basename(path) in chosen]


class Tally:
    """Counts, and one line for each run."""

    def __init__(self, label):
        self.label, self.total = label, [0, 0, 0]

    def add(self, what, ends, text, sec):
        counts = [len(end) for end in ends]
        if not sum(counts):
            return
        self.total = [a + b for a, b in zip(self.total, counts)]
        print(f"{'FAILED' if counts[1] else 'ok':6} {self.label} {what}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped ({sec:.1f} s)")
        if counts[1]:
            print(text[-60000:])
        for reason in sorted(set(re.findall(r"^SKIPPED \[\d+\] \S+: (.*)", text, re.M))):
            print("       " + reason)
        sys.stdout.flush()

    def forgive(self, passed):
        self.total[0] += passed
        self.total[1] -= passed


def timed(running, env, words):
    begun = time.monotonic()
    ends, text = pytest(running, env, FOLDER, words, TIMEOUT_SEC)
    return ends, text, time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--counts")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("files", nargs="*", metavar="FILE", help="some of them: test_access.py...")
    args = parser.parse_args()
    env = dict(os.environ, MUSTERD=os.path.abspath(os.path.join(args.build, "musterd/musterd")), MUSTER_VARIANT=args.label,
               ASAN_OPTIONS="detect_stack_use_after_return=1", UBSAN_OPTIONS="print_stacktrace=1", PYTHONDONTWRITEBYTECODE="1")
    running, tally, failed, for_good = Running(), Tally(args.label), [], False
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        done = {pool.submit(timed, running, env, ["-m", "not alone", path]): os.path.basename(path) for path in files(args.files)}
        for one in concurrent.futures.as_completed(done):
            ends, text, sec = one.result()
            tally.add(done[one], ends, text, sec)
            failed += ends[1]
            for_good = for_good or ends[1] and (ends[1] == ["all"] or FOR_GOOD.search(text))
    for path in files(args.files):
        if re.search(r"pytest\.mark\.alone\b", open(path).read()):
            tally.add(os.path.basename(path) + ", alone", *timed(running, env, ["-m", "alone", path]))
    if not for_good and 0 < len(set(failed)) <= FEW:
        ends, text, sec = timed(running, env, sorted(set(failed)))
        print(f"{'FAILED' if ends[1] else 'ok':6} {args.label} once more, alone: {', '.join(sorted(set(failed)))} ({sec:.1f} s)")
        if ends[1]:
            print(text[-60000:])
        else:
            tally.forgive(len(failed))
    print(f"{'FAILED' if tally.total[1] else 'ok':6} {args.label} black-box: {tally.total[0]} passed, {tally.total[1]} failed, "
          f"{tally.total[2]} skipped ({time.monotonic() - begun:.1f} s)")
    add_counts(args.counts, tally.total if sum(tally.total) else (0, 1, 0))
    return tally.total[1] > 0


sys.exit(main())
