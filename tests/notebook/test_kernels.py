"""The kernel of the tests itself: a cell runs, and says what it did."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import Kernel, alive

pytestmark = [pytest.mark.cluster]


def test_a_cell_gives_what_it_printed_and_its_value(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        ran = kernel.run("import sys\nprint('said')\nprint('badly', file=sys.stderr)\n6 * 7")
        assert (ran.status, ran.out, ran.err, ran.value) == ("ok", "said\n", "badly\n", "42")
        assert kernel.run("1 / 0").error == "ZeroDivisionError: division by zero"
        pid = kernel.pid
    assert not alive(pid)
