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
