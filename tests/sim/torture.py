#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Torture: in each scenario every call of every kind fails once, alone and with all of its kind that
follow. Run by `script/sim --torture`.

    torture.py [--seconds S] [--mode MODE] [--jobs N] [--again] [--list] [NAME...]

What became of a scenario is kept in build/torture.verdicts, under its name, the sources that it was
run with and, some hundred at a time, its calls: a run goes on where the last one ended, and ends
soon after S seconds. Named ones are run in any case, --again what broke. What sanitizers say of
calls that broke is kept in build/torture/.
"""
import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import verdicts as verdicts_file

VERDICTS = Path("build/torture.verdicts")
SAID = Path("build/torture")
AT_ONCE = 250  # calls
# Each of the worlds has to pay for what it touches once more. Where memory was taken is told by
# running the one that broke from its beginning.
ENVIRONMENT = {"ASAN_OPTIONS": "malloc_context_size=0", "LD_BIND_NOW": "1"}


def hash_of_sources():
    digest = hashlib.sha256(Path("Makefile").read_bytes())
    for folder in "src", "tests/sim":
        for file in sorted(Path(folder).rglob("*.[chS]")):
            digest.update(str(file).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def program(mode):
    return f"build/{mode}/simulation"


def scenarios(mode):
    listed = subprocess.run([program(mode), "--list"], stdout=subprocess.PIPE, check=True).stdout
    return [name for name in listed.decode().split() if name != "random"]


def torture(name, first, options):
    """What became of so many of its calls, the first of them numbered `first`."""
    began = time.monotonic()
    said = SAID / f"{name}-{first}.log"
    SAID.mkdir(parents=True, exist_ok=True)
    with said.open("wb") as errors:
        run = subprocess.run([program(options.mode), name, "--torture", "--from-call", str(first),
                              "--count-calls", str(AT_ONCE), "--jobs", str(options.jobs)],
                             stdout=subprocess.PIPE, stderr=errors, check=False,
                             env={**os.environ, **ENVIRONMENT})
    text = run.stdout.decode(errors="replace")
    took = time.monotonic() - began
    figures = re.search(r"(\d+) of (\d+) calls failed, alone and on: (\d+) broken", text)
    if run.returncode == 0 and figures:
        said.unlink()
        return f"{figures[1]} of {figures[2]} calls, 0 broken, {took:.1f} s"
    with said.open("ab") as errors:
        errors.write(run.stdout)
    broken = [line for line in text.splitlines() if "BROKEN" in line or "again (" in line]
    print("\n".join(broken[:40]), flush=True)
    if not figures:
        return f"ended with {run.returncode}"
    return f"{figures[1]} of {figures[2]} calls, {max(int(figures[3]), 1)} broken, {took:.1f} s"


def is_whole(verdict):
    return verdict is not None and ", 0 broken," in verdict


def read_options():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=1e9)
    arguments.add_argument("--mode", default=os.environ.get("MODE", "asan"))
    arguments.add_argument("--jobs", type=int, default=1)
    arguments.add_argument("--again", action="store_true")
    arguments.add_argument("--list", action="store_true", help="what is known, and nothing more")
    arguments.add_argument("names", nargs="*")
    options = arguments.parse_args()
    options.end = time.monotonic() + options.seconds
    return options


def parts(name, which, verdicts):
    """The parts of its calls, each with what became of it, up to the first that nobody has run."""
    first, calls = 1, AT_ONCE
    while first <= calls:
        key = f"{name}|{which}|{first}"
        yield key, first, verdicts.get(key)
        verdict = verdicts.get(key)
        figures = verdict and re.match(r"\d+ of (\d+) calls", verdict)
        if not figures:
            return
        calls = int(figures[1])
        first += AT_ONCE


def summarise(names, which, verdicts):
    complete = calls = broken = 0
    seconds = 0.0
    for name in names:
        ran = [verdict for _, _, verdict in parts(name, which, verdicts)]
        complete += all(verdict and " calls, " in verdict for verdict in ran)
        figures = [re.match(r"(\d+) of \d+ calls, (\d+) broken, ([\d.]+) s", verdict)
                   for verdict in ran if verdict is not None]
        calls += sum(int(each[1]) for each in figures if each)
        broken += sum(int(each[2]) if each else 1 for each in figures)
        seconds += sum(float(each[3]) for each in figures if each)
        for verdict in ran:
            if verdict is not None and not is_whole(verdict):
                print(f"{name:28} {verdict}")
    print(f"{2 * calls} worlds, {broken} broken: {calls} calls, {complete} of {len(names)} scenarios, "
          f"{seconds:.0f} s; {len(names) - complete} to go")
    return 0 if broken == 0 and complete == len(names) else 1


def run(names, which, verdicts, options):
    for name in names:
        for key, first, known in parts(name, which, verdicts):
            wanted = known is None or options.names or (options.again and not is_whole(known))
            if not wanted:
                continue
            if time.monotonic() >= options.end:
                return
            verdicts[key] = torture(name, first, options)
            verdicts_file.keep(VERDICTS, verdicts)
            print(f"{name:28} {verdicts[key]}", flush=True)


def main():
    options, verdicts = read_options(), verdicts_file.read(VERDICTS)
    which = f"{options.mode}|{hash_of_sources()}"
    names = [name for name in scenarios(options.mode) if not options.names or name in options.names]
    if not names:
        sys.exit("no such scenario; script/sim --list names them")
    if not options.list:
        run(names, which, verdicts, options)
    return summarise(names, which, verdicts)


if __name__ == "__main__":
    sys.exit(main())
