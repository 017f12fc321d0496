#!/usr/bin/env python3
"""Runs the black-box tests (pytest) against the musterd of a build directory and counts them."""
import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--counts", required=True)
    args = parser.parse_args()
    env = dict(os.environ, MUSTERD=os.path.abspath(os.path.join(args.build, "musterd/musterd")), MUSTER_VARIANT=args.label,
               ASAN_OPTIONS="detect_stack_use_after_return=1", UBSAN_OPTIONS="print_stacktrace=1", PYTHONDONTWRITEBYTECODE="1")
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        status = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", "--tb=short", f"--junitxml={report.name}",
                                 "tests/blackbox"], env=env, stdin=subprocess.DEVNULL).returncode
        counts = (0, 1, 0)
        try:
            suite = next(tree.parse(report.name).getroot().iter("testsuite"))
            tests, bad, skipped = int(suite.get("tests")), int(suite.get("failures")) + int(suite.get("errors")), int(suite.get("skipped"))
            if status != 0 and bad == 0:
                bad = 1
            counts = (max(tests - bad - skipped, 0), bad, skipped)
        except (tree.ParseError, StopIteration):
            print("no report from pytest", file=sys.stderr)
    print(f"{'FAILED' if counts[1] else 'ok':6} {args.label} black-box: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped")
    with open(args.counts, "a") as f:
        f.write("{} {} {}\n".format(*counts))


main()
