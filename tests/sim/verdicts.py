# SPDX-License-Identifier: Apache-2.0
"""What was found out before, so that a long run goes on where the last one ended."""


def read(path):
    if not path.exists():
        return {}
    return dict(line.split("\t", 1) for line in path.read_text().splitlines())


def keep(path, verdicts):
    aside = path.with_suffix(".new")
    aside.write_text("".join(f"{key}\t{verdict}\n" for key, verdict in verdicts.items()))
    aside.rename(path)
