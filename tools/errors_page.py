#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/errors.md from the tables in the source.

    tools/errors_page.py --write    write the page
    tools/errors_page.py --check    exit 1 when it is not as it would be written"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "errors.md"
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def entries(path, macro):
    """The arguments of each use of a macro; adjacent strings are one, as in C."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    for match in re.finditer(rf"^{macro}\(", text, re.M):
        arguments, current, at, depth = [], "", match.end(), 0
        while True:
            string = STRING.match(text, at)
            if string:
                current += string.group(1).replace('\\"', '"').replace("\\\\", "\\")
                at = string.end()
            elif text[at] == "," and depth == 0:
                arguments.append(current.strip())
                current, at = "", at + 1
            elif text[at] == ")" and depth == 0:
                arguments.append(current.strip())
                break
            else:
                depth += (text[at] == "(") - (text[at] == ")")
                current += "" if text[at] in "\n\t " else text[at]
                at += 1
        yield arguments


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def code(text):
    return f"`{text}`" if text else ""


def gateway_errors():
    """(status, token, reason) of each failure of a call to a server, as the source has them."""
    found = set()
    for path in sorted((ROOT / "src/upstream").glob("call*.c")):
        for match in re.finditer(r"call_fail\((call, .*?)\);", path.read_text(), re.S):
            status = re.search(r", (50\d),", match.group(1))
            texts = [text.group(1) for text in STRING.finditer(match.group(1))]
            tokens = [text for text in texts if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)]
            reasons = [text for text in texts if text not in tokens]
            if status is None:
                continue
            if not reasons and len(tokens) > 1 and "why" not in match.group(1):
                tokens, reasons = tokens[:1], tokens[1:]  # a reason that is a key's name
            for token in tokens:
                for reason in reasons or ["the rule that the head broke"]:
                    found.add((status.group(1), token, reason))
    return sorted(found)


def page():
    out = ["<!-- Written by tools/errors_page.py from src/http/refusal.def,"
           " src/upstream/ and src/control/config_error.def. -->",
           "# Errors", "",
           "## Requests that weir refuses itself", "",
           "The reason stands as `reason` in the access log; where a limit or a timeout was hit, its"
           " key stands as `limit`. Nothing of such a request reaches a server, except a body that"
           " breaks a rule after its head was passed on: then the server sees a request that is cut"
           " off, never a whole one.", "",
           "| status | reason | key | when |", "|---|---|---|---|"]
    for _, status, reason, limit, doc in entries(ROOT / "src/http/refusal.def", "REFUSAL"):
        out.append(f"| {status} | {code(reason)} | {code(limit)} | {cell(doc)} |")
    out += ["", "## Servers that fail", "",
            "The client gets this status, with the token in `Proxy-Status` (RFC 9209); the access log"
            " has the token as `error` and the rest as `reason`. A 503 says when to come back"
            " (`Retry-After`).", "",
            "| status | token | reason |", "|---|---|---|"]
    out += [f"| {status} | {code(token)} | {cell(reason)} |"
            for status, token, reason in gateway_errors()]
    table = ROOT / "src/control/config_error.def"
    if table.exists():
        out += ["", "## Errors of the configuration", "",
                "All are shown at once, each with its place. With an error nothing is started and"
                " nothing that runs is changed; the exit code is 78.", "",
                "| code | meaning | message | help |", "|---|---|---|---|"]
        for _, number, title, message, advice in entries(table, "CONFIG_ERROR"):
            out.append(f"| {number} | {cell(title)} | {cell(message)} | {cell(advice)} |")
        out += ["", "## Warnings of the configuration", "",
                "| code | meaning | message | help |", "|---|---|---|---|"]
        for _, number, title, message, advice in entries(table, "CONFIG_WARNING"):
            out.append(f"| {number} | {cell(title)} | {cell(message)} | {cell(advice)} |")
        out += ["", "`$1`, `$2` stand for what was written in the file."]
    return "\n".join(out) + "\n"


def main():
    text = page()
    if sys.argv[1:] == ["--write"]:
        PAGE.parent.mkdir(exist_ok=True)
        if not PAGE.exists() or PAGE.read_text() != text:
            PAGE.write_text(text)
        return 0
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/errors.md is out of date; run tools/errors_page.py --write")
            return 1
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
