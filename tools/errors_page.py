#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/errors.md, and the list of events in docs/logs.md, from what the source says.

    tools/errors_page.py --write    write them
    tools/errors_page.py --check    exit 1 when they are not as they would be written"""
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


def handshake_errors():
    """The same of handshakes with servers, and of alerts that come behind them."""
    text = (ROOT / "src/net/tls_explain.c").read_text()
    alerts, text = text.split("enum status tls_explain(")
    for part in text.split("else if"):
        token = re.search(r'error = "(\w+)"', part.split("trouble->why", 1)[0])
        for reason in re.findall(r'why = "(tls: (?:the certificate|what came)[^"]*)"', part):
            yield "502", token.group(1) if token else "tls_protocol_error", reason
    for reason in re.findall(r'return "(tls: the server[^"]*)"', alerts):
        yield "502", "tls_alert_received", reason
    yield "502", "tls_alert_received", "what the server's alert says, in words of OpenSSL"
    yield "502", "tls_certificate_error", "what else is wrong with it, in words of OpenSSL"
    yield "502", "tls_protocol_error", "what else went wrong, in words of OpenSSL"


def gateway_errors():
    """(status, token, reason) of each failure of a call to a server, as the source has them."""
    found = set(handshake_errors())
    for path in sorted((ROOT / "src/upstream").glob("call*.c")):
        for match in re.finditer(r"call_fail\((call, .*?)\);", path.read_text(), re.S):
            status = re.search(r", (50\d),", match.group(1))
            texts = [text.group(1) for text in STRING.finditer(match.group(1))]
            tokens = [text for text in texts if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)]
            reasons = [text for text in texts if text not in tokens]
            if status is None or (tokens == ["tls_alert_received"] and not reasons):
                continue
            if not reasons and len(tokens) > 1 and "why" not in match.group(1):
                tokens, reasons = tokens[:1], tokens[1:]  # a reason that is a key's name
            for token in tokens:
                for reason in reasons or ["the rule that the head broke"]:
                    found.add((status.group(1), token, reason))
    return sorted(found)


def calls(name, folders):
    """The texts between the brackets of each call of a function."""
    for folder in folders:
        for path in sorted((ROOT / "src" / folder).glob("*.c")):
            for match in re.finditer(rf"\b{name}\(((?:[^()]|\([^()]*\))*)\);", path.read_text()):
                yield match.group(1)


def own_endings():
    """(status, token, reason) of each way in which an exchange ends that is no rule for clients and
    no server's failure; status 0: nothing can be said any more."""
    found = set()
    for text in calls("exchange_blame", ("exchange", "serve", "steps")):
        texts = [match.group(1) for match in STRING.finditer(text)]
        statuses = re.findall(r"(?<![\w.])([45]\d\d|0)(?![\w.])", re.sub(STRING, "", text)
                              .split("SIDE_", 1)[-1].replace("== 0", "")) or ["0"]
        token = [word for word in texts if re.fullmatch(r"(?:[a-z]+_){1,3}[a-z]+", word)
                 and word != "client_closed"] or [""]
        for status in statuses:
            for reason in [word for word in texts if word and word not in token]:
                found.add((status, " ".join(f"`{word}`" for word in token if word), reason))
    return sorted(found)


EVENTS = (ROOT / "docs" / "logs.md", "<!-- events: written by tools/errors_page.py -->",
          "<!-- /events -->")


def events():
    """The names of what the error log tells, with its levels and first words, as a table."""
    found = {}
    for path in sorted((ROOT / "src").rglob("*.c")):
        for match in re.finditer(r"\blog_(?:write|about)\((.*?)\);", path.read_text(), re.S):
            texts = [text.group(1) for text in STRING.finditer(match.group(1))]
            if not texts:
                continue
            words = re.sub(r"%(?:[-0-9.*]*(?:ll|l|z)?[a-z])|%$", "…", " ".join(texts[1:2]).rstrip())
            levels, says = found.setdefault(texts[0], (set(), []))
            levels.update(re.findall(r"LOG_(DEBUG|INFO|WARN|ERROR)", match.group(1)))
            says.append(words.replace('\\"', '"'))
    out = ["| event | level | says, for example |", "|---|---|---|"]
    for name, (levels, says) in sorted(found.items()):
        level = " ".join(sorted(word.lower() for word in levels))
        out.append(f"| {code(name)} | {level} | {cell(max(says, key=len))} |")
    return "\n".join(out)


def logs_page():
    path, begin, end = EVENTS
    before, rest = path.read_text().split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n{events()}\n{end}{after}"


def page():
    out = ["<!-- Written by tools/errors_page.py from src/http/refusal.def,"
           " src/upstream/, the calls of"
           " exchange_blame() and src/control/config_error.def. -->",
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
    out += ["", "## What else ends an exchange", "",
            "Also with `reason` in the access log. 0: there is no answer any more: the client has gone,"
            " or has had a part of one already, which is then broken off so that it cannot be taken for"
            " the whole.", "",
            "| status | token | reason |", "|---|---|---|"]
    out += [f"| {status} | {token} | {cell(reason)} |" for status, token, reason in own_endings()]
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
        if EVENTS[0].read_text() != logs_page():
            EVENTS[0].write_text(logs_page())
        return 0
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/errors.md is out of date; run tools/errors_page.py --write")
            return 1
        if EVENTS[0].read_text() != logs_page():
            print("docs/logs.md is out of date; run tools/errors_page.py --write")
            return 1
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
