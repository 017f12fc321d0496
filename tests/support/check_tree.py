#!/usr/bin/env python3
"""Holds the tree against the house rules that a machine can see: each folder includes only what the map allows, every
source file is in a Makefile.inc (so that it is distributed and built), headers have a guard, and no two files define a global of one name: in static libraries the linker takes whichever it meets
first and says nothing."""
import argparse
import glob
import os
import re

ALLOWED = {
    "base": {"base"},
    "net": {"net", "base"},
    "store": {"store", "net", "base"},
    "registry": {"registry", "store", "base"},
    "zones": {"zones", "registry", "base"},
    "dnsd": {"dnsd", "zones", "net", "base"},
    "health": {"health", "registry", "net", "base"},
    "api": {"api", "registry", "net", "base"},
    "musterd": {"musterd", "base", "net", "store", "registry", "zones", "dnsd", "health", "api"},
}


# The start of a definition at file level: no static, a name, and its parameters up to the brace.
DEFINITION = re.compile(r"^(?!static\b|typedef\b|extern\b|return\b|else\b)[A-Za-z_][\w \t*]*?[ \t*](\w+)\(([^;{}]*)\)\s*\{", re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def twice_defined():
    seen = {}
    for folder in ALLOWED:
        for path in sorted(glob.glob(f"{folder}/**/*.c", recursive=True)):
            for name in DEFINITION.findall(COMMENT.sub("", open(path).read())):
                first = seen.setdefault(name[0], path)
                if first != path and name[0] != "main":
                    yield f"{path} defines {name[0]}(), and so does {first}: the linker would take one of them silently"
    if len(seen) < 100:
        yield f"only {len(seen)} definitions were found: the search does not fit the code any more"


def problems():
    yield from twice_defined()
    listed = "".join(open(f).read() for f in glob.glob("*/Makefile.inc") + glob.glob("tests/*/Makefile.inc") + ["Makefile.am", "tests/Makefile.inc"])
    for folder, allowed in ALLOWED.items():
        for path in sorted(glob.glob(f"{folder}/*.[ch]")):
            text = open(path).read()
            for name in re.findall(r'^#include "([^"]+)"', text, re.M):
                top = name.split("/")[0]
                if name != "config.h" and top not in allowed:
                    yield f"{path} includes {name}: the map does not allow {folder} -> {top}"
            if path.endswith(".h") and not re.search(r"^#ifndef \w+_H\n#define \w+_H", text, re.M):
                yield f"{path}: no include guard"
            if path not in listed:
                yield f"{path} is in no Makefile.inc"
    for path in sorted(glob.glob("tests/**/*.[ch]", recursive=True) + glob.glob("tests/**/*.py", recursive=True)):
        if path not in listed and os.path.basename(path) not in listed:
            yield f"{path} is in no Makefile.inc"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts")
    args = parser.parse_args()
    found = list(problems())
    for line in found:
        print("FAILED " + line)
    print("ok     the tree follows the map" if not found else f"{len(found)} findings")
    if args.counts:
        with open(args.counts, "a") as f:
            f.write("1 0 0\n" if not found else "0 1 0\n")
    return 1 if found else 0


raise SystemExit(main())
