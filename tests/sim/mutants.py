#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mechanical mutants: one operator, constant or call of the files that decide framing, retries,
pooling, route choice and limits is changed at a time. The simulation and the unit tests of that
room have to notice. Run by `script/sim --mutants`.

    mutants.py [--count N] [--seeds N] [--seconds S] [--again] [--only TEXT]... [--list]

Works in a copy of the tree (build/mutants). A mutant is known by its file, its line's text and what
is changed in it, and its verdict is kept in build/mutants.verdicts: a run goes on where the last one
ended, and what else has changed in the sources matters to no verdict but its own line's. --again
judges those that survived once more; --only those whose description holds that text.
"""
import argparse
import hashlib
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import verdicts as verdicts_file

FILES = """
    http/h1_parse.c http/h1_parse_response.c http/h1_fields.c http/h1_body.c http/h1_write.c
    http/body.c upstream/call.c upstream/call_retry.c upstream/call_body.c upstream/call_h1.c
    upstream/pool.c upstream/queue.c upstream/breaker.c exchange/route.c exchange/site.c
    serve/clients.c serve/idle.c exchange/exchange.c steps/cache.c steps/cache_fetch.c
""".split()
COPY = Path("build/mutants")
VERDICTS = Path("build/mutants.verdicts")
MODE = "mutant"
OUT = Path("build", MODE)
SEED = 200
CPU_SECONDS = 20  # of one process: one world, or one unit test

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


class Mutant:
    def __init__(self, name, number, line, twin, change):
        self.name, self.number, self.line = name, number, line
        self.start, self.end, self.new = change
        blank = len(line) - len(line.lstrip())
        old = line[self.start:self.end]
        where = f"{self.start - blank}-{self.end - blank}"
        self.key = "|".join((name, str(twin), where, old, self.new, line.strip()))
        self.text = (f"src/{name}: {line[blank:self.start]}[{old} → {self.new}]{line[self.end:]}")

    def rank(self):
        return hashlib.sha256(f"{SEED}|{self.key}".encode()).hexdigest()

    def source(self, text):
        lines = text.splitlines()
        lines[self.number] = self.line[:self.start] + self.new + self.line[self.end:]
        return "\n".join(lines) + "\n"


def mutants_of(name):
    found, seen, inside_comment = [], {}, False
    for number, line in enumerate(Path("src", name).read_text().splitlines()):
        opens, closes = line.rfind("/*"), line.rfind("*/")
        was_inside, inside_comment = inside_comment, (opens > closes or
                                                      (inside_comment and closes < 0))
        if was_inside or line.lstrip().startswith(("#", "check(", "check_slow(", "*")):
            continue
        twin = seen[line.strip()] = seen.get(line.strip(), 0) + 1
        found += [Mutant(name, number, line, twin, change) for change in changes_of(line)]
    return sorted(found, key=Mutant.rank)


def in_turns():
    """One of each file after the other, for as long as any has more; in each file an order that
    only its own lines decide."""
    by_file = [mutants_of(name) for name in FILES]
    while any(by_file):
        for of_file in by_file:
            if of_file:
                yield of_file.pop(0)


def make(*targets):
    return subprocess.run(["make", "-s", "-C", COPY, f"MODE={MODE}", "VERSION=mutant", *targets],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def bound():
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def ends_well(*command):
    try:
        return subprocess.run(command, cwd=COPY, stdout=subprocess.DEVNULL, preexec_fn=bound,
                              stderr=subprocess.DEVNULL, timeout=600).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def simulation(*options):
    return ends_well(OUT / "simulation", *options, "--until-broken")


def unit_tests(name):
    """Those of the file, then the others of its room."""
    room, stem = name.removesuffix(".c").split("/")
    tests = [test.stem for test in sorted(Path("tests/unit", room).glob("test_*.c"))]
    own = [test for test in tests if test.startswith("test_" + stem)]
    return ([OUT / "unit" / room / test for test in own],
            [OUT / "unit" / room / test for test in tests if test not in own])


def who_fails(tests):
    """The first unit test that fails; one that depends on time gets a second chance."""
    if not make("-j2", *tests):
        return "does not link"
    for test in tests:
        if not ends_well(test) and not ends_well(test):
            return f"unit test {test.parent.name}/{test.name}"
    return None


def judge(mutant, seeds):
    """Who notices: None for nobody."""
    part = OUT / "obj" / mutant.name.replace(".c", ".o")
    if not make(part):
        return "does not compile"
    if (COPY / part).read_bytes() == (COPY / "as_it_was" / mutant.name).read_bytes():
        return "does not differ as a program"
    if not make("simulation"):
        return "does not link"
    own, others = unit_tests(mutant.name)
    noticed = who_fails(own)
    if noticed is not None:
        return noticed
    if not simulation("--seeds", "1"):
        return "a scenario"
    if not simulation("random", "--seeds", "100"):
        return "100 worlds"
    noticed = who_fails(others)
    if noticed is None and not simulation("--seeds", "4"):
        return "a scenario"
    if noticed is None and not simulation("random", "--from", "101", "--seeds", str(seeds - 100)):
        return f"{seeds} worlds"
    return noticed


def run_one(mutant, seeds):
    """Changes the copy, and leaves it as it was."""
    source, target = Path("src", mutant.name), COPY / "src" / mutant.name
    original = target.read_text()
    if original != source.read_text():
        sys.exit(f"{source} has changed meanwhile: begin again")
    target.write_text(mutant.source(original))
    verdict = judge(mutant, seeds) or "SURVIVED"
    target.write_text(original)
    part = COPY / OUT / "obj" / mutant.name.replace(".c", ".o")
    shutil.copyfile(COPY / "as_it_was" / mutant.name, part)  # newer than its source again
    return verdict


def prepare():
    """The copy is the tree, and built."""
    wanted = {Path("Makefile")}
    for folder in "src", "tests/sim", "tests/unit":
        wanted.update(file for file in Path(folder).rglob("*") if file.is_file())
    for file in wanted:
        copied = COPY / file
        if not copied.exists() or copied.read_bytes() != file.read_bytes():
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copied)
    for folder in "src", "tests/sim", "tests/unit":
        for copied in list((COPY / folder).rglob("*")):
            if copied.is_file() and copied.relative_to(COPY) not in wanted:
                copied.unlink()
    shutil.rmtree(COPY / "as_it_was", ignore_errors=True)
    if not make("-j2", "simulation"):
        sys.exit("the copy does not build")
    for name in FILES:
        kept = COPY / "as_it_was" / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(COPY / OUT / "obj" / name.replace(".c", ".o"), kept)
    if not simulation("--seeds", "1"):
        sys.exit("worlds break without any mutant")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--count", type=int, default=200)
    arguments.add_argument("--seeds", type=int, default=500)
    arguments.add_argument("--seconds", type=float, default=1e9)
    arguments.add_argument("--again", action="store_true")
    arguments.add_argument("--only", action="append", default=[])
    arguments.add_argument("--list", action="store_true", help="what is known, and nothing more")
    options = arguments.parse_args()
    began = time.monotonic()
    verdicts = verdicts_file.read(VERDICTS)
    is_prepared = options.list
    chosen = []
    for mutant in in_turns():
        if len(chosen) == options.count:
            break
        known = verdicts.get(mutant.key)
        is_wanted = known is None or (known == "SURVIVED" if options.again
                                      else bool(options.only))
        is_meant = not options.only or any(text in mutant.text for text in options.only)
        if (is_wanted and not options.list and is_meant and
                time.monotonic() - began < options.seconds):
            if not is_prepared:
                prepare()
                is_prepared = True
            known = verdicts[mutant.key] = run_one(mutant, options.seeds)
            verdicts_file.keep(VERDICTS, verdicts)
            print(f"{len(chosen) + 1:4} {known} | {mutant.text}", flush=True)
        if known is None or not known.startswith("does not"):
            chosen.append((known, mutant))
    return summarise(chosen)


def summarise(chosen):
    judged = [(verdict, mutant) for verdict, mutant in chosen if verdict is not None]
    alive = [mutant for verdict, mutant in judged if verdict == "SURVIVED"]
    killed = len(judged) - len(alive)
    by_units = sum(verdict.startswith("unit") for verdict, _ in judged)
    for mutant in alive:
        print("SURVIVED |", mutant.text)
    share = 100 * killed / max(1, len(judged))
    print(f"{len(judged)} mutants, {killed} killed ({share:.1f} %): {killed - by_units} by the "
          f"simulation, {by_units} by unit tests; {len(chosen) - len(judged)} to go")
    return 0 if share >= 80 and len(judged) == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
