#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Planted faults: each patch of tests/sim/faults goes into a copy of the tree and out again, and the
simulation has to break with it. Run by `script/sim --faults`.

    faults.py [--seeds N] [--seconds S] [--mode MODE] [--again] [--list] [NAME...]

Works in a copy of the tree (build/planted). What became of a patch is kept in build/faults.verdicts,
under its name and its text: a run goes on where the last one ended, and ends soon after S seconds.
Named ones are judged in any case, --again judges those that were not found once more. The worlds run
without sanitizers, which is quick; --again --mode asan looks with them for what is left.
"""
import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import verdicts as verdicts_file

PATCHES = Path("tests/sim/faults")
COPY = Path("build/planted")
VERDICTS = Path("build/faults.verdicts")
SLICE = 100  # worlds at a time
HELD = "held"  # so many worlds: a verdict that is not the last word
SHARE = 0.9


def make(mode):
    return subprocess.run(["make", "-s", "-j2", "-C", COPY, f"MODE={mode}", "VERSION=fault",
                           "WARNINGS=-w", "simulation"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def prepare(mode):
    """The copy is the tree. Only what differs is copied, so that little is built again."""
    wanted = {Path("Makefile")}
    for folder in "src", "tests/sim":
        wanted.update(file for file in Path(folder).rglob("*") if file.is_file())
        for copied in list((COPY / folder).rglob("*")):
            if copied.is_file() and copied.relative_to(COPY) not in wanted:
                copied.unlink()
    for file in wanted:
        restore(file)
    if not make(mode) or breaks(mode, "--seeds", "1"):
        sys.exit("worlds break without any fault")


def restore(file):
    copied = COPY / file
    if not copied.exists() or copied.read_bytes() != file.read_bytes():
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copied)


def breaks(mode, *options):
    """The first lines of what broke: which truth, and where; None if all held."""
    try:
        run = subprocess.run([f"build/{mode}/simulation", *options, "--until-broken"], cwd=COPY,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=900,
                             env={"SIM_TRACE_LINES": "0", "PATH": "/usr/bin:/bin"}, check=False)
    except subprocess.TimeoutExpired:
        return "the worlds do not end"
    if run.returncode == 0:
        return None
    lines = run.stdout.decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.startswith("BROKEN")][:1]
    said += [re.sub(r".*script/sim (.*?) --trace", r"(\1)", line)
             for line in lines if "again:" in line][:1]
    return " ".join(said) or f"ended with {run.returncode}"


def search(options, held):
    """What breaks; or how many worlds have held when time is over."""
    if not make(options.mode):
        return f"does not build ({options.mode})"
    found = None
    if held == 0:  # each scenario as often as the suite runs it
        found = breaks(options.mode, "--seeds", "1") or breaks(options.mode, "--seeds", "4")
    while found is None and held < options.seeds and (held == 0 or time.monotonic() < options.end):
        count = min(SLICE, options.seeds - held)
        found = breaks(options.mode, "random", "--from", str(held + 1), "--seeds", str(count))
        held += count
    return f"{HELD} {held} worlds" if found is None else f"found by {options.mode}: {found}"


def judge(patch, options, held):
    files = [Path(name) for name in re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.M)]
    with patch.open() as text:
        applied = subprocess.run(["patch", "-s", "-p1", "-d", COPY], stdin=text, check=False,
                                 stdout=subprocess.DEVNULL).returncode == 0
    try:
        if not applied:
            return "does not apply"
        return search(options, held)
    finally:
        for file in files:
            restore(file)
            for left in ".orig", ".rej":
                (COPY / f"{file}{left}").unlink(missing_ok=True)


def key_of(patch):
    return f"{patch.stem}|{hashlib.sha256(patch.read_bytes()).hexdigest()[:16]}"


def is_found(verdict):
    return verdict.startswith("found")


def held_by(verdict):
    """How many worlds have held so far; None: that is settled."""
    if verdict is None:
        return 0
    return int(verdict.split()[1]) if verdict.startswith(HELD) else None


def read_options():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", type=int, default=2000)
    arguments.add_argument("--seconds", type=float, default=1e9)
    arguments.add_argument("--mode", default="mutant", choices=["mutant", "asan", "release"])
    arguments.add_argument("--again", action="store_true")
    arguments.add_argument("--list", action="store_true", help="what is known, and nothing more")
    arguments.add_argument("names", nargs="*")
    options = arguments.parse_args()
    options.end = time.monotonic() + options.seconds
    return options


def main():
    options, verdicts = read_options(), verdicts_file.read(VERDICTS)
    patches = [patch for patch in sorted(PATCHES.glob("*.patch"))
               if not options.names or patch.stem in options.names]
    is_prepared = False
    for patch in patches:
        known = verdicts.get(key_of(patch))
        held = held_by(known)
        if options.names or (options.again and not (known and is_found(known))):
            held = 0
        if options.list or held is None or held >= options.seeds:
            continue
        if time.monotonic() >= options.end:
            break
        if not is_prepared:
            prepare(options.mode)
            is_prepared = True
        known = verdicts[key_of(patch)] = judge(patch, options, held)
        verdicts_file.keep(VERDICTS, verdicts)
        print(f"{patch.stem:28} {known}", flush=True)
    return summarise([(patch.stem, verdicts.get(key_of(patch))) for patch in patches],
                     options.seeds)


def summarise(verdicts, seeds):
    judged = [(name, verdict) for name, verdict in verdicts
              if verdict is not None and (held_by(verdict) is None or held_by(verdict) >= seeds)]
    found = [name for name, verdict in judged if is_found(verdict)]
    for name, verdict in judged:
        if name not in found:
            print(f"{name:28} {verdict}")
    print(f"{len(found)} of {len(judged)} planted faults were found; "
          f"{len(verdicts) - len(judged)} to go")
    return 0 if len(found) >= len(judged) * SHARE and len(judged) == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
