# SPDX-License-Identifier: Apache-2.0
"""The checks of the house itself, and its pages."""
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from weir import BINARY, ROOT, run

CHECK = ROOT / "tests" / "check_floors.py"


def look(tmp_path, files, *arguments):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return subprocess.run([sys.executable, str(CHECK), "--root", str(tmp_path), *arguments],
                          capture_output=True, text=True)


BASE = {"src/base/a.h": "#pragma once\n", "src/http/b.h": '#include "base/a.h"\n',
        "src/upstream/call.h": "", "src/upstream/other.h": "", "src/exchange/x.h": "",
        "src/serve/s.h": "", "src/control/c.h": "",
        "src/steps/one.h": "", "src/steps/one.c": "const struct step step_one = {\n",
        "src/steps/shared.h": "", "src/main.c": '#include "control/c.h"\n'}


def test_floors_accept(tmp_path):
    files = dict(BASE)
    files["src/steps/two.c"] = ('#include "upstream/call.h"\n#include "exchange/x.h"\n'
                                '#include "steps/shared.h"\nconst struct step step_two = {\n'
                                "/* a comment may say strcpy(a, b) */\n"
                                'char text[] = "open(";\nbody->read(body); x.close(x);\n')
    result = look(tmp_path, files)
    assert result.returncode == 0, result.stdout
    assert f"{len(files)} files, 0 violations" in result.stdout


@pytest.mark.parametrize("name,text,complaint", [
    ("src/base/z.c", '#include "http/b.h"\n', "reaches up"),
    ("src/exchange/z.c", '#include "upstream/call.h"\n', "across its floor"),
    ("src/serve/z.c", '#include "steps/one.h"\n', "across its floor"),
    ("src/steps/z.c", '#include "upstream/other.h"\n', "upstream/call.h only"),
    ("src/steps/z.c", 'const struct step step_z = {\n#include "steps/one.h"\n', "another step"),
    ("src/base/z.c", '#include "a.h"\n', "does not name its folder"),
    ("src/base/z.c", '#include "base/none.h"\n', "does not exist"),
    ("src/attic/z.c", "", "no room"),
    ("src/z.c", "", "outside the rooms"),
    ("src/base/z.c", "strcpy(a, b);\n", "unsafe"),
    ("src/base/z.c", "x = sprintf (a, b);\n", "unsafe"),
    ("src/base/z.c", "int n = atoi(text);\n", "unsafe"),
    ("src/http/z.c", "alloca(4);\n", "unsafe"),
    ("src/fiber/z.c", "setjmp(here);\n", "switch"),
    ("src/fiber/z.c", "ucontext_t c;\n", "switch"),
    ("src/net/z.c", "getaddrinfo(a, b, c, d);\n", "blocking name lookup"),
    ("src/net/z.c", "static __thread int n;\n", "thread_self"),
    ("src/http/z.c", "_Thread_local int n;\n", "thread_self"),
    ("src/control/z.c", "int fd = open(name, 0);\n", "system call"),
    ("src/http/z.c", "clock_gettime(a, b);\n", "system call"),
    ("src/base/z.c", "\n" * 501, "501 lines")])
def test_floors_refuse(tmp_path, name, text, complaint):
    result = look(tmp_path, {**BASE, name: text})
    assert result.returncode == 1
    lines = [line for line in result.stdout.splitlines() if line.startswith(name + ":")]
    assert len(lines) == 1 and complaint in lines[0], result.stdout


@pytest.mark.parametrize("name,text", [
    ("src/fiber/offload.c", "getaddrinfo(a, b, c, d);\n"), ("src/net/socket.c", "socket(a, b, c);\n"),
    ("src/fiber/thread.c", "static __thread int n;\n"), ("src/base/clock.c", "clock_gettime(a, b);\n"),
    ("src/base/z.c", "\n" * 500)])
def test_floors_exceptions(tmp_path, name, text):
    result = look(tmp_path, {**BASE, name: text})
    assert result.returncode == 0, result.stdout


def test_drawing_goes_stale(tmp_path):
    page = tmp_path / "docs" / "architecture.md"
    page.parent.mkdir()
    page.write_text("before\n<!-- floors: printed by tests/check_floors.py --write -->\n"
                    "<!-- /floors -->\nafter\n")
    assert look(tmp_path, BASE, "--check").returncode == 1
    assert look(tmp_path, BASE, "--write").returncode == 0
    assert look(tmp_path, BASE, "--check").returncode == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "steps" in text
    assert look(tmp_path, {**BASE, "src/base/new.h": ""}, "--check").returncode == 1


def test_errors_page_is_current():
    result = subprocess.run([sys.executable, str(ROOT / "tools" / "errors_page.py"), "--check"],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_every_configuration_error_is_shown_by_a_golden_file():
    table = (ROOT / "src" / "control" / "config_error.def").read_text()
    codes = set(re.findall(r'"([EW]\d{4})"', table))
    shown = set()
    for path in (ROOT / "tests" / "golden").rglob("*"):
        if path.is_file() and path.suffix != ".py":
            shown |= set(re.findall(r"[EW]\d{4}", path.read_text(errors="replace")))
    for path in (ROOT / "tests" / "unit" / "control").glob("*.c"):
        shown |= set(re.findall(r"\b[EW]\d{4}\b", path.read_text()))
    assert codes and codes - shown == set()


def pages():
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


def blocks(page, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)


def test_configurations_in_the_readme_are_right(tmp_path):
    found = blocks("README.md", "weir")
    assert found
    for text in found:
        path = tmp_path / "weir.conf"
        path.write_text(text)
        result = run("check", str(path))
        assert result.returncode == 0, result.stderr


def worked_example():
    """(path, text) of each file and change that CONTRIBUTING.md shows."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    return re.findall(r"^<!-- (file|line): (\S+) -->\n```\w+\n(.*?)^```$", page, re.M | re.S)


@pytest.mark.timeout(400)
def test_the_step_in_contributing_compiles_and_works(tmp_path):
    """The code is taken from the page, put into a copy of the tree, built and asked."""
    example = worked_example()
    assert [kind for kind, _, _ in example].count("file") >= 1
    tree = tmp_path / "tree"
    tree.mkdir()
    shutil.copy(ROOT / "Makefile", tree)
    shutil.copytree(ROOT / "src", tree / "src")
    for kind, name, text in example:
        path = tree / name
        if kind == "file":
            assert not path.exists(), f"{name} is there already"
            path.write_text(text)
        else:
            before = path.read_text()
            assert text not in before
            path.write_text(before + text)
    # What is built already is taken as it is, but for what the example changes.
    built = pathlib.Path(BINARY).parent
    known = [] if built.name != "asan" or not (built / "obj").is_dir() else ["-o", "build/asan/flags"]
    if known:
        shutil.copytree(built / "obj", tree / "build" / "asan" / "obj")
        (tree / "build" / "asan" / "flags").touch()
    result = subprocess.run(["make", "-j2", "MODE=asan", *known, "program"], cwd=tree,
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    commands = blocks("CONTRIBUTING.md", "weir")
    assert commands
    from client import Client
    import weir as weir_module
    config = commands[0]
    port = weir_module.free_port()
    path = tmp_path / "weir.conf"
    path.write_text(re.sub(r"127\.0\.0\.1:8080", f"127.0.0.1:{port}", config))
    process = subprocess.Popen([str(tree / "build" / "asan" / "weir"), "run", "--config",
                                str(path)], stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "ready: " in line:
                break
        with Client(("127.0.0.1", port)) as client:
            response = client.ask("/")
            assert response.status == 200
            assert response.get("x-stardate"), response
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_no_machine_paths_in_the_tree():
    """The project speaks of itself alone."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    names = listed.stdout.split() or [str(p.relative_to(ROOT)) for p in ROOT.rglob("*.md")]
    pattern = re.compile("/" + r"(?:work|root|home/\w+)/")
    for name in names:
        path = ROOT / name
        if path.is_file() and pathlib.Path(name).suffix in (".c", ".h", ".md", ".py", ".def", ""):
            assert not pattern.search(path.read_text(errors="replace")), name


def rows(heading):
    """The cells of each row of a table of docs/errors.md."""
    text = (ROOT / "docs" / "errors.md").read_text()
    part = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = [line for line in part.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in table]


def test_every_refusal_of_the_page_is_shown():
    """By name: test_refusals.py sends what provokes it, or has a test of its own for it."""
    from refusals import REFUSALS
    from test_refusals import OTHERS, SENT
    shown = {REFUSALS[name].reason for name in set(SENT) | OTHERS}
    listed = [row[1] for row in rows("Requests that weir refuses itself")]
    assert len(listed) > 30 and set(listed) == shown
    text = (ROOT / "tests/proxy/test_refusals.py").read_text()
    for name in OTHERS:
        assert f"def test_{name.lower()}(" in text, name


def test_every_failure_of_a_server_is_shown():
    tests = [path.read_text() for path in (ROOT / "tests").rglob("*")
             if path.name != "test_house.py" and path.suffix in (".c", ".py")]
    listed = rows("Servers that fail")
    assert len(listed) > 15
    for _, token, _ in listed:
        assert any(token in text for text in tests), f"no test shows {token}"


def test_every_code_of_the_configuration_is_shown():
    """By a configuration under tests/golden that provokes it, beside the text that comes of it."""
    listed = rows("Errors of the configuration") + rows("Warnings of the configuration")
    assert len(listed) > 70
    golden = ROOT / "tests" / "golden" / "config"
    for code, *_ in listed:
        assert f"[{code}]" in (golden / code / "expected.txt").read_text(errors="replace"), code
    of_codes = {path.name for path in golden.iterdir() if re.fullmatch(r"[EW]\d{4}", path.name)}
    assert {row[0] for row in listed} == of_codes
