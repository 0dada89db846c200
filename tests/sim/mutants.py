#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mechanical mutants: one operator, constant or call of the files that decide framing, retries,
pooling, route choice and limits is changed at a time. The simulation and the unit tests of that
room have to notice. Run by `script/sim --mutants`.

    mutants.py [--count N] [--seeds N] [--first I] [--seconds S] [--only I]

Works in a copy of the tree (build/mutants); results are kept there, so that a run that was cut
short by --seconds goes on where it ended. The choice is always the same for the same sources.
"""
import argparse
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

FILES = """
    http/h1_parse.c http/h1_parse_response.c http/h1_fields.c http/h1_body.c http/body.c
    upstream/call.c upstream/call_body.c upstream/call_h1.c upstream/pool.c upstream/queue.c
    exchange/route.c exchange/site.c serve/clients.c serve/idle.c
""".split()
COPY = Path("build/mutants")
MODE = "mutant"

SWAPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
         "+": "-", "-": "+", "+=": "-=", "-=": "+="}
OPERATOR = re.compile(r"(?<=[\w)\]'\"]) (<=|>=|==|!=|&&|\|\||\+=|-=|<|>|\+|-) (?=[\w(!'*&\"-])")
NUMBER = re.compile(r"(?<![\w.'\"])(\d+)(?![\w.'\"])")
NOT = re.compile(r"(?<![\w=])!(?=[\w(])")
BOOL = re.compile(r"\b(true|false)\b")
CALL = re.compile(r"^    +[a-z_0-9]+\(.*\);$")


def code_of(line):
    """The line with comments and texts blanked, at the same places."""
    line = re.sub(r'"(\\.|[^"\\])*"', lambda m: '"' + " " * (len(m.group()) - 2) + '"', line)
    return re.sub(r"/\*.*?(\*/|$)", lambda m: " " * len(m.group()), line)


def changes_of(line):
    code = code_of(line)
    for m in OPERATOR.finditer(code):
        yield m.start(1), m.end(1), SWAPS[m.group(1)]
    for m in NUMBER.finditer(code):
        yield m.start(), m.end(), str(int(m.group()) + 1)
    for m in NOT.finditer(code):
        yield m.start(), m.end(), ""
    for m in BOOL.finditer(code):
        yield m.start(), m.end(), "false" if m.group() == "true" else "true"
    if CALL.match(code):
        at = len(code) - len(code.lstrip())
        yield at, len(line), ";"


def all_mutants(source):
    found = []
    for name in FILES:
        inside_comment = False
        for number, line in enumerate((source / name).read_text().splitlines()):
            opens, closes = line.rfind("/*"), line.rfind("*/")
            was_inside, inside_comment = inside_comment, (opens > closes or
                                                          (inside_comment and closes < 0))
            is_check = line.lstrip().startswith(("#", "check(", "check_slow(", "*"))
            if was_inside or is_check:
                continue
            for start, end, new in changes_of(line):
                found.append((name, number, start, end, new))
    return found


def choose(mutants, count):
    """As many of each file as of any other, as far as it has them."""
    chance = random.Random(200)
    by_file = {name: [m for m in mutants if m[0] == name] for name in FILES}
    for of_file in by_file.values():
        chance.shuffle(of_file)
    chosen = []
    while len(chosen) < count and any(by_file.values()):
        for name in FILES:
            if by_file[name] and len(chosen) < count:
                chosen.append(by_file[name].pop())
    return chosen


def make(*targets):
    return subprocess.run(["make", "-s", "-C", COPY, f"MODE={MODE}", "VERSION=mutant", "-j2",
                           *targets], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def ends_well(command, seconds):
    try:
        return subprocess.run(command, cwd=COPY, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=seconds).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def judge(room, seeds):
    """Who notices: None for nobody."""
    simulation = f"build/{MODE}/simulation"
    if make("simulation").returncode != 0:
        return "does not compile"
    if not ends_well([simulation, "--seeds", "1", "--until-broken"], 60):
        return "a scenario"
    if not ends_well([simulation, "random", "--seeds", "60", "--until-broken"], 60):
        return "60 worlds"
    tests = [f"build/{MODE}/unit/{test.parent.name}/{test.stem}"
             for test in sorted(Path("tests/unit", room).glob("test_*.c"))]
    if make(*tests).returncode != 0:
        return "does not link"
    for test in tests:
        if not ends_well([test], 60):
            return "unit test " + test.split("/", 3)[3]
    for first in range(61, seeds + 1, 400):
        if not ends_well([simulation, "random", "--from", str(first), "--seeds", "400",
                          "--until-broken"], 300):
            return f"{seeds} worlds"
    return None


def describe(mutant, line):
    name, number, start, end, new = mutant
    return f"src/{name}:{number + 1}: {line[:start]}[{line[start:end]} → {new}]{line[end:]}".replace(
        ": " + " " * (len(line) - len(line.lstrip())), ": ", 1)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--count", type=int, default=200)
    arguments.add_argument("--seeds", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=1e9)
    arguments.add_argument("--only", type=int)
    arguments.add_argument("--again", action="store_true", help="those that survived, once more")
    options = arguments.parse_args()
    began = time.monotonic()
    source = Path("src")
    chosen = choose(all_mutants(source), options.count)
    results = COPY / "results"
    key = str(hash_of(source))
    known = results.read_text().splitlines() if results.exists() else []
    if not known or known[0] != key:
        known = [key]
        shutil.rmtree(COPY, ignore_errors=True)
        for part in "src", "tests/sim", "tests/unit":
            shutil.copytree(part, COPY / part)
        shutil.copy("Makefile", COPY / "Makefile")
    for name in FILES:  # a run that was cut short leaves one changed
        if (COPY / "src" / name).read_bytes() != (source / name).read_bytes():
            shutil.copy(source / name, COPY / "src" / name)
    refresh("Makefile", "tests/sim", "tests/unit")
    survivors = [i for i, verdict in enumerate(known) if verdict.startswith("SURVIVED |")]
    for i in survivors if options.again else []:
        if time.monotonic() - began > options.seconds:
            return 1
        known[i] = run_one(source, chosen[i - 1], options.seeds).replace("SURVIVED", "SURVIVED twice")
        results.write_text("\n".join(known) + "\n")
        print(f"{i:4} {known[i]}", flush=True)
    for i in range(len(known) - 1, len(chosen)):
        if options.only is not None or time.monotonic() - began > options.seconds:
            break
        known.append(run_one(source, chosen[i], options.seeds))
        results.write_text("\n".join(known) + "\n")
        print(f"{i + 1:4} {known[-1]}", flush=True)
    if options.only is not None:
        print(run_one(source, chosen[options.only - 1], options.seeds))
        return 0
    return summarise(known[1:], len(chosen))


def refresh(*parts):
    """Tests that are newer than the copy's."""
    for part in parts:
        for file in [Path(part)] if Path(part).is_file() else Path(part).rglob("*.[ch]"):
            if not (COPY / file).exists() or (COPY / file).read_bytes() != file.read_bytes():
                (COPY / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, COPY / file)


def hash_of(source):
    import hashlib
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((source / name).read_bytes())
    return digest.hexdigest()


def run_one(source, mutant, seeds):
    name, number, start, end, new = mutant
    lines = (source / name).read_text().splitlines()
    text = describe(mutant, lines[number])
    lines[number] = lines[number][:start] + new + lines[number][end:]
    target = COPY / "src" / name
    target.write_text("\n".join(lines) + "\n")
    verdict = judge(name.split("/")[0], seeds)
    target.write_text((source / name).read_text())
    return f"{verdict or 'SURVIVED'} | {text}"


def summarise(verdicts, count):
    valid = [v for v in verdicts if not v.startswith("does not")]
    alive = [v for v in valid if v.startswith("SURVIVED")]
    killed = len(valid) - len(alive)
    by_simulation = sum(not v.startswith(("unit", "SURVIVED")) for v in valid)
    for verdict in alive:
        print(verdict)
    share = 100 * killed / max(1, len(valid))
    print(f"{len(valid)} mutants, {killed} killed ({share:.1f} %), {by_simulation} of them by "
          f"the simulation; {len(verdicts) - len(valid)} were no programs; "
          f"{count - len(verdicts)} to go")
    return 0 if share >= 80 or not valid else 1


if __name__ == "__main__":
    sys.exit(main())
