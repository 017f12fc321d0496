#!/usr/bin/env python3
"""Runs every unit test program of a build directory and counts their tests.

A program that prints TAP (cmocka with CMOCKA_MESSAGE_OUTPUT=TAP) counts one for each test; any other counts as one.
Programs run two at a time. What fails is printed whole. A skip prints its reason.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import time

TIMEOUT_SEC = 600


def programs(build):
    text = subprocess.run(["make", "-s", "-C", build, "print-check-programs"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return text.split()


def run(build, program):
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", srcdir=os.getcwd(), MUSTER_BUILD=os.path.abspath(build),
               ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1", UBSAN_OPTIONS="print_stacktrace=1",
               TSAN_OPTIONS="halt_on_error=0:exitcode=66")
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        try:
            status = subprocess.run([os.path.abspath(os.path.join(build, program))], cwd=build, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=subprocess.STDOUT, timeout=TIMEOUT_SEC).returncode
        except subprocess.TimeoutExpired:
            status = f"no end within {TIMEOUT_SEC} s"
        out.seek(0)
        text = out.read()
    return program, status, text, time.monotonic() - begun


def count(status, text):
    skipped = len(re.findall(r"^ok .*# SKIP", text, re.M))
    passed = len(re.findall(r"^ok ", text, re.M)) - skipped
    failed = len(re.findall(r"^not ok ", text, re.M))
    if status == 77:
        return passed, failed, max(skipped, 1)
    if passed + failed + skipped == 0:
        passed = 1 if status == 0 else 0
    if status != 0 and failed == 0:
        failed = 1
    return passed, failed, skipped


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--counts", required=True)
    args = parser.parse_args()
    total = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for program, status, text, sec in pool.map(lambda p: run(args.build, p), programs(args.build)):
            counts = count(status, text)
            total = [a + b for a, b in zip(total, counts)]
            print(f"{'FAILED' if counts[1] else 'ok':6} {args.label} {program}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped ({sec:.1f} s)")
            for line in re.findall(r"^ok .*# SKIP.*|^# skip.*|^skip.*", text, re.M | re.I):
                print("       " + line)
            if counts[1]:
                print(text[-20000:])
                print(f"exit status: {status}")
            sys.stdout.flush()
    with open(args.counts, "a") as f:
        f.write("{} {} {}\n".format(*total))


main()
