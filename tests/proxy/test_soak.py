# SPDX-License-Identifier: Apache-2.0
"""Millions of exchanges: each answer is that of its request, and nothing is left behind."""
import json
import os
import pathlib
import subprocess
import time

import pytest

from test_kills import Servers, ledger, shipped, show, site  # noqa: F401: a fixture among them
from weir import Weir

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
WARM = 10  # seconds until memory is what it will be


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])


def files(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
def test_a_soak(ledger, monkeypatch, capsys):  # noqa: F811
    """As many as fit into the time, on one of the processors and behind everybody else."""
    shipped(monkeypatch)
    with Servers(ledger, think_us=0) as servers:
        with Weir(site(servers, workers=1)) as weir:
            pid = weir.process.pid
            before = files(pid)
            for process in [*servers.processes, weir.process]:
                subprocess.run(["taskset", "-acp", "1", str(process.pid)], check=True,
                               stdout=subprocess.DEVNULL)
                for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
                    os.setpriority(os.PRIO_PROCESS, int(task.name), 10)
            load = servers.load(weir.port, "x64", SECONDS, ["nice", "-n", "10", "taskset", "-c", "1"])
            memory = []
            while load.poll() is None:
                time.sleep(min(WARM, SECONDS / 4))
                memory.append(resident(pid))
            result = json.loads(load.stdout.read())
            seen = sum(servers.seen(i) for i in range(3))
            end = time.monotonic() + 60
            while files(pid) > before + 3 * 100 and time.monotonic() < end:  # idle ones are kept
                time.sleep(0.5)
            left = files(pid)
    show(capsys, f"\n{result['requests']:,} exchanges in {SECONDS:.0f} s: {result}; servers saw "
                 f"{seen:,}; KiB resident every {WARM} s: {memory[:3]} ... {memory[-3:]}")
    assert result["mixed_up"] == 0
    assert result["good"] == result["requests"] == result["attempts"] == seen
    assert max(memory[1:]) <= memory[0] * 1.05 + 512, memory
    assert left <= before + 3 * 100
