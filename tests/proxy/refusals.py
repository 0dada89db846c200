# SPDX-License-Identifier: Apache-2.0
"""The table of refusals, as the program has it."""
import pathlib
import re
from typing import NamedTuple

TABLE = pathlib.Path(__file__).resolve().parent.parent.parent / "src" / "http" / "refusal.def"


class Refusal(NamedTuple):
    name: str
    status: int
    reason: str
    limit: str
    doc: str


ENTRY = re.compile(r'^REFUSAL\((\w+), (\d+), "([^"]*)",\s*"([^"]*)",\s*"((?:[^"\\]|\\.)*)"\)', re.M)
REFUSALS = {match.group(1): Refusal(match.group(1), int(match.group(2)), *match.group(3, 4, 5))
            for match in ENTRY.finditer(TABLE.read_text())}


def status_of(*names):
    return {REFUSALS[name].status for name in names}
