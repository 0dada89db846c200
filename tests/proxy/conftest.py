# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from origin import Origin  # noqa: E402


@pytest.fixture
def origin():
    with Origin() as server:
        yield server


def pytest_make_parametrize_id(config, val, argname):
    """A test's name stands in the environment of whatever it starts, where a long one does not fit."""
    if isinstance(val, (bytes, str)) and len(val) > 200:
        return f"{argname} of {len(val)}"
    return None


def pytest_collection_modifyitems(items):
    """WEIR_TEST_ORDER=NUMBER: the files, and the tests in each, in another order, the same one for
    the same number. No test may need another before it."""
    seed = os.environ.get("WEIR_TEST_ORDER")
    if not seed:
        return
    chance = random.Random(int(seed))
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    order = sorted(files)
    chance.shuffle(order)
    for path in order:
        chance.shuffle(files[path])
    items[:] = [item for path in order for item in files[path]]
