# SPDX-License-Identifier: Apache-2.0
import pathlib
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
