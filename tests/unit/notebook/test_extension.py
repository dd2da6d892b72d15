"""`import beampy` where IPython is: it never fails by that, and a program with an embedded shell stays as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("IPython")

BROKEN = """
import importlib.abc, sys
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance()
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "beampy.notebook.extension":
            raise ImportError("a broken installation")
sys.meta_path.insert(0, Missing())
"""

OTHER = """
import IPython
IPython.get_ipython = lambda: object()  # somebody's own shell
"""

EMBEDDED = """
import IPython
IPython.embed(banner1="")
import beampy as bp
from beampy.core import current, group_leader
assert current.bring_up is None and group_leader.screen_now() is None
try:
    bp.node()
except bp.errors.NotInNode:
    print("as before")
"""


def ran(program: str, home: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        input=stdin,
        env={**os.environ, "HOME": str(home), "IPYTHONDIR": str(home / "ipython")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("shell", [BROKEN, OTHER], ids=["broken", "other"])
def test_import_does_not_fail_by_the_extension(tmp_path: Path, shell: str) -> None:
    done = ran(f"{shell}\nimport beampy as bp\nprint(bp.Pool.__name__)", tmp_path)
    assert done.stdout == "Pool\n", done.stderr
    assert "%load_ext beampy" in done.stderr


def test_a_program_is_as_it_was_after_an_embedded_shell(tmp_path: Path) -> None:
    done = ran(EMBEDDED, tmp_path, "import beampy as bp\nbp.__version__\nexit\n")
    assert done.stdout.rstrip().endswith("as before"), done.stderr
